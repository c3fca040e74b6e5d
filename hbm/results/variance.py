"""Variances: how much of the variance of individuals lies between groups, level by level."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
import xarray as xr

from hbm.hierarchy.fitted import Fitted, read_fit
from hbm.results.estimates import check_prob
from hbm.results.population import known_of, moved_by, population_mean, rule
from hbm.students.law import Law

__all__ = ["between", "between_known", "mean_variances", "variance_shares"]

_BLOCK = 1_000_000  # numbers worked on at a time, which bounds the memory
_NODES = 41  # of the quadratures over a Normal effect
_FEWER_NODES = 21  # of the same where there are many centres


def variance_shares(fit: xr.DataTree, *, prob: float = 0.95) -> pd.DataFrame:
    """Show how much of the variance of individuals lies between groups, level by level.

    Where students are no independent draws, what the cohorts of one school differ by is a level of
    its own, ``cohort``: it passes, while the levels above stay. Of a panel it is the variance in
    one year, in which what the year does to all groups alike has no part; :func:`hbm.reliability`
    tells how much of it lasts.

    Parameters
    ----------
    fit : xarray.DataTree
        Result of `hbm.sample` for a model of `hbm.heights`, `hbm.scores` or `hbm.exams`, or for
        one with the same names. Of a panel the last year is taken; :func:`hbm.in_year` gives
        another.
    prob : float, default 0.95
        Probability inside the intervals, strictly between 0 and 1.

    Returns
    -------
    pandas.DataFrame
        One row a level, from the top: ``level``; ``sd``, posterior mean of the standard deviation
        between its members within the level above, in the units of the data; ``share``, posterior
        mean of the level's part of the variance of an individual drawn anew from the population;
        ``lower`` and ``upper`` ends of its equal-tailed interval. Shares sum to 1. With predictors
        the first row, ``predictors``, is what they explain of the variance between groups, and the
        levels have what remains. ``attrs`` holds ``prob`` and ``proportions``.

    Raises
    ------
    TypeError
        If `fit` is not a DataTree.
    ValueError
        If the fit lacks what is needed, or does not pool, so that no population was learned, or
        `prob` is not between 0 and 1.

    Notes
    -----
    On the scale of the data and not in logits, by the law of total variance: with school mean
    μ = expit(η + authority's effect + school's effect), the variances are Var(E[μ | authority]),
    E[Var(μ | authority)] and E[μ(1 − μ) / (ν + 1)], Gauss–Hermite quadratures over the Normal
    effects and log ν in each draw; for heights these are τ² and σ². A simple average of the
    schools' variances would add their posterior uncertainty to the spread between them. Of an
    individual, s/(1 + s) of the variance of its cohort's mean is the cohort's own, with s the
    design effect less 1; it is averaged over cohorts of the table's sizes, weighted by individuals.

    What predictors of all levels explain is, in each draw, the variance of what they let expect of
    a group, E[μ | x], over the groups of the table, each of which counts once ([1]_, and [2]_ for
    other laws than the Normal); the parts of levels are averages over these groups. So they are of
    a population whose predictors are spread as the table's are. Spreads moved by predictors are
    averaged over the groups, weighted by individuals.

    References
    ----------
    .. [1] Gelman and Pardoe (2006). Bayesian measures of explained variance and pooling in
       multilevel (hierarchical) models. Technometrics 48(2).
    .. [2] Nakagawa and Schielzeth (2013). A general and simple method for obtaining R² from
       generalized linear mixed-effects models. Methods in Ecology and Evolution 4(2).

    Examples
    --------
    >>> import arviz as az, numpy as np
    >>> fit = az.from_dict(
    ...     {"posterior": {"mu": np.full((1, 4), 175.0), "tau_country": np.full((1, 4), 3.0),
    ...                    "sigma": np.full((1, 4), 6.0), "mu_country": np.zeros((1, 4, 2))},
    ...      "constant_data": {"n_people": np.array([1, 36]), "mean": np.array([185.0, 182.0])}},
    ...     dims={"mu_country": ["country"], "n_people": ["country"], "mean": ["country"]},
    ...     coords={"country": ["a", "b"]})
    >>> variance_shares(fit)
         level   sd  share  lower  upper
    0  country  3.0    0.2    0.2    0.2
    1   person  6.0    0.8    0.8    0.8
    """
    check_prob(prob)
    fitted = read_fit(fit)
    d = fitted.d
    if not fitted.pools:
        raise ValueError(
            "the fit does not pool: its population's mean is fixed, and so no spread between "
            f"{d.group} means was learned. Fit partial_pooling or a nested model"
        )
    variances = _variances(fitted)
    shares = variances / variances.sum(axis=1, keepdims=True)
    lower, upper = np.quantile(shares, [(1 - prob) / 2, (1 + prob) / 2], axis=0)
    table = pd.DataFrame(
        {
            "level": [
                *([] if d.predictors is None else ["predictors"]),
                *(level.name for level in d.levels),
                *(["cohort"] if d.clustered else []),
                d.individual,
            ],
            "sd": np.sqrt(variances).mean(axis=0),
            "share": shares.mean(axis=0),
            "lower": lower,
            "upper": upper,
        }
    )
    table.attrs = {"prob": prob, "unit": d.unit, "proportions": d.law.proportions}
    return table


def _variances(f: Fitted) -> np.ndarray:
    """Return draws of the variances from the top level down to individuals: (n_draws, n)."""
    d = f.d
    taus = [f.tau(level.name) for level in d.levels]
    if d.predictors is None:
        sizes, counts = np.unique(d.n if d.clustered else np.ones(1), return_counts=True)
        weight = sizes * counts / (sizes @ counts)
        levels, of_mean = between(d.law, f.grand_mean, taus)
        of_means = of_mean[:, None] * mean_variances(f, sizes)
        cohort, own = of_means @ weight, (of_means * sizes) @ weight
    else:
        sizes, weight = d.n if d.clustered else np.ones(len(d.n)), d.n / d.n.sum()
        moved, log_moved = moved_by(f, known_of(d))
        centre = f.grand_mean[:, None] + moved
        alike = np.full(len(d.n), 1 / len(d.n))
        levels, average = between_known(d.law, centre, alike, taus)
        of_spread = weight * mean_variances(f, sizes, log_moved)
        cohort, own = average(of_spread), average(of_spread * sizes)
    # Of a mean, cohort and individuals have their parts as s to 1; an individual varies n times as
    # much around its cohort.
    excess = np.broadcast_to(f.excess, f.grand_mean.shape)
    of_cohort = [cohort * excess / (1 + excess)] if d.clustered else []
    return np.column_stack([levels, *of_cohort, own / (1 + excess)])


def between_known(
    law: Law, centre: np.ndarray, weight: np.ndarray, taus: Sequence[np.ndarray]
) -> tuple:
    """Do what :func:`between` does where groups are centred on what is known of them.

    Parameters
    ----------
    law : Law
        How individuals vary in their group.
    centre : numpy.ndarray, shape (n_draws, n_groups)
        What the effects of each group, of all levels together, vary around.
    weight : numpy.ndarray, shape (n_groups,)
        How much each group counts; they sum to 1.
    taus : sequence of numpy.ndarray
        As for :func:`between`.

    Returns
    -------
    variances : numpy.ndarray, shape (n_draws, 1 + n_levels)
        Of the means: what is explained first.
    average : callable
        Takes other weights of the groups, shape (n_draws, n_groups), and returns the so weighted
        sum of the `of_mean` of :func:`between`.

    Examples
    --------
    >>> from hbm.students.normal import NORMAL
    >>> centre, weight = np.array([[170.0, 174.0, 178.0]]), np.full(3, 1 / 3)
    >>> between_known(NORMAL, centre, weight, [np.array([3.0])])[0].round(6)
    array([[10.666667,  9.      ]])
    """
    at, weights = rule(centre, weight)
    flat, shape = at.ravel(), at.shape
    each = [np.repeat(np.broadcast_to(tau, len(at)), shape[1]) for tau in taus]
    levels, of_mean = between(law, flat, each, _FEWER_NODES)
    expected = population_mean(law, flat, np.sqrt(sum(tau**2 for tau in each))).reshape(shape)
    off = expected - expected.mean(axis=1, keepdims=True)
    explained = (weights * off**2).sum(axis=1) - (weights * off).sum(axis=1) ** 2
    remaining = np.einsum("dk,dkl->dl", weights, levels.reshape(*shape, -1))
    of_mean = of_mean.reshape(shape)
    return (
        np.column_stack([np.maximum(explained, 0), remaining]),
        lambda others: (rule(centre, others)[1] * of_mean).sum(axis=1),
    )


def between(law: Law, centre: np.ndarray, taus: Sequence[np.ndarray], nodes: int = _NODES) -> tuple:
    """Return how much means vary level by level, and what that makes of individuals' variance.

    With x the effects down to a level and m(x) = E[mean | x], a level has Var(m) less that of the
    level above: two quadratures, one inside the other, whatever the number of levels.

    Parameters
    ----------
    law : Law
        How individuals vary in their group.
    centre : numpy.ndarray, shape (n_draws,)
        Effect that all vary around.
    taus : sequence of numpy.ndarray
        Standard deviations of the effects of each level, from the top, shape (n_draws,) or (1,).
    nodes : int, default 41
        Of each quadrature.

    Returns
    -------
    variances : numpy.ndarray, shape (n_draws, n_levels)
        Of the means, in the units of the data.
    of_mean : numpy.ndarray, shape (n_draws,)
        Mean of the variance of individuals, as a part of that at the middle of the range.

    Examples
    --------
    >>> from hbm.students.beta import BETA
    >>> between(BETA, np.array([0.6]), [np.array([0.2]), np.array([0.4])])[0].round(4)
    array([[0.002 , 0.0079]])
    """
    z, weight = np.polynomial.hermite_e.hermegauss(nodes)
    weight = weight / weight.sum()
    variances = np.stack([np.broadcast_to(tau, centre.shape) ** 2 for tau in taus], axis=1)
    below = variances[:, ::-1].cumsum(axis=1)[:, ::-1]
    step = max(1, _BLOCK // len(z) ** 2)
    parts, of_mean = [], []
    for start in range(0, len(centre), step):
        rows = slice(start, start + step)
        at = centre[rows, None]
        middle = law.mean_of(at)
        squares = []
        for k in range(len(taus) + 1):
            inside = below[rows, k] if k < len(taus) else np.zeros(len(at))
            x = at + np.sqrt(below[rows, :1] - inside[:, None]) * z
            effect = x[..., None] + np.sqrt(inside)[:, None, None] * z
            squares.append(((law.mean_of(effect) - middle[..., None]) @ weight) ** 2 @ weight)
        parts.append(np.diff(np.stack(squares, axis=1), axis=1))
        mean = law.mean_of(at + np.sqrt(below[rows, :1]) * z)
        of_mean.append(law.variance(mean, 1.0) / law.variance(0.5, 1.0) @ weight)
    return np.concatenate(parts), np.concatenate(of_mean)


def mean_variances(f: Fitted, sizes: np.ndarray, log_moved: np.ndarray | None = None) -> np.ndarray:
    """Return the variance of means of groups in the middle of the range, over their spreads.

    Parameters
    ----------
    f : Fitted
        What was learned.
    sizes : numpy.ndarray, shape (n_sizes,)
        Numbers of individuals.
    log_moved : numpy.ndarray, shape (n_draws, n_sizes), optional
        By how much predictors move the log spreads of groups of these sizes.

    Returns
    -------
    numpy.ndarray, shape (n_draws, n_sizes)
        A variance is a function of the mean times one of the spread, of n and of the excess: this
        is to be multiplied by the `of_mean` of :func:`between`.

    Examples
    --------
    >>> import hbm
    >>> table = hbm.simulate.exams(random_seed=1)[0]
    >>> prior = hbm.sample_prior_predictive(hbm.exams.nested(table), 10, random_seed=1)
    >>> mean_variances(read_fit(prior.assign(posterior=prior["prior"])), np.array([5, 50])).shape
    (10, 2)
    """
    z, weight = np.polynomial.hermite_e.hermegauss(_NODES)
    log_spread, tau_spread = f.population_spread
    excess = np.broadcast_to(f.excess, f.grand_mean.shape)
    step = max(1, _BLOCK // (len(z) * len(sizes)))
    parts = []
    for start in range(0, len(excess), step):
        rows = slice(start, start + step)
        spread = np.exp(
            np.broadcast_to(log_spread, excess.shape)[rows, None]
            + np.broadcast_to(tau_spread, excess.shape)[rows, None] * z
        )
        spread = spread[..., None]
        if log_moved is not None:
            spread = spread * np.exp(log_moved[rows, None])
        of_each = f.d.law.mean_variance(sizes, 0.5, spread, excess[rows, None, None])
        parts.append(np.swapaxes(of_each, 1, 2) @ weight / weight.sum())
    return np.concatenate(parts)
