"""Coefficients: what predictors let expect."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from hbm.plots import inputs, marks, style

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["plot_coefficients"]

_LOOKS = ((style.BLUE, "o"), (style.ORANGE, "D"))  # of the mean, and of what else differs


def plot_coefficients(
    table: pd.DataFrame,
    *,
    unit: str | None = None,
    prob: float | None = None,
    ax: Axes | None = None,
) -> Axes:
    r"""Draw by how much groups are expected to differ, predictor by predictor.

    Parameters
    ----------
    table : pandas.DataFrame
        Result of `hbm.coefficients`, or some of its rows.
    unit : str, optional
        ``"%"`` for proportions, or the unit of the means, for example ``"cm"``. By default what the
        table says.
    prob : float, optional
        Probability inside the intervals, for a table that has lost it, as it does in a merge or a
        file. Without it the picture names no level.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure by default.

    Returns
    -------
    matplotlib.axes.Axes
        Each predictor has a row, the first on top, that says what the difference is between: a dot
        at the difference in the mean, with its interval, and under it a diamond at that in the
        spread of individuals, if there is one.

    Raises
    ------
    TypeError
        If an argument is of another kind.
    ValueError
        If a column is missing or holds a number that is not finite.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> table = pd.DataFrame({"predictor": ["log_n_students"], "of": ["mean"],
    ...                       "step": ["tenfold: 9 to 90"], "effect": [0.05], "lower": [0.02],
    ...                       "upper": [0.08]})
    >>> ax = plot_coefficients(table, unit="%", ax=Figure().subplots())
    >>> [label.get_text() for label in ax.get_yticklabels()]
    ['log n students\ntenfold: 9 to 90']
    """
    inputs.made_by("hbm.coefficients", table, ["predictor", "of", "step"])
    effect, lower, upper = (inputs.numbers(table, x) for x in ("effect", "lower", "upper"))
    prob, unit = inputs.level(table, prob), inputs.unit_of(table, unit)
    rows = list(dict.fromkeys(zip(table["predictor"], table["step"], strict=True)))
    kinds = list(dict.fromkeys(table["of"]))
    if len(kinds) > len(_LOOKS):
        raise ValueError(f"the table is of {len(kinds)} things, and two can be told apart")
    at = {row: i for i, row in enumerate(rows)}
    place = np.array([at[row] for row in zip(table["predictor"], table["step"], strict=True)])

    ax = style.axes(ax, grid="x", size=(8, max(2.4, 1.4 + 0.62 * len(rows))))
    ax.axvline(0, color=style.BLACK, lw=1, zorder=1)
    handles = []
    for i, (kind, (colour, marker)) in enumerate(zip(kinds, _LOOKS, strict=False)):
        own = (table["of"] == kind).to_numpy()
        y = place[own] + (i - (len(kinds) - 1) / 2) * 0.28
        ax.hlines(y, lower[own], upper[own], colors=colour, lw=2, zorder=2)
        ax.scatter(effect[own], y, s=49, c=colour, marker=marker, linewidths=0, zorder=3)
        handle = marks.interval_handle(f"{kind}, {style.interval(prob)}", colour)
        handle.set_marker(marker)
        handles.append(handle)
    names = style.shorten([str(name).replace("_", " ") for name, _ in rows], style.LEGEND_NAME)
    labels = [f"{name}\n{step}" for name, (_, step) in zip(names, rows, strict=True)]
    ax.set_yticks(range(len(rows)), labels)
    ax.set_ylim(len(rows) - 0.4, -0.6)
    if unit == "%":
        ax.xaxis.set_major_formatter(lambda value, _: f"{100 * value:+g}" if value else "0")
        unit = "points of a hundred"
    style.quantity(ax.xaxis, "Difference", unit)
    style.quantity(ax.yaxis, "Predictor")
    style.title(ax, "What is expected to differ, all else that is known being alike")
    style.legend(ax, handles, below=True)
    return ax
