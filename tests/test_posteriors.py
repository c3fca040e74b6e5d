"""Posteriors reached by two routes agree, within the Monte Carlo error of both."""

import arviz_stats as azs
import numpy as np
import pandas as pd
import pymc as pm
import pytest
from conftest import WELL
from models import MODELS, build, model_function, table_for
from scipy.stats import norm

import hbm

RECOMMENDED = ["heights.partial_pooling", "scores.nested", "exams.nested"]
OTHERS = [n for n in MODELS if n not in RECOMMENDED and "complete" not in n]

# With longer steps the non-centred form has a few divergences, and ArviZ's standard errors of its
# sds were 1.4 times too small.
FOR_SLOW_CHAINS = {"draws": 8000, "target_accept": 0.99}


def sample(model, seed, **settings):
    return hbm.sample(model, random_seed=seed, progressbar=False, **WELL | settings)


def differences(first, second):
    """Return, for each quantity, the differences of mean and sd in standard errors of both fits."""
    first, second = first["posterior"].to_dataset(), second["posterior"].to_dataset()
    found = {}
    for name in set(first.data_vars) & set(second.data_vars):
        for statistic in ("mean", "sd"):
            values = [
                getattr(fit[name], {"mean": "mean", "sd": "std"}[statistic])(("chain", "draw"))
                for fit in (first, second)
            ]
            errors = [azs.mcse(fit[name], method=statistic) for fit in (first, second)]
            z = (values[0] - values[1]) / np.hypot(*errors)
            found[f"{statistic} of {name}"] = np.ravel(z)
    return found


def assert_same_posterior(first, second):
    z = differences(first, second)
    n = sum(map(len, z.values()))
    # The largest of n standard Normals exceeds this once in a thousand runs, were they independent.
    limit = norm.isf(0.001 / (2 * n))
    worst = {name: float(np.abs(v).max()) for name, v in z.items() if np.abs(v).max() > limit}
    assert not worst, f"{worst} exceed {limit:.2f}"


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::hbm.ConvergenceWarning")
@pytest.mark.parametrize("parameterisation", ["centred", "non-centred"])
@pytest.mark.parametrize("name", RECOMMENDED)
def test_parameterisations_agree(name, parameterisation, informed_fits):
    other = sample(build(name, parameterisation=parameterisation), seed=2, **FOR_SLOW_CHAINS)
    assert_same_posterior(informed_fits(name), other)


@pytest.mark.calibration
@pytest.mark.filterwarnings("ignore::hbm.ConvergenceWarning")
@pytest.mark.parametrize("parameterisation", ["centred", "non-centred"])
@pytest.mark.parametrize("name", OTHERS)
def test_parameterisations_of_the_other_models_agree(name, parameterisation, informed_fits):
    other = sample(build(name, parameterisation=parameterisation), seed=2, **FOR_SLOW_CHAINS)
    assert_same_posterior(informed_fits(name), other)


@pytest.mark.slow
def test_published_heights_have_the_posterior_of_the_people(informed_fits):
    people = table_for("heights")
    by_country = people.groupby("country", sort=False)["height"]
    table = by_country.agg(n_people="size", mean="mean", sd="std").reset_index()
    published = sample(hbm.heights.partial_pooling(table), seed=3)
    assert_same_posterior(informed_fits("heights.partial_pooling"), published)


@pytest.mark.slow
def test_eight_schools_in_anybodys_model():
    y = np.array([28, 8, -3, 7, -1, 1, 18, 12.0])
    se = np.array([15, 10, 16, 11, 9, 11, 10, 18.0])
    with pm.Model(coords={"school": list("ABCDEFGH")}) as model:
        mu = pm.Normal("mu", 0, 5)
        tau = pm.HalfCauchy("tau", 5)
        theta = pm.Normal("theta", mu, tau, dims="school", transform=hbm.informed(y, se))
        pm.Normal("effect", theta, se, observed=y, dims="school")
    fit = hbm.sample(model, draws=5000, random_seed=4, progressbar=False)
    assert int(fit["sample_stats"]["diverging"].sum()) == 0
    # The public reference posterior, whose own errors are part of the numbers.
    for name, mean, error in (("mu", 4.41, 0.03), ("tau", 3.60, 0.06)):
        draws = fit["posterior"][name]
        assert abs(float(draws.mean()) - mean) < error + 4 * float(azs.mcse(draws))


