"""Any table is either read as it stands or refused by name, before anything is sampled."""

import datetime
import re
import traceback
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from fakes import fake_exams_nested
from hypothesis import given, settings
from hypothesis import strategies as st
from models import MODELS, build, model_function, table_for

import hbm
from hbm.hierarchy.parents import parent_estimates
from hbm.students.beta import BETA
from hbm.students.likelihoods import beta_summary_logp, published
from hbm.tables.grouped import read_summaries
from hbm.tables.labels import group
from hbm.tables.lookalikes import folded

# The same examples at each run: a fast tier that fails now and then is one that nobody reads.
settings.register_profile("fast", deadline=None, derandomize=True, database=None, max_examples=60)
settings.load_profile("fast")

EXAMS = [name for name in MODELS if name.startswith("exams")]
ARTICLE = {
    "article.heights": "heights",
    "article.single_school": "scores",
    "article.scores_no_pooling": "scores",
    "article.scores_partial_pooling": "scores",
    "article.scores_nested": "nested_scores",
    "article.exams_no_pooling": "exams",
    "article.exams_partial_pooling": "exams",
    "article.exams_nested": "exams",
}
PUBLISHED_HEIGHTS = pd.DataFrame(
    {
        "country": list("abc"),
        "n_people": [1, 4, 9],
        "mean": [170.0, 180.0, 176.0],
        "sd": [None, 5, 7],
    }
)

words = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=6)
# Labels that no one would take for one another, or for a missing one.
missing = {"", "nan", "NaN", "NaT", "<NA>", "None"}
labels = words.filter(lambda x: x.strip() not in missing).map(str.strip)


@st.composite
def exam_tables(draw, min_schools=1):
    """Draw tables that real students could have led to, at their edges too."""
    schools = draw(st.lists(labels, min_size=min_schools, max_size=6, unique_by=folded))
    size = len(schools)

    def column(values):
        return draw(st.lists(values, min_size=size, max_size=size))

    table = pd.DataFrame(
        {
            "school": schools,
            "authority": column(st.sampled_from(["x", "y", "Ωmega 9"])),
            "n_students": column(st.sampled_from([1, 2, 3, 6, 30, 1000, 50_000])),
            "mean": column(st.floats(0, 1) | st.sampled_from([0.0, 1.0, 0.5, 0.639])),
            "town": column(st.none() | words),
        }
    )
    reached = np.array(column(st.floats(0, 1) | st.sampled_from([0.0, 1.0, 1e-12])))
    n, mean = table["n_students"], table["mean"]
    table["sd"] = reached * np.sqrt(mean * (1 - mean) * n / np.maximum(n - 1, 1))
    table.loc[n == 1, "sd"] = np.nan
    return table


def data_of(model):
    return {data.name: data.get_value() for data in model.data_vars}


def read(table, sd_needed=True):
    """Read a table as the models of exams do, which takes a hundredth of building one."""
    return read_summaries(
        table,
        by="school",
        size="n_students",
        parents=["authority"],
        proportions=True,
        sd_needed=sd_needed,
    )


def by_label(data):
    """Return what was read of each school, by its label."""
    authorities, schools = data.levels
    authority = authorities.labels[schools.parent]
    sd = np.nan_to_num(data.sd, nan=-1)
    columns = zip(data.n, data.mean, sd, authority, strict=True)
    return dict(zip(schools.labels, columns, strict=True))


@given(exam_tables(), st.booleans())
def test_any_possible_exam_table_is_read_as_it_stands(table, sd_needed):
    before = table.copy(deep=True)
    data = read(table, sd_needed)
    pd.testing.assert_frame_equal(table, before)
    authorities, schools = data.levels
    assert list(schools.labels) == list(table["school"])
    assert list(authorities.labels[schools.parent]) == list(table["authority"])
    np.testing.assert_array_equal(data.n, table["n_students"])
    np.testing.assert_array_equal(data.mean, table["mean"])
    np.testing.assert_array_equal(data.sd, table["sd"] if sd_needed else np.nan)
    raw = BETA.raw_estimates(data.n, data.mean, data.sd, 10)
    of_parents = parent_estimates(*raw[:2], schools.parent, len(authorities.labels))
    for estimate, standard_error in (raw[:2], raw[2:], of_parents):
        assert np.isfinite(estimate).all()
        assert (standard_error > 0).all()


