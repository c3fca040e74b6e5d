"""Predictors: columns that say what is known of groups, and of what they stand in.

:mod:`hbm.tables.coding` makes numbers of a column. Of categories each has an effect of its own, and
these sum to zero. A category may be that of one group alone. Its results then tell the sum of the
category's effect and its own, and not which is which: both are pooled, by the prior of effects and
by how much other groups vary, and a new group of that category is predicted with what that leaves
open.

How a column is coded is kept, so that new groups, and a table without one of them, are coded alike.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.linalg import block_diag, helmert

from hbm.tables.coding import Coding, choose, kind_of, numbers, values_of
from hbm.tables.grouped import GroupedData
from hbm.tables.labels import Cells, Level, label_text

__all__ = ["Asked", "Predictors", "coded_as", "read_predictors"]

Floats = NDArray[np.float64]
Asked = Sequence[str] | Mapping[str, Sequence[str]]


@dataclass(frozen=True, eq=False)
class Predictors:
    """Predictors of the groups of a model, and of what they stand in.

    Attributes
    ----------
    coding : tuple of Coding
        How each column is coded.
    x : dict of str to numpy.ndarray, shape (n_members, n_labels)
        By level: what is known of its members, 0 in the columns of other levels. Of the groups of a
        panel the shape is (n_groups, n_years, n_labels).
    """

    coding: tuple[Coding, ...]
    x: dict[str, Floats]

    @property
    def labels(self) -> list[str]:
        """Labels of the coefficients."""
        return [label for coding in self.coding for label in coding.labels]

    @property
    def contrasts(self) -> Floats:
        """Matrix from free coefficients to all of them, of which those of categories sum to zero.

        Its columns are orthonormal, so that of K categories with N(0, sd) free coefficients each
        has an sd of sd √(1 − 1/K), as in PyMC's ``ZeroSumNormal``.
        """
        return block_diag(*(_contrasts(coding) for coding in self.coding))


def _contrasts(coding: Coding) -> Floats:
    return helmert(len(coding.categories)).T if coding.categories else np.ones((1, 1))


_codings: ContextVar[tuple[Coding, ...]] = ContextVar("codings", default=())


@contextmanager
def coded_as(predictors: Predictors | None) -> Iterator[None]:
    """Code columns as they were coded before, in this thread, where a model is made once more.

    Examples
    --------
    >>> import hbm
    >>> table = hbm.simulate.exams([3, 3], [5, 8, 40, 9, 12, 7], random_seed=1)[0]
    >>> model = hbm.exams.nested(table, predictors=["log_n_students"])
    >>> with coded_as(model.description.predictors):
    ...     part = hbm.exams.nested(table[:4], predictors=["log_n_students"])
    >>> part.description.predictors.coding == model.description.predictors.coding
    True
    """
    token = _codings.set(() if predictors is None else predictors.coding)
    try:
        yield
    finally:
        _codings.reset(token)


def read_predictors(
    table: pd.DataFrame, asked: Asked, data: GroupedData, size: str
) -> Predictors | None:
    """Read the predictors of a model.

    Parameters
    ----------
    table : pandas.DataFrame
        The table of the model.
    asked : sequence of str, or mapping of str to sequence of str
        Names of columns that are known of the groups; or by level.
    data : GroupedData
        What was read of the table.
    size : str
        Name of the numbers of individuals, which a table of individuals need not have.

    Returns
    -------
    Predictors or None
        None if none are asked for.

    Raises
    ------
    TypeError
        If the names are a text, or no names.
    ValueError
        If a column or level is not there, a value is missing, differs within a member, or is all
        the same; or columns say the same.

    Examples
    --------
    >>> from hbm.tables.grouped import read_summaries
    >>> table = pd.DataFrame({"school": list("abc"), "n_students": [10, 10, 1000], "mean": 0.7,
    ...                       "sd": 0.2, "kind": ["public", "private", "public"]})
    >>> data = read_summaries(table, by="school", size="n_students", proportions=True)
    >>> read = read_predictors(table, ["log_n_students", "kind"], data, "n_students")
    >>> read.labels
    ['log_n_students', 'kind[private]', 'kind[public]']
    >>> read.x["school"].round(2)
    array([[-0.71,  0.  ,  1.  ],
           [-0.71,  1.  ,  0.  ],
           [ 1.41,  0.  ,  1.  ]])
    """
    levels, index = data.levels, data.rows
    cells = data.cells if data.cells is not None and len(data.cells.years) > 1 else None
    pairs = _pairs(asked, levels)
    if not pairs:
        return None
    if size not in table:
        table = table.assign(**{size: data.n[index]})
    known = {coding[:2]: coding for coding in _codings.get()}
    of_rows, at = {levels[-1].name: index}, index
    for level in reversed(levels[1:]):
        at = level.parent[at]
        of_rows[_above(levels, level)] = at
    found, members = [], {}
    for name, level in pairs:
        labels = next(x.labels for x in levels if x.name == level)
        by_cell = cells is not None and level == levels[-1].name
        where = cells.labels(labels) if by_cell else labels
        position = np.arange(len(table)) if by_cell else of_rows[level]
        kind = known[name, level].kind if (name, level) in known else kind_of(table, name)
        column = Coding(name, level, kind).column
        if cells is not None and not by_cell:
            # A group that moved tells in earlier years of what it stood in then.
            position = pd.Index(labels).get_indexer(label_text(table, level))
        rows = np.flatnonzero(position >= 0)
        raw = values_of(table.iloc[rows], column, kind, position[rows], where, level)
        coding = known.get((name, level)) or choose(name, level, kind, raw)
        found.append(coding)
        members[coding] = numbers(raw, coding, where)
    values = _by_level(found, members, levels, cells)
    predictors = Predictors(tuple(found), values)
    if not known:
        _check_distinct(predictors, levels, cells)
    return predictors


def _pairs(asked: Asked, levels: Sequence[Level]) -> list[tuple[str, str]]:
    """Return what was asked for as pairs of column and level."""
    names = [level.name for level in levels]
    by_level = asked if isinstance(asked, Mapping) else {names[-1]: asked}
    pairs = []
    for level, columns in by_level.items():
        if isinstance(columns, str) or not isinstance(columns, Sequence):
            raise TypeError(
                "predictors must be names of columns, such as ('log_n_students',), or a dict of "
                f"these by level, got {asked!r}"
            )
        if level not in names:
            raise ValueError(
                f"predictors are given of {level!r}, and the model has levels "
                + ", ".join(map(repr, names))
            )
        for column in columns:
            if not isinstance(column, str):
                raise TypeError(f"a predictor must be the name of a column, got {column!r}")
            pairs.append((column, level))
    twice = [name for i, (name, _) in enumerate(pairs) if name in [x for x, _ in pairs[:i]]]
    if twice:
        raise ValueError(f"predictor {twice[0]!r} stands twice")
    return pairs


def _above(levels: Sequence[Level], level: Level) -> str:
    names = [x.name for x in levels]
    return names[names.index(level.name) - 1]


def _by_level(
    codings: Sequence[Coding],
    members: Mapping[Coding, Floats],
    levels: Sequence[Level],
    cells: Cells | None,
) -> dict[str, Floats]:
    """Put the columns of each level side by side, with zeros for those of other levels."""
    found = {}
    for level in levels:
        if not any(coding.level == level.name for coding in codings):
            continue
        n = len(level.labels)
        by_cell = cells is not None and level is levels[-1]
        shape = (n, len(cells.years)) if by_cell else (n,)
        columns = []
        for coding in codings:
            own = np.zeros((*shape, len(coding.labels)))
            if coding.level == level.name:
                own = _filled(members[coding], cells, n) if by_cell else members[coding]
            columns.append(own)
        found[level.name] = np.concatenate(columns, axis=-1)
    return found


def _filled(values: Floats, cells: Cells, n_groups: int) -> Floats:
    """Return values by group and year; a year without results has those of the nearest with.

    The earlier one of two that are as near.
    """
    there = cells.grid(n_groups)
    away = np.abs(np.subtract.outer(cells.years, cells.years)).astype(float)
    distance = np.where(there[:, None] >= 0, away, np.inf)
    return values[np.take_along_axis(there, distance.argmin(axis=2), axis=1)]


def _check_distinct(predictors: Predictors, levels: Sequence[Level], cells: Cells | None) -> None:
    """Raise if columns say the same as others do, or as a constant does."""
    at = np.arange(len(levels[-1].labels)) if cells is None else cells.group
    x: Any = 0.0
    for level in reversed(levels):
        own = predictors.x.get(level.name)
        if own is not None:
            by_cell = cells is not None and level is levels[-1]
            x = x + (own[cells.group, cells.year] if by_cell else own[at])
        if level.parent is not None:
            at = level.parent[at]
    x = np.column_stack([np.ones(len(x)), x @ predictors.contrasts])
    rank = np.linalg.matrix_rank(x, tol=1e-6 * np.sqrt(len(x)))
    if rank == x.shape[1]:
        return
    of = np.concatenate(
        [[coding.name] * _contrasts(coding).shape[1] for coding in predictors.coding]
    )
    alike = [
        name
        for name in dict.fromkeys(of.tolist())
        if np.linalg.matrix_rank(x[:, np.append(True, of != name)], tol=1e-6 * np.sqrt(len(x)))
        > rank - (of == name).sum()
    ]
    raise ValueError(
        f"predictors {', '.join(map(repr, alike))} say the same as each other in this table of "
        f"{len(x)} rows, so that their effects cannot be told apart; leave one of them out"
    )
