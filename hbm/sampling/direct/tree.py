"""Messages up the tree: log p(data | θ), with every effect summed out.

θ is what all groups share: the standard deviations between the members of each level, the middle
and the spread of log nu, and the excess of the design effect. Given θ, each group sends to its
parent the log density of what was seen of it as a function of the parent's effect, each parent
sends on the sum of what it was sent, and the grand mean is summed out at the top. The pair of
effects of a group is tabulated once (:mod:`hbm.sampling.direct.tables`); the grids of all above
are laid anew for each θ, where a Normal tree says that the posterior lies.

Where there are predictors, each group is moved from its parent by what they say of it and of all it
stands in: effects above the groups are less what these add.

Nodes are numbered from the top down: 0 is the grand mean.
"""

import math

import numpy as np

from hbm.sampling.direct.grids import called_from_python, compiled, integral, plus, value_at
from hbm.sampling.direct.line import by_powers, message
from hbm.students.summary_density import size_of

__all__ = ["place", "upward"]

_LEAST = 1e-300
_NO_WEIGHT = 1e-40
_NARROW = 0.5  # sd of log nu below which weights of neighbours may have other signs
_CANCELLED = 0.1
_SMOOTH = 0.2  # spacing of log nu, in sds of its likelihood, at which that is interpolated itself
_size_of = compiled(size_of)
# Gauss and Hermite's seven points of a standard Normal.
_ROOTS, _SHARES = np.polynomial.hermite_e.hermegauss(7)
_SHARES = _SHARES / _SHARES.sum()


@compiled
def place(theta, shift, middle, tree, sites, reach, n_points, start, step, mean, sd):
    """Lay the grids of the effects above the groups, for one θ.

    Each group is taken to say of its effect what a Normal would (`sites`), so that the posterior
    is a Normal's: estimates go up the tree, and down again what the rest says of each.

    Parameters
    ----------
    theta : numpy.ndarray, shape (n_levels + 3,)
        tau of each level from the top down, log nu, tau_nu and the excess.
    shift, middle : numpy.ndarray, shape (n_groups,)
        By how much predictors move each group from its parent; and log nu, moved likewise.
    tree : tuple
        Parents and levels of the nodes, parents of the groups, mean and sd of the grand mean; an
        sd of 0 fixes it.
    sites : tuple
        Each group's estimate; its variance, if individuals are independent, at a few values of
        log nu: (n_groups, n_values); and the first of these and their distance.
    reach : float
        How far grids go, in posterior standard deviations.
    n_points : int
        Points of each grid.
    start, step, mean, sd : numpy.ndarray, shape (n_nodes,)
        Overwritten with the grids, and posterior means and sds.
    """
    node_parent, node_level, parent, top_mean, top_sd = tree
    estimate, variances, lowest, apart = sites
    n_levels = len(theta) - 3
    n_nodes = len(node_parent)
    own = theta[n_levels - 1] ** 2
    wider = 1 + theta[n_levels + 2]
    precision, pull = np.zeros(n_nodes), np.zeros(n_nodes)
    last = variances.shape[1] - 1
    for s in range(len(parent)):
        at = min(max((middle[s] - lowest) / apart, 0.0), float(last))
        below = min(int(at), max(last - 1, 0))
        share = at - below
        variance = variances[s, below] * (1 - share) + variances[s, min(below + 1, last)] * share
        weight = 1 / (variance * wider + own)
        precision[parent[s]] += weight
        pull[parent[s]] += weight * plus(estimate[s], -shift[s])
    for a in range(n_nodes - 1, 0, -1):
        weight = 1 / (1 / precision[a] + theta[node_level[a]] ** 2)
        precision[node_parent[a]] += weight
        pull[node_parent[a]] += weight * pull[a] / precision[a]
    if top_sd > 0:
        weight = 1 / top_sd**2
        whole = precision[0] + weight
        mean[0], sd[0] = (pull[0] + weight * top_mean) / whole, 1 / math.sqrt(whole)
        start[0], step[0] = mean[0] - reach * sd[0], 2 * reach * sd[0] / (n_points - 1)
    else:
        mean[0], sd[0], start[0], step[0] = top_mean, 0.0, top_mean, 1.0
    for a in range(1, n_nodes):
        above = node_parent[a]
        tau2 = theta[node_level[a]] ** 2
        sent = 1 / (1 / precision[a] + tau2)
        centre, width2 = mean[above], 0.0
        if sd[above] > 0:
            all_of_it = 1 / sd[above] ** 2
            rest = max(all_of_it - sent, 1e-9 * all_of_it)
            centre = (mean[above] * all_of_it - sent * pull[a] / precision[a]) / rest
            width2 = 1 / rest
        weight = 1 / (width2 + tau2 + 1e-18)
        whole = precision[a] + weight
        mean[a], sd[a] = (pull[a] + weight * centre) / whole, 1 / math.sqrt(whole)
        start[a], step[a] = mean[a] - reach * sd[a], 2 * reach * sd[a] / (n_points - 1)


