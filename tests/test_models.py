"""What every model to use has in common, and what tells them apart; nothing is sampled here."""

import dataclasses

import numpy as np
import pandas as pd
import pymc as pm
import pytensor.tensor as pt
import pytest
from fakes import prior_draws
from models import MODELS, build, model_function, table_for
from pytensor.compile.sharedvalue import SharedVariable
from pytensor.graph.basic import Constant
from pytensor.graph.traversal import ancestors
from scipy import stats
from scipy.special import expit

import hbm
from hbm.students.beta import BETA
from hbm.students.normal import NORMAL
from hbm.students.observed import observe_individuals

GROUP = {"heights": "country", "scores": "school", "exams": "school"}
PARENT = {"scores": "district", "exams": "authority"}


def group_of(name):
    return GROUP[name.split(".")[0]]


def evaluate(model, outputs, point):
    """Evaluate graphs of a model at a point, without compiling anything."""
    inputs = [model.rvs_to_values[rv] for rv in model.free_RVs]
    run = model.compile_fn(outputs, inputs=inputs, mode="FAST_COMPILE", on_unused_input="ignore")
    return run(point)


def random_point(model, seed):
    """Return a random point in a model's own coordinates."""
    rng = np.random.default_rng(seed)
    return {
        name: value + 0.5 * rng.normal(size=np.shape(value))
        for name, value in model.initial_point().items()
    }


def natural_values(model, point):
    """Return free variables and deterministics at a point, by name."""
    names = [v.name for v in model.unobserved_value_vars]
    return dict(zip(names, evaluate(model, model.unobserved_value_vars, point), strict=True))


def same_point(model, other, point):
    """Express another model's point in this model's coordinates, which differ in effects only."""
    natural = natural_values(other, point)
    return {
        model.rvs_to_values[rv].name: point.get(model.rvs_to_values[rv].name, natural[rv.name])
        for rv in model.free_RVs
    }


@pytest.mark.parametrize("name", MODELS)
def test_contract(name):
    model = build(name)
    group = group_of(name)
    table = table_for(name)
    labels = tuple(dict.fromkeys(table[group]))
    assert model.coords[group] == labels
    assert model.named_vars_to_dims[f"mu_{group}"] == (group,)
    size = "n_people" if group == "country" else "n_students"
    held = {v.name for v in model.data_vars}
    assert {size, "mean", "sd"} <= held
    learned = {v.name for v in model.unobserved_RVs}
    assert f"tau_{group}" in held | learned
    assert ("mu" in learned) == (not name.endswith("no_pooling"))
    if name.endswith("nested"):
        parent = PARENT[name.split(".")[0]]
        index = model[f"{parent}_of_{group}"].get_value()
        first = table.drop_duplicates(group)
        assert [model.coords[parent][i] for i in index] == list(first[parent])
        assert {f"mu_{parent}", f"eta_{parent}", f"tau_{parent}"} <= learned
    if "value" not in table and "score" in table:
        by_group = table.groupby(group, sort=False)["score"]
        np.testing.assert_allclose(model["mean"].get_value(), by_group.mean())
        np.testing.assert_allclose(model["sd"].get_value(), by_group.std())


@pytest.mark.parametrize("name", [n for n in MODELS if "complete" not in n])
@pytest.mark.parametrize("parameterisation", ["centred", "non-centred"])
def test_all_parameterisations_are_one_density(name, parameterisation):
    informed, other = build(name), build(name, parameterisation=parameterisation)
    for seed in (1, 2):
        point = random_point(informed, seed)
        if parameterisation == "centred":
            there = same_point(other, informed, point)
        else:
            # Both have coordinates of their own: meet at a centred point.
            centred = build(name, parameterisation="centred")
            there = random_point(other, seed)
            point = same_point(centred, other, there)
            informed = centred
        expected = evaluate(informed, informed.logp(jacobian=False), point)
        found = evaluate(other, other.logp(jacobian=False), there)
        np.testing.assert_allclose(found, expected, rtol=1e-9)


