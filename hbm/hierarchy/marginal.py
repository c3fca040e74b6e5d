"""Marginal likelihoods of families: of all that was seen below a member of an upper level.

Given a parent's effect its children are independent, so that the log density of all of them is a
sum, tabulated on a grid of the parent's effect, and averaged over N(the effect above, tau) by the
same quadrature as a group's own (:mod:`hbm.hierarchy.quadrature`). A zone is to its authorities
what an authority is to its schools, so one function goes down any number of levels.

Grids are each draw's own. They are laid where rough estimates of the groups put the effect, looked
at, and laid anew where these misled.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from hbm.hierarchy.chain_evidence import ChainEvidence
from hbm.hierarchy.quadrature import (
    average_over_effect,
    given_locations,
    log_sum_exp,
    marginal,
    same_length,
)
from hbm.students.law import Evidence

__all__ = ["Family", "Placed", "head_given_siblings", "marginal", "marginal_family", "without_each"]

Floats = NDArray[np.float64]
Family = Sequence[Any]  # of Evidence or ChainEvidence, or of families

_REACH = 6.0  # how far a grid goes beyond where an integrand is centred, in its sds
_STEP = 0.8  # between its points, in sds of the narrowest integrand
_FEWEST, _MOST = 15, 101  # points
_LOOKS = 6  # at a grid, to where the integrand is
_LEAST = 1e-7  # half-width of a grid for a tau of 0


@dataclass(frozen=True, eq=False)
class Placed:
    """What was seen of a member of which something is known: it is around more than its head.

    Attributes
    ----------
    node : Evidence or family
        What was seen.
    shift : numpy.ndarray, shape (n_draws,)
        By how much what is known moves where its effect is centred.
    within : sequence of numpy.ndarray, shape (n_draws,), or None
        Of a group: as for :func:`marginal_family`, which of placed nodes is given the numbers of
        draws instead.
    """

    node: Any
    shift: Floats
    within: Sequence[Floats] | None = None


def marginal_family(
    family: Family,
    m: Floats,
    taus: Sequence[Floats],
    *within: Floats,
) -> Floats:
    """Return the log density of what was seen of all groups of a family, jointly.

    The effect of the family's head is N(m, taus[0]), that of its children N(its effect, taus[1]),
    and so on down to the groups.

    Parameters
    ----------
    family : sequence of Evidence or ChainEvidence, or of families, or Placed
        What was seen of each group, in as many levels as there are `taus` less one.
    m : numpy.ndarray, shape (n_draws,) or (1,)
        Draws of the mean of the head's effect.
    taus : sequence of numpy.ndarray, shape (n_draws,) or (1,)
        Draws of the standard deviations, from the head's level down.
    *within : numpy.ndarray, shape (n_draws,) or (1,)
        Draws of the mean of the groups' log spreads, of its standard deviation, and of the design
        effect less 1 (0 if not given). For chains, and what is placed, which draws these are:
        their numbers.

    Returns
    -------
    numpy.ndarray, shape (n_draws,) or (1,)

    Examples
    --------
    >>> seen = Evidence(lambda eta, x, s: -2 * (eta - 1) ** 2 + 0 * (x + s), 1.0, 0.5, np.nan)
    >>> one = np.array([1.0])
    >>> alone = marginal_family([seen], 0 * one, [0.6 * one, 0.8 * one], one, one)
    >>> np.exp(alone).round(5)  # exp(-2 / 5) / √5, since 0.6² + 0.8² = 1
    array([0.29978])
    """
    m, taus, within = _alike(m, taus, *within)
    return _given(family, m[:, None], taus, within)[:, 0]


def without_each(
    family: Family,
    m: Floats,
    taus: Sequence[Floats],
    *within: Floats,
    kept: Family | None = None,
) -> Floats:
    """Return the log density of what was seen of each group of a family given that of its siblings.

    It is that of all groups less that of all but the one, with the head's effect integrated in
    both.

    Parameters
    ----------
    family, m, taus, within
        As for :func:`marginal_family`, with groups for children.
    kept : sequence of ChainEvidence, optional
        What stays of each group when the rest of it is left out; nothing if not given.

    Returns
    -------
    numpy.ndarray, shape (n_draws, n_groups)

    Examples
    --------
    >>> seen = Evidence(lambda eta, x, s: -2 * (eta - 1) ** 2 + 0 * (x + s), 1.0, 0.5, np.nan)
    >>> one = np.array([1.0])
    >>> both = marginal_family([seen, seen], 0 * one, [one, one], one, one)
    >>> alone = marginal_family([seen], 0 * one, [one, one], one, one)
    >>> np.allclose(without_each([seen, seen], 0 * one, [one, one], one, one), both - alone)
    True
    """
    m, taus, within = _alike(m, taus, *within)
    if len(family) == 1 and kept is None:
        return _given(family, m[:, None], taus, within)
    result = np.empty((len(m), len(family)))
    for rows, start, step, parts in _tables(family, m[:, None], taus, within, apart=True):
        whole = parts.sum(axis=0)
        grid = start[:, None] + step[:, None] * np.arange(parts.shape[2])
        _take_off(parts, kept, grid, [t[rows] for t in taus[1:]], [x[rows] for x in within])
        at, tau = m[rows, None], taus[0][rows]
        everything = average_over_effect(whole, start, step, at, tau)[:, 0]
        for j, own in enumerate(parts):
            others = average_over_effect(whole - own, start, step, at, tau)[:, 0]
            result[rows, j] = everything - others
    return result


def head_given_siblings(
    family: Family,
    m: Floats,
    taus: Sequence[Floats],
    *within: Floats,
    p: Floats,
    kept: Family | None = None,
) -> Floats:
    """Return quantiles of the effect of a family's head, given all groups of it but each.

    Parameters
    ----------
    family, m, taus, within, kept
        As for :func:`without_each`.
    p : numpy.ndarray, shape (n_draws, n_points)
        Probabilities, some of each draw.

    Returns
    -------
    numpy.ndarray, shape (n_draws, n_points, n_groups)
    """
    m, taus, within = _alike(m, taus, *within)
    if len(family) == 1 and kept is None:
        return (m[:, None] + taus[0][:, None] * ndtri(p))[..., None]
    result = np.empty((*p.shape, len(family)))
    for rows, start, step, parts in _tables(family, m[:, None], taus, within, apart=True):
        whole = parts.sum(axis=0)
        grid = start[:, None] + step[:, None] * np.arange(parts.shape[2])
        _take_off(parts, kept, grid, [t[rows] for t in taus[1:]], [x[rows] for x in within])
        prior = -(((grid - m[rows, None]) / np.maximum(taus[0][rows], 1e-12)[:, None]) ** 2) / 2
        for j, own in enumerate(parts):
            log_share = whole - own + prior
            share = np.exp(log_share - log_sum_exp(log_share)[:, None])
            # Half of a point's share lies on either side of it.
            cumulative = np.cumsum(share, axis=1) - share / 2
            above = (cumulative[:, None] < p[rows][..., None]).sum(axis=2)
            above = above.clip(1, parts.shape[2] - 1)
            low, high = (np.take_along_axis(cumulative, i, 1) for i in (above - 1, above))
            part = np.clip((p[rows] - low) / np.maximum(high - low, 1e-300), 0, 1)
            result[rows, :, j] = start[:, None] + (above - 1 + part) * step[:, None]
    return result


def _take_off(parts, kept, grid, taus, within) -> None:
    """Take off each child's log density that of what is kept of it, where there is such."""
    for part, stays in zip(parts, kept or (), strict=kept is not None):
        part -= _given(stays, grid, taus, within)


