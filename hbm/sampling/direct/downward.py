"""Down the tree: effects drawn given θ, each from its inverse distribution function.

The grand mean is drawn given all that was seen, each effect below it given its parent's and what
was seen below it, and a group's log nu given its effect: exactly the posterior given θ.
"""

import math

import numpy as np

from hbm.sampling.direct.grids import (
    LEAST,
    called_from_python,
    compiled,
    plus,
    position,
    six_points,
    six_weights,
    value_at,
)
from hbm.sampling.direct.together import FINEST, draw_together
from hbm.students.summary_density import size_of

__all__ = ["downward"]

_MOST = 161  # points of log nu where a mean alone was seen
_size_of = compiled(size_of)


@called_from_python
def downward(thetas, shifts, middles, nodes, tree, grids, logs, start, step, relative, messages,
             which, rows, uniform, effects, log_nu):  # fmt: skip
    """Draw all effects, some draws at a time, for θ that went upward.

    Parameters
    ----------
    thetas, shifts, middles, tree
        As for :func:`hbm.sampling.direct.tree.place`.
    nodes : numpy.ndarray, shape (n, n_excesses)
        As for :func:`hbm.sampling.direct.marginal.marginals`.
    grids, start, step, relative, messages
        As :func:`hbm.sampling.direct.tree.upward` leaves them.
    logs : tuple
        Log densities of the pairs of effects, where each group's begin, and of how many excesses
        they are.
    which, rows : numpy.ndarray of int, shape (n_draws,)
        The θ of each draw, those of one θ beside each other, and where it goes.
    uniform : numpy.ndarray, shape (n_nodes + 2 n_groups, n_draws)
        Uniform random numbers.
    effects : numpy.ndarray, shape (..., n_nodes + n_groups)
        Its rows are overwritten: the grand mean, effects from the top down, and the groups'; above
        the groups less what predictors add.
    log_nu : numpy.ndarray, shape (..., n_groups)
        Its rows are overwritten.
    """
    node_parent, node_level, parent, top_mean, top_sd = tree
    anchor, first, apart, curve, widens, n_eta, at_eta, x_first, x_apart, n_x, size, _, _ = grids
    table, at_table, kinds_of = logs
    (n_nodes, n_points, _), n_groups, n_draws = messages.shape, len(parent), len(which)
    n_levels = thetas.shape[1] - 3
    most = max(n_points, n_eta.max(), n_x.max(), _MOST)
    f, room = np.empty((most, n_draws)), np.empty((3, FINEST * most, n_draws))
    grid, row, work = np.empty((4, n_draws)), np.empty((8, n_draws)), np.empty((4, max(most, 121)))
    mean, sd, drawn = np.empty((3, n_draws))
    one, single = np.empty(most), np.empty(most, np.float32)
    # Nodes from the top down, then of each group its effect, and its log nu given that.
    for i in range(n_nodes + 2 * n_groups):
        a, s, is_effect = i, (i - n_nodes) // 2, (i - n_nodes) % 2 == 0
        if i < n_nodes:
            n, column = n_points, a
            for d in range(n_draws):
                b = which[d]
                grid[0, d], grid[1, d], grid[2, d], grid[3, d] = start[a, b], step[a, b], 0.0, 0.0
                mean[d] = top_mean if a == 0 else effects[rows[d], node_parent[a]]
                sd[d] = top_sd if a == 0 else thetas[b, node_level[a]]
                for g in range(n):
                    f[g, d] = messages[a, g, b]
        elif is_effect:
            n, column = n_eta[s], n_nodes + s
            for d in range(n_draws):
                b = which[d]
                wider = math.sqrt(1 + thetas[b, n_levels + 2]) if widens[s] else 1.0
                grid[0, d], grid[1, d] = first[s] * wider, apart[s] * wider
                grid[2, d], grid[3, d] = anchor[s], curve[s]
                mean[d] = plus(effects[rows[d], parent[s]], shifts[b, s])
                sd[d] = thetas[b, n_levels - 1]
            for g in range(n):
                for d in range(n_draws):
                    if d > 0 and which[d] == which[d - 1]:
                        f[g, d] = f[g, d - 1]
                    else:
                        f[g, d] = math.log(max(relative[at_eta[s] + g, which[d]], LEAST))
        else:
            n, column = n_x[s], n_nodes + n_groups + s
            _given_effect(drawn, grid, n_eta[s], n, table, at_table[s], kinds_of[s], nodes, which,
                          single, f)  # fmt: skip
            for d in range(n_draws):
                grid[0, d], grid[1, d], grid[2, d], grid[3, d] = x_first[s], x_apart[s], 0.0, 0.0
                mean[d], sd[d] = middles[which[d], s], thetas[which[d], n_levels + 1]
            if size[s] > 0:
                n = _of_log_nu(f, n, size[s], thetas, which, mean, sd, grid, one)
        if i == 0 and top_sd == 0:
            for d in range(n_draws):
                drawn[d] = top_mean
        else:
            draw_together(f, n, grid, mean, sd, uniform[column], drawn, room, row, work)
        for d in range(n_draws):
            if i < n_nodes or is_effect:
                effects[rows[d], column] = drawn[d]
            else:
                log_nu[rows[d], s] = drawn[d]


