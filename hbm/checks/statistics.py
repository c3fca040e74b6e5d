"""Statistics of a data set that a predictive check looks at: plain ones, which can fail."""

from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from hbm.hierarchy.description import Description
from hbm.tables.words import plural

__all__ = ["FEW", "Sample", "Statistic", "choose_statistics", "split_by_size"]

Floats = NDArray[np.float64]
Marks = Mapping[str, tuple[float, Floats]]  # a mark, and each group's share of individuals above it

FEW = 3  # groups below which their spread is not looked at


class Sample(NamedTuple):
    """Summaries of data sets, one a row.

    Attributes
    ----------
    mean, sd : numpy.ndarray, shape (n_sets, n_groups)
        Of each group.
    value : numpy.ndarray, shape (n_sets, n_individuals), or None
        The individuals, group after group, where they are known.
    shares : mapping or None
        Of the observed data, whose individuals are not known: the groups' shares above marks.
    """

    mean: Floats
    sd: Floats
    value: Floats | None
    shares: Marks | None


class Statistic(NamedTuple):
    """A statistic.

    Attributes
    ----------
    name, meaning, unit : str
        What it is called, in code and in words, and its unit.
    of : callable
        Takes a :class:`Sample` and returns the statistic of each of its data sets.
    least, most : float
        Between which it must lie.
    """

    name: str
    meaning: str
    unit: str
    of: Callable[[Sample], Floats]
    least: float = -np.inf
    most: float = np.inf


def choose_statistics(d: Description, marks: Marks) -> list[Statistic]:
    """Choose the statistics that the data allow; see :func:`hbm.check_predictive`.

    Parameters
    ----------
    d : Description
        What was observed.
    marks : mapping of str to (float, numpy.ndarray)
        Marks of which the groups' shares of individuals at or above are known; missing where one is
        not.

    Returns
    -------
    list of Statistic
    """
    of_groups = [*_within(d), *_between(d), *_small_and_large(d), *_above_groups(d)]
    return [*of_groups, *_over_years(d), *_at_marks(d, marks), *_of_individuals(d)]


def split_by_size(n: NDArray[np.float64]) -> tuple[NDArray[np.bool_], int]:
    """Say which groups are large, and from how many individuals on."""
    cut = np.median(n)
    return n >= cut, int(np.ceil(cut))


def _within(d: Description) -> list[Statistic]:
    groups, individuals = plural(d.group), plural(d.individual)
    varied = ~np.isnan(d.sd)
    large = split_by_size(d.n)[0] & varied
    chosen = []
    if varied.any():
        chosen.append(
            Statistic(
                "sd_within",
                f"spread of {individuals} within a {d.group} (sd)",
                d.distance,
                lambda s: s.sd[:, varied].mean(axis=1),
                least=0,
            )
        )
    if large.sum() >= FEW:
        chosen.append(
            Statistic(
                "sd_of_sds",
                f"how unlike {groups} are in that spread (sd)",
                d.distance,
                lambda s: s.sd[:, large].std(axis=1, ddof=1),
                least=0,
            )
        )
    if large.sum() >= FEW + 2:
        chosen.append(
            Statistic(
                "mean_sd_correlation",
                f"correlation of {groups}' means and sds",
                "",
                lambda s: _correlation(s.mean[:, large], s.sd[:, large]),
                least=-1,
                most=1,
            )
        )
    return chosen


def _between(d: Description) -> list[Statistic]:
    if len(d.n) < FEW:
        return []
    group = d.group
    return [
        Statistic(
            "sd_between",
            f"spread between {group} means (sd)",
            d.distance,
            lambda s: s.mean.std(axis=1, ddof=1),
            least=0,
        ),
        Statistic(
            "lowest_mean",
            f"lowest {group} mean",
            d.unit,
            lambda s: s.mean.min(axis=1),
            *d.law.bounds,
        ),
        Statistic(
            "highest_mean",
            f"highest {group} mean",
            d.unit,
            lambda s: s.mean.max(axis=1),
            *d.law.bounds,
        ),
        Statistic(
            "mean_minus_median",
            f"mean less median of {group} means",
            d.distance,
            lambda s: s.mean.mean(axis=1) - np.median(s.mean, axis=1),
        ),
    ]


def _small_and_large(d: Description) -> list[Statistic]:
    large, cut = split_by_size(d.n)
    small, varied = ~large, ~np.isnan(d.sd)
    below = f"{plural(d.group)} under {cut} {plural(d.individual)} less larger ones"
    chosen = []
    if min(small.sum(), large.sum()) >= FEW:
        chosen += [
            Statistic(
                "small_minus_large",
                f"{below}: mean",
                d.distance,
                lambda s: s.mean[:, small].mean(axis=1) - s.mean[:, large].mean(axis=1),
            ),
            Statistic(
                "sd_small_minus_large",
                f"{below}: spread (sd)",
                d.distance,
                lambda s: (
                    s.mean[:, small].std(axis=1, ddof=1) - s.mean[:, large].std(axis=1, ddof=1)
                ),
            ),
        ]
    if min((small & varied).sum(), (large & varied).sum()) >= FEW:
        chosen.append(
            Statistic(
                "within_small_minus",
                f"{below}: spread of {plural(d.individual)} (sd)",
                d.distance,
                lambda s: (
                    s.sd[:, small & varied].mean(axis=1) - s.sd[:, large & varied].mean(axis=1)
                ),
            )
        )
    return chosen


