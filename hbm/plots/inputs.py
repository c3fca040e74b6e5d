"""What pictures take: numbers and labels read from a table, and refused if they are not fit.

``unit=`` says what the numbers are: ``"%"`` for proportions in (0, 1), which are drawn on an
axis of percentages, or a unit such as ``"cm"``, which is added to the axis label. Tables of this
package say in their ``attrs`` whether they hold proportions and which probability their intervals
hold; a merge or a file loses that, and then ``unit=`` and ``prob=`` say it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from numbers import Integral, Real

import numpy as np
import pandas as pd

from hbm.tables.columns import percentages, require_columns, require_numbers
from hbm.tables.labels import group
from hbm.tables.words import plural

__all__ = [
    "INFINITE",
    "bounds",
    "by_label",
    "by_name",
    "count",
    "estimated",
    "finite",
    "labels",
    "level",
    "made_by",
    "number",
    "numbers",
    "probability",
    "size_column",
    "some",
    "text",
    "unit_of",
]

INFINITE = (-np.inf, np.inf)


def bounds(unit: str, bounds: tuple[float, float] | None) -> tuple[float, float]:
    """Return the ends of the values' range: (0, 1) for proportions, open for others."""
    text(unit)
    if bounds is None:
        return (0.0, 1.0) if unit == "%" else INFINITE
    if not isinstance(bounds, Sequence) or [isinstance(x, Real) for x in bounds] != [True, True]:
        raise TypeError(f"bounds must be two numbers, such as (0, 1), got {bounds!r}")
    low, high = map(float, bounds)
    if not low < high:
        raise ValueError(f"bounds must ascend, got {bounds!r}")
    return low, high


def text(unit: str) -> str:
    """Return a unit, or refuse what is none."""
    if not isinstance(unit, str):
        raise TypeError(f"unit must be text, such as '%' or 'cm', got {unit!r}")
    return unit


def number(value: float, name: str) -> float:
    """Return a number, or refuse what is none."""
    if not isinstance(value, Real):
        raise TypeError(f"{name} must be a number, got {value!r}")
    if not np.isfinite(value):
        raise ValueError(f"{name} must be a finite number, got {value!r}")
    return float(value)


def count(value: int, name: str) -> int:
    """Return a whole number of 1 or more, or refuse what is none."""
    if not isinstance(value, Integral) or isinstance(value, bool):
        raise TypeError(f"{name} must be a whole number, got {value!r}")
    if value < 1:
        raise ValueError(f"{name} must be 1 or more, got {value!r}")
    return int(value)


def probability(prob: float) -> float:
    """Return a probability, or refuse what is none."""
    if not isinstance(prob, Real):
        raise TypeError(f"prob must be a number, got {prob!r}; 0.95 is 95 %")
    if not 0 < prob < 1:
        raise ValueError(f"prob must lie between 0 and 1, got {prob!r}; 0.95 is 95 %")
    return float(prob)


def level(table: pd.DataFrame, prob: float | None) -> float | None:
    """Return the level of a table's intervals: its own or, where that is lost, the one given."""
    own = table.attrs.get("prob")
    if prob is None:
        return own
    if own is not None and not np.isclose(probability(prob), own):
        raise ValueError(
            f"the intervals of the table hold {100 * own:g} %, and prob is {prob:g}; leave it out"
        )
    return probability(prob)


def finite(values: np.ndarray, name: str, low: float, high: float) -> np.ndarray:
    """Return values as numbers, or refuse those that are not finite or out of bounds."""
    values = np.asarray(values, dtype=float)
    if values.size == 0:
        raise ValueError(f"{name}: there is nothing to draw")
    bad = values[~np.isfinite(values) | (values < low) | (values > high)]
    if bad.size:
        raise ValueError(
            f"{name} must hold finite numbers from {low:g} to {high:g}; "
            f"{bad.size} of {values.size} are not, for example {bad[0]:g}"
        )
    return values


def numbers(table: pd.DataFrame, column: str, low=-np.inf, high=np.inf) -> np.ndarray:
    """Return a column as numbers, or refuse it."""
    require_columns(table, [column])
    allowed = "finite numbers"
    if (low, high) == (0, 1):
        allowed = "proportions from 0 to 1"
    elif np.isfinite([low, high]).any():
        allowed += f" from {low:g} to {high:g}"
    return require_numbers(
        table,
        column,
        allowed=allowed,
        ok=lambda x: np.isfinite(x) & (x >= low) & (x <= high),
        mend=percentages if (low, high) == (0, 1) else lambda bad: "",
    )


