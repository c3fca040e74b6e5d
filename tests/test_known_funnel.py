"""Control limits of models with predictors, against draws of the story they tell."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
from fakes import fake_fit
from known_predictors import BETA, GAMMA, KNOWN, coded, fake_known, known_model, known_table
from numpy.testing import assert_allclose
from pictures import legend_texts
from scipy.special import expit
from scipy.stats import beta as beta_law

import hbm

N_DRAWS = 400_000
TAU = np.hypot(KNOWN["tau_authority"], KNOWN["tau_school"])


@pytest.fixture(scope="module")
def limits():
    return hbm.funnel_limits(fake_known(n_draws=4), "school", n=[3, 12, 90]).set_index("n_students")


def drawn(n, rng):
    """Draw means of schools, and raw means of n students of each and of an average school."""
    pick = rng.integers(0, 11, N_DRAWS)
    x, at_n = sum(coded())[pick], sum(coded(sizes=n))[pick]
    mean = expit(KNOWN["eta"] + x @ BETA + TAU * rng.normal(size=N_DRAWS))
    log_nu = np.log(KNOWN["nu"]) + at_n @ GAMMA + KNOWN["tau_nu"] * rng.normal(size=N_DRAWS)
    trials = n * (np.exp(log_nu) + 1) - 1
    raw = [rng.beta(m * trials, (1 - m) * trials) for m in (mean, np.full(N_DRAWS, mean.mean()))]
    given_n = expit(KNOWN["eta"] + at_n @ BETA + TAU * rng.normal(size=N_DRAWS))
    return mean, raw, given_n


@pytest.mark.parametrize("n", [3, 12, 90])
def test_limits_are_quantiles_of_the_story(limits, n):
    mean, (any_school, alike), given_n = drawn(n, np.random.default_rng(n))
    row = limits.loc[n]
    # The standard error of an average of so many is below 0.0003.
    assert_allclose(row["centre"], mean.mean(), atol=0.001)
    assert_allclose(row["expected"], given_n.mean(), atol=0.001)
    for raw, which in ((any_school, ""), (alike, "alike_")):
        expected = np.quantile(raw, [0.025, 0.975])
        # 8,192 quasi-random points tell a quantile to about 0.03 of an sd.
        assert_allclose(
            row[[f"{which}lower", f"{which}upper"]], expected, atol=0.03 * raw.std(), err_msg=which
        )


def test_the_centre_is_one_and_what_is_expected_follows_size(limits):
    assert limits["centre"].nunique() == 1
    assert limits["expected"].is_monotonic_increasing
    assert limits["expected"].iloc[0] < limits["centre"].iloc[0] < limits["expected"].iloc[-1]


def test_without_size_among_predictors_nothing_is_expected_of_one():
    model = hbm.exams.nested(known_table(), predictors={"authority": ["type"]})
    prior = hbm.sample_prior_predictive(model, 5, random_seed=1)
    found = hbm.funnel_limits(prior.assign(posterior=prior["prior"]), "school", n=[5, 50])
    assert "expected" not in found


def test_predictors_without_effects_leave_limits_as_they_are():
    none = {"beta": np.zeros((1, 7)), "gamma": np.zeros((1, 7))}
    found = hbm.funnel_limits(fake_known(n_draws=3, **none), "school", n=[5, 50])
    kept = fake_known(n_draws=3)["posterior"].to_dataset()
    kept = kept.drop_vars(["beta", "gamma", "beta_contrast", "gamma_contrast"])
    plain = fake_fit(
        hbm.exams.nested(known_table()), {name: x.to_numpy()[0] for name, x in kept.items()}
    )
    expected = hbm.funnel_limits(plain, "school", n=[5, 50])
    assert_allclose(found.pop("expected"), expected["centre"])
    assert_allclose(found, expected)


def test_an_average_school_of_few_alike_students_has_limits_of_its_own():
    model = known_model()
    gamma = np.zeros((1, 7))
    gamma[0, 0] = -1.0
    fixed = {"beta": np.zeros((1, 7)), "gamma": gamma, "tau_nu": np.zeros(2)}
    found = hbm.funnel_limits(fake_known(model, n_draws=2, **fixed), "school", n=[3], prob=0.9)
    x = sum(coded(sizes=3))[0, 0]
    trials = 3 * (KNOWN["nu"] * np.exp(-x) + 1) - 1
    m = found["centre"][0]
    expected = beta_law(m * trials, (1 - m) * trials).ppf([0.05, 0.95])
    assert_allclose(found.loc[0, ["alike_lower", "alike_upper"]], expected, atol=0.005)


def test_the_picture_has_the_curve():
    fit = fake_known(n_draws=4)
    found = hbm.funnel_limits(fit, "school")
    ax = hbm.plot_funnel(hbm.shrinkage(fit, "school"), found)
    assert legend_texts(ax)[-2:] == ["mean of the population", "mean of schools of this size"]
    (curve,) = [line for line in ax.lines if line.get_label() == "mean of schools of this size"]
    assert_allclose(curve.get_ydata(), found["expected"])
    plt.close(ax.figure)
