"""Each unit left out: where it lies in what the model predicts without it."""

import html
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pymc as pm
import xarray as xr
from numpy.typing import NDArray
from scipy.special import ndtri
from scipy.stats import qmc
from threadpoolctl import threadpool_limits

from hbm.checks.leave_out import loo
from hbm.hierarchy.fitted import Fitted, read_fit
from hbm.hierarchy.marginal import head_given_siblings

__all__ = ["LooPit", "loo_pit"]

Floats = NDArray[np.float64]

_ALPHA = 0.01  # of the test of uniformity
_LOG2_POINTS = 2  # quasi-random points of a draw


@dataclass(frozen=True, repr=False)
class LooPit:
    """What :func:`loo_pit` found.

    Attributes
    ----------
    ok : bool
        Whether the values could be uniform.
    p_value : float
        Of the test of uniformity.
    table : pandas.DataFrame
        One row a unit: its label; ``observed``, its mean, or its result if it is an individual;
        ``pit``, the probability that the model, without it, gave to a lower one; ``pareto_k``, how
        far that can be trusted.
    unit : str
        What was left out at a time.
    """

    ok: bool
    p_value: float
    table: pd.DataFrame
    unit: str

    @property
    def verdict(self) -> str:
        """Whether the predictions are right and, if not, how they are wrong."""
        if self.ok:
            return f"Each {self.unit} left out is predicted as well as the model says."
        pit = self.table["pit"].to_numpy()
        # Both in standard errors of a uniform sample.
        shift = (pit.mean() - 0.5) * np.sqrt(12 * len(pit))
        middle = (np.mean(np.abs(pit - 0.5) < 0.25) - 0.5) * np.sqrt(4 * len(pit))
        if abs(shift) > abs(middle):
            how = "too low" if shift > 0 else "too high"
        else:
            how = "too wide" if middle > 0 else "too narrow"
        return f"Predictions of a {self.unit} left out are not right: they are mostly {how}."

    def __str__(self) -> str:
        """Return the verdict and what it goes by."""
        outer = np.mean(np.abs(self.table["pit"] - 0.5) > 0.45)
        return (
            f"{self.verdict}\n"
            f"  {len(self.table)} units ({self.unit}); p = {self.p_value:.3g} that they are "
            f"predicted right (at least {_ALPHA:g})\n"
            f"  {100 * outer:.0f} % lie outside their 90 % interval (10 % expected)"
        )

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return f"<pre>{html.escape(str(self))}</pre>{self.table.to_html(index=False)}"


