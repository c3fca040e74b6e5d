"""Independent draws: the density is the model's own, and draws are of it."""

import dataclasses
import math

import numpy as np
import pymc as pm
import pytest
import xarray as xr
from pymc.logprob import conditional_logp
from scipy import stats

import hbm
from hbm.sampling import posterior
from hbm.sampling.direct import engine, evaluate, grids, importance, inverse, together
from hbm.sampling.direct.closed import read_closed
from hbm.sampling.direct.coefficients import conditional
from hbm.sampling.direct.curve import message_of_curve
from hbm.sampling.direct.problem import half_normal, read_problem
from hbm.sampling.direct.skew import Skew
from hbm.sampling.direct.tables import Box, tabulate

EXACT = {"design_effect": 1}
FINE = {"spacing": 0.78, "depth": 20.0}  # grids as good as integrals


def small(sizes=(3, 8, 40), by=(2, 1), seed=1, **truth):
    return hbm.simulate.exams(list(by), list(sizes), random_seed=seed, **truth)[0]


def terms_of(model):
    """Return a function of values of all free variables that gives the logs of each variable's."""
    values = {rv.name: rv.type() for rv in model.free_RVs}
    by_rv = {rv: values[rv.name] for rv in model.free_RVs}
    by_rv |= {rv: model.rvs_to_values[rv] for rv in model.observed_RVs}
    terms = conditional_logp(by_rv)
    function = model.compile_fn(
        [terms[value] for value in by_rv.values()],
        inputs=list(values.values()),
        mode="FAST_COMPILE",
        point_fn=False,
    )
    names = [rv.name for rv in by_rv]
    shapes = model.eval_rv_shapes()

    def at(**given):
        inputs = (np.full(shapes.get(name, ()), np.asarray(given[name], float)) for name in values)
        return dict(zip(names, map(np.atleast_1d, function(*inputs)), strict=True))

    return at


def normal(x, mean, sd):
    return -(((x - mean) / sd) ** 2) / 2 - np.log(sd) - np.log(2 * np.pi) / 2


def by_brute_force(model, theta):
    """Return log p(data | θ), from the model's own terms, summed over wide and fine grids.

    All groups are put at the same point of a grid: what is seen of one hangs on its own effects.
    """
    d = model.description
    at = terms_of(model)
    eta, x, m = np.linspace(-2, 3.6, 57), np.linspace(-0.5, 4.5, 41), np.linspace(-2, 3.6, 113)
    k = len(d.levels)
    taus, (log_nu, tau_nu, excess) = theta[:k], theta[k : k + 3]
    beta, gamma = np.split(theta[k + 3 :], 2)
    own, of_spread, observed = f"eta_{d.group}", f"log_nu_{d.group}", model.observed_RVs[0].name
    given = {"eta": 0.0, "nu": math.exp(log_nu), "tau_nu": tau_nu, "design_effect": 1 + excess}
    given |= {"beta_contrast": beta, "gamma_contrast": gamma}
    given |= {f"tau_{level.name}": t for level, t in zip(d.levels, taus, strict=True)}
    given |= {f"eta_{level.name}": 0.0 for level in d.levels} | {of_spread: 0.0}
    seen = np.array([[at(**given | {own: e, of_spread: y})[observed] for y in x] for e in eta])
    of_x = np.array([at(**given | {of_spread: y})[of_spread] for y in x])
    total = np.logaddexp.reduce(seen + of_x, axis=1) + np.log(x[1] - x[0])
    grid = eta
    for level, tau in zip(reversed(d.levels), reversed(taus), strict=True):
        # Of an effect given its parent's, as the model has it: a Normal around what its slope says.
        effect = f"eta_{level.name}"
        term = {e: at(**given | {effect: e})[effect] for e in (-1.0, -0.7, 0.1, 1.0)}
        moved = tau**2 * (term[1.0] - term[-1.0]) / 2
        assert term[-0.7] == pytest.approx(normal(-0.7, moved, tau))
        assert term[0.1] == pytest.approx(normal(0.1, moved, tau))
        kernel = normal(grid[:, None, None], m[:, None] + moved, tau)
        sent = np.logaddexp.reduce(total[:, None, :] + kernel, axis=0)
        sent += np.log(grid[1] - grid[0])
        parent = np.zeros(len(level.labels), int) if level.parent is None else level.parent
        total = np.zeros((len(m), parent.max() + 1))
        for i, p in enumerate(parent):
            total[:, p] += sent[:, i]
        grid = m
    prior = np.array([at(**given | {"eta": y})["eta"][0] for y in m])
    return float(np.logaddexp.reduce(total[:, 0] + prior) + np.log(m[1] - m[0]))