@pytest.mark.filterwarnings("ignore:the data are far from what the priors expect:UserWarning")
@settings(max_examples=8)
@given(exam_tables(), st.sampled_from(EXAMS), st.sampled_from(["mean and sd", "mean"]))
def test_any_possible_exam_table_makes_a_model(table, name, observe):
    before = table.copy(deep=True)
    model = model_function(name)(table, observe=observe)
    pd.testing.assert_frame_equal(table, before)
    data, held = read(table, observe == "mean and sd"), data_of(model)
    assert model.coords["school"] == tuple(data.levels[-1].labels)
    for column, values in (("n_students", data.n), ("mean", data.mean), ("sd", data.sd)):
        np.testing.assert_array_equal(held[column], np.nan_to_num(values))
    if "authority" in model.coords:
        np.testing.assert_array_equal(held["authority_of_school"], data.levels[-1].parent)


@given(exam_tables(), st.floats(0.001, 0.999), st.floats(0.1, 1000))
def test_any_possible_exam_table_has_a_finite_density(table, mu, nu):
    n, mean, sd = (table[name].to_numpy(float) for name in ("n_students", "mean", "sd"))
    mean, sd = published(mean, sd, n)
    assert np.isfinite(beta_summary_logp(mean, sd, n, mu, nu)).all()


@given(st.data(), exam_tables(min_schools=2))
def test_neither_the_order_of_rows_nor_the_index_nor_other_columns_matter(data, table):
    order = data.draw(st.permutations(range(len(table))))
    other = table.iloc[order].copy()
    other.index = data.draw(st.sampled_from([[7] * len(table), list("abcdef")[: len(table)]]))
    other = other[data.draw(st.permutations(list(other)))]
    for reserved in ("group", "column", "label", "model", "sample", "draw", "chain"):
        other[reserved] = reserved
    assert by_label(read(other)) == by_label(read(table))


AS = {
    "int": lambda x: [int(label) for label in x],
    "float": lambda x: [float(label) for label in x],
    "objects": lambda x: pd.Series([int(label) for label in x], dtype=object),
    "nullable": lambda x: pd.array([int(label) for label in x], dtype="Int64"),
    "string": lambda x: pd.array(x, dtype="string"),
    "blanks": lambda x: [f" {label}\t" for label in x],
    "categories": lambda x: pd.Categorical(x, categories=[*reversed(x), "unused"]),
    "numbered": lambda x: pd.Categorical([int(label) for label in x]),
}


@given(
    st.lists(st.integers(0, 10**12).map(str), min_size=5, max_size=5, unique=True),
    st.sampled_from(sorted(AS)),
)
def test_labels_of_any_type_are_the_same_groups(codes, kind):
    table = table_for("exams").iloc[:5].assign(school=codes)
    typed = table.assign(school=AS[kind](codes))
    assert by_label(read(typed)) == by_label(read(table))
    assert list(group(typed, "school").labels) == codes


# What is wrong: its values, and the column, the error and the message they lead to. The message
# names the school as well.
not_whole = st.floats(1, 1e6).filter(lambda x: x != round(x))
WRONG = {
    "percentages": ("mean", st.floats(1.0001, 100), ValueError, "divide percentages by 100"),
    "negative mean": ("mean", st.floats(-1e6, -1e-9), ValueError, "must hold proportions in"),
    "no mean": ("mean", st.sampled_from([np.nan, np.inf, -np.inf]), ValueError, "must hold prop"),
    "percentage of sd": ("sd", st.floats(1, 100), ValueError, "no proportions have these"),
    "sd just too large": ("sd", st.floats(1.01, 2), ValueError, "can have at most"),
    "negative sd": ("sd", st.floats(-1e6, -1e-9), ValueError, "standard deviations, 0 or more"),
    "no sd": ("sd", st.sampled_from([np.inf, -np.inf]), ValueError, "standard deviations, 0 or"),
    "nobody": ("n_students", st.integers(-5, 0), ValueError, "whole numbers, 1 or more"),
    "parts of people": ("n_students", not_whole, ValueError, "whole numbers, 1 or more"),
    "no number": ("n_students", st.sampled_from([np.nan, np.inf]), ValueError, "whole numbers"),
    "everybody": ("n_students", st.floats(1e9, 1e300).map(np.floor), ValueError, "n_students"),
}


@pytest.mark.parametrize("what", WRONG)
@settings(max_examples=12)
@given(data=st.data())
def test_a_wrong_number_names_its_school(what, data):
    column, values, error, message = WRONG[what]
    table = data.draw(exam_tables())
    row = data.draw(st.integers(0, len(table) - 1))
    value = data.draw(values)
    if column == "sd":
        table.loc[row, ["n_students", "mean"]] = 12, 0.6
    if what == "sd just too large":
        value = 0.002 + value * np.sqrt(0.24 * 12 / 11)
    table = table.astype({column: float})
    table.loc[row, column] = value
    before = table.copy(deep=True)
    functions = [model_function(name) for name in EXAMS]
    if column != "sd":
        functions += [hbm.article.exams_nested, hbm.article.exams_no_pooling]
    function = data.draw(st.sampled_from(functions))
    with pytest.raises(error, match=message) as refused:
        function(table)
    assert repr(table["school"][row]) in str(refused.value)
    pd.testing.assert_frame_equal(table, before)