def loo_pit(
    model: pm.Model,
    fit: xr.DataTree,
    unit: str = "school",
    *,
    random_seed: int | np.random.Generator | None = None,
) -> LooPit:
    """Ask where each unit lies in what the model predicts of it without having seen it.

    The probability integral transform (PIT) of a school is the predictive probability of a lower
    mean than its own. If predictions are as good as they say, it is as often between 0 and 0.1 as
    between 0.4 and 0.5 or anywhere else: PITs are uniform. Too many near 0 and 1 mean that
    predictions are too narrow, too few that they are too wide.

    Parameters
    ----------
    model : pymc.Model
        A model of :mod:`hbm.heights`, :mod:`hbm.scores` or :mod:`hbm.exams`.
    fit : xarray.DataTree
        Its fit, the result of :func:`hbm.sample`.
    unit : str, default "school"
        What is left out at a time: ``"school"`` (``"country"``), predicted as a new school of its
        authority or district; or ``"student"`` (``"person"``), if the fit is of individuals,
        predicted as another student of the school.
    random_seed : int or numpy.random.Generator, optional
        Without effect: nothing is drawn, where earlier versions drew the effects.

    Returns
    -------
    LooPit
        Prints as a short report, in a terminal and in a notebook; ``ok`` is the verdict.

    Raises
    ------
    ValueError
        If the unit is not possible for this fit, or the fit not of the model.

    Warns
    -----
    UserWarning
        If units have a Pareto k above the threshold, as in :func:`hbm.loo`.

    Notes
    -----
    A PIT is the average over posterior draws of the distribution function of the unit's mean, with
    the importance weights of :func:`hbm.loo` [1]_, each draw with effects of a new group. The mean
    of n Beta students has the law of :func:`hbm.students.likelihoods.beta_mean_logp`.

    PITs are left-out values of one data set and depend on each other a little, so uniformity is
    tested by ArviZ's POT-C, which allows for it [2]_, at a level of 1 %.

    References
    ----------
    .. [1] Gelfand, Dey and Chang (1992). Model determination using predictive distributions with
       implementation via sampling-based methods. Bayesian Statistics 4.
    .. [2] Tesso et al. (2026). LOO-PIT predictive model checking. arXiv:2603.02928.

    Examples
    --------
    >>> import hbm
    >>> table = hbm.simulate.exams(random_seed=1)[0]
    >>> model = hbm.exams.nested(table)
    >>> fit = hbm.sample(model)  # doctest: +SKIP
    >>> hbm.loo_pit(model, fit, random_seed=1)  # doctest: +SKIP
    """
    from arviz_stats.base import array_stats

    fitted = read_fit(fit, model)
    d = fitted.d
    possible = [dim for dim in d.units if dim in (d.individual, d.group)]
    if unit not in possible:
        raise ValueError(
            f"{unit!r} has no PIT here; unit must be one of: {', '.join(map(repr, possible))}"
        )
    result = loo(model, fit, unit)
    weights = np.exp(result.log_weights.transpose("chain", "draw", unit).to_numpy())
    weights = weights.reshape(fitted.n_draws, -1)
    below = _individuals_below(fitted) if unit == d.individual else _groups_below(fitted)
    pit = (below * weights).sum(axis=0) / weights.sum(axis=0)
    p_value = float(array_stats.uniformity_test(pit)[0])
    table = pd.DataFrame(
        {
            unit: d.coords[unit],
            "observed": d.value if unit == d.individual else d.mean,
            "pit": pit,
            "pareto_k": result.pareto_k.to_numpy(),
        }
    )
    return LooPit(p_value >= _ALPHA, p_value, table, unit)


def _individuals_below(f: Fitted) -> Floats:
    """Return the probability of a lower result of another individual of the same group."""
    mu, spread = f.mu(f.d.group), np.broadcast_to(f.spread, (f.n_draws, len(f.d.n)))
    return f.d.law.mean_cdf(f.d.value, 1, mu[:, f.index], spread[:, f.index])


def _groups_below(f: Fitted) -> Floats:
    """Return the probability of a lower mean of a new group in each group's place."""
    d = f.d
    mean, _ = f.published
    points = qmc.Sobol(3, scramble=False).random_base2(_LOG2_POINTS) + 0.5 ** (_LOG2_POINTS + 1)
    total = np.zeros((f.n_draws, len(d.n)))
    log_spread, tau_spread = (x[:, None] for x in f.population_spread)
    for of_head, of_effect, of_spread in points:
        # Each draw with points of its own, turned by the golden ratio.
        turn = np.arange(f.n_draws) * 0.6180339887498949
        p, q, r = ((x + turn * k) % 1 for x, k in ((of_head, 1), (of_effect, 3), (of_spread, 7)))
        p, q, r = (np.clip(x, 1e-6, 1 - 1e-6)[:, None] for x in (p, q, r))
        effect = _around(f, p[:, 0]) + f.tau(d.group)[:, None] * ndtri(q)
        spread = np.exp(log_spread + tau_spread * ndtri(r))
        total += d.law.mean_cdf(mean, d.n, d.law.mean_of(effect), spread)
    return total / len(points)


def _around(f: Fitted, p: Floats) -> Floats:
    """Return quantiles of what each group's effect is centred on, given its siblings."""
    d = f.d
    parent = d.above(d.group)
    if parent is None:
        return f.location(d.group)
    above, taus = f.location(parent), [f.tau(parent), f.tau(d.group)]
    around = np.empty((f.n_draws, len(d.n)))
    with threadpool_limits(1, user_api="blas"):
        for i in range(len(d.level(parent).labels)):
            members = np.flatnonzero(d.parent_of(d.group) == i)
            family = [f.evidence(member) for member in members]
            head = head_given_siblings(family, above[:, i], taus, *f.population_spread, p)
            around[:, members] = head
    return around