def tables_for(problem, theta, grids=FINE):
    """Return tables for one θ, whose parents may lie anywhere near the data."""
    n, plain = len(problem.d.n), theta[: problem.n_levels + 3]
    middle = problem.moved(theta[None])[1][0]
    box = Box(plain, plain, np.full(n, -2.0), np.full(n, 3.0), middle, middle)
    return tabulate(problem, box, **grids)


def four(least=3, by=(2, 1, 1)):
    return small((least, 8, 40, 9), by)


def known_of(table):
    """Return a table with two columns that are known of schools, and one of authorities."""
    kinds = np.resize(["old", "new", "new"], len(table))
    return table.assign(kind=kinds, rich=table["authority"].map({"1": 2.0, "2": 5.0}).fillna(3.0))


ASKED = {"school": ["log_n_students", "kind"], "authority": ["rich"]}
UNLIKE = hbm.exams.Priors(beta_sd=0.7, gamma_sd=0.2)


def one_school():
    scores = hbm.load_dataset("scores")
    return scores[scores["school"] == scores["school"].iloc[0]].head(12)


MODELS = {
    "partial pooling": lambda: hbm.exams.partial_pooling(small(), **EXACT),
    "nested": lambda: hbm.exams.nested(small(), **EXACT),
    "design effect learned": lambda: hbm.exams.nested(small()),
    "an sd missing": lambda: hbm.exams.nested(
        small().assign(sd=lambda table: table["sd"].where(table["n_students"] != 8)), **EXACT
    ),
    "means alone": lambda: hbm.exams.nested(small(), observe="mean", **EXACT),
    "means alone, one of one student": lambda: hbm.exams.partial_pooling(
        small((1, 8, 40)), observe="mean"
    ),
    "three levels": lambda: hbm.exams.nested(
        small((3, 8, 40, 9), (1, 1, 1, 1)).assign(zone=["u", "u", "v", "v"]),
        levels=("authority", "zone"),
        **EXACT,
    ),
    "predictors": lambda: hbm.exams.partial_pooling(
        known_of(small()), predictors=ASKED["school"], priors=UNLIKE, **EXACT
    ),
    "predictors of two levels": lambda: hbm.exams.nested(
        known_of(four()), predictors=ASKED, priors=UNLIKE, **EXACT
    ),
    "predictors, the design effect learned": lambda: hbm.exams.nested(
        known_of(four()), predictors=ASKED, priors=UNLIKE
    ),
    "predictors, means alone": lambda: hbm.exams.nested(
        known_of(four(1)), predictors=ASKED, priors=UNLIKE, observe="mean"
    ),
    "predictors of three levels": lambda: hbm.exams.nested(
        known_of(four(by=(1, 1, 1, 1))).assign(zone=["u", "u", "v", "v"], far=[1.0, 1.0, 0.0, 0.0]),
        levels=("authority", "zone"),
        predictors={"school": ["log_n_students"], "zone": ["far"]},
        priors=UNLIKE,
    ),
    "scores of one school": lambda: hbm.scores.partial_pooling(one_school()),
}


@pytest.mark.parametrize("name", MODELS)
def test_the_density_is_the_models_own_integrated_by_brute_force(name):
    model = MODELS[name]()
    problem = read_problem(model)
    excess = 0.6 if problem.excess_sd else problem.known_excess
    moving = np.resize([0.3, -0.2, 0.25, -0.1], 2 * problem.n_contrasts)
    theta = np.array([*[0.4] * (problem.n_levels - 1), 0.2, 1.9, 0.3, excess, *moving])
    found = evaluate.log_likelihoods(problem, tables_for(problem, theta), theta[None])[0]
    # A mean alone may say anything from little to much of a group: its grid is as coarse as it may.
    most = 1e-5 if problem.untold.any() else 1e-6
    truth = by_brute_force(model, theta)
    assert found == pytest.approx(truth, abs=most)
    # By default they are coarser, far within what is allowed.
    usual = evaluate.log_likelihoods(problem, tables_for(problem, theta, {}), theta[None])[0]
    assert usual == pytest.approx(truth, abs=1e-4)


