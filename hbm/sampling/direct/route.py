"""A fit by the direct route, the same tree of datasets that a Markov chain gives."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pymc as pm
import xarray as xr
from pymc.backends.arviz import (
    coords_and_dims_for_inferencedata,
    find_constants,
    find_observations,
)

from hbm.hierarchy.carried import carry
from hbm.sampling.diagnostics import BEYOND_GRIDS, GRID_ERROR, K_GOOD
from hbm.sampling.direct.closed import Closed, read_closed
from hbm.sampling.direct.engine import Draws, draw_closed, draw_directly
from hbm.sampling.direct.problem import Problem, read_problem
from hbm.sampling.progress import progress_bar
from hbm.sampling.threads import ONE_THREAD

__all__ = ["direct_fit", "why_not", "why_not_trusted"]


def why_not(model: pm.Model) -> str:
    """Say why independent draws cannot be made of a model; "" if they can.

    Parameters
    ----------
    model : pymc.Model
        Any model.

    Returns
    -------
    str

    Examples
    --------
    >>> import hbm
    >>> why_not(hbm.article.heights(hbm.load_dataset("heights")))
    'it is no model of hbm.heights, hbm.scores or hbm.exams'
    """
    read = _read(model)
    return read if isinstance(read, str) else ""


def _read(model: pm.Model) -> Problem | Closed | str:
    """Read a model as what can be drawn from, with grids or without, or say why it cannot."""
    closed = read_closed(model)
    return closed if isinstance(closed, Closed) else read_problem(model)


def direct_fit(
    model: pm.Model,
    draws: int,
    chains: int,
    random_seed: int | np.random.Generator | None,
    threads: int,
    progressbar: bool = False,
) -> xr.DataTree:
    """Draw from the posterior of a model without a Markov chain.

    Parameters
    ----------
    model : pymc.Model
        One of which :func:`why_not` says nothing.
    draws, chains : int
        Draws of each chain, and chains: parts of one set of independent draws.
    random_seed : int or numpy.random.Generator, optional
        The same seed gives the same draws.
    threads : int
        Threads to work in.
    progressbar : bool, default False
        Show what is done.

    Returns
    -------
    xarray.DataTree
        As from :func:`hbm.sample`.
    """
    # Deep within other imports it takes three times as long: its own look at the whole stack.
    from arviz_base import dict_to_dataset

    began = time.perf_counter()
    rng = np.random.default_rng(random_seed)
    read = _read(model)
    if isinstance(read, str):
        raise ValueError(f"independent draws cannot be made of this model: {read}")
    # Threads of linear algebra would change last digits, and these which points are drawn.
    with _shown(progressbar) as say, ONE_THREAD:
        if isinstance(read, Closed):
            z, drawn = draw_closed(read, draws * chains, rng)
            values = read.values(z, rng)
        else:
            drawn = draw_directly(read, draws * chains, rng, threads, say)
            values = _values(read, drawn)
    values = {v.name: values[v.name] for v in model.unobserved_RVs}
    coords, dims = coords_and_dims_for_inferencedata(model)

    def dataset(values: dict[str, Any], sample_dims: list[str], **attributes: Any) -> xr.DataTree:
        own: Any = {name: dims[name] for name in values if name in dims}
        # Only what is needed: coords are copied for each variable, and students may be a million.
        labels: Any = {d: coords[d] for of_one in own.values() for d in of_one if d in coords}
        if sample_dims:
            labels = {dim: np.array(list(x), dtype=object) for dim, x in labels.items()}
        made = dict_to_dataset(
            values,
            coords=labels,
            dims=own,
            sample_dims=sample_dims,
            inference_library=pm,
            attrs=attributes,
        )
        return xr.DataTree(made)

    def by_chain(x: Any) -> Any:
        return x.reshape(chains, draws, *x.shape[1:])

    weighted = drawn.weighted
    stats = {
        "lp": weighted.log_density[drawn.chosen],
        "log_weight": weighted.log_weight[drawn.chosen],
        "proposal": drawn.chosen,
    }
    samples = ["chain", "draw"]
    seconds = time.perf_counter() - began
    fit = xr.DataTree.from_dict(
        {
            "posterior": dataset(
                {name: by_chain(x) for name, x in values.items()}, samples, sampling_time=seconds
            ),
            "sample_stats": dataset(
                {name: by_chain(x) for name, x in stats.items()}, samples, **_told(drawn)
            ),
            "constant_data": dataset(find_constants(model), []),
            "observed_data": dataset(find_observations(model), []),
        }
    )
    return carry(model, fit)


@contextmanager
def _shown(progressbar: bool) -> Iterator[Callable[[str], None]]:
    """Yield a function that shows what is being done, and for how long draws have been made."""
    from rich.progress import SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn()
    with progress_bar(progressbar, *columns) as progress:
        task = progress.add_task("Independent draws")
        yield lambda what: progress.update(task, description=f"Independent draws: {what}")


def _told(drawn: Draws) -> dict[str, Any]:
    weighted = drawn.weighted
    return {
        "method": "direct",
        "pareto_k": weighted.k,
        "efficiency": weighted.efficiency,
        # Draws of equal weights count in full, to the last digit.
        "effective_draws": min(round(weighted.efficiency * len(weighted.z), 6), len(drawn.chosen)),
        "draws": len(drawn.chosen),
        "grid_error": drawn.grid_error,
        "beyond_grids": drawn.beyond,
        "evaluations": drawn.evaluations,
        "log_marginal_likelihood": weighted.log_integral,
        "log_marginal_likelihood_error": weighted.error,
    }


def why_not_trusted(fit: xr.DataTree) -> str:
    """Say which of its own checks a direct fit fails; "" if none."""
    told = fit["sample_stats"].attrs
    if not told["grid_error"] <= GRID_ERROR:
        return f"its grids are {told['grid_error']:.2g} nats off, more than {GRID_ERROR}"
    if not told["beyond_grids"] <= BEYOND_GRIDS:
        return f"its grids end before {100 * told['beyond_grids']:.1f} % of the posterior"
    if not told["pareto_k"] <= K_GOOD:
        return f"its weights have a Pareto k of {told['pareto_k']:.2f}, more than {K_GOOD}"
    return ""


def _values(problem: Problem, drawn: Draws) -> dict[str, Any]:
    """Return the draws of all variables by name."""
    d, law, k = problem.d, problem.d.law, problem.n_levels
    values = {f"tau_{level.name}": drawn.thetas[:, i] for i, level in enumerate(d.levels)}
    values[law.spread] = np.exp(drawn.thetas[:, k])
    values[f"tau_{law.spread}"] = drawn.thetas[:, k + 1]
    values["design_effect"] = 1 + drawn.thetas[:, k + 2]
    if d.predictors is not None:
        free = np.split(drawn.thetas[:, k + 3 :], 2, axis=1)
        for name, contrasts in zip(("beta", "gamma"), free, strict=True):
            values[f"{name}_contrast"] = contrasts
            values[name] = contrasts @ d.predictors.contrasts.T
    eta = values[d.effect()] = drawn.effects[:, 0]
    values["mu"] = law.mean_of(eta)
    begin = 1
    for level in d.levels:
        own = drawn.effects[:, begin : begin + len(level.labels)]
        begin += len(level.labels)
        values[d.effect(level.name)] = own
        values[d.mean_name if level is d.levels[-1] else f"mu_{level.name}"] = law.mean_of(own)
    values[f"log_{d.spread_name}"] = drawn.log_nu
    values[d.spread_name] = np.exp(drawn.log_nu)
    return values
