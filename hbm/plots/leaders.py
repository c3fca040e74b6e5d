"""Names of a few of many groups: under the axis, each with a line to its mark."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from hbm.plots import style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from numpy.typing import ArrayLike

__all__ = ["name_some"]

_LETTERS = style.TEXT - 2  # points
_APART = 1.25 * _LETTERS  # points from one upright name to the next
_LEADER = 24  # points that a line has to reach its name


def name_some(ax: Axes, x: ArrayLike, y: ArrayLike, labels: list[str]) -> int:
    """Name points under the axis, upright, the first ones as far as there is room.

    The axes must have their limits and their title already, and may get a legend below.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
        Where to write.
    x, y : array-like, shape (n_points,)
        Where each line ends, in the units of the axes.
    labels : list of str
        Short names, the ones to keep first.

    Returns
    -------
    int
        How many are named.
    """
    figure = ax.get_figure()
    figure.figure.draw_without_rendering()  # the whole one, if it is a part
    left, right = ax.get_xlim()
    apart = _APART / 72 * figure.dpi / ax.get_window_extent().width * (right - left)
    room = int((right - left) / apart)
    x, y = (np.asarray(values, dtype=float)[:room] for values in (x, y))
    order = np.argsort(x, kind="stable")
    x, y = x[order], y[order]
    at = _spread(x, apart, left + apart / 2, right - apart / 2)
    ax.set_xticks(at, [labels[i] for i in order], rotation=90, fontsize=_LETTERS)
    ax.tick_params(axis="x", length=0, pad=_LEADER + 2)
    bottom = ax.get_ylim()[0]
    gap = np.full(len(x), np.nan)
    look = {"color": style.GREY, "lw": 0.5}
    ends = (np.stack(parts, axis=1).ravel() for parts in ([x, x, gap], [y, bottom + 0 * y, gap]))
    ax.plot(*ends, zorder=1.5, **look)
    ax.set_ylim(bottom=bottom)
    line = {"arrowstyle": "-", "shrinkA": 0, "shrinkB": 0, **look}
    for from_, to in zip(x, at, strict=True):
        place = {"xycoords": ax.get_xaxis_transform(), "textcoords": ("data", "offset points")}
        ax.annotate("", (from_, 0), (to, -_LEADER), arrowprops=line, annotation_clip=False, **place)
    return len(x)


def _spread(x: np.ndarray, apart: float, low: float, high: float) -> np.ndarray:
    """Return the places nearest to ascending ones, by squares, that are so far apart."""
    from scipy.optimize import isotonic_regression

    steps = apart * np.arange(len(x))
    moved = isotonic_regression(x - steps).x if len(x) else x
    return np.clip(moved, low, max(low, high - apart * (len(x) - 1))) + steps
