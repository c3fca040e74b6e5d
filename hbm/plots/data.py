"""Tables before a fit: students in schools, and schools in authorities."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from hbm.plots import inputs, marks, style
from hbm.tables.columns import require_columns, require_numbers
from hbm.tables.forms import require_individuals
from hbm.tables.labels import group, nest

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["plot_authorities", "plot_exam_table", "plot_students"]


def plot_students(
    table: pd.DataFrame,
    *,
    value: str = "score",
    school: str = "school",
    district: str | None = None,
    student: str = "student",
    unit: str = "%",
    ax: Axes | None = None,
) -> Axes:
    """Draw every student, school by school, with the mean of each school.

    Parameters
    ----------
    table : pandas.DataFrame
        One row a student, with columns `value`, `school` and, where nested, `district`.
    value, school, district : str
        Columns of the scores, the schools and the districts.
    student : str
        What an individual is called.
    unit : str
        ``"%"`` for proportions, or the unit of `value`.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure by default.

    Returns
    -------
    matplotlib.axes.Axes
        Students are points; schools differ in colour and districts in marker, up to 40 schools,
        and districts stand between vertical lines; a short line is the mean of a school.

    Raises
    ------
    TypeError
        If an argument is of another kind.
    ValueError
        If a column is missing, a number is not finite, or a school is in two districts.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> table = pd.DataFrame({"district": list("xxyy"), "school": list("aabb"),
    ...                       "score": [0.5, 0.6, 0.7, 0.8]})
    >>> ax = plot_students(table, district="district", ax=Figure().subplots())
    >>> ax.get_title(loc="left")
    '4 students in 2 schools in 2 districts'
    """
    low, high = inputs.bounds(unit, None)
    size = inputs.size_of(student)
    instead = "hbm.plot_exam_table draws it"
    require_individuals(table, value, by=school, size=size, instead=instead)
    numbers = inputs.numbers(table, value, low, high)
    if district is None:
        schools = group(table, school)
        parent = np.zeros(len(schools.labels), dtype=int)
    else:
        schools, districts, parent = nest(table, school, district)
    order = np.lexsort((schools.index, parent[schools.index]))
    numbers, school_of, district_of = (
        numbers[order],
        schools.index[order],
        parent[schools.index][order],
    )
    many = len(schools.labels) > style.MANY
    blocks = marks.runs(school_of)
    ax = style.axes(ax, grid="y", size=(8, 4.5))
    for i, (start, stop) in enumerate(blocks):
        ax.plot(
            np.arange(start, stop),
            numbers[start:stop],
            linestyle="none",
            marker=("o", *style.MARKERS)[district_of[start] % (1 + len(style.MARKERS))],
            ms=5 if len(numbers) <= 500 else 2.5,
            mec="none",
            alpha=0.3 if many else 0.8,
            color=style.SKY if many else style.COLOURS[i % len(style.COLOURS)],
            rasterized=len(numbers) > 5000,  # as vectors they would make a huge SVG
        )
        ax.hlines(numbers[start:stop].mean(), start - 0.5, stop - 0.5, color=style.BLACK, lw=1.5)
    ax.set_xlim(-1, len(numbers))
    middle = [(start + stop - 1) / 2 for start, stop in blocks]
    names = [schools.labels[school_of[start]] for start, _ in blocks]
    style.name_groups(ax, names, school, at=middle)
    style.quantity(ax.yaxis, style.heading(value), unit)
    title, pad = f"{style.count(len(table), student)} in {style.count(len(blocks), school)}", 8
    if district is not None:
        title += f" in {style.count(len(districts.labels), district)}"
        names = [f"{district} {label}" for label in districts.labels]
        if style.name_blocks(ax, marks.runs(district_of), names):
            pad = 20
    style.title(ax, title, pad=pad)
    return ax


def plot_exam_table(
    table: pd.DataFrame,
    *,
    colour_by: str | None = None,
    sized: bool = False,
    school: str = "school",
    student: str = "student",
    value: str = "score",
    ax: Axes | None = None,
) -> Axes:
    """Draw the schools of an exam table in the order of their mean, with ± 1 sd bars.

    Parameters
    ----------
    table : pandas.DataFrame
        As `hbm.exam_table` makes it: one row a school, with columns ``school``, ``mean``, ``sd``
        (proportions) and, if `sized`, ``n_students``. A missing sd gets no bar.
    colour_by : str, optional
        Column to colour the schools by, for example ``"authority_name"``. More groups than seven
        cannot be told apart by colour: the six with most schools are coloured, the others grey.
    sized : bool, default False
        Whether the area of a point stands for the number of students.
    school, student, value : str
        What a school, a student and a score are called; ``hospital`` and ``patient`` are read from
        columns ``hospital`` and ``n_patients``.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure by default.

    Returns
    -------
    matplotlib.axes.Axes
        The school of rank i, from the lowest mean, is at x = i. The bars are the spread of the
        students, not the uncertainty of the mean.

    Raises
    ------
    TypeError
        If an argument is of another kind.
    ValueError
        If a column is missing, or a mean is not a proportion.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> table = pd.DataFrame({"school": ["a", "b"], "n_students": [40, 9],
    ...                       "mean": [0.7, 0.5], "sd": [0.15, 0.2]})
    >>> ax = plot_exam_table(table, sized=True, ax=Figure().subplots())
    >>> [label.get_text() for label in ax.get_xticklabels()]
    ['b', 'a']
    """
    require_columns(table, [school, "mean", "sd"])
    inputs.numbers(table, "mean", 0, 1)
    n, order = len(table), np.argsort(table["mean"].to_numpy(), kind="stable")
    ordered = table.iloc[order]
    colours, handles = marks.largest_groups(table, colour_by)
    colours = colours[order]
    sizes = np.full(n, 36.0 if n <= style.MANY else 14.0)
    if sized:
        sizes, size_handles = marks.sizes(ordered, inputs.size_of(student), student)
        handles += size_handles
    ax = style.axes(ax, grid="y")
    x, mean = np.arange(n), ordered["mean"].to_numpy(dtype=float)
    sd = ordered["sd"].to_numpy(dtype=float)
    top = np.nanmax(np.append(mean + sd, 1.0))
    # The groups without a colour of their own first, so that they hide none that has one.
    for grey in (True, False):
        i = np.flatnonzero((colours == style.GREY) == grey)
        bars, alpha = i[np.isfinite(sd[i])], 0.25 if grey else 0.6
        low, high = mean[bars] - sd[bars], mean[bars] + sd[bars]
        ax.vlines(x[bars], low, high, colors=colours[bars], lw=style.bar_width(n), alpha=alpha)
        ax.scatter(
            x[i], mean[i], s=sizes[i], c=colours[i], edgecolors="white", linewidths=0.3, zorder=3
        )
    ax.set_ylim(0, top * 1.02)
    style.name_groups(ax, list(ordered[school].astype(str)), school)
    result = f"mean {value.replace('_', ' ')}"
    style.quantity(ax.yaxis, style.heading(result), "%")
    bars = f"bars: ± 1 sd of the {style.plural(student)}"
    style.title(ax, f"{style.count(n, school)} by {result}; {bars}")
    style.legend(ax, handles, inside=n > style.MANY)
    return ax


def plot_authorities(
    table: pd.DataFrame,
    *,
    authority: str = "authority",
    school: str = "school",
    student: str = "student",
    value: str = "score",
    ax: Axes | None = None,
) -> Axes:
    """Draw the authorities of an exam table in the order of their mean score.

    Parameters
    ----------
    table : pandas.DataFrame
        As `hbm.exam_table` makes it: one row a school, with columns ``school``, ``authority``,
        ``n_students`` and ``mean``.
    authority, school, student, value : str
        What these and a score are called, as in `plot_exam_table`.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure by default.

    Returns
    -------
    matplotlib.axes.Axes
        An authority is a point at the mean of its students, its area the number of its schools;
        its schools are pale points behind it. The authority of rank i is at x = i.

    Raises
    ------
    TypeError
        If an argument is of another kind.
    ValueError
        If a column is missing, a school is in two authorities, or a number is not allowed.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> table = pd.DataFrame({"school": list("abc"), "authority": list("xxy"),
    ...                       "n_students": [30, 10, 20], "mean": [0.6, 0.8, 0.5]})
    >>> ax = plot_authorities(table, ax=Figure().subplots())
    >>> ax.collections[-1].get_offsets().tolist()
    [[0.0, 0.5], [1.0, 0.65]]
    """
    inputs.numbers(table, "mean", 0, 1)
    students = require_numbers(
        table,
        inputs.size_of(student),
        allowed=f"numbers of {style.plural(student)}, 1 or more",
        ok=lambda n: n >= 1,
    )
    _, authorities, _ = nest(table, school, authority)
    rows = pd.DataFrame(
        {
            "authority": authorities.index,
            "n": students,
            "total": students * table["mean"].to_numpy(),
        }
    )
    sums = rows.groupby("authority").agg(
        n=("n", "sum"), total=("total", "sum"), schools=("n", "size")
    )
    sums["mean"] = sums["total"] / sums["n"]
    sums = sums.sort_values("mean", kind="stable")
    rank = pd.Series(np.arange(len(sums)), index=sums.index)
    ax = style.axes(ax, grid="y")
    pale = {"s": 20 if len(sums) <= style.MANY else 9, "alpha": 0.7, "linewidths": 0}
    ax.scatter(rank.loc[authorities.index], table["mean"], c=style.SKY, **pale)
    sizes, handles = marks.sizes(sums, "schools", school)
    edges = {"edgecolors": "white", "linewidths": 0.4}
    ax.scatter(rank, sums["mean"], s=sizes, c=style.BLUE, zorder=3, **edges)
    style.name_groups(ax, [authorities.labels[i] for i in sums.index], authority)
    result = f"mean {value.replace('_', ' ')}"
    style.quantity(ax.yaxis, style.heading(result), "%")
    behind = f"pale: their {style.plural(school)}"
    style.title(ax, f"{style.count(len(sums), authority)} by {result}; {behind}")
    style.legend(ax, handles, inside=len(sums) > style.MANY)
    return ax
