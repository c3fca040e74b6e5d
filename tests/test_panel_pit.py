"""PITs of a panel: last years left out against draws of all that is not known, and uniformity."""

import functools

import numpy as np
import pandas as pd
import pytest
from fakes import fake_fit
from scipy import stats
from scipy.special import expit, logit, logsumexp
from test_chain_evidence import gaussian

import hbm
from hbm.checks import pit as pit_module
from hbm.checks.panel_pit import last_years_below
from hbm.hierarchy.chain_evidence import chain_evidence
from hbm.hierarchy.fitted import read_panel
from hbm.students.beta import BETA

YEARS = (2015, 2016, 2018, 2019)
TRUTH = {"mu": 0.65, "tau_year": 0.1, "tau_authority": 0.25, "tau_school": 0.35,
         "persistence": 0.9, "nu": 6.0, "tau_nu": 0.3, "design_effect": 1.6}  # fmt: skip
# Gaps, a school of one year, one alone in its authority, and one whose last year is not the last.
SIZES = np.array([[9, 12, 0, 14], [40, 38, 45, 50], [0, 0, 0, 7], [3, 1, 2, 4],
                  [300, 0, 0, 250], [25, 30, 28, 0]])  # fmt: skip

# Of a hundred draws or so a k is rough.
pytestmark = pytest.mark.filterwarnings("ignore:.*Pareto k above")


def tight(table, effect_year, n_draws, rng, levels=("authority",), truth=TRUTH):
    """Return a panel's model, and a fit whose population is the true one, but for a trace."""
    model = hbm.exams.panel(table, levels=levels)
    draws = {name: value * rng.normal(1, 1e-4, n_draws)
             for name, value in truth.items() if name in model.named_vars}  # fmt: skip
    draws["eta"] = logit(TRUTH["mu"]) + rng.normal(0, 1e-4, n_draws)
    draws["effect_year"] = effect_year + rng.normal(0, 1e-4, (n_draws, len(effect_year)))
    # What integrals do not hang on.
    draws |= {rv.name: 0.5 for rv in model.free_RVs if rv.name not in draws}
    return model, fake_fit(model, draws | {"mu_school": TRUTH["mu"], "nu_school": TRUTH["nu"]})


@functools.cache
def small(levels=("authority",)):
    table = hbm.simulate.exam_panel([3, 2, 1], SIZES, years=YEARS, **TRUTH, random_seed=2)[0]
    return tight(table, np.array([0.05, -0.1, 0.1, 0.0]), 400, np.random.default_rng(1), levels)


def of_spreads(log_f):
    """Average exp(log_f), whose last axis is log nu, over its population: logs."""
    return logsumexp(log_f + LOG_NU_WEIGHTS, axis=-1)


ENOUGH = 0.005  # of a PIT, as hbm.loo_pit says
Z = np.linspace(-6, 6, 61)
LOG_NU = np.log(TRUTH["nu"]) + TRUTH["tau_nu"] * Z
LOG_NU_WEIGHTS = stats.norm.logpdf(Z) - logsumexp(stats.norm.logpdf(Z))
EXCESS = TRUTH["design_effect"] - 1
D = np.linspace(-7, 7, 281) * TRUTH["tau_school"]


def filtered(f, cells, around, to):
    """Return the log density of what was seen of cells and of a year's deviation, on a grid."""
    tau, shift = TRUTH["tau_school"], f.draws("effect_year").mean(axis=0)
    forward, before = None, None
    for cell, at in [*((cell, f.d.cells.year[cell]) for cell in cells), (None, to)]:
        if before is None:
            forward = stats.norm.logpdf(D, 0, tau) + np.log(D[1] - D[0])
        else:
            rho = TRUTH["persistence"] ** (YEARS[at] - before)
            sd = tau * np.sqrt(1 - rho**2)
            step = stats.norm.logpdf(D, rho * D[:, None], sd) + np.log(D[1] - D[0])
            forward = logsumexp(forward[:, None] + step, axis=0)
        before = YEARS[at]
        if cell is not None:
            eta = (around + shift[at] + D)[:, None]
            forward = forward + of_spreads(f.evidence(cell).log_lik(eta, LOG_NU, EXCESS))
    return forward


