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

from hbm.sampling.direct.grids import (
    LEAST,
    LOG_ROOT_2PI,
    bounded_exp,
    called_from_python,
    integral,
    plus,
)
from hbm.sampling.direct.line import by_powers

__all__ = ["place", "upward"]


@called_from_python
def place(thetas, shifts, middles, tree, sites, reach, n_points, start, step, mean, sd):
    """Lay the grids of the effects above the groups, for each θ.

    Each group is taken to say of its effect what a Normal would (`sites`), so that the posterior
    is a Normal's: estimates go up the tree, and down again what the rest says of each.

    Parameters
    ----------
    thetas : numpy.ndarray, shape (n, n_levels + 3)
        tau of each level from the top down, log nu, tau_nu and the excess.
    shifts, middles : numpy.ndarray, shape (n, n_groups)
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
    start, step, mean, sd : numpy.ndarray, shape (n_nodes, n)
        Overwritten with the grids, and posterior means and sds.
    """
    node_parent, node_level, parent, top_mean, top_sd = tree
    estimate, variances, lowest, apart = sites
    n_levels, n_nodes, last = thetas.shape[1] - 3, len(node_parent), variances.shape[1] - 1
    precision, pull = np.empty(n_nodes), np.empty(n_nodes)
    for b in range(len(thetas)):
        own, wider = thetas[b, n_levels - 1] ** 2, 1 + thetas[b, n_levels + 2]
        for a in range(n_nodes):
            precision[a] = pull[a] = 0.0
        for s in range(len(parent)):
            at = min(max((middles[b, s] - lowest) / apart, 0.0), float(last))
            below = min(int(at), max(last - 1, 0))
            share = at - below
            variance = variances[s, below] * (1 - share)
            variance += variances[s, min(below + 1, last)] * share
            weight = 1 / (variance * wider + own)
            precision[parent[s]] += weight
            pull[parent[s]] += weight * plus(estimate[s], -shifts[b, s])
        for a in range(n_nodes - 1, 0, -1):
            weight = 1 / (1 / precision[a] + thetas[b, node_level[a]] ** 2)
            precision[node_parent[a]] += weight
            pull[node_parent[a]] += weight * pull[a] / precision[a]
        if top_sd > 0:
            weight = 1 / top_sd**2
            whole = precision[0] + weight
            mean[0, b], sd[0, b] = (pull[0] + weight * top_mean) / whole, 1 / math.sqrt(whole)
        else:
            mean[0, b], sd[0, b] = top_mean, 0.0
            start[0, b], step[0, b] = top_mean, 1.0
        for a in range(1, n_nodes):
            above = node_parent[a]
            tau2 = thetas[b, node_level[a]] ** 2
            sent = 1 / (1 / precision[a] + tau2)
            centre, width2 = mean[above, b], 0.0
            if sd[above, b] > 0:
                all_of_it = 1 / sd[above, b] ** 2
                rest = max(all_of_it - sent, 1e-9 * all_of_it)
                centre = (mean[above, b] * all_of_it - sent * pull[a] / precision[a]) / rest
                width2 = 1 / rest
            weight = 1 / (width2 + tau2 + 1e-18)
            whole = precision[a] + weight
            mean[a, b], sd[a, b] = (pull[a] + weight * centre) / whole, 1 / math.sqrt(whole)
        for a in range(0 if top_sd > 0 else 1, n_nodes):
            start[a, b] = mean[a, b] - reach * sd[a, b]
            step[a, b] = 2 * reach * sd[a, b] / (n_points - 1)


@called_from_python
def upward(groups, thetas, shifts, tree, grids, start, step, relative, top, messages, sums):
    """Return log p(data | θ) of a few θ, and leave what a way down goes by.

    Parameters
    ----------
    groups : numpy.ndarray of int
        Whose densities have yet to be sent.
    thetas, shifts, tree
        As for :func:`place`.
    grids : tuple
        Of :mod:`hbm.sampling.direct.tables`.
    start, step : numpy.ndarray, shape (n_nodes, n)
        Grids of the effects above the groups, from :func:`place`.
    relative, top : numpy.ndarray
        Densities of groups, from :func:`hbm.sampling.direct.marginal.marginals`.
    messages : numpy.ndarray, shape (n_nodes, n_points, n)
        What other groups sent; changed to all that the nodes were sent.
    sums : numpy.ndarray, shape (n,)
        Overwritten with the result.
    """
    node_parent, node_level, parent, top_mean, top_sd = tree
    anchor, first, apart, _, widens, n_eta, at_eta, _, _, _, _, _, _ = grids
    (n_nodes, n_points, n_theta), n_groups = messages.shape, len(groups)
    n_levels = thetas.shape[1] - 3
    most = max(n_points, n_eta.max())
    room, row = np.empty((4, most, n_theta)), np.empty((9, n_theta))
    begin, between, lowest, tau = np.empty((4, n_theta))
    does, f = np.empty(n_theta, np.bool_), np.empty(most)
    of_node, of_nodes_top = np.empty((n_points, n_theta)), np.empty(n_theta)
    product = np.ones((n_nodes, n_points, n_theta))
    # Groups send to their parents, then these to theirs, from the bottom up.
    for sender in range(n_groups + n_nodes):
        a = n_groups + n_nodes - 1 - sender
        if sender < n_groups:
            s = groups[sender]
            above, sent, of = parent[s], relative[at_eta[s] : at_eta[s] + n_eta[s]], top[s]
            for b in range(n_theta):
                wider = math.sqrt(1 + thetas[b, n_levels + 2]) if widens[s] else 1.0
                begin[b], between[b] = anchor[s] + first[s] * wider, apart[s] * wider
                tau[b], lowest[b] = thetas[b, n_levels - 1], plus(start[above, b], shifts[b, s])
        else:
            above, sent, of = node_parent[a], of_node, of_nodes_top
            n = n_points if a > 0 or top_sd > 0 else 1
            for b in range(n_theta):
                of[b] = -1e300
            for i in range(n):
                for b in range(n_theta):
                    messages[a, i, b] += math.log(product[a, i, b])
                    of[b] = max(of[b], messages[a, i, b])
            if a == 0:
                break
            for i in range(n):
                for b in range(n_theta):
                    sent[i, b] = bounded_exp(messages[a, i, b] - of[b])
            for b in range(n_theta):
                begin[b], between[b], lowest[b] = start[a, b], step[a, b], start[above, b]
                tau[b] = thetas[b, node_level[a]]
        k = n_points if above > 0 or top_sd > 0 else 1
        by_powers(sent, of, between, begin, tau, lowest, step[above], k, messages[above],
                  product[above], does, room, row)  # fmt: skip
        for b in range(n_theta):
            if does[b]:
                continue
            for g in range(len(sent)):
                f[g] = of[b] + math.log(max(sent[g, b], LEAST))
            grid = (begin[b], between[b], 0.0, 0.0)
            for i in range(k):
                m = lowest[b] + i * step[above, b]
                messages[above, i, b] += integral(f, len(sent), grid, m, tau[b])
    for b in range(n_theta):
        if top_sd == 0:
            sums[b] = messages[0, 0, b]
            continue
        highest, whole = -1e300, 0.0
        for i in range(n_points):
            z = (start[0, b] + i * step[0, b] - top_mean) / top_sd
            f[i] = messages[0, i, b] - z * z / 2
            highest = max(highest, f[i])
        for i in range(n_points):
            whole += math.exp(f[i] - highest)
        sums[b] = highest + math.log(whole * step[0, b] / top_sd) - LOG_ROOT_2PI
