"""The workbook reader, the table it gives the models, and the bundled data sets."""

import hashlib
import re
import runpy
import zipfile
from pathlib import Path

import numpy as np
import openpyxl
import pandas as pd
import pytest
from conftest import WORKBOOK

from hbm.tables import datasets, workbook
from hbm.tables.datasets import load_dataset, load_truth
from hbm.tables.exam_tables import exam_table
from hbm.tables.workbook import read_diploma

DATA = Path(__file__).resolve().parents[1] / "data"
KEYS = [
    "Diploma Course",
    "Authority Type",
    "Authority Code",
    "Authority Name",
    "School Code",
    "School Name",
]
MEASURES = [
    "Students Writing",
    "School Mark % Exc",
    "School Mark % Acc",
    "School Average %",
    "School Standard Deviation %",
    "Exam Mark % Exc",
    "Exam Mark Exc Sig",
    "Exam Mark % Acc",
    "Exam Mark Acc Sig",
    "Exam Average %",
    "Exam Standard Deviation %",
]
COLUMNS = [
    "course",
    "year",
    "authority_type",
    "authority",
    "authority_name",
    "school",
    "school_name",
    "n_students",
    "mean",
    "sd",
    "acceptable",
    "excellent",
    "school_mark_mean",
    "school_mark_sd",
    "school_mark_acceptable",
    "school_mark_excellent",
]
WILLOW = ["Public", "0020", "The Willow Division ", "0101", "Willow High"]
OAK = ["Separate", "0030", "The Oak Division", "0007", "École Oak"]
FIR = ["Private", "0400", "Fir Society", "0500", "Fir Academy"]
BLANK = ["n/a"] * 11


def marks(n, mean):
    """Return a year's eleven cells, all different."""
    return [str(n), "31.1", "95.2", "74.3", "12.4", "21.5", "=", "85.6", "n/a", str(mean), "15.8"]


def sheet_rows():
    """Return a small sheet in the layout of the later edition."""
    header = [*KEYS, *(f"{year} Sch {measure}" for year in (2015, 2016) for measure in MEASURES)]
    return [
        header,
        ["Physics 30", *WILLOW, *marks(20, "60.1"), *marks(21, "61.2")],
        ["Art 30", *WILLOW, *marks(6, "70.4"), *BLANK],
        ["Physics 30", *OAK, *BLANK, *marks(40, "55.5")],
        ["Physics 30", *FIR, *BLANK, *BLANK],
        ["Art 30", *FIR, *BLANK, *BLANK],
        ["1. A footnote.\n2. Another."],
    ]


def earlier_edition(header):
    """Return the headers of 2012–2016, whose first lacks both blanks and the rest the first."""
    header = [re.sub(r"^(\d{4}) Sch", r"\1Sch", cell) for cell in header]
    return [cell.replace("2015Sch Students", "2015SchStudents") for cell in header]


def cell(rows, row, header):
    """Return the place of a cell, to change it."""
    return rows[row], rows[0].index(header)


@pytest.fixture
def write(tmp_path):
    """Return a function that writes sheets of rows to a workbook."""

    def write(*sheets, name="results.xlsx", title="Diploma Examination Results"):
        workbook = openpyxl.Workbook()
        workbook.remove(workbook.active)
        for number, rows in enumerate(sheets):
            sheet = workbook.create_sheet(title + " x" * number)
            for row in rows:
                sheet.append(row)
        workbook.save(tmp_path / name)
        return tmp_path / name

    return write


@pytest.fixture(scope="module")
def simulated():
    return load_dataset("diploma")


def edit_part(path, part, change):
    """Rewrite one part of a zip archive."""
    with zipfile.ZipFile(path) as archive:
        contents = {name: archive.read(name) for name in archive.namelist()}
    contents[part] = change(contents[part])
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in contents.items():
            archive.writestr(name, content)


# Reading


