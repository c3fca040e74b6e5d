"""Shrinkage: how far each group was moved from its raw mean, towards what, and why."""

from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from hbm.hierarchy.fitted import Fitted, posterior_of, read_fit
from hbm.results.estimates import estimates, group_table

__all__ = ["shrinkage"]

_BLOCK = 1_000_000  # draws × groups worked on at a time, which bounds the memory


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
    fitted = read_fit(fit)
    d = fitted.d
    levels = [level.name for level in reversed(d.levels)]
    if group not in levels:
        raise ValueError(
            f"group must be {' or '.join(map(repr, levels))}, whose numbers and raw means the fit "
            f"holds, got {group!r}"
        )
    table = group_table(fit, group)
    at = levels.index(group)
    for level in levels[:-1]:
        # A group's estimate leans on its siblings, and an upper level's on all below it.
        if at == 0 or levels.index(level) < at:
            fitted.require_families(level)
    weights = _weights(fitted, at)[at]
    table["raw_mean"] = weights.pop("raw_mean")
    table["raw_se"] = weights.pop("raw_se")
    if no_pooling is not None:
        table["no_pooling"] = _means_without_pooling(no_pooling, group, table[group])
    table[["mean", "sd", "lower", "upper"]] = summary[["mean", "sd", "lower", "upper"]]
    above = d.above(group)
    if above is None:
        table["target"] = fitted.middle.mean()
    else:
        table["target"] = fitted.mu(above).mean(axis=0)[d.parent_of(group)]
    table["moved"] = table["mean"] - table["raw_mean"]
    table = table.assign(**weights)
    table.attrs |= summary.attrs
    return table


def _weights(f: Fitted, at: int) -> list[dict[str, np.ndarray]]:
    """Average over draws what the notes of `shrinkage` say, for each level from the groups up."""
    d = f.d
    names = [level.name for level in reversed(d.levels)][: at + 1 if at else None]
    n_draws, n_groups = f.mu(d.group).shape
    sums = [np.zeros((3, len(d.level(name).labels))) for name in names]
    shares = np.zeros((1 + len(names), n_groups))
    step = max(1, _BLOCK // n_groups)
    for start in range(0, n_draws, step):
        rows = slice(start, start + step)
        mu, spread = f.mu(d.group)[rows], f.spread[rows]
        information, raw = d.law.information(d.n, mu, spread), np.broadcast_to(d.mean, mu.shape)
        variance = d.law.variance(mu, spread) / d.n
        # The part of each group's own raw mean in what is estimated of the level at hand, and of
        # what its siblings add, level by level.
        own, added = 1.0, []
        for of_level, name in zip(sums, names, strict=True):
            tau2 = np.broadcast_to(f.tau(name), n_draws)[rows, None] ** 2
            # Written with information and τ² as factors, all is finite where either is 0.
            pooling = 1 / (1 + information * tau2)
            of_level += np.stack([x.sum(axis=0) for x in (raw, variance, pooling)])
            added.append((own, pooling[:, d.ancestor_of(name)]))
            if name == names[-1]:
                break
            above = d.above(name)
            precision = information * pooling
            total = _sums(precision, d.parent_of(name), len(d.level(above).labels))
            own = (precision / total[:, d.parent_of(name)])[:, d.ancestor_of(name)]
            raw = _sums(precision * raw, d.parent_of(name), total.shape[1]) / total
            information = total
            variance = d.law.slope(f.mu(above)[rows]) ** 2 / total
        shares += _shares(added)
    shares /= n_draws
    tables = []
    for of_level, name in zip(sums, names, strict=True):
        raw_mean, variance, pooling = of_level / n_draws
        raw_mean = d.mean if name == d.group else raw_mean
        tables.append({"raw_mean": raw_mean, "raw_se": np.sqrt(variance), "pooling": pooling})
    if at == 0 and len(names) > 1:
        alone = np.bincount(d.parent_of(d.group))[d.parent_of(d.group)] == 1
        tables[0]["share_own"] = shares[0]
        for name, share in zip(names[1:], shares[1:], strict=False):
            tables[0][f"share_{name}"] = np.where(_only(d, name), 0.0, share)
        tables[0]["share_population"] = shares[-1]
        tables[0]["only_child"] = alone
    return tables


def _shares(added) -> np.ndarray:
    """Return the parts of own raw mean, siblings of each level, and population: sums over draws.

    What is estimated of a level is (1 − pooling) times the weighted mean of its children's raw
    means, in which a group has its own part, and pooling times what is estimated of the level
    above.
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
        within.append(total.sum(axis=0))
    others = [above - below for below, above in pairwise(within)]
    return np.stack([within[0], *others, left.sum(axis=0)])


def _only(d, level: str) -> np.ndarray:
    """Say which groups stand alone in a member of an upper level."""
    at = d.ancestor_of(level)
    return np.bincount(at)[at] == 1


def _sums(values: np.ndarray, parent: np.ndarray, n_parents: int) -> np.ndarray:
    """Sum (n_draws, n_children) over the children of each parent."""
    order = np.argsort(parent, kind="stable")
    starts = np.searchsorted(parent[order], np.arange(n_parents))
    return np.add.reduceat(values[:, order], starts, axis=1)


def _means_without_pooling(fit: xr.DataTree, group: str, labels: pd.Series) -> np.ndarray:
    posterior_of(fit)
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
