"""Groups of which a mean alone was seen: log nu summed out, and their messages.

Log nu and the excess count by the size of the mean's law alone
(:func:`hbm.students.summary_density.size_of`), whose log takes the place of log nu in their tables.
Such a mean may say much of its group or little, so that their grids of eta are curved.
"""

import math

import numpy as np

from hbm.sampling.direct.curve import message_of_curve
from hbm.sampling.direct.grids import (
    LEAST,
    LOWEST,
    ROOT_2PI,
    ROOTS,
    SHARES,
    called_from_python,
    compiled,
    plus,
    six_points,
    six_weights,
    value_at,
)
from hbm.students.summary_density import size_of

__all__ = ["messages_of_means"]

_NARROW = 0.5  # sd of log nu below which weights of neighbours may have other signs
_CANCELLED = 0.1
_size_of = compiled(size_of)


@called_from_python
def messages_of_means(groups, thetas, shifts, middles, tree, grids, tables, start, step, relative,
                      messages):  # fmt: skip
    """Send what was seen of groups to their parents, for a few θ.

    Parameters
    ----------
    groups : numpy.ndarray of int
        Which: those of which a mean alone was seen.
    thetas, shifts, middles, tree, grids, tables, start, step
        As for :func:`hbm.sampling.direct.tree.upward` and
        :func:`hbm.sampling.direct.marginal.marginals`.
    relative : numpy.ndarray, shape (number of all points, n)
        Overwritten with the densities of what was seen of these, at the points of their grids.
    messages : numpy.ndarray, shape (n_nodes, n_points, n)
        What the nodes are sent is added.
    """
    _, _, parent, _, top_sd = tree
    anchor, first, apart, curve, _, n_eta, at_eta, x_first, x_apart, n_x, size, _, _ = grids
    table, at_table, levels, at_level, _, _, logs = tables
    n_theta, n_points = len(thetas), messages.shape[1]
    n_levels = thetas.shape[1] - 3
    f, work, weights = np.empty(n_eta.max()), np.empty((3, n_eta.max())), np.empty(n_x.max())
    for s in groups:
        n_g, n_h, above = n_eta[s], n_x[s], parent[s]
        level = levels[at_level[s] : at_level[s] + n_g]
        rows = table[at_table[s] : at_table[s] + n_h * n_g].reshape(n_h, n_g)
        grid = (first[s], apart[s], anchor[s], curve[s])
        k = n_points if above > 0 or top_sd > 0 else 1
        for b in range(n_theta):
            _weights_of_size(middles[b, s], thetas[b], size[s], x_first[s], x_apart[s], n_h,
                             weights)  # fmt: skip
            total = rows.T @ weights[:n_h]
            if thetas[b, n_levels + 1] < _NARROW:
                _mend(rows, weights, logs, at_table[s], middles[b, s], thetas[b], size[s],
                      x_first[s], x_apart[s], level, total)  # fmt: skip
            top = -1e300
            for g in range(n_g):
                f[g] = level[g] + math.log(max(total[g], LEAST))
                top = max(top, f[g])
            for g in range(n_g):
                relative[at_eta[s] + g, b] = math.exp(max(f[g] - top, LOWEST))
            lowest = plus(start[above, b], shifts[b, s])
            message_of_curve(f, n_g, grid, thetas[b, n_levels - 1], lowest, step[above, b], k,
                             messages[above, :, b], work)  # fmt: skip


@compiled
def _weights_of_size(middle, theta, n, start, step, n_x, out):
    """Weigh a grid of the log of the size of a mean's law so that Σ out f is ∫ f, log nu Normal."""
    n_levels = len(theta) - 3
    tau, excess = theta[n_levels + 1], theta[n_levels + 2]
    for h in range(n_x):
        out[h] = 0.0
    fine = min(0.6, 0.3 / tau) if tau > 0 else 0.6
    n_points = math.ceil(5.5 / fine)
    for q in range(-n_points, n_points + 1):
        z = q * fine
        size = _size_of(n, math.exp(min(middle + tau * z, 20.0)), excess)
        at = (math.log(max(size, LEAST)) - start) / step
        i, t = six_points(at, n_x)
        weights = six_weights(t)
        c = fine / ROOT_2PI * math.exp(-z * z / 2)
        for j in range(6):
            out[i + j] += c * weights[j]


@compiled
def _mend(rows, weights, logs, begin, middle, theta, n, start, step, level, total):
    """Sum anew, by points between those of the grid, where the terms of a sum nearly cancelled."""
    n_x, n_g = rows.shape
    n_levels = len(theta) - 3
    tau, excess = theta[n_levels + 1], theta[n_levels + 2]
    at = np.empty(7)
    for q in range(7):
        size = _size_of(n, math.exp(min(middle + tau * ROOTS[q], 20.0)), excess)
        at[q] = (math.log(max(size, LEAST)) - start) / step
    for g in range(n_g):
        most = 0.0
        for h in range(n_x):
            most = max(most, abs(weights[h]) * rows[h, g])
        if total[g] > _CANCELLED * most:
            continue
        row = logs[begin + g * n_x : begin + (g + 1) * n_x]
        total[g] = 0.0
        for q in range(7):
            below = value_at(row, n_x, at[q]) - level[g]
            total[g] += SHARES[q] * math.exp(max(below, LOWEST))
