import logging
import subprocess
import sys
import threading
import warnings
from contextlib import ExitStack

import numpy as np
import pandas as pd
import pymc as pm
import pytest
import xarray as xr
from threadpoolctl import threadpool_info, threadpool_limits

import hbm
from hbm.sampling import posterior as sampling
from hbm.sampling import predictive
from hbm.sampling.threads import ONE_THREAD

SETTINGS = {"draws": 50, "tune": 100, "chains": 2, "progressbar": False}


@pytest.fixture(scope="module")
def heights_model():
    return hbm.article.heights(hbm.load_dataset("heights"))


def draws_of(model, n=20, seed=1):
    """Draw from the prior and call it a posterior: enough where only names and labels count."""
    prior = hbm.sample_prior_predictive(model, draws=n, random_seed=seed)
    return xr.DataTree.from_dict({"posterior": prior["prior"].to_dataset()})


def test_import_is_light():
    """Importing hbm imports neither the plotting stack nor the sampler."""
    code = (
        "import sys, hbm; "
        "print([m for m in ('arviz', 'arviz_stats', 'nutpie', 'matplotlib') if m in sys.modules])"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"


def test_prior_predictive_has_prior_and_data(heights_model):
    prior = hbm.sample_prior_predictive(heights_model, draws=10, random_seed=1)
    assert prior["prior_predictive"]["height"].sizes == {"chain": 1, "draw": 10, "person": 80}
    again = hbm.sample_prior_predictive(heights_model, draws=10, random_seed=1)
    xr.testing.assert_equal(
        prior["prior_predictive"].to_dataset(), again["prior_predictive"].to_dataset()
    )


def test_an_improper_prior_has_no_prior_predictive():
    model = hbm.article.scores_nested(hbm.load_dataset("nested_scores"))
    with pytest.raises(ValueError, match="the prior of nu_school is flat, which is improper"):
        hbm.sample_prior_predictive(model)


def test_posterior_predictive_adds_a_group_and_leaves_the_fit_alone(heights_model):
    fit = draws_of(heights_model)
    before = fit.copy(deep=True)
    with_predictive = hbm.sample_posterior_predictive(
        heights_model, fit, random_seed=1, progressbar=False
    )
    assert with_predictive["posterior_predictive"]["height"].sizes["person"] == 80
    assert "posterior_predictive" not in fit.children
    xr.testing.assert_identical(fit, before)


def test_a_fit_of_another_model_or_other_groups_is_refused(heights_model):
    scores = hbm.article.scores_no_pooling(hbm.load_dataset("scores"))
    with pytest.raises(ValueError, match=r"no draws of mu_school, nu_school; it has: .*alpha_bar"):
        hbm.sample_posterior_predictive(scores, draws_of(heights_model))
    table = hbm.load_dataset("heights")
    table["country"] = table["country"].replace({"4": "5"})
    with pytest.raises(ValueError, match="the labels of 'country' differ"):
        hbm.sample_posterior_predictive(hbm.article.heights(table), draws_of(heights_model))
    with pytest.raises(ValueError, match="no group 'posterior'"):
        hbm.sample_posterior_predictive(heights_model, xr.DataTree())


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"draws": 0}, "draws must be at least 4, got 0"),
        ({"chains": 0}, "chains must be at least 1, got 0"),
        ({"tune": -1}, "tune must be at least 0, got -1"),
        ({"target_accept": 1.0}, "target_accept must lie between 0 and 1, got 1.0"),
        ({"nuts_sampler": "stan"}, "nuts_sampler must be 'nutpie' or 'pymc', got 'stan'"),
    ],
)
def test_settings_that_make_no_sense_are_refused(heights_model, settings, message):
    with pytest.raises(ValueError, match=message):
        hbm.sample(heights_model, **settings)


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"draws": 2.5}, TypeError, "draws must be a whole number, got 2.5"),
        ({"chains": "4"}, TypeError, "chains must be a whole number, got '4'"),
        ({"target_accept": "0.9"}, TypeError, "target_accept must be a number, got '0.9'"),
        ({"target_accept": float("nan")}, ValueError, "between 0 and 1, got nan"),
        ({"random_seed": 1.5}, TypeError, "random_seed must be a whole number, got 1.5"),
        ({"random_seed": "1"}, TypeError, "random_seed must be a whole number, got '1'"),
        ({"random_seed": -1}, ValueError, "random_seed must be at least 0, got -1"),
    ],
)
def test_settings_that_are_no_numbers_are_refused(
    heights_model, settings, error, message, monkeypatch
):
    monkeypatch.setattr(pm, "sample", None)  # nothing is sampled
    with pytest.raises(error, match=message):
        hbm.sample(heights_model, **settings)


