"""Recipes: how a model was made, remembered, so that it can be saved with its fit and made again.

A PyMC model does not know its maker. The model functions of this package are marked
:func:`remembered`: what one was called with stays beside the model for as long as the model lives.
"""

import functools
import inspect
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

import pandas as pd
import pymc as pm

from hbm.hierarchy.conflict import quiet
from hbm.hierarchy.fitted import check_model
from hbm.hierarchy.model import TableModel
from hbm.tables.columns import require_columns
from hbm.tables.labels import label_text

__all__ = [
    "Recipe",
    "columns_of",
    "make_again",
    "maker",
    "priors_of",
    "recipe_of",
    "remembered",
    "takes",
]


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
_makers: dict[str, Callable[..., pm.Model]] = {}


def remembered[**P](function: Callable[P, TableModel]) -> Callable[P, TableModel]:
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
    name = f"{function.__module__}.{function.__name__}"

    @functools.wraps(function)
    def build(*args: P.args, **kwargs: P.kwargs) -> TableModel:
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
        labels, numbers = model.description.columns
        # The article's single school need not be named.
        labels = [column for column in labels if column in table]
        # Nor need the numbers of individuals be in a table of these.
        numbers = [column for column in numbers if column in table]
        _recipes[model] = Recipe(name, columns_of(table, labels, numbers), bound.arguments)
        return model

    _makers[name] = build
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
    check_model(model)
    if model not in _recipes:
        raise ValueError(
            "the model was not made by a function of hbm.heights, hbm.scores, hbm.exams or "
            "hbm.article, or is a copy of one that was, so that it cannot be made again from a "
            "file. The fit alone can be kept with fit.to_netcdf(path)"
        )
    return _recipes[model]


def maker(function: str) -> Callable[..., pm.Model]:
    """Return a model's function by its name, one of this package and never another."""
    if function not in _makers:
        raise ValueError(f"this version of hbm has no model {function!r}")
    return _makers[function]


def priors_of(function: str) -> type | None:
    """Return the class of priors that a model's function takes, if it takes any."""
    priors = inspect.signature(maker(function)).parameters.get("priors")
    return None if priors is None else type(priors.default)


def takes(function: str, argument: str) -> bool:
    """Return whether a model's function has an argument."""
    return argument in inspect.signature(maker(function)).parameters


def make_again(recipe: Recipe) -> pm.Model:
    """Make a model by its recipe."""
    with quiet():
        return maker(recipe.function)(recipe.table, **recipe.arguments)


def columns_of(table: pd.DataFrame, labels: Sequence[str], numbers: Sequence[str]) -> pd.DataFrame:
    """Copy columns of a table as a model reads them: labels as text, numbers as float.

    Parameters
    ----------
    table : pandas.DataFrame
        Has the columns.
    labels, numbers : sequence of str
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
    >>> columns_of(table, ["school"], ["mean"]).to_dict("list")
    {'school': ['9', '12'], 'mean': [0.0, 1.0]}
    """
    require_columns(table, [*labels, *numbers])
    columns = {name: label_text(table, name).to_numpy() for name in labels}
    columns |= {name: table[name].to_numpy(dtype=float, na_value=float("nan")) for name in numbers}
    return pd.DataFrame(columns)
