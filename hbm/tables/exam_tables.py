"""Exam tables: one course and year of the diploma results, or several, as the models take them."""

import operator
from collections.abc import Iterable, Sequence
from numbers import Real

import pandas as pd

from hbm.tables.columns import require_columns, require_numbers
from hbm.tables.labels import group
from hbm.tables.messages import hint, quoted

__all__ = ["STANDARDS", "exam_panel", "exam_table"]

# Columns of shares of students, and the marks that these are at or above.
STANDARDS = {"acceptable": 0.5, "excellent": 0.8}

_EXAM_COLUMNS = ["school", "school_name", "authority", "authority_name", "n_students", "mean", "sd"]
_MORE_COLUMNS = ["acceptable", "excellent", "authority_type"]


def exam_table(
    results: pd.DataFrame, *, course: str, year: int, min_students: int = 1
) -> pd.DataFrame:
    """Cut the results of one course and year, one row per school: the table the models take.

    Parameters
    ----------
    results : pandas.DataFrame
        What :func:`hbm.read_diploma` returns.
    course : str
        For example ``"Mathematics 30-1"``.
    year : int
        For example 2016.
    min_students : int, default 1
        Schools with fewer students are left out.

    Returns
    -------
    pandas.DataFrame
        Columns ``school``, ``school_name``, ``authority``, ``authority_name``, ``n_students``,
        ``mean``, ``sd`` (mean and standard deviation of the exam mark, proportions) and, where
        `results` have them, ``acceptable`` and ``excellent`` (shares of students at the acceptable
        standard, a mark of 50 % or more, and at the standard of excellence, 80 % or more) and
        ``authority_type``; in the order of `results`, on a fresh index.

    Raises
    ------
    TypeError
        If `results` is not a data frame, or `year` or `min_students` not a whole number.
    ValueError
        If `results` lacks a column, the course or year is not there, a school occurs twice, or no
        school has `min_students`.

    Examples
    --------
    >>> import hbm
    >>> results = hbm.load_dataset("diploma")
    >>> table = hbm.exam_table(results, course="Mathematics 30-1", year=2016, min_students=30)
    >>> table.columns.tolist()
    ['school', 'school_name', 'authority', 'authority_name', 'n_students', 'mean', 'sd',
     'acceptable', 'excellent', 'authority_type']
    >>> hbm.exam_table(results, course="Maths 30-1", year=2016)
    Traceback (most recent call last):
        ...
    ValueError: no course 'Maths 30-1' in the results; did you mean 'Mathematics 30-1'? The
    courses are: 'Biology 30', 'English Lang Arts 30-1', 'Mathematics 30-1', 'Social Studies 30-1'
    """
    table, columns = _of_course(results, course)
    years = sorted(table["year"].drop_duplicates().tolist(), key=str)
    _check_year(year, years, course)
    table = table[table["year"] == year]
    twice = table.loc[table["school"].duplicated(), "school"].drop_duplicates().tolist()
    if twice:
        raise ValueError(
            f"schools that occur more than once in {course}, {year}: {quoted(twice)}. "
            "Were two editions joined? Keep one of them for this year"
        )
    return _large_enough(table, columns, min_students, f"{course}, {year}")


