"""Leave-one-out by unit, comparison and held-out scores, on fits made without sampling."""

import copy

import arviz_base as azb
import numpy as np
import pandas as pd
import pytest
import xarray as xr
from arviz_stats import loo as arviz_loo
from fakes import fake_exams_nested, fake_fit
from models import build, model_function, table_for
from scipy.special import expit
from scipy.stats import beta, norm

import hbm
from hbm import by_band, compare, evaluate, loo
from hbm.checks.refits import without
from hbm.hierarchy.fitted import read_fit
from hbm.students.likelihoods import beta_mean_logp, beta_summary_logp, normal_summary_logp

N_DRAWS = 400


def heights_fit(name="partial_pooling", *, table=None, seed=1, **fixed):
    table = table_for("heights") if table is None else table
    model = model_function(f"heights.{name}")(table)
    rng = np.random.default_rng(seed)
    n = len(model.coords["country"])
    draws = {
        "mu": rng.normal(185, 2, N_DRAWS),
        "tau_country": np.abs(rng.normal(6, 1, N_DRAWS)),
        "sigma": rng.normal(3.5, 0.2, N_DRAWS),
        "mu_country": rng.normal(185, 2, (N_DRAWS, n)),
    } | fixed
    learned = {rv.name for rv in model.free_RVs} | {"mu_country"}
    return model, fake_fit(model, {k: v for k, v in draws.items() if k in learned})


def exams_fit(table=None, **fixed):
    model = hbm.exams.nested(table_for("exams") if table is None else table)
    return model, fake_exams_nested(model, N_DRAWS, **fixed)


def no_pooling_fit(table):
    model = hbm.exams.no_pooling(table)
    rng = np.random.default_rng(3)
    n = len(table)
    eta, log_nu = rng.normal(0.6, 0.4, (N_DRAWS, n)), rng.normal(1.8, 0.3, (N_DRAWS, n))
    draws = {"eta_school": eta, "log_nu_school": log_nu}
    draws |= {"mu_school": expit(eta), "nu_school": np.exp(log_nu)}
    return model, fake_fit(model, draws)


ORDINARY = hbm.simulate.exams([3, 2, 1], [12, 40, 25, 8, 100, 30], random_seed=3)[0]


# Leaving out


@pytest.mark.parametrize(
    ("name", "unit", "units"),
    [
        ("heights.partial_pooling", "school", "'person', 'country'"),
        ("scores.partial_pooling", "authority", "'student', 'school'"),
        ("scores.nested", "authority", "'student', 'school', 'district'"),
        ("exams.nested", "student", "'school', 'authority'"),
        ("exams.no_pooling", "authority", "'school'"),
    ],
)
def test_an_impossible_unit_lists_the_possible_ones(name, unit, units):
    model = build(name)
    names = [v.name for v in model.free_RVs + model.deterministics]
    fit = fake_fit(model, dict.fromkeys(names, np.ones(3)))
    with pytest.raises(ValueError, match=rf"'{unit}' cannot be left out .* one of: {units}$"):
        loo(model, fit, unit)


def test_the_given_population_makes_leaving_out_exact():
    # With mu, tau and sigma known, what other countries say adds nothing: y is jointly Normal.
    nearly = 180 + np.random.default_rng(1).normal(0, 1e-9, N_DRAWS)
    model, fit = heights_fit(mu=nearly, tau_country=6.0, sigma=4.0)
    table = table_for("heights")
    found = loo(model, fit, "country").elpd_i.to_series()
    for country, y in table.groupby("country")["height"]:
        n = len(y)
        within = norm.logpdf(y, y.mean(), 4.0).sum() + 0.5 * np.log(2 * np.pi * 16 / n)
        expected = within + norm.logpdf(y.mean(), 180, np.sqrt(36 + 16 / n))
        assert found[str(country)] == pytest.approx(expected, abs=1e-6)


