"""Other words than schools and students: hospitals in trusts, players in teams, from data to page.

Nothing that a user of these sees may speak of schools: names, columns, messages, texts of pictures.
"""

import re

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import xarray as xr
from fakes import fake_fit, prior_draws
from matplotlib.figure import Figure
from matplotlib.text import Text
from scipy.special import expit

import hbm

FOREIGN = re.compile(r"school|student|exam(?!ple)|authorit|district|countr|person|people|\bcm\b",
                     re.I)  # fmt: skip
HOSPITALS = {
    "group": "hospital",
    "levels": ("trust",),
    "individual": "patient",
    "value": "recovery",
}
TEAMS = {"group": "team", "individual": "player", "value": "points", "unit": "points"}


def assert_own(text):
    """Check that a text has none of the words of others."""
    assert not FOREIGN.search(str(text)), text


def hospital_rows():
    table, *_ = hbm.simulate.exams([3, 2, 1, 2], [8, 30, 60, 5, 90, 12, 25, 40], random_seed=5)
    table = table.rename(
        columns={"school": "hospital", "authority": "trust", "n_students": "n_patients"}
    )
    return table[["hospital", "trust", "n_patients", "mean", "sd"]]


def player_rows():
    rng = np.random.default_rng(2)
    teams = np.repeat(list("abcdef"), [3, 8, 5, 12, 2, 7])
    means = dict(zip("abcdef", rng.normal(180, 8, 6), strict=True))
    points = [means[team] for team in teams] + rng.normal(0, 6, len(teams))
    return pd.DataFrame({"team": teams, "points": points})


def fake(model, n_draws=400):
    """Return a fit that knows the parameters well, so that no unit weighs."""
    rng, d = np.random.default_rng(1), model.description
    one = d.effect()
    centre, tau = (0.6, 0.4) if one == "eta" else (180.0, 8.0)
    draws = {one: rng.normal(centre, tau / 20, n_draws)}
    for level in d.levels:
        draws[f"tau_{level.name}"] = rng.normal(tau, tau / 50, n_draws)
        shape = (n_draws, len(level.labels))
        near = centre + tau * rng.normal(size=shape[1])
        draws[d.effect(level.name)] = near + tau / 20 * rng.normal(size=shape)
    if one == "eta":
        draws |= {f"mu_{x.name}": expit(draws[f"eta_{x.name}"]) for x in d.levels}
        log_nu = rng.normal(np.log(6), 0.1, (n_draws, len(d.n)))
        draws |= {"nu": rng.normal(6, 0.1, n_draws), "tau_nu": rng.normal(0.3, 0.01, n_draws)}
        draws |= {f"log_nu_{d.group}": log_nu, f"nu_{d.group}": np.exp(log_nu)}
        draws["mu"] = expit(draws["eta"])
    else:
        draws["sigma"] = rng.normal(6, 0.1, n_draws)
    return fake_fit(model, draws)


def build(case):
    if case == "hospitals":
        table = hospital_rows()
        model = hbm.exams.nested(table, **HOSPITALS)
    elif case == "patients":
        _, students, _ = hbm.simulate.exams([3, 2], [8, 3, 6, 5, 9], random_seed=5)
        names = {"school": "hospital", "authority": "trust", "score": "recovery"}
        table = students.rename(columns=names)
        model = hbm.scores.nested(table, **HOSPITALS)
    else:
        table, priors = player_rows(), hbm.heights.Priors(mu_mean=180, mu_sd=20)
        model = hbm.heights.partial_pooling(table, **TEAMS, priors=priors)
    return table, model, fake(model)


CASES = ["hospitals", "patients", "teams"]


@pytest.fixture(scope="module", params=CASES)
def case(request):
    return request.param, *build(request.param)


@pytest.fixture(scope="module")
def hospitals():
    return build("hospitals")


@pytest.fixture(scope="module")
def teams():
    return build("teams")


# Models


def test_names_of_a_model(case):
    name, _, model, fit = case
    effects = {"hospitals": "eta", "patients": "eta", "teams": "mu"}
    expected = {f"{effects[name]}_{level.name}" for level in model.description.levels}
    assert expected <= {rv.name for rv in model.free_RVs}
    for word in [*model.named_vars, *model.coords]:
        assert_own(word)
    for node in fit.subtree:
        for word in [*node.variables, *node.dims, *map(str, node.attrs.values())]:
            assert_own(word)


