"""Units of a panel: the log density of what was seen of a group in its years, or of many groups.

A unit's own chains are integrated, and the effects of what stands in it; for a group the effect of
what it stands in as well, given the other groups. The years' effects stay as they were drawn.
"""

import numpy as np
from numpy.typing import NDArray

from hbm.hierarchy.chain_evidence import ChainEvidence, chain_evidence
from hbm.hierarchy.description import Description
from hbm.hierarchy.fitted import Fitted
from hbm.hierarchy.marginal import marginal_family, without_each
from hbm.hierarchy.nodes import node_of, rows_of

__all__ = ["chain_of", "known_above", "panel_log_likelihoods"]

Floats = NDArray[np.float64]


def panel_log_likelihoods(f: Fitted, unit: str) -> Floats:
    """Return the log density of each unit given the draws of its own fit, as if not seen.

    Parameters
    ----------
    f : Fitted
        The fit of a panel, with all its years.
    unit : str
        What is left out at a time: a group, its last year with results, or a member of a level
        above.

    Returns
    -------
    numpy.ndarray, shape (n_draws, n_units)
    """
    d = f.d
    of_last = unit == d.last
    level = d.group if of_last else unit
    taus = [f.tau(name) for name in d.levels_from(level)]
    values = np.empty((f.n_draws, len(d.level(level).labels)))
    rows = rows_of(f)
    above = d.above(d.group)
    if level != d.group:
        around = f.around(level)
        for i in range(values.shape[1]):
            family = node_of(f, level, i, chain_of)
            values[:, i] = marginal_family(family, around[:, i], taus, rows)
    elif above is None:
        around = f.grand_mean[:, None]
        for i in range(values.shape[1]):
            seen = chain_of(f, i)
            values[:, i] = seen.given(around, taus[0], rows)[:, 0]
            if of_last:
                values[:, i] -= seen.without_last().given(around, taus[0], rows)[:, 0]
    else:
        around, taus = f.location(above), [f.tau(above), *taus]
        for i in range(len(d.level(above).labels)):
            members = np.flatnonzero(d.parent_of(d.group) == i)
            family = [chain_of(f, member) for member in members]
            kept = [seen.without_last() for seen in family] if of_last else None
            values[:, members] = without_each(family, around[:, i], taus, rows, kept=kept)
    return values


def chain_of(f: Fitted, group: int | np.integer, given: Fitted | None = None) -> ChainEvidence:
    """Return what was seen of a group in its years, for draws of its own fit or of another.

    Parameters
    ----------
    f : Fitted
        The fit of a panel that the data are of.
    group : int
        Position of the group.
    given : Fitted, optional
        The fit of a panel that the draws are of, if that is another. What it lacks is drawn (the
        effect of a year) or taken as not known (that of what the group stands in).

    Returns
    -------
    ChainEvidence
    """
    d, given = f.d, f if given is None else given
    by = Fitted(given.fit, d)
    cells = np.flatnonzero(d.cells.group == group)
    cells = cells[np.argsort(d.cells.years[d.cells.year[cells]])]
    years = d.cells.years[d.cells.year[cells]]
    around, taus, _ = known_above(d, given, d.group, group)
    if (above := d.above(d.group)) is not None and len(taus) == 1:
        # As far as effects lie from there, whatever what the group stands in is.
        taus = [given.tau(above), *taus]
    return chain_evidence(
        [f.evidence(cell) for cell in cells],
        np.diff(years, prepend=0),
        around,
        _effects_of(given, years) + by.moved_in_years(group)[:, d.cells.year[cells]],
        np.sqrt(sum(tau**2 for tau in taus)),
        given.draws("persistence"),
        [by.within_of(cell) for cell in cells],
    )


def known_above(
    d: Description, given: Fitted, unit: str, position: int | np.integer
) -> tuple[Floats, list[Floats], int]:
    """Return the first effect above a unit that a fit knows, what varies below it, and how deep.

    Parameters
    ----------
    d : Description
        What the unit is of.
    given : Fitted
        A fit that has the same levels, and not all of their members.
    unit : str
        A level.
    position : int
        Which member of it, known or not.

    Returns
    -------
    effect : numpy.ndarray, shape (n_draws,) or (1,)
    taus : list of numpy.ndarray, shape (n_draws,) or (1,)
        Standard deviations from below that effect down to the groups.
    n_unknown : int
        Number of levels between the unit and the effect.
    """
    taus = [given.tau(level) for level in d.levels_from(unit)]
    n_unknown = 0
    while (above := d.above(unit)) is not None:
        position = d.parent_of(unit)[position]
        known = given.d.positions[above].get(d.level(above).labels[position])
        if known is not None:
            return given.effect(above)[:, known], taus, n_unknown
        unit, n_unknown = above, n_unknown + 1
        taus.insert(0, given.tau(above))
    return given.grand_mean, taus, n_unknown


def _effects_of(given: Fitted, years: NDArray[np.int64]) -> Floats:
    """Return draws of the effects of years, from their population for one that a fit lacks.

    Shape (n_draws, n_years). That is the same for all groups: a year is known by its number.
    """
    known = given.draws(f"effect_{given.d.cells.name}")
    at = {year: t for t, year in enumerate(given.d.cells.years.tolist())}
    tau = given.tau(given.d.cells.name)

    def new(year: int) -> Floats:
        return tau * np.random.default_rng(abs(year)).standard_normal(len(tau))

    of_each = [known[:, at[year]] if year in at else new(year) for year in years.tolist()]
    return np.column_stack(of_each)
