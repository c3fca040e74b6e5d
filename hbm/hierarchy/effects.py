"""Effects of groups and of what they stand in, added to a model level by level."""

from collections.abc import Mapping

import numpy as np
import pymc as pm
import pytensor.tensor as pt
from pytensor.tensor import TensorLike, TensorVariable

from hbm.hierarchy.coefficients import moved, moved_cells
from hbm.hierarchy.description import Description
from hbm.hierarchy.parameterisation import Parameterisation, group_effect
from hbm.hierarchy.parents import parent_estimates

__all__ = ["Raw", "level_effect", "raw_by_level", "spread_effect"]

Raw = Mapping[str, tuple[np.ndarray, np.ndarray]]


def raw_by_level(d: Description, spread: float | None = None) -> Raw:
    """Estimate the effects of every level from the raw data, for the informed parameterisation.

    Parameters
    ----------
    d : Description
        What was seen.
    spread : float, optional
        Spread of individuals to go by where the data tell none.

    Returns
    -------
    mapping of str to (estimate, standard error)
        By the names of the effects, and of the log of the spread.

    Examples
    --------
    >>> import hbm
    >>> model = hbm.heights.partial_pooling(hbm.load_dataset("heights"))
    >>> estimate, standard_error = raw_by_level(model.description)["mu_country"]
    >>> estimate.round(1)
    array([185.1, 194.8, 185.4, 176.9])
    """
    own = d.law.raw_estimates(d.n, d.mean, d.sd, spread)
    estimates = own.effect, own.effect_se
    raw = {d.effect(d.group): estimates, f"log_{d.spread_name}": own[2:]}
    for level in reversed(d.levels[1:]):
        above = d.level(d.above(level.name))
        estimates = parent_estimates(*estimates, level.parent, len(above.labels))
        raw[d.effect(above.name)] = estimates
    return raw


def level_effect(
    d: Description,
    level: str,
    around: TensorLike,
    tau: TensorLike,
    raw: Raw,
    parameterisation: Parameterisation,
    widened: TensorLike = 1.0,
    shift: TensorLike = 0.0,
    beta: TensorVariable | None = None,
) -> TensorVariable:
    """Add the effects of a level, N(the effect of what each member stands in, tau).

    Where something is known of the members, they are around what that adds.

    The members' means are added as well, where they are not the effects themselves.

    Parameters
    ----------
    d : Description
        What the model is. Its numbers are in the current model.
    level : str
        Which level.
    around : scalar or TensorVariable
        The grand mean at the top; the effects of the level above below it.
    tau : scalar or TensorVariable
        Standard deviation between the members of one parent.
    raw : mapping
        From :func:`raw_by_level`.
    parameterisation : {"informed", "centred", "non-centred"}
        How the sampler sees the effects.
    widened, shift : scalar or TensorVariable, default 1 and 0
        As for :func:`hbm.hierarchy.parameterisation.group_effect`.
    beta : TensorVariable, optional
        Coefficients of the predictors, if there are any.

    Returns
    -------
    TensorVariable, shape (n_members,)
        The effects.
    """
    if d.above(level) is not None:
        around = pt.as_tensor(around)[pm.modelcontext(None)[d.index_name(level)]]
    name = d.effect(level)
    estimate, standard_error = raw[name]
    effect = group_effect(
        name,
        around + moved(d, level, beta),
        tau,
        dims=level,
        estimate=estimate,
        standard_error=standard_error,
        parameterisation=parameterisation,
        widened=widened,
        shift=shift,
    )
    if name != f"mu_{level}":
        pm.Deterministic(f"mu_{level}", d.law.mean_of(effect), dims=level)
    return effect


def spread_effect(
    d: Description,
    spread: TensorLike,
    tau: TensorLike,
    raw: Raw,
    parameterisation: Parameterisation,
    gamma: TensorVariable | None = None,
) -> TensorVariable:
    """Add log <spread>_<group> ~ N(log spread, tau), and return the spreads of what was seen."""
    name = f"log_{d.spread_name}"
    estimate, standard_error = raw[name]
    effect = group_effect(
        name,
        pt.log(spread) + moved_cells(d, gamma),
        tau,
        dims=d.cell,
        estimate=estimate,
        standard_error=standard_error,
        parameterisation=parameterisation,
    )
    return pm.Deterministic(d.spread_name, pt.exp(effect), dims=d.cell)
