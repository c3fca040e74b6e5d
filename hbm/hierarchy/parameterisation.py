"""Parameterisation: how the sampler sees a group effect, as a transform of its variable.

A model is written once, in plain centred notation, ``effect ~ N(m, τ)``. The transform given to
that ``pm.Normal`` decides in which coordinates the sampler moves:

centred
    the effect itself: good where each group has much data, a funnel where τ may be small;
non-centred
    z with effect = m + τ z: good where each group has little data, strained where it has much;
informed
    z with effect = c + z / √p, where p = 1/s² + 1/τ² and c = (ê/s² + m/τ²) / p combine the group's
    own estimate ê ± s, computed once from the raw table, with its prior. Given the parameters
    above it, z is nearly N(0, 1) whatever τ is, so there is no funnel at either end.

Centred and non-centred are the two ends of informed, at s → 0 and s → ∞; choosing by group and by τ
is the partial non-centring of Papaspiliopoulos, Roberts and Sköld [1]_. The posterior is the
same for all three: the estimate ± s shapes the coordinates and is no second use of the data.

References
----------
.. [1] Papaspiliopoulos, Roberts and Sköld (2007). A general framework for the parametrization of
   hierarchical models. Statistical Science 22(1).
"""

import operator
from collections.abc import Callable
from typing import Literal, get_args

import numpy as np
import pymc as pm
import pytensor.tensor as pt
from numpy.typing import ArrayLike
from pymc.distributions.distribution import SymbolicRandomVariable
from pymc.logprob.transforms import Transform
from pytensor.graph.basic import Variable
from pytensor.graph.op import Op
from pytensor.graph.traversal import ancestors
from pytensor.tensor import TensorLike, TensorVariable
from pytensor.tensor.random.basic import NormalRV
from pytensor.tensor.random.op import RandomVariable

__all__ = [
    "Informed",
    "Parameterisation",
    "check_made_for",
    "group_effect",
    "informed",
    "raw_starts",
]

_EFFECT = "NormalEffect"  # what PyMC calls a Normal whose estimates are inputs of it

Parameterisation = Literal["informed", "centred", "non-centred"]


class Informed(Transform):
    """Transform of a Normal variable around a Gaussian approximation of its likelihood.

    Made by :func:`informed`. PyMC hands the methods the variable's own inputs, of which the last
    two are its mean m and standard deviation τ.
    """

    name = "informed"
    ndim_supp = 0

    def __init__(self, estimate, precision):
        self.estimate = estimate
        self.precision = precision

    def _read(self, inputs):
        """Return the estimate, its precision, m and τ."""
        *_, mean, sd = inputs
        return self.estimate, self.precision, mean, sd

    def _centre_and_precision(self, inputs):
        estimate, known, mean, sd = self._read(inputs)
        precision = known + 1 / sd**2
        # The mean plus a step towards the estimate: with no information in the data (precision 0)
        # this is exactly the mean.
        return mean + (estimate - mean) * (known / precision), precision

    def forward(self, value: TensorVariable, *inputs) -> TensorVariable:
        """Return z of an effect."""
        check_made_for(
            value,
            inputs,
            lambda op, whole: whole and (isinstance(op, NormalRV) or type(op).__name__ == _EFFECT),
            "hbm.informed is the transform of a pm.Normal, not of {}: write the effect as a "
            "pm.Normal, and what depends on it as a pm.Deterministic",
        )
        self._check_shape(value.type.shape)
        centre, precision = self._centre_and_precision(inputs)
        return (value - centre) * pt.sqrt(precision)

    def _check_shape(self, shape: tuple[int | None, ...]) -> None:
        """Raise if there are other estimates than the effects, as far as their shape is known."""
        if self.estimate is None:
            return
        given = np.broadcast_shapes(self.estimate.shape, self.precision.shape)
        last = shape[len(shape) - len(given) :]
        if len(given) > len(shape) or any(
            n not in (1, there) and there is not None for n, there in zip(given, last, strict=True)
        ):
            raise ValueError(
                f"hbm.informed was given estimates of shape {given}, and the effect is of shape "
                f"{shape}: give one estimate and standard error for each of its members, in order"
            )

    def backward(self, value: TensorVariable, *inputs) -> TensorVariable:
        """Return the effect of a z."""
        centre, precision = self._centre_and_precision(inputs)
        return centre + value / pt.sqrt(precision)

    def log_jac_det(self, value: TensorVariable, *inputs) -> TensorVariable:
        """Return log |d effect / d z|, which is −½ log p."""
        _, precision = self._centre_and_precision(inputs)
        return pt.zeros_like(value) - 0.5 * pt.log(precision)


