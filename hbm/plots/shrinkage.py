"""Shrinkage: how far each group was pulled, towards what, and how it hangs on its size."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from hbm.plots import inputs, marks, style
from hbm.tables.labels import group
from hbm.tables.words import a

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["plot_nesting", "plot_pooling", "plot_shrinkage"]

_PREDICTED = "moved_predictors"  # a column that only tables of models with predictors have


def plot_shrinkage(
    table: pd.DataFrame,
    *,
    colour_by: str | None = None,
    unit: str | None = None,
    prob: float | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw each group's way from its raw mean to its estimate, and what it is pulled to.

    Parameters
    ----------
    table : pandas.DataFrame
        Result of `hbm.shrinkage`, one row a group.
    colour_by : str, optional
        Column to colour the groups by, for example ``"authority"``. More than seven cannot be told
        apart by colour: the six with most groups are coloured, the others grey.
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
        The group of rank i, from the lowest raw mean, is at x = i: a ring at its raw mean, whose
        area is its number of individuals, a line from there to a dot at its estimate, the pale
        interval of that, and a short line at the target, or one line across if all have the same.
        The target is called what the table says it is: its parent's mean or the population's, or,
        with predictors, what is expected there of a group like it. A second line then says where it
        would be without them, and where there are parents, one across where all would be without
        those too. So from the latter to the second line is what the parents add to a target, and
        from there to the target what the predictors do.

    Raises
    ------
    TypeError
        If an argument is of another kind.
    ValueError
        If a column is missing, or a number is not finite.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> table = pd.DataFrame({"school": ["a", "b"], "n_students": [9, 40], "raw_mean": [0.5, 0.7],
    ...                       "mean": [0.56, 0.68], "lower": [0.5, 0.64], "upper": [0.62, 0.72],
    ...                       "target": [0.65, 0.65]})
    >>> ax = plot_shrinkage(table, unit="%", ax=Figure().subplots())
    >>> ax.get_title(loc="left")
    '2 schools by raw mean, each pulled to its estimate'
    """
    columns = ["raw_mean", "mean", "lower", "upper", "target"]
    inputs.made_by("hbm.shrinkage", table, columns)
    name, _ = inputs.estimated(table)
    size = inputs.size_column(table)
    prob, unit = inputs.level(table, prob), inputs.unit_of(table, unit)
    for column in ("raw_mean", "target"):
        inputs.numbers(table, column)
    colours, handles = marks.largest_groups(table, colour_by)
    ring = style.VERMILLION if colour_by is None else style.GREY
    order = np.argsort(table["raw_mean"].to_numpy(), kind="stable")
    rows, colours, n = table.iloc[order], colours[order], len(table)
    x, many = np.arange(n), n > style.MANY
    lower, upper, raw, mean = (
        rows[column].to_numpy(float) for column in ("lower", "upper", "raw_mean", "mean")
    )
    individual = style.singular(size.removeprefix("n_"))
    areas, size_handles = marks.sizes(rows, size, individual, hollow=True, colour=ring)

    ax = style.axes(ax, grid="y", size=(8, 7) if many and colour_by else (8, 5))
    lines = [_draw_targets(ax, rows), *_draw_without_predictors(ax, rows)]
    width, dot = style.bar_width(n), marks.dot_size(n) ** 2
    # The groups without a colour of their own first, so that they hide none that has one.
    for grey in (True, False):
        i, up = np.flatnonzero((colours == style.GREY) == grey), 0.0 if grey else 0.1
        if not len(i):
            continue
        pale = {"alpha": 0.15 if grey else 0.3, "lw": style.wide_bar(n), "zorder": 1.2 + up}
        ax.vlines(x[i], lower[i], upper[i], colors=colours[i], **pale)
        ax.vlines(x[i], raw[i], mean[i], colors=colours[i], lw=width, zorder=2 + up)
        ax.scatter(x[i], mean[i], s=dot, c=colours[i], linewidths=0, zorder=3 + up)
        edges = colours[i] if colour_by else ring
        rings = {"facecolors": "none", "edgecolors": edges, "lw": 0.9 if n <= 200 else 0.6}
        ax.scatter(x[i], raw[i], s=areas[i], zorder=4 + up, **rings)
    look = {"colour": style.BLUE if colour_by is None else style.GREY}
    interval = marks.patch_handle(style.interval(prob), alpha=0.3, **look)
    handles = [*size_handles, marks.dot_handle("estimate", **look), interval, *lines, *handles]
    style.name_groups(ax, list(group(rows, name).labels), name)
    style.quantity(ax.yaxis, "Mean", unit)
    style.title(ax, f"{style.count(n, name)} by raw mean, each pulled to its estimate")
    style.legend(ax, handles, inside=many and colour_by is None, below=many)
    return ax


