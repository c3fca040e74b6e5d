"""Students who are no independent draws: the law of a cohort, and all that follows from it.

The story is simulated one student at a time: a cohort has a mean of its own around its school's,
and its students vary around that.
"""

import warnings

import numpy as np
import pandas as pd
import plain_summary
import pytest
import xarray as xr
from fake_panels import fake_panel
from fakes import fake_exams_nested
from scipy import stats
from scipy.special import expit
from test_likelihoods import unit_grid

import hbm
from hbm.checks.units import asked_of, log_likelihoods
from hbm.hierarchy.fitted import read_fit
from hbm.hierarchy.marginal import marginal, marginal_family, without_each
from hbm.students import summary_density
from hbm.students.beta import BETA
from hbm.students.cohorts import individuals, summarise
from hbm.students.likelihoods import beta_mean_logp, beta_summary_logp, normal_summary_logp
from hbm.students.normal import NORMAL

# mu, nu, n and excess.
COHORTS = [
    (0.65, 5.0, 4, 0.3),
    (0.65, 5.0, 12, 0.9),
    (0.9, 8.0, 30, 2.5),
    (0.5, 3.0, 200, 0.6),
    (0.7, 6.0, 1, 0.8),
]
SIGMAS = 4.5  # seven in a million, were it Normal


def cohorts_of(law, mu, spread, n, excess, size, seed=1):
    """Simulate cohorts of one school, and return the means and sds of their students."""
    sizes = np.full(size, n)
    rng = np.random.default_rng(seed)
    y = individuals(law, np.full(size, mu), np.full(size, spread), sizes, rng, excess)
    return summarise(y, sizes)


def assert_moments(values, mean, variance):
    """Hold the mean and the variance of a sample against what they should be."""
    away = values - mean
    assert abs(away.mean()) < SIGMAS * values.std() / np.sqrt(values.size)
    error = (away**2).std() / np.sqrt(values.size)
    assert abs((away**2).mean() - variance) < SIGMAS * error


@pytest.mark.parametrize(("mu", "nu", "n", "excess"), COHORTS)
def test_means_of_beta_cohorts_vary_as_the_design_effect_says(mu, nu, n, excess):
    mean, _ = cohorts_of(BETA, mu, nu, n, excess, 100_000)
    variance = mu * (1 - mu) * (1 + excess) / (n * (nu + 1) + excess)
    assert BETA.mean_variance(n, mu, nu, excess) == pytest.approx(variance, rel=1e-12)
    assert_moments(mean, mu, variance)
    # It is 1 + excess times that of independent students, but for a school of few.
    ratio = variance / BETA.mean_variance(n, mu, nu)
    assert ratio == pytest.approx((1 + excess) / (1 + excess / (n * (nu + 1))), rel=1e-12)


@pytest.mark.parametrize(("mu", "nu", "n", "excess"), COHORTS)
def test_density_of_a_cohorts_mean_has_its_mean_and_variance(mu, nu, n, excess):
    y, weight = unit_grid()
    density = weight * np.exp(beta_mean_logp(y, n, mu, nu, excess))
    assert density.sum() == pytest.approx(1, abs=1e-6)
    assert density @ y == pytest.approx(mu, abs=1e-6)
    assert density @ (y - mu) ** 2 == pytest.approx(BETA.mean_variance(n, mu, nu, excess), rel=1e-5)


@pytest.mark.parametrize(("mu", "nu", "n", "excess"), COHORTS[:4])
def test_density_of_a_cohorts_mean_and_sd_integrates_to_one(mu, nu, n, excess):
    mean, mean_weight = unit_grid()
    reach, reach_weight = unit_grid()
    most = np.sqrt(n * mean * (1 - mean) / (n - 1))[:, None]
    density = np.exp(beta_summary_logp(mean[:, None], reach * most, n, mu, nu, excess))
    total = mean_weight @ (density * most) @ reach_weight
    assert total == pytest.approx(1, abs=2e-4)


@pytest.mark.parametrize(("mu", "nu", "n", "excess"), COHORTS[:4])
def test_a_cohorts_own_mean_is_guessed_from_its_students_mean(mu, nu, n, excess):
    """Of all lines in the students' mean, E[m | ȳ] = (μ + sȳ)/(1 + s) leaves the least error."""
    size = 100_000
    rng = np.random.default_rng(2)
    own = BETA.draw_cohort(rng, n, np.full(size, mu), nu, excess)
    y = individuals(BETA, own, np.full(size, nu), np.full(size, n), rng)
    mean, _ = summarise(y, np.full(size, n))
    error = own - (mu + excess * mean) / (1 + excess)
    for against in (np.ones(size), mean - mu):
        product = error * against
        assert abs(product.mean()) < SIGMAS * product.std() / np.sqrt(size)


