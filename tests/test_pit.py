import numpy as np
import pandas as pd
import pytest
from fakes import fake_exams_nested, fake_fit
from known_exams import SIZES, TRUTH, known_exams
from models import build, table_for
from scipy import stats
from scipy.special import expit, logit

import hbm
from hbm import LooPit
from hbm.checks import pit as pit_module
from hbm.hierarchy.fitted import read_fit
from hbm.hierarchy.marginal import marginal
from hbm.students.beta import BETA
from hbm.students.normal import NORMAL

# 4.5 standard errors: seven in a million, were it Normal.
SIGMAS = 4.5

# Of a hundred draws or so a k is rough.
pytestmark = pytest.mark.filterwarnings("ignore:.*Pareto k above")


def heights_with_known_spread(n_draws, seed=1, means=(170.0, 176.0, 178.0, 190.0), sds=7.0):
    """Return a model of heights and exact draws of mu where tau_country and sigma are known."""
    tau, sigma, m0, s0 = 6.0, 7.0, 176.0, 10.0
    table = pd.DataFrame(
        {
            "country": [f"country {i}" for i in range(len(means))],
            "n_people": np.resize([5, 10, 20, 2], len(means)),
            "mean": means,
            "sd": sds,
        }
    )
    model = hbm.heights.partial_pooling(table)
    variance = tau**2 + sigma**2 / table["n_people"].to_numpy()
    precision = 1 / s0**2 + (1 / variance).sum()
    mean = (m0 / s0**2 + (table["mean"] / variance).sum()) / precision
    rng = np.random.default_rng(seed)
    draws = {
        "mu": rng.normal(mean, 1 / np.sqrt(precision), n_draws),
        "tau_country": tau,
        "sigma": sigma,
        "mu_country": 176.0,
    }
    pits = []
    for i, y in enumerate(table["mean"]):
        others = np.arange(len(table)) != i
        precision = 1 / s0**2 + (1 / variance[others]).sum()
        centre = (m0 / s0**2 + (table["mean"][others] / variance[others]).sum()) / precision
        pits.append(stats.norm.cdf(y, centre, np.sqrt(variance[i] + 1 / precision)))
    return model, fake_fit(model, draws), np.array(pits)


def tight(model, n_draws, rng):
    """Return a fake fit of exams.nested whose population is the true one, but for a trace."""
    fixed = {
        name: TRUTH[name] * rng.normal(1, 1e-3, n_draws)
        for name in ("tau_authority", "tau_school", "nu", "tau_nu")
    }
    fixed["eta"] = logit(TRUTH["mu"]) + rng.normal(0, 1e-3, n_draws)
    return fake_exams_nested(model, n_draws, **fixed)


def test_pit_is_that_of_the_exact_posterior_without_the_group():
    runs = []
    for seed in range(12):
        model, fit, exact = heights_with_known_spread(1000, seed)
        runs.append(hbm.loo_pit(model, fit, "country").table["pit"])
    runs = np.array(runs)
    error = runs.std(axis=0, ddof=1) / np.sqrt(len(runs))
    assert (np.abs(runs.mean(axis=0) - exact) < SIGMAS * error + 1e-4).all()
    # The group's own weight matters: with it the extreme one would look less so.
    assert (np.abs(exact - 0.5) > 0.3).any()


def test_pit_of_an_sd_of_normal_people_is_that_of_chi_square():
    sds = np.array([5.0, 7.5, 6.0, 14.0])
    model, fit, _ = heights_with_known_spread(200, sds=sds)
    table = hbm.loo_pit(model, fit, "country").table
    freedom = np.array([4, 9, 19, 1])
    expected = stats.chi2.cdf(freedom * (sds / 7) ** 2, freedom)
    np.testing.assert_allclose(table["pit_sd"], expected, rtol=1e-9)


