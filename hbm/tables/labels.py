"""Groups: labels to coordinates, integer indices and the child → parent map.

A model sees groups twice: as labels, which name its dimensions, and as integers, which index its
variables. Both are made here, once, by label and never by the order of rows, and checked here,
because an index out of range is not noticed further down.
"""

import re
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from hbm.tables.columns import require_columns
from hbm.tables.lookalikes import check_labels
from hbm.tables.words import plural

__all__ = ["Cells", "Groups", "Level", "group", "label_text", "nest", "nest_levels"]

# A coordinate of one of these names breaks PyMC or ArviZ, which have dimensions of these names.
_RESERVED = {"chain", "draw", "sample", "group", "column", "model", "label", "plot_axis"}
_UNWRITABLE = re.compile(r"[\0\ud800-\udfff]")
_MOST_EXACT = 2**53  # from here on floats are further apart than whole numbers


class Groups(NamedTuple):
    """Labels of the groups in a column and the group of each row.

    Attributes
    ----------
    labels : numpy.ndarray of str, shape (n_groups,)
        The distinct labels, in order of first appearance.
    index : numpy.ndarray of int, shape (n_rows,)
        Position in `labels` of each row's group.
    """

    labels: np.ndarray
    index: np.ndarray  # type: ignore[assignment]  # in place of a tuple's method


class Level(NamedTuple):
    """One level of a hierarchy.

    Attributes
    ----------
    name : str
        What a member is called, for example ``"school"``.
    labels : numpy.ndarray of str, shape (n_members,)
        The members.
    parent : numpy.ndarray of int, shape (n_members,), or None
        Position of each member's parent in the level above; None at the top.
    """

    name: str
    labels: np.ndarray
    parent: np.ndarray | None = None


class Cells(NamedTuple):
    """The cells of a table of groups and years that have results.

    Attributes
    ----------
    name : str
        What a year is called.
    years : numpy.ndarray of int, shape (n_years,)
        The years, in order.
    group : numpy.ndarray of int, shape (n_cells,)
        Position of each cell's group.
    year : numpy.ndarray of int, shape (n_cells,)
        Position of each cell's year in `years`.
    """

    name: str
    years: np.ndarray
    group: np.ndarray
    year: np.ndarray

    def grid(self, n_groups: int) -> np.ndarray:
        """Return the position of each group's cell of each year, −1 where it has no results."""
        found = np.full((n_groups, len(self.years)), -1)
        found[self.group, self.year] = np.arange(len(self.group))
        return found

    @property
    def last(self) -> np.ndarray:
        """Position of the last cell of each group."""
        order = np.lexsort((self.years[self.year], self.group))
        return order[np.append(np.flatnonzero(np.diff(self.group[order])), len(order) - 1)]

    def position(self, year: int | None = None) -> int:
        """Return the position of a year, by default of the last, or raise if it is not there."""
        years = self.years.tolist()
        if year is None:
            return len(years) - 1
        if year not in years:
            raise ValueError(f"the fit has no {self.name} {year!r}; it has {years}")
        return years.index(year)

    def labels(self, groups: np.ndarray) -> np.ndarray:
        """Return labels of the cells, such as ``"0009 2016"``, from those of the groups."""
        pairs = zip(groups[self.group], self.years[self.year], strict=True)
        return np.array([f"{g} {y}" for g, y in pairs], dtype=object)


def label_text(table: pd.DataFrame, column: str) -> pd.Series:
    """Return a column of labels as the text they are compared and kept as.

    Parameters
    ----------
    table : pandas.DataFrame
        Has `column`.
    column : str
        Column of labels.

    Returns
    -------
    pandas.Series of str
        Without blanks around it. Whole numbers are written without decimals, since pandas makes
        floats of them where other rows are missing.

    Raises
    ------
    ValueError
        If labels are bytes, or floats too large to hold every whole number.

    Examples
    --------
    >>> import pandas as pd
    >>> label_text(pd.DataFrame({"school": [" a", 7, 9.0]}), "school").tolist()
    ['a', '7', '9']
    """
    labels = table[column].astype(object).tolist()
    types = set(map(type, labels))  # at a glance, since few columns need a closer look
    if any(issubclass(each, bytes) for each in types):
        _refuse(
            table,
            column,
            [isinstance(x, bytes) for x in labels],
            "labels of bytes",
            f". Decode them, for example with table[{column!r}].str.decode('utf-8')",
        )
    if any(issubclass(each, float | np.floating) for each in types):
        whole = [isinstance(x, float | np.floating) and x.is_integer() for x in labels]
        _refuse(
            table,
            column,
            [w and abs(x) >= _MOST_EXACT for x, w in zip(labels, whole, strict=True)],
            "labels that are floats beyond 2**53",
            ". Their last digits are lost: read the column as text, for example with "
            f"pandas.read_csv(..., dtype={{{column!r}: str}})",
        )
        labels = [int(x) if w else x for x, w in zip(labels, whole, strict=True)]
    return pd.Series([str(x).strip() for x in labels], index=table.index, dtype=object)


