"""Units: the log density of what was seen of an individual, a group or a member of a level above.

A unit's own effects, and those of all that stands in it, are integrated. It may be a unit of the
same fit, or of another that has been made without it.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from hbm.hierarchy.description import Description
from hbm.hierarchy.fitted import Fitted
from hbm.hierarchy.marginal import Family, marginal, marginal_family, without_each
from hbm.students.law import Evidence

__all__ = ["asked_of", "family_of", "integrated", "log_likelihoods", "of_new"]

Floats = NDArray[np.float64]


def log_likelihoods(f: Fitted, unit: str) -> Floats:
    """Return the log density of each unit given the draws of its own fit, as if not seen.

    Parameters
    ----------
    f : Fitted
        The fit.
    unit : str
        What is left out at a time.

    Returns
    -------
    numpy.ndarray, shape (n_draws, n_units)
    """
    d = f.d
    values = np.empty((f.n_draws, len(d.coords[unit])))
    if unit == d.individual:
        mu, spread = f.mu(d.group), np.broadcast_to(f.spread, (f.n_draws, len(d.n)))
        for i, group in enumerate(f.index):
            values[:, i] = d.law.individual_logp(d.value[i], mu[:, group], spread[:, group])
        return values
    parent = d.above(unit)
    if unit == d.group and parent is not None:
        above, taus = f.location(parent), [f.tau(parent), f.tau(unit)]
        for i in range(len(d.level(parent).labels)):
            members = np.flatnonzero(d.parent_of(unit) == i)
            family = [f.evidence(member) for member in members]
            values[:, members] = without_each(family, above[:, i], taus, *f.population_spread)
        return values
    taus = [f.tau(level) for level in levels_from(d, unit)]
    above = f.location(unit)
    for i in range(values.shape[1]):
        values[:, i] = integrated(family_of(f, unit, i), above[:, i], taus, f)
    return values


def levels_from(d: Description, level: str) -> list[str]:
    """Return the names of a level and of all below it."""
    names = [each.name for each in d.levels]
    return names[names.index(level) :]


def family_of(f: Fitted, level: str, member: int) -> Family:
    """Return what was seen of a group, or of all that stands in a member of a level above."""
    below = f.d.below(level)
    if below is None:
        return f.evidence(member)
    children = np.flatnonzero(f.d.parent_of(below) == member).tolist()
    return [family_of(f, below, child) for child in children]


def integrated(node: Family, m: Floats, taus: Sequence[Floats], f: Fitted) -> Floats:
    """Integrate a node's effects, and those of all below it: shape (n_draws,) or (1,)."""
    if isinstance(node, Evidence):
        return marginal(node, m, taus[0], *f.population_spread)
    return marginal_family(node, m, taus, *f.population_spread)


def of_new(given: Fitted, seen: Fitted, unit: str, position: int) -> Floats:
    """Return the log density of a unit of one fit given the draws of another, made without it.

    Effects of what the other fit does not have are integrated, up to the first that it has.

    Parameters
    ----------
    given : Fitted
        The fit that the draws are of.
    seen : Fitted
        The fit that the data are of.
    unit : str
        What the unit is.
    position : int
        Which one.

    Returns
    -------
    numpy.ndarray, shape (n_draws,) or (1,)
    """
    d = seen.d
    if unit == d.individual:
        group = seen.index[position]
        known = given.d.positions[d.group].get(d.levels[-1].labels[group])
        value = d.value[[position]]
        if known is not None:
            mu, spread = given.mu(d.group)[:, known], given.spread
            own = spread[:, known if spread.shape[1] > 1 else 0]
            return d.law.individual_logp(value[0], mu, own)
        unit, position = d.group, group
        node: Family = d.law.evidence(value[0], np.nan, 1.0, value)
    else:
        node = family_of(seen, unit, position)
    taus = [given.tau(level) for level in levels_from(d, unit)]
    while (above := d.above(unit)) is not None:
        position = d.parent_of(unit)[position]
        known = given.d.positions[above].get(d.level(above).labels[position])
        if known is not None:
            return integrated(node, given.effect(above)[:, known], taus, given)
        node, unit = [node], above
        taus.insert(0, given.tau(above))
    return integrated(node, given.grand_mean, taus, given)


def asked_of(d: Description, unit: str) -> list[str]:
    """Return the names of the quantities that a unit's log likelihood depends on."""
    if unit == d.individual:
        return [d.mean_name, d.spread_name]
    head = unit
    if unit == d.group and d.above(unit) is not None:
        head = d.above(unit)
    spread = [d.law.spread] + ([f"tau_{d.law.spread}"] if d.law.spread_varies else [])
    return [d.effect(d.above(head)), *(f"tau_{x}" for x in levels_from(d, head)), *spread]
