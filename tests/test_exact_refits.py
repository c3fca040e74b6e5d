"""Leaving out by importance sampling against leaving out in earnest, unit by unit.

The exact value of a unit is the log of its density under a fit without it, averaged over that fit's
draws. New effects are simulated there, not integrated, so that the two ways share no quadrature.
All fits go through `hbm.sample_each`, in this process, and are of independent draws.
"""

import functools
from concurrent.futures import ThreadPoolExecutor

import arviz_stats as azs
import numpy as np
import pytest
from fakes import fake_fit
from models import model_function, table_for
from scipy.special import expit
from scipy.stats import norm

import hbm
from hbm import loo
from hbm.checks.units import log_likelihoods
from hbm.hierarchy.fitted import read_all, read_fit
from hbm.hierarchy.marginal import marginal
from hbm.hierarchy.nodes import node_of
from hbm.students.law import Evidence
from hbm.students.likelihoods import beta_students_logp, beta_summary_logp

DRAWS = 4000
SIMULATED = 100  # new effects a draw
NEW_ZONES = 5  # a draw: with each of them go new authorities

# A hundred units in all: the largest of as many standard Normals exceeds this once in a hundred.
SIGMAS = 3.9

WHOLE = "nothing left out"


def fits_without(build, table, unit):
    """Return the model and fit of a table, and those without each unit, by its label."""
    labels = table[unit].astype(str)
    tables = {x: table[labels != x].reset_index(drop=True) for x in labels.unique()}
    with ThreadPoolExecutor(1) as one_by_one:
        each = hbm.sample_each(
            build,
            {WHOLE: table} | tables,
            draws=DRAWS,
            random_seed=1,
            executor=one_by_one,
            progressbar=False,
        )
    assert not each.errors
    return each.fits


def log_mean_exp(x, axis=-1):
    top = x.max(axis=axis, keepdims=True)
    return np.log(np.exp(x - top).mean(axis=axis)) + np.squeeze(top, axis)


def with_error(log_density, shape):
    """Return the log of a mean of densities, and its Monte Carlo standard error."""
    density = np.exp(log_density - log_density.max()).reshape(shape)
    ess = float(azs.ess(density, method="mean"))
    error = density.std() / density.mean() / np.sqrt(ess)
    return log_mean_exp(log_density.ravel()), error


def students_of(table, unit, label):
    rows = table[table[unit].astype(str) == label]
    return [scores.to_numpy() for _, scores in rows.groupby("school", sort=False)["score"]]


def density_of_school(data, eta, nu, excess=0.0):
    """Log density of a school's data, given draws of its effects."""
    if isinstance(data, np.ndarray):
        sums = np.log(data).sum(), np.log1p(-data).sum()
        return beta_students_logp(len(data), *sums, expit(eta), nu)
    return beta_summary_logp(data.mean, data.sd, data.n_students, expit(eta), nu, excess)


def new_school(data, given, around, rng):
    """Log density of a school's data under each draw, its effects simulated."""
    tau, log_nu, tau_nu, excess = (x[:, None] for x in spread_of(given))
    shape = (given.n_draws, SIMULATED)
    eta = around[:, None] + tau * rng.standard_normal(shape)
    nu = np.exp(log_nu + tau_nu * rng.standard_normal(shape))
    return log_mean_exp(density_of_school(data, eta, nu, excess))


def spread_of(given):
    return given.tau(given.d.group), *given.within


def simulated_parent(given, rng):
    tau = given.tau(given.d.above(given.d.group))
    return given.grand_mean + tau * rng.standard_normal(given.n_draws)


def compare_by_unit(name, table, unit, density, **options):
    """Return z of each unit's difference, and the elpds: by importance sampling and exactly."""
    build = functools.partial(model_function(name), **options)
    fits = fits_without(build, table, unit)
    model, fit = fits.pop(WHOLE)
    found = loo(model, fit, unit, refit=build, table=table, random_seed=2)
    seen = read_all(fit, model)
    log_liks = log_likelihoods(seen, unit)
    rng = np.random.default_rng(3)
    exact, errors = [], []
    for position, label in enumerate(found.elpd_i[unit].to_numpy()):
        without, fit_without = fits[label]
        given = read_all(fit_without, without)
        elpd, error = with_error(density(given, label, rng), (4, DRAWS))
        # The standard error of importance sampling, as in Vehtari, Gelman and Gabry (2017).
        log_lik = log_liks[:, position]
        weights = np.exp(found.log_weights.sel({unit: label}).to_numpy().ravel())
        if np.isnan(weights).any():  # refitted
            own_error = error
        else:
            ratio = np.exp(log_lik - float(found.elpd_i[position])) - 1
            # As if draws were independent, and then as they hang together in their chains.
            terms = (weights * ratio).reshape(4, DRAWS)
            ess = float(azs.ess(terms, method="mean"))
            own_error = np.sqrt((terms**2).sum() * terms.size / ess)
        exact.append(elpd)
        errors.append(np.hypot(error, own_error))
    exact, errors = np.array(exact), np.array(errors)
    found = found.elpd_i.to_numpy()
    z = (found - exact) / errors
    print(f"{name}, {unit}: z {z.round(1)}, errors {errors.round(3)}")
    print(f"sum {found.sum():.2f}, exactly {exact.sum():.2f} ± {np.sqrt((errors**2).sum()):.2f}")
    return z, found, exact, np.sqrt((errors**2).sum()), seen


