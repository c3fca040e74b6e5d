"""The direct route from a problem to draws: tables, proposal, weights, effects, checks.

Given a few numbers at the top, the hierarchy is a tree that can be integrated and drawn from as
exactly as grids are fine. So these few numbers alone are drawn by importance sampling, and all else
given them. That goes back to Everson and Morris (2000, tlnise) for Normal groups, to Röver (2020,
bayesmeta) for meta-analyses and to Northrop (bang) for conjugate groups; here a group has two
effects, there may be many levels, and what is seen may be the mean and sd of bounded scores.

References
----------
.. [1] Everson and Morris (2000). Inference for multivariate Normal hierarchical models. Journal of
   the Royal Statistical Society B 62(2).
.. [2] Röver (2020). Bayesian random-effects meta-analysis using the bayesmeta R package. Journal of
   Statistical Software 93(6).
.. [3] Northrop (2017). bang: Bayesian analysis, no Gibbs. R package.
.. [4] Berild, Martino, Gómez-Rubio and Rue (2022). Importance sampling with the integrated nested
   Laplace approximation. Journal of Computational and Graphical Statistics 31(4).
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import erf, ndtri

from hbm.hierarchy.parameterisation import between_variance, weighted_parents
from hbm.sampling.diagnostics import GRID_ERROR
from hbm.sampling.direct.closed import Closed
from hbm.sampling.direct.evaluate import draw_effects, log_densities, log_likelihoods
from hbm.sampling.direct.importance import Weighted, adapt, find_mode, strengthen
from hbm.sampling.direct.problem import Problem
from hbm.sampling.direct.tables import DEPTH, SPACING, Box, Tables, refined, tabulate
from hbm.sampling.direct.tree import place

__all__ = ["Draws", "draw_closed", "draw_directly", "grid_error", "resample"]

Floats = NDArray[np.float64]

_BUILDS = 4
_FINER = [(SPACING, DEPTH), (0.7 * SPACING, DEPTH + 8), (0.5 * SPACING, DEPTH + 12)]
_MOST_POINTS = 6  # for each draw
_FEWEST_POINTS = 800
_LIGHT = 0.4  # k-hat of the weights of draws
_FARTHEST = 9.0  # a coordinate whose prior is standard Normal
_OUTSIDE = 1e-4  # weight that may lie outside of what tables are made for
_SPREAD = 4.5  # of a group's parent around its mean, in sds, that grids are made for


@dataclass(frozen=True, eq=False)
class Draws:
    """Draws of a problem.

    Attributes
    ----------
    thetas : numpy.ndarray, shape (n, n_levels + 3)
        What all groups share.
    effects, log_nu : numpy.ndarray
        From :func:`hbm.sampling.direct.evaluate.draw_effects`.
    weighted : Weighted
        The points that draws were taken from.
    chosen : numpy.ndarray of int, shape (n,)
        Which of these each draw was.
    grid_error : float
        In nats.
    evaluations : int
        Of the log density.
    """

    thetas: Floats
    effects: Floats
    log_nu: Floats
    weighted: Weighted
    chosen: NDArray[np.int64]
    grid_error: float
    evaluations: int


def draw_directly(
    problem: Problem,
    n: int,
    rng: np.random.Generator,
    threads: int = 1,
    say: Callable[[str], None] = lambda what: None,
) -> Draws:
    """Draw n times from a problem's posterior, and say what is being done."""
    if problem.fixed:
        return _without_top(problem, n, rng, threads)
    evaluations = 0
    for spacing, depth in _FINER:
        say("likelihoods of all groups, and a proposal")
        tables, proposal, efficiency, done = _adapted(problem, rng, threads, spacing, depth)
        z = proposal.draw(_n_points(n, efficiency), rng)

        def density(z, tables=tables):
            return log_densities(problem, tables, z, threads)

        say(f"weights of {len(z):,} points")
        _, weighted = strengthen(density, proposal, z, density(z), _LIGHT, rng)
        z = weighted.z
        evaluations += done + len(z)
        chosen = resample(weighted.log_weight, n, rng)
        say("error of the grids")
        error = grid_error(problem, tables, problem.thetas(z[chosen[: _n_checked(problem)]]))
        if error <= GRID_ERROR:
            break
    say(f"{n:,} draws of {len(problem.d.n):,} groups")
    thetas = tables.box.nearest(problem.thetas(z))
    effects, log_nu = draw_effects(problem, tables, thetas, chosen, rng, threads)
    return Draws(problem.thetas(z[chosen]), effects, log_nu, weighted, chosen, error, evaluations)


def _n_points(n: int, efficiency: float) -> int:
    """Return how many points to take n draws from: more, where many will count for little.

    A few hundred draws are as good as any others, too.
    """
    return max(int(n * np.clip(0.7 / efficiency, 1, _MOST_POINTS)), _FEWEST_POINTS)