def test_scores_density_is_that_of_the_students_one_by_one():
    table = table_for("scores.nested")
    model = build("scores.nested")
    point = random_point(model, 3)
    values = natural_values(model, point)
    index = pd.factorize(table["school"])[0]
    mu, nu = values["mu_school"][index], values["nu_school"][index]
    expected = stats.beta.logpdf(table["score"], mu * nu, (1 - mu) * nu).sum()
    found = evaluate(model, model.logp(vars=model["score"], jacobian=False), point)
    np.testing.assert_allclose(found, expected, rtol=1e-10)


def test_heights_density_is_that_of_the_people_one_by_one():
    table = table_for("heights.partial_pooling")
    model = build("heights.partial_pooling")
    point = random_point(model, 3)
    values = natural_values(model, point)
    mu = values["mu_country"][pd.factorize(table["country"])[0]]
    expected = stats.norm.logpdf(table["height"], mu, values["sigma"]).sum()
    found = evaluate(model, model.logp(vars=model["height"], jacobian=False), point)
    np.testing.assert_allclose(found, expected, rtol=1e-10)


def test_published_heights_have_the_density_of_the_people_up_to_a_constant():
    people = table_for("heights")
    by_country = people.groupby("country", sort=False)["height"]
    table = by_country.agg(n_people="size", mean="mean", sd="std").reset_index()
    raw = hbm.heights.partial_pooling(people)
    published = hbm.heights.partial_pooling(table)
    differences = [
        evaluate(raw, raw.logp(jacobian=False), point)
        - evaluate(published, published.logp(jacobian=False), point)
        for point in (random_point(raw, seed) for seed in range(4))
    ]
    np.testing.assert_allclose(differences, differences[0], rtol=1e-9)


def test_nested_priors_read_like_the_equations():
    """Density of the effects against the Normal densities written out with scipy."""
    model = build("exams.nested")
    point = random_point(model, 4)
    v = natural_values(model, point)
    index = model["authority_of_school"].get_value()
    expected = {
        "eta": stats.norm.logpdf(v["eta"], 1.1, 1),
        "tau_authority": stats.halfnorm.logpdf(v["tau_authority"], scale=0.5),
        "tau_school": stats.halfnorm.logpdf(v["tau_school"], scale=0.5),
        "nu": stats.lognorm.logpdf(v["nu"], 1, scale=10),
        "tau_nu": stats.halfnorm.logpdf(v["tau_nu"], scale=0.5),
        "eta_authority": stats.norm.logpdf(v["eta_authority"], v["eta"], v["tau_authority"]).sum(),
        "eta_school": stats.norm.logpdf(
            v["eta_school"], v["eta_authority"][index], v["tau_school"]
        ).sum(),
        "log_nu_school": stats.norm.logpdf(v["log_nu_school"], np.log(v["nu"]), v["tau_nu"]).sum(),
    }
    for name, value in expected.items():
        found = evaluate(model, model.logp(vars=model[name], jacobian=False), point)
        np.testing.assert_allclose(found, value, rtol=1e-6, err_msg=name)
    np.testing.assert_allclose(v["mu"], expit(v["eta"]))
    np.testing.assert_allclose(v["mu_school"], expit(v["eta_school"]))
    np.testing.assert_allclose(v["mu_authority"], expit(v["eta_authority"]))
    np.testing.assert_allclose(v["nu_school"], np.exp(v["log_nu_school"]))


@pytest.mark.parametrize("name", MODELS)
def test_tables_are_not_changed(name):
    table = table_for(name)
    before = table.copy(deep=True)
    model_function(name)(table)
    pd.testing.assert_frame_equal(table, before)


@pytest.mark.parametrize("name", MODELS)
def test_an_unknown_parameterisation_is_refused_by_all(name):
    with pytest.raises(ValueError, match="one of 'informed', 'centred', 'non-centred'"):
        build(name, parameterisation="centered")


@pytest.mark.parametrize("name", MODELS)
def test_unknown_keywords_are_refused(name):
    with pytest.raises(TypeError, match="unexpected keyword argument 'prior'"):
        build(name, prior=1)


@pytest.mark.parametrize("module", [hbm.heights, hbm.scores, hbm.exams])
def test_priors_are_documented_and_frozen(module):
    fields = [field.name for field in dataclasses.fields(module.Priors)]
    for field in fields:
        assert field in module.Priors.__doc__
    with pytest.raises(dataclasses.FrozenInstanceError, match="cannot assign"):
        setattr(module.Priors(), fields[0], 1)