def conditional_elpd(seen):
    """Return what leaving out rows gives if a school's own effects are taken as known."""
    mu, nu = seen.draws("mu_school"), seen.draws("nu_school")
    logp = []
    for position in range(len(seen.d.n)):
        evidence = seen.evidence(position)
        eta = np.log(mu[:, position] / (1 - mu[:, position]))
        logp.append(evidence.log_lik(eta, np.log(nu[:, position]), seen.excess))
    posterior = seen.fit["posterior"].to_dataset()
    shape = (posterior.sizes["chain"], posterior.sizes["draw"])
    values = np.stack([x.reshape(shape) for x in logp], axis=-1)
    tree = seen.fit.copy()
    tree["log_likelihood"] = posterior["mu_school"].copy(data=values).rename("row").to_dataset()
    return azs.loo(tree, pointwise=True)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::hbm.ConvergenceWarning")
def test_countries():
    table = table_for("heights")

    def density(given, label, rng):
        y = table.loc[table["country"].astype(str) == label, "height"].to_numpy()
        mu, tau, sigma = (given.draws(x)[:, None] for x in ("mu", "tau_country", "sigma"))
        new = mu + tau * rng.standard_normal((given.n_draws, SIMULATED))
        total = -len(y) * np.log(sigma) - 0.5 * len(y) * np.log(2 * np.pi)
        squares = ((y - y.mean()) ** 2).sum() + len(y) * (new - y.mean()) ** 2
        return log_mean_exp(total - squares / (2 * sigma**2))

    z, *_ = compare_by_unit("heights.partial_pooling", table, "country", density)
    assert np.abs(z).max() < SIGMAS


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::hbm.ConvergenceWarning")
@pytest.mark.filterwarnings("ignore:Estimated shape parameter of Pareto")
def test_schools_of_the_article():
    table = hbm.load_dataset("scores")

    def density(given, label, rng):
        (students,) = students_of(table, "school", label)
        return new_school(students, given, given.grand_mean, rng)

    z, _, exact, error, seen = compare_by_unit("scores.partial_pooling", table, "school", density)
    assert np.abs(z).max() < SIGMAS
    assert abs(conditional_elpd(seen).elpd - exact.sum()) > 10 * error


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::hbm.ConvergenceWarning")
def test_districts():
    table = table_for("nested_scores")
    original = read_evidence("scores.nested", table)

    def density(given, label, rng):
        around = simulated_parent(given, rng)
        return sum(marginal(e, around, *spread_of(given)) for e in original["district", label])

    z, *_ = compare_by_unit("scores.nested", table, "district", density)
    assert np.abs(z).max() < SIGMAS


def read_evidence(name, table):
    """Return the evidence of each school, by the label of its parent."""
    model = model_function(name)(table)
    names = [v.name for v in model.free_RVs + model.deterministics]
    fitted = read_fit(fake_fit(model, dict.fromkeys(names, np.ones(1))))
    parents = fitted.d.levels[-2]
    of = {(parents.name, label): [] for label in parents.labels}
    for school, parent in enumerate(fitted.d.parent_of("school")):
        of[parents.name, parents.labels[parent]].append(fitted.evidence(school))
    return of


def thirty_schools():
    rng = np.random.default_rng(11)
    per_authority = [1, 1, 1, 2, 2, 3, 3, 4, 6, 7]
    sizes = np.exp(rng.uniform(np.log(4), np.log(150), 30)).astype(int)
    return hbm.simulate.exams(per_authority, sizes, random_seed=12)[0]


