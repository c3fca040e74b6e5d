"""Comparison of models by how well they predict what they have not seen.

Which model is better depends on what is to be predicted, so :func:`loo` and :func:`compare` ask for
the unit that is left out:

``"student"``, ``"person"``
    *Another student of a school I know.* One individual is left out; the rest of its group stays
    and tells of the group's mean. Needs individuals, not a table of means.
``"school"``, ``"country"``
    *A school I have not seen*, in an authority or district that I know. All that is known of the
    school is left out, and its own effects are integrated over their population, given everything
    else. It is the one to use for a table with one row a school, and the one that asks pooled and
    unpooled models the same question: without pooling, other schools say nothing of a new one.
``"authority"``, ``"district"``
    *An authority I have not seen*: its schools are left out together, and its effect and theirs
    are integrated jointly.

The plain sum of the log likelihood by row, which most software takes, is not among them for schools
with one row each: given a school's own mean its row is hardly a prediction, and leaving it out
changes that mean so much that importance sampling cannot follow. See Merkle, Furr and Rabe-Hesketh
[1]_ on conditional and marginal likelihoods and Vehtari, Gelman and Gabry [2]_ on importance
sampling with Pareto smoothing, which is ArviZ's.

:func:`evaluate` needs no approximation: it holds predictions against the next cohort's table.

References
----------
.. [1] Merkle, Furr and Rabe-Hesketh (2019). Bayesian comparison of latent variable models:
   conditional versus marginal likelihoods. Psychometrika 84(3).
.. [2] Vehtari, Gelman and Gabry (2017). Practical Bayesian model evaluation using leave-one-out
   cross-validation and WAIC. Statistics and Computing 27(5).
"""

import copy
import warnings
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pymc as pm
import xarray as xr
from scipy.special import betaln
from scipy.stats import norm
from threadpoolctl import threadpool_limits

from hbm.hierarchy.fitted import Hierarchy, read_hierarchy
from hbm.hierarchy.marginal import marginal_beta, marginal_beta_parent, marginal_normal
from hbm.results.prediction import predict
from hbm.sampling.posterior import check_fit, sample
from hbm.students.likelihoods import (
    beta_mean_logp,
    beta_summary_logp,
    normal_summary_logp,
    published,
)
from hbm.tables.grouped import GroupedData, read_individuals, read_summaries
from hbm.tables.labels import label_text, require_columns

if TYPE_CHECKING:
    from arviz_stats.utils import ELPDData

__all__ = ["by_band", "compare", "evaluate", "loo"]

_SCORES = ["log_score_mean", "log_score", "crps", "inside_50", "inside_89"]
_FINITE_VARIANCE = 0.5  # the Pareto k up to which importance weights have a variance
_BANDS = {"1–2": 1, "3–9": 3, "10–29": 10, "30+": 30}  # by the least number of individuals


