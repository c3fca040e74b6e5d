"""Densities of (mean, sd, n): their identities, their limits, and their coverage."""

import functools
import hashlib
from pathlib import Path

import numpy as np
import plain_summary
import pymc as pm
import pytensor
import pytensor.tensor as pt
import pytest
from numpy.polynomial.legendre import leggauss
from pytensor.gradient import NullTypeGradError
from pytensor.link.numba.dispatch.basic import numba_funcify_and_cache_key
from scipy import stats
from scipy.ndimage import maximum_filter
from scipy.special import expit, gammaln, logit

from hbm.students import duals, summary_density
from hbm.students.beta import BETA
from hbm.students.likelihoods import (
    beta_mean_logp,
    beta_students_logp,
    beta_summary_logp,
    normal_students_logp,
    normal_summary_logp,
    published,
)
from hbm.students.normal import NORMAL
from hbm.students.observed import observe_means, observe_summaries, pair

# Runs the graph as written, node by node: what is tested is the formula, and nothing is compiled.
AS_WRITTEN = pytensor.compile.mode.Mode(linker="py", optimizer=None)
# NumPy draws the students.
OBJECT_MODE = pytest.mark.filterwarnings("ignore:Numba will use object mode")
SCHOOLS = [(0.65, 5.0, 2), (0.65, 5.0, 12), (0.9, 9.0, 6), (0.12, 7.0, 40), (0.95, 25.0, 3)]


def spread_shapes(mean, n, mu, nu):
    return np.transpose([summary_density.spread_shapes(y, float(n), mu, nu) for y in mean])


def students(mu, nu, n, size, seed=1):
    rng = np.random.default_rng(seed)
    return np.clip(rng.beta(mu * nu, (1 - mu) * nu, (size, n)), 1e-15, 1 - 1e-12)


@functools.cache
def unit_grid():
    """Gauss nodes and weights on (0, 1) through a quintic, which tames a density's poles."""
    nodes, weights = leggauss(150)
    u = (nodes + 1) / 2
    return u**3 * (10 - 15 * u + 6 * u**2), weights / 2 * 30 * u**2 * (1 - u) ** 2


@pytest.mark.parametrize(("mu", "nu", "n"), SCHOOLS)
def test_beta_summary_integrates_to_one(mu, nu, n):
    mean, mean_weight = unit_grid()
    reach, reach_weight = unit_grid()
    most = np.sqrt(n * mean * (1 - mean) / (n - 1))[:, None]
    density = np.exp(beta_summary_logp(mean[:, None], reach * most, n, mu, nu))
    total = mean_weight @ (density * most) @ reach_weight
    assert total == pytest.approx(1, abs=2e-4)


@pytest.mark.parametrize(
    ("nu", "n", "mass"), [(0.8, 30, 1.0), (0.6, 2, 0.95), (0.6, 6, 0.85), (0.6, 30, 0.45)]
)
def test_documented_mass_where_moments_no_longer_tell(nu, n, mass):
    mean, mean_weight = unit_grid()
    reach, reach_weight = unit_grid()
    most = np.sqrt(n * mean * (1 - mean) / (n - 1))[:, None]
    density = np.exp(beta_summary_logp(mean[:, None], reach * most, n, 0.5, nu))
    assert (density * most * mean_weight[:, None] * reach_weight).sum() == pytest.approx(
        mass, abs=0.005
    )


@pytest.mark.parametrize(("mu", "nu", "n"), SCHOOLS)
def test_beta_mean_has_the_mean_and_variance_of_students(mu, nu, n):
    y, weight = unit_grid()
    density = weight * np.exp(beta_mean_logp(y, n, mu, nu))
    assert density.sum() == pytest.approx(1, abs=1e-6)
    assert density @ y == pytest.approx(mu, abs=1e-6)
    assert density @ (y - mu) ** 2 == pytest.approx(mu * (1 - mu) / (nu + 1) / n, rel=1e-5)