def test_priors_reach_the_model():
    model = build("exams.nested", priors=hbm.exams.Priors(tau_parent=0.1))
    tau = natural_values(model, model.initial_point())["tau_authority"]
    found = evaluate(
        model, model.logp(vars=model["tau_authority"], jacobian=False), model.initial_point()
    )
    np.testing.assert_allclose(found, stats.halfnorm.logpdf(tau, scale=0.1), rtol=1e-6)


def exam_row(**changes):
    row = {"school": "a", "authority": "x", "n_students": 12, "mean": 0.64, "sd": 0.18}
    return pd.DataFrame([row | changes, {**row, "school": "b"}])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"mean": 63.9}, r"proportions in \[0, 1\] \(divide percentages by 100\); 'a' has 63.9"),
        ({"mean": np.nan}, "column 'mean' must hold .* 'a' has nan"),
        ({"sd": 18.0}, "no proportions have these standard deviations: 'a' has sd 18"),
        ({"sd": -0.1}, "standard deviations, 0 or more.* 'a' has -0.1"),
        ({"n_students": 0}, "whole numbers, 1 or more; 'a' has 0"),
        ({"n_students": 2.5}, "whole numbers, 1 or more; 'a' has 2.5"),
        ({"n_students": np.inf}, "whole numbers, 1 or more; 'a' has inf"),
        ({"school": "b"}, "each school must have one row; 'b' has 2"),
        ({"authority": None}, "column 'authority' has no label in 1 rows: 0"),
    ],
)
def test_a_wrong_exam_table_names_the_school(changes, message):
    with pytest.raises(ValueError, match=message):
        hbm.exams.nested(exam_row(**changes))


def test_hospitals_are_not_told_of_courses():
    words = {"group": "hospital", "individual": "patient", "value": "recovery"}
    table = exam_row(school="b").rename(
        columns={"school": "hospital", "authority": "trust", "n_students": "n_patients"}
    )
    mend = r"Choose one row of each, or make the labels distinct"
    with pytest.raises(ValueError, match=f"each hospital must have one row; .* {mend}"):
        hbm.exams.nested(table, levels=["trust"], **words)
    with pytest.raises(ValueError, match=f"each hospital must have one row a year; .* {mend}"):
        hbm.exams.panel(table.assign(year=2018), levels=["trust"], **words)
    with pytest.raises(ValueError, match=r"each school must have one row; .* one course and year"):
        hbm.exams.nested(exam_row(school="b"))
    with pytest.raises(ValueError, match=r"each school must have one row a year; .* one course,"):
        hbm.exams.panel(exam_row(school="b").assign(year=2018))


def test_text_where_numbers_belong_is_a_type_error():
    with pytest.raises(TypeError, match=r"'mean' must hold proportions .* it holds (str|object)"):
        hbm.exams.nested(exam_row().astype({"mean": str}))


@pytest.mark.parametrize(
    "make",
    [
        hbm.scores.complete_pooling,
        hbm.scores.no_pooling,
        hbm.scores.partial_pooling,
        lambda table: hbm.scores.nested(table, levels=["authority"]),
        hbm.article.scores_no_pooling,
        hbm.article.single_school,
    ],
)
def test_schools_with_a_column_of_scores_are_not_taken_for_students(make):
    table = exam_row()[1:].assign(score=0.64)
    message = "one row a school, with its 'mean' and 'n_students': .* hbm.exams"
    with pytest.raises(ValueError, match=message):
        make(table)


def test_schools_of_other_words_are_not_taken_for_individuals_either():
    table = exam_row().rename(columns={"school": "ward", "n_students": "n_patients"})
    words = {"group": "ward", "individual": "patient", "value": "recovery"}
    with pytest.raises(ValueError, match="one row a ward, with its 'mean' and 'n_patients'"):
        hbm.scores.partial_pooling(table.assign(recovery=0.6), **words)
    # Students with what is known of their school are students.
    students = table.loc[[0, 0, 1, 1]].assign(recovery=[0.6, 0.7, 0.5, 0.8])
    assert hbm.scores.partial_pooling(students, **words).description.value is not None


