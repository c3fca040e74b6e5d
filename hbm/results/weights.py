"""What estimates lean on: raw means of groups, of their siblings, and what is known of them.

:func:`hbm.shrinkage` has the equations.
"""

from itertools import pairwise
from typing import Any

import numpy as np

from hbm.hierarchy.fitted import Fitted
from hbm.results.panel_weights import Leaning, over_years
from hbm.tables.words import plural

__all__ = ["weights_of"]

_BLOCK = 1_000_000  # draws × groups worked on at a time, which bounds the memory
_DRAWS = 400  # of a panel that its weights are averaged over


def weights_of(f: Fitted, at: int, year: int | None = None) -> dict[str, np.ndarray]:
    """Average over draws what estimates of the members of one level lean on.

    Parameters
    ----------
    f : Fitted
        What was learned, of a panel with all its years.
    at : int
        Which level, 0 for the groups that individuals stand in.
    year : int, optional
        Position of a year of a panel.

    Returns
    -------
    dict of str to numpy.ndarray, shape (n_members,)
        Columns of :func:`hbm.shrinkage`.
    """
    d = f.d
    names = [level.name for level in reversed(d.levels)][: at + 1 if at else None]
    n_groups = len(d.levels[-1].labels)
    draws = np.arange(f.n_draws)
    if year is not None:
        draws = draws[:: max(1, -(-f.n_draws // _DRAWS))]
    sums = np.zeros((3, len(d.level(names[at]).labels)))
    shares = np.zeros((2 + len(names), n_groups))
    owed: dict[str, Any] = {}
    of_group = {name: _ancestor(f, name) for name in names}
    step = max(1, _BLOCK // (n_groups * (1 if year is None else len(d.cells.years) ** 2)))
    for start in range(0, len(draws), step):
        rows = draws[start : start + step]
        seen = _alone(f, rows) if year is None else over_years(f, year, rows)
        raw, variance, pooling, precision, *_ = seen
        # The part of each group's own raw means in what is estimated of the level at hand, and of
        # what its siblings add, level by level.
        own: Any = 1.0
        added = []
        for name in names:
            if name != d.group:
                tau2 = np.broadcast_to(f.tau(name), f.n_draws)[rows, None] ** 2
                pooling = 1 / (1 + precision * tau2)
                precision = precision * pooling
            if name == names[at]:
                sums += np.stack([x.sum(axis=0) for x in (raw, variance, pooling)])
                for source, part in _owed(f, name, rows, year, pooling, seen).items():
                    owed[source] = owed.get(source, 0) + part.sum(axis=0) / len(draws)
            added.append((own, pooling[:, of_group[name]]))
            if name == names[-1]:
                break
            above = d.above(name)
            total = _sums(precision, d.parent_of(name), len(d.level(above).labels))
            own = (precision / total[:, d.parent_of(name)])[:, of_group[name]]
            raw = raw + _off(f, name, rows, year)
            raw = _sums(precision * raw, d.parent_of(name), total.shape[1]) / total
            precision = total
            variance = d.law.slope(_mean_of(f, above, rows, year)) ** 2 / total
        shares += _shares(added, seen)
    raw_mean, variance, pooling = sums / len(draws)
    shares /= len(draws)
    table = {"raw_mean": raw_mean, "raw_se": np.sqrt(variance), "pooling": pooling} | owed
    if at or (len(names) == 1 and year is None):
        return table
    table["share_own"] = shares[0]
    if year is not None:
        table[f"share_{plural(d.cells.name)}"] = shares[1]
    for name, share in zip(names[1:], shares[2:], strict=False):
        table[f"share_{name}"] = np.where(_only(of_group[name]), 0.0, share)
    table["share_population"] = shares[-1]
    if len(names) > 1:
        table["only_child"] = _only(d.parent_of(d.group))
    return table


def _moved(f: Fitted, level: str, rows: np.ndarray, year: int | None) -> np.ndarray:
    """Return by how much predictors move effects of a level, in a year of a panel."""
    if year is None or level != f.d.group:
        moved = f.moved(level)
    else:
        moved = f.moved_in_years(np.arange(len(f.d.levels[-1].labels)))[..., year]
    return moved[rows % len(moved)]


def _effect(f: Fitted, level: str | None, rows: np.ndarray, year: int | None) -> np.ndarray:
    """Return effects of a level, or the grand mean, in a year of a panel."""
    effect = f.grand_mean[rows, None] if level is None else f.effect(level)[rows]
    if year is None:
        return effect
    if level == f.d.group:
        return effect[:, :, year]
    return effect + f.draws(f"effect_{f.d.cells.name}")[rows, year, None]


def _off(f: Fitted, level: str, rows: np.ndarray, year: int | None) -> Any:
    """Return what is to be added to raw means of a level to bring them to average predictors."""
    if f.d.predictors is None:
        return 0.0
    effect, moved = _effect(f, level, rows, year), _moved(f, level, rows, year)
    return f.d.law.mean_of(effect - moved) - f.d.law.mean_of(effect)


def _owed(
    f: Fitted, level: str, rows: np.ndarray, year: int | None, pooling: np.ndarray, seen: Leaning
) -> dict[str, np.ndarray]:
    """Return what of the way of a level's members is owed to predictors, parents, other years."""
    if f.d.predictors is None:
        return {}
    moved: Any = 0.0
    above: list[tuple[str, Any]] = []
    name: str | None = level
    members = np.arange(len(f.d.level(level).labels))
    while name is not None:
        moved = moved + _moved(f, name, rows, year)[:, members if name in f.d.predictors.x else [0]]
        parent = f.d.above(name)
        if parent is not None:
            members = f.d.parent_of(name)[members]
            own = _effect(f, parent, rows, year)
            around = _effect(f, f.d.above(parent), rows, year)
            if f.d.above(parent) is not None:
                around = around[:, f.d.parent_of(parent)]
            above.append((parent, (own - around - _moved(f, parent, rows, year))[:, members]))
        name = parent
    way = _effect(f, None, rows, year) + np.zeros_like(pooling)
    owed, here = {}, f.d.law.mean_of(way)
    for source, step in [("predictors", moved), *above[::-1]]:
        way = way + step
        before, here = here, f.d.law.mean_of(way)
        owed[f"moved_{source}"] = pooling * (here - before)
    if year is not None and level == f.d.group:
        owed[f"moved_{plural(f.d.cells.name)}"] = seen.from_others
    return owed


def _alone(f: Fitted, rows: np.ndarray) -> Leaning:
    """Return what estimates lean on that know one raw mean of each group."""
    d, shape = f.d, (len(rows), len(f.d.n))
    mu, spread = f.mu(d.group)[rows], f.spread[rows % len(f.spread)]
    excess = np.broadcast_to(f.excess, f.n_draws)[rows, None]
    information = d.law.information(d.n, mu, spread, excess)
    tau2 = np.broadcast_to(f.tau(d.group), f.n_draws)[rows, None] ** 2
    # Written with information and τ² as factors, all is finite where either is 0.
    pooling = 1 / (1 + information * tau2)
    return Leaning(
        raw=np.broadcast_to(d.mean, shape),
        variance=np.broadcast_to(d.law.mean_variance(d.n, mu, spread, excess), shape),
        pooling=pooling,
        precision=information * pooling,
        own=1 - pooling,
        own_above=np.ones(shape),
        from_others=np.zeros(shape),
    )


def _ancestor(f: Fitted, name: str) -> np.ndarray:
    """Return the position in a level of what each group stands in."""
    at = f.d.ancestor_of(name)
    return at[np.unique(f.d.cells.group, return_index=True)[1]] if f.d.panel else at


def _mean_of(f: Fitted, level: str, rows: np.ndarray, year: int | None) -> np.ndarray:
    """Return draws of the means of an upper level, in a year of a panel."""
    if year is None:
        return f.mu(level)[rows]
    of_year = f.draws(f"effect_{f.d.cells.name}")[rows, year]
    return f.d.law.mean_of(f.effect(level)[rows] + of_year[:, None])


def _shares(added, seen: Leaning) -> np.ndarray:
    """Return the parts of own raw mean, siblings of each level, and population: sums over draws.

    What is estimated of a level is (1 − pooling) times the weighted mean of its children's raw
    means, in which a group has its own part, and pooling times what is estimated of the level
    above. The group's part is that of its raw mean of this year and of its other years.
    """
    left: Any = 1.0
    weights: list[Any] = []
    for _, pooling in added:
        weights.append(left * (1 - pooling))
        left = left * pooling
    # What comes from all groups of each ancestor, from the group itself up.
    within = []
    for i in range(len(added)):
        part: Any = 1.0
        total: Any = 0.0
        for k, (own, _) in enumerate(added):
            part = part * own if k > i else 1.0
            total = total + weights[k] * part
        within.append(total)
    this = seen.own + (within[0] - weights[0]) * seen.own_above
    others = [above - below for below, above in pairwise([this, *within])]
    return np.stack([x.sum(axis=0) for x in (this, *others, left)])


def _only(at: np.ndarray) -> np.ndarray:
    """Say which groups stand alone in a member of an upper level."""
    return np.bincount(at)[at] == 1


def _sums(values: np.ndarray, parent: np.ndarray, n_parents: int) -> np.ndarray:
    """Sum (n_draws, n_children) over the children of each parent."""
    order = np.argsort(parent, kind="stable")
    starts = np.searchsorted(parent[order], np.arange(n_parents))
    return np.add.reduceat(values[:, order], starts, axis=1)
