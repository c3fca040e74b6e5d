"""Data: the diploma workbook as a tidy table, and the bundled tables.

The Government of Alberta publishes the results of its diploma examinations as a workbook with one
row per school and course and eleven columns per year. :func:`read_diploma` turns it into one row
per course, year and school, and :func:`exam_table` cuts from that the table the models take.
"""

import functools
import operator
import os
import re
import warnings
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from difflib import get_close_matches
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from hbm.tables.labels import group, require_columns, require_numbers

__all__ = ["exam_table", "load_dataset", "load_truth", "read_diploma"]

_KEY_HEADERS = {
    "course": "Diploma Course",
    "authority_type": "Authority Type",
    "authority": "Authority Code",
    "authority_name": "Authority Name",
    "school": "School Code",
    "school_name": "School Name",
}
_YEAR_HEADERS = {
    "n_students": "Students Writing",
    "mean": "Exam Average %",
    "sd": "Exam Standard Deviation %",
    "acceptable": "Exam Mark % Acc",
    "excellent": "Exam Mark % Exc",
    "school_mark_mean": "School Average %",
    "school_mark_sd": "School Standard Deviation %",
    "school_mark_acceptable": "School Mark % Acc",
    "school_mark_excellent": "School Mark % Exc",
}
# "2012SchStudents Writing", "2012Sch Exam Average %", "2015 Sch Students Writing"
_YEAR_HEADER = re.compile(r"(\d{4}) ?sch ?(.+)")

_RESULT_COLUMNS = ["course", "year", *list(_KEY_HEADERS)[1:], *_YEAR_HEADERS]
_EXAM_COLUMNS = ["school", "school_name", "authority", "authority_name", "n_students", "mean", "sd"]

# The real workbook unpacks to 25 MB and has 5,233 rows of 61 columns. Anything past these limits
# is another file, or one made to exhaust memory.
_MAX_BYTES = 64 * 1024**2
_MAX_ROWS = 100_000
_MAX_COLUMNS = 1_000
_MAX_BLANK_ROWS = 10_000

_DATASETS = {
    "heights": ("heights.csv", "heights_truth.csv"),
    "scores": ("scores.csv", "scores_truth.csv"),
    "nested_scores": ("nested_scores.csv", "nested_scores_truth.csv"),
    "diploma": ("simulated-diploma.xlsx", "simulated-diploma-truth.csv"),
}
_LABELS = dict.fromkeys(["country", "district", "authority", "school", "course"], str)