def test_individuals_are_left_out_given_their_group():
    nearly = 4 + np.random.default_rng(1).normal(0, 1e-9, N_DRAWS)
    model, fit = heights_fit(mu_country=np.full((N_DRAWS, 4), 184.0), sigma=nearly)
    found = loo(model, fit, "person").elpd_i.to_numpy()
    np.testing.assert_allclose(
        found, norm.logpdf(table_for("heights")["height"], 184, 4), atol=1e-6
    )


def test_students_are_beta_given_their_school():
    model = build("scores.partial_pooling")
    rng = np.random.default_rng(2)
    n = len(model.coords["school"])
    eta, log_nu = rng.normal(1, 0.01, (N_DRAWS, n)), rng.normal(2.3, 0.01, (N_DRAWS, n))
    draws = {"eta": 1.0, "tau_school": 0.5, "nu": 10.0, "tau_nu": 0.3}
    draws |= {"eta_school": eta, "log_nu_school": log_nu}
    draws |= {"mu_school": expit(eta), "nu_school": np.exp(log_nu)}
    result = loo(model, fake_fit(model, draws), "student")
    mu, nu = expit(1.0), 10.0
    expected = beta.logpdf(table_for("nested_scores")["score"], mu * nu, (1 - mu) * nu)
    np.testing.assert_allclose(result.elpd_i, expected, atol=0.05)
    assert list(result.elpd_i["student"].to_numpy()[:2]) == ["1", "2"]


def test_without_pooling_a_new_school_is_predicted_by_the_prior():
    model, fit = no_pooling_fit(ORDINARY)
    result = loo(model, fit, "school")
    rng = np.random.default_rng(4)
    n = 200_000
    mu, nu = expit(rng.normal(1.1, 1.5, n)), np.exp(rng.normal(np.log(10), 1, n))
    for i, row in enumerate(ORDINARY.itertuples()):
        density = np.exp(beta_summary_logp(row.mean, row.sd, row.n_students, mu, nu))
        error = density.std() / np.sqrt(n) / density.mean()
        assert abs(result.elpd_i[i] - np.log(density.mean())) < 4.5 * error
    assert (result.pareto_k == 0).all()
    assert result.p == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize("unit", ["school", "authority"])
def test_result_is_labelled(unit):
    result = loo(*exams_fit(ORDINARY), unit)
    assert type(result).__name__ == "ELPDDataLOO"
    assert result.elpd_i.dims == result.pareto_k.dims == (unit,)
    assert list(result.elpd_i[unit].to_numpy()) == list(ORDINARY[unit].unique())
    assert result.elpd == pytest.approx(result.elpd_i.sum().item())


# What a unit's density hangs on, and what is integrated out of it. In nested models a school's also
# hangs on what its parent's effect is known by.
ASKED_OF = {
    ("exams.nested", "school"): ["tau_school", "nu", "tau_nu"],
    ("exams.nested", "authority"): ["eta", "tau_authority", "tau_school", "nu", "tau_nu"],
    ("heights.partial_pooling", "country"): ["mu", "tau_country", "sigma"],
    ("heights.partial_pooling", "person"): ["mu_country", "sigma"],
}
NOT_ASKED_OF = {
    ("exams.nested", "school"): ["eta_school", "log_nu_school", "mu_school", "nu_school"],
    ("exams.nested", "authority"): ["eta_authority", "eta_school", "mu_school", "nu_school"],
    ("heights.partial_pooling", "country"): ["mu_country"],
    ("heights.partial_pooling", "person"): ["mu", "tau_country"],
}