@pytest.mark.parametrize("seed", [1.5, "1", True])
def test_seeds_of_predictive_draws_are_whole_numbers(heights_model, seed):
    fit = draws_of(heights_model)
    for sample in (
        lambda: hbm.sample_prior_predictive(heights_model, random_seed=seed),
        lambda: hbm.sample_posterior_predictive(heights_model, fit, random_seed=seed),
    ):
        with pytest.raises(TypeError, match=f"random_seed must be a whole number, got {seed!r}"):
            sample()


def test_what_is_no_fit_or_has_lost_its_chains_is_refused(heights_model):
    table = hbm.load_dataset("heights")
    with pytest.raises(TypeError, match=r"fit must be an xarray\.DataTree, got DataFrame"):
        hbm.sample_posterior_predictive(heights_model, table)
    fit = draws_of(heights_model)
    for dim in ("chain", "draw"):
        with pytest.raises(ValueError, match=rf"has no dim '{dim}', .* fit\.sel\({dim}=\[0\]\)"):
            hbm.sample_posterior_predictive(heights_model, fit.sel({dim: 0}))


@pytest.mark.parametrize(("made", "category"), [(50, hbm.ConvergenceWarning), (49, UserWarning)])
def test_warnings_are_of_the_line_that_samples(heights_model, monkeypatch, made, category):
    values = np.random.default_rng(1).normal(size=(2, 50))
    values[:, made:] = np.nan  # as nutpie does when it is stopped
    group = xr.Dataset({"energy": (("chain", "draw"), values)})
    fit = xr.DataTree.from_dict({"posterior": group, "sample_stats": group})
    monkeypatch.setattr(pm, "sample", lambda *_, **__: fit)
    with pytest.warns(category) as caught:
        hbm.sample(heights_model, draws=50, chains=2)
    assert category in {warning.category for warning in caught}
    assert {warning.filename for warning in caught} == {__file__}


def test_notes_are_left_out_by_two_threads_at_a_time_and_come_back():
    """Levels of logs and filters of warnings are the process's, not the thread's."""
    log = logging.getLogger("pymc.sampling.forward")
    before = log.level, list(warnings.filters)
    second_is_in, first_is_out = threading.Event(), threading.Event()

    def second():
        with predictive.without_notes():
            second_is_in.set()
            first_is_out.wait(5)

    thread = threading.Thread(target=second)
    with predictive.without_notes():
        thread.start()
        second_is_in.wait(0.2)
        assert log.level == logging.WARNING
    first_is_out.set()
    thread.join()
    assert (log.level, list(warnings.filters)) == before


def test_unknown_settings_are_refused(heights_model):
    with pytest.raises(TypeError, match="unexpected keyword argument 'draw'"):
        hbm.sample(heights_model, draw=10)