def read_diploma(path: str | os.PathLike[str]) -> pd.DataFrame:
    """Read a diploma examination workbook into one row per course, year and school.

    Columns are found by their headers, so either edition is read (``2012SchStudents Writing`` or
    ``2015 Sch Students Writing``), with any years, in any order, on a sheet of any name.

    Parameters
    ----------
    path : str or os.PathLike
        The ``.xlsx`` workbook "Diploma Examination Results", school level.

    Returns
    -------
    pandas.DataFrame
        One row per course, year and school with published results, and the columns

        ==========================  =======================================================
        ``course``                  text, for example ``"Mathematics 30-1"``
        ``year``                    int
        ``authority_type``          text, for example ``"Public"``
        ``authority``               text, the authority's code with its zeros
        ``authority_name``          text; names may repeat, codes do not
        ``school``                  text, the school's code with its zeros
        ``school_name``             text; names may repeat, codes do not
        ``n_students``              int, students who wrote the exam
        ``mean``, ``sd``            mean and standard deviation of the exam mark
        ``acceptable``              share of students at the acceptable standard in the exam
        ``excellent``               share of students at the standard of excellence in the exam
        ``school_mark_mean``, …     the same four of the mark awarded by the school:
                                    ``school_mark_mean``, ``school_mark_sd``,
                                    ``school_mark_acceptable``, ``school_mark_excellent``
        ==========================  =======================================================

        Marks and shares are proportions in [0, 1], where the workbook has percentages. Courses
        stand in the order in which the workbook first names them; within a course the years
        ascend, and within a year the rows keep the workbook's order.

        ``results.attrs`` holds plain scalars:

        ==================  ===============================================================
        ``source``          name of the file
        ``sheet``           name of the sheet
        ``n_rows``          rows of the sheet that are a school's in a course
        ``n_results``       rows of the returned table
        ``n_suppressed``    years of those rows left out, because their cells hold ``n/a``
                            or are blank (fewer than six students, or none)
        ``n_footnotes``     footnote rows left out: the last rows, with text in the first
                            column only
        ==================  ===============================================================

        so that ``n_results + n_suppressed`` is ``n_rows`` times the number of years.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If the file is not an ``.xlsx`` workbook, is encrypted, damaged or far larger than any
        edition; if a column is missing or occurs twice; if a cell is not a number where there
        should be one, or out of its range, or a formula; if a year is suppressed in part; if a
        school occurs twice in a course. Messages name the sheet's row and column, and the value.

    Notes
    -----
    Cells may hold numbers or text that is a number. A code stored as a number has lost its leading
    zeros and gets them back, codes having four digits. Reading ends at 10,000 blank rows on end.

    Examples
    --------
    The bundled workbook is simulated, in the layout of the real one.

    >>> import hbm
    >>> results = hbm.load_dataset("diploma")  # reads it with read_diploma
    >>> results.attrs["source"], results.attrs["n_footnotes"]
    ('simulated-diploma.xlsx', 1)
    >>> sorted(results["year"].unique().tolist())
    [2015, 2016, 2017, 2018, 2019]
    """
    path = Path(path)
    _check_file(path)
    import openpyxl  # 0.2 s, and no other function needs it

    with warnings.catch_warnings(), path.open("rb") as file:
        # openpyxl warns of styles and extensions it drops; none is read here.
        warnings.simplefilter("ignore", UserWarning)
        with _damage_reported(path):
            workbook = openpyxl.load_workbook(file, read_only=True, keep_links=False)
            headers = {
                sheet.title: next(_filled_rows(sheet, _MAX_COLUMNS), (0, ()))[1]
                for sheet in workbook.worksheets
            }
        sheet = _choose_sheet(path, headers)
        years, columns = _find_columns(f"{path.name}, sheet {sheet!r}", headers[sheet])
        pick = operator.itemgetter(*columns)
        with _damage_reported(path):
            filled = _filled_rows(workbook[sheet], max(columns) + 1)
            rows = [(number, pick(cells)) for number, cells in islice(filled, 1, _MAX_ROWS + 2)]
    if len(rows) > _MAX_ROWS:
        raise ValueError(f"{path} has more than {_MAX_ROWS:,} rows; no edition comes near that")
    if not rows:
        raise ValueError(f"{path.name}, sheet {sheet!r}, has headers but no rows below them")

    cells = _Cells(
        f"{path.name}, sheet {sheet!r}",
        [str(headers[sheet][column]) for column in columns],
        np.array([number for number, _ in rows]),
        np.array([values for _, values in rows], dtype=object),
    )
    cells, n_footnotes = _without_footnotes(cells)
    schools = _schools(cells)
    results, n_suppressed = _results(cells, schools, years)
    results.attrs = {
        "source": path.name,
        "sheet": sheet,
        "n_rows": len(schools),
        "n_results": len(results),
        "n_suppressed": n_suppressed,
        "n_footnotes": n_footnotes,
    }
    return results


