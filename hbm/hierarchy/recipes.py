"""Recipes: how a model was made, remembered, so that it can be saved with its fit and made again.

A PyMC model does not know its maker. The model functions of this package are marked
:func:`remembered`: what one was called with stays beside the model for as long as the model lives.
"""

import dataclasses
import functools
import importlib
import inspect
import math
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

import numpy as np
import pandas as pd
import pymc as pm

from hbm.tables.labels import label_text, require_columns

__all__ = ["Recipe", "check_priors", "columns_of", "recipe_of", "remembered"]

_MODULES = ("hbm.heights", "hbm.scores", "hbm.exams", "hbm.article")
_LABELS = ("country", "authority", "district", "school")
# Name of a model's observed variable: the columns of numbers that it was made from.
_NUMBERS = {
    "height": ["height"],
    "summary": ["n_people", "mean", "sd"],
    "score": ["score"],
    "exam": ["n_students", "mean", "sd"],
    "exam_mean": ["n_students", "mean"],
    "school_mean": ["n_students", "mean"],
}


class Recipe(NamedTuple):
    """How a model was made.

    Attributes
    ----------
    function : str
        Name of the function, for example ``"hbm.exams.nested"``.
    table : pandas.DataFrame
        The columns that the model was made from, labels as text and numbers as float.
    arguments : dict of str to object
        All other arguments, defaults among them.
    """

    function: str
    table: pd.DataFrame
    arguments: dict[str, Any]


_recipes: WeakKeyDictionary[pm.Model, Recipe] = WeakKeyDictionary()


def remembered[**P](function: Callable[P, pm.Model]) -> Callable[P, pm.Model]:
    """Make a function that builds a model from a table remember how it built each.

    Parameters
    ----------
    function : callable
        Its first parameter is called ``table``.

    Returns
    -------
    callable
        The same function; :func:`recipe_of` finds the recipe of a model it made.

    Examples
    --------
    >>> import hbm
    >>> model = hbm.heights.partial_pooling(hbm.load_dataset("heights"))
    >>> recipe = recipe_of(model)
    >>> recipe.function, recipe.arguments["parameterisation"], list(recipe.table)
    ('hbm.heights.partial_pooling', 'informed', ['country', 'height'])
    """
    signature = inspect.signature(function)
    priors = signature.parameters.get("priors")

    @functools.wraps(function)
    def build(*args: P.args, **kwargs: P.kwargs) -> pm.Model:
        given = kwargs.get("priors", priors and priors.default)
        if priors and not isinstance(given, type(priors.default)):
            raise TypeError(
                f"priors must be a Priors of {function.__module__}, got {type(given).__name__} of "
                f"{type(given).__module__}"
            )
        model = function(*args, **kwargs)
        bound = signature.bind(*args, **kwargs)
        bound.apply_defaults()
        table = bound.arguments.pop("table")
        numbers = _NUMBERS[model.observed_RVs[0].name]
        columns = [name for name in _LABELS if name in model.coords] + numbers
        _recipes[model] = Recipe(
            f"{function.__module__}.{function.__name__}",
            columns_of(table, columns),
            bound.arguments,
        )
        return model

    return build


def recipe_of(model: pm.Model) -> Recipe:
    """Return how a model was made.

    Parameters
    ----------
    model : pymc.Model
        A model made by a function of :mod:`hbm.heights`, :mod:`hbm.scores`, :mod:`hbm.exams` or
        :mod:`hbm.article`.

    Returns
    -------
    Recipe

    Raises
    ------
    TypeError
        If `model` is not a PyMC model.
    ValueError
        If it was made otherwise, or is a copy.

    Examples
    --------
    >>> import pymc as pm
    >>> recipe_of(pm.Model())
    Traceback (most recent call last):
        ...
    ValueError: the model was not made by a function of hbm.heights, hbm.scores, hbm.exams or ...
    """
    if not isinstance(model, pm.Model):
        raise TypeError(f"model must be a pymc.Model, got {type(model).__name__}")
    if model not in _recipes:
        raise ValueError(
            "the model was not made by a function of hbm.heights, hbm.scores, hbm.exams or "
            "hbm.article, or is a copy of one that was, so that it cannot be made again from a "
            "file. The fit alone can be kept with fit.to_netcdf(path)"
        )
    return _recipes[model]


def module_and_name(function: str) -> tuple[ModuleType, str]:
    """Find a model's function among those of this package, and never elsewhere."""
    module, _, name = function.rpartition(".")
    if module not in _MODULES or name not in importlib.import_module(module).__all__:
        raise ValueError(f"this version of hbm has no model {function!r}")
    return importlib.import_module(module), name


def make_again(recipe: Recipe) -> pm.Model:
    """Make a model by its recipe."""
    module, name = module_and_name(recipe.function)
    return getattr(module, name)(recipe.table, **recipe.arguments)


def check_priors(priors: Any, *, positive: Sequence[str]) -> None:
    """Raise unless the fields of priors are finite numbers, and some of them positive.

    Parameters
    ----------
    priors : dataclass
        Its fields are numbers.
    positive : sequence of str
        Fields that must be above 0.

    Raises
    ------
    TypeError
        If a field is no number.
    ValueError
        If a field is out of range.

    Examples
    --------
    >>> import hbm
    >>> hbm.exams.Priors(tau_school=-0.5)
    Traceback (most recent call last):
        ...
    ValueError: tau_school of the priors must be a positive number, got -0.5
    """
    for field in dataclasses.fields(priors):
        value = getattr(priors, field.name)
        if isinstance(value, bool) or not isinstance(value, int | float | np.number):
            raise TypeError(f"{field.name} of the priors must be a number, got {value!r}")
        if field.name in positive and not (0 < value < math.inf):
            raise ValueError(f"{field.name} of the priors must be a positive number, got {value!r}")
        if not math.isfinite(value):
            raise ValueError(f"{field.name} of the priors must be a finite number, got {value!r}")


def columns_of(table: pd.DataFrame, columns: list[str]) -> pd.DataFrame:
    """Copy columns of a table as a model reads them: labels as text, numbers as float.

    Parameters
    ----------
    table : pandas.DataFrame
        Has `columns`.
    columns : list of str
        Columns of labels, such as ``school``, and of numbers.

    Returns
    -------
    pandas.DataFrame
        On a fresh index.

    Raises
    ------
    TypeError, ValueError
        If the table lacks a column, or a number is none.

    Examples
    --------
    >>> import pandas as pd
    >>> table = pd.DataFrame({"school": [9, 12], "mean": [0, 1], "town": ["x", "y"]})
    >>> columns_of(table, ["school", "mean"]).to_dict("list")
    {'school': ['9', '12'], 'mean': [0.0, 1.0]}
    """
    require_columns(table, columns)
    return pd.DataFrame(
        {
            name: label_text(table, name).to_numpy()
            if name in _LABELS
            else table[name].to_numpy(dtype=float, na_value=float("nan"))
            for name in columns
        }
    )
