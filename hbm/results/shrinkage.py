"""Shrinkage: how far each group was moved from its raw mean, towards what, and why."""

import numpy as np
import pandas as pd
import xarray as xr

from hbm.hierarchy.carried import posterior_of
from hbm.hierarchy.fitted import Fitted, read_fit, read_panel
from hbm.hierarchy.years import YEAR_OF_PANEL, in_year, of_several_years
from hbm.results.estimates import estimates, group_table
from hbm.results.weights import weights_of

__all__ = ["shrinkage"]


def shrinkage(
    fit: xr.DataTree,
    group: str,
    *,
    year: int | None = None,
    prob: float = 0.95,
    no_pooling: xr.DataTree | None = None,
) -> pd.DataFrame:
    """Show how far each group was moved from its raw mean, towards what, and why.

    Parameters
    ----------
    fit : xarray.DataTree
        Result of `hbm.sample` for a model of `hbm.heights`, `hbm.scores` or `hbm.exams`, or for
        one with the same names. Of a panel it must be the whole fit.
    group : str
        The groups to show: ``"country"``, ``"school"``, or an upper level such as ``"authority"``.
    year : int, optional
        Of a panel, the year to show: the last if not given.
    prob : float, default 0.95
        Probability inside the interval, strictly between 0 and 1.
    no_pooling : xarray.DataTree, optional
        A fit of the same groups without pooling, to show its means as well; of that year's table.

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
            such a group: sd / √n with the model's sd, so that a group of one has it too, and with
            a design effect about its root times that. For an upper level, its children's means
            weighted by what each says of it (Notes).
        ``no_pooling``
            Posterior mean of the fit without pooling, if given.
        ``mean``, ``sd``, ``lower``, ``upper``
            Posterior mean, standard deviation and equal-tailed interval, as in `estimates`.
        ``target``
            Posterior mean of what the group is pulled to: its parent or, without one, the
            population. With predictors, what is expected there of a group like this one.
        ``moved``
            ``mean`` − ``raw_mean``.
        ``moved_predictors``, ``moved_<parent>``, ``moved_population``
            With predictors: what of `moved` is owed to what is known of the group, and of what it
            stands in; to its parent, and each level above, being other than this lets expect; and
            to the average of the whole population. Of a panel also ``moved_years``, owed to the
            group's other years. They sum to `moved`.
        ``pooling``
            Pooling factor: the weight of the target in the estimate, from 0 (the raw mean) to 1
            (the target).
        ``share_own``, ``share_<parent>``, ``share_population``
            Where groups have parents: the same estimate as a weighted mean of the group's raw
            mean, those of its parent's other groups, and the population's. They sum to 1. With
            predictors the latter two are what these let expect of a group like this one.
        ``only_child``
            Where groups have parents: whether the group is the only one of its parent. Then the
            data tell the sum of the two effects and not which is which: `target` and
            `pooling` rest on the other groups' spread, and ``share_<parent>`` is 0.
        ``share_years``
            Of a panel: the weight of the group's own raw means of other years. ``share_own`` is
            then that of this year alone, and the sum is 1 with it.

        ``attrs`` holds ``variable``, ``group``, ``parent`` (empty if none), ``size`` (the name of
        the column of numbers), ``prob`` and ``proportions`` (whether the data are).

    Raises
    ------
    TypeError
        If a fit is not a DataTree.
    ValueError
        If a fit lacks what is needed, `group` is not one of its levels, the fit without pooling
        is of other groups, or `prob` is not between 0 and 1. If there is no such year, or the fit
        is one year of a panel, which does not hold what its estimates lean on.

    Notes
    -----
    Given its mean m and standard deviation τ, a group's effect is N(m, τ), and its raw mean is
    about N(effect, s). The estimate is then (1 − λ) raw mean + λ m with λ = s² / (s² + τ²), which
    is also the part of the prior variance that is left once the data are seen. The pooling factor
    is λ averaged over the draws. It says what the model does to a group of this size, and so is
    defined where raw mean and target agree. (The factor of Gelman and Pardoe [1]_ is one number
    for a whole level.)

    Heights: s² = σ² / n, and λ is exact. Scores and marks: effects are logits, and the mean of n
    students has variance f μ(1 − μ) / (n (ν + 1) + f − 1), with f the design effect, 1 for
    independent students. So by the delta method s² = f / ((n (ν + 1) + f − 1) μ (1 − μ)), with the
    group's own μ and ν, and the f, of each draw. For 318 schools of 6 to 762 students this λ and
    the part of the prior variance that is left, by quadrature, differed by less than 0.03 in 19
    schools of 20, and by 0.08 and 0.09 in the two worst, of under ten students and means near 0.9,
    whose published sd tells something of the mean as well (``tests/benchmarks/pooling.py``, on the
    workbook of :func:`hbm.read_diploma`).

    With parents, of precisions p = 1 / (s² + τ²) and q = 1 / τ_parent², the parent's effect given
    the data is the mean of its groups' raw means weighted by p and of the population's weighted
    by q; λ times these weights, with the group's own share of them added to 1 − λ, are the shares.
    For the parent itself λ is q / (q + Σ p), and its raw mean Σ p raw mean / Σ p.

    With predictors, N(m + x β, τ) takes the place of N(m, τ), so that the target is a group like
    this one; the weights are the same ones, and what x β adds to raw means is taken off before they
    count for a parent. The way from the population's average to the target has steps: by
    x β of all levels, and then by what is left of each level's effect, from the top. Their parts of
    `moved` are λ times the steps, in the units of the data and averaged over draws. The rest is the
    population's, λ times the way from the raw mean to its average but for the approximation.
    Leaving out what is known of volume pulls small poor hospitals up too far [2]_.

    In a panel an estimate leans on the group's other years, before and after, as far as they are
    like this one: the same approximation, with the covariance τ² ρ^|t − u| between years t and u in
    place of τ² (:mod:`hbm.results.panel_weights`), and raw means of other years brought to the
    level of this one. λ is the weight of the target beside all the group's years. A parent leans on
    all its groups in all years, and its raw mean is of them, while its numbers are those of this
    year. Weights and `raw_se` are averages over 400 draws, evenly spaced, or all if there are
    fewer.

    References
    ----------
    .. [1] Gelman and Pardoe (2006). Bayesian measures of explained variance and pooling in
       multilevel (hierarchical) models. Technometrics 48(2).
    .. [2] Silber et al. (2010). The Hospital Compare mortality model and the volume-outcome
       relationship. Health Services Research 45(5).

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
    panel = _panel_of(fit, year)
    view = fit if panel is None else in_year(fit, year)
    summary = estimates(view, f"mu_{group}", prob)
    fitted = read_fit(view)
    d = fitted.d
    levels = [level.name for level in reversed(d.levels)]
    if group not in levels:
        raise ValueError(
            f"group must be {' or '.join(map(repr, levels))}, whose numbers and raw means the fit "
            f"holds, got {group!r}"
        )
    table = group_table(view, group)
    at = levels.index(group)
    for level in levels[:-1]:
        # A group's estimate leans on its siblings, and an upper level's on all below it.
        if at == 0 or levels.index(level) < at:
            (panel or fitted).require_families(level)
    weights = weights_of(fitted, at) if panel is None else _weights_of_year(panel, fitted, at, year)
    raw_mean = weights.pop("raw_mean")
    table["raw_mean"] = d.mean if group == d.group else raw_mean
    table["raw_se"] = weights.pop("raw_se")
    if no_pooling is not None:
        table["no_pooling"] = _means_without_pooling(no_pooling, group, table[group])
    table[["mean", "sd", "lower", "upper"]] = summary[["mean", "sd", "lower", "upper"]]
    above = d.above(group)
    if d.predictors is not None:
        table["target"] = d.law.mean_of(fitted.location(group)).mean(axis=0)
    elif above is None:
        table["target"] = fitted.middle.mean()
    else:
        table["target"] = fitted.mu(above).mean(axis=0)[d.parent_of(group)]
    table["moved"] = table["mean"] - table["raw_mean"]
    parts = [name for name in weights if name.startswith("moved_")]
    if parts:
        owed = {name: weights.pop(name) for name in parts}
        table = table.assign(**owed, moved_population=table["moved"] - sum(owed.values()))
    table = table.assign(**weights)
    table.attrs |= summary.attrs
    return table


def _panel_of(fit: xr.DataTree, year: int | None) -> Fitted | None:
    """Return all of a fit of several years, or None of one year, or raise."""
    posterior_of(fit)
    if of_several_years(fit) is not None:
        return read_panel(fit)
    constant = fit["constant_data"].attrs if "constant_data" in fit.children else {}
    if YEAR_OF_PANEL in constant:
        raise ValueError(
            f"the fit is one of several years ({constant[YEAR_OF_PANEL]}), and what its estimates "
            "owe to the others is not in it: give the whole fit, and year="
            f"{constant[YEAR_OF_PANEL]}"
        )
    if year is not None:
        raise ValueError(f"the fit is of one year, and so there is no {year!r} to choose")
    return None


def _weights_of_year(panel: Fitted, view: Fitted, at: int, year: int | None) -> dict:
    """Return the weights of a year of a panel, of the groups that have results in it."""
    weights = weights_of(panel, at, panel.d.cells.position(year))
    name = panel.d.levels[::-1][at].name
    position = panel.d.positions[name]
    there = [position[label] for label in view.d.level(name).labels]
    return {column: values[there] for column, values in weights.items()}


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