def test_pit_of_a_school_is_that_of_new_schools_of_its_authority():
    table = table_for("exams")
    model = build("exams.nested")
    fit = tight(model, 500, np.random.default_rng(1))
    result = hbm.loo_pit(model, fit).table
    assert list(result.columns) == ["school", "observed", "pit", "pareto_k", "pit_sd"]
    np.testing.assert_array_equal(result["school"], table["school"])
    np.testing.assert_array_equal(result["pit_sd"].isna(), table["n_students"] == 1)
    fitted = read_fit(fit, model)
    rng = np.random.default_rng(2)
    n_draws = 4000
    of_authority = rng.normal(logit(TRUTH["mu"]), TRUTH["tau_authority"], n_draws)
    log_nu = np.array([np.log(TRUTH["nu"])])
    for i, n in enumerate(table["n_students"]):
        siblings = np.flatnonzero((table["authority"] == table["authority"][i]).to_numpy())
        log_weight = np.zeros(n_draws)
        for j in siblings[siblings != i]:
            seen = fitted.evidence(j)
            spreads = (np.array([TRUTH[name]]) for name in ("tau_school", "tau_nu"))
            tau, tau_nu = spreads
            log_weight += marginal(seen, of_authority, tau, log_nu, tau_nu)
        weight = np.exp(log_weight - log_weight.max())
        mu = expit(rng.normal(of_authority, TRUTH["tau_school"]))
        nu = TRUTH["nu"] * np.exp(rng.normal(0, TRUTH["tau_nu"], n_draws))
        students = rng.beta((mu * nu)[:, None], ((1 - mu) * nu)[:, None], (n_draws, n))
        lower = students.mean(axis=1) < table["mean"][i]
        below, error = weighted(lower, weight)
        assert abs(result["pit"][i] - below) < SIGMAS * error, table["school"][i]
        if n > 1:
            mean, sd = table["mean"][i], table["sd"][i]
            weight = weight * np.exp(BETA.mean_logp(mean, n, mu, nu))
            below, error = weighted(BETA.sd_cdf(sd, mean, n, mu, nu), weight)
            assert abs(result["pit_sd"][i] - below) < SIGMAS * error, table["school"][i]


def weighted(x, weight):
    """Return a weighted mean and its standard error."""
    mean = np.average(x, weights=weight)
    error = np.sqrt((weight**2 * (x - mean) ** 2).sum()) / weight.sum()
    return mean, max(error, 1e-3)


@pytest.mark.parametrize("n", [2, 3, 12, 60])
@pytest.mark.parametrize("law", [BETA, NORMAL])
def test_sd_cdf_is_uniform_over_simulated_cohorts_whatever_their_mean(law, n):
    rng = np.random.default_rng(n)
    size = 3000
    mu, spread = (0.65, 6.0) if law is BETA else (176.0, 7.0)
    value = law.draw(rng, np.full((size, n), mu), np.full((size, n), spread))
    mean, sd = value.mean(axis=1), value.std(axis=1, ddof=1)
    u = law.sd_cdf(sd, mean, float(n), mu, spread)
    for part in (u, u[mean < mu], u[mean > mu]):
        assert stats.kstest(part, "uniform").pvalue > 1e-4
    assert np.isnan(
        law.sd_cdf(np.array([np.nan, sd[0]]), mean[0], np.array([n, 1]), mu, spread)
    ).all()


def test_a_model_that_does_not_look_at_sds_has_none_of_them():
    model = build("exams.nested", observe="mean")
    fit = tight(model, 100, np.random.default_rng(1))
    result = hbm.loo_pit(model, fit)
    assert result.table["pit_sd"].isna().all()
    assert list(result.tests["test"]) == ["means: uniform", "means: small and large schools"]


def test_no_seed_matters_and_nothing_is_changed():
    model = build("exams.nested")
    fit = tight(model, 100, np.random.default_rng(1))
    before = fit.copy(deep=True)
    runs = [hbm.loo_pit(model, fit, random_seed=seed) for seed in range(12)]
    assert len({run.p_value for run in runs}) == 1
    assert len({str(run) for run in runs}) == 1
    pd.testing.assert_frame_equal(runs[0].table, runs[11].table)
    assert fit.identical(before)