@pytest.mark.parametrize(("mu", "nu", "n", "excess"), COHORTS[:4])
def test_spread_within_a_cohort_meets_simulated_students(mu, nu, n, excess):
    """E[s²], and E[s²] in each tenth of the means, as near as for independent students."""
    mean, sd = cohorts_of(BETA, mu, nu, n, excess, 100_000, seed=3)
    at = (mu + excess * mean) / (1 + excess)
    of = (mean, np.full(mean.size, float(n)), at, np.full(mean.size, nu))
    p, q = summary_density.spread_shapes_of(*of, np.zeros(mean.size))
    expected, variance = n / (n - 1) * mean * (1 - mean) * p / (p + q), sd**2
    assert variance.mean() == pytest.approx(expected.mean(), rel=0.03)
    tenth = np.argsort(np.argsort(mean)) * 10 // mean.size
    for i in range(10):
        part = tenth == i
        bias = expected[part].mean() / variance[part].mean() - 1
        noise = variance[part].std() / variance[part].mean() / np.sqrt(part.sum())
        assert abs(bias) < 0.12 + SIGMAS * noise


def test_normal_cohorts_are_exact():
    mean, sd = cohorts_of(NORMAL, 172.0, 7.0, 9, 0.8, 50_000)
    assert_moments(mean, 172, 49 * 1.8 / 9)
    assert NORMAL.mean_variance(9, 172.0, 7.0, 0.8) == pytest.approx(49 * 1.8 / 9, rel=1e-12)
    assert_moments(sd**2, 49, 2 * 49**2 / 8)
    # And the density is that of both, which are independent.
    x, s = np.array([169.0, 174.0]), np.array([6.0, 7.5])
    found = normal_summary_logp(x, s, 9, 172.0, 7.0, 0.8)
    of_mean = stats.norm.logpdf(x, 172, 7 * np.sqrt(1.8 / 9))
    of_sd = stats.chi2.logpdf(8 * s**2 / 49, 8) + np.log(2 * 8 * s / 49)
    np.testing.assert_allclose(found, of_mean + of_sd, rtol=1e-12)
    np.testing.assert_allclose(NORMAL.mean_logp(x, 9, 172.0, 7.0, 0.8), of_mean, rtol=1e-12)


def written_beta(mean, sd, n, mu, nu):
    """Write out what is known of n independent Beta students, whose sds have no exact law."""
    size = n * (nu + 1) - 1
    law = stats.beta(mu * size, (1 - mu) * size)
    summary = plain_summary.logp(mean, sd, n, mu, nu, 0)
    return mu * (1 - mu) / (n * (nu + 1)), law.logpdf(mean), law.cdf(mean), summary


def written_normal(mean, sd, n, mu, sigma):
    """Write out the laws of n independent Normal students."""
    law, freedom = stats.norm(mu, sigma / np.sqrt(n)), n - 1
    log_sd = stats.chi2.logpdf(freedom * (sd / sigma) ** 2, freedom)
    log_sd = log_sd + np.log(2 * freedom * sd / sigma**2)
    return sigma**2 / n, law.logpdf(mean), law.cdf(mean), law.logpdf(mean) + log_sd


@pytest.mark.parametrize("zero", [(), (np.zeros(200),)], ids=["by default", "given"])
@pytest.mark.parametrize("law", [BETA, NORMAL], ids=lambda law: law.name)
def test_no_excess_is_the_density_of_independent_students(law, zero):
    rng = np.random.default_rng(4)
    mean, sd, mu = rng.uniform(0.3, 0.9, (3, 200))
    sd, n, spread = sd / 8, rng.integers(2, 90, 200), rng.uniform(2, 12, 200)
    if law is NORMAL:
        spread = spread / 80
    written = (written_beta if law is BETA else written_normal)(mean, sd, n, mu, spread)
    of = n, mu, spread, *zero
    found = (
        law.mean_variance(*of),
        law.mean_logp(mean, *of),
        law.mean_cdf(mean, *of),
        law.summary_logp(mean, sd, *of),
    )
    for one, other in zip(found, written, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-9, atol=1e-9)
    # Students are drawn as without cohorts, with the same random numbers.
    of_students = np.repeat(mu, n), np.repeat(spread, n)
    drawn = law.draw(np.random.default_rng(5), *of_students)
    y = individuals(law, mu, spread, n, np.random.default_rng(5), *zero)
    np.testing.assert_array_equal(y, drawn)


