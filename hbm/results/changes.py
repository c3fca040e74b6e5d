"""Changes: which groups of a panel rose or fell between two years, and how sure that is."""

import numpy as np
import pandas as pd
import xarray as xr

from hbm.hierarchy.description import Description
from hbm.hierarchy.fitted import Fitted, read_panel
from hbm.results.estimates import check_prob
from hbm.students.law import Law
from hbm.tables.words import plural

__all__ = ["changes"]


def changes(
    fit: xr.DataTree,
    group: str,
    *,
    since: int | None = None,
    until: int | None = None,
    absolute: bool = False,
    prob: float = 0.95,
    fdr: float = 0.05,
) -> pd.DataFrame:
    """Estimate how each group changed from one year to another, beside what its raw means did.

    Parameters
    ----------
    fit : xarray.DataTree
        Draws of :func:`hbm.exams.panel`.
    group : str
        The groups that individuals stand in, such as ``"school"``.
    since, until : int, optional
        The two years; the first and the last of the fit if not given.
    absolute : bool, default False
        Whether to count what the years did to all groups alike. Without it changes are net of that:
        as they would be if both years were half-way between the two.
    prob : float, default 0.95
        Probability inside the intervals, strictly between 0 and 1.
    fdr : float, default 0.05
        False discovery rate of those named as changed, strictly between 0 and 1.

    Returns
    -------
    pandas.DataFrame
        One row a group with results in both years, in the order of the coordinate, in the units of
        the data: points of a hundred are hundredths. Groups without results in one of the two years
        have no raw change, and are not in it; their means of those years, which the other years
        tell, are in ``mu_<group>``, and how many they are in ``attrs["n_left_out"]``.

        ``<group>``, and what it stands in
            Labels, from the innermost out.
        ``n_students_since``, ``n_students_until``
            Number of individuals of the two years.
        ``raw_since``, ``raw_until``
            The means as published.
        ``raw_change``
            Their difference, less `year_change` unless `absolute`.
        ``raw_se``
            Standard deviation of the raw change of a group that has not changed: what individuals
            and cohorts make of it by chance.
        ``change``, ``sd``, ``lower``, ``upper``
            Posterior mean, standard deviation and equal-tailed interval of the change of the
            group's own mean, that of a very large cohort.
        ``p_rose``
            Probability that it rose.
        ``pooling``
            How much of a raw change is noise: the part of the variance of raw changes of groups of
            this size that is not of their own means. 1 less it is the weight of the raw change in
            the estimate that would be made of it alone.
        ``year_change``
            What the years did to a group at this one's level: posterior mean.
        ``predictors_change``
            With predictors: what of `change` comes of those of the group having changed, as where
            a school grew and larger ones are expected higher; posterior mean. Less it, `change` is
            that of the group had its predictors been half-way between the two years' in both.
        ``named``
            Whether the group is among those of which it can be said that they rose, or that they
            fell: on average over the posterior a part `fdr` of what is said, at most, is wrong.

        ``attrs`` holds `group`, ``size``, ``since``, ``until``, `absolute`, `prob`, `fdr`,
        ``expected_false`` (the part expected to be wrong of those named, 0 if none is),
        ``n_left_out``, ``unit`` and ``proportions``.

    Raises
    ------
    TypeError
        If `fit` is not a DataTree, or a number is none.
    ValueError
        If the fit is of one year, `group` is another level, a year is not in the fit or not after
        the other, no group has results in both, or `prob` or `fdr` is out of range.

    Notes
    -----
    The change is that of expit(eta_school) in each draw, so that what hangs together between the
    two years is in it: the difference of two intervals of :func:`hbm.estimates` would be wider. Net
    of the years, each is taken with the mean of the two years' effects.

    A raw change of a school has the variance v + V. The noise v is the sum of the two means', as
    for ``raw_se`` of :func:`hbm.shrinkage`. V is that of the change itself, τ²(b² + c² − 2 ρ^k b c)
    by the delta method for years k apart, with slopes b and c of the mean by the effect, and
    τ_year² (b² + c²) more if absolute. ``pooling`` is v / (v + V), averaged over draws. The
    estimate leans on the years between and around the two as well.

    With predictors V is that of groups whose predictors changed alike, and raw changes are pulled
    towards what this lets expect, about `predictors_change`, in place of 0. What comes of
    predictors is part of the change: ``p_rose`` and ``named`` are of the whole.

    Whoever picks the largest of many changes picks the luckiest. The smaller of ``p_rose`` and
    1 − ``p_rose`` is the probability that a group's direction is called wrongly (the local false
    sign rate of Stephens [1]_). Groups are named from the smallest up, while the average over those
    named is at most `fdr`: the false discovery rate given the data, as in Newton et al. [2]_.
    Groups of one probability are named together or not at all. It is as good as the model is.

    References
    ----------
    .. [1] Stephens (2017). False discovery rates: a new deal. Biostatistics 18(2).
    .. [2] Newton, Noueiry, Sarkar and Ahlquist (2004). Detecting differential gene expression with
       a semiparametric hierarchical mixture method. Biostatistics 5(2).

    Examples
    --------
    >>> import hbm
    >>> sizes = [[12, 9], [150, 160], [40, 0]]
    >>> table, _ = hbm.simulate.exam_panel([2, 1], sizes, years=[2018, 2019], random_seed=1)
    >>> prior = hbm.sample_prior_predictive(hbm.exams.panel(table), 500, random_seed=1)
    >>> found = changes(prior.assign(posterior=prior["prior"]), "school")
    >>> found[["school", "n_students_since", "n_students_until", "pooling"]].round(1)
      school  n_students_since  n_students_until  pooling
    0      1                12                 9      0.7
    1      2               150               160      0.3
    >>> found.attrs["n_left_out"]
    1
    """
    check_prob(prob)
    check_prob(fdr, "fdr", "0.05 is 5 %")
    fitted = read_panel(fit)
    d = fitted.d
    _check_group(d, group)
    years = d.cells.years
    first, last = 0 if since is None else d.cells.position(since), d.cells.position(until)
    if first >= last:
        raise ValueError(
            f"until must be a {d.cells.name} after since, got since={years[first]} and "
            f"until={years[last]}"
        )
    cells_of = d.cells.grid(len(d.levels[-1].labels))[:, [first, last]]
    both = np.flatnonzero((cells_of >= 0).all(axis=1))
    if not len(both):
        raise ValueError(
            f"no {group} has results in both {years[first]} and {years[last]}; choose other "
            f"{plural(d.cells.name)}"
        )
    cells = list(cells_of[both].T)
    draws, of_years, of_predictors, noise, pooling = _draws(fitted, cells, absolute)

    levels = [level.name for level in reversed(d.levels)]
    table = pd.DataFrame(
        {name: d.level(name).labels[d.ancestor_of(name)[cells[0]]] for name in levels}
    )
    for which, cell in zip(("since", "until"), cells, strict=True):
        table[f"{d.size}_{which}"] = d.n[cell].astype(int)
    for which, cell in zip(("since", "until"), cells, strict=True):
        table[f"raw_{which}"] = d.mean[cell]
    year_change = of_years.mean(axis=0)
    table["raw_change"] = d.mean[cells[1]] - d.mean[cells[0]] - (0 if absolute else year_change)
    table["raw_se"] = np.sqrt(noise)
    table["change"] = draws.mean(axis=0)
    table["sd"] = draws.std(axis=0, ddof=1)
    ends = [(1 - prob) / 2, (1 + prob) / 2]
    table["lower"], table["upper"] = np.quantile(draws, ends, axis=0)
    table["p_rose"] = (draws > 0).mean(axis=0)
    table["pooling"] = pooling
    table["year_change"] = year_change
    if d.predictors is not None:
        table["predictors_change"] = of_predictors.mean(axis=0)
    wrong = 1 - np.maximum((draws > 0).mean(axis=0), (draws < 0).mean(axis=0))
    named = _named(wrong, fdr)
    table["named"] = named
    table.attrs = {
        "group": group,
        "size": d.size,
        "since": int(years[first]),
        "until": int(years[last]),
        "absolute": bool(absolute),
        "prob": prob,
        "fdr": fdr,
        "expected_false": float(wrong[named].mean()) if named.any() else 0.0,
        "n_left_out": len(d.levels[-1].labels) - len(both),
        "unit": d.unit,
        "proportions": d.law.proportions,
    }
    return table