def test_points_and_draws_are_enough(monkeypatch):
    model, rng = build("exams.nested"), np.random.default_rng(1)
    fixed = {
        "eta": rng.normal(0.6, 0.05, 4000),
        "tau_authority": rng.normal(0.3, 0.03, 4000),
        "tau_school": rng.normal(0.4, 0.03, 4000),
        "nu": rng.normal(8, 0.3, 4000),
    }
    fit = fake_exams_nested(model, 4000, **fixed)
    usual = hbm.loo_pit(model, fit).table
    monkeypatch.setattr(pit_module, "_POINTS", 64)
    points = hbm.loo_pit(model, fit).table
    monkeypatch.setattr(pit_module, "_MOST_DRAWS", 4000)
    monkeypatch.setattr(pit_module, "_POINTS", 16)
    draws = hbm.loo_pit(model, fit).table
    for other in (points, draws):
        for column in ("pit", "pit_sd"):
            assert (usual[column] - other[column]).abs().max() < 0.005


def test_pit_of_a_person_is_within_their_country():
    model = build("heights.no_pooling")
    rng = np.random.default_rng(1)
    centre = table_for("heights").groupby("country", sort=False)["height"].mean().to_numpy()
    fit = fake_fit(
        model, {"mu_country": centre + rng.normal(0, 1e-3, (500, 4)), "sigma": np.full(500, 3.0)}
    )
    result = hbm.loo_pit(model, fit, "person")
    table = table_for("heights")
    country = table.groupby("country", sort=False).ngroup()
    expected = stats.norm.cdf(table["height"], centre[country], 3.0)
    np.testing.assert_allclose(result.table["pit"], expected, atol=1e-3)
    np.testing.assert_array_equal(result.table["observed"], table["height"])
    assert list(result.tests["test"]) == ["people: uniform"]


def test_pit_of_a_student_is_within_their_school():
    model = build("scores.partial_pooling")
    rng = np.random.default_rng(1)
    table = table_for("nested_scores")
    means = table.groupby("school", sort=False)["score"].mean().to_numpy()
    draws = {
        "eta": np.full(500, 1.0),
        "tau_school": 0.3,
        "nu": 20.0,
        "tau_nu": 0.1,
        "eta_school": np.tile(logit(means), (500, 1)),
        "log_nu_school": np.log(20),
        "mu_school": means + rng.normal(0, 1e-5, (500, len(means))),
        "nu_school": 20.0,
    }
    result = hbm.loo_pit(model, fake_fit(model, draws), "student").table
    mu = means[table.groupby("school", sort=False).ngroup()]
    np.testing.assert_allclose(
        result["pit"], stats.beta.cdf(table["score"], 20 * mu, 20 * (1 - mu)), atol=1e-3
    )


def test_an_impossible_unit_is_refused():
    model, fit = known_exams(5)
    with pytest.raises(ValueError, match="'authority' has no PIT here; unit must be one of: 'sch"):
        hbm.loo_pit(model, fit, "authority")
    article = hbm.article.exams_no_pooling(table_for("exams"))
    article_fit = fake_fit(article, {"school_mu": np.full((5, 11), 0.6), "school_nu": 30.0})
    article_fit["constant_data"] = fit["constant_data"]
    with pytest.raises(ValueError, match=r"works on the models of hbm\.heights, hbm\.scores"):
        hbm.loo_pit(article, article_fit)


def test_a_high_pareto_k_warns_where_it_was_called():
    model, fit, _ = heights_with_known_spread(100, means=(170.0, 171.0, 172.0, 230.0))
    with pytest.warns(UserWarning, match=r"of 4 units .* Pareto k above") as caught:
        hbm.loo_pit(model, fit, "country")
    assert caught[0].filename == __file__


# The verdict.


