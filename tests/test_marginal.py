"""Marginal likelihoods against brute force: sums over grids dense and wide enough for anything."""

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.special import expit, logsumexp
from scipy.stats import multivariate_normal, norm

from hbm.hierarchy.marginal import marginal, marginal_family
from hbm.students.beta import BETA
from hbm.students.law import Evidence
from hbm.students.likelihoods import (
    beta_summary_logp,
    normal_students_logp,
    normal_summary_logp,
)
from hbm.students.normal import NORMAL

NATS = 1e-4
LOG_2PI = np.log(2 * np.pi)

# m, tau, log nu, tau_nu: as in the real table, nearly pooled, unpooled, and lopsided ones.
DRAWS = np.array(
    [
        [0.6, 0.35, 1.8, 0.3],
        [0.3, 0.40, 1.6, 0.4],
        [0.7, 0.05, 1.8, 0.05],
        [1.1, 1.50, 2.3, 1.0],
        [0.5, 0.50, 1.9, 0.01],
        [0.5, 0.01, 1.9, 0.5],
    ]
)


def summary(n, mean, sd):
    return BETA.evidence(mean, sd, n)


def students(n, mean, sd, seed=1):
    rng = np.random.default_rng(seed)
    nu = mean * (1 - mean) / sd**2 - 1
    y = np.clip(rng.beta(mean * nu, (1 - mean) * nu, n), 1e-6, 1 - 1e-6)
    return BETA.evidence(y.mean(), y.std(ddof=1) if n > 1 else np.nan, n, y)


def zoomed(f, low, high, points):
    """Return grids, one a row of f, over where f is within 45 nats of its maximum, and f there."""
    for _ in range(30):
        x = np.linspace(low, high, points, axis=-1)
        y = f(x)
        above = y > y.max(axis=-1, keepdims=True) - 45
        first, last = above.argmax(axis=-1), points - 1 - above[..., ::-1].argmax(axis=-1)
        if ((last - first) > points / 4).all():
            break
        step = (high - low) / (points - 1)
        low, high = low + step * (first - 2), low + step * (last + 2)
    return x, y


def brute_force(seen, m, tau, log_nu, tau_nu):
    """Sum over a dense grid of log nu, and for each of its points over one of eta, laid to fit."""
    aim = log_nu if np.isnan(seen.log_spread) else seen.log_spread

    def over_eta(x):
        shape = x.shape
        x = x.ravel()

        def integrand(eta):
            return seen.log_lik(eta, x[:, None]) - ((eta - m) / tau) ** 2 / 2

        low, high = min(m - 15 * tau, seen.effect - 3), max(m + 15 * tau, seen.effect + 3)
        eta, f = zoomed(integrand, np.full(len(x), low), np.full(len(x), high), 101)
        g = logsumexp(f, axis=1) + np.log(eta[:, 1] - eta[:, 0])
        return (g - ((x - log_nu) / tau_nu) ** 2 / 2).reshape(shape)

    low, high = min(log_nu - 15 * tau_nu, aim - 3), max(log_nu + 15 * tau_nu, aim + 3)
    x, f = zoomed(over_eta, low, high, 801)
    return logsumexp(f) + np.log((x[1] - x[0]) / (tau * tau_nu)) - LOG_2PI


def assert_as_brute_force(seen):
    found = marginal(seen, *DRAWS.T)
    # No draw of a posterior is as far as this from the best that can be said of a school.
    likely = found > found.max() - 150
    assert likely.sum() >= 3
    expected = [brute_force(seen, *draw) for draw in DRAWS[likely]]
    np.testing.assert_allclose(found[likely], expected, rtol=0, atol=NATS)


@pytest.mark.parametrize("n", [2, 3, 10, 60, 500])
@pytest.mark.parametrize(
    ("mean", "sd"),
    [(0.65, 0.19), (0.93, 0.06), (0.10, 0.12), (0.97, 0.02), (0.60, 0.07)],
    ids=["ordinary", "high", "low", "very high", "alike"],
)
def test_mean_and_sd(n, mean, sd):
    assert_as_brute_force(summary(n, mean, sd))


