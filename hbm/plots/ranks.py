"""Ranks: what a place in a league table may be."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from hbm.plots import inputs, marks, style
from hbm.results.rank_intervals import pairs_apart

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["plot_ranks"]


def plot_ranks(table: pd.DataFrame, *, prob: float | None = None, ax: Axes | None = None) -> Axes:
    """Draw the ranks of groups with their intervals and tiers.

    Parameters
    ----------
    table : pandas.DataFrame
        Result of `hbm.ranks`, or some of its rows, in any order.
    prob : float, optional
        Probability inside the intervals, for a table that has lost it, as it does in a merge or a
        file. Without it the picture names no level.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure by default.

    Returns
    -------
    matplotlib.axes.Axes
        The group with the lowest expected rank is at the left, rank 1 at the top: a point at the
        expected rank, a thick bar that holds this one rank, and a thin bar; the thin bars hold all
        ranks at the same time. Every other tier is shaded. The title says how many of the pairs of
        groups drawn can be told apart: those whose comparison intervals do not overlap. Of a model
        with predictors it also says which of its two rankings it is.

    Raises
    ------
    TypeError
        If an argument is of another kind.
    ValueError
        If a column is missing or holds a number that is not finite.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> table = pd.DataFrame({"school": list("abc"), "expected_rank": [1.0, 2.2, 2.8],
    ...                       "rank_lower": [1, 2, 2], "rank_upper": [1, 3, 3],
    ...                       "joint_lower": [1, 2, 2], "joint_upper": [1, 3, 3],
    ...                       "tier": [1, 2, 2]})
    >>> ax = plot_ranks(table, ax=Figure().subplots())
    >>> ax.get_ylabel()
    'Rank (1: highest mean)'
    """
    columns = ["expected_rank", "rank_lower", "rank_upper", "joint_lower", "joint_upper", "tier"]
    inputs.made_by("hbm.ranks", table, columns)
    name, labels = inputs.labels(table)
    for column in columns:
        inputs.numbers(table, column, 1)
    prob = inputs.level(table, prob)
    level = "given probability" if prob is None else f"{100 * prob:g} %"
    apart = _told_apart(table)
    # Of equals the one of the higher tier first, so that a tier is one run.
    order = np.lexsort((table["tier"], table["expected_rank"]))
    table, labels = table.iloc[order], [labels[i] for i in order]
    n = len(labels)
    x = np.arange(n)
    reach = table[["expected_rank", "rank_lower", "rank_upper", "joint_lower", "joint_upper"]]
    low, high = int(reach.min(axis=None)), int(np.ceil(reach.max(axis=None)))
    margin = max(0.5, 0.02 * (high - low + 1))

    ax = style.axes(ax, grid="y")
    ax.set_ylim(high + margin, low - margin)
    tiers = marks.runs(table["tier"].to_numpy())
    for start, stop in tiers[1::2]:
        ax.axvspan(start - 0.5, stop - 0.5, color=style.PALE, alpha=0.6, lw=0, zorder=0)
    width = style.bar_width(n)
    joint = ax.vlines(
        x,
        table["joint_lower"],
        table["joint_upper"],
        colors=style.BLACK,
        lw=0.5 * width,
        # In front of bars that are wider, behind those that are not.
        zorder=2.7 if n <= style.MANY else 2.3,
    )
    joint.set_label(f"all ranks at the same time ({level})")
    one = ax.vlines(
        x,
        table["rank_lower"],
        table["rank_upper"],
        colors=style.SKY,
        lw=style.wide_bar(n),
        zorder=2.5,
    )
    one.set_label(f"this one rank ({level})")
    dots = {"s": marks.dot_size(n) ** 2, "linewidths": 0, "zorder": 3}
    ax.scatter(x, table["expected_rank"], c=style.VERMILLION, **dots)
    handles = [marks.dot_handle("expected rank", colour=style.VERMILLION), one, joint]
    if len(tiers) > 1:
        look = {"colour": style.PALE, "alpha": 0.6}
        handles.append(marks.patch_handle(f"every other of {len(tiers)} tiers", **look))
    style.name_groups(ax, labels, name)
    step = style.round_down(max((high - low + 1) / 5, 1))
    ax.set_yticks(sorted({max(tick, 1) for tick in range(0, high + 1, step)} - set(range(low))))
    style.quantity(ax.yaxis, "Rank (1: highest mean)")
    tier_of = table["tier"].to_numpy()
    named = style.name_blocks(ax, tiers, [f"tier {tier_of[start]:g}" for start, _ in tiers])
    title = f"{style.count(n, name)} by expected rank{_of_what(table, name)}"
    style.title(ax, f"{title}\n{apart}" if apart else title, pad=20 if named else 8)
    style.legend(ax, handles, below=n > style.MANY)
    return ax


def _of_what(table: pd.DataFrame, name: str) -> str:
    """Say which of two rankings it is, if there are two."""
    predictors = [str(x).replace("_", " ") for x in table.attrs.get("predictors", ())]
    if not predictors:
        return ""
    known = style.shorten([", ".join(predictors)], style.LEGEND_NAME)[0]
    if table.attrs.get("adjusted"):
        return f" among {style.plural(name)}\nof the same {known}"
    return f" of their means,\nwhatever their {known}"


def _told_apart(table: pd.DataFrame) -> str:
    """Say how many pairs of groups can be told apart, if the table says which."""
    columns = ["comparison_lower", "comparison_upper"]
    pairs = len(table) * (len(table) - 1) // 2
    if not pairs or not set(columns) <= set(table):
        return ""
    apart = pairs_apart(*(inputs.numbers(table, column) for column in columns))
    if apart in (0, pairs):
        return f"{'all' if apart else 'no two'} can be told apart"
    share = 100 * apart / pairs
    shown = "under 1" if share < 1 else "over 99" if share > 99 else f"{share:.0f}"
    return f"{shown} % of {pairs:,} pairs can be told apart"