def test_results_are_tidy(write):
    results = read_diploma(write(sheet_rows()))
    assert results.columns.tolist() == COLUMNS
    keys = results[["course", "year", "school", "n_students", "mean"]]
    # Courses by first appearance, then years, then the order of the sheet (not of the codes).
    assert keys.to_numpy().tolist() == [
        ["Physics 30", 2015, "0101", 20, 0.601],
        ["Physics 30", 2016, "0101", 21, 0.612],
        ["Physics 30", 2016, "0007", 40, 0.555],
        ["Art 30", 2015, "0101", 6, 0.704],
    ]
    first = results.loc[0, COLUMNS[2:7]].tolist()
    assert first == ["Public", "0020", "The Willow Division", "0101", "Willow High"]
    shares = results.loc[0, COLUMNS[9:]].tolist()
    assert shares == pytest.approx([0.158, 0.856, 0.215, 0.743, 0.124, 0.952, 0.311], abs=1e-15)
    assert results.index.equals(pd.RangeIndex(4))
    assert results["year"].dtype.kind == results["n_students"].dtype.kind == "i"


def test_attrs_count_what_was_left_out(write):
    assert read_diploma(write(sheet_rows())).attrs == {
        "source": "results.xlsx",
        "sheet": "Diploma Examination Results",
        "n_rows": 5,
        "n_results": 4,
        "n_suppressed": 6,
        "n_footnotes": 1,
    }


def test_both_editions_read_alike(write):
    later, earlier = sheet_rows(), sheet_rows()
    earlier[0] = earlier_edition(earlier[0])
    assert earlier[0][6:8] == ["2015SchStudents Writing", "2015Sch School Mark % Exc"]
    pd.testing.assert_frame_equal(read_diploma(write(later)), read_diploma(write(earlier)))


def test_columns_are_found_by_name_on_any_sheet(write):
    rows = sheet_rows()
    expected = read_diploma(write(rows))
    order = np.random.default_rng(1).permutation(len(rows[0]))
    order = [0, *order[order != 0]]  # the footnote is in the first column of the sheet
    shuffled = [[row[k] for k in order] if len(row) > 1 else row for row in rows]
    shuffled[0] = [f" {header.upper()}\n" for header in shuffled[0]]
    shuffled.insert(2, [])
    path = write([["About this file"]], [[], *shuffled], title="Renamed")
    got = read_diploma(path)
    assert got.attrs.pop("sheet") == "Renamed x"
    assert expected.attrs.pop("sheet") == "Diploma Examination Results"
    pd.testing.assert_frame_equal(got, expected)
    assert got.attrs == expected.attrs


def test_numbers_and_blank_cells_are_read_like_text(write):
    rows = sheet_rows()
    expected = read_diploma(write(rows))
    typed = [rows[0]]
    for row in rows[1:-1]:
        typed.append(row[:6] + [None if value == "n/a" else value for value in row[6:]])
        for k, value in enumerate(typed[-1]):
            if value and re.fullmatch(r"[\d.]+", value):
                typed[-1][k] = float(value) if "." in value else int(value)
    typed[2][6:] = [" N/A " if value is None else value for value in typed[2][6:]]
    got = read_diploma(write([*typed, rows[-1]]))
    assert isinstance(typed[1][2], int)  # codes lost their zeros, and get them back
    pd.testing.assert_frame_equal(got, expected)


def test_path_may_be_text(write):
    path = write(sheet_rows())
    pd.testing.assert_frame_equal(read_diploma(str(path)), read_diploma(path))


def test_wrong_claim_of_size_does_not_cut_rows(write):
    path = write(sheet_rows())
    expected = read_diploma(path)

    def shrink(xml):
        assert b'<dimension ref="A1:' in xml
        return re.sub(rb'<dimension ref="[^"]*"', b'<dimension ref="A1:B2"', xml)

    edit_part(path, "xl/worksheets/sheet1.xml", shrink)
    pd.testing.assert_frame_equal(read_diploma(path), expected)