def in_two_chains(fit, order=range(N_DRAWS)):
    """Return a fit with its draws in some order as two chains: of one ArviZ takes all to count."""
    posterior = fit["posterior"].to_dataset()
    halves = [
        posterior.isel(draw=half).assign_coords(chain=[chain], draw=np.arange(N_DRAWS // 2))
        for chain, half in enumerate(np.split(np.asarray(order), 2))
    ]
    return fit.assign(posterior=xr.DataTree(xr.concat(halves, "chain")))


def with_hair(fit, name, *, slow):
    """Vary a quantity by next to nothing: from draw to draw, or slowly along each chain."""
    hair = np.linspace(-1, 1, N_DRAWS)
    if not slow:
        hair = np.random.default_rng(7).permutation(hair)
    changed = in_two_chains(fit)
    draws = changed["posterior"][name]
    first = draws.isel(chain=0, draw=0).to_numpy()
    draws[:] = first * (1 + 1e-9 * hair.reshape(2, -1, *(1 for _ in first.shape)))
    return changed


def khat_fast_and_slow(of, name, unit):
    model, fit = heights_fit() if of.startswith("heights") else exams_fit(ORDINARY)
    return [loo(model, with_hair(fit, name, slow=slow), unit).pareto_k for slow in (False, True)]


def pairs(quantities):
    return [(*key, name) for key, names in quantities.items() for name in names]


@pytest.mark.filterwarnings("ignore:.* Pareto k above:UserWarning")
@pytest.mark.parametrize(("of", "unit", "name"), pairs(ASKED_OF))
def test_slow_draws_of_what_is_asked_lower_the_relative_efficiency(of, unit, name):
    # Pareto k is that of a tail, which ArviZ takes longer the fewer draws count. The densities are
    # the same to a hair, so that k tells of which quantities they were counted.
    fast, slow = khat_fast_and_slow(of, name, unit)
    assert float(abs(fast - slow).max()) > 0.005


@pytest.mark.filterwarnings("ignore:.* Pareto k above:UserWarning")
@pytest.mark.parametrize(("of", "unit", "name"), pairs(NOT_ASKED_OF))
def test_slow_draws_of_anything_else_do_not(of, unit, name):
    fast, slow = khat_fast_and_slow(of, name, unit)
    np.testing.assert_array_equal(fast, slow)


@pytest.mark.filterwarnings("ignore:.*Pareto:UserWarning")
@pytest.mark.parametrize("slow", ["mu", "tau_country", "sigma"])
def test_a_country_left_out_is_sampled_as_arviz_does_given_its_population(slow):
    table = table_for("heights")
    model, fit = heights_fit(table=table)
    fit = in_two_chains(fit, np.argsort(fit["posterior"][slow].to_numpy()[0]))
    names = ["mu", "tau_country", "sigma"]
    mu, tau, sigma = population = [fit["posterior"][name].to_numpy() for name in names]
    log_lik = []
    for _, y in table.groupby("country", sort=False)["height"]:
        # Given their mean, people are Normal around it in the n − 1 other directions.
        n, squares = len(y), ((y - y.mean()) ** 2).sum()
        within = (n - 1) * norm.logpdf(0, scale=sigma) - squares / (2 * sigma**2) - np.log(n) / 2
        log_lik.append(within + norm.logpdf(y.mean(), mu, np.sqrt(tau**2 + sigma**2 / n)))
    by_country = {"country": np.stack(log_lik, axis=-1)}
    posterior = dict(zip(names, population, strict=True))
    tree = azb.from_dict({"posterior": posterior, "log_likelihood": by_country})
    expected, found = arviz_loo(tree, pointwise=True), loo(model, fit, "country")
    np.testing.assert_allclose(found.elpd_i, expected.elpd_i, rtol=1e-8)
    np.testing.assert_allclose(found.pareto_k, expected.pareto_k, rtol=1e-6)


def influential_fit():
    # One country so far out that the draws, spread about it, cannot say how it would be without.
    table = table_for("heights")
    table.loc[table["country"] == 2, "height"] += 60
    return heights_fit(table=table, mu=np.random.default_rng(5).standard_t(3, N_DRAWS) * 8 + 190)


def test_a_high_k_is_told_in_plain_words():
    with pytest.warns(
        UserWarning, match=r"of 4 units \(country\) have a Pareto k above 0\.62 .*refit="
    ):
        result = loo(*influential_fit(), "country")
    assert result.warning


def test_refits_need_the_function_and_its_table():
    model, fit = heights_fit()
    with pytest.raises(ValueError, match=r"need both refit=, the function .* and table="):
        loo(model, fit, "country", refit=hbm.heights.partial_pooling)
    other = table_for("heights")
    other.loc[0, "height"] += 1
    with pytest.raises(ValueError, match="do not give the model of the fit: 'height' differs"):
        loo(model, fit, "country", refit=hbm.heights.partial_pooling, table=other)


def test_arguments_are_not_changed():
    model, fit = exams_fit(ORDINARY)
    before, table_before = fit.copy(deep=True), ORDINARY.copy(deep=True)
    loo(model, fit, "school")
    evaluate(model, fit, ORDINARY, random_seed=1)
    compare({"a": (model, fit), "b": no_pooling_fit(ORDINARY)}, "school")
    assert fit.identical(before)
    pd.testing.assert_frame_equal(ORDINARY, table_before)


# Comparison


def test_compare_gives_arviz_table():
    models = {"nested": exams_fit(ORDINARY), "no": no_pooling_fit(ORDINARY)}
    table = compare(models, "school")
    single = {name: loo(*pair, "school") for name, pair in models.items()}
    assert list(table.index) == sorted(single, key=lambda name: -single[name].elpd)
    assert {"elpd_diff", "dse", "weight", "elpd", "se"} <= set(table.columns)
    for name, result in single.items():
        assert float(table.loc[name, "elpd"]) == pytest.approx(result.elpd, abs=1)
    assert table["weight"].astype(float).sum() == pytest.approx(1, abs=0.02)


@pytest.mark.filterwarnings("ignore:.* Pareto k above:UserWarning")
def test_a_note_says_where_a_fixed_population_decides():
    models = {"nested": exams_fit(ORDINARY), "no": no_pooling_fit(ORDINARY)}
    noted = (
        "a school left out is predicted from a fixed population, N(1.1, 1.5): the difference "
        "measures that choice"
    )
    assert compare(models, "school")["note"].to_dict() == {"nested": "", "no": noted}
    of_people = {name: heights_fit(name) for name in ("no_pooling", "partial_pooling")}
    notes = compare(of_people, "country")["note"]
    assert notes["partial_pooling"] == ""
    assert notes["no_pooling"].startswith("a country left out is predicted from a fixed")
    # Another person of a known country is predicted from that country, whatever is pooled.
    assert "note" not in compare(of_people, "person")
    assert "note" not in compare({"one": models["nested"], "other": models["nested"]}, "school")


def test_what_exact_refits_changed_counts():
    pair, rival = exams_fit(ORDINARY), no_pooling_fit(ORDINARY)
    sampled = loo(*pair, "school")
    refitted = copy.copy(sampled)
    changed_by = xr.zeros_like(sampled.elpd_i)
    changed_by[[1, 4]] = [-2.5, -1.5]
    refitted.elpd_i = sampled.elpd_i + changed_by
    refitted.elpd = float(refitted.elpd_i.sum())
    refitted.pareto_k = xr.zeros_like(sampled.pareto_k)
    table = compare({"refitted": refitted, "sampled": pair}, "school")
    assert list(table.index) == ["sampled", "refitted"]
    assert abs(float(table.loc["refitted", "elpd_diff"])) == pytest.approx(4)
    # The standard error is that of the sum of the units' differences, too.
    dse = np.sqrt(len(changed_by)) * float(changed_by.std())
    assert float(table.loc["refitted", "dse"]) == pytest.approx(dse)
    # And among other models: all but the two units is as it was.
    one, other = (compare({"a": of, "no": rival}, "school") for of in (refitted, sampled))
    assert float(other.loc["a", "elpd"] - one.loc["a", "elpd"]) == pytest.approx(4)


def test_stacking_holds_for_units_of_very_many_individuals():
    # A country's joint log density is then thousands of nats below 0, whose exponential is 0.
    rng = np.random.default_rng(6)
    means = np.repeat([180.0, 185, 190, 186], 800)
    people = pd.DataFrame(
        {"country": np.repeat(list("abcd"), 800), "height": rng.normal(means, 3.5)}
    )
    known = {"sigma": rng.normal(3.5, 1e-4, N_DRAWS), "mu": rng.normal(185, 0.2, N_DRAWS)}
    table = compare(
        {
            "no": heights_fit("no_pooling", table=people, **known),
            "partial": heights_fit("partial_pooling", table=people, **known),
        },
        "country",
    )
    assert list(table.index) == ["partial", "no"]
    assert np.isfinite(table["weight"].astype(float)).all()
    assert float(table.loc["partial", "elpd"]) < -8000


def changed(column, row, value):
    table = ORDINARY.copy()
    table.loc[row, column] = value
    return table


@pytest.mark.parametrize(
    ("other", "unit", "match"),
    [
        (ORDINARY.iloc[:-1], "school", "'a' and 'b' have a different school: only one .* has '6'"),
        (ORDINARY.iloc[::-1], "school", "labels of school in another order; sort"),
        (changed("n_students", 1, 41), "school", "have a different n of school '2'"),
        (changed("mean", 2, 0.5), "school", "have a different mean of school '3'"),
        (changed("sd", 3, 0.11), "school", "have a different sd of school '4'"),
        (changed("authority", 1, "2"), "authority", "have a different authority of school '2'"),
    ],
)
def test_different_rows_are_not_compared(other, unit, match):
    with pytest.raises(ValueError, match=f"models of different data cannot be compared: .*{match}"):
        compare({"a": exams_fit(ORDINARY), "b": exams_fit(other.reset_index(drop=True))}, unit)


def test_another_authority_does_not_matter_where_schools_are_left_out():
    other = changed("authority", 1, "2")
    assert len(compare({"a": exams_fit(ORDINARY), "b": exams_fit(other)}, "school")) == 2


def test_different_kinds_of_data_are_not_compared():
    mean_only = hbm.exams.nested(ORDINARY, observe="mean")
    pair = mean_only, fake_exams_nested(mean_only, N_DRAWS)
    with pytest.raises(ValueError, match="observe different things, 'exam' and 'exam_mean'"):
        compare({"a": exams_fit(ORDINARY), "b": pair}, "school")
    people, summary = table_for("heights"), table_for("heights")
    summary = summary.groupby("country")["height"].agg(n_people="size", mean="mean", sd="std")
    with pytest.raises(ValueError, match="observe different things, 'height' and 'summary'"):
        compare(
            {"a": heights_fit(table=people), "b": heights_fit(table=summary.reset_index())},
            "country",
        )
    swapped = people.copy()
    swapped.loc[[0, 1], "height"] = people.loc[[1, 0], "height"].to_numpy()
    with pytest.raises(
        ValueError, match="different results of some person, or the same in another"
    ):
        compare({"a": heights_fit(table=people), "b": heights_fit(table=swapped)}, "person")


def test_models_to_compare_are_pairs_two_at_least_with_the_unit():
    pair = exams_fit(ORDINARY)
    with pytest.raises(
        TypeError, match=r"'a' must be a pair \(model, fit\) or a result of hbm.loo, got DataTree"
    ):
        compare({"a": pair[1], "b": pair}, "school")
    with pytest.raises(ValueError, match="two models or more"):
        compare({"a": pair}, "school")
    for wrong in ([pair, pair], pair):
        kind = type(wrong).__name__
        with pytest.raises(TypeError, match=rf"models must map names to pairs .*, got {kind}"):
            compare(wrong, "school")
    with pytest.raises(ValueError, match="'authority' cannot be left out of model 'no'"):
        compare({"nested": pair, "no": no_pooling_fit(ORDINARY)}, "authority")


# Held-out data


def one_draw_of(model, **values):
    names = {v.name for v in model.free_RVs + model.deterministics}
    return fake_fit(model, {k: np.full(3000, v) for k, v in values.items() if k in names})


def test_log_scores_of_known_parameters_are_densities():
    model = hbm.exams.complete_pooling(ORDINARY)
    values = {"eta": 0.5, "mu": expit(0.5), "nu": 7.0, "mu_school": expit(0.5), "nu_school": 7.0}
    rows = evaluate(model, one_draw_of(model, **values), ORDINARY, random_seed=1)
    mean, sd, n = (ORDINARY[c].to_numpy() for c in ("mean", "sd", "n_students"))
    np.testing.assert_allclose(rows["log_score_mean"], beta_mean_logp(mean, n, expit(0.5), 7.0))
    np.testing.assert_allclose(rows["log_score"], beta_summary_logp(mean, sd, n, expit(0.5), 7.0))


def test_scores_of_a_normal_prediction():
    # The mean of 16 people, N(180, 4/√16 = 1), has a CRPS in closed form.
    model, _ = heights_fit("complete_pooling")
    fit = one_draw_of(model, mu=180.0, mu_country=180.0, sigma=4.0)
    z = np.array([-2.0, -1.5, -0.6, 0.0, 0.5, 0.8, 1.75])
    following = pd.DataFrame(
        {"country": ["1", "2", "3", "4", "x", "y", "z"], "n_people": 16, "mean": 180 + z, "sd": 4.0}
    )
    rows = evaluate(model, fit, following, random_seed=1)
    expected = z * (2 * norm.cdf(z) - 1) + 2 * norm.pdf(z) - 1 / np.sqrt(np.pi)
    np.testing.assert_allclose(rows["crps"], expected, atol=4.5 / np.sqrt(3000))
    np.testing.assert_allclose(rows["log_score_mean"], norm.logpdf(z))
    np.testing.assert_allclose(
        rows["log_score"], normal_summary_logp(180 + z, 4.0, 16.0, 180.0, 4.0)
    )
    assert list(rows["inside_50"]) == [False, False, True, True, True, False, False]
    assert list(rows["inside_89"]) == [False, True, True, True, True, True, False]
    assert list(rows["known"]) == [True] * 4 + [False] * 3
    np.testing.assert_allclose(rows["predicted"], 180, atol=4.5 / np.sqrt(3000))
    assert list(rows["band"].unique()) == ["10–29"]


def test_log_scores_average_densities_not_logs():
    model = hbm.exams.complete_pooling(ORDINARY)
    mu = np.repeat([0.5, 0.7], 50)
    draws = {"eta": np.log(mu / (1 - mu)), "mu": mu, "nu": np.full(100, 6.0)}
    n = len(ORDINARY)
    draws |= {"mu_school": np.repeat(mu[:, None], n, axis=1), "nu_school": np.full((100, n), 6.0)}
    rows = evaluate(model, fake_fit(model, draws), ORDINARY, random_seed=1)
    for score, row in zip(rows["log_score_mean"], ORDINARY.itertuples(), strict=True):
        a, b = (np.exp(beta_mean_logp(row.mean, row.n_students, m, 6.0)) for m in (0.5, 0.7))
        assert score == pytest.approx(np.log((a + b) / 2))


def test_next_cohort_may_be_given_student_by_student():
    _, students, _ = hbm.simulate.exams([3, 2, 1], [12, 40, 25, 8, 100, 30], random_seed=3)
    model, fit = exams_fit(ORDINARY)
    from_students = evaluate(model, fit, students, random_seed=1)
    pd.testing.assert_frame_equal(from_students, evaluate(model, fit, ORDINARY, random_seed=1))


@pytest.mark.parametrize("name", ["exams", "scores", "heights"])
def test_a_published_table_with_a_column_of_an_individuals_name_is_published(name):
    table, more = ORDINARY, {"score": ORDINARY["mean"], "exam": 0.5}
    if name == "exams":
        model, fit = exams_fit(ORDINARY)
    elif name == "scores":
        model = hbm.scores.complete_pooling(table_for("nested_scores"))
        fit = one_draw_of(model, eta=0.5, mu=0.6, nu=7.0, mu_school=0.6, nu_school=7.0)
    else:
        model, fit = heights_fit()
        table = pd.DataFrame({"country": ["1", "2", "x"], "n_people": [9, 30, 4]})
        table = table.assign(mean=[180.0, 190.0, 176.0], sd=[6.0, 7.0, 5.0])
        more = {"height": table["mean"], "score": 0.5}
    rows = evaluate(model, fit, table, random_seed=1)
    assert rows[model.description.size].tolist() == table[model.description.size].tolist()
    for column, value in more.items():
        both = evaluate(model, fit, table.assign(**{column: value}), random_seed=1)
        pd.testing.assert_frame_equal(both, rows)


def test_heights_of_a_published_table_with_heights_are_the_published_ones():
    table = pd.DataFrame({"country": ["a", "b"], "n_people": [9, 30]})
    table = table.assign(mean=[180.0, 190.0], sd=[6.0, 7.0])
    plain = hbm.heights.partial_pooling(table)
    both = hbm.heights.partial_pooling(table.assign(height=[1.0, 2.0]))
    assert both.description.value is None
    assert both.description.columns == plain.description.columns
    for data in plain.data_vars:
        np.testing.assert_array_equal(both[data.name].get_value(), data.get_value())
    point = plain.initial_point()
    assert both.compile_logp()(point) == plain.compile_logp()(point)


def test_small_cohorts_and_missing_sds():
    following = pd.DataFrame(
        {
            "school": ["1", "2", "new"],
            "authority": ["1", "1", "new"],
            "n_students": [1, 2, 30],
            "mean": [0.7, 1.0, 0.6],
            "sd": [np.nan, 0.0, 0.2],
        }
    )
    rows = evaluate(*exams_fit(ORDINARY), following, random_seed=1)
    assert np.isfinite(rows["log_score_mean"]).all()
    assert list(rows["log_score"].isna()) == [True, False, False]
    assert list(rows["band"]) == ["1–2", "1–2", "30+"]
    without = evaluate(*exams_fit(ORDINARY), following.drop(columns="sd"), random_seed=1)
    assert without["log_score"].isna().all()
    pd.testing.assert_series_equal(without["log_score_mean"], rows["log_score_mean"])


def test_bands_are_averages_of_their_rows():
    rng = np.random.default_rng(1)
    n = np.array([1, 3, 9, 10, 29, 30, 500])
    rows = pd.DataFrame(
        {
            "band": ["1–2", "3–9", "3–9", "10–29", "10–29", "30+", "30+"],
            "n_students": n,
            "observed": rng.uniform(size=7),
            "predicted": rng.uniform(size=7),
            "log_score_mean": rng.normal(size=7),
            "log_score": [np.nan, *rng.normal(size=6)],
            "crps": rng.uniform(size=7),
            "inside_50": rng.uniform(size=7) < 0.5,
            "inside_89": True,
        }
    )
    bands = by_band(rows)
    assert list(bands.index) == ["1–2", "3–9", "10–29", "30+", "all"]
    assert list(bands["groups"]) == [1, 2, 2, 2, 7]
    small = rows[1:3]
    assert bands.loc["3–9", "crps"] == pytest.approx(small["crps"].mean())
    error = small["observed"] - small["predicted"]
    assert bands.loc["3–9", "rmse"] == pytest.approx(np.sqrt((error**2).mean()))
    assert bands.loc["all", "log_score"] == pytest.approx(rows["log_score"].mean())
    known_only = by_band(rows[rows["n_students"] > 9])
    assert list(known_only.index) == ["10–29", "30+", "all"]


def test_a_moved_school_is_refused():
    following = copy.deepcopy(ORDINARY)
    following.loc[0, "authority"] = "2"
    with pytest.raises(ValueError, match="'1' is under '2' and was under '1'"):
        evaluate(*exams_fit(ORDINARY), following)


def test_bands_need_the_table_of_evaluate():
    with pytest.raises(ValueError, match="no column 'log_score_mean'"):
        by_band(pd.DataFrame({"band": ["3–9"], "observed": [0.5], "predicted": [0.6]}))
    with pytest.raises(TypeError, match="DataFrame"):
        by_band({"band": ["3–9"]})


def test_a_unit_with_a_number_for_a_label_is_left_out_of_the_refit():
    table = hbm.simulate.exams([2, 1], [5, 8, 40], random_seed=1)[0]
    table["school"] = [7.0, 8.0, 9.0]
    fitted = read_fit(exams_fit(table)[1])
    assert fitted.d.coords["school"].tolist() == ["7", "8", "9"]
    assert without(table, fitted, "school", 1)["school"].tolist() == [7.0, 9.0]
