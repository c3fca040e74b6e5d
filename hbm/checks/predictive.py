"""Predictive checks: whether the model could have produced the data.

A model that fits says what else could have been observed. :func:`check_predictive` simulates that,
individual by individual, and holds a few plain summaries of the data against the same summaries of
the simulations; :func:`loo_pit` asks it of each group's mean with that group left out. Both return
a verdict and a table, which :func:`hbm.plot_check` and :func:`hbm.plot_pit` draw.
"""

import html
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
import pandas as pd
import pymc as pm
import xarray as xr
from numpy.typing import NDArray
from pymc.distributions.continuous import FlatRV, HalfFlatRV
from scipy.special import betainc, expit
from scipy.stats import norm

from hbm.checks.comparison import loo
from hbm.hierarchy.fitted import Hierarchy, read_hierarchy
from hbm.sampling.posterior import check_fit, check_model, without_notes
from hbm.tables.grouped import read_individuals, read_summaries

__all__ = ["LooPit", "PredictiveCheck", "check_predictive", "loo_pit"]

Floats = NDArray[np.float64]

# Names of a group's mean and of the spread of its individuals, in the models to use and the
# article's.
_PARAMETERS = [
    ("mu_school", "nu_school"),
    ("mu_country", "sigma"),
    ("school_mu", "school_nu"),
    ("mu", "nu"),
]
_OBSERVED = {"exam", "exam_mean", "height", "school_mean", "score", "summary"}
_PLURAL = {
    "school": "schools",
    "country": "countries",
    "student": "students",
    "person": "people",
}
_BLOCK = 1_000_000  # individuals simulated at a time, which bounds the memory
_FEW = 3  # groups below which their spread is not looked at
_ALPHA = 0.01  # of the test of uniformity


@dataclass(frozen=True, repr=False)
class PredictiveCheck:
    """What :func:`check_predictive` found.

    Attributes
    ----------
    ok : bool
        Whether every statistic is as expected.
    table : pandas.DataFrame
        One row a statistic: ``statistic``, its name; ``meaning``, in words; ``observed``; ``mean``,
        ``lower`` and ``upper`` of the replications; ``unit``, in which reports and pictures show
        these (``"%"`` and ``"points"`` of a hundred, which are proportions here; ``"cm"``; or
        none); ``p``, the share of the replications above what was observed; ``verdict``, one of
        ``"as expected"``, ``"higher than expected"`` and ``"lower than expected"``.
    replicates : pandas.DataFrame
        The replications: one row a draw, one column a statistic.
    source : {"posterior", "prior"}
        Where the parameters were drawn from.
    new_groups : bool
        Whether the groups were drawn anew.
    prob : float
        Probability of the interval.
    group : str
        What a group is called.
    """

    ok: bool
    table: pd.DataFrame
    replicates: pd.DataFrame
    source: Literal["posterior", "prior"]
    new_groups: bool
    prob: float
    group: str

    @property
    def title(self) -> str:
        """What was replicated, in words."""
        groups = _PLURAL[self.group]
        if self.source == "prior":
            return f"Prior predictive check: {groups} as the prior imagines them"
        if self.new_groups:
            return f"Posterior predictive check, mixed: new {groups} from the population"
        individuals = "students" if self.group == "school" else "people"
        return f"Posterior predictive check: new {individuals} of the same {groups}"

    def __str__(self) -> str:
        """Return the verdict and the statistics as lines of text."""
        width = max(map(len, self.table["meaning"]))
        rows = [
            f"  {'ok  ' if row.verdict == 'as expected' else 'FAIL'}  {row.meaning:<{width}}"
            f"  {in_unit(row.observed, row.unit):>12}"
            f"  expected {_number(row.lower, row.unit)} to {in_unit(row.upper, row.unit)}"
            for row in self.table.itertuples()
        ]
        return "\n".join([self.title, self._verdict(), *rows])

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return (
            f"<p>{html.escape(self.title)}<br><b>{html.escape(self._verdict())}</b></p>"
            f"{self.table.to_html(index=False, float_format='{:.4g}'.format)}"
        )

    def _verdict(self) -> str:
        failed = int((self.table["verdict"] != "as expected").sum())
        data = f"of {len(self.table)} statistics of the data, "
        inside = f"inside the {100 * self.prob:g} % interval of the replications"
        what = "model" if self.source == "posterior" else "prior"
        if not failed:
            return f"The {what} passes: {data}all are {inside}."
        return f"The {what} fails: {data}{failed} {'is' if failed == 1 else 'are'} not {inside}."