@pytest.mark.slow
# PyMC's first guess of the scales overflows while it tunes. Chains that have not converged will do.
@pytest.mark.filterwarnings("ignore:overflow encountered:RuntimeWarning")
@pytest.mark.filterwarnings("ignore::hbm.ConvergenceWarning")
@pytest.mark.parametrize("sampler", ["nutpie", "pymc"])
def test_same_seed_same_draws(heights_model, sampler):
    settings = {**SETTINGS, "tune": 200, "draws": 100, "nuts_sampler": sampler}
    first, second, other = (
        hbm.sample(heights_model, random_seed=seed, **settings) for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(
        first["posterior"]["mu_country"], second["posterior"]["mu_country"]
    )
    assert not np.array_equal(first["posterior"]["mu_country"], other["posterior"]["mu_country"])


@pytest.mark.slow
def test_a_funnel_is_warned_of():
    with pm.Model(coords={"school": list("abcdefgh")}) as funnel:
        log_tau = pm.Normal("log_tau", 0, 3)
        pm.Normal("effect", 0, pm.math.exp(log_tau), dims="school")
    with pytest.warns(hbm.ConvergenceWarning, match="should not be used as they are"):
        hbm.sample(funnel, random_seed=1, **{**SETTINGS, "draws": 300})


def test_tables_are_not_changed():
    table = hbm.load_dataset("nested_scores")
    before = table.copy(deep=True)
    hbm.article.scores_nested(table)
    pd.testing.assert_frame_equal(table, before)


@pytest.mark.parametrize(
    ("given", "there", "used"),
    [({}, 3, 3), ({}, 64, 4), ({"cores": 1}, 3, 1), ({"nuts_sampler": "pymc"}, 3, None)],
)
def test_chains_run_on_all_cores(given, there, used, heights_model, monkeypatch):
    class Asked(Exception):
        pass

    def sample(*_, cores, **__):
        raise Asked(cores)

    monkeypatch.setattr(pm, "sample", sample)
    monkeypatch.setattr(sampling, "cores_there", lambda: there)
    with pytest.raises(Asked) as asked:
        hbm.sample(heights_model, **given)
    assert asked.value.args == (used,)


@pytest.mark.parametrize(
    ("schools", "parameterisation", "tune", "expected"),
    [
        (60, "informed", None, 200),
        (60, "informed", 70, 70),
        (60, "non-centred", None, None),
        (60, "centred", None, None),
        (20, "informed", None, None),
    ],
)
def test_large_models_in_the_informed_form_tune_for_less(schools, parameterisation, tune, expected):
    table = hbm.simulate.exams([4] * (schools // 4), 30, random_seed=1)[0]
    model = hbm.exams.partial_pooling(table, parameterisation=parameterisation)
    assert sampling.adaptation(model, tune, None)[0] == expected


@pytest.mark.parametrize(
    ("schools", "observe", "design_effect", "expected"),
    [
        (60, "mean and sd", None, 0.85),
        (60, "mean", None, 0.95),
        (60, "mean", 1, 0.9),
        (20, "mean and sd", None, 0.95),
        (20, "mean and sd", 1, 0.9),
    ],
)
def test_steps_are_smaller_where_little_tells_a_design_effect(
    schools, observe, design_effect, expected
):
    table = hbm.simulate.exams([4] * (schools // 4), 30, random_seed=1)[0]
    model = hbm.exams.partial_pooling(table, observe=observe, design_effect=design_effect)
    assert sampling.adaptation(model, None, None)[1] == expected
    assert sampling.adaptation(model, None, 0.7)[1] == 0.7


def test_only_nutpie_tunes_for_less(monkeypatch):
    model = hbm.exams.no_pooling(hbm.simulate.exams([4] * 15, 30, random_seed=1)[0])
    asked = []

    def stop(*_, tune, **__):
        asked.append(tune)
        raise ZeroDivisionError

    monkeypatch.setattr(pm, "sample", stop)
    for sampler in ("nutpie", "pymc"):
        with pytest.raises(ZeroDivisionError):
            hbm.sample(model, nuts_sampler=sampler, progressbar=False)
    assert asked == [200, None]


def threads_of_linear_algebra():
    return {pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"}


def test_linear_algebra_has_one_thread_until_the_last_fit_ends():
    """One that ends earlier must not change the last digits of those that go on."""
    with threadpool_limits(2, user_api="blas"), ExitStack() as first, ExitStack() as second:
        first.enter_context(ONE_THREAD)
        second.enter_context(ONE_THREAD)
        first.close()
        assert threads_of_linear_algebra() == {1}
        second.close()
        assert threads_of_linear_algebra() == {2}