def loo(
    model: pm.Model,
    fit: xr.DataTree,
    unit: str = "school",
    *,
    refit: Callable[[pd.DataFrame], pm.Model] | None = None,
    table: pd.DataFrame | None = None,
    random_seed: int | None = None,
) -> "ELPDData":
    """Estimate how well a model predicts a unit that it has not seen, by leaving out each in turn.

    Parameters
    ----------
    model : pymc.Model
        A model of :mod:`hbm.heights`, :mod:`hbm.scores` or :mod:`hbm.exams`.
    fit : xarray.DataTree
        Its fit, the result of :func:`hbm.sample`; it is not changed.
    unit : str, default "school"
        What is left out at a time: ``"student"`` (``"person"``), if the fit is of individuals;
        ``"school"`` (``"country"``); ``"authority"`` or ``"district"``, if nested. See
        :mod:`hbm.checks.comparison` for the question that each one asks.
    refit : callable, optional
        Takes a table and returns the model, for example ``hbm.exams.nested``. If given, each
        unit with a Pareto k above 0.5 is left out in earnest: the model is fitted to the table
        without it, with as many draws and chains as `fit` has, and the unit's elpd is computed from
        that fit. Needs `table`.
    table : pandas.DataFrame, optional
        The table that `model` was built from. Needed with `refit` only.
    random_seed : int, optional
        Seed of the refits.

    Returns
    -------
    arviz ELPDData
        ArviZ's own result: ``elpd`` and its ``se``, ``elpd_i`` and ``pareto_k`` by unit; works with
        ``az.plot_khat``, ``az.compare``, ``az.plot_compare``. A refitted unit has a k of 0.

    Raises
    ------
    ValueError
        If the unit is not possible for this fit (the possible ones are listed), the fit is not of
        the model, or `refit` and `table` do not give the model back.

    Warns
    -----
    UserWarning
        If units are left with a Pareto k above the threshold, with their number and what to do.

    Notes
    -----
    The log likelihood of a school left out is log ∫∫ p(its data | eta, log nu) p(eta | its
    authority's effect, tau) p(log nu | ...) d eta d log nu, for each posterior draw of everything
    else, by quadrature (:mod:`hbm.hierarchy.marginal`). The draws are those of the full posterior,
    the authority's effect among them, which the school's own data have also informed: importance
    sampling takes that back out, for this effect as for all other parameters, so the effect must
    stay as it was drawn and must not be integrated as well. For an authority left out, its effect
    and its schools' are integrated given the parameters above.

    Pareto k says how far importance sampling can be trusted. Up to 0.5 the weights have a variance,
    and an elpd a standard error. From there to the threshold of 0.7 it may be off by some tenths of
    a nat: for a district of three, with a k of 0.69 from 16,000 draws, it was 0.2 above that of an
    exact refit. Asked for refits, :func:`loo` so makes them from 0.5 on.

    A unit whose log likelihood is the same in all draws, as a school's is without pooling, needs no
    importance sampling: its elpd is that number, and its k is set to 0.

    Examples
    --------
    >>> import hbm
    >>> table = hbm.load_dataset("heights")
    >>> model = hbm.heights.partial_pooling(table)
    >>> fit = hbm.sample(model)  # doctest: +SKIP
    >>> hbm.loo(model, fit, unit="country")  # doctest: +SKIP
    >>> hbm.loo(model, fit, unit="country", refit=hbm.heights.partial_pooling,
    ...         table=table)  # doctest: +SKIP
    """
    hierarchy = _read_with_unit(model, fit, unit)
    if (refit is None) != (table is None):
        raise ValueError(
            "exact refits need both refit=, the function that makes the model, "
            "and table=, the table it was made from"
        )
    if refit is not None:
        _check_table(refit(table), fit)
    result, tree = _psis(hierarchy, unit)
    if refit is not None and (result.pareto_k > _FINITE_VARIANCE).any():
        result = _exact(result, tree, hierarchy, unit, refit, table, random_seed)
    if result.warning:
        _warn(result, unit)
    return result


def compare(
    models: Mapping[str, tuple[pm.Model, xr.DataTree]], unit: str = "school"
) -> pd.DataFrame:
    """Compare models of the same data by how well they predict a unit they have not seen.

    Parameters
    ----------
    models : dict of str to (pymc.Model, xarray.DataTree)
        Models with their fits, by name.
    unit : str, default "school"
        What is left out at a time, as for :func:`loo`.

    Returns
    -------
    pandas.DataFrame
        ArviZ's comparison table, the best model first: ``elpd_diff`` to the best with its standard
        error ``dse``, stacking ``weight`` and more; ``az.plot_compare`` draws it.

    Raises
    ------
    TypeError
        If a value is not a pair of a model and its fit.
    ValueError
        If the models are of different data (what differs is named), or the unit is not possible for
        one of them.

    Warns
    -----
    UserWarning
        If units are left with a Pareto k above the threshold.

    Examples
    --------
    >>> import hbm
    >>> table = hbm.load_dataset("heights")
    >>> models = [hbm.heights.no_pooling(table), hbm.heights.partial_pooling(table)]
    >>> fits = [(model, hbm.sample(model)) for model in models]  # doctest: +SKIP
    >>> hbm.compare({"no": fits[0], "partial": fits[1]}, unit="country")  # doctest: +SKIP
    """
    from arviz_stats import compare as arviz_compare

    hierarchies = {}
    for name, pair in models.items():
        if not (isinstance(pair, tuple) and len(pair) == 2):
            raise TypeError(f"{name!r} must be a pair (model, fit), got {type(pair).__name__}")
        hierarchies[name] = _read_with_unit(*pair, unit, name)
    if len(hierarchies) < 2:
        raise ValueError("give two models or more to compare")
    (first, reference), *others = hierarchies.items()
    for name, hierarchy in others:
        difference = _difference(reference, hierarchy, unit)
        if difference:
            raise ValueError(
                f"models of different data cannot be compared: {first!r} and {name!r} {difference}"
            )
    results = {name: _psis(hierarchy, unit)[0] for name, hierarchy in hierarchies.items()}
    for name, result in results.items():
        if result.warning:
            _warn(result, unit, name)
    # Stacking takes exponentials of these, which overflow for units of many individuals; only
    # their differences between models matter, so each unit's best is taken off.
    best = np.max([result.elpd_i.to_numpy() for result in results.values()], axis=0)
    shifted = {name: copy.copy(result) for name, result in results.items()}
    for result in shifted.values():
        result.elpd_i = result.elpd_i - best
    return arviz_compare(shifted)


