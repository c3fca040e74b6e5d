"""Panels: tables with one row a group and year, read and checked once."""

import warnings
from collections.abc import Sequence

import numpy as np
import pandas as pd

from hbm.tables.columns import require_columns, require_numbers
from hbm.tables.grouped import GroupedData, read_numbers
from hbm.tables.labels import Cells, group, label_text, nest_levels
from hbm.tables.words import plural

__all__ = ["read_cells", "read_panel"]


def read_panel(
    table: pd.DataFrame,
    *,
    by: str,
    year: str,
    size: str,
    parents: Sequence[str] = (),
    sd_needed: bool = True,
) -> GroupedData:
    """Read a published table of proportions with one row a group and year.

    Parameters
    ----------
    table : pandas.DataFrame
        Columns `by`, `year`, `size`, ``mean``, ``sd`` (which may be missing) and `parents`.
    by : str
        Column of groups.
    year : str
        Column of years: whole numbers.
    size : str
        Column of the numbers of individuals.
    parents : sequence of str
        Columns of what the groups stand in, from the innermost out.
    sd_needed : bool, default True
        Whether to look at ``sd``.

    Returns
    -------
    GroupedData
        With `cells`, in the order of the table.

    Raises
    ------
    ValueError, TypeError
        If the table is not as described, naming the groups and the likely mend.

    Warns
    -----
    UserWarning
        If groups stand in another parent in earlier years than in their last: they count to the
        last.

    Examples
    --------
    >>> import pandas as pd
    >>> table = pd.DataFrame({"school": ["a", "b", "a"], "year": [2017, 2017, 2018], "mean": 0.7,
    ...                       "sd": 0.2, "n_students": [12, 30, 14]})
    >>> data = read_panel(table, by="school", year="year", size="n_students")
    >>> data.cells.years, data.cells.group
    (array([2017, 2018]), array([0, 1, 0]))
    """
    columns = [by, year, size, "mean", *(["sd"] if sd_needed else []), *parents]
    require_columns(table, columns, {"sd": "or name observe='mean', which does without"})
    cells, names = read_cells(table, by, year)
    when = cells.years[cells.year]
    of_last = _with_last_parents(table, by, year, when, parents)
    _, levels = nest_levels(of_last, by, parents)
    n, mean, sd = read_numbers(
        table,
        names,
        by=by,
        size=size,
        proportions=True,
        sd_needed=sd_needed,
        sd_may_be_missing=True,
    )
    return GroupedData(levels, n, mean, sd, cells=cells)


def read_cells(table: pd.DataFrame, by: str, year: str) -> tuple[Cells, pd.Series]:
    """Read the group and the year of each row, and how a message names it.

    Parameters
    ----------
    table : pandas.DataFrame
        One row a group and year: columns `by` and `year`.
    by, year : str
        Columns of groups, and of years: whole numbers.

    Returns
    -------
    cells : Cells
        In the order of the table.
    names : pandas.Series of str

    Raises
    ------
    ValueError, TypeError
        If labels or years are not as described, or a group has a year twice.

    Examples
    --------
    >>> import pandas as pd
    >>> table = pd.DataFrame({"school": ["a", "b", "a"], "year": [2018, 2018, 2017]})
    >>> cells, names = read_cells(table, "school", "year")
    >>> cells.years, cells.year, names[2]
    (array([2017, 2018]), array([1, 1, 0]), "'a' in 2017")
    """
    groups = group(table, by)
    when = require_numbers(
        table, year, allowed="years, whole numbers", ok=lambda x: (x == np.round(x)) & (x < 1e6)
    ).astype(int)
    names = pd.Series(
        [f"{groups.labels[g]!r} in {y}" for g, y in zip(groups.index, when, strict=True)]
    )
    twice = pd.Series(list(zip(groups.index, when, strict=True))).duplicated()
    if twice.any():
        shown = ", ".join(names[twice].drop_duplicates()[:5])
        one = "course" if by == "school" else "row of each"
        raise ValueError(
            f"each {by} must have one row a {year}; there are more of {shown}. Choose one {one}, "
            "or make the labels distinct"
        )
    years, position = np.unique(when, return_inverse=True)
    return Cells(year, years, groups.index, position), names


def _with_last_parents(
    table: pd.DataFrame, by: str, year: str, when: np.ndarray, parents: Sequence[str]
) -> pd.DataFrame:
    """Return the labels of a table, with each group in the parents of its last year."""
    labels = pd.DataFrame({name: label_text(table, name).to_numpy() for name in (by, *parents)})
    if not parents:
        return labels
    for name in parents:
        group(table, name)  # for its checks
    last = labels.iloc[np.argsort(when, kind="stable")].drop_duplicates(by, keep="last")
    there = last.set_index(by).loc[labels[by], list(parents)].reset_index(drop=True)
    other = (there != labels[list(parents)]).any(axis=1)
    if other.any():
        moved = labels.loc[other].drop_duplicates([by, parents[0]]).head(5)
        shown = "; ".join(
            f"{row[by]!r}, earlier in {row[parents[0]]!r}, in {there.loc[i, parents[0]]!r}"
            for i, row in moved.iterrows()
        )
        number = labels.loc[other, by].nunique()
        warnings.warn(
            f"{number} {plural(by) if number > 1 else by} stood elsewhere in earlier years, and "
            f"count{'' if number > 1 else 's'} to the {parents[0]} of the last {year}: {shown}",
            UserWarning,
            stacklevel=2,
        )
    return labels.assign(**{name: there[name].to_numpy() for name in parents})
