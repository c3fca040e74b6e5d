"""Parts of independent draws: errors of grids, proposals, tables of any size, closed forms."""

import math

import numpy as np
import pytest
from scipy import stats
from test_direct import normal, small, terms_of

import hbm
from hbm.sampling.direct.closed import read_closed
from hbm.sampling.direct.engine import grid_error
from hbm.sampling.direct.importance import adapt, strengthen
from hbm.sampling.direct.line import by_powers
from hbm.sampling.direct.mode import find_mode
from hbm.sampling.direct.problem import half_normal, read_problem
from hbm.sampling.direct.tables import Box, tabulate

EXACT = {"design_effect": 1}


MIXED = (3, 8, 40, 9, 100, 300, 20, 5, 60, 33)


@pytest.mark.parametrize(("sizes", "by"), [(MIXED, (4, 3, 2, 1)), ((200,) * 12, (4, 4, 4))])
def test_the_error_of_grids_is_seen_where_they_are_coarse(sizes, by):
    problem = read_problem(hbm.exams.nested(small(sizes, by), **EXACT))
    theta, n = np.array([0.4, 0.2, 1.9, 0.3, 0.0]), len(sizes)
    middle = np.full(n, 1.9)
    box = Box(theta, theta, np.full(n, -0.5), np.full(n, 1.5), middle, middle)
    assert grid_error(problem, tabulate(problem, box), theta[None]) < 1e-4
    assert grid_error(problem, tabulate(problem, box, 0.78, 20), theta[None]) < 1e-5
    assert grid_error(problem, tabulate(problem, box, spacing=3), theta[None]) > 0.01


def skewed():
    """Return the log density of eight skewed numbers, turned, and their mean and covariance."""
    turn = np.linalg.qr(np.random.default_rng(3).standard_normal((8, 8)))[0]
    law = stats.skewnorm([3.0, -2.0, 1.5, 0.0, 4.0, -1.0, 2.0, 0.5], scale=np.linspace(0.2, 1, 8))
    return (lambda z: law.logpdf(z @ turn).sum(axis=1)), turn @ np.diag(law.var()) @ turn.T


def collinear():
    """Return the log density of six pairs of numbers, each sure to 0.02 given its other one."""
    pair = np.sqrt(1 - 0.02**2)
    covariance = np.kron([[1, pair], [pair, 1]], np.eye(6))
    mean = np.linspace(-0.5, 0.5, 12)
    law = stats.multivariate_normal(mean, covariance)
    assert 1 / np.diag(np.linalg.inv(covariance)) == pytest.approx(0.02**2)
    return law.logpdf, covariance


@pytest.mark.parametrize("df", [20, math.inf])
def test_the_mode_and_curvature_of_a_collinear_density_are_found(df):
    """Of a t, what lies five sds away says nothing of the curvature at the mode."""
    _, covariance = collinear()
    mean = np.linspace(-0.5, 0.5, 12)
    law = stats.multivariate_t(mean, covariance, df)
    true = covariance / (1 if df == math.inf else (df + 12) / df)
    mode, found, evaluations = find_mode(law.logpdf, np.full(12, 0.7))
    # Along sums and differences of pairs, whose variances are 2 and 1/5,000.
    variances, vectors = np.linalg.eigh(true)
    assert np.abs((mode - mean) @ vectors / np.sqrt(variances)).max() < 0.3
    assert np.diag(vectors.T @ found @ vectors) / variances == pytest.approx(1, abs=0.05)
    assert evaluations < 3000


# Of 120 seeds the least efficiencies are 0.60 and 0.74.
@pytest.mark.parametrize(("density", "least"), [(skewed, 0.55), (collinear, 0.65)])
def test_a_proposal_fits_its_density_and_weights_tell_the_integral(density, least):
    log_density, covariance = density()
    n, away = len(covariance), []
    scale = np.sqrt(np.outer(covariance.diagonal(), covariance.diagonal()))
    for seed in range(30):
        rng = np.random.default_rng(seed)
        mode, found, _ = find_mode(log_density, np.zeros(n))
        proposal, points, _ = adapt(log_density, mode, found, rng)
        assert points.efficiency > least
        z = proposal.draw(4000, rng)
        _, weighted = strengthen(log_density, proposal, z, log_density(z), 0.35, rng)
        assert weighted.k < 0.5
        away.append(weighted.log_integral / weighted.error)
        w = np.exp(weighted.log_weight)
        centred = weighted.z - w @ weighted.z
        # Of some 2,500 effective points; 0.022 √2 is a standard error, and more where tails are.
        assert (centred.T @ (centred * w[:, None])) / scale == pytest.approx(
            covariance / scale, abs=0.15
        )
    # Standard Normals, if errors are what they are said to be.
    assert np.abs(away).max() < 4
    assert abs(np.mean(away)) < 4 / np.sqrt(30)
    assert np.mean(np.square(away)) == pytest.approx(1, abs=4 * np.sqrt(2 / 30))


