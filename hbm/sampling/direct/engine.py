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

import numpy as np
from numpy.typing import NDArray

from hbm.sampling.diagnostics import BEYOND_GRIDS, GRID_ERROR
from hbm.sampling.direct.boxes import box_of, first_box, holds, outside
from hbm.sampling.direct.closed import Closed
from hbm.sampling.direct.evaluate import draw_effects, log_densities, log_likelihoods
from hbm.sampling.direct.importance import Weighted, adapt, does, strengthen, weigh
from hbm.sampling.direct.mode import LEAST, find_mode
from hbm.sampling.direct.problem import Problem
from hbm.sampling.direct.tables import DEPTH, SPACING, Box, Tables, refined, tabulate
from hbm.sampling.threads import in_threads

__all__ = ["Draws", "draw_closed", "draw_directly", "grid_error", "resample"]

Floats = NDArray[np.float64]

_BUILDS = 3
_FINER = [(SPACING, DEPTH), (0.7 * SPACING, DEPTH + 8), (0.5 * SPACING, DEPTH + 20)]
_MOST_POINTS = 6  # for each draw
_FEWEST_POINTS = 800
_LIGHT = 0.4  # k-hat of the weights of draws
_NEARLY = 0.9  # a search for another proposal costs what it saves where this one nearly does


@dataclass(frozen=True, eq=False)
class Draws:
    """Draws of a problem.

    Attributes
    ----------
    thetas : numpy.ndarray, shape (n, n_levels + 3 or more)
        What all groups share: θ of :class:`hbm.sampling.direct.problem.Problem`.
    effects, log_nu : numpy.ndarray
        From :func:`hbm.sampling.direct.evaluate.draw_effects`.
    weighted : Weighted
        The points that draws were taken from.
    chosen : numpy.ndarray of int, shape (n,)
        Which of these each draw was.
    grid_error : float
        In nats.
    beyond : float
        Share of the posterior that no draw is from, as the tables' box does not hold it; about:
        the likelihood is taken to go on beyond as at the edge.
    evaluations : int
        Of the log density.
    """

    thetas: Floats
    effects: Floats
    log_nu: Floats
    weighted: Weighted
    chosen: NDArray[np.int64]
    grid_error: float
    beyond: float
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
        tables, proposal, points, done = _adapted(problem, rng, threads, spacing, depth)
        more = proposal.draw(max(_n_points(n, points.efficiency) - len(points.z), 0), rng)

        def density(z, tables=tables):
            # What goes on as at the edge of the box is far too much where proposals reach farther.
            value = log_densities(problem, tables, z, threads)
            return np.where(outside(problem, tables.box, z), LEAST, value)

        say(f"weights of {len(points.z) + len(more):,} points")
        z = np.concatenate([points.z, more])
        value = np.append(points.log_density, log_densities(problem, tables, more, threads))
        out = outside(problem, tables.box, z)
        beyond = float(np.exp(weigh(z, value, proposal.logpdf(z)).log_weight[out]).sum())
        value[out] = LEAST
        _, weighted = strengthen(density, proposal, z, value, _LIGHT, rng)
        z = weighted.z
        evaluations += done + len(z)
        chosen = resample(weighted.log_weight, n, rng)
        say("error of the grids")
        checked = problem.thetas(z[chosen[: _n_checked(problem)]])
        error = grid_error(problem, tables, checked, threads)
        if error <= GRID_ERROR and beyond <= BEYOND_GRIDS:
            break
    say(f"{n:,} draws of {len(problem.d.n):,} groups")
    thetas = problem.thetas(z)
    inside = tables.box.nearest(thetas)
    effects, log_nu = draw_effects(problem, tables, inside, chosen, rng, threads)
    return Draws(thetas[chosen], effects, log_nu, weighted, chosen, error, beyond, evaluations)


def _n_points(n: int, efficiency: float) -> int:
    """Return how many points to take n draws from: more, where many will count for little.

    A few hundred draws are as good as any others, too.
    """
    return max(int(n * np.clip(0.7 / efficiency, 1, _MOST_POINTS)), _FEWEST_POINTS)


