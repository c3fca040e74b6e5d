"""Prediction of the next cohort: of groups the model knows, and of new ones.

What is not known of a group depends on how much of its line the model has seen:

* a **known group** has its own effect, with the uncertainty its posterior left;
* a **new group of a known parent** draws its effect around the parent's, with the sd tau between
  the groups of one parent;
* a **group of a new parent** draws the parent's effect first, around the grand mean. All new
  groups of one new parent share that draw.

Where nothing is nested, a new group is drawn around the grand mean.
"""

from typing import NamedTuple

import numpy as np
import pandas as pd
import pymc as pm
import xarray as xr
from scipy.special import expit

from hbm.hierarchy.fitted import Hierarchy, read_hierarchy
from hbm.tables.grouped import check_one_row_each, read_sizes
from hbm.tables.labels import group, nest, require_columns

__all__ = ["predict"]

_BLOCK = 1_000_000  # individuals simulated at a time, which bounds the memory


def predict(
    model: pm.Model,
    fit: xr.DataTree,
    new_table: pd.DataFrame,
    *,
    random_seed: int | np.random.Generator | None = None,
) -> xr.DataTree:
    """Predict the next cohort of known groups, and of new ones.

    Parameters
    ----------
    model : pymc.Model
        A model of :mod:`hbm.heights`, :mod:`hbm.scores` or :mod:`hbm.exams`.
    fit : xarray.DataTree
        Its fit, the result of :func:`hbm.sample`.
    new_table : pandas.DataFrame
        One row a group, known and new ones in any order: ``school`` and ``n_students``, and
        ``authority`` or ``district`` for a nested model; for heights ``country`` and ``n_people``.
        Other columns are not looked at.
    random_seed : int or numpy.random.Generator, optional
        The same seed gives the same draws.

    Returns
    -------
    xarray.DataTree
        Group ``predictions``, dims ``chain``, ``draw`` and ``school`` (or ``country``), has

        ``mu_school`` (``mu_country``)
            The group's mean: what it would reach with very many individuals.
        ``nu_school``
            The sample size of the Beta of a school's students; not for heights.
        ``mean``, ``sd``
            Mean and standard deviation (divisor n − 1; missing where n = 1) of the next cohort,
            its individuals simulated one by one.

        ``predictions_constant_data`` has ``n_students`` (``n_people``), and ``known``, whether the
        group was in the fit.

    Raises
    ------
    TypeError
        If `new_table` is not a data frame, or numbers of individuals are not numbers.
    ValueError
        If the fit is not of the model, a column is missing, a group has two rows, or a known group
        stands under another parent than in the fit.

    Examples
    --------
    >>> import hbm, pandas as pd
    >>> table = hbm.simulate.exams([2, 1], [5, 8, 40], random_seed=1)[0]
    >>> model = hbm.exams.nested(table)
    >>> fit = hbm.sample(model)  # doctest: +SKIP
    >>> new = pd.DataFrame({"school": ["1", "new", "another"], "authority": ["1", "1", "9"],
    ...                     "n_students": [20, 20, 20]})
    >>> predictions = hbm.predict(model, fit, new, random_seed=1)  # doctest: +SKIP
    """
    hierarchy = read_hierarchy(model, fit)
    rows = _read(new_table, hierarchy)
    rng = np.random.default_rng(random_seed)
    means, spreads = _parameters(hierarchy, rows, rng)
    cohort_mean, cohort_sd = _cohort(means, spreads, rows.n, hierarchy.proportions, rng)
    variables = {f"mu_{hierarchy.group}": means, "mean": cohort_mean, "sd": cohort_sd}
    if hierarchy.proportions:
        variables[f"nu_{hierarchy.group}"] = spreads
    posterior = fit["posterior"]
    coords = {
        "chain": posterior["chain"].to_numpy(),
        "draw": posterior["draw"].to_numpy(),
        hierarchy.group: rows.labels,
    }
    shape = tuple(len(values) for values in coords.values())
    size = "n_students" if hierarchy.proportions else "n_people"
    return xr.DataTree.from_dict(
        {
            "predictions": xr.Dataset(
                {name: (tuple(coords), v.reshape(shape)) for name, v in variables.items()}, coords
            ),
            "predictions_constant_data": xr.Dataset(
                {size: (hierarchy.group, rows.n), "known": (hierarchy.group, rows.position >= 0)},
                {hierarchy.group: rows.labels},
            ),
        }
    )