@compiled
def _weights_of_log_nu(middle, tau, start, step, n, estimate, precision, out):
    """Weigh a grid of log nu so that Σ out f is ∫ f N(middle, tau); return first and last of it.

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
        first, last = nearest, nearest
        weight, ratio = norm, math.exp(-z * by - by * by / 2)
        for h in range(nearest, n):
            if weight < _NO_WEIGHT:
                break
            out[h] = weight
            last = h
            weight *= ratio
            ratio *= turn
        ratio = math.exp(z * by - by * by / 2)
        weight = norm * ratio
        for h in range(nearest - 1, -1, -1):
            if weight < _NO_WEIGHT:
                break
            out[h] = weight
            first = h
            ratio *= turn
            weight *= ratio
        return first, last + 1
    whole = 1 + precision * tau * tau
    width = tau / math.sqrt(whole)
    centre = (middle + precision * tau * tau * estimate) / whole
    away = middle - estimate
    norm = math.exp(-away * away * precision / whole / 2) / math.sqrt(whole)
    first, last = n, 0
    for q in range(7):
        i, t = _six_points((centre + width * _ROOTS[q] - start) / step, n)
        first, last = min(first, i), max(last, i + 6)
        for j in range(6):
            c = norm * _SHARES[q]
            for other in range(6):
                if other != j:
                    c *= (t - other) / (j - other)
            z = start + (i + j) * step - estimate
            out[i + j] += c * math.exp(z * z * precision / 2)
    return first, last


@compiled
def _weights_of_size(middle, theta, n, start, step, n_x, out):
    """Weigh a grid of the log of the size of a mean's law so that Σ out f is ∫ f, log nu Normal."""
    n_levels = len(theta) - 3
    tau, excess = theta[n_levels + 1], theta[n_levels + 2]
    for h in range(n_x):
        out[h] = 0.0
    fine = min(0.6, 0.3 / tau) if tau > 0 else 0.6
    n_points = math.ceil(5.5 / fine)
    first, last = n_x, 0
    for q in range(-n_points, n_points + 1):
        z = q * fine
        size = _size_of(n, math.exp(min(middle + tau * z, 20.0)), excess)
        at = (math.log(max(size, _LEAST)) - start) / step
        i, t = _six_points(at, n_x)
        first, last = min(first, i), max(last, i + 6)
        c = fine / 2.5066282746310002 * math.exp(-z * z / 2)
        a1, a2, a3, a4, a5 = t - 1, t - 2, t - 3, t - 4, t - 5
        out[i] -= c * a1 * a2 * a3 * a4 * a5 / 120
        out[i + 1] += c * t * a2 * a3 * a4 * a5 / 24
        out[i + 2] -= c * t * a1 * a3 * a4 * a5 / 12
        out[i + 3] += c * t * a1 * a2 * a4 * a5 / 12
        out[i + 4] -= c * t * a1 * a2 * a3 * a5 / 24
        out[i + 5] += c * t * a1 * a2 * a3 * a4 / 120
    return first, last


