"""Ranks: what a place in a league table may be."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from hbm.plots import inputs, marks, style

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["plot_ranks"]


def plot_ranks(table: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """Draw the ranks of groups with their intervals and tiers.

    Parameters
    ----------
    table : pandas.DataFrame
        Result of `hbm.ranks`, the best group first.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure by default.

    Returns
    -------
    matplotlib.axes.Axes
        Group i of the table is at x = i, rank 1 at the top: a point at its expected rank, a thick
        bar that holds this one rank, and a thin bar; the thin bars hold all ranks at the same time.
        Every other tier is shaded.

    Raises
    ------
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
    n = len(labels)
    x = np.arange(n)
    prob = f"{100 * table.attrs['prob']:g} %" if "prob" in table.attrs else "given probability"

    ax = style.axes(ax, grid="y")
    ax.set_ylim(n + max(0.5, 0.02 * n), 1 - max(0.5, 0.02 * n))
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
    joint.set_label(f"all ranks at the same time ({prob})")
    one = ax.vlines(
        x,
        table["rank_lower"],
        table["rank_upper"],
        colors=style.SKY,
        lw=style.wide_bar(n),
        zorder=2.5,
    )
    one.set_label(f"this one rank ({prob})")
    dots = {"s": marks.dot_size(n) ** 2, "linewidths": 0, "zorder": 3}
    ax.scatter(x, table["expected_rank"], c=style.VERMILLION, **dots)
    handles = [marks.dot_handle("expected rank", colour=style.VERMILLION), one, joint]
    if len(tiers) > 1:
        look = {"colour": style.PALE, "alpha": 0.6}
        handles.append(marks.patch_handle(f"every other of {len(tiers)} tiers", **look))
    style.name_groups(ax, labels, name)
    step = style.round_down(max(n / 5, 1))
    ax.set_yticks([1, *range(step if step > 1 else 2, n + 1, step)])
    style.quantity(ax.yaxis, "Rank (1: highest mean)")
    named = style.name_blocks(ax, tiers, [f"tier {tier}" for tier in np.unique(table["tier"])])
    style.title(ax, f"{style.count(n, name)} by expected rank", pad=20 if named else 8)
    style.legend(ax, handles, below=n > style.MANY)
    return ax