class _Rows(NamedTuple):
    """A new table: one entry a group; positions in the fit are −1 where it has no such label."""

    labels: np.ndarray
    n: np.ndarray
    position: np.ndarray
    parent: np.ndarray | None  # of each group, among the new table's parents
    parent_position: np.ndarray | None  # of each of the new table's parents, in the fit


def _read(table: pd.DataFrame, hierarchy: Hierarchy) -> _Rows:
    size = "n_students" if hierarchy.proportions else "n_people"
    by, parent_column = hierarchy.group, hierarchy.parent
    require_columns(table, [by, size] if parent_column is None else [by, size, parent_column])
    groups = group(table, by)
    check_one_row_each(groups, by)
    names = pd.Series([repr(label) for label in groups.labels])
    n = read_sizes(table, size, names).astype(int)
    position = _positions(hierarchy, by, groups.labels)
    if parent_column is None:
        return _Rows(groups.labels, n, position, None, None)
    _, parents, parent = nest(table, by, parent_column)
    parent_position = _positions(hierarchy, parent_column, parents.labels)
    known = np.flatnonzero(position >= 0)
    moved = known[parent_position[parent[known]] != hierarchy.parent_of_group[position[known]]]
    if len(moved):
        before = hierarchy.labels[parent_column][hierarchy.parent_of_group[position[moved]]]
        shown = "; ".join(
            f"{groups.labels[i]!r} is under {parents.labels[parent[i]]!r} and was under {label!r}"
            for i, label in zip(moved[:5], before, strict=False)
        )
        raise ValueError(
            f"a known {by} must stand under the {parent_column} it was fitted under: {shown}. "
            f"Give it that {parent_column}, or another label if it is to count as a new {by}"
        )
    return _Rows(groups.labels, n, position, parent, parent_position)


def _positions(hierarchy: Hierarchy, dim: str, labels: np.ndarray) -> np.ndarray:
    return np.array([hierarchy.positions[dim].get(label, -1) for label in labels])


def _parameters(h: Hierarchy, rows: _Rows, rng) -> tuple[np.ndarray, np.ndarray]:
    """Return each group's mean, and its nu (proportions) or sigma: shape (n_draws, n_groups)."""
    shape = (h.n_draws, len(rows.labels))
    known, new = np.flatnonzero(rows.position >= 0), np.flatnonzero(rows.position < 0)
    old = rows.position[known]
    around = h.grand_mean[:, None]
    if h.parent is not None:
        tau_parent = h.draws(f"tau_{h.parent}")[:, None]
        z = rng.standard_normal((h.n_draws, len(rows.parent_position)))
        effect = around + tau_parent * z
        seen = rows.parent_position >= 0
        effect[:, seen] = h.parent_effect[:, rows.parent_position[seen]]
        around = effect[:, rows.parent[new]]
    tau = h.draws(f"tau_{h.group}")[:, None]
    effect = around + tau * rng.standard_normal((h.n_draws, len(new)))
    means, spreads = np.empty(shape), np.empty(shape)
    means[:, known] = h.draws(f"mu_{h.group}")[:, old]
    if not h.proportions:
        means[:, new] = effect
        spreads[:] = h.draws("sigma")[:, None]
        return means, spreads
    _, log_nu, tau_nu = h.spread
    means[:, new] = expit(effect)
    spreads[:, known] = h.draws(f"nu_{h.group}")[:, old]
    z = rng.standard_normal((h.n_draws, len(new)))
    spreads[:, new] = np.exp(log_nu[:, None] + tau_nu[:, None] * z)
    return means, spreads


def _cohort(means, spreads, n, proportions, rng) -> tuple[np.ndarray, np.ndarray]:
    """Simulate each group's individuals, draw by draw, and return their means and sds."""
    mean, sd = np.empty(means.shape), np.full(means.shape, np.nan)
    for j, size in enumerate(n):
        step = max(1, _BLOCK // size)
        for start in range(0, len(means), step):
            block = slice(start, start + step)
            mu, spread = means[block, j, None], spreads[block, j, None]
            if proportions:
                # A Beta needs both of its parameters above 0, which rounding can take from them.
                mu, spread = np.clip(mu, 1e-9, 1 - 1e-9), np.clip(spread, 1e-4, 1e7)
                individuals = rng.beta(mu * spread, (1 - mu) * spread, (len(mu), size))
            else:
                individuals = rng.normal(mu, spread, (len(mu), size))
            mean[block, j] = individuals.mean(axis=1)
            if size > 1:
                sd[block, j] = individuals.std(axis=1, ddof=1)
    return mean, sd