@pytest.mark.parametrize("n", [1, 2, 20, 500])
@pytest.mark.parametrize(("mean", "sd"), [(0.65, 0.19), (0.93, 0.06)])
def test_students(n, mean, sd):
    assert_as_brute_force(students(n, mean, sd))


@pytest.mark.parametrize("n", [1, 30, 500])
def test_mean_alone(n):
    assert_as_brute_force(BETA.evidence(0.65, np.nan, n))


def test_each_draw_is_as_if_alone():
    rng = np.random.default_rng(4)
    n = 60
    draws = np.stack(
        [
            rng.normal(0.6, 0.4, n),
            np.exp(rng.uniform(-9, 1, n)),
            rng.normal(1.8, 0.3, n),
            np.exp(rng.uniform(-9, 0.5, n)),
        ]
    )
    seen = summary(25, 0.7, 0.15)
    alone = [marginal(seen, *draw[:, None])[0] for draw in draws.T]
    np.testing.assert_allclose(marginal(seen, *draws), alone, rtol=0, atol=2 * NATS)


def test_without_spread_nothing_is_integrated():
    seen = summary(25, 0.7, 0.15)
    m, log_nu, zero = np.array([0.5, 0.9]), np.array([1.5, 2.0]), np.zeros(2)
    expected = seen.log_lik(m, log_nu)
    np.testing.assert_array_equal(marginal(seen, m, zero, log_nu, zero), expected)
    nearly = marginal(seen, m, zero, log_nu, zero + 1e-6)
    np.testing.assert_allclose(nearly, expected, atol=NATS)


def test_no_average_is_above_what_it_averages():
    # Draws of a fit of few schools, whose taus go from nearly 0 to far out.
    rng = np.random.default_rng(5)
    n = 2000
    draws = (
        rng.normal(0.6, 0.5, n),
        np.exp(rng.uniform(-8, 1, n)),
        rng.normal(1.7, 0.3, n),
        np.exp(rng.uniform(-8, 0.5, n)),
    )
    tau_parent = np.exp(rng.uniform(-8, 1, n))
    seen = summary(60, 0.62, 0.2)
    best = seen.log_lik(np.linspace(-1, 2, 400)[:, None], np.linspace(-1, 5, 400)).max()
    assert marginal(seen, *draws).max() <= best + NATS
    assert (
        marginal_family([seen], draws[0], [tau_parent, draws[1]], *draws[2:]).max() <= best + NATS
    )


def brute_force_parent(seen, m, tau_parent, tau, log_nu, tau_nu):
    """Sum dense grids of log nu, of a school's eta and of its authority's, from the inside out."""
    ends = [m - 12 * tau_parent, m + 12 * tau_parent, *(s.effect for s in seen)]
    parent = np.linspace(min(ends) - 12 * tau, max(ends) + 12 * tau, 1501)
    x = np.linspace(log_nu - 12 * tau_nu, log_nu + 12 * tau_nu, 201)
    step = parent[1] - parent[0]
    total = norm.logpdf(parent, m, tau_parent)
    for one in seen:
        f = one.log_lik(parent[:, None], x) + norm.logpdf(x, log_nu, tau_nu)
        g = logsumexp(f, axis=1) + np.log(x[1] - x[0])
        # Points of the school's own eta within 12 tau of each point of its authority's.
        reach = int(12 * tau / step)
        away = np.arange(-reach, reach + 1)
        index = np.arange(len(parent))[:, None] + away
        inside = (index >= 0) & (index < len(parent))
        g = np.where(inside, g[np.clip(index, 0, len(parent) - 1)], -np.inf)
        total = total + logsumexp(g + norm.logpdf(away * step, 0, tau), axis=1) + np.log(step)
    return logsumexp(total) + np.log(step)