@functools.cache
def seen_on_grids(levels, group, head, unit):
    """Return the log density of what stays of a school and of its last deviation; and of all."""
    f = read_panel(small(levels)[1])
    order = np.argsort(f.d.cells.year, kind="stable")
    *before, last = order[f.d.cells.group[order] == group]
    at = f.d.cells.year[last]
    kept = filtered(f, before if unit == "last_year" else [], head, at)
    eta = (head + f.draws("effect_year").mean(axis=0)[at] + D)[:, None]
    of_last = of_spreads(f.evidence(last).log_lik(eta, LOG_NU, EXCESS))
    return kept, logsumexp(filtered(f, before, head, at) + of_last)


def on_grids(f, levels, group, unit):
    """Return the PITs of mean and sd of a school's last year, summed over dense grids."""
    d = f.d
    cell = d.last_cells[group]
    n, mean, sd = d.n[cell], d.mean[cell], d.sd[cell]
    siblings = np.flatnonzero(d.levels[-1].parent == d.levels[-1].parent[group]) if levels else []
    z = Z if levels else np.zeros(1)
    heads = logit(TRUTH["mu"]) + TRUTH["tau_authority"] * z
    own = [seen_on_grids(levels, group, head, unit)[0] for head in heads]
    others = [sum(seen_on_grids(levels, s, head, unit)[1] for s in siblings if s != group)
              for head in heads]  # fmt: skip
    log_share = stats.norm.logpdf(z)[:, None] + np.array(own) + np.array(others)[:, None]
    share = np.exp(log_share - logsumexp(log_share))
    shift = f.draws("effect_year").mean(axis=0)[d.cells.year[cell]]
    given = n, expit(heads[:, None, None] + shift + D[:, None]), np.exp(LOG_NU), EXCESS
    below = (share * (BETA.mean_cdf(mean, *given) @ np.exp(LOG_NU_WEIGHTS))).sum()
    with_mean = log_share[..., None] + BETA.mean_logp(mean, *given) + LOG_NU_WEIGHTS
    with_mean = np.exp(with_mean - logsumexp(with_mean))
    return below, (with_mean * BETA.sd_cdf(sd, mean, *given)).sum()


@pytest.mark.parametrize("unit", ["last_year", "school"])
@pytest.mark.parametrize("levels", [("authority",), ()], ids=["nested", "plain"])
def test_pits_are_those_of_dense_grids(unit, levels):
    model, fit = small(levels)
    found = hbm.loo_pit(model, fit, unit).table.set_index(unit)
    f = read_panel(fit, model)
    for group, label in enumerate(f.d.unit_labels(unit)):
        below, sd_below = on_grids(f, levels, group, unit)
        assert found.loc[label, "pit"] == pytest.approx(below, abs=ENOUGH), label
        assert found.loc[label, "pit_sd"] == pytest.approx(sd_below, abs=ENOUGH, nan_ok=True), label
        assert found.loc[label, "observed"] == f.d.mean[f.d.last_cells[group]]


def by_brute_force(d, year, group, design_effect):
    """Return the PIT of a last mean, over all effects of a school's years at once.

    The Beta of a mean is SciPy's: of n students it has the variance mu (1 - mu) / (N + 1).
    """
    cells = np.flatnonzero(d.cells.group == group)
    cells = cells[np.argsort(d.cells.year[cells])]
    at = d.cells.year[cells]
    lag = np.abs(np.subtract.outer(np.array(YEARS)[at], np.array(YEARS)[at]))
    chain = stats.multivariate_normal(
        np.zeros(len(at)), TRUTH["tau_school"] ** 2 * TRUTH["persistence"] ** lag
    )
    coarse, w = D[::4], np.exp(LOG_NU_WEIGHTS)
    grids = np.meshgrid(*[coarse] * len(at), indexing="ij")
    density = chain.pdf(np.stack(grids, axis=-1))
    for i, cell in enumerate(cells):
        mu = expit(logit(TRUTH["mu"]) + year[at[i]] + coarse)[:, None]
        n, mean, nu = d.n[cell], d.mean[cell], np.exp(LOG_NU)
        if i == len(cells) - 1:
            size = (n * (nu + 1) - 1) / design_effect
            values = stats.beta.cdf(mean, mu * size, (1 - mu) * size) @ w
        else:
            seen = BETA.summary_logp(mean, d.sd[cell], n, mu, nu, design_effect - 1)
            shape = [-1 if axis == i else 1 for axis in range(len(cells))]
            density = density * (np.exp(seen - seen.max()) @ w).reshape(shape)
    return (density * values).sum() / density.sum()


