"""Each group's likelihood on a small grid of its own two effects, computed once for all θ.

A grid has to hold the integrands of all θ that matter (:mod:`hbm.sampling.direct.support`); the
spacing is a share of the width of the narrowest. Where that is wide beside the priors, points are
as far apart as these ask for.

Where the design effect is learned, tables are made at a few values of it, Chebyshev's points of its
log, and interpolated: the log of the sum over each row, in which log nu varies, and the shares of
that. For groups that tell their effect better than the priors do the grid of eta widens alike.
Where nothing was seen of log nu, a mean may say much of eta or little, so that the grid of eta is
curved, dense where the mean lies and sparse far from it; and log nu and the excess count by the
size of the mean's law alone (:func:`hbm.students.summary_density.size_of`), whose log takes the
place of log nu.
"""

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from hbm.sampling.direct.problem import Problem
from hbm.sampling.direct.support import Box, Support, variances
from hbm.sampling.threads import in_threads
from hbm.students.summary_density import size_of

__all__ = ["DEPTH", "SPACING", "Box", "Grids", "Tables", "refined", "tabulate"]

Floats = NDArray[np.float64]

SPACING, DEPTH = 0.95, 15.0
_FEWEST, _MOST = 8, 400
_MOST_FOR_PRIORS = 40, 100  # of many groups, of few
_POINTS, _POINTS_FOR_MEANS = 20, 28  # of the grids above the groups
_REACH, _REACH_FOR_MEANS = 6.5, 8.0
# Of curved grids: spacing, relative to the distance from the anchor, and what is even around it.
_CURVED, _LEAST_CURVED = 0.35, 0.16
_OF_TAU = 1.1
_EVEN = 1.5
_OF_LOG_SIZE = 0.22


class Grids(NamedTuple):
    """The groups' own grids, as :mod:`hbm.sampling.direct.tree` reads them: shapes (n_groups,).

    Attributes
    ----------
    anchor, first, apart, curve : numpy.ndarray
        Of eta, as in :mod:`hbm.sampling.direct.grids`, where there is no excess.
    widens : numpy.ndarray of bool
        Whether the grid of eta widens by the root of the design effect; those that do are even.
    n_eta, at_eta : numpy.ndarray of int
        Numbers of its points, and how many other groups have before.
    x_first, x_apart, n_x : numpy.ndarray
        Of log nu; or of the log of the size of the mean's law.
    size : numpy.ndarray
        Number of individuals where the latter, else 0.
    x_seen, x_precision : numpy.ndarray
        What the likelihood says of it.
    """

    anchor: Floats
    first: Floats
    apart: Floats
    curve: Floats
    widens: NDArray[np.bool_]
    n_eta: NDArray[np.int64]
    at_eta: NDArray[np.int64]
    x_first: Floats
    x_apart: Floats
    n_x: NDArray[np.int64]
    size: Floats
    x_seen: Floats
    x_precision: Floats

    def eta(self, group: Any, g: Any, excess: float) -> Floats:
        """Return where point g of a group lies."""
        scale = np.where(self.widens[group], np.sqrt(1 + excess), 1.0)
        u = self.first[group] + g * self.apart[group]
        curve = self.curve[group]
        curved = curve > 0
        away = np.where(curved, curve * np.sinh(np.where(curved, u, 0.0)), u)
        return self.anchor[group] + scale * away

    @property
    def n_all(self) -> int:
        """Number of points of eta of all groups."""
        return int(self.n_eta.sum())


@dataclass(frozen=True, eq=False)
class Tables:
    """Grids of the groups and the likelihoods on them, as :mod:`hbm.sampling.direct.tree` reads."""

    box: Box
    sites: tuple[Any, ...]
    grids: Grids
    tables: tuple[Any, ...]
    logs: tuple[Any, ...]
    kinds: Floats
    n_points: int
    reach: float

    def nodes(self, excess: Floats) -> Floats:
        """Return the weights of the tables that make that of each excess: (n, n_kinds)."""
        n = len(self.kinds)
        if n == 1:
            return np.ones((len(excess), 1))
        away = np.log1p(excess)[:, None] - np.log1p(self.kinds)
        away[away == 0] = 1e-300
        weights = (-1.0) ** np.arange(n) * np.sin((np.arange(n) + 0.5) * np.pi / n) / away
        return weights / weights.sum(axis=1, keepdims=True)