def _adapted(problem, rng, threads, spacing, depth):
    """Return tables that hold all θ that matter, a proposal for these, and evaluations made."""
    box, start = _first_box(problem)
    large = len(problem.d.n) > 100
    tables = tabulate(
        problem, box, max(spacing, 0.9) if large else spacing, 16.0, 4 if large else None
    )
    evaluations = 0
    for build in range(_BUILDS):

        def density(z, tables=tables):
            return log_densities(problem, tables, z, threads)

        start, covariance, done = find_mode(density, start)
        proposal, points = adapt(density, start, covariance, rng)
        evaluations += done + len(points.z)
        if build > 0 and _holds(problem, tables, points):
            break
        box = _box_of(problem, tables, points)
        tables = tabulate(problem, box, spacing, depth)
    return tables, proposal, points.efficiency, evaluations


def _first_box(problem: Problem) -> tuple[Box, Floats]:
    """Guess which θ matter, and where to start, from the raw table."""
    d, k = problem.d, problem.n_levels
    raw = d.law.raw_estimates(d.n, d.mean, d.sd, np.exp(problem.log_nu_mean))
    excess = problem.excess_sd * 0.5 if problem.excess_sd else problem.known_excess
    estimate, se = raw.effect, raw.effect_se * np.sqrt(1 + excess)
    taus, highs = np.empty(k), np.empty(k)
    for i in range(k - 1, -1, -1):
        level = d.levels[i]
        parent = np.zeros(len(level.labels), int) if i == 0 else level.parent
        noise = np.median(se)
        tau, estimate, se = _between(estimate, se, parent)
        taus[i] = np.clip(tau, 0.1 * problem.scales[i], 3 * problem.scales[i])
        highs[i] = _at_most(tau, noise, len(parent) - parent.max() - 1, problem.scales[i])
    known = np.isfinite(raw.log_spread_se)
    tau_nu, middle, middle_se = 0.5 * problem.tau_nu, problem.log_nu_mean, problem.log_nu_sd
    nu_high = 3.5 * problem.tau_nu
    if known.any():
        one = np.zeros(known.sum(), int)
        tau_nu, at, at_se = _between(raw.log_spread[known], raw.log_spread_se[known], one)
        middle, middle_se = at[0], min(at_se[0] * 1.5, problem.log_nu_sd)
        noise = np.median(raw.log_spread_se[known])
        nu_high = _at_most(tau_nu, noise, known.sum() - 1, problem.tau_nu)
    tau_nu = np.clip(tau_nu, 0.1 * problem.tau_nu, 3 * problem.tau_nu)
    reach = 5 * middle_se + 0.3
    top_excess = problem.known_excess + 3.2 * problem.excess_sd
    low = np.array([*(0.3 * taus), middle - reach, 0.3 * tau_nu, problem.known_excess])
    high = np.array([*highs, middle + reach, nu_high, top_excess])
    top = (estimate[0] / se[0] ** 2 + problem.top_mean / problem.top_sd**2) / (
        1 / se[0] ** 2 + 1 / problem.top_sd**2
    )
    spread = 4 * se[0] + 4 * (highs[:-1] ** 2).sum() ** 0.5
    m = np.full(len(d.n), top)
    start = np.array([*_quantile(taus / problem.scales), 0.0, _quantile(tau_nu / problem.tau_nu)])
    start[k] = (middle - problem.log_nu_mean) / problem.log_nu_sd
    if problem.excess_sd:
        start = np.append(start, 0.0)
    return Box(low, high, m - spread, m + spread), start


def _at_most(tau, noise, degrees, scale):
    """Return what an sd that was estimated by moments hardly is above."""
    variance = tau**2 + 4 * np.sqrt(2 / max(degrees, 1)) * (tau**2 + noise**2)
    return min(np.sqrt(variance) + 0.15 * scale, 3.5 * scale + tau)


def _between(estimate, se, parent):
    """Return an sd between the members of parents by moments, and estimates of the parents."""
    n_parents = parent.max() + 1
    tau2 = between_variance(estimate, se, parent, n_parents)
    tau = 0.3 if np.isnan(tau2) else np.sqrt(tau2)
    return tau, *weighted_parents(estimate, se, tau**2, parent, n_parents)


def _quantile(s):
    """Return z of standard half-normal numbers."""
    return np.clip(ndtri(np.clip(erf(s / np.sqrt(2)), 1e-6, 1 - 1e-6)), -3, 3)


def _box_of(problem: Problem, tables: Tables, points: Weighted) -> Box:
    """Return the box of all θ that matter, by weighted points."""
    w = np.exp(points.log_weight)
    low, middle, high = (_weighted_quantile(points.z, w, p) for p in (0.01, 0.5, 0.99))
    # Of a Normal: 5.6 sds.
    typical = middle - 1.2 * (middle - low)  # the narrowest of all but a few
    low, high = middle - 2.4 * (middle - low) - 0.05, middle + 2.4 * (high - middle) + 0.05
    low, high = np.maximum(low, -_FARTHEST), np.minimum(high, _FARTHEST)
    lowest, highest = problem.thetas(np.stack([low, high]))
    k = problem.n_levels
    of_typical = problem.thetas(typical[None])[0]
    lowest[:k], lowest[k + 1] = of_typical[:k], of_typical[k + 1]
    m_low, m_high = _parents(problem, tables, points, _SPREAD)
    return Box(lowest, highest, m_low, m_high)


