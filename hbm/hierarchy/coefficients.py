"""Coefficients of predictors: what is known of groups moves around what their effects vary.

With x the coded columns (:mod:`hbm.tables.predictors`), beta moves where effects are centred,

    effect ~ N(what the member stands in + x · beta, tau),

at the level that a column is known of, and gamma where logs of spreads are, where spreads vary:
log spread ~ N(log spread in the middle + x · gamma, its tau), with the columns of all levels. Both
are N(0, sd) of one sd of a number; those of categories sum to zero.
"""

from itertools import pairwise
from typing import Any

import numpy as np
import pymc as pm
import pytensor.tensor as pt
from numpy.typing import NDArray
from pytensor.tensor import TensorLike, TensorVariable
from scipy.linalg import block_diag

from hbm.hierarchy.description import Description
from hbm.hierarchy.joint import joint_effect
from hbm.hierarchy.parameterisation import Parameterisation
from hbm.hierarchy.parents import between_variance, weighted_parents
from hbm.hierarchy.regression import gram, regression

__all__ = [
    "carried",
    "coefficients",
    "followed",
    "moved",
    "moved_cells",
    "of_cells",
    "told_of_effects",
    "told_of_spreads",
]

Floats = NDArray[np.float64]


def coefficients(
    d: Description,
    name: str,
    sd: float,
    parameterisation: Parameterisation,
    intercept: TensorLike = 0.0,
    matrix: Floats | None = None,
) -> TensorVariable | None:
    """Add coefficients ~ N(0, sd) of all predictors to the current model.

    Parameters
    ----------
    d : Description
        What the model is.
    name : str
        Of the variable.
    sd : float
        Prior sd of that of a number; of the effect of one of K categories it is sd √(1 − 1/K).
    parameterisation : {"informed", "centred", "non-centred"}
        How the sampler sees them.
    intercept : scalar or TensorVariable, default 0
        What they come on top of.
    matrix : numpy.ndarray, shape (n_predictors + 2, n_predictors + 2)
        What the raw data say of predictors, the intercept, and what was seen, from
        :func:`hbm.hierarchy.regression.gram`; needed if there are predictors.

    Returns
    -------
    TensorVariable, shape (n_predictors,), or None
        None if there are no predictors.
    """
    if d.predictors is None:
        return None
    free = block_diag(d.predictors.contrasts, np.eye(2))
    told = regression(free.T @ matrix @ free, sd)
    contrast = joint_effect(
        f"{name}_contrast",
        sd,
        dims="contrast",
        estimate=told.estimate,
        standard_error=told.standard_error,
        basis=told.basis,
        start=told.start,
        intercept=intercept,
        slope=told.slope,
        parameterisation=parameterisation,
    )
    return pm.Deterministic(name, pt.dot(d.predictors.contrasts, contrast), dims="predictor")


def moved(d: Description, level: str, beta: TensorVariable | None) -> Any:
    """Return by how much predictors move where effects of a level are centred.

    Parameters
    ----------
    d : Description
        What the model is. Its numbers are in the current model.
    level : str
        Which level.
    beta : TensorVariable or None
        The coefficients, if there are predictors.

    Returns
    -------
    TensorVariable or float
        Shape (n_members,), of the groups of a panel (n_groups, n_years); 0 where nothing is known.
    """
    if beta is None or level not in d.predictors.x:
        return 0.0
    return pt.dot(pm.modelcontext(None)[f"predictors_of_{level}"], beta)


def moved_cells(d: Description, gamma: TensorVariable | None) -> Any:
    """Return by how much predictors of all levels move the log spread of what was seen."""
    if gamma is None:
        return 0.0
    model = pm.modelcontext(None)
    total: Any = 0.0
    at = model[f"{d.group}_of_cell"] if d.panel else slice(None)
    for level in reversed(d.levels):
        if level.name in d.predictors.x:
            x = model[f"predictors_of_{level.name}"]
            in_year = d.panel and level.name == d.group
            x = x[at, model[f"{d.cells.name}_of_cell"]] if in_year else x[at]
            total = total + pt.dot(x, gamma)
        if level.parent is not None:
            at = model[d.index_name(level.name)][at]
    return total


