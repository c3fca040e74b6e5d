"""Estimates of groups with their intervals, beside what else is known of the groups."""

from __future__ import annotations

from collections.abc import Mapping
from numbers import Real
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from hbm.plots import inputs, marks, style
from hbm.tables.labels import group

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["plot_agreement", "plot_caterpillar", "plot_estimates"]


def plot_estimates(
    estimates: pd.DataFrame,
    *,
    others: Mapping[str, Mapping[str, float]] | None = None,
    reference: Mapping[str, float | Mapping[str, float]] | None = None,
    unit: str | None = None,
    prob: float | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw the estimate of each group with its interval, beside other values of the same groups.

    Parameters
    ----------
    estimates : pandas.DataFrame
        One row a group, as `hbm.estimates` makes it: the label first, then ``mean``, ``lower`` and
        ``upper``; or as :func:`hbm.shares` does, with ``share`` in place of ``mean``. Groups are
        drawn in the order of the rows.
    others : mapping of name to (mapping of label to number), optional
        What else is known of the groups, for example
        ``{"true mean": truth.set_index("school")["mean"]}``. Labels are compared as text.
    reference : mapping of name to a number or a mapping of label to number, optional
        What the groups are compared with, dashed: ``{"grand mean": 176.4}`` is one line across;
        a number for each label, such as the mean of its district, is drawn under its groups.
    unit : str, optional
        ``"%"`` for proportions, or the unit of the estimates, for example ``"cm"``. By default what
        the table says, if it does.
    prob : float, optional
        Probability inside the intervals, for a table that has lost it, as it does in a merge or a
        file. Without it the picture names no level.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure by default.

    Returns
    -------
    matplotlib.axes.Axes
        Group i is at x = i. Groups are named under the axis if the names fit.

    Raises
    ------
    TypeError
        If an argument is of another kind.
    ValueError
        If a column is missing, or `others` or `reference` lack one of the groups.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> table = pd.DataFrame({"country": ["a", "b"], "mean": [170.0, 180.0],
    ...                       "lower": [168.0, 178.0], "upper": [172.0, 182.0]})
    >>> ax = plot_estimates(table, others={"true mean": {"a": 169.0, "b": 181.0}},
    ...                     reference={"grand mean": 175.0}, unit="cm", ax=Figure().subplots())
    >>> ax.get_ylabel()
    'Mean (cm)'
    """
    quantity, is_share = "Mean", _is_of_shares(estimates)
    name, labels = inputs.estimated(estimates, "share" if is_share else "mean")
    prob, unit = inputs.level(estimates, prob), inputs.unit_of(estimates, unit)
    if is_share:
        quantity, unit = _share(estimates), unit or "%"
        estimates = estimates.rename(columns={"share": "mean"})
    n = len(labels)
    beside = {
        what: inputs.by_label(values, labels, what)
        for what, values in inputs.by_name(others, "others").items()
    }
    lines = {
        what: np.full(n, value) if isinstance(value, Real) else inputs.by_label(value, labels, what)
        for what, value in inputs.by_name(reference, "reference").items()
    }
    x = np.arange(n)
    ax = style.axes(ax, grid="y")
    handles = [marks.draw_intervals(ax, x, estimates, prob)]
    # Beside the estimate where there is room, on it where there is none.
    step, size = (0.16, 6) if n <= style.MANY else (0.0, 3)
    for i, (what, values) in enumerate(beside.items()):
        handles += ax.plot(
            x + step * (i + 1),
            values,
            linestyle="none",
            marker=style.MARKERS[i % len(style.MARKERS)],
            ms=size,
            color=style.COLOURS[1 + i % (len(style.COLOURS) - 1)],
            label=what,
            zorder=4 if n <= style.MANY else 2,
        )
    for i, (what, values) in enumerate(lines.items()):
        dashed = {"color": (style.BLACK, style.GREY, style.PURPLE)[i % 3], "lw": 1.5}
        handles.append(marks.draw_segments(ax, values, linestyle="--", label=what, **dashed))
    style.name_groups(ax, labels, name)
    style.quantity(ax.yaxis, quantity, unit)
    style.title(ax, f"{style.count(n, name)}: estimates with {style.interval(prob)}s")
    style.legend(ax, handles)
    return ax


def _is_of_shares(estimates: pd.DataFrame) -> bool:
    """Say whether a table is one of shares at a mark or above it."""
    return isinstance(estimates, pd.DataFrame) and {"share"} == {"share", "mean"} & set(estimates)


def _share(estimates: pd.DataFrame) -> str:
    """Say what share it is, as far as the table tells."""
    sizes = [str(column) for column in estimates.columns if str(column).startswith("n_")]
    of = f" of {sizes[-1].removeprefix('n_').replace('_', ' ')}" if sizes else ""
    above = estimates.attrs.get("above")
    mark = (
        "the mark" if above is None else style.amount(above, estimates.attrs.get("above_unit", ""))
    )
    return f"Share{of} at or above {mark}"


def plot_caterpillar(
    estimates: pd.DataFrame,
    table: pd.DataFrame,
    *,
    reference: Mapping[str, float] | None = None,
    prob: float | None = None,
    student: str = "student",
    value: str = "score",
    ax: Axes | None = None,
) -> Axes:
    """Draw the estimates of groups over their observed means, in the order of the latter.

    Parameters
    ----------
    estimates : pandas.DataFrame
        One row a group, as `hbm.estimates` makes it: the label first, then ``mean``, ``lower`` and
        ``upper``, proportions.
    table : pandas.DataFrame
        The data: one row a group, with a column of labels of the same name, ``mean`` (proportion)
        and ``n_students``.
    reference : mapping of name to number, optional
        Dashed lines across, for example ``{"population mean": 0.64}``.
    prob : float, optional
        Probability inside the intervals, for a table that has lost it, as it does in a merge or a
        file. Without it the picture names no level.
    student, value : str
        What an individual and its result are called; ``patient`` are counted in ``n_patients``.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure by default.

    Returns
    -------
    matplotlib.axes.Axes
        The group of rank i, from the lowest observed mean, is at x = i. The area of an observed
        point is its number of students.

    Raises
    ------
    TypeError
        If an argument is of another kind.
    ValueError
        If a column is missing, or the two tables do not hold the same groups.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> fitted = pd.DataFrame({"school": ["a", "b"], "mean": [0.66, 0.54],
    ...                        "lower": [0.6, 0.45], "upper": [0.72, 0.63]})
    >>> table = pd.DataFrame({"school": ["a", "b"], "n_students": [40, 9], "mean": [0.7, 0.5]})
    >>> ax = plot_caterpillar(fitted, table, ax=Figure().subplots())
    >>> [label.get_text() for label in ax.get_xticklabels()]
    ['b', 'a']
    """
    name, labels = inputs.estimated(estimates)
    prob = inputs.level(estimates, prob)
    reference = {
        what: inputs.number(value, repr(what))
        for what, value in inputs.by_name(reference, "reference").items()
    }
    inputs.numbers(table, "mean", 0, 1)
    observed = pd.Series(table["mean"].to_numpy(), index=list(group(table, name).labels))
    unknown = [label for label in observed.index if label not in set(labels)]
    if unknown:
        raise ValueError(
            f"estimates lack {inputs.some(unknown)}; were they fitted to another table?"
        )
    order = np.argsort(inputs.by_label(observed, labels, "table"), kind="stable")
    by_label = table.set_axis(observed.index).loc[[labels[i] for i in order]]
    x = np.arange(len(labels))
    ax = style.axes(ax, grid="y")
    bars = marks.draw_intervals(ax, x, estimates.iloc[order], prob)
    sizes, size_handles = marks.sizes(by_label, inputs.size_of(student), student, hollow=True)
    rings = {"facecolors": "none", "edgecolors": style.VERMILLION, "lw": 0.9, "zorder": 4}
    ax.scatter(x, by_label["mean"], s=sizes, **rings)
    lines = [
        ax.axhline(value, color=style.BLACK, linestyle="--", lw=1.5, zorder=1, label=what)
        for what, value in reference.items()
    ]
    style.name_groups(ax, list(by_label.index), name)
    style.quantity(ax.yaxis, f"Mean {value.replace('_', ' ')}", "%")
    intervals = f"with the model's {style.interval(prob)}s"
    style.title(ax, f"{style.count(len(x), name)} by observed mean, {intervals}")
    style.legend(ax, [bars, *size_handles, *lines], inside=len(x) > style.MANY)
    return ax


def plot_agreement(
    table: pd.DataFrame, x: str, y: str, *, unit: str = "", ax: Axes | None = None
) -> Axes:
    """Draw one column of a table against another, for example empirical against true means.

    Parameters
    ----------
    table : pandas.DataFrame
        One row a group, with columns `x` and `y` in the same unit.
    x, y : str
        Columns to draw.
    unit : str
        ``"%"`` for proportions, or the unit of the columns.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure by default.

    Returns
    -------
    matplotlib.axes.Axes
        Points, and the dashed line on which both are equal. Both axes have the same limits, for
        proportions at most two points beyond 0 and 1.

    Raises
    ------
    TypeError
        If an argument is of another kind.
    ValueError
        If a column is missing or holds a number that is not finite.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> table = pd.DataFrame({"true_mean": [0.7, 0.8], "empirical_mean": [0.68, 0.83]})
    >>> ax = plot_agreement(table, "true_mean", "empirical_mean", unit="%", ax=Figure().subplots())
    >>> ax.get_xlim() == ax.get_ylim()
    True
    """
    first, second = inputs.numbers(table, x), inputs.numbers(table, y)
    both = np.concatenate([first, second])
    inputs.text(unit)
    margin = 0.08 * (np.ptp(both) or 1.0)
    limits = both.min() - margin, both.max() + margin
    if unit == "%":
        limits = max(limits[0], -0.02), min(limits[1], 1.02)
    ax = style.axes(ax, grid="both", size=(6, 6))
    ax.axline((both.mean(), both.mean()), slope=1, color=style.GREY, linestyle="--", lw=1.5)
    ax.plot(first, second, linestyle="none", marker="o", ms=7, mec="white", color=style.BLUE)
    ax.set(xlim=limits, ylim=limits, aspect="equal")
    style.quantity(ax.xaxis, style.heading(x), unit)
    style.quantity(ax.yaxis, style.heading(y), unit)
    style.title(ax, f"{style.heading(y)} against {style.heading(x).lower()}; dashed: equal")
    return ax