def test_coordinates_at_the_top_have_the_models_own_priors():
    """All that groups share has the density of the model's terms, by the slopes of each number."""
    model = MODELS["predictors, the design effect learned"]()
    problem, d = read_problem(model), model.description
    z = np.random.default_rng(1).normal(0, 0.7, problem.n_top)
    [theta], [prior] = problem.thetas_and_prior(z[None])
    step = 1e-5 * np.eye(problem.n_top)
    slopes = (problem.thetas(z + step) - problem.thetas(z - step)).T / 2e-5
    k, c = problem.n_levels, problem.n_contrasts
    given = {f"tau_{level.name}": t for level, t in zip(d.levels, theta[:k], strict=True)}
    given |= {"nu": np.exp(theta[k]), "tau_nu": theta[k + 1], "design_effect": 1 + theta[k + 2]}
    given |= {"beta_contrast": theta[k + 3 : k + 3 + c], "gamma_contrast": theta[k + 3 + c :]}
    rest = {rv.name: 0.5 for rv in model.free_RVs if rv.name not in given}
    terms = terms_of(model)(**given, **rest)
    found = np.array([terms[name].sum() for name in given])
    found[k] += theta[k]  # nu itself is log-Normal
    assert found.sum() == pytest.approx(prior - np.linalg.slogdet(slopes)[1], abs=1e-6)
    # But for coefficients, each number by itself has a standard Normal's.
    alone = normal(z, 0, 1) - np.log(np.diag(slopes))
    assert found[: k + 3] == pytest.approx(alone[: k + 3], abs=1e-6)


def test_coefficients_are_placed_by_generalised_least_squares():
    """By one large matrix of variances of all estimates, in place of going up the tree."""
    problem = read_problem(MODELS["predictors of three levels"]())
    d, k, c, raw = problem.d, problem.n_levels, problem.n_contrasts, problem.raw
    theta = np.array([0.3, 0.5, 0.2, 1.9, 0.3, 0.6])
    mean, root, log_det = (a[0] for a in conditional(problem, theta[None]))
    parent = [level.parent for level in d.levels]
    zone = parent[1][parent[2]]
    alike = [np.equal.outer(at, at) for at in (zone, parent[2], np.arange(len(d.n)))]
    of_effects = sum(tau**2 * a for tau, a in zip(theta[:k], alike, strict=True))
    of_effects = of_effects + problem.top_sd**2 + np.diag(raw.effect_se**2 * 1.6)
    known = np.isfinite(raw.log_spread_se)
    of_spreads = np.diag(raw.log_spread_se[known] ** 2 + theta[k + 1] ** 2)
    x = problem.x[-1]
    for i, (variance, x_seen, y, sd) in enumerate(
        [
            (of_effects, x, raw.effect - problem.top_mean, problem.beta_sd),
            (of_spreads, x[known], raw.log_spread[known] - theta[k], problem.gamma_sd),
        ]
    ):
        posterior = np.linalg.inv(x_seen.T @ np.linalg.solve(variance, x_seen) + np.eye(c) / sd**2)
        assert root[i] @ root[i].T == pytest.approx(posterior, rel=1e-9)
        at = posterior @ x_seen.T @ np.linalg.solve(variance, y)
        assert mean[i] == pytest.approx(at, rel=1e-9)
    assert log_det == pytest.approx(np.linalg.slogdet(root)[1].sum(), rel=1e-9)


def test_a_density_is_integrated_over_a_normal_of_any_width():
    """By points around the maximum of the product, down to a value of the density."""
    n, step = 67, 0.35
    grid = -11.55 + step * np.arange(n)
    density = stats.skewnorm(2.0, 0.3, 1.3)
    log_f = density.logpdf(grid)
    fine = np.linspace(-12, 12, 60_001)
    for tau in (3.0, 1.0, 0.36, 0.34, 0.2, 0.01, 0.0):
        m = np.array([-1.0, 0.5, 2.0])
        found = [grids.integral(log_f, n, (grid[0], step, 0.0, 0.0), mean, tau) for mean in m]
        if tau == 0:
            expected = density.logpdf(m)
        else:
            values = density.logpdf(fine) + stats.norm.logpdf(fine, m[:, None], tau)
            expected = np.logaddexp.reduce(values, axis=1) + np.log(fine[1] - fine[0])
        assert found == pytest.approx(expected, abs=5e-5), tau


def of_many_widths(e):
    """Return a log density that is narrow and has wide shoulders, as of a mean of unknown worth."""
    widths = np.geomspace(0.002, 1.0, 40)
    return np.logaddexp.reduce(stats.norm.logpdf(e[..., None], 0.5, widths), axis=-1)


