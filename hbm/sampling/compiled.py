"""Compiled once, fitted to many tables: models of exams whose tables differ in their numbers.

Compiling a model takes as long as sampling from it. What is compiled hangs on the numbers of
schools and of authorities only, if the table's numbers are left open and shorter tables are filled
up with schools of no students: such a school says nothing (its density is 1), its effect is a draw
from the population, and the posterior of all else stays as it was.
"""

import time
from collections.abc import Hashable, Mapping
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pymc as pm
import pytensor
import xarray as xr
from pymc.backends.arviz import patch_nutpie_idata
from pytensor.graph.basic import Constant

from hbm.hierarchy.parameterisation import Informed, raw_starts
from hbm.hierarchy.recipes import make_again, recipe_of
from hbm.sampling.posterior import finished

__all__ = ["Compiled", "Shape", "common_shapes", "shape_of"]

# Of the largest table's schools: a table with fewer is not worth filling up. At half its size
# filling up was measured to cost a fit a fifth, and compiling again as much as two fits.
_LEAST_FILLED = 0.4
_VARIABLES = {
    *("eta", "tau_authority", "tau_school", "nu", "tau_nu"),
    *("eta_authority", "eta_school", "log_nu_school"),
    *("mu", "mu_authority", "mu_school", "nu_school"),
}


class Shape(NamedTuple):
    """What one compiled model can be fitted to.

    Attributes
    ----------
    function : str
        Name of the model's function.
    arguments : str
        Its arguments beside the table, as text.
    schools, authorities : int
        How many there are, or how many there is room for; no authorities for a model without them.
    """

    function: str
    arguments: str
    schools: int
    authorities: int


def shape_of(model: pm.Model) -> Shape | None:
    """Return the shape of a model of exams; None for any other model.

    None, too, for the centred form, in which a school of no students would be a funnel.

    Parameters
    ----------
    model : pymc.Model
        Any model.

    Returns
    -------
    Shape or None

    Examples
    --------
    >>> import hbm
    >>> table = hbm.simulate.exams([2, 1], [5, 8, 40], random_seed=1)[0]
    >>> shape_of(hbm.exams.nested(table))[2:]
    (3, 2)
    """
    try:
        recipe = recipe_of(model)
    except ValueError:
        return None
    if not recipe.function.startswith("hbm.exams."):
        return None
    # Something may have been added to the model since it was made.
    names = {variable.name for variable in model.free_RVs + model.deterministics}
    if names - _VARIABLES or len(model.observed_RVs) > 1 or model.potentials:
        return None
    if recipe.arguments["parameterisation"] == "centred":
        return None
    return Shape(
        recipe.function,
        repr(recipe.arguments),
        len(model.coords["school"]),
        len(model.coords.get("authority", ())),
    )


def common_shapes(shapes: Mapping[Hashable, Shape | None]) -> dict[Hashable, Shape | None]:
    """Find a few shapes that hold many.

    Parameters
    ----------
    shapes : mapping of key to Shape or None
        What the models have.

    Returns
    -------
    dict of key to Shape or None
        What to compile for each: None where it has no shape, or would share it with no other. Those
        that share one stand next to each other, large ones first.

    Examples
    --------
    >>> sizes = {"a": (300, 80), "b": (7, 3), "c": (280, 90)}
    >>> shared = common_shapes({key: Shape("f", "", *size) for key, size in sizes.items()})
    >>> [(key, shape and shape[2:]) for key, shape in shared.items()]
    [('a', (300, 90)), ('c', (300, 90)), ('b', None)]
    """
    runs: list[list[tuple[Hashable, Shape]]] = []
    known = [(key, shape) for key, shape in shapes.items() if shape is not None]
    for key, shape in sorted(known, key=lambda item: (*item[1][:2], -item[1].schools)):
        largest = runs[-1][0][1] if runs else None
        if (
            largest is not None
            and shape[:2] == largest[:2]
            and shape.schools >= _LEAST_FILLED * largest.schools
        ):
            runs[-1].append((key, shape))
        else:
            runs.append([(key, shape)])
    common: dict[Hashable, Shape | None] = {}
    for run in sorted(runs, key=lambda run: -run[0][1].schools):
        _, largest = run[0]
        shared = largest._replace(authorities=max(shape.authorities for _, shape in run))
        common |= dict.fromkeys([key for key, _ in run], shared if len(run) > 1 else None)
    return common | {key: None for key, shape in shapes.items() if shape is None}


