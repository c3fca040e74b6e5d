"""Densities: of a value in each group, of draws of one quantity, and of Beta distributions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from hbm.hierarchy.carried import read_description
from hbm.plots import inputs, marks, style
from hbm.tables.columns import require_columns, require_numbers
from hbm.tables.labels import group

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes
    from numpy.typing import ArrayLike

__all__ = ["plot_betas", "plot_densities", "plot_density", "plot_spreads"]


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
    TypeError
        If an argument is of another kind.
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
    low, high = inputs.bounds(unit, bounds)
    numbers = inputs.numbers(table, value, low, high)
    groups = group(table, by)
    true = None if truth is None else inputs.by_label(truth, groups.labels, "truth")
    styles = marks.line_styles(len(groups.labels))
    few = len(groups.labels) <= len(style.COLOURS)
    ax = style.axes(ax, grid="both")
    for i, label in enumerate(style.shorten(groups.labels, style.LEGEND_NAME)):
        values = numbers[groups.index == i]
        marks.draw_density(ax, values, low, high, label=label, **styles[i])
        if true is not None and few:
            ax.axvline(true[i], **{**styles[i], "lw": 1})
    if true is not None and not few:
        # Among many groups nobody can tell whose line it is: ticks show where they are.
        ticks = {"marker": "|", "ms": 20, "linestyle": "none", "alpha": 0.5}
        ax.plot(true, np.zeros_like(true), color=style.VERMILLION, **ticks)
    style.finish_density(ax, style.heading(value), unit, low, high)
    lines = "" if truth is None else f"; vertical {'lines' if few else 'ticks'}: true means"
    style.title(ax, f"{style.heading(value)} by {by}{lines}")
    if few:
        style.legend(ax, ax.get_legend_handles_labels()[0], title=style.heading(by))
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
        Draws that are all alike have no density: a line stands at their value.

    Raises
    ------
    TypeError
        If an argument is of another kind.
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
    low, high = inputs.bounds(unit, bounds)
    name = str(name or getattr(draws, "name", None) or "value")
    values = inputs.finite(np.ravel(draws), name, low, high)
    title = f"{name}: {style.count(values.size, 'draw')}"
    if marks.constant(values):
        title += ", all of them " if values.size > 1 else ", "
        title += style.amount(values[0], unit)
    else:
        title += "; shaded: 95 %"
    if truth is not None:
        truth = inputs.number(truth, "truth")
    ax = style.axes(ax, grid="both")
    marks.draw_shaded_density(ax, values, low, high, color=style.BLUE)
    if marks.constant(values):
        shown = np.array([values[0], values[0] if truth is None else truth])
        margin = 0.1 * np.abs(shown).max() or 1.0
        ax.set_xlim(shown.min() - margin, shown.max() + margin)
        ax.set_yticks([])
    if truth is not None:
        ax.axvline(truth, color=style.BLACK, linestyle="--", lw=1.5)
        title += "; dashed: true value"
    style.finish_density(ax, name, unit)
    style.title(ax, title)
    return ax


def plot_betas(
    parameters: pd.DataFrame,
    *,
    points: Sequence[ArrayLike] | None = None,
    value: str = "score",
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
    value : str
        What has these densities.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure by default.

    Returns
    -------
    matplotlib.axes.Axes
        One line a row, on the open interval (0, 1): a Beta with alpha or beta below 1 has no
        finite end.

    Raises
    ------
    TypeError
        If an argument is of another kind.
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
        mu = inputs.numbers(parameters, "mu", 0, 1)
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
        labels = style.shorten(labels, style.LEGEND_NAME)
    else:
        labels = [
            f"{letters[0]} = {first:g}, {letters[1]} = {second:g}"
            for first, second in parameters[pair].itertuples(index=False)
        ]
    if len(labels) != len(parameters):
        raise ValueError(f"column {parameters.columns[0]!r} names two densities alike")
    if points is not None and not isinstance(points, Sequence | np.ndarray):
        raise TypeError(
            f"points must hold one array a row of parameters, got {type(points).__name__}"
        )
    if points is not None and len(points) != len(parameters):
        raise ValueError(
            f"points must hold one array a row of parameters: {len(parameters)}, not {len(points)}"
        )
    styles = marks.line_styles(len(parameters))
    grid = np.linspace(0, 1, 401)[1:-1]
    ax = style.axes(ax, grid="both")
    for i, label in enumerate(labels):
        ax.plot(grid, beta.pdf(grid, a[i], b[i]), label=label, **styles[i])
        if points is not None:
            values = inputs.finite(np.ravel(points[i]), f"points[{i}]", 0, 1)
            ax.plot(
                values,
                beta.pdf(values, a[i], b[i]),
                linestyle="none",
                marker="o",
                ms=6 if len(parameters) <= len(style.COLOURS) else 3,
                mec="white",
                mew=0.5,
                color=styles[i]["color"],
                zorder=3,
            )
    style.finish_density(ax, style.heading(value), "%", 0, 1)
    style.title(ax, "Beta density" if len(parameters) == 1 else "Beta densities")
    if len(parameters) <= len(style.COLOURS) and (named or len(parameters) > 1):
        title = style.heading(str(parameters.columns[0])) if named else None
        style.legend(ax, ax.get_legend_handles_labels()[0], title=title)
    return ax


def plot_spreads(
    fit: xr.DataTree,
    prior: xr.DataTree | None = None,
    *,
    unit: str = "",
    ax: Axes | None = None,
) -> Axes:
    """Draw the posterior of each between-group standard deviation, and its prior.

    Parameters
    ----------
    fit : xarray.DataTree
        Result of `hbm.sample` for a model that pools: ``tau_school`` and the like are drawn.
    prior : xarray.DataTree, optional
        Result of `hbm.sample_prior_predictive` for the same model, drawn dashed.
    unit : str
        Unit of the standard deviations, for example ``"cm"``. By default what the fit says. Those
        of scores and marks are logits, and said to be.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure by default.

    Returns
    -------
    matplotlib.axes.Axes
        One line a level, from the top, its 95 % interval shaded; the x-axis ends where the
        posteriors do, and priors may go on. A spread that does not vary is a line at its value.

    Raises
    ------
    TypeError
        If an argument is of another kind.
    ValueError
        If the fit has learned no spread between groups, or `prior` has none of the same name.

    Examples
    --------
    >>> import arviz as az
    >>> from matplotlib.figure import Figure
    >>> draws = np.random.default_rng(1).gamma(9, 0.3, (4, 500))
    >>> fit = az.from_dict(
    ...     {"posterior": {"tau_country": draws, "mu_country": np.ones((4, 500, 1))}},
    ...     dims={"mu_country": ["country"]}, coords={"country": ["a"]})
    >>> ax = plot_spreads(fit, unit="cm", ax=Figure().subplots())
    >>> ax.get_xlabel()
    'Standard deviation between groups (cm)'
    """
    for tree, holder, maker in (
        (fit, "posterior", "hbm.sample"),
        (prior, "prior", "hbm.sample_prior_predictive"),
    ):
        if tree is not None and holder not in getattr(tree, "children", ()):
            raise ValueError(f"expected what {maker} returns, with a group {holder!r}")
    posterior = fit["posterior"].to_dataset()
    # Not tau_nu, which is another quantity: there are no groups called nu.
    levels, d = sorted(posterior.sizes, key=posterior.sizes.get), read_description(fit)
    if d is not None:
        levels = [level.name for level in d.levels]
    names = [f"tau_{level}" for level in levels if f"tau_{level}" in posterior]
    if not names:
        raise ValueError(
            "the fit has learned no spread between groups, such as tau_school; fit "
            "partial_pooling or a nested model"
        )
    if prior is not None:
        missing = [name for name in names if name not in prior["prior"]]
        if missing:
            raise ValueError(
                f"the prior has no {', '.join(missing)}; pass the result of "
                "hbm.sample_prior_predictive for the same model"
            )
    if not inputs.text(unit) and d is not None:
        unit = "logits" if d.law.proportions else d.unit
    ax = style.axes(ax, grid="both")
    handles, right = [], 0.0
    for i, name in enumerate(names):
        values = inputs.finite(np.ravel(posterior[name]), name, 0, np.inf)
        colour = style.COLOURS[i]
        label = f"between {style.plural(name[4:])}"
        alike = f": {values[0]:g}" if marks.constant(values) else ""
        grid = marks.draw_shaded_density(ax, values, 0, np.inf, color=colour, label=label + alike)
        handles.append(ax.lines[-1])
        right = max(right, grid[-1] * (1.25 if alike else 1))
        if prior is not None:
            values = inputs.finite(np.ravel(prior["prior"][name]), name, 0, np.inf)
            dashes = {"color": colour, "lw": 1.5, "linestyle": (2 * i, (4, 4))}
            marks.draw_density(ax, values, 0, np.inf, label=f"{label}, prior", **dashes)
            handles.append(ax.lines[-1])
    style.finish_density(ax, "Standard deviation between groups", unit)
    ax.set_xlim(0, right or 1.0)
    ends = "posterior, 95 % shaded" + ("; dashed: prior" if prior is not None else "")
    style.title(ax, f"Spread between groups: {ends}")
    style.legend(ax, handles)
    return ax
