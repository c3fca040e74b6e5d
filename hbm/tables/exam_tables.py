"""Exam tables: one course and year of the diploma results, as the models take them."""

import operator
from numbers import Real

import pandas as pd

from hbm.tables.columns import require_columns, require_numbers
from hbm.tables.labels import group
from hbm.tables.messages import hint, quoted

__all__ = ["exam_table"]

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
    try:
        min_students = operator.index(min_students)
    except TypeError:
        raise TypeError(f"min_students must be an integer, got {min_students!r}") from None

    courses = results["course"].drop_duplicates().tolist()
    if course not in courses:
        raise ValueError(
            f"no course {course!r} in the results{hint(course, courses)} "
            f"The courses are: {quoted(courses)}"
        )
    table = results[results["course"] == course]
    years = sorted(table["year"].drop_duplicates().tolist(), key=str)
    if year not in years:
        text = [each for each in years if isinstance(each, str)]
        if text and isinstance(year, Real):
            raise TypeError(
                f"column 'year' holds text: {quoted(text)}. Make whole numbers of it, for example "
                "with results['year'].astype(int)"
            )
        if not text and not isinstance(year, Real):
            raise TypeError(f"year must be a whole number, such as {years[-1]}, not {year!r}")
        raise ValueError(
            f"no year {year!r} in the results of {course}. The years are: {quoted(years)}"
        )
    table = table[table["year"] == year]
    twice = table.loc[table["school"].duplicated(), "school"].drop_duplicates().tolist()
    if twice:
        raise ValueError(
            f"schools that occur more than once in {course}, {year}: {quoted(twice)}. "
            "Were two editions joined? Keep one of them for this year"
        )
    large = min_students <= require_numbers(
        table, "n_students", allowed="numbers of students", ok=lambda x: x >= 0
    )
    if not large.any():
        raise ValueError(
            f"no school of {course}, {year} has {min_students} students or more; "
            f"the largest has {table['n_students'].max()}. Lower min_students"
        )
    table = table.loc[large, columns].reset_index(drop=True)
    table.attrs = {}  # the counts are of the whole workbook
    return table
