"""Predictive checks: whether the model could have produced the data.

A model that fits says what else could have been observed. :func:`check_predictive` simulates that,
individual by individual, and holds a few plain summaries of the data against the same summaries of
the simulations. It returns one verdict and a table, which :func:`hbm.plot_check` draws.
"""

from dataclasses import replace
from typing import Literal

import numpy as np
import pandas as pd
import pymc as pm
import xarray as xr
from numpy.typing import NDArray
from pymc.distributions.continuous import FlatRV, HalfFlatRV

from hbm.checks.joint import fewest_replications, judge
from hbm.checks.next_cohort import read_cohort
from hbm.checks.report import PredictiveCheck
from hbm.checks.statistics import Sample, Statistic, choose_statistics
from hbm.hierarchy.description import Description
from hbm.hierarchy.fitted import check_fit, check_model, read_fit
from hbm.hierarchy.model import description_of
from hbm.results.estimates import check_prob
from hbm.sampling.inputs import check_seed
from hbm.sampling.predictive import without_notes
from hbm.students.cohorts import cohorts, summarise
from hbm.tables.columns import require_numbers
from hbm.tables.exam_tables import STANDARDS
from hbm.tables.words import plural

__all__ = ["check_predictive"]

Floats = NDArray[np.float64]


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
        The table that the model was made from. It serves to check what the model does not look at:
        the spread of students, where it ignores the published standard deviations, as the article's
        and one with ``observe="mean"``; and the shares of students at or above a mark, if it has
        ``acceptable`` (50 %) and ``excellent`` (80 %), as :func:`hbm.exam_table` makes it. Groups
        whose share is missing are left out of both sides.
    new_groups : bool, default False
        Whether to draw groups anew from their population.
    prob : float, default 0.99
        Probability that a right model passes: the verdict is one for all statistics together.
    draws : int, default 1000
        Most draws to use, spread evenly over those of the fit. To tell a chance of 1 % it takes
        99 draws at least.
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
        If the model is none of these, the fit not of the model, `table` not the model's, there are
        too few draws for `prob`, a number makes no sense, or new groups are asked for from a prior
        that is improper.

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
    ``within_small_minus``    the same of their individuals' standard deviations
    ``sd_between_parents``    standard deviation of the means of authorities or districts, and
                              ``sd_between_<levels>`` of each level above them
    ``share_acceptable``,     share of the individuals at or above a mark, with `table`
    ``share_excellent``
    ``lowest``, ``highest``   of the individuals, where they are known one by one
    ``skewness``              of the individuals around their group's mean, likewise
    ``successive_small``,     of a panel: correlation of groups' results with their last ones
    ``successive_large``      before, over gaps as well, less the means of their years, of the
                              smaller and of the larger groups
    ``changes_large``         standard deviation of the larger groups' changes, likewise
    ``changes_small_minus``   the same of the smaller groups' changes, less that of the larger ones'
    ``sd_between_years``      standard deviation of the means of years
    ========================= =====================================================================

    Of a panel all these are over the groups and years that have results, and new groups come with
    new years.

    How unusual a statistic is counts from the median of its replications, in units of its distance
    from there to their 5 % or 95 % quantile. The verdict goes by the most unusual statistic, which
    is ranked among those of the replications: were the parameters known, a right model would fail
    with probability 1 − `prob` whatever the number of draws and of statistics, and however these
    hang together. Of 1,000 simulated data sets with known parameters 10 failed at 1,000 draws, and
    9 at 200 (``tests/test_joint_verdict.py``, tier `calibration`).

    Weak ones, which a model with a parameter for them will pass whatever the rest: ``sd_within``,
    unless the model ignores the standard deviations or shares one among unlike groups;
    ``sd_between`` and ``sd_between_parents`` with partial pooling; ``sd_of_sds`` with a sample size
    by school. With the same groups all that only concerns their means is weak, since their effects
    follow the data: ask with `new_groups`. No parameter of any model is made for the others.

    With parameters learned from the same data, which are so used twice, a right model fails less
    often than that; with new groups it is nearer to it. The share ``p`` is not a p value.

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
    check_prob(prob, such_as="0.99 is 99 %")
    check_seed(random_seed)
    if isinstance(draws, bool) or not isinstance(draws, int | np.integer):
        raise TypeError(f"draws must be a whole number, got {draws!r}")
    if draws < 1:
        raise ValueError(f"draws must be 1 or more, got {draws}")
    source, tree = _draws_of(fit)
    d, marks = _read(model, tree, table)
    parameters = _draw_groups(model, tree, d, new_groups, draws, random_seed)
    least, n_draws = fewest_replications(prob), len(parameters[0])
    if n_draws < least:
        raise ValueError(
            f"{n_draws} draws are too few to tell a chance of {100 * (1 - prob):g} %: give "
            f"{least} or more, or a smaller prob"
        )
    value = None if d.value is None else d.value[None, np.argsort(d.index, kind="stable")]
    observed = Sample(d.mean[None], d.sd[None], value, marks)
    with np.errstate(invalid="ignore"):
        seen = {s: float(s.of(observed)[0]) for s in choose_statistics(d, marks)}
    # One that is not defined, as a correlation with sds that are all the same, cannot be judged.
    statistics = [s for s, value in seen.items() if np.isfinite(value)]
    if not statistics:
        raise ValueError(
            f"there is nothing to check: {len(d.n)} {plural(d.group)} are too few for a statistic "
            "between them, and no sd is known; table= may tell it"
        )
    replicates = _replicate(d, parameters, statistics, np.random.default_rng(random_seed))
    at = np.array([seen[s] for s in statistics])
    found = judge(replicates.to_numpy(), at, prob)
    beyond, defined = replicates - at, replicates.notna().sum()
    verdicts = {-1: "lower than expected", 0: "as expected", 1: "higher than expected"}
    result = pd.DataFrame(
        {
            "statistic": replicates.columns,
            "meaning": [s.meaning for s in statistics],
            "observed": at,
            "mean": replicates.mean().to_numpy(),
            "lower": np.maximum(found.lower, [s.least for s in statistics]),
            "upper": np.minimum(found.upper, [s.most for s in statistics]),
            "unit": [s.unit for s in statistics],
            "p": (((beyond > 0).sum() + (beyond == 0).sum() / 2) / defined).to_numpy(),
            "verdict": [verdicts[side] for side in found.outside],
        }
    )
    return PredictiveCheck(
        ok=not found.outside.any(),
        p_value=found.p_value,
        table=result,
        replicates=replicates,
        source=source,
        new_groups=new_groups,
        prob=prob,
        group=d.group,
        individual=d.individual,
    )


