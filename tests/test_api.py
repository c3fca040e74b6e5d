"""The public names: documented, typed, and with no argument that is silently swallowed."""

import dataclasses
import importlib
import inspect
import pkgutil
import tomllib
from pathlib import Path

import pytest
from numpydoc.validate import validate

import hbm

ROOT = Path(hbm.__file__).parents[1]
MODULES = [module.name for module in pkgutil.walk_packages(hbm.__path__, "hbm.")]
USED_BY_NAME = ["hbm.heights", "hbm.scores", "hbm.exams", "hbm.article", "hbm.simulate"]


def public():
    """Yield the public functions and classes, by the name that a user types."""
    for name in hbm.__all__:
        thing = getattr(hbm, name)
        if inspect.ismodule(thing):
            assert thing.__name__ in {*USED_BY_NAME}
            for inner in thing.__all__:
                yield f"hbm.{name}.{inner}", getattr(thing, inner)
        else:
            yield f"hbm.{name}", thing


PUBLIC = dict(public())
FUNCTIONS = {name: thing for name, thing in PUBLIC.items() if inspect.isfunction(thing)}
METHODS = {
    f"{name}.{method}": function
    for name, thing in PUBLIC.items()
    if inspect.isclass(thing)
    for method, function in vars(thing).items()
    if inspect.isfunction(function) and not method.startswith("_")
}

# GL: sections as numpydoc has them; SS: a summary of one sentence; PR: parameters as in the
# signature, with types and descriptions; RT: what is returned; EX: an example. Left out are the
# extended summary, See Also and the capital letter of "array_like".
CHECKS = {
    "GL03", "GL05", "GL06", "GL07", "GL08", "SS01", "SS02", "SS03", "SS04", "SS05",
    "SS06", "PR01", "PR02", "PR03", "PR04", "PR05", "PR07", "PR09", "PR10", "RT01", "RT04",
    "RT05", "YD01", "EX01",
}  # fmt: skip


@pytest.mark.parametrize("name", sorted(FUNCTIONS | METHODS))
def test_functions_are_documented(name):
    # Plots describe some arguments by "as in" another plot, where their types stand.
    checks = CHECKS - {"PR04"} if name.startswith("hbm.plot_") else CHECKS
    errors = [error for error in validate(_home(name))["errors"] if error[0] in checks]
    assert errors == []


def _home(name):
    """Return a name under which the thing can be imported by its module."""
    thing = (FUNCTIONS | METHODS).get(name) or PUBLIC[name]
    return f"{thing.__module__}.{thing.__qualname__}"


@pytest.mark.parametrize("name", sorted(n for n in PUBLIC if inspect.isclass(PUBLIC[n])))
def test_classes_are_documented(name):
    thing = PUBLIC[name]
    found = {code for code, _ in validate(_home(name))["errors"]}
    assert not found & {"GL03", "GL07", "GL08", "SS03", "SS06"}
    if dataclasses.is_dataclass(thing):
        for field in dataclasses.fields(thing):
            assert field.name in thing.__doc__


@pytest.mark.parametrize("name", MODULES)
def test_modules_are_documented_and_say_what_they_export(name):
    module = importlib.import_module(name)
    assert module.__doc__
    exported = getattr(module, "__all__", [])
    assert len(exported) == len(set(exported))
    for thing in (getattr(module, each) for each in exported):
        if inspect.isroutine(thing) or inspect.isclass(thing):
            assert thing.__doc__, f"{thing} has no docstring"


@pytest.mark.parametrize("name", sorted(FUNCTIONS | METHODS))
def test_every_argument_has_a_name_and_a_type(name):
    signature = inspect.signature((FUNCTIONS | METHODS)[name])
    assert signature.return_annotation is not inspect.Signature.empty
    for parameter in signature.parameters.values():
        # A **kwargs would take a misspelt argument without a word.
        assert parameter.kind not in (parameter.VAR_KEYWORD, parameter.VAR_POSITIONAL), parameter
        if parameter.name != "self":
            assert parameter.annotation is not parameter.empty, parameter


@pytest.mark.parametrize("name", sorted(FUNCTIONS))
def test_unknown_keywords_are_refused(name):
    with pytest.raises(TypeError, match="unexpected keyword argument 'no_such_argument'"):
        FUNCTIONS[name](no_such_argument=1)


DRAWS = [
    "hbm.sample",
    "hbm.sample_prior_predictive",
    "hbm.sample_posterior_predictive",
    "hbm.predict",
    "hbm.evaluate",
    "hbm.loo",
    "hbm.simulate.heights",
    "hbm.simulate.scores",
    "hbm.simulate.nested_scores",
    "hbm.simulate.exams",
    "hbm.heights.Priors.draw",
    "hbm.exams.Priors.draw",
]


@pytest.mark.parametrize("name", DRAWS)
def test_all_that_draws_takes_a_seed(name):
    function = (FUNCTIONS | METHODS)[name]
    assert inspect.signature(function).parameters["random_seed"].default is None


@pytest.mark.parametrize("name", sorted(FUNCTIONS | METHODS))
def test_all_that_uses_a_generator_takes_a_seed(name):
    function = inspect.unwrap((FUNCTIONS | METHODS)[name])
    if "default_rng" in function.__code__.co_names:
        assert "random_seed" in inspect.signature(function).parameters


def test_types_of_the_whole_package_are_checked_by_ci_and_travel_with_it():
    with (ROOT / "pyproject.toml").open("rb") as file:
        assert tomllib.load(file)["tool"]["mypy"]["files"] == ["hbm"]
    assert (ROOT / "hbm" / "py.typed").exists()