def on_a_curve():
    """Return a curved grid of it, and the log density there."""
    start, step, n = -9.0, 0.3, 61
    grid = (start, step, 0.5, 0.002)
    points = np.array([grids.point(grid, p) for p in range(n)])
    return grid, n, of_many_widths(points)


@pytest.mark.parametrize("tau", [1.0, 0.3, 0.05, 0.005, 0.0])
def test_a_density_of_many_widths_is_integrated_on_a_curved_grid(tau):
    grid, n, log_f = on_a_curve()
    m, out = 0.1 + 0.2 * np.arange(5), np.zeros(5)
    message_of_curve(log_f, n, grid, tau, m[0], 0.2, 5, out, np.empty((3, 61)))
    if tau == 0:
        expected = of_many_widths(m)
    else:  # exactly, component by component
        widths = np.hypot(np.geomspace(0.002, 1.0, 40), tau)
        expected = np.logaddexp.reduce(stats.norm.logpdf(m[:, None], 0.5, widths), axis=1)
    assert out == pytest.approx(expected, abs=2e-4)


@pytest.mark.parametrize("tau", [1.0, 0.2, 0.004])
def test_draws_from_a_curved_grid_have_the_distribution_function_of_the_density(tau):
    grid, n, log_f = on_a_curve()
    mean, widths = 0.6, np.geomspace(0.002, 1.0, 40)
    share = stats.norm.pdf(mean, 0.5, np.hypot(widths, tau))
    pulled = widths**2 / (widths**2 + tau**2)
    centre, sd = 0.5 + pulled * (mean - 0.5), tau * np.sqrt(pulled)
    shares = np.random.default_rng(1).random(100_000)
    work = np.empty((3, 121))
    draws = np.array([inverse.draw(log_f, n, grid, mean, tau, u, work) for u in shares])
    below = stats.norm.cdf(draws[:, None], centre, sd) @ share / share.sum()
    assert np.abs(below - shares).max() < 1e-3


@pytest.mark.parametrize("tau", [5.0, 0.8, 0.1, 0.003])
def test_draws_have_the_distribution_function_of_the_density(tau):
    """A million of them, of a skewed density times a Normal far from it."""
    n, step, mean = 40, 0.6, 1.5
    grid = -11.7 + step * np.arange(n)
    log_f = stats.skewnorm(2.0, 0.3, 1.3).logpdf(grid)
    shares = np.random.default_rng(1).random(1_000_000)
    work = np.empty((3, 121))
    draws = np.array(
        [inverse.draw(log_f, n, (grid[0], step, 0.0, 0.0), mean, tau, u, work) for u in shares]
    )
    below = shares_below(draws, log_f, grid, mean, tau)
    # Each at its own share: how far the function that is inverted is off, without chance.
    assert np.abs(below - shares).max() < 2e-4
    assert stats.kstest(below, "uniform").pvalue > 0.001


def shares_below(draws, log_f, grid, mean, tau):
    """Return the shares below draws of a density times a Normal, by 200,000 points."""
    low, high = draws.min() - 2 * draws.std(), draws.max() + 2 * draws.std()
    fine = np.linspace(low, high, 200_001)
    at = (fine - grid[0]) / (grid[1] - grid[0])
    values = np.array([grids.value_at(log_f, len(grid), p) for p in at])
    density = np.exp(values - ((fine - mean) / tau) ** 2 / 2 - values.max())
    below = np.append(0, np.cumsum((density[1:] + density[:-1]) / 2))
    return np.interp(draws, fine, below / below[-1])


