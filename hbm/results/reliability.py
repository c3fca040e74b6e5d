"""Reliability: how much of one year's raw means is lasting, passing, and chance."""

from collections.abc import Iterator, Sequence
from itertools import pairwise

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

from hbm.hierarchy.description import Description
from hbm.hierarchy.fitted import Fitted, read_panel
from hbm.results.estimates import check_prob
from hbm.results.funnel import whole_numbers
from hbm.results.population import known_of, moved_by
from hbm.results.variance import between, between_known, mean_variances

__all__ = ["reliability"]

Floats = NDArray[np.float64]

_NEAR = 1.6  # factor between numbers of individuals that are much the same


def reliability(
    fit: xr.DataTree, *, n: Sequence[int] | None = None, prob: float = 0.95
) -> pd.DataFrame:
    """Show what the raw means of one year differ by: what lasts, what passes, and chance.

    Parameters
    ----------
    fit : xarray.DataTree
        Draws of :func:`hbm.exams.panel`.
    n : sequence of int, optional
        Numbers of individuals; by default 5, 10, 20, 50, 100 and so on, as far as the fit's groups
        reach.
    prob : float, default 0.95
        Probability inside the interval of the correlation, strictly between 0 and 1.

    Returns
    -------
    pandas.DataFrame
        One row a number of individuals:

        ``n_students``
            The number.
        ``sd``
            Standard deviation of raw means of so many in one year, in the units of the data.
        ``share_predictors``
            With predictors: part of their variance that these explain.
        ``share_<level>``
            Part of their variance that is between the members of each level above, from the top.
            It stays.
        ``share_lasting``
            The group's own that the next year has as well.
        ``share_passing``
            The group's own that the next year does not tell.
        ``share_cohort``
            What individuals of one year have in common beyond their group, and what is gone with
            them; only if there is a design effect.
        ``share_student``
            Chance: which individuals there were. These parts sum to 1.
        ``correlation``, ``lower``, ``upper``
            Correlation of the raw means of one year with those of the next, both of so many
            individuals, as the model expects it: posterior mean and equal-tailed interval.
        ``observed``
            That of the table: of the groups of n / 1.6 to 1.6 n individuals in two successive
            years, around the mean of them of each year. NaN where there are too few.
        ``n_pairs``
            Number of pairs of means that it is of.

        ``attrs`` holds ``group``, ``size``, `prob`, ``unit`` and ``proportions``.

    Raises
    ------
    TypeError
        If `fit` is not a DataTree.
    ValueError
        If the fit is of one year, or `n` or `prob` is out of range.

    Notes
    -----
    Kane and Staiger [1]_ show that of what the means of small schools differ by in one year, much
    is gone in the next. Variances are those of :func:`hbm.variance_shares`, on the scale of the
    data and in each draw, of a year that is like the average of the fit's. What a group deviates by
    from what it stands in has the correlation ρ with that of the next year, so that ρ² of its
    variance is lasting and 1 − ρ² passing. The variance of a mean of n individuals is that of
    cohort and individuals, s to 1 with s the design effect less 1.

    The correlation is Cov / Var. Of the covariance all of the levels' variance is a part, and of a
    group's own what the two years have in common, whose variance on the scale of effects is
    ρ τ_school². What a year does to all groups alike is in none of these numbers. An observed
    correlation of few pairs says little; :func:`hbm.check_predictive` holds it against what the
    model expects of just these.

    With predictors, these are those of all the table's groups and years, each of which counts once,
    and are taken to be the same in both years; numbers of individuals, if they are among them, are
    the row's, so that they explain nothing of what groups of one size differ by. Cohorts and
    individuals are averaged over what is known of them.

    References
    ----------
    .. [1] Kane and Staiger (2002). The promise and pitfalls of using imprecise school
       accountability measures. Journal of Economic Perspectives 16(4).

    Examples
    --------
    >>> import hbm
    >>> table, _ = hbm.simulate.exam_panel([2, 1], [12, 150, 40], random_seed=1)
    >>> prior = hbm.sample_prior_predictive(hbm.exams.panel(table), 500, random_seed=1)
    >>> found = reliability(prior.assign(posterior=prior["prior"]), n=[10, 100])
    >>> found.columns[2:7].tolist()
    ['share_authority', 'share_lasting', 'share_passing', 'share_cohort', 'share_student']
    >>> found.filter(like="share").sum(axis=1).round(9).tolist()
    [1.0, 1.0]
    """
    check_prob(prob)
    f = read_panel(fit)
    d = f.d
    sizes = _sizes(d.n) if n is None else whole_numbers(n)
    names = [*(level.name for level in d.levels[:-1]), "lasting", "passing"]
    excess = np.broadcast_to(f.excess, f.n_draws)
    if d.predictors is None:
        (levels, of_mean), (common, _) = (between(d.law, *_effects(f, part)) for part in (1, 0.5))
        levels, common = levels[:, None], common[:, None]
        own = of_mean[:, None] * mean_variances(f, sizes)
    else:
        names.insert(0, "predictors")
        levels, common, own = (np.stack(x, axis=1) for x in _known(f, sizes))
    parts = {name: levels[..., i] for i, name in enumerate(names)}
    parts |= {"cohort": own * (excess / (1 + excess))[:, None]} if d.clustered else {}
    parts |= {d.individual: own / (1 + excess)[:, None]}
    total = levels.sum(axis=2) + own
    correlation = common[..., :-1].sum(axis=2) / total

    table = pd.DataFrame({d.size: sizes, "sd": np.sqrt(total).mean(axis=0)})
    for name, part in parts.items():
        table[f"share_{name}"] = (part / total).mean(axis=0)
    table["correlation"] = correlation.mean(axis=0)
    ends = [(1 - prob) / 2, (1 + prob) / 2]
    table["lower"], table["upper"] = np.quantile(correlation, ends, axis=0)
    observed = [_observed(d, size) for size in sizes]
    table["observed"] = [r for r, _ in observed]
    table["n_pairs"] = [pairs for _, pairs in observed]
    table.attrs = {
        "group": d.group,
        "size": d.size,
        "prob": prob,
        "unit": d.unit,
        "proportions": d.law.proportions,
    }
    return table


