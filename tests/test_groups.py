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