def in_unit(value: float, unit: str, digits: int = 2) -> str:
    """Write a number of a check's table for people.

    Parameters
    ----------
    value : float
        The number, a proportion if the unit is ``"%"`` or ``"points"``.
    unit : {"%", "points", "cm", ""}
        Its unit.
    digits : int, default 2
        Decimals; two at least where there is no unit.

    Returns
    -------
    str

    Examples
    --------
    >>> in_unit(0.1867, "points"), in_unit(0.245, "%", 1), in_unit(-0.33, "", 1)
    ('18.67 points', '24.5 %', '-0.33')
    """
    return f"{_number(value, unit, digits)} {unit}".rstrip()


def _number(value, unit, digits=2) -> str:
    if unit == "":
        return f"{value:.{max(digits, 2)}f}"
    return f"{100 * value if unit in ('%', 'points') else value:.{digits}f}"


def check_predictive(
    model: pm.Model,
    fit: xr.DataTree,
    *,
    table: pd.DataFrame | None = None,
    new_groups: bool = False,
    prob: float = 0.99,
    draws: int = 1000,
    random_seed: int | np.random.Generator | None = None,
) -> PredictiveCheck:
    """Ask whether a model could have produced the data, of statistics that can fail.

    For each draw of the parameters all individuals are simulated anew, in groups of the same sizes,
    and summarised like the observed ones. There are three questions:

    the same groups (default)
        Given what the model has learnt of each school, would other students of these schools give
        such results? It tests what the model says of individuals.
    new groups (`new_groups`)
        Would other schools of the population that the model has learnt give such results? Effects
        of schools and authorities are drawn anew, so that the data cannot dictate them. It tests
        what the model says of groups, and is the harder to pass. Without pooling the population is
        not learnt but given, and the check shows what that implies. It is called mixed replication
        [1]_ [2]_.
    the prior (`fit` has prior draws only)
        Before any data, what results did the prior think possible? `new_groups` changes nothing,
        since all groups are drawn from the prior anyway.

    Parameters
    ----------
    model : pymc.Model
        A model of :mod:`hbm.heights`, :mod:`hbm.scores`, :mod:`hbm.exams` or :mod:`hbm.article`.
    fit : xarray.DataTree
        Its fit, the result of :func:`hbm.sample`; or, for a check of the prior, the result of
        :func:`hbm.sample_prior_predictive`.
    table : pandas.DataFrame, optional
        The table that the model was made from. Needed for the models of :mod:`hbm.article`, whose
        fits do not hold the numbers of students; and to check the spread of students where a model
        ignores the published standard deviations, the article's or one with ``observe="mean"``.
    new_groups : bool, default False
        Whether to draw groups anew from their population.
    prob : float, default 0.99
        A statistic fails if it is outside the central interval of this probability of its
        replications. About ten statistics are looked at together, hence no smaller default.
    draws : int, default 1000
        Most draws to use, spread evenly over those of the fit.
    random_seed : int or numpy.random.Generator, optional
        The same seed gives the same result.

    Returns
    -------
    PredictiveCheck
        Prints as a short report, in a terminal and in a notebook; ``ok`` is the verdict. Numbers
        are in the data's units: proportions, or centimetres.

    Raises
    ------
    ValueError
        If the model is none of these, the fit not of the model, `table` needed or not the model's,
        a number makes no sense, or new groups are asked for from a prior that is improper.

    Notes
    -----
    The statistics, as far as the data allow each (small and large groups are those below and from
    the median size; they must be three or more of each):

    ========================= =====================================================================
    ``sd_within``             mean over groups of their individuals' standard deviation
    ``sd_of_sds``             standard deviation over the large groups of that
    ``mean_sd_correlation``   correlation over the large groups of mean and standard deviation
    ``sd_between``            standard deviation of the groups' means
    ``lowest_mean``,          of the groups
    ``highest_mean``
    ``mean_minus_median``     of the groups' means: whether they are skewed
    ``small_minus_large``     mean of the small groups' means minus mean of the large ones'
    ``sd_small_minus_large``  the same of the standard deviations of their means
    ``sd_between_parents``    standard deviation of the means of authorities or districts
    ``lowest``, ``highest``   of the individuals, where they are known one by one
    ``skewness``              of the individuals around their group's mean, likewise
    ========================= =====================================================================

    Weak ones, which a model with a parameter for them will pass whatever the rest: ``sd_within``,
    unless the model ignores the standard deviations or shares one among unlike groups;
    ``sd_between`` and ``sd_between_parents`` with partial pooling; ``sd_of_sds`` with a sample size
    by school. With the same groups all that only concerns their means is weak, since their effects
    follow the data: ask with `new_groups`. No parameter of any model is made for the others.

    The share ``p`` is not a p value: given the same groups it keeps nearer to ½ than a uniform
    number would, as the same data are used twice. With new groups it is nearer to uniform.

    References
    ----------
    .. [1] Gelman, Meng and Stern (1996). Posterior predictive assessment of model fitness via
       realized discrepancies. Statistica Sinica 6.
    .. [2] Marshall and Spiegelhalter (2007). Identifying outliers in Bayesian hierarchical models:
       a simulation-based approach. Bayesian Analysis 2(2).

    Examples
    --------
    >>> import hbm
    >>> model = hbm.heights.partial_pooling(hbm.load_dataset("heights"))
    >>> prior = hbm.sample_prior_predictive(model, random_seed=1)
    >>> check = hbm.check_predictive(model, prior, random_seed=1)
    >>> check.ok
    True
    >>> fit = hbm.sample(model)  # doctest: +SKIP
    >>> hbm.check_predictive(model, fit, new_groups=True)  # doctest: +SKIP
    """
    if not 0 < prob < 1:
        raise ValueError(f"prob must lie between 0 and 1, got {prob}")
    if draws < 1:
        raise ValueError(f"draws must be 1 or more, got {draws}")
    parameters, observed = _recognise(model)
    source, tree = _draws_of(fit)
    check_fit(model, tree)
    data = _read_data(model, tree, parameters, observed, table)
    mean, spread = _draw_groups(model, tree, parameters, data, new_groups, draws, random_seed)
    statistics = _statistics(data)
    rng = np.random.default_rng(random_seed)
    replicates = _replicate(data, mean, spread, statistics, rng)
    with np.errstate(invalid="ignore"):
        sample = _Sample(data.mean[None], data.sd[None], _one_row(data.value))
        seen = pd.Series({s.name: float(s.of(sample)[0]) for s in statistics})
    lower, upper = (replicates.quantile(q) for q in ((1 - prob) / 2, (1 + prob) / 2))
    verdict = np.select(
        [seen > upper, seen < lower], ["higher than expected", "lower than expected"], "as expected"
    )
    result = pd.DataFrame(
        {
            "statistic": replicates.columns,
            "meaning": [s.meaning for s in statistics],
            "observed": seen.to_numpy(),
            "mean": replicates.mean().to_numpy(),
            "lower": lower.to_numpy(),
            "upper": upper.to_numpy(),
            "unit": [s.unit for s in statistics],
            "p": ((replicates > seen).mean() + (replicates == seen).mean() / 2).to_numpy(),
            "verdict": verdict,
        }
    )
    return PredictiveCheck(
        ok=bool((result["verdict"] == "as expected").all()),
        table=result,
        replicates=replicates,
        source=source,
        new_groups=new_groups,
        prob=prob,
        group=data.group,
    )