def _adapted(problem, rng, threads, spacing, depth):
    """Return tables that hold all θ that matter, a proposal, its points, and other evaluations.

    The first tables are rough. What was found with them mostly does on the next; where not, another
    proposal is looked for.
    """
    box, start = first_box(problem)
    large = len(problem.d.n) > 100
    tables = tabulate(problem, box, spacing, min(depth, 16.0), 4 if large else None, threads)

    def density(z):
        return log_densities(problem, tables, z, threads)

    def found(start):
        mode, covariance, done = find_mode(density, start, problem.n_joint)
        proposal, points, more = adapt(density, mode, covariance, rng, problem.n_joint)
        return proposal, points, done + more

    proposal, points, evaluations = found(start)
    for _ in range(_BUILDS):
        evaluations += len(points.z)
        box = box_of(problem, tables, points)
        tables = tabulate(problem, box, spacing, depth, threads=threads)
        z = proposal.draw(len(points.z), rng)
        proposal, points = strengthen(density, proposal, z, density(z), _LIGHT, rng)
        if points.efficiency < _NEARLY * does(problem.n_joint):
            another, of_it, done = found(np.exp(points.log_weight) @ points.z)
            of_both = [(proposal, points), (another, of_it)]
            proposal, points = max(of_both, key=lambda x: x[1].efficiency)
            evaluations += done + sum(len(x.z) for _, x in of_both) - len(points.z)
        if holds(problem, tables, points):
            break
    return tables, proposal, points, evaluations


def resample(log_weight: Floats, n: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Return n positions, each as often as its weight says, rounded up or down; in any order."""
    below = np.cumsum(np.exp(log_weight))
    at = (np.arange(n) + rng.random()) / n * below[-1]
    chosen = np.searchsorted(below, at).clip(0, len(below) - 1)
    return rng.permutation(chosen)


def grid_error(problem: Problem, tables: Tables, thetas: Floats, threads: int = 1) -> float:
    """Return by how many nats the log density is off, at the worst of a few θ.

    Grids of half the spacing, a fifth wider, with a table for each θ's own excess, are taken for
    the truth.
    """
    excesses = thetas[:, problem.n_levels + 2]

    def at(excess: float) -> float:
        some = thetas[excesses == excess]
        truth = log_likelihoods(problem, refined(problem, tables, excess), some)
        return float(np.abs(log_likelihoods(problem, tables, some) - truth).max())

    return max(in_threads(at, list(np.unique(excesses)), threads))


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
    proposal, points, more = adapt(closed.log_density, mode, covariance, rng)
    z = proposal.draw(_n_points(n, points.efficiency), rng)
    _, weighted = strengthen(closed.log_density, proposal, z, closed.log_density(z), _LIGHT, rng)
    chosen = resample(weighted.log_weight, n, rng)
    none = np.empty((n, 0))
    evaluations = done + more + len(points.z) + len(weighted.z)
    return weighted.z[chosen], Draws(none, none, none, weighted, chosen, 0.0, 0.0, evaluations)


def _without_top(problem, n, rng, threads):
    """Draw where nothing is shared: the groups are independent, and every draw is exact."""
    theta = problem.thetas(np.empty((1, 0)))
    at = np.full(len(problem.d.n), problem.top_mean)
    middle = np.full(len(at), problem.log_nu_mean)
    box = Box(theta[0], theta[0], at, at, middle, middle)
    for spacing, depth in _FINER:
        tables = tabulate(problem, box, spacing, depth, threads=threads)
        error = grid_error(problem, tables, theta)
        if error <= GRID_ERROR:
            break
    effects, log_nu = draw_effects(problem, tables, theta, np.zeros(n, int), rng, threads)
    density = float(log_likelihoods(problem, tables, theta)[0])
    even = np.full(n, -np.log(n))
    weighted = Weighted(np.empty((n, 0)), np.full(n, density), even, -np.inf, density, 0.0)
    thetas = np.repeat(theta, n, axis=0)
    return Draws(thetas, effects, log_nu, weighted, np.arange(n), error, 0.0, 1)