TYPES = {
    "text": str,
    "complex": complex,
    "bool": bool,
    "boolean": "boolean",
    "category": "category",
}


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("kind", TYPES)
def test_what_is_no_number_is_a_type_error(name, kind):
    table = table_for(name)
    column = next(c for c in ("score", "height", "mean") if c in table)
    values = (table[column] > 0.5) if kind.startswith("bool") else table[column]
    table[column] = values.astype(TYPES[kind])
    with pytest.raises(TypeError, match=f"column '{column}' must hold .*; it holds "):
        model_function(name)(table)


COLUMNS = {
    "heights": ["country", "height"],
    "scores": ["school", "score"],
    "nested_scores": ["school", "score"],
    "exams": ["school", "n_students", "mean"],
}


@pytest.mark.parametrize("name", [*MODELS, *ARTICLE])
def test_missing_and_double_columns_and_tables_without_rows(name):
    function, kind = model_function(name), (MODELS | ARTICLE)[name]
    table = table_for(kind)
    columns = ["score"] if name == "article.single_school" else COLUMNS[kind]
    if name.endswith("nested"):
        columns = [*columns, "authority" if kind == "exams" else "district"]
    for column in columns:
        shown = "n_people" if column == "height" and not name.startswith("article") else column
        with pytest.raises(ValueError, match=f"the table has no column '{shown}'; it has: "):
            function(table.drop(columns=column))
        with pytest.raises(ValueError, match=f"2 columns named '{column}'"):
            function(pd.concat([table, table[column]], axis=1))
    with pytest.raises(ValueError, match="the table has no rows"):
        function(table.iloc[:0])
    with pytest.raises(TypeError, match="expected a pandas DataFrame, got dict"):
        function(table.to_dict())


@pytest.mark.parametrize("name", [*MODELS, *ARTICLE])
def test_one_group_of_one_individual_is_enough(name):
    table = table_for((MODELS | ARTICLE)[name]).iloc[[8]]
    model = model_function(name)(table)
    for dim in set(model.coords) & {"school", "authority", "district", "country"}:
        assert model.coords[dim] == (str(table[dim].iloc[0]),)


@pytest.mark.parametrize(
    "dim", ["chain", "draw", "sample", "group", "column", "model", "label", "plot_axis"]
)
def test_names_that_break_arviz_cannot_name_a_group(dim):
    with pytest.raises(ValueError, match=f"'{dim}' cannot name a group: PyMC and ArviZ use it"):
        group(pd.DataFrame({dim: ["a"]}), dim)


cells = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 3),
    st.floats(),
    words,
    st.sampled_from(
        [
            pd.NA,
            pd.NaT,
            "",
            "63.9",
            "draw",
            "\ud800",
            "a\0b",
            5e-324,
            1e308,
            10**400,
            1 + 2j,
            b"x",
            (1,),
            [1, 2],
            {},
            np.float32(0.5),
            datetime.date(2020, 1, 1),
        ]
    ),
)


def _small(kind):
    table = PUBLISHED_HEIGHTS if kind == "published" else table_for(kind)
    every = {"heights": 10, "scores": 10, "nested_scores": 15, "diploma": 97}.get(kind, 1)
    return table.iloc[::every].reset_index(drop=True)


NESTED = build("exams.nested")
FIT = fake_exams_nested(NESTED, 10)
TAKES_A_TABLE = {
    **{name: (model_function(name), kind) for name, kind in (MODELS | ARTICLE).items()},
    "published": (hbm.heights.partial_pooling, "published"),
    "predict": (lambda table: hbm.predict(NESTED, FIT, table, random_seed=1), "exams"),
    "evaluate": (lambda table: hbm.evaluate(NESTED, FIT, table, random_seed=1), "exams"),
    "exam_table": (lambda t: hbm.exam_table(t, course="Biology 30", year=2016), "diploma"),
    "summarise": (hbm.simulate.summarise, "students"),
}
TABLES = {
    kind: _small(kind)
    for kind in ("heights", "scores", "nested_scores", "exams", "published", "diploma")
}
TABLES["students"] = TABLES["nested_scores"].rename(columns={"district": "authority"})
OURS = str(Path(hbm.__file__).parent)