# What was observed.


class _Data(NamedTuple):
    """What was observed of each group; of its individuals, group after group, if they are known."""

    group: str
    individual: str
    proportions: bool
    n: NDArray[np.int64]
    mean: Floats
    sd: Floats  # missing where n = 1, or where it is not known
    value: Floats | None
    parent: str | None
    parent_of_group: NDArray[np.int64] | None


def _recognise(model) -> tuple[tuple[str, str], str]:
    """Return the names of the groups' mean and spread, and that of the observed variable."""
    check_model(model)
    parameters = [pair for pair in _PARAMETERS if set(pair) <= set(model.named_vars)]
    observed = ", ".join(rv.name for rv in model.observed_RVs)
    if not parameters or observed not in _OBSERVED:
        raise ValueError(
            "this works on the models of hbm.heights, hbm.scores, hbm.exams and hbm.article that "
            f"observe data, and the model given, which observes {observed or 'nothing'}, is not "
            "one of them"
        )
    return parameters[0], observed


def _draws_of(fit) -> tuple[Literal["posterior", "prior"], xr.DataTree]:
    if isinstance(fit, xr.DataTree) and "posterior" not in fit.children and "prior" in fit.children:
        return "prior", fit.assign(posterior=fit["prior"])
    return "posterior", fit