def evaluate(
    model: pm.Model,
    fit: xr.DataTree,
    next_table: pd.DataFrame,
    *,
    random_seed: int | np.random.Generator | None = None,
) -> pd.DataFrame:
    """Hold a fit's predictions against what the next cohort reached.

    Groups the fit does not know are predicted as new ones (see :func:`hbm.predict`).

    Parameters
    ----------
    model : pymc.Model
        A model of :mod:`hbm.heights`, :mod:`hbm.scores` or :mod:`hbm.exams`.
    fit : xarray.DataTree
        Its fit, the result of :func:`hbm.sample`.
    next_table : pandas.DataFrame
        The next cohort, as the model takes it: one row a group with ``n_students`` (``n_people``),
        ``mean`` and ``sd``; or one row an individual.
    random_seed : int or numpy.random.Generator, optional
        The same seed gives the same result.

    Returns
    -------
    pandas.DataFrame
        One row a group, in the table's order; :func:`by_band` averages it.

        ``<group>``, ``n_students`` or ``n_people``, ``band``
            Label, number of individuals, and the band of numbers it lies in.
        ``known``
            Whether the group was in the fit.
        ``observed``, ``predicted``
            The cohort's mean, and the mean of its predictive draws.
        ``log_score_mean``
            Log predictive density of the cohort's mean, averaged over the posterior: higher is
            better.
        ``log_score``
            The same of mean and standard deviation together; missing where n = 1.
        ``crps``
            Continuous ranked probability score of the mean, in the data's units: lower is better.
        ``inside_50``, ``inside_89``
            Whether the mean lies in the central 50 % and 89 % predictive interval.

    Raises
    ------
    ValueError, TypeError
        If the table is not as described, or the fit not of the model.

    Notes
    -----
    What changes from one cohort to the next for all groups alike, as an exam that is harder, counts
    against every model: to leave it out, take the difference of the two tables' means, weighted by
    individuals, off `next_table` first. That groups themselves change is for the model to expect.

    The CRPS is E|X − y| − ½ E|X − X′| over predictive draws [1]_. Log scores are not compared
    between the mean and the pair, nor between bands, whose numbers of individuals differ.

    References
    ----------
    .. [1] Gneiting and Raftery (2007). Strictly proper scoring rules, prediction, and estimation.
       Journal of the American Statistical Association 102.

    Examples
    --------
    >>> import hbm
    >>> this, *_ = hbm.simulate.exams([3, 3], 20, random_seed=1)
    >>> following, *_ = hbm.simulate.exams([3, 3], 20, random_seed=2)
    >>> model = hbm.exams.nested(this)
    >>> fit = hbm.sample(model)  # doctest: +SKIP
    >>> by_school = hbm.evaluate(model, fit, following, random_seed=1)  # doctest: +SKIP
    >>> hbm.by_band(by_school)  # doctest: +SKIP
    """
    hierarchy = read_hierarchy(model, fit)
    cohort = _read_cohort(next_table, hierarchy)
    group = hierarchy.group
    size = "n_students" if hierarchy.proportions else "n_people"
    rows = pd.DataFrame({group: cohort.coords[group], size: cohort.n})
    if hierarchy.parent is not None:
        rows[hierarchy.parent] = cohort.coords[hierarchy.parent][cohort.parent]
    tree = predict(model, fit, rows, random_seed=random_seed)
    draws = {
        name: values.transpose(group, "chain", "draw").to_numpy().reshape(len(rows), -1)
        for name, values in tree["predictions"].data_vars.items()
    }
    means, cohort_means = draws[f"mu_{group}"], draws["mean"]
    if hierarchy.proportions:
        spreads = draws[f"nu_{group}"]
        mean, sd = published(cohort.mean, cohort.sd, cohort.n)
    else:
        spreads = np.broadcast_to(hierarchy.draws("sigma"), means.shape)
        mean, sd = cohort.mean, cohort.sd
    scores = [
        _log_scores(*group_data, hierarchy.proportions)
        for group_data in zip(mean, sd, cohort.n, cohort.sd, means, spreads, strict=True)
    ]
    lower_89, lower_50, upper_50, upper_89 = np.quantile(
        cohort_means, [0.055, 0.25, 0.75, 0.945], axis=1
    )
    least = np.array(list(_BANDS.values()))
    band = pd.Categorical.from_codes(
        np.searchsorted(least, cohort.n, side="right") - 1, list(_BANDS), ordered=True
    )
    return pd.DataFrame(
        {
            group: cohort.coords[group],
            size: cohort.n.astype(int),
            "band": band,
            "known": tree["predictions_constant_data"]["known"].to_numpy(),
            "observed": cohort.mean,
            "predicted": cohort_means.mean(axis=1),
            "log_score_mean": [of_mean for of_mean, _ in scores],
            "log_score": [of_both for _, of_both in scores],
            "crps": _crps(cohort_means, cohort.mean),
            "inside_50": (cohort.mean >= lower_50) & (cohort.mean <= upper_50),
            "inside_89": (cohort.mean >= lower_89) & (cohort.mean <= upper_89),
        }
    )


