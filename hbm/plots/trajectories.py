"""Several years: how groups went over them, and which of them changed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import xarray as xr
from scipy.special import ndtri

from hbm.hierarchy.fitted import Fitted, read_panel
from hbm.plots import inputs, leaders, marks, style

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["plot_changes", "plot_trajectories"]

_GOLDEN = (np.sqrt(5) - 1) / 2


def plot_trajectories(
    fit: xr.DataTree,
    groups: Sequence[str] | Mapping[str, str],
    *,
    prob: float = 0.95,
    ax: Axes | None = None,
) -> Axes:
    """Draw how a few groups went over the years, in front of all others.

    Parameters
    ----------
    fit : xarray.DataTree
        Draws of :func:`hbm.exams.panel`.
    groups : sequence of str, or mapping of str to str
        Labels of up to seven groups, or what to call them by label.
    prob : float, default 0.95
        Probability inside the bands, strictly between 0 and 1.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure by default.

    Returns
    -------
    matplotlib.axes.Axes
        Of each of the groups a line of estimates in its band, and its raw means as points, whose
        area is the number of individuals. Dashed and paler is the year after the last: the group's
        mean then, with what it and the year may change by. Grey lines are the estimates of the
        other groups, from their first year with results to their last.

    Raises
    ------
    TypeError
        If an argument is of another kind.
    ValueError
        If the fit is of one year, there are no groups, more than seven or ones that it does not
        have, or `prob` is not between 0 and 1.

    Examples
    --------
    >>> import hbm
    >>> from matplotlib.figure import Figure
    >>> table, _ = hbm.simulate.exam_panel([2, 1], [12, 150, 40], random_seed=1)
    >>> prior = hbm.sample_prior_predictive(hbm.exams.panel(table), 50, random_seed=1)
    >>> fit = prior.assign(posterior=prior["prior"])
    >>> ax = plot_trajectories(fit, {"1": "Beech Hill"}, ax=Figure().subplots())
    >>> [text.get_text() for text in ax.get_legend().get_texts()][:2]
    ['Beech Hill', '2 other schools']
    """
    prob = inputs.probability(prob)
    f = read_panel(fit)
    d = f.d
    names = _named(f, groups)
    labels = d.levels[-1].labels.tolist()
    years = d.cells.years
    chosen = [labels.index(label) for label in names]
    cells = pd.DataFrame({"group": d.cells.group, "year": years[d.cells.year], "mean": d.mean})
    cells[d.size] = d.n.astype(int)
    mine = cells[cells["group"].isin(chosen)]

    ax = style.axes(ax, grid="y")
    others = _others(ax, f, set(chosen))
    areas, size_handles = marks.sizes(mine, d.size, d.individual)
    looks = zip(style.COLOURS, ("o", *style.MARKERS), strict=True)
    handles = []
    ahead = _next_year(f, chosen)
    ends = [(1 - prob) / 2, (1 + prob) / 2]
    for i, (at, name, (colour, marker)) in enumerate(
        zip(chosen, style.shorten(list(names.values()), style.LEGEND_NAME), looks, strict=False)
    ):
        draws = np.column_stack([f.mu(d.group)[:, at], ahead[:, i]])
        x, mean = np.append(years, years[-1] + 1), draws.mean(axis=0)
        lower, upper = np.quantile(draws, ends, axis=0)
        for part, alpha, dashes in ((slice(0, -1), 0.2, "-"), (slice(-2, None), 0.08, "--")):
            ax.fill_between(x[part], lower[part], upper[part], color=colour, alpha=alpha, lw=0)
            ax.plot(x[part], mean[part], color=colour, lw=2, linestyle=dashes, zorder=3)
        own = mine["group"].to_numpy() == at
        ax.scatter(
            mine["year"][own],
            mine["mean"][own],
            s=areas[own],
            c=colour,
            marker=marker,
            edgecolors="white",
            linewidths=0.5,
            zorder=4,
        )
        handles.append(marks.dot_handle(name, colour=colour, marker=marker))
        handles[-1].set(linestyle="-", lw=2, color=colour)
    handles += [*others, *size_handles]
    ax.set_xticks([*years, years[-1] + 1], [str(y) for y in (*years, years[-1] + 1)])
    style.quantity(ax.xaxis, style.heading(d.cells.name))
    style.quantity(ax.yaxis, f"Mean {d.value_name.replace('_', ' ')}", d.unit)
    what = f"{style.count(len(names), d.group)} of {len(labels):,}"
    if len(names) == len(labels):
        what = style.count(len(names), d.group)
    bands = style.interval(prob, "intervals")
    shown = f"{what}: estimates with {bands}, raw means as points"
    style.title(ax, f"{shown}\ndashed: {years[-1] + 1}, as expected")
    style.legend(ax, handles)
    return ax


def _named(f: Fitted, groups: Sequence[str] | Mapping[str, str]) -> dict[str, str]:
    """Return what groups are to be called, by label."""
    group, labels = f.d.group, f.d.levels[-1].labels.tolist()
    if isinstance(groups, str) or not isinstance(
        groups, Sequence | Mapping | np.ndarray | pd.Series
    ):
        raise TypeError(
            f"groups must be labels, such as {labels[:2]}, or what to call them by label, got "
            f"{groups!r}"
        )
    named = groups if isinstance(groups, Mapping) else {label: label for label in groups}
    names = {str(label): str(name) for label, name in named.items()}
    unknown = [label for label in names if label not in labels]
    if unknown:
        raise ValueError(f"the fit has no {group} {inputs.some(unknown)}")
    most = len(style.COLOURS)
    if not 1 <= len(names) <= most:
        raise ValueError(
            f"{len(names)} {style.plural(group)} cannot be told apart in one picture; choose 1 to "
            f"{most}"
        )
    return names


def _others(ax: Axes, f: Fitted, chosen: set[int]) -> list:
    """Draw the estimates of the other groups; return a legend handle, if there are any."""
    from matplotlib.collections import LineCollection

    cells, mean = f.d.cells, f.mu(f.d.group).mean(axis=0)
    lines = []
    for at in range(len(mean)):
        there = cells.year[cells.group == at]
        if at not in chosen and len(there):
            span = slice(there.min(), there.max() + 1)
            lines.append(np.column_stack([cells.years[span], mean[at, span]]))
    if not lines:
        return []
    # Of hundreds each is a trace; of a few they can be followed.
    alpha = 0.7 if len(lines) <= style.MANY else 0.25
    drawn = LineCollection(lines, colors=style.GREY, lw=0.6, alpha=alpha, zorder=1)
    drawn.set_label(f"{len(lines):,} other {style.plural(f.d.group)}")
    if len(lines) == 1:
        drawn.set_label(f"1 other {f.d.group.replace('_', ' ')}")
    ax.add_collection(drawn)
    return [drawn]


def _next_year(f: Fitted, groups: list[int]) -> np.ndarray:
    """Draw groups' means of the year after the last: (n_draws, n_groups).

    The same at every call: what is new is spread evenly over the draws.
    """
    d = f.d
    last = f.effect(d.group)[:, groups, -1]
    of_year = f.draws(f"effect_{d.cells.name}")[:, [-1]]
    # What is known of a group stays as it was in the last year.
    around = f.location(d.group, np.array(groups)) + f.moved_in_years(np.array(groups))[..., -1]
    kept, tau = f.draws("persistence")[:, None], f.tau(d.group)[:, None]
    mean = around + kept * (last - around - of_year)
    sd = np.sqrt(tau**2 * (1 - kept**2) + f.tau(d.cells.name)[:, None] ** 2)
    z = ndtri((np.arange(1, f.n_draws + 1) * _GOLDEN) % 1)
    return f.d.law.mean_of(mean + sd * z[:, None])


def plot_changes(table: pd.DataFrame, *, prob: float | None = None, ax: Axes | None = None) -> Axes:
    """Draw the changes of groups with their intervals, beside what their raw means did.

    Parameters
    ----------
    table : pandas.DataFrame
        Result of :func:`hbm.changes`, or some of its rows, in any order.
    prob : float, optional
        Probability inside the intervals, for a table that has lost it, as it does in a merge or a
        file. Without it the picture names no level.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure by default.

    Returns
    -------
    matplotlib.axes.Axes
        The group that fell most is at the left: a point at its estimated change, and its interval;
        a ring at the raw change. Those of which the table says that they changed are diamonds.
        Where there is no room for the names of all groups they alone are named, below and with a
        line to each; if not all of these fit either, those that changed most.

    Raises
    ------
    TypeError
        If an argument is of another kind.
    ValueError
        If a column is missing or holds a number that is not finite.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> table = pd.DataFrame({"school": ["a", "b"], "raw_change": [0.08, -0.2],
    ...                       "change": [0.06, -0.01], "lower": [0.02, -0.06],
    ...                       "upper": [0.1, 0.04], "named": [True, False]})
    >>> ax = plot_changes(table, ax=Figure().subplots())
    >>> [label.get_text() for label in ax.get_xticklabels()]
    ['b', 'a']
    """
    columns = ["raw_change", "change", "lower", "upper", "named"]
    inputs.made_by("hbm.changes", table, columns)
    name, labels = inputs.labels(table)
    for column in columns[:-1]:
        inputs.numbers(table, column)
    prob, unit = inputs.level(table, prob), inputs.unit_of(table, None)
    order = np.argsort(table["change"].to_numpy(), kind="stable")
    table, labels = table.iloc[order], [labels[i] for i in order]
    n = len(labels)
    x, named = np.arange(n), table["named"].to_numpy(dtype=bool)

    ax = style.axes(ax, grid="y", size=(8, 6) if n > style.MANY else (8, 5))
    ax.axhline(0, color=style.BLACK, lw=1, zorder=1)
    area = marks.dot_size(n) ** 2
    ax.scatter(
        x,
        table["raw_change"],
        s=0.8 * area,
        facecolors="none",
        edgecolors=style.GREY,
        linewidths=0.8,
        zorder=2,
    )
    handles = []
    fdr = table.attrs.get("fdr")
    said = "" if fdr is None else f" ({100 * fdr:g} % may be wrong)"
    for those, colour, marker, what in (
        (~named, style.BLUE, "o", f"estimate and {style.interval(prob)}"),
        (named, style.VERMILLION, "D", f"changed{said}"),
    ):
        if not those.any():
            continue
        width = style.bar_width(n)
        lower, upper = table["lower"][those], table["upper"][those]
        ax.vlines(x[those], lower, upper, colors=colour, lw=width, zorder=3)
        look = {"c": colour, "marker": marker, "linewidths": 0, "zorder": 4}
        ax.scatter(x[those], table["change"][those], s=area, **look)
        handle = marks.interval_handle(what, colour)
        handle.set_marker(marker)
        handles.append(handle)
    handles.append(marks.dot_handle("raw change", colour=style.GREY, hollow=True))
    style.name_groups(ax, labels, name)
    if unit == "%":
        ax.yaxis.set_major_formatter(lambda value, _: f"{100 * value:+g}" if value else "0")
        unit = "points"
    between = [table.attrs.get(which) for which in ("since", "until")]
    years = "" if None in between else f" from {between[0]} to {between[1]}"
    style.quantity(ax.yaxis, f"Change{years}", unit)
    net = {False: ", net of the years' effects", True: ""}.get(table.attrs.get("absolute"), "")
    style.title(
        ax,
        f"{style.count(n, name)} by change{years}{net}\n"
        f"{named.sum() or 'none'} of {n} can be said to have risen or fallen",
    )
    crowded = not len(ax.get_xticks())
    if crowded and named.any():
        _name_changed(ax, table, labels, name)
    style.legend(ax, handles, below=crowded)
    return ax


def _name_changed(ax: Axes, table: pd.DataFrame, labels: list[str], name: str) -> None:
    """Name those that changed, where there is no room for all groups: the most changed first."""
    named = np.flatnonzero(table["named"])
    away = table["change"].abs().to_numpy()[named]
    first = named[np.argsort(-away, kind="stable")]
    lower = table["lower"].to_numpy()[first]
    short = style.shorten(labels, style.NAME)  # different from those of all others
    shown = leaders.name_some(ax, first, lower, [short[i] for i in first])
    which = "those that changed are named"
    if shown < len(named):
        which = f"of those that changed, the {shown} that did most are named"
    style.quantity(ax.xaxis, f"{style.count(len(labels), name)}: {which}")
