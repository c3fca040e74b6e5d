"""Estimates of groups, as tables: how far each was shrunk, towards what, and why.

A fit holds draws; a reader wants one row a group. The tables made here are what `hbm.plots`
draws. Those of shrinkage and of variances need a fit that keeps the names of this package's models:
``mu_<group>``, ``tau_<group>``, ``nu_<group>`` or ``sigma``, and in ``constant_data`` the number
and raw mean of each group; a fixed value is looked up there too.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from difflib import get_close_matches
from numbers import Real

import numpy as np
import pandas as pd
import xarray as xr
from scipy.special import expit

__all__ = ["estimates", "shrinkage", "variance_shares"]

_BLOCK = 1_000_000  # draws × groups worked on at a time, which bounds the memory
_NODES = 41  # of the quadratures over a Normal effect


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
    _check(fit, prob)
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


def shrinkage(
    fit: xr.DataTree,
    group: str,
    *,
    prob: float = 0.95,
    no_pooling: xr.DataTree | None = None,
) -> pd.DataFrame:
    """Show how far each group was moved from its raw mean, towards what, and why.

    Parameters
    ----------
    fit : xarray.DataTree
        Result of `hbm.sample` for a model of `hbm.heights`, `hbm.scores` or `hbm.exams`, or for
        one with the same names.
    group : str
        The groups to show: ``"country"``, ``"school"``, or an upper level such as ``"authority"``.
    prob : float, default 0.95
        Probability inside the interval, strictly between 0 and 1.
    no_pooling : xarray.DataTree, optional
        A fit of the same groups without pooling, to show its means as well.

    Returns
    -------
    pandas.DataFrame
        One row a group, in the order of the coordinate, in the units of the data:

        ``<group>``, ``<parent>``
            Labels; the parent only where there is one.
        ``n_<children>``
            For an upper level: its number of groups.
        ``n_students`` or ``n_people``
            Number of individuals.
        ``raw_mean``, ``raw_se``
            The mean as published, and the standard deviation of a mean of so many individuals of
            such a group: sd / √n with the model's sd, so that a group of one has it too. For an
            upper level, its children's means weighted by what each says of it (Notes).
        ``no_pooling``
            Posterior mean of the fit without pooling, if given.
        ``mean``, ``sd``, ``lower``, ``upper``
            Posterior mean, standard deviation and equal-tailed interval, as in `estimates`.
        ``target``
            Posterior mean of what the group is pulled to: its parent or, without one, the
            population.
        ``moved``
            ``mean`` − ``raw_mean``.
        ``pooling``
            Pooling factor: the weight of the target in the estimate, from 0 (the raw mean) to 1
            (the target).
        ``share_own``, ``share_<parent>``, ``share_population``
            Where groups have parents: the same estimate as a weighted mean of the group's raw
            mean, those of its parent's other groups, and the population's. They sum to 1.
        ``only_child``
            Where groups have parents: whether the group is the only one of its parent. Then the
            data tell the sum of the two effects and not which is which: `target` and
            `pooling` rest on the other groups' spread, and ``share_<parent>`` is 0.

        ``attrs`` holds ``variable``, ``group``, ``parent`` (empty if none), ``size`` (the name of
        the column of numbers), ``prob`` and ``proportions`` (whether the data are).

    Raises
    ------
    TypeError
        If a fit is not a DataTree.
    ValueError
        If a fit lacks what is needed, `group` is not one of its levels, the fit without pooling
        is of other groups, or `prob` is not between 0 and 1.

    Notes
    -----
    Given its mean m and standard deviation τ, a group's effect is N(m, τ), and its raw mean is
    about N(effect, s). The estimate is then (1 − λ) raw mean + λ m with λ = s² / (s² + τ²), which
    is also the part of the prior variance that is left once the data are seen. The pooling factor
    is λ averaged over the draws. It says what the model does to a group of this size, and so is
    defined where raw mean and target agree. (The factor of Gelman and Pardoe [1]_ is one number
    for a whole level.)

    Heights: s² = σ² / n, and λ is exact. Scores and marks: effects are logits, and the mean of n
    students has variance μ(1 − μ) / (n (ν + 1)), so that by the delta method
    s² = 1 / (n (ν + 1) μ (1 − μ)), with the group's own μ and ν of each draw. For 318 schools of 6
    to 762 students this λ and the part of the prior variance that is left, by quadrature, differed
    by less than 0.02 in 19 schools of 20, and by 0.1 in the two worst, of under ten students and
    means near 0.9, whose published sd tells something of the mean as well.

    With parents, of precisions p = 1 / (s² + τ²) and q = 1 / τ_parent², the parent's effect given
    the data is the mean of its groups' raw means weighted by p and of the population's weighted
    by q; λ times these weights, with the group's own share of them added to 1 − λ, are the shares.
    For the parent itself λ is q / (q + Σ p), and its raw mean Σ p raw mean / Σ p.

    References
    ----------
    .. [1] Gelman and Pardoe (2006). Bayesian measures of explained variance and pooling in
       multilevel (hierarchical) models. Technometrics 48(2).

    Examples
    --------
    Two countries of 1 and 36 people who vary by 6 cm, where countries vary by 3 cm:

    >>> import arviz as az, numpy as np
    >>> fit = az.from_dict(
    ...     {"posterior": {"mu": np.full((1, 4), 175.0), "tau_country": np.full((1, 4), 3.0),
    ...                    "sigma": np.full((1, 4), 6.0),
    ...                    "mu_country": np.full((1, 4, 2), [177.0, 181.4])},
    ...      "constant_data": {"n_people": np.array([1, 36]), "mean": np.array([185.0, 182.0])}},
    ...     dims={"mu_country": ["country"], "n_people": ["country"], "mean": ["country"]},
    ...     coords={"country": ["a", "b"]})
    >>> table = shrinkage(fit, "country")
    >>> table[["country", "n_people", "raw_mean", "raw_se", "mean", "target", "moved", "pooling"]]
      country  n_people  raw_mean  raw_se   mean  target  moved  pooling
    0       a         1     185.0     6.0  177.0   175.0   -8.0      0.8
    1       b        36     182.0     1.0  181.4   175.0   -0.6      0.1
    """
    summary = estimates(fit, f"mu_{group}", prob)
    levels = _read(fit)
    if group not in (levels.child, levels.parent):
        raise ValueError(
            f"group must be {levels.child!r}"
            + (f" or {levels.parent!r}" if levels.parent else "")
            + f", whose numbers and raw means the fit holds, got {group!r}"
        )
    table = group_table(fit, group)
    weights = _weights(levels) if group == levels.child else _parent_weights(levels)
    table["raw_mean"] = weights.pop("raw_mean")
    table["raw_se"] = weights.pop("raw_se")
    if no_pooling is not None:
        table["no_pooling"] = _means_without_pooling(no_pooling, group, table[group])
    table[["mean", "sd", "lower", "upper"]] = summary[["mean", "sd", "lower", "upper"]]
    if group == levels.child and levels.parent:
        table["target"] = levels.mu[levels.parent].mean(axis=0)[levels.index]
    else:
        table["target"] = levels.population.mean()
    table["moved"] = table["mean"] - table["raw_mean"]
    table = table.assign(**weights)
    table.attrs |= summary.attrs | {"proportions": levels.proportions}
    return table


def variance_shares(fit: xr.DataTree, *, prob: float = 0.95) -> pd.DataFrame:
    """Show how much of the variance of individuals lies between groups, level by level.

    Parameters
    ----------
    fit : xarray.DataTree
        Result of `hbm.sample` for a model of `hbm.heights`, `hbm.scores` or `hbm.exams`, or for
        one with the same names.
    prob : float, default 0.95
        Probability inside the intervals, strictly between 0 and 1.

    Returns
    -------
    pandas.DataFrame
        One row a level, from the top: ``level``; ``sd``, posterior mean of the standard deviation
        between its members within the level above, in the units of the data; ``share``, posterior
        mean of the level's part of the variance of an individual drawn anew from the population;
        ``lower`` and ``upper`` ends of its equal-tailed interval. Shares sum to 1. ``attrs`` holds
        ``prob`` and ``proportions``.

    Raises
    ------
    TypeError
        If `fit` is not a DataTree.
    ValueError
        If the fit lacks what is needed, or does not pool, so that no population was learned, or
        `prob` is not between 0 and 1.

    Notes
    -----
    Heights: τ² and σ². Scores and marks, on their own scale and not in logits, by the law of total
    variance: with school mean μ = expit(η + authority's effect + school's effect), the variances
    are Var(E[μ | authority]), E[Var(μ | authority)] and E[μ(1 − μ) / (ν + 1)], Gauss–Hermite
    quadratures over the Normal effects and log ν in each draw. A simple average of the schools'
    variances would add their posterior uncertainty to the spread between them.

    Examples
    --------
    >>> import arviz as az, numpy as np
    >>> fit = az.from_dict(
    ...     {"posterior": {"mu": np.full((1, 4), 175.0), "tau_country": np.full((1, 4), 3.0),
    ...                    "sigma": np.full((1, 4), 6.0), "mu_country": np.zeros((1, 4, 2))},
    ...      "constant_data": {"n_people": np.array([1, 36]), "mean": np.array([185.0, 182.0])}},
    ...     dims={"mu_country": ["country"], "n_people": ["country"], "mean": ["country"]},
    ...     coords={"country": ["a", "b"]})
    >>> variance_shares(fit)
         level   sd  share  lower  upper
    0  country  3.0    0.2    0.2    0.2
    1   person  6.0    0.8    0.8    0.8
    """
    _check(fit, prob)
    levels = _read(fit)
    learned = fit["posterior"].to_dataset().data_vars
    if not {"mu", "eta"} & set(learned):
        raise ValueError(
            "the fit does not pool: its population's mean is fixed, and so no spread between "
            f"{levels.child} means was learned. Fit partial_pooling or a nested model"
        )
    names = [levels.parent] if levels.parent else []
    names += [levels.child, {"n_people": "person"}.get(levels.size, levels.size[2:].rstrip("s"))]
    if levels.proportions:
        by_level = _beta_variances(fit, levels)
    else:
        by_level = [levels.tau[name] ** 2 for name in names[:-1]] + [levels.spread[:, 0] ** 2]
    variances = np.stack(by_level, axis=1)
    shares = variances / variances.sum(axis=1, keepdims=True)
    lower, upper = np.quantile(shares, [(1 - prob) / 2, (1 + prob) / 2], axis=0)
    table = pd.DataFrame(
        {
            "level": names,
            "sd": np.sqrt(variances).mean(axis=0),
            "share": shares.mean(axis=0),
            "lower": lower,
            "upper": upper,
        }
    )
    table.attrs = {"prob": prob, "proportions": levels.proportions}
    return table


@dataclass(frozen=True)
class _Levels:
    """What a fit holds of its hierarchy; draws are flat, (n_draws,) or (n_draws, n_groups)."""

    child: str
    parent: str | None
    index: np.ndarray | None  # of each child's parent
    size: str
    n: np.ndarray
    mean: np.ndarray
    proportions: bool
    population: np.ndarray
    mu: dict[str, np.ndarray]
    tau: dict[str, np.ndarray]
    spread: np.ndarray  # sigma, or nu of each child


def _check(fit: xr.DataTree, prob: float) -> None:
    if not isinstance(fit, xr.DataTree):
        raise TypeError(f"fit must be an xarray.DataTree, got {type(fit).__name__}")
    if "posterior" not in fit.children:
        raise ValueError(
            f"fit has no posterior; its groups are: {', '.join(fit.children) or 'none'}. "
            "Pass the result of hbm.sample"
        )
    if not isinstance(prob, Real):
        raise TypeError(f"prob must be a number, got {prob!r}; 0.95 is 95 %")
    if not 0 < prob < 1:
        raise ValueError(f"prob must lie between 0 and 1, got {prob!r}; 0.95 is 95 %")


def flat_draws(fit: xr.DataTree, name: str) -> np.ndarray:
    """Return draws of a variable, or its fixed value once for each draw.

    Parameters
    ----------
    fit : xarray.DataTree
        Has a posterior.
    name : str
        A variable of the posterior or, where a model fixes it, of ``constant_data``.

    Returns
    -------
    numpy.ndarray, shape (n_draws, ...)
        Chain after chain.

    Raises
    ------
    ValueError
        If there is no such variable.

    Examples
    --------
    >>> import arviz as az, numpy as np
    >>> fit = az.from_dict({"posterior": {"mu": np.zeros((4, 500))},
    ...                     "constant_data": {"tau_school": np.array(1.5)}})
    >>> flat_draws(fit, "tau_school").shape
    (2000,)
    """
    posterior = fit["posterior"].to_dataset()
    n_draws = posterior.sizes["chain"] * posterior.sizes["draw"]
    if name in posterior:
        values = posterior[name].transpose("chain", "draw", ...).to_numpy()
        return values.reshape(n_draws, *values.shape[2:])
    if "constant_data" in fit.children and name in fit["constant_data"]:
        values = fit["constant_data"][name].to_numpy()
        return np.broadcast_to(values, (n_draws, *values.shape))
    raise ValueError(
        f"the fit has no {name!r}, neither in its posterior nor in its constant_data; the "
        "models of hbm.heights, hbm.scores and hbm.exams have it"
    )


def _constant_data(fit: xr.DataTree) -> xr.Dataset:
    return fit["constant_data"].to_dataset() if "constant_data" in fit.children else xr.Dataset()


def _size(constant: xr.Dataset, child: str) -> str | None:
    """Find the name of the number of individuals of each child."""
    names = [str(name) for name in constant if str(name).startswith("n_")]
    return next((name for name in names if constant[name].dims == (child,)), None)


def _parent(constant: xr.Dataset, child: str) -> str | None:
    """Find the level above a child by its index, ``<parent>_of_<child>``."""
    ending = f"_of_{child}"
    return next(
        (str(name).removesuffix(ending) for name in constant if str(name).endswith(ending)), None
    )


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
        ``attrs`` holds ``group``, ``parent`` and ``size``, empty if unknown.

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
    posterior, constant = fit["posterior"].to_dataset(), _constant_data(fit)

    def labels(level):
        return posterior[level].to_numpy()

    table = pd.DataFrame({group: labels(group)})
    parent, size = _parent(constant, group), _size(constant, group)
    if parent:
        table[parent] = labels(parent)[constant[f"{parent}_of_{group}"].to_numpy()]
    if size:
        table[size] = constant[size].to_numpy().astype(int)
    for name in constant:
        # An upper level: count its children and theirs.
        if str(name).startswith(f"{group}_of_"):
            child = str(name).removeprefix(f"{group}_of_")
            index, size = constant[name].to_numpy(), _size(constant, child)
            table[f"n_{child}s"] = np.bincount(index, minlength=len(table))
            if size:
                sums = np.bincount(index, constant[size].to_numpy(), minlength=len(table))
                table[size] = sums.astype(int)
    table.attrs = {"group": group, "parent": parent or "", "size": size or ""}
    return table


def _read(fit: xr.DataTree) -> _Levels:
    """Find the levels of a fit by the names of its variables."""
    constant, posterior = _constant_data(fit), fit["posterior"].to_dataset()
    child = str(constant["mean"].dims[0]) if "mean" in constant else ""
    size = _size(constant, child)
    if size is None:
        raise ValueError(
            "the fit's constant_data must hold each group's raw 'mean' and its number, such as "
            f"'n_students'; it has: {', '.join(map(str, constant)) or 'nothing'}. Fit a model of "
            "hbm.heights, hbm.scores or hbm.exams, or give yours the same with pm.Data"
        )
    parent = _parent(constant, child)
    proportions = f"nu_{child}" in posterior
    has_mu = "mu" in posterior or "mu" in constant
    names = [child, parent] if parent else [child]
    return _Levels(
        child=child,
        parent=parent,
        index=constant[f"{parent}_of_{child}"].to_numpy().astype(int) if parent else None,
        size=size,
        n=constant[size].to_numpy(),
        mean=constant["mean"].to_numpy(),
        proportions=proportions,
        population=flat_draws(fit, "mu") if has_mu else expit(flat_draws(fit, "eta")),
        mu={name: flat_draws(fit, f"mu_{name}") for name in names},
        tau={name: flat_draws(fit, f"tau_{name}") for name in names},
        spread=flat_draws(fit, f"nu_{child}") if proportions else flat_draws(fit, "sigma")[:, None],
    )


def _blocks(n_draws: int, n_groups: int) -> Iterator[slice]:
    step = max(1, _BLOCK // n_groups)
    return (slice(start, start + step) for start in range(0, n_draws, step))


def _information(levels: _Levels, rows: slice) -> tuple[np.ndarray, np.ndarray]:
    """Return 1/s² of each child's effect, and the variance of its raw mean in the data's units."""
    if not levels.proportions:
        variance = levels.spread[rows] ** 2 / levels.n
        return 1 / variance, variance
    mu = levels.mu[levels.child][rows]
    trials = levels.n * (levels.spread[rows] + 1)
    return trials * mu * (1 - mu), mu * (1 - mu) / trials


def _parent_sums(levels: _Levels, values: np.ndarray) -> np.ndarray:
    """Sum (n_draws, n_children) over the children of each parent."""
    order = np.argsort(levels.index, kind="stable")
    starts = np.searchsorted(levels.index[order], np.arange(levels.index.max() + 1))
    return np.add.reduceat(values[:, order], starts, axis=1)


def _weights(levels: _Levels) -> dict[str, np.ndarray]:
    """Average over draws what the notes of `shrinkage` say of a child."""
    n_draws, n_children = levels.mu[levels.child].shape
    sums = np.zeros((5, n_children))
    for rows in _blocks(n_draws, n_children):
        information, variance = _information(levels, rows)
        tau2 = levels.tau[levels.child][rows, None] ** 2
        # Written with information and τ² as factors, all is finite where either is 0.
        pooling = 1 / (1 + information * tau2)
        sums[0] += variance.sum(axis=0)
        sums[1] += pooling.sum(axis=0)
        if levels.parent:
            relative = information * pooling * levels.tau[levels.parent][rows, None] ** 2
            total = (1 + _parent_sums(levels, relative))[:, levels.index]
            sums[2] += (1 - pooling + pooling * relative / total).sum(axis=0)
            sums[3] += (pooling * (total - 1 - relative) / total).sum(axis=0)
            sums[4] += (pooling / total).sum(axis=0)
    variance, pooling, own, siblings, population = sums / n_draws
    weights = {"raw_mean": levels.mean, "raw_se": np.sqrt(variance), "pooling": pooling}
    if levels.parent:
        alone = np.bincount(levels.index)[levels.index] == 1
        weights |= {
            "share_own": own,
            f"share_{levels.parent}": np.where(alone, 0.0, siblings),
            "share_population": population,
            "only_child": alone,
        }
    return weights


def _parent_weights(levels: _Levels) -> dict[str, np.ndarray]:
    """Average over draws what the notes of `shrinkage` say of a parent."""
    n_draws, n_children = levels.mu[levels.child].shape
    sums = np.zeros((3, levels.mu[levels.parent].shape[1]))
    for rows in _blocks(n_draws, n_children):
        information, _ = _information(levels, rows)
        precision = information / (1 + information * levels.tau[levels.child][rows, None] ** 2)
        total = _parent_sums(levels, precision)
        mu = levels.mu[levels.parent][rows]
        slope = mu * (1 - mu) if levels.proportions else 1.0
        sums[0] += (_parent_sums(levels, precision * levels.mean) / total).sum(axis=0)
        sums[1] += (slope**2 / total).sum(axis=0)
        sums[2] += (1 / (1 + total * levels.tau[levels.parent][rows, None] ** 2)).sum(axis=0)
    raw_mean, variance, pooling = sums / n_draws
    return {"raw_mean": raw_mean, "raw_se": np.sqrt(variance), "pooling": pooling}


def _means_without_pooling(fit: xr.DataTree, group: str, labels: pd.Series) -> np.ndarray:
    _check(fit, 0.5)
    if f"mu_{group}" not in fit["posterior"]:
        raise ValueError(
            f"the fit without pooling has no 'mu_{group}': an upper level exists by pooling only. "
            f"Leave no_pooling out for {group!r}"
        )
    table = estimates(fit, f"mu_{group}")
    means = pd.Series(table["mean"].to_numpy(), index=table[group].astype(str))
    missing = [label for label in labels.astype(str) if label not in means.index]
    if missing:
        raise ValueError(
            f"the fit without pooling has no {group} {', '.join(map(repr, missing[:5]))}"
            + (f" and {len(missing) - 5} more" if len(missing) > 5 else "")
            + ". Fit both models to one table"
        )
    return means.loc[labels.astype(str)].to_numpy()


def _beta_variances(fit: xr.DataTree, levels: _Levels) -> list[np.ndarray]:
    """Return draws of the variances on the score scale: between parents, children, individuals."""
    z, weight = np.polynomial.hermite_e.hermegauss(_NODES)
    weight = weight / weight.sum()
    eta, nu, tau_nu = (flat_draws(fit, name) for name in ("eta", "nu", "tau_nu"))
    tau = levels.tau[levels.child]
    parent_z, parent_weight, parent_tau = np.zeros(1), np.ones(1), np.zeros_like(tau)
    if levels.parent:
        parent_z, parent_weight, parent_tau = z, weight, levels.tau[levels.parent]
    parts = []
    for rows in _blocks(len(eta), _NODES * len(parent_z)):
        # Draws × nodes of the parent's effect × nodes of the child's.
        middle = eta[rows, None] + parent_tau[rows, None] * parent_z
        mu = expit(middle[..., None] + tau[rows, None, None] * z)
        of_parent = mu @ weight
        between_children = ((mu - of_parent[..., None]) ** 2 @ weight) @ parent_weight
        grand = of_parent @ parent_weight
        between_parents = (of_parent - grand[:, None]) ** 2 @ parent_weight
        one_student = expit(-np.log(nu[rows, None]) - tau_nu[rows, None] * z) @ weight  # E 1/(ν+1)
        within = (mu * (1 - mu) @ weight) @ parent_weight * one_student
        parts.append([between_parents, between_children, within])
    variances = [np.concatenate(level) for level in zip(*parts, strict=True)]
    return variances if levels.parent else variances[1:]
