"""Pictures: each function draws one table on one Axes and returns the Axes.

Without ``ax=`` a function makes its own figure, 8 inches wide, so that it reads well at the
800 pixels of a README. Colours are those of Okabe and Ito (2008), which people with any of the
common colour-vision deficiencies can tell apart; where there are more groups than colours, the
largest groups keep a colour and the others are grey, or position alone tells them apart. Nothing
here reads or changes Matplotlib's global settings, and Matplotlib is imported only when a picture
is drawn.

``unit=`` says what the numbers are: ``"%"`` for proportions in (0, 1), which are drawn on an
axis of percentages, or a unit such as ``"cm"``, which is added to the axis label.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from hbm.groups import group, nest, require_columns, require_numbers

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import ArrayLike

__all__ = [
    "plot_agreement",
    "plot_authorities",
    "plot_betas",
    "plot_caterpillar",
    "plot_densities",
    "plot_density",
    "plot_estimates",
    "plot_exam_table",
    "plot_predictive",
    "plot_students",
    "save_figure",
]

_BLUE, _VERMILLION, _GREEN, _ORANGE = "#0072B2", "#D55E00", "#009E73", "#E69F00"
_PURPLE, _SKY, _BLACK = "#CC79A7", "#56B4E9", "#000000"
# Okabe and Ito's eighth colour, yellow, is left out: on white it cannot be seen.
_COLOURS = (_BLUE, _VERMILLION, _GREEN, _ORANGE, _PURPLE, _SKY, _BLACK)
_DASHES = ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)), (0, (8, 2)), (0, (3, 1)))
_MARKERS = ("D", "s", "^", "v", "P", "X")
_GREY, _PALE = "#6E6E6E", "#DDDDDD"
_TEXT, _LETTER = 10, 6  # points: size of text, width of a letter
_MANY = 40  # groups, above which marks get small and room for labels is short
_SMALLEST, _LARGEST = 8, 110  # square points; areas of points sized by a count


def plot_densities(
    table: pd.DataFrame,
    value: str,
    by: str,
    *,
    truth: Mapping[str, float] | None = None,
    unit: str = "",
    bounds: tuple[float, float] | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw the density of a value in each group.

    Parameters
    ----------
    table : pandas.DataFrame
        One row an observation, with columns `value` and `by`.
    value, by : str
        Columns of the numbers and of the groups.
    truth : mapping of label to number, optional
        True mean of each group, drawn as a vertical line like the group's own.
    unit : str
        ``"%"`` for proportions, or the unit of `value`, for example ``"cm"``.
    bounds : (float, float), optional
        Ends of the values' range, (0, 1) if `unit` is ``"%"``. A Gaussian kernel would leak past
        them; what it leaks is reflected back inside (Silverman 1986, section 2.10).
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure by default.

    Returns
    -------
    matplotlib.axes.Axes
        One line a group, and a legend for up to seven groups. A group without two different
        values has no density: its value is a tick on the axis.

    Raises
    ------
    ValueError
        If a column is missing, a number is not finite or out of bounds, or a group has no truth.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> table = pd.DataFrame({"country": list("aaabbb"), "height": [170, 172, 177, 180, 181, 188]})
    >>> ax = plot_densities(table, "height", "country", unit="cm", ax=Figure().subplots())
    >>> ax.get_xlabel()
    'Height (cm)'
    """
    low, high = _bounds(unit, bounds)
    numbers = _numbers(table, value, low, high)
    groups = group(table, by)
    if truth is not None:
        truth = _by_label(truth, groups.labels, "truth")
    styles = _styles(len(groups.labels))
    few = len(groups.labels) <= len(_COLOURS)
    ax = _axes(ax, grid="both")
    for i, label in enumerate(groups.labels):
        values = numbers[groups.index == i]
        _draw_density(ax, values, low, high, label=label, **styles[i])
        if truth is not None and few:
            ax.axvline(truth[i], **{**styles[i], "lw": 1})
    if truth is not None and not few:
        # Among many groups nobody can tell whose line it is: ticks show where they are.
        ticks = {"marker": "|", "ms": 20, "linestyle": "none", "color": _VERMILLION, "alpha": 0.5}
        ax.plot(truth, np.zeros_like(truth), **ticks)
    _finish_density(ax, _name(value), unit, low, high)
    marks = "" if truth is None else f"; vertical {'lines' if few else 'ticks'}: true means"
    _title(ax, f"{_name(value)} by {by}{marks}")
    if few:
        _legend(ax, ax.get_legend_handles_labels()[0], title=_name(by))
    return ax