def by_band(evaluation: pd.DataFrame) -> pd.DataFrame:
    """Average the result of :func:`evaluate` by band of the number of individuals.

    Parameters
    ----------
    evaluation : pandas.DataFrame
        Result of :func:`evaluate`, or some of its rows, for example those of known groups.

    Returns
    -------
    pandas.DataFrame
        One row a band that has groups, and one for ``all``: ``groups``, their number;
        ``log_score_mean``, ``log_score`` and ``crps``, averaged over groups; ``rmse`` of the
        predicted means, in the data's units; ``coverage_50`` and ``coverage_89``, the share of
        groups inside their intervals.

    Raises
    ------
    TypeError
        If `evaluation` is not a data frame.
    ValueError
        If it is empty, or lacks a column that :func:`evaluate` makes.

    Examples
    --------
    >>> import pandas as pd
    >>> rows = pd.DataFrame({"band": ["3–9", "30+"], "log_score_mean": [1.0, 2.0],
    ...     "log_score": [2.0, 4.0], "crps": [0.05, 0.02], "observed": [0.5, 0.6],
    ...     "predicted": [0.6, 0.6], "inside_50": [False, True], "inside_89": [True, True]})
    >>> by_band(rows)[["groups", "crps", "rmse", "coverage_50"]].round(3)
          groups   crps   rmse  coverage_50
    band
    3–9        1  0.050  0.100          0.0
    30+        1  0.020  0.000          1.0
    all        2  0.035  0.071          0.5
    """

    def summary(rows):
        return {
            "groups": len(rows),
            "log_score_mean": rows["log_score_mean"].mean(),
            "log_score": rows["log_score"].mean(),
            "crps": rows["crps"].mean(),
            "rmse": np.sqrt(((rows["predicted"] - rows["observed"]) ** 2).mean()),
            "coverage_50": rows["inside_50"].mean(),
            "coverage_89": rows["inside_89"].mean(),
        }

    require_columns(evaluation, ["band", "observed", "predicted", *_SCORES])
    bands = {band: evaluation[evaluation["band"] == band] for band in _BANDS}
    bands = {band: rows for band, rows in bands.items() if len(rows)} | {"all": evaluation}
    table = pd.DataFrame([summary(rows) for rows in bands.values()], index=list(bands))
    return table.rename_axis("band")