@pytest.mark.parametrize("zero", [(), (0.0,)], ids=["by default", "given"])
@pytest.mark.parametrize(
    ("mean", "sd", "n", "mu", "nu", "logp", "below"),
    [
        (0.66, 0.19, 24, 0.65, 5.0, 5.104288185659, 0.4592321698550),
        (0.9, 0.08, 6, 0.85, 8.0, 4.507818282003, 0.5245351202433),
        (0.42, 0.25, 200, 0.45, 3.0, 5.347616978345, 0.6984406671124),
        (0.5, 0.3, 2, 0.6, 4.0, 1.235310015336, 0.7370961266274),
    ],
)
def test_independent_beta_students_have_the_densities_they_had(
    mean, sd, n, mu, nu, logp, below, zero
):
    assert BETA.summary_logp(mean, sd, n, mu, nu, *zero) == pytest.approx(logp, rel=1e-11)
    assert BETA.sd_cdf(sd, mean, n, mu, nu, *zero) == pytest.approx(below, rel=1e-11)


@pytest.mark.parametrize("law", [BETA, NORMAL], ids=lambda law: law.name)
def test_distribution_functions_are_those_of_the_densities(law):
    mu, spread, n, s = 0.6, 4.0 if law is BETA else 0.2, 12, 1.3
    ends = law.mean_quantile(np.array([0.1, 0.8]), n, mu, spread, s)
    np.testing.assert_allclose(law.mean_cdf(ends, n, mu, spread, s), [0.1, 0.8], rtol=1e-9)
    x = np.linspace(*ends, 4001)
    density = np.exp(law.mean_logp(x, n, mu, spread, s))
    assert np.trapezoid(density, x) == pytest.approx(0.7, abs=1e-6)
    # Of an sd, given the mean: the density of both over that of the mean.
    mean, sd = 0.55, np.linspace(0.15, 0.21, 4001)
    both = np.exp(law.summary_logp(mean, sd, n, mu, spread, s))
    share = np.trapezoid(both, sd) / np.exp(law.mean_logp(mean, n, mu, spread, s))
    low, high = law.sd_cdf(sd[[0, -1]], mean, n, mu, spread, s)
    assert share == pytest.approx(high - low, rel=1e-5)


def test_information_is_that_of_the_mean():
    n, mu, nu, s = 20, 0.7, 6.0, 0.9
    slope = mu * (1 - mu)
    assert BETA.information(n, mu, nu, s) == pytest.approx(
        slope**2 / BETA.mean_variance(n, mu, nu, s)
    )
    step = 1e-3
    eta = np.log(mu / (1 - mu)) + np.array([-step, 0, step])
    # Fisher's information of the mean's density, by its expected curvature, is near it.
    y, weight = unit_grid()
    values = np.stack([beta_mean_logp(y, n, expit(e), nu, s) for e in eta])
    curvature = -(values[0] - 2 * values[1] + values[2]) / step**2
    fisher = (weight * np.exp(values[1])) @ curvature
    assert BETA.information(n, mu, nu, s) == pytest.approx(fisher, rel=0.02)


# The quadrature, with an excess that differs between draws.


def test_marginal_likelihoods_of_draws_that_differ_in_their_excess_are_as_if_alone():
    """Interpolated between a few values of the excess, within the quadrature's own tolerance."""
    rng = np.random.default_rng(6)
    size = 60
    m, log_nu = rng.normal(0.7, 0.1, size), rng.normal(1.7, 0.1, size)
    tau, tau_nu = rng.uniform(0.01, 0.6, size), rng.uniform(0.01, 0.4, size)
    for excess in (rng.uniform(0, 0.05, size), np.abs(rng.normal(0, 1.5, size))):
        for n, mean, sd in ((3, 0.4, 0.3), (30, 0.8, 0.1), (400, 0.6, 0.2), (30, 0.8, np.nan)):
            seen = BETA.evidence(mean, sd, n)
            together = marginal(seen, m, tau, log_nu, tau_nu, excess)
            alone = np.concatenate(
                [
                    marginal(seen, *(x[[i]] for x in (m, tau, log_nu, tau_nu, excess)))
                    for i in range(size)
                ]
            )
            np.testing.assert_allclose(together, alone, rtol=0, atol=1e-4)


