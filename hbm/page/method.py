"""How a page was made: the model in its own words, its priors, data, versions, seed and date."""

import dataclasses
import inspect
from datetime import date
from typing import Any

from hbm.hierarchy.recipes import Recipe, maker
from hbm.page.gather import Tables
from hbm.sampling.storage import package_versions, table_sha256

__all__ = ["equations", "made_with", "priors", "story"]


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
        ("Method of sampling", str(sampled.get("method", "not recorded"))),
        ("Seed", str(sampled.get("random_seed", "not recorded"))),
        ("Sampled on", str(sampled.get("created_at", "not recorded"))[:10]),
        ("Page made on", date.today().isoformat()),
    ]
    versions = ", ".join(f"{name} {number}" for name, number in package_versions().items())
    return [*found, ("Versions", versions)]
