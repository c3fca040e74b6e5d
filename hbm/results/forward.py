"""Means and spreads of groups to predict: of known ones, of new ones, and in years to come.

What is not known of a group depends on how much of its line the model has seen:

* a **known group** has its own effect, with the uncertainty its posterior left;
* a **new group of a known parent** draws its effect around the parent's, with the sd tau between
  the groups of one parent;
* a **group of a new parent** draws the parent's effect first, around the grand mean. All new
  groups of one new parent share that draw.

Where nothing is nested, a new group is drawn around the grand mean.

**Years.** In a panel (:func:`hbm.exams.panel`) the effect of a group in a year is its parent's, the
year's and its own d, a stationary chain with persistence ρ and sd τ. In years of the fit, d is the
posterior's. In another, between a year a years before it and one b years after it, of which the
group has a d already, it is Normal (the bridge of a stationary chain) with

    mean      (ρ^a (1 − ρ^2b) d_before + ρ^b (1 − ρ^2a) d_after) / (1 − ρ^(2a + 2b)),
    variance  τ² (1 − ρ^2a) (1 − ρ^2b) / (1 − ρ^(2a + 2b)).

Where there is no year after it, as for years to come, ρ^b is 0: what is left is a step forwards,
N(ρ^a d_before, τ √(1 − ρ^2a)). A new group has nothing before its first year, N(0, τ). The effect
of a new year is one draw of N(0, tau_year) for all groups in it; if the year's mean is given, it is
what brings their mean to that.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hbm.hierarchy.description import Description
from hbm.hierarchy.fitted import Fitted
from hbm.results.rows import Rows, cells_of
from hbm.students.law import Law

__all__ = ["bridge", "draw_parameters", "read_year_means"]

Floats = NDArray[np.float64]

_LARGEST_PERSISTENCE = 1 - 1e-12  # at 1 the bridge is 0 / 0
_CLOSE = 1e-10  # to the mean of a year that is given
_MOST_STEPS = 200


def draw_parameters(
    f: Fitted, rows: Rows, rng: np.random.Generator, year_means: Mapping[int, float]
) -> tuple[Floats, Floats]:
    """Draw the mean and spread of each row.

    Parameters
    ----------
    f : Fitted
        Of a panel with all its years.
    rows : Rows
        What to predict.
    rng : numpy.random.Generator
        Where randomness comes from.
    year_means : mapping of int to float
        Mean of the individuals of new years, where that is known; see :func:`read_year_means`.

    Returns
    -------
    means, spreads : numpy.ndarray, shape (n_draws, n_rows)
    """
    d = f.d
    around = _parents(f, rows, rng)
    cell = rows.positions[d.group]
    if d.panel:
        effect = _over_years(f, rows, around, rng, year_means)
        cell = cells_of(rows, d)
        means = d.law.mean_of(effect)
    else:
        around = around + _moved(f, rows, d.group)
        effect = around + f.tau(d.group)[:, None] * rng.standard_normal((f.n_draws, len(rows.n)))
        means = d.law.mean_of(effect)
        means[:, cell >= 0] = f.mu(d.group)[:, cell[cell >= 0]]
    log_spread, tau_spread = (x[:, None] for x in f.population_spread)
    log_spread = log_spread + _moved_spreads(f, rows)
    spreads = np.exp(log_spread + tau_spread * rng.standard_normal(means.shape))
    if d.law.spread_varies:
        spreads[:, cell >= 0] = f.spread[:, cell[cell >= 0]]
    return means, spreads


def read_year_means(
    year_means: Mapping[int, float] | None, rows: Rows, d: Description
) -> dict[int, float]:
    """Return means of new years of a table, checked.

    Parameters
    ----------
    year_means : mapping of int to float, optional
        By year.
    rows : Rows
        What is to be predicted.
    d : Description
        Of the fit.

    Returns
    -------
    dict of int to float

    Raises
    ------
    TypeError
        If they are no mapping, or a mean is no number.
    ValueError
        If the fit is of one year, a year is one of the fit's or not in the table, or a mean is none
        that individuals can have.
    """
    if year_means is None:
        return {}
    if not isinstance(year_means, Mapping):
        raise TypeError(
            "year_means must map years to the means of their individuals, such as {2020: 0.65}, "
            f"got {year_means!r}"
        )
    if not d.panel:
        raise ValueError(
            "year_means is for fits of several years, of hbm.exams.panel, and this is of one. What "
            "its next cohort has in common can be taken off the means it is held against"
        )
    low, high = d.law.bounds
    there, known = rows.cells.years.tolist(), d.cells.years.tolist()
    for year, mean in year_means.items():
        if year in known:
            raise ValueError(
                f"year_means has {d.cells.name} {year!r}, whose effect the fit knows; it is for "
                f"{d.cells.name}s that are not in the fit, which has {known}"
            )
        if year not in there:
            raise ValueError(
                f"year_means has {d.cells.name} {year!r}, which the table has no rows of; it has "
                f"{there}"
            )
        if isinstance(mean, bool) or not isinstance(mean, int | float | np.number):
            raise TypeError(f"the mean of {d.cells.name} {year} must be a number, got {mean!r}")
        if not low < mean < high:
            mend = " (divide percentages by 100)" if d.law.proportions and mean > 1 else ""
            raise ValueError(
                f"the mean of {d.cells.name} {year} must lie between {low:g} and {high:g}{mend}, "
                f"got {mean}"
            )
    return {int(year): float(mean) for year, mean in year_means.items()}


def _parents(f: Fitted, rows: Rows, rng: np.random.Generator) -> Floats:
    """Draw what the effect of each group is around: shape (n_draws, n_groups)."""
    effect = f.grand_mean[:, None]
    for level in rows.levels[:-1]:
        here = rows.positions[level.name]
        around = effect if level.parent is None else effect[:, level.parent]
        around = around + _moved(f, rows, level.name)
        drawn = rng.standard_normal((f.n_draws, len(here)))
        effect = around + f.tau(level.name)[:, None] * drawn
        effect[:, here >= 0] = f.effect(level.name)[:, here[here >= 0]]
    parent = rows.levels[-1].parent
    return (
        np.repeat(effect, len(rows.levels[-1].labels), axis=1)
        if parent is None
        else effect[:, parent]
    )


def _moved(f: Fitted, rows: Rows, level: str) -> Floats:
    """Return by how much predictors move members that the fit does not have; (1, 1) by nothing."""
    return f.draws("beta") @ rows.x[level].T if level in rows.x else np.zeros((1, 1))


def _moved_spreads(f: Fitted, rows: Rows) -> Floats:
    """Return by how much predictors move the log spread of rows; (1, 1) by nothing."""
    d = f.d
    if d.predictors is None or not d.law.spread_varies:
        return np.zeros((1, 1))
    total: Any = 0.0
    at = np.arange(len(rows.n)) if rows.cells is None else rows.cells.group
    for level in reversed(rows.levels):
        if level.name in rows.x:
            # Of members that the fit has, what it was told.
            x, here = rows.x[level.name].copy(), rows.positions[level.name]
            by_row = d.panel and level.name == d.group
            if not by_row:
                x[here >= 0] = d.predictors.x[level.name][here[here >= 0]]
            total = total + (x if by_row else x[at])
        at = at if level.parent is None else level.parent[at]
    return f.draws("gamma") @ total.T


def _over_years(
    f: Fitted, rows: Rows, around: Floats, rng: np.random.Generator, year_means: Mapping[int, float]
) -> Floats:
    """Draw the effect of each row's group in its year: shape (n_draws, n_rows)."""
    group, at, years = rows.cells.group, rows.cells.year, rows.cells.years.tolist()
    of_year = f.draws(f"effect_{f.d.cells.name}")
    known = {year: of_year[:, t] for t, year in enumerate(f.d.cells.years.tolist())}
    chains = _chains(f, rows, around, known, rng)
    moved = np.broadcast_to(_moved(f, rows, f.d.group), (f.n_draws, len(rows.n)))
    effect = np.empty((f.n_draws, len(rows.n)))
    for t, year in enumerate(years):
        row = np.flatnonzero(at == t)
        own = around[:, group[row]] + moved[:, row] + chains[year][:, group[row]]
        new = f.tau(f.d.cells.name) * rng.standard_normal(f.n_draws)
        if year in year_means:
            new = _bringing_to(year_means[year], own, rows.n[row], f.d.law)
        effect[:, row] = own + known.get(year, new)[:, None]
    return effect