@pytest.mark.calibration
@pytest.mark.filterwarnings("ignore::hbm.ConvergenceWarning")
@pytest.mark.filterwarnings("ignore:Estimated shape parameter of Pareto")
def test_thirty_schools():
    table = thirty_schools()
    rows = {row.school: row for row in table.itertuples()}

    def density(given, label, rng):
        row = rows[label]
        known = given.d.positions["authority"].get(row.authority)
        effect = given.effect("authority")
        around = simulated_parent(given, rng) if known is None else effect[:, known]
        return new_school(row, given, around, rng)

    z, _, exact, error, seen = compare_by_unit("exams.nested", table, "school", density)
    assert np.abs(z).max() < SIGMAS
    # The sum of the rows' own densities is another question's answer, and told as such by k.
    conditional = conditional_elpd(seen)
    assert conditional.elpd - exact.sum() > 10 * error
    assert (conditional.pareto_k > 0.7).sum() > 10


@pytest.mark.calibration
@pytest.mark.filterwarnings("ignore::hbm.ConvergenceWarning")
def test_ten_authorities():
    table = thirty_schools()
    original = read_evidence("exams.nested", table)

    def density(given, label, rng):
        around = simulated_parent(given, rng)
        return sum(marginal(e, around, *spread_of(given)) for e in original["authority", label])

    z, *_ = compare_by_unit("exams.nested", table, "authority", density)
    assert np.abs(z).max() < SIGMAS


def zones_left_out(table):
    """Return z of each zone of a table of schools in authorities in zones."""
    levels = ("authority", "zone")
    model = hbm.exams.nested(table, levels=levels)
    names = [v.name for v in model.free_RVs + model.deterministics]
    original = read_fit(fake_fit(model, dict.fromkeys(names, np.ones(1))))

    def density(given, label, rng):
        def new(around, level):
            return around + each(given.tau(level)) * rng.standard_normal(around.shape)

        def each(draws):
            return np.repeat(draws, NEW_ZONES)

        zone, total = new(each(given.grand_mean), "zone"), 0.0
        spread = [each(x) for x in spread_of(given)]
        for schools in node_of(original, "zone", original.d.positions["zone"][label]):
            authority = new(zone, "authority")
            total = total + sum(marginal(seen, authority, *spread) for seen in schools)
        return log_mean_exp(total.reshape(given.n_draws, NEW_ZONES))

    z, *_ = compare_by_unit("exams.nested", table, "zone", density, levels=levels)
    return z


@pytest.mark.calibration
@pytest.mark.filterwarnings("ignore::hbm.ConvergenceWarning")
@pytest.mark.filterwarnings("ignore:Estimated shape parameter of Pareto")
def test_three_zones():
    sizes = [8, 40, 15, 25, 60, 12, 30]
    table, *_ = hbm.simulate.exams([2, 1, 2, 1, 1], sizes, zones=[2, 2, 1], random_seed=5)
    assert np.abs(zones_left_out(table)).max() < SIGMAS


@pytest.mark.calibration
@pytest.mark.filterwarnings("ignore::hbm.ConvergenceWarning")
@pytest.mark.filterwarnings("ignore:Estimated shape parameter of Pareto")
def test_five_zones():
    rng = np.random.default_rng(13)
    per_authority = [2, 3, 2] * 5
    sizes = np.exp(rng.uniform(np.log(4), np.log(150), sum(per_authority))).astype(int)
    table, *_ = hbm.simulate.exams(per_authority, sizes, zones=[3] * 5, random_seed=14)
    assert np.abs(zones_left_out(table)).max() < SIGMAS


def test_standard_error_of_a_log_mean():
    rng = np.random.default_rng(1)
    estimates = [with_error(rng.normal(0, 0.5, 4000), (4, 1000)) for _ in range(200)]
    values, errors = np.array(estimates).T
    assert abs(values.mean() - 0.125) < 4.5 * errors.mean() / np.sqrt(200)
    assert 0.8 < errors.mean() / values.std() < 1.25


def test_simulated_effects_average_to_the_integral():
    table = hbm.load_dataset("scores")
    (students,) = students_of(table, "school", "1")
    rng = np.random.default_rng(2)
    n = 200_000
    eta, nu = rng.normal(1.0, 0.4, n), np.exp(rng.normal(2.5, 0.3, n))
    simulated, error = with_error(density_of_school(students, eta, nu), (4, n // 4))
    sums = np.log(students).sum(), np.log1p(-students).sum()
    seen = Evidence(
        lambda eta, x, _: beta_students_logp(len(students), *sums, expit(eta), np.exp(x)),
        1.2,
        0.1,
        2.5,
    )
    one = np.ones(1)
    exact = marginal(seen, one, 0.4 * one, 2.5 * one, 0.3 * one)[0]
    assert abs(simulated - exact) < SIGMAS * error
    assert norm.isf(0.005 / 100) == pytest.approx(SIGMAS, abs=0.02)