def test_means_of_clustered_students_spread_as_they_are_predicted_to():
    """Where what students share counts for much: a PIT that forgets it is far off."""
    truth = TRUTH | {"design_effect": 6.0}
    sizes = np.array([[150, 80, 0, 120], [0, 30, 40, 0]])
    table = hbm.simulate.exam_panel([1, 1], sizes, years=YEARS, **truth, random_seed=10)[0]
    year, rng = np.array([0.05, -0.1, 0.1, 0.0]), np.random.default_rng(1)
    model, fit = tight(table, year, 60, rng, (), truth)
    found = hbm.loo_pit(model, fit, "last_year").table["pit"]
    d = read_panel(fit, model).d
    for group in range(2):
        assert found[group] == pytest.approx(by_brute_force(d, year, group, 6.0), abs=ENOUGH)
        assert abs(found[group] - by_brute_force(d, year, group, 1.0)) > 10 * ENOUGH


def test_the_effect_of_a_last_year_has_a_closed_form_with_normal_errors():
    years, y, se = np.array([0, 1, 4]), np.array([0.9, 0.2, 5.0]), np.array([0.1, 0.05, 0.02])
    rho, tau, around = np.array([0.9, 0.5, 0.99]), np.array([0.3, 0.5, 0.2]), np.full(3, 0.4)
    shift = np.tile([0.1, -0.1, 0.3], (3, 1))
    seen = chain_evidence(
        [gaussian(*x) for x in zip(y, se, strict=True)],
        np.diff(years, prepend=0),
        around,
        shift,
        tau,
        rho,
        (np.zeros(3), np.ones(3), np.zeros(3)),
    )
    points = around[:, None] + [[-0.1, 0.2]]
    effect, share = seen.effect_of_last(points, tau, np.arange(3.0), np.full((3, 2), 0.3))
    mean = (effect * share).sum(axis=2)
    sd = np.sqrt((share * (effect - mean[..., None]) ** 2).sum(axis=2))
    for i in range(3):
        chain = tau[i] ** 2 * rho[i] ** np.abs(np.subtract.outer(years, years))
        gain = chain[2, :2] @ np.linalg.inv(chain[:2, :2] + np.diag(se[:2] ** 2))
        expected = points[i] + shift[i, 2]
        expected = expected + (y[:2] - points[i][:, None] - shift[i, :2]) @ gain
        np.testing.assert_allclose(mean[i], expected, atol=1e-4)
        np.testing.assert_allclose(sd[i], np.sqrt(chain[2, 2] - gain @ chain[:2, 2]), rtol=1e-3)


def test_report_names_what_was_left_out():
    model, fit = small()
    for unit in ("last_year", "school"):
        pit = hbm.loo_pit(model, fit, unit)
        assert pit.table[unit].tolist() == model.description.unit_labels(unit).tolist()
        hbm.plot_pit(pit)
    assert "last year" in str(hbm.loo_pit(model, fit, "last_year"))
    with pytest.raises(ValueError, match="'authority' has no PIT here; unit must be one of: 'sch"):
        hbm.loo_pit(model, fit, "authority")


# Right predictions.

MANY = [3] * 6 + [2] * 5 + [1] * 12


