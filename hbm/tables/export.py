"""Tables people keep: results as CSV or Excel files, with names beside the codes."""

import io
from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from hbm.tables.files import write_whole
from hbm.tables.labels import label_text, require_columns
from hbm.tables.words import some

__all__ = ["save_table"]

_WIDEST = 40  # characters of an Excel column


def save_table(
    table: pd.DataFrame | Mapping[str, pd.DataFrame],
    path: str | Path,
    *,
    names: pd.DataFrame | None = None,
) -> Path:
    """Save a table of results, or several as the sheets of one workbook.

    Parameters
    ----------
    table : pandas.DataFrame or mapping of str to pandas.DataFrame
        For example what `hbm.shrinkage` or `hbm.ranks` returns. A mapping names the sheets of an
        Excel workbook.
    path : str or pathlib.Path
        Where to: the ending, ``.csv`` or ``.xlsx``, says how. Folders are made; a file that is
        there is replaced.
    names : pandas.DataFrame, optional
        A table that names the codes, such as the one of `hbm.exam_table` the model took: for each
        column of labels, say ``school``, its ``school_name`` is put beside it.

    Returns
    -------
    pathlib.Path
        The file.

    Raises
    ------
    TypeError
        If `table` is not a data frame or a mapping of them.
    ValueError
        If the ending is another, several tables are to go into one CSV file, Excel does not take
        a sheet's name or a control character, or `names` lacks a label or names one twice.
    OSError
        If the file cannot be written. A file that was there before is left as it was.

    Notes
    -----
    Codes such as ``0009`` are text and stay text. Nothing in a CSV file says so: Excel drops the
    zeros when it opens one, so give people the ``.xlsx``; pandas reads them back with
    ``dtype={"school": str}``. Numbers are kept in full; the workbook shows three decimals. Its last
    sheet, ``about``, holds the tables' ``attrs``, such as the probability of the intervals.

    Examples
    --------
    >>> import tempfile
    >>> table = pd.DataFrame({"school": ["0009", "0012"], "mean": [0.61, 0.74]})
    >>> names = pd.DataFrame({"school": ["0012", "0009"], "school_name": ["Hill", "Lake"]})
    >>> file = save_table(table, tempfile.mkdtemp() + "/schools.csv", names=names)
    >>> print(file.read_text().strip())
    school,school_name,mean
    0009,Lake,0.61
    0012,Hill,0.74
    """
    path = Path(path)
    tables = dict(table) if isinstance(table, Mapping) else {"results": table}
    for sheet, each in tables.items():
        if not isinstance(each, pd.DataFrame):
            raise TypeError(f"{sheet!r} must be a pandas DataFrame, got {type(each).__name__}")
    ending = path.suffix.lower()
    if ending not in (".csv", ".xlsx"):
        raise ValueError(f"the file must end in .csv or .xlsx, got {path.name!r}")
    if not tables:
        raise ValueError("there is no table to save")
    bad = [s for s in tables if not 0 < len(str(s)) <= 31 or set("[]:*?/\\") & set(str(s))]
    if ending == ".xlsx" and bad:
        raise ValueError(
            f"Excel takes sheet names of 1 to 31 characters without []:*?/\\, not {some(bad)}"
        )
    if ending == ".csv" and len(tables) > 1:
        raise ValueError(
            f"a CSV file holds one table, not {len(tables)}: save them one by one, or as .xlsx"
        )
    tables = {sheet: _plain(each) for sheet, each in tables.items()}
    if names is not None:
        if not any(_named(each, names) for each in tables.values()):
            raise ValueError(
                "names must hold labels of the table and their names, such as 'school' and "
                f"'school_name'; it has: {', '.join(map(str, names.columns))}"
            )
        tables = {sheet: _with_names(each, names) for sheet, each in tables.items()}
    if ending == ".csv":
        (only,) = tables.values()
        content = only.to_csv(index=False, lineterminator="\n").encode()
    else:
        content = _workbook(tables)
    write_whole(content, path)
    return path


def _plain(table: pd.DataFrame) -> pd.DataFrame:
    """Make labels that are the index, as in `hbm.pairwise`, a column."""
    plain = table.reset_index() if table.index.name is not None else table.copy()
    plain.columns.name = None
    return plain


def _named(table: pd.DataFrame, names: pd.DataFrame) -> list[str]:
    return [c for c in table.columns if c in names and f"{c}_name" in names]


def _with_names(table: pd.DataFrame, names: pd.DataFrame) -> pd.DataFrame:
    for column in _named(table, names):
        require_columns(names, [column, f"{column}_name"])
        pairs = names[[column, f"{column}_name"]].assign(**{column: label_text(names, column)})
        pairs = pairs.drop_duplicates()
        by_label = pairs.set_index(column)[f"{column}_name"]
        twice = by_label.index[by_label.index.duplicated()].unique()
        if len(twice):
            raise ValueError(f"names gives more than one {column}_name to {some(twice)}")
        labels = label_text(table, column)
        missing = labels[~labels.isin(by_label.index)].unique()
        if len(missing):
            raise ValueError(f"names has no {column} {some(missing)}")
        if f"{column}_name" not in table:
            at = table.columns.get_loc(column) + 1
            table.insert(at, f"{column}_name", labels.map(by_label))
    return table


def _workbook(tables: dict[str, pd.DataFrame]) -> bytes:
    from openpyxl.utils.exceptions import IllegalCharacterError

    about = pd.DataFrame(
        [(sheet, name, value) for sheet, t in tables.items() for name, value in t.attrs.items()],
        columns=["sheet", "name", "value"],
    )
    if len(about) and "about" not in tables:
        tables = {**tables, "about": about}
    content = io.BytesIO()
    with pd.ExcelWriter(content, engine="openpyxl") as workbook:
        for sheet, table in tables.items():
            try:
                table.to_excel(workbook, sheet_name=str(sheet), index=False, freeze_panes=(1, 1))
            except IllegalCharacterError as error:
                raise ValueError(f"Excel takes no control characters: {error}") from None
            for column, cells in zip(table, workbook.sheets[str(sheet)].columns, strict=True):
                decimals = pd.api.types.is_float_dtype(table[column])
                for cell in cells[1:] if decimals else ():
                    cell.number_format = "0.000"
                shown = [str(column)] if decimals else [str(cell.value) for cell in cells]
                width = min(max(map(len, shown)) + 2, _WIDEST)
                workbook.sheets[str(sheet)].column_dimensions[cells[0].column_letter].width = width
    return content.getvalue()