def _weighted_quantile(x, w, p):
    order = np.argsort(x, axis=0)
    below = np.cumsum(w[order], axis=0)
    rows = [np.interp(p, below[:, j], x[order[:, j], j]) for j in range(x.shape[1])]
    return np.array(rows)


def _parents(problem: Problem, tables: Tables, points: Weighted, spread: float) -> Any:
    """Return between where and where the groups' parents lie, for the points that matter."""
    w = np.exp(points.log_weight)
    some = np.random.default_rng(1).choice(len(w), 100, p=w / w.sum())
    parent = problem.tree[2]
    start, step, mean, sd = np.empty((4, len(problem.tree[0])))
    low, high = np.full(len(parent), np.inf), np.full(len(parent), -np.inf)
    for theta in tables.box.nearest(problem.thetas(points.z[np.unique(some)])):
        place(theta, problem.tree, tables.sites, 1.0, 2, start, step, mean, sd)
        low = np.minimum(low, (mean - spread * sd)[parent])
        high = np.maximum(high, (mean + spread * sd)[parent])
    return low, high


def _holds(problem: Problem, tables: Tables, points: Weighted) -> bool:
    """Say whether the box of tables holds all θ that matter, and the groups' parents."""
    box, thetas = tables.box, problem.thetas(points.z)
    out = (np.abs(thetas - box.nearest(thetas)) > 1e-9).any(axis=1)
    low, high = _parents(problem, tables, points, _SPREAD - 1)
    beyond = (low < box.m_low) | (high > box.m_high)
    return np.exp(points.log_weight[out]).sum() < _OUTSIDE and not beyond.any()


def resample(log_weight: Floats, n: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Return n positions, each as often as its weight says, rounded up or down; in any order."""
    below = np.cumsum(np.exp(log_weight))
    at = (np.arange(n) + rng.random()) / n * below[-1]
    chosen = np.searchsorted(below, at).clip(0, len(below) - 1)
    return rng.permutation(chosen)


def grid_error(problem: Problem, tables: Tables, thetas: Floats) -> float:
    """Return by how many nats the log density is off, at the worst of a few θ.

    Grids of half the spacing, a fifth wider, with a table for each θ's own excess, are taken for
    the truth.
    """
    worst = 0.0
    for excess in np.unique(thetas[:, -1]):
        some = thetas[thetas[:, -1] == excess]
        truth = log_likelihoods(problem, refined(problem, tables, excess), some)
        worst = max(worst, np.abs(log_likelihoods(problem, tables, some) - truth).max())
    return float(worst)


def _n_checked(problem: Problem) -> int:
    """Return at how many θ to look, so that looking takes a fraction of the time.

    It is tables that take time, one for each excess.
    """
    return int(np.clip(800 // len(problem.d.n), 2, 4)) if problem.excess_sd else 12


def draw_closed(closed: Closed, n: int, rng: np.random.Generator) -> tuple[Floats, Draws]:
    """Draw n times what the effects of a model hang on, which have closed forms given it.

    Returns
    -------
    z : numpy.ndarray, shape (n, n_top)
    draws : Draws
        Without any effects.
    """
    mode, covariance, done = find_mode(closed.log_density, np.zeros(closed.n_top))
    proposal, points = adapt(closed.log_density, mode, covariance, rng)
    z = proposal.draw(_n_points(n, points.efficiency), rng)
    _, weighted = strengthen(closed.log_density, proposal, z, closed.log_density(z), _LIGHT, rng)
    chosen = resample(weighted.log_weight, n, rng)
    none = np.empty((n, 0))
    evaluations = done + len(points.z) + len(weighted.z)
    return weighted.z[chosen], Draws(none, none, none, weighted, chosen, 0.0, evaluations)


def _without_top(problem, n, rng, threads):
    """Draw where nothing is shared: the groups are independent, and every draw is exact."""
    theta = problem.thetas(np.empty((1, 0)))
    at = np.full(len(problem.d.n), problem.top_mean)
    box = Box(theta[0], theta[0], at, at)
    for spacing, depth in _FINER:
        tables = tabulate(problem, box, spacing, depth)
        error = grid_error(problem, tables, theta)
        if error <= GRID_ERROR:
            break
    effects, log_nu = draw_effects(problem, tables, theta, np.zeros(n, int), rng, threads)
    density = float(log_likelihoods(problem, tables, theta)[0])
    even = np.full(n, -np.log(n))
    weighted = Weighted(np.empty((n, 0)), np.full(n, density), even, -np.inf, density, 0.0)
    thetas = np.repeat(theta, n, axis=0)
    return Draws(thetas, effects, log_nu, weighted, np.arange(n), error, 1)