def _effects(f: Fitted, power: float) -> tuple[Floats, list[Floats]]:
    """Return the middle of an average year, and sds down to what of a group's own is not kept.

    What is kept of it has the correlation ρ^power.
    """
    middle = f.grand_mean + f.draws(f"effect_{f.d.cells.name}").mean(axis=1)
    kept, tau = f.draws("persistence") ** power, f.tau(f.d.group)
    above = [f.tau(level.name) for level in f.d.levels[:-1]]
    return middle, [*above, kept * tau, np.sqrt(1 - kept**2) * tau]


def _known(f: Fitted, sizes: NDArray[np.int64]) -> Iterator[tuple[Floats, ...]]:
    """Yield variances of groups of each size, those of what two years share, and within.

    What predictors explain comes first.
    """
    return zip(*(_of_size(f, size) for size in sizes.tolist()), strict=True)


def _of_size(f: Fitted, size: int) -> tuple[Floats, Floats, Floats]:
    x, counts = np.unique(known_of(f.d, size), axis=0, return_counts=True)
    weight = counts / counts.sum()
    moved, log_moved = moved_by(f, x)
    found = []
    for power in (1, 0.5):
        middle, taus = _effects(f, power)
        variances, average = between_known(f.d.law, middle[:, None] + moved, weight, taus)
        found.append(variances)
    own = average(weight * mean_variances(f, np.full(len(x), size), log_moved))
    return found[0], found[1], own


def _sizes(n: np.ndarray) -> np.ndarray:
    """Return round numbers from the smallest number of individuals to the largest, 5 or more."""
    steps = np.outer(10 ** np.arange(7), [1, 2, 5]).ravel()[2:]
    inside = steps[(steps >= n.min()) & (steps <= n.max())]
    return inside if len(inside) else np.array([int(np.median(n))])


def _observed(d: Description, size: int) -> tuple[float, int]:
    """Return the correlation of successive raw means of about so many, and of how many pairs."""
    shape = len(d.levels[-1].labels), len(d.cells.years)
    near = (d.n >= size / _NEAR) & (d.n <= size * _NEAR)
    means = np.full(shape, np.nan)
    means[d.cells.group[near], d.cells.year[near]] = d.mean[near]
    sums, n_pairs = np.zeros(3), 0
    for t, (year, following) in enumerate(pairwise(d.cells.years)):
        both = np.isfinite(means[:, t]) & np.isfinite(means[:, t + 1])
        if following - year == 1 and both.sum() > 1:
            x, y = (means[both, at] - means[both, at].mean() for at in (t, t + 1))
            sums += [x @ y, x @ x, y @ y]
            n_pairs += int(both.sum())
    known = n_pairs > 2 and sums[1] > 0 and sums[2] > 0
    return (float(sums[0] / np.sqrt(sums[1] * sums[2])) if known else np.nan), n_pairs
