"""Many fits: one model for each of many tables, several at a time.

One fit after the other leaves most of a machine idle, and compiles each model anew.
:func:`sample_each` hands the tables to several processes, or to any executor that is given, has
each compile a model of exams once for all tables of like size, keeps what succeeds and says what
failed.
"""

import threading
import warnings
from collections.abc import Callable, Hashable, Mapping
from concurrent.futures import Executor, ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from multiprocessing import get_context
from typing import Any

import numpy as np
import pandas as pd
import pymc as pm
import xarray as xr

from hbm.sampling.compiled import Compiled, Shape, common_shapes, shape_of
from hbm.sampling.diagnostics import ConvergenceWarning
from hbm.sampling.posterior import adaptation, check_lengths, cores_there, sample, warn_if_poor

__all__ = ["Fits", "sample_each"]


@dataclass(frozen=True, repr=False)
class Fits:
    """What :func:`sample_each` returns.

    Attributes
    ----------
    fits : dict of key to (pymc.Model, xarray.DataTree)
        The models with their fits, in the order of the tables: pairs as :func:`hbm.compare` takes
        them.
    errors : dict of key to Exception
        What went wrong with the tables that have no fit.
    warnings : dict of key to str
        What :func:`hbm.diagnose` said of the fits whose draws should not be used as they are.
    """

    fits: dict[Hashable, tuple[pm.Model, xr.DataTree]]
    errors: dict[Hashable, Exception]
    warnings: dict[Hashable, str]

    def __str__(self) -> str:
        """Say in a few lines how many there are, and what is wrong with which."""
        n = len(self.fits) + len(self.errors)
        lines = [f"{len(self.fits)} of {n} fits were made, {len(self.warnings)} with a warning."]
        lines += [f"  FAIL  {key!r}: {error}" for key, error in self.errors.items()]
        lines += [f"  warn  {key!r}: {_failed(text)}" for key, text in self.warnings.items()]
        return "\n".join(lines)

    __repr__ = __str__


def sample_each(
    function: Callable[[pd.DataFrame], pm.Model],
    tables: Mapping[Hashable, pd.DataFrame],
    *,
    draws: int = 1000,
    tune: int | None = None,
    chains: int = 4,
    target_accept: float | None = None,
    random_seed: int | None = None,
    executor: Executor | None = None,
    progressbar: bool = True,
) -> Fits:
    """Fit a model to each of many tables, several at a time.

    Parameters
    ----------
    function : callable
        Takes a table and returns the model, for example ``hbm.exams.nested``; with options,
        ``functools.partial(hbm.exams.nested, priors=...)``. Other processes must be able to import
        it: a function of a module, not a lambda.
    tables : mapping of key to pandas.DataFrame
        The tables, by what they are called, for example ``("Mathematics 30-1", 2016)``.
    draws : int, default 1000
        Draws kept of each chain.
    tune : int, optional
        Draws used up for tuning, as for :func:`hbm.sample`.
    chains : int, default 4
        Chains of each fit, run one after the other.
    target_accept : float, optional
        Mean acceptance aimed at while tuning, as for :func:`hbm.sample`.
    random_seed : int, optional
        The same seed and tables give the same fits, as far as they do in :func:`hbm.sample`,
        whatever the executor and the order they end in.
    executor : concurrent.futures.Executor, optional
        Where to fit; it is not shut down. By default as many new processes as the machine has
        cores. A script that uses the default must do so under ``if __name__ == "__main__":``.
    progressbar : bool, default True
        Whether to show how many fits are done.

    Returns
    -------
    Fits
        ``fits``, ``errors`` and ``warnings``, by the tables' keys. A table that is wrong, or a
        process that is killed, costs its own fit only. Ctrl-C ends what has not begun and returns
        what is done.

    Raises
    ------
    TypeError
        If `tables` is not a mapping, `function` cannot be called, or a number is none.
    ValueError
        If there are no tables, or a number makes no sense.

    Warns
    -----
    ConvergenceWarning
        Once, if some fits should not be used as they are.

    Notes
    -----
    Models of :mod:`hbm.exams` are compiled once in each process for all tables with up to so many
    schools: the shorter ones are filled up with schools of no students, which say nothing and are
    cut off again. Other models are compiled for each table.

    Examples
    --------
    >>> import hbm
    >>> results = hbm.load_dataset("diploma")
    >>> tables = {
    ...     year: hbm.exam_table(results, course="Mathematics 30-1", year=year)
    ...     for year in (2015, 2016)
    ... }
    >>> each = hbm.sample_each(hbm.exams.nested, tables, random_seed=1)  # doctest: +SKIP
    >>> model, fit = each.fits[2016]  # doctest: +SKIP
    """
    if not isinstance(tables, Mapping):
        raise TypeError(f"tables must map keys to tables, got {type(tables).__name__}")
    if not callable(function):
        raise TypeError(f"function must return a model, got {type(function).__name__}")
    if not tables:
        raise ValueError("there are no tables to fit")
    check_lengths(draws, tune, chains)
    seeds = np.random.SeedSequence(random_seed).generate_state(len(tables)).tolist()
    settings = {"draws": draws, "tune": tune, "chains": chains, "target_accept": target_accept}
    models, errors = {}, {}
    for key, table in tables.items():
        try:
            models[key] = function(table)
        except Exception as error:
            errors[key] = error
    seed_of = dict(zip(tables, seeds, strict=True))
    tasks = {
        key: (function, tables[key], shape, settings | {"random_seed": seed_of[key]})
        for key, shape in common_shapes({key: shape_of(m) for key, m in models.items()}).items()
    }
    done, failed = _run(tasks, executor, progressbar)
    errors |= failed
    poor = {key: done[key][1] for key in tables if key in done and done[key][1]}
    if poor:
        warnings.warn(
            f"{len(poor)} of {len(tables)} fits should not be used as they are: "
            + "; ".join(f"{key!r}: {_failed(text)}" for key, text in poor.items()),
            ConvergenceWarning,
            stacklevel=2,
        )
    return Fits(
        fits={key: (models[key], done[key][0]) for key in tables if key in done},
        errors={key: errors[key] for key in tables if key in errors},
        warnings=poor,
    )


