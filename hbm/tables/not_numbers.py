"""Values that are not numbers, where numbers belong: which they are, and their likely mend."""

import re
import reprlib
from collections.abc import Sequence
from decimal import Decimal
from numbers import Real
from typing import Any

import numpy as np
import pandas as pd

__all__ = ["describe", "listed"]

_NUMBER = "a number"
_MISSING = "suppressed or missing: drop these rows, or make them missing"
_PERCENT = "percent signs: take them off, and divide by 100"
_DECIMALS = "decimal commas: write points"
_THOUSANDS = "thousands separators: take them out"
_EITHER = "a comma for thousands, or for decimals: take it out, or write a point"
_OTHER = "no number"

# What is looked for in a text, in this order.
_TEXTS = {
    _MISSING: re.compile(
        r"|[*.–—-]+|x|s|[<>≤≥] ?\d+|#?n/?a|<na>|nan|none|null|suppressed|missing", re.IGNORECASE
    ),
    _THOUSANDS: re.compile(
        r"[-+]?[1-9]\d{0,2}"
        r"((,\d{3}){2,}(\.\d+)?|,\d{3}\.\d+|(\.\d{3}){2,}(,\d+)?|\.\d{3},\d+"
        r"|([\s'’]\d{3})+([.,]\d+)?)"
    ),
    _EITHER: re.compile(r"[-+]?[1-9]\d{0,2},\d{3}"),
    _DECIMALS: re.compile(r"[-+]?\d*,\d+"),
}


def listed(rows: Sequence[str], texts: Sequence[str]) -> str:
    """Say what the first five of some rows have, and how many more there are."""
    shown = [f"{row} has {text}" for row, text in zip(rows[:5], texts[:5], strict=True)]
    return ", ".join(shown) + (f" and {len(rows) - 5} more rows" if len(rows) > 5 else "")


def describe(table: pd.DataFrame, column: str, rows: Sequence[str]) -> str:
    """Describe a column that is not of a type of numbers, with the likely mend of its rows.

    Parameters
    ----------
    table : pandas.DataFrame
        Has `column`.
    column : str
        The column.
    rows : sequence of str
        What to call each row.

    Returns
    -------
    str
        If there is code that converts the column, it ends with it.

    Examples
    --------
    >>> table = pd.DataFrame({"mean": pd.Series(["0.61", "*"], dtype=object)})
    >>> print(describe(table, "mean", ["'a'", "'b'"]))
    object; 'b' has '*' (suppressed or missing: drop these rows, or make them missing). The rest is
    converted by table['mean'] = pandas.to_numeric(table['mean'], errors='coerce')
    """
    values = table[column]
    if not (
        pd.api.types.is_object_dtype(values)
        or pd.api.types.is_string_dtype(values)
        or isinstance(values.dtype, pd.CategoricalDtype)
    ):
        return f"{values.dtype}, for example {values.iloc[0]!r}"
    cells = values.astype(object).tolist()
    kinds = np.array([_kind(cell) for cell in cells], dtype=object)
    parts = []
    for kind in (_MISSING, _PERCENT, _DECIMALS, _THOUSANDS, _EITHER, _OTHER):
        found = [int(i) for i in np.flatnonzero(kinds == kind) if not _is_na(cells[i])]
        if found:
            texts = [reprlib.repr(cells[i]) for i in found]
            parts.append(f"{listed([rows[i] for i in found], texts)} ({kind})")
    code = _conversion(values, column, cells, kinds)
    if not parts:
        parts = ["numbers written as text" if code else f"for example {reprlib.repr(cells[0])}"]
    if code:
        which = "The rest" if {_MISSING, _OTHER} & set(kinds) else "The column"
        parts[-1] += f". {which} is converted by table[{column!r}] = {code}"
    return f"{values.dtype}; {'; '.join(parts)}"


def _is_na(cell: Any) -> bool:
    return bool(pd.api.types.is_scalar(cell) and pd.isna(cell))


def _kind(cell: Any) -> str:
    if not isinstance(cell, str):
        if _is_na(cell):
            return _MISSING
        number = isinstance(cell, Real | Decimal) and not isinstance(cell, bool | np.bool)
        return _NUMBER if number else _OTHER
    text = cell.strip()
    try:
        if float(text) == float(text) and "_" not in text:  # not "nan", nor "1_000"
            return _NUMBER
    except ValueError:
        pass
    if text.endswith("%") and _kind(text[:-1]) not in (_MISSING, _OTHER):
        return _PERCENT
    return next((kind for kind, text_of in _TEXTS.items() if text_of.fullmatch(text)), _OTHER)


def _conversion(values: pd.Series, column: str, cells: list, kinds: np.ndarray) -> str | None:
    """Return code that converts a column, None if none surely does."""
    good = ~np.isin(kinds, [_MISSING, _OTHER])
    text = np.array([isinstance(cell, str) for cell in cells])
    marks = _marks([cells[i].strip().rstrip("% ") for i in np.flatnonzero(good & text)])
    percent = kinds[good] == _PERCENT
    if marks is None or not good.any() or (~text & (kinds == _OTHER)).any():
        return None
    if percent.any():
        if not percent.all():
            return None
        marks = [*marks, ("%", "")]
    code = f"table[{column!r}]"
    if marks and not text.all():
        values, code = values.astype(str), f"{code}.astype(str)"
    for old, new in marks:
        values, code = values.str.replace(old, new), f"{code}.str.replace({old!r}, {new!r})"
    try:
        numbers = pd.to_numeric(values, errors="coerce").to_numpy(float, na_value=np.nan)
        as_written = [float(cells[i]) for i in np.flatnonzero(kinds == _NUMBER)]
    except (TypeError, ValueError, OverflowError):
        return None
    if np.isnan(numbers[good]).any() or (numbers[kinds == _NUMBER] != as_written).any():
        return None
    code += "" if good.all() else ", errors='coerce'"
    return f"pandas.to_numeric({code})" + (" / 100" if percent.any() else "")


def _marks(texts: list[str]) -> list[tuple[str, str]] | None:
    """Return what to replace by what so that texts become numbers, None if they disagree."""
    kinds = {text: _kind(text) for text in texts}
    separators, decimals = set(), _DECIMALS in kinds.values()
    for text, kind in kinds.items():
        if kind == _THOUSANDS:
            found = re.findall(r"[^-+\d]", text)
            if found[-1] in {".", ","} - {found[0]}:
                decimals = decimals or found.pop() == ","
            separators.update(found)
    commas = "," in separators
    if (commas and decimals) or (_EITHER in kinds.values() and not (commas or decimals)):
        return None
    return [(mark, "") for mark in sorted(separators)] + ([(",", ".")] if decimals else [])