@pytest.mark.parametrize("unit", ["last_year", "school"])
def test_pits_of_right_predictions_are_uniform(unit):
    """One school's at a time is independent of the next set's; of all, by sets."""
    rng = np.random.default_rng(4)
    found = []
    for _ in range(10):
        year = rng.normal(0, TRUTH["tau_year"], len(YEARS))
        table = simulated(rng, year)
        model, fit = tight(table, year, 26, rng)
        f = read_panel(fit, model)
        weights = np.ones((f.n_draws, len(f.d.levels[-1].labels)))
        pit, pit_sd = last_years_below(f, weights, unit)
        found.append([pit.mean(), (np.abs(pit - 0.5) > 0.445).mean(), np.nanmean(pit_sd),
                      (np.abs(pit_sd - 0.5) > 0.445)[~np.isnan(pit_sd)].mean()])  # fmt: skip
    found = np.array(found)
    error = found.std(axis=0, ddof=1) / np.sqrt(len(found))
    t = (found.mean(axis=0) - [0.5, 0.11, 0.5, 0.11]) / error
    # Of four t tests one fails once in a thousand.
    assert np.abs(t).max() < stats.t.isf(1e-3 / 8, len(found) - 1), t


def simulated(rng, year):
    """Simulate a panel with known effects of years."""
    usual = np.exp(rng.normal(3.2, 1.0, (sum(MANY), 1)))
    sizes = rng.poisson(usual, (sum(MANY), len(YEARS))) + 1
    sizes[rng.random(sizes.shape) < 0.15] = 0
    sizes[np.arange(len(YEARS)), np.arange(len(YEARS))] = 30  # no year is without results
    sizes[sizes.sum(axis=1) == 0, 0] = 5
    authority = np.repeat(np.arange(len(MANY)), MANY)
    eta = logit(TRUTH["mu"]) + TRUTH["tau_authority"] * rng.standard_normal(len(MANY))[authority]
    lag = np.abs(np.subtract.outer(YEARS, YEARS))
    root = np.linalg.cholesky(TRUTH["tau_school"] ** 2 * TRUTH["persistence"] ** lag)
    mu = expit(eta[:, None] + year + rng.standard_normal(sizes.shape) @ root.T)
    nu = TRUTH["nu"] * np.exp(TRUTH["tau_nu"] * rng.standard_normal(sizes.shape))
    rows = []
    for i, t in np.argwhere(sizes > 0):
        n, m, v = sizes[i, t], mu[i, t], nu[i, t]
        size = n * (v + 1) / (TRUTH["design_effect"] - 1)
        own = rng.beta(m * size, (1 - m) * size)
        marks = rng.beta(own * v, (1 - own) * v, n)
        rows.append((f"s{i}", f"a{authority[i]}", YEARS[t], n, marks.mean(),
                     marks.std(ddof=1) if n > 1 else np.nan))  # fmt: skip
    return pd.DataFrame(rows, columns=["school", "authority", "year", "n_students", "mean", "sd"])


# How left-out values hang together.


@pytest.mark.parametrize("learned", [False, True])
def test_values_left_out_together_hang_together_as_their_regressions_say(learned):
    rng = np.random.default_rng(5)
    group = np.repeat(np.arange(6), [3, 1, 4, 2, 3, 2])
    n, last = len(group), np.flatnonzero(np.append(np.diff(group), 1))
    covariance = np.diag(rng.uniform(0.2, 1, n)) + 0.5 * (group[:, None] == group)
    covariance += 0.4 * ((group % 2)[:, None] == group % 2)
    rows = []
    for i in last:
        others = group != group[i]
        given = covariance[np.ix_(others, others)]
        gain = np.linalg.solve(given, covariance[others, i])
        row = np.eye(n)[i]
        row[others] -= gain
        if learned:  # the mean of all, by generalised least squares of the others
            of_mean = np.linalg.solve(given, np.ones(others.sum()))
            row[others] -= (1 - gain.sum()) * of_mean / of_mean.sum()
        rows.append(row)
    own = np.array(rows) @ covariance @ np.array(rows).T
    sd = np.sqrt(np.diag(own))
    expected = 6 / np.pi * np.arcsin(own / np.outer(sd, sd) / 2)
    found = pit_module._left_out(covariance, learned, group, last)
    np.testing.assert_allclose(found, expected, atol=1e-8)