@pytest.mark.parametrize(
    ("name", "dims"),
    [
        ("hospitals", {"mu_hospital", "mu_trust", "nu_hospital", "tau_trust", "tau_hospital"}),
        ("patients", {"mu_hospital", "mu_trust", "nu_hospital", "tau_trust", "tau_hospital"}),
        ("teams", {"mu_team", "tau_team", "sigma"}),
    ],
)
def test_what_is_to_be_learned_is_named_by_the_words(name, dims):
    _, model, _ = build(name)
    assert dims <= set(model.named_vars)


def test_prior_draws_have_the_words(case):
    name, _, model, _ = case
    prior = prior_draws(model, 20)
    observed = {"hospitals": "recovery", "patients": "recovery", "teams": "points"}[name]
    assert observed in prior["prior_predictive"]
    for node in prior.subtree:
        for word in [*node.variables, *node.dims]:
            assert_own(word)


def test_a_model_is_saved_with_its_words(case, tmp_path):
    _, _, model, fit = case
    hbm.save(model, fit, tmp_path / "own.nc")
    again, loaded = hbm.load(tmp_path / "own.nc")
    assert list(again.named_vars) == list(model.named_vars)
    group = model.description.group
    pd.testing.assert_frame_equal(hbm.shrinkage(loaded, group), hbm.shrinkage(fit, group))


# Tables


def test_tables_have_the_words(case):
    _, _, model, fit = case
    d, unit = model.description, model.description.unit
    tables = {level.name: hbm.shrinkage(fit, level.name) for level in d.levels}
    tables |= {f"ranks of {d.group}": hbm.ranks(fit, d.group)}
    tables |= {"limits": hbm.funnel_limits(fit, d.group), "variance": hbm.variance_shares(fit)}
    tables |= {"estimates": hbm.estimates(fit, d.mean_name)}
    tables |= {
        "pairs": hbm.pairwise(fit, d.group),
        "sensitivity": hbm.prior_sensitivity(model, fit),
    }
    for name, table in tables.items():
        for word in [*table.columns, *table.index, *table.attrs.values()]:
            assert_own(word)
        if name in {"limits", "variance", *(level.name for level in d.levels)}:
            assert table.attrs["unit"] == unit
            assert table.attrs["proportions"] == (unit == "%")
    assert d.size in tables[d.group]
    assert d.size == tables["limits"].columns[0] == tables["limits"].attrs["size"]
    cohort = ["cohort"] if d.clustered else []
    levels = [*(x.name for x in d.levels), *cohort, d.individual]
    assert list(tables["variance"]["level"]) == levels


def test_upper_levels_count_their_members(hospitals):
    _, _, fit = hospitals
    trusts = hbm.shrinkage(fit, "trust")
    assert list(trusts.columns[:3]) == ["trust", "n_hospitals", "n_patients"]
    table = hbm.shrinkage(fit, "hospital")
    assert {"trust", "share_own", "share_trust", "share_population"} <= set(table)
    assert table.attrs["parent"] == "trust"


# Checks


@pytest.mark.parametrize("new_groups", [False, True])
def test_the_check_speaks_of_them(case, new_groups):
    _, table, model, fit = case
    check = hbm.check_predictive(
        model, fit, table=table, new_groups=new_groups, draws=100, random_seed=1
    )
    d = model.description
    for text in (check, check._repr_html_(), *check.table["statistic"]):
        assert_own(text)
    assert f"{d.individual}s within a {d.group}" in str(check)
    assert check.group == d.group
    prior = prior_draws(model, 120)
    assert_own(hbm.check_predictive(model, prior, random_seed=1))


def test_they_are_left_out_by_their_own_names(case):
    _, _, model, fit = case
    d = model.description
    for unit in d.units:
        result = hbm.loo(model, fit, unit)
        assert list(result.elpd_i[unit].to_numpy()) == list(d.coords[unit])
        both = hbm.compare({"one": result, "other": (model, fit)}, unit)
        assert (both["elpd_diff"] == 0).all()
    pit = hbm.loo_pit(model, fit, d.group)
    assert_own(pit)
    assert pit.table.columns[0] == d.group


