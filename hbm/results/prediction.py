"""Prediction of the next cohort: of groups the model knows, and of new ones.

What is not known of a group depends on how much of its line the model has seen:

* a **known group** has its own effect, with the uncertainty its posterior left;
* a **new group of a known parent** draws its effect around the parent's, with the sd tau between
  the groups of one parent;
* a **group of a new parent** draws the parent's effect first, around the grand mean. All new
  groups of one new parent share that draw.

Where nothing is nested, a new group is drawn around the grand mean.
"""

from itertools import pairwise
from typing import NamedTuple

import numpy as np
import pandas as pd
import pymc as pm
import xarray as xr

from hbm.hierarchy.description import Description
from hbm.hierarchy.fitted import Fitted, read_fit
from hbm.students.cohorts import cohorts, summarise
from hbm.tables.columns import require_columns
from hbm.tables.grouped import check_one_row_each, read_sizes
from hbm.tables.labels import Level, nest_levels
from hbm.tables.lookalikes import folded

__all__ = ["predict", "predict_rows", "read_rows"]


def predict(
    model: pm.Model,
    fit: xr.DataTree,
    new_table: pd.DataFrame,
    *,
    random_seed: int | np.random.Generator | None = None,
) -> xr.DataTree:
    """Predict the next cohort of known groups, and of new ones.

    Parameters
    ----------
    model : pymc.Model
        A model of :mod:`hbm.heights`, :mod:`hbm.scores` or :mod:`hbm.exams`.
    fit : xarray.DataTree
        Its fit, the result of :func:`hbm.sample`.
    new_table : pandas.DataFrame
        One row a group, known and new ones in any order: ``school`` and ``n_students``, and
        ``authority`` or ``district`` for a nested model; for heights ``country`` and ``n_people``.
        Other columns are not looked at.
    random_seed : int or numpy.random.Generator, optional
        The same seed gives the same draws.

    Returns
    -------
    xarray.DataTree
        Group ``predictions``, dims ``chain``, ``draw`` and ``school`` (or ``country``), has

        ``mu_school`` (``mu_country``)
            The group's mean: what a very large cohort like the fitted one would reach, and not the
            mean of those who were counted. It is the same for all cohorts to come.
        ``nu_school``
            The sample size of the Beta of a school's students; not for heights.
        ``mean``, ``sd``
            Mean and standard deviation (divisor n − 1; missing where n = 1) of the next cohort,
            its individuals simulated one by one.

        ``predictions_constant_data`` has ``n_students`` (``n_people``), and ``known``, whether the
        group was in the fit.

    Raises
    ------
    TypeError
        If `new_table` is not a data frame, or numbers of individuals are not numbers.
    ValueError
        If the fit is not of the model, a column is missing, a group has two rows, a known group
        stands under another parent than in the fit, or a label that the fit does not know is one
        that it knows but for leading zeros, case, blanks or Unicode form, as "9" for "0009". Where
        the table has both, they are two groups.

    Notes
    -----
    A model of one cohort has no term that lets a group change from one to the next: not its
    teachers, nor who its students are. The next cohort is predicted as other individuals of the
    same group, and so its intervals are too narrow, most of all for large groups, whose sampling
    variation is small. They are right for another sample of the cohort that was fitted.

    Examples
    --------
    >>> import hbm, pandas as pd
    >>> table = hbm.simulate.exams([2, 1], [5, 8, 40], random_seed=1)[0]
    >>> model = hbm.exams.nested(table)
    >>> fit = hbm.sample(model)  # doctest: +SKIP
    >>> new = pd.DataFrame({"school": ["1", "new", "another"], "authority": ["1", "1", "9"],
    ...                     "n_students": [20, 20, 20]})
    >>> predictions = hbm.predict(model, fit, new, random_seed=1)  # doctest: +SKIP
    """
    fitted = read_fit(fit, model)
    rows = read_rows(new_table, fitted.d)
    return predict_rows(fitted, rows, np.random.default_rng(random_seed))


class Rows(NamedTuple):
    """A new table: its groups and what they stand in, and where the fit has them.

    Attributes
    ----------
    levels : tuple of Level
        As in a description, of the new table.
    n : numpy.ndarray of int, shape (n_groups,)
        Number of individuals of each group.
    positions : dict of str to numpy.ndarray of int
        Position in the fit of each member of each level, −1 where it has no such label.
    """

    levels: tuple[Level, ...]
    n: np.ndarray
    positions: dict[str, np.ndarray]


