"""Intervals of ranks, of one and of all at the same time, and comparison intervals, from draws.

:func:`hbm.ranks` has the equations.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

__all__ = ["joint_intervals", "pairs_apart", "rank_draws", "tiers", "worst_inversion"]

_BLOCK = 1_000_000  # draws × groups worked on at a time, which bounds the memory


def pairs_apart(lower: "ArrayLike", upper: "ArrayLike") -> int:
    """Count the pairs of intervals that do not overlap.

    Parameters
    ----------
    lower, upper : array-like
        Ends of the intervals.

    Returns
    -------
    int

    Examples
    --------
    >>> pairs_apart([1, 2, 5], [3, 5, 6])
    1
    """
    # Of each interval, those that end below it.
    return int(np.searchsorted(np.sort(upper), lower, side="left").sum())


def _blocks(values: np.ndarray) -> Iterator[slice]:
    step = max(1, _BLOCK // values.shape[1])
    return (slice(start, start + step) for start in range(0, len(values), step))


def rank_draws(values: np.ndarray) -> np.ndarray:
    """Rank the groups of each draw, 1 the highest; equals, if ever, share the better rank."""
    from scipy.stats import rankdata

    rank = np.empty(values.shape, np.int16 if values.shape[1] < 2**15 else np.int32)
    for rows in _blocks(values):
        rank[rows] = rankdata(-values[rows], method="min", axis=1)
    return rank


def worst_inversion(values: np.ndarray, centre: np.ndarray, spread: np.ndarray) -> np.ndarray:
    """Return for each draw the largest (m_i − m_j) / (s_i + s_j) of groups in the other order.

    As Dinkelbach (1967) maximises a ratio: raise c to the ratio of the pair with the largest
    m_i − m_j − c (s_i + s_j) until none is above 0. For one c that pair is found by sorting: beside
    each group the best of all that are lower in the draw.
    """
    worst = np.zeros(len(values))
    for rows in _blocks(values):
        order = np.argsort(values[rows], axis=1)
        m, s = centre[order], spread[order]
        c, each = worst[rows], np.arange(len(order))
        while True:
            low, high = m - c[:, None] * s, m + c[:, None] * s
            best_below = np.maximum.accumulate(low, axis=1)[:, :-1]
            j = (best_below - high[:, 1:]).argmax(axis=1)
            i = (low == best_below[each, j][:, None]).argmax(axis=1)
            j += 1
            gap, reach = m[each, i] - m[each, j], s[each, i] + s[each, j]
            larger = gap > c * reach * (1 + 1e-12)
            if not larger.any():
                break
            c[larger] = gap[larger] / reach[larger]
    return worst


def _rank_bounds(centre, spread, c) -> tuple[np.ndarray, np.ndarray]:
    """Count the groups ordered above and below each, if c standard deviations tell them apart."""
    low, high = centre - c * spread, centre + c * spread
    above = len(centre) - np.searchsorted(np.sort(low), high, side="right")
    below = np.searchsorted(np.sort(high), low, side="left")
    return 1 + above, len(centre) - below


def joint_intervals(
    rank: np.ndarray,
    own: np.ndarray,
    centre: np.ndarray,
    spread: np.ndarray,
    prob: float,
    enough: float,
) -> tuple[np.ndarray, np.ndarray]:
    """Find the smallest c, to 1/1000, whose bounds hold all ranks in a part `prob` of the draws.

    No group's bounds are inside its `own` interval, which has a tail on both sides.
    """

    def bounds(c):
        lower, upper = _rank_bounds(centre, spread, c)
        return np.minimum(lower, own[0]), np.maximum(upper, own[1])

    def held(c):
        lower, upper = (bound.astype(rank.dtype) for bound in bounds(c))
        return ((rank >= lower) & (rank <= upper)).all(axis=1).mean()

    too_small = 0.0
    while enough - too_small > 1e-3:
        c = (too_small + enough) / 2
        too_small, enough = (too_small, c) if held(c) >= prob else (c, enough)
    return bounds(enough)


def tiers(lower: pd.Series, upper: pd.Series) -> np.ndarray:
    """Cut a list of intervals into runs that overlap pairwise, which is to share a point."""
    tier, tiers = 0, []
    highest_low, lowest_high = np.inf, -np.inf
    for low, high in zip(lower, upper, strict=True):
        if low > lowest_high or high < highest_low:
            tier, highest_low, lowest_high = tier + 1, low, high
        highest_low, lowest_high = max(highest_low, low), min(lowest_high, high)
        tiers.append(tier)
    return np.array(tiers)