@pytest.mark.parametrize("taus", [(5.0, 0.8), (5.0, 0.8, 0.3, 0.1, 0.003, 0.0)])
def test_draws_side_by_side_have_the_distribution_functions_of_their_densities(taus):
    """A million of them, by points that suit all; some, too narrow for that, are drawn alone."""
    n, step, means = 40, 0.6, (1.5, -0.4, 3.0)
    grid = -11.7 + step * np.arange(n)
    log_f = stats.skewnorm(2.0, 0.3, 1.3).logpdf(grid)
    mean, tau = (a.ravel() for a in np.meshgrid(means, taus))
    k = len(tau)
    f, of_each = np.repeat(log_f[:, None], k, axis=1), np.zeros((4, k))
    of_each[0], of_each[1] = grid[0], step
    shares = np.random.default_rng(1).random((1_000_000 // k, k))
    draws, work = np.empty_like(shares), np.empty((4, 121))
    room, row = np.empty((3, together.FINEST * n, k)), np.empty((8, k))
    for u, out in zip(shares, draws, strict=True):
        together.draw_together(f, n, of_each, mean, tau, u, out, room, row, work)
    for i in range(k):
        if tau[i] == 0:
            assert (draws[:, i] == mean[i]).all()
        else:
            below = shares_below(draws[:, i], log_f, grid, mean[i], tau[i])
            assert np.abs(below - shares[:, i]).max() < 2e-4, (mean[i], tau[i])


def test_exponentials_side_by_side_are_exponentials():
    x = np.linspace(-690, 700, 100_001)
    ours = np.array([grids.bounded_exp(each) for each in x])
    assert ours == pytest.approx(np.exp(x), rel=3e-10, abs=0)
    assert grids.bounded_exp(-1e9) == grids.bounded_exp(-690.0)
    assert grids.bounded_exp(1e9) == grids.bounded_exp(700.0)


def test_smoothed_weights_and_k_are_arvizs():
    import arviz_stats as azs

    rng = np.random.default_rng(1)
    for scale in (0.6, 0.9, 1.1):
        z = rng.standard_t(5, size=4000)
        ratio = stats.norm.logpdf(z, scale=scale) - stats.t.logpdf(z, 5)
        log_weight, k = importance.smooth(ratio)
        theirs, their_k = azs.base.array_stats.psislw(-ratio)
        assert k == pytest.approx(float(their_k), abs=0.01)
        assert log_weight == pytest.approx(theirs, abs=0.01)


def test_a_proposal_integrates_to_one_and_draws_as_it_says():
    rng = np.random.default_rng(1)
    none, root = np.zeros(2), np.array([[1.0, 0.0], [0.6, 0.8]])
    skew = Skew.of(np.array([-1.2, 0.5]))
    own = importance.Proposal(np.ones(3), np.array([1.0, 2.0, 0.5]), skew, none, root, 12.0)
    wide = importance.Proposal(
        np.ones(3), np.full(3, 3.0), Skew.of(np.zeros(3)), np.zeros(3), np.eye(3), 5.0
    )
    z = wide.draw(400_000, rng)
    ratio = np.exp(own.logpdf(z) - wide.logpdf(z))
    assert ratio.mean() == pytest.approx(1, abs=4 * ratio.std() / np.sqrt(len(z)))
    drawn = own.draw(400_000, rng)
    for power in (1, 2, 3):
        # By the density, and by draws.
        terms, of_draws = ratio[:, None] * (z - 1) ** power, (drawn - 1) ** power
        error = np.sqrt((terms.var(axis=0) + of_draws.var(axis=0)) / len(z))
        assert (np.abs(terms.mean(axis=0) - of_draws.mean(axis=0)) < 4 * error).all()


def test_coordinates_become_as_skewed_as_is_asked_and_symmetric_again():
    skewness = np.array([-1.1, -0.4, 0.0, 0.9])
    skew = Skew.of(skewness)
    u = np.random.default_rng(1).standard_normal((400_000, 4))
    x = skew.skewed(u)
    np.testing.assert_allclose(skew.symmetric(x), u, atol=1e-9)
    error = 4 / np.sqrt(len(u))
    assert x.mean(axis=0) == pytest.approx(0, abs=error)
    assert (x**2).mean(axis=0) == pytest.approx(1, abs=error * (x**2).std(axis=0).max())
    assert (x**3).mean(axis=0) == pytest.approx(skewness, abs=error * (x**3).std(axis=0).max())
    by, at = 1e-6, np.linspace(-4, 4, 101)[:, None] * np.ones(4)
    slope = (skew.symmetric(at + by) - skew.symmetric(at - by)) / (2 * by)
    np.testing.assert_allclose(np.exp(skew.log_slope(at)), slope, rtol=1e-6)


@pytest.fixture(scope="module")
def drawn():
    model = hbm.exams.nested(small((3, 8, 12, 30, 100, 5), (3, 2, 1)), **EXACT)
    fit = hbm.sample(model, 250, method="direct", random_seed=1, progressbar=False)
    return model, fit


def test_a_fit_is_like_any_other(drawn):
    model, fit = drawn
    posterior = fit["posterior"]
    assert list(posterior.data_vars) == [v.name for v in model.unobserved_RVs]
    assert posterior["mu_school"].dims == ("chain", "draw", "school")
    assert dict(posterior["eta"].sizes) == {"chain": 4, "draw": 250}
    mu = 1 / (1 + np.exp(-posterior["eta_school"]))
    np.testing.assert_allclose(posterior["mu_school"], mu)
    np.testing.assert_allclose(posterior["nu_school"], np.exp(posterior["log_nu_school"]))
    assert len(hbm.estimates(fit, "mu_school")) == 6
    # Draws of one point have effects of their own.
    effects = posterior["eta_school"].to_numpy().reshape(-1, 6)
    assert len(np.unique(effects[:, 0])) == len(effects)
    assert len(np.unique(posterior["nu"])) < len(effects)
    assert fit["sample_stats"].attrs["effective_draws"] >= 400


def test_the_same_seed_gives_the_same_draws_in_any_number_of_threads(drawn):
    model, fit = drawn
    again = hbm.sample(model, 250, method="direct", random_seed=1, cores=1, progressbar=False)
    assert again["posterior"].to_dataset().equals(fit["posterior"].to_dataset())


def test_a_fit_says_how_it_was_made_and_keeps_it_in_a_file(drawn, tmp_path):
    model, fit = drawn
    told = fit["sample_stats"].attrs
    assert told["method"] == "direct"
    assert told["pareto_k"] <= 0.7
    assert told["grid_error"] <= 0.001
    _, loaded = hbm.load(hbm.save(model, fit, tmp_path / "fit.nc"))
    assert str(hbm.diagnose(loaded)) == str(hbm.diagnose(fit))
    assert hbm.log_marginal_likelihood(loaded) == hbm.log_marginal_likelihood(fit)
    assert "Pareto k" in str(hbm.diagnose(fit))


@pytest.mark.parametrize(
    ("attribute", "value", "ok", "said"),
    [
        ("pareto_k", 0.6, True, "between 0.5 and 0.7"),
        ("pareto_k", 0.8, False, "a few points"),
        ("grid_error", 0.01, False, "too coarse"),
        ("beyond_grids", 0.02, False, "no draw is from beyond"),
        ("effective_draws", 100.0, False, "draw more"),
    ],
)
def test_a_diagnosis_goes_by_what_the_route_measured(drawn, attribute, value, ok, said):
    _, fit = drawn
    fit = fit.copy()
    fit["sample_stats"].attrs = fit["sample_stats"].attrs | {"pareto_k": 0.1, attribute: value}
    diagnosis = hbm.diagnose(fit)
    assert diagnosis.ok is ok
    assert said in str(diagnosis)


@pytest.mark.parametrize("chains", [1, 4])
def test_poor_independent_draws_are_warned_of_whatever_the_number_of_chains(
    drawn, chains, monkeypatch
):
    model, fit = drawn
    poor = fit.isel(chain=slice(chains))
    poor["sample_stats"].attrs = fit["sample_stats"].attrs | {"pareto_k": 0.8}
    monkeypatch.setattr(posterior, "direct_fit", lambda *_: poor)
    with pytest.warns(hbm.ConvergenceWarning, match="FAIL  Pareto k"):
        hbm.sample(model, 250, method="direct", chains=chains, progressbar=False)


@pytest.mark.parametrize("given", [{"tune": 100}, {"target_accept": 0.9}, {"nuts_sampler": "pymc"}])
def test_settings_of_a_chain_are_refused(given):
    with pytest.raises(ValueError, match=f"{next(iter(given))} are settings of a Markov chain"):
        hbm.sample(hbm.exams.nested(small()), method="direct", **given)


def test_by_default_draws_are_independent_where_they_can_be_and_the_fit_says_why(capsys):
    model = hbm.exams.nested(small(), **EXACT)
    told = hbm.sample(model, 100, random_seed=1)["sample_stats"].attrs
    assert (told["method"], told["method_reason"]) == ("direct", "the model has independent draws")
    assert "Independent draws" in capsys.readouterr().out
    hbm.sample(model, 100, random_seed=1, progressbar=False)
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("attribute", "value", "reason"),
    [
        ("pareto_k", 0.6, "Pareto k of 0.60"),
        ("grid_error", 0.002, "0.002 nats off"),
        ("beyond_grids", 0.02, "end before 2.0 % of the posterior"),
    ],
)
def test_draws_that_fail_their_own_checks_are_left_for_nuts(
    drawn, attribute, value, reason, monkeypatch
):
    model, fit = drawn
    poor = fit.copy()
    told = fit["sample_stats"].attrs | {"pareto_k": 0.1, attribute: value}
    poor["sample_stats"].attrs = told
    chain = xr.DataTree.from_dict({"posterior": xr.Dataset(), "sample_stats": xr.Dataset()})
    monkeypatch.setattr(posterior, "direct_fit", lambda *_: poor)
    monkeypatch.setattr(posterior, "finished", lambda *_: chain)
    monkeypatch.setattr(posterior, "carry", lambda _, fit: fit)
    monkeypatch.setattr(posterior, "what_is_poor", lambda _: "")
    monkeypatch.setattr(pm, "sample", lambda *_, **__: None)
    told = hbm.sample(model, progressbar=False)["sample_stats"].attrs
    assert told["method"] == "nuts"
    assert reason in told["method_reason"]


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ({"tune": 100}, "tune given"),
        ({"target_accept": 0.9, "nuts_sampler": "pymc"}, "target_accept, nuts_sampler given"),
        ({"method": "nuts"}, "asked for"),
    ],
)
def test_nuts_is_taken_where_its_settings_are_given(given, reason):
    model = hbm.exams.nested(small(), **EXACT)
    own = {"tune": None, "target_accept": None, "nuts_sampler": None} | given
    method = own.pop("method", "auto")
    assert posterior.reason_for_nuts(model, method, own) == reason