def test_scattered_blank_rows_are_passed_over(write, monkeypatch):
    rows = sheet_rows()
    expected = read_diploma(write(rows))
    spread = [line for row in rows for line in ([], row)]
    monkeypatch.setattr(workbook, "_MAX_BLANK_ROWS", 2)
    pd.testing.assert_frame_equal(read_diploma(write(spread)), expected)


def test_reading_ends_after_many_blank_rows(write):
    path = write(sheet_rows())
    expected = read_diploma(path)
    beyond = b'<row ht="15"/>' * 1_000_000 + b'<row><c t="str"><v>not reached</v></c></row>'
    part = "xl/worksheets/sheet1.xml"
    edit_part(path, part, lambda xml: xml.replace(b"</sheetData>", beyond + b"</sheetData>"))
    got = read_diploma(path)
    pd.testing.assert_frame_equal(got, expected)
    assert got.attrs["n_footnotes"] == 1


# Workbooks that are refused


def set_cell(row, header, value):
    def change(rows):
        line, column = cell(rows, row, header)
        line[column] = value

    return change


def set_cells(row, start, stop, value):
    def change(rows):
        rows[row][start:stop] = [value] * (stop - start)

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            set_cell(3, "2016 Sch Exam Average %", "64?"),
            r"row 4, column '2016 Sch Exam Average %': '64\?' where a percentage from 0 to 100",
        ),
        (set_cell(1, "2015 Sch Exam Mark % Acc", "104.0"), "row 2, .*'104.0' where a percentage"),
        (set_cell(1, "2015 Sch School Average %", -1), "row 2, .*: -1 where a percentage"),
        (set_cell(1, "2015 Sch Exam Average %", "nan"), "'nan' where a percentage"),
        (set_cell(1, "2015 Sch Exam Average %", "6_0"), "'6_0' where a percentage"),
        (set_cell(1, "2015 Sch Exam Average %", True), "True where a percentage"),
        (set_cell(1, "2015 Sch Exam Average %", "=B2+1"), r"the formula '=B2\+1' where a perc"),
        (set_cell(1, "2015 Sch Students Writing", "20.5"), "'20.5' where a whole number of stud"),
        (set_cell(1, "2015 Sch Students Writing", 0), "column '2015 Sch Students Writing': 0 whe"),
        (set_cell(1, "2015 Sch Students Writing", "inf"), "'inf' where a whole number"),
        (
            set_cell(1, "2016 Sch Exam Standard Deviation %", "n/a"),
            "row 2, column '2016 Sch Exam Standard Deviation %': 'n/a', while '2016 Sch Students "
            "Writing' is '21'; a year is published whole",
        ),
        (
            set_cell(4, "2015 Sch School Average %", "70.0"),
            "row 5, column '2015 Sch School Average %': '70.0', while '2015 Sch Students "
            "Writing' is 'n/a'",
        ),
        (set_cell(1, "School Code", None), "row 2, column 'School Code': None where text"),
        (set_cell(1, "School Code", 1.5), "row 2, column 'School Code': 1.5 where text"),
        (set_cell(1, "School Name", "=A1"), "'School Name': the formula '=A1' where text"),
        (set_cell(3, "Authority Name", "n/a"), "column 'Authority Name': 'n/a' where text"),
        (set_cell(3, "School Code", "0101"), "school '0101' occurs in Physics 30 in the rows 2, 4"),
        (set_cells(2, 1, 28, None), "row 3, column 'Diploma Course': only this cell .* row 6"),
        (set_cell(0, "2016 Sch Exam Average %", "2016 Exam Average"), "lacks '2016 Sch Exam Ave"),
        (
            set_cell(0, "School Code", "School Cod"),
            "lacks 'School Code'; did you mean 'School Cod'",
        ),
        (set_cell(0, "School Name", "School code"), "has the column 'School code' twice"),
        (
            set_cell(0, "2016 Sch Exam Average %", "2015Sch Exam Average %"),
            "has the column '2015Sch Exam Average %' twice",
        ),
        (set_cells(0, 6, 28, None), "lacks '2015 Sch Students Writing', .* and 6 more columns"),
        (set_cells(0, 0, 6, None), "no sheet has the header 'Diploma Course' in its first row"),
    ],
)
def test_bad_cells_are_named(write, change, message):
    rows = sheet_rows()
    change(rows)
    with pytest.raises(ValueError, match=message):
        read_diploma(write(rows))