def countries(pits, pits_sd=None, sizes=5):
    """Return a model and a fit of countries with these PITs, the weights being equal."""
    n = len(pits)
    sizes = np.resize(sizes, n)
    pits_sd = (
        np.random.default_rng(1).permutation((np.arange(n) + 0.5) / n)
        if (pits_sd is None)
        else pits_sd
    )
    table = pd.DataFrame(
        {
            "country": np.arange(n).astype(str),
            "n_people": sizes,
            "mean": stats.norm.ppf(pits, 176, np.sqrt(6**2 + 7**2 / sizes)),
            "sd": 7 * np.sqrt(stats.chi2.ppf(pits_sd, sizes - 1) / (sizes - 1)),
        }
    )
    model = hbm.heights.no_pooling(table, priors=hbm.heights.Priors(no_pooling_sd=6))
    sigma = 7 + np.random.default_rng(1).normal(0, 1e-6, 200)
    return model, fake_fit(model, {"mu_country": np.full((200, n), 176.0), "sigma": sigma})


EVEN = (np.arange(100) + 0.5) / 100


@pytest.mark.parametrize(
    ("of_uniform", "ok", "how"),
    [
        (lambda u: u, True, "is predicted as well as the model says"),
        (lambda u: stats.beta.cdf(u, 0.4, 0.4), False, "mostly too wide"),
        (lambda u: stats.beta.cdf(u, 3, 3), False, "mostly too narrow"),
        (lambda u: u**0.5, False, "mostly too low"),
        (lambda u: u**2, False, "mostly too high"),
    ],
)
def test_the_verdict_says_how_predictions_are_wrong(of_uniform, ok, how):
    pits = of_uniform(EVEN)
    mixed = np.random.default_rng(2).permutation(pits)
    result = hbm.loo_pit(*countries(mixed), "country")
    np.testing.assert_allclose(result.table["pit"], mixed, atol=1e-3)
    assert result.ok is ok
    assert how in str(result)
    assert "a country left out" in str(result) or ok
    assert result.verdict in result._repr_html_()
    # The same of standard deviations.
    result = hbm.loo_pit(*countries(np.random.default_rng(3).permutation(EVEN), pits), "country")
    np.testing.assert_allclose(result.table["pit_sd"], pits, atol=1e-5)
    assert result.ok is ok
    assert how in str(result)
    assert "the sd in a country left out" in str(result) or ok


def test_that_small_groups_lie_lower_is_seen_and_said():
    # Together they are uniform: no test of that sees it.
    pits = np.empty(100)
    pits[::2], pits[1::2] = EVEN[:50], EVEN[50:]
    result = hbm.loo_pit(*countries(pits, sizes=[5, 50]), "country")
    tests = result.tests.set_index("test")
    assert tests.loc["means: uniform", "p"] > 0.2
    assert not result.ok
    found = tests.loc["means: small and large countries"]
    assert found["small"] == pytest.approx(0.25, abs=1e-3)
    assert found["large"] == pytest.approx(0.75, abs=1e-3)
    assert "countries under 28 people average 0.25, larger ones 0.75" in str(result)
    assert "too high for small countries, next to those for large ones" in result.verdict


def test_the_level_is_shared_among_the_tests():
    rng = np.random.default_rng(5)
    result = hbm.loo_pit(*countries(rng.permutation(EVEN), sizes=[5, 50]), "country")
    assert len(result.tests) == 4
    assert result.p_value == min(1, 4 * result.tests["p"].min())
    assert result.ok == (result.p_value >= 0.01)


def test_a_report_says_what_a_p_value_is_and_can_be_made_by_hand():
    table = pd.DataFrame({"school": list("abcd"), "pit": [0.1, 0.4, 0.7, 0.8]})
    for p, said in ((1.0, "100"), (0.9, "90"), (0.0995, "10"), (0.014, "1.4"), (0.00031, "0.031")):
        pit = LooPit(True, p, table, "school")
        assert f"right predictions would look as wrong as these at most {said} times" in str(pit)
    worse = LooPit(False, 0.001, table.assign(pit=[0.01, 0.02, 0.02, 0.03]), "school")
    assert worse.verdict == (
        "Predictions of a school left out are not right: they are mostly too high."
    )


