"""Averages of one group's likelihood over its own two effects, for many draws at a time.

A group has two effects, its effect ~ N(m, tau) and the log of its spread ~ N(log spread, tau of
that), and its marginal likelihood is a double integral for every posterior draw of these four. What
was seen, and with it the likelihood, is the same for all draws, so it is computed once on a grid,
and each draw only lays its own two Normal densities over it. Where draws differ in the excess of
their design effect, it is computed at a few values of that, and interpolated between them:

* The sum over grid points times their spacing is the trapezoidal rule, whose error falls
  exponentially in the number of points for a smooth function that vanishes at both ends [1]_. For
  the spread and all draws at a time it is a product of two matrices.
* Where a draw's tau is narrower than the spacing, the draw takes points of its own, one tau apart,
  with the log likelihood interpolated between the grid's.

The grid is made finer and wider until the integrals of the most extreme draws stay the same. Where
a law has a closed form (:class:`hbm.students.law.Evidence`), that is taken.

References
----------
.. [1] Trefethen and Weideman (2014). The exponentially convergent trapezoidal rule. SIAM Review
   56(3).
"""

from collections.abc import Iterator
from functools import cache

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from hbm.students.law import Evidence

__all__ = [
    "average_over_effect",
    "given_locations",
    "log_sum_exp",
    "marginal",
    "same_length",
    "table_of_effects",
]

Floats = NDArray[np.float64]

_TOLERANCE = 1e-5  # largest change, in nats, at which a grid is fine and wide enough
_DEPTH = 35.0  # how far below its maximum, in nats, an integrand is followed
_STEPS = np.arange(-20.0, 21.0)  # a draw's own points, in units of its tau
_LOG_STEP_WEIGHTS = -(_STEPS**2) / 2 - np.log(2 * np.pi) / 2
_TAPS = np.arange(6)  # grid points that an interpolation goes by
_FARTHEST = 21.0  # |effect| and |log spread| beyond which likelihoods no longer change
_MOST_POINTS = 700  # of a grid a side; a likelihood with a kink would never be fine enough
# Draws whose integral is this far, 690 nats, from the best there could be: no posterior has any.
_SMALLEST = 1e-300
_NODES = 2.5  # of the excess, for each factor e of the design effect
_BLOCK = 100_000  # numbers worked on at a time: they stay in the processor's cache


def marginal(
    evidence: Evidence,
    m: Floats,
    tau: Floats,
    log_nu: Floats,
    tau_nu: Floats,
    excess: Floats | float = 0.0,
) -> Floats:
    """Return the log density of what was seen of a group, whatever its effects.

    Parameters
    ----------
    evidence : Evidence
        What was seen.
    m, tau, log_nu, tau_nu : numpy.ndarray, shape (n_draws,) or (1,)
        Draws of the means and standard deviations of the group's effect and log spread.
    excess : numpy.ndarray, shape (n_draws,) or (1,), default 0
        Draws of the design effect less 1.

    Returns
    -------
    numpy.ndarray, shape (n_draws,) or (1,)
        One number a draw, or one if nothing varies between draws.

    Examples
    --------
    >>> import numpy as np
    >>> seen = Evidence(lambda eta, x, s: -2 * (eta - 1) ** 2 + 0 * (x + s), 1.0, 0.5, np.nan)
    >>> one = np.array([1.0])
    >>> np.exp(marginal(seen, 0 * one, one, one, one)).round(5)  # exp(-2 / 5) / √5
    array([0.29978])
    """
    draws = same_length(m, tau, log_nu, tau_nu, excess)
    m, tau, log_nu, tau_nu, excess = draws
    if evidence.exact is not None:
        return evidence.exact(m, tau, log_nu, excess)
    if not (tau.any() or tau_nu.any()):
        return evidence.log_lik(m, log_nu, excess)
    return _on_fine_grids(evidence, _first_grids(evidence, *draws), draws)[-1]