def _above_groups(d: Description) -> list[Statistic]:
    chosen = []
    for level in reversed(d.levels[:-1]):
        if len(level.labels) < FEW:
            continue
        at = d.ancestor_of(level.name)
        order = np.argsort(at, kind="stable")
        first = np.unique(at[order], return_index=True)[1]
        size = np.add.reduceat(d.n[order], first)

        def spread(s: Sample, order=order, first=first, size=size) -> Floats:
            means = np.add.reduceat((s.mean * d.n)[:, order], first, axis=1) / size
            return means.std(axis=1, ddof=1)

        innermost = level is d.levels[-2]
        name = "parents" if innermost else plural(level.name)
        meaning = f"spread between {level.name} means (sd)"
        chosen.append(Statistic(f"sd_between_{name}", meaning, d.distance, spread, least=0))
    return chosen


def _over_years(d: Description) -> list[Statistic]:
    """Statistics of a panel: of a group's successive results, less the means of their years.

    A result and the one before it are successive even where years without results lie between.
    """
    if d.cells is None:
        return []
    group, year, distance = d.group, d.cells.name, d.distance
    before, after = _successive(d)
    least = np.minimum(d.n[before], d.n[after])
    cut = np.median(least) if len(least) else 0
    large = least >= cut
    in_year = np.eye(len(d.cells.years))[d.cells.year]
    in_year /= in_year.sum(axis=0)

    def away(s: Sample) -> Floats:
        return s.mean - (s.mean @ in_year)[:, d.cells.year]

    def together(s: Sample, chosen: NDArray[np.bool_]) -> Floats:
        off = away(s)
        return _correlation(off[:, before[chosen]], off[:, after[chosen]])

    def changes(s: Sample, chosen: NDArray[np.bool_]) -> Floats:
        off = away(s)
        return (off[:, after[chosen]] - off[:, before[chosen]]).std(axis=1, ddof=1)

    def correlation(of: NDArray[np.bool_]) -> Callable[[Sample], Floats]:
        return lambda s: together(s, of)

    chosen = []
    below = f"{plural(group)} under {int(np.ceil(cut))} {plural(d.individual)}"
    sizes = (("small", ~large, below), ("large", large, "larger ones"))
    for name, of, words in sizes:
        if of.sum() >= FEW + 2:
            chosen.append(
                Statistic(
                    f"successive_{name}",
                    f"correlation of successive {plural(year)}, {words}",
                    "",
                    correlation(of),
                    least=-1,
                    most=1,
                )
            )
    if large.sum() >= FEW:
        chosen.append(
            Statistic(
                "changes_large",
                f"changes from {year} to {year} of the larger {plural(group)} (sd)",
                distance,
                lambda s: changes(s, large),
                least=0,
            )
        )
    if min(large.sum(), (~large).sum()) >= FEW:
        chosen.append(
            Statistic(
                "changes_small_minus",
                f"{below} less larger ones: changes (sd)",
                distance,
                lambda s: changes(s, ~large) - changes(s, large),
            )
        )
    if len(d.cells.years) >= FEW:
        chosen.append(
            Statistic(
                f"sd_between_{plural(year)}",
                f"spread between {year} means (sd)",
                distance,
                lambda s: (s.mean @ in_year).std(axis=1, ddof=1),
                least=0,
            )
        )
    return chosen


def _successive(d: Description) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return which cells of a panel follow each other: the same group's, with none between."""
    order = np.lexsort((d.cells.year, d.cells.group))
    same = d.cells.group[order][1:] == d.cells.group[order][:-1]
    return order[:-1][same], order[1:][same]


def _at_marks(d: Description, marks: Marks) -> list[Statistic]:
    def share(mark: float, name: str) -> Callable[[Sample], Floats]:
        # Of groups whose share was not published, the simulated individuals are left out as well.
        known = ~np.isnan(marks[name][1])
        individuals = slice(None) if known.all() else np.repeat(known, d.n.astype(int))

        def of(s: Sample) -> Floats:
            if s.shares is not None:
                return np.atleast_1d(np.average(s.shares[name][1][known], weights=d.n[known]))
            return (s.value[:, individuals] >= mark).mean(axis=1)

        return of

    return [
        Statistic(
            f"share_{name}",
            f"{plural(d.individual)} at {100 * mark:g} % or above",
            "%",
            share(mark, name),
            least=0,
            most=1,
        )
        for name, (mark, _) in marks.items()
    ]


def _of_individuals(d: Description) -> list[Statistic]:
    if d.value is None:
        return []
    individuals = plural(d.individual)
    group = np.repeat(np.arange(len(d.n)), d.n.astype(int))
    return [
        Statistic(
            "lowest",
            f"lowest of the {individuals}",
            d.unit,
            lambda s: s.value.min(axis=1),
            *d.law.bounds,
        ),
        Statistic(
            "highest",
            f"highest of the {individuals}",
            d.unit,
            lambda s: s.value.max(axis=1),
            *d.law.bounds,
        ),
        Statistic(
            "skewness",
            f"skewness of {individuals} within a {d.group}",
            "",
            lambda s: _skewness(s.value - s.mean[:, group]),
        ),
    ]


def _correlation(x, y) -> Floats:
    x, y = (_deviations(z) for z in (x, y))
    return (x * y).sum(axis=1) / np.sqrt((x**2).sum(axis=1) * (y**2).sum(axis=1))


def _deviations(x) -> Floats:
    """Return deviations from the mean, 0 where they are rounding."""
    off = x - x.mean(axis=1, keepdims=True)
    return np.where(np.ptp(x, axis=1, keepdims=True) > 1e-12 * np.abs(x), off, 0)


def _skewness(residual) -> Floats:
    return (residual**3).mean(axis=1) / (residual**2).mean(axis=1) ** 1.5
