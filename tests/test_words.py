"""Names of groups and individuals in the plural, and back."""

import pytest

from hbm.tables.words import plural, singular

PAIRS = {
    "school": "schools",
    "student": "students",
    "authority": "authorities",
    "country": "countries",
    "survey": "surveys",
    "class": "classes",
    "box": "boxes",
    "quiz": "quizzes",
    "prize": "prizes",
    "church": "churches",
    "parish": "parishes",
    "trust": "trusts",
    "hospital": "hospitals",
    "household": "households",
    "boss": "bosses",
    "bus": "buses",
    "campus": "campuses",
    "house": "houses",
    "spouse": "spouses",
    "nurse": "nurses",
    "course": "courses",
    "case": "cases",
    "lens": "lenses",
    "diagnosis": "diagnoses",
    "basis": "bases",
    "judge": "judges",
    "employee": "employees",
    "movie": "movies",
    "epoch": "epochs",
    "person": "people",
    "child": "children",
    "woman": "women",
    "salesman": "salesmen",
    "human": "humans",
    "German": "Germans",
    "series": "series",
    "staff": "staff",
    "sheep": "sheep",
    "local_authority": "local_authorities",
    "old person": "old people",
    "Person": "People",
    "HighSchool": "HighSchools",
    "LEA": "LEAs",
    "x": "xs",
}


@pytest.mark.parametrize(("one", "many"), PAIRS.items())
def test_plural_and_singular_are_each_others_inverse(one, many):
    assert plural(one) == many
    assert singular(many) == one


@pytest.mark.parametrize("name", ["", "school 2", "学校", "groups (new)"])
def test_what_does_not_end_in_a_letter_is_left_alone(name):
    assert plural(name) == singular(name) == name


@pytest.mark.parametrize("name", ["staff", "person", "class", "school", "s"])
def test_the_singular_of_what_is_no_plural_is_itself(name):
    assert singular(name) == name
