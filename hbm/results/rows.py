"""What is to be predicted: a table of groups, held against those that a fit knows."""

from collections.abc import Mapping
from itertools import pairwise
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
import pandas as pd

from hbm.hierarchy.description import Description
from hbm.tables.coding import code_members
from hbm.tables.columns import require_columns
from hbm.tables.grouped import check_one_row_each, read_sizes
from hbm.tables.labels import Cells, Groups, Level, nest_levels
from hbm.tables.lookalikes import folded
from hbm.tables.panels import read_cells

__all__ = ["Rows", "cells_of", "read_rows"]


class Rows(NamedTuple):
    """A new table: its groups and what they stand in, and where the fit has them.

    Attributes
    ----------
    levels : tuple of Level
        As in a description, of the new table.
    n : numpy.ndarray of int, shape (n_rows,)
        Number of individuals of each row: of a group, or in a panel of a group and year.
    positions : dict of str to numpy.ndarray of int
        Position in the fit of each member of each level, −1 where it has no such label.
    cells : Cells or None
        In a panel, which group and year each row is of.
    x : dict of str to numpy.ndarray
        What is known of members of each level that the fit does not have, coded, shape (n_members,
        n_predictors); in a panel of its groups by row, shape (n_rows, n_predictors).
    """

    levels: tuple[Level, ...]
    n: np.ndarray
    positions: dict[str, np.ndarray]
    cells: Cells | None = None
    x: Mapping[str, np.ndarray] = MappingProxyType({})


def read_rows(table: pd.DataFrame, d: Description) -> Rows:
    """Read a table of groups to predict; see :func:`hbm.predict`."""
    above = [level.name for level in reversed(d.levels[:-1])]
    years = [d.cells.name] if d.panel else []
    require_columns(table, [d.group, *years, d.size, *above])
    groups, levels = nest_levels(table, d.group, above)
    if d.panel:
        cells, names = read_cells(table, d.group, d.cells.name)
    else:
        cells, names = None, pd.Series([repr(label) for label in groups.labels])
        check_one_row_each(groups, d.group)
    n = read_sizes(table, d.size, names).astype(int)
    positions = {
        level.name: np.array([d.positions[level.name].get(x, -1) for x in level.labels])
        for level in levels
    }
    for level in levels:
        _check_new(level, positions[level.name], d)
    for upper, level in pairwise(levels):
        _check_parents(upper, level, positions, d)
    rows = Rows(levels, n, positions, cells)
    return rows if d.predictors is None else rows._replace(x=_known_of(table, rows, groups, d))


def cells_of(rows: Rows, d: Description) -> np.ndarray:
    """Return the position among the cells of a fit of each row, −1 where it has no results."""
    group = rows.positions[d.group][rows.cells.group]
    when = rows.cells.years[rows.cells.year]
    at = np.searchsorted(d.cells.years, when).clip(0, len(d.cells.years) - 1)
    there = (group >= 0) & (d.cells.years[at] == when)
    return np.where(there, d.cells.grid(len(d.levels[-1].labels))[group, at], -1)


def _known_of(
    table: pd.DataFrame, rows: Rows, groups: Groups, d: Description
) -> dict[str, np.ndarray]:
    """Code what a table says of members that the fit does not have."""
    of_rows, at, found = {}, groups.index, {}
    for level in reversed(rows.levels):
        of_rows[level.name] = at
        at = at if level.parent is None else level.parent[at]
    for level in rows.levels:
        if level.name not in d.predictors.x:
            continue
        by_row = d.panel and level.name == d.group
        position, labels = of_rows[level.name], level.labels
        new = rows.positions[level.name] < 0
        if by_row:
            position, labels = np.arange(len(table)), rows.cells.labels(labels)
            new = cells_of(rows, d) < 0
        columns = []
        for coding in d.predictors.coding:
            own = new & (coding.level == level.name)
            columns.append(code_members(table, coding, position, np.asarray(labels), own))
        x = np.concatenate(columns, axis=1)
        if by_row:
            cell = cells_of(rows, d)[~new]
            x[~new] = d.predictors.x[d.group][d.cells.group[cell], d.cells.year[cell]]
        found[level.name] = x
    return found


def _check_parents(
    upper: Level, level: Level, positions: dict[str, np.ndarray], d: Description
) -> None:
    """Raise if a known member of a level stands under another parent than in the fit."""
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
