"""Sampling: prior predictive, posterior and posterior predictive draws of any model.

Thin calls of PyMC with nutpie as the sampler, that check what PyMC lets pass and say in plain words
when the draws should not be trusted. Results are trees of datasets with PyMC's group names.
"""

import logging
import os
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

import numpy as np
import pymc as pm
import xarray as xr
from pymc.distributions.continuous import FlatRV, HalfFlatRV

from hbm.hierarchy.carried import carry
from hbm.hierarchy.fitted import check_fit, check_model
from hbm.hierarchy.parameterisation import informs, raw_starts
from hbm.sampling.diagnostics import ConvergenceWarning, diagnose
from hbm.sampling.inputs import (
    LEAST_DRAWS,
    check_acceptance,
    check_lengths,
    check_seed,
    check_whole_number,
)

__all__ = ["sample", "sample_posterior_predictive", "sample_prior_predictive"]


def sample(
    model: pm.Model,
    draws: int = 1000,
    *,
    tune: int | None = None,
    chains: int = 4,
    cores: int | None = None,
    target_accept: float | None = None,
    random_seed: int | np.random.Generator | None = None,
    progressbar: bool = True,
    nuts_sampler: Literal["nutpie", "pymc"] = "nutpie",
) -> xr.DataTree:
    """Draw from the posterior of a model.

    Parameters
    ----------
    model : pymc.Model
        A model of this package or of your own, with continuous variables only.
    draws : int, default 1000
        Draws kept of each chain.
    tune : int, optional
        Draws used up for tuning; the sampler's own default (nutpie 400, PyMC 1000) if not given.
        nutpie's is 200 for a model of 100 dimensions or more in the informed form: its scales are
        near 1 from the start, and as many effective draws were measured after 100 as after 400.
    chains : int, default 4
        Chains, whatever the machine; two or more are needed to see whether they agree.
    cores : int, optional
        Chains run at the same time. By default nutpie, whose chains are threads, runs as many as
        there are cores for this process, up to 4; PyMC's sampler, whose chains are processes, half
        of that.
    target_accept : float, optional
        Mean acceptance aimed at while tuning; nearer 1 makes smaller steps. By default 0.9 for a
        model of fewer than 100 dimensions, where the odd divergence is what to avoid, and 0.85 for
        larger ones, where longer steps were measured to give more effective draws of means (at 0.8
        still more, but fewer of standard deviations). It is 0.9, too, where the data tell of some
        effects and not of others, as of a school's mean and not of its students' spread.
    random_seed : int or numpy.random.Generator, optional
        The same seed gives the same draws, on the same machine with the same versions and a compile
        cache in the same state (a first run that fills the cache may differ from later ones).
    progressbar : bool, default True
        Show PyMC's progress bar and messages.
    nuts_sampler : {"nutpie", "pymc"}, default "nutpie"
        Whose No-U-Turn sampler to use.

    Returns
    -------
    xarray.DataTree
        Groups ``posterior`` and ``sample_stats``, with ``observed_data`` and ``constant_data``
        where the model has them.

    Raises
    ------
    TypeError
        If `model` is not a PyMC model, or a number is none.
    ValueError
        If a number makes no sense, or the sampler is not one of the two.
    KeyboardInterrupt
        If sampling was interrupted before there was a draw to keep.
    RuntimeError
        If a process of PyMC's sampler was killed.

    Warns
    -----
    ConvergenceWarning
        If the draws fail a check of :func:`hbm.diagnose`, with what fails and what to do.
    UserWarning
        If sampling was interrupted, with what is kept and what is lost.

    Notes
    -----
    Ctrl-C (in a notebook, the stop button) ends sampling and keeps what is finished: the fit has
    the chains, cut to one length, that keep the most draws. Before any chain has been tuned there
    is nothing to keep, and a KeyboardInterrupt is raised. Draws are held in memory until sampling
    ends: a process that is killed loses them all. Save a fit with :func:`hbm.save`.

    Examples
    --------
    >>> import hbm
    >>> model = hbm.article.heights(hbm.load_dataset("heights"))
    >>> fit = hbm.sample(model, random_seed=1)  # doctest: +SKIP
    """
    fit = draw(
        model,
        draws,
        tune=tune,
        chains=chains,
        cores=cores,
        target_accept=target_accept,
        random_seed=random_seed,
        progressbar=progressbar,
        nuts_sampler=nuts_sampler,
    )
    text = what_is_poor(fit)
    if text:
        warnings.warn(text, ConvergenceWarning, stacklevel=2)
    return fit