def _alike(m, taus, *within):
    """Return draws of one length: of m, of the taus, and of what is within groups."""
    m, *others = same_length(m, *taus, *within)
    return m, others[: len(taus)], others[len(taus) :]


def _given(node, points, taus, within) -> Floats:
    """Return the log density below a node at points of the effect above it: (n_draws, n_points)."""
    if isinstance(node, Placed):
        rows = within[-1].astype(np.int64)
        if node.within is not None:
            within = [x[rows] for x in node.within]
        return _given(node.node, points + node.shift[rows, None], taus, within)
    if isinstance(node, Evidence):
        return given_locations(node, points, taus[0], *within)
    if isinstance(node, ChainEvidence):
        return node.given(points, taus[0], *within)
    result = np.empty(points.shape)
    for rows, start, step, parts in _tables(node, points, taus, within):
        result[rows] = average_over_effect(
            parts.sum(axis=0), start, step, points[rows], taus[0][rows]
        )
    return result


def _tables(family, points, taus, within, apart=False):
    """Tabulate each child's log density on a grid of the effect of the family's head.

    Yields which draws, the start and the step of their grids, and the tables, (n_children, n_draws,
    n_points). `apart` says that each child will be left out in turn.
    """
    tau, *below = taus
    estimate, precision = _rough(family, below)
    low, high, narrowest = _where(family, points, tau, estimate, precision, below, apart)
    todo = np.arange(len(tau))
    for look in range(_LOOKS):
        n = (high - low) / (_STEP * narrowest)
        n = int(np.clip(np.ceil(n.max()) + 1, _FEWEST, _MOST))
        step = (high - low) / (n - 1)
        grid = low[:, None] + step[:, None] * np.arange(n)
        here = [t[todo] for t in below], [x[todo] for x in within]
        parts = np.stack([_given(child, grid, *here) for child in family])
        off, *better = _look(parts, grid, step, points[todo], tau[todo], apart)
        if look == _LOOKS - 1:
            off[:] = False
        if not off.all():
            yield todo[~off], low[~off], step[~off], parts[:, ~off]
        todo, (low, high, narrowest) = todo[off], (x[off] for x in better)
        if not len(todo):
            return