def given_locations(evidence, points, tau, log_nu, tau_nu, excess=0.0) -> Floats:
    """Return a group's marginal log likelihood at points of m: shape (n_draws, n_points)."""
    excess = np.broadcast_to(excess, tau.shape)
    if evidence.exact is not None:
        return evidence.exact(points, tau[:, None], log_nu[:, None], excess[:, None])
    middle = points[:, points.shape[1] // 2]
    ends = np.concatenate([points.min(axis=1), points.max(axis=1)])
    twice = (np.tile(draws, 2) for draws in (tau, log_nu, tau_nu, excess))
    grids = _first_grids(evidence, ends, *twice)
    # Grids fine enough for the points in the middle, where the weight is.
    grid, table, _ = _on_fine_grids(evidence, grids, (middle, tau, log_nu, tau_nu, excess))
    return _over_effect(table, grid, points, tau)


def table_of_effects(evidence, m, tau, log_nu, tau_nu, excess) -> tuple[float, float, Floats]:
    """Tabulate a group's log likelihood by its effect, with its log spread integrated.

    The grid holds all that effects ~ N(m, tau) can be, given what was seen.

    Returns
    -------
    start, step : float
        Of the grid.
    table : numpy.ndarray, shape (n_draws, n_points)
    """
    draws = same_length(m, tau, log_nu, tau_nu, excess)
    grid, table, _ = _on_fine_grids(evidence, _first_grids(evidence, *draws), draws)
    low, high, points = grid
    return low, (high - low) / (points - 1), table


def same_length(*draws: Floats | float) -> list[Floats]:
    """Return arrays broadcast to one length, and copied."""
    return [np.array(d, dtype=float) for d in np.broadcast_arrays(*draws)]


def log_sum_exp(x: Floats) -> Floats:
    """Return log Σ exp over the last axis, without what SciPy's does beside it."""
    top = x.max(axis=-1, keepdims=True)
    return np.log(np.exp(x - top).sum(axis=-1)) + top[..., 0]


# The integral on a given grid. A grid is (lowest, highest, number of points).


def _integral(log_lik, eta_grid, nu_grid, m, tau, *within) -> Floats:
    return _over_effect(_by_effect(log_lik, eta_grid, nu_grid, *within), eta_grid, m, tau)


def _over_effect(table, grid, m, tau) -> Floats:
    """Average exp(table), shape (n_draws, n_eta), over the effect: logs, shaped like m."""
    low, high, points = grid
    step, result = (high - low) / (points - 1), np.empty(m.shape)
    for block in _blocks(len(m), points * max(1, m[0].size)):
        result[block] = average_over_effect(table[block], low, step, m[block], tau[block])
    return result


def _by_effect(log_lik, eta_grid, nu_grid, log_nu, tau_nu, excess) -> Floats:
    """Return the log likelihood by effect, with the log spread integrated: (n_draws, n_eta)."""
    nodes, weights = _nodes(excess)
    tables = np.concatenate([log_lik(eta_grid, nu_grid, node) for node in nodes])
    x, result = np.linspace(*nu_grid), np.empty((len(log_nu), eta_grid[2]))
    for block in _blocks(*result.shape):
        at_nodes = _average_over_log_nu(tables, x, log_nu[block], tau_nu[block])
        at_nodes = at_nodes.reshape(len(at_nodes), len(nodes), -1)
        result[block] = (weights[block, None] @ at_nodes)[:, 0]
    return result


def _tabulated(evidence):
    """Return a function that tabulates the log likelihood on two grids, for one excess, once."""

    @cache
    def log_lik(eta_grid, nu_grid, excess):
        return evidence.log_lik(np.linspace(*eta_grid)[:, None], np.linspace(*nu_grid), excess)

    return log_lik


def _nodes(excess) -> tuple[Floats, Floats]:
    """Return values of the excess to tabulate at, and each draw's weights: (n_draws, n_nodes).

    They are Chebyshev's points of log(1 + excess), on whose scale log likelihoods bend alike, with
    Lagrange's weights in their barycentric form.
    """
    low, high = np.log1p(excess.min()), np.log1p(excess.max())
    n = int(np.ceil(2 + _NODES * (high - low)))
    values, position = np.unique(excess, return_inverse=True)
    if len(values) <= n:
        return values, np.eye(len(values))[position]
    angle = (np.arange(n) + 0.5) * np.pi / n
    at = (low + high) / 2 + (high - low) / 2 * np.cos(angle)
    away = np.log1p(excess)[:, None] - at
    away[away == 0] = 1e-300
    weights = (-1.0) ** np.arange(n) * np.sin(angle) / away
    return np.expm1(at), weights / weights.sum(axis=1, keepdims=True)


def _blocks(n: int, numbers_each: int) -> Iterator[slice]:
    step = max(1, _BLOCK // numbers_each)
    for start in range(0, n, step):
        yield slice(start, min(start + step, n))


def _average_over_log_nu(table, x, log_nu, tau_nu) -> Floats:
    """Average exp(table), shape (n_eta, n_x), over x ~ N(log_nu, tau_nu): (n_draws, n_eta) logs."""
    h = x[1] - x[0]
    result = np.empty((len(log_nu), len(table)))
    wide = tau_nu >= h
    if wide.any():
        top = table.max(axis=1)
        prior = np.exp(-(((x - log_nu[wide, None]) / tau_nu[wide, None]) ** 2) / 2)
        total = prior @ np.exp(table - top[:, None]).T
        result[wide] = (
            np.log(np.maximum(total, _SMALLEST))
            + top
            + np.log(h / tau_nu[wide, None] / np.sqrt(2 * np.pi))
        )
    narrow = np.flatnonzero(~wide)
    rows = np.ascontiguousarray(table.T)
    for block in _blocks(len(narrow), len(_STEPS) * len(table)):
        draws = narrow[block]
        points = log_nu[draws, None] + tau_nu[draws, None] * _STEPS
        index, weights = _interpolation((points.ravel() - x[0]) / h, len(x))
        interpolate = sparse.csr_array(
            (weights.ravel(), index.ravel(), np.arange(0, index.size + 1, len(_TAPS))),
            shape=(points.size, len(x)),
        )
        log_lik = _tamed(interpolate @ rows, rows[index[:, 2]], rows[index[:, 3]])
        log_lik = log_lik.reshape(*points.shape, -1).transpose(0, 2, 1)
        result[draws] = log_sum_exp(log_lik + _LOG_STEP_WEIGHTS)
    return result


def average_over_effect(log_lik, start, step, m, tau) -> Floats:
    """Average exp(log_lik), shape (n_draws, n_points), over an effect ~ N(m, tau).

    The points are `step` apart from `start`, each a number or one a draw. Logs, shaped like m.
    """
    n_draws, n_points = log_lik.shape
    start, step = (np.broadcast_to(x, n_draws)[:, None] for x in (start, step))
    result = np.empty(m.shape)
    at = (m.reshape(n_draws, -1) - start) / step  # in steps, as all that follows
    tau = tau / step[:, 0]
    wide = tau >= 1
    if wide.any():
        top = log_lik[wide].max(axis=1)
        prior = np.arange(n_points) - at[wide, :, None]
        prior *= prior
        prior *= (-0.5 / tau[wide] ** 2)[:, None, None]
        np.exp(prior, out=prior)
        total = prior @ np.exp(log_lik[wide] - top[:, None])[:, :, None]
        total = np.log(np.maximum(total[..., 0], _SMALLEST)) + top[:, None]
        total -= np.log(tau[wide, None] * np.sqrt(2 * np.pi))
        result[wide] = total.reshape(result[wide].shape)
    narrow = np.flatnonzero(~wide)
    for block in _blocks(len(narrow), at.shape[1] * len(_STEPS) * len(_TAPS)):
        draws = narrow[block]
        own = at[draws, :, None] + tau[draws, None, None] * _STEPS
        index, weights = _interpolation(own, n_points)
        taps = log_lik[draws[:, None, None, None], index]
        values = _tamed((taps * weights).sum(axis=-1), taps[..., 2], taps[..., 3])
        result[draws] = log_sum_exp(values + _LOG_STEP_WEIGHTS).reshape(result[draws].shape)
    return result


def _tamed(values, left, right) -> Floats:
    """Keep interpolated values near the grid points around them, also where a polynomial swings."""
    return np.clip(values, np.minimum(left, right) - 1, np.maximum(left, right) + 1)


def _interpolation(position, n_points) -> tuple[NDArray[np.int64], Floats]:
    """Return the six grid points around positions and Lagrange's weights: shape (..., 6)."""
    position = np.clip(position, 0, n_points - 1)
    first = np.clip(position.astype(int) - 2, 0, n_points - len(_TAPS))
    away = (position - first)[..., None] - _TAPS
    weights = np.ones_like(away)
    for i in _TAPS:
        for j in _TAPS[i != _TAPS]:
            weights[..., i] *= away[..., j] / (i - j)
    return first[..., None] + _TAPS, weights


# The grid.


def _first_grids(evidence, m, tau, log_nu, tau_nu, excess):
    """Find where the integrands of all draws lie, and a spacing of about one sd of the narrowest.

    Each effect is looked at for five values of the other, between the draws' and the estimate.
    """

    def log_lik(eta, x):
        return np.maximum(*(evidence.log_lik(eta, x, s) for s in (excess.min(), excess.max())))

    log_nu_seen = np.median(log_nu) if np.isnan(evidence.log_spread) else evidence.log_spread
    eta = np.linspace(*_hull(m, evidence.effect), 5)[:, None]
    nu_rows = _support(
        lambda x: log_lik(eta, x) + _envelope(x, log_nu, tau_nu),
        *_hull(log_nu - 9 * tau_nu.max(), log_nu + 9 * tau_nu.max(), log_nu_seen),
    )
    x = np.linspace(*_hull(log_nu, nu_rows[1]), 5)[:, None]
    eta_rows = _support(
        lambda eta: log_lik(eta, x) + _envelope(eta, m, tau),
        *_hull(m - 9 * tau.max(), m + 9 * tau.max(), evidence.effect),
    )
    return _first_grid(*eta_rows, m, tau), _first_grid(*nu_rows, log_nu, tau_nu)


def _first_grid(lowest, _, highest, mean, tau):
    width = (highest - lowest).min() / np.sqrt(8 * _DEPTH)  # the sd, were they Normal
    reach = 6 * np.minimum(tau, width)
    low, high = np.clip(_hull(lowest, highest, mean - reach, mean + reach), -_FARTHEST, _FARTHEST)
    points = (high - low) / width
    # With points closer than most draws' tau, few draws need points of their own.
    points = max(points, min((high - low) / max(np.quantile(tau, 0.01), 1e-9), 150))
    return low, high, int(np.clip(points + 1, 12, _MOST_POINTS))


def _hull(*values) -> tuple[float, float]:
    return min(np.min(v) for v in values), max(np.max(v) for v in values)


def _envelope(x, mean, tau) -> Floats:
    """Return a log density as wide as any draw's, flat between their means."""
    outside = np.maximum(np.maximum(mean.min() - x, x - mean.max()), 0)
    return -((outside / max(tau.max(), 0.01)) ** 2) / 2


def _support(log_f, low, high, points=33) -> tuple[Floats, Floats, Floats]:
    """Return where each of five rows of log_f is near its maximum, as (low, at most, high)."""
    margin = 0.05 * (high - low) + 0.1
    low, high = np.full(5, low - margin), np.full(5, high + margin)
    for _ in range(12):
        x = np.linspace(low, high, points, axis=-1)
        y = log_f(x)
        above = y >= y.max(axis=1, keepdims=True) - _DEPTH
        first = above.argmax(axis=1)
        last = points - 1 - above[:, ::-1].argmax(axis=1)
        step = (high - low) / (points - 1)
        # One point more on either side, or half the range where it goes on beyond.
        low, high = (
            low + step * np.where(first == 0, -points / 2, first - 1),
            low + step * np.where(last == points - 1, 1.5 * points, last + 1),
        )
        if ((last - first > points / 3) & (first > 0) & (last < points - 1)).all():
            break
    return low, x[np.arange(5), y.argmax(axis=1)], high


def _finer(grid):
    low, high, points = grid
    margin = 0.1 * (high - low)
    return max(low - margin, -_FARTHEST), min(high + margin, _FARTHEST), int(2.4 * points)


def _on_fine_grids(evidence, grids, draws):
    """Make grids fine and wide enough for all draws.

    Returns that of the effect, the log likelihood on it with the log spread integrated, (n_draws,
    n_eta), and the integrals of both.
    """
    log_lik, (m, tau, *within) = _tabulated(evidence), draws
    extreme = [f(values) for values in draws for f in (np.argmin, np.argmax)]
    while True:
        grids = _refine(log_lik, *grids, *_at_ends(extreme, draws))
        table = _by_effect(log_lik, *grids, *within)
        integrals = _over_effect(table, grids[0], m, tau)
        # Draws with the most extreme integrals must not ask for a finer grid either.
        extreme = [integrals.argmin(), integrals.argmax()]
        if _refine(log_lik, *grids, *_at_ends(extreme, draws)) == grids:
            return grids[0], table, integrals


def _at_ends(chosen, draws):
    """Return some of the draws, each with the end of the excess that is nearer to its own."""
    *others, excess = draws
    low, high = excess.min(), excess.max()
    nearer = np.where(2 * excess[chosen] > low + high, high, low)
    return *(x[chosen] for x in others), nearer


def _refine(log_lik, eta_grid, nu_grid, *draws):
    """Make the grids finer and wider until the integrals of these draws stay the same."""
    while True:
        before = _integral(log_lik, eta_grid, nu_grid, *draws)
        changes = [
            np.abs(_integral(log_lik, *grids, *draws) - before).max()
            for grids in ((_finer(eta_grid), nu_grid), (eta_grid, _finer(nu_grid)))
        ]
        coarse = [
            change >= _TOLERANCE and grid[2] < _MOST_POINTS
            for change, grid in zip(changes, (eta_grid, nu_grid), strict=True)
        ]
        if not any(coarse):
            return eta_grid, nu_grid
        eta_grid = _finer(eta_grid) if coarse[0] else eta_grid
        nu_grid = _finer(nu_grid) if coarse[1] else nu_grid