def exam_panel(
    results: pd.DataFrame,
    *,
    course: str,
    years: Sequence[int] | None = None,
    min_students: int = 1,
) -> pd.DataFrame:
    """Cut the results of one course over several years: one row a school and year.

    Parameters
    ----------
    results : pandas.DataFrame
        What :func:`hbm.read_diploma` returns.
    course : str
        For example ``"Mathematics 30-1"``.
    years : sequence of int, optional
        For example ``range(2015, 2019)``; all that there are if not given.
    min_students : int, default 1
        Results of fewer students are left out: that year of a school, and not the school.

    Returns
    -------
    pandas.DataFrame
        ``year``, and the columns of :func:`exam_table`; in the order of years and then of
        `results`, on a fresh index. A school has a row for each year in which it has results, and
        stands in the authority of that year.

    Raises
    ------
    TypeError
        If `results` is not a data frame, or a year or `min_students` not a whole number.
    ValueError
        If `results` lacks a column, the course or a year is not there, a school occurs twice in a
        year, or no school has `min_students`.

    Examples
    --------
    >>> import hbm
    >>> results = hbm.load_dataset("diploma")
    >>> table = hbm.exam_panel(results, course="Mathematics 30-1", years=[2018, 2019])
    >>> table.columns.tolist()[:4], sorted(set(table["year"]))
    (['year', 'school', 'school_name', 'authority'], [2018, 2019])
    """
    table, columns = _of_course(results, course)
    there = sorted(table["year"].drop_duplicates().tolist(), key=str)
    if isinstance(years, str) or not isinstance(years, Iterable | None):
        raise TypeError(f"years must be a sequence of years, such as {there}, got {years!r}")
    chosen = there if years is None else list(dict.fromkeys(years))
    if not chosen:
        raise ValueError(f"no years are asked for. The years of {course} are: {quoted(there)}")
    for year in chosen:
        _check_year(year, there, course)
    table = table[table["year"].isin(chosen)].sort_values("year", kind="stable")
    twice = table.loc[table.duplicated(["school", "year"]), ["school", "year"]].drop_duplicates()
    if len(twice):
        raise ValueError(
            f"schools that occur more than once in a year of {course}: "
            + quoted(f"{school} in {year}" for school, year in twice.itertuples(index=False))
            + ". Were two editions joined? Keep one of them for each year"
        )
    return _large_enough(table, ["year", *columns], min_students, course)


def _of_course(results: pd.DataFrame, course: str) -> tuple[pd.DataFrame, list[str]]:
    """Return the results of a course, and the columns of exam tables that there are."""
    if not isinstance(results, pd.DataFrame):
        raise TypeError(f"results must be a pandas DataFrame, got {type(results).__name__}")
    missing = [name for name in ["course", "year", *_EXAM_COLUMNS] if name not in results]
    if missing:
        raise ValueError(
            f"results lack the columns {quoted(missing)}; they have "
            f"{quoted(map(str, results.columns))}. Pass what read_diploma returns"
            + (
                "; what is in the index, results.reset_index() makes columns"
                if set(missing) & set(results.index.names)
                else ""
            )
        )
    columns = _EXAM_COLUMNS + [name for name in _MORE_COLUMNS if name in results]
    require_columns(results, ["course", "year", *columns])
    group(results, "course")
    courses = results["course"].drop_duplicates().tolist()
    if course not in courses:
        raise ValueError(
            f"no course {course!r} in the results{hint(course, courses)} "
            f"The courses are: {quoted(courses)}"
        )
    return results[results["course"] == course], columns


def _check_year(year: int, years: list, course: str) -> None:
    """Raise unless a year is one of those that the results of a course have."""
    if year in years:
        return
    text = [each for each in years if isinstance(each, str)]
    if text and isinstance(year, Real):
        raise TypeError(
            f"column 'year' holds text: {quoted(text)}. Make whole numbers of it, for example "
            "with results['year'].astype(int)"
        )
    if not text and not isinstance(year, Real):
        raise TypeError(f"year must be a whole number, such as {years[-1]}, not {year!r}")
    raise ValueError(f"no year {year!r} in the results of {course}. The years are: {quoted(years)}")


def _large_enough(
    table: pd.DataFrame, columns: list[str], min_students: int, what: str
) -> pd.DataFrame:
    """Return the rows of enough students, on a fresh index."""
    try:
        min_students = operator.index(min_students)
    except TypeError:
        raise TypeError(f"min_students must be an integer, got {min_students!r}") from None
    large = min_students <= require_numbers(
        table, "n_students", allowed="numbers of students", ok=lambda x: x >= 0
    )
    if not large.any():
        raise ValueError(
            f"no school of {what} has {min_students} students or more; "
            f"the largest has {table['n_students'].max()}. Lower min_students"
        )
    table = table.loc[large, columns].reset_index(drop=True)
    table.attrs = {}  # the counts are of the whole workbook
    return table
