"""Predictive draws: data from the prior or from the posterior of any model.

Thin calls of PyMC that check what it lets pass. Results are trees of datasets with its group names.
"""

import logging
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import pymc as pm
import xarray as xr
from pymc.distributions.continuous import FlatRV, HalfFlatRV

from hbm.hierarchy.carried import carry
from hbm.hierarchy.fitted import check_fit, check_model
from hbm.sampling.inputs import check_seed, check_whole_number

__all__ = ["sample_posterior_predictive", "sample_prior_predictive", "without_notes"]


def sample_prior_predictive(
    model: pm.Model, draws: int = 1000, *, random_seed: int | np.random.Generator | None = None
) -> xr.DataTree:
    """Draw parameters from the prior of a model, and data given them.

    Parameters
    ----------
    model : pymc.Model
        A model whose priors are all proper.
    draws : int, default 1000
        Draws.
    random_seed : int or numpy.random.Generator, optional
        The same seed gives the same draws.

    Returns
    -------
    xarray.DataTree
        Groups ``prior``, ``prior_predictive``, ``observed_data`` and ``constant_data``, as far as
        the model has them.

    Raises
    ------
    TypeError
        If `model` is not a PyMC model, or a number is none.
    ValueError
        If a number makes no sense, or a prior is improper, so that nothing can be drawn from it.

    Examples
    --------
    >>> import hbm
    >>> nested = hbm.article.scores_nested(hbm.load_dataset("nested_scores"))
    >>> hbm.sample_prior_predictive(nested)
    Traceback (most recent call last):
        ...
    ValueError: the model has no prior predictive: the prior of nu_school is flat, which is ...
    """
    check_model(model)
    check_whole_number("draws", draws, 1)
    check_seed(random_seed)
    flat = [rv.name for rv in model.free_RVs if isinstance(rv.owner.op, FlatRV | HalfFlatRV)]
    if flat:
        raise ValueError(
            f"the model has no prior predictive: the prior of {', '.join(flat)} is flat, which is "
            "improper (it has no finite integral), so there is nothing to draw from. "
            "Use a model with a proper prior"
        )
    with model, without_notes():
        # Compiling takes longer than drawing thousands of times from functions that are not.
        drawn = pm.sample_prior_predictive(
            draws, random_seed=random_seed, compile_kwargs={"mode": "FAST_COMPILE"}
        )
    return carry(model, drawn)


def sample_posterior_predictive(
    model: pm.Model,
    fit: xr.DataTree,
    *,
    random_seed: int | np.random.Generator | None = None,
    progressbar: bool = True,
) -> xr.DataTree:
    """Draw data like the observed ones from each posterior draw.

    The groups stay the ones of the fit: the question is what else could have been seen of them.

    Parameters
    ----------
    model : pymc.Model
        The model of the fit.
    fit : xarray.DataTree
        Result of :func:`hbm.sample`; it is not changed.
    random_seed : int or numpy.random.Generator, optional
        The same seed gives the same draws.
    progressbar : bool, default True
        Show PyMC's progress bar.

    Returns
    -------
    xarray.DataTree
        The groups of `fit` and ``posterior_predictive``.

    Raises
    ------
    TypeError
        If `model` is not a PyMC model, `fit` is not a DataTree, or the seed is not a whole number.
    ValueError
        If the fit is of another model, or of the same model with other groups, or a selection took
        its chains away.

    Examples
    --------
    >>> import hbm
    >>> model = hbm.article.heights(hbm.load_dataset("heights"))
    >>> fit = hbm.sample(model)  # doctest: +SKIP
    >>> fit = hbm.sample_posterior_predictive(model, fit)  # doctest: +SKIP
    """
    check_fit(model, fit)
    check_seed(random_seed)
    with model, without_notes():
        predictive = pm.sample_posterior_predictive(
            fit, random_seed=random_seed, progressbar=progressbar
        )
    return fit.assign(posterior_predictive=predictive["posterior_predictive"])


# Levels of logs and filters of warnings are the process's: of two threads that set them and put
# them back, the second would put back what the first had set.
_one_at_a_time = threading.RLock()


@contextmanager
def without_notes(
    of: str = "pymc.sampling.forward", least: int = logging.WARNING
) -> Iterator[None]:
    """Leave out the list of variables drawn, and numba's note that NumPy draws some of them."""
    log = logging.getLogger(of)
    with _one_at_a_time, warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Numba will use object mode")
        level = log.level
        log.setLevel(least)
        try:
            yield
        finally:
            log.setLevel(level)