def test_marginal_likelihood_of_normal_cohorts_is_that_of_their_mean():
    seen = NORMAL.evidence(172.0, np.nan, 9)
    found = marginal(seen, *(np.array([x]) for x in (170.0, 3.0, np.log(7), 0.0, 0.8)))
    assert found == pytest.approx(stats.norm.logpdf(172, 170, np.sqrt(9 + 49 * 1.8 / 9)))


def test_families_know_the_excess():
    """The log density of two schools jointly, against a sum over simulated effects."""
    rng = np.random.default_rng(7)
    schools = [BETA.evidence(0.7, 0.2, 12), BETA.evidence(0.55, 0.22, 40)]
    log_nu, tau_nu, excess = 1.6, 0.2, 1.1
    eta = 0.5 + 0.3 * rng.normal(size=400_000)
    joint = np.zeros(eta.size)
    for school in schools:
        own = eta + 0.4 * rng.normal(size=eta.size)
        joint += school.log_lik(own, log_nu + tau_nu * rng.normal(size=eta.size), excess)
    likelihood = np.exp(joint)
    one = np.ones(1)
    taus = [0.3 * one, 0.4 * one]
    found = marginal_family(schools, 0.5 * one, taus, log_nu * one, tau_nu * one, excess * one)
    error = likelihood.std() / likelihood.mean() / np.sqrt(likelihood.size)
    assert abs(np.log(likelihood.mean()) - found[0]) < SIGMAS * error
    without = without_each(schools, 0.5 * one, taus, log_nu * one, tau_nu * one, excess * one)
    alone = [
        marginal_family([x], 0.5 * one, taus, log_nu * one, tau_nu * one, excess * one)
        for x in schools
    ]
    np.testing.assert_allclose(without[0], found - np.ravel(alone)[::-1], atol=1e-5)


# The models.


@pytest.fixture(scope="module")
def table():
    return hbm.simulate.exams([3, 2, 1], [5, 12, 40, 8, 300, 20], design_effect=2, random_seed=1)[0]


@pytest.mark.parametrize("level", ["complete_pooling", "no_pooling"])
def test_a_design_effect_is_not_learned_where_it_would_take_all(level, table):
    build = getattr(hbm.exams, level)
    with pytest.raises(ValueError, match="partial_pooling, nested and panel learn it"):
        build(table, design_effect=None)
    assert "design_effect" not in build(table).named_vars
    assert build(table, design_effect=1.5).description.design_effect == 1.5


@pytest.mark.parametrize(
    ("given", "error", "match"),
    [
        (0.9, ValueError, "1 or more, got 0.9"),
        (np.nan, ValueError, "1 or more, got nan"),
        (np.inf, ValueError, "1 or more, got inf"),
        ("2", TypeError, "a number, or None to learn it, got '2'"),
        (True, TypeError, "got True"),
    ],
)
def test_what_is_no_design_effect_is_refused(given, error, match, table):
    with pytest.raises(error, match=match):
        hbm.exams.nested(table, design_effect=given)


def test_a_known_design_effect_is_no_variable_and_stays_with_the_fit(table):
    model = hbm.exams.nested(table, design_effect=1.6)
    assert "design_effect" not in model.named_vars
    f = read_fit(fake_exams_nested(model, 3))
    assert f.excess == pytest.approx([0.6])
    learned = hbm.exams.nested(table)
    draws = [1.0, 1.5, 2.5]
    f = read_fit(fake_exams_nested(learned, 3, design_effect=draws))
    np.testing.assert_allclose(f.excess, [0, 0.5, 1.5])


def test_what_a_design_effect_is_called_is_taken(table):
    with pytest.raises(ValueError, match="'design_effect' cannot name"):
        hbm.exams.nested(table.rename(columns={"school": "design_effect"}), group="design_effect")


# What follows of a fit whose parameters are known.


