"""Many fits: what succeeds is kept, what fails is said, whoever does the work."""

import multiprocessing
import os
import subprocess
import sys
import threading
import time
import warnings
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import ExitStack, contextmanager
from functools import partial
from types import ModuleType

import arviz_stats as azs
import numpy as np
import pymc as pm
import pytest
import xarray as xr

import hbm
from hbm.hierarchy.fitted import check_fit
from hbm.sampling import many
from hbm.sampling.many import sample_each

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

    monkeypatch.setattr(many, "draw", sample)
    monkeypatch.setattr(many, "what_is_poor", lambda fit: "")
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
            return f"fit of {len(model.coords['school'])} schools in room for {made[-1].sizes[0]}"

    monkeypatch.setattr(many, "Compiled", Compiled)
    monkeypatch.setattr(many, "_last", threading.local())
    monkeypatch.setattr(many, "draw", lambda model, **settings: "fit by itself")
    monkeypatch.setattr(many, "what_is_poor", lambda fit: "")
    tables["small"] = tables[2016][:1]
    tables[2016] = tables[2016][:3]
    executor = AtOnce()
    each = sample_each(
        hbm.exams.nested, tables, executor=executor, progressbar=False, method="nuts"
    )
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


def seeds_of(tables, sampled, random_seed=1):
    """Return the seed that each table was sampled with."""
    sampled.clear()
    each = sample_each(
        hbm.exams.nested, tables, executor=AtOnce(), random_seed=random_seed, progressbar=False
    )
    return dict(zip(each.fits, [call["random_seed"] for call in sampled], strict=True))


def test_a_table_in_front_or_another_order_changes_no_seed(tables, sampled):
    seeds = seeds_of(tables, sampled)
    assert seeds_of({"new": tables[2015], **tables}, sampled).items() > seeds.items()
    assert seeds_of(dict(reversed(tables.items())), sampled) == seeds
    assert seeds_of({np.int64(year): table for year, table in tables.items()}, sampled) == seeds
    assert not set(seeds_of(tables, sampled, random_seed=2).values()) & set(seeds.values())
    drawn = [set(seeds_of(tables, sampled, random_seed=None).values()) for _ in range(2)]
    assert not drawn[0] & drawn[1]


@pytest.mark.parametrize(
    ("key", "seed"),
    [
        (2016, 988894878),
        ("2016", 3006559175),
        (("Mathematics 30-1", 2016), 2069786075),
        (("Mathematics 30-1", np.int16(2016)), 2069786075),
    ],
)
def test_seeds_are_the_same_in_every_process_and_version(key, seed):
    """Were they to hang on hash(), each process would have its own."""
    assert many._seed_of(key, np.random.SeedSequence(1)) == seed


@pytest.mark.parametrize(
    ("seed", "error", "message"),
    [
        (1.5, TypeError, "random_seed must be a whole number, got 1.5"),
        (np.random.default_rng(1), TypeError, "random_seed must be a whole number, got Generator"),
        (-1, ValueError, "random_seed must be at least 0, got -1"),
    ],
)
def test_seeds_that_make_no_sense_are_refused(tables, seed, error, message):
    with pytest.raises(error, match=message):
        sample_each(hbm.exams.nested, tables, executor=AtOnce(), random_seed=seed)


def test_a_function_that_makes_no_model_of_one_table_costs_that_table_only(tables, sampled):
    def only_large(table):
        return hbm.exams.nested(table) if len(table) > 3 else None

    tables[2016] = tables[2016][:3]
    each = sample_each(only_large, tables, executor=AtOnce(), progressbar=False)
    assert list(each.fits) == [2015, 2017]
    message = r"function must return a pymc\.Model, and returned NoneType"
    with pytest.raises(TypeError, match=message):
        raise each.errors[2016]


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

    monkeypatch.setattr(many, "draw", sample)
    monkeypatch.setattr(many, "what_is_poor", lambda fit: "")
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