def test_predictions_have_the_words(case):
    name, table, model, fit = case
    d = model.description
    new = pd.DataFrame({d.group: [d.coords[d.group][0], "new"], d.size: [9, 30]})
    if name != "teams":
        new["trust"] = [table["trust"][table["hospital"] == d.coords["hospital"][0]].iloc[0], "new"]
    predicted = hbm.predict(model, fit, new, random_seed=1)
    for node in predicted.subtree:
        for word in [*node.variables, *node.dims]:
            assert_own(word)
    assert list(predicted["predictions_constant_data"]["known"].to_numpy()) == [True, False]
    scores = hbm.evaluate(model, fit, table, random_seed=1)
    assert list(scores.columns[:4]) == [d.group, d.size, "band", "known"]
    assert scores["known"].all()
    assert_own(list(hbm.by_band(scores)))


# Pictures


def texts(ax):
    """Return all that is written in the figure of an Axes."""
    ax.figure.draw_without_rendering()
    return [t.get_text() for t in ax.figure.findobj(Text) if t.get_text()]


def pictures_of_fits(model, fit):
    d = model.description
    schools, own = hbm.shrinkage(fit, d.group), hbm.estimates(fit, d.mean_name)
    prior = prior_draws(model, 100)
    check = hbm.check_predictive(model, fit, draws=100, random_seed=1)
    result = hbm.loo(model, fit, d.group)
    sizes = pd.DataFrame({d.group: d.coords[d.group], d.size: d.n.astype(int)})
    if d.above(d.group):
        sizes[d.above(d.group)] = schools[d.above(d.group)]
    predicted = hbm.predict(model, fit, sizes, random_seed=1)["predictions/mean"]
    seen = dict(zip(d.coords[d.group], d.mean, strict=True))
    yield "plot_shrinkage", (schools,), {}
    yield "plot_pooling", (schools,), {}
    yield "plot_funnel", (schools, hbm.funnel_limits(fit, d.group)), {}
    yield "plot_ranks", (hbm.ranks(fit, d.group),), {}
    yield "plot_estimates", (own,), {"unit": d.unit}
    yield "plot_spreads", (fit, prior), {}
    yield "plot_check", (check,), {}
    yield "plot_pit", (hbm.loo_pit(model, fit, d.group),), {}
    yield "plot_comparison", (hbm.compare({"a": result, "b": result}, d.group),), {}
    yield "plot_predictive_by_group", (predicted, seen), {"unit": d.unit}
    yield "plot_density", (fit["posterior"][d.law.spread],), {}
    if len(d.levels) > 1:
        yield "plot_nesting", (schools, hbm.shrinkage(fit, d.levels[0].name)), {}


def test_pictures_of_fits_have_no_words_of_others(case):
    _, _, model, fit = case
    drawn = []
    for name, args, options in pictures_of_fits(model, fit):
        ax = getattr(hbm, name)(*args, **options)
        for text in texts(ax):
            assert_own(text)
        drawn.append(name)
        plt.close(ax.figure)
    assert len(drawn) >= 11


def test_pictures_of_tables_take_the_words(hospitals):
    table, students = hospitals[0], build("patients")[0]
    words = {"school": "hospital", "student": "patient", "value": "recovery"}
    own = hbm.estimates(hospitals[2], "mu_hospital")
    beta = pd.DataFrame({"hospital": ["a", "b"], "mu": [0.5, 0.7], "nu": 9})
    calls = [
        ("plot_exam_table", (table,), {"sized": True, "colour_by": "trust", **words}),
        ("plot_authorities", (table,), {"authority": "trust", **words}),
        ("plot_students", (students,), {"district": "trust", **words}),
        ("plot_caterpillar", (own, table), {"student": "patient", "value": "recovery"}),
        ("plot_betas", (beta,), {"value": "recovery"}),
        ("plot_densities", (students, "recovery", "hospital"), {"unit": "%"}),
    ]
    for name, args, options in calls:
        ax = getattr(hbm, name)(*args, **options)
        written = texts(ax)
        assert any("ecovery" in text for text in written), name
        for text in written:
            assert_own(text)
            assert "score" not in text.lower()
        plt.close(ax.figure)


