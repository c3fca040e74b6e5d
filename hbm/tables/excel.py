"""Excel workbooks of tables: what a workbook can hold, and how it is laid out."""

import io
from collections.abc import Iterable, Mapping

import pandas as pd

from hbm.tables.messages import some

__all__ = ["check_sheet_names", "workbook"]

_WIDEST = 40  # characters of a column
# Excel's own limits; the first row has the headers.
_MOST_ROWS = 1_048_576 - 1
_MOST_COLUMNS = 16_384
_LONGEST = 32_767


def check_sheet_names(names: Iterable) -> None:
    """Raise unless Excel takes the names for sheets and can tell them apart."""
    names = [str(name) for name in names]
    bad = [name for name in names if not _is_sheet_name(name)]
    if bad:
        raise ValueError(
            "Excel takes sheet names of 1 to 31 characters without []:*?/\\ or quotation marks at "
            f"the ends, and not 'History'; not {some(bad)}"
        )
    folded = [name.casefold() for name in names]
    alike = [name for name in names if folded.count(name.casefold()) > 1]
    if alike:
        raise ValueError(
            f"Excel could not tell apart the sheets {some(alike)}; Excel ignores case. "
            "Give them other names"
        )


def _is_sheet_name(name: str) -> bool:
    return (
        0 < len(name) <= 31
        and not set("[]:*?/\\") & set(name)
        and name.strip("'") == name
        and name.casefold() != "history"
    )


def workbook(tables: Mapping[str, pd.DataFrame]) -> bytes:
    """Return a workbook with a sheet for each table, and for their attrs the sheet ``about``.

    Parameters
    ----------
    tables : mapping of str to pandas.DataFrame
        By the name of the sheet. Indices are left out.

    Returns
    -------
    bytes
        The content of the ``.xlsx`` file.

    Raises
    ------
    ValueError
        If a sheet cannot hold a table.

    Examples
    --------
    >>> workbook({"results": pd.DataFrame({"school": ["0009"]})})[:2]
    b'PK'
    """
    from openpyxl.utils.exceptions import IllegalCharacterError

    about = pd.DataFrame(
        [(sheet, name, value) for sheet, t in tables.items() for name, value in t.attrs.items()],
        columns=["sheet", "name", "value"],
    )
    if len(about) and "about" not in {str(sheet).casefold() for sheet in tables}:
        tables = {**tables, "about": about}
    for sheet, table in tables.items():
        _check_table(sheet, table)
    content = io.BytesIO()
    with pd.ExcelWriter(content, engine="openpyxl") as writer:
        for sheet, table in tables.items():
            try:
                table.to_excel(writer, sheet_name=str(sheet), index=False, freeze_panes=(1, 1))
            except IllegalCharacterError as error:
                raise ValueError(f"Excel takes no control characters: {error}") from None
            _lay_out(writer.sheets[str(sheet)], table)
    return content.getvalue()


def _check_table(sheet: str, table: pd.DataFrame) -> None:
    rows, columns = table.shape
    if rows > _MOST_ROWS or columns > _MOST_COLUMNS:
        raise ValueError(
            f"{sheet!r} has {rows:,} rows and {columns:,} columns, and a sheet of Excel holds "
            f"{_MOST_ROWS:,} below its headers and {_MOST_COLUMNS:,}; save it as .csv, or in parts"
        )
    if table.columns.nlevels > 1:
        raise ValueError(
            f"{sheet!r} has headers of {table.columns.nlevels} levels, and a sheet has one; "
            "join them, for example table.columns = table.columns.map('_'.join)"
        )
    for column, (_, values) in zip(table.columns, table.items(), strict=True):
        if not pd.api.types.is_numeric_dtype(values) and any(
            isinstance(value, str) and len(value) > _LONGEST for value in values
        ):
            raise ValueError(
                f"column {column!r} of {sheet!r} has texts of more than {_LONGEST:,} characters, "
                "which Excel cuts off; shorten them, or save it as .csv"
            )


def _lay_out(sheet, table: pd.DataFrame) -> None:
    """Make text of what is text, give numbers three decimals and columns their width."""
    # To freeze the first row and column makes a second column where there is none.
    cells_of = sheet.iter_cols(max_col=max(table.shape[1], 1))
    for column, dtype, cells in zip(table.columns, table.dtypes, cells_of, strict=False):
        decimals = pd.api.types.is_float_dtype(dtype)
        for cell in cells:
            # openpyxl takes a label such as "=1+1" for a formula, and "#N/A" for an error.
            if cell.data_type in "fe":
                cell.data_type = "s"
        for cell in cells[1:] if decimals else ():
            cell.number_format = "0.000"
        shown = [str(column)] if decimals else [str(cell.value) for cell in cells]
        width = min(max(map(len, shown)) + 2, _WIDEST)
        sheet.column_dimensions[cells[0].column_letter].width = width