def _draws_of(fit) -> tuple[Literal["posterior", "prior"], xr.DataTree]:
    if isinstance(fit, xr.DataTree) and "posterior" not in fit.children and "prior" in fit.children:
        return "prior", fit.assign(posterior=fit["prior"])
    return "posterior", fit


def _read(model, tree, table) -> tuple[Description, dict[str, tuple[float, Floats]]]:
    """Return what was observed, and the marks of which the table has the shares."""
    check_model(model)
    check_fit(model, tree)
    d = description_of(model)
    if d is None:
        d = read_fit(tree, model).d
    marks = {}
    if table is not None:
        d = _with_table(model, d, table)
        for name, mark in STANDARDS.items():
            if d.value is None and name in table:
                shares = require_numbers(
                    table,
                    name,
                    allowed="shares in [0, 1], or missing",
                    ok=lambda x: np.isnan(x) | ((x >= 0) & (x <= 1)),
                )
                if not np.isnan(shares).all():
                    marks[name] = mark, shares
    return d, marks


def _with_table(model, d: Description, table) -> Description:
    """Return the description with all that the table says, after checks that it is the model's."""
    if d.group not in table and len(d.levels[-1].labels) == 1:
        table = table.assign(**{d.group: d.levels[-1].labels[0]})  # the article's single school
    read = read_cohort(table, d)
    for level, there in zip(d.levels, read.levels, strict=True):
        if list(map(str, level.labels)) != list(there.labels):
            raise ValueError(
                "table= is not the one that the model was made from: the labels of "
                f"{level.name!r} differ"
            )
    groups = d.levels[-1].labels
    if d.panel and list(read.cells.labels(groups)) != list(d.cell_labels):
        raise ValueError(
            f"table= is not the one that the model was made from: the rows' {d.group} and "
            f"{d.cells.name} differ"
        )
    # A mean published as 0 or 1 is taken half a unit inside.
    values = model.rvs_to_values[model[d.observed]].eval()
    other = read.value if d.value is not None else read.mean
    values = values if values.ndim == 1 else values[:, 0]
    if not np.allclose(values, other, rtol=0, atol=0.00051 if d.value is None else 0):
        raise ValueError(
            f"table= is not the one that the model was made from: {d.observed!r} differs"
        )
    return replace(d, n=read.n, mean=read.mean, sd=read.sd)


