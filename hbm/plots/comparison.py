"""Comparison of models."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from hbm.plots import inputs, marks, style

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["plot_comparison"]


def plot_comparison(table: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    r"""Draw how much worse than the best each model predicts.

    Parameters
    ----------
    table : pandas.DataFrame
        Result of `hbm.compare`: models as index, the best first, with ``elpd_diff``, its standard
        error ``dse``, and the stacking ``weight``.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure by default.

    Returns
    -------
    matplotlib.axes.Axes
        The best model is on top, at 0; the others have a thick bar of ± 1 and a thin one of ± 2
        standard errors of the difference. A model is hollow if its elpd is not to be trusted,
        as Pareto k says (column ``diag_elpd``).

    Raises
    ------
    TypeError
        If an argument is of another kind.
    ValueError
        If a column is missing or holds a number that is not finite.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> table = pd.DataFrame({"elpd_diff": [0.0, -4.0], "dse": [0.0, 1.1], "weight": [0.9, 0.1]},
    ...                      index=["partial", "none"])
    >>> ax = plot_comparison(table, ax=Figure().subplots())
    >>> [label.get_text() for label in ax.get_yticklabels()]
    ['partial\nweight 0.90', 'none\nweight 0.10']
    """
    inputs.made_by("hbm.compare", table, ["elpd_diff", "dse", "weight"])
    difference, error = inputs.numbers(table, "elpd_diff"), inputs.numbers(table, "dse", 0)
    weight = inputs.numbers(table, "weight")
    # ArviZ leaves it empty where all is well.
    doubted = table.get("diag_elpd", pd.Series("", table.index)).fillna("").astype(str) != ""
    doubted = doubted.to_numpy() & True
    y = np.arange(len(table))
    names = [str(model).replace("_", " ") for model in table.index]
    names = [textwrap.fill(name, style.NAME) for name in style.shorten(names, style.LEGEND_NAME)]

    ax = style.axes(ax, grid="x", size=(8, max(2.2, 1.2 + 0.6 * len(table))))
    ax.axvline(0, color=style.BLACK, linestyle="--", lw=1.2, zorder=1)
    for errors, width in ((2, 1.2), (1, 3.5)):
        low, high = difference - errors * error, difference + errors * error
        ax.hlines(y, low, high, colors=style.BLUE, lw=width, zorder=2)
    look = {"s": 70, "edgecolors": style.BLUE, "linewidths": 1.5, "zorder": 3}
    ax.scatter(difference[~doubted], y[~doubted], facecolors=style.BLUE, **look)
    ax.scatter(difference[doubted], y[doubted], facecolors="white", **look)
    labels = [f"{name}\nweight {w:.2f}" for name, w in zip(names, weight, strict=True)]
    ax.set_yticks(y, labels)
    ax.set_ylim(len(table) - 0.4, -0.6)
    style.quantity(ax.xaxis, "Difference of elpd to the best model (nats; bars: ± 1 and ± 2 se)")
    style.quantity(ax.yaxis, "Model")
    style.title(ax, f"{style.count(len(table), 'model')} compared: further right predicts better")
    if doubted.any():
        handle = marks.dot_handle("Pareto k too large\nto be trusted", hollow=True)
        style.legend(ax, [handle])
    return ax