# The log likelihood of a unit.


def _read_with_unit(model, fit, unit, name=None) -> Hierarchy:
    hierarchy = read_hierarchy(model, fit)
    if unit not in hierarchy.units:
        which = "this model" if name is None else f"model {name!r}"
        raise ValueError(
            f"{unit!r} cannot be left out of {which}; "
            f"unit must be one of: {', '.join(map(repr, hierarchy.units))}"
        )
    return hierarchy


def _log_lik(seen: Hierarchy, given: Hierarchy, unit: str, position: int) -> np.ndarray:
    """Return the log density of a unit of one fit given the draws of the same or another fit.

    Shape (n_draws,), or (1,) if no draw differs. Effects of a group or parent that the other fit
    does not have are integrated.
    """
    if unit == seen.parent:
        children = np.flatnonzero(seen.parent_of_group == position)
        return _new_parent(given, [seen.evidence(child) for child in children])
    if unit == seen.group:
        parent = None if seen.parent is None else seen.parent_of_group[position]
        if not given.proportions:
            data = (seen.n[position], seen.mean[position], seen.sd[position])
            return _new_normal_group(given, *data, summary=seen.individual is None)
        return _new_group(given, seen, parent, seen.evidence(position))
    value, group = seen.value[position], seen.index[position]
    known = given.positions[given.group].get(seen.labels[seen.group][group])
    if known is None and given.proportions:
        parent = None if seen.parent is None else seen.parent_of_group[group]
        return _new_group(given, seen, parent, seen.evidence_of(seen.value[[position]]))
    if known is None:
        return _new_normal_group(given, 1.0, value, 0.0, summary=False)
    mu = given.draws(f"mu_{given.group}")[:, known]
    if not given.proportions:
        return norm.logpdf(value, mu, given.draws("sigma"))
    nu = given.draws(f"nu_{given.group}")[:, known]
    a, b = mu * nu, (1 - mu) * nu
    return (a - 1) * np.log(value) + (b - 1) * np.log1p(-value) - betaln(a, b)


def _new_group(given, seen, parent, evidence) -> np.ndarray:
    if parent is None:
        return marginal_beta(evidence, given.grand_mean, *given.spread)
    known = given.positions[given.parent].get(seen.labels[seen.parent][parent])
    if known is None:
        return _new_parent(given, [evidence])
    return marginal_beta(evidence, given.parent_effect[:, known], *given.spread)


def _new_parent(given, evidence) -> np.ndarray:
    tau_parent = given.draws(f"tau_{given.parent}")
    return marginal_beta_parent(evidence, given.grand_mean, tau_parent, *given.spread)


def _new_normal_group(given, n, mean, sd, *, summary) -> np.ndarray:
    tau, sigma = given.draws(f"tau_{given.group}"), given.draws("sigma")
    return marginal_normal(n, mean, sd, given.grand_mean, tau, sigma, summary=summary)


def _asked_of(hierarchy: Hierarchy, unit: str) -> list[str]:
    """Names of the quantities that a unit's log likelihood depends on."""
    group, parent = hierarchy.group, hierarchy.parent
    spread = ["nu", "tau_nu"] if hierarchy.proportions else ["sigma"]
    top = "eta" if hierarchy.proportions else "mu"
    if unit == hierarchy.individual:
        return [f"mu_{group}", f"nu_{group}" if hierarchy.proportions else "sigma"]
    if unit == parent:
        return [top, f"tau_{parent}", f"tau_{group}", *spread]
    return [top if parent is None else f"eta_{parent}", f"tau_{group}", *spread]


