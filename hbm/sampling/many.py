"""Many fits: one model for each of many tables, several at a time.

One fit after the other leaves most of a machine idle, and compiles each model anew.
:func:`sample_each` hands the tables to several processes, or to any executor that is given, has
each compile a model of exams once for all tables of like size, keeps what succeeds and says what
failed.
"""

import hashlib
import multiprocessing
import pickle
import threading
import warnings
from collections.abc import Callable, Hashable, Mapping
from concurrent.futures import BrokenExecutor, Executor, ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from multiprocessing.spawn import get_preparation_data
from typing import Any, Literal

import numpy as np
import pandas as pd
import pymc as pm
import xarray as xr

from hbm.hierarchy.conflict import quiet
from hbm.sampling.compiled import Compiled, Shape, common_shapes, shape_of
from hbm.sampling.diagnostics import ConvergenceWarning
from hbm.sampling.inputs import check_acceptance, check_lengths, check_whole_number
from hbm.sampling.posterior import (
    adaptation,
    draw,
    reason_for_nuts,
    what_is_poor,
)
from hbm.sampling.progress import progress_bar
from hbm.sampling.threads import cores_there

__all__ = ["Fits", "sample_each"]

_GUARD = (
    "each new process runs the script that calls hbm.sample_each once more, so that what the "
    'script does must stand under if __name__ == "__main__":'
)


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
    method: Literal["auto", "direct", "nuts"] = "auto",
    executor: Executor | None = None,
    progressbar: bool = True,
) -> Fits:
    """Fit a model to each of many tables, several at a time.

    Parameters
    ----------
    function : callable
        Takes a table and returns the model, for example ``hbm.exams.nested``; with options,
        ``functools.partial(hbm.exams.nested, priors=...)``. Other processes must be able to import
        it: a function of a module, not a lambda and not one of a notebook. Threads take any.
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
        Each table's own seed is made from this one and from its key, as ``repr`` writes it, and so
        does not change with the other tables, their order, or where it is fitted. The same tables
        have the same draws, as far as they have in :func:`hbm.sample`. If not given, seeds are
        drawn anew each time.
    method : {"auto", "direct", "nuts"}, default "auto"
        How, as for :func:`hbm.sample`. Independent draws compile no model.
    executor : concurrent.futures.Executor, optional
        Where to fit; it is not shut down. By default as many new processes as the machine has
        cores. A script that uses the default must do so under ``if __name__ == "__main__":``.
    progressbar : bool, default True
        Whether to show how many fits are done.

    Returns
    -------
    Fits
        ``fits``, ``errors`` and ``warnings``, by the tables' keys. A table that is wrong, or of
        which `function` makes no model, costs its own fit only; a process that is killed costs the
        fits of its pool that are not done. Ctrl-C ends what has not begun and returns what is done.

    Raises
    ------
    TypeError
        If `tables` is not a mapping, `function` cannot be called, or not be imported by the
        processes it is to run in, or a number is none.
    ValueError
        If there are no tables, or a number makes no sense.
    RuntimeError
        If no new process gets as far as to work, as of a script without
        ``if __name__ == "__main__":``.

    Warns
    -----
    ConvergenceWarning
        Once, if some fits should not be used as they are.

    Notes
    -----
    With NUTS, models of :mod:`hbm.exams` are compiled once in each process or thread for all tables
    with up to so many schools: the shorter ones are filled up with schools of no students, which
    say nothing and are cut off again. Other models are compiled for each table. What a table is
    filled up to hangs on the largest one: another largest table changes the draws of the others,
    and what they estimate by no more than Monte Carlo error.

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
    if getattr(multiprocessing.current_process(), "_inheriting", False):
        raise RuntimeError(_GUARD)
    if not isinstance(tables, Mapping):
        raise TypeError(f"tables must map keys to tables, got {type(tables).__name__}")
    if not callable(function):
        raise TypeError(f"function must return a model, got {type(function).__name__}")
    if not tables:
        raise ValueError("there are no tables to fit")
    check_lengths(draws, tune, chains)
    check_acceptance(target_accept)
    if random_seed is not None:
        check_whole_number("random_seed", random_seed, 0)
    if executor is None or isinstance(executor, ProcessPoolExecutor):
        _check_importable(function)
    settings = {"draws": draws, "tune": tune, "chains": chains, "target_accept": target_accept}
    of_nuts: dict[str, object] = {"tune": tune, "target_accept": target_accept}
    root = np.random.SeedSequence(random_seed)
    models, errors, reasons = {}, {}, {}
    for key, table in tables.items():
        try:
            models[key] = _model_of(function, table)
            reasons[key] = reason_for_nuts(models[key], method, of_nuts)
        except Exception as error:
            errors[key] = error
    # Where draws are independent, nothing is compiled, and there is nothing to share.
    shapes = common_shapes({key: shape_of(m) for key, m in models.items() if reasons.get(key)})
    shapes |= {key: None for key, reason in reasons.items() if not reason}
    tasks = {
        key: (
            function,
            tables[key],
            shape,
            method,
            settings | {"random_seed": _seed_of(key, root)},
        )
        for key, shape in shapes.items()
    }
    # What PyTensor and numba silence for a moment they silence in all threads, and two threads at
    # once may leave it silenced: what is said below has to be heard.
    with warnings.catch_warnings():
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


def _check_importable(function: Callable[[pd.DataFrame], pm.Model]) -> None:
    """Raise unless another process can import a function, as far as can be seen from here."""
    name = getattr(function, "__qualname__", repr(function))
    mend = (
        "define it at the top level of a module and import it, or use functools.partial of such a "
        "function; an executor of threads takes any: executor=ThreadPoolExecutor(4)"
    )
    try:
        pickled = pickle.dumps(function)
    except Exception as error:
        raise TypeError(f"other processes cannot import {name}: {mend}") from error
    # What a new process is told of the main module, in order to run it again.
    if b"__main__" in pickled and not any("main" in name for name in get_preparation_data("")):
        raise TypeError(
            f"other processes cannot import {name}, which was defined at a prompt or in a "
            f"notebook: {mend}"
        )


def _seed_of(key: Hashable, root: np.random.SeedSequence) -> int:
    """Make the seed of a table from its key; hash() would differ between processes."""
    digest = hashlib.sha256(_text_of(key).encode()).digest()
    own = np.random.SeedSequence(root.entropy, spawn_key=tuple(digest))
    return int(own.generate_state(1)[0])


def _text_of(key: Hashable) -> str:
    """Return a key as text, the same for NumPy's numbers as for those that they are equal to."""
    if isinstance(key, tuple):
        return f"({', '.join(map(_text_of, key))})"
    return repr(key.item() if isinstance(key, np.generic) else key)


