"""Sampling: posterior draws of any model.

Independent draws where the model allows them (:mod:`hbm.sampling.direct.route`), and thin calls of
PyMC with nutpie as the sampler, that check what PyMC lets pass and say in plain words when the
draws should not be trusted. Results are trees of datasets with PyMC's group names.
"""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from numbers import Integral
from typing import Literal

import numpy as np
import pymc as pm
import xarray as xr

from hbm.hierarchy.carried import carry
from hbm.hierarchy.fitted import check_model
from hbm.hierarchy.model import description_of
from hbm.hierarchy.parameterisation import informs, raw_starts
from hbm.sampling.diagnostics import ConvergenceWarning, diagnose, is_direct
from hbm.sampling.direct.route import direct_fit, why_not, why_not_trusted
from hbm.sampling.inputs import (
    LEAST_DRAWS,
    check_acceptance,
    check_lengths,
    check_seed,
    check_whole_number,
)
from hbm.sampling.threads import cores_there

__all__ = ["sample"]


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
    nuts_sampler: Literal["nutpie", "pymc"] | None = None,
    method: Literal["auto", "direct", "nuts"] = "auto",
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
        near 1 from the start, and as many effective draws were measured after 100 as after 400
        (``tests/benchmarks/adaptation.py``).
    chains : int, default 4
        Chains, whatever the machine; two or more are needed to see whether they agree.
    cores : int, optional
        Chains run at the same time, or threads that make independent draws. By default nutpie,
        whose chains are threads, runs as many as there are cores for this process, up to 4, and so
        many threads make independent draws; PyMC's sampler, whose chains are processes, runs half
        as many.
    target_accept : float, optional
        Mean acceptance aimed at while tuning; nearer 1 makes smaller steps. By default 0.9 for a
        model of fewer than 100 dimensions, where the odd divergence is what to avoid, and 0.85 for
        larger ones, where longer steps were measured to give half as many effective draws again,
        of means and of standard deviations (the same script). It is 0.9, too, where the data tell
        of some effects and not of others, as of a school's mean and not of its students' spread.
        A model that learns a design effect aims at 0.95 in both cases.
    random_seed : int or numpy.random.Generator, optional
        The same seed gives the same draws, on the same machine with the same versions and a compile
        cache in the same state (a first run that fills the cache may differ from later ones).
    progressbar : bool, default True
        Show how far it is: PyMC's progress bar and messages, or what is done to make independent
        draws.
    nuts_sampler : {"nutpie", "pymc"}, optional
        Whose No-U-Turn sampler to use; nutpie's if not given.
    method : {"auto", "direct", "nuts"}, default "auto"
        How: by independent draws without a Markov chain (``"direct"``), which
        :mod:`hbm.heights`, :mod:`hbm.scores` and :mod:`hbm.exams` have for results of one year
        (see Notes), or by the No-U-Turn sampler; ``"auto"`` takes the first where the model allows
        it and its own checks pass (a Pareto k of at most 0.5, a grid error of at most 0.001
        nats, at most 1 % of the posterior beyond the grids), and the second otherwise, or where
        `tune`, `target_accept` or `nuts_sampler` is given.

    Returns
    -------
    xarray.DataTree
        Groups ``posterior`` and ``sample_stats``, with ``observed_data`` and ``constant_data``
        where the model has them. The attributes of ``sample_stats`` say which ``method`` was taken
        and, in ``method_reason``, why; and the ``random_seed``, if it was a whole number.

    Raises
    ------
    TypeError
        If `model` is not a PyMC model, or a number is none.
    ValueError
        If a number makes no sense, or a name is not one of those allowed; with
        ``method="direct"``, if the model has no such draws, or settings of NUTS are given.
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

    **Independent draws.** Given what all groups share (the taus, nu, tau_nu, the design effect and
    the coefficients of predictors), the hierarchy is a tree, and its effects can be summed out and
    drawn on grids. So these few numbers are drawn by importance sampling from a proposal that
    adapts to them, are resampled by their weights, and all effects are drawn given them: the draws
    have no chain, and no two have the same effects. ``sample_stats`` then has ``lp`` (the log
    density of the data and of these numbers, in coordinates in which their prior is standard
    Normal, and of coefficients about their posterior), ``log_weight`` and ``proposal`` (which point
    a draw was taken from: of a few points there is more than one); its attributes are ``pareto_k``
    (at most 0.5: the weights can be trusted), ``efficiency`` (effective points over points),
    ``effective_draws``, ``grid_error`` (in nats, at the worst of a few points), ``beyond_grids``
    (the share of the posterior that no draw is from, as grids end before), ``evaluations``, and
    ``log_marginal_likelihood`` with its Monte Carlo ``..._error``
    (:func:`hbm.log_marginal_likelihood`). :func:`hbm.diagnose` goes by
    these. Chains are parts of one set of draws.

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
        method=method,
    )
    if isinstance(random_seed, Integral):
        fit["sample_stats"].attrs["random_seed"] = int(random_seed)
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
    nuts_sampler: str | None = None,
    method: str = "auto",
) -> xr.DataTree:
    """Draw as :func:`sample` does, and do not say whether the draws can be used."""
    if nuts_sampler not in (None, "nutpie", "pymc"):
        raise ValueError(f"nuts_sampler must be 'nutpie' or 'pymc', got {nuts_sampler!r}")
    check_model(model)
    check_lengths(draws, tune, chains)
    check_acceptance(target_accept)
    check_whole_number("cores", cores, 1)
    check_seed(random_seed)
    of_nuts = {"tune": tune, "target_accept": target_accept, "nuts_sampler": nuts_sampler}
    reason = reason_for_nuts(model, method, of_nuts)
    if not reason:
        threads = cores or min(4, cores_there())
        fit = direct_fit(model, draws, chains, random_seed, threads, progressbar)
        reason = why_not_trusted(fit) if method == "auto" else ""
        if not reason:
            why = "asked for" if method == "direct" else "the model has independent draws"
            fit["sample_stats"].attrs["method_reason"] = why
            return fit
    nuts_sampler = nuts_sampler or "nutpie"
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
    fit = finished(fit, draws, chains)
    fit["sample_stats"].attrs |= {"method": "nuts", "method_reason": reason}
    return carry(model, fit)