def followed(name: str, off: Floats | None, beta: TensorVariable | None, dims: str) -> Any:
    """Return by how much raw estimates move that follow what predictors say.

    Parameters
    ----------
    name : str
        Of the effects.
    off : numpy.ndarray, shape (n_members, n_predictors), or None
        Times the coefficients, what is to be taken off the estimates.
    beta : TensorVariable or None
        The coefficients, if there are predictors.
    dims : str
        Dim of the estimates.

    Returns
    -------
    TensorVariable or float
        Shape (n_members,), or 0.
    """
    if beta is None:
        return 0.0
    return -pt.dot(pm.Data(f"{name}_carried", off, dims=(dims, "predictor")), beta)


def of_cells(d: Description) -> Floats:
    """Return the predictors of all levels of what was seen: shape (n_cells, n_predictors)."""
    total = np.zeros((len(d.n), len(d.predictors.labels)))
    for name, x in d.predictors.x.items():
        by_year = d.panel and name == d.group
        total += x[d.cells.group, d.cells.year] if by_year else x[d.ancestor_of(name)]
    return total


def carried(d: Description, raw) -> dict[str, Floats]:
    """Return how raw estimates of levels above the groups follow what predictors say of these.

    An estimate of a member is a weighted mean of those of its children, of which each is of its
    effect and of what its own predictors add: that is to be taken off.

    Parameters
    ----------
    d : Description
        What the model is.
    raw : mapping of str to (estimate, standard error)
        Raw estimates by the names of effects.

    Returns
    -------
    dict of str to numpy.ndarray, shape (n_members, n_predictors)
        By level above the groups: times the coefficients, what is to be taken off.
    """
    found: dict[str, Floats] = {}
    if d.predictors is None:
        return found
    nothing = np.zeros((1, len(d.predictors.labels)))
    x = nothing
    for above, level in reversed(list(pairwise(d.levels))):
        x = x + d.predictors.x.get(level.name, nothing)
        x = np.broadcast_to(x, (len(level.labels), x.shape[1]))
        estimate, standard_error = raw[d.effect(level.name)]
        n = len(above.labels)
        tau_squared = np.nan_to_num(between_variance(estimate, standard_error, level.parent, n))
        x = np.column_stack(
            [
                weighted_parents(column, standard_error, tau_squared, level.parent, n)[0]
                for column in x.T
            ]
        )
        found[above.name] = x
    return found


def told_of_effects(d: Description, raw) -> Floats | None:
    """Return what raw estimates of effects say of coefficients, as :func:`coefficients` takes it.

    Parameters
    ----------
    d : Description
        What the model is.
    raw : mapping of str to (estimate, standard error)
        Raw estimates by the names of effects.

    Returns
    -------
    numpy.ndarray, shape (n_predictors + 2, n_predictors + 2), or None
        None if there are no predictors.
    """
    if d.predictors is None:
        return None
    variances = []
    for i, level in enumerate(d.levels):
        estimate, standard_error = raw[d.effect(level.name)]
        parent = np.zeros(len(estimate), int) if i == 0 else level.parent
        found = between_variance(estimate, standard_error, parent, parent.max() + 1)
        variances.append(float(np.nan_to_num(found)))
    parents = [level.parent for level in reversed(d.levels[1:])]
    estimate, standard_error = raw[d.effect(d.group)]
    return _told(d, estimate, standard_error, variances, parents)


def told_of_spreads(d: Description, estimate: Floats, standard_error: Floats) -> Floats | None:
    """Return what raw estimates of log spreads say of coefficients, likewise."""
    if d.predictors is None:
        return None
    one = np.zeros(len(estimate), int)
    found = between_variance(estimate, standard_error, one, 1)
    return _told(d, estimate, standard_error, [float(np.nan_to_num(found))], [])


def _told(d: Description, estimate, standard_error, variances, parents) -> Floats:
    known = np.isfinite(standard_error)
    precision = np.where(known, 1 / (standard_error**2 + variances[-1]), 0.0)
    seen = np.where(known, estimate, 0.0)
    columns = np.column_stack([of_cells(d), np.ones(len(seen)), seen])
    return gram(columns[:, None], precision[:, None, None], parents, variances[-2::-1])