def test_predictors_are_drawn_with_all_else(tmp_path):
    model = hbm.exams.nested(known_of(small((3, 8, 12, 30, 100, 5), (3, 2, 1))), predictors=ASKED)
    fit = hbm.sample(model, 100, random_seed=1, progressbar=False)
    told, posterior = fit["sample_stats"].attrs, fit["posterior"].to_dataset()
    assert (told["method"], told["method_reason"]) == ("direct", "the model has independent draws")
    assert list(posterior.data_vars) == [v.name for v in model.unobserved_RVs]
    assert posterior["beta"].dims == ("chain", "draw", "predictor")
    assert posterior["gamma_contrast"].dims == ("chain", "draw", "contrast")
    kinds = posterior["beta"].sel(predictor=["kind[new]", "kind[old]"])
    np.testing.assert_allclose(kinds.sum("predictor"), 0, atol=1e-12)
    contrasts = model.description.predictors.contrasts
    np.testing.assert_allclose(
        posterior["gamma"], posterior["gamma_contrast"].to_numpy() @ contrasts.T
    )
    _, loaded = hbm.load(hbm.save(model, fit, tmp_path / "fit.nc"))
    assert hbm.coefficients(loaded).equals(hbm.coefficients(fit))


def test_effects_are_around_what_predictors_say_of_their_own_level():
    still = hbm.exams.Priors(tau_school=1e-4, tau_parent=1e-4, tau_nu=1e-4)
    model = hbm.exams.nested(known_of(four()), predictors=ASKED, priors=still, **EXACT)
    fit = hbm.sample(model, 100, method="direct", random_seed=1, progressbar=False)
    draws, x = fit["posterior"], model.description.predictors.x
    authority = draws["eta"].to_numpy()[..., None] + draws["beta"].to_numpy() @ x["authority"].T
    np.testing.assert_allclose(draws["eta_authority"], authority, atol=1e-3)
    of_school = model.description.levels[1].parent
    school = authority[..., of_school] + draws["beta"].to_numpy() @ x["school"].T
    np.testing.assert_allclose(draws["eta_school"], school, atol=1e-3)
    of_all = x["school"] + x["authority"][of_school]
    log_nu = np.log(draws["nu"].to_numpy())[..., None] + draws["gamma"].to_numpy() @ of_all.T
    np.testing.assert_allclose(draws["log_nu_school"], log_nu, atol=1e-3)
    assert draws["beta"].std() > 0.01


