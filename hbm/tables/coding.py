"""Coding: how a column that says what is known of groups becomes numbers.

A number is centred and scaled to an sd of 1 over the members of its level; ``log_<column>`` is the
log of a column, likewise. Of a column of true and false, or of 1 and 0, the step from one to the
other is kept, and is centred. Text stands for categories, one number each.
"""

from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from hbm.tables.columns import require_columns, require_numbers
from hbm.tables.labels import label_text

__all__ = ["Coding", "choose", "code_members", "kind_of", "numbers", "values_of"]

Floats = NDArray[np.float64]

_LOG = "log_"
_SAME = 1e-9  # of an sd: numbers that differ by less are one


class Coding(NamedTuple):
    """How a column is coded.

    Attributes
    ----------
    name : str
        As it was asked for.
    level : str
        What it is known of.
    kind : {"number", "log", "true or false", "category"}
        What the column holds; ``"log"`` is that of the column `name` without ``log_``.
    centre, scale : float
        What is taken off a number, and what it is divided by.
    categories : tuple of str
        The categories, in order.
    """

    name: str
    level: str
    kind: str
    centre: float = 0.0
    scale: float = 1.0
    categories: tuple[str, ...] = ()

    @property
    def column(self) -> str:
        """The column of the table."""
        return self.name.removeprefix(_LOG) if self.kind == "log" else self.name

    @property
    def labels(self) -> list[str]:
        """What its coefficients are called."""
        return [f"{self.name}[{x}]" for x in self.categories] or [self.name]


def kind_of(table: pd.DataFrame, name: str) -> str:
    """Say what a column holds."""
    if name not in table and name.startswith(_LOG) and name.removeprefix(_LOG) in table:
        return "log"
    require_columns(table, [name])
    kinds = pd.api.types
    values = table[name]
    if not kinds.is_numeric_dtype(values):  # as booleans are
        return "category"
    return "true or false" if values.dropna().isin([0, 1]).all() else "number"


def values_of(
    table: pd.DataFrame, column: str, kind: str, position: NDArray[np.int64], labels, level: str
) -> NDArray:
    """Return a column's value of each member, which must be one."""
    require_columns(table, [column])
    rows = pd.Series([repr(label) for label in np.asarray(labels, dtype=object)[position]])
    if kind == "category" or table[column].isna().any():
        missing = table[column].isna().to_numpy()
        if kind == "category":
            missing = missing | (label_text(table, column).to_numpy() == "")
        if missing.any():
            shown = ", ".join(rows[missing].drop_duplicates()[:5])
            raise ValueError(
                f"column {column!r} has no value for {level} {shown}. Drop these rows, for example "
                f"with table.dropna(subset=[{column!r}]), or leave {column!r} out of predictors"
            )
    if kind == "category":
        values = label_text(table, column).to_numpy()
    elif kind == "true or false":
        if not table[column].isin([0, 1]).all():
            raise TypeError(f"column {column!r} must hold true and false, as it did in the fit")
        values = table[column].to_numpy(dtype=float)
    else:
        positive = kind == "log"
        values = require_numbers(
            table,
            column,
            allowed="numbers above 0, since their log is asked for" if positive else "numbers",
            ok=lambda x: np.isfinite(x) & ((x > 0) | (not positive)),
            names=rows,
        )
        values = np.log(values) if positive else values
    first = np.zeros(len(labels), dtype=np.int64)
    first[position[::-1]] = np.arange(len(position))[::-1]
    other = values != values[first][position]
    if other.any():
        i = int(np.argmax(other))
        raise ValueError(
            f"column {column!r} must have one value for each {level}, but {rows[i]} has "
            f"{table[column].iloc[first[position[i]]]} and {table[column].iloc[i]}. Say of which "
            f"level a predictor is with predictors={{'<level>': [{column!r}]}}, or give all rows "
            f"of a {level} one value"
        )
    return values[first]


def choose(name: str, level: str, kind: str, values: NDArray) -> Coding:
    """Choose how to code a column's values by member."""
    if kind == "category":
        coding = Coding(name, level, kind, categories=tuple(sorted(set(values.tolist()))))
        alike = len(coding.categories) == 1
    else:
        centre, scale = float(values.mean()), float(values.std())
        alike = scale <= _SAME * max(1.0, abs(centre))
        coding = Coding(name, level, kind, centre, 1.0 if kind == "true or false" else scale)
    if alike:
        raise ValueError(
            f"column {coding.column!r} is the same for every {level}, and cannot tell them apart; "
            "leave it out of predictors"
        )
    return coding


def numbers(values: NDArray, coding: Coding, labels) -> Floats:
    """Return values as the numbers of a coding: shape (n_members, n_labels)."""
    if not coding.categories:
        return ((values - coding.centre) / coding.scale)[:, None]
    one = values[:, None] == np.array(coding.categories, dtype=object)
    unknown = ~one.any(axis=1)
    if unknown.any():
        i = int(np.argmax(unknown))
        raise ValueError(
            f"column {coding.column!r} has categories that the model was not fitted with: "
            f"{values[i]!r} ({coding.level} {labels[i]!r}); it knows "
            f"{', '.join(map(repr, coding.categories))}"
        )
    return one.astype(float)


def code_members(
    table: pd.DataFrame,
    coding: Coding,
    position: NDArray[np.int64],
    labels: NDArray,
    wanted: NDArray[np.bool_],
) -> Floats:
    """Code a column of a new table as that of a fit was.

    Parameters
    ----------
    table : pandas.DataFrame
        The new table.
    coding : Coding
        How the column was coded.
    position : numpy.ndarray of int, shape (n_rows,)
        Which member each row is of.
    labels : numpy.ndarray, shape (n_members,)
        The members.
    wanted : numpy.ndarray of bool, shape (n_members,)
        Which of them to code; the others are 0.

    Returns
    -------
    numpy.ndarray, shape (n_members, n_labels)

    Raises
    ------
    TypeError, ValueError
        If the column is not there, or has values that cannot be coded.
    """
    coded = np.zeros((len(labels), len(coding.labels)))
    if not wanted.any():
        return coded
    if coding.column not in table:
        shown = ", ".join(map(repr, labels[wanted][:5]))
        raise ValueError(
            f"the table has no column {coding.column!r}, which the model was fitted with and which "
            f"must be known of what is not in the fit: {shown}"
        )
    rows = np.flatnonzero(wanted[position])
    at = (np.cumsum(wanted) - 1)[position[rows]]
    raw = values_of(table.iloc[rows], coding.column, coding.kind, at, labels[wanted], coding.level)
    coded[wanted] = numbers(raw, coding, labels[wanted])
    return coded
