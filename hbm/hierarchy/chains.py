"""Chains: effects of a group over the years, of which each remembers the one before.

A chain is stationary and autoregressive of order 1 around its mean: x_t = m_t + d_t, with
d_1 ~ N(0, τ) and d_t ~ N(ρ d_{t−1}, τ √(1 − ρ²)), where ρ is its *persistence*; over a gap of k
years it is ρ to the power of k. So each d_t ~ N(0, τ) by itself.

As for a single effect (:mod:`hbm.hierarchy.parameterisation`) the sampler moves in coordinates that
a Gaussian approximation of the likelihood shapes: estimates ê_t ± s_t, with s_t = ∞ where there is
nothing. A backward pass collects what this year and later ones say of each d_t, as precision J_t
and precision times mean H_t,

    J_t = 1/s_t² + ρ² J_{t+1} k,   H_t = (ê_t − m_t)/s_t² + ρ H_{t+1} k,   k = 1/(1 + q J_{t+1}),

with q = τ² (1 − ρ²) the variance of a step; then forwards, given the year before,

    d_t = (ρ d_{t−1} + q H_t + z_t √(q (1 + q J_t))) / (1 + q J_t),

where d_0 = 0 and q = τ² for the first year. This is the simulation smoother of a linear Gaussian
state space model (Carter and Kohn [1]_; Frühwirth-Schnatter [2]_) run from the last year to the
first. Nothing is divided by q, which goes to 0 with ρ → 1. The log-Jacobian is
½ Σ log(q / (1 + q J_t)).

References
----------
.. [1] Carter and Kohn (1994). On Gibbs sampling for state space models. Biometrika 81(3).
.. [2] Frühwirth-Schnatter (1994). Data augmentation and dynamic linear models. Journal of Time
   Series Analysis 15(2).
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pymc as pm
import pytensor.tensor as pt
from numpy.typing import ArrayLike
from pymc.logprob.transforms import Transform
from pytensor.tensor import TensorLike, TensorVariable

from hbm.hierarchy.parameterisation import ByInputs, check_made_for, informed

__all__ = ["InformedChain", "chain", "gaps_of", "informed_chain", "random_chains", "sampled_as"]

_CHAIN = "Chain"


class InformedChain(Transform):
    """Transform of a chain around a Gaussian approximation of its likelihood.

    Made by :func:`informed_chain`. PyMC hands the methods the variable's own inputs.
    """

    name = "informed"
    ndim_supp = 1

    def __init__(self, estimate, precision):
        self.estimate = estimate
        self.precision = precision

    def _read(self, inputs):
        """Return estimates, their precisions, gaps, m, ρ and τ: sequences by year, and scalars."""
        *_, gaps, mean, persistence, sd = inputs
        return self.estimate, self.precision, gaps, mean, persistence, sd

    def _steps(self, inputs):
        """Return m_t, ρ_t, q_t, H_t and 1 + q_t J_t by year."""
        estimate, precision, gaps, mean, persistence, sd = self._read(inputs)
        n_years = gaps.type.shape[-1]
        mean = [mean[..., t] for t in range(n_years)]
        known = [pt.as_tensor(precision)[..., t] for t in range(n_years)]
        away = [pt.as_tensor(estimate)[..., t] - mean[t] for t in range(n_years)]
        rho, q = _transitions(gaps, persistence, sd, n_years)
        later_j, later_h = pt.zeros(()), pt.zeros(())
        h, scale = [], []
        for t in reversed(range(n_years)):
            j, h_t = known[t] + later_j, known[t] * away[t] + later_h
            h.append(h_t)
            scale.append(1 + q[t] * j)
            # Through the step from the year before, of persistence ρ_t and variance q_t.
            later_j, later_h = rho[t] ** 2 * j / scale[-1], rho[t] * h_t / scale[-1]
        return mean, rho, q, h[::-1], scale[::-1]

    def forward(self, value: TensorVariable, *inputs) -> TensorVariable:
        """Return z of a chain."""
        check_made_for(
            value,
            inputs,
            lambda op, _: type(op).__name__ == _CHAIN,
            "hbm.informed_chain is the transform of an hbm.chain, not of {}: write the effects as "
            "hbm.chain(name, mean, persistence, sd, transform=...)",
        )
        mean, rho, q, h, scale = self._steps(inputs)
        z, before = [], pt.zeros(())
        for t, m in enumerate(mean):
            d = value[..., t] - m
            z.append((d * scale[t] - rho[t] * before - q[t] * h[t]) / pt.sqrt(q[t] * scale[t]))
            before = d
        return pt.stack(z, axis=-1)

    def backward(self, value: TensorVariable, *inputs) -> TensorVariable:
        """Return the chain of a z."""
        mean, rho, q, h, scale = self._steps(inputs)
        x, d = [], pt.zeros(())
        for t, m in enumerate(mean):
            z = value[..., t]
            d = (rho[t] * d + q[t] * h[t] + z * pt.sqrt(q[t] * scale[t])) / scale[t]
            x.append(m + d)
        return pt.stack(x, axis=-1)

    def log_jac_det(self, value: TensorVariable, *inputs) -> TensorVariable:
        """Return log |d chain / d z|, one for each chain."""
        _, _, q, _, scale = self._steps(inputs)
        return sum(0.5 * pt.log(q_t / s) for q_t, s in zip(q, scale, strict=True)) + pt.zeros_like(
            value[..., 0]
        )


class _InformedByInputs(ByInputs, InformedChain):
    """The same for a variable whose estimates are inputs of it."""

    def __init__(self):
        super().__init__(None, None)

    def _read(self, inputs):
        *_, estimate, precision, gaps, mean, persistence, sd = inputs
        return estimate, precision, gaps, mean, persistence, sd


def informed_chain(estimate: ArrayLike, standard_error: ArrayLike) -> InformedChain:
    """Make a data-informed parameterisation of a chain of effects.

    Use it as the ``transform`` of a :func:`chain` in any PyMC model. The posterior does not change;
    the sampler moves in standardised coordinates in which there is no funnel.

    Parameters
    ----------
    estimate : array_like of float, shape of the chain
        Estimate of each year's effect, from the raw data of that year alone.
    standard_error : array_like of float, shape of the chain
        Its standard error, positive; ``inf`` for a year without information. Approximate values do:
        they only shape the coordinates. With ``inf`` throughout they are the innovations, the
        non-centred form.

    Returns
    -------
    InformedChain
        A PyMC transform.

    Raises
    ------
    TypeError
        If they are no numbers; when the transform is given to anything but a :func:`chain`.
    ValueError
        If a standard error is not positive, or an estimate is not finite.

    Examples
    --------
    Two chains of three years, of which one has no result in the second:

    >>> import numpy as np, pymc as pm, hbm
    >>> y = np.array([[0.1, 0.3, 0.2], [-0.4, 0.0, -0.2]])
    >>> se = np.array([[0.2, 0.2, 0.1], [0.3, np.inf, 0.3]])
    >>> with pm.Model() as model:
    ...     rho = pm.Uniform("rho", 0, 1)
    ...     tau = pm.HalfNormal("tau", 1)
    ...     x = hbm.chain("x", np.zeros((2, 3)), rho, tau, transform=hbm.informed_chain(y, se))
    ...     pm.Normal("y", x[np.isfinite(se)], se[np.isfinite(se)], observed=y[np.isfinite(se)])
    y
    >>> model.value_vars
    [rho_interval__, tau_log__, x_informed__]
    """
    same = informed(estimate, standard_error)
    return InformedChain(same.estimate, same.precision)


def chain(
    name: str,
    mean: TensorLike,
    persistence: TensorLike,
    sd: TensorLike,
    *,
    gaps: ArrayLike | None = None,
    transform: InformedChain | None = None,
    dims: Sequence[str] | None = None,
) -> TensorVariable:
    """Add stationary autoregressive chains to the model in context.

    Parameters
    ----------
    name : str
        Name of the variable.
    mean : array_like or TensorVariable, shape (..., n_years)
        What each year's effect is centred on.
    persistence : scalar
        Correlation of an effect with that of the year before.
    sd : scalar
        Standard deviation of an effect in any year.
    gaps : array_like of float, shape (n_years,), optional
        Years since the one before; the first is not looked at. 1 by default, if the shape of
        `mean` tells how many years there are.
    transform : InformedChain, optional
        From :func:`informed_chain`. Without it the sampler sees the effects themselves.
    dims : sequence of str, optional
        Dims of the chains, the years last.

    Returns
    -------
    TensorVariable
        Of the shape of `mean`.

    Raises
    ------
    ValueError
        If the number of years is not known, or a gap is not positive.

    Examples
    --------
    >>> with pm.Model():
    ...     x = chain("x", np.zeros((2, 3)), 0.8, 1.0)
    >>> pm.logp(x, np.zeros((2, 3))).eval().round(3)
    array([-1.735, -1.735])
    """
    mean = pt.as_tensor(mean)
    gaps = _gaps(gaps, mean.type.shape[-1])
    return pm.CustomDist(
        name,
        pt.as_tensor(gaps),
        mean,
        persistence,
        sd,
        logp=lambda value, gaps, *rest: _logp(value, gaps, *rest),
        random=random_chains,
        signature="(t),(t),(),()->(t)",
        class_name=_CHAIN,
        dims=dims,
        **({} if transform is None else {"transform": transform}),
    )


def _gaps(gaps: ArrayLike | None, n_years: int | None) -> np.ndarray:
    if gaps is None and n_years is None:
        raise ValueError("how many years there are is not known: give gaps=, one for each")
    gaps = np.ones(n_years or 0) if gaps is None else np.array(gaps, dtype=float)
    if gaps.shape != (n_years or len(gaps),) or not (gaps[1:] > 0).all():
        raise ValueError(
            f"gaps must be positive, one for each of the {n_years or len(gaps)} years, got "
            f"{gaps.tolist()}"
        )
    return gaps


def sampled_as(
    name: str,
    mean: TensorVariable,
    persistence: TensorLike,
    sd: TensorLike,
    *,
    gaps: ArrayLike,
    raw: TensorVariable,
    precision: TensorVariable,
    dims: Sequence[str],
) -> TensorVariable:
    """Add chains whose estimates are ``pm.Data``, in the informed form.

    Parameters
    ----------
    name, mean, persistence, sd, gaps, dims
        As for :func:`chain`.
    raw, precision : TensorVariable, shape (n_groups, n_years)
        Estimates, and 1 over their squared standard errors.

    Returns
    -------
    TensorVariable
    """
    return pm.CustomDist(
        name,
        raw,
        precision,
        pt.as_tensor(_gaps(gaps, mean.type.shape[-1])),
        mean,
        persistence,
        sd,
        logp=lambda value, _, __, gaps, *rest: _logp(value, gaps, *rest),
        random=lambda _, __, gaps, mean, persistence, sd, rng=None, size=None: random_chains(
            gaps, mean, persistence, sd, rng, size
        ),
        signature="(t),(t),(t),(t),(),()->(t)",
        class_name=_CHAIN,
        dims=dims,
        transform=_InformedByInputs(),
    )


def _transitions(gaps: Any, persistence: Any, sd: Any, n_years: int) -> tuple[list, list]:
    """Return persistence and variance of the step to each year, 0 and τ² to the first."""
    rho = [pt.zeros(()), *(persistence ** gaps[..., t] for t in range(1, n_years))]
    return rho, [sd**2 * (1 - r**2) for r in rho]


def _logp(value, gaps, mean, persistence, sd):
    n_years = gaps.type.shape[-1]
    d = value - mean
    rho, q = _transitions(gaps, persistence, sd, n_years)
    steps = [d[..., t] - (rho[t] * d[..., t - 1] if t else 0) for t in range(n_years)]
    return sum(-0.5 * (x**2 / v + pt.log(2 * np.pi * v)) for x, v in zip(steps, q, strict=True))


def gaps_of(years: ArrayLike) -> np.ndarray:
    """Return how many years each lies after the one before; 1 for the first."""
    years = np.asarray(years, dtype=float)
    return np.diff(years, prepend=years[0] - 1)


def random_chains(gaps, mean, persistence, sd, rng=None, size=None):
    """Draw chains around `mean`, shape (..., n_years)."""
    persistence, sd = np.asarray(persistence)[..., None], np.asarray(sd)[..., None]
    shape = np.broadcast_shapes(np.shape(mean), persistence.shape, sd.shape)
    d = rng.standard_normal(shape if size is None else (*size, shape[-1]))
    for t in range(1, d.shape[-1]):
        rho = persistence[..., 0] ** gaps[..., t]
        d[..., t] = rho * d[..., t - 1] + np.sqrt(1 - rho**2) * d[..., t]
    return mean + sd * d