# Importance sampling and refits.


def _psis(hierarchy: Hierarchy, unit: str) -> tuple["ELPDData", xr.DataTree]:
    """Return ArviZ's result, and the tree it was made from."""
    from arviz_stats import loo as arviz_loo

    posterior = hierarchy.fit["posterior"].to_dataset()
    labels = hierarchy.labels[unit]
    values = np.empty((hierarchy.n_draws, len(labels)))
    # The matrices are small: to share them out among threads costs more than it gains.
    with threadpool_limits(1, user_api="blas"):
        for position in range(len(labels)):
            values[:, position] = _log_lik(hierarchy, hierarchy, unit, position)
    log_lik = xr.DataArray(
        values.reshape(posterior.sizes["chain"], posterior.sizes["draw"], -1),
        dims=("chain", "draw", unit),
        coords={"chain": posterior["chain"], "draw": posterior["draw"], unit: labels},
        name=f"log_lik_{unit}",
    )
    learned = [name for name in _asked_of(hierarchy, unit) if hierarchy.learned(name)]
    tree = xr.DataTree.from_dict(
        {"posterior": posterior[learned], "log_likelihood": log_lik.to_dataset()}
    )
    if not learned:
        # ArviZ cannot fit a tail to weights that are all the same, nor is there a need to.
        weights = xr.full_like(log_lik, -np.log(hierarchy.n_draws))
        k = xr.zeros_like(log_lik.isel(chain=0, draw=0, drop=True))
        given = {"reff": 1.0, "log_weights": weights, "pareto_k": k}
        return arviz_loo(tree, pointwise=True, **given), tree
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Estimated shape parameter of Pareto")
        return arviz_loo(tree, pointwise=True), tree


def _exact(result, tree, hierarchy, unit, refit, table, random_seed) -> "ELPDData":
    """Replace the elpd of units with a high Pareto k by that of fits without them."""
    from arviz_stats import SamplingWrapper, reloo

    posterior = hierarchy.fit["posterior"]

    class Refits(SamplingWrapper):
        def sel_observations(self, idx):
            return int(idx), int(idx)

        def sample(self, modified_observed_data):
            model = refit(_without(table, hierarchy, unit, modified_observed_data))
            fit = sample(
                model,
                draws=posterior.sizes["draw"],
                chains=max(2, posterior.sizes["chain"]),
                random_seed=random_seed,
                progressbar=False,
            )
            return model, fit

        def get_inference_data(self, fitted_model):
            return fitted_model

        def log_likelihood__i(self, excluded_obs, idata__i):
            given = read_hierarchy(*idata__i)
            sizes = given.fit["posterior"].sizes
            values = _log_lik(hierarchy, given, unit, excluded_obs)
            shape = (sizes["chain"], sizes["draw"])
            values = np.broadcast_to(values, given.n_draws).reshape(shape)
            return xr.DataArray(values, dims=("chain", "draw"))

    refits = Refits(None, idata_orig=tree)
    return reloo(refits, loo_orig=result, k_threshold=_FINITE_VARIANCE, pointwise=True)


def _check_table(model, fit) -> None:
    """Raise unless a model, as made again from its table, observes what the fit's model did."""
    check_fit(model, fit)
    for rv in model.observed_RVs:
        again = model.rvs_to_values[rv].eval()
        if rv.name not in fit["observed_data"] or not np.array_equal(
            again, fit["observed_data"][rv.name].to_numpy()
        ):
            raise ValueError(
                f"refit= and table= do not give the model of the fit: {rv.name!r} differs. "
                "Give the function, with functools.partial if it had options, and the table that "
                "the fitted model was made from"
            )


def _without(table, hierarchy, unit, position) -> pd.DataFrame:
    if unit == hierarchy.individual:
        keep = np.arange(len(table)) != position
    else:
        label = hierarchy.labels[unit][position]
        keep = label_text(table, unit) != label
    if not keep.any():
        raise ValueError(f"nothing is left of the table without this {unit}: it is the only one")
    return table[keep].reset_index(drop=True)