def exam_table(
    results: pd.DataFrame, *, course: str, year: int, min_students: int = 1
) -> pd.DataFrame:
    """Cut the results of one course and year, one row per school: the table the models take.

    Parameters
    ----------
    results : pandas.DataFrame
        What :func:`read_diploma` returns.
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
        ``mean``, ``sd`` (mean and standard deviation of the exam mark, proportions), in the order
        of `results`, on a fresh index.

    Raises
    ------
    TypeError
        If `results` is not a data frame, or `min_students` not an integer.
    ValueError
        If `results` lacks a column, the course or year is not there, a school occurs twice, or no
        school has `min_students`.

    Examples
    --------
    >>> import hbm
    >>> results = hbm.load_dataset("diploma")
    >>> table = hbm.exam_table(results, course="Mathematics 30-1", year=2016, min_students=30)
    >>> table.columns.tolist()
    ['school', 'school_name', 'authority', 'authority_name', 'n_students', 'mean', 'sd']
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
            f"results lack the columns {_quoted(missing)}; they have "
            f"{_quoted(map(str, results.columns))}. Pass what read_diploma returns"
        )
    require_columns(results, ["course", "year", *_EXAM_COLUMNS])
    group(results, "course")
    try:
        min_students = operator.index(min_students)
    except TypeError:
        raise TypeError(f"min_students must be an integer, got {min_students!r}") from None

    courses = results["course"].drop_duplicates().tolist()
    if course not in courses:
        raise ValueError(
            f"no course {course!r} in the results{_hint(course, courses)} "
            f"The courses are: {_quoted(courses)}"
        )
    table = results[results["course"] == course]
    years = sorted(table["year"].drop_duplicates().tolist())
    if year not in years:
        raise ValueError(
            f"no year {year!r} in the results of {course}. "
            f"The years are: {', '.join(map(repr, years))}"
        )
    table = table[table["year"] == year]
    twice = table.loc[table["school"].duplicated(), "school"].drop_duplicates().tolist()
    if twice:
        raise ValueError(
            f"schools that occur more than once in {course}, {year}: {_quoted(twice)}. "
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
    table = table.loc[large, _EXAM_COLUMNS].reset_index(drop=True)
    table.attrs = {}  # the counts are of the whole workbook
    return table


def load_dataset(name: str) -> pd.DataFrame:
    """Load one of the bundled tables; all of them are simulated.

    ===================  ===================================================================
    ``"heights"``        ``country``, ``height`` (cm): 20 people in each of 4 countries
    ``"scores"``         ``school``, ``score`` (proportion): 20 students in each of 5 schools
    ``"nested_scores"``  ``district``, ``school``, ``score`` (proportion): 20 students in each
                         of 9 schools, 3 schools in each of 3 districts
    ``"diploma"``        a workbook in the layout of Alberta's diploma results, with invented
                         schools, as :func:`read_diploma` returns it
    ===================  ===================================================================

    The first three are the simulations of the article that this package follows. Labels are text.
    :func:`load_truth` has the values that each was simulated from.

    Parameters
    ----------
    name : str
        One of the names above.

    Returns
    -------
    pandas.DataFrame
        A new copy at each call.

    Raises
    ------
    ValueError
        If there is no such data set.

    Examples
    --------
    >>> import hbm
    >>> heights = hbm.load_dataset("heights")
    >>> heights.groupby("country")["height"].mean().round(1).to_dict()
    {'1': 185.1, '2': 194.8, '3': 185.4, '4': 176.9}
    """
    table, _ = _dataset_files(name)
    if name == "diploma":
        return _simulated_diploma().copy()
    return pd.read_csv(_data_folder() / table, dtype=_LABELS)


def load_truth(name: str) -> pd.DataFrame:
    """Load the values that a bundled table was simulated from.

    ===================  ===================================================================
    ``"heights"``        ``country``, ``mean`` (cm)
    ``"scores"``         ``school``, ``mean``
    ``"nested_scores"``  ``district``, ``district_mean``, ``school``, ``school_mean``
    ``"diploma"``        ``course``, ``year``, ``authority``, ``school``, ``mean``, ``nu``,
                         ``authority_mean``; one row for each row of the results, in their
                         order. Exam marks of students are Beta(mean·nu, (1−mean)·nu), rounded
                         to whole percentages; ``authority_mean`` is the mean of an average
                         school of the authority in that course and year
    ===================  ===================================================================

    Means of scores and marks are proportions.

    Parameters
    ----------
    name : str
        A data set of :func:`load_dataset`.

    Returns
    -------
    pandas.DataFrame

    Raises
    ------
    ValueError
        If there is no such data set.

    Examples
    --------
    >>> import hbm
    >>> hbm.load_truth("scores").round(3)["mean"].tolist()
    [0.829, 0.73, 0.663, 0.898, 0.719]
    """
    _, truth = _dataset_files(name)
    return pd.read_csv(_data_folder() / truth, dtype=_LABELS)


def _dataset_files(name: str) -> tuple[str, str]:
    if name not in _DATASETS:
        raise ValueError(
            f"no data set {name!r}{_hint(name, list(_DATASETS))} "
            f"The data sets are: {_quoted(_DATASETS)}"
        )
    return _DATASETS[name]


def _data_folder() -> Path:
    """Return the folder of the bundled files: in the wheel, or else beside the package."""
    package = Path(__file__).parents[1]
    installed = package / "_data"
    return installed if installed.is_dir() else package.parent / "data"


@functools.cache
def _simulated_diploma() -> pd.DataFrame:
    return read_diploma(_data_folder() / _DATASETS["diploma"][0])


def _quoted(names) -> str:
    return ", ".join(repr(name) for name in names)


def _hint(word, names: list) -> str:
    nearest = get_close_matches(str(word), [str(name) for name in names], n=1)
    return f"; did you mean {nearest[0]!r}?" if nearest else "."


def _check_file(path: Path) -> None:
    """Raise unless `path` is a whole zip archive of bearable size, as every .xlsx file is."""
    if not path.exists():
        raise FileNotFoundError(f"no workbook {str(path)!r}; check the path")
    with path.open("rb") as file:
        start = file.read(512)
    if not start:
        raise ValueError(f"{path} is empty (0 bytes); download it again")
    if start.startswith(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"):
        raise ValueError(
            f"{path} is a password-protected workbook or one of the old .xls format; "
            "open it in a spreadsheet program and save it as .xlsx without a password"
        )
    if start.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<"):
        raise ValueError(
            f"{path} is a web page or XML file, whatever its name; download the workbook itself"
        )
    if not start.startswith(b"PK"):
        raise ValueError(f"{path} is not an .xlsx workbook; it begins with {start[:16]!r}")
    try:
        with zipfile.ZipFile(path) as archive:
            size = sum(entry.file_size for entry in archive.infolist())
    except Exception as error:  # zipfile's own, and others for a damaged directory
        raise ValueError(f"{path} is cut short or damaged ({error}); download it again") from error
    if size > _MAX_BYTES:
        raise ValueError(
            f"{path} unpacks to {size / 1024**2:,.0f} MB, more than the {_MAX_BYTES // 1024**2} MB "
            "allowed; delete sheets and formatted blank rows that do not belong to it"
        )


@contextmanager
def _damage_reported(path: Path) -> Iterator[None]:
    """Turn whatever openpyxl, zlib or the XML parser raise for a bad file into one error."""
    try:
        yield
    except Exception as error:
        raise ValueError(
            f"{path} cannot be read as an .xlsx workbook; it may be damaged or of another kind "
            f"({type(error).__name__}: {error})"
        ) from error


def _filled_rows(sheet, width: int) -> Iterator[tuple[int, tuple]]:
    """Yield number and first `width` cells of the rows that are not blank."""
    sheet.reset_dimensions()  # a file's claim of its size may be wrong, and would cut the rows off
    blank = 0
    for number, cells in enumerate(sheet.iter_rows(max_col=width, values_only=True), start=1):
        if cells.count(None) < width:
            blank = 0
            yield number, cells
        else:
            blank += 1
            if blank == _MAX_BLANK_ROWS:
                return


def _fold(header) -> str:
    return "" if header is None else " ".join(str(header).split()).casefold()


def _choose_sheet(path: Path, headers: dict[str, tuple]) -> str:
    """Return the one sheet whose first row has the first column's header."""
    wanted = _KEY_HEADERS["course"]
    found = [
        title for title, header in headers.items() if _fold(wanted) in [_fold(c) for c in header]
    ]
    if len(found) == 1:
        return found[0]
    if found:
        raise ValueError(f"{path} has several sheets of results: {_quoted(found)}; keep one")
    firsts = {title: [c for c in header if c is not None] for title, header in headers.items()}
    described = [
        f"{title!r} begins with {_quoted(cells[:7])}" if cells else f"{title!r} is blank"
        for title, cells in firsts.items()
    ]
    raise ValueError(
        f"{path} is not a workbook of diploma results by school: no sheet has the header "
        f"{wanted!r} in its first row; {'; '.join(described) or 'it has no sheets'}"
    )