def test_coordinates_that_hang_on_nothing_cost_little():
    """Sixteen more, as coefficients are: a fit takes few more evaluations, and is as good."""
    few, covariance = skewed()
    n = len(covariance)

    def log_density(z):
        return few(z[:, :n]) - (((z[:, n:] - 1.2) / 0.9) ** 2).sum(axis=1) / 2

    def fitted(density, start):
        rng = np.random.default_rng(1)
        mode, covariance, found = find_mode(density, start, n)
        _, points, more = adapt(density, mode, covariance, rng, n)
        return points, found + more + len(points.z)

    of_few, evaluations = fitted(few, np.zeros(n))
    points, of_all = fitted(log_density, np.zeros(n + 16))
    assert points.efficiency > 0.8 * of_few.efficiency
    assert of_all < 1.5 * evaluations
    scale = 16 * (np.log(0.9) + np.log(2 * np.pi) / 2)
    error = np.hypot(points.error, of_few.error)
    assert points.log_integral - scale == pytest.approx(of_few.log_integral, abs=4 * error)


@pytest.mark.parametrize("n", [14, 15])
def test_messages_of_many_groups_add_up_where_their_product_is_no_plain_number(n):
    """One Normal is too narrow for sums over the grid, which says so and changes nothing."""
    rng, n_theta, k, n_groups = np.random.default_rng(1), 5, 7, 400
    tau = np.array([0.4, 0.7, 0.05, 2.0, 0.9])
    step, start = np.full(n_theta, 0.3), rng.normal(-2, 0.3, n_theta)
    first, apart = rng.normal(-1, 0.2, n_theta), np.full(n_theta, 0.25)
    top = np.array([-3.0, 5.0, 1.0, 0.0, 0.7])
    out, product = np.zeros((k, n_theta)), np.ones((k, n_theta))
    does, work, row = np.empty(n_theta, bool), np.empty((4, n, n_theta)), np.empty((9, n_theta))
    expected = np.zeros((k, n_theta))
    e = start + np.arange(n)[:, None] * step
    m = first + np.arange(k)[:, None] * apart
    kernel = stats.norm.pdf(e[:, None], m, tau) * step
    for _ in range(n_groups):
        c = rng.random((n, n_theta))
        by_powers(c, top, step, start, tau, first, apart, k, out, product, does, work, row)
        assert does.tolist() == [True, True, False, True, True]
        expected += np.log((c[:, None] * kernel).sum(axis=0)) + top
    assert not out[:, ~does].any()
    assert (product[:, ~does] == 1).all()
    assert (np.abs(expected / n_groups - top)[:, does] > 0.2).all()
    found = out + np.log(product)
    assert found[:, does] == pytest.approx(expected[:, does], rel=1e-12, abs=1e-9)


def test_schools_of_one_student_and_of_a_million_stand_in_one_table():
    sizes = [1, 2, 9, 40, 300, 5_000, 70_000, 1_000_000]
    fit = hbm.sample(
        hbm.exams.nested(small(sizes, (3, 3, 2))), 100, method="direct", random_seed=1,
        progressbar=False,
    )  # fmt: skip
    assert fit["sample_stats"].attrs["grid_error"] <= 0.001
    for name, draws in fit["posterior"].data_vars.items():
        assert np.isfinite(draws.to_numpy()).all(), name
    sd = fit["posterior"]["mu_school"].std(("chain", "draw")).to_numpy()
    assert sd[-1] < sd[0]


# Absolute values: the model's own terms, summed over grids where effects are integrated.


def test_without_pooling_the_density_is_the_models_own():
    model = hbm.exams.no_pooling(small(), **EXACT)
    at = terms_of(model)
    eta, x = np.linspace(-6, 8, 113), np.linspace(-3, 8, 61)
    names = ["eta_school", "log_nu_school", model.observed_RVs[0].name]
    terms = [[at(eta_school=e, log_nu_school=y) for y in x] for e in eta]
    total = np.array([[sum(cell[name] for name in names) for cell in row] for row in terms])
    cell = (eta[1] - eta[0]) * (x[1] - x[0])
    expected = (np.logaddexp.reduce(total, axis=(0, 1)) + math.log(cell)).sum()
    fit = hbm.sample(model, 150, method="direct", random_seed=1, progressbar=False)
    assert hbm.log_marginal_likelihood(fit)[0] == pytest.approx(expected, abs=1e-4)


