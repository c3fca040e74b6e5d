"""Many fits: what succeeds is kept, what fails is said, whoever does the work."""

import os
import threading
from concurrent.futures import Executor, Future, ThreadPoolExecutor

import arviz_stats as azs
import numpy as np
import pytest

import hbm
from hbm.sampling import many
from hbm.sampling.many import sample_each
from hbm.sampling.posterior import check_fit

SMALL = {"draws": 100, "tune": 200, "chains": 2, "progressbar": False}


class AtOnce(Executor):
    """Runs what is submitted before it returns."""

    def __init__(self):
        self.submitted = []

    def submit(self, fn, /, *args):
        future = Future()
        self.submitted.append(args)
        try:
            future.set_result(fn(*args))
        except Exception as error:
            future.set_exception(error)
        return future


@pytest.fixture
def tables():
    return {
        year: hbm.simulate.exams([2, 2], [20, 30, 8, 12], random_seed=year)[0]
        for year in (2015, 2016, 2017)
    }


@pytest.fixture
def sampled(monkeypatch):
    """Replace sampling by a record of how it was asked for."""
    calls = []

    def sample(model, **settings):
        calls.append(settings)
        return f"fit of {len(model.coords['school'])} schools"

    monkeypatch.setattr(many, "sample", sample)
    monkeypatch.setattr(many, "shape_of", lambda model: None)
    return calls


def test_each_table_has_its_model_and_fit(tables, sampled):
    tables[2016] = tables[2016][:3]
    each = sample_each(hbm.exams.nested, tables, executor=AtOnce(), random_seed=1, draws=7)
    assert list(each.fits) == [2015, 2016, 2017]
    assert [fit for _, fit in each.fits.values()] == [f"fit of {n} schools" for n in (4, 3, 4)]
    assert [len(model.coords["school"]) for model, _ in each.fits.values()] == [4, 3, 4]
    assert not each.errors
    assert not each.warnings
    assert {call["draws"] for call in sampled} == {7}
    assert {call["cores"] for call in sampled} == {1}
    assert str(each) == "3 of 3 fits were made, 0 with a warning."


def test_models_of_like_size_are_compiled_once(tables, monkeypatch):
    made = []

    class Compiled:
        def __init__(self, model, shape):
            made.append(shape)

        def sample(self, model, **settings):
            return f"fit of {len(model.coords['school'])} schools in room for {made[-1].schools}"

    monkeypatch.setattr(many, "Compiled", Compiled)
    monkeypatch.setattr(many, "_last", threading.local())
    monkeypatch.setattr(many, "sample", lambda model, **settings: "fit by itself")
    monkeypatch.setattr(many, "warn_if_poor", lambda fit: None)
    tables["small"] = tables[2016][:1]
    tables[2016] = tables[2016][:3]
    executor = AtOnce()
    each = sample_each(hbm.exams.nested, tables, executor=executor, progressbar=False)
    assert list(each.fits) == list(tables)
    fits = [fit for _, fit in each.fits.values()]
    assert fits[:3] == [f"fit of {n} schools in room for 4" for n in (4, 3, 4)]
    assert fits[3] == "fit by itself"
    assert len(made) == 1
    assert [len(table) for _, table, *_ in executor.submitted] == [4, 4, 3, 1]


@pytest.mark.parametrize("settings", [{"draws": 3}, {"chains": 0}, {"tune": -1}])
def test_impossible_settings_are_refused_at_once(settings, tables):
    with pytest.raises(ValueError, match="must be at least"):
        sample_each(hbm.exams.nested, tables, executor=AtOnce(), **settings)


def test_seeds_differ_and_hang_on_the_table_alone(tables, sampled):
    sample_each(hbm.exams.nested, tables, executor=AtOnce(), random_seed=1, progressbar=False)
    first = [call["random_seed"] for call in sampled]
    assert len(set(first)) == 3
    sampled.clear()
    bad = tables | {2015: tables[2015].assign(mean=63.9)}
    sample_each(hbm.exams.nested, bad, executor=AtOnce(), random_seed=1, progressbar=False)
    assert [call["random_seed"] for call in sampled] == first[1:]


def test_a_wrong_table_costs_its_own_fit_only(tables, sampled):
    tables[2016] = tables[2016].assign(mean=63.9)
    each = sample_each(hbm.exams.nested, tables, executor=AtOnce(), progressbar=False)
    assert list(each.fits) == [2015, 2017]
    assert list(each.errors) == [2016]
    assert isinstance(each.errors[2016], ValueError)
    assert "2 of 3 fits were made" in str(each)
    assert "FAIL  2016: column 'mean' must hold" in str(each)