def _find_columns(where: str, header: tuple) -> tuple[list[int], list[int]]:
    """Return the years, and the positions of the key columns and then of each year's measures."""
    keys = {_fold(text): name for name, text in _KEY_HEADERS.items()}
    measures = {_fold(text): name for name, text in _YEAR_HEADERS.items()}
    found: dict[str | tuple[int, str], int] = {}
    for position, cell in enumerate(header):
        text = _fold(cell)
        field: str | tuple[int, str] | None = keys.get(text)
        if (match := _YEAR_HEADER.fullmatch(text)) and match[2] in measures:
            field = int(match[1]), measures[match[2]]
        if field is None:
            continue  # the significance of differences, or a column of the user's own
        if field in found:
            raise ValueError(f"{where}, has the column {str(cell)!r} twice; keep one")
        found[field] = position

    years = sorted({field[0] for field in found if isinstance(field, tuple)})
    wanted: dict[str | tuple[int, str], str] = dict(_KEY_HEADERS.items())
    for year in years or [2015]:
        wanted |= {(year, name): f"{year} Sch {text}" for name, text in _YEAR_HEADERS.items()}
    missing = [text for field, text in wanted.items() if field not in found]
    if missing:
        others = [
            str(cell)
            for position, cell in enumerate(header)
            if cell is not None and position not in found.values()
        ]
        more = f" and {len(missing) - 3} more columns" if len(missing) > 3 else ""
        raise ValueError(
            f"{where}, lacks {_quoted(missing[:3])}{more}{_hint(missing[0], others)} "
            f"Headers without a use: {_quoted(others[:8]) or 'none'}"
        )
    return years, [found[field] for field in wanted]


