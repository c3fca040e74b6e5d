"""Shares: how many of each group's individuals are at a mark or above it."""

from numbers import Real

import numpy as np
import pandas as pd
import xarray as xr

from hbm.hierarchy.fitted import read_fit
from hbm.results.estimates import check_prob
from hbm.students.law import Law

__all__ = ["shares"]


def shares(fit: xr.DataTree, *, above: float, prob: float = 0.95) -> pd.DataFrame:
    """Estimate the share of each group's individuals that are at a mark or above it.

    Parameters
    ----------
    fit : xarray.DataTree
        Result of `hbm.sample` for a model of `hbm.heights`, `hbm.scores` or `hbm.exams`.
        Of a panel the last year is taken; :func:`hbm.in_year` gives another.
    above : float
        The mark, in the units of the data: 0.8 for scores of 80 % or more.
    prob : float, default 0.95
        Probability inside the intervals, strictly between 0 and 1.

    Returns
    -------
    pandas.DataFrame
        One row a group that individuals stand in, in the order of the coordinate:

        ``<group>``, and what it stands in
            Labels, from the innermost out.
        ``n_students`` or ``n_people``
            Number of individuals.
        ``share``, ``lower``, ``upper``
            Posterior mean and equal-tailed interval of the share, a proportion.

        ``attrs`` holds ``group``, ``size``, `prob`, `above` and its unit ``above_unit``, ``unit``
        (``"%"``) and ``proportions``.

    Raises
    ------
    TypeError
        If `fit` is not a DataTree, or a number is none.
    ValueError
        If the fit is of another model, `above` is beyond what individuals can have, or `prob` is
        not between 0 and 1.

    Notes
    -----
    A share is that of the group's law, in each draw: the probability that a Beta with the school's
    μ and ν, or a Normal with the country's μ and σ, is at the mark or above. It is of a very large
    cohort like the fitted one: the interval says how well the share is known if the law is right,
    and a published share of n students varies around it. Nothing of it was seen but through the
    means and standard deviations, so that it shows, where shares are published, whether the law of
    individuals fits; with ``observe="mean"`` the spread, and with it the share, is mostly the
    prior's.

    Examples
    --------
    >>> import arviz as az, numpy as np
    >>> fit = az.from_dict(
    ...     {"posterior": {"mu": np.full((1, 4), 175.0), "tau_country": np.full((1, 4), 3.0),
    ...                    "sigma": np.full((1, 4), 6.0),
    ...                    "mu_country": np.full((1, 4, 2), [177.0, 183.0])},
    ...      "constant_data": {"n_people": np.array([1, 36]), "mean": np.array([185.0, 182.0])}},
    ...     dims={"mu_country": ["country"], "n_people": ["country"], "mean": ["country"]},
    ...     coords={"country": ["a", "b"]})
    >>> shares(fit, above=183).round(2)
      country  n_people  share  lower  upper
    0       a         1   0.16   0.16   0.16
    1       b        36   0.50   0.50   0.50
    """
    check_prob(prob)
    fitted = read_fit(fit)
    d = fitted.d
    _check_mark(above, d.law)
    names = [level.name for level in reversed(d.levels)]
    table = pd.DataFrame({name: d.level(name).labels[d.ancestor_of(name)] for name in names})
    table[d.size] = d.n.astype(int)
    draws = d.law.share_above(above, fitted.mu(d.group), fitted.spread)
    table["share"] = draws.mean(axis=0)
    ends = [(1 - prob) / 2, (1 + prob) / 2]
    table["lower"], table["upper"] = np.quantile(draws, ends, axis=0)
    table.attrs = {
        "group": d.group,
        "size": d.size,
        "prob": prob,
        "above": above,
        "above_unit": d.unit,
        "unit": "%",
        "proportions": True,
    }
    return table


def _check_mark(above: float, law: Law) -> None:
    """Raise unless some individuals can be below a mark, and others above."""
    if isinstance(above, bool) or not isinstance(above, Real):
        raise TypeError(f"above must be a number, got {above!r}")
    low, high = law.bounds
    if not low < above < high:
        raise ValueError(
            f"above must be a finite number, got {above!r}"
            if np.isinf(high)
            else f"above must lie between {low:g} and {high:g}, got {above!r}; 80 % is 0.8"
        )
