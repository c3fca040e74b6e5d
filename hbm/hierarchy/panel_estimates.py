"""What a panel's raw data say of years, authorities and schools, for the informed parameterisation.

Cells' raw estimates ê ± s are taken to be Normal around year + authority + chain, with rough values
of what the model learns: the variances by moments, a persistence of 0.9 and a design effect of 1.5.
They shape the sampler's coordinates, and nothing else.

All schools share the years, and all years of an authority share its effect, so that the data know
the sums of the two better than either. Hence the years' effects are informed jointly, along the
directions in which the data know them independently, and an authority's estimate follows the years'
effects of a draw.
"""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from hbm.hierarchy.description import Description
from hbm.hierarchy.regression import gram

__all__ = ["PanelEstimates", "panel_estimates"]

Floats = NDArray[np.float64]
_PERSISTENCE, _DESIGN_EFFECT = 0.9, 1.5
_YEARS = 0.15  # sd of the effects of years, in logits
_LEAST = 0.01  # of a variance between schools, in squared logits


@dataclass(frozen=True)
class PanelEstimates:
    """Raw estimates of a panel's effects.

    Attributes
    ----------
    school, school_se : numpy.ndarray, shape (n_schools, n_years)
        Effect of each cell and its standard error; where there are no results, a guess and inf.
    log_spread, log_spread_se : numpy.ndarray, shape (n_cells,)
        Log of the spread of each cell's individuals.
    above : dict of str to (estimate, standard error, weights, carried)
        By level above the schools: effects with the years' at 0, shape (n_members,); how much of
        each year's effect is to be taken off, shape (n_members, n_years), and of the coefficient of
        each predictor, shape (n_members, n_predictors).
    year, year_se : numpy.ndarray, shape (n_years,)
        Grand mean and effects of the years, along the directions in `basis`, and their standard
        errors.
    year_carried : numpy.ndarray, shape (n_years, n_predictors)
        How much of the coefficient of each predictor is to be taken off along the directions.
    basis : numpy.ndarray, shape (n_years, n_years)
        Orthonormal directions in which years are known independently, as columns.
    told : numpy.ndarray or None
        What is said of coefficients, as :func:`hbm.hierarchy.coefficients.coefficients` takes it.
    """

    school: Floats
    school_se: Floats
    log_spread: Floats
    log_spread_se: Floats
    above: dict[str, tuple[Floats, Floats, Floats, Floats]]
    year: Floats
    year_se: Floats
    year_carried: Floats
    basis: Floats
    told: Floats | None


def panel_estimates(d: Description, spread: float) -> PanelEstimates:
    """Estimate the effects of a panel from the raw data.

    Parameters
    ----------
    d : Description
        What was seen.
    spread : float
        Spread of individuals to go by where the data tell none.

    Returns
    -------
    PanelEstimates

    Examples
    --------
    >>> import pandas as pd
    >>> from hbm.students.beta import BETA
    >>> from hbm.hierarchy.description import describe
    >>> from hbm.tables.panels import read_panel
    >>> table = pd.DataFrame({"school": ["a", "b", "a"], "year": [2017, 2017, 2018], "sd": 0.2,
    ...                       "mean": [0.6, 0.7, 0.65], "n_students": [12, 30, 14]})
    >>> data = read_panel(table, by="school", year="year", size="n_students")
    >>> d = describe(BETA, data, individual="student", observed="exam", value_name="score")
    >>> panel_estimates(d, 10).school.round(2)
    array([[0.4 , 0.61],
           [0.84, 0.77]])
    """
    cells = d.cells
    if cells is None:
        raise ValueError("the table is not of several years")
    own = d.law.raw_estimates(d.n, d.mean, d.sd, spread)
    shape = len(d.levels[-1].labels), len(cells.years)
    estimate, precision = np.zeros(shape), np.zeros(shape)
    estimate[cells.group, cells.year] = own.effect
    precision[cells.group, cells.year] = 1 / own.effect_se**2
    rough = precision / _DESIGN_EFFECT

    year = (rough * estimate).sum(axis=0) / rough.sum(axis=0)
    away = np.where(rough > 0, estimate - year, 0.0)
    tau2, taus2 = _variances(away, rough, _ancestors(d))

    lag = np.abs(np.subtract.outer(cells.years, cells.years))
    within = np.linalg.inv(tau2 * _PERSISTENCE**lag)
    # The precision of the cells of a school given what is above, D − D (C⁻¹ + D)⁻¹ D with D that of
    # each cell, which may be 0.
    known = np.zeros((*shape, shape[1]))
    at = np.arange(shape[1])
    known[:, at, at] = rough
    known -= rough[:, :, None] * np.linalg.inv(within + known) * rough[:, None, :]
    # Columns beside the estimates are those of predictors, which go all the way with them.
    x = _known_of(d, d.group, np.zeros((1, 1)))
    columns = np.concatenate([estimate[..., None], np.broadcast_to(x, (*shape, x.shape[-1]))], -1)
    told = known @ columns

    of_coefficients = _told(d, known, estimate, taus2) if d.predictors is not None else None
    above, total, sums = _above(d, known, told, taus2)
    values, basis = np.linalg.eigh(total)
    values = np.maximum(values, 1e-10 * values.max())
    along = (basis.T @ sums) / values[:, None]
    absolute = basis @ along[:, 0]
    guess = np.where(precision > 0, estimate, absolute + _lasting(away, rough)[:, None])
    with np.errstate(divide="ignore"):
        school_se = 1 / np.sqrt(precision)
    return PanelEstimates(
        school=guess,
        school_se=school_se,
        log_spread=own.log_spread,
        log_spread_se=own.log_spread_se,
        above=above,
        year=along[:, 0],
        year_se=1 / np.sqrt(values),
        year_carried=along[:, 1:],
        basis=basis,
        told=of_coefficients,
    )


