"""Estimates of groups, as tables: one row a group."""

from difflib import get_close_matches
from numbers import Real

import numpy as np
import pandas as pd
import xarray as xr

from hbm.hierarchy.carried import posterior_of, read_description
from hbm.tables.words import plural

__all__ = ["check_prob", "estimates", "group_table"]


def estimates(fit: xr.DataTree, variable: str, prob: float = 0.95) -> pd.DataFrame:
    """Summarise the posterior of a group variable: one row a group, or a group and year.

    Parameters
    ----------
    fit : xarray.DataTree
        Result of `hbm.sample`, or any ArviZ result with a ``posterior`` group.
    variable : str
        A variable with one or two dimensions beside chain and draw, for example ``"mu_school"``,
        which in a panel is by school and year.
    prob : float, default 0.95
        Probability inside the interval, strictly between 0 and 1.

    Returns
    -------
    pandas.DataFrame
        One row a label, or pair of labels, in the order of the coordinates. Columns: the labels,
        named by the dimensions; ``mean`` and ``sd`` of the draws; ``lower`` and ``upper`` ends of
        the equal-tailed interval. Units are the variable's. ``attrs`` holds ``variable`` and
        ``prob``.

    Raises
    ------
    TypeError
        If `fit` is not a DataTree.
    ValueError
        If there is no posterior, no such variable in it, the variable has not one
        or two dimensions beside chain and draw, or `prob` is not between 0 and 1.

    Examples
    --------
    >>> import arviz as az, numpy as np
    >>> draws = np.random.default_rng(1).normal([60.0, 70.0], 2.0, size=(4, 500, 2))
    >>> fit = az.from_dict({"posterior": {"mu_school": draws}},
    ...                    dims={"mu_school": ["school"]}, coords={"school": ["a", "b"]})
    >>> estimates(fit, "mu_school").round(0)
      school  mean   sd  lower  upper
    0      a  60.0  2.0   56.0   64.0
    1      b  70.0  2.0   66.0   74.0
    """
    posterior = posterior_of(fit)
    check_prob(prob)
    if variable not in posterior.data_vars:
        there = [str(name) for name in posterior.data_vars]
        near = get_close_matches(str(variable), there, n=1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        raise ValueError(
            f"the posterior has no variable {variable!r}; it has: {', '.join(there)}.{hint}"
        )
    draws = posterior[variable]
    dims = [dim for dim in draws.dims if dim not in ("chain", "draw")]
    if len(dims) not in (1, 2):
        groups = [name for name, values in posterior.data_vars.items() if values.ndim == 3]
        raise ValueError(
            f"{variable!r} has {'no dimension' if not dims else f'dimensions {dims}'} beside chain "
            f"and draw; one or two are needed, as in: {', '.join(map(str, groups)) or 'none here'}"
        )
    labels = np.meshgrid(*(draws[dim].to_numpy() for dim in dims), indexing="ij")
    values = draws.transpose(*dims, "chain", "draw").to_numpy().reshape(labels[0].size, -1)
    lower, upper = np.quantile(values, [(1 - prob) / 2, (1 + prob) / 2], axis=1)
    table = pd.DataFrame(
        {dim: label.ravel() for dim, label in zip(dims, labels, strict=True)}
        | {
            "mean": values.mean(axis=1),
            "sd": values.std(axis=1, ddof=1),
            "lower": lower,
            "upper": upper,
        }
    )
    table.attrs = {"variable": variable, "prob": prob}
    return table


def check_prob(prob: float, name: str = "prob", such_as: str = "0.95 is 95 %") -> None:
    """Raise unless a probability is a number strictly between 0 and 1."""
    if isinstance(prob, bool) or not isinstance(prob, Real):
        raise TypeError(f"{name} must be a number, got {prob!r}; {such_as}")
    if not 0 < prob < 1:
        raise ValueError(f"{name} must lie between 0 and 1, got {prob!r}; {such_as}")


def group_table(fit: xr.DataTree, group: str) -> pd.DataFrame:
    """Return each group's label, its parent's, and its numbers, as far as the fit holds them.

    Parameters
    ----------
    fit : xarray.DataTree
        Has a posterior with the coordinate `group`.
    group : str
        Name of the groups.

    Returns
    -------
    pandas.DataFrame
        Columns `group`, its parent (labels), the number of children and that of individuals.
        ``attrs`` holds ``group``, ``parent`` and ``size``, empty if unknown, ``unit``, and
        ``proportions`` (whether the data are).

    Examples
    --------
    >>> import arviz as az, numpy as np
    >>> fit = az.from_dict(
    ...     {"posterior": {"mu_school": np.zeros((1, 4, 3)), "mu_district": np.zeros((1, 4, 2))},
    ...      "constant_data": {"n_students": np.array([5, 8, 7]),
    ...                        "district_of_school": np.array([0, 1, 0])}},
    ...     dims={"mu_school": ["school"], "mu_district": ["district"],
    ...           "n_students": ["school"], "district_of_school": ["school"]},
    ...     coords={"school": ["a", "b", "c"], "district": ["x", "y"]})
    >>> group_table(fit, "school")
      school district  n_students
    0      a        x           5
    1      b        y           8
    2      c        x           7
    >>> group_table(fit, "district")
      district  n_schools  n_students
    0        x          2          12
    1        y          1           8
    """
    posterior = fit["posterior"].to_dataset()
    d = read_description(fit)
    if d is None or group not in [level.name for level in d.levels]:
        table = pd.DataFrame({group: posterior[group].to_numpy()})
        table.attrs = {"group": group, "parent": "", "size": ""}
        return table
    table = pd.DataFrame({group: d.level(group).labels})
    parent, child = d.above(group), d.below(group)
    if parent is not None:
        table[parent] = d.level(parent).labels[d.parent_of(group)]
    if child is not None:
        table[f"n_{plural(child)}"] = np.bincount(d.parent_of(child), minlength=len(table))
    sums = np.bincount(d.ancestor_of(group), d.n, minlength=len(table))
    table[d.size] = sums.astype(int)
    table.attrs = {
        "group": group,
        "parent": parent or "",
        "size": d.size,
        "unit": d.unit,
        "proportions": d.law.proportions,
    }
    return table