def _model_of(function: Callable[[pd.DataFrame], pm.Model], table: pd.DataFrame) -> pm.Model:
    model = function(table)
    if not isinstance(model, pm.Model):
        raise TypeError(
            f"function must return a pymc.Model, and returned {type(model).__name__} for this table"
        )
    return model


def _run(
    tasks: dict[Hashable, tuple[Any, ...]], executor: Executor | None, progressbar: bool
) -> tuple[dict[Hashable, tuple[xr.DataTree, str]], dict[Hashable, Exception]]:
    """Run the tasks and return results and errors, by key."""
    if not tasks:
        return {}, {}
    own = executor is None
    if own:
        workers = min(cores_there(), len(tasks))
        # A forked process would inherit threads that do not live on in it.
        context = multiprocessing.get_context("spawn")
        begun = context.Event()
        executor = ProcessPoolExecutor(workers, mp_context=context, initializer=begun.set)
    done: dict[Hashable, tuple[xr.DataTree, str]] = {}
    errors: dict[Hashable, Exception] = {}
    futures: dict[Any, Hashable] = {}
    try:
        for key, task in tasks.items():
            try:
                futures[executor.submit(_fit, *task)] = key
            except BrokenExecutor as error:
                errors[key] = _explained(error)
        with progress_bar(progressbar) as progress:
            bar = progress.add_task("Fits", total=len(futures))
            for future in as_completed(futures):
                key = futures[future]
                try:
                    done[key] = future.result()
                except Exception as error:
                    errors[key] = _explained(error)
                progress.advance(bar)
    except KeyboardInterrupt:
        for future in futures:
            future.cancel()
        for key in tasks.keys() - done.keys() - errors.keys():
            errors[key] = RuntimeError("interrupted before it was done")
    finally:
        if own:
            executor.shutdown(wait=False, cancel_futures=True)
    if own and not begun.is_set() and any(isinstance(e, BrokenExecutor) for e in errors.values()):
        raise RuntimeError(
            "no process got as far as to begin its work; what stopped it stands above. Most "
            f"likely: {_GUARD}"
        )
    return done, errors


def _explained(error: Exception) -> Exception:
    """Say of a pool that is broken what may have broken it."""
    if not isinstance(error, BrokenExecutor):
        return error
    return type(error)(
        f"{error} A process of the pool was killed, perhaps for want of memory, and the fits that "
        "were not done were lost with it: give these tables again, to fewer processes at a time"
    )


# The last model compiled in this thread: numbers are put into it, which two at a time cannot do.
_last = threading.local()
# PyMC keeps the densities of all distributions in one table, which a new model adds to.
_building = threading.Lock()


def _fit(
    function: Callable[[pd.DataFrame], pm.Model],
    table: pd.DataFrame,
    shape: Shape | None,
    method: str,
    settings: dict[str, Any],
) -> tuple[xr.DataTree, str]:
    """Fit one table, in whatever process or thread this is; return what is poor about it as text.

    Nothing is warned of here: what catches warnings catches those of all threads.
    """
    with _building, quiet():
        model = _model_of(function, table)
    if shape is None:
        fit = draw(model, cores=1, progressbar=False, method=method, **settings)
    else:
        if getattr(_last, "shape", None) != shape:
            with _building:
                _last.compiled = Compiled(model, shape)
            _last.shape = shape
        tune, accept = adaptation(model, settings["tune"], settings["target_accept"])
        own = {"tune": tune, "target_accept": accept}
        fit = _last.compiled.sample(model, **settings | own)
    return fit, what_is_poor(fit)


def _failed(diagnosis: str) -> str:
    """Return the names of the checks that a diagnosis found wanting."""
    lines = [line.split("FAIL", 1)[1] for line in diagnosis.splitlines() if "FAIL" in line]
    return ", ".join(" ".join(line.split("  (")[0].split()) for line in lines)
