"""A model compiled once has the posterior of each table that it is given."""

import functools

import arviz_stats as azs
import numpy as np
import pymc as pm
import pytest
from scipy import stats

import hbm
from hbm.hierarchy.fitted import check_fit
from hbm.sampling.compiled import Compiled, Shape, common_shapes, shape_of

SIZES = {"a": [20, 30, 8, 12, 1, 60], "b": [7, 90, 3, 2]}


def table_of(name, nested=True):
    per_authority = {"a": [3, 2, 1], "b": [3, 1]}[name]
    table = hbm.simulate.exams(per_authority, SIZES[name], random_seed=7)[0]
    table["school"] = [f"{name}{label}" for label in table["school"]]
    return table


def in_zones(table):
    zone = table["authority"].map({"1": "x", "2": "y", "3": "y"})
    return hbm.exams.nested(table.assign(zone=zone), levels=("authority", "zone"))


BUILDERS = {
    "nested": hbm.exams.nested,
    "nested in zones": in_zones,
    "partial pooling": hbm.exams.partial_pooling,
    "no pooling": hbm.exams.no_pooling,
    "complete pooling": hbm.exams.complete_pooling,
    "means only": functools.partial(hbm.exams.nested, observe="mean"),
    "some sds missing": lambda table: hbm.exams.nested(
        table.assign(sd=table["sd"].where(table["school"].str[1] != "2"))
    ),
    "non-centred": functools.partial(hbm.exams.nested, parameterisation="non-centred"),
}


def shape_for_both(function):
    own = shape_of(function(table_of("a")))
    return own._replace(sizes=(9, 4, 3)[: len(own.sizes)])


@pytest.fixture
def opened(monkeypatch):
    """Do not compile; keep the models that would have been."""
    import nutpie

    models = []
    monkeypatch.setattr(nutpie, "compile_pymc_model", lambda model, **_: models.append(model))
    return models


@pytest.mark.parametrize("name", BUILDERS)
def test_density_is_that_of_the_model_and_of_schools_that_say_nothing(name, opened):
    function = BUILDERS[name]
    compiled = Compiled(function(table_of("a")), shape_for_both(function))
    density = opened[0].compile_logp(mode="FAST_COMPILE")
    filled = opened[0].initial_point()
    rng = np.random.default_rng(3)
    for which in SIZES:
        model = function(table_of(which))
        compiled.use(model)
        own = model.compile_logp(mode="FAST_COMPILE")
        point, longer, beside = {}, {}, []
        for value, start in model.initial_point().items():
            z = rng.normal(0, 0.7, np.shape(filled[value]))
            point[value] = z[: len(start)] if np.ndim(start) else z
            longer[value] = z
            beside.append(np.ravel(z)[np.size(start) :])
        expected = own(point) + stats.norm.logpdf(np.concatenate(beside)).sum()
        assert np.isclose(density(longer), expected, rtol=1e-10), which


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::hbm.ConvergenceWarning")
def test_fits_are_those_of_the_model_alone():
    settings = {"draws": 1000, "tune": 500, "chains": 2, "target_accept": 0.95, "random_seed": 4}
    compiled = Compiled(in_zones(table_of("a")), shape_for_both(in_zones))
    for which in ("b", "a"):
        model = in_zones(table_of(which))
        fit = compiled.sample(model, **settings)
        alone = hbm.sample(model, **settings, progressbar=False)
        check_fit(model, fit)
        assert set(fit.children) == set(alone.children)
        assert fit["posterior"].sizes == alone["posterior"].sizes
        assert fit["observed_data"].to_dataset().equals(alone["observed_data"].to_dataset())
        assert fit["constant_data"].to_dataset().equals(alone["constant_data"].to_dataset())
        for name, draws in alone["posterior"].data_vars.items():
            same = fit["posterior"][name]
            assert list(same.coords) == list(draws.coords)
            error = np.hypot(azs.mcse(same), azs.mcse(draws))
            z = (same.mean(("chain", "draw")) - draws.mean(("chain", "draw"))) / error
            assert (np.abs(z) < 4.5).all(), name


def test_models_of_like_size_share_a_shape():
    sizes = {"a": (300, 80), "b": (7, 3), "c": (280, 90), "d": (119, 70), "e": (120, 70)}
    shapes = {key: Shape("f", "()", size) for key, size in sizes.items()}
    shared = common_shapes(shapes | {"other": None})
    assert list(shared) == ["a", "c", "e", "d", "b", "other"]
    assert shared["a"] == shared["c"] == shared["e"] == Shape("f", "()", (300, 90))
    assert shared["d"] is None
    assert shared["b"] is None
    assert shared["other"] is None