def _chains(
    f: Fitted, rows: Rows, around: Floats, of_year: Mapping[int, Floats], rng: np.random.Generator
) -> dict[int, Floats]:
    """Draw by how much each group deviates in each year of the rows: shape (n_draws, n_groups)."""
    position = rows.positions[f.d.group]
    known = position >= 0
    effect = f.effect(f.d.group)[:, position[known]] - f.moved_in_years(position[known])
    seen = {
        year: effect[:, :, t] - of_year[year][:, None] - around[:, known]
        for t, year in enumerate(f.d.cells.years.tolist())
    }
    drawn = {year: np.empty(around.shape) for year in rows.cells.years.tolist()}
    for groups, there in ((known, seen), (~known, {})):
        own = bridge(
            list(drawn), there, f.draws("persistence"), f.tau(f.d.group), int(groups.sum()), rng
        )
        for year, values in own.items():
            drawn[year][:, groups] = values
    return drawn


def bridge(
    years: Sequence[int],
    known: Mapping[int, Floats],
    persistence: Floats,
    sd: Floats,
    n_chains: int,
    rng: np.random.Generator,
) -> dict[int, Floats]:
    """Draw stationary chains in some years, given them in others.

    Parameters
    ----------
    years : sequence of int
        Years to return, in order.
    known : mapping of int to numpy.ndarray, shape (n_draws, n_chains)
        By year; those in `years` are returned as they are.
    persistence, sd : numpy.ndarray, shape (n_draws,)
        Correlation of successive years, and standard deviation in any one.
    n_chains : int
        Number of chains.
    rng : numpy.random.Generator
        Where randomness comes from.

    Returns
    -------
    dict of int to numpy.ndarray, shape (n_draws, n_chains)

    Examples
    --------
    What is expected between two years that are both 1, and a year after the later one:

    >>> rho, ones, rng = np.array([0.8]), np.ones((1, 1)), np.random.default_rng(1)
    >>> drawn = bridge([2016, 2018], {2015: ones, 2017: ones}, rho, np.zeros(1), 1, rng)
    >>> [round(float(x[0, 0]), 3) for x in drawn.values()]
    [0.976, 0.8]
    """
    there = dict(known)
    rho = np.minimum(persistence, _LARGEST_PERSISTENCE)[:, None]
    nothing = np.zeros((len(rho), n_chains))
    for year in years:
        if year in there:
            continue
        before = max((y for y in there if y < year), default=None)
        after = min((y for y in there if y > year), default=None)
        a, b = (np.zeros_like(rho) if y is None else rho ** abs(year - y) for y in (before, after))
        rest = 1 - (a * b) ** 2
        mean = a * (1 - b**2) * there.get(before, nothing)
        mean = mean + b * (1 - a**2) * there.get(after, nothing)
        scale = sd[:, None] * np.sqrt((1 - a**2) * (1 - b**2) / rest)
        there[year] = mean / rest + scale * rng.standard_normal(nothing.shape)
    return {year: there[year] for year in years}


def _bringing_to(mean: float, effect: Floats, n: NDArray[np.int64], law: Law) -> Floats:
    """Return by how much effects must be moved for their groups to have a mean: (n_draws,)."""
    weights = n / n.sum()
    low, high = np.full(len(effect), -np.inf), np.full(len(effect), np.inf)
    shift = np.zeros(len(effect))
    for _ in range(_MOST_STEPS):
        mu = law.mean_of(effect + shift[:, None])
        missing = mean - mu @ weights
        if np.abs(missing).max() < _CLOSE:
            break
        low, high = np.where(missing > 0, shift, low), np.where(missing > 0, high, shift)
        # Newton's step, or half way where that leaves what is known to hold the root.
        with np.errstate(divide="ignore"):
            step = shift + missing / (law.slope(mu) @ weights)
        shift = np.where((step > low) & (step < high), step, (low + high) / 2)
    return shift