@pytest.mark.parametrize(("mu", "nu", "n"), SCHOOLS)
def test_spread_given_the_mean_meets_simulated_students(mu, nu, n):
    """E[s²], Cov(s², ȳ) and E[s²] in each tenth of the means, within the stated error."""
    y = students(mu, nu, n, 200_000)
    mean, variance = y.mean(axis=1), y.var(axis=1, ddof=1)
    most = n * mean * (1 - mean) / (n - 1)
    p, q = spread_shapes(mean, n, mu, nu)
    expected = most * p / (p + q)
    error = 4 * variance.std() / np.sqrt(variance.size)
    assert expected.mean() == pytest.approx(mu * (1 - mu) / (nu + 1), rel=0.03)
    assert variance.mean() == pytest.approx(mu * (1 - mu) / (nu + 1), abs=error)
    tenth = np.argsort(np.argsort(mean)) * 10 // mean.size
    for i in range(10):
        part = tenth == i
        bias = expected[part].mean() / variance[part].mean() - 1
        noise = variance[part].std() / variance[part].mean() / np.sqrt(part.sum())
        assert abs(bias) < (0.25 if n == 2 else 0.12) + 4 * noise
    # The squared coefficient of variation of s² / E[s²|mean], pooled over the means.
    ratio = variance / expected
    own = np.mean(q / (p * (p + q + 1)))
    assert ratio.var() / ratio.mean() ** 2 == pytest.approx(own, rel=0.2)


@pytest.mark.parametrize(("mu", "nu", "n"), [(0.5, 3, 4), (0.5, 5, 12), (0.65, 3, 6), (0.8, 9, 40)])
def test_expected_variance_is_that_of_a_student(mu, nu, n):
    mean, weight = unit_grid()
    p, q = spread_shapes(mean, n, mu, nu)
    weight = weight * np.exp(beta_mean_logp(mean, n, mu, nu))
    expected = weight @ (n * mean * (1 - mean) / (n - 1) * p / (p + q))
    assert expected == pytest.approx(
        mu * (1 - mu) / (nu + 1), rel=6e-3
    )  # δ is of second order in 1/n


def test_gamma_limit_near_zero_and_one():
    """There E[s²|ȳ] is in proportion to ȳ², as of Gamma students."""
    n, a = 7.0, 0.8
    mean = 1e-6 * a * np.array([0.1, 1.0, 3.0])
    p, q = spread_shapes(mean, n, 1e-6 * a, 1e6)
    relative = n / (n - 1) * p / (p + q) / mean
    assert relative == pytest.approx(np.full(3, n / (n * a + 1)), rel=2e-3)
    mirrored = spread_shapes(1 - mean, n, 1 - 1e-6 * a, 1e6)
    assert np.allclose((p, q), mirrored, rtol=1e-6)


def test_normal_limit_is_the_chi_square_law():
    mu, nu, n = 0.4, 1e6, 9
    sigma = np.sqrt(mu * (1 - mu) / (nu + 1))
    mean, sd = mu + sigma * np.array([-0.5, 0.1, 0.6]), sigma * np.array([0.6, 1.0, 1.5])
    beta = beta_summary_logp(mean, sd, n, mu, nu)
    normal = normal_summary_logp(mean, sd, n, mu, sigma)
    assert beta == pytest.approx(normal, abs=5e-3)


def test_bernoulli_limit_reaches_the_largest_spread():
    mean = np.array([0.3, 0.5, 0.7])
    p, q = spread_shapes(mean, 40.0, 0.5, 0.01)
    assert np.all(p / (p + q) > 0.9)


def test_mirror_image_has_the_same_density():
    left = beta_summary_logp(0.2, 0.15, [2, 5, 30], 0.3, 4.0)
    right = beta_summary_logp(0.8, 0.15, [2, 5, 30], 0.7, 4.0)
    assert left == pytest.approx(right, rel=1e-9)


def test_normal_summary_is_the_students_up_to_a_constant():
    rng = np.random.default_rng(3)
    y = rng.normal(176, 7, 12)
    mean, sd = y.mean(), y.std(ddof=1)
    mu, sigma = rng.normal(176, 3, 20), rng.uniform(4, 10, 20)
    raw = stats.norm.logpdf(y[:, None], mu, sigma).sum(axis=0)
    assert normal_students_logp(12, mean, sd, mu, sigma) == pytest.approx(raw, rel=1e-12)
    difference = normal_summary_logp(mean, sd, 12, mu, sigma) - raw
    assert np.ptp(difference) == pytest.approx(0, abs=1e-9)


def test_normal_summary_is_the_density_of_mean_and_sd():
    mean, sd, n, mu, sigma = 177.0, 6.0, 5, 175.0, 7.0
    expected = stats.norm.logpdf(mean, mu, sigma / np.sqrt(n))
    expected += stats.chi.logpdf(sd * np.sqrt(n - 1) / sigma, n - 1) + np.log(
        np.sqrt(n - 1) / sigma
    )
    assert normal_summary_logp(mean, sd, n, mu, sigma) == pytest.approx(expected, rel=1e-12)


