"""What must not become slow: ratios of times in one run, and what is not compiled again.

Absolute figures are printed by `python tests/benchmarks`.
"""

import time

import numpy as np
import pymc as pm
import pytest
from numba.core.event import install_recorder

import hbm
from hbm.sampling.compiled import Compiled, shape_of

pytestmark = pytest.mark.slow


def gradient(model):
    """Return a function that evaluates density and gradient once."""
    with model:
        density = model.logp_dlogp_function(ravel_inputs=True, mode="NUMBA")
        density.set_extra_values({})
        point = pm.blocking.DictToArrayBijection.map(model.initial_point())
    density(point)
    return lambda: density(point)


def ratio(function, other, rounds=30, calls=20):
    """Return how many times as long one takes as the other, the best of rounds taken in turn."""
    best = [np.inf, np.inf]
    for _ in range(rounds):
        for i, call in enumerate((function, other)):
            # Of this thread's own time: other tests run at the same time.
            start = time.thread_time()
            for _ in range(calls):
                call()
            best[i] = min(best[i], time.thread_time() - start)
    return best[0] / best[1]


def exams(n_schools):
    rng = np.random.default_rng(n_schools)
    sizes = np.exp(rng.uniform(np.log(6), np.log(300), n_schools)).astype(int)
    return hbm.simulate.exams(np.full(n_schools // 10, 10), sizes, random_seed=rng)


def test_more_students_of_the_same_schools_cost_no_more():
    def model(n_each):
        _, students, _ = hbm.simulate.exams([10] * 10, n_each, nu=20, random_seed=1)
        students["score"] = students["score"].clip(1e-12, 1 - 1e-12)
        return hbm.scores.nested(students.rename(columns={"authority": "district"}))

    assert ratio(gradient(model(2000)), gradient(model(20))) < 1.5


def test_a_gradient_costs_in_proportion_to_schools():
    few, many = (gradient(hbm.exams.nested(exams(n)[0])) for n in (300, 3000))
    assert ratio(many, few) < 10 * 1.5


def test_a_table_of_like_size_is_not_compiled_again():
    table = exams(60)[0]
    model = hbm.exams.nested(table)
    settings = {"tune": 100, "chains": 1, "target_accept": 0.8, "random_seed": 1}
    with install_recorder("numba:compile") as first:
        compiled = Compiled(model, shape_of(model))
        compiled.sample(model, 50, **settings)
    assert first.buffer
    again = hbm.exams.nested(table.iloc[::-1])
    with install_recorder("numba:compile") as second:
        compiled.sample(again, 50, **settings)
    assert not second.buffer