def test_array_formula_is_refused(write):
    rows = sheet_rows()
    formula = openpyxl.worksheet.formula.ArrayFormula("G2", "=SUM(H2:I2)")
    set_cell(1, "2015 Sch Students Writing", formula)(rows)
    with pytest.raises(ValueError, match=r"the formula '=SUM\(H2:I2\)' where a whole number"):
        read_diploma(write(rows))


def test_proportions_are_refused(write):
    rows = sheet_rows()
    for line, header in [(1, 2015), (1, 2016), (2, 2015), (3, 2016)]:
        set_cell(line, f"{header} Sch Exam Average %", "0.62")(rows)
    with pytest.raises(ValueError, match="no exam average is above 1; percentages are expected"):
        read_diploma(write(rows))


def test_sheets_that_do_not_fit(write):
    with pytest.raises(ValueError, match="'Totals' begins with 'Course', 'Mean'"):
        read_diploma(write([["Course", "Mean"], ["Art", 1]], title="Totals"))
    with pytest.raises(ValueError, match="'Empty' is blank"):
        read_diploma(write([], title="Empty"))
    with pytest.raises(ValueError, match="several sheets of results: 'This', 'This x'; keep one"):
        read_diploma(write(sheet_rows(), sheet_rows(), title="This"))
    with pytest.raises(ValueError, match="has headers but no rows below"):
        read_diploma(write(sheet_rows()[:1]))
    with pytest.raises(ValueError, match="has headers but no rows of results"):
        read_diploma(write([sheet_rows()[0], ["1. A footnote"]]))


def test_merged_headers_are_refused(write):
    path = write(sheet_rows())
    workbook = openpyxl.load_workbook(path)
    workbook.active.merge_cells("J1:L1")
    workbook.save(path)
    with pytest.raises(ValueError, match="lacks '2015 Sch Exam Mark % Exc'"):
        read_diploma(path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", r"is empty \(0 bytes\)"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1 and so on", "password-protected .* or .* old .xls"),
        (b"\xef\xbb\xbf\n <!DOCTYPE html><html></html>", "is a web page or XML file"),
        (b"Diploma Course,Authority Type\n", "not an .xlsx workbook; it begins with b'Diploma"),
    ],
)
def test_other_kinds_of_file_are_named(tmp_path, content, message):
    path = tmp_path / "results.xlsx"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=message):
        read_diploma(path)


def test_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no workbook '.*nowhere.xlsx'; check the path"):
        read_diploma(tmp_path / "nowhere.xlsx")


@pytest.mark.parametrize("kind", [str, Path])
@pytest.mark.parametrize("address", ["https://example.org/results.xlsx", "FTP://x/a", "s3://b/c"])
def test_addresses_are_no_files(address, kind):
    with pytest.raises(
        ValueError, match=r"an address: read_diploma reads files; download it first"
    ):
        read_diploma(kind(address))


