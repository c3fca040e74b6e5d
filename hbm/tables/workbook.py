"""The diploma workbook, read as a tidy table.

The Government of Alberta publishes the results of its diploma examinations as a workbook with one
row per school and course and eleven columns per year. :func:`read_diploma` turns it into one row
per course, year and school, and :func:`hbm.exam_table` cuts from that the table the models take.
"""

import operator
import os
import re
import warnings
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path

import numpy as np
import pandas as pd

from hbm.tables.cells import (
    FIRST_HEADER,
    Cells,
    find_columns,
    fold,
    read_results,
    read_schools,
    without_footnotes,
)
from hbm.tables.messages import quoted

__all__ = ["read_diploma"]

# The real workbook unpacks to 25 MB and has 5,233 rows of 61 columns. Anything past these limits
# is another file, or one made to exhaust memory.
_MAX_BYTES = 64 * 1024**2
_MAX_ROWS = 100_000
_MAX_COLUMNS = 1_000
_MAX_BLANK_ROWS = 10_000

# A path has one slash after the scheme. A single letter is a drive.
_ADDRESS = re.compile(r"[a-z][a-z0-9+.-]+:/", re.IGNORECASE)


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
        If it is an address and no file; if the file is not an ``.xlsx`` workbook, is encrypted,
        damaged or far larger than any edition; if a column is missing or occurs twice; if a cell is
        not a number where there should be one, or out of its range, or a formula; if a year is
        suppressed in part; if a school occurs twice in a course. Messages name the sheet's row and
        column, and the value.

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
    address, path = os.fspath(path), Path(path)
    if _ADDRESS.match(address) and not path.exists():
        raise ValueError(
            f"{address!r} is an address: read_diploma reads files; download it first, and give the "
            "path of the file"
        )
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
        years, columns = find_columns(f"{path.name}, sheet {sheet!r}", headers[sheet])
        pick = operator.itemgetter(*columns)
        with _damage_reported(path):
            filled = _filled_rows(workbook[sheet], max(columns) + 1)
            rows = [(number, pick(cells)) for number, cells in islice(filled, 1, _MAX_ROWS + 2)]
    if len(rows) > _MAX_ROWS:
        raise ValueError(f"{path} has more than {_MAX_ROWS:,} rows; no edition comes near that")
    if not rows:
        raise ValueError(f"{path.name}, sheet {sheet!r}, has headers but no rows below them")

    cells = Cells(
        f"{path.name}, sheet {sheet!r}",
        [str(headers[sheet][column]) for column in columns],
        np.array([number for number, _ in rows]),
        np.array([values for _, values in rows], dtype=object),
    )
    cells, n_footnotes = without_footnotes(cells)
    schools = read_schools(cells)
    results, n_suppressed = read_results(cells, schools, years)
    results.attrs = {
        "source": path.name,
        "sheet": sheet,
        "n_rows": len(schools),
        "n_results": len(results),
        "n_suppressed": n_suppressed,
        "n_footnotes": n_footnotes,
    }
    return results


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


def _choose_sheet(path: Path, headers: dict[str, tuple]) -> str:
    """Return the one sheet whose first row has the first column's header."""
    found = [
        title
        for title, header in headers.items()
        if fold(FIRST_HEADER) in [fold(c) for c in header]
    ]
    if len(found) == 1:
        return found[0]
    if found:
        raise ValueError(f"{path} has several sheets of results: {quoted(found)}; keep one")
    firsts = {title: [c for c in header if c is not None] for title, header in headers.items()}
    described = [
        f"{title!r} begins with {quoted(cells[:7])}" if cells else f"{title!r} is blank"
        for title, cells in firsts.items()
    ]
    raise ValueError(
        f"{path} is not a workbook of diploma results by school: no sheet has the header "
        f"{FIRST_HEADER!r} in its first row; {'; '.join(described) or 'it has no sheets'}"
    )