def by_label(values: Mapping[str, float], labels: Sequence[str], what: str) -> np.ndarray:
    """Return the values in the order of the labels, both compared as text."""
    if not isinstance(values, Mapping | pd.Series):
        raise TypeError(
            f"{what!r} must map labels to numbers, for example table.set_index(...)['mean'], "
            f"got {type(values).__name__}"
        )
    known = {str(label): value for label, value in values.items()}
    missing = [label for label in labels if str(label) not in known]
    if missing:
        raise ValueError(f"{what!r} has no value for {some(missing)}; it has: {some(list(known))}")
    found = [known[str(label)] for label in labels]
    bad = [i for i, value in enumerate(found) if not isinstance(value, Real)]
    if bad:
        raise TypeError(
            f"{what!r} must map labels to numbers, and {labels[bad[0]]!r} has {found[bad[0]]!r}"
        )
    return np.array(found, dtype=float)


def by_name(values: Mapping | None, what: str) -> Mapping:
    """Return a mapping from names of what is drawn, or refuse what is none."""
    if not isinstance(values, Mapping | None):
        raise TypeError(
            f"{what} must map names to what is drawn, such as {{'mean': ...}}, "
            f"got {type(values).__name__}"
        )
    return values or {}


def made_by(maker: str, table: pd.DataFrame, columns: Sequence[str]) -> None:
    """Raise unless a table has these columns, naming the function that makes such tables."""
    if not isinstance(table, pd.DataFrame):
        raise TypeError(f"expected the table that {maker} returns, got {type(table).__name__}")
    missing = [column for column in columns if column not in table]
    if missing:
        raise ValueError(
            f"the table has no column {missing[0]!r}; it must be the one that {maker} returns, and "
            f"has: {', '.join(map(str, table.columns)) or 'none'}"
        )


def labels(table: pd.DataFrame) -> tuple[str, list[str]]:
    """Return the name of the groups, which is that of the first column, and their labels."""
    if not isinstance(table, pd.DataFrame):
        raise TypeError(f"expected a pandas DataFrame, got {type(table).__name__}")
    name = str(table.columns[0])
    if name in ("mean", "sd", "lower", "upper"):
        raise ValueError(f"the first column must hold the groups' labels; it is {name!r}")
    names = [str(label) for label in group(table, name).labels]
    if len(names) != len(table):
        raise ValueError(
            f"column {name!r} has a label twice; one row a group is needed" + _one_year(table)
        )
    return name, names


def _one_year(table: pd.DataFrame) -> str:
    """Say how a table of several years, which stand beside the labels, is made of one."""
    year = table.columns[1] if len(table.columns) > 1 else None
    if year is None or not pd.api.types.is_integer_dtype(table[year]):
        return ""
    if table.duplicated([table.columns[0], year]).any():
        return ""
    return f". The table has each {year}: make it of one, of hbm.in_year(fit, {year})"


def estimated(estimates: pd.DataFrame, column: str = "mean") -> tuple[str, list[str]]:
    """Return what `labels` does of a table that has estimates with intervals."""
    require_columns(estimates, [column, "lower", "upper"])
    name, names = labels(estimates)
    for one in (column, "lower", "upper"):
        numbers(estimates, one)
    return name, names


def size_column(table: pd.DataFrame) -> str:
    """Return the name of the column of numbers of individuals, such as ``n_students``."""
    # Of an upper level, which has the number of its groups as well, it is the last.
    sizes = [str(column) for column in table.columns if str(column).startswith("n_")]
    if not sizes:
        raise ValueError(
            "the table has no column of numbers of individuals, such as 'n_students'; it has: "
            f"{', '.join(map(str, table.columns))}"
        )
    return sizes[-1]


def size_of(individual: str) -> str:
    """Return the name of the column of numbers of individuals of a name."""
    if not isinstance(individual, str):
        raise TypeError(f"what an individual is called must be text, got {individual!r}")
    return f"n_{plural(individual)}"


def unit_of(table: pd.DataFrame, unit: str | None) -> str:
    """Return the unit given or, without one, what the table says."""
    if unit is not None:
        return text(unit)
    return table.attrs.get("unit") or ("%" if table.attrs.get("proportions") else "")


def some(labels: Sequence[str]) -> str:
    """Name the first labels and count the others."""
    shown = ", ".join(repr(str(label)) for label in labels[:5])
    return shown + (f" and {len(labels) - 5} more" if len(labels) > 5 else "")