@pytest.mark.filterwarnings("ignore:the data are far from what the priors expect:UserWarning")
@pytest.mark.filterwarnings("ignore:column '.*' has ")  # a cell that looks like another
@settings(max_examples=200)
@given(st.data(), st.sampled_from(sorted(TAKES_A_TABLE)), cells, st.sampled_from(["one", "all"]))
def test_whatever_stands_in_a_cell_is_read_or_refused_here(data, name, cell, where):
    function, kind = TAKES_A_TABLE[name]
    table = TABLES[kind].copy()
    column = data.draw(st.sampled_from(list(table)))
    values = [cell] * len(table) if where == "all" else table[column].tolist()
    values[data.draw(st.integers(0, len(table) - 1))] = cell
    try:
        table[column] = pd.Series(values, index=table.index)
    except (ValueError, OverflowError):  # what pandas cannot hold cannot be passed
        return
    before = table.copy(deep=True)
    refused = None
    try:
        made = function(table)
    except (TypeError, ValueError) as error:
        refused = error
    pd.testing.assert_frame_equal(table, before)
    if refused is not None:
        raised_in = traceback.extract_tb(refused.__traceback__)[-1].filename
        assert raised_in.startswith(OURS), f"{refused!r} comes from {raised_in}"
        assert re.search(r"column '|^each \w+ must|^a known|^no |^schools that", str(refused))
    elif name in MODELS or name == "published":
        assert all(np.isfinite(x).all() for key, x in data_of(made).items() if "_raw" not in key)


@pytest.mark.parametrize("prob", [0, 1, -0.1, 1.5, 95, np.nan])
def test_a_probability_lies_between_0_and_1(prob):
    for function in (
        lambda: hbm.estimates(FIT, "mu_school", prob),
        lambda: hbm.ranks(FIT, "school", prob=prob),
        lambda: hbm.variance_shares(FIT, prob=prob),
    ):
        with pytest.raises(ValueError, match="prob must lie between 0 and 1, got"):
            function()
    with pytest.raises(TypeError, match=r"prob must be a number, got '0\.9'"):
        hbm.estimates(FIT, "mu_school", "0.9")


@pytest.mark.parametrize("module", [hbm.heights, hbm.scores, hbm.exams])
@given(data=st.data())
def test_priors_that_are_none_are_refused(module, data):
    field = data.draw(st.sampled_from(sorted(module.Priors.__dataclass_fields__)))
    positive = not field.endswith("_mean")
    bad = st.sampled_from([np.nan, np.inf, -np.inf]) | (
        st.floats(max_value=0) if positive else st.nothing()
    )
    value = data.draw(bad)
    with pytest.raises(ValueError, match=f"{field} of the priors must be a (positive|finite)"):
        module.Priors(**{field: value})
    with pytest.raises(TypeError, match=f"{field} of the priors must be a number, got '1'"):
        module.Priors(**{field: "1"})


@pytest.mark.parametrize("name", MODELS)
def test_priors_of_other_models_are_refused(name):
    other = hbm.exams.Priors() if name.startswith("heights") else hbm.heights.Priors()
    for priors in (other, {"mu_mean": 1}):
        with pytest.raises(TypeError, match=r"priors must be a Priors of hbm\.\w+, got "):
            build(name, priors=priors)


@pytest.mark.parametrize("label", ["\ud800", "a\0b"])
def test_labels_that_cannot_be_written_name_their_rows(label):
    table = pd.DataFrame({"school": pd.Series(["a", label], index=[10, 20], dtype=object)})
    with pytest.raises(ValueError, match=r"cannot be written, in 1 rows: 20\. Was the file read"):
        group(table, "school")


@pytest.mark.parametrize("value", [10.5, "10", True, np.float64(10)])
@pytest.mark.parametrize("name", ["draws", "chains", "tune", "cores"])
def test_settings_of_the_sampler_are_whole_numbers(name, value):
    with pytest.raises(TypeError, match=f"{name} must be a whole number, got "):
        hbm.sample(NESTED, **{name: value})


def test_what_is_no_model_is_a_type_error():
    for function in (
        lambda: hbm.sample(FIT),
        lambda: hbm.sample_prior_predictive(FIT),
        lambda: hbm.sample_posterior_predictive(FIT, FIT),
        lambda: hbm.predict(FIT, FIT, TABLES["exams"]),
        lambda: hbm.evaluate(FIT, FIT, TABLES["exams"]),
        lambda: hbm.save(FIT, FIT, "fit.nc"),
    ):
        with pytest.raises(TypeError, match=r"model must be a pymc\.Model, got DataTree"):
            function()