def people():
    heights = hbm.load_dataset("heights").iloc[7:]
    return heights.assign(rich=heights["country"].isin(["1", "3"]))


def test_normal_groups_with_predictors_have_closed_forms():
    """The means are jointly Normal given tau and sigma, and so are they with all to be drawn."""
    priors = hbm.heights.Priors(mu_mean=170, mu_sd=7, beta_sd=3, tau_country=4, sigma=12)
    model = hbm.heights.partial_pooling(
        people(), predictors=["log_n_people", "rich"], priors=priors
    )
    closed, d = read_closed(model), model.description
    z = np.array([[0.3, -0.4], [-1.0, -0.4], [1.2, -0.4]])
    tau, sigma = 4 * half_normal(z[:, 0]), 12 * half_normal(-0.4)
    x, ones = d.predictors.x["country"], np.ones((4, 1))
    said = 7**2 * ones @ ones.T + 3**2 * x @ x.T
    own = [t**2 * np.eye(4) for t in tau]
    noise = np.diag(sigma**2 / d.n)
    law = [stats.multivariate_normal(np.full(4, 170), said + a + noise) for a in own]
    expected = np.array([each.logpdf(d.mean) for each in law])
    assert np.diff(closed.log_likelihood(z)) == pytest.approx(np.diff(expected), abs=1e-9)
    # All that is drawn is a linear function of standard Normals.
    n = 200_000
    drawn = closed.values(np.repeat(z[:1], n, axis=0), np.random.default_rng(1))
    found = np.column_stack([drawn["mu"], drawn["beta"], drawn["mu_country"]])
    of = np.hstack([np.vstack([np.ones(1), np.zeros((2, 1)), ones]) * 7,
                    np.vstack([np.zeros((1, 2)), np.eye(2), x]) * 3,
                    np.vstack([np.zeros((3, 4)), np.eye(4)]) * tau[0]])  # fmt: skip
    prior, seen = of @ of.T, (of @ of.T)[:, 3:]
    gain = seen @ np.linalg.inv(seen[3:] + noise)
    mean = np.array([170, 0, 0, *[170] * 4]) + gain @ (d.mean - 170)
    covariance = prior - gain @ seen.T
    sd = np.sqrt(np.diag(covariance))
    assert found.mean(axis=0) == pytest.approx(mean, abs=4.5 * sd.max() / np.sqrt(n))
    assert np.cov(found.T) / np.outer(sd, sd) == pytest.approx(
        covariance / np.outer(sd, sd), abs=4.5 * np.sqrt(2 / n)
    )


