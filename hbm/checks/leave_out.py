"""Leaving out: the log density of a unit that a model has not seen, by importance sampling.

What is predicted depends on what is left out, so :func:`loo` asks for the unit:

an individual (``"student"``, ``"person"``)
    *Another student of a school I know.* One individual is left out; the rest of its group stays
    and tells of the group's mean. Needs individuals, not a table of means.
a group (``"school"``, ``"country"``)
    *A school I have not seen*, given its siblings. All that is known of the school is left out, and
    its own effects are integrated over their population; where schools stand in authorities, the
    authority's effect is integrated too, given the other schools of it. It is the one to use for a
    table with one row a school. Models with and without pooling answer it, but not from the same
    knowledge: without pooling other schools say nothing of a new one, which is predicted from the
    fixed population of the priors, so that a difference measures how well that was chosen, too. For
    a school that is alone in its authority the authority is one not seen either.
a level above (``"authority"``, ``"district"``, and so on up)
    *An authority I have not seen*: its schools are left out together, and its effect and theirs
    are integrated jointly. Levels above it stay as they were drawn.

Of a panel a school is left out with all its years, and an authority with all its schools' years;
the effects of years stay as they were drawn, which other schools tell. There is also

the last year (``"last_year"``)
    *How does a school do next, that I have followed so far?* The last of its years with results is
    left out, and predicted from those before and from the other schools of its authority. Which
    year that is differs from school to school. Of a school with one year it is a school not seen.

The plain sum of the log likelihood by row, which most software takes, is not among them for schools
with one row each: given a school's own mean its row is hardly a prediction, and leaving it out
changes that mean so much that importance sampling cannot follow. See Merkle, Furr and Rabe-Hesketh
[1]_ on conditional and marginal likelihoods and Vehtari, Gelman and Gabry [2]_ on importance
sampling with Pareto smoothing, which is ArviZ's.

References
----------
.. [1] Merkle, Furr and Rabe-Hesketh (2019). Bayesian comparison of latent variable models:
   conditional versus marginal likelihoods. Psychometrika 84(3).
.. [2] Vehtari, Gelman and Gabry (2017). Practical Bayesian model evaluation using leave-one-out
   cross-validation and WAIC. Statistics and Computing 27(5).
"""

import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pymc as pm
import xarray as xr
from numpy.typing import NDArray

from hbm.checks.refits import exact, same_model
from hbm.checks.units import asked_of, log_likelihoods
from hbm.hierarchy.fitted import Fitted, read_all
from hbm.sampling.threads import ONE_THREAD

if TYPE_CHECKING:
    from arviz_stats.utils import ELPDDataLOO

__all__ = ["loo", "psis", "read_with_unit", "warn_of_k"]

FINITE_VARIANCE = 0.5  # the Pareto k up to which importance weights have a variance