def _is_missing(value) -> bool:
    return value is None or (type(value) is str and value.strip().casefold() in {"", "n/a"})


def _number(value) -> float:
    """Return the number in a cell, NaN if there is none."""
    if type(value) in (int, float):
        return float(value)
    # float() takes "1_000" too, which no spreadsheet means.
    if type(value) is str and "_" not in value:
        try:
            return float(value)
        except ValueError:
            pass
    return np.nan


class _Cells(NamedTuple):
    """The picked cells of a sheet, and what to call them in messages."""

    where: str
    headers: list[str]
    numbers: np.ndarray  # of the rows, as the sheet counts them
    grid: np.ndarray  # of object, shape (rows, columns)

    def name(self, row: int, column: int) -> str:
        return f"{self.where}, row {self.numbers[row]}, column {self.headers[column]!r}"


def _missing(values: np.ndarray) -> np.ndarray:
    return np.frompyfunc(_is_missing, 1, 1)(values).astype(bool)


def _without_footnotes(cells: _Cells) -> tuple[_Cells, int]:
    """Drop the rows at the end that have text in the first column only, and count them."""
    missing = _missing(cells.grid)
    footnote = ~missing[:, 0] & missing[:, 1:].all(axis=1)
    school = ~missing.all(axis=1) & ~footnote
    if not school.any():
        raise ValueError(f"{cells.where}, has headers but no rows of results")
    last = np.flatnonzero(school)[-1]
    if footnote[:last].any():
        raise ValueError(
            f"{cells.name(int(np.argmax(footnote)), 0)}: only this cell of the row is filled, "
            f"yet results follow in row {cells.numbers[last]}; complete the row or delete it"
        )
    kept = cells._replace(numbers=cells.numbers[school], grid=cells.grid[school])
    return kept, int(footnote.sum())


