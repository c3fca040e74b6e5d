"""How a page was made: the model in its own words, its priors, data, versions, seed and date."""

import dataclasses
import inspect
from datetime import date
from typing import Any

import numpy as np

from hbm.hierarchy.recipes import Recipe, maker
from hbm.page.gather import Tables
from hbm.page.words import listed
from hbm.sampling.storage import package_versions, table_sha256
from hbm.tables.words import a

__all__ = ["equations", "made_with", "priors", "story", "with_predictors"]

_UNKNOWN = "not recorded"


def story(recipe: Recipe) -> str:
    """Return in a sentence what a model is.

    Examples
    --------
    >>> import hbm
    >>> from hbm.hierarchy.recipes import recipe_of
    >>> story(recipe_of(hbm.heights.partial_pooling(hbm.load_dataset("heights"))))
    'the model in which countries share a population, whose spread is learned.'
    """
    return _paragraphs(recipe)[0].removeprefix("Build ")


def equations(recipe: Recipe) -> str:
    """Return what a model is, in the notation of its function's docstring."""
    return _paragraphs(recipe)[1].replace("`", "")


def with_predictors(t: Tables) -> str:
    """Return what predictors change of these equations, in the words of the model; "" if none."""
    d = t.d
    if d.predictors is None:
        return ""
    moved, known = [], []
    for level in reversed(d.levels):
        name, around = level.name, d.effect(d.above(level.name))
        columns = [coding.name for coding in d.predictors.coding if coding.level == name]
        if not columns:
            continue
        known.append(f"{listed(columns)} of {a(name)}")
        if d.panel and name == d.group:
            year = d.cells.name
            moved.append(f"{d.effect(name)} in a {year} is {around} + effect_{year} + x · beta + d")
        else:
            moved.append(f"{d.effect(name)} ~ N({around} + x · beta, tau_{name})")
    given = t.recipe.arguments["priors"]
    priors = [f"beta ~ N(0, {given.beta_sd:g})"]
    if d.law.spread_varies:
        spread = d.law.spread
        moved.append(f"log {d.spread_name} ~ N(log {spread} + x · gamma, tau_{spread})")
        priors.append(f"gamma ~ N(0, {given.gamma_sd:g})")
    if any(coding.categories for coding in d.predictors.coding):
        priors.append("and effects of categories sum to zero")
    told = f"With predictors, {listed(moved)}, where x is {listed(known)}, coded"
    return f"{told}; {', '.join(priors)}."


def _paragraphs(recipe: Recipe) -> list[str]:
    text = inspect.getdoc(maker(recipe.function)) or ""
    return [" ".join(part.split()) for part in text.split("\n\n")]


def priors(recipe: Recipe) -> list[tuple[str, str]]:
    """Return the priors of a model, by name."""
    given = recipe.arguments.get("priors")
    return [] if given is None else [(k, str(v)) for k, v in dataclasses.asdict(given).items()]


def made_with(t: Tables) -> list[tuple[str, str]]:
    """Return what else it takes to make the same page again, as names and texts."""
    arguments = {k: v for k, v in t.recipe.arguments.items() if k != "priors"}
    sampled: dict[str, Any] = t.sampled
    found = [
        ("Model", t.recipe.function),
        ("Arguments", ", ".join(f"{name}={value!r}" for name, value in arguments.items())),
        ("SHA-256 of the data", table_sha256(t.recipe.table)),
        ("Method of sampling", str(sampled.get("method", _UNKNOWN))),
        ("Seed", str(sampled.get("random_seed", _UNKNOWN))),
        (
            "Seed of this page",
            str(t.seed) if isinstance(t.seed, int | np.integer) else _UNKNOWN,
        ),
        ("Sampled on", str(sampled["created_at"])[:10] if "created_at" in sampled else _UNKNOWN),
        ("Page made on", date.today().isoformat()),
    ]
    versions = ", ".join(f"{name} {number}" for name, number in package_versions().items())
    return [*found, ("Versions", versions)]