def _warn(result, unit, name=None) -> None:
    k = result.pareto_k
    high = int((k > result.good_k).sum())
    worst = k[unit].to_numpy()[np.argmax(k.to_numpy())]
    warnings.warn(
        f"{'' if name is None else f'model {name!r}: '}{high} of {k.size} units ({unit}) have a "
        f"Pareto k above {result.good_k:.2f} (the highest, {worst!r}, {float(k.max()):.2f}): what "
        "the model learns hangs on them so much that their elpd cannot be had from the full "
        "posterior. Ask hbm.loo to refit without each of them: refit=, the function that makes the "
        "model, and table=",
        UserWarning,
        stacklevel=3,
    )


def _difference(a: Hierarchy, b: Hierarchy, unit: str) -> str | None:
    """Say what differs between the data of two fits."""
    if a.observed != b.observed:
        return f"observe different things, {a.observed!r} and {b.observed!r}"
    for dim in dict.fromkeys([a.group, unit]):
        first, second = a.labels[dim], b.labels[dim]
        if not np.array_equal(first, second):
            only = [x for x in first if x not in b.positions[dim]]
            only += [x for x in second if x not in a.positions[dim]]
            if only:
                shown = ", ".join(map(repr, only[:5]))
                return f"have a different {dim}: only one of them has {shown}"
            return f"have the same labels of {dim} in another order; sort their tables alike"
    if unit == a.parent:
        moved = a.labels[a.group][a.parent_of_group != b.parent_of_group]
        if len(moved):
            return f"have a different {a.parent} of {a.group} {', '.join(map(repr, moved[:5]))}"
    # The mean and sd of individuals are theirs, up to rounding that depends on their order.
    for name in ("n", "mean", "sd") if a.individual is None else ("n",):
        different = a.labels[a.group][getattr(a, name) != getattr(b, name)]
        if len(different):
            return f"have a different {name} of {a.group} {', '.join(map(repr, different[:5]))}"
    if a.individual is not None and not np.array_equal(a.value, b.value):
        return f"have different results of some {a.individual}, or the same in another order"
    return None


# Held-out data.


def _read_cohort(table: pd.DataFrame, hierarchy: Hierarchy) -> GroupedData:
    by, parent = hierarchy.group, hierarchy.parent
    value = "score" if hierarchy.proportions else "height"
    if isinstance(table, pd.DataFrame) and value in table:
        return read_individuals(
            table,
            value,
            by=by,
            individual="student" if hierarchy.proportions else "person",
            parent=parent,
            allowed="proportions in [0, 1]" if hierarchy.proportions else "heights in cm",
            ok=(lambda x: (x >= 0) & (x <= 1)) if hierarchy.proportions else np.isfinite,
        )
    return read_summaries(
        table,
        by=by,
        size="n_students" if hierarchy.proportions else "n_people",
        parent=parent,
        proportions=hierarchy.proportions,
        sd_needed="sd" in table,
    )


def _log_scores(mean, sd, n, raw_sd, mu, spread, proportions) -> tuple[float, float]:
    """Return the log scores of a cohort's mean, and of its mean and sd."""
    if proportions:
        of_mean = beta_mean_logp(mean, n, mu, spread)
    else:
        of_mean = norm.logpdf(mean, mu, spread / np.sqrt(n))
    if np.isnan(raw_sd):
        return _log_mean_exp(of_mean), np.nan
    density = beta_summary_logp if proportions else normal_summary_logp
    return _log_mean_exp(of_mean), _log_mean_exp(density(mean, sd, n, mu, spread))


def _log_mean_exp(x: np.ndarray) -> float:
    top = x.max()
    return float(np.log(np.exp(x - top).mean()) + top)


def _crps(draws: np.ndarray, observed: np.ndarray) -> np.ndarray:
    """Return the CRPS of draws, shape (n_groups, n_draws), at what was observed."""
    n = draws.shape[1]
    # ½ E|X − X′| of a sample, from its order statistics.
    spread = np.sort(draws, axis=1) @ (2 * np.arange(1, n + 1) - n - 1) / n**2
    return np.abs(draws - observed[:, None]).mean(axis=1) - spread