def test_words_that_are_not_given_stay():
    table, students, _ = hbm.simulate.exams([2, 1], [5, 8, 40], random_seed=1)
    titles = {
        hbm.plot_exam_table: "3 schools by mean score; bars: ± 1 sd of the students",
        hbm.plot_authorities: "2 authorities by mean score; pale: their schools",
    }
    for plot, title in titles.items():
        ax = plot(table, ax=Figure().subplots())
        assert ax.get_title(loc="left") == title
        assert ax.get_ylabel() == "Mean score"
    ax = hbm.plot_students(students, ax=Figure().subplots())
    assert ax.get_title(loc="left") == "53 students in 3 schools"


@pytest.mark.parametrize("plot", [hbm.plot_exam_table, hbm.plot_authorities, hbm.plot_students])
def test_a_column_that_the_words_name_is_asked_for(plot):
    with pytest.raises(ValueError, match="no column 'hospital'"):
        plot(hbm.simulate.exams([2, 1], [5, 8, 40], random_seed=1)[0].assign(score=0.5),
             school="hospital")  # fmt: skip


def test_what_an_individual_is_called_is_text():
    table, *_ = hbm.simulate.exams([2, 1], [5, 8, 40], random_seed=1)
    with pytest.raises(TypeError, match="what an individual is called must be text, got 3"):
        hbm.plot_authorities(table, student=3)


def test_pictures_take_the_unit_of_the_table(teams):
    _, _, fit = teams
    table = hbm.shrinkage(fit, "team")
    limits = hbm.funnel_limits(fit, "team")
    for ax in (
        hbm.plot_shrinkage(table, ax=Figure().subplots()),
        hbm.plot_funnel(table, limits, ax=Figure().subplots()),
    ):
        assert ax.get_ylabel().endswith("ean (points)")
    ax = hbm.plot_shrinkage(table, unit="goals", ax=Figure().subplots())
    assert ax.get_ylabel() == "Mean (goals)"
    ax = hbm.plot_spreads(fit, ax=Figure().subplots())
    assert ax.get_xlabel() == "Standard deviation between groups (points)"


def test_spreads_stand_from_the_top_also_where_levels_are_of_one_size():
    table = hospital_rows().assign(trust=lambda t: "t" + t["hospital"])
    fit = fake(hbm.exams.nested(table, **HOSPITALS))
    posterior = fit["posterior"].to_dataset().transpose("chain", "draw", "hospital", "trust")
    fit = fit.assign(posterior=xr.DataTree(posterior[sorted(posterior, reverse=True)]))
    ax = hbm.plot_spreads(fit, ax=Figure().subplots())
    labels = [text.get_text() for text in ax.get_legend().get_texts()]
    assert labels == ["between trusts", "between hospitals"]


# Messages


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.drop(columns="trust"), "no column 'trust'"),
        (lambda t: t.drop(columns="n_patients"), "no column 'n_patients'"),
        (lambda t: t.assign(n_patients=0), "n_patients"),
        (lambda t: t.assign(mean=60.0), "mean"),
        (lambda t: t.assign(sd=0.9), "sd"),
        (lambda t: pd.concat([t, t]), "hospital"),
        (lambda t: t.assign(hospital=["1", *t["hospital"].iloc[:-1]]), "hospital"),
    ],
)
def test_a_bad_table_is_told_in_the_words(change, message):
    with pytest.raises(ValueError, match=message) as error:
        hbm.exams.nested(change(hospital_rows()), **HOSPITALS)
    assert_own(error.value)


def test_bad_individuals_are_told_in_the_words():
    rows = player_rows()
    rows["points"] = rows["points"].where(rows.index > 0)
    with pytest.raises(ValueError, match="points") as error:
        hbm.heights.partial_pooling(rows, **TEAMS)
    assert_own(error.value)
    patients = build("patients")[0]
    patients["recovery"] = patients["recovery"].where(patients.index > 0, 1.0)
    with pytest.raises(ValueError, match="recoveries of exactly 0 or 1") as error:
        hbm.scores.nested(patients, **HOSPITALS)
    assert_own(error.value)


