"""Tables people keep: what is read back is what was saved, codes and all."""

import numpy as np
import openpyxl
import pandas as pd
import pytest

from hbm.tables.export import save_table


def results():
    table = pd.DataFrame(
        {
            "school": ["0012", "0009", "0100"],
            "authority": ["0020", "0020", "1000"],
            "n_students": [12, 30, 7],
            "mean": [1 / 3, 0.61, 0.745],
            "only_child": [False, False, True],
        }
    )
    table.attrs = {"group": "school", "prob": 0.95}
    return table


def exam_names():
    return pd.DataFrame(
        {
            "school": ["0009", "0012", "0100", "7777"],
            "school_name": ["Lake", "École Hill", "Plain", "Elsewhere"],
            "authority": ["0020", "0020", "1000", "1000"],
            "authority_name": ["North", "North", "South", "South"],
        }
    )


def test_csv_is_read_back_as_it_was(tmp_path):
    file = save_table(results(), tmp_path / "a" / "new" / "results.csv")
    assert file == tmp_path / "a" / "new" / "results.csv"
    back = pd.read_csv(file, dtype={"school": str, "authority": str})
    pd.testing.assert_frame_equal(back, results())


def test_excel_keeps_codes_as_text_and_numbers_in_full(tmp_path):
    file = save_table(results(), tmp_path / "results.xlsx", names=exam_names())
    back = pd.read_excel(file, dtype={"school": str, "authority": str})
    expected = results()
    expected.insert(1, "school_name", ["École Hill", "Lake", "Plain"])
    expected.insert(3, "authority_name", ["North", "North", "South"])
    pd.testing.assert_frame_equal(back, expected)
    workbook = openpyxl.load_workbook(file)
    sheet = workbook["results"]
    assert [(cell.value, cell.data_type) for cell in sheet["A"][1:]] == [
        ("0012", "s"),
        ("0009", "s"),
        ("0100", "s"),
    ]
    assert sheet["F2"].value == 1 / 3
    assert sheet["F2"].number_format == "0.000"
    assert sheet["E2"].number_format == "General"
    assert sheet.freeze_panes == "B2"
    about = [[cell.value for cell in row] for row in workbook["about"].iter_rows(min_row=2)]
    assert about == [["results", "group", "school"], ["results", "prob", 0.95]]


def test_several_tables_are_sheets_and_one_without_labels_may_be_among_them(tmp_path):
    shares = pd.DataFrame({"level": ["school", "student"], "share": [0.2, 0.8]})
    file = save_table(
        {"schools": results(), "variance": shares}, tmp_path / "all.xlsx", names=exam_names()
    )
    back = pd.read_excel(file, sheet_name=None)
    assert list(back) == ["schools", "variance", "about"]
    pd.testing.assert_frame_equal(back["variance"], shares)
    assert "school_name" in back["schools"]


def test_labels_that_are_the_index_are_kept(tmp_path):
    labels = pd.Index(["0009", "0012"], name="school")
    pairs = pd.DataFrame([[None, 0.3], [0.7, None]], index=labels, columns=labels)
    file = save_table(pairs, tmp_path / "pairs.csv", names=exam_names())
    lines = file.read_text(encoding="utf-8").splitlines()
    assert lines == ["school,school_name,0009,0012", "0009,Lake,,0.3", "0012,École Hill,0.7,"]


@pytest.mark.parametrize("ending", ["csv", "xlsx"])
def test_arguments_are_not_changed(tmp_path, ending):
    table, names = results(), exam_names()
    save_table(table, tmp_path / f"results.{ending}", names=names)
    pd.testing.assert_frame_equal(table, results())
    pd.testing.assert_frame_equal(names, exam_names())
    assert table.attrs == results().attrs


@pytest.mark.parametrize(
    ("name", "tables", "message"),
    [
        ("a.ods", results(), r"must end in .csv or .xlsx, got 'a.ods'"),
        ("a.csv", {"one": results(), "two": results()}, "a CSV file holds one table, not 2"),
        ("a.xlsx", {}, "there is no table to save"),
        ("a.xlsx", {"a/b": results()}, r"Excel takes sheet names of 1 to 31 .* not 'a/b'"),
        ("a.xlsx", {"x" * 32: results()}, "Excel takes sheet names of 1 to 31"),
    ],
)
def test_what_cannot_be_saved_is_refused(tmp_path, name, tables, message):
    with pytest.raises(ValueError, match=message):
        save_table(tables, tmp_path / name)
    assert not (tmp_path / name).exists()


def test_what_is_no_table_is_refused(tmp_path):
    with pytest.raises(TypeError, match="'results' must be a pandas DataFrame, got list"):
        save_table([1, 2], tmp_path / "a.csv")
    with pytest.raises(TypeError, match="'one' must be a pandas DataFrame, got int"):
        save_table({"one": 1}, tmp_path / "a.xlsx")


def test_names_must_fit(tmp_path):
    with pytest.raises(ValueError, match="names has no school '0012'"):
        save_table(results(), tmp_path / "a.csv", names=exam_names().drop(index=1))
    with pytest.raises(ValueError, match=r"names must hold labels .* it has: town"):
        save_table(results(), tmp_path / "a.csv", names=pd.DataFrame({"town": ["x"]}))
    twice = pd.concat([exam_names(), exam_names().assign(school_name="Other")])
    with pytest.raises(ValueError, match="more than one school_name to '0009', '0012'"):
        save_table(results(), tmp_path / "a.csv", names=twice)


def comparison(**index):
    """Return a table as `hbm.compare` makes it: the models are its rows, under no name."""
    return pd.DataFrame({"elpd": [-1.5, -9.25], "weight": [0.75, 0.25]}, **index)