def _run(
    tasks: dict[Hashable, tuple[Any, ...]], executor: Executor | None, progressbar: bool
) -> tuple[dict[Hashable, tuple[xr.DataTree, str]], dict[Hashable, Exception]]:
    """Run the tasks and return results and errors, by key."""
    from rich.progress import Progress

    if not tasks:
        return {}, {}
    own = executor is None
    if own:
        workers = min(cores_there(), len(tasks))
        # A forked process would inherit threads that do not live on in it.
        executor = ProcessPoolExecutor(workers, mp_context=get_context("spawn"))
    done: dict[Hashable, tuple[xr.DataTree, str]] = {}
    errors: dict[Hashable, Exception] = {}
    futures: dict[Any, Hashable] = {}
    try:
        futures = {executor.submit(_fit, *task): key for key, task in tasks.items()}
        with Progress(disable=not progressbar) as progress:
            bar = progress.add_task("Fits", total=len(futures))
            for future in as_completed(futures):
                key = futures[future]
                try:
                    done[key] = future.result()
                except Exception as error:
                    errors[key] = error
                progress.advance(bar)
    except KeyboardInterrupt:
        for future in futures:
            future.cancel()
        for key in tasks.keys() - done.keys() - errors.keys():
            errors[key] = RuntimeError("interrupted before it was done")
    finally:
        if own:
            executor.shutdown(wait=False, cancel_futures=True)
    return done, errors


# The last model compiled in this thread: numbers are put into it, which two at a time cannot do.
_last = threading.local()


def _fit(
    function: Callable[[pd.DataFrame], pm.Model],
    table: pd.DataFrame,
    shape: Shape | None,
    settings: dict[str, Any],
) -> tuple[xr.DataTree, str]:
    """Fit one table, in whatever process this is; return what was warned of as text."""
    model = function(table)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", ConvergenceWarning)
        if shape is None:
            fit = sample(model, cores=1, progressbar=False, **settings)
        else:
            if getattr(_last, "shape", None) != shape:
                _last.compiled = Compiled(model, shape)
                _last.shape = shape
            tune, accept = adaptation(model, settings["tune"], settings["target_accept"])
            own = {"tune": tune, "target_accept": accept}
            fit = _last.compiled.sample(model, **settings | own)
            warn_if_poor(fit)
    texts = [str(w.message) for w in caught if issubclass(w.category, ConvergenceWarning)]
    return fit, "\n".join(texts)


def _failed(diagnosis: str) -> str:
    """Return the names of the checks that a diagnosis found wanting."""
    lines = [line.split("FAIL", 1)[1] for line in diagnosis.splitlines() if "FAIL" in line]
    return ", ".join(line.split("  (")[0].strip().replace("  ", " ") for line in lines)