@pytest.fixture(scope="module")
def real(diploma):
    """Return a real table of exams, and its fit by default."""
    table = hbm.exam_table(diploma, course="Mathematics 30-1", year=2016)
    model = hbm.exams.nested(table)
    return table, hbm.sample(model, random_seed=5, progressbar=False, method="nuts")


@pytest.mark.slow
def test_the_real_table_is_sampled_well_by_default(real):
    table, fit = real
    assert len(table) == 318
    diagnosis = hbm.diagnose(fit)
    assert diagnosis.ok, str(diagnosis)
    checks = diagnosis.checks.set_index("check")["value"]
    assert checks["bulk ESS"] >= 2500


@pytest.mark.slow
@pytest.mark.parametrize("name", ["exams.partial_pooling", "exams.nested"])
def test_means_alone_are_sampled_well_by_default(name):
    """Nothing tells nu, on which hangs what a mean is worth."""
    rng = np.random.default_rng(1)
    sizes = np.exp(rng.uniform(np.log(6), np.log(200), 60)).astype(int)
    table = hbm.simulate.exams([6] * 10, sizes, random_seed=2)[0]
    model = model_function(name)(table, observe="mean")
    fit = hbm.sample(model, random_seed=3, progressbar=False, method="nuts")
    diagnosis = hbm.diagnose(fit)
    assert diagnosis.ok, str(diagnosis)


@pytest.mark.calibration
@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize("source", ["the simulated workbook", "the real workbook"])
def test_means_alone_of_hundreds_of_schools(source, seed, request):
    real = source == "the real workbook"
    results = request.getfixturevalue("diploma") if real else hbm.load_dataset("diploma")
    table = hbm.exam_table(results, course="Mathematics 30-1", year=2016)
    model = hbm.exams.nested(table, observe="mean")
    fit = hbm.sample(model, random_seed=seed, progressbar=False, method="nuts")
    diagnosis = hbm.diagnose(fit)
    print(diagnosis)
    assert diagnosis.ok, str(diagnosis)


@pytest.mark.slow
def test_schools_without_sd_leave_the_others_as_they_were(real):
    table, fit = real
    removed = np.random.default_rng(1).random(len(table)) < 1 / 3
    some = table.assign(sd=table["sd"].mask(removed))
    model = hbm.exams.nested(some)
    fit_of_some = hbm.sample(model, random_seed=1, progressbar=False, method="nuts")
    diagnosis = hbm.diagnose(fit_of_some)
    assert diagnosis.ok, str(diagnosis)
    whole, part = (hbm.shrinkage(each, "school") for each in (fit, fit_of_some))
    # Estimates hang together through the population alone: they move by a part of their own sd.
    moved = (part["mean"] - whole["mean"]).abs() / whole["sd"]
    assert moved[~removed].max() < 0.3
    assert (part["sd"] / whole["sd"])[~removed].between(0.85, 1.15).all()
    # A school whose spread is not known is a little less sure.
    assert (part["sd"] / whole["sd"])[removed].mean() > 1


@pytest.mark.slow
def test_two_groups_are_enough():
    """With two, the spread between groups is told by its prior, and must still be sampled."""
    table = pd.DataFrame({"school": ["a", "b"], "authority": ["x", "y"]})
    table = table.assign(n_students=[6, 40], mean=[0.5, 0.7], sd=[0.2, 0.18])
    model = hbm.exams.nested(table)
    fit = hbm.sample(model, random_seed=1, progressbar=False, method="nuts")
    assert hbm.diagnose(fit).ok, str(hbm.diagnose(fit))
