"""The next cohort: predictions held against what came, which needs no approximation."""

import numpy as np
import pandas as pd
import pymc as pm
import xarray as xr

from hbm.hierarchy.description import Description
from hbm.hierarchy.fitted import read_fit
from hbm.results.prediction import predict_rows, read_rows
from hbm.tables.columns import require_columns
from hbm.tables.forms import read_either
from hbm.tables.grouped import GroupedData

__all__ = ["by_band", "evaluate", "read_cohort"]

_SCORES = ["log_score_mean", "log_score", "crps", "inside_50", "inside_89"]
_BANDS = {"1–2": 1, "3–9": 3, "10–29": 10, "30+": 30}  # by the least number of individuals


def evaluate(
    model: pm.Model,
    fit: xr.DataTree,
    next_table: pd.DataFrame,
    *,
    random_seed: int | np.random.Generator | None = None,
) -> pd.DataFrame:
    """Hold a fit's predictions against what the next cohort reached.

    Groups the fit does not know are predicted as new ones (see :func:`hbm.predict`).

    Parameters
    ----------
    model : pymc.Model
        A model of :mod:`hbm.heights`, :mod:`hbm.scores` or :mod:`hbm.exams`.
    fit : xarray.DataTree
        Its fit, the result of :func:`hbm.sample`.
    next_table : pandas.DataFrame
        The next cohort, as the model takes it: one row a group with ``n_students`` (``n_people``),
        ``mean`` and ``sd``; or one row an individual.
    random_seed : int or numpy.random.Generator, optional
        The same seed gives the same result.

    Returns
    -------
    pandas.DataFrame
        One row a group, in the table's order; :func:`by_band` averages it.

        ``<group>``, ``n_students`` or ``n_people``, ``band``
            Label, number of individuals, and the band of numbers it lies in.
        ``known``
            Whether the group was in the fit.
        ``observed``, ``predicted``
            The cohort's mean, and the mean of its predictive draws.
        ``log_score_mean``
            Log predictive density of the cohort's mean, averaged over the posterior: higher is
            better.
        ``log_score``
            The same of mean and standard deviation together; missing where n = 1.
        ``crps``
            Continuous ranked probability score of the mean, in the data's units: lower is better.
        ``inside_50``, ``inside_89``
            Whether the mean lies in the central 50 % and 89 % predictive interval.

    Raises
    ------
    ValueError, TypeError
        If the table is not as described, the fit not of the model, or a label one that the fit
        knows but for leading zeros, case, blanks or Unicode form.

    Notes
    -----
    What changes from one cohort to the next for all groups alike, as an exam that is harder, counts
    against every model: to leave it out, take the difference of the two tables' means, weighted by
    individuals, off `next_table` first. That groups themselves change is for the model to expect,
    and a model of one cohort does not: no term lets a school change between years, and so the next
    cohort is predicted too narrowly, and fewer groups lie inside intervals than these say. What is
    predicted comes from the mean of a very large cohort like the fitted one (see
    :func:`hbm.predict`).

    The CRPS is E|X − y| − ½ E|X − X′| over predictive draws [1]_. Log scores are not compared
    between the mean and the pair, nor between bands, whose numbers of individuals differ.

    References
    ----------
    .. [1] Gneiting and Raftery (2007). Strictly proper scoring rules, prediction, and estimation.
       Journal of the American Statistical Association 102.

    Examples
    --------
    >>> import hbm
    >>> this, *_ = hbm.simulate.exams([3, 3], 20, random_seed=1)
    >>> following, *_ = hbm.simulate.exams([3, 3], 20, random_seed=2)
    >>> model = hbm.exams.nested(this)
    >>> fit = hbm.sample(model)  # doctest: +SKIP
    >>> by_school = hbm.evaluate(model, fit, following, random_seed=1)  # doctest: +SKIP
    >>> hbm.by_band(by_school)  # doctest: +SKIP
    """
    fitted = read_fit(fit, model)
    d, group = fitted.d, fitted.d.group
    cohort = read_cohort(next_table, d)
    labels = {level.name: level.labels for level in cohort.levels}
    rows = pd.DataFrame({group: labels[group], d.size: cohort.n})
    at = np.arange(len(rows))
    for level in reversed(cohort.levels[1:]):
        at = level.parent[at]
        rows[d.above(level.name)] = labels[d.above(level.name)][at]
    tree = predict_rows(fitted, read_rows(rows, d), np.random.default_rng(random_seed))
    draws = {
        name: values.transpose(group, "chain", "draw").to_numpy().reshape(len(rows), -1)
        for name, values in tree["predictions"].data_vars.items()
    }
    means, cohort_means = draws[d.mean_name], draws["mean"]
    spreads = draws[d.spread_name] if d.law.spread_varies else fitted.spread.T
    mean, sd = d.law.published(cohort.mean, cohort.sd, cohort.n)
    n = cohort.n[:, None]
    of_mean = _log_mean_exp(d.law.mean_logp(mean[:, None], n, means, spreads))
    of_both = _log_mean_exp(d.law.summary_logp(mean[:, None], sd[:, None], n, means, spreads))
    lower_89, lower_50, upper_50, upper_89 = np.quantile(
        cohort_means, [0.055, 0.25, 0.75, 0.945], axis=1
    )
    least = np.array(list(_BANDS.values()))
    band = pd.Categorical.from_codes(
        np.searchsorted(least, cohort.n, side="right") - 1, list(_BANDS), ordered=True
    )
    return pd.DataFrame(
        {
            group: labels[group],
            d.size: cohort.n.astype(int),
            "band": band,
            "known": tree["predictions_constant_data"]["known"].to_numpy(),
            "observed": cohort.mean,
            "predicted": cohort_means.mean(axis=1),
            "log_score_mean": of_mean,
            "log_score": np.where(np.isnan(cohort.sd), np.nan, of_both),
            "crps": _crps(cohort_means, cohort.mean),
            "inside_50": (cohort.mean >= lower_50) & (cohort.mean <= upper_50),
            "inside_89": (cohort.mean >= lower_89) & (cohort.mean <= upper_89),
        }
    )