@compiled
def _given_effect(drawn, grid, n_g, n_h, table, begin, n_kinds, nodes, which, one, f):
    """Write log densities of log nu, at the points of its grid, given effects that were drawn."""
    apart = n_kinds * n_h
    for d in range(len(drawn)):
        at = position((grid[0, d], grid[1, d], grid[2, d], grid[3, d]), drawn[d])
        i, t = six_points(at, n_g)
        of_six = six_weights(t)
        for h in range(n_h):
            one[h] = 0.0
        for kind in range(n_kinds):
            of_kind = nodes[which[d], kind] if n_kinds > 1 else 1.0
            # In the seven digits that the table has, of which twice as many are summed at a time.
            w0, w1 = np.float32(of_kind * of_six[0]), np.float32(of_kind * of_six[1])
            w2, w3 = np.float32(of_kind * of_six[2]), np.float32(of_kind * of_six[3])
            w4, w5 = np.float32(of_kind * of_six[4]), np.float32(of_kind * of_six[5])
            row = begin + i * apart + kind * n_h
            t0, t1 = table[row : row + n_h], table[row + apart : row + apart + n_h]
            row += 2 * apart
            t2, t3 = table[row : row + n_h], table[row + apart : row + apart + n_h]
            row += 2 * apart
            t4, t5 = table[row : row + n_h], table[row + apart : row + apart + n_h]
            for h in range(n_h):
                first = w0 * t0[h] + w1 * t1[h] + w2 * t2[h]
                one[h] += first + w3 * t3[h] + w4 * t4[h] + w5 * t5[h]
        for h in range(n_h):
            f[h, d] = one[h]


@compiled
def _of_log_nu(f, n, size, thetas, which, mean, sd, grid, one):
    """Turn log densities by the log of the size of a mean's law into such by log nu."""
    excess = thetas.shape[1] - 1
    n_own = 2
    for d in range(len(mean)):
        apart = max(min(0.6 * sd[d], 0.3), 12 * sd[d] / (_MOST - 1), 1e-12)
        n_own = max(n_own, min(2 * math.ceil(6 * sd[d] / apart) + 1, _MOST))
    for d in range(len(mean)):
        for h in range(n):
            one[h] = f[h, d]
        start, step = grid[0, d], grid[1, d]
        grid[1, d] = max(12 * sd[d] / (n_own - 1), 1e-12)
        grid[0, d] = mean[d] - (n_own - 1) / 2 * grid[1, d]
        for h in range(n_own):
            nu = math.exp(min(grid[0, d] + h * grid[1, d], 20.0))
            own = _size_of(size, nu, thetas[which[d], excess])
            f[h, d] = value_at(one, n, (math.log(max(own, LEAST)) - start) / step)
    return n_own
