import numpy as np
import pandas as pd
import pytest

from hbm.tables.labels import group, nest


def test_labels_keep_their_order_of_appearance():
    table = pd.DataFrame({"school": ["0010", "0009", "0010"]})
    labels, index = group(table, "school")
    assert list(labels) == ["0010", "0009"]
    assert list(index) == [0, 1, 0]


@pytest.mark.parametrize(
    ("values", "labels"),
    [
        ([3, 1, 3], ["3", "1"]),
        (pd.Categorical(["b", "a", "b"], categories=["a", "b", "unused"]), ["b", "a"]),
        (["École", " École ", "Ω"], ["École", "Ω"]),
    ],
)
def test_labels_of_any_type_become_text(values, labels):
    assert list(group(pd.DataFrame({"school": values}), "school").labels) == labels


def test_parents_are_joined_by_label_not_by_row():
    table = pd.DataFrame({"school": ["b", "a", "c", "a"], "district": ["y", "x", "y", "x"]})
    schools, districts, parent = nest(table, "school", "district")
    found = {s: districts.labels[p] for s, p in zip(schools.labels, parent, strict=True)}
    assert found == {"a": "x", "b": "y", "c": "y"}


def test_a_school_in_two_districts_is_named():
    table = pd.DataFrame({"school": ["a", "a", "b"], "district": ["x", "y", "x"]})
    with pytest.raises(
        ValueError, match="each school must stand in one district, but 'a' in 'x' and 'y'"
    ):
        nest(table, "school", "district")


@pytest.mark.parametrize("blank", [None, np.nan, "", "  "])
def test_missing_labels_name_their_rows(blank):
    table = pd.DataFrame({"school": ["a", blank]}, index=[10, 20])
    with pytest.raises(ValueError, match="no label in 1 rows: 20"):
        group(table, "school")


def test_a_group_column_cannot_have_a_reserved_name():
    with pytest.raises(ValueError, match="'draw' cannot name a group"):
        group(pd.DataFrame({"draw": ["a"]}), "draw")


def groups(labels, **settings):
    return list(group(pd.DataFrame({"school": pd.Series(labels, **settings)}), "school").labels)


def test_labels_of_bytes_are_refused_with_the_mend():
    table = pd.DataFrame({"school": ["a", b"0545", b"0012"]}, index=[3, 5, 7])
    with pytest.raises(
        ValueError, match=r"column 'school' has labels of bytes in 2 rows: 5, 7\. Decode them"
    ) as refused:
        group(table, "school")
    mend = str(refused.value).split("for example with ")[1]
    decoded = table.iloc[1:].assign(school=eval(mend, {"table": table.iloc[1:]}))
    assert list(group(decoded, "school").labels) == ["0545", "0012"]


@pytest.mark.parametrize("text", ["nan", "NaN", "<NA>", "NaT"])
def test_a_missing_label_made_text_is_refused(text):
    table = pd.DataFrame({"school": ["a", text]}, index=[10, 20])
    with pytest.raises(ValueError, match=f"labels {text!r}, which is what .* makes of a missing"):
        group(table, "school")


def test_a_label_that_may_be_a_missing_one_is_pointed_out():
    with pytest.warns(UserWarning, match=r"label 'None', .* drop these rows"):
        assert groups(["a", "None"]) == ["a", "None"]


def test_names_that_only_begin_so_are_labels():
    assert groups(["Nan", "Nantes", "none", "N/A"]) == ["Nan", "Nantes", "none", "N/A"]


def test_one_letter_in_two_unicode_forms_is_refused():
    labels = ["École", "Oak", "E\u0301cole"]
    with pytest.raises(ValueError, match=r"look the same .*normalize\('NFC'\)") as refused:
        groups(labels)
    assert ascii("E\u0301cole") in str(refused.value)
    table = pd.DataFrame({"school": labels})
    table["school"] = table["school"].str.normalize("NFC")
    assert list(group(table, "school").labels) == ["École", "Oak"]
    assert groups(labels[1:]) == labels[1:]


@pytest.mark.parametrize(
    "pair",
    [
        ["Lake School", "Lake school"],
        ["Lake School", "Lake  School"],
        ["Lake School", "Lake\u00a0School"],
        ["ﬁr", "fir"],
        ["STRASSE", "straße"],
        ["École", "e\u0301cole"],
    ],
)
def test_labels_that_are_nearly_the_same_are_pointed_out(pair):
    message = r"differ only in case, blanks or .* form: .* and .*\. If they are one"
    with pytest.warns(UserWarning, match=message) as warned:
        labels = groups([*pair, "Oak", pair[0]])
    assert labels == [*pair, "Oak"]
    assert all(ascii(label) in str(warned[0].message) for label in pair)
    assert len(warned) == 1
    assert warned[0].filename == __file__


def test_codes_that_became_decimals_are_pointed_out():
    with pytest.warns(UserWarning, match=r"'9\.0', '12\.0'.*\.0.*removesuffix\('\.0'\)"):
        assert groups(["9.0", "12.0", "Oak"]) == ["9.0", "12.0", "Oak"]
    assert groups([9.0, 12.0]) == groups(pd.array([9, 12], dtype="Float32")) == ["9", "12"]
    assert groups([9.0, 12.0], dtype="float32") == ["9", "12"]
    assert groups([np.float32(9), "x"], dtype=object) == ["9", "x"]
    assert groups(["9.5", "12.0", "v2.0"]) == ["9.5", "12.0", "v2.0"]


@pytest.mark.parametrize("kind", [float, object])
def test_codes_that_floats_cannot_hold_are_refused(kind):
    labels = pd.Series([1.0, 2.0**53, 12345678901234567890.0], dtype=kind)
    with pytest.raises(ValueError, match=r"'school' .* floats beyond 2\*\*53 in 2 rows: 1, 2"):
        groups(labels)
    assert groups([2**53 + 1]) == ["9007199254740993"]