def test_models_that_differ_share_nothing():
    table = table_of("a")
    models = {
        "nested": hbm.exams.nested(table),
        "priors": hbm.exams.nested(table, priors=hbm.exams.Priors(tau_school=0.3)),
        "observe": hbm.exams.nested(table, observe="mean"),
        "partial": hbm.exams.partial_pooling(table),
        "again": hbm.exams.nested(table),
    }
    shared = common_shapes({key: shape_of(model) for key, model in models.items()})
    assert {key for key, shape in shared.items() if shape} == {"nested", "again"}


def test_other_models_have_no_shape():
    table = table_of("a")
    assert shape_of(hbm.exams.nested(table, parameterisation="centred")) is None
    assert shape_of(hbm.article.heights(hbm.load_dataset("heights"))) is None
    assert shape_of(hbm.exams.nested(table).copy()) is None


def test_a_model_with_something_added_has_no_shape():
    for add in (
        lambda: pm.Potential("more", pm.math.sqr(pm.modelcontext(None)["eta"])),
        lambda: pm.Normal("more"),
        lambda: pm.Deterministic("more", pm.modelcontext(None)["eta"] + 1),
        lambda: pm.Normal("more", pm.modelcontext(None)["eta"], observed=1.0),
    ):
        model = hbm.exams.nested(table_of("a"))
        assert shape_of(model)
        with model:
            add()
        assert shape_of(model) is None


def test_a_model_is_not_changed_by_what_is_compiled_from_its_table(opened):
    table = table_of("a")
    before = table.copy()
    model = hbm.exams.nested(table)
    density = model.compile_logp(mode="FAST_COMPILE")(model.initial_point())
    Compiled(model, shape_of(model))
    assert table.equals(before)
    assert model.compile_logp(mode="FAST_COMPILE")(model.initial_point()) == density
    assert opened[0] is not model


def test_groups_of_no_students_leave_gradients_finite(monkeypatch):
    """An infinite standard error, widened by a design effect that is learned, is no information."""
    table = hbm.simulate.exams([2, 1], [5, 8, 40], random_seed=1)[0]
    model = hbm.exams.nested(table)
    shape = shape_of(model)
    monkeypatch.setattr("nutpie.compile_pymc_model", lambda *_, **__: None)  # nothing is sampled
    filled = Compiled(model, shape._replace(sizes=(5, 3)))
    numbers = filled.use(model)
    assert np.isinf(numbers["eta_school_raw"][1]).any()
    gradient = filled._model.compile_dlogp(mode="FAST_COMPILE")(filled._model.initial_point())
    assert np.isfinite(gradient).all()


def panel_of(name):
    """Panels of the same three years, the second smaller in every way."""
    sizes = {
        "a": ([2, 1, 1], [[20, 0, 8], [40, 9, 7], [0, 60, 3], [5, 6, 1]]),
        "b": ([1, 1], [[9, 0, 0], [0, 30, 12]]),
    }[name]
    return hbm.simulate.exam_panel(*sizes, years=[2015, 2016, 2019], random_seed=7)[0]


@pytest.mark.parametrize("parameterisation", ["informed", "non-centred"])
def test_panels_are_filled_up_with_schools_and_cells_that_say_nothing(parameterisation, opened):
    function = functools.partial(hbm.exams.panel, parameterisation=parameterisation)
    shape = shape_of(function(panel_of("a")))
    assert shape.sizes == (10, 4, 3)
    compiled = Compiled(function(panel_of("a")), shape._replace(sizes=(13, 5, 4)))
    density = opened[0].compile_logp(mode="FAST_COMPILE")
    filled = opened[0].initial_point()
    rng = np.random.default_rng(3)
    for which in ("a", "b"):
        model = function(panel_of(which))
        compiled.use(model)
        own = model.compile_logp(mode="FAST_COMPILE")
        point, longer, beside = {}, {}, []
        for value, start in model.initial_point().items():
            z = rng.normal(0, 0.7, np.shape(filled[value]))
            point[value] = z[: len(start)] if np.ndim(start) else z
            longer[value] = z
            beside.append(np.ravel(z[len(start) :] if np.ndim(start) else ()))
        expected = own(point) + stats.norm.logpdf(np.concatenate(beside)).sum()
        assert np.isclose(density(longer), expected, rtol=1e-10), which


def test_panels_of_other_years_share_nothing():
    table = panel_of("a")
    later = table.assign(year=table["year"] + (table["year"] == 2019))
    shapes = {i: shape_of(hbm.exams.panel(t)) for i, t in enumerate((table, later, table))}
    assert {key for key, shape in common_shapes(shapes).items() if shape} == {0, 2}