def _read_data(model, tree, parameters, observed, table) -> _Data:
    if table is not None:
        return _read_table(model, parameters, observed, table)
    if not {"n_students", "n_people"} & set(model.named_vars):
        raise ValueError(
            "the models of hbm.article keep neither the numbers of students nor the published "
            "standard deviations: give table=, the table that the model was made from"
        )
    h = read_hierarchy(model, tree)
    known = (h.n > 1) & (h.observed != "exam_mean")
    return _Data(
        group=h.group,
        individual="student" if h.proportions else "person",
        proportions=h.proportions,
        n=h.n.astype(int),
        mean=h.mean,
        sd=np.where(known, h.sd, np.nan),
        value=None if h.value is None else h.value[np.argsort(h.index, kind="stable")],
        parent=h.parent,
        parent_of_group=h.parent_of_group,
    )


def _read_table(model, parameters, observed, table) -> _Data:
    proportions = parameters[1] != "sigma"
    group = "school" if proportions else "country"
    individual = "student" if proportions else "person"
    parents = [dim for dim in ("authority", "district") if dim in model.coords]
    parent = parents[0] if parents else None
    if observed in ("score", "height"):
        if group not in model.coords and isinstance(table, pd.DataFrame):
            table = table.assign(**{group: "1"})  # the article's single school
        read = read_individuals(
            table,
            observed,
            by=group,
            individual=individual,
            parent=parent,
            allowed="proportions in (0, 1)" if proportions else "heights in cm",
            ok=(lambda x: (x > 0) & (x < 1)) if proportions else np.isfinite,
        )
    else:
        read = read_summaries(
            table,
            by=group,
            size="n_students" if proportions else "n_people",
            parent=parent,
            proportions=proportions,
            sd_needed="sd" in table,
        )
    for dim in (group, parent):
        labels = model.coords.get(dim)
        if labels is not None and list(map(str, labels)) != list(read.coords[dim]):
            raise ValueError(
                f"table= is not the one that the model was made from: the labels of {dim!r} differ"
            )
    values = model.rvs_to_values[model[observed]].eval()
    if read.value is not None:
        same = np.array_equal(values, read.value)
    else:
        # A mean published as 0 or 1 is taken half a unit inside.
        means = values if values.ndim == 1 else values[:, 0]
        same = np.allclose(means, read.mean, rtol=0, atol=0.00051)
    if not same:
        raise ValueError(
            f"table= is not the one that the model was made from: {observed!r} differs"
        )
    order = None if read.index is None else np.argsort(read.index, kind="stable")
    return _Data(
        group=group,
        individual=individual,
        proportions=proportions,
        n=read.n.astype(int),
        mean=read.mean,
        sd=read.sd,
        value=None if order is None else read.value[order],
        parent=parent,
        parent_of_group=read.parent,
    )