def test_damaged_files(write, tmp_path):
    path = write(sheet_rows())
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ValueError, match=r"results.xlsx is cut short or damaged .* download"):
        read_diploma(path)
    path.write_bytes(whole)
    edit_part(path, "xl/worksheets/sheet1.xml", lambda xml: xml[: len(xml) // 2])
    with pytest.raises(ValueError, match=r"may be damaged or of another kind \(ParseError: "):
        read_diploma(path)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("readme.txt", "not a workbook")
    with pytest.raises(ValueError, match=r"may be damaged or of another kind \(KeyError: "):
        read_diploma(path)


def test_size_is_bounded(write, monkeypatch):
    path = write(sheet_rows())
    with path.open("rb") as file, monkeypatch.context() as patch:
        patch.setattr(workbook, "_MAX_ROWS", 5)
        with pytest.raises(ValueError, match="has more than 5 rows"):
            read_diploma(path)
        patch.setattr(workbook, "_MAX_ROWS", 6)
        assert len(read_diploma(file.name)) == 4
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("xl/media/image1.png", bytes(65 * 1024**2))
    assert path.stat().st_size < 1024**2
    with pytest.raises(ValueError, match="unpacks to 65 MB, more than the 64 MB allowed"):
        read_diploma(path)


# The real workbook


def test_real_workbook(diploma):
    assert diploma.columns.tolist() == COLUMNS
    assert diploma.attrs == {
        "source": WORKBOOK.name,
        "sheet": "Diploma Examination Results",
        "n_rows": 5232,
        "n_results": 16111,
        "n_suppressed": 10049,
        "n_footnotes": 1,
    }
    assert diploma["course"].nunique() == 12
    assert diploma["n_students"].min() == 6
    values = diploma.set_index(["course", "school", "year"])[COLUMNS[7:]]
    # Looked up in the workbook by eye.
    first = [102, 0.721, 0.157, 0.922, 0.392, 0.742, 0.137, 0.98, 0.451]
    assert values.loc[("Biology 30", "0012", 2015)].tolist() == pytest.approx(first)
    last = [7, 0.723, 0.154, 0.857, 0.429, 0.857, 0.033, 1.0, 1.0]
    assert values.loc[("Social Studies 30-2", "9988", 2019)].tolist() == pytest.approx(last)


def test_real_exam_table(diploma):
    table = exam_table(diploma, course="Mathematics 30-1", year=2016)
    assert (len(table), table["authority"].nunique()) == (318, 89)
    table = exam_table(diploma, course="Mathematics 30-1", year=2016, min_students=30)
    assert (len(table), table["authority"].nunique()) == (141, 56)
    assert table.loc[0].tolist()[4:7] == [113, 0.639, 0.2]
    assert table["acceptable"].between(0, 1).all()
    assert (table["excellent"] <= table["acceptable"]).all()


# The table for the models


def test_exam_table_is_one_row_per_school_in_order(write):
    results = read_diploma(write(sheet_rows()))
    before = results.copy(deep=True)
    table = exam_table(results, course="Physics 30", year=2016)
    shares = [0.158, 0.856, 0.215]
    expected = pd.DataFrame(
        [
            ["0101", "Willow High", "0020", "The Willow Division", 21, 0.612, *shares, "Public"],
            ["0007", "École Oak", "0030", "The Oak Division", 40, 0.555, *shares, "Separate"],
        ],
        columns=[
            "school",
            "school_name",
            "authority",
            "authority_name",
            "n_students",
            "mean",
            "sd",
            "acceptable",
            "excellent",
            "authority_type",
        ],
    )
    pd.testing.assert_frame_equal(table, expected)
    assert table.attrs == {}
    only = exam_table(results, course="Physics 30", year=2016, min_students=np.int64(40))
    pd.testing.assert_frame_equal(only, expected[1:].reset_index(drop=True))
    table["mean"] = 0.0
    pd.testing.assert_frame_equal(results, before)
    assert results.attrs == before.attrs


def test_exam_table_does_without_what_no_model_needs(write):
    results = read_diploma(write(sheet_rows()))
    whole = exam_table(results, course="Physics 30", year=2016)
    for absent in (["excellent"], ["acceptable", "excellent", "authority_type"]):
        table = exam_table(results.drop(columns=absent), course="Physics 30", year=2016)
        pd.testing.assert_frame_equal(table, whole.drop(columns=absent))
    twice = pd.concat([results, results["excellent"]], axis=1)
    with pytest.raises(ValueError, match="2 columns named 'excellent'"):
        exam_table(twice, course="Physics 30", year=2016)


def test_exam_table_names_what_is_there(write):
    results = read_diploma(write(sheet_rows()))
    with pytest.raises(ValueError, match=r"no course 'Phisics 30' .*; did you mean 'Physics 30'"):
        exam_table(results, course="Phisics 30", year=2016)
    with pytest.raises(ValueError, match=r"results\. The courses are: 'Physics 30', 'Art 30'"):
        exam_table(results, course=None, year=2016)
    with pytest.raises(ValueError, match=r"no year 2016 in the results of Art 30. .* are: 2015$"):
        exam_table(results, course="Art 30", year=2016)
    for year in ("2016", None):
        with pytest.raises(TypeError, match=rf"year must be a whole number, .* 2016, not {year!r}"):
            exam_table(results, course="Physics 30", year=year)
    text = results.astype({"year": str})
    assert len(exam_table(text, course="Physics 30", year="2016")) == 2
    with pytest.raises(TypeError, match=r"'year' holds text: .* results\['year'\]\.astype\(int\)"):
        exam_table(text, course="Physics 30", year=2016)
    assert len(exam_table(results, course="Physics 30", year=np.float64(2016))) == 2
    with pytest.raises(ValueError, match="has 41 students or more; the largest has 40"):
        exam_table(results, course="Physics 30", year=2016, min_students=41)
    with pytest.raises(TypeError, match=r"min_students must be an integer, got 30\.0"):
        exam_table(results, course="Physics 30", year=2016, min_students=30.0)
    with pytest.raises(ValueError, match=r"lack the columns 'sd'; they have .*read_diploma"):
        exam_table(results.drop(columns="sd"), course="Physics 30", year=2016)
    with pytest.raises(TypeError, match="must be a pandas DataFrame, got str"):
        exam_table("results.xlsx", course="Physics 30", year=2016)
    joined = pd.concat([results, results[results["school"] == "0007"]])
    with pytest.raises(ValueError, match="more than once in Physics 30, 2016: '0007'"):
        exam_table(joined, course="Physics 30", year=2016)


# The bundled data sets


@pytest.mark.parametrize(
    ("name", "columns", "groups"),
    [
        ("heights", ["country", "height"], {"country": [20] * 4}),
        ("scores", ["school", "score"], {"school": [20] * 5}),
        (
            "nested_scores",
            ["district", "school", "score"],
            {"district": [60] * 3, "school": [20] * 9},
        ),
    ],
)
def test_article_data(name, columns, groups):
    table, truth = load_dataset(name), load_truth(name)
    assert table.columns.tolist() == columns
    for column, sizes in groups.items():
        assert all(type(label) is str for label in table[column])
        assert table.groupby(column).size().tolist() == sizes
        assert truth[column].drop_duplicates().tolist() == table[column].drop_duplicates().tolist()
    assert table[columns[-1]].dtype == float


def test_simulated_diploma(simulated):
    assert simulated.columns.tolist() == COLUMNS
    assert simulated.attrs["source"] == "simulated-diploma.xlsx"
    assert simulated["course"].nunique() == 4
    assert sorted(set(simulated["year"])) == [2015, 2016, 2017, 2018, 2019]
    table = exam_table(simulated, course="Mathematics 30-1", year=2016)
    assert (len(table), table["authority"].nunique()) == (307, 90)
    assert simulated["school"].str.fullmatch(r"\d{4}").all()
    assert simulated["school"].str.startswith("0").any()
    schools = simulated[["school", "school_name"]].drop_duplicates()
    assert schools["school"].is_unique
    assert schools["school_name"].duplicated().sum() == 2


def test_simulated_diploma_agrees_with_its_truth(simulated, maker):
    truth = load_truth("diploma")
    keys = ["course", "year", "authority", "school"]
    pd.testing.assert_frame_equal(truth[keys], simulated[keys])
    # Of n rounded Beta marks, published to a tenth of a percent: around the mean of their cohort
    # as of independent students, around that of the school with the course's design effect.
    size = simulated["n_students"] * (truth["nu"] + 1)
    excess = truth["course"].map({c.name: c.design_effect - 1 for c in maker["COURSES"]})
    for name, variance in (("cohort_mean", 1 / size), ("mean", (1 + excess) / (size + excess))):
        error = np.sqrt(truth[name] * (1 - truth[name]) * variance)
        z = (simulated["mean"] - truth[name]) / error
        of_courses = z.groupby(truth["course"])
        rows = of_courses.size()
        assert (of_courses.mean().abs() < 4 / np.sqrt(rows)).all()
        assert ((of_courses.std() - 1).abs() < 4 / np.sqrt(2 * rows)).all()
    between = truth["mean"].groupby([truth["course"], truth["year"]]).std()
    assert between.between(0.02, 0.15).all()


def test_load_dataset_returns_a_new_copy(simulated):
    changed = load_dataset("diploma")
    changed["mean"] = 0.0
    changed.attrs["source"] = "changed"
    pd.testing.assert_frame_equal(load_dataset("diploma"), simulated)
    assert load_dataset("diploma").attrs["source"] == "simulated-diploma.xlsx"


@pytest.mark.parametrize("load", [load_dataset, load_truth])
def test_unknown_dataset(load):
    with pytest.raises(
        ValueError,
        match=r"no data set 'nested_score'; did you mean 'nested_scores'\? The data sets are: "
        "'heights', 'scores', 'nested_scores', 'diploma'",
    ):
        load("nested_score")


def test_bundled_files_are_found_in_a_wheel_and_in_a_checkout(tmp_path, monkeypatch):
    assert datasets._data_folder() in {DATA, Path(datasets.__file__).parents[1] / "_data"}
    package = tmp_path / "hbm"
    for folder, score in ((tmp_path / "data", 0.25), (package / "_data", 0.75)):
        folder.mkdir(parents=True)
        (folder / "scores.csv").write_text(f"school,score\n01,{score}\n")
        monkeypatch.setattr(datasets, "__file__", str(package / "tables" / "datasets.py"))
        assert load_dataset("scores").to_dict("list") == {"school": ["01"], "score": [score]}


# The files and the scripts that make them


def test_listed_checksums_are_those_of_the_files():
    text = (DATA / "README.md").read_text(encoding="utf-8")
    listed = dict(re.findall(r"^\| `([^`]+)` \| `([0-9a-f]{64})` \|", text, flags=re.MULTILINE))
    files = {path.name: path for path in DATA.iterdir() if path.suffix in {".csv", ".xlsx"}}
    assert listed == {
        name: hashlib.sha256(path.read_bytes()).hexdigest() for name, path in files.items()
    }


def test_article_files_are_made_again_byte_for_byte():
    files = runpy.run_path(str(DATA / "make_article_data.py"))["files"]()
    assert len(files) == 6
    for name, text in files.items():
        assert (DATA / name).read_bytes() == text.encode()


@pytest.fixture(scope="module")
def maker():
    return runpy.run_path(str(DATA / "make_diploma.py"))


@pytest.fixture(scope="module")
def simulated_cells():
    path = DATA / "simulated-diploma.xlsx"
    with path.open("rb") as file:
        sheet = openpyxl.load_workbook(file, read_only=True).worksheets[0]
        return sheet.title, [list(row) for row in sheet.iter_rows(values_only=True)]


def test_simulated_workbook_is_made_again(maker, simulated_cells):
    # Cells, not bytes: those depend on the versions of openpyxl and zlib.
    rows, truth = maker["simulate"]()
    _, cells = simulated_cells
    assert cells[1:-1] == rows
    rounded = truth.round(maker["DECIMALS"])
    pd.testing.assert_frame_equal(rounded, load_truth("diploma"), check_dtype=False)


def test_workbook_has_no_date_of_its_own(maker, tmp_path):
    maker["write_workbook"]([["Art 30"]], tmp_path / "made.xlsx")
    with zipfile.ZipFile(tmp_path / "made.xlsx") as archive:
        assert {entry.date_time[0] for entry in archive.infolist()} == {2000}
        stamps = re.findall(rb"\d{4}-\d\d-\d\dT", archive.read("docProps/core.xml"))
    assert stamps == [b"2000-01-01T"] * 2


def test_simulated_workbook_says_so_and_is_text(simulated_cells):
    _, (header, *rows, footnote) = simulated_cells
    assert footnote[0].startswith("1. SIMULATED DATA.")
    assert footnote[1:] == [None] * 60
    assert all(type(value) is str for row in [header, *rows] for value in row)
    blocks = [tuple(row[k : k + 11]) for row in rows for k in range(6, 61, 11)]
    published = [block for block in blocks if block[0] != "n/a"]
    assert {block for block in blocks if block[0] == "n/a"} == {("n/a",) * 11}
    assert min(int(block[0]) for block in published) == 6
    assert {block[k] for block in published for k in (6, 8)} == {"+", "=", "-", "n/a"}
    decimals = [k for k in range(1, 11) if k not in (6, 8)]
    assert all(re.fullmatch(r"\d+\.\d", block[k]) for block in published for k in decimals)


def test_simulated_workbook_has_the_real_layout(diploma, simulated, simulated_cells):
    with WORKBOOK.open("rb") as file:
        sheet = openpyxl.load_workbook(file, read_only=True).worksheets[0]
        real = next(sheet.iter_rows(values_only=True))
    title, cells = simulated_cells
    assert title == sheet.title
    assert cells[0] == list(real)
    keys = [(row[2], row[4], row[0]) for row in cells[1:-1]]
    assert keys == sorted(keys)  # as the real workbook is sorted
    for column in ("school_name", "authority_name"):
        assert set(simulated[column]).isdisjoint(diploma[column])


SIZES = {"6–15": (6, 15), "15–40": (15, 40), "40–100": (40, 100), "100+": (100, np.inf)}


def successive(results, course, least, most):
    """Return how means of successive years correlate, less those of their years, of how many."""
    table = results.loc[results["course"] == course, ["school", "year", "n_students", "mean"]]
    off = table["mean"] - table.groupby("year")["mean"].transform("mean")
    table = table.assign(off=off)
    pairs = table.merge(table.assign(year=table["year"] - 1), on=["school", "year"])
    size = np.sqrt(pairs["n_students_x"] * pairs["n_students_y"])
    pairs = pairs[(size >= least) & (size < most)]
    return np.corrcoef(pairs["off_x"], pairs["off_y"])[0, 1], pairs["school"].nunique()


@pytest.mark.parametrize("size", SIZES)
def test_simulated_years_follow_each_other_as_the_real_ones_do(diploma, simulated, size):
    """Small schools' means vary from year to year, and large ones' last, as in the real workbook.

    Pairs of years of one school are not independent, so errors go by the number of schools.
    """
    for course in simulated["course"].unique():
        (r, n), (real, n_real) = (successive(x, course, *SIZES[size]) for x in (simulated, diploma))
        error = np.sqrt(1 / (n - 3) + 1 / (n_real - 3))
        away = (np.arctanh(r) - np.arctanh(real)) / error  # Fisher's z
        assert abs(away) < 3, f"{course}: {r:.2f}, and {real:.2f} in the real workbook"
