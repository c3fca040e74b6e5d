"""What several pictures draw alike: densities, intervals, points sized by a count."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from hbm.plots import style
from hbm.tables.columns import require_numbers
from hbm.tables.labels import group

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = [
    "LARGEST",
    "constant",
    "dot_handle",
    "dot_size",
    "draw_density",
    "draw_intervals",
    "draw_segments",
    "draw_shaded_density",
    "interval_handle",
    "kernel_density",
    "largest_groups",
    "limit_handle",
    "line_styles",
    "patch_handle",
    "point_area",
    "runs",
    "sizes",
]

SMALLEST, LARGEST = 8, 110  # square points; areas of points sized by a count


def kernel_density(values: np.ndarray, low: float, high: float) -> tuple[np.ndarray, np.ndarray]:
    """Return a grid and a Gaussian kernel density on it, reflected at finite bounds.

    The bandwidth is Scott's. This is `scipy.stats.gaussian_kde` without its linear algebra, for
    pictures of hundreds of groups.
    """
    bandwidth = values.std(ddof=1) * values.size ** (-1 / 5)
    reach = 4 * bandwidth
    grid = np.linspace(max(low, values.min() - reach), min(high, values.max() + reach), 400)
    density = np.zeros_like(grid)
    for points in (grid, *(2 * bound - grid for bound in (low, high) if np.isfinite(bound))):
        # A few grid points at a time: a million numbers, not grid points times values.
        for part in np.array_split(np.arange(grid.size), grid.size * values.size // 1_000_000 + 1):
            distance = (points[part, None] - values) / bandwidth
            density[part] += np.exp(-0.5 * distance**2).mean(axis=1)
    return grid, density / (bandwidth * np.sqrt(2 * np.pi))


def constant(values: np.ndarray) -> bool:
    """Tell whether there are no two different values, and so no density."""
    return np.ptp(values) == 0


def draw_density(ax: Axes, values: np.ndarray, low: float, high: float, **look):
    """Draw a density, or a tick where there are no two different values; return the curve."""
    if constant(values):
        tick = {key: look[key] for key in ("color", "alpha") if key in look}
        label = look.get("label")
        ax.plot(values[:1], [0], marker="|", ms=14, linestyle="none", label=label, **tick)
        return values[:1], np.zeros(1)
    grid, density = kernel_density(values, low, high)
    ax.plot(grid, density, **look)
    return grid, density


def draw_shaded_density(
    ax: Axes, values: np.ndarray, low: float, high: float, *, color, label=None
):
    """Draw a density with its central 95 % shaded; return the grid it is drawn on.

    Where there are no two different values it is a line across.
    """
    if constant(values):
        ax.axvline(values[0], color=color, lw=2, label=label)
        return values[:1]
    grid, density = draw_density(ax, values, low, high, color=color, lw=2, label=label)
    lower, upper = np.quantile(values, [0.025, 0.975])
    inside = (grid >= lower) & (grid <= upper)
    ax.fill_between(grid[inside], density[inside], color=color, alpha=0.2, lw=0)
    return grid


def draw_intervals(ax: Axes, x: np.ndarray, estimates: pd.DataFrame, prob: float | None):
    """Draw means and intervals of a level; return what stands for them in a legend."""
    n = len(x)
    mean, lower, upper = estimates[["mean", "lower", "upper"]].to_numpy(dtype=float).T
    return ax.errorbar(
        x,
        mean,
        yerr=[mean - lower, upper - mean],
        fmt="o",
        ms=dot_size(n),
        color=style.BLUE,
        ecolor=style.BLUE,
        elinewidth=style.bar_width(n),
        label=f"estimate and {style.interval(prob)}",
        zorder=3,
    )


def dot_size(n: int) -> float:
    """Return how wide, in points, the dots of n groups are."""
    return 7 if n <= style.MANY else 3 if n <= 200 else 2


def point_area(n: int) -> float:
    """Return the area, in square points, of n points that stand freely and not in a row."""
    return 49.0 if n <= style.MANY else 14.0


def dot_handle(label: str, *, colour: str = style.BLUE, marker: str = "o", hollow: bool = False):
    """Return a legend handle of a dot."""
    from matplotlib.lines import Line2D

    face = "white" if hollow else colour
    look = {"marker": marker, "mfc": face, "mec": colour, "ms": 6}
    return Line2D([], [], linestyle="none", label=label, **look)


def interval_handle(label: str, colour: str = style.BLUE):
    """Return a legend handle of a dot on its interval."""
    from matplotlib.lines import Line2D

    return Line2D([], [], color=colour, marker="o", ms=5, lw=1, label=label)


def limit_handle(label: str, dashes: str, *, hollow: bool):
    """Return a legend handle of a limit, with the diamond of what lies outside it."""
    from matplotlib.lines import Line2D

    face, edge = ("white", style.VERMILLION) if hollow else (style.VERMILLION, "white")
    look = {"color": style.BLACK, "linestyle": dashes, "lw": 1.2, "marker": "D", "ms": 5.5}
    return Line2D([], [], label=label, mfc=face, mec=edge, **look)


def patch_handle(label: str, *, colour: str, alpha: float):
    """Return a legend handle of an area or a wide bar."""
    from matplotlib.patches import Patch

    return Patch(color=colour, alpha=alpha, lw=0, label=label)


def draw_segments(ax: Axes, values: np.ndarray, *, color, lw, linestyle, label: str):
    """Draw each run of equal values as one horizontal line under its groups."""
    starts, stops = np.array(runs(values)).T
    return ax.hlines(
        values[starts],
        starts - 0.5,
        stops - 0.5,
        colors=color,
        lw=lw,
        linestyles=linestyle,
        label=label,
        zorder=1,
    )


def runs(values: np.ndarray) -> list[tuple[int, int]]:
    """Return where each run of equal values starts and stops."""
    ends = [0, *(np.flatnonzero(np.diff(values)) + 1).tolist(), len(values)]
    return list(pairwise(ends))


def sizes(
    table: pd.DataFrame,
    column: str,
    what: str,
    *,
    hollow: bool = False,
    colour: str = style.VERMILLION,
) -> tuple[np.ndarray, list]:
    """Return point areas proportional to a count, and legend handles that explain them."""
    from matplotlib.lines import Line2D

    count = require_numbers(table, column, allowed="counts, 1 or more", ok=lambda n: n >= 1)
    largest = LARGEST if len(count) <= 200 else LARGEST / 2
    scale = largest / count.max()
    shown = {style.round_down(count.max()), style.round_down(max(count.min(), count.max() / 8))}
    look = {"mfc": style.GREY, "mec": "none"}
    if hollow:
        look = {"mfc": "none", "mec": colour}
    handles = [
        Line2D(
            [],
            [],
            linestyle="none",
            marker="o",
            ms=np.sqrt(mark * scale),
            label=("observed mean, " if hollow else "") + style.count(mark, what),
            **look,
        )
        for mark in sorted(shown)
    ]
    return np.maximum(count * scale, SMALLEST), handles


def line_styles(n: int) -> list[dict]:
    """Return how to draw n lines: colour and dashes each, or all alike and pale if n is large."""
    if n > len(style.COLOURS):
        return [{"color": style.BLUE, "alpha": max(0.08, 0.5 - n / 200), "lw": 1.2}] * n
    return [
        {"color": colour, "linestyle": dashes, "lw": 2}
        for colour, dashes in zip(style.COLOURS[:n], style.DASHES[:n], strict=True)
    ]


def largest_groups(table: pd.DataFrame, column: str | None) -> tuple[np.ndarray, list]:
    """Return a colour a row and legend handles: the largest groups coloured, the others grey.

    Without a column all rows are blue.
    """
    if column is None:
        return np.full(len(table), style.BLUE), []
    from matplotlib.lines import Line2D

    groups = group(table, column)
    counts = np.bincount(groups.index)
    shown = np.argsort(-counts, kind="stable")
    if len(shown) > len(style.COLOURS):
        shown = shown[: len(style.COLOURS) - 1]
    palette = dict(zip(shown.tolist(), style.COLOURS, strict=False))
    # A bare number says nothing in a legend.
    names = style.shorten(groups.labels, style.LEGEND_NAME)
    names = [f"{column} {x}" if x.isdigit() else x for x in names]
    entries = [(f"{names[i]} ({counts[i]})", colour) for i, colour in palette.items()]
    rest = len(counts) - len(palette)
    if rest:
        entries.append((f"{rest} others ({counts.sum() - counts[shown].sum()})", style.GREY))
    handles = [
        Line2D([], [], linestyle="none", marker="o", ms=6, color=colour, label=label)
        for label, colour in entries
    ]
    return np.array([palette.get(i, style.GREY) for i in groups.index.tolist()]), handles