def tabulate(
    problem: Problem,
    box: Box,
    spacing: float = SPACING,
    depth: float = DEPTH,
    n_kinds: int | None = None,
    threads: int = 1,
) -> Tables:
    """Lay the grids of all groups and compute their likelihoods.

    Parameters
    ----------
    problem : Problem
        What is to be drawn from.
    box : Box
        The θ that the grids are for.
    spacing : float, default 0.95
        Distance of points, in standard deviations of the narrowest integrand.
    depth : float, default 15
        How far below its maximum, in nats, an integrand is followed.
    n_kinds : int, optional
        At how many values of the excess to tabulate.
    threads : int, default 1
        Threads to work in.

    Returns
    -------
    Tables
    """
    k = problem.n_levels
    lowest, highest = box.low[k + 2], box.high[k + 2]
    ends = [lowest] if highest - lowest < 1e-9 else [lowest, highest]
    seen = [Support(problem, box, excess, depth) for excess in ends]
    untold = problem.untold
    # Of log nu: one grid, whatever the excess.
    x_low, x_high = (f([a.x[i] for a in seen], axis=0) for f, i in ((np.min, 0), (np.max, 1)))
    x_step = spacing * np.min([a.x_width for a in seen], axis=0)
    x_first, x_apart, n_x = _grid(x_low, x_high, x_step, box.low[k + 1], spacing)
    of_size = _grid_of_size(problem.d.n, x_low, x_high, ends, _OF_LOG_SIZE * spacing / SPACING)
    x_first, x_apart, n_x = (
        np.where(untold, b, a) for a, b in zip((x_first, x_apart, n_x), of_size, strict=True)
    )
    # Of eta: one that widens with the excess, or one that does not.
    anchor = np.where(untold, seen[0].anchor, seen[0].estimate)
    choices: list[Any] = []
    for exponent in (0.0, 0.5):
        scales = [(1 + excess) ** exponent for excess in ends]
        low = np.min([(a.eta[0] - anchor) / c for a, c in zip(seen, scales, strict=True)], axis=0)
        high = np.max([(a.eta[1] - anchor) / c for a, c in zip(seen, scales, strict=True)], axis=0)
        width = np.min([a.eta_width / c for a, c in zip(seen, scales, strict=True)], axis=0)
        narrowest = box.low[k - 1] / scales[-1]
        far = np.maximum(np.abs(box.m_low - anchor), np.abs(box.m_high - anchor))
        even = _grid(low, high, spacing * width, narrowest, spacing)
        curved = _curved_grid(low, high, width, narrowest / far, spacing)
        choices.append([np.where(untold, b, a) for a, b in zip((*even, 0.0), curved, strict=True)])
    widens = (choices[1][2] < choices[0][2]) & (len(ends) > 1) & ~untold
    first, apart, n_eta, curve = (np.where(widens, b, a) for a, b in zip(*choices, strict=True))
    of_values, *values = variances(problem, box, seen[0])

    if len(ends) == 1:
        kinds = np.array(ends)
    else:
        least, most = np.log1p(ends)
        n = n_kinds or int(np.ceil(3 + 2 * (most - least)))
        angle = (np.arange(n) + 0.5) * np.pi / n
        kinds = np.expm1((least + most) / 2 + (most - least) / 2 * np.cos(angle))
    grids = Grids(
        anchor, first, apart, curve, widens, n_eta, np.cumsum(n_eta) - n_eta,
        x_first, x_apart, n_x, np.where(untold, problem.d.n, 0.0),
        seen[0].x_estimate, seen[0].x_precision,
    )  # fmt: skip
    tables, logs = _fill(problem, grids, kinds, threads)
    sites = (seen[0].estimate, of_values / (1 + ends[0]), *values)
    above = (_POINTS_FOR_MEANS, _REACH_FOR_MEANS) if untold.mean() > 0.5 else (_POINTS, _REACH)
    return Tables(box, sites, grids, tables, logs, kinds, *above)


def refined(problem: Problem, tables: Tables, excess: float) -> Tables:
    """Return tables on grids of half the spacing, a tenth wider at each end, for one excess."""
    old = tables.grids

    def finer(start, step, n):
        more = np.ceil(0.1 * n).astype(np.int64)
        return start - more * step, step / 2, 2 * (n + 2 * more) - 1

    first, apart, n_eta = finer(old.first, old.apart, old.n_eta)
    x_first, x_apart, n_x = finer(old.x_first, old.x_apart, old.n_x)
    grids = old._replace(
        first=first, apart=apart, n_eta=n_eta, at_eta=np.cumsum(n_eta) - n_eta,
        x_first=x_first, x_apart=x_apart, n_x=n_x,
    )  # fmt: skip
    kinds = np.array([excess])
    filled, logs = _fill(problem, grids, kinds)
    n_points, reach = 2 * tables.n_points, 1.15 * tables.reach
    return Tables(tables.box, tables.sites, grids, filled, logs, kinds, n_points, reach)