def _draw_targets(ax: Axes, rows: pd.DataFrame):
    """Draw what each row's group is pulled to, and say what that is as far as the table does."""
    target, many = rows["target"].to_numpy(float), len(rows) > style.MANY
    if np.allclose(target, target[0], rtol=1e-9):
        lines = ax.axhline(target[0], color=style.BLACK, linestyle="--", lw=1.2, zorder=1)
    else:
        x, colour = np.arange(len(rows)), style.GREY if many else style.BLACK
        lines = ax.hlines(target, x - 0.4, x + 0.4, colors=colour, lw=1.2, zorder=1.5)
    parent = _parent(rows)
    if _PREDICTED in rows:
        name = str(rows.columns[0]).replace("_", " ")
        where = f"\nin its {parent}".replace("_", " ") if parent else ""
        lines.set_label(f"expected of {a(name)} like it{where}")
    elif parent is None:
        lines.set_label("target it is pulled to")
    else:
        of = f"its {parent}".replace("_", " ") if parent else "the population"
        lines.set_label(f"mean of {of}")
    return lines


def _draw_without_predictors(ax: Axes, rows: pd.DataFrame) -> list:
    """Mark where each target would be but for predictors, if the table says how far that is.

    `moved_predictors` is the way between the two, times the pooling factor.
    """
    if _PREDICTED not in rows or "pooling" not in rows:
        return []
    pooling = inputs.numbers(rows, "pooling", 0, 1)
    way = inputs.numbers(rows, _PREDICTED) / np.where(pooling > 0, pooling, 1.0)
    width, thick = (2, 1.0) if len(rows) > style.MANY else (7, 1.5)
    look = {"color": style.PURPLE, "marker": "_", "mew": thick, "ls": "", "zorder": 1.4}
    ax.plot(np.arange(len(rows)), rows["target"] - way, ms=width, **look)
    handles = ax.plot([], [], ms=14, label="… without predictors", **look)
    return handles + _draw_population(ax, rows, pooling)


def _draw_population(ax: Axes, rows: pd.DataFrame, pooling: np.ndarray) -> list:
    """Draw where all targets would be without predictors and parents, if they have parents.

    The steps from there are those of the predictors, and of each level from the top to the parent.
    """
    columns, last = list(rows.columns), f"moved_{_parent(rows)}"
    if last not in columns or not pooling.any():
        return []
    steps = columns[columns.index(_PREDICTED) : columns.index(last) + 1]
    owed = sum(inputs.numbers(rows, column) for column in steps)
    # All rows say the same, but for a product of averages being no average of products.
    everywhere = (pooling * rows["target"] - owed).sum() / pooling.sum()
    look = {"color": style.PURPLE, "ls": "--", "lw": 1, "zorder": 1}
    return [ax.axhline(everywhere, label="mean of the population", **look)]


def _parent(table: pd.DataFrame) -> str | None:
    """Return the name of the groups' parents, "" if there are none, or None if nothing says."""
    if "parent" in table.attrs:
        return table.attrs["parent"]
    # A table from a file has lost its attrs, but may have the share of the parent.
    shares = [str(c).removeprefix("share_") for c in table if str(c).startswith("share_")]
    return next((level for level in shares if level in table), None)


