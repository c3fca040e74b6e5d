"""A group's likelihood with log nu summed out, at the points of its grid of eta.

Tables (:mod:`hbm.sampling.direct.tables`) have, of each group, the sum of each row of eta and the
shares in it of the values of log nu. Given θ log nu is Normal, so that what a row adds up to is a
sum of shares by weights; for many θ, and all excesses that there are tables of, that is a product
of matrices. Where that Normal is narrow beside the spacing, it is an integral of its own.
"""

import math

import numpy as np

from hbm.sampling.direct.grids import (
    LEAST,
    LOWEST,
    called_from_python,
    compiled,
    integral,
    value_at,
)
from hbm.students.summary_density import size_of

__all__ = ["marginals"]

_NO_WEIGHT = 1e-40
_NARROW = 0.5  # sd of log nu below which weights of neighbours may have other signs
_CANCELLED = 0.1
_SMOOTH = 0.2  # spacing of log nu, in sds of its likelihood, at which that is interpolated itself
_size_of = compiled(size_of)
# Gauss and Hermite's seven points of a standard Normal.
_ROOTS, _SHARES = np.polynomial.hermite_e.hermegauss(7)
_SHARES = _SHARES / _SHARES.sum()


@called_from_python
def marginals(thetas, middles, nodes, grids, tables, relative, top):
    """Sum log nu out of the likelihoods of all groups, for a few θ.

    Parameters
    ----------
    thetas : numpy.ndarray, shape (n, n_levels + 3)
        tau of each level from the top down, log nu, tau_nu and the excess.
    middles : numpy.ndarray, shape (n, n_groups)
        Log nu of each group's Normal.
    nodes : numpy.ndarray, shape (n, n_excesses)
        Weights by which tables at a few excesses make that of each θ.
    grids, tables : tuple
        Of :mod:`hbm.sampling.direct.tables`.
    relative : numpy.ndarray, shape (number of all points, n)
        Overwritten with the densities of what was seen of each group, at the points of its grid.
    top : numpy.ndarray, shape (n_groups, n)
        Overwritten with the logs of what these are relative to.
    """
    _, _, _, _, _, n_eta, at_eta, x_first, x_apart, n_x, size, x_seen, x_precision = grids
    table, at_table, levels, at_level, heights, tops, kinds_of, logs = tables
    n_theta, spreads = len(thetas), thetas[:, thetas.shape[1] - 2]
    excesses = np.ascontiguousarray(nodes.T)
    weights, matrix = np.empty(n_x.max()), np.empty(n_x.max() * n_theta)
    sums, row = np.empty(n_eta.max() * len(excesses) * n_theta), np.empty(n_eta.max())
    away = np.empty(n_theta)
    for s in range(len(n_eta)):
        n_g, n_h, n_kinds, at = n_eta[s], n_x[s], kinds_of[s], at_eta[s]
        level = levels[at_level[s] : at_level[s] + n_kinds * n_g]
        rows = table[at_table[s] : at_table[s] + n_h * n_kinds * n_g].reshape(n_h, n_kinds * n_g)
        w = matrix[: n_h * n_theta].reshape(n_h, n_theta)
        for b in range(n_theta):
            if size[s] > 0:
                _weights_of_size(middles[b, s], thetas[b], size[s], x_first[s], x_apart[s], n_h,
                                 weights)  # fmt: skip
            else:
                _weights_of_log_nu(middles[b, s], spreads[b], x_first[s], x_apart[s], n_h,
                                   x_seen[s], x_precision[s], weights)  # fmt: skip
            for h in range(n_h):
                w[h, b] = weights[h]
        total = sums[: n_kinds * n_g * n_theta].reshape(n_kinds * n_g, n_theta)
        np.dot(rows.T, w, total)
        if n_kinds == 1:
            top[s] = tops[s, 0]
            for g in range(n_g):
                for b in range(n_theta):
                    relative[at + g, b] = max(total[g, b], LEAST) * heights[at + g]
        else:
            for b in range(n_theta):
                top[s, b] = 0.0
                for i in range(n_kinds):
                    top[s, b] += excesses[i, b] * tops[s, i]
            for g in range(n_g):
                away[:] = -top[s]
                relative[at + g] = 0.0
                for i in range(n_kinds):
                    for b in range(n_theta):
                        away[b] += excesses[i, b] * level[i * n_g + g]
                        relative[at + g, b] += excesses[i, b] * total[i * n_g + g, b]
                for b in range(n_theta):
                    height = math.exp(max(away[b], LOWEST))
                    relative[at + g, b] = max(relative[at + g, b], LEAST) * height
        smooth = x_apart[s] ** 2 * x_precision[s] <= _SMOOTH**2
        for b in range(n_theta):
            if size[s] > 0 and spreads[b] < _NARROW:
                _mend(rows, w[:, b], logs, at_table[s], middles[b, s], thetas[b], size[s],
                      x_first[s], x_apart[s], level, total[:, b], row)  # fmt: skip
            elif size[s] == 0 and spreads[b] < x_apart[s] and not smooth:
                _over_log_nu(logs, at_table[s], n_g, n_h, excesses[:n_kinds, b],
                             (middles[b, s] - x_first[s]) / x_apart[s], spreads[b] / x_apart[s],
                             weights, row)  # fmt: skip
            else:
                continue
            top[s, b] = row[:n_g].max()
            for g in range(n_g):
                relative[at + g, b] = math.exp(max(row[g] - top[s, b], LOWEST))