def _grid(low, high, step, narrowest, spacing):
    """Return start, spacing and number of points of each group's grid."""
    # With points closer than most priors are wide, few need points of their own.
    most = np.clip(1000 / len(low), *_MOST_FOR_PRIORS)
    for_priors = np.maximum(0.95 * narrowest * min(spacing / SPACING, 1), (high - low) / most)
    step = np.minimum(step, for_priors)
    n = np.clip(np.ceil((high - low) / step).astype(np.int64) + 1, _FEWEST, _MOST)
    return low, (high - low) / (n - 1), n


def _curved_grid(low, high, width, narrowest, spacing):
    """Return the same of curved grids, and their curves.

    `narrowest` is relative to how far parents are from the anchor, where their Normals should be
    wider than the spacing.
    """
    curve = _EVEN * width
    step = np.clip(_OF_TAU * narrowest, _LEAST_CURVED, _CURVED) * spacing / SPACING
    start, end = np.arcsinh(low / curve), np.arcsinh(high / curve)
    n = np.clip(np.ceil((end - start) / step).astype(np.int64) + 1, _FEWEST, _MOST)
    return start, (end - start) / (n - 1), n, curve


def _grid_of_size(n, x_low, x_high, ends, step):
    """Return the same of grids of the log of the size of a mean's law."""
    low = np.log(size_of(n, np.exp(x_low), ends[-1]))
    high = np.log(size_of(n, np.exp(x_high), ends[0]))
    n = np.clip(np.ceil((high - low) / step).astype(np.int64) + 1, _FEWEST, _MOST)
    return low, (high - low) / (n - 1), n


def _fill(problem, grids, kinds, threads=1):
    """Return the tables of all groups: of shares within a row of log nu, of rows, and of logs."""
    n_eta, n_x, untold = grids.n_eta, grids.n_x, problem.untold
    n_kinds = np.where(untold, 1, len(kinds))
    cells = n_eta * n_x
    at_table, at_level = (np.cumsum(a) - a for a in (cells * n_kinds, n_eta * n_kinds))
    # Seven digits do for logs that draws go by; shares are as small as 1e-150, and no smaller.
    logs = np.empty((cells * n_kinds).sum(), dtype=np.float32)
    shares = np.empty(len(logs))
    levels, tops = np.empty((n_eta * n_kinds).sum()), np.empty((len(cells), len(kinds)))
    heights = np.empty(grids.n_all)

    def fill(i):
        excess, some = kinds[i], np.flatnonzero(n_kinds > i)
        if not len(some):
            return
        group = np.repeat(some, cells[some])
        begins = np.cumsum(cells[some]) - cells[some]
        within = np.arange(len(group)) - np.repeat(begins, cells[some])
        g, h = within // n_x[group], within % n_x[group]
        starts = np.flatnonzero(h == 0)
        of, row = group[starts], np.repeat(np.arange(len(starts)), n_x[group[starts]])
        x = grids.x_first[group] + h * grids.x_apart[group]
        eta = grids.eta(of, g[starts], excess)[row]
        value = np.empty(len(group))
        for which, log_lik in (
            (~untold[group], lambda a, e, y: problem.log_lik(a, e, y, excess)),
            (untold[group], problem.log_lik_of_mean),
        ):
            if which.any():
                value[which] = log_lik(group[which], eta[which], x[which])
        top = np.maximum.reduceat(value, starts)
        of_row = top + np.log(np.add.reduceat(np.exp(value - top[row]), starts))
        levels[at_level[of] + i * n_eta[of] + g[starts]] = of_row
        tops[some, i] = np.maximum.reduceat(of_row, np.cumsum(n_eta[some]) - n_eta[some])
        alone = n_kinds[of] == 1
        heights[(grids.at_eta[of] + g[starts])[alone]] = np.exp((of_row - tops[of, i])[alone])
        # The shares by log nu, then by excess and eta, for sums over log nu; logs the other way.
        logs[at_table[group] + (g * n_kinds[group] + i) * n_x[group] + h] = value
        share = np.exp(value - of_row[row])
        at = at_table[group] + (h * n_kinds[group] + i) * n_eta[group] + g
        shares[at] = np.where(share > 1e-150, share, 0.0)

    in_threads(fill, range(len(kinds)), threads)
    return (
        (shares, at_table, levels, at_level, heights, tops, logs),
        (logs, at_table, n_kinds),
    )
