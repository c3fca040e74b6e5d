"""Estimates of groups, as tables.

A fit holds draws; a reader wants one row a group. The tables made here are what `hbm.plots`
draws.
"""

from difflib import get_close_matches

import numpy as np
import pandas as pd
import xarray as xr

__all__ = ["estimates"]


def estimates(fit: xr.DataTree, variable: str, prob: float = 0.95) -> pd.DataFrame:
    """Summarise the posterior of a group variable: one row a group.

    Parameters
    ----------
    fit : xarray.DataTree
        Result of `hbm.sample`, or any ArviZ result with a ``posterior`` group.
    variable : str
        A variable with one dimension beside chain and draw, for example ``"mu_school"``.
    prob : float, default 0.95
        Probability inside the interval, strictly between 0 and 1.

    Returns
    -------
    pandas.DataFrame
        One row a label, in the order of the coordinate. Columns: the label, named by the
        dimension; ``mean`` and ``sd`` of the draws; ``lower`` and ``upper`` ends of the
        equal-tailed interval. Units are the variable's. ``attrs`` holds ``variable`` and ``prob``.

    Raises
    ------
    TypeError
        If `fit` is not a DataTree.
    ValueError
        If there is no posterior, no such variable in it, the variable has not exactly one
        dimension beside chain and draw, or `prob` is not between 0 and 1.

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
    if not isinstance(fit, xr.DataTree):
        raise TypeError(f"fit must be an xarray.DataTree, got {type(fit).__name__}")
    if "posterior" not in fit.children:
        raise ValueError(
            f"fit has no posterior; its groups are: {', '.join(fit.children) or 'none'}. "
            "Pass the result of hbm.sample"
        )
    if not 0 < prob < 1:
        raise ValueError(f"prob must lie between 0 and 1, got {prob!r}; 0.95 is 95 %")
    posterior = fit["posterior"].to_dataset()
    if variable not in posterior.data_vars:
        there = [str(name) for name in posterior.data_vars]
        near = get_close_matches(str(variable), there, n=1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        raise ValueError(
            f"the posterior has no variable {variable!r}; it has: {', '.join(there)}.{hint}"
        )
    draws = posterior[variable]
    dims = [dim for dim in draws.dims if dim not in ("chain", "draw")]
    if len(dims) != 1:
        groups = [name for name, values in posterior.data_vars.items() if values.ndim == 3]
        raise ValueError(
            f"{variable!r} has {'no dimension' if not dims else f'dimensions {dims}'} beside chain "
            f"and draw; one is needed, as in: {', '.join(map(str, groups)) or 'no variable here'}"
        )
    (dim,) = dims
    values = draws.transpose(dim, "chain", "draw").to_numpy().reshape(draws.sizes[dim], -1)
    lower, upper = np.quantile(values, [(1 - prob) / 2, (1 + prob) / 2], axis=1)
    table = pd.DataFrame(
        {
            dim: draws[dim].to_numpy(),
            "mean": values.mean(axis=1),
            "sd": values.std(axis=1, ddof=1),
            "lower": lower,
            "upper": upper,
        }
    )
    table.attrs = {"variable": variable, "prob": prob}
    return table