def test_other_models_are_refused():
    with pytest.raises(ValueError, match="it is no model of"):
        hbm.sample(hbm.article.heights(hbm.load_dataset("heights")), method="direct")
    model = hbm.exams.nested(small())
    with model:
        pm.Potential("more", -(model["eta"] ** 2))
    with pytest.raises(ValueError, match="something was added"):
        hbm.sample(model, method="direct")
    with pytest.raises(ValueError, match="must be 'auto', 'direct' or 'nuts'"):
        hbm.sample(model, method="exact")


def test_a_chain_does_not_tell_a_marginal_likelihood():
    fit = xr.DataTree.from_dict({"posterior": xr.Dataset({"x": (("chain", "draw"), [[1.0]])})})
    with pytest.raises(ValueError, match="does not tell"):
        hbm.log_marginal_likelihood(fit)


def test_no_draw_is_from_beyond_the_tables():
    """With this seed a proposal's long tail reached a nu of 56, where all others are below 9."""
    table = hbm.simulate.exams([6] * 8, [6, 30, 80] * 16, random_seed=5)[0]
    model = hbm.exams.nested(table)
    fit = hbm.sample(model, random_seed=1, method="direct", progressbar=False)
    assert fit["posterior"]["nu"].max() < 12
    assert hbm.loo(model, fit, "school").pareto_k.max() < 0.7
    # One point in four thousand, which would have had thirty times its weight.
    assert 0 < fit["sample_stats"].attrs["beyond_grids"] < 0.01


def test_what_no_draw_is_from_is_told(monkeypatch):
    """Tables are made for nine tenths of what log nu may be, however often they are made."""
    model = hbm.exams.nested(small(), **EXACT)
    whole = hbm.sample(model, method="direct", random_seed=1, progressbar=False)
    end, box_of = float(np.log(whole["posterior"]["nu"]).quantile(0.9)), engine.box_of

    def too_small(problem, tables, points):
        box = box_of(problem, tables, points)
        high = np.where(np.arange(len(box.high)) == problem.n_levels, end, box.high)
        return dataclasses.replace(box, high=high)

    monkeypatch.setattr(engine, "box_of", too_small)
    with pytest.warns(hbm.ConvergenceWarning, match="FAIL  beyond grids"):
        fit = hbm.sample(model, 250, method="direct", random_seed=1, progressbar=False)
    # The likelihood goes on as at the edge, where it falls.
    assert fit["sample_stats"].attrs["beyond_grids"] > 0.1
    assert np.log(fit["posterior"]["nu"]).max() <= end + 1e-9


def test_draws_of_equal_weights_count_in_full():
    """Or as many as are asked for at least would be missed by a digit of rounding."""
    table = small((5, 8, 40))
    fit = hbm.sample(hbm.exams.no_pooling(table), 100, method="direct", random_seed=1,
                     progressbar=False)  # fmt: skip
    assert fit["sample_stats"].attrs["effective_draws"] == 400
    assert hbm.diagnose(fit).ok
