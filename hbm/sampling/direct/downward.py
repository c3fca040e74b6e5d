"""Down the tree: effects drawn given θ, each from its inverse distribution function.

The grand mean is drawn given all that was seen, each effect below it given its parent's and what
was seen below it, and a group's log nu given its effect: exactly the posterior given θ.
"""

import math

import numpy as np

from hbm.sampling.direct.grids import called_from_python, compiled, plus, position, value_at
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
def downward(thetas, shifts, middles, nodes, tree, grids, logs, n_points, of_group, messages,
             start, step, which, rows, uniform, effects, log_nu):  # fmt: skip
    """Draw all effects for each of a few θ that went :func:`hbm.sampling.direct.tree.upward`.

    Parameters
    ----------
    thetas, shifts, middles, nodes, tree, grids, n_points, of_group, messages, start, step
        As there.
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
    f, own_f = np.empty(max(6, n_x.max())), np.empty(_MOST)
    for i_draw in range(len(which)):
        b, to = which[i_draw], rows[i_draw]
        theta, u = thetas[b], uniform[i_draw]
        if top_sd > 0:
            grid = (start[b, 0], step[b, 0], 0.0, 0.0)
            effects[to, 0] = draw(messages[b, 0], n_points, grid, top_mean, top_sd, u[0], work)
        else:
            effects[to, 0] = top_mean
        for a in range(1, n_nodes):
            grid = (start[b, a], step[b, a], 0.0, 0.0)
            effects[to, a] = draw(messages[b, a], n_points, grid, effects[to, node_parent[a]],
                                 theta[node_level[a]], u[a], work)  # fmt: skip
        scale_of = 1 + theta[n_levels + 2]
        for s in range(n_groups):
            n_g, n_h, n_kinds = n_eta[s], n_x[s], kinds_of[s]
            scale = scale_of ** power[s] if power[s] > 0 else 1.0
            if curve[s] > 0:
                grid = (first[s], apart[s], anchor[s], curve[s] * scale)
            else:
                grid = (first[s] * scale, apart[s] * scale, anchor[s], 0.0)
            own = of_group[b, at_eta[s] : at_eta[s] + n_g]
            eta = draw(own, n_g, grid, plus(effects[to, parent[s]], shifts[b, s]),
                       theta[n_levels - 1], u[n_nodes + s], work)  # fmt: skip
            effects[to, n_nodes + s] = eta
            i = _taps(position(grid, eta), n_g, taps)
            long = n_kinds * n_h
            for h in range(n_h):
                f[h] = 0.0
            for j in range(6):
                row = at_table[s] + (i + j) * long
                for kind in range(n_kinds):
                    c = taps[j] * (nodes[b, kind] if n_kinds > 1 else 1.0)
                    for h in range(n_h):
                        f[h] += c * table[row + kind * n_h + h]
            middle, tau = middles[b, s], theta[n_levels + 1]
            if size[s] > 0:
                n_h, grid = _of_log_nu(f, n_h, x_first[s], x_apart[s], size[s], middle, theta,
                                       own_f)  # fmt: skip
                log_nu[to, s] = draw(own_f, n_h, grid, middle, tau, u[n_nodes + n_groups + s], work)
            else:
                log_nu[to, s] = draw(f, n_h, (x_first[s], x_apart[s], 0.0, 0.0), middle, tau,
                                    u[n_nodes + n_groups + s], work)  # fmt: skip


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