def plot_pooling(
    table: pd.DataFrame,
    *,
    colour_by: str | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw the pooling factor of each group against its number of individuals.

    Parameters
    ----------
    table : pandas.DataFrame
        Result of `hbm.shrinkage`, one row a group.
    colour_by : str, optional
        Column to colour the groups by, as in `plot_shrinkage`.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure by default.

    Returns
    -------
    matplotlib.axes.Axes
        One point a group, at 0 where the estimate is the raw mean and at 1 where it is the target;
        the x-axis is a log scale where numbers differ fourfold or more. Groups that are the only
        one of their parent are rings: their target is learned from other parents alone. Up to 40
        groups are named as far as names fit, the most pooled first.

    Raises
    ------
    TypeError
        If an argument is of another kind.
    ValueError
        If a column is missing, or a factor is not between 0 and 1.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> table = pd.DataFrame({"school": ["a", "b"], "n_students": [9, 40], "pooling": [0.4, 0.1]})
    >>> ax = plot_pooling(table, ax=Figure().subplots())
    >>> ax.get_xlabel()
    'Number of students'
    """
    inputs.made_by("hbm.shrinkage", table, ["pooling"])
    name, labels = inputs.labels(table)
    size = inputs.size_column(table)
    n = inputs.numbers(table, size, 1)
    pooling = inputs.numbers(table, "pooling", 0, 1)
    colours, handles = marks.largest_groups(table, colour_by)
    alone = table["only_child"].to_numpy(bool) if "only_child" in table else np.zeros(len(n), bool)

    ax = style.axes(ax, grid="both", size=(8, 6.5) if colour_by else (8, 5))
    ax.set_ylim(-0.03, 1.03)
    style.number_of(ax, n, size)
    look = {"s": marks.point_area(len(table)), "zorder": 3, "linewidths": 0.9}
    ax.scatter(n[~alone], pooling[~alone], c=colours[~alone], **look)
    if alone.any():
        ax.scatter(n[alone], pooling[alone], facecolors="white", edgecolors=colours[alone], **look)
        label = f"only {name} of its {_parent(table) or 'parent'}".replace("_", " ")
        handles.append(marks.dot_handle(label, hollow=True))
    style.quantity(ax.yaxis, "Pooling factor (0: raw mean, 1: target)")
    style.title(ax, f"{style.count(len(n), name)}: how much of the estimate is the target")
    style.legend(ax, handles, below=True)
    if len(n) <= style.MANY:
        first = np.argsort(-pooling, kind="stable")
        style.label_points(ax, n[first], pooling[first], [labels[i] for i in first])
    return ax


def plot_nesting(
    table: pd.DataFrame,
    parents: pd.DataFrame,
    *,
    unit: str | None = None,
    prob: float | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw the estimates of parents, such as authorities, with those of their groups beside.

    Parameters
    ----------
    table : pandas.DataFrame
        The groups: result of ``hbm.shrinkage(fit, "school")``, with the column of parents.
    parents : pandas.DataFrame
        The parents: result of ``hbm.shrinkage(fit, "authority")``.
    unit, prob : optional
        As in `plot_shrinkage`, of the table of parents.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure by default.

    Returns
    -------
    matplotlib.axes.Axes
        The parent of rank i, from the lowest estimate, is at x = i, with its interval. Its groups
        are dots to its right, in the order of their estimates and with intervals of their own, or
        pale dots behind it where there are more than 40 parents. With predictors the parent's is
        the mean of a group of average predictors, which its groups need not be.

    Raises
    ------
    TypeError
        If an argument is of another kind.
    ValueError
        If a column is missing, or a group's parent is not among the parents.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> schools = pd.DataFrame({"school": list("abc"), "authority": list("xxy"),
    ...                         "mean": [0.5, 0.6, 0.7], "lower": [0.4, 0.5, 0.6],
    ...                         "upper": [0.6, 0.7, 0.8]})
    >>> authorities = pd.DataFrame({"authority": ["x", "y"], "mean": [0.56, 0.66],
    ...                             "lower": [0.5, 0.6], "upper": [0.62, 0.72]})
    >>> ax = plot_nesting(schools, authorities, unit="%", ax=Figure().subplots())
    >>> [label.get_text() for label in ax.get_xticklabels()]
    ['x', 'y']
    """
    for each in (parents, table):
        inputs.made_by("hbm.shrinkage", each, ["mean", "lower", "upper"])
    parent, names = inputs.estimated(parents)
    name, _ = inputs.estimated(table)
    prob, unit = inputs.level(parents, prob), inputs.unit_of(parents, unit)
    if parent not in table:
        raise ValueError(
            f"the groups have no column {parent!r}, the level of the parents; give the table of "
            "groups first and that of their parents second"
        )
    order = np.argsort(parents["mean"].to_numpy(), kind="stable")
    rank = {names[i]: position for position, i in enumerate(order)}
    above = table[parent].astype(str)
    unknown = above[~above.isin(names)].unique()
    if len(unknown):
        raise ValueError(
            f"the table of parents has no {parent} {inputs.some(unknown)}; are both of one fit?"
        )
    rows = table.assign(_at=above.map(rank)).sort_values(["_at", "mean"], kind="stable")
    at = rows["_at"].to_numpy()
    few = len(names) <= style.MANY
    mean = rows["mean"].to_numpy(float)

    ax = style.axes(ax, grid="y")
    if few:
        for edge in range(1, len(names)):
            ax.axvline(edge - 0.1, color=style.PALE, lw=1, zorder=0)
        of = np.bincount(at, minlength=len(names))
        place = np.arange(len(at)) - np.searchsorted(at, at)
        x = at + 0.1 + 0.7 * (place + 0.5) / of[at].clip(3)
        bars = {"colors": style.ORANGE, "lw": 1 if len(at) <= 200 else 0.6, "zorder": 2}
        ax.vlines(x, rows["lower"], rows["upper"], **bars)
        ax.scatter(x, mean, s=14 if len(at) <= 200 else 6, c=style.ORANGE, linewidths=0, zorder=2.5)
        handle = marks.interval_handle(f"the same of its {style.plural(name)}", style.ORANGE)
    else:
        ax.scatter(at, mean, s=9, c=style.ORANGE, alpha=0.8, linewidths=0, zorder=2)
        handle = marks.dot_handle(f"its {style.plural(name)}", colour=style.ORANGE)
    sorted_parents = parents.iloc[order]
    interval = marks.draw_intervals(ax, np.arange(len(names)), sorted_parents, prob)
    like = f",\nof average {style.plural(name)}" if _PREDICTED in table else ""
    interval.set_label(f"{style.heading(parent).lower()} and {style.interval(prob)}{like}")
    handles = [interval, handle]
    if "target" in parents:
        inputs.numbers(parents, "target")
        handles.append(_draw_targets(ax, sorted_parents))
    style.name_groups(ax, [names[i] for i in order], parent)
    style.quantity(ax.yaxis, "Mean", unit)
    style.title(
        ax,
        f"Estimates of {style.count(len(names), parent)} and their {style.count(len(rows), name)}",
    )
    style.legend(ax, handles, inside=not few)
    return ax
