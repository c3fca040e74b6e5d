"""Tables people keep: results as CSV or Excel files, with names beside the codes."""

from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from hbm.tables.columns import require_columns
from hbm.tables.excel import check_sheet_names, workbook
from hbm.tables.files import write_whole
from hbm.tables.labels import label_text
from hbm.tables.messages import some

__all__ = ["save_table", "with_names"]


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
        there is replaced, and keeps its mode.
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
        a sheet's name, a control character or a table of this size, `names` lacks a label or names
        one twice, or there is a folder or a device where the file is to be.
    OSError
        If the file cannot be written. A file that was there before is left as it was.

    Notes
    -----
    Codes such as ``0009`` are text and stay text, as does a name that begins with ``=``. Nothing in
    a CSV file says so: Excel drops the zeros when it opens one, and takes the name for a formula,
    so give people the ``.xlsx``; pandas reads codes back with ``dtype={"school": str}``. Labels of
    rows, such as the models of `hbm.compare`, become the first column, under the index's name or
    else ``name``; whole numbers without a name are taken for numbers of rows, and left out. Numbers
    are kept in full; the workbook shows three decimals. Its last sheet, ``about``, holds the
    tables' ``attrs``, such as the probability of the intervals, unless a table of yours has its
    name.

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
    if ending == ".xlsx":
        check_sheet_names(tables)
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
        tables = {sheet: with_names(each, names) for sheet, each in tables.items()}
    if ending == ".csv":
        (only,) = tables.values()
        content = only.to_csv(index=False, lineterminator="\n").encode()
    else:
        content = workbook(tables)
    write_whole(content, path)
    return path


def _plain(table: pd.DataFrame) -> pd.DataFrame:
    """Make labels that are the index, as in `hbm.pairwise` or `hbm.compare`, a column."""
    index, name = table.index, table.index.name
    is_column = name is not None and name in table
    if is_column and not index.equals(pd.Index(table[name])):
        raise ValueError(
            f"{name!r} is a column and, with other values, the index; rename one, for example "
            "with table.rename_axis"
        )
    if index.nlevels == 1 and name is None and not pd.api.types.is_integer_dtype(index):
        free = next(word for word in ("name", "row", "index", "_") if word not in table)
        table = table.rename_axis(index=free)
    numbers = index.nlevels == 1 and table.index.name is None
    plain = table.reset_index(drop=is_column or numbers)
    plain.columns = plain.columns.set_names([None] * plain.columns.nlevels)
    return plain


def _named(table: pd.DataFrame, names: pd.DataFrame) -> list[str]:
    return [c for c in table.columns if c in names and f"{c}_name" in names]


def with_names(table: pd.DataFrame, names: pd.DataFrame) -> pd.DataFrame:
    """Put names beside the labels of a table, in place.

    Parameters
    ----------
    table : pandas.DataFrame
        Has columns of labels, such as ``school``.
    names : pandas.DataFrame
        Has the same columns, and their names, such as ``school_name``.

    Returns
    -------
    pandas.DataFrame
        The table.

    Raises
    ------
    ValueError
        If `names` lacks a label or names one twice.

    Examples
    --------
    >>> names = pd.DataFrame({"school": ["0012", "0009"], "school_name": ["Hill", "Lake"]})
    >>> with_names(pd.DataFrame({"school": ["0009"]}), names)
      school school_name
    0   0009        Lake
    """
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