class ByInputs:
    """Mixin of transforms whose estimates are inputs of the variable, and so may be ``pm.Data``.

    PyMC does not see what a transform hangs on, unless its variable hangs on it. The estimates and
    their standard errors are data of the model, ``<variable>_raw``.
    """


class _InformedByInputs(ByInputs, Informed):
    """The same for a variable whose estimates are inputs of it."""

    def __init__(self):
        super().__init__(None, None)

    def _read(self, inputs):
        _, estimate, precision, mean, sd, *_ = inputs
        return estimate, precision, mean, sd


def check_made_for(
    value: TensorVariable, inputs: tuple, knows: Callable[[Op, bool], bool], message: str
) -> None:
    """Raise if a value is made of a variable with these inputs that a transform is not for.

    PyMC hands a variable over when it is added to a model: as it is, or already transformed by what
    its range asks for.

    Parameters
    ----------
    value : TensorVariable
        What the transform is to go forward from.
    inputs : tuple of TensorVariable
        Those of the variable.
    knows : callable
        Says whether the transform is for a variable of this Op, which the value is, or is made of.
    message : str
        What to say if not, with ``{}`` for the Op's name.
    """
    for variable in ancestors([value]):
        node = variable.owner
        if node is None or not isinstance(node.op, RandomVariable | SymbolicRandomVariable):
            continue
        own = len(node.inputs) == len(inputs) and all(map(operator.is_, node.inputs, inputs))
        if own and not knows(node.op, variable is value):
            raise TypeError(message.format(type(node.op).__name__))


def informed(estimate: ArrayLike, standard_error: ArrayLike) -> Informed:
    """Make a data-informed parameterisation of a group effect.

    Use it as the ``transform`` of a ``pm.Normal`` in any PyMC model. The posterior does not change;
    the sampler moves in a standardised coordinate in which there is no funnel.

    Parameters
    ----------
    estimate : array_like of float, shape of the variable
        Each group's own estimate of the effect, on the scale of the variable, from the raw data.
    standard_error : array_like of float, shape of the variable
        Its standard error, positive; ``inf`` for a group without information, which gives the
        non-centred form. Approximate values do: they only shape the coordinates.

    Returns
    -------
    Informed
        A PyMC transform. With prior N(m, τ) it is effect = c + z / √p, where
        p = 1/s² + 1/τ² and c = (ê/s² + m/τ²) / p, with log-Jacobian −½ log p.

    Raises
    ------
    TypeError
        If they are no numbers; or, when the model is built, if the variable is no ``pm.Normal``.
    ValueError
        If a standard error is not positive, or an estimate is not finite; if they are of other
        numbers of groups; or, when the model is built, if these are not the variable's, as far as
        it has a shape then: one given by dims is only known when it is used.

    Examples
    --------
    Eight schools (Rubin 1981), the model written plainly:

    >>> import numpy as np, pymc as pm, hbm
    >>> y = np.array([28, 8, -3, 7, -1, 1, 18, 12.0])
    >>> se = np.array([15, 10, 16, 11, 9, 11, 10, 18.0])
    >>> with pm.Model() as model:
    ...     mu = pm.Normal("mu", 0, 5)
    ...     tau = pm.HalfCauchy("tau", 5)
    ...     theta = pm.Normal("theta", mu, tau, shape=8, transform=hbm.informed(y, se))
    ...     effect = pm.Normal("effect", theta, se, observed=y)
    >>> [variable.name for variable in model.value_vars]
    ['mu', 'tau_log__', 'theta_informed__']
    """
    estimate = _numbers(estimate, "estimates")
    standard_error = _numbers(standard_error, "standard errors")
    try:
        np.broadcast_shapes(estimate.shape, standard_error.shape)
    except ValueError:
        raise ValueError(
            f"each estimate has its standard error: got {estimate.size} estimates and "
            f"{standard_error.size} standard errors"
        ) from None
    if not (standard_error > 0).all():
        bad = np.flatnonzero(~(standard_error.ravel() > 0))
        raise ValueError(
            f"standard errors must be positive; those at {bad[:5].tolist()} are "
            f"{standard_error.ravel()[bad[:5]].tolist()}. Use inf where there is no information"
        )
    if not np.isfinite(estimate).all():
        bad = np.flatnonzero(~np.isfinite(estimate.ravel()))
        raise ValueError(
            f"estimates must be finite; those at {bad[:5].tolist()} are not. Where there is no "
            "information give any number with standard_error=inf"
        )
    return Informed(estimate, 1 / standard_error**2)