@pytest.fixture
def poor_2016(tables, monkeypatch):
    """Return four tables, and put fits in place of sampling that fail a check for 2016 alone."""

    def sample(draws, *, chains, **_):
        poor = len(pm.modelcontext(None).coords["school"]) == 3
        # 2016 ends while all others are at work, if they are at work at the same time.
        time.sleep(0.1 if poor else 0.2)
        values = np.random.default_rng(1).normal(size=(chains, draws))
        values += poor * 10 * np.arange(chains)[:, None]
        group = xr.Dataset({"energy": (("chain", "draw"), values)})
        return xr.DataTree.from_dict({"posterior": group, "sample_stats": group})

    monkeypatch.setattr(pm, "sample", sample)
    monkeypatch.setattr(many, "shape_of", lambda model: None)
    return {**tables, 2016: tables[2016][:3], 2018: tables[2015]}


@pytest.mark.parametrize(
    "executor", [AtOnce, partial(ThreadPoolExecutor, 1), partial(ThreadPoolExecutor, 4)]
)
def test_threads_say_which_fit_is_poor(poor_2016, executor):
    """What is caught by catch_warnings is the process's, and may be another thread's."""
    before = warnings.showwarning, list(warnings.filters)
    settings = {"draws": 1000, "random_seed": 1, "progressbar": False, "method": "nuts"}
    with executor() as workers, pytest.warns(hbm.ConvergenceWarning) as caught:
        each = sample_each(hbm.exams.nested, poor_2016, executor=workers, **settings)
    assert len(caught) == 1
    assert caught[0].filename == __file__
    assert "1 of 4 fits should not be used as they are: 2016: R-hat" in str(caught[0].message)
    assert list(each.warnings) == [2016]
    assert each.warnings[2016] == str(hbm.diagnose(each.fits[2016][1]))
    assert "4 of 4 fits were made, 1 with a warning.\n  warn  2016: R-hat" in str(each)
    assert (warnings.showwarning, list(warnings.filters)) == before


def test_one_chain_is_not_judged(poor_2016):
    settings = {"chains": 1, "progressbar": False, "method": "nuts"}
    each = sample_each(hbm.exams.nested, poor_2016, executor=AtOnce(), **settings)
    assert len(each.fits) == 4
    assert not each.warnings


@pytest.mark.parametrize("executor", [None, ProcessPoolExecutor(1)])
def test_processes_get_only_functions_they_can_import(tables, executor, monkeypatch):
    monkeypatch.setattr(many, "_run", None)  # nothing is begun

    def local(table):
        raise AssertionError

    for function in (local, lambda table: local(table), partial(local, 1)):
        with pytest.raises(TypeError, match=r"top level of a module.*functools\.partial.*threads"):
            sample_each(function, tables, executor=executor)


def test_processes_do_not_know_what_was_defined_at_the_prompt(tables, monkeypatch):
    main = ModuleType("__main__")
    exec("def of_notebook(table): raise AssertionError", vars(main))
    monkeypatch.setitem(sys.modules, "__main__", main)
    for function in (main.of_notebook, partial(main.of_notebook)):
        with pytest.raises(
            TypeError, match=r"of_notebook.* at a prompt or in a notebook.* a module"
        ):
            sample_each(function, tables)


def test_threads_take_any_function(tables, sampled):
    with ThreadPoolExecutor(2) as executor:
        each = sample_each(lambda table: hbm.exams.nested(table), tables, executor=executor)
    assert list(each.fits) == list(tables)


def test_a_process_that_runs_its_script_again_stops_there(tables, monkeypatch):
    """As multiprocessing marks a process that is still importing the main module."""
    monkeypatch.setattr(multiprocessing.current_process(), "_inheriting", True, raising=False)
    with pytest.raises(RuntimeError, match='if __name__ == "__main__":'):
        sample_each(None, tables)


class Dead(AtOnce):
    """As an executor whose processes end before they do anything."""

    def __init__(self, *_, **__):
        super().__init__()

    def submit(self, fn, /, *args):
        if self.submitted:
            raise BrokenProcessPool("cannot be submitted to")
        self.submitted.append(args)
        future = Future()
        future.set_exception(BrokenProcessPool("terminated abruptly."))
        return future