def test_collapsed_beta_is_the_sum_over_students():
    y = students(0.7, 5.0, 30, 1)[0]
    mu, nu = np.array([0.5, 0.7, 0.95]), np.array([2.0, 5.0, 60.0])
    raw = stats.beta.logpdf(y[:, None], mu * nu, (1 - mu) * nu).sum(axis=0)
    collapsed = beta_students_logp(30, np.log(y).sum(), np.log1p(-y).sum(), mu, nu)
    assert collapsed == pytest.approx(raw, rel=1e-11)


@pytest.mark.parametrize(
    ("logp", "args"),
    [
        (beta_mean_logp, ([0.6, 0.9, 1.2], [1, 5, 9], [0.5, 0.8, 0.8], [3.0, 8.0, 8.0])),
        (
            beta_summary_logp,
            ([0.6, 0.9, 0.7], [np.nan, 0.1, 0.0], [1, 5, 9], [0.5, 0.8, 0.8], [3.0, 8.0, 8.0]),
        ),
        (beta_students_logp, ([3, 20], [-1.0, -9.0], [-4.0, -30.0], [0.5, 0.8], [3.0, 8.0])),
        (normal_students_logp, ([1, 20], [170.0, 171.0], [np.nan, 7.0], [175.0, 176], [7.0, 8.0])),
        (normal_summary_logp, ([170.0, 171.0], [np.nan, 7.0], [1, 20], [175.0, 176], [7.0, 8.0])),
    ],
)
def test_numpy_and_pytensor_are_one_formula(logp, args):
    args = [np.asarray(x, dtype=float) for x in args]
    tensors = [pt.as_tensor(x) for x in args]
    result = logp(*args)
    assert isinstance(result, np.ndarray)
    assert pytensor.function([], logp(*tensors), mode=AS_WRITTEN)() == pytest.approx(
        result, rel=1e-9
    )


def test_compiled_and_plain_density_are_one():
    """On known ground, at its edges and beyond, for few students and for many."""
    rng = np.random.default_rng(5)
    size = 4000
    mean, reach = rng.uniform(0.01, 0.99, size), rng.uniform(0.05, 0.95, size)
    n = rng.choice([2.0, 3, 4, 7, 20, 90, 600], size)
    sd = reach * np.sqrt(mean * (1 - mean) * n / (n - 1))
    mu, nu = expit(logit(mean) + rng.normal(0, 3, size)), np.exp(rng.normal(1.5, 2, size))
    for excess in (0.0, rng.exponential(1, size)):
        plain = plain_summary.logp(mean, sd, n, mu, nu, excess)
        found = beta_summary_logp(mean, sd, n, mu, nu, excess)
        np.testing.assert_allclose(found, plain, rtol=1e-8, atol=1e-8)


def test_class_of_one_counts_by_its_mean_alone():
    assert beta_summary_logp(0.7, np.nan, 1, 0.6, 5.0) == pytest.approx(
        beta_mean_logp(0.7, 1, 0.6, 5.0), rel=1e-12
    )
    assert beta_mean_logp(0.7, 1, 0.6, 5.0) == pytest.approx(stats.beta.logpdf(0.7, 3.0, 2.0))
    assert normal_summary_logp(170.0, np.nan, 1, 175.0, 7.0) == pytest.approx(
        stats.norm.logpdf(170, 175, 7)
    )


def test_density_is_zero_outside_the_support():
    mean = np.array([-0.1, 0.0, 1.0, 1.1, 0.5, 0.5, 0.5])
    sd = np.array([0.1, 0.1, 0.1, 0.1, 0.0, -0.1, 0.6])
    assert np.all(beta_summary_logp(mean, sd, 10, 0.5, 5.0) == -np.inf)
    assert np.all(beta_mean_logp(mean[:4], 10, 0.5, 5.0) == -np.inf)
    assert beta_summary_logp(0.25, 0.5, 4, 0.3, 0.5) == -np.inf  # three 0 and one 1: the limit
    assert normal_summary_logp(170.0, 0.0, 3, 170.0, 7.0) == -np.inf


