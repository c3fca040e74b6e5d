"""Variances: how much of the variance of individuals lies between groups, level by level."""

import numpy as np
import pandas as pd
import xarray as xr

from hbm.hierarchy.fitted import Fitted, read_fit
from hbm.results.estimates import check_prob

__all__ = ["variance_shares"]

_BLOCK = 1_000_000  # numbers worked on at a time, which bounds the memory
_NODES = 41  # of the quadratures over a Normal effect
_FEWER = 15  # of each level of a hierarchy of three or more


def variance_shares(fit: xr.DataTree, *, prob: float = 0.95) -> pd.DataFrame:
    """Show how much of the variance of individuals lies between groups, level by level.

    Parameters
    ----------
    fit : xarray.DataTree
        Result of `hbm.sample` for a model of `hbm.heights`, `hbm.scores` or `hbm.exams`, or for
        one with the same names.
    prob : float, default 0.95
        Probability inside the intervals, strictly between 0 and 1.

    Returns
    -------
    pandas.DataFrame
        One row a level, from the top: ``level``; ``sd``, posterior mean of the standard deviation
        between its members within the level above, in the units of the data; ``share``, posterior
        mean of the level's part of the variance of an individual drawn anew from the population;
        ``lower`` and ``upper`` ends of its equal-tailed interval. Shares sum to 1. ``attrs`` holds
        ``prob`` and ``proportions``.

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
    schools' variances would add their posterior uncertainty to the spread between them.

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
            "level": [*(level.name for level in d.levels), d.individual],
            "sd": np.sqrt(variances).mean(axis=0),
            "share": shares.mean(axis=0),
            "lower": lower,
            "upper": upper,
        }
    )
    table.attrs = {"prob": prob, "unit": d.unit, "proportions": d.unit == "%"}
    return table


def _variances(f: Fitted) -> np.ndarray:
    """Return draws of the variances from the top level down to individuals: (n_draws, n)."""
    levels, law = f.d.levels, f.d.law
    z, weight = np.polynomial.hermite_e.hermegauss(_NODES if len(levels) < 3 else _FEWER)
    weight = weight / weight.sum()
    grand = f.grand_mean
    taus = [np.broadcast_to(f.tau(level.name), grand.shape) for level in levels]
    log_spread, tau_spread = (np.broadcast_to(x, grand.shape) for x in f.population_spread)
    step = max(1, _BLOCK // len(z) ** len(levels))
    parts = []
    for start in range(0, len(grand), step):
        rows = slice(start, start + step)
        # Draws × nodes of the effects of each level, from the top.
        effect = grand[rows]
        for tau in taus:
            effect = effect[..., None] + tau[rows].reshape(-1, *(1,) * effect.ndim) * z
        mean = law.mean_of(effect)
        spread = np.exp(log_spread[rows, None] + tau_spread[rows, None] * z)
        # An individual's variance is a function of the mean times one of the spread.
        of_spread = law.variance(0.5, spread) / law.variance(0.5, 1.0) @ weight
        one = law.variance(mean, 1.0) * of_spread.reshape(-1, *(1,) * len(taus))
        for _ in taus:
            one = one @ weight
        of_level = [one]
        for _ in taus:
            inner = mean @ weight
            between = (mean - inner[..., None]) ** 2 @ weight
            for _ in range(between.ndim - 1):
                between = between @ weight
            of_level.insert(0, between)
            mean = inner
        parts.append(np.stack(of_level, axis=1))
    return np.concatenate(parts)
