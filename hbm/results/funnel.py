"""Control limits: how far from the population's mean a raw mean of n individuals may well lie.

A funnel plot draws groups' raw means against their sizes. Its limits answer two questions that a
league table mixes up: how far would means scatter if all groups were alike, from their number of
individuals alone; and how far if groups differ as much as the model has learned.
"""

from collections.abc import Sequence
from numbers import Real

import numpy as np
import pandas as pd
import xarray as xr
from scipy.special import ndtri

from hbm.hierarchy.carried import posterior_of
from hbm.hierarchy.fitted import read_fit
from hbm.results.estimates import check_prob
from hbm.results.population import known_of, moved_by, population_mean, size_is_known

__all__ = ["funnel_limits", "whole_numbers"]

_LOG2_POINTS = 13  # quasi-random points a limit is computed from
_SIZES = 30  # numbers of individuals by default


def funnel_limits(
    fit: xr.DataTree,
    group: str,
    *,
    n: Sequence[int] | None = None,
    prob: float = 0.95,
    far: float = 0.998,
) -> pd.DataFrame:
    """Compute where the raw mean of a group of n individuals is expected to lie.

    Parameters
    ----------
    fit : xarray.DataTree
        Result of `hbm.sample` for a model of `hbm.heights`, `hbm.scores` or `hbm.exams` that pools.
        Of a panel the last year is taken; :func:`hbm.in_year` gives another.
    group : str
        The groups whose raw means the fit holds: ``"school"`` or ``"country"``.
    n : sequence of int, optional
        Numbers of individuals; by default 30 or fewer from the fit's smallest group to its largest;
        where all are of one size, from half to twice of it.
    prob : float, default 0.95
        Probability between the limits, strictly between 0 and 1.
    far : float, default 0.998
        Probability between the far limits, beyond which `hbm.plot_funnel` names groups, strictly
        between 0 and 1. By chance one group in 500 lies beyond those of 99.8 %.

    Returns
    -------
    pandas.DataFrame
        One row a number of individuals, in the units of the data:

        ``n_students`` or ``n_people``
            The number.
        ``centre``
            Posterior mean of the population's mean, the average of all its groups' means, whatever
            is known of them; the same in all rows.
        ``expected``
            Where numbers of individuals are among the predictors: posterior mean of the average
            mean of groups of n.
        ``alike_lower``, ``alike_upper``
            Limits of the raw mean of a group whose own mean is `centre`: sampling variation alone,
            with the design effect.
            Many groups outside say that groups differ.
        ``lower``, ``upper``
            Limits of the raw mean of any group of the population: sampling variation, and that
            between groups and, where there are, between their parents. A part 1 − `prob` of the
            groups is expected outside, by chance: being outside says nothing yet of a group. Many
            more say that the model's population does not fit. With predictors too it is any group
            of the population, whatever is known of it, and not one like this.
        ``far_lower``, ``far_upper``
            The same with the probability `far`: of a group outside there is something to explain.

        ``attrs`` holds `group`, ``size`` (the name of the first column), `prob`, `far`, ``unit``
        and ``proportions``.

    Raises
    ------
    TypeError
        If `fit` is not a DataTree.
    ValueError
        If the fit holds no raw means of `group`, does not pool, so that no population was learned,
        or `n`, `prob` or `far` is out of range.

    Notes
    -----
    These are the limits of Spiegelhalter [1]_, the outer ones those of his additive random effects,
    with draws in place of known parameters. The outer ones are quantiles of the posterior
    predictive distribution of a new group, so that what is not known of the population's mean and
    spreads widens them: with four countries by much, with 300 schools hardly.

    Heights: raw mean ~ N(m, σ/√n) with m the centre, or m ~ N(μ, τ). Scores and marks: the school's
    m is the centre, or expit of N(η, √(τ_school² + τ_parent²)); its log ν ~ N(log ν, τ_ν), since
    schools alike in mean still differ in spread; and the mean of n Beta students ~
    Beta(mN, (1 − m)N) with N = (n(ν + 1) − 1) / design effect, which has its exact mean and
    variance. The centre is the mean of the former distribution of m, and not expit of η, which is
    the school in the middle.

    With predictors a group of the population is one of the table's, each of which counts alike, in
    what is known of it. Its m is around that, expit of N(η + x β, √(τ_school² + τ_parent²)), and so
    is its log ν, around log ν + x γ, with n itself in the place of its own number: small groups
    whose individuals vary less have limits for such. The limits do not follow what predictors let
    expect of a mean, since a group is not less unusual for what explains it. A small school below
    ``lower`` may still be as expected of a small one, which ``expected`` shows, and
    ``hbm.ranks(..., adjusted=True)`` holds against each other what predictors leave of means.

    Quantiles are those of 8,192 points of a Sobol sequence over draws, effects and raw means, the
    same at every n and call; 99.8 % limits of a Normal are within 0.07 of its standard deviations
    (``tests/test_funnel.py``).

    References
    ----------
    .. [1] Spiegelhalter (2005). Funnel plots for comparing institutional performance. Statistics in
       Medicine 24(8).

    Examples
    --------
    Countries vary by 3 cm and people within a country by 6 cm:

    >>> import arviz as az, numpy as np
    >>> fit = az.from_dict(
    ...     {"posterior": {"mu": np.full((1, 4), 175.0), "tau_country": np.full((1, 4), 3.0),
    ...                    "sigma": np.full((1, 4), 6.0), "mu_country": np.zeros((1, 4, 2))},
    ...      "constant_data": {"n_people": np.array([4, 100]), "mean": np.array([178.0, 172.0])}},
    ...     dims={"mu_country": ["country"], "n_people": ["country"], "mean": ["country"]},
    ...     coords={"country": ["a", "b"]})
    >>> limits = funnel_limits(fit, "country", n=[4, 100]).round()
    >>> limits[["n_people", "centre", "alike_lower", "alike_upper", "lower", "upper"]]
       n_people  centre  alike_lower  alike_upper  lower  upper
    0         4   175.0        169.0        181.0  167.0  183.0
    1       100   175.0        174.0        176.0  169.0  181.0
    >>> limits[["far_lower", "far_upper"]]
       far_lower  far_upper
    0      162.0      188.0
    1      166.0      184.0
    """
    from scipy.stats import qmc

    posterior_of(fit)
    check_prob(prob)
    _check_far(far)
    fitted = read_fit(fit)
    d = fitted.d
    if group != d.group:
        raise ValueError(
            f"the fit's constant_data holds no raw means of {group!r}; it has those of "
            f"{d.group!r}. Control limits are for the groups that individuals stand in"
        )
    if not fitted.pools:
        raise ValueError(
            "the fit does not pool: its population's mean is fixed, and so there is nothing to "
            f"hold a {group} against. Fit partial_pooling or a nested model"
        )
    sizes = _sizes(d.n.astype(int)) if n is None else whole_numbers(n)

    # Columns: which draw, the group's effect, its spread, where in its range the raw mean lies, and
    # which group's predictors it has.
    points = qmc.Sobol(5, scramble=False).random_base2(_LOG2_POINTS) + 0.5 ** (_LOG2_POINTS + 1)
    centre = fitted.grand_mean
    row = (points[:, 0] * len(centre)).astype(int)

    def at_row(draws: np.ndarray) -> np.ndarray:
        return np.broadcast_to(draws, centre.shape)[row]

    def known(n: int | None = None) -> tuple[np.ndarray, np.ndarray]:
        """Return by how much predictors move effects and log spreads, at each point."""
        if d.predictors is None:
            return np.zeros(len(points)), np.zeros(len(points))
        x = known_of(d, n)
        x = x[(points[:, 4] * len(x)).astype(int)]
        return moved_by(fitted, x, row)

    tau = np.sqrt(sum(fitted.tau(level.name) ** 2 for level in d.levels))
    around = centre[row] + known()[0]
    any_group = d.law.mean_of(around + at_row(tau) * ndtri(points[:, 1]))
    log_spread, tau_spread, excess = (at_row(x) for x in fitted.within)
    log_spread = log_spread + tau_spread * ndtri(points[:, 2])
    if d.predictors is None:
        middle = population_mean(d.law, centre, tau).mean()
    else:
        middle = population_mean(d.law, around, at_row(tau)).mean()
    alike = np.full(len(points), middle)

    ends = [(1 - prob) / 2, (1 + prob) / 2]
    far_ends = [(1 - far) / 2, (1 + far) / 2]
    limits, expected = [], []
    for size in sizes.tolist():
        moved, log_moved = known(size)
        spread = np.exp(log_spread + log_moved)
        if size_is_known(d):
            expected.append(population_mean(d.law, centre[row] + moved, at_row(tau)).mean())
        limits.append(
            np.concatenate(
                [
                    np.quantile(d.law.mean_quantile(points[:, 3], size, mu, spread, excess), at)
                    for mu, at in ((alike, ends), (any_group, ends + far_ends))
                ]
            )
        )
    result = pd.DataFrame({d.size: sizes, "centre": middle})
    if expected:
        result["expected"] = expected
    names = ("alike_lower", "alike_upper", "lower", "upper", "far_lower", "far_upper")
    result[[*names]] = np.array(limits)
    result.attrs = {
        "group": group,
        "size": d.size,
        "prob": prob,
        "far": far,
        "unit": d.unit,
        "proportions": d.law.proportions,
    }
    return result


def _check_far(far: float) -> None:
    """Raise unless the level of the far limits is a number strictly between 0 and 1."""
    if isinstance(far, bool) or not isinstance(far, Real):
        raise TypeError(f"far must be a number, got {far!r}; 0.998 is 99.8 %")
    if not 0 < far < 1:
        raise ValueError(f"far must lie between 0 and 1, got {far!r}; 0.998 is 99.8 %")


def _sizes(n: np.ndarray) -> np.ndarray:
    """Return whole numbers from the smallest to the largest, evenly spread on a log scale."""
    low, high = n.min(), n.max()
    if low == high:
        low, high = max(1, low // 2), 2 * high
    return np.unique(np.round(np.geomspace(low, high, _SIZES)).astype(int))


def whole_numbers(n: Sequence[int]) -> np.ndarray:
    """Return numbers of individuals, or refuse what are none."""
    sizes = np.asarray(n)
    if sizes.ndim != 1 or not sizes.size or not np.issubdtype(sizes.dtype, np.integer):
        raise ValueError(f"n must be a sequence of whole numbers, got {n!r}")
    if sizes.min() < 1:
        raise ValueError(f"n must hold numbers of individuals, 1 or more, got {sizes.min()}")
    return sizes