def test_processes_that_die_at_once_are_explained_by_the_missing_guard(tables, monkeypatch):
    monkeypatch.setattr(many, "ProcessPoolExecutor", Dead)
    with pytest.raises(RuntimeError, match=r'no process .*if __name__ == "__main__":'):
        sample_each(hbm.exams.nested, tables, progressbar=False)
    each = sample_each(hbm.exams.nested, tables, executor=Dead(), progressbar=False)
    assert list(each.errors) == list(tables)
    assert "terminated abruptly. A process of the pool was killed" in str(each.errors[2015])
    assert "submitted to A process of the pool was killed" in str(each.errors[2017])


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


GUARDLESS = """
import hbm

tables = {
    year: hbm.simulate.exams([2, 2], [20, 30, 8, 12], random_seed=year)[0] for year in (2015, 2016)
}
print("begins")
each = hbm.sample_each(hbm.exams.nested, tables, progressbar=False)
print("ends")
"""


@pytest.mark.slow
def test_a_script_without_a_guard_is_told(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(GUARDLESS)
    settings = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, script]
    run = subprocess.run(command, capture_output=True, text=True, env=settings, timeout=300)
    assert run.returncode == 1
    assert "ends" not in run.stdout
    last = run.stderr.strip().splitlines()[-1]
    assert last.startswith("RuntimeError: no process")
    assert 'if __name__ == "__main__":' in last


def poor_if_short(table):
    """Build a model whose draws can be used, or of the table with three schools one of NaN."""
    with pm.Model() as model:
        x = pm.Normal("x", len(table))
        if len(table) == 3:
            pm.Deterministic("root", pm.math.sqrt(-(x**2)))
    return model


def poor_and_silencing(table):
    """Build a model that cannot be used, and leave warnings silenced, as a race of threads does."""
    if threading.current_thread() is not threading.main_thread():
        warnings.simplefilter("ignore")
    return poor_if_short(table)


def test_a_thread_that_leaves_warnings_silenced_does_not_silence_the_verdict(tables):
    with pytest.warns(hbm.ConvergenceWarning, match="2016: .*finite 40"):
        sample_each(
            poor_and_silencing,
            {2016: tables[2016][:3]},
            executor=ThreadPoolExecutor(1),
            draws=20,
            tune=20,
            chains=2,
            progressbar=False,
        )


@contextmanager
def executor_of(workers):
    """Make an executor by its name; that of processes is made by `sample_each`."""
    with ExitStack() as stack:
        if workers == "dask":
            distributed = pytest.importorskip("distributed")
            cluster = distributed.LocalCluster(
                n_workers=1, threads_per_worker=3, dashboard_address=None
            )
            client = stack.enter_context(distributed.Client(stack.enter_context(cluster)))
            yield client.get_executor()
        else:
            pools = {"one thread": ThreadPoolExecutor(1), "threads": ThreadPoolExecutor(4)}
            yield pools.get(workers)


@pytest.mark.slow
@pytest.mark.parametrize("workers", ["processes", "threads", "dask"])
def test_independent_draws_are_the_same_whoever_draws_them(tables, workers):
    settings = {"draws": 300, "chains": 2, "random_seed": 3, "progressbar": False}
    with executor_of(workers) as executor:
        each = sample_each(hbm.exams.nested, tables, executor=executor, **settings)
    expected = sample_each(hbm.exams.nested, tables, executor=AtOnce(), **settings)
    for key, (_, fit) in each.fits.items():
        assert fit["sample_stats"].attrs["method"] == "direct"
        xr.testing.assert_identical(
            fit["posterior"].to_dataset().drop_attrs(),
            expected.fits[key][1]["posterior"].to_dataset().drop_attrs(),
        )


@pytest.mark.slow
@pytest.mark.parametrize("workers", ["processes", "one thread", "threads", "dask"])
def test_all_executors_say_the_same_of_which_fits_are_poor(tables, workers):
    tables = {**tables, 2016: tables[2016][:3], 2018: tables[2015]}
    with (
        executor_of(workers) as executor,
        pytest.warns(hbm.ConvergenceWarning, match="1 of 4 fits .*: 2016: finite 2000$"),
    ):
        each = sample_each(
            poor_if_short,
            tables,
            executor=executor,
            random_seed=1,
            draws=1000,
            chains=2,
            progressbar=False,
        )
    assert list(each.fits) == list(tables)
    assert list(each.warnings) == [2016]
    for key, (_, fit) in each.fits.items():
        assert hbm.diagnose(fit).ok == (key != 2016)


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