def _schools(cells: _Cells) -> pd.DataFrame:
    """Return the key columns, one row per course and school."""
    columns = {}
    for column, name in enumerate(_KEY_HEADERS):
        columns[name] = [_text(value, name) for value in cells.grid[:, column]]
        if None in columns[name]:
            row = columns[name].index(None)
            raise ValueError(
                f"{cells.name(row, column)}: {_shown(cells.grid[row, column])} where text is "
                "expected; write its value as text, in merged cells on every row"
            )
    schools = pd.DataFrame(columns)
    twice = schools.duplicated(["course", "school"])
    if twice.any():
        course, school = schools.loc[twice, ["course", "school"]].iloc[0]
        rows = cells.numbers[(schools["course"] == course) & (schools["school"] == school)]
        raise ValueError(
            f"{cells.where}: school {school!r} occurs in {course} "
            f"in the rows {', '.join(map(str, rows))}; keep one"
        )
    return schools


def _results(cells: _Cells, schools: pd.DataFrame, years: list[int]) -> tuple[pd.DataFrame, int]:
    """Return one row per course, year and school, and the number of suppressed ones left out."""
    n_keys, measures = len(_KEY_HEADERS), list(_YEAR_HEADERS)
    marks = cells.grid[:, n_keys:].reshape(len(schools), len(years), len(measures))
    missing = _missing(marks)
    published = ~missing[:, :, 0]
    partial = missing != missing[:, :, :1]
    if partial.any():
        row, year, measure = np.argwhere(partial)[0]
        first = n_keys + year * len(measures)
        raise ValueError(
            f"{cells.name(row, first + measure)}: {marks[row, year, measure]!r}, while "
            f"{cells.headers[first]!r} is {marks[row, year, 0]!r}; "
            "a year is published whole or suppressed whole"
        )

    row_of, year_of = np.nonzero(published)
    numbers = np.frompyfunc(_number, 1, 1)(marks[published]).astype(float)
    ok = (numbers >= 0) & (numbers <= 100)
    ok[:, 0] = (
        (numbers[:, 0] >= 1) & (numbers[:, 0] <= 1e6) & (numbers[:, 0] == np.floor(numbers[:, 0]))
    )
    if not ok.all():
        result, measure = np.argwhere(~ok)[0]
        row, year = row_of[result], year_of[result]
        raise ValueError(
            f"{cells.name(row, n_keys + year * len(measures) + measure)}: "
            f"{_shown(marks[row, year, measure])} where "
            + ("a percentage from 0 to 100" if measure else "a whole number of students")
            + " (or 'n/a' throughout the year) is expected"
        )
    if (numbers[:, measures.index("mean")] <= 1).all() and len(numbers):
        raise ValueError(
            f"{cells.where}: no exam average is above 1; percentages are expected, "
            "these look like proportions"
        )

    results = schools.iloc[row_of].reset_index(drop=True)
    results["year"] = np.array(years)[year_of]
    results["n_students"] = numbers[:, 0].astype(int)
    # Rounded because 70.4 / 100 is 0.7040000000000001.
    results[measures[1:]] = (numbers[:, 1:] / 100).round(12)
    order = np.lexsort((row_of, results["year"], pd.factorize(results["course"])[0]))
    results = results.loc[order, _RESULT_COLUMNS].reset_index(drop=True)
    return results, int((~published).sum())


def _text(value, name: str) -> str | None:
    """Return the text of a name or code, None if the cell holds something else or nothing."""
    if type(value) is str and not _is_missing(value) and not value.startswith("="):
        return value.strip()
    if type(value) in (int, float) and name in {"authority", "school"} and value % 1 == 0:
        return f"{int(value):04d}"
    return None


def _shown(value) -> str:
    """Return a cell's value for a message; the formula of an array is an object with a text."""
    value = getattr(value, "text", value)
    formula = isinstance(value, str) and value.startswith("=")
    return f"the formula {value!r}" if formula else repr(value)