@compiled
def _mend(rows, lowest, highest, weights, n_g, n_x, logs, begin, middle, theta, n, start, step,
          level, total):  # fmt: skip
    """Sum anew, by points between those of the grid, where the terms of a sum nearly cancelled."""
    n_levels = len(theta) - 3
    tau, excess = theta[n_levels + 1], theta[n_levels + 2]
    at = np.empty(7)
    for q in range(7):
        size = _size_of(n, math.exp(min(middle + tau * _ROOTS[q], 20.0)), excess)
        at[q] = (math.log(max(size, _LEAST)) - start) / step
    for g in range(n_g):
        most = 0.0
        for h in range(lowest, highest):
            most = max(most, abs(weights[h]) * rows[h, g])
        if total[g] > _CANCELLED * most:
            continue
        row = logs[begin + g * n_x : begin + (g + 1) * n_x]
        total[g] = 0.0
        for q in range(7):
            below = value_at(row, n_x, at[q]) - level[g]
            total[g] += _SHARES[q] * math.exp(max(below, -690.0))
        total[g] = max(total[g], _LEAST)


@compiled
def _six_points(position, n):
    """Return the first of the six points around a position, and the position from there on."""
    position = min(max(position, 0.0), n - 1.0)
    i = min(max(int(position) - 2, 0), n - 6)
    return i, position - i


@compiled
def _over_log_nu(logs, begin, n_eta, n_kinds, n_x, nodes, middle, tau, out):
    """Integrate each row of a group over a narrow log nu, whose place and width are in steps."""
    row = np.empty(n_x)
    for g in range(n_eta):
        row[:] = 0.0
        for i in range(n_kinds):
            at = begin + (g * n_kinds + i) * n_x
            for h in range(n_x):
                row[h] += nodes[i] * logs[at + h]
        out[g] = integral(row, n_x, (0.0, 1.0, 0.0, 0.0), middle, tau)


