"""Down the tree: effects drawn given θ, each from its inverse distribution function.

The grand mean is drawn given all that was seen, each effect below it given its parent's and what
was seen below it, and a group's log nu given its effect: exactly the posterior given θ.
"""

import math

import numpy as np

from hbm.sampling.direct.grids import LEAST, called_from_python, compiled, plus, position, value_at
from hbm.sampling.direct.inverse import draw
from hbm.students.summary_density import size_of

__all__ = ["downward"]

_MOST = 161  # points of log nu where a mean alone was seen
_size_of = compiled(size_of)


@compiled
def _taps(at, n, out):
    """Return the first of the six points around a position, and write their weights."""
    at = min(max(at, 0.0), n - 1.0)
    i = min(max(int(at) - 2, 0), n - 6)
    t = at - i
    for j in range(6):
        c = 1.0
        for other in range(6):
            if other != j:
                c *= (t - other) / (j - other)
        out[j] = c
    return i


@called_from_python
def downward(thetas, shifts, middles, nodes, tree, grids, logs, n_points, relative, messages,
             start, step, which, rows, uniform, effects, log_nu):  # fmt: skip
    """Draw all effects for each of a few θ that went :func:`hbm.sampling.direct.tree.upward`.

    Parameters
    ----------
    thetas, shifts, middles, tree, grids, n_points, relative, messages, start, step
        As there.
    nodes : numpy.ndarray, shape (n, n_excesses)
        As for :func:`hbm.sampling.direct.marginal.marginals`.
    logs : tuple
        Log densities of the pairs of effects, where each group's begin, and of how many excesses
        they are.
    which, rows : numpy.ndarray of int, shape (n_draws,)
        The θ of each draw, and where it goes.
    uniform : numpy.ndarray, shape (n_draws, n_nodes + 2 n_groups)
        Uniform random numbers.
    effects : numpy.ndarray, shape (..., n_nodes + n_groups)
        Its rows are overwritten: the grand mean, effects from the top down, and the groups'; above
        the groups less what predictors add.
    log_nu : numpy.ndarray, shape (..., n_groups)
        Its rows are overwritten.
    """
    node_parent, node_level, parent, top_mean, top_sd = tree
    anchor, first, apart, curve, power, n_eta, at_eta, x_first, x_apart, n_x, size, _, _ = grids
    table, at_table, kinds_of = logs
    n_nodes, n_groups = len(node_parent), len(parent)
    n_levels = thetas.shape[1] - 3
    work, taps = np.empty((3, 121)), np.empty(6)
    f, own_f = np.empty(max(6, n_points, n_eta.max(), n_x.max())), np.empty(_MOST)
    for i_draw in range(len(which)):
        b, to = which[i_draw], rows[i_draw]
        for a in range(n_nodes):
            if a == 0 and top_sd == 0:
                effects[to, a] = top_mean
                continue
            for i in range(n_points):
                f[i] = messages[a, i, b]
            at = top_mean if a == 0 else effects[to, node_parent[a]]
            sd = top_sd if a == 0 else thetas[b, node_level[a]]
            grid = (start[b, a], step[b, a], 0.0, 0.0)
            effects[to, a] = draw(f, n_points, grid, at, sd, uniform[i_draw, a], work)
    for s in range(n_groups):
        n_g, n_h, n_kinds = n_eta[s], n_x[s], kinds_of[s]
        long = n_kinds * n_h
        for i_draw in range(len(which)):
            b, to = which[i_draw], rows[i_draw]
            theta, u = thetas[b], uniform[i_draw]
            scale = (1 + theta[n_levels + 2]) ** power[s] if power[s] > 0 else 1.0
            if curve[s] > 0:
                grid = (first[s], apart[s], anchor[s], curve[s] * scale)
            else:
                grid = (first[s] * scale, apart[s] * scale, anchor[s], 0.0)
            for g in range(n_g):
                f[g] = math.log(max(relative[at_eta[s] + g, b], LEAST))
            eta = draw(f, n_g, grid, plus(effects[to, parent[s]], shifts[b, s]),
                       theta[n_levels - 1], u[n_nodes + s], work)  # fmt: skip
            effects[to, n_nodes + s] = eta
            i = _taps(position(grid, eta), n_g, taps)
            for h in range(n_h):
                f[h] = 0.0
            for j in range(6):
                row = at_table[s] + (i + j) * long
                for kind in range(n_kinds):
                    c = taps[j] * (nodes[b, kind] if n_kinds > 1 else 1.0)
                    for h in range(n_h):
                        f[h] += c * table[row + kind * n_h + h]
            middle, tau, u_nu = middles[b, s], theta[n_levels + 1], u[n_nodes + n_groups + s]
            if size[s] > 0:
                n_own, grid = _of_log_nu(f, n_h, x_first[s], x_apart[s], size[s], middle, theta,
                                         own_f)  # fmt: skip
                log_nu[to, s] = draw(own_f, n_own, grid, middle, tau, u_nu, work)
            else:
                grid = (x_first[s], x_apart[s], 0.0, 0.0)
                log_nu[to, s] = draw(f, n_h, grid, middle, tau, u_nu, work)


@compiled
def _of_log_nu(f, n, start, step, size, middle, theta, out):
    """Turn a log density by the log of the size of a mean's law into one by log nu."""
    n_levels = len(theta) - 3
    tau, excess = theta[n_levels + 1], theta[n_levels + 2]
    apart = max(min(0.6 * tau, 0.3), 12 * tau / (_MOST - 1), 1e-12)
    n_x = min(2 * math.ceil(6 * tau / apart) + 1, _MOST)
    first = middle - (n_x - 1) / 2 * apart
    for h in range(n_x):
        own = _size_of(size, math.exp(min(first + h * apart, 20.0)), excess)
        out[h] = value_at(f, n, (math.log(max(own, 1e-300)) - start) / step)
    return n_x, (first, apart, 0.0, 0.0)
