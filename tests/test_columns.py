"""Columns that hold no numbers say which rows, and mends that mend."""

import re

import numpy as np
import pandas as pd
import pytest

import hbm
from hbm.tables.columns import percentages, require_columns, require_numbers
from hbm.tables.grouped import read_individuals, read_summaries


def refusal(values, **settings):
    """Return what is said of a column of marks that are not numbers."""
    table = pd.DataFrame({"mark": values})
    with pytest.raises(TypeError, match=r"^column 'mark' must hold marks; it holds ") as refused:
        require_numbers(table, "mark", allowed="marks", ok=np.isfinite, **settings)
    return str(refused.value)


def mended(values, message):
    """Return the column after the assignment that a message proposes."""
    table = pd.DataFrame({"mark": values})
    exec(message[message.index("table['mark'] = ") :], {"table": table, "pandas": pd})
    return table["mark"].to_numpy(float, na_value=np.nan)


KINDS = {
    "object": lambda x: pd.Series(x, dtype=object),
    "str": lambda x: pd.Series(x, dtype="str"),
    "string": lambda x: pd.Series(x, dtype="string"),
    "category": lambda x: pd.Series(x, dtype="category"),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        (["0.5", " 1 ", "6e-1"], [0.5, 1.0, 0.6]),
        (["0,5", "1", ",6"], [0.5, 1.0, 0.6]),
        (["63,9 %", "70 %", "5%"], [0.639, 0.7, 0.05]),
        (["63.9%", "70%"], [0.639, 0.7]),
        (["1,234", "12", "1,234,567.5"], [1234.0, 12.0, 1234567.5]),
        (["1 234", "12", "1\u202f234\u00a0567"], [1234.0, 12.0, 1234567.0]),
        (["1.234,5", "1.234.567", "3"], [1234.5, 1234567.0, 3.0]),
        (["0.5", "*", "0.7"], [0.5, np.nan, 0.7]),
        (["0,5", "<6", "n/a"], [0.5, np.nan, np.nan]),
    ],
)
def test_the_mend_that_is_proposed_mends(kind, texts, expected):
    values = KINDS[kind](texts)
    np.testing.assert_allclose(mended(values, refusal(values)), expected)


def test_rows_that_are_no_numbers_are_named_with_their_kind():
    values = ["0.60"] * 50 + ["*", "0.61", "<6", "n/a", "", "absent"]
    message = refusal(values)
    assert "row 50 has '*', row 52 has '<6', row 53 has 'n/a', row 54 has ''" in message
    assert "suppressed or missing: drop these rows, or make them missing" in message
    assert "row 55 has 'absent' (no number)" in message
    assert "0.60" not in message
    names = pd.Series([f"'school {i}'" for i in range(56)])
    assert "'school 50' has '*', 'school 52' has '<6'" in refusal(values, names=names)


def test_only_some_of_many_rows_are_named():
    message = refusal(["*"] * 9 + ["1"])
    assert "row 4 has '*' and 4 more rows (suppressed" in message


def test_numbers_among_objects_are_not_held_against_them():
    assert "row 1 has '0,5' (decimal commas" in refusal([0.5, "0,5", None])
    values = pd.Series([0.5, None, 1], dtype=object)
    np.testing.assert_array_equal(mended(values, refusal(values)), [0.5, np.nan, 1])


def test_a_comma_that_may_be_either_is_said_to_be():
    assert "a comma for thousands, or for decimals" in refusal(["1,234", "2,345"])


@pytest.mark.parametrize(
    "values",
    [
        [True, False],
        [1 + 2j, 3],
        pd.Series([True, None], dtype="boolean"),
        pd.to_datetime(["2020-01-01", "2021-01-01"]),
        [[1, 2], {}],
        [b"0.5", b"0.6"],
        [True, "0.5"],
        pd.Series([10**400, 1], dtype=object),
    ],
)
def test_what_cannot_be_made_a_number_gets_no_such_advice(values):
    message = refusal(values)
    assert "to_numeric" not in message
    assert "for example" in message or "row 0 has" in message


def test_a_missing_number_is_said_to_be_missing():
    table = pd.DataFrame(
        {"school": ["a", "b"], "n_students": [5, 6], "mean": [np.nan, 0.6], "sd": [0.1, 0.1]}
    )
    with pytest.raises(ValueError, match=r"'mean' must hold .*; 'a' has nan") as refused:
        hbm.exams.partial_pooling(table)
    assert "drop the rows without a number, for example with table.dropna" in str(refused.value)
    assert "divide" not in str(refused.value)
    table["mean"] = [np.nan, 63.9]
    with pytest.raises(ValueError, match=r"divide .*; 'a' has nan, 'b' has 63\.9\. .* drop the r"):
        hbm.exams.partial_pooling(table)
    scores = pd.DataFrame({"score": [0.5, np.nan]})
    with pytest.raises(ValueError, match=r"row 1 has nan\. .* table\.dropna") as refused:
        hbm.article.single_school(scores)
    assert "divide" not in str(refused.value)