class Compiled:
    """A model of exams, compiled for tables of up to so many schools and authorities.

    Parameters
    ----------
    model : pymc.Model
        One of the models: what it is counts, not its numbers.
    shape : Shape
        What the model must hold.

    Examples
    --------
    >>> import hbm
    >>> table = hbm.simulate.exams([2, 1], [5, 8, 40], random_seed=1)[0]
    >>> model = hbm.exams.nested(table)
    >>> compiled = Compiled(model, shape_of(model))  # doctest: +SKIP
    >>> fit = compiled.sample(model, draws=100)  # doctest: +SKIP
    """

    def __init__(self, model: pm.Model, shape: Shape) -> None:
        import nutpie

        recipe = recipe_of(model)
        model = make_again(recipe._replace(table=_table_of(shape, recipe.table)))
        self._variables = _open(model)
        self._compiled = nutpie.compile_pymc_model(
            model,
            # Variables too, for the starts to follow the table's numbers.
            initial_points={name: model[f"{name}_raw"][0] for name in raw_starts(model)},
        )

    def use(self, model: pm.Model) -> None:
        """Put a model's numbers in place, filled up to the shape."""
        numbers = _numbers(model)
        for name, variable in self._variables.items():
            variable.set_value(_fill(numbers[name], variable.get_value().shape))

    def sample(
        self,
        model: pm.Model,
        draws: int,
        *,
        tune: int | None,
        chains: int,
        target_accept: float,
        random_seed: int,
    ) -> xr.DataTree:
        """Draw from the posterior of a model that fits into the shape.

        Parameters
        ----------
        model : pymc.Model
            Made by the same function.
        draws, tune, chains, target_accept, random_seed
            As for :func:`hbm.sample`.

        Returns
        -------
        xarray.DataTree
            As from :func:`hbm.sample`, unchecked.
        """
        import nutpie

        self.use(model)
        compiled = self._compiled.with_data(
            **{
                variable.name: variable.get_value()
                for variable in self._compiled.shared_var_keys
                if variable.name in self._variables
            }
        )
        start = time.time()
        fit = nutpie.sample(
            compiled,
            draws=draws,
            tune=tune,
            chains=chains,
            cores=1,
            seed=random_seed,
            target_accept=target_accept,
            progress_bar=False,
            save_warmup=False,
        )
        seconds = time.time() - start
        fit = finished(fit, draws, chains)
        fit["posterior"] = _cut(fit["posterior"].to_dataset(), model)
        patch_nutpie_idata(fit, model, sampling_time=seconds)
        return fit


def _table_of(shape: Shape, like: pd.DataFrame) -> pd.DataFrame:
    """Make a table of a shape, with the columns of another. Its numbers will be replaced."""
    table = like.iloc[np.zeros(shape.schools, dtype=int)].reset_index(drop=True)
    table["school"] = [str(i) for i in range(shape.schools)]
    if shape.authorities:
        table["authority"] = [str(min(i, shape.authorities - 1)) for i in range(shape.schools)]
    return table


def _numbers(model: pm.Model) -> dict[str, np.ndarray]:
    """Return all that a model took from its table, by name."""
    numbers = {data.name: data.get_value() for data in model.data_vars}
    for rv, transform in _informed(model):
        numbers[f"{rv.name} estimate"] = transform.estimate
        numbers[f"{rv.name} precision"] = transform.precision
    (observed,) = model.observed_RVs
    numbers["observed"] = model.rvs_to_values[observed].data
    numbers["students"] = observed.owner.inputs[_size_of(observed)].data
    return numbers


def _open(model: pm.Model) -> dict[str, Any]:
    """Put variables in place of all that a model took from its table; return them by name."""
    variables = {
        name: pytensor.shared(np.asarray(value), name=name)
        for name, value in _numbers(model).items()
        if name not in model.named_vars
    }
    for rv, transform in _informed(model):
        transform.estimate = variables[f"{rv.name} estimate"]
        transform.precision = variables[f"{rv.name} precision"]
        # A transform may use only what its variable hangs on already.
        *before, mean, sd = rv.owner.inputs
        nothing = 0 * (transform.estimate + transform.precision)
        rv.owner.inputs[:] = [*before, mean + nothing, sd]
    (observed,) = model.observed_RVs
    model.rvs_to_values[observed] = variables["observed"]
    model.values_to_rvs[variables["observed"]] = observed
    observed.owner.inputs[_size_of(observed)] = variables["students"]
    return variables | {data.name: data for data in model.data_vars}


def _informed(model: pm.Model) -> list[tuple[Any, Informed]]:
    transforms = [(rv, model.rvs_to_transforms[rv]) for rv in model.free_RVs]
    return [(rv, transform) for rv, transform in transforms if isinstance(transform, Informed)]


def _size_of(observed: Any) -> int:
    """Return which input of the observed variable has the numbers of students."""
    (position,) = (
        i
        for i, variable in enumerate(observed.owner.inputs)
        if isinstance(variable, Constant) and getattr(variable.type, "ndim", 0) == 1
    )
    return position


def _fill(values: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Fill an array up with zeros: no students, no precision, the first authority."""
    filled = np.zeros(shape, dtype=np.asarray(values).dtype)
    filled[tuple(slice(size) for size in np.shape(values))] = values
    return filled


def _cut(posterior: xr.Dataset, model: pm.Model) -> xr.DataTree:
    """Return the draws of the model's own schools and authorities, by their labels."""
    own = {dim: labels for dim, labels in model.coords.items() if dim in posterior.dims}
    cut = posterior.isel({dim: slice(len(labels)) for dim, labels in own.items()})
    return xr.DataTree(cut.assign_coords({dim: list(labels) for dim, labels in own.items()}))