# Replication.


def _draw_groups(
    model, tree, parameters, data, new_groups, draws, random_seed
) -> tuple[Floats, Floats]:
    """Return draws of the groups' means and of their individuals' spread: (n_draws, n_groups)."""
    posterior = tree["posterior"].to_dataset()
    names = {rv.name for rv in model.free_RVs} if new_groups else set()
    shape = posterior.sizes["chain"], posterior.sizes["draw"]
    n = min(draws, shape[0] * shape[1])
    keep = np.unravel_index(np.linspace(0, shape[0] * shape[1] - 1, n).round().astype(int), shape)
    at = {dim: xr.DataArray(i, dims="kept") for dim, i in zip(("chain", "draw"), keep, strict=True)}
    chosen = posterior[sorted(names | set(parameters))].isel(at).drop_vars(["chain", "draw"])
    chosen = chosen.rename(kept="draw").expand_dims("chain").assign_coords(chain=[0])
    effects = [rv for rv in model.free_RVs if _of_groups(model, rv, data)]
    if new_groups and effects:
        flat = [rv.name for rv in effects if isinstance(rv.owner.op, FlatRV | HalfFlatRV)]
        if flat:
            raise ValueError(
                f"no new {_PLURAL[data.group]} can be drawn: the prior of {', '.join(flat)} is "
                "flat, which is improper (it has no finite integral). Use a model with a proper "
                "prior, or new_groups=False"
            )
        given = {"posterior": chosen}
        if "constant_data" in tree.children:
            given["constant_data"] = tree["constant_data"].to_dataset()
        with model, without_notes():
            drawn = pm.sample_posterior_predictive(
                xr.DataTree.from_dict(given),
                sample_vars=[rv.name for rv in effects],
                var_names=list(parameters),
                random_seed=random_seed,
                progressbar=False,
            )
        chosen = drawn["posterior_predictive"].to_dataset()
    mean, spread = (
        np.broadcast_to(
            chosen[name].transpose("chain", "draw", ...).to_numpy()[0].reshape(n, -1),
            (n, len(data.n)),
        )
        for name in parameters
    )
    return mean, spread


def _of_groups(model, rv, data) -> bool:
    return bool({data.group, data.parent} & set(model.named_vars_to_dims.get(rv.name) or ()))