def test_where_all_are_one_the_density_is_the_models_own():
    model = hbm.exams.complete_pooling(small())
    closed, at, p = read_closed(model), terms_of(model), hbm.exams.Priors()
    for z in np.random.default_rng(1).standard_normal((5, 2)):
        eta, nu = p.eta_mean + p.eta_sd * z[0], p.nu_median * math.exp(p.nu_log_sd * z[1])
        terms = sum(each.sum() for each in at(eta=eta, nu=nu).values())
        # By the slopes of eta and of nu.
        expected = terms + math.log(p.eta_sd) + math.log(p.nu_log_sd * nu)
        assert closed.log_density(z[None])[0] == pytest.approx(expected, abs=1e-8)


@pytest.mark.parametrize("table", ["people", "countries"])
def test_heights_have_the_models_own_density(table):
    people = hbm.load_dataset("heights").iloc[7:]
    if table == "countries":
        by = people.groupby("country", sort=False)["height"]
        people = by.agg(n_people="size", mean="mean", sd="std").reset_index()
    priors = hbm.heights.Priors(mu_mean=170, mu_sd=7, tau_country=4, sigma=12)
    model = hbm.heights.partial_pooling(people, priors=priors)
    closed, at, d = read_closed(model), terms_of(model), model.description
    m = np.linspace(140, 215, 301)
    for z in np.array([[0.3, -0.9], [-1.0, -0.6], [1.2, -1.2]]):
        tau, sigma = 4 * half_normal(z[0]), 12 * half_normal(z[1])
        given = {"tau_country": tau, "sigma": sigma}
        terms = [at(**given, mu=170.0, mu_country=y) for y in m]
        for y, term in zip(m[::60], terms[::60], strict=True):
            assert term["mu_country"] == pytest.approx(normal(y, 170, tau))
        # What is seen of all groups is one number: one of them moves at a time.
        seen, moving = model.observed_RVs[0].name, 170 * (1 - np.eye(len(d.n)))
        away = [[at(**given, mu=170, mu_country=i * y + r)[seen].sum() for y in m]
                for i, r in zip(np.eye(len(d.n)), moving, strict=True)]  # fmt: skip
        base = at(**given, mu=170, mu_country=170)[seen].sum()
        of_group = np.array(away).T - base + base / len(d.n)
        mu = np.linspace(140, 205, 131)
        prior = np.array([at(**given, mu=y, mu_country=170.0)["mu"][0] for y in mu])
        kernel = normal(m[:, None], mu, tau)
        sent = sum(
            np.logaddexp.reduce(each[:, None] + kernel, axis=0) for each in of_group.T
        ) + len(d.n) * math.log(m[1] - m[0])
        expected = np.logaddexp.reduce(sent + prior) + math.log(mu[1] - mu[0])
        assert closed.log_likelihood(z[None])[0] == pytest.approx(expected, abs=1e-6)


def test_a_category_of_one_school_has_independent_draws():
    kinds = ["plain", "arts", "plain", "plain", "sports", "sports"]
    table = small((3, 8, 12, 30, 100, 5), (3, 2, 1)).assign(kind=kinds)
    model = hbm.exams.nested(table, predictors=["kind"], **EXACT)
    fit = hbm.sample(model, 150, random_seed=1, progressbar=False)
    assert fit["sample_stats"].attrs["method"] == "direct"
    beta = fit["posterior"]["beta"]
    assert list(beta["predictor"].to_numpy()) == ["kind[arts]", "kind[plain]", "kind[sports]"]
    # One school tells little of its kind beside its own effect: less than the prior sd is left.
    sd = beta.std(("chain", "draw")).to_numpy()
    assert sd[0] > 0.1
    assert sd[0] < 0.3
    assert np.abs(beta.sum("predictor")).max() < 1e-12


def test_what_predictors_say_is_finite_however_far_out_a_point_lies():
    table = small((3, 8, 12, 30, 100, 5), (3, 2, 1))
    problem = read_problem(hbm.exams.nested(table, predictors=["log_n_students"]))
    z = np.vstack([np.eye(problem.n_top), -np.eye(problem.n_top)]) * 60
    thetas, prior = problem.thetas_and_prior(z)
    assert np.isfinite(thetas).all()
    assert np.isfinite(prior).all()