def by_band(evaluation: pd.DataFrame) -> pd.DataFrame:
    """Average the result of :func:`evaluate` by band of the number of individuals.

    Parameters
    ----------
    evaluation : pandas.DataFrame
        Result of :func:`evaluate`, or some of its rows, for example those of known groups.

    Returns
    -------
    pandas.DataFrame
        One row a band that has groups, and one for ``all``: ``groups``, their number;
        ``log_score_mean``, ``log_score`` and ``crps``, averaged over groups; ``rmse`` of the
        predicted means, in the data's units; ``coverage_50`` and ``coverage_89``, the share of
        groups inside their intervals.

    Raises
    ------
    TypeError
        If `evaluation` is not a data frame.
    ValueError
        If it is empty, or lacks a column that :func:`evaluate` makes.

    Examples
    --------
    >>> import pandas as pd
    >>> rows = pd.DataFrame({"band": ["3–9", "30+"], "log_score_mean": [1.0, 2.0],
    ...     "log_score": [2.0, 4.0], "crps": [0.05, 0.02], "observed": [0.5, 0.6],
    ...     "predicted": [0.6, 0.6], "inside_50": [False, True], "inside_89": [True, True]})
    >>> by_band(rows)[["groups", "crps", "rmse", "coverage_50"]].round(3)
          groups   crps   rmse  coverage_50
    band
    3–9        1  0.050  0.100          0.0
    30+        1  0.020  0.000          1.0
    all        2  0.035  0.071          0.5
    """

    def summary(rows):
        return {
            "groups": len(rows),
            "log_score_mean": rows["log_score_mean"].mean(),
            "log_score": rows["log_score"].mean(),
            "crps": rows["crps"].mean(),
            "rmse": np.sqrt(((rows["predicted"] - rows["observed"]) ** 2).mean()),
            "coverage_50": rows["inside_50"].mean(),
            "coverage_89": rows["inside_89"].mean(),
        }

    require_columns(evaluation, ["band", "observed", "predicted", *_SCORES])
    bands = {band: evaluation[evaluation["band"] == band] for band in _BANDS}
    bands = {band: rows for band, rows in bands.items() if len(rows)} | {"all": evaluation}
    table = pd.DataFrame([summary(rows) for rows in bands.values()], index=list(bands))
    return table.rename_axis("band")


def read_cohort(table: pd.DataFrame, d: Description) -> GroupedData:
    """Read a table of the groups of a fit, of individuals or published, in the fit's words."""
    low, high = d.law.bounds
    return read_either(
        table,
        d.value_name,
        by=d.group,
        size=d.size,
        parents=[level.name for level in reversed(d.levels[:-1])],
        proportions=d.law.bounds == (0, 1),
        allowed="proportions in [0, 1]" if d.law.bounds == (0, 1) else f"numbers in {d.unit}",
        ok=lambda x: np.isfinite(x) & (x >= low) & (x <= high),
        sd_needed=isinstance(table, pd.DataFrame) and "sd" in table,
        sd_may_be_missing=True,
    )


def _log_mean_exp(x: np.ndarray) -> np.ndarray:
    """Return the log of the mean of exp(x) over the last axis."""
    top = x.max(axis=-1, keepdims=True)
    return np.log(np.exp(x - top).mean(axis=-1)) + top[..., 0]


def _crps(draws: np.ndarray, observed: np.ndarray) -> np.ndarray:
    """Return the CRPS of draws, shape (n_groups, n_draws), at what was observed."""
    n = draws.shape[1]
    # ½ E|X − X′| of a sample, from its order statistics.
    spread = np.sort(draws, axis=1) @ (2 * np.arange(1, n + 1) - n - 1) / n**2
    return np.abs(draws - observed[:, None]).mean(axis=1) - spread