def plot_density(
    draws: ArrayLike,
    *,
    truth: float | None = None,
    name: str | None = None,
    unit: str = "",
    bounds: tuple[float, float] | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw the density of draws of one quantity, its 95 % interval shaded.

    Parameters
    ----------
    draws : array-like or xarray.DataArray
        Draws of one quantity, in any shape, for example ``fit["posterior/mu"]``.
    truth : float, optional
        True value, drawn as a dashed line.
    name : str, optional
        Name of the quantity; the name of `draws` if it has one.
    unit, bounds, ax
        As in `plot_densities`. ``bounds=(0, float("inf"))`` suits a standard deviation.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    ValueError
        If there are no draws, or one is not finite or out of bounds.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> draws = np.random.default_rng(1).normal(10, 1, size=(4, 250))
    >>> ax = plot_density(draws, truth=10, name="nu", ax=Figure().subplots())
    >>> ax.get_title(loc="left")
    'nu: 1,000 draws; shaded: 95 %; dashed: true value'
    """
    low, high = _bounds(unit, bounds)
    name = str(name or getattr(draws, "name", None) or "value")
    values = _finite(np.ravel(draws), name, low, high)
    ax = _axes(ax, grid="both")
    grid, density = _draw_density(ax, values, low, high, color=_BLUE, lw=2)
    lower, upper = np.quantile(values, [0.025, 0.975])
    inside = (grid >= lower) & (grid <= upper)
    ax.fill_between(grid[inside], density[inside], color=_BLUE, alpha=0.2, lw=0)
    title = f"{name}: {values.size:,} draws; shaded: 95 %"
    if truth is not None:
        ax.axvline(truth, color=_BLACK, linestyle="--", lw=1.5)
        title += "; dashed: true value"
    _finish_density(ax, name, unit)
    _title(ax, title)
    return ax


def plot_betas(
    parameters: pd.DataFrame,
    *,
    points: Sequence[ArrayLike] | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw Beta densities, with values that were drawn from them on the curves.

    Parameters
    ----------
    parameters : pandas.DataFrame
        One row a density: columns ``alpha`` and ``beta``, or ``mu`` (mean) and ``nu`` ("sample
        size", alpha + beta). A further first column, for example ``school``, names the rows.
    points : sequence of array-like, optional
        One array of values in (0, 1) a row, drawn on that row's curve.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure by default.

    Returns
    -------
    matplotlib.axes.Axes
        One line a row, on the open interval (0, 1): a Beta with alpha or beta below 1 has no
        finite end.

    Raises
    ------
    ValueError
        If the columns are others, a parameter is not allowed, or `points` does not fit the rows.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> table = pd.DataFrame({"mu": [0.75, 0.75], "nu": [4, 16]})
    >>> ax = plot_betas(table, ax=Figure().subplots())
    >>> [line.get_label() for line in ax.lines]
    ['μ = 0.75, ν = 4', 'μ = 0.75, ν = 16']
    """
    from scipy.stats import beta

    if {"mu", "nu"} <= set(parameters.columns):
        pair, letters = ["mu", "nu"], "μν"
        mu = _numbers(parameters, "mu", 0, 1)
        nu = require_numbers(parameters, "nu", allowed="positive numbers", ok=lambda x: x > 0)
        a, b = mu * nu, (1 - mu) * nu
    else:
        pair, letters = ["alpha", "beta"], "αβ"
        require_columns(parameters, pair)
        a, b = (
            require_numbers(parameters, column, allowed="positive numbers", ok=lambda x: x > 0)
            for column in pair
        )
    named = parameters.columns[0] not in pair
    if named:
        labels = group(parameters, parameters.columns[0]).labels
    else:
        labels = [
            f"{letters[0]} = {first:g}, {letters[1]} = {second:g}"
            for first, second in parameters[pair].itertuples(index=False)
        ]
    if len(labels) != len(parameters):
        raise ValueError(f"column {parameters.columns[0]!r} names two densities alike")
    if points is not None and len(points) != len(parameters):
        raise ValueError(
            f"points must hold one array a row of parameters: {len(parameters)}, not {len(points)}"
        )
    styles = _styles(len(parameters))
    grid = np.linspace(0, 1, 401)[1:-1]
    ax = _axes(ax, grid="both")
    for i, label in enumerate(labels):
        ax.plot(grid, beta.pdf(grid, a[i], b[i]), label=label, **styles[i])
        if points is not None:
            values = _finite(np.ravel(points[i]), f"points[{i}]", 0, 1)
            ax.plot(
                values,
                beta.pdf(values, a[i], b[i]),
                linestyle="none",
                marker="o",
                ms=6 if len(parameters) <= len(_COLOURS) else 3,
                mec="white",
                mew=0.5,
                color=styles[i]["color"],
                zorder=3,
            )
    _finish_density(ax, "Score", "%", 0, 1)
    _title(ax, "Beta density" if len(parameters) == 1 else "Beta densities")
    if len(parameters) <= len(_COLOURS) and (named or len(parameters) > 1):
        title = _name(str(parameters.columns[0])) if named else None
        _legend(ax, ax.get_legend_handles_labels()[0], title=title)
    return ax


def plot_estimates(
    estimates: pd.DataFrame,
    *,
    others: Mapping[str, Mapping[str, float]] | None = None,
    reference: Mapping[str, float | Mapping[str, float]] | None = None,
    unit: str = "",
    ax: Axes | None = None,
) -> Axes:
    """Draw the estimate of each group with its interval, beside other values of the same groups.

    Parameters
    ----------
    estimates : pandas.DataFrame
        One row a group, as `hbm.estimates` makes it: the label first, then ``mean``, ``lower`` and
        ``upper``. Groups are drawn in the order of the rows.
    others : mapping of name to (mapping of label to number), optional
        What else is known of the groups, for example
        ``{"true mean": truth.set_index("school")["mean"]}``. Labels are compared as text.
    reference : mapping of name to a number or a mapping of label to number, optional
        What the groups are compared with, dashed: ``{"grand mean": 176.4}`` is one line across;
        a number for each label, such as the mean of its district, is drawn under its groups.
    unit : str
        ``"%"`` for proportions, or the unit of the estimates, for example ``"cm"``.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure by default.

    Returns
    -------
    matplotlib.axes.Axes
        Group i is at x = i. Groups are named under the axis if the names fit.

    Raises
    ------
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
    name, labels = _estimated(estimates)
    n = len(labels)
    x = np.arange(n)
    ax = _axes(ax, grid="y")
    handles = [_draw_intervals(ax, x, estimates)]
    # Beside the estimate where there is room, on it where there is none.
    step, size = (0.16, 6) if n <= _MANY else (0.0, 3)
    for i, (what, values) in enumerate((others or {}).items()):
        handles += ax.plot(
            x + step * (i + 1),
            _by_label(values, labels, what),
            linestyle="none",
            marker=_MARKERS[i % len(_MARKERS)],
            ms=size,
            color=_COLOURS[1 + i % (len(_COLOURS) - 1)],
            label=what,
            zorder=4 if n <= _MANY else 2,
        )
    for i, (what, value) in enumerate((reference or {}).items()):
        style = {"color": (_BLACK, _GREY, _PURPLE)[i % 3], "lw": 1.5, "linestyle": "--"}
        one = np.isscalar(value)
        values = np.full(n, value) if one else _by_label(value, labels, what)
        handles.append(_segments(ax, values, label=what, **style))
    _name_groups(ax, labels, name)
    _quantity(ax.yaxis, "Mean", unit)
    _title(ax, f"{_count(n, name)}: estimates with {_interval(estimates)}s")
    _legend(ax, handles)
    return ax


def plot_predictive(
    draws: xr.DataArray | ArrayLike,
    *,
    observed: ArrayLike | None = None,
    n_curves: int = 100,
    name: str | None = None,
    unit: str = "",
    bounds: tuple[float, float] | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw the densities of simulated data sets over each other, and of the observed one.

    Parameters
    ----------
    draws : xarray.DataArray or array-like
        Prior or posterior predictive draws of the observations: with dimensions chain and draw and
        one or more of observations, or an array of shape (data sets, observations).
    observed : array-like, optional
        The observations.
    n_curves : int, default 100
        How many data sets to draw, spread evenly over the draws.
    name, unit, bounds, ax
        As in `plot_density`.

    Returns
    -------
    matplotlib.axes.Axes
        A thin line for each simulated data set; a thick one for the observations or, without
        them, a vertical line at the mean of all draws.

    Raises
    ------
    ValueError
        If `draws` has no dimension of observations, or a number is not finite or out of bounds.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> draws = np.random.default_rng(1).beta(12, 4, size=(500, 30))
    >>> ax = plot_predictive(draws, unit="%", name="score", ax=Figure().subplots())
    >>> ax.get_title(loc="left")
    '100 simulated data sets; vertical line: mean of all'
    """
    low, high = _bounds(unit, bounds)
    name = str(name or getattr(draws, "name", None) or "value")
    if hasattr(draws, "dims"):
        sample = [dim for dim in ("chain", "draw", "sample") if dim in draws.dims]
        rows = draws.transpose(*sample, ...).to_numpy()
        rows = rows.reshape(int(np.prod([draws.sizes[dim] for dim in sample])), -1)
    else:
        rows = np.asarray(draws, dtype=float)
    if rows.ndim != 2 or rows.shape[1] < 2:
        raise ValueError(
            "draws must hold data sets of two or more observations: dimensions chain, draw and "
            f"observations, or shape (data sets, observations); got shape {np.shape(draws)}"
        )
    _finite(rows.ravel(), name, low, high)
    n_curves = min(n_curves, len(rows))
    ax = _axes(ax, grid="both")
    for i in np.linspace(0, len(rows) - 1, n_curves).astype(int):
        _draw_density(ax, rows[i], low, high, color=_BLUE, alpha=0.25, lw=0.8)
    if observed is None:
        ax.axvline(rows.mean(), color=_VERMILLION, lw=1.5)
        title = f"{n_curves} simulated data sets; vertical line: mean of all"
    else:
        values = _finite(np.ravel(observed), "observed", low, high)
        _draw_density(ax, values, low, high, color=_VERMILLION, lw=2.5)
        title = f"{n_curves} simulated data sets (blue) and the observed one (thick)"
    _finish_density(ax, _name(name), unit, low, high)
    _title(ax, title)
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
        Points, and the dashed line on which both are equal. Both axes have the same limits.

    Raises
    ------
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
    first, second = _numbers(table, x), _numbers(table, y)
    both = np.concatenate([first, second])
    margin = 0.08 * (np.ptp(both) or 1.0)
    limits = both.min() - margin, both.max() + margin
    ax = _axes(ax, grid="both", size=(6, 6))
    ax.axline((both.mean(), both.mean()), slope=1, color=_GREY, linestyle="--", lw=1.5)
    ax.plot(first, second, linestyle="none", marker="o", ms=7, mec="white", color=_BLUE)
    ax.set(xlim=limits, ylim=limits, aspect="equal")
    _quantity(ax.xaxis, _name(x), unit)
    _quantity(ax.yaxis, _name(y), unit)
    _title(ax, f"{_name(y)} against {_name(x).lower()}; dashed: equal")
    return ax


def plot_students(
    table: pd.DataFrame,
    *,
    value: str = "score",
    school: str = "school",
    district: str | None = None,
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
    low, high = _bounds(unit, None)
    numbers = _numbers(table, value, low, high)
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
    many = len(schools.labels) > _MANY
    blocks = _runs(school_of)
    ax = _axes(ax, grid="y", size=(8, 4.5))
    for i, (start, stop) in enumerate(blocks):
        ax.plot(
            np.arange(start, stop),
            numbers[start:stop],
            linestyle="none",
            marker=("o", *_MARKERS)[district_of[start] % (1 + len(_MARKERS))],
            ms=5 if len(numbers) <= 500 else 2.5,
            mec="none",
            alpha=0.3 if many else 0.8,
            color=_SKY if many else _COLOURS[i % len(_COLOURS)],
            rasterized=len(numbers) > 5000,  # as vectors they would make a huge SVG
        )
        ax.hlines(numbers[start:stop].mean(), start - 0.5, stop - 0.5, color=_BLACK, lw=1.5)
    ax.set_xlim(-1, len(numbers))
    middle = [(start + stop - 1) / 2 for start, stop in blocks]
    _name_groups(ax, [schools.labels[school_of[start]] for start, _ in blocks], school, at=middle)
    _quantity(ax.yaxis, _name(value), unit)
    title, pad = f"{len(table):,} students in {_count(len(blocks), school)}", 8
    if district is not None:
        title += f" in {_count(len(districts.labels), district)}"
        names = [f"{district} {label}" for label in districts.labels]
        if _name_blocks(ax, _runs(district_of), names):
            pad = 20
    _title(ax, title, pad=pad)
    return ax


def plot_exam_table(
    table: pd.DataFrame,
    *,
    colour_by: str | None = None,
    sized: bool = False,
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
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure by default.

    Returns
    -------
    matplotlib.axes.Axes
        The school of rank i, from the lowest mean, is at x = i. The bars are the spread of the
        students, not the uncertainty of the mean.

    Raises
    ------
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
    require_columns(table, ["school", "mean", "sd"])
    _numbers(table, "mean", 0, 1)
    n, order = len(table), np.argsort(table["mean"].to_numpy(), kind="stable")
    ordered = table.iloc[order]
    colours, handles = np.full(n, _BLUE), []
    if colour_by is not None:
        colours, handles = _largest_groups(table, colour_by)
        colours = colours[order]
    sizes = np.full(n, 36.0 if n <= _MANY else 14.0)
    if sized:
        sizes, size_handles = _sizes(ordered, "n_students", "student")
        handles += size_handles
    ax = _axes(ax, grid="y")
    x, mean = np.arange(n), ordered["mean"].to_numpy(dtype=float)
    sd = ordered["sd"].to_numpy(dtype=float)
    top = np.nanmax(np.append(mean + sd, 1.0))
    # The groups without a colour of their own first, so that they hide none that has one.
    for grey in (True, False):
        i = np.flatnonzero((colours == _GREY) == grey)
        bars, alpha = i[np.isfinite(sd[i])], 0.25 if grey else 0.6
        low, high = mean[bars] - sd[bars], mean[bars] + sd[bars]
        ax.vlines(x[bars], low, high, colors=colours[bars], lw=_bar_width(n), alpha=alpha)
        ax.scatter(
            x[i], mean[i], s=sizes[i], c=colours[i], edgecolors="white", linewidths=0.3, zorder=3
        )
    ax.set_ylim(0, top * 1.02)
    _name_groups(ax, list(ordered["school"].astype(str)), "school")
    _quantity(ax.yaxis, "Mean score", "%")
    _title(ax, f"{_count(n, 'school')} by mean score; bars: ± 1 sd of the students")
    _legend(ax, handles, inside=n > _MANY)
    return ax


def plot_authorities(table: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """Draw the authorities of an exam table in the order of their mean score.

    Parameters
    ----------
    table : pandas.DataFrame
        As `hbm.exam_table` makes it: one row a school, with columns ``school``, ``authority``,
        ``n_students`` and ``mean``.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure by default.

    Returns
    -------
    matplotlib.axes.Axes
        An authority is a point at the mean of its students, its area the number of its schools;
        its schools are pale points behind it. The authority of rank i is at x = i.

    Raises
    ------
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
    _numbers(table, "mean", 0, 1)
    students = require_numbers(
        table, "n_students", allowed="numbers of students, 1 or more", ok=lambda n: n >= 1
    )
    _, authorities, _ = nest(table, "school", "authority")
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
    ax = _axes(ax, grid="y")
    pale = {"s": 20 if len(sums) <= _MANY else 9, "c": _SKY, "alpha": 0.7, "linewidths": 0}
    ax.scatter(rank.loc[authorities.index], table["mean"], **pale)
    sizes, handles = _sizes(sums, "schools", "school")
    ax.scatter(rank, sums["mean"], s=sizes, c=_BLUE, edgecolors="white", linewidths=0.4, zorder=3)
    _name_groups(ax, [authorities.labels[i] for i in sums.index], "authority")
    _quantity(ax.yaxis, "Mean score", "%")
    _title(ax, f"{_count(len(sums), 'authority')} by mean score; pale: their schools")
    _legend(ax, handles, inside=len(sums) > _MANY)
    return ax


def plot_caterpillar(
    estimates: pd.DataFrame,
    table: pd.DataFrame,
    *,
    reference: Mapping[str, float] | None = None,
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
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure by default.

    Returns
    -------
    matplotlib.axes.Axes
        The group of rank i, from the lowest observed mean, is at x = i. The area of an observed
        point is its number of students.

    Raises
    ------
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
    name, labels = _estimated(estimates)
    _numbers(table, "mean", 0, 1)
    observed = pd.Series(table["mean"].to_numpy(), index=list(group(table, name).labels))
    unknown = [label for label in observed.index if label not in set(labels)]
    if unknown:
        raise ValueError(f"estimates lack {_some(unknown)}; were they fitted to another table?")
    order = np.argsort(_by_label(observed, labels, "table"), kind="stable")
    by_label = table.set_axis(observed.index).loc[[labels[i] for i in order]]
    x = np.arange(len(labels))
    ax = _axes(ax, grid="y")
    bars = _draw_intervals(ax, x, estimates.iloc[order])
    sizes, size_handles = _sizes(by_label, "n_students", "student", hollow=True)
    ax.scatter(
        x, by_label["mean"], s=sizes, facecolors="none", edgecolors=_VERMILLION, lw=0.9, zorder=4
    )
    lines = [
        ax.axhline(value, color=_BLACK, linestyle="--", lw=1.5, zorder=1, label=what)
        for what, value in (reference or {}).items()
    ]
    _name_groups(ax, list(by_label.index), name)
    _quantity(ax.yaxis, "Mean score", "%")
    _title(ax, f"{_count(len(x), name)} by observed mean, with the model's {_interval(estimates)}s")
    _legend(ax, [bars, *size_handles, *lines], inside=len(x) > _MANY)
    return ax


def save_figure(picture: Axes | Figure, path: str | Path) -> list[Path]:
    """Save a picture as PNG and as SVG, and close it.

    Parameters
    ----------
    picture : matplotlib.axes.Axes or matplotlib.figure.Figure
        What a plot function returned, or the figure it is in.
    path : str or pathlib.Path
        Where to, without ending: ``"pictures/heights"`` gives ``heights.png``, twice as dense as
        the 800 pixels it is meant to be seen at, and ``heights.svg``. Folders are made.

    Returns
    -------
    list of pathlib.Path
        The two files.

    Examples
    --------
    >>> import tempfile
    >>> from matplotlib.figure import Figure
    >>> folder = tempfile.mkdtemp()
    >>> ax = plot_density([1.0, 2.0, 3.0], ax=Figure().subplots())
    >>> [file.name for file in save_figure(ax, folder + "/draws")]
    ['draws.png', 'draws.svg']
    """
    import matplotlib as mpl
    import matplotlib.pyplot as plt

    figure = getattr(picture, "figure", picture)
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    files = [path.with_name(path.name + ending) for ending in (".png", ".svg")]
    # No date and fixed ids: the same picture gives the same file.
    with mpl.rc_context({"svg.hashsalt": path.name}):
        figure.savefig(files[0], dpi=200, bbox_inches="tight")
        figure.savefig(files[1], bbox_inches="tight", metadata={"Date": None})
    plt.close(figure)
    return files


# What is drawn -----------------------------------------------------------------------------------


def _bounds(unit: str, bounds: tuple[float, float] | None) -> tuple[float, float]:
    return bounds or ((0.0, 1.0) if unit == "%" else (-np.inf, np.inf))


def _finite(values: np.ndarray, name: str, low: float, high: float) -> np.ndarray:
    values = np.asarray(values, dtype=float)
    if values.size == 0:
        raise ValueError(f"{name}: there is nothing to draw")
    bad = values[~np.isfinite(values) | (values < low) | (values > high)]
    if bad.size:
        raise ValueError(
            f"{name} must hold finite numbers from {low:g} to {high:g}; "
            f"{bad.size} of {values.size} are not, for example {bad[0]:g}"
        )
    return values


def _numbers(table: pd.DataFrame, column: str, low=-np.inf, high=np.inf) -> np.ndarray:
    require_columns(table, [column])
    allowed = "finite numbers"
    if (low, high) == (0, 1):
        allowed = "proportions from 0 to 1 (divide percentages by 100)"
    elif np.isfinite([low, high]).any():
        allowed += f" from {low:g} to {high:g}"
    return require_numbers(
        table, column, allowed=allowed, ok=lambda x: np.isfinite(x) & (x >= low) & (x <= high)
    )


def _by_label(values: Mapping[str, float], labels: Sequence[str], what: str) -> np.ndarray:
    """Return the values in the order of the labels, both compared as text."""
    if isinstance(values, pd.DataFrame):
        raise TypeError(
            f"{what!r} must map labels to numbers, for example table.set_index(...)['mean']"
        )
    text = {str(label): float(value) for label, value in values.items()}
    missing = [label for label in labels if str(label) not in text]
    if missing:
        raise ValueError(f"{what!r} has no value for {_some(missing)}; it has: {_some(list(text))}")
    return np.array([text[str(label)] for label in labels])


def _estimated(estimates: pd.DataFrame) -> tuple[str, list[str]]:
    """Return the name of the groups and their labels."""
    require_columns(estimates, ["mean", "lower", "upper"])
    name = str(estimates.columns[0])
    if name in ("mean", "sd", "lower", "upper"):
        raise ValueError(f"the first column must hold the groups' labels; it is {name!r}")
    labels = [str(label) for label in group(estimates, name).labels]
    if len(labels) != len(estimates):
        raise ValueError(f"column {name!r} has a label twice; one row a group is needed")
    for column in ("mean", "lower", "upper"):
        _numbers(estimates, column)
    return name, labels


def _density(values: np.ndarray, low: float, high: float) -> tuple[np.ndarray, np.ndarray]:
    """Return a grid and a Gaussian kernel density on it, reflected at finite bounds.

    The bandwidth is Scott's. This is `scipy.stats.gaussian_kde` without its linear algebra, which
    takes most of the time where there are hundreds of groups.
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


def _draw_density(ax: Axes, values: np.ndarray, low: float, high: float, **style):
    if np.ptp(values) == 0:
        marks = {key: style[key] for key in ("color", "alpha") if key in style}
        label = style.get("label")
        ax.plot(values[:1], [0], marker="|", ms=14, linestyle="none", label=label, **marks)
        return values[:1], np.zeros(1)
    grid, density = _density(values, low, high)
    ax.plot(grid, density, **style)
    return grid, density


def _draw_intervals(ax: Axes, x: np.ndarray, estimates: pd.DataFrame):
    """Draw means and intervals; return what stands for them in a legend."""
    n = len(x)
    mean, lower, upper = estimates[["mean", "lower", "upper"]].to_numpy(dtype=float).T
    return ax.errorbar(
        x,
        mean,
        yerr=[mean - lower, upper - mean],
        fmt="o",
        ms=7 if n <= _MANY else 3 if n <= 200 else 2,
        color=_BLUE,
        ecolor=_BLUE,
        elinewidth=_bar_width(n),
        label=f"estimate and {_interval(estimates)}",
        zorder=3,
    )


def _segments(ax: Axes, values: np.ndarray, *, color, lw, linestyle, label: str):
    """Draw each run of equal values as one horizontal line under its groups."""
    starts, stops = np.array(_runs(values)).T
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


def _runs(values: np.ndarray) -> list[tuple[int, int]]:
    """Return where each run of equal values starts and stops."""
    ends = [0, *(np.flatnonzero(np.diff(values)) + 1).tolist(), len(values)]
    return list(pairwise(ends))


def _sizes(
    table: pd.DataFrame, column: str, what: str, *, hollow: bool = False
) -> tuple[np.ndarray, list]:
    """Return point areas proportional to a count, and legend handles that explain them."""
    from matplotlib.lines import Line2D

    count = require_numbers(table, column, allowed="counts, 1 or more", ok=lambda n: n >= 1)
    largest = _LARGEST if len(count) <= 200 else _LARGEST / 2
    scale = largest / count.max()
    marks = sorted({_round_down(count.max()), _round_down(max(count.min(), count.max() / 8))})
    look = {"mfc": "none", "mec": _VERMILLION} if hollow else {"mfc": _GREY, "mec": "none"}
    handles = [
        Line2D(
            [],
            [],
            linestyle="none",
            marker="o",
            ms=np.sqrt(mark * scale),
            label=("observed mean, " if hollow else "") + _count(mark, what),
            **look,
        )
        for mark in marks
    ]
    return np.maximum(count * scale, _SMALLEST), handles


def _styles(n: int) -> list[dict]:
    """Return how to draw n lines: colour and dashes each, or all alike and pale if n is large."""
    if n > len(_COLOURS):
        return [{"color": _BLUE, "alpha": max(0.08, 0.5 - n / 200), "lw": 1.2}] * n
    return [
        {"color": colour, "linestyle": dashes, "lw": 2}
        for colour, dashes in zip(_COLOURS[:n], _DASHES[:n], strict=True)
    ]


def _largest_groups(table: pd.DataFrame, column: str) -> tuple[np.ndarray, list]:
    """Return a colour a row and legend handles: the largest groups coloured, the others grey."""
    from matplotlib.lines import Line2D

    groups = group(table, column)
    counts = np.bincount(groups.index)
    shown = np.argsort(-counts, kind="stable")
    if len(shown) > len(_COLOURS):
        shown = shown[: len(_COLOURS) - 1]
    palette = dict(zip(shown.tolist(), _COLOURS, strict=False))
    entries = [(f"{groups.labels[i]} ({counts[i]})", colour) for i, colour in palette.items()]
    rest = len(counts) - len(palette)
    if rest:
        entries.append((f"{rest} others ({counts.sum() - counts[shown].sum()})", _GREY))
    handles = [
        Line2D([], [], linestyle="none", marker="o", ms=6, color=colour, label=label)
        for label, colour in entries
    ]
    return np.array([palette.get(i, _GREY) for i in groups.index.tolist()]), handles


# How it looks ------------------------------------------------------------------------------------


def _axes(ax: Axes | None, *, grid: str, size: tuple[float, float] = (8, 5)) -> Axes:
    """Return Axes in the one style of all pictures."""
    if ax is None:
        import matplotlib.pyplot as plt

        _, ax = plt.subplots(figsize=size, layout="constrained", facecolor="white")
    ax.set_facecolor("white")
    ax.spines[["top", "right"]].set_visible(False)
    ax.spines[["left", "bottom"]].set_color(_GREY)
    ax.tick_params(labelsize=_TEXT, color=_GREY, labelcolor=_BLACK)
    ax.grid(visible=False)
    ax.grid(visible=True, axis=grid, color=_PALE, lw=0.7, linestyle="-")
    ax.set_axisbelow(True)
    return ax


def _title(ax: Axes, text: str, pad: float = 8) -> None:
    ax.set_title(text, loc="left", fontsize=_TEXT + 2, color=_BLACK, pad=pad)


def _quantity(axis, label: str, unit: str = "") -> None:
    """Label an axis with a quantity and its unit; show proportions as percentages."""
    if unit == "%":
        axis.set_major_formatter(lambda value, _: f"{100 * value:g}%")
    suffix = f" ({unit})" if unit not in ("", "%") else ""
    axis.set_label_text(label + suffix, fontsize=_TEXT + 1, color=_BLACK)


def _finish_density(ax: Axes, label: str, unit: str, low=-np.inf, high=np.inf) -> None:
    """Label a picture of densities; show the whole of a bounded range."""
    _quantity(ax.xaxis, label, unit)
    _quantity(ax.yaxis, "Density")
    ax.set_ylim(bottom=0)
    if np.isfinite([low, high]).all():
        ax.set_xlim(low, high)


def _name_groups(ax: Axes, labels: list[str], name: str, at: Sequence[float] | None = None) -> None:
    """Name groups under the axis: level if that fits, else upright, else not at all."""
    if at is None:
        at = np.arange(len(labels))
        margin = max(0.6, 0.02 * len(labels))
        ax.set_xlim(-margin, len(labels) - 1 + margin)
    room = _points(ax, np.diff(at).min()) if len(labels) > 1 else np.inf
    longest = max(map(len, labels))
    level, upright = room >= _LETTER * (longest + 1), room >= 1.3 * _TEXT and longest <= 24
    if level or upright:
        ax.set_xticks(at, labels, rotation=0 if level else 90)
        _quantity(ax.xaxis, _name(name))
    else:
        ax.set_xticks([])
        _quantity(ax.xaxis, _count(len(labels), name))


def _name_blocks(ax: Axes, blocks: list[tuple[int, int]], names: list[str]) -> bool:
    """Part blocks of the x-axis by lines and name them above, both if that fits."""
    if len(blocks) <= _MANY:
        for start, _ in blocks[1:]:
            ax.axvline(start - 0.5, color=_GREY, lw=1)
    named = list(zip(blocks, names, strict=True))
    if any(_points(ax, stop - start) < _LETTER * len(name) for (start, stop), name in named):
        return False
    for (start, stop), name in named:
        ax.annotate(
            name,
            ((start + stop - 1) / 2, 1.0),
            (0, 2),
            xycoords=("data", "axes fraction"),
            textcoords="offset points",
            ha="center",
            fontsize=_TEXT,
            color=_GREY,
        )
    return True


def _points(ax: Axes, x: float) -> float:
    """Return how many points wide a piece of the x-axis will be, beside a legend."""
    left, right = ax.get_xlim()
    inches = 0.75 * ax.get_position().width * ax.get_figure().get_size_inches()[0]
    return 72 * inches * x / (right - left)


def _legend(ax: Axes, handles: list, *, title: str | None = None, inside: bool = False) -> None:
    """Put a legend beside the picture or, below many ascending values, inside it."""
    if handles:
        place = {"loc": "upper left", "bbox_to_anchor": (1.0, 1.0), "frameon": False}
        if inside:
            place = {"loc": "lower right", "framealpha": 0.9, "edgecolor": _PALE}
        ax.legend(
            handles=handles,
            title=title,
            fontsize=_TEXT - 1,
            title_fontsize=_TEXT - 1,
            labelcolor=_BLACK,
            facecolor="white",
            **place,
        )


def _bar_width(n: int) -> float:
    return 2.0 if n <= _MANY else 1.0 if n <= 200 else 0.6


def _interval(estimates: pd.DataFrame) -> str:
    prob = estimates.attrs.get("prob")
    return "interval" if prob is None else f"{100 * prob:g} % interval"


def _round_down(count: float) -> int:
    """Return the largest of 1, 2, 5, 10, 20, 50, … that is not above a count."""
    power = 10 ** int(np.floor(np.log10(count)))
    return max(step * power for step in (1, 2, 5) if step * power <= count)


def _name(column: str) -> str:
    text = column.replace("_", " ")
    return text[:1].upper() + text[1:]


def _count(n: int, name: str) -> str:
    plural = name[:-1] + "ies" if name.endswith("y") else name + "s"
    return f"{n:,} {(name if n == 1 else plural).replace('_', ' ')}"


def _some(labels: Sequence[str]) -> str:
    shown = ", ".join(repr(str(label)) for label in labels[:5])
    return shown + (f" and {len(labels) - 5} more" if len(labels) > 5 else "")