def _numbers(given: ArrayLike, what: str) -> np.ndarray:
    """Return what was given as floats, or refuse what is no numbers."""
    if isinstance(given, Variable):
        raise TypeError(
            f"{what} must be numbers, got the variable {given}: PyMC does not see what a transform "
            "hangs on; give its get_value()"
        )
    try:
        numbers = np.asarray(given)
        if numbers.dtype.kind in "iufO" and not any(x is None for x in numbers.flat):
            return numbers.astype(float)
    except (TypeError, ValueError):  # of rows of unlike lengths, or of objects that are no numbers
        pass
    raise TypeError(f"{what} must be numbers, got {given!r}")


def check_parameterisation(parameterisation: str) -> None:
    """Raise unless `parameterisation` is one of the three."""
    if parameterisation not in get_args(Parameterisation):
        allowed = ", ".join(map(repr, get_args(Parameterisation)))
        raise ValueError(f"parameterisation must be one of {allowed}, got {parameterisation!r}")


def group_effect(
    name: str,
    mean: TensorLike,
    sd: TensorLike,
    *,
    dims: str,
    estimate: np.ndarray,
    standard_error: np.ndarray,
    parameterisation: Parameterisation,
    widened: TensorLike = 1.0,
    shift: TensorLike = 0.0,
) -> TensorVariable:
    """Add a group effect ~ N(mean, sd) to the model in context, in a chosen parameterisation.

    Parameters
    ----------
    name : str
        Name of the variable.
    mean, sd : scalar or tensor
        Its prior mean and standard deviation.
    dims : str
        The group's dim.
    estimate, standard_error : array_like, shape (n_groups,)
        What the raw data say of each group, as for :func:`informed`. They are kept in
        ``constant_data`` as ``<name>_raw``.
    parameterisation : {"informed", "centred", "non-centred"}
        How the sampler sees the effect.
    widened : scalar or tensor, default 1
        How many times as large the standard errors are, where that hangs on other variables.
    shift : scalar or tensor, default 0
        How much higher the estimates are, likewise.

    Returns
    -------
    TensorVariable
        The effect, shape (n_groups,).

    Raises
    ------
    ValueError
        If the parameterisation is not one of the three.

    Examples
    --------
    >>> import pymc as pm
    >>> with pm.Model(coords={"school": ["a", "b"]}) as model:
    ...     effect = group_effect("eta_school", 0.0, 1.0, dims="school", estimate=[0.1, 0.2],
    ...                           standard_error=[0.3, 0.1], parameterisation="non-centred")
    >>> model.value_vars
    [eta_school_informed__]
    """
    check_parameterisation(parameterisation)
    informed(estimate, standard_error)  # for its checks
    raw = pm.Data(f"{name}_raw", np.stack([estimate, standard_error]), dims=("raw", dims))
    if parameterisation == "informed":
        return pm.CustomDist(
            name,
            raw[0] + shift,
            # In this order: of an infinite standard error the gradient by `widened` is 0.
            (1 / raw[1] ** 2) / pt.square(widened),
            mean,
            sd,
            dist=lambda _, __, mean, sd, size: pm.Normal.dist(mean, sd, size=size),
            logp=lambda value, _, __, mean, sd: pm.logp(pm.Normal.dist(mean, sd), value),
            class_name=_EFFECT,
            dims=dims,
            transform=_InformedByInputs(),
        )
    non_centred = {"transform": informed(0.0, np.inf)}
    return pm.Normal(
        name, mean, sd, dims=dims, **(non_centred if parameterisation == "non-centred" else {})
    )


def informs(model: pm.Model, effect: TensorVariable) -> bool:
    """Say whether the data inform the coordinates of a model's effect."""
    transform = model.rvs_to_transforms[effect]
    if isinstance(transform, ByInputs):
        return bool(np.isfinite(model[f"{effect.name}_raw"].get_value()[1]).any())
    return isinstance(transform, Informed) and bool(np.any(transform.precision))


def raw_starts(model: pm.Model) -> dict[str, np.ndarray]:
    """Return where to start a model's group effects: at what the raw data say of them.

    From the prior's mean a chain would have to find its way to large groups through their tails.

    Parameters
    ----------
    model : pymc.Model
        A model whose group effects were added by :func:`group_effect`.

    Returns
    -------
    dict of str to numpy.ndarray
        Initial values by variable, as ``pm.sample(initvals=...)`` takes them; empty for a model
        without such effects.

    Examples
    --------
    >>> import hbm
    >>> table = hbm.simulate.exams([2, 1], 20, random_seed=1)[0]
    >>> sorted(raw_starts(hbm.exams.nested(table)))
    ['eta_authority', 'eta_school', 'log_nu_school']
    """
    return {
        rv.name: model[f"{rv.name}_raw"].get_value()[0]
        for rv in model.free_RVs
        if f"{rv.name}_raw" in model.named_vars
    }
