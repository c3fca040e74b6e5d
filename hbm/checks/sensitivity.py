"""Prior sensitivity: whether a somewhat stronger or weaker prior would change the answer."""

import logging

import numpy as np
import pandas as pd
import pymc as pm
import xarray as xr
from numpy.typing import NDArray

from hbm.checks.panel_units import panel_log_likelihoods
from hbm.checks.units import integrated
from hbm.hierarchy.fitted import Fitted, read_all
from hbm.hierarchy.nodes import node_of
from hbm.sampling.predictive import without_notes
from hbm.sampling.threads import ONE_THREAD

__all__ = ["prior_sensitivity"]

THRESHOLD = 0.05
_CONTRAST = "contrast"
_DECIMALS = 15  # as many as a number has: tables are not rounded

_MEANINGS = {
    "✓": "the data decide",
    "potential prior-data conflict": "prior and data both move it: see whether they agree",
    "potential strong prior / weak likelihood": "the prior decides: the data say little",
}


def prior_sensitivity(model: pm.Model, fit: xr.DataTree) -> pd.DataFrame:
    """Say how much the posterior hangs on the priors at the top of the hierarchy.

    The top-level priors are raised to a power a little below and above 1, which makes them weaker
    or stronger, and so, in turn, is the likelihood. How much the posterior of each quantity moves
    is found from the draws there are, by importance sampling: nothing is fitted again.

    Parameters
    ----------
    model : pymc.Model
        A model of :mod:`hbm.heights`, :mod:`hbm.scores` or :mod:`hbm.exams`.
    fit : xarray.DataTree
        Its fit, the result of :func:`hbm.sample`; it is not changed.

    Returns
    -------
    pandas.DataFrame
        One row a top-level quantity, in the model's order, and one a coefficient, such as
        ``beta[log_n_students]``: ``prior`` and ``likelihood``, how much it moves with each, and
        ``diagnosis``, as ``arviz_stats.psense_summary`` gives them, but not rounded; and
        ``meaning``, the diagnosis in plain words. From 0.05 on a quantity is said to move.

    Raises
    ------
    ValueError
        If the fit is not of the model, or the model has no top-level prior: without pooling each
        school has a prior of its own.

    Notes
    -----
    A prior is top-level if its quantity is a single number: ``eta``, the taus, ``nu`` and
    ``tau_nu``; for heights ``mu``, ``tau_country`` and ``sigma``. So are those of coefficients of
    predictors, ``beta`` and ``gamma``. The distribution of schools given
    these is left as it is: it is no choice made before seeing the data but a part of the model,
    whose parameters are learnt. With hundreds of schools, a power of their joint density would
    outweigh all else, and tell of the number of schools and not of a prior.

    For the same reason the likelihood is that of the top-level quantities, with the effects of
    schools and authorities integrated out (:mod:`hbm.hierarchy.marginal`). Given its own effects, a
    large school's results no longer tell of the population, so that a power of the usual likelihood
    would leave the population where it is however much the data say of it. Of a panel the few
    effects of years stay as they were drawn: the data say more of ``tau_year`` than is told.

    Where both move a quantity, draw its prior beside its posterior: they may pull apart, with a
    prior narrower than meant, or the data may just be too few to drown the prior, as for the
    between-group sd of a handful of groups. Where the prior decides, nothing need be wrong, but the
    prior must be argued for.

    The method is that of Kallioinen et al. [1]_. Integrating takes about as long as
    :func:`hbm.loo` by the highest unit.

    References
    ----------
    .. [1] Kallioinen, Paananen, Bürkner and Vehtari (2024). Detecting and diagnosing prior and
       likelihood sensitivity with power-scaling. Statistics and Computing 34, 57.

    Examples
    --------
    >>> import hbm
    >>> model = hbm.heights.partial_pooling(hbm.load_dataset("heights"))
    >>> fit = hbm.sample(model)  # doctest: +SKIP
    >>> hbm.prior_sensitivity(model, fit)  # doctest: +SKIP
    """
    from arviz_stats import psense_summary

    fitted = read_all(fit, model)
    # Coefficients have their prior as free contrasts, and are shown as what these say.
    shown = {f"{name}_{_CONTRAST}": name for name in ("beta", "gamma")}
    top = [rv.name for rv in model.free_RVs if rv.ndim == 0 or rv.name in shown]
    if not top:
        raise ValueError(
            f"the model has no top-level prior: without pooling each {fitted.d.group} has a prior "
            "of its own, and nothing is learnt of their population. Ask it of a model with pooling"
        )
    draws = fit["posterior"].to_dataset().transpose("chain", "draw", ...)
    # Their priors have fixed parameters only.
    log_prior = draws[top].map(lambda values: _log_prior(model, values))
    names = [shown.get(name, name) for name in top]
    posterior, first = draws[names], draws[top[0]]
    log_lik = first.copy(data=_log_likelihood(fitted).reshape(first.shape))
    tree = xr.DataTree.from_dict(
        {
            "posterior": posterior,
            "log_prior": log_prior,
            "log_likelihood": log_lik.to_dataset(name=fitted.d.observed),
        }
    )
    # ArviZ points to its guide where something moves; the table has it in words.
    with without_notes("arviz_stats.psense", logging.ERROR):
        table = psense_summary(tree, var_names=names, threshold=THRESHOLD, round_to=_DECIMALS)
    return table.assign(meaning=table["diagnosis"].map(_MEANINGS))


def _log_prior(model: pm.Model, values: xr.DataArray) -> xr.DataArray:
    """Return the log density of draws; coefficients, which are drawn jointly, have one of all."""
    found = pm.logp(model[values.name], values.to_numpy()).eval()
    return xr.DataArray(found, dims=values.dims[: found.ndim])


def _log_likelihood(f: Fitted) -> NDArray[np.float64]:
    """Return the log density of all data given the top-level quantities, by draw.

    Of a panel also given the effects of years.
    """
    names = [level.name for level in f.d.levels]
    taus = [f.tau(name) for name in names]
    total = np.zeros(f.n_draws)
    if f.d.panel:
        return panel_log_likelihoods(f, names[0]).sum(axis=1)
    # The matrices are small: to share them out among threads costs more than it gains.
    with ONE_THREAD:
        for member in range(len(f.d.levels[0].labels)):
            total += integrated(node_of(f, names[0], member), f.grand_mean, taus, f)
    return total