def draw(
    model: pm.Model,
    draws: int,
    *,
    tune: int | None,
    chains: int,
    cores: int | None,
    target_accept: float | None,
    random_seed: int | np.random.Generator | None,
    progressbar: bool,
    nuts_sampler: str = "nutpie",
) -> xr.DataTree:
    """Draw as :func:`sample` does, and do not say whether the draws can be used."""
    if nuts_sampler not in ("nutpie", "pymc"):
        raise ValueError(f"nuts_sampler must be 'nutpie' or 'pymc', got {nuts_sampler!r}")
    check_model(model)
    check_lengths(draws, tune, chains)
    check_whole_number("cores", cores, 1)
    check_seed(random_seed)
    tune, target_accept = adaptation(model, tune, target_accept, nuts_sampler)
    settings = {}
    if cores is None and nuts_sampler == "nutpie":
        # PyMC takes every other core for a mere thread of its neighbour, and leaves it idle.
        cores = min(4, cores_there())
    if nuts_sampler == "pymc":
        # With the default jitter+adapt_diag a chain was seen to get stuck on the informed form.
        settings = {"init": "jitter+adapt_diag_grad", "compute_convergence_checks": False}
    with model, _interrupts_explained():
        fit = pm.sample(
            draws,
            tune=tune,
            chains=chains,
            cores=cores,
            random_seed=random_seed,
            progressbar=progressbar,
            quiet=not progressbar,
            nuts_sampler=nuts_sampler,
            nuts={"target_accept": target_accept},
            initvals=raw_starts(model),
            **settings,
        )
    return carry(model, finished(fit, draws, chains))


def cores_there() -> int:
    """Return how many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def adaptation(
    model: pm.Model,
    tune: int | None,
    target_accept: float | None,
    nuts_sampler: str = "nutpie",
) -> tuple[int | None, float]:
    """Return how long to tune and the mean acceptance to aim at: what is given, or the defaults."""
    check_acceptance(target_accept)
    if tune is not None and target_accept is not None:
        return tune, target_accept
    large = sum(np.size(value) for value in model.initial_point().values()) >= 100
    told = [informs(model, effect) for effect in model.free_RVs if effect.ndim]
    if target_accept is None:
        # Where data tell of some effects and not of others, scales are not near 1 throughout.
        target_accept = 0.85 if large and len(set(told)) < 2 else 0.9
    if tune is None and large and nuts_sampler == "nutpie":
        tune = 200 if all(told) else None
    return tune, target_accept


def what_is_poor(fit: xr.DataTree) -> str:
    """Return what a diagnosis says of draws of two chains or more that fail a check, else ""."""
    if fit["posterior"].sizes["chain"] < 2:
        return ""
    diagnosis = diagnose(fit)
    return "" if diagnosis.ok else str(diagnosis)


_NOTHING_KEPT = (
    "sampling was interrupted before any chain had finished tuning and made a few draws: "
    "there is nothing to keep"
)


@contextmanager
def _interrupts_explained() -> Iterator[None]:
    """Say plainly what PyMC's own sampler means when it, or one of its processes, is stopped."""
    try:
        yield
    except ValueError as error:
        if "Not enough samples to build a trace" not in str(error):
            raise
        raise KeyboardInterrupt(_NOTHING_KEPT) from None
    except (ConnectionError, EOFError) as error:
        raise RuntimeError(
            "a process of PyMC's sampler was killed, perhaps for want of memory: the draws of all "
            "chains are lost. With nuts_sampler='nutpie', the default, chains are threads of this "
            "process"
        ) from error


def finished(fit: xr.DataTree, draws: int, chains: int) -> xr.DataTree:
    """Return the draws that were made, if sampling was interrupted, and say what was lost.

    Neither sampler says a word. nutpie fills up shorter chains with NaN and zeros, PyMC cuts them.
    """
    energy = fit["sample_stats"]["energy"].transpose("chain", "draw").to_numpy()
    made = np.array(
        [np.flatnonzero(np.isfinite(of_chain)).max(initial=-1) + 1 for of_chain in energy]
    )
    if len(made) == chains and (made == draws).all():
        return fit
    longest = np.sort(made)[::-1]
    n_chains = int(np.argmax(longest * np.arange(1, len(made) + 1))) + 1 if len(made) else 0
    n_draws = int(longest[n_chains - 1]) if n_chains else 0
    if n_draws < LEAST_DRAWS:
        raise KeyboardInterrupt(_NOTHING_KEPT)
    kept = np.flatnonzero(made >= n_draws)[:n_chains]
    warnings.warn(
        f"sampling was interrupted: kept are {n_draws} draws from each of {n_chains} chains, of "
        f"{draws} from each of {chains} that were asked for"
        + ("; a single chain cannot be checked by hbm.diagnose" if n_chains == 1 else ""),
        UserWarning,
        stacklevel=4,
    )
    return fit.isel(chain=kept, draw=slice(n_draws))


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
        return carry(model, pm.sample_prior_predictive(draws, random_seed=random_seed))


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
        Result of :func:`sample`; it is not changed.
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