def _told(d: Description, known: Floats, estimate: Floats, taus2: list[float]) -> Floats:
    """Return what the data say of coefficients, with the effects of the years integrated."""
    n_schools, n_years = estimate.shape
    x = np.zeros((n_schools, n_years, len(d.predictors.labels)))
    above = [level.name for level in reversed(d.levels[:-1])]
    stands_in = dict(zip(above, _ancestors(d), strict=True))
    for level, own in d.predictors.x.items():
        x += own if level == d.group else own[stands_in[level]][:, None]
    years = np.broadcast_to(np.eye(n_years), (n_schools, n_years, n_years))
    columns = np.concatenate([x, estimate[..., None], years], axis=-1)
    parents = [level.parent for level in reversed(d.levels[1:])]
    matrix = gram(columns, known, parents, taus2)
    # The intercept's column is the sum of the years'.
    sums = np.zeros((len(matrix), x.shape[-1] + 2))
    keep = np.arange(x.shape[-1])
    sums[keep, keep] = sums[-n_years - 1, -1] = sums[-n_years:, -2] = 1
    with_years = matrix[-n_years:] @ sums
    total = matrix[-n_years:, -n_years:] + np.eye(n_years) / _YEARS**2
    return sums.T @ matrix @ sums - with_years.T @ np.linalg.solve(total, with_years)


def _known_of(d: Description, level: str, nothing: Floats) -> Floats:
    """Return the predictors of a level, zeros of the shape of `nothing` where it has none."""
    if d.predictors is None:
        return np.zeros((*nothing.shape, 0))
    of_none = np.zeros((*nothing.shape, len(d.predictors.labels)))
    return d.predictors.x.get(level, of_none)


def _lasting(away: Floats, weight: Floats) -> Floats:
    """Return what is lasting of each school's deviations: their weighted mean."""
    return (weight * away).sum(axis=1) / weight.sum(axis=1)


def _ancestors(d: Description) -> list[NDArray[np.int64]]:
    """Return the position of what each school stands in, by level upwards."""
    at, found = np.arange(len(d.levels[-1].labels)), []
    for below in reversed(d.levels[1:]):
        at = d.parent_of(below.name)[at]
        found.append(at)
    return found


def _variances(away: Floats, weight: Floats, parents: list) -> tuple[float, list[float]]:
    """Return variances between schools, and between members of levels above, by moments.

    Products of deviations of one school in two years, and of two schools of one authority, have
    their variances as means, whatever the sampling errors.
    """

    def of_pairs(value: Floats, of: NDArray, same: NDArray) -> float:
        n = same.max() + 1
        both = [np.bincount(same, x, n) for x in (of * value, of)]
        alone = [np.bincount(same, x, n) for x in ((of * value) ** 2, of**2)]
        total = (both[1] ** 2 - alone[1]).sum()
        return float(((both[0] ** 2 - alone[0]).sum() / total) if total > 0 else 0.0)

    n_schools, n_years = away.shape
    of_school = np.repeat(np.arange(n_schools), n_years)
    within = of_pairs(away.ravel(), np.sqrt(weight).ravel(), of_school) / _PERSISTENCE
    lasting, size = _lasting(away, weight), np.ones(n_schools)
    sums = [max(of_pairs(lasting, size, parent), 0.0) for parent in parents]
    # What schools have in common counts to the authority, and what authorities have to the zone.
    bounds = [max(within, _LEAST), *sums, 0.0]
    steps = [max(a - b, _LEAST) for a, b in pairwise(bounds)]
    return steps[0], steps[1:]


def _above(d: Description, known: Floats, told: Floats, taus2: list[float]):
    """Pass what the schools say up the levels, each time with the effects of a level integrated.

    Returns estimates by level, and the precision, and precision times mean, of the years' effects.
    What the columns of predictors carry is taken for a mean too, one a column.
    """
    above = {}
    upwards = [(level, d.parent_of(below.name)) for level, below in pairwise(d.levels)][::-1]
    for (level, parent), tau2 in zip(upwards, taus2, strict=True):
        matrix = np.zeros((len(level.labels), *known.shape[1:]))
        vector = np.zeros((len(level.labels), *told.shape[1:]))
        np.add.at(matrix, parent, known)
        np.add.at(vector, parent, told)
        own = matrix.sum(axis=2)
        precision, sums = own.sum(axis=1), vector.sum(axis=1)
        means = sums / precision[:, None]
        weights = own / precision[:, None]
        above[level.name] = means[:, 0], 1 / np.sqrt(precision), weights, means[:, 1:]
        x = _known_of(d, level.name, np.zeros(1))
        vector[..., 1:] += own[:, :, None] * x[:, None, :]
        sums[:, 1:] += precision[:, None] * x
        part = 1 / (precision + 1 / tau2)
        known = matrix - (part[:, None] * own)[:, :, None] * own[:, None, :]
        told = vector - own[:, :, None] * (part[:, None] * sums)[:, None, :]
    return above, known.sum(axis=0), told.sum(axis=0)