@compiled
def _weights_of_log_nu(middle, tau, start, step, n, estimate, precision, out):
    """Weigh a grid of log nu so that Σ out f is ∫ f N(middle, tau).

    Where tau is narrower than the spacing, f is taken as a Normal likelihood times what is smooth
    enough to be interpolated: Gauss and Hermite's points are those of the Normals' product. That
    is for grids that are fine beside the likelihood.
    """
    for h in range(n):
        out[h] = 0.0
    if tau >= step:
        # From the point nearest to the middle outwards: exp(−(a + j)² b) by two products a point.
        nearest = int(min(max(round((middle - start) / step), 0), n - 1))
        z = (start + nearest * step - middle) / tau
        by = step / tau
        norm = by / 2.5066282746310002 * math.exp(-z * z / 2)
        turn = math.exp(-by * by)
        weight, ratio = norm, math.exp(-z * by - by * by / 2)
        for h in range(nearest, n):
            if weight < _NO_WEIGHT:
                break
            out[h] = weight
            weight *= ratio
            ratio *= turn
        ratio = math.exp(z * by - by * by / 2)
        weight = norm * ratio
        for h in range(nearest - 1, -1, -1):
            if weight < _NO_WEIGHT:
                break
            out[h] = weight
            ratio *= turn
            weight *= ratio
        return
    whole = 1 + precision * tau * tau
    width = tau / math.sqrt(whole)
    centre = (middle + precision * tau * tau * estimate) / whole
    away = middle - estimate
    norm = math.exp(-away * away * precision / whole / 2) / math.sqrt(whole)
    for q in range(7):
        i, t = _six_points((centre + width * _ROOTS[q] - start) / step, n)
        for j in range(6):
            c = norm * _SHARES[q]
            for other in range(6):
                if other != j:
                    c *= (t - other) / (j - other)
            z = start + (i + j) * step - estimate
            out[i + j] += c * math.exp(z * z * precision / 2)


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
        i, t = _six_points(at, n_x)
        c = fine / 2.5066282746310002 * math.exp(-z * z / 2)
        a1, a2, a3, a4, a5 = t - 1, t - 2, t - 3, t - 4, t - 5
        out[i] -= c * a1 * a2 * a3 * a4 * a5 / 120
        out[i + 1] += c * t * a2 * a3 * a4 * a5 / 24
        out[i + 2] -= c * t * a1 * a3 * a4 * a5 / 12
        out[i + 3] += c * t * a1 * a2 * a4 * a5 / 12
        out[i + 4] -= c * t * a1 * a2 * a3 * a5 / 24
        out[i + 5] += c * t * a1 * a2 * a3 * a4 / 120


@compiled
def _mend(rows, weights, logs, begin, middle, theta, n, start, step, level, total, out):
    """Sum anew, by points between those of the grid, where the terms of a sum nearly cancelled."""
    n_x, n_g = rows.shape
    n_levels = len(theta) - 3
    tau, excess = theta[n_levels + 1], theta[n_levels + 2]
    at = np.empty(7)
    for q in range(7):
        size = _size_of(n, math.exp(min(middle + tau * _ROOTS[q], 20.0)), excess)
        at[q] = (math.log(max(size, LEAST)) - start) / step
    for g in range(n_g):
        most = 0.0
        for h in range(n_x):
            most = max(most, abs(weights[h]) * rows[h, g])
        whole = total[g]
        if whole <= _CANCELLED * most:
            row = logs[begin + g * n_x : begin + (g + 1) * n_x]
            whole = 0.0
            for q in range(7):
                below = value_at(row, n_x, at[q]) - level[g]
                whole += _SHARES[q] * math.exp(max(below, LOWEST))
        out[g] = level[g] + math.log(max(whole, LEAST))


@compiled
def _six_points(position, n):
    """Return the first of the six points around a position, and the position from there on."""
    position = min(max(position, 0.0), n - 1.0)
    i = min(max(int(position) - 2, 0), n - 6)
    return i, position - i


@compiled
def _over_log_nu(logs, begin, n_eta, n_x, excesses, middle, tau, row, out):
    """Integrate each row of a group over a narrow log nu, whose place and width are in steps."""
    n_kinds = len(excesses)
    for g in range(n_eta):
        row[:n_x] = 0.0
        for i in range(n_kinds):
            at = begin + (g * n_kinds + i) * n_x
            for h in range(n_x):
                row[h] += (excesses[i] if n_kinds > 1 else 1.0) * logs[at + h]
        out[g] = integral(row, n_x, (0.0, 1.0, 0.0, 0.0), middle, tau)
