"""The two forms of a table: one row an individual, or one row a group with what was published."""

from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd

from hbm.tables.columns import percentages
from hbm.tables.grouped import GroupedData, read_individuals, read_summaries
from hbm.tables.words import plural

__all__ = ["is_published", "read_either", "read_open_proportions", "require_individuals"]


def is_published(table: pd.DataFrame, by: str, size: str) -> bool:
    """Say whether a table has one row a group, with its number of individuals and its mean.

    Such a table may have a column of an individual's name as well, say ``score`` for the mean: that
    alone does not make it one of individuals.

    Parameters
    ----------
    table : pandas.DataFrame
        Any table.
    by : str
        Column of groups.
    size : str
        Column of the numbers of individuals.

    Returns
    -------
    bool

    Examples
    --------
    >>> table = pd.DataFrame({"school": ["a", "b"], "n_students": [9, 40], "mean": [0.6, 0.7],
    ...                       "score": [0.6, 0.7]})
    >>> is_published(table, "school", "n_students")
    True
    """
    if not isinstance(table, pd.DataFrame) or not {by, size, "mean"} <= set(table.columns):
        return False
    return not table[by].duplicated().any()


def require_individuals(
    table: pd.DataFrame,
    value: str,
    *,
    by: str,
    size: str,
    instead: str = "the models of hbm.exams, such as hbm.exams.nested, take it",
) -> None:
    """Raise if a table of individuals is wanted, and one has a row a group.

    Parameters
    ----------
    table : pandas.DataFrame
        Any table.
    value : str
        Column that would be taken for individuals' results.
    by, size : str
        As in :func:`is_published`.
    instead : str, optional
        What takes such a table.

    Raises
    ------
    ValueError
        Naming the columns that say so.
    """
    if is_published(table, by, size) and value in table:
        raise ValueError(
            f"the table has one row a {by}, with its 'mean' and {size!r}: its {value!r} is not "
            f"that of individuals; {instead}"
        )


def read_open_proportions(
    table: pd.DataFrame, value: str, *, by: str, individual: str, parents: Sequence[str] = ()
) -> GroupedData:
    """Read a table of individuals' proportions, such as a Beta gives: none is 0 or 1.

    Parameters
    ----------
    table : pandas.DataFrame
        One row an individual, with columns `value`, `by` and `parents`.
    value, by, parents
        As in :func:`hbm.tables.grouped.read_individuals`.
    individual : str
        What one is called.

    Returns
    -------
    GroupedData

    Raises
    ------
    ValueError, TypeError
        If the table is not as described, naming the likely mend.

    Examples
    --------
    >>> students = pd.DataFrame({"school": ["b", "a", "b"], "score": [0.5, 0.6, 0.7]})
    >>> read_open_proportions(students, "score", by="school", individual="student").mean
    array([0.6, 0.6])
    """
    require_individuals(table, value, by=by, size=f"n_{plural(individual)}")

    def mend(bad: np.ndarray) -> str:
        inwards = (
            f"move {plural(value)} of exactly 0 or 1 inwards, for example to "
            f"({value} (n − 1) + 0.5) / n with n {plural(individual)}"
        )
        at_an_end = np.isin(bad, [0, 1]).any()
        return ", and ".join(filter(None, [percentages(bad), inwards if at_an_end else ""]))

    return read_individuals(
        table,
        value,
        by=by,
        parents=parents,
        allowed="proportions strictly between 0 and 1, as a Beta gives",
        mend=mend,
        ok=lambda x: (x > 0) & (x < 1),
    )


def read_either(
    table: pd.DataFrame,
    value: str,
    *,
    by: str,
    size: str,
    parents: Sequence[str] = (),
    proportions: bool,
    allowed: str,
    ok: Callable[[np.ndarray], np.ndarray],
    sd_needed: bool = True,
    sd_may_be_missing: bool = False,
) -> GroupedData:
    """Read a table of individuals, or a published one.

    Parameters
    ----------
    table : pandas.DataFrame
        One row an individual, with columns `value`, `by` and `parents`; or one row a group, with
        `by`, `parents`, `size`, ``mean`` and ``sd``.
    value : str
        Column of individuals' results.
    by, size, parents, proportions, sd_needed, sd_may_be_missing
        As in :func:`hbm.tables.grouped.read_summaries`.
    allowed, ok
        As in :func:`hbm.tables.columns.require_numbers`, of individuals.

    Returns
    -------
    GroupedData

    Raises
    ------
    ValueError, TypeError
        If the table is not as described.

    Examples
    --------
    >>> people = pd.DataFrame({"country": ["b", "a", "b"], "height": [170.0, 180.0, 174.0]})
    >>> read_either(people, "height", by="country", size="n_people", proportions=False,
    ...             allowed="heights in cm", ok=np.isfinite).n
    array([2., 1.])
    """
    if isinstance(table, pd.DataFrame) and value in table and not is_published(table, by, size):
        return read_individuals(table, value, by=by, parents=parents, allowed=allowed, ok=ok)
    return read_summaries(
        table,
        by=by,
        size=size,
        parents=parents,
        proportions=proportions,
        sd_needed=sd_needed,
        sd_may_be_missing=sd_may_be_missing,
    )