def read(file):
    return (pd.read_csv if file.suffix == ".csv" else pd.read_excel)(file)


@pytest.mark.parametrize("ending", ["csv", "xlsx"])
def test_rows_keep_their_names(tmp_path, ending):
    file = tmp_path / f"a.{ending}"
    models = ["nested", "no pooling"]
    back = read(save_table(comparison(index=models), file))
    pd.testing.assert_frame_equal(back, comparison().assign(name=models)[["name", *comparison()]])
    taken = comparison(index=models).assign(name="x")
    assert list(read(save_table(taken, file))) == ["row", "elpd", "weight", "name"]
    pairs = pd.MultiIndex.from_tuples([("a", 1), ("b", 2)], names=["model", "year"])
    assert list(read(save_table(comparison(index=pairs), file)))[:2] == ["model", "year"]
    shares = comparison(index=[0.1, 0.9])
    assert read(save_table(shares, file))["name"].tolist() == [0.1, 0.9]


@pytest.mark.parametrize("index", [pd.RangeIndex(2), pd.RangeIndex(4, 8, 2), pd.Index([7, 3])])
def test_numbers_of_rows_are_left_out_unless_they_have_a_name(tmp_path, index):
    file = save_table(comparison(index=index), tmp_path / "a.csv")
    assert list(read(file)) == ["elpd", "weight"]
    file = save_table(comparison(index=index.rename("year")), tmp_path / "a.csv")
    assert read(file)["year"].tolist() == index.tolist()


def test_an_index_that_is_a_column_too_is_written_once(tmp_path):
    table = results().set_index("school", drop=False)
    file = save_table(table, tmp_path / "a.csv", names=exam_names())
    assert list(read(file))[:3] == ["school", "school_name", "authority"]
    table.index = table.index[::-1]
    with pytest.raises(ValueError, match=r"'school' is a column and, with other values, the index"):
        save_table(table, tmp_path / "b.csv")


@pytest.mark.parametrize("rows", [0, 1, 3])
def test_one_column_is_a_table_too(tmp_path, rows):
    table = results()[["school"]].iloc[:rows]
    table.attrs = {}
    file = save_table(table, tmp_path / "a.xlsx")
    pd.testing.assert_frame_equal(pd.read_excel(file, dtype=str), table, check_dtype=False)
    both = pd.concat([results(), results()], axis=1)
    assert pd.read_excel(save_table(both, file)).shape == (3, 10)


def test_sheets_are_told_apart_as_excel_does(tmp_path):
    for sheets in (["League", "league"], [1, "1"]):
        with pytest.raises(ValueError, match=r"not tell apart the sheets .*; Excel ignores case"):
            save_table(dict.fromkeys(sheets, results()), tmp_path / "a.xlsx")
    for sheet in ("'quoted'", "History"):
        with pytest.raises(ValueError, match="Excel takes sheet names of 1 to 31 characters"):
            save_table({sheet: results()}, tmp_path / "a.xlsx")
    assert not list(tmp_path.iterdir())
    file = save_table({"About": results()}, tmp_path / "a.xlsx")
    assert list(pd.read_excel(file, sheet_name=None)) == ["About"]


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((1_048_576, 1), "'results' has 1,048,576 rows and 1 columns"),
        ((1, 16_385), "'results' has 1 rows and 16,385 columns"),
    ],
)
def test_what_no_sheet_can_hold_is_refused_at_once(tmp_path, monkeypatch, shape, message):
    monkeypatch.setattr(pd, "ExcelWriter", None)
    table = pd.DataFrame(np.zeros(shape, dtype="int8"))
    with pytest.raises(ValueError, match=f"{message}, and .* 1,048,575 .*; save it as .csv"):
        save_table(table, tmp_path / "a.xlsx")


def test_text_that_excel_would_cut_off_is_refused(tmp_path):
    table = results().assign(note=["x" * 32_767, "", ""])
    assert pd.read_excel(save_table(table, tmp_path / "a.xlsx"))["note"][0] == "x" * 32_767
    table.loc[1, "note"] = "x" * 32_768
    with pytest.raises(
        ValueError, match="column 'note' of 'results' has texts of more than 32,767"
    ):
        save_table(table, tmp_path / "b.xlsx")


def test_headers_of_several_levels_are_refused(tmp_path):
    table = pd.DataFrame([[1, 2]], columns=pd.MultiIndex.from_tuples([("a", "b"), ("a", "c")]))
    with pytest.raises(ValueError, match="'results' has headers of 2 levels"):
        save_table(table, tmp_path / "a.xlsx")


def test_no_label_becomes_a_formula(tmp_path):
    labels = ["=1+1", "#N/A", "=HYPERLINK()"]
    table = pd.DataFrame({"school": labels, "=A1": labels, "mean": [0.1, 0.2, 0.3]})
    table.attrs = {"=2+2": "=3+3"}
    names = pd.DataFrame({"school": labels, "school_name": ["=4+4", "#REF!", "Lake"]})
    workbook = openpyxl.load_workbook(save_table(table, tmp_path / "a.xlsx", names=names))
    kinds = {cell.data_type for sheet in workbook for row in sheet.iter_rows() for cell in row}
    assert kinds == {"s", "n"}
    assert [cell.value for cell in workbook["results"][1]] == [
        "school",
        "school_name",
        "=A1",
        "mean",
    ]
    assert [cell.value for cell in workbook["results"]["B"][1:]] == ["=4+4", "#REF!", "Lake"]
    assert [cell.value for cell in workbook["about"][2]] == ["results", "=2+2", "=3+3"]