def test_a_report_says_of_which_units_it_is_not_sure():
    table = pd.DataFrame({"school": list("abcd"), "pit": [0.1, 0.4, 0.7, 0.8]})
    table["pareto_k"] = [0.2, 0.69, 0.71, 0.5]
    pit = LooPit(True, 0.5, table, "school")
    assert pit.doubtful == ["c"]
    assert "1 of these with a Pareto k above 0.70, whose PITs may be off: 'c'" in str(pit)
    assert LooPit(True, 0.5, table, "school", good_k=0.5).doubtful == ["b", "c"]
    assert "Pareto" not in str(LooPit(True, 0.5, table, "school", good_k=0.8))
    assert LooPit(True, 0.5, table.drop(columns="pareto_k"), "school").doubtful == []


# False alarms.


def test_left_out_values_of_one_authority_hang_together_as_the_precision_says():
    # Pairs of schools, whose authorities differ much: each is predicted by the other.
    rng = np.random.default_rng(6)
    n, tau, own = 20, 2.0, np.resize([0.5, 0.2], 20)
    pair = np.arange(n) // 2
    covariance = np.diag(own**2) + tau**2 * (pair[:, None] == pair)
    y = rng.multivariate_normal(np.zeros(n), covariance, 20_000)
    precision = np.linalg.inv(covariance)
    u = stats.norm.cdf(y @ precision / np.sqrt(np.diag(precision)))
    expected = pit_module._left_out(covariance, learned=False)
    found = np.corrcoef(u.T)
    assert np.abs(found - expected).max() < SIGMAS / np.sqrt(20_000)
    small = np.arange(n) % 2 == 0
    difference = u[:, small].mean(axis=1) - u[:, ~small].mean(axis=1)
    weight = np.where(small, 1.0, -1.0) / 10
    p = 2 * stats.norm.sf(np.abs(difference) / np.sqrt(weight @ expected @ weight / 12))
    assert stats.binomtest(int((p < 0.01).sum()), 20_000, 0.01).pvalue > 1e-4
    # As if independent, it would fail far too often.
    naive = 2 * stats.norm.sf(np.abs(difference) / np.sqrt(weight @ weight / 12))
    assert (naive < 0.01).mean() > 0.05


def test_right_predictions_of_heights_fail_as_often_as_said():
    rng = np.random.default_rng(7)
    n, n_sets = np.resize([5, 10, 20, 2], 40), 100
    failed, pits = 0, []
    for seed in range(n_sets):
        means = rng.normal(rng.normal(176, 10), np.sqrt(6**2 + 7**2 / n))
        sds = 7 * np.sqrt(rng.chisquare(n - 1) / (n - 1))
        model, fit, _ = heights_with_known_spread(100, seed, means, sds)
        found = hbm.loo_pit(model, fit, "country")
        failed += not found.ok
        pits.append(found.table[["pit", "pit_sd"]].to_numpy())
    assert failed <= stats.binom.isf(1e-4, n_sets, 0.01)
    # Those of one data set depend on each other: one country's at a time.
    for of_country in np.array(pits).transpose(1, 2, 0).reshape(-1, n_sets):
        assert stats.kstest(of_country, "uniform").pvalue > 1e-4


@pytest.mark.calibration
def test_right_predictions_of_exams_fail_as_often_as_said():
    rng = np.random.default_rng(8)
    authorities, sizes, n_sets = [2] * 10 + [1] * 6 + [3] * 3 + [5], np.resize(SIZES, 40), 300
    found = []
    for _ in range(n_sets):
        table = hbm.simulate.exams(authorities, sizes, **TRUTH, random_seed=rng)[0]
        model = hbm.exams.nested(table)
        result = hbm.loo_pit(model, tight(model, 200, rng))
        found.append([result.p_value, *result.tests["p"]])
    found = np.array(found)
    print((found < 0.01).mean(axis=0), (found < 0.05).mean(axis=0))
    assert (found[:, 0] < 0.01).sum() <= stats.binom.isf(1e-4, n_sets, 0.01)
    for p in found.T[1:]:
        assert (p < 0.05).sum() <= stats.binom.isf(1e-4, n_sets, 0.05)