def _draws(
    f: Fitted, cells: list[np.ndarray], absolute: bool
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return draws of changes, of the years' and predictors' parts, the raw noise, and pooling."""
    d, law = f.d, f.d.law
    at = [int(d.cells.year[cell[0]]) for cell in cells]
    effects = [f.effect(d.group)[:, d.cells.group[c], t] for c, t in zip(cells, at, strict=True)]
    of_year = f.draws(f"effect_{d.cells.name}")[:, at]
    whole = _rise(law, *effects)
    net_of_years = _brought_together(effects, of_year[:, None])
    net = _rise(law, *net_of_years)
    shown, rise = (effects, whole) if absolute else (net_of_years, net)
    moved = f.moved_in_years(d.cells.group[cells[0]])[..., at]
    of_predictors = rise - _rise(law, *_brought_together(shown, moved))
    spread, excess = f.spread, np.broadcast_to(f.excess, f.n_draws)[:, None]
    means = [law.mean_of(x) for x in effects]
    noise = np.add(
        *(
            law.mean_variance(d.n[c], mu, spread[:, c], excess)
            for c, mu in zip(cells, means, strict=True)
        )
    )
    slope = [law.slope(mu) for mu in means]
    tau2 = f.tau(d.group)[:, None] ** 2
    apart = d.cells.years[at[1]] - d.cells.years[at[0]]
    kept = f.draws("persistence")[:, None] ** apart
    own = tau2 * (slope[0] ** 2 + slope[1] ** 2 - 2 * kept * slope[0] * slope[1])
    if absolute:
        own = own + f.tau(d.cells.name)[:, None] ** 2 * (slope[0] ** 2 + slope[1] ** 2)
    pooling = (noise / (noise + own)).mean(axis=0)
    return rise, whole - net, of_predictors, noise.mean(axis=0), pooling


def _rise(law: Law, before: np.ndarray, after: np.ndarray) -> np.ndarray:
    """Return by how much means rise from some effects to others."""
    return law.mean_of(after) - law.mean_of(before)


def _brought_together(effects: list[np.ndarray], parts: np.ndarray) -> list[np.ndarray]:
    """Return effects of two years with the average of a part of them in place of each's own."""
    half = (parts[..., 1] - parts[..., 0]) / 2
    return [effects[0] + half, effects[1] - half]


def _named(wrong: np.ndarray, fdr: float) -> np.ndarray:
    """Say of which groups a direction can be told, given the probability that it is wrong."""
    values, counts = np.unique(wrong, return_counts=True)
    average = np.cumsum(values * counts) / np.cumsum(counts)
    fine = values[average <= fdr]
    return wrong <= fine[-1] if len(fine) else np.zeros(len(wrong), dtype=bool)


def _check_group(d: Description, group: str) -> None:
    """Raise unless a group is of those that individuals stand in, which alone change."""
    if group == d.group:
        return
    if group in [level.name for level in d.levels]:
        raise ValueError(
            f"an effect of {group} is one for all years in this model: what changes are its "
            f"{plural(d.group)}, group={d.group!r}, and all alike by effect_{d.cells.name}"
        )
    raise ValueError(
        f"group must be {d.group!r}, whose means of each year the fit holds; got {group!r}"
    )
