"""Years of a panel left out: where each school's last mean lies in what the model predicts of it.

What is known of a school's last effect without its last results is a chain's
(:mod:`hbm.hierarchy.chain_evidence`), around what it stands in given the other schools of that.
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from hbm.checks.panel_units import chain_of
from hbm.hierarchy.chain_evidence import ChainEvidence
from hbm.hierarchy.fitted import Fitted
from hbm.hierarchy.marginal import head_given_siblings
from hbm.sampling.threads import ONE_THREAD
from hbm.students.law import Law

__all__ = ["covariance_of_cells", "last_years_below"]

Floats = NDArray[np.float64]

_HEADS = 2  # of what schools stand in, for each draw
_ROOT = 1.2207440846057596  # of x⁴ = x + 1: its powers spread points evenly in three dimensions


def last_years_below(f: Fitted, weights: Floats, unit: str) -> tuple[Floats, Floats]:
    """Return the probability of a lower mean of each group in its last year with results.

    And that of a lower standard deviation, of such groups with the same mean.

    Parameters
    ----------
    f : Fitted
        The fit of a panel, with all its years.
    weights : numpy.ndarray, shape (n_draws, n_groups)
        Importance weights of the draws without the unit.
    unit : str
        What was left out: the last year of a group, or the group with all its years, which is then
        predicted as a new one.

    Returns
    -------
    below, sd_below : numpy.ndarray, shape (n_groups,)
    """
    d, law, rows = f.d, f.d.law, np.arange(f.n_draws, dtype=float)
    cells = d.last_cells
    mean, sd = (x[cells] for x in f.published)
    below, sd_below = np.empty(len(cells)), np.empty(len(cells))
    for group, seen, around in _chains(f, unit):
        # Points that are spread evenly over draws and heads, those of spreads for each value.
        numbers = np.arange(1, around.size + 1).reshape(around.shape)
        at = (0.5 + numbers / _ROOT) % 1
        effect, share = seen.effect_of_last(around, f.tau(d.group), rows, at)
        p = (0.5 + numbers[..., None] / _ROOT**2 + np.arange(effect.shape[2]) / _ROOT) % 1
        log_spread, tau_spread, excess = (x[:, None, None] for x in f.within_of(cells[group]))
        spread = np.exp(log_spread + tau_spread * ndtri(p))
        given = law.mean_of(effect), spread, np.broadcast_to(excess, effect.shape)
        of = mean[group], sd[group], d.n[cells[group]]
        below[group], sd_below[group] = _below(
            law, *of, given, weights[:, group, None, None] * share
        )
    return below, sd_below


def _below(law: Law, mean, sd, n, given, weight) -> tuple[float, float]:
    """Return the probabilities of a lower mean, and of a lower sd with the same mean."""
    below = np.average(law.mean_cdf(mean, n, *given), weights=weight)
    log_density = law.mean_logp(mean, n, *given)
    weight = weight * np.exp(log_density - log_density.max())
    return below, np.average(law.sd_cdf(sd, mean, n, *given), weights=weight)


def _chains(f: Fitted, unit: str) -> Iterator[tuple[int, ChainEvidence, Floats]]:
    """Yield each group, what stays of it, and quantiles of what it is around given the others.

    Of a group that is left out as a whole only its last year stays, which is not looked at.
    """
    d, rows = f.d, np.arange(f.n_draws, dtype=float)
    of_last, above = unit == d.last, d.above(d.group)
    if above is None:
        for group in range(len(d.levels[-1].labels)):
            seen = chain_of(f, group)
            yield group, seen if of_last else seen.only_last(), f.grand_mean[:, None]
        return
    numbers = np.arange(1, f.n_draws * _HEADS + 1).reshape(f.n_draws, _HEADS)
    around, taus = f.location(above), [f.tau(above), f.tau(d.group)]
    for i in range(len(d.level(above).labels)):
        members = np.flatnonzero(d.parent_of(d.group) == i)
        family = [chain_of(f, member) for member in members]
        kept = [seen.without_last() for seen in family] if of_last else None
        p = (0.5 + numbers / _ROOT**3) % 1
        with ONE_THREAD:
            heads = head_given_siblings(family, around[:, i], taus, rows, p=p, kept=kept)
        for j, (member, seen) in enumerate(zip(members, family, strict=True)):
            yield int(member), seen if of_last else seen.only_last(), heads[:, :, j]


def covariance_of_cells(f: Fitted) -> Floats:
    """Return how the means of all groups and years hang together, were all effects Normal.

    Parameters
    ----------
    f : Fitted
        The fit of a panel, with all its years.

    Returns
    -------
    numpy.ndarray, shape (n_cells, n_cells)
        On the scale of effects, but for the grand mean.
    """
    d = f.d
    group, year = d.cells.group, d.cells.year
    mu = f.mu(d.group).mean(axis=0)[group, year]
    spread = f.spread.mean(axis=0)
    lag = np.abs(np.subtract.outer(d.cells.years[year], d.cells.years[year]))
    persistence = f.draws("persistence").mean()
    own = np.where(group[:, None] == group, persistence**lag, 0.0)
    covariance = f.tau(d.group).mean() ** 2 * own
    covariance += f.tau(d.cells.name).mean() ** 2 * (lag == 0)
    for level in d.levels[:-1]:
        at = d.ancestor_of(level.name)
        covariance += f.tau(level.name).mean() ** 2 * (at[:, None] == at)
    return covariance + np.diag(1 / d.law.information(d.n, mu, spread, f.excess.mean()))