def test_extremes_are_finite_with_finite_gradients():
    axes = (
        [0.0005, 0.65, 0.9995],
        [1e-3, 0.5, 0.999],
        [1, 2, 3, 12, 500, 20_000],
        [1e-6, 0.05, 0.5, 0.99, 1 - 1e-6],
        [1e-3, 0.1, 1.5, 60.0, 1e6],
    )
    mean, reach, n, mu, nu = (x.ravel() for x in np.meshgrid(*axes, indexing="ij"))
    sd = reach * np.sqrt(mean * (1 - mean) * n / np.maximum(n - 1, 1))
    sd[n == 1] = np.nan
    assert np.all(np.isfinite(beta_summary_logp(mean, sd, n, mu, nu)))

    eta, log_nu, excess = wrt = *pt.dvectors("eta", "log_nu"), pt.dscalar("excess")
    logp = beta_summary_logp(mean, sd, n, pt.sigmoid(eta), pt.exp(log_nu), excess)
    value = pytensor.function(wrt, [logp, *pt.grad(logp.sum(), wrt)], mode=AS_WRITTEN)
    for s in (0.0, 1e-200, 0.7, 1e3, 1e15):
        assert all(np.all(np.isfinite(x)) for x in value(logit(mu), np.log(nu), s)), s
        for far in [(-800.0, 0.0), (800.0, 0.0), (0.0, -700.0), (0.0, 700.0), (40.0, 40.0)]:
            at = [np.full(mean.size, x) for x in far]
            assert all(np.all(np.isfinite(x)) for x in value(*at, s)), (far, s)


def test_gradient_is_that_of_the_value():
    """On known ground and beyond it, for a class of one, of two, and of many."""
    axes = (
        [0.03, 0.6, 0.93],
        [0.2, 0.7],
        [1, 2, 8, 90],
        [-9.0, -3.0, 0.5, 1.4, 7.0],
        [-1.5, 1.9, 8],
        [0.0, 0.6, 4.0],
    )
    mean, reach, n, *at = (x.ravel() for x in np.meshgrid(*axes, indexing="ij"))
    sd = reach * np.sqrt(mean * (1 - mean) * n / np.maximum(n - 1, 1))
    eta, log_nu, excess = wrt = pt.dvectors("eta", "log_nu", "excess")
    logp = beta_summary_logp(mean, sd, n, pt.sigmoid(eta), pt.exp(log_nu), excess).sum()
    gradient = pytensor.function(wrt, pt.grad(logp, wrt), mode=AS_WRITTEN)

    def value(eta, log_nu, excess):
        return beta_summary_logp(mean, sd, n, expit(eta), np.exp(log_nu), excess)

    def slope(i, step):
        up, down = ([x + sign * step * (i == j) for j, x in enumerate(at)] for sign in (1, -1))
        return (value(*up) - value(*down)) / (2 * step)

    for i, found in enumerate(gradient(*at)):
        # Richardson's: the error of central differences of two widths, but for the fourth order.
        near, far = slope(i, 1e-4), slope(i, 2e-4)
        np.testing.assert_allclose(found, (4 * near - far) / 3, rtol=2e-5, atol=2e-5)


def test_derivatives_by_the_data_and_second_ones_are_refused():
    mean, mu = pt.dscalars("mean", "mu")
    logp = beta_summary_logp(mean, 0.2, 12, mu, 5.0)
    with pytest.raises(NullTypeGradError):
        pt.grad(logp, mean)
    with pytest.raises(NotImplementedError, match="no second derivatives"):
        pt.grad(pt.grad(logp, mu), mu)


def test_only_this_version_of_the_formula_is_taken_from_a_compile_cache():
    """Else PyTensor would go on sampling from yesterday's formula."""
    _, key = numba_funcify_and_cache_key(summary_density._SummaryLogp())
    sources = (Path(module.__file__).read_bytes() for module in (summary_density, duals))
    assert hashlib.sha256(b"".join(sources)).hexdigest() in key


def test_published_moves_rounded_numbers_inside_and_keeps_the_rest():
    mean = np.array([0.0, 1.0, 0.64, 0.999, 0.5])
    sd = np.array([0.0, 0.0, 0.187, 0.05, np.nan])
    n = np.array([3, 2, 20, 2, 1])
    kept = mean.copy(), sd.copy()
    new_mean, new_sd = published(mean, sd, n)
    assert np.all(np.isfinite(beta_summary_logp(new_mean, new_sd, n, 0.6, 5.0)))
    assert new_mean[2:] == pytest.approx([0.64, 0.999, 0.5])
    assert (new_sd[2], new_sd[4]) == (0.187, 0.0)
    assert new_mean[:2] == pytest.approx([0.0005, 0.9995])
    assert np.array_equal(kept[0], mean)
    assert np.array_equal(kept[1], sd, equal_nan=True)


NEARLY_ALL = 0.998  # of the most there can be: from here on a rounded sd may be moved a little


@pytest.mark.parametrize("n", [2, 3, 5, 12, 300])
def test_published_keeps_spreads_up_to_the_most_there_can_be(n):
    mean, share = np.meshgrid([0.04, 0.3, 0.55, 0.9, 0.97], [0.5, 0.9, 0.95, 0.99, NEARLY_ALL])
    most = np.sqrt(n * mean * (1 - mean) / (n - 1))
    new_mean, new_sd = published(mean, share * most, np.full(mean.shape, n))
    np.testing.assert_array_equal(new_mean, mean)
    np.testing.assert_array_equal(new_sd, share * most)


