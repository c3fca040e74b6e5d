"""Columns: what a table must have, and numbers where numbers belong."""

from collections.abc import Callable, Mapping

import numpy as np
import pandas as pd

from hbm.tables.not_numbers import describe, listed

__all__ = ["percentages", "require_columns", "require_numbers"]


def require_columns(
    table: pd.DataFrame, columns: list[str], mends: Mapping[str, str] | None = None
) -> None:
    """Raise unless `table` is a data frame with rows and with each of `columns` exactly once.

    Parameters
    ----------
    table : pandas.DataFrame
        The table a caller passed in.
    columns : list of str
        Columns that have to be there.
    mends : mapping of str to str, optional
        By column, what else mends it where it is missing.

    Raises
    ------
    TypeError
        If `table` is not a data frame.
    ValueError
        If a column is missing or occurs twice, or the table has no rows.

    Examples
    --------
    >>> import pandas as pd
    >>> require_columns(pd.DataFrame({"school": ["a"], "mark": [0.5]}), ["school", "score"])
    Traceback (most recent call last):
        ...
    ValueError: the table has no column 'score'; it has: school, mark. Rename the column ...
    """
    if not isinstance(table, pd.DataFrame):
        raise TypeError(f"expected a pandas DataFrame, got {type(table).__name__}")
    there = [str(column) for column in table.columns]
    for column in columns:
        if column not in there:
            raise ValueError(
                f"the table has no column {column!r}; it has: {', '.join(there) or 'none'}. "
                + _where_it_may_be(table, column)
                + (f", {mends[column]}" if mends and column in mends else "")
            )
        if there.count(column) > 1:
            raise ValueError(f"the table has {there.count(column)} columns named {column!r}")
    if len(table) == 0:
        raise ValueError("the table has no rows; was a filter too strict?")


def _where_it_may_be(table: pd.DataFrame, column: str) -> str:
    index = table.index
    if column in index.names:
        return f"{column!r} is in the index; table.reset_index() makes it a column"
    if index.nlevels == 1 and index.name is None and not pd.api.types.is_numeric_dtype(index):
        return (
            "Rename the column that holds it, or, if the index holds it, take "
            f"table.rename_axis({column!r}).reset_index()"
        )
    return "Rename the column that holds it"


def require_numbers(
    table: pd.DataFrame,
    column: str,
    *,
    allowed: str,
    ok: Callable[[np.ndarray], np.ndarray],
    names: pd.Series | None = None,
    mend: Callable[[np.ndarray], str] = lambda bad: "",
) -> np.ndarray:
    """Return a column as floats, or raise naming the rows where `ok` does not hold.

    Parameters
    ----------
    table : pandas.DataFrame
        Has `column`.
    column : str
        The column to read.
    allowed : str
        What is allowed, in words, for the message.
    ok : callable
        Takes the array of floats, returns an array of bool of the same shape.
    names : pandas.Series, optional
        What to call each row in the message; its index label by default.
    mend : callable, optional
        Takes the numbers that are not allowed, without those missing, and returns their likely
        mend in words; see :func:`percentages`.

    Returns
    -------
    numpy.ndarray of float, shape (n_rows,)

    Raises
    ------
    TypeError
        If the column does not hold numbers: text, most often. Rows that are none are named.
    ValueError
        If a number is not allowed, or missing.

    Examples
    --------
    >>> scores = pd.DataFrame({"score": [0.5, 63.9]})
    >>> require_numbers(scores, "score", allowed="proportions in (0, 1)",
    ...                 ok=lambda x: (x > 0) & (x < 1), mend=percentages)
    Traceback (most recent call last):
        ...
    ValueError: column 'score' must hold proportions in (0, 1) (divide percentages by 100); row 1
    has 63.9
    """
    values = table[column]
    kinds = pd.api.types
    if (
        not kinds.is_numeric_dtype(values)
        or kinds.is_bool_dtype(values)
        or kinds.is_complex_dtype(values)
    ):
        described = describe(table, column, _rows(table, names))
        raise TypeError(f"column {column!r} must hold {allowed}; it holds {described}")
    numbers = values.to_numpy(dtype=float, na_value=np.nan)
    bad = np.flatnonzero(~np.asarray(ok(numbers), dtype=bool))
    if len(bad):
        missing, rows = np.isnan(numbers[bad]), _rows(table, names)
        mended = mend(numbers[bad][~missing])
        shown = listed([rows[i] for i in bad], [f"{numbers[i]:g}" for i in bad])
        raise ValueError(
            f"column {column!r} must hold {allowed}"
            + (f" ({mended})" if mended else "")
            + f"; {shown}"
            + (
                f". If they are not known, drop the rows without a number, for example with "
                f"table.dropna(subset=[{column!r}])"
                if missing.any()
                else ""
            )
        )
    return numbers


def percentages(bad: np.ndarray) -> str:
    """Return the likely mend of numbers that are no proportions.

    Examples
    --------
    >>> percentages(np.array([63.9])), percentages(np.array([-0.1]))
    ('divide percentages by 100', '')
    """
    return "divide percentages by 100" if (bad > 1).any() else ""


def _rows(table: pd.DataFrame, names: pd.Series | None) -> list[str]:
    return [f"row {label}" for label in table.index] if names is None else list(names)