def _replicate(data, mean, spread, statistics, rng) -> pd.DataFrame:
    """Simulate the individuals of every draw and summarise them."""
    results = []
    step = max(1, _BLOCK // data.n.sum())
    with np.errstate(invalid="ignore"):
        for start in range(0, len(mean), step):
            sample = _simulate(data, mean[start : start + step], spread[start : start + step], rng)
            results.append(np.stack([s.of(sample) for s in statistics], axis=1))
    replicates = pd.DataFrame(np.concatenate(results), columns=[s.name for s in statistics])
    return replicates.rename_axis("draw")


class _Sample(NamedTuple):
    """Summaries of data sets, one a row: shape (n_sets, n_groups), and individuals if known."""

    mean: Floats
    sd: Floats
    value: Floats | None


def _simulate(data, mean, spread, rng) -> _Sample:
    mean, spread = (np.repeat(x, data.n, axis=1) for x in (mean, spread))
    if data.proportions:
        # A Beta needs both of its parameters above 0, which rounding can take from them.
        mean, spread = np.clip(mean, 1e-9, 1 - 1e-9), np.clip(spread, 1e-4, 1e7)
        value = rng.beta(mean * spread, (1 - mean) * spread)
    else:
        value = rng.normal(mean, spread)
    first = np.cumsum(data.n) - data.n
    group_mean = np.add.reduceat(value, first, axis=1) / data.n
    squares = np.add.reduceat((value - np.repeat(group_mean, data.n, axis=1)) ** 2, first, axis=1)
    sd = np.where(np.isnan(data.sd), np.nan, np.sqrt(squares / np.maximum(data.n - 1, 1)))
    return _Sample(group_mean, sd, value)


def _one_row(value):
    return None if value is None else value[None]


# Statistics.


class _Statistic(NamedTuple):
    name: str
    meaning: str
    unit: str
    of: Callable[[_Sample], Floats]


def _statistics(data: _Data) -> list[_Statistic]:
    """Choose the statistics that the data allow."""
    group, groups, individuals = data.group, _PLURAL[data.group], _PLURAL[data.individual]
    cut = np.median(data.n)
    large = data.n >= cut
    small = ~large
    varied, large_varied = ~np.isnan(data.sd), large & ~np.isnan(data.sd)
    level, distance = ("%", "points") if data.proportions else ("cm", "cm")
    chosen = []

    def add(name, meaning, unit, of):
        chosen.append(_Statistic(name, meaning, unit, of))

    if varied.any():
        add(
            "sd_within",
            f"spread of {individuals} within a {group} (sd)",
            distance,
            lambda s: s.sd[:, varied].mean(axis=1),
        )
    if large_varied.sum() >= _FEW:
        add(
            "sd_of_sds",
            f"how unlike {groups} are in that spread (sd)",
            distance,
            lambda s: s.sd[:, large_varied].std(axis=1, ddof=1),
        )
    if large_varied.sum() >= _FEW + 2:
        add(
            "mean_sd_correlation",
            f"correlation of {groups}' means and sds",
            "",
            lambda s: _correlation(s.mean[:, large_varied], s.sd[:, large_varied]),
        )
    if len(data.n) >= _FEW:
        add(
            "sd_between",
            f"spread between {group} means (sd)",
            distance,
            lambda s: s.mean.std(axis=1, ddof=1),
        )
        add("lowest_mean", f"lowest {group} mean", level, lambda s: s.mean.min(axis=1))
        add("highest_mean", f"highest {group} mean", level, lambda s: s.mean.max(axis=1))
        add(
            "mean_minus_median",
            f"mean less median of {group} means",
            distance,
            lambda s: s.mean.mean(axis=1) - np.median(s.mean, axis=1),
        )
    if min(small.sum(), large.sum()) >= _FEW:
        below = f"{groups} under {int(np.ceil(cut))} {individuals} less larger ones"
        add(
            "small_minus_large",
            f"{below}: mean",
            distance,
            lambda s: s.mean[:, small].mean(axis=1) - s.mean[:, large].mean(axis=1),
        )
        add(
            "sd_small_minus_large",
            f"{below}: spread (sd)",
            distance,
            lambda s: s.mean[:, small].std(axis=1, ddof=1) - s.mean[:, large].std(axis=1, ddof=1),
        )
    if data.parent is not None and data.parent_of_group.max() + 1 >= _FEW:
        order = np.argsort(data.parent_of_group, kind="stable")
        first = np.unique(data.parent_of_group[order], return_index=True)[1]
        size = np.add.reduceat(data.n[order], first)
        add(
            "sd_between_parents",
            f"spread between {data.parent} means (sd)",
            distance,
            lambda s: (np.add.reduceat((s.mean * data.n)[:, order], first, axis=1) / size).std(
                axis=1, ddof=1
            ),
        )
    if data.value is not None:
        index = np.repeat(np.arange(len(data.n)), data.n)
        add("lowest", f"lowest of the {individuals}", level, lambda s: s.value.min(axis=1))
        add("highest", f"highest of the {individuals}", level, lambda s: s.value.max(axis=1))
        add(
            "skewness",
            f"skewness of {individuals} within a {group}",
            "",
            lambda s: _skewness(s.value - s.mean[:, index]),
        )
    return chosen


def _correlation(x, y) -> Floats:
    x, y = (z - z.mean(axis=1, keepdims=True) for z in (x, y))
    return (x * y).sum(axis=1) / np.sqrt((x**2).sum(axis=1) * (y**2).sum(axis=1))


def _skewness(residual) -> Floats:
    return (residual**3).mean(axis=1) / (residual**2).mean(axis=1) ** 1.5


# Each group left out.


@dataclass(frozen=True, repr=False)
class LooPit:
    """What :func:`loo_pit` found.

    Attributes
    ----------
    ok : bool
        Whether the values could be uniform.
    p_value : float
        Of the test of uniformity.
    table : pandas.DataFrame
        One row a unit: its label; ``observed``, its mean, or its result if it is an individual;
        ``pit``, the probability that the model, without it, gave to a lower one; ``pareto_k``, how
        far that can be trusted.
    unit : str
        What was left out at a time.
    """

    ok: bool
    p_value: float
    table: pd.DataFrame
    unit: str

    @property
    def verdict(self) -> str:
        """Whether the predictions are right and, if not, how they are wrong."""
        if self.ok:
            return f"Each {self.unit} left out is predicted as well as the model says."
        pit = self.table["pit"].to_numpy()
        # Both in standard errors of a uniform sample.
        shift = (pit.mean() - 0.5) * np.sqrt(12 * len(pit))
        middle = (np.mean(np.abs(pit - 0.5) < 0.25) - 0.5) * np.sqrt(4 * len(pit))
        if abs(shift) > abs(middle):
            how = "too low" if shift > 0 else "too high"
        else:
            how = "too wide" if middle > 0 else "too narrow"
        return f"Predictions of a {self.unit} left out are not right: they are mostly {how}."

    def __str__(self) -> str:
        """Return the verdict and what it goes by."""
        outer = np.mean(np.abs(self.table["pit"] - 0.5) > 0.45)
        return (
            f"{self.verdict}\n"
            f"  {len(self.table)} units ({self.unit}); p = {self.p_value:.3g} that they are "
            f"predicted right (at least {_ALPHA:g})\n"
            f"  {100 * outer:.0f} % lie outside their 90 % interval (10 % expected)"
        )

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return f"<pre>{html.escape(str(self))}</pre>{self.table.to_html(index=False)}"


def loo_pit(
    model: pm.Model,
    fit: xr.DataTree,
    unit: str = "school",
    *,
    random_seed: int | np.random.Generator | None = None,
) -> LooPit:
    """Ask where each unit lies in what the model predicts of it without having seen it.

    The probability integral transform (PIT) of a school is the predictive probability of a lower
    mean than its own. If predictions are as good as they say, it is as often between 0 and 0.1 as
    between 0.4 and 0.5 or anywhere else: PITs are uniform. Too many near 0 and 1 mean that
    predictions are too narrow, too few that they are too wide.

    Parameters
    ----------
    model : pymc.Model
        A model of :mod:`hbm.heights`, :mod:`hbm.scores` or :mod:`hbm.exams`.
    fit : xarray.DataTree
        Its fit, the result of :func:`hbm.sample`.
    unit : str, default "school"
        What is left out at a time: ``"school"`` (``"country"``), predicted as a new school of its
        authority or district; or ``"student"`` (``"person"``), if the fit is of individuals,
        predicted as another student of the school.
    random_seed : int or numpy.random.Generator, optional
        Seed of the new groups' effects: the same seed gives the same result.

    Returns
    -------
    LooPit
        Prints as a short report, in a terminal and in a notebook; ``ok`` is the verdict.

    Raises
    ------
    ValueError
        If the unit is not possible for this fit, or the fit not of the model.

    Warns
    -----
    UserWarning
        If units have a Pareto k above the threshold, as in :func:`hbm.loo`.

    Notes
    -----
    A PIT is the average over posterior draws of the distribution function of the unit's mean, with
    the importance weights of :func:`hbm.loo` [1]_, each draw with effects of a new group. The mean
    of n Beta students has the law of :func:`hbm.students.individuals.likelihoods.beta_mean_logp`.

    PITs are left-out values of one data set and depend on each other a little, so uniformity is
    tested by ArviZ's POT-C, which allows for it [2]_, at a level of 1 %.

    References
    ----------
    .. [1] Gelfand, Dey and Chang (1992). Model determination using predictive distributions with
       implementation via sampling-based methods. Bayesian Statistics 4.
    .. [2] Tesso et al. (2026). LOO-PIT predictive model checking. arXiv:2603.02928.

    Examples
    --------
    >>> import hbm
    >>> table = hbm.simulate.exams(random_seed=1)[0]
    >>> model = hbm.exams.nested(table)
    >>> fit = hbm.sample(model)  # doctest: +SKIP
    >>> hbm.loo_pit(model, fit, random_seed=1)  # doctest: +SKIP
    """
    from arviz_stats.base import array_stats

    h = read_hierarchy(model, fit)
    possible = [dim for dim in h.units if dim != h.parent]
    if unit not in possible:
        raise ValueError(
            f"{unit!r} has no PIT here; unit must be one of: {', '.join(map(repr, possible))}"
        )
    result = loo(model, fit, unit)
    weights = np.exp(result.log_weights.transpose("chain", "draw", unit).to_numpy())
    weights = weights.reshape(h.n_draws, -1)
    rng = np.random.default_rng(random_seed)
    pit = np.empty(len(h.labels[unit]))
    for position in range(len(pit)):
        if unit == h.individual:
            below = _below_individual(h, position)
        else:
            below = _below_group(h, position, rng)
        below = np.broadcast_to(below, h.n_draws)
        pit[position] = np.average(below, weights=weights[:, position])
    p_value = float(array_stats.uniformity_test(pit)[0])
    table = pd.DataFrame(
        {
            unit: h.labels[unit],
            "observed": h.value if unit == h.individual else h.mean,
            "pit": pit,
            "pareto_k": result.pareto_k.to_numpy(),
        }
    )
    return LooPit(p_value >= _ALPHA, p_value, table, unit)


def _below_individual(h: Hierarchy, position: int) -> Floats:
    """Return the probability of a lower result of another individual of the group, by draw."""
    group = h.index[position]
    mean = h.draws(f"mu_{h.group}")[:, group]
    if not h.proportions:
        return norm.cdf(h.value[position], mean, h.draws("sigma"))
    return _beta_below(h.value[position], 1, mean, h.draws(f"nu_{h.group}")[:, group])


def _below_group(h: Hierarchy, position: int, rng) -> Floats:
    """Return the probability of a lower mean of a new group in the group's place, by draw."""
    around = h.grand_mean if h.parent is None else h.parent_effect[:, h.parent_of_group[position]]
    tau, n, mean = h.draws(f"tau_{h.group}"), h.n[position], h.mean[position]
    if not h.proportions:
        return norm.cdf(mean, around, np.sqrt(tau**2 + h.draws("sigma") ** 2 / n))
    _, log_nu, tau_nu = h.spread
    eta = around + tau * rng.standard_normal(h.n_draws)
    nu = np.exp(log_nu + tau_nu * rng.standard_normal(h.n_draws))
    return _beta_below(mean, n, expit(eta), nu)


def _beta_below(mean, n, mu, nu) -> Floats:
    mu, nu = np.clip(mu, 1e-9, 1 - 1e-9), np.clip(nu, 1e-4, 1e7)
    size = n * (nu + 1) - 1
    return betainc(mu * size, (1 - mu) * size, mean)
