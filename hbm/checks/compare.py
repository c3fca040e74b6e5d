"""Comparison of models by how well they predict what they have not seen."""

import copy
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pymc as pm
import xarray as xr

from hbm.checks.leave_out import psis, read_with_unit, warn_of_k
from hbm.hierarchy.description import Description
from hbm.hierarchy.fitted import Fitted

if TYPE_CHECKING:
    from arviz_stats.utils import ELPDData

__all__ = ["compare"]


def compare(
    models: "Mapping[str, tuple[pm.Model, xr.DataTree] | ELPDData]", unit: str = "school"
) -> pd.DataFrame:
    """Compare models of the same data by how well they predict a unit they have not seen.

    Parameters
    ----------
    models : dict of str to (pymc.Model, xarray.DataTree)
        Models with their fits, by name; or results of :func:`hbm.loo` for the same unit, in which
        exact refits count.
    unit : str, default "school"
        What is left out at a time, as for :func:`loo`.

    Returns
    -------
    pandas.DataFrame
        ArviZ's comparison table, the best model first: ``elpd_diff`` to the best with its standard
        error ``dse``, stacking ``weight`` and more, not rounded; ``az.plot_compare`` draws it. A
        column ``note`` says where a model without pooling predicts from its fixed population.

    Raises
    ------
    TypeError
        If `models` is no mapping, or a value in it neither a pair of a model and its fit nor a
        result of :func:`hbm.loo`.
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

    if not isinstance(models, Mapping):
        raise TypeError(
            "models must map names to pairs (model, fit) or results of hbm.loo, such as "
            f"{{'nested': (model, fit), ...}}, got {type(models).__name__}"
        )
    if len(models) < 2:
        raise ValueError("give two models or more to compare")
    results = {name: _result(name, given, unit) for name, given in models.items()}
    (first, reference), *others = ((name, of.fitted.d) for name, of in results.items())
    for name, d in others:
        difference = _difference(reference, d, unit)
        if difference:
            raise ValueError(
                f"models of different data cannot be compared: {first!r} and {name!r} {difference}"
            )
    for name, result in results.items():
        if result.warning:
            warn_of_k(result, unit, name)
    # Stacking takes exponentials of these, which overflow for units of many individuals; only
    # their differences between models matter, so each unit's best is taken off.
    best = np.max([result.elpd_i.to_numpy() for result in results.values()], axis=0)
    shifted = {name: copy.copy(result) for name, result in results.items()}
    for result in shifted.values():
        result.elpd_i = result.elpd_i - best
    table = arviz_compare(shifted, round_to="none")
    notes = [_note(results[name].fitted, unit) for name in table.index]
    return table.assign(note=notes) if any(notes) else table


def _result(name: str, given: Any, unit: str) -> Any:
    """Return a result of leaving out, made from a model and its fit unless it is given."""
    if isinstance(given, tuple) and len(given) == 2:
        fitted = read_with_unit(*given, unit, name)
        result, _ = psis(fitted, unit)
        result.fitted, result.unit = fitted, unit
        return result
    if not hasattr(given, "fitted"):
        raise TypeError(
            f"{name!r} must be a pair (model, fit) or a result of hbm.loo, got "
            f"{type(given).__name__}"
        )
    if given.unit != unit:
        raise ValueError(
            f"{name!r} is a result of leaving out a {given.unit}, and unit is {unit!r}: models are "
            "comparable only by the same unit"
        )
    return given


def _note(f: Fitted, unit: str) -> str:
    """Say where a prior decides how a model predicts."""
    if f.pools or unit == f.d.individual:
        return ""
    centre, tau = float(f.grand_mean[0]), float(f.tau(f.d.group)[0])
    return (
        f"a {unit} left out is predicted from a fixed population, N({centre:g}, {tau:g}): the "
        "difference measures that choice"
    )


def _difference(a: Description, b: Description, unit: str) -> str | None:
    """Say what differs between the data of two fits."""
    if a.observed != b.observed:
        return f"observe different things, {a.observed!r} and {b.observed!r}"
    if a.panel != b.panel:
        return "are of one year and of several"
    dims = [a.group, *(["cell"] if a.panel else []), *([] if unit == a.last else [unit])]
    for dim in dict.fromkeys(dims):
        if dim not in a.coords or dim not in b.coords:
            return f"have no {dim} in common"
        first, second = a.coords[dim], b.coords[dim]
        if not np.array_equal(first, second):
            only = [x for x in first if x not in b.positions[dim]]
            only += [x for x in second if x not in a.positions[dim]]
            if only:
                shown = ", ".join(map(repr, only[:5]))
                return f"have a different {dim}: only one of them has {shown}"
            return f"have the same labels of {dim} in another order; sort their tables alike"
    if unit not in (a.individual, a.group, a.last):
        moved = a.coords[a.cell][a.ancestor_of(unit) != b.ancestor_of(unit)]
        if len(moved):
            return f"have a different {unit} of {a.cell} {', '.join(map(repr, moved[:5]))}"
    # The mean and sd of individuals are theirs, up to rounding that depends on their order.
    for name in ("n", "mean", "sd") if a.value is None else ("n",):
        one, other = getattr(a, name), getattr(b, name)
        different = a.coords[a.cell][~((one == other) | (np.isnan(one) & np.isnan(other)))]
        if len(different):
            return f"have a different {name} of {a.cell} {', '.join(map(repr, different[:5]))}"
    if a.value is not None and not np.array_equal(a.value, b.value):
        return f"have different results of some {a.individual}, or the same in another order"
    return None