def test_wrong_questions_are_told_in_the_words(hospitals, teams):
    table, model, fit = hospitals
    new = table.rename(columns={"n_patients": "patients"})
    moved = table.assign(trust="4")
    asked = [
        (lambda: hbm.shrinkage(fit, "ward"), "no variable 'mu_ward'.*mu_trust, mu_hospital"),
        (lambda: hbm.loo(model, fit, "ward"), "one of: 'hospital', 'trust'"),
        (lambda: hbm.loo_pit(model, fit, "trust"), "one of: 'hospital'"),
        (lambda: hbm.funnel_limits(fit, "trust"), "no raw means of 'trust'.*'hospital'"),
        (lambda: hbm.predict(model, fit, new), "no column 'n_patients'"),
        (lambda: hbm.predict(model, fit, moved), "known hospital must stand under the trust"),
        (lambda: hbm.evaluate(model, fit, moved), "known hospital must stand under the trust"),
        (lambda: hbm.shrinkage(fit.sel(hospital=["1"]), "hospital"), "hospitals of trust '1'"),
        (lambda: hbm.shrinkage(fit.sel(trust=["1"]), "hospital"), "no trust of hospital"),
        (lambda: hbm.loo(teams[1], teams[2], "school"), "one of: 'player', 'team'"),
    ]
    for ask, message in asked:
        with pytest.raises(ValueError, match=message) as error:
            ask()
        assert_own(str(error.value).replace("'school'", ""))


def test_two_trusts_of_a_hospital_are_refused_in_the_words():
    rows = build("patients")[0]
    rows.loc[0, "trust"] = "other"
    with pytest.raises(ValueError, match="If two hospitals share a label") as error:
        hbm.scores.nested(rows, **HOSPITALS)
    assert_own(error.value)


@pytest.mark.parametrize("made", [hbm.exams.complete_pooling, hbm.exams.no_pooling])
def test_a_design_effect_that_cannot_be_told_is_refused_in_the_words(made):
    words = {name: word for name, word in HOSPITALS.items() if name != "levels"}
    with pytest.raises(ValueError, match="all that tells hospitals apart") as error:
        made(hospital_rows(), design_effect=None, **words)
    assert_own(error.value)


def test_a_design_effect_below_one_is_refused_in_the_words():
    with pytest.raises(ValueError, match="independent patients") as error:
        hbm.exams.nested(hospital_rows(), design_effect=0.5, **HOSPITALS)
    assert_own(error.value)


def of_few_effective_draws(fit):
    """Return the same draws, as independent ones of which hardly any count."""
    told = {"method": "direct", "pareto_k": 0.9, "grid_error": 0.1, "beyond_grids": 0.1}
    told |= {"effective_draws": 5.0, "draws": fit["posterior"].sizes["draw"]}
    return fit.assign(sample_stats=xr.DataTree(xr.Dataset(attrs=told)))


def hospitals_of_years():
    table = hospital_rows()
    return pd.concat([table.assign(season=2018), table.assign(season=2019)])


def test_advice_on_draws_has_the_words(hospitals):
    found = hbm.diagnose(of_few_effective_draws(hospitals[2]))
    assert "above all of few hospitals" in found.advice[-1]
    assert "1 for independent patients" in found.advice[-1]
    assert_own(found)
    assert_own(found._repr_html_())
    model = hbm.exams.panel(hospitals_of_years(), **HOSPITALS, year="season")
    prior = prior_draws(model, 20)
    found = hbm.diagnose(of_few_effective_draws(prior.assign(posterior=prior["prior"])))
    assert "few hospitals with results in several of them" in found.advice[-1]
    assert_own(found)


def test_advice_on_draws_that_say_no_words_has_none_of_others(hospitals):
    bare = xr.DataTree.from_dict({"posterior": hospitals[2]["posterior"].to_dataset()})
    found = hbm.diagnose(of_few_effective_draws(bare))
    assert "above all of few groups" in found.advice[-1]
    assert_own(found)


@pytest.mark.parametrize("made", ["complete_pooling", "no_pooling", "partial_pooling"])
def test_normal_values_are_not_taken_for_proportions(made):
    rows = player_rows().rename(columns={"points": "share"})
    words = TEAMS | {"value": "share", "unit": "%"}
    with pytest.raises(ValueError, match=r"unit='%' is for proportions.* unit='percent'") as error:
        getattr(hbm.heights, made)(rows, **words)
    assert "hbm.exams" in str(error.value)
    model = getattr(hbm.heights, made)(
        rows, **(words | {"unit": "percent"}), priors=hbm.heights.Priors(mu_mean=180, mu_sd=20)
    )
    assert model.description.distance == "percent"
