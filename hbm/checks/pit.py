"""Each unit left out: where it lies in what the model predicts without it."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
import pymc as pm
import xarray as xr
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

from hbm.checks.leave_out import psis, warn_of_k
from hbm.checks.panel_pit import covariance_of_cells, last_years_below
from hbm.checks.report import PIT_LEVEL, LooPit
from hbm.checks.statistics import FEW, split_by_size
from hbm.hierarchy.coefficients import of_cells
from hbm.hierarchy.description import Description
from hbm.hierarchy.fitted import Fitted, read_all
from hbm.hierarchy.marginal import head_given_siblings
from hbm.hierarchy.nodes import given_below, node_of
from hbm.sampling.threads import ONE_THREAD
from hbm.tables.words import plural

__all__ = ["loo_pit"]

Floats = NDArray[np.float64]

_MOST_DRAWS = 1000  # that a PIT is averaged over
_POINTS = 8  # of effects, for each of them
_WIDER = 0.7  # of what a mean tells of its effect: points must reach beyond where they are wanted
_ROOT = 1.2207440846057596  # of x⁴ = x + 1: its powers spread points evenly in three dimensions


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
    predictions are too narrow, too few that they are too wide. The same is asked of the standard
    deviations of schools, and whether small schools lie elsewhere than large ones.

    Parameters
    ----------
    model : pymc.Model
        A model of :mod:`hbm.heights`, :mod:`hbm.scores` or :mod:`hbm.exams`.
    fit : xarray.DataTree
        Its fit, the result of :func:`hbm.sample`.
    unit : str, default "school"
        What is left out at a time: ``"school"`` (``"country"``), predicted as a new school of its
        authority or district; or ``"student"`` (``"person"``), if the fit is of individuals,
        predicted as another student of the school. Of a panel ``"last_year"``, the last results of
        a school, predicted from its years before and from other schools; or ``"school"`` with all
        its years, of which the last is then predicted as a new school's.
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
    the importance weights of :func:`hbm.loo` [1]_ and with effects of a new group at points that
    are spread evenly: no seed matters. It takes at most some 1,000 draws, evenly apart, which
    keeps within 0.005 of what 4,000 give (``tests/test_pit.py``). The effect of an authority is
    integrated given its other schools, and in a panel a school's own effects given its years before
    (:mod:`hbm.checks.panel_pit`); the effects of years stay as they were drawn. The mean of n Beta
    students has the law of :func:`hbm.students.likelihoods.beta_mean_logp`.

    The PIT of a standard deviation is the probability of a lower one given the observed mean, so
    that it says nothing that the mean's has said. Of Beta students it is as right as
    :mod:`hbm.students.summary_density`. A model that does not look at standard deviations has none.

    There are up to four tests: that PITs of means, and of standard deviations, are uniform; and
    that those of groups below the median size have the same average as the others, if there are
    three or more of each. PITs are left-out values of one data set and depend on each other, so
    uniformity is tested by ArviZ's POT-C, which allows for it [2]_, and the averages with the
    correlations of left-out values under the model: those of the precision matrix of the data. With
    predictors their coefficients are learned from the others too: where size is one of them, what
    is left of small and of large groups hardly differs on average.
    The level of 1 % is shared out evenly among the tests.

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
    >>> hbm.loo_pit(model, fit)  # doctest: +SKIP
    """
    fitted = read_all(fit, model)
    d = fitted.d
    possible = [dim for dim in d.units if dim in (d.individual, d.group, d.last)]
    if unit not in possible:
        raise ValueError(
            f"{unit!r} has no PIT here; unit must be one of: {', '.join(map(repr, possible))}"
        )
    # The same draws of each chain, evenly apart.
    thin = slice(None, None, -(-fitted.n_draws // _MOST_DRAWS))
    thinned = fitted.fit["posterior"].to_dataset().isel(draw=thin)
    fitted = Fitted(fitted.fit.assign(posterior=xr.DataTree(thinned)), d)
    result, _ = psis(fitted, unit)
    if result.warning:
        warn_of_k(result, unit)
    weights = np.exp(result.log_weights.transpose("chain", "draw", unit).to_numpy())
    weights = weights.reshape(fitted.n_draws, -1)
    table = pd.DataFrame({unit: d.unit_labels(unit)})
    if unit == d.individual:
        below = _individuals_below(fitted)
        table["observed"] = d.value
        table["pit"] = (below * weights).sum(axis=0) / weights.sum(axis=0)
        table["pareto_k"] = result.pareto_k.to_numpy()
        tests = [_uniform(plural(unit), table["pit"])]
    else:
        table["observed"] = d.mean[_looked_at(d)]
        if d.panel:
            table["pit"], pit_of_sds = last_years_below(fitted, weights, unit)
        else:
            table["pit"], pit_of_sds = _groups_below(fitted, weights)
        table["pareto_k"] = result.pareto_k.to_numpy()
        table["pit_sd"] = pit_of_sds
        tests = _tests_of_groups(fitted, model, unit, table["pit"], table["pit_sd"])
    p_value = min(1.0, len(tests) * min(test["p"] for test in tests))
    tested = pd.DataFrame(tests)
    return LooPit(p_value >= PIT_LEVEL, p_value, table, unit, tested, float(result.good_k))


def _individuals_below(f: Fitted) -> Floats:
    """Return the probability of a lower result of another individual of the same group."""
    mu, spread = f.mu(f.d.group), np.broadcast_to(f.spread, (f.n_draws, len(f.d.n)))
    return f.d.law.mean_cdf(f.d.value, np.ones(1), mu[:, f.index], spread[:, f.index])


def _groups_below(f: Fitted, weights: Floats) -> tuple[Floats, Floats]:
    """Return the probability of a lower mean of a new group in each group's place.

    And that of a lower standard deviation, of such groups with the same mean.
    """
    law, n = f.d.law, f.d.n
    mean, sd = f.published
    steps = np.arange(1, f.n_draws * _POINTS + 1).reshape(f.n_draws, _POINTS, 1)
    of_head, of_effect, of_spread = ((0.5 + steps / _ROOT**k) % 1 for k in (1, 2, 3))
    log_spread, tau_spread, excess, tau = (x[:, None, None] for x in (*f.within, f.tau(f.d.group)))
    of_spread, z = log_spread + tau_spread * ndtri(of_spread), ndtri(of_effect)
    raw = law.raw_estimates(n, mean, sd)
    says = _WIDER / raw.effect_se**2
    below, sd_below = np.empty(len(n)), np.empty(len(n))
    for members, around in _around(f, of_head[..., 0]):
        at, of = mean[members], n[members]
        spread = np.exp(of_spread + f.moved_cells(members)[:, None])
        weight = np.broadcast_to(weights[:, None, members], (*z.shape[:2], len(members)))
        lower = law.mean_cdf(at, of, law.mean_of(around + tau * z), spread, excess)
        below[members] = np.average(np.broadcast_to(lower, weight.shape), (0, 1), weight)
        # Where the mean puts the effect, roughly; weights make up for it.
        pull = 1 + tau**2 * says[members]
        off = (tau * says[members] * (raw.effect[members] - around) + np.sqrt(pull) * z) / pull
        mu = law.mean_of(around + tau * off)
        log_ratio = law.mean_logp(at, of, mu, spread, excess) + (z**2 - off**2 - np.log(pull)) / 2
        weight = weight * np.exp(log_ratio - log_ratio.max((0, 1)))
        lower = law.sd_cdf(sd[members], at, of, mu, spread, excess)
        sd_below[members] = np.average(np.broadcast_to(lower, weight.shape), (0, 1), weight)
    return below, sd_below


def _around(f: Fitted, p: Floats) -> Iterator[tuple[NDArray[np.int64], Floats]]:
    """Yield groups, with quantiles of what their effects are centred on, given their siblings."""
    d = f.d
    parent = d.above(d.group)
    if parent is None:
        everybody = f.location(d.group)
        for i in range(len(d.n)):
            yield np.array([i]), everybody[:, None, [i]]
        return
    above, taus = f.location(parent), [f.tau(parent), f.tau(d.group)]
    own = np.broadcast_to(f.moved(d.group), (f.n_draws, len(d.n)))
    with ONE_THREAD:
        for i in range(len(d.level(parent).labels)):
            members = np.flatnonzero(d.parent_of(d.group) == i)
            family = [node_of(f, d.group, member) for member in members]
            head = head_given_siblings(family, above[:, i], taus, *given_below(f), p=p)
            yield members, head + own[:, None, members]


def _uniform(of: str, pit: pd.Series) -> dict[str, Any]:
    """Test whether PITs are uniform."""
    from arviz_stats.base import array_stats

    pit = pit.dropna()
    outer = np.mean(np.abs(pit - 0.5) > 0.45)
    return {
        "test": f"{of}: uniform",
        "p": float(array_stats.uniformity_test(pit.to_numpy())[0]),
        "finding": f"{100 * outer:.0f} % lie outside their 90 % interval (10 % expected)",
    }


def _looked_at(d: Description) -> NDArray[np.int64]:
    """Return the cells whose PITs are made, one of each group: of a panel its last."""
    return d.last_cells if d.panel else np.arange(len(d.n))


def _tests_of_groups(
    f: Fitted, model: pm.Model, unit: str, pit: pd.Series, pit_sd: pd.Series
) -> list[dict[str, Any]]:
    """Test the PITs of the groups' means and standard deviations."""
    groups = plural(f.d.group)
    tests = []
    large, cut = split_by_size(f.d.n[_looked_at(f.d)])
    correlations = (lambda: _of_means(f, model, unit)), (lambda: _of_sds(f, model))
    for of, values, correlation in zip(("means", "sds"), (pit, pit_sd), correlations, strict=True):
        known = values.notna().to_numpy()
        if not known.any():
            continue
        tests.append(_uniform(of, values))
        if min((known & large).sum(), (known & ~large).sum()) >= FEW:
            above, below = known & large, known & ~large
            averages = values[below].mean(), values[above].mean()
            weight = below / below.sum() - above / above.sum()
            se = np.sqrt(weight @ correlation() @ weight / 12)
            tests.append(
                {
                    "test": f"{of}: small and large {groups}",
                    "p": float(2 * ndtr(-abs(averages[0] - averages[1]) / se)),
                    "finding": f"{groups} under {cut} {plural(f.d.individual)} average "
                    f"{averages[0]:.2f}, larger ones {averages[1]:.2f}",
                    "small": averages[0],
                    "large": averages[1],
                }
            )
    return tests


def _of_sds(f: Fitted, model: pm.Model) -> Floats:
    """Return the correlation of the PITs of standard deviations, if all told as much."""
    learned, own = _learned(f, model, "gamma"), 1.0
    if learned.any():  # How much they vary beside it counts then.
        said = f.d.law.raw_estimates(f.d.n, *f.published).log_spread_se
        own = f.population_spread[1].mean() ** 2 + np.median(said[np.isfinite(said)]) ** 2
    covariance = own * np.eye(len(f.d.n)) + learned
    return _left_out(covariance, looked_at=_looked_at(f.d))


def _of_means(f: Fitted, model: pm.Model, unit: str) -> Floats:
    """Return the correlation of the PITs of means, were all effects Normal."""
    d = f.d
    if d.panel:
        left_out = None if unit == d.last else d.cells.group
        covariance = covariance_of_cells(f) + _learned(f, model, "beta")
        return _left_out(covariance, f.pools, left_out, _looked_at(d))
    mu, spread = f.mu(d.group).mean(axis=0), f.spread.mean(axis=0)
    own = f.tau(d.group).mean() ** 2 + 1 / d.law.information(d.n, mu, spread, f.excess.mean())
    covariance = np.diag(own)
    for level in d.levels[:-1]:
        at = d.ancestor_of(level.name)
        covariance += f.tau(level.name).mean() ** 2 * (at[:, None] == at)
    return _left_out(covariance + _learned(f, model, "beta"), f.pools)


def _learned(f: Fitted, model: pm.Model, name: str) -> Floats:
    """Return the covariance that groups have by coefficients that are learned from the others."""
    free = f"{name}_contrast"
    if f.d.predictors is None or free not in model.named_vars:
        return np.zeros((1, 1))
    node = model[free].owner
    sd = np.ravel(node.op.dist_params(node)[-1].eval())[0]
    x = of_cells(f.d) @ f.d.predictors.contrasts
    return sd**2 * x @ x.T


def _left_out(
    covariance: Floats,
    learned: bool = True,
    together: NDArray[np.int64] | None = None,
    looked_at: NDArray[np.int64] | None = None,
) -> Floats:
    """Return the correlation of PITs of left-out Normal values, whose mean is learned or known.

    A value less its mean given all others is, scaled, its row of the precision matrix. `together`
    says which are left out at a time, if these are not single ones: their part of the precision,
    inverted, makes of its rows what they are less their mean given the others. `looked_at` are the
    values whose PITs are made, if not all.
    """
    precision = np.linalg.inv(covariance)
    if learned:
        of_mean = precision.sum(axis=0)
        precision = precision - np.outer(of_mean, of_mean) / of_mean.sum()
    looked_at = np.arange(len(precision)) if looked_at is None else looked_at
    turn = np.eye(len(precision))[looked_at]
    for own, i in zip(turn, looked_at if together is not None else (), strict=False):
        mates = np.flatnonzero(together == together[i])
        own[mates] = np.linalg.inv(precision[np.ix_(mates, mates)])[mates.tolist().index(i)]
    precision = turn @ precision @ turn.T
    scale = np.sqrt(np.diag(precision))
    normal = np.clip(precision / np.outer(scale, scale), -1, 1)
    return 6 / np.pi * np.arcsin(normal / 2)
