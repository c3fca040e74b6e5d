"""Compiled once, fitted to many tables: models whose tables differ in their numbers.

Compiling a model takes as long as sampling from it. What is compiled hangs on the numbers of
groups, and of what they stand in, only: the table's numbers are the model's data, and shorter
tables are filled up with groups of no individuals. Such a group says nothing (its density is 1),
its effect is a draw from the population, and the posterior of all else stays as it was. Panels of
the same years are filled up with groups, and with cells, of no individuals.
"""

import time
from collections.abc import Hashable, Mapping
from typing import NamedTuple

import numpy as np
import pandas as pd
import pymc as pm
import xarray as xr
from pymc.backends.arviz import patch_nutpie_idata

from hbm.hierarchy.carried import carry
from hbm.hierarchy.description import Description
from hbm.hierarchy.model import description_of
from hbm.hierarchy.parameterisation import raw_starts
from hbm.hierarchy.recipes import make_again, recipe_of
from hbm.sampling.posterior import finished
from hbm.tables.predictors import coded_as

__all__ = ["Compiled", "Shape", "common_shapes", "shape_of"]

# Of the largest table's groups: a table with fewer is not worth filling up. At half its size
# filling up was measured to cost a fit a fifth, and compiling again as much as two fits
# (tests/benchmarks/filling.py).
_LEAST_FILLED = 0.4


class Shape(NamedTuple):
    """What one compiled model can be fitted to.

    Attributes
    ----------
    function : str
        Name of the model's function.
    arguments : str
        Its arguments beside the table, and what else a graph hangs on, as text.
    sizes : tuple of int
        How many members each level has, or how many there is room for, from the groups up; in a
        panel first the cells.
    """

    function: str
    arguments: str
    sizes: tuple[int, ...]


def shape_of(model: pm.Model) -> Shape | None:
    """Return the shape of a model of heights, scores or exams; None for any other model.

    None, too, for the centred form, in which a group of no individuals would be a funnel.

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
    >>> shape_of(hbm.exams.nested(table)).sizes
    (3, 2)
    """
    d = description_of(model)
    if d is None or not d.effects:
        return None
    recipe = recipe_of(model)
    if recipe.arguments["parameterisation"] == "centred":
        return None
    if _names(model) != _names(make_again(recipe)) or model.potentials:
        return None  # something was added to the model since it was made
    structure = recipe.arguments | {
        "individuals": d.value is not None,
        "unknown sds": bool(d.sd_unknown.any()),
    }
    if d.predictors is not None:
        structure["predictors"] = d.predictors.labels
    sizes = tuple(len(level.labels) for level in reversed(d.levels))
    if d.cells is not None:
        # Gaps between years are in the graph.
        structure["years"] = d.cells.years.tolist()
        sizes = len(d.n), *sizes
    return Shape(recipe.function, repr(structure), sizes)


