import numpy as np
import pytest
from known_exams import AUTHORITIES, SIZES, TRUTH, known_exams, summaries
from scipy import stats

import hbm
from hbm.checks.joint import judge


def false_alarms(n_sets, n_draws, rng):
    """Count data sets of a known population that fail, by the joint rule and by ten intervals."""
    model, fit = known_exams(n_sets * n_draws)
    replicates = hbm.check_predictive(
        model, fit, new_groups=True, draws=n_sets * n_draws, random_seed=rng
    ).replicates.to_numpy()
    joint, apart, p_values = 0, 0, []
    for replicated in np.split(replicates, n_sets):
        table = hbm.simulate.exams(AUTHORITIES, SIZES, **TRUTH, random_seed=rng)[0]
        seen = np.array(list(summaries(table).values()))
        found = judge(replicated, seen, 0.99)
        joint += found.outside.any()
        p_values.append(found.p_value)
        low, high = np.nanquantile(replicated, [0.005, 0.995], axis=0)
        apart += ((seen < low) | (seen > high)).any()
    return joint, apart, np.array(p_values)


def test_a_right_model_fails_as_often_as_it_says():
    n_sets = 200
    joint, apart, p_values = false_alarms(n_sets, 200, np.random.default_rng(1))
    # A right model with a chance of 1 % exceeds this once in 10,000 times.
    most = stats.binom.isf(1e-4, n_sets, 0.01)
    assert joint <= most
    # Ten intervals of 99 %, one a statistic, are left by one data set in nine.
    assert apart > most
    assert stats.kstest(p_values, "uniform").pvalue > 1e-4


@pytest.mark.calibration
@pytest.mark.parametrize("n_draws", [1000, 200])
def test_one_in_a_hundred_right_models_fails(n_draws):
    rng = np.random.default_rng(2)
    found = np.array([false_alarms(100, n_draws, rng)[:2] for _ in range(10)]).sum(axis=0)
    print(f"{n_draws} draws: {found[0]} of 1,000 fail, {found[1]} by an interval for each")
    assert 0.004 <= found[0] / 1000 <= 0.016
    assert found[1] / 1000 > 0.08


def test_limits_p_value_and_verdict_are_those_of_the_ranks():
    rng = np.random.default_rng(3)
    # Statistics that hang together, of different scales and skewed to different sides.
    z = rng.normal(size=(500, 4)) @ rng.normal(size=(4, 4))
    z = np.column_stack([z[:, 0], np.exp(z[:, 1]), -1000 * np.exp(z[:, 2]), 5 + 1e-6 * z[:, 3]])
    for prob in (0.99, 0.8, 0.5):
        outside = 0
        for i in range(500):
            found = judge(np.delete(z, i, axis=0), z[i], prob)
            assert (found.outside == 1).tolist() == (z[i] > found.upper + 1e-15).tolist()
            assert (found.outside == -1).tolist() == (z[i] < found.lower - 1e-15).tolist()
            assert found.outside.any() == (found.p_value <= 1 - prob + 1e-9)
            outside += found.outside.any()
        # Each data set in turn among the same 500: exactly so many are the most unusual.
        assert outside == round(500 * (1 - prob))


def test_the_fewest_replications_can_fail_a_model():
    rng = np.random.default_rng(4)
    found = judge(rng.normal(size=(99, 10)), np.array([6.0, *np.zeros(9)]), 0.99)
    assert found.p_value == pytest.approx(0.01)
    assert found.outside.tolist() == [1] + [0] * 9


@pytest.mark.parametrize("share", [0.0, 0.005, 0.03, 0.2, 0.6])
def test_ties_and_undefined_values_take_no_power_from_other_statistics(share):
    # A share of marks that nobody reaches in most replications.
    rng = np.random.default_rng(5)
    tied = np.where(rng.uniform(size=1000) < share, rng.uniform(0.01, 0.03, 1000), 0.0)
    undefined = np.where(rng.uniform(size=1000) < 0.5, np.nan, rng.normal(size=1000))
    replicates = np.column_stack([tied, undefined, rng.normal(size=1000)])
    usual = judge(replicates, np.array([0.0, 0.1, 0.2]), 0.99)
    assert not usual.outside.any()
    assert np.isfinite([usual.lower, usual.upper]).all()
    assert usual.upper[2] < 4
    assert judge(replicates, np.array([0.0, 0.1, 5.0]), 0.99).outside.tolist() == [0, 0, 1]
    assert judge(replicates, np.array([0.0, -5.0, 0.0]), 0.99).outside.tolist() == [0, -1, 0]
    far = judge(replicates, np.array([0.3, 0.0, 0.0]), 0.99)
    assert far.outside.tolist() == [1, 0, 0]
    assert far.p_value == pytest.approx(1 / 1001)


def test_a_constant_is_left_by_more_than_rounding_only():
    replicates = np.full((200, 2), 0.7)
    off = judge(replicates, np.array([0.7 + 1e-15, 0.7]), 0.99)
    assert not off.outside.any()
    assert judge(replicates, np.array([0.7, 0.7 - 1e-6]), 0.99).outside.tolist() == [0, -1]