@pytest.fixture(scope="module")
def known(table):
    """Return a model and a fit of one set of parameters, with a design effect of 2.2."""
    model = hbm.exams.nested(table)
    rng = np.random.default_rng(8)
    eta = rng.normal(0.6, 0.4, 6)
    fit = fake_exams_nested(
        model,
        4000,
        eta=rng.normal(0.6, 1e-6, 4000),  # weights of draws that are all the same have no tail
        tau_authority=0.3,
        tau_school=0.4,
        nu=6.0,
        tau_nu=1e-9,
        design_effect=2.2,
        eta_authority=rng.normal(0.6, 1e-6, (4000, 3)),
        eta_school=eta,
        log_nu_school=np.log(6),
    )
    posterior = fit["posterior"].to_dataset()
    posterior = posterior.assign(mu_authority=expit(posterior["eta_authority"]))
    return model, fit.assign(posterior=xr.DataTree(posterior))


def test_predicted_cohorts_vary_as_the_design_effect_says(known, table):
    model, fit = known
    new = table[["school", "authority", "n_students"]]
    drawn = hbm.predict(model, fit, new, random_seed=1)["predictions"]
    mu = drawn["mu_school"].to_numpy()[0, 0]
    for i, n in enumerate(table["n_students"]):
        assert_moments(
            drawn["mean"].to_numpy()[0, :, i], mu[i], BETA.mean_variance(n, mu[i], 6, 1.2)
        )


def test_replicated_cohorts_vary_as_the_design_effect_says(known):
    model, fit = known
    found = hbm.check_predictive(model, fit, draws=4000, random_seed=1)
    independent = hbm.check_predictive(
        model, fit.assign(posterior=_independent(fit)), draws=4000, random_seed=1
    )
    # √2.2 of the standard error of means, of students of whom as many differ as before.
    sds = pd.DataFrame({i: c.replicates.std() for i, c in enumerate((found, independent))})
    ratio = sds[0] / sds[1]
    assert ratio["small_minus_large"] == pytest.approx(np.sqrt(2.2), rel=0.1)
    assert ratio["sd_within"] == pytest.approx(1, rel=0.1)


def _independent(fit):
    posterior = fit["posterior"].to_dataset()
    return xr.DataTree(posterior.assign(design_effect=posterior["design_effect"] * 0 + 1))


def test_log_scores_are_those_of_clustered_students(known, table):
    model, fit = known
    found = hbm.evaluate(model, fit, table, random_seed=1)
    mu = fit["posterior"]["mu_school"].to_numpy()[0, 0]
    mean, sd, n = (table[name].to_numpy() for name in ("mean", "sd", "n_students"))
    expected = BETA.mean_logp(mean, n, mu, 6, 1.2)
    np.testing.assert_allclose(found["log_score_mean"], expected, rtol=1e-9)
    expected = BETA.summary_logp(mean, sd, n, mu, 6, 1.2)
    np.testing.assert_allclose(found["log_score"], expected, rtol=1e-9)


def test_standard_errors_and_pooling_know_the_design_effect(known, table):
    _, fit = known
    rows = hbm.shrinkage(fit, "school")
    mu, n = fit["posterior"]["mu_school"].to_numpy()[0, 0], table["n_students"]
    np.testing.assert_allclose(rows["raw_se"], np.sqrt(BETA.mean_variance(n, mu, 6, 1.2)))
    pooling = 1 / (1 + BETA.information(n, mu, 6, 1.2) * 0.4**2)
    np.testing.assert_allclose(rows["pooling"], pooling)


def test_control_limits_know_the_design_effect(known):
    _, fit = known
    limits = hbm.funnel_limits(fit, "school", n=[5, 40, 300])
    for _, row in limits.iterrows():
        n = row["n_students"]
        ends = BETA.mean_quantile(np.array([0.025, 0.975]), n, row["centre"], 6, 1.2)
        np.testing.assert_allclose(row[["alike_lower", "alike_upper"]], ends, atol=2e-3)


def test_what_passes_is_a_level_of_its_own(known, table):
    """Shares of the variance, against students simulated one by one in cohorts of new schools."""
    _, fit = known
    rows = hbm.variance_shares(fit).set_index("level")
    assert list(rows.index) == ["authority", "school", "cohort", "student"]
    assert rows["share"].sum() == pytest.approx(1)
    rng = np.random.default_rng(9)
    size = 400_000
    sizes = table["n_students"].to_numpy()
    n = rng.choice(sizes, size, p=sizes / sizes.sum())
    mu = expit(0.6 + 0.5 * rng.normal(size=size))
    own = BETA.draw_cohort(rng, n, mu, 6.0, 1.2)
    y = BETA.draw(rng, own, 6.0)
    for level, away in {"cohort": own - mu, "student": y - own}.items():
        error = (away**2).std() / np.sqrt(size)
        assert abs(rows["sd"][level] ** 2 - (away**2).mean()) < SIGMAS * error
    assert "cohort" not in set(hbm.variance_shares(independent_fit(table))["level"])