def test_a_failed_fit_is_told_and_the_others_kept(tables, monkeypatch):
    def sample(model, **settings):
        if len(model.coords["school"]) == 3:
            raise RuntimeError("no memory")
        return "fit"

    monkeypatch.setattr(many, "sample", sample)
    monkeypatch.setattr(many, "shape_of", lambda model: None)
    tables[2017] = tables[2017][:3]
    with ThreadPoolExecutor(1) as executor:
        each = sample_each(hbm.exams.nested, tables, executor=executor, progressbar=False)
        assert executor.submit(int, 1).result() == 1  # it is the caller's to shut down
    assert list(each.fits) == [2015, 2016]
    assert str(each.errors[2017]) == "no memory"


def test_an_interrupt_keeps_what_is_done(tables, sampled, monkeypatch):
    def interrupted(futures):
        yield next(iter(futures))
        raise KeyboardInterrupt

    monkeypatch.setattr(many, "as_completed", interrupted)
    each = sample_each(hbm.exams.nested, tables, executor=AtOnce(), progressbar=False)
    assert list(each.fits) == [2015]
    assert list(each.errors) == [2016, 2017]
    assert "interrupted before it was done" in str(each)


def test_poor_fits_are_warned_of_once(tables, monkeypatch):
    text = "The draws should not be used\n  FAIL  R-hat  1.5  (at most 1.01; worst: mu)"
    monkeypatch.setattr(many, "_fit", lambda *task: ("fit", text))
    with pytest.warns(hbm.ConvergenceWarning, match=r"3 of 3 fits .* 2015: R-hat 1\.5; 2016"):
        each = sample_each(hbm.exams.nested, tables, executor=AtOnce(), progressbar=False)
    assert list(each.warnings) == [2015, 2016, 2017]
    assert "warn  2015: R-hat 1.5" in str(each)


def test_what_is_no_mapping_or_no_function_is_refused(tables):
    with pytest.raises(TypeError, match="must map keys to tables, got list"):
        sample_each(hbm.exams.nested, list(tables.values()))
    with pytest.raises(TypeError, match="function must return a model, got str"):
        sample_each("nested", tables)
    with pytest.raises(ValueError, match="no tables"):
        sample_each(hbm.exams.nested, {})


def killed(table):
    """Build a model, but in other processes than this one die of the table with three schools."""
    if len(table) == 3 and os.environ.get("PYTEST_CURRENT_TEST_PROCESS") != str(os.getpid()):
        os._exit(1)
    return hbm.exams.nested(table)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::hbm.ConvergenceWarning")
def test_processes_give_the_fits_of_this_one(tables):
    here = sample_each(hbm.exams.nested, tables, executor=AtOnce(), random_seed=3, **SMALL)
    there = sample_each(hbm.exams.nested, tables, random_seed=3, **SMALL)
    assert list(there.fits) == list(tables)
    for key, (model, fit) in there.fits.items():
        assert fit["posterior"].sizes["draw"] == SMALL["draws"]
        check_fit(model, fit)
        # The first to compile may round differently, after which chains go their own ways.
        a, b = fit["posterior/mu_school"], here.fits[key][1]["posterior/mu_school"]
        error = np.hypot(azs.mcse(a), azs.mcse(b))
        assert (np.abs(a.mean(("chain", "draw")) - b.mean(("chain", "draw"))) < 5 * error).all()


@pytest.mark.slow
def test_a_killed_process_is_an_error_of_its_fits(tables, monkeypatch):
    monkeypatch.setenv("PYTEST_CURRENT_TEST_PROCESS", str(os.getpid()))
    each = sample_each(killed, {2015: tables[2015][:3]}, **SMALL)
    assert not each.fits
    assert "terminated abruptly" in str(each.errors[2015])


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::hbm.ConvergenceWarning")
def test_a_dask_cluster_will_do(tables):
    distributed = pytest.importorskip("distributed")
    with (
        distributed.LocalCluster(
            n_workers=1, threads_per_worker=1, dashboard_address=None
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        bad = tables | {"bad": tables[2016].assign(mean=63.9)}
        executor = client.get_executor()
        each = sample_each(hbm.exams.nested, bad, executor=executor, random_seed=3, **SMALL)
    assert list(each.fits) == list(tables)
    assert list(each.errors) == ["bad"]
    for model, fit in each.fits.values():
        assert fit["posterior"].sizes["draw"] == SMALL["draws"]
        check_fit(model, fit)
