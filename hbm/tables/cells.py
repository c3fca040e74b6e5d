"""Cells of the diploma workbook: its columns found by their headers, its cells checked and read."""

import re
from typing import NamedTuple

import numpy as np
import pandas as pd

from hbm.tables.messages import hint, quoted

__all__ = [
    "FIRST_HEADER",
    "Cells",
    "find_columns",
    "fold",
    "read_results",
    "read_schools",
    "without_footnotes",
]

_KEY_HEADERS = {
    "course": "Diploma Course",
    "authority_type": "Authority Type",
    "authority": "Authority Code",
    "authority_name": "Authority Name",
    "school": "School Code",
    "school_name": "School Name",
}
FIRST_HEADER = _KEY_HEADERS["course"]
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


class Cells(NamedTuple):
    """The picked cells of a sheet, and what to call them in messages."""

    where: str
    headers: list[str]
    numbers: np.ndarray  # of the rows, as the sheet counts them
    grid: np.ndarray  # of object, shape (rows, columns)

    def name(self, row: int, column: int) -> str:
        """Say where a cell is."""
        return f"{self.where}, row {self.numbers[row]}, column {self.headers[column]!r}"


def fold(header) -> str:
    """Return a header as it is compared: case and blanks do not count."""
    return "" if header is None else " ".join(str(header).split()).casefold()


def find_columns(where: str, header: tuple) -> tuple[list[int], list[int]]:
    """Return the years, and the positions of the key columns and then of each year's measures."""
    keys = {fold(text): name for name, text in _KEY_HEADERS.items()}
    measures = {fold(text): name for name, text in _YEAR_HEADERS.items()}
    found: dict[str | tuple[int, str], int] = {}
    for position, cell in enumerate(header):
        text = fold(cell)
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
            f"{where}, lacks {quoted(missing[:3])}{more}{hint(missing[0], others)} "
            f"Headers without a use: {quoted(others[:8]) or 'none'}"
        )
    return years, [found[field] for field in wanted]


def without_footnotes(cells: Cells) -> tuple[Cells, int]:
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


def read_schools(cells: Cells) -> pd.DataFrame:
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


def read_results(cells: Cells, schools: pd.DataFrame, years: list[int]) -> tuple[pd.DataFrame, int]:
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


def _is_missing(value) -> bool:
    return value is None or (type(value) is str and value.strip().casefold() in {"", "n/a"})


def _missing(values: np.ndarray) -> np.ndarray:
    return np.frompyfunc(_is_missing, 1, 1)(values).astype(bool)


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