def _draw_groups(
    model, tree, d: Description, new_groups, draws, random_seed
) -> tuple[Floats, Floats, Floats]:
    """Return draws of the groups' means and of their individuals' spread: (n_draws, n_groups).

    And of the excess of their design effect: (n_draws,), or (1,) if that is known.
    """
    parameters = d.mean_name, d.spread_name
    learned = {"design_effect"} if d.design_effect is None else set()
    posterior = tree["posterior"].to_dataset()
    names = {rv.name for rv in model.free_RVs} if new_groups else set()
    shape = posterior.sizes["chain"], posterior.sizes["draw"]
    n = min(draws, shape[0] * shape[1])
    keep = np.unravel_index(np.linspace(0, shape[0] * shape[1] - 1, n).round().astype(int), shape)
    at = {dim: xr.DataArray(i, dims="kept") for dim, i in zip(("chain", "draw"), keep, strict=True)}
    chosen = (
        posterior[sorted(names | learned | set(parameters))].isel(at).drop_vars(["chain", "draw"])
    )
    chosen = chosen.rename(kept="draw").expand_dims("chain").assign_coords(chain=[0])
    design_effect = np.array([d.design_effect])
    if learned:
        design_effect = chosen["design_effect"].to_numpy()[0]
    effects = [rv for rv in model.free_RVs if _of_groups(model, rv, d)]
    if new_groups and effects:
        flat = [rv.name for rv in effects if isinstance(rv.owner.op, FlatRV | HalfFlatRV)]
        if flat:
            raise ValueError(
                f"no new {plural(d.group)} can be drawn: the prior of {', '.join(flat)} is "
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
    mean, spread = (_by_row(chosen[name], d) for name in parameters)
    return mean, spread, design_effect - 1


def _by_row(drawn: xr.DataArray, d: Description) -> Floats:
    """Return draws of one chain by group, or by the cells of a panel: (n_draws, n)."""
    values = drawn.transpose("chain", "draw", ...).to_numpy()[0]
    if d.panel and d.group in drawn.dims:
        values = drawn.transpose("chain", "draw", d.group, d.cells.name).to_numpy()[0]
        values = values[:, d.cells.group, d.cells.year]
    return np.broadcast_to(values.reshape(len(values), -1), (len(values), len(d.n)))


def _of_groups(model, rv, d: Description) -> bool:
    """Say whether a variable is of groups, of what they stand in, or of years."""
    dims = {level.name for level in d.levels}
    if d.panel:
        dims |= {d.cells.name, d.cell}
    return bool(dims & set(model.named_vars_to_dims.get(rv.name) or ()))


def _replicate(d: Description, parameters, statistics: list[Statistic], rng) -> pd.DataFrame:
    """Simulate the individuals of every draw and summarise them."""
    n, (mean, spread, excess) = d.n.astype(int), parameters
    results = np.empty((len(mean), len(statistics)))
    with np.errstate(invalid="ignore"):
        for rows, value in cohorts(d.law, mean, spread, n, rng, excess):
            of_mean, of_sd = summarise(value, n)
            of_sd = np.where(np.isnan(d.sd), np.nan, of_sd)
            sample = Sample(of_mean, of_sd, value, None)
            results[rows] = np.stack([s.of(sample) for s in statistics], axis=1)
    replicates = pd.DataFrame(results, columns=[s.name for s in statistics])
    return replicates.rename_axis("draw")
