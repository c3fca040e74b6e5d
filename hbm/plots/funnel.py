"""Funnel plots: raw means against size, with the limits that a model expects them in."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from hbm.plots import inputs, marks, style
from hbm.tables.columns import require_columns

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["plot_funnel"]


def plot_funnel(
    table: pd.DataFrame,
    limits: pd.DataFrame,
    *,
    unit: str | None = None,
    prob: float | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw raw means against numbers of individuals, with control limits.

    Parameters
    ----------
    table : pandas.DataFrame
        Result of `hbm.shrinkage`, or another table with a row a group: its label first, its number
        of individuals, for example ``n_students``, and ``raw_mean``.
    limits : pandas.DataFrame
        Result of `hbm.funnel_limits`, whose `far` says which groups are named.
    unit : str, optional
        ``"%"`` for proportions, or the unit of the means, for example ``"cm"``. By default what the
        limits say.
    prob : float, optional
        Probability between the limits, for limits that have lost it, as they do in a file. Without
        it the picture names no level.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure by default.

    Returns
    -------
    matplotlib.axes.Axes
        The inner band is where groups would lie if all had the same mean, the dashed lines where
        they lie given how groups differ, the dotted ones far limits of the same. The legend counts
        the groups outside each, beside the number that chance puts there. Groups outside the dashed
        lines are diamonds, as some must be; those beyond the far limits, which chance hardly
        explains, are filled and named as far as names fit, the furthest first. Up to 40 groups all
        are named, to be found. Limits without ``far_lower`` and ``far_upper`` name all outside.
        A curve is the mean expected of groups of each size, where the limits have it.

    Raises
    ------
    TypeError
        If an argument is of another kind.
    ValueError
        If a column is missing, or a group is smaller or larger than the limits reach.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> table = pd.DataFrame({"school": ["a", "b"], "n_students": [10, 40],
    ...                       "raw_mean": [0.5, 0.9]})
    >>> limits = pd.DataFrame({"n_students": [10, 40], "centre": [0.6, 0.6],
    ...     "alike_lower": [0.5, 0.55], "alike_upper": [0.7, 0.65],
    ...     "lower": [0.4, 0.45], "upper": [0.8, 0.75]})
    >>> ax = plot_funnel(table, limits, unit="%", ax=Figure().subplots())
    >>> [text.get_text() for text in ax.get_legend().get_texts()]
    ['if all were alike: 1 of 2 outside', 'as they differ: 1 of 2 outside',
     'mean of the population']
    """
    ends = ["centre", "alike_lower", "alike_upper", "lower", "upper"]
    inputs.made_by("hbm.funnel_limits", limits, ends)
    inputs.made_by("hbm.shrinkage", table, ["raw_mean"])
    name, labels = inputs.labels(table)
    size = str(limits.columns[0])
    require_columns(table, [size])
    prob, unit = inputs.level(limits, prob), inputs.unit_of(limits, unit)
    limits = limits.sort_values(size, kind="stable")
    n, raw = inputs.numbers(table, size, 1), inputs.numbers(table, "raw_mean")
    grid = limits[size].to_numpy(float)
    beyond = [label for label, m in zip(labels, n, strict=True) if not grid[0] <= m <= grid[-1]]
    if beyond:
        raise ValueError(
            f"the limits reach from {grid[0]:g} to {grid[-1]:g}, and {inputs.some(beyond)} lies "
            "beyond; give hbm.funnel_limits an n= that holds all sizes"
        )

    def at(column: str) -> np.ndarray:
        # The distance from the centre goes with 1/√n.
        return np.interp(-1 / np.sqrt(n), -1 / np.sqrt(grid), limits[column])

    def beyond_limits(which: str) -> np.ndarray:
        return (raw < at(f"{which}lower")) | (raw > at(f"{which}upper"))

    def counted(which: str, probability: float | None) -> str:
        expected = "" if probability is None else f", {(1 - probability) * len(n):.1f} expected"
        return f"{beyond_limits(which).sum()} of {len(n)} outside{expected}"

    # Limits made by hand, or by an earlier version, have no far ones.
    has_far = {"far_lower", "far_upper"} <= set(limits)
    outside, far = beyond_limits(""), beyond_limits("far_" if has_far else "")

    ax = style.axes(ax, grid="y")
    style.number_of(ax, grid, size)
    band = ax.fill_between(
        grid, limits["alike_lower"], limits["alike_upper"], color=style.SKY, alpha=0.4, lw=0
    )
    band.set_label(f"if all were alike: {counted('alike_', prob)}")
    kinds = {"": ("--", f"as they differ: {counted('', prob)}")}
    if has_far:
        level = limits.attrs.get("far")
        words = f"{style.interval(level, 'far limits')}: {counted('far_', level)}"
        kinds["far_"] = ":", words
    handles = [band]
    for which, (dashes, label) in kinds.items():
        for end in ("lower", "upper"):
            look = {"linestyle": dashes, "lw": 1.2, "zorder": 2}
            ax.plot(grid, limits[f"{which}{end}"], color=style.BLACK, **look)
        hollow = has_far and not which
        handles.append(marks.limit_handle(label, dashes, hollow=hollow))
    across = {"color": style.BLUE, "lw": 1, "zorder": 1, "label": "mean of the population"}
    handles.append(ax.axhline(limits["centre"].iloc[0], **across))
    if "expected" in limits:
        expected = inputs.numbers(limits, "expected")
        what = f"mean of {style.plural(name)} of this size"
        curve = {"color": style.GREEN, "lw": 2, "zorder": 2.5, "label": what}
        handles += ax.plot(grid, expected, **curve)
    area = marks.point_area(len(n))
    look = {"linewidths": 0.4, "edgecolors": "white", "zorder": 3}
    ax.scatter(n[~outside], raw[~outside], s=area, c=style.BLUE, **look)
    diamond = look | {"marker": "D", "s": 1.4 * area, "zorder": 4}
    filled = np.where(far[outside], style.VERMILLION, "white")
    edges = {"edgecolors": np.where(far[outside], "white", style.VERMILLION), "linewidths": 1}
    ax.scatter(n[outside], raw[outside], c=filled, **(diamond | edges))
    style.quantity(ax.yaxis, "Raw mean", unit)
    title = f"Raw means of {style.count(len(n), name)}, with {style.interval(prob, 'limits')}"
    style.title(ax, title)
    style.legend(ax, handles, title="Where raw means would lie", below=True)
    furthest = np.argsort(-np.abs(raw - at("centre")) / (at("upper") - at("lower")), kind="stable")
    named = [i for i in furthest if far[i] or len(n) <= style.MANY]
    style.label_points(ax, n[named], raw[named], [labels[i] for i in named])
    return ax