@pytest.mark.parametrize(
    ("values", "said", "not_said"),
    [
        ([0.5, np.nan, 0.2], ["row 1 has nan", "drop the rows"], ["percent", "exactly 0 or 1"]),
        ([0.5, 63.0, 0.2], ["row 1 has 63", "divide percentages by 100"], ["exactly 0 or 1"]),
        ([0.5, 0.0, 0.2], ["row 1 has 0", "exactly 0 or 1"], ["percent"]),
        ([0.5, -0.1, 0.2], ["row 1 has -0.1"], ["percent", "exactly 0 or 1"]),
        ([np.nan, 63.0, 1.0], ["percent", "exactly 0 or 1", "drop the rows"], []),
    ],
)
def test_the_mend_of_a_score_is_of_the_scores_that_are_wrong(values, said, not_said):
    table = pd.DataFrame({"school": ["a", "a", "b"], "score": values})
    with pytest.raises(ValueError, match="strictly between 0 and 1, as a Beta gives") as refused:
        hbm.scores.partial_pooling(table)
    assert all(words in str(refused.value) for words in said), refused.value
    assert not any(words in str(refused.value) for words in not_said), refused.value


def test_scores_of_zero_or_one_name_the_mend():
    table = pd.DataFrame({"school": ["a", "a", "b"], "score": [0.5, 1.0, 0.2]})
    with pytest.raises(ValueError, match=r"0.5\) / n with n students\); row 1 has 1"):
        hbm.scores.partial_pooling(table)


@pytest.fixture
def extreme():
    """Schools at every edge, and one in the middle."""
    edges = [
        {"school": "one student", "n_students": 1, "sd": np.nan},
        {"school": "no spread", "sd": 0.0},
        {"school": "mean one", "mean": 1.0, "sd": 0.0},
        {"school": "mean zero", "mean": 0.0, "sd": 0.0},
        {"school": "all the spread there can be", "n_students": 2, "mean": 0.5, "sd": 0.7071},
        {"school": "in the middle"},
    ]
    return pd.concat([exam_row(**edge)[:1] for edge in edges], ignore_index=True)


@pytest.mark.parametrize("name", [n for n in MODELS if n.startswith("exams")])
def test_extreme_schools_have_a_finite_density(name, extreme):
    model = model_function(name)(extreme)
    assert np.isfinite(evaluate(model, model.logp(), model.initial_point()))


@pytest.mark.slow
def test_extreme_schools_have_a_finite_gradient(extreme):
    model = hbm.exams.nested(extreme)
    gradient = model.compile_dlogp()
    for point in (model.initial_point(), random_point(model, 1), random_point(model, 2)):
        assert np.isfinite(gradient(point)).all()


def test_the_sd_may_be_absent_where_it_is_not_observed():
    table = exam_row().drop(columns="sd")
    model = hbm.exams.nested(table, observe="mean")
    assert [rv.name for rv in model.observed_RVs] == ["exam_mean"]
    mend = r"no column 'sd'.* Rename the column that holds it, or name observe='mean'"
    with pytest.raises(ValueError, match=mend):
        hbm.exams.nested(table)
    with pytest.raises(ValueError, match=mend):
        hbm.exams.panel(table.assign(year=[2018, 2019]))
    people = pd.DataFrame({"country": ["a", "b"], "n_people": [9, 12], "mean": [170.0, 180.0]})
    mend = r"no column 'sd'.* it, or add one: table\.assign\(sd=float\('nan'\)\)"
    with pytest.raises(ValueError, match=mend):
        hbm.heights.partial_pooling(people)
    mended = hbm.heights.partial_pooling(people.assign(sd=float("nan")))
    assert np.isnan(mended.description.sd).all()
    with pytest.raises(ValueError, match="observe must be 'mean and sd' or 'mean', got 'sd'"):
        hbm.exams.nested(table, observe="sd")