def reason_for_nuts(model: pm.Model, method: str, settings: dict[str, object]) -> str:
    """Say why NUTS it must be, for a method asked for and settings of NUTS; "" if it need not.

    Raises
    ------
    ValueError
        If the method is none, or independent draws are asked for and cannot be made.
    """
    if method not in ("auto", "direct", "nuts"):
        raise ValueError(f"method must be 'auto', 'direct' or 'nuts', got {method!r}")
    if method == "nuts":
        return "asked for"
    given = [name for name, value in settings.items() if value is not None]
    if method == "direct" and given:
        raise ValueError(
            f"{', '.join(given)} are settings of a Markov chain, and independent draws have none: "
            "leave them out, or use method='nuts'"
        )
    if given:
        return f"{', '.join(given)} given"
    reason = why_not(model)
    if method == "direct" and reason:
        raise ValueError(
            f"independent draws cannot be made of this model: {reason}. Use method='auto', which "
            "takes NUTS where it must"
        )
    return reason


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
        easy = large and len(set(told)) < 2
        d = description_of(model)
        learned = d is not None and d.design_effect is None
        # Nor do few groups, or means alone, tell the spread of groups from that of their cohorts.
        target_accept = 0.85 if easy else 0.95 if learned else 0.9
    if tune is None and large and nuts_sampler == "nutpie":
        tune = 200 if all(told) else None
    return tune, target_accept


def what_is_poor(fit: xr.DataTree) -> str:
    """Return what a diagnosis says of draws that fail a check, else ""; of a lone chain nothing."""
    if fit["posterior"].sizes["chain"] < 2 and not is_direct(fit):
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
