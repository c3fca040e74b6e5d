"""Tables people keep: what is read back is what was saved, codes and all."""

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