@pytest.mark.parametrize("n", [2, 3, 5, 12, 300])
@pytest.mark.parametrize("beyond", [1.0, 1.0005, 1.01])
def test_published_takes_a_spread_beyond_the_most_there_can_be_just_below(n, beyond):
    mean = np.array([0.04, 0.3, 0.55, 0.9, 0.97])
    most = np.sqrt(n * mean * (1 - mean) / (n - 1))
    new_mean, new_sd = published(mean, beyond * most, np.full(5, n))
    np.testing.assert_array_equal(new_mean, mean)
    assert np.all((new_sd >= NEARLY_ALL * most) & (new_sd < most))
    assert np.all(np.isfinite(beta_summary_logp(new_mean, new_sd, n, 0.6, 5.0)))


@pytest.fixture(scope="module")
def exam_model():
    with pm.Model(coords={"school": ["0009", "0012", "0101"]}) as model:
        eta = pm.Normal("eta_school", 0.6, 0.5, dims="school")
        nu = pm.LogNormal("nu_school", np.log(7), 0.3, dims="school")
        mu = pm.Deterministic("mu_school", pm.math.sigmoid(eta), dims="school")
        observed = pair(BETA, [0.66, 0.81, 0.7], [0.19, 0.08, np.nan], [24, 3, 1])
        observe_summaries("exam", BETA, mu, nu, [24, 3, 1], observed, dims="school")
    return model


def test_beta_summary_in_a_model(exam_model):
    point = {"eta_school": np.array([0.5, 1.0, 0.7]), "nu_school_log__": np.log([5.0, 7.0, 9.0])}
    logp = exam_model.compile_logp(vars=exam_model["exam"], sum=False, mode=AS_WRITTEN)
    values = logp(point)[0]
    expected = beta_summary_logp(
        [0.66, 0.81, 0.7], [0.19, 0.08, np.nan], [24, 3, 1], expit([0.5, 1.0, 0.7]), [5.0, 7.0, 9.0]
    )
    assert values == pytest.approx(expected, rel=1e-9)


def test_a_class_of_two_has_a_spread():
    observed = pair(BETA, [0.6, 0.7], [0.1, 0.1], [2, 1])
    np.testing.assert_array_equal(observed, [[0.6, 0.1], [0.7, 0.0]])


@OBJECT_MODE
def test_predictive_draws_and_log_likelihood(exam_model):
    with exam_model:
        prior = pm.sample_prior_predictive(draws=50, random_seed=1)
        exam = prior.prior_predictive["exam"]
        assert exam.dims == ("chain", "draw", "school", "statistic")
        assert exam.coords["statistic"].to_numpy().tolist() == ["mean", "sd"]
        assert np.all(exam.sel(statistic="sd", school="0101") == 0)
        assert np.all(exam.sel(statistic="sd", school="0009") > 0)
        posterior = prior.prior.to_dataset()
        posterior = pm.sample_posterior_predictive(
            posterior, random_seed=1, progressbar=False
        ).posterior_predictive["exam"]
        assert posterior.shape == exam.shape
        prior["posterior"] = prior["prior"]
        pm.compute_log_likelihood(prior, progressbar=False)
    assert prior.log_likelihood["exam"].dims == ("chain", "draw", "school")


@OBJECT_MODE
@pytest.mark.parametrize("n", [1, 2, 30])
def test_draws_are_students_summarised(n):
    mu, nu, size = 0.7, 5.0, 4000
    with pm.Model() as model:
        observe_summaries("exam", BETA, mu, nu, np.full(size, n))
    draws = pm.draw(model["exam"], random_seed=2)
    v = mu * (1 - mu) / (nu + 1)
    assert draws[:, 0].mean() == pytest.approx(mu, abs=4 * np.sqrt(v / n / size))
    assert draws[:, 0].var() == pytest.approx(v / n, rel=4 * np.sqrt(2.5 / size))
    if n == 1:
        assert np.all(draws[:, 1] == 0)
    else:
        variance = draws[:, 1] ** 2
        assert variance.mean() == pytest.approx(v, abs=4 * variance.std() / np.sqrt(size))
    assert np.unique(draws[:, 0]).size == size


