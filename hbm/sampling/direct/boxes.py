"""Which θ tables are made for: guessed from the raw table, then by points with weights."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import erf, ndtri

from hbm.hierarchy.parents import between_variance, weighted_parents
from hbm.sampling.direct.importance import Weighted
from hbm.sampling.direct.problem import Problem
from hbm.sampling.direct.tables import Box, Tables
from hbm.sampling.direct.tree import place

__all__ = ["box_of", "first_box", "holds", "outside"]

Floats = NDArray[np.float64]

_FARTHEST = 9.0  # a coordinate whose prior is standard Normal
_OUTSIDE = 1e-3  # weight that may lie outside of what tables are made for
_SPREAD = 4.5  # of a group's parent around its mean, in sds, that grids are made for
_REACH = 5.6  # of the middle of a group's log nu, likewise


def first_box(problem: Problem) -> tuple[Box, Floats]:
    """Guess which θ matter, and where to start, from the raw table."""
    d, k, raw = problem.d, problem.n_levels, problem.raw
    excess = problem.excess_sd * 0.5 if problem.excess_sd else problem.known_excess
    estimate, se = raw.effect, raw.effect_se * np.sqrt(1 + excess)
    beta, beta_off = _coefficients(estimate, se, problem.x[-1], problem.beta_sd)
    shift, off = problem.x[-1] @ beta, _sds(problem.x[-1], beta_off)
    estimate = estimate - shift
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
    log_spread = raw.log_spread[known], raw.log_spread_se[known]
    gamma, gamma_off = _coefficients(*log_spread, problem.x[-1][known], problem.gamma_sd)
    nu_shift, nu_off = problem.x[-1] @ gamma, _sds(problem.x[-1], gamma_off)
    if known.any():
        one = np.zeros(known.sum(), int)
        tau_nu, at, at_se = _between(log_spread[0] - nu_shift[known], log_spread[1], one)
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
    spread = 4 * se[0] + 4 * (highs[:-1] ** 2).sum() ** 0.5 + 5 * off
    m = top + shift
    nu_at, nu_reach = middle + nu_shift, reach + 5 * nu_off
    start = np.array([*_quantile(taus / problem.scales), 0.0, _quantile(tau_nu / problem.tau_nu)])
    start[k] = (middle - problem.log_nu_mean) / problem.log_nu_sd
    if problem.excess_sd:
        start = np.append(start, 0.0)
    start = np.append(start, np.zeros(2 * problem.n_contrasts))
    box = Box(low, high, m - spread, m + spread, nu_at - nu_reach, nu_at + nu_reach)
    return box, start


def _coefficients(estimate, se, x, sd):
    """Return coefficients ~ N(0, sd) by least squares, and a matrix of their variances."""
    c = x.shape[1]
    if not c or not len(x):
        return np.zeros(c), sd**2 * np.eye(c)
    tau2 = between_variance(estimate, se, np.zeros(len(x), int), 1)
    w = 1 / (se**2 + (0.1 if np.isnan(tau2) else tau2))
    a = np.column_stack([np.ones(len(x)), x])
    # A flat prior of the constant, and those of the coefficients.
    precision = a.T @ (w[:, None] * a) + np.diag([1e-9, *np.full(c, sd**-2.0)])
    variance = np.linalg.inv(precision)
    return (variance @ (a.T @ (w * estimate)))[1:], variance[1:, 1:]


def _sds(x, variance):
    """Return the sds of what predictors add, given the variances of their coefficients."""
    return np.sqrt(np.einsum("gi,ij,gj->g", x, variance, x))


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


def box_of(problem: Problem, tables: Tables, points: Weighted) -> Box:
    """Return the box of all θ that matter, by weighted points."""
    w = np.exp(points.log_weight)
    low, middle, high = (_weighted_quantile(points.z, w, p) for p in (0.01, 0.5, 0.99))
    # Of a Normal: 5.6 sds.
    typical = middle - 1.2 * (middle - low)  # the narrowest of all but a few
    low, high = middle - 2.4 * (middle - low) - 0.05, middle + 2.4 * (high - middle) + 0.05
    low, high = np.maximum(low, -_FARTHEST), np.minimum(high, _FARTHEST)
    lowest, highest = problem.shared(np.stack([low, high]))
    k = problem.n_levels
    [of_typical] = problem.shared(typical[None])
    lowest[:k], lowest[k + 1] = of_typical[:k], of_typical[k + 1]
    m_low, m_high = _parents(problem, tables, points, _SPREAD)
    nu = _middles(problem, points, lowest[k], highest[k], _REACH)
    return Box(lowest, highest, m_low, m_high, *nu)


def _middles(problem: Problem, points: Weighted, low: float, high: float, reach: float) -> Any:
    """Return between where and where the middles of the groups' log nu lie.

    That is between two numbers, where they are all the same, else so many sds around their means.
    """
    k, c, w = problem.n_levels, problem.n_contrasts, np.exp(points.log_weight)
    x = np.column_stack([np.ones(len(problem.x[-1])), problem.x[-1]])
    if not c:
        return np.full(len(x), low), np.full(len(x), high)
    thetas = problem.thetas(points.z)
    moving = np.column_stack([thetas[:, k], thetas[:, k + 3 + c :]])
    mean = w @ moving / w.sum()
    away = moving - mean
    around = reach * _sds(x, away.T @ (away * w[:, None]) / w.sum())
    return x @ mean - around, x @ mean + around


def _weighted_quantile(x, w, p):
    order = np.argsort(x, axis=0)
    below = np.cumsum(w[order], axis=0)
    rows = [np.interp(p, below[:, j], x[order[:, j], j]) for j in range(x.shape[1])]
    return np.array(rows)


def _parents(problem: Problem, tables: Tables, points: Weighted, spread: float) -> Any:
    """Return between where and where the groups' parents lie, for the points that matter.

    Without predictors that is as far as any of a hundred points says. What predictors add may vary
    far more than parents do for a point, so that its most in a hundred would be a matter of luck:
    it counts by its sd.
    """
    w = np.exp(points.log_weight)
    some = np.random.default_rng(1).choice(len(w), 100, p=w / w.sum())
    parent = problem.tree[2]
    thetas = tables.box.nearest(problem.thetas(points.z[np.unique(some)]))
    plain = np.ascontiguousarray(thetas[:, : problem.n_levels + 3])
    shifts, middles = problem.moved(thetas)
    start, step, mean, sd = np.empty((4, len(problem.tree[0]), len(thetas)))
    place(plain, shifts, middles, problem.tree, tables.sites, 1.0, 2, start, step, mean, sd)
    if not problem.n_contrasts:
        low, high = (mean - spread * sd).min(axis=1), (mean + spread * sd).max(axis=1)
        return low[parent], high[parent]
    at, widest = mean[parent] + shifts.T, sd.max(axis=1)[parent]
    around = spread * np.sqrt(widest**2 + at.var(axis=1))
    return at.mean(axis=1) - around, at.mean(axis=1) + around


def outside(problem: Problem, box: Box, z: Floats) -> NDArray[np.bool_]:
    """Say which points a box does not hold."""
    thetas = problem.shared(z)
    return (np.abs(thetas - box.nearest(thetas)) > 1e-9).any(axis=1)


def holds(problem: Problem, tables: Tables, points: Weighted) -> bool:
    """Say whether the box of tables holds all θ that matter, and the groups' parents."""
    box, out = tables.box, outside(problem, tables.box, points.z)
    low, high = _parents(problem, tables, points, _SPREAD - 1)
    beyond = (low < box.m_low) | (high > box.m_high)
    if problem.n_contrasts:
        low, high = _middles(problem, points, 0.0, 0.0, _REACH - 1)
        beyond |= (low < box.nu_low) | (high > box.nu_high)
    return np.exp(points.log_weight[out]).sum() < _OUTSIDE and not beyond.any()