def _rough(node, taus) -> tuple[Any, Any]:
    """Return a rough estimate of a node's effect from what was seen below, and its precision."""
    if isinstance(node, Placed):
        estimate, precision = _rough(node.node, taus)
        return estimate - node.shift.mean(), precision
    if isinstance(node, Evidence | ChainEvidence):
        return node.effect, 1 / node.effect_se**2
    total, pull = np.zeros_like(taus[0]), np.zeros_like(taus[0])
    for child in node:
        estimate, precision = _rough(child, taus[1:])
        weight = 1 / (1 / precision + taus[0] ** 2)
        total += weight
        pull += weight * estimate
    return pull / total, total


def _where(family, points, tau, estimate, precision, below, apart):
    """Return where grids have to reach, and the sd of the narrowest integrand, by draw."""

    def centred(estimate, precision):
        pulled = precision * tau**2 / (1 + precision * tau**2)
        ends = points.min(axis=1), points.max(axis=1)
        return [x + (estimate - x) * pulled for x in ends], tau / np.sqrt(1 + precision * tau**2)

    centres, narrowest = centred(estimate, precision)
    lows, highs = [centres[0] - _REACH * narrowest], [centres[1] + _REACH * narrowest]
    for child in family if apart else ():
        of_child, says = _rough(child, below[1:])
        weight = 1 / (1 / says + below[0] ** 2)
        rest = np.maximum(precision - weight, 1e-9 * precision)
        others = (estimate * precision - of_child * weight) / rest
        centres, width = centred(others, rest)
        lows.append(centres[0] - _REACH * width)
        highs.append(centres[1] + _REACH * width)
    low, high = np.min(lows, axis=0), np.max(highs, axis=0)
    return low - _LEAST, high + _LEAST, np.maximum(narrowest, _LEAST / _REACH)


def _look(parts, grid, step, points, tau, apart):
    """Say which draws' grids miss an integrand, and where better ones would lie."""
    whole = parts.sum(axis=0)
    tables = [whole, *(whole - own for own in parts)] if apart else [whole]
    lows, highs, sds = [], [], []
    for x in (points.min(axis=1), points.max(axis=1)):
        prior = -(((grid - x[:, None]) / np.maximum(tau, 1e-12)[:, None]) ** 2) / 2
        for table in tables:
            log_share = table + prior
            share = np.exp(log_share - log_sum_exp(log_share)[:, None])
            mean = (share * grid).sum(axis=1)
            sd = np.sqrt((share * (grid - mean[:, None]) ** 2).sum(axis=1))
            # At an end of its grid an integrand goes on for an unknown way.
            cut = np.maximum(share[:, 0], share[:, -1]) > 1e-3
            sd = np.where(cut, np.maximum(2 * sd, 3 * step), sd)
            lows.append(mean - _REACH * sd)
            highs.append(mean + _REACH * sd)
            sds.append(sd)
    low, high, narrowest = np.min(lows, axis=0), np.max(highs, axis=0), np.min(sds, axis=0)
    beyond = np.minimum(low - grid[:, 0], grid[:, -1] - high) < -1.5 * np.max(sds, axis=0)
    # Where a prior is narrower than the grid, the table is interpolated and need not show it.
    coarse = (1.25 * narrowest < step) & (tau > step)
    floor = np.maximum(narrowest, np.minimum(step / 4, tau + _LEAST))
    return beyond | coarse, low - _LEAST, high + _LEAST, floor