@OBJECT_MODE
def test_normal_summary_and_beta_mean_draw():
    with pm.Model(coords={"group": ["a", "b"]}):
        observe_summaries("height", NORMAL, [170.0, 180.0], 7.0, [50, 2], dims="group")
        observe_means("score", BETA, [0.2, 0.9], 5.0, [50, 2], dims="group")
        prior = pm.sample_prior_predictive(draws=4000, random_seed=1).prior
    mean = prior["height"].sel(statistic="mean").mean(("chain", "draw")).to_numpy()
    error = 4 * 7 / np.sqrt(np.array([50, 2]) * 4000)
    assert np.all(np.abs(mean - [170, 180]) < error)
    variance = (prior["height"].sel(statistic="sd") ** 2).mean(("chain", "draw")).to_numpy()
    assert np.all(np.abs(variance / 49 - 1) < 4 * np.sqrt(2 / np.array([49, 1]) / 4000))
    score = prior["score"].mean(("chain", "draw")).to_numpy()
    v = np.array([0.16, 0.09]) / 6 / np.array([50, 2])
    assert np.all(np.abs(score - [0.2, 0.9]) < 4 * np.sqrt(v / 4000))


def test_impossible_observations_are_refused():
    with pytest.raises(ValueError, match=r"1 observed .* positions \[1\].* inside \(0, 1\)"):
        pair(BETA, [0.5, 0.6], [0.1, 0.0], [3, 4])
    with pytest.raises(ValueError, match=r"1 observed .* positions \[0\]"):
        pair(BETA, [1.0, 0.6], [np.nan, np.nan], [3, 4])
    with pytest.raises(ValueError, match=r"1 observed .* two individuals or more is above 0"):
        pair(NORMAL, [170, 171], [0.0, 7.0], [3, 4])


@pytest.mark.slow
def test_nutpie_samples_the_exam_model(exam_model):
    with exam_model:
        fit = pm.sample(draws=300, tune=300, chains=2, random_seed=1, progressbar=False)
    assert fit.posterior.sizes["draw"] == 300
    assert np.isfinite(fit.posterior["mu_school"]).all()


# Coverage -------------------------------------------------------------------------------------


def earlier_form(mean, sd, n, mu, nu):
    """Beta mean and Gamma variance given the mean, its expectation bent by exp: the comparison."""
    h = mu * (1 - mu)
    v = h / (nu + 1)
    third = 2 * (1 - 2 * mu) * h / ((nu + 1) * (nu + 2))
    kurtosis = 6 * ((nu + 1) * (1 - 4 * h) - h * (nu + 2)) / (h * (nu + 2) * (nu + 3))
    g = third / v**2
    log_expected = np.log(v) + g * (mean - mu) - g**2 * v / (2 * n)
    cv2 = (v**2 * (2 / (n - 1) + kurtosis / n) - third**2 / (n * v)) / v**2
    shape = 1 / np.where(cv2 > 0, cv2, np.nan)
    log_rate = np.log(shape) - log_expected
    gamma = shape * log_rate - gammaln(shape) + (shape - 1) * np.log(sd**2)
    gamma = gamma - sd**2 * np.exp(np.minimum(log_rate, 700))
    return beta_mean_logp(mean, n, mu, nu) + gamma + np.log(2 * sd)


def ranks(posterior, truth, nodes):
    """Posterior probability below the truth; the grid's cells have their nodes in the middle."""
    posterior = posterior / posterior.sum(axis=1, keepdims=True)
    below = np.cumsum(posterior, axis=1)
    step = nodes[1] - nodes[0]
    position = (truth - nodes[0]) / step + 0.5
    cell = np.clip(position.astype(int), 0, nodes.size - 1)
    row = np.arange(truth.size)
    return below[row, cell] - posterior[row, cell] * (1 - np.clip(position - cell, 0, 1))