@called_from_python
def upward(thetas, shifts, middles, nodes, tree, sites, grids, tables, n_points, reach, keep, sums,
           of_group, messages, start, step):  # fmt: skip
    """Return log p(data | θ) of a few θ, and leave what a way down goes by.

    Parameters
    ----------
    thetas : numpy.ndarray, shape (n, n_levels + 3)
        As for :func:`place`.
    shifts, middles : numpy.ndarray, shape (n, n_groups)
        As there.
    nodes : numpy.ndarray, shape (n, n_nodes)
        Weights by which tables at a few excesses make that of each θ.
    tree, sites, grids, tables : tuple
        Of :mod:`hbm.sampling.direct.tables`.
    n_points, reach : int, float
        Of the grids above the groups.
    keep : bool
        Whether to leave `of_group` as well.
    sums : numpy.ndarray, shape (n,)
        Overwritten with the result.
    of_group : numpy.ndarray, shape (n, number of all points)
        Overwritten: with the log density of each group at each point of its own grid, to keep.
    messages : numpy.ndarray, shape (n, n_nodes, n_points)
        Overwritten with what the nodes were sent.
    start, step : numpy.ndarray, shape (n, n_nodes)
        Overwritten with their grids.
    """
    node_parent, node_level, parent, top_mean, top_sd = tree
    (anchor, first, apart, curve, power, n_eta, at_eta, x_first, x_apart, n_x, size, x_seen,
     x_precision) = grids  # fmt: skip
    table, at_table, levels, at_level, heights, tops, kinds_of, logs = tables
    n_nodes = len(node_parent)
    n_levels = thetas.shape[1] - 3
    mean, sd = np.empty(n_nodes), np.empty(n_nodes)
    most = max(n_points, max(n_eta.max(), n_x.max()))
    work = np.empty((4, most))
    total, level, relative = np.empty(most), np.empty(most), np.empty(most)
    weights = np.empty(n_x.max())
    for b in range(len(thetas)):
        place(thetas[b], shifts[b], middles[b], tree, sites, reach, n_points, start[b], step[b],
              mean, sd)  # fmt: skip
        messages[b] = 0.0
    at_root = n_points if top_sd > 0 else 1
    for s in range(len(parent)):
        n_g, n_h, n_kinds, above = n_eta[s], n_x[s], kinds_of[s], parent[s]
        rows = table[at_table[s] : at_table[s] + n_g * n_kinds * n_h].reshape(n_kinds * n_h, n_g)
        k = n_points if above > 0 else at_root
        smooth = x_apart[s] ** 2 * x_precision[s] <= _SMOOTH**2
        for b in range(len(thetas)):
            theta = thetas[b]
            tau, middle = theta[n_levels - 1], middles[b, s]
            lowest_mean = plus(start[b, above], shifts[b, s])
            scale = (1 + theta[n_levels + 2]) ** power[s] if power[s] > 0 else 1.0
            if curve[s] > 0:
                grid = (first[s], apart[s], anchor[s], curve[s] * scale)
            else:
                grid = (first[s] * scale, apart[s] * scale, anchor[s], 0.0)
            own = of_group[b, at_eta[s] : at_eta[s] + n_g]
            if size[s] == 0 and theta[n_levels + 1] < x_apart[s] and not smooth:
                _over_log_nu(logs, at_table[s], n_g, n_kinds, n_h, nodes[b],
                             (middle - x_first[s]) / x_apart[s],
                             theta[n_levels + 1] / x_apart[s], own)  # fmt: skip
                message(own, n_g, grid, tau, lowest_mean, step[b, above], k, messages[b, above],
                        work)  # fmt: skip
                continue
            if size[s] > 0:
                lowest, highest = _weights_of_size(middle, theta, size[s], x_first[s], x_apart[s],
                                                   n_h, weights)  # fmt: skip
            else:
                lowest, highest = _weights_of_log_nu(
                    middle, theta[n_levels + 1], x_first[s], x_apart[s], n_h, x_seen[s],
                    x_precision[s], weights,
                )  # fmt: skip
            total[:n_g] = 0.0
            level[:n_g] = 0.0
            top = 0.0
            for i in range(n_kinds):
                share = nodes[b, i] if n_kinds > 1 else 1.0
                for h in range(lowest, highest):
                    w = share * weights[h]
                    row = rows[i * n_h + h]
                    for g in range(n_g):
                        total[g] += w * row[g]
                for g in range(n_g):
                    level[g] += share * levels[at_level[s] + i * n_g + g]
                top += share * tops[s, i]
            for g in range(n_g):
                total[g] = max(total[g], _LEAST)
            if size[s] > 0 and theta[n_levels + 1] < _NARROW:
                _mend(rows, lowest, highest, weights, n_g, n_h, logs, at_table[s], middle, theta,
                      size[s], x_first[s], x_apart[s], level, total)  # fmt: skip
            plain = curve[s] == 0 and tau >= grid[1]
            if keep or not plain:
                for g in range(n_g):
                    own[g] = level[g] + math.log(total[g])
            if plain:
                if n_kinds == 1:
                    for g in range(n_g):
                        relative[g] = total[g] * heights[at_eta[s] + g]
                else:
                    for g in range(n_g):
                        relative[g] = total[g] * math.exp(max(level[g] - top, -600.0))
                plain = by_powers(relative, top, n_g, anchor[s] + grid[0], grid[1], tau,
                                  lowest_mean, step[b, above], k, messages[b, above],
                                  work)  # fmt: skip
                if not plain and not keep:
                    for g in range(n_g):
                        own[g] = level[g] + math.log(total[g])
            if not plain:
                message(own, n_g, grid, tau, lowest_mean, step[b, above], k, messages[b, above],
                        work)  # fmt: skip
    for b in range(len(thetas)):
        for a in range(n_nodes - 1, 0, -1):
            above = node_parent[a]
            k = n_points if above > 0 else at_root
            message(messages[b, a], n_points, (start[b, a], step[b, a], 0.0, 0.0),
                    thetas[b, node_level[a]], start[b, above], step[b, above], k,
                    messages[b, above], work)  # fmt: skip
        if top_sd == 0:
            sums[b] = messages[b, 0, 0]
            continue
        highest = -1e300
        for i in range(n_points):
            z = (start[b, 0] + i * step[b, 0] - top_mean) / top_sd
            work[0, i] = messages[b, 0, i] - z * z / 2
            highest = max(highest, work[0, i])
        whole = 0.0
        for i in range(n_points):
            whole += math.exp(work[0, i] - highest)
        sums[b] = highest + math.log(whole * step[b, 0] / top_sd / 2.5066282746310002)
