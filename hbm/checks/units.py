"""Units: the log density of what was seen of an individual, a group or a member of a level above.

A unit's own effects, and those of all that stands in it, are integrated. It may be a unit of the
same fit, or of another that has been made without it.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hbm.checks.panel_units import chain_of, known_above, panel_log_likelihoods
from hbm.hierarchy.chain_evidence import ChainEvidence
from hbm.hierarchy.description import Description
from hbm.hierarchy.fitted import Fitted
from hbm.hierarchy.marginal import Family, marginal, marginal_family, without_each
from hbm.hierarchy.nodes import given_below, node_of, placed, rows_of
from hbm.sampling.threads import cores_there, in_threads
from hbm.students.law import Evidence

__all__ = ["asked_of", "integrated", "log_likelihoods", "of_new"]

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
    if d.panel:
        return panel_log_likelihoods(f, unit)
    values = np.empty((f.n_draws, len(d.coords[unit])))
    if unit == d.individual:
        mu, spread = f.mu(d.group), np.broadcast_to(f.spread, (f.n_draws, len(d.n)))
        for i, group in enumerate(f.index):
            values[:, i] = d.law.individual_logp(d.value[i], mu[:, group], spread[:, group])
        return values
    parent = d.above(unit)
    if unit == d.group and parent is not None:
        above, taus = f.location(parent), [f.tau(parent), f.tau(unit)]

        def of_family(i: int) -> None:
            members = np.flatnonzero(d.parent_of(unit) == i)
            family = [node_of(f, unit, member) for member in members]
            values[:, members] = without_each(family, above[:, i], taus, *given_below(f))

        in_threads(of_family, range(len(d.level(parent).labels)), min(4, cores_there()))
        return values
    taus = [f.tau(level) for level in d.levels_from(unit)]
    above = f.around(unit)
    for i in range(values.shape[1]):
        values[:, i] = integrated(node_of(f, unit, i), above[:, i], taus, f)
    return values


def integrated(node: Family, m: Floats, taus: Sequence[Floats], f: Fitted) -> Floats:
    """Integrate a node's effects, and those of all below it: shape (n_draws,) or (1,)."""
    if isinstance(node, Evidence):
        return marginal(node, m, taus[0], *f.within)
    if isinstance(node, ChainEvidence):
        return node.given(m[:, None], taus[0], rows_of(f))[:, 0]
    return marginal_family(node, m, taus, *given_below(f))


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
        node = placed(node, seen, unit, position, given)
    elif d.panel:
        return _of_new_years(given, seen, unit, position)
    else:
        node = node_of(seen, unit, position, given=given)
    effect, taus, n_unknown = known_above(d, given, unit, position)
    node = _under(node, n_unknown, seen, unit, position, given)
    return integrated(node, effect, taus, given)


def _of_new_years(given: Fitted, seen: Fitted, unit: str, position: int) -> Floats:
    """Return the log density of a unit of a panel given the draws of another: (n_draws,)."""
    d = seen.d
    level = d.group if unit == d.last else unit
    effect, taus, n_unknown = known_above(d, given, level, position)

    def density(node: Family) -> Floats:
        node = _under(node, n_unknown, seen, level, position, given)
        return integrated(node, effect, taus, given)

    node = node_of(seen, level, position, lambda f, group: chain_of(f, group, given), given)
    whole = density(node)
    return whole - density(node.without_last()) if unit == d.last else whole


def _under(
    node: Family, n_unknown: int, seen: Fitted, unit: str, position: Any, given: Fitted
) -> Family:
    """Return what was seen below heads that are not known, of which each has one child."""
    for _ in range(n_unknown):
        position, unit = seen.d.parent_of(unit)[position], seen.d.above(unit)
        node = placed([node], seen, unit, position, given)
    return node


def asked_of(d: Description, unit: str) -> list[str]:
    """Return the names of the quantities that a unit's log likelihood depends on."""
    if unit == d.individual:
        return [d.mean_name, d.spread_name]
    head = d.group if unit == d.last else unit
    if head == d.group and d.above(head) is not None:
        head = d.above(head)
    spread = [d.law.spread] + ([f"tau_{d.law.spread}"] if d.law.spread_varies else [])
    cohort = ["design_effect"] if d.design_effect is None else []
    taus = [f"tau_{x}" for x in d.levels_from(head)]
    if d.predictors is not None:
        taus += ["beta", "gamma"] if d.law.spread_varies else ["beta"]
    years = ["persistence", f"effect_{d.cells.name}"] if d.cells is not None else []
    return [d.effect(d.above(head)), *taus, *years, *spread, *cohort]