def _refuse(table: pd.DataFrame, column: str, bad: Sequence[bool], what: str, mend: str) -> None:
    """Raise if there are bad rows, naming the first of them."""
    if any(bad):
        rows = ", ".join(str(label) for label in table.index[np.asarray(bad)][:5])
        raise ValueError(f"column {column!r} has {what} in {sum(bad)} rows: {rows}{mend}")


def group(table: pd.DataFrame, column: str) -> Groups:
    """Find the groups of a column.

    Parameters
    ----------
    table : pandas.DataFrame
        One row an observation.
    column : str
        Column of labels: text, numbers or categories. Labels are compared and kept as text;
        unused categories are left out.

    Returns
    -------
    Groups
        Labels in order of first appearance, and the index of each row's group.

    Raises
    ------
    ValueError
        If the column is missing or reserved, or labels are missing, blank, made of a missing value,
        bytes, or cannot be written; or are one in two Unicode forms.

    Warns
    -----
    UserWarning
        If labels differ only in case, blanks or the like, or look like a missing one or like whole
        numbers that were made decimals.

    Examples
    --------
    >>> import pandas as pd
    >>> group(pd.DataFrame({"school": ["b", "a", "b"]}), "school")
    Groups(labels=array(['b', 'a'], dtype=object), index=array([0, 1, 0]))
    """
    require_columns(table, [column])
    if column in _RESERVED:
        raise ValueError(
            f"{column!r} cannot name a group: PyMC and ArviZ use it; rename the column"
        )
    missing = table[column].isna()
    text = label_text(table, column)
    missing |= text == ""
    _refuse(table, column, missing.tolist(), "no label", "")
    # Before they are told apart: some versions of pandas take a label to end at its first NUL.
    unwritable = {x for x in set(text) if _UNWRITABLE.search(x)}
    if unwritable:
        _refuse(
            table,
            column,
            [x in unwritable for x in text],
            "labels with characters that cannot be written,",
            ". Was the file read with the right encoding?",
        )
    index, labels = pd.factorize(text)
    check_labels(list(labels), column)
    return Groups(np.asarray(labels, dtype=object), index)


def nest(table: pd.DataFrame, child: str, parent: str) -> tuple[Groups, Groups, np.ndarray]:
    """Find the groups of two columns and the parent of each child.

    Parameters
    ----------
    table : pandas.DataFrame
        One row an observation; a child may have many rows.
    child, parent : str
        Columns of labels, for example ``"school"`` and ``"authority"``.

    Returns
    -------
    children : Groups
    parents : Groups
    parent_index : numpy.ndarray of int, shape (n_children,)
        Position in ``parents.labels`` of each child's parent.

    Raises
    ------
    ValueError
        If a child stands under two parents.

    Examples
    --------
    >>> import pandas as pd
    >>> table = pd.DataFrame({"school": ["a", "b", "a"], "district": ["x", "y", "x"]})
    >>> schools, districts, district_of_school = nest(table, "school", "district")
    >>> district_of_school
    array([0, 1])
    """
    children, parents = group(table, child), group(table, parent)
    pairs = pd.DataFrame({"child": children.index, "parent": parents.index}).drop_duplicates()
    twice = pairs.loc[pairs["child"].duplicated(), "child"].unique()
    if len(twice):
        where = "; ".join(
            f"{children.labels[c]!r} in "
            + " and ".join(map(repr, parents.labels[pairs.loc[pairs["child"] == c, "parent"]]))
            for c in twice[:5]
        )
        raise ValueError(
            f"each {child} must stand in one {parent}, but {where}. "
            f"If two {plural(child)} share a label, make the labels distinct, "
            f"for example {parent} + '/' + {child}"
        )
    return children, parents, pairs.sort_values("child")["parent"].to_numpy()


def nest_levels(
    table: pd.DataFrame, by: str, parents: Sequence[str] = ()
) -> tuple[Groups, tuple[Level, ...]]:
    """Find the groups of a table, and all levels that they stand in.

    Parameters
    ----------
    table : pandas.DataFrame
        One row an observation; a group may have many rows.
    by : str
        Column of groups.
    parents : sequence of str
        Columns of what they stand in, from the innermost out.

    Returns
    -------
    groups : Groups
    levels : tuple of Level
        From the top down; the last are the groups.

    Raises
    ------
    ValueError
        If a member stands under two parents.

    Examples
    --------
    >>> import pandas as pd
    >>> table = pd.DataFrame({"school": list("abc"), "district": list("xxy"), "zone": list("uuu")})
    >>> _, levels = nest_levels(table, "school", ["district", "zone"])
    >>> [(level.name, len(level.labels)) for level in levels]
    [('zone', 1), ('district', 2), ('school', 3)]
    """
    groups = group(table, by)
    levels, below = [], by
    for parent in parents:
        _, _, index = nest(table, below, parent)
        levels.append(Level(below, group(table, below).labels, index))
        below = parent
    levels.append(Level(below, group(table, below).labels))
    return groups, tuple(reversed(levels))