def loo(
    model: pm.Model,
    fit: xr.DataTree,
    unit: str = "school",
    *,
    refit: Callable[[pd.DataFrame], pm.Model] | None = None,
    table: pd.DataFrame | None = None,
    random_seed: int | None = None,
) -> "ELPDDataLOO":
    """Estimate how well a model predicts a unit that it has not seen, by leaving out each in turn.

    Parameters
    ----------
    model : pymc.Model
        A model of :mod:`hbm.heights`, :mod:`hbm.scores` or :mod:`hbm.exams`.
    fit : xarray.DataTree
        Its fit, the result of :func:`hbm.sample`; it is not changed.
    unit : str, default "school"
        What is left out at a time: ``"student"`` (``"person"``), if the fit is of individuals;
        ``"school"`` (``"country"``); ``"authority"``, ``"district"`` or another level above, if
        nested; of a panel ``"last_year"``. See :mod:`hbm.checks.leave_out` for the question that
        each one asks.
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
        ``az.plot_khat``, ``az.compare``, ``az.plot_compare``, and :func:`hbm.compare`. A refitted
        unit has a k of 0.

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
    The log likelihood of a school left out is that of its data given the draws of all parameters
    above it, with eta and log nu of the school integrated by quadrature
    (:mod:`hbm.hierarchy.quadrature`). Where schools stand in authorities it is

        log p(y_j | siblings, φ) = log M(all schools of the authority) − log M(all but j),

    where M integrates the authority's effect as well (:mod:`hbm.hierarchy.marginal`), given the
    parameters φ above. The school's own data have informed the authority's drawn effect, which
    importance sampling would have to undo; integrated, it has not, and k stays small. For an
    authority left out, its effect and its schools' are integrated given φ.

    Pareto k says how far importance sampling can be trusted. Up to 0.5 the weights have a variance,
    and an elpd a standard error; from there to the threshold of 0.7 it may be off by more than that
    says. Asked for refits, :func:`loo` so makes them from 0.5 on.

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
    fitted = read_with_unit(model, fit, unit)
    if (refit is None) != (table is None):
        raise ValueError(
            "exact refits need both refit=, the function that makes the model, "
            "and table=, the table it was made from"
        )
    if refit is not None:
        same_model(refit(table), fit)
    result, tree = psis(fitted, unit)
    if refit is not None and (result.pareto_k > FINITE_VARIANCE).any():
        result = exact(result, tree, fitted, unit, refit, table, random_seed, FINITE_VARIANCE)
    # What hbm.compare asks of a result.
    result.fitted, result.unit = fitted, unit
    if result.warning:
        warn_of_k(result, unit)
    return result


def read_with_unit(model: pm.Model, fit: xr.DataTree, unit: str, name: str = "") -> Fitted:
    """Read a fit, and raise unless a unit can be left out of it."""
    fitted = read_all(fit, model)
    if unit not in fitted.d.units:
        which = f"model {name!r}" if name else "this model"
        raise ValueError(
            f"{unit!r} cannot be left out of {which}; "
            f"unit must be one of: {', '.join(map(repr, fitted.d.units))}"
        )
    return fitted


def psis(fitted: Fitted, unit: str) -> tuple[Any, xr.DataTree]:
    """Return ArviZ's result, and the tree it was made from."""
    from arviz_stats import loo as arviz_loo

    posterior = fitted.fit["posterior"].to_dataset()
    # The matrices are small: to share them out among threads costs more than it gains.
    with ONE_THREAD:
        values: NDArray[np.float64] = log_likelihoods(fitted, unit)
    log_lik = xr.DataArray(
        values.reshape(posterior.sizes["chain"], posterior.sizes["draw"], -1),
        dims=("chain", "draw", unit),
        coords={
            "chain": posterior["chain"],
            "draw": posterior["draw"],
            unit: fitted.d.unit_labels(unit),
        },
        name=f"log_lik_{unit}",
    )
    learned = [name for name in asked_of(fitted.d, unit) if fitted.learned(name)]
    tree = xr.DataTree.from_dict(
        {"posterior": posterior[learned], "log_likelihood": log_lik.to_dataset()}
    )
    if not learned:
        # ArviZ cannot fit a tail to weights that are all the same, nor is there a need to.
        weights = xr.full_like(log_lik, -np.log(fitted.n_draws))
        k = xr.zeros_like(log_lik.isel(chain=0, draw=0, drop=True))
        given = {"reff": 1.0, "log_weights": weights, "pareto_k": k}
        return arviz_loo(tree, pointwise=True, **given), tree
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Estimated shape parameter of Pareto")
        return arviz_loo(tree, pointwise=True), tree


def warn_of_k(result: "ELPDDataLOO", unit: str, name: str = "") -> None:
    """Warn, on behalf of the caller's caller, of units with a high Pareto k."""
    k = result.pareto_k
    high = int((k > result.good_k).sum())
    worst = k[unit].to_numpy()[np.argmax(k.to_numpy())]
    refits = (
        "Ask hbm.loo to refit without each of them: refit=, the function that makes the model, and "
        "table=; hbm.compare takes its result"
    )
    warnings.warn(
        f"{f'model {name!r}: ' if name else ''}{high} of {k.size} units ({unit}) have a "
        f"Pareto k above {result.good_k:.2f} (the highest, {worst!r}, {float(k.max()):.2f}): what "
        "the model learns hangs on them so much that their elpd cannot be had from the full "
        f"posterior. {refits}",
        UserWarning,
        stacklevel=3,
    )
