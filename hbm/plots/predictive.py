"""What a model would produce, before and after it has seen the data."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from hbm.plots import inputs, marks, style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from numpy.typing import ArrayLike

__all__ = ["plot_predictive", "plot_predictive_by_group"]


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
        them, a vertical line at the mean of all draws. Where a few data sets hardly vary, their
        peaks are cut off, so that all others can be seen.

    Raises
    ------
    TypeError
        If an argument is of another kind.
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
    low, high = inputs.bounds(unit, bounds)
    n_curves = inputs.count(n_curves, "n_curves")
    name = str(name or getattr(draws, "name", None) or "value")
    if isinstance(draws, xr.DataArray):
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
    inputs.finite(rows.ravel(), name, low, high)
    n_curves = min(n_curves, len(rows))
    ax = style.axes(ax, grid="both")
    thin = {"color": style.BLUE, "alpha": 0.25, "lw": 0.8}
    peaks = [
        marks.draw_density(ax, rows[i], low, high, **thin)[1].max()
        for i in np.linspace(0, len(rows) - 1, n_curves).astype(int)
    ]
    top = np.quantile(peaks, 0.9)
    if observed is None:
        ax.axvline(rows.mean(), color=style.VERMILLION, lw=1.5)
        title = f"{n_curves} simulated data sets; vertical line: mean of all"
    else:
        values = inputs.finite(np.ravel(observed), "observed", low, high)
        thick = {"color": style.VERMILLION, "lw": 2.5}
        top = max(top, marks.draw_density(ax, values, low, high, **thick)[1].max())
        title = f"{n_curves} simulated data sets (blue) and the observed one (thick)"
    style.finish_density(ax, style.heading(name), unit, low, high)
    if max(peaks) > 2 * top > 0:
        ax.set_ylim(top=1.1 * top)
    style.title(ax, title)
    return ax


def plot_predictive_by_group(
    replicated: xr.DataArray,
    observed: Mapping[str, float],
    *,
    prob: float = 0.95,
    unit: str = "",
    ax: Axes | None = None,
) -> Axes:
    """Draw what a model expects to see of each group, and what was seen.

    Parameters
    ----------
    replicated : xarray.DataArray
        Draws of one number of each group, dimensions chain, draw and the group: for example
        ``hbm.predict(model, fit, table)["predictions/mean"]``, the means of new students of the
        same schools.
    observed : mapping of label to number
        The same number as observed, for example ``table.set_index("school")["mean"]``.
    prob : float, default 0.95
        Probability inside the intervals, strictly between 0 and 1.
    unit : str
        ``"%"`` for proportions, or the unit of the numbers.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure by default.

    Returns
    -------
    matplotlib.axes.Axes
        The group of rank i, from the lowest observed number, is at x = i: a bar for the predictive
        interval, and a point for what was observed, a diamond where it lies outside. Of good
        intervals about 1 − `prob` of the points are outside; fewer where the groups
        were in the fit, since it has already followed them.

    Raises
    ------
    TypeError
        If an argument is of another kind.
    ValueError
        If there is not exactly one dimension of groups, one of them was not observed, or a number
        is not finite.

    Examples
    --------
    >>> import xarray as xr
    >>> from matplotlib.figure import Figure
    >>> draws = np.random.default_rng(1).normal([60, 70], 1.0, size=(4, 500, 2))
    >>> draws = xr.DataArray(draws, dims=("chain", "draw", "school"), coords={"school": ["a", "b"]})
    >>> ax = plot_predictive_by_group(draws, {"a": 61.0, "b": 75.0}, ax=Figure().subplots())
    >>> ax.get_title(loc="left")
    '1 of 2 schools inside the 95 % predictive intervals'
    """
    if not hasattr(replicated, "dims"):
        raise TypeError(f"replicated must be an xarray.DataArray, got {type(replicated).__name__}")
    dims = [dim for dim in replicated.dims if dim not in ("chain", "draw", "sample")]
    if len(dims) != 1:
        raise ValueError(
            f"replicated must have one dimension of groups beside chain and draw; it has {dims}"
        )
    inputs.probability(prob)
    inputs.text(unit)
    (name,) = dims
    labels = [str(label) for label in replicated[name].to_numpy()]
    seen = inputs.finite(
        inputs.by_label(observed, labels, "observed"), "observed", *inputs.INFINITE
    )
    draws = replicated.transpose(name, ...).to_numpy().reshape(len(labels), -1)
    inputs.finite(draws, str(replicated.name or "replicated"), *inputs.INFINITE)
    lower, upper = np.quantile(draws, [(1 - prob) / 2, (1 + prob) / 2], axis=1)
    order = np.argsort(seen, kind="stable")
    seen, lower, upper, n = seen[order], lower[order], upper[order], len(order)
    inside = (seen >= lower) & (seen <= upper)
    x = np.arange(n)

    ax = style.axes(ax, grid="y")
    bars = ax.vlines(x, lower, upper, colors=style.SKY, lw=style.wide_bar(n), zorder=2)
    bars.set_label(f"{100 * prob:g} % predictive interval")
    look = {"linewidths": 0, "zorder": 3}
    area = marks.dot_size(n) ** 2
    ax.scatter(x[inside], seen[inside], s=area, c=style.BLUE, **look)
    handles = [bars, marks.dot_handle("observed")]
    if not inside.all():
        ax.scatter(x[~inside], seen[~inside], s=1.4 * area, c=style.VERMILLION, marker="D", **look)
        diamond = {"colour": style.VERMILLION, "marker": "D"}
        handles.append(marks.dot_handle("observed, outside", **diamond))
    style.name_groups(ax, [labels[i] for i in order], str(name))
    style.quantity(ax.yaxis, style.heading(str(replicated.name or "value")), unit)
    whole = style.count(n, str(name))
    style.title(ax, f"{inside.sum()} of {whole} inside the {100 * prob:g} % predictive intervals")
    style.legend(ax, handles, inside=n > style.MANY)
    return ax