def coverage_ranks(logp, y, eta, log_nu, eta_nodes, log_nu_nodes, log_prior):
    """Ranks of the true (eta, log nu) of each row of students in its posterior on a grid."""
    y = np.clip(y, 1e-15, 1 - 1e-12)
    n = y.shape[1]
    mu, nu = expit(eta_nodes)[:, None], np.exp(log_nu_nodes)
    found = []
    for part in np.array_split(np.arange(len(y)), len(y) // 200):
        rows = y[part][:, :, None, None]
        if logp is None:
            sums = np.log(rows).sum(axis=1), np.log1p(-rows).sum(axis=1)
            density = beta_students_logp(n, *sums, mu, nu)
        else:
            # Floating point makes equal scores, sd 0, of students very near 1.
            sd = np.maximum(rows.std(axis=1, ddof=1), 1e-9)
            density = logp(rows.mean(axis=1), sd, n, mu, nu)
        density = np.where(np.isnan(density), -np.inf, density) + log_prior
        weight = np.exp(density - density.max(axis=(1, 2), keepdims=True))
        found.append(
            (
                ranks(weight.sum(axis=2), eta[part], eta_nodes),
                ranks(weight.sum(axis=1), log_nu[part], log_nu_nodes),
            )
        )
    return np.concatenate(found, axis=1)


def covered(rank, probability):
    return 100 * np.mean(np.abs(rank - 0.5) < probability / 2)


def fixed_coverage(logp, mu, n, nu=9.0, size=3000, seed=2):
    """89 % coverage of mu at one (mu, n); flat prior on mu, log nu ~ N(log 9, 1)."""
    y = np.random.default_rng([seed, n, int(1000 * mu)]).beta(mu * nu, (1 - mu) * nu, (size, n))
    width = max(5 / np.sqrt(mu * (1 - mu) * (nu + 1) * n), 0.5)
    eta = logit(mu) + np.linspace(-min(width, 4), min(1.3 * width, 5), 121)
    log_nu = np.log(nu) + np.linspace(-3.5, 3.5, 41)
    prior = np.log(expit(eta) * expit(-eta))[:, None] - (log_nu - np.log(nu)) ** 2 / 2
    truth = np.full(size, logit(mu)), np.full(size, np.log(nu))
    return covered(coverage_ranks(logp, y, *truth, eta, log_nu, prior)[0], 0.89)


def drawn_coverage(logp, n, mean=0.9, size=4000, seed=3):
    """89 % coverage of mu and nu, parameters from their prior, raw means above 0.8.

    Bands by what is observed keep the coverage of an exact likelihood at 89 %.
    """
    rng = np.random.default_rng([seed, n])
    eta = logit(mean) + rng.standard_normal(size)
    log_nu = np.log(7) + 0.8 * rng.standard_normal(size)
    mu, nu = expit(eta)[:, None], np.exp(log_nu)[:, None]
    y = rng.beta(mu * nu, (1 - mu) * nu, (size, n))
    eta_nodes = logit(mean) + np.linspace(-4.5, 4.5, 121)
    log_nu_nodes = np.log(7) + 0.8 * np.linspace(-4, 4, 33)
    prior = -((eta_nodes - logit(mean))[:, None] ** 2) / 2
    prior = prior - ((log_nu_nodes - np.log(7)) / 0.8) ** 2 / 2
    rank = coverage_ranks(logp, y, eta, log_nu, eta_nodes, log_nu_nodes, prior)
    high = y.mean(axis=1) > 0.8
    return covered(rank[0, high], 0.89), covered(rank[1, high], 0.89), high.sum()


FORMS = {
    "raw students": None,
    "this density": beta_summary_logp,
    "Gamma variance, exponential bend": earlier_form,
}
CELLS = [
    (0.6, 6),
    (0.6, 40),
    (0.9, 6),
    (0.9, 12),
    (0.9, 40),
    (0.95, 6),
    (0.95, 12),
    (0.95, 40),
    (0.12, 12),
]
# The numbers in the docstring of beta_summary_logp.
FIXED = {
    "raw students": [88.7, 89.0, 89.9, 90.0, 88.5, 90.4, 90.5, 89.6, 89.1],
    "this density": [88.8, 88.9, 90.4, 90.6, 88.4, 90.6, 91.9, 90.2, 90.1],
    "Gamma variance, exponential bend": [86.9, 88.4, 84.3, 87.4, 86.9, 84.4, 86.4, 87.5, 86.6],
}
SIZES = [2, 3, 4, 6, 9, 12, 40]
DRAWN = {
    "raw students": [
        (89.0, 89.7),
        (88.8, 89.1),
        (89.1, 89.1),
        (88.9, 88.8),
        (89.3, 89.3),
        (87.7, 87.9),
        (88.8, 88.5),
    ],
    "this density": [
        (88.0, 88.8),
        (88.3, 89.0),
        (88.5, 89.2),
        (89.2, 90.1),
        (89.2, 89.8),
        (87.6, 90.0),
        (89.2, 91.0),
    ],
    "Gamma variance, exponential bend": [
        (78.5, 88.7),
        (79.3, 89.7),
        (80.1, 89.3),
        (83.1, 90.7),
        (83.7, 90.2),
        (83.6, 89.9),
        (86.8, 90.5),
    ],
}


@pytest.mark.calibration
@pytest.mark.parametrize("form", FORMS)
def test_documented_coverage_at_fixed_parameters(form):
    for (mu, n), documented in zip(CELLS, FIXED[form], strict=True):
        found = fixed_coverage(FORMS[form], mu, n, seed=12)
        assert abs(found - documented) < 4 * np.sqrt(2) * 100 * np.sqrt(0.89 * 0.11 / 3000), (mu, n)


@pytest.mark.calibration
@pytest.mark.parametrize("form", FORMS)
def test_documented_coverage_of_drawn_parameters(form):
    for n, documented in zip(SIZES, DRAWN[form], strict=True):
        *found, size = drawn_coverage(FORMS[form], n, seed=13)
        error = 4 * np.sqrt(2) * 100 * np.sqrt(0.89 * 0.11 / size)
        assert np.all(np.abs(np.array(found) - documented) < error), n


@pytest.mark.calibration
@pytest.mark.parametrize("n", [2, 3, 6, 12])
def test_coverage_survives_publication_to_three_decimals(n):
    def rounded(mean, sd, n, mu, nu):
        mean, sd = published(mean.round(3), sd.round(3), n)
        return beta_summary_logp(mean, sd, n, mu, nu)

    *found, size = drawn_coverage(rounded, n, seed=14)
    error = 4 * 100 * np.sqrt(0.89 * 0.11 / size)
    assert np.all(np.abs(np.array(found) - 89) < error)


ETA, LOG_NU = np.linspace(-16, 16, 161), np.linspace(np.log(2e-4), np.log(1e6), 131)


def hills(log_lik):
    """Return how far below the top the other local maxima of a function on a grid are."""
    around = maximum_filter(log_lik, 3, mode="nearest")
    depth = log_lik.max() - log_lik[log_lik >= around]
    return depth[depth > 0.1]  # on a ridge aslant a grid has maxima that the function has not


@pytest.mark.parametrize("nu", [3.0, 9.0, 30.0])
@pytest.mark.parametrize("n", [2, 3, 4, 6, 25, 150, 700])
def test_no_second_hill_within_reach(n, nu):
    rng = np.random.default_rng(n)
    for mu in (0.25, 0.5, 0.8, 0.9):
        scores = rng.beta(mu * nu, (1 - mu) * nu, (5, n))
        for mean, sd in zip(*published(scores.mean(1), scores.std(1, ddof=1), n), strict=True):
            log_lik = beta_summary_logp(mean, sd, n, expit(ETA)[:, None], np.exp(LOG_NU))
            assert (hills(log_lik) > 10).all(), (mean, sd, hills(log_lik))


def test_many_schools_have_one_maximum():
    """The density of a whole table under one mean and one nu, where a chain once got stuck."""
    rng = np.random.default_rng(1)
    log_lik = 0.0
    for n in np.exp(rng.uniform(np.log(6), np.log(700), 200)).astype(int):
        mu, nu = expit(rng.normal(0.4, 0.4)), np.exp(rng.normal(1.65, 0.2))
        scores = rng.beta(mu * nu, (1 - mu) * nu, n)
        mean, sd = published(scores.mean(), scores.std(ddof=1), n)
        log_lik = log_lik + beta_summary_logp(mean, sd, n, expit(ETA)[:, None], np.exp(LOG_NU))
    assert not len(hills(log_lik))


def test_tails_fall_as_those_of_students():
    """n students inside (0, 1) make the density fall with the n-th power of mu, 1 - mu and nu."""
    mean, sd, n = 0.6, 0.2, 8
    for mu, nu in ([1e-5, 1e-6], 5.0), ([1 - 1e-5, 1 - 1e-6], 5.0), (0.6, [0.1, 0.01]):
        near, far = beta_summary_logp(mean, sd, n, mu, nu)
        assert near - far == pytest.approx(n * np.log(10), rel=1e-3)


@pytest.mark.parametrize("density", [beta_summary_logp, beta_mean_logp])
def test_no_students_say_nothing(density):
    mu, nu = pt.dvectors("mu", "nu")
    n, mean, sd = np.array([0.0, 0.0, 12.0]), np.array([0.0, 0.7, 0.7]), np.array([0.0, 0.1, 0.1])
    data = (mean, sd, n) if density is beta_summary_logp else (mean, n)
    given = {mu: np.array([0.6, 0.9, 0.6]), nu: np.array([5.0, 0.2, 5.0])}
    found = density(*data, mu, nu)
    np.testing.assert_array_equal(found.eval(given, mode=AS_WRITTEN)[:2], 0)
    np.testing.assert_array_equal(density(*data, given[mu], given[nu])[:2], 0)
    for gradient in pt.grad(found.sum(), [mu, nu]):
        values = gradient.eval(given, mode=AS_WRITTEN)
        np.testing.assert_array_equal(values[:2], 0)
        assert np.isfinite(values[2])
        assert values[2] != 0
