"""The next cohort: predictions held against what came, which needs no approximation."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
import pymc as pm
import xarray as xr

from hbm.hierarchy.description import Description
from hbm.hierarchy.fitted import read_all
from hbm.results.prediction import predict_rows
from hbm.results.rows import read_rows
from hbm.sampling.inputs import check_seed
from hbm.tables.columns import require_columns
from hbm.tables.forms import read_either
from hbm.tables.grouped import GroupedData
from hbm.tables.panels import read_panel

__all__ = ["by_band", "evaluate", "read_cohort"]

_SCORES = ["log_score_mean", "log_score", "crps", "inside_50", "inside_89"]
_BANDS = {"1–2": 1, "3–9": 3, "10–29": 10, "30+": 30}  # by the least number of individuals


def evaluate(
    model: pm.Model,
    fit: xr.DataTree,
    next_table: pd.DataFrame,
    *,
    year_means: Mapping[int, float] | None = None,
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
        ``mean`` and ``sd``; or one row an individual. For a panel one row a group and year, with
        ``year``; only published tables. With predictors also their columns, which are read of what
        the fit does not know, as :func:`hbm.predict` does: of known groups what the fit was told
        counts, even if the table says otherwise. Of a table of individuals a group's first row is
        read, and their number is counted.
    year_means : mapping of int to float, optional
        For a panel: means of new years that are known, as :func:`hbm.predict` takes them.
    random_seed : int or numpy.random.Generator, optional
        The same seed gives the same result.

    Returns
    -------
    pandas.DataFrame
        One row a group, in the table's order; :func:`by_band` averages it.

        ``<group>`` (and ``year``), ``n_students`` or ``n_people``, ``band``
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
        If the table is not as described, a column that a predictor of a new group is read from is
        not there, or its category unknown, the fit not of the model, a label one that the fit knows
        but for leading zeros, case, blanks or Unicode form, or the mean of a year given that is no
        new one.

    Notes
    -----
    What changes from one cohort to the next for all groups alike, as an exam that is harder, counts
    against every model of one: to leave it out, take the difference of the two tables' means,
    weighted by individuals, off `next_table` first. A panel expects it, and draws a new year's
    effect; `year_means` tells the year's mean instead. That a cohort differs from the next the
    model expects by its design effect, and without one, or where groups change for longer and the
    model is of one year, fewer groups lie inside intervals than these say. What is predicted comes
    from the group's own mean (see :func:`hbm.predict`).

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
    check_seed(random_seed)
    fitted = read_all(fit, model)
    d = fitted.d
    cohort = read_cohort(next_table, d)
    labels = _labels(cohort, d)
    rows = read_rows(_with_predictors(labels, next_table, cohort, d), d)
    tree = predict_rows(fitted, rows, np.random.default_rng(random_seed), year_means)
    draws = {
        name: values.transpose(d.cell, "chain", "draw").to_numpy().reshape(len(labels), -1)
        for name, values in tree["predictions"].data_vars.items()
    }
    means, cohort_means = draws[d.mean_name], draws["mean"]
    spreads = draws[d.spread_name] if d.law.spread_varies else fitted.spread.T
    mean, sd = d.law.published(cohort.mean, cohort.sd, cohort.n)
    n = cohort.n[:, None]
    given = n, means, spreads, fitted.excess
    of_mean = _log_mean_exp(d.law.mean_logp(mean[:, None], *given))
    of_both = _log_mean_exp(d.law.summary_logp(mean[:, None], sd[:, None], *given))
    lower_89, lower_50, upper_50, upper_89 = np.quantile(
        cohort_means, [0.055, 0.25, 0.75, 0.945], axis=1
    )
    least = np.array(list(_BANDS.values()))
    band = pd.Categorical.from_codes(
        np.searchsorted(least, cohort.n, side="right") - 1, list(_BANDS), ordered=True
    )
    own = [d.group] if cohort.cells is None else [d.group, cohort.cells.name]
    return pd.DataFrame(
        {
            **{name: labels[name].to_numpy() for name in own},
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


def _labels(cohort: GroupedData, d: Description) -> pd.DataFrame:
    """Return the labels of each row of a cohort: its group, what that stands in, and the year."""
    at = np.arange(len(cohort.n)) if cohort.cells is None else cohort.cells.group
    labels = {}
    for level in reversed(cohort.levels):
        labels[level.name] = level.labels[at]
        at = at if level.parent is None else level.parent[at]
    if cohort.cells is not None:
        labels[cohort.cells.name] = cohort.cells.years[cohort.cells.year]
    return pd.DataFrame(labels)


def _with_predictors(
    labels: pd.DataFrame, table: pd.DataFrame, cohort: GroupedData, d: Description
) -> pd.DataFrame:
    """Return labels with numbers of individuals, and with the columns that predictors are from."""
    first = np.unique(cohort.rows, return_index=True)[1] if cohort.cells is None else slice(None)
    columns = [coding.column for coding in d.predictors.coding] if d.predictors is not None else []
    known = {name: table[name].to_numpy()[first] for name in columns if name in table}
    return labels.assign(**{**known, d.size: cohort.n})


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
    parents = [level.name for level in reversed(d.levels[:-1])]
    sd_needed = isinstance(table, pd.DataFrame) and "sd" in table
    if d.panel:
        return read_panel(
            table, by=d.group, year=d.cells.name, size=d.size, parents=parents, sd_needed=sd_needed
        )
    return read_either(
        table,
        d.value_name,
        by=d.group,
        size=d.size,
        parents=parents,
        proportions=d.law.proportions,
        allowed="proportions in [0, 1]" if d.law.proportions else f"numbers in {d.unit}",
        ok=lambda x: np.isfinite(x) & (x >= low) & (x <= high),
        sd_needed=sd_needed,
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