def independent_fit(table):
    return fake_exams_nested(hbm.exams.nested(table, design_effect=1), 10)


def test_left_out_schools_are_predicted_with_the_design_effect(known):
    """The log density of a school given its siblings, in the fit and by its own formula."""
    model, fit = known
    few = fit.isel(draw=slice(0, 2))
    f = read_fit(few, model)
    found = log_likelihoods(f, "school")
    families = [f.evidence(i) for i in range(6)]
    one = np.ones(2)
    args = 0.6 * one, [0.3 * one, 0.4 * one], np.log(6) * one, 1e-9 * one, 1.2 * one
    expected = without_each(families[:3], *args)
    np.testing.assert_allclose(found[:, :3], expected, atol=1e-4)
    assert "design_effect" in asked_of(f.d, "school")


def test_pits_are_those_of_clustered_students(known):
    """Where a school's mean lies among simulated cohorts of new schools of no authority."""
    model, fit = known
    lone = fit.isel(draw=slice(0, 1000))
    with warnings.catch_warnings(action="ignore"):
        pit = hbm.loo_pit(model, lone).table["pit"].iloc[-1]  # alone in its authority
    rng = np.random.default_rng(10)
    size, n = 100_000, 20
    mu = expit(0.6 + 0.5 * rng.normal(size=size))
    mean, _ = summarise(
        individuals(BETA, mu, np.full(size, 6.0), np.full(size, n), rng, 1.2), np.full(size, n)
    )
    below = (mean < read_fit(fit).d.mean[-1]).mean()
    assert abs(pit - below) < 0.01 + SIGMAS * np.sqrt(below * (1 - below) / size)


@pytest.fixture(scope="module")
def two_chains(table):
    """Return fits of one year and of a panel whose two chains disagree on the design effect."""
    rng = np.random.default_rng(11)
    draws = np.concatenate([rng.normal(1.2, 0.01, 500), rng.normal(1.8, 0.01, 500)])
    fits = {
        "one year": fake_exams_nested(hbm.exams.nested(table), 1000, design_effect=draws),
        "panel": fake_panel(1000, design_effect=draws),
    }
    for name, fit in fits.items():
        whole = fit["posterior"].to_dataset()
        halves = [
            whole.isel(draw=s).assign_coords(draw=range(500))
            for s in (slice(500), slice(500, None))
        ]
        chains = xr.concat(halves, dim="chain").assign_coords(chain=[0, 1])
        fits[name] = fit.assign(posterior=xr.DataTree(chains))
    return fits


def test_a_design_effect_that_mixes_badly_may_be_given_as_a_number(two_chains):
    found = hbm.diagnose(two_chains["one year"])
    assert not found.ok
    assert "design_effect: a table of one year" in found.advice[-1]


@pytest.mark.parametrize("part", [lambda fit: fit, hbm.in_year], ids=["whole", "a year of it"])
def test_a_panel_is_not_told_to_look_at_other_years(two_chains, part):
    found = hbm.diagnose(part(two_chains["panel"]))
    assert not found.ok
    assert "design_effect: few years, or few schools" in found.advice[-1]
    assert "one year" not in str(found)
    assert "other years" not in str(found)


@pytest.mark.parametrize(
    ("attribute", "value", "said"),
    [("pareto_k", 0.8, True), ("effective_draws", 50.0, True), ("grid_error", 0.01, False)],
)
@pytest.mark.parametrize("given", [None, 1.5])
def test_too_few_independent_draws_are_blamed_on_a_learned_design_effect(
    table, given, attribute, value, said
):
    told = {"method": "direct", "pareto_k": 0.1, "grid_error": 0.0, "effective_draws": 400.0}
    fit = fake_exams_nested(hbm.exams.nested(table, design_effect=given), 400)
    told |= {"draws": 400, attribute: value}
    found = hbm.diagnose(fit.assign(sample_stats=xr.DataTree(xr.Dataset(attrs=told))))
    assert not found.ok
    blamed = any("design_effect: a table of one year" in line for line in found.advice)
    assert blamed is (said and given is None)