@pytest.mark.parametrize(
    "schools",
    [
        [(6, 0.65, 0.19)],
        [(2, 0.7, 0.1), (3, 0.6, 0.2)],
        [(30, 0.65, 0.19), (12, 0.5, 0.2), (40, 0.93, 0.04)],
        [(n, 0.55 + n / 1000, 0.19) for n in (5, 9, 14, 22, 30, 41, 60, 90, 120, 200)],
    ],
    ids=["one", "two", "one apart", "ten"],
)
def test_schools_of_an_authority_jointly(schools):
    seen = [summary(*school) for school in schools]
    draws = np.array(
        [[0.5, 0.3, 0.4, 1.8, 0.3], [0.3, 0.4, 0.05, 1.7, 0.2], [0.6, 0.05, 0.5, 1.9, 0.4]]
    )
    expected = [brute_force_parent(seen, *draw) for draw in draws]
    m, tau_parent, tau, *spread = draws.T
    found = marginal_family(seen, m, [tau_parent, tau], *spread)
    np.testing.assert_allclose(found, expected, rtol=0, atol=NATS)


def test_an_authority_without_spread_is_its_schools():
    seen = [summary(6, 0.65, 0.19), summary(40, 0.5, 0.2)]
    m, zero, one = np.array([0.4, 0.6]), np.zeros(2), np.ones(2)
    rest = (0.3 * one, 1.8 * one, 0.3 * one)
    alone = sum(marginal(s, m, *rest) for s in seen)
    np.testing.assert_allclose(
        marginal_family(seen, m, [zero, rest[0]], *rest[1:]), alone, atol=NATS
    )


def test_what_does_not_differ_between_draws_is_computed_once():
    one = np.ones(1)
    assert marginal(summary(6, 0.65, 0.19), one, one, one, one).shape == (1,)


@pytest.mark.parametrize("n", [1, 4])
def test_people_are_jointly_normal(n):
    y = np.array([171.0, 182.0, 178.5, 169.0])[:n]
    m, tau, sigma = np.array([175.0, 180.0]), np.array([4.0, 0.0]), np.array([6.0, 8.0])
    sd = y.std(ddof=1) if n > 1 else np.nan
    found = marginal(NORMAL.evidence(y.mean(), sd, n, y), m, tau, np.log(sigma), 0 * m)
    expected = [
        multivariate_normal(np.full(n, a), b**2 + c**2 * np.eye(n)).logpdf(y)
        for a, b, c in zip(m, tau, sigma, strict=True)
    ]
    np.testing.assert_allclose(found, expected, rtol=1e-12)


@pytest.mark.parametrize(
    ("summarised", "density"), [(False, normal_students_logp), (True, normal_summary_logp)]
)
def test_normal_group_against_quadrature(summarised, density):
    n, mean, sd, m, tau, sigma = 7, 178.0, 5.0, 175.0, 4.0, 6.0

    def integrand(mu):
        data = (n, mean, sd) if density is normal_students_logp else (mean, sd, n)
        return np.exp(density(*data, mu, sigma) + norm.logpdf(mu, m, tau))

    expected = np.log(quad(integrand, 150, 200, points=[mean], epsabs=0, epsrel=1e-10)[0])
    one = np.ones(1)
    seen = NORMAL.evidence(mean, sd, n, None if summarised else np.zeros(n))
    found = marginal(seen, m * one, tau * one, np.log(sigma) * one, 0 * one)
    np.testing.assert_allclose(found, expected, rtol=1e-9)


def test_gaussian_evidence_has_a_closed_form():
    # Conjugate in eta, and free of log nu: the two averages each have their exact answer.
    seen = Evidence(lambda eta, x, _: norm.logpdf(0.9, eta, 0.2) + 0.3 * x, 0.9, 0.2, np.nan)
    m, tau, log_nu, tau_nu = np.array([[0.5, 0.4, 1.5, 0.3], [1.5, 1e-3, 1.0, 2.0]]).T
    expected = norm.logpdf(0.9, m, np.hypot(0.2, tau)) + 0.3 * log_nu + (0.3 * tau_nu) ** 2 / 2
    np.testing.assert_allclose(marginal(seen, m, tau, log_nu, tau_nu), expected, atol=1e-6)


def test_evidence_is_on_the_scale_of_effects():
    seen = summary(12, 0.7, 0.15)
    expected = beta_summary_logp(0.7, 0.15, 12, expit(0.4), np.exp(1.2))
    np.testing.assert_allclose(seen.log_lik(0.4, 1.2), expected, rtol=1e-12)