def test_many_groups_and_one_authority_each():
    n = 5000
    rng = np.random.default_rng(5)
    table = pd.DataFrame(
        {
            "school": [f"s{i}" for i in range(n)],
            "authority": [f"a{i}" for i in range(n)],
            "n_students": rng.integers(1, 200, n),
            "mean": rng.uniform(0.2, 0.9, n),
        }
    )
    table["sd"] = np.where(table["n_students"] > 1, 0.15, np.nan)
    model = hbm.exams.nested(table)
    assert np.isfinite(evaluate(model, model.logp(), model.initial_point()))


@pytest.mark.parametrize("name", ["scores.nested", "heights.partial_pooling"])
def test_a_gradient_costs_the_number_of_groups_and_not_of_individuals(name):
    model = build(name)
    density = model.logp()
    held = [v for v in ancestors([density]) if isinstance(v, Constant | SharedVariable)]
    values = [v.data if isinstance(v, Constant) else v.get_value() for v in held]
    longest = max(np.shape(value)[-1] for value in values if np.ndim(value))
    individuals = len(model.description.value)
    assert longest <= 12 < individuals


@pytest.mark.parametrize("law", [BETA, NORMAL], ids=["Beta", "Normal"])
def test_sums_over_known_values_are_those_over_values_yet_to_come(law):
    values, index = np.array([0.4, 0.7, 0.9, 0.55, 0.2]), np.array([0, 1, 1, 0, 1])
    first, second = pt.as_tensor([0.6, 0.8]), pt.as_tensor([5.0, 9.0] if law is BETA else 5.0)
    with pm.Model(coords={"student": range(5)}) as model:
        observed = pm.Data("values", values, dims="student")
        sums = law.sums(values, index)
        score = observe_individuals(
            "score", law, first, second, index, sums, observed=observed, dims="student"
        )
    later = pt.dvector()
    of_later = pm.logp(score, later).eval({later: values}, mode="FAST_COMPILE")
    of_known = model.logp().eval(mode="FAST_COMPILE")
    mu, spread = np.array([0.6, 0.8])[index], np.array([5.0, 9.0] if law is BETA else [5, 5])[index]
    expected = law.individual_logp(values, mu, spread).sum()
    assert of_known == pytest.approx(expected)
    assert of_later == pytest.approx(expected)


@pytest.mark.parametrize("name", MODELS)
def test_numbers_of_the_table_are_not_changed_one_by_one(name):
    model = build(name)
    before = {data.name: data.get_value() for data in model.data_vars}
    for data in before:
        with pytest.raises(ValueError, match=f"'{data}' cannot be changed by itself: .* new table"):
            pm.set_data({data: before[data] + 1}, model=model)
    for data in model.data_vars:
        np.testing.assert_array_equal(data.get_value(), before[data.name])


def test_a_fit_whose_data_were_changed_behind_its_back_is_refused():
    model = build("exams.nested").copy()  # anybody's own model, with the same names
    prior = prior_draws(model, 5)
    pm.set_data({"mean": model["mean"].get_value()[::-1].copy()}, model=model)
    changed = prior_draws(model, 5)
    hbm.shrinkage(prior.assign(posterior=prior["prior"]), "school")
    with pytest.raises(ValueError, match=r"the fit contradicts itself: of school .* pm\.set_data"):
        hbm.shrinkage(changed.assign(posterior=changed["prior"]), "school")


@pytest.mark.parametrize(
    ("name", "data", "what"),
    [
        ("exams.nested", "sd", "sd"),
        ("exams.nested", "exam_observed", "mean"),
        ("scores.nested", "sd", "sd"),
        ("scores.nested", "n_students", "n_students"),
        ("scores.nested", "score_observed", "mean"),
        ("heights.partial_pooling", "sd", "sd"),
        ("heights.partial_pooling", "n_people", "n_people"),
    ],
)
def test_any_number_of_a_fit_that_was_changed_is_noticed(name, data, what):
    model = build(name).copy()
    group = build(name).description.group
    hbm.shrinkage(as_posterior(prior_draws(model, 5)), group)
    values = model[data].get_value()
    pm.set_data({data: values + 1 if data.startswith("n_") else 0.9 * values}, model=model)
    with pytest.raises(ValueError, match=rf"contradicts itself: of {group} .* another {what} than"):
        hbm.shrinkage(as_posterior(prior_draws(model, 5)), group)


def as_posterior(prior):
    return prior.assign(posterior=prior["prior"])