def _names(model: pm.Model) -> set[str]:
    return set(model.named_vars)


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
    >>> shared = common_shapes({key: Shape("f", "", size) for key, size in sizes.items()})
    >>> [(key, shape and shape.sizes) for key, shape in shared.items()]
    [('a', (300, 90)), ('c', (300, 90)), ('b', None)]
    """
    runs: list[list[tuple[Hashable, Shape]]] = []
    known = [(key, shape) for key, shape in shapes.items() if shape is not None]
    for key, shape in sorted(known, key=lambda item: (*item[1][:2], -item[1].sizes[0])):
        largest = runs[-1][0][1] if runs else None
        if (
            largest is not None
            and shape[:2] == largest[:2]
            and shape.sizes[0] >= _LEAST_FILLED * largest.sizes[0]
        ):
            runs[-1].append((key, shape))
        else:
            runs.append([(key, shape)])
    common: dict[Hashable, Shape | None] = {}
    for run in sorted(runs, key=lambda run: -run[0][1].sizes[0]):
        _, largest = run[0]
        room = np.max([shape.sizes for _, shape in run], axis=0)
        shared = largest._replace(sizes=tuple(int(size) for size in room))
        common |= dict.fromkeys([key for key, _ in run], shared if len(run) > 1 else None)
    return common | {key: None for key, shape in shapes.items() if shape is None}


class Compiled:
    """A model, compiled for tables of up to so many groups and members of levels above.

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
        table = _table_of(shape, recipe.table, description_of(model))
        with coded_as(description_of(model).predictors):
            self._model = make_again(recipe._replace(table=table))
        self._compiled = nutpie.compile_pymc_model(
            self._model,
            # Variables too, for the starts to follow the table's numbers.
            initial_points={
                name: self._model[f"{name}_raw"][0] for name in raw_starts(self._model)
            },
        )

    def use(self, model: pm.Model) -> dict[str, np.ndarray]:
        """Put a model's numbers in place, filled up to the shape, and return them by name."""
        numbers = {}
        for data in self._model.data_vars:
            numbers[data.name] = _fill(data.name, model[data.name].get_value(), data.get_value())
            data.set_value(numbers[data.name])
        return numbers

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

        numbers = self.use(model)
        asked_for = {variable.name for variable in self._compiled.shared_var_keys}
        compiled = self._compiled.with_data(
            **{name: value for name, value in numbers.items() if name in asked_for}
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
        fit["sample_stats"].attrs["method"] = "nuts"
        fit["posterior"] = _cut(fit["posterior"].to_dataset(), model)
        patch_nutpie_idata(fit, model, sampling_time=seconds)
        return carry(model, fit)


def _table_of(shape: Shape, like: pd.DataFrame, d: Description) -> pd.DataFrame:
    """Make a table of a shape, with the columns of another. Its numbers will be replaced."""
    n_rows, *sizes = shape.sizes
    table = like.iloc[np.zeros(n_rows, dtype=int)].reset_index(drop=True)
    at = np.arange(n_rows)
    if d.cells is not None:
        at, year = _cells_of(n_rows, sizes[0], len(d.cells.years))
        table[d.cells.name] = d.cells.years[year].astype(float)
    else:
        sizes.insert(0, n_rows)
    for level, size in zip(reversed(d.levels), sizes, strict=True):
        at = np.minimum(at, size - 1)
        table[level.name] = at.astype(str).astype(object)
    if d.sd_unknown.any():
        table["sd"] = np.nan
    return table


def _cells_of(n: int, n_groups: int, n_years: int) -> tuple[np.ndarray, np.ndarray]:
    """Choose cells of a panel, with all groups and all years among them."""
    first = np.arange(max(n_groups, n_years))
    chosen = (first % n_groups) * n_years + first % n_years
    others = np.setdiff1d(np.arange(n_groups * n_years), chosen)
    return np.divmod(np.concatenate([chosen, others])[:n], n_years)


def _fill(name: str, values: np.ndarray, like: np.ndarray) -> np.ndarray:
    """Fill an array up to the groups of another: no individuals, and the first parent.

    What a table has of individuals is not in a density, and stays as long as it is.
    """
    if name.endswith("_raw"):
        # No information: any estimate, with an infinite standard error.
        filled = np.zeros_like(like)
        filled[1:] = np.inf
        filled[:, : values.shape[1]] = values
        return filled
    if np.ndim(values) == 0 or len(values) >= len(like):
        return values
    filled = np.zeros((len(like), *values.shape[1:]), dtype=values.dtype)
    filled[: len(values)] = values
    return filled


def _cut(posterior: xr.Dataset, model: pm.Model) -> xr.DataTree:
    """Return the draws of the model's own groups, by their labels."""
    own = {dim: labels for dim, labels in model.coords.items() if dim in posterior.dims}
    cut = posterior.isel({dim: slice(len(labels)) for dim, labels in own.items()})
    return xr.DataTree(cut.assign_coords({dim: list(labels) for dim, labels in own.items()}))
