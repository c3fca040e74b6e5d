"""A group's likelihood with log nu summed out, at the points of its grid of eta.

Tables (:mod:`hbm.sampling.direct.tables`) have, of each group, the sum of each row of eta and the
shares in it of the values of log nu. Given θ log nu is Normal, so that what a row adds up to is a
sum of shares by weights; for many θ, and all excesses that there are tables of, that is a product
of matrices. Where that Normal is narrow beside the spacing, it is an integral of its own. Groups of
which a mean alone was seen are those of :mod:`hbm.sampling.direct.means`.
"""

import math

import numpy as np

from hbm.sampling.direct.grids import (
    LEAST,
    LOWEST,
    ROOT_2PI,
    ROOTS,
    SHARES,
    bounded_exp,
    called_from_python,
    compiled,
    integral,
    six_points,
    six_weights,
)

__all__ = ["marginals"]

_SMOOTH = 0.2  # spacing of log nu, in sds of its likelihood, at which that is interpolated itself


@called_from_python
def marginals(groups, thetas, middles, nodes, grids, tables, relative, top):
    """Sum log nu out of the likelihoods of groups, for a few θ.

    Parameters
    ----------
    groups : numpy.ndarray of int
        Which; not those of which a mean alone was seen.
    thetas : numpy.ndarray, shape (n, n_levels + 3)
        tau of each level from the top down, log nu, tau_nu and the excess.
    middles : numpy.ndarray, shape (n, n_groups)
        Log nu of each group's Normal.
    nodes : numpy.ndarray, shape (n, n_excesses)
        Weights by which tables at a few excesses make that of each θ.
    grids, tables : tuple
        Of :mod:`hbm.sampling.direct.tables`.
    relative : numpy.ndarray, shape (number of all points, n)
        Overwritten with the densities of what was seen of these, at the points of their grids.
    top : numpy.ndarray, shape (n_groups, n)
        Overwritten with the logs of what these are relative to.
    """
    _, _, _, _, _, n_eta, at_eta, x_first, x_apart, n_x, _, x_seen, x_precision = grids
    table, at_table, levels, at_level, heights, tops, logs = tables
    n_theta, n_kinds, spreads = len(thetas), nodes.shape[1], thetas[:, thetas.shape[1] - 2]
    excesses = np.ascontiguousarray(nodes.T)
    most_x, most_eta = n_x.max(), n_eta.max()
    room = np.empty((2, most_x * n_kinds * n_theta))
    sums, weights, row = np.empty(most_eta * n_theta), np.empty(most_x), np.empty(most_eta)
    away, steep, norm, middle = np.empty((4, n_theta))
    for b in range(n_theta):
        steep[b] = 1 / spreads[b] if spreads[b] > 0 else 0.0
        norm[b] = steep[b] / ROOT_2PI
    for s in groups:
        n_g, n_h, at = n_eta[s], n_x[s], at_eta[s]
        level = levels[at_level[s] : at_level[s] + n_kinds * n_g]
        rows = table[at_table[s] : at_table[s] + n_h * n_kinds * n_g].reshape(n_h * n_kinds, n_g)
        smooth = x_apart[s] ** 2 * x_precision[s] <= _SMOOTH**2
        for b in range(n_theta):
            middle[b] = middles[b, s]
        w = room[0, : n_h * n_kinds * n_theta].reshape(n_h * n_kinds, n_theta)
        of_nu = room[1, : n_h * n_theta].reshape(n_h, n_theta) if n_kinds > 1 else w
        for h in range(n_h):
            x = x_first[s] + h * x_apart[s]
            for b in range(n_theta):
                z = (x - middle[b]) * steep[b]
                of_nu[h, b] = bounded_exp(-z * z / 2) * norm[b] * x_apart[s]
        for b in range(n_theta):
            if spreads[b] < x_apart[s]:
                _weights_of_narrow(middle[b], spreads[b], x_first[s], x_apart[s], n_h,
                                   x_seen[s], x_precision[s], weights)  # fmt: skip
                for h in range(n_h):
                    of_nu[h, b] = weights[h]
        for h in range(n_h if n_kinds > 1 else 0):
            for i in range(n_kinds):
                for b in range(n_theta):
                    w[h * n_kinds + i, b] = of_nu[h, b] * excesses[i, b]
        total = sums[: n_g * n_theta].reshape(n_g, n_theta)
        np.dot(rows.T, w, total)
        for b in range(n_theta):
            top[s, b] = 0.0
            for i in range(n_kinds):
                top[s, b] += excesses[i, b] * tops[s, i]
        for g in range(n_g):
            if n_kinds == 1:
                for b in range(n_theta):
                    relative[at + g, b] = max(total[g, b], LEAST) * heights[at + g]
                continue
            for b in range(n_theta):
                away[b] = 0.0
            for i in range(n_kinds):
                below = level[i * n_g + g] - tops[s, i]
                for b in range(n_theta):
                    away[b] += excesses[i, b] * below
            for b in range(n_theta):
                relative[at + g, b] = max(total[g, b], LEAST) * bounded_exp(away[b])
        for b in range(n_theta):
            if spreads[b] >= x_apart[s] or smooth:
                continue
            _over_log_nu(logs, at_table[s], n_g, n_h, excesses[:, b],
                         (middle[b] - x_first[s]) / x_apart[s], spreads[b] / x_apart[s],
                         weights, row)  # fmt: skip
            top[s, b] = row[0]
            for g in range(n_g):
                top[s, b] = max(top[s, b], row[g])
            for g in range(n_g):
                relative[at + g, b] = math.exp(max(row[g] - top[s, b], LOWEST))


@compiled
def _weights_of_narrow(middle, tau, start, step, n, estimate, precision, out):
    """Weigh a grid of log nu so that Σ out f is ∫ f N(middle, tau), tau less than the spacing.

    f is taken as a Normal likelihood times what is smooth enough to be interpolated: Gauss and
    Hermite's points are those of the Normals' product. That is for grids that are fine beside the
    likelihood.
    """
    for h in range(n):
        out[h] = 0.0
    whole = 1 + precision * tau * tau
    width = tau / math.sqrt(whole)
    centre = (middle + precision * tau * tau * estimate) / whole
    away = middle - estimate
    norm = math.exp(-away * away * precision / whole / 2) / math.sqrt(whole)
    for q in range(7):
        i, t = six_points((centre + width * ROOTS[q] - start) / step, n)
        weights = six_weights(t)
        for j in range(6):
            z = start + (i + j) * step - estimate
            out[i + j] += norm * SHARES[q] * weights[j] * math.exp(z * z * precision / 2)


@compiled
def _over_log_nu(logs, begin, n_eta, n_x, excesses, middle, tau, row, out):
    """Integrate each row of a group over a narrow log nu, whose place and width are in steps."""
    n_kinds = len(excesses)
    for g in range(n_eta):
        for h in range(n_x):
            row[h] = 0.0
        for i in range(n_kinds):
            at = begin + (g * n_kinds + i) * n_x
            for h in range(n_x):
                row[h] += excesses[i] * logs[at + h]
        out[g] = integral(row, n_x, (0.0, 1.0, 0.0, 0.0), middle, tau)