def read_rows(table: pd.DataFrame, d: Description) -> Rows:
    """Read a table of groups to predict; see :func:`predict`."""
    above = [level.name for level in reversed(d.levels[:-1])]
    require_columns(table, [d.group, d.size, *above])
    groups, levels = nest_levels(table, d.group, above)
    check_one_row_each(groups, d.group)
    names = pd.Series([repr(label) for label in groups.labels])
    n = read_sizes(table, d.size, names).astype(int)
    positions = {
        level.name: np.array([d.positions[level.name].get(x, -1) for x in level.labels])
        for level in levels
    }
    for level in levels:
        _check_new(level, positions[level.name], d)
    for upper, level in pairwise(levels):
        known = np.flatnonzero(positions[level.name] >= 0)
        there = positions[upper.name][level.parent[known]]
        before = d.parent_of(level.name)[positions[level.name][known]]
        moved = known[there != before]
        if len(moved):
            labels = d.level(upper.name).labels[before[there != before]]
            shown = "; ".join(
                f"{level.labels[i]!r} is under {upper.labels[level.parent[i]]!r} and was under "
                f"{label!r}"
                for i, label in zip(moved[:5], labels, strict=False)
            )
            raise ValueError(
                f"a known {level.name} must stand under the {upper.name} it was fitted under: "
                f"{shown}. Give it that {upper.name}, or another label if it is to count as a new "
                f"{level.name}"
            )
    return Rows(levels, n, positions)


def _check_new(level: Level, position: np.ndarray, d: Description) -> None:
    """Raise if labels that the fit does not know are known ones, written otherwise."""

    def bare(label: str) -> str:
        return folded(label).lstrip("0")

    new = level.labels[position < 0]
    if not len(new):
        return
    # One that the table has as well is another group.
    known = {bare(x): x for x in d.positions[level.name].keys() - set(level.labels)}
    pairs = [(x, known[bare(x)]) for x in new if bare(x) in known]
    if pairs:
        shown = ", ".join(f"{x!r} for {label!r}" for x, label in pairs[:5])
        more = f" and {len(pairs) - 5} more" if len(pairs) > 5 else ""
        width = max(len(label) for _, label in pairs)
        raise ValueError(
            f"column {level.name!r} has labels that the fit knows, written otherwise: {shown}{more}"
            ". Write them as they were: codes are read as text with pandas.read_csv(..., "
            f"dtype={{{level.name!r}: str}}), and given their zeros back with "
            f"table[{level.name!r}].astype(str).str.zfill({width}); what is new needs a label of "
            "its own"
        )


def predict_rows(fitted: Fitted, rows: Rows, rng: np.random.Generator) -> xr.DataTree:
    """Predict the next cohort of groups; see :func:`predict`."""
    d, group = fitted.d, fitted.d.group
    means, spreads = _parameters(fitted, rows, rng)
    mean, sd = np.empty(means.shape), np.empty(means.shape)
    for block, value in cohorts(d.law, means, spreads, rows.n, rng):
        mean[block], sd[block] = summarise(value, rows.n)
    variables = {d.mean_name: means, "mean": mean, "sd": sd}
    if d.law.spread_varies:
        variables[d.spread_name] = spreads
    posterior, labels = fitted.fit["posterior"], rows.levels[-1].labels
    coords = {
        "chain": posterior["chain"].to_numpy(),
        "draw": posterior["draw"].to_numpy(),
        group: labels,
    }
    shape = tuple(len(values) for values in coords.values())
    return xr.DataTree.from_dict(
        {
            "predictions": xr.Dataset(
                {name: (tuple(coords), v.reshape(shape)) for name, v in variables.items()}, coords
            ),
            "predictions_constant_data": xr.Dataset(
                {d.size: (group, rows.n), "known": (group, rows.positions[group] >= 0)},
                {group: labels},
            ),
        }
    )


def _parameters(f: Fitted, rows: Rows, rng) -> tuple[np.ndarray, np.ndarray]:
    """Return each group's mean and spread: shape (n_draws, n_groups)."""
    d, position = f.d, rows.positions[f.d.group]
    known = position >= 0
    effect = f.grand_mean[:, None]
    for level in rows.levels:
        here = rows.positions[level.name]
        around = effect if level.parent is None else effect[:, level.parent]
        drawn = rng.standard_normal((f.n_draws, len(here)))
        effect = around + f.tau(level.name)[:, None] * drawn
        if level.name != d.group:
            effect[:, here >= 0] = f.effect(level.name)[:, here[here >= 0]]
    means = d.law.mean_of(effect)
    means[:, known] = f.mu(d.group)[:, position[known]]
    log_spread, tau_spread = (x[:, None] for x in f.population_spread)
    spreads = np.exp(log_spread + tau_spread * rng.standard_normal(means.shape))
    if d.law.spread_varies:
        spreads[:, known] = f.spread[:, position[known]]
    return means, spreads