def test_a_mend_is_told_of_individuals_out_of_range_and_not_of_missing_ones():
    table = pd.DataFrame({"school": ["a", "b"], "score": [0.5, 63.9]})
    settings = {"by": "school", "allowed": "scores", "mend": percentages}
    with pytest.raises(
        ValueError, match=r"must hold scores \(divide percentages by 100\); row 1 has 63\.9$"
    ):
        read_individuals(table, "score", ok=lambda x: x < 1, **settings)
    with pytest.raises(ValueError, match=r"must hold scores; row 1 has nan\. .* drop the rows"):
        read_individuals(table.replace(63.9, np.nan), "score", ok=lambda x: x < 1, **settings)
    with pytest.raises(ValueError, match=r"must hold scores; row 1 has -3$"):
        read_individuals(table.replace(63.9, -3), "score", ok=lambda x: x > 0, **settings)
    # A missing score beside a percentage does not hide the mend of the latter.
    both = pd.concat([table, table.assign(score=np.nan)], ignore_index=True)
    with pytest.raises(ValueError, match=r"\(divide percentages by 100\); row 1 .* drop the rows"):
        read_individuals(both, "score", ok=lambda x: x < 1, **settings)


def test_labels_in_the_index_are_found_there():
    table = pd.DataFrame({"school": ["a", "b"], "mean": [0.5, 0.6]})
    for there in (table.set_index("school"), table.set_index(["school", "mean"])):
        with pytest.raises(ValueError, match=r"'school' is in the index.* table\.reset_index\(\)"):
            require_columns(there, ["school"])
    unnamed = table.set_index("school").rename_axis(None)
    with pytest.raises(ValueError, match=r"or, if the index holds it, .*rename_axis\('school'\)"):
        require_columns(unnamed, ["school"])
    with pytest.raises(ValueError, match=r"Rename the column that holds it$"):
        require_columns(table, ["authority"])
    results = hbm.load_dataset("diploma").set_index("school")
    with pytest.raises(ValueError, match=r"lack the columns 'school'.* index.*reset_index"):
        hbm.exam_table(results, course="Biology 30", year=2016)


@pytest.mark.parametrize("n", [2, 12])
def test_heights_without_spread_are_spoken_of_as_heights(n):
    table = pd.DataFrame(
        {"country": list("ab"), "n_people": [n, 9], "mean": [170.0, 180], "sd": [0, 7.0]}
    )
    with pytest.raises(ValueError, match="'sd' must hold standard deviations above 0") as refused:
        hbm.heights.partial_pooling(table)
    assert "'a' has 0" in str(refused.value)
    assert not re.search("score|proportion", str(refused.value))


SUMMARIES = pd.DataFrame(
    {"school": list("abc"), "n_students": [1, 5, 6], "mean": [0.5, 0.6, 0.7], "sd": [np.nan] * 3}
)


def summaries(table, **settings):
    return read_summaries(table, by="school", size="n_students", proportions=True, **settings)


def test_a_missing_sd_names_the_rows_to_drop():
    with pytest.raises(ValueError, match="'b' has nan, 'c' has nan") as refused:
        summaries(SUMMARIES)
    assert "drop these rows" in str(refused.value)
    assert "a school without sd could be observed by its mean alone" in str(refused.value)


def test_the_sd_may_be_missing_where_it_is_said_to():
    table = SUMMARIES.assign(sd=[0.3, np.nan, 0.1])
    data = summaries(table, sd_may_be_missing=True)
    np.testing.assert_array_equal(data.sd, [np.nan, np.nan, 0.1])
    with pytest.raises(ValueError, match="no column 'sd'"):
        summaries(table.drop(columns="sd"), sd_may_be_missing=True)
    for wrong, message in (
        (-0.1, "0 or more, or missing; 'c' has -0.1"),
        (0.9, "can have at most"),
    ):
        with pytest.raises(ValueError, match=message):
            summaries(table.assign(sd=[0.3, np.nan, wrong]), sd_may_be_missing=True)
    with pytest.raises(ValueError, match="or missing; 'c' has inf"):
        summaries(table.assign(sd=[0.3, np.nan, np.inf]), sd_may_be_missing=True)
    with pytest.raises(TypeError, match=r"'b' has '\*' \(suppressed"):
        summaries(table.assign(sd=["0.3", "*", "0.1"]), sd_may_be_missing=True)


def test_columns_missing_doubled_or_without_rows():
    with pytest.raises(TypeError, match="expected a pandas DataFrame, got dict"):
        require_columns({"school": ["a"]}, ["school"])
    with pytest.raises(ValueError, match="no column 'school'; it has: a, b"):
        require_columns(pd.DataFrame({"a": [1], "b": [2]}), ["school"])
    with pytest.raises(ValueError, match="2 columns named 'a'"):
        require_columns(pd.DataFrame([[1, 2]], columns=["a", "a"]), ["a"])
    with pytest.raises(ValueError, match="no rows"):
        require_columns(pd.DataFrame({"a": []}), ["a"])


def test_numbers_out_of_range_or_of_another_type():
    table = pd.DataFrame({"score": [0.5, 2.0, np.nan], "text": ["a", "b", "c"]})
    with pytest.raises(ValueError, match="must hold proportions; row 1 has 2, row 2 has nan"):
        require_numbers(table, "score", allowed="proportions", ok=lambda x: x < 1)
    with pytest.raises(TypeError, match=r"must hold proportions; it holds (str|object)"):
        require_numbers(table, "text", allowed="proportions", ok=lambda x: x < 1)
