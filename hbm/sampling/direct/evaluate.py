"""Many θ at a time: their log densities, and draws of all effects given them.

Blocks of θ are shared out between threads, which the compiled functions let run side by side.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hbm.sampling.direct.downward import downward
from hbm.sampling.direct.marginal import marginals
from hbm.sampling.direct.means import messages_of_means
from hbm.sampling.direct.problem import Problem
from hbm.sampling.direct.tables import Tables
from hbm.sampling.direct.tree import place, upward
from hbm.sampling.threads import cores_there, in_threads

__all__ = ["draw_effects", "log_densities", "log_likelihoods"]

Floats = NDArray[np.float64]

_LONGEST_BLOCK = 32  # of θ, which are worked on side by side, in the processor's cache
_MOST_DRAWS = 64  # at a time, likewise
_MOST_NUMBERS = 4_000_000


def log_densities(problem: Problem, tables: Tables, z: Floats, threads: int = 1) -> Floats:
    """Return log p(data, z) of points.

    Beyond the tables' box the likelihood goes on as it is at its edge, for the search of a better
    box; no draw is to come from there.
    """
    thetas, prior = problem.thetas_and_prior(z)
    return prior + log_likelihoods(problem, tables, tables.box.nearest(thetas), threads)


def log_likelihoods(problem: Problem, tables: Tables, thetas: Floats, threads: int = 1) -> Floats:
    """Return log p(data | θ): shape (n,)."""
    result = np.empty(len(thetas))

    def work(block: slice) -> None:
        _upward(problem, tables, thetas[block], result[block])

    _share_out(problem, tables, len(thetas), threads, work)
    return result


def draw_effects(
    problem: Problem,
    tables: Tables,
    thetas: Floats,
    chosen: NDArray[np.int64],
    rng: np.random.Generator,
    threads: int = 1,
) -> tuple[Floats, Floats]:
    """Draw all effects for each θ that was chosen, anew for those chosen more than once.

    Returns
    -------
    effects : numpy.ndarray, shape (n_chosen, n_nodes + n_groups)
        The grand mean, effects from the top down, and the groups'.
    log_nu : numpy.ndarray, shape (n_chosen, n_groups)
    """
    n, n_nodes, n_groups = len(chosen), len(problem.tree[0]), len(problem.d.n)
    effects, log_nu = np.empty((n, n_nodes + n_groups)), np.empty((n, n_groups))
    k, c = problem.n_levels, problem.n_contrasts
    own, counts = np.unique(chosen, return_counts=True)
    rows = np.argsort(chosen, kind="stable")
    ends = np.append(0, np.cumsum(counts))
    seed = int(rng.integers(2**63))

    def work(block: slice) -> None:
        here = thetas[own[block]]
        of_theta, sent = _upward(problem, tables, here, np.empty(len(here)))
        to = rows[ends[block.start] : ends[block.stop]]
        # Its own stream of numbers, whatever thread works on it.
        stream = np.random.Generator(np.random.SFC64([seed, block.start]))
        of_draws = np.repeat(np.arange(len(here)), counts[block])
        uniform = stream.random((len(to), n_nodes + 2 * n_groups))
        for i in range(0, len(to), _MOST_DRAWS):
            some = slice(i, i + _MOST_DRAWS)
            downward(
                *of_theta, problem.tree, tuple(tables.grids), tables.logs, *sent, of_draws[some],
                to[some], np.ascontiguousarray(uniform[some].T), effects, log_nu,
            )  # fmt: skip

    _share_out(problem, tables, len(own), threads, work)
    if c:
        above = np.concatenate(problem.x[:-1], axis=0) if k > 1 else np.empty((0, c))
        effects[:, 1:n_nodes] += thetas[chosen, k + 3 : k + 3 + c] @ above.T
    return effects, log_nu


def _upward(problem: Problem, tables: Tables, thetas: Floats, out: Floats) -> Any:
    """Go upward, and return what a way down goes by: of θ, and of groups and all above."""
    n, n_nodes, n_groups = len(thetas), len(problem.tree[0]), len(problem.d.n)
    tree, grids, of_groups = problem.tree, tuple(tables.grids), tables.tables
    plain = np.ascontiguousarray(thetas[:, : problem.n_levels + 3])
    shifts, middles = problem.moved(thetas)
    nodes = tables.nodes(plain[:, -1])
    start, step, mean, sd = np.empty((4, n_nodes, n))
    place(plain, shifts, middles, tree, tables.sites, tables.reach, tables.n_points, start, step,
          mean, sd)  # fmt: skip
    relative, top = np.empty((tables.grids.n_all, n)), np.empty((n_groups, n))
    messages = np.zeros((n_nodes, tables.n_points, n))
    means, others = np.flatnonzero(problem.untold), np.flatnonzero(~problem.untold)
    if len(means):  # else that is not compiled
        messages_of_means(means, plain, shifts, middles, tree, grids, of_groups, start, step,
                          relative, messages)  # fmt: skip
    marginals(others, plain, middles, nodes, grids, of_groups, relative, top)
    upward(others, plain, shifts, tree, grids, start, step, relative, top, messages, out)
    return (plain, shifts, middles, nodes), (start, step, relative, messages)


def _share_out(
    problem: Problem,
    tables: Tables,
    n: int,
    threads: int,
    work: Callable[[slice], None],
) -> None:
    each = tables.grids.n_all + len(problem.tree[0]) * tables.n_points
    length = int(np.clip(_MOST_NUMBERS // each, 1, _LONGEST_BLOCK))
    blocks = [slice(i, min(i + length, n)) for i in range(0, n, length)]
    threads = max(1, min(threads, len(blocks), cores_there()))

    def some(first: int) -> None:
        for block in blocks[first::threads]:
            work(block)

    in_threads(some, range(threads), threads)
