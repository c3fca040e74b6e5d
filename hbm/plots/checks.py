"""Predictive checks: what the model expects, and what was observed."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

import numpy as np

from hbm.plots import inputs, style

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from hbm.checks.report import LooPit, PredictiveCheck

__all__ = ["plot_check", "plot_pit"]

_EDGE = 2.0  # how far from the middle a mark may lie, in half-widths of the interval


def plot_check(check: PredictiveCheck, *, ax: Axes | None = None) -> Axes:
    """Draw each statistic of a predictive check as observed, on what the model expects.

    Parameters
    ----------
    check : PredictiveCheck
        Result of :func:`hbm.check_predictive`.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure by default.

    Returns
    -------
    matplotlib.axes.Axes
        One row a statistic: the density of its replications, scaled so that its limits are the same
        two lines whatever the unit, with their values written beside them; the observed value as a
        point, red if outside, with an arrow if far outside; and what it is at the right. The limits
        hold all statistics of 99 % of the replications at the same time (or of `prob` of the
        check), so that one point outside is enough to fail.

    Raises
    ------
    TypeError
        If `check` is something else.

    Examples
    --------
    >>> import hbm
    >>> from matplotlib.figure import Figure
    >>> model = hbm.heights.partial_pooling(hbm.load_dataset("heights"))
    >>> prior = hbm.sample_prior_predictive(model, random_seed=1)
    >>> ax = plot_check(hbm.check_predictive(model, prior), ax=Figure().subplots())
    >>> ax.get_yticklabels()[4].get_text()
    'highest country mean'
    """
    from hbm.checks.report import PredictiveCheck, in_unit

    if not isinstance(check, PredictiveCheck):
        raise TypeError(
            f"check must be the result of hbm.check_predictive, got {type(check).__name__}"
        )
    table = check.table
    ax = style.axes(ax, grid="y", size=(8, 1.6 + 0.55 * len(table)))
    for end in (-1, 1):
        ax.axvline(end, color=style.GREY, lw=0.8, linestyle=":")
    for y, row in enumerate(table.itertuples()):
        middle = (row.lower + row.upper) / 2
        # A statistic that does not vary, as a prior's may, has an interval of no width.
        half = (row.upper - row.lower) / 2 or 1.0
        _ridge(ax, (check.replicates[row.statistic].to_numpy() - middle) / half, y)
        _observed(ax, (row.observed - middle) / half, y, row.verdict == "as expected")
        for end, value, side in ((-1, row.lower, "right"), (1, row.upper, "left")):
            ax.text(
                end * 1.04,
                y + 0.06,
                in_unit(value, row.unit, 1),
                ha=side,
                va="top",
                fontsize=style.TEXT - 2,
                color=style.GREY,
                clip_on=True,
            )
        ax.text(
            _EDGE + 0.2,
            y,
            in_unit(row.observed, row.unit, 1),
            va="center",
            fontsize=style.TEXT,
            color=style.BLACK if row.verdict == "as expected" else style.VERMILLION,
        )
    ax.text(_EDGE + 0.2, -0.75, "observed", va="center", fontsize=style.TEXT, color=style.GREY)
    ax.set_yticks(range(len(table)), [textwrap.fill(text, 26) for text in table["meaning"]])
    ax.tick_params(axis="y", length=0)
    ax.set_ylim(len(table) - 0.6, -1.0)
    ax.set_xlim(-_EDGE - 0.1, _EDGE + 0.1)
    ax.set_xticks(
        [-1.7, 0, 1.7],
        ["lower", f"limits of all in {100 * check.prob:g} % of replications", "higher"],
    )
    ax.tick_params(axis="x", length=0)
    ax.spines[["left", "bottom"]].set_visible(False)
    failed = int((table["verdict"] != "as expected").sum())
    verdict = "all as expected" if check.ok else f"{failed} of {len(table)} not as expected"
    style.title(ax, f"{check.title}\n{verdict} (p = {check.p_value:.2g})")
    return ax


def _ridge(ax, x, y) -> None:
    """Draw a density that stands on a row."""
    from scipy.stats import gaussian_kde

    x = x[np.isfinite(x)]
    if len(np.unique(x)) < 2:
        return
    grid = np.linspace(max(x.min(), -_EDGE), min(x.max(), _EDGE), 200)
    density = gaussian_kde(x)(grid)
    top = y - 0.75 * density / density.max()
    ax.fill_between(grid, y, top, color=style.SKY, alpha=0.55, lw=0)


def _observed(ax, x, y, inside) -> None:
    """Draw the observed value of a row, or an arrow to where it is."""
    colour = style.BLACK if inside else style.VERMILLION
    if abs(x) <= _EDGE:
        ax.plot(x, y, "o" if inside else "D", color=colour, ms=8, zorder=3, clip_on=False)
        return
    side = np.sign(x)
    ax.annotate(
        "",
        (side * _EDGE, y),
        (side * (_EDGE - 0.5), y),
        arrowprops={"arrowstyle": "-|>", "color": colour, "lw": 2.5, "mutation_scale": 18},
    )


def plot_pit(pit: LooPit, *, prob: float = 0.99, ax: Axes | None = None) -> Axes:
    """Draw whether each unit, left out, lies where the model expects.

    Parameters
    ----------
    pit : LooPit
        Result of :func:`hbm.loo_pit`.
    prob : float, default 0.99
        Probability that uniform values stay inside the whole band.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure by default.

    Returns
    -------
    matplotlib.axes.Axes
        The share of PITs below each value less the share expected, of means and, where they are
        known, of standard deviations, with ArviZ's simultaneous band [1]_. A line that falls and
        then rises says that predictions are too wide, the reverse that they are too narrow; one
        below zero throughout, that they are too low. The band is for independent values and a guide
        to the eye: the verdict is that of the tests in `pit`.

    Raises
    ------
    TypeError
        If `pit` or `prob` is something else.
    ValueError
        If `prob` does not lie between 0 and 1.

    References
    ----------
    .. [1] Säilynoja, Bürkner and Vehtari (2022). Graphical test for discrete uniformity and its
       applications in goodness-of-fit evaluation and multiple sample comparison. Statistics and
       Computing 32, 32.

    Examples
    --------
    >>> import numpy as np, pandas as pd
    >>> from matplotlib.figure import Figure
    >>> from hbm import LooPit
    >>> table = pd.DataFrame({"school": list("abcd"), "pit": [0.1, 0.4, 0.7, 0.8]})
    >>> ax = plot_pit(LooPit(True, 0.9, table, "school"), ax=Figure().subplots())
    >>> ax.get_title(loc="left")
    'Each school left out is predicted as well as the model says.'
    """
    from arviz_stats.ecdf_utils import ecdf_pit

    from hbm.checks.report import LooPit

    if not isinstance(pit, LooPit):
        raise TypeError(f"pit must be the result of hbm.loo_pit, got {type(pit).__name__}")
    prob = inputs.probability(prob)
    x, share, lower, upper = ecdf_pit(pit.table["pit"].to_numpy(), prob, 1000)
    ax = style.axes(ax, grid="both", size=(8, 4.5))
    ax.fill_between(
        x,
        lower - x,
        upper - x,
        step="post",
        color=style.PALE,
        lw=0,
        label=f"{100 * prob:g} % band of right predictions",
    )
    ax.axhline(0, color=style.GREY, lw=1)
    units = style.count(len(pit.table), pit.unit.replace("_", " "))
    sds = pit.table["pit_sd"].dropna() if "pit_sd" in pit.table else pit.table["pit"][:0]
    lines = [(x, share, style.BLUE if pit.ok else style.VERMILLION, "-", units)]
    if len(sds):
        at, of_sds, *_ = ecdf_pit(sds.to_numpy(), prob, 1000)
        lines = [(*lines[0][:4], f"{units}: means"), (at, of_sds, style.BLACK, "--", "their sds")]
    for at, line, colour, dashes, label in lines:
        ax.step(at, line - at, where="post", color=colour, lw=2, linestyle=dashes, label=label)
    style.quantity(ax.xaxis, "Predicted probability of a lower result (PIT)")
    style.quantity(ax.yaxis, "Share below it, less expected")
    ax.yaxis.set_major_formatter(lambda value, _: f"{100 * value:+g}%" if value else "0")
    ax.set_xlim(0, 1)
    off = [lower - x, upper - x, *(line - at for at, line, *_ in lines)]
    most = 1.25 * max(np.abs(each).max() for each in off)
    ax.set_ylim(-most, most)
    ax.legend(fontsize=style.TEXT - 1, frameon=False, loc="upper right", labelcolor=style.BLACK)
    style.title(ax, textwrap.fill(pit.verdict, 80))
    return ax
