"""Tables: what a model takes, read and checked once.

A model is given either individuals, one row each, or a published table with one row a group: its
number, mean and standard deviation. Both become the same few arrays by group.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from hbm.tables.columns import percentages, require_columns, require_numbers
from hbm.tables.labels import Cells, Groups, Level, nest_levels
from hbm.tables.not_numbers import listed

__all__ = ["GroupedData", "read_individuals", "read_sizes", "read_summaries"]

# Predictive draws simulate individuals one by one, and so do their indices take memory.
_MOST_INDIVIDUALS = 100_000_000
_LARGEST = 1e100  # whose square is still a number


@dataclass(frozen=True)
class GroupedData:
    """Results by group, in order of first appearance.

    Attributes
    ----------
    levels : tuple of Level
        The groups and what they stand in, from the top down.
    n, mean, sd : numpy.ndarray, shape (n_groups,)
        Number of individuals of each group, their mean and their standard deviation with divisor
        n − 1, which is missing where n = 1.
    value : numpy.ndarray, shape (n_individuals,), or None
        The individuals' results.
    index : numpy.ndarray of int, shape (n_individuals,), or None
        Position of each individual's group.
    cells : Cells or None
        Of results of several years: what `n`, `mean` and `sd` are of, in place of the groups.
    """

    levels: tuple[Level, ...]
    n: np.ndarray
    mean: np.ndarray
    sd: np.ndarray
    value: np.ndarray | None = None
    index: np.ndarray | None = None
    cells: Cells | None = None

    @property
    def rows(self) -> np.ndarray:
        """Position of the group of each row of the table."""
        if self.index is not None:
            return self.index
        return np.arange(len(self.n)) if self.cells is None else self.cells.group


def read_individuals(
    table: pd.DataFrame,
    value: str,
    *,
    by: str,
    parents: Sequence[str] = (),
    allowed: str,
    mend: Callable[[np.ndarray], str] = lambda bad: "",
    ok: Callable[[np.ndarray], np.ndarray],
) -> GroupedData:
    """Read a table of individuals.

    Parameters
    ----------
    table : pandas.DataFrame
        One row an individual: columns `value`, `by` and `parents`.
    value : str
        Column of results.
    by : str
        Column of groups.
    parents : sequence of str
        Columns of what the groups stand in, from the innermost out.
    allowed, mend, ok
        As in :func:`hbm.tables.columns.require_numbers`.

    Returns
    -------
    GroupedData

    Raises
    ------
    ValueError, TypeError
        If the table is not as described.

    Examples
    --------
    >>> import numpy as np, pandas as pd
    >>> people = pd.DataFrame({"country": ["b", "a", "b"], "height": [170.0, 180.0, 174.0]})
    >>> data = read_individuals(people, "height", by="country",
    ...                         allowed="heights in cm", ok=np.isfinite)
    >>> data.mean, data.sd
    (array([172., 180.]), array([2.82842712,        nan]))
    """
    require_columns(table, [value, by, *parents])
    groups, levels = nest_levels(table, by, parents)
    results = require_numbers(
        table, value, allowed=allowed, mend=mend, ok=lambda x: ok(x) & (np.abs(x) < _LARGEST)
    )
    summary = pd.Series(results).groupby(groups.index).agg(["size", "mean", "std"])
    return GroupedData(
        levels=levels,
        n=summary["size"].to_numpy(dtype=float),
        mean=summary["mean"].to_numpy(),
        sd=summary["std"].to_numpy(),
        value=results,
        index=groups.index,
    )


def check_one_row_each(groups: Groups, by: str) -> None:
    """Raise if a group has more rows than one."""
    counts = np.bincount(groups.index)
    if (counts > 1).any():
        twice = ", ".join(
            f"{groups.labels[i]!r} has {counts[i]}" for i in np.flatnonzero(counts > 1)[:5]
        )
        one = "course and year" if by == "school" else "row of each"
        raise ValueError(
            f"each {by} must have one row; {twice}. Choose one {one}, or make the labels distinct"
        )


def read_sizes(table: pd.DataFrame, column: str, names: pd.Series) -> np.ndarray:
    """Read the number of individuals of each group.

    Parameters
    ----------
    table : pandas.DataFrame
        One row a group.
    column : str
        Column of the numbers.
    names : pandas.Series
        What to call each row in a message.

    Returns
    -------
    numpy.ndarray of float, shape (n_groups,)

    Raises
    ------
    TypeError
        If the column does not hold numbers.
    ValueError
        If a number is not a whole number of 1 or more, or they are too many in all.

    Examples
    --------
    >>> import pandas as pd
    >>> read_sizes(pd.DataFrame({"n_students": [5, 8]}), "n_students", pd.Series(["'a'", "'b'"]))
    array([5., 8.])
    """
    n = require_numbers(
        table,
        column,
        allowed="whole numbers, 1 or more",
        ok=lambda x: (x >= 1) & (x < 1e15) & (x == np.round(x)),
        names=names,
    )
    if n.sum() > _MOST_INDIVIDUALS:
        largest = int(np.argmax(n))
        raise ValueError(
            f"column {column!r} sums to {n.sum():.3g}, and at most {_MOST_INDIVIDUALS:,} "
            f"individuals can be simulated; the largest is {names[largest]} with {n[largest]:.3g}. "
            "Is it the number of individuals behind the mean?"
        )
    return n


def read_summaries(
    table: pd.DataFrame,
    *,
    by: str,
    size: str,
    parents: Sequence[str] = (),
    proportions: bool,
    sd_needed: bool = True,
    sd_may_be_missing: bool = False,
) -> GroupedData:
    """Read a published table with one row a group.

    Parameters
    ----------
    table : pandas.DataFrame
        Columns `by`, `size`, ``mean``, ``sd`` and `parents`.
    by : str
        Column of groups.
    size : str
        Column of the numbers of individuals.
    parents : sequence of str
        Columns of what the groups stand in, from the innermost out.
    proportions : bool
        Whether the individuals are proportions, as against any number.
    sd_needed : bool, default True
        Whether each group of two or more must have its ``sd``. If not, the column may be absent
        and is not looked at.
    sd_may_be_missing : bool, default False
        Whether groups of two or more may lack their ``sd``; the column must be there.

    Returns
    -------
    GroupedData

    Raises
    ------
    ValueError, TypeError
        If the table is not as described, naming the groups and the likely mend.

    Examples
    --------
    >>> import pandas as pd
    >>> table = pd.DataFrame({"school": ["a"], "n_students": [12], "mean": [63.9], "sd": [18.2]})
    >>> read_summaries(table, by="school", size="n_students", proportions=True)
    Traceback (most recent call last):
        ...
    ValueError: column 'mean' must hold proportions in [0, 1] (divide ... by 100); 'a' has 63.9
    """
    columns = [by, size, "mean"] + (["sd"] if sd_needed else []) + [*parents]
    without = "or name observe='mean', which does without" if proportions else ""
    if sd_may_be_missing and not proportions:
        without = "or add one: table.assign(sd=float('nan')) says that none is known"
    require_columns(table, columns, {"sd": without} if without else None)
    groups, levels = nest_levels(table, by, parents)
    check_one_row_each(groups, by)
    names = pd.Series([repr(label) for label in groups.labels])
    n, mean, sd = read_numbers(
        table,
        names,
        by=by,
        size=size,
        proportions=proportions,
        sd_needed=sd_needed,
        sd_may_be_missing=sd_may_be_missing,
    )
    return GroupedData(levels, n, mean, sd)


def read_numbers(
    table: pd.DataFrame,
    names: pd.Series,
    *,
    by: str,
    size: str,
    proportions: bool,
    sd_needed: bool,
    sd_may_be_missing: bool,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Read n, mean and sd of each row, which `names` name; see :func:`read_summaries`."""
    n = read_sizes(table, size, names)
    if proportions:
        mean = require_numbers(
            table,
            "mean",
            allowed="proportions in [0, 1]",
            mend=percentages,
            ok=lambda x: (x >= 0) & (x <= 1),
            names=names,
        )
    else:
        mean = require_numbers(
            table, "mean", allowed="numbers", ok=lambda x: np.abs(x) < _LARGEST, names=names
        )
    if not sd_needed:
        return n, mean, np.full(len(n), np.nan)
    # Bounded results may all be alike, at 0 or 1 or by rounding; a Normal has some spread.
    allowed = "standard deviations, 0 or more" if proportions else "standard deviations above 0"
    allowed += (
        ", or missing" if sd_may_be_missing else ", missing only where there is one individual"
    )
    none = (n == 1) | proportions
    sd = require_numbers(
        table,
        "sd",
        allowed=allowed,
        ok=lambda x: np.isnan(x) | (((x > 0) | ((x == 0) & none)) & (x < _LARGEST)),
        names=names,
    )
    missing = np.flatnonzero(np.isnan(sd) & (n > 1))
    if len(missing) and not sd_may_be_missing:
        shown = listed(list(names[missing]), ["nan"] * len(missing))
        raise ValueError(
            f"column 'sd' must hold {allowed}; {shown}. If they are not known, drop these rows; "
            f"a {by} without sd could be observed by its mean alone"
            + (" (observe='mean')" if proportions else "")
        )
    sd = np.where(n == 1, np.nan, sd)
    if proportions:
        # Published means and sds are rounded, hence the half unit of the third decimal.
        most = np.sqrt(mean * (1 - mean) * n / np.maximum(n - 1, 1)) + 0.0015
        bad = np.flatnonzero(sd > most)
        if len(bad):
            shown = "; ".join(
                f"{names[i]} has sd {sd[i]:g}, and {n[i]:g} {size.removeprefix('n_')} of mean "
                f"{mean[i]:g} can have at most {most[i]:.3g}"
                for i in bad[:5]
            )
            raise ValueError(
                f"no proportions have these standard deviations: {shown}. "
                "Divide percentages by 100, and see that sd is not the variance or n mistaken"
            )
    return n, mean, sd
