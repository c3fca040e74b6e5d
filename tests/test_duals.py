"""Dual numbers: every rule of theirs against differences, in compiled code."""

import numpy as np
import pytest
from numba import njit
from scipy.special import digamma, gammaln

from hbm.students import duals
from hbm.students.duals import Dual, clip, exp, log, maximum, sqrt

FORMULAS = {
    "sum": lambda x, y: x + y + (x + 2.0) + (3 + y),
    "difference": lambda x, y: x - y * 2 - (x - 2.0) * x - (3 - y) * y,
    "product": lambda x, y: x * y * 2.5 * x + 2 * y,
    "quotient": lambda x, y: x / y + 2 / x + y / 3 + x / (x + y),
    "negative": lambda x, y: -(x * y),
    "powers": lambda x, y: (x - y) ** 2 + x**3 + y**1,
    "log": lambda x, y: log(x * y),
    "exp": lambda x, y: exp(x - 2 * y),
    "sqrt": lambda x, y: sqrt(x + y * y),
    "gammaln": lambda x, y: duals.gammaln(x) * duals.gammaln(3 * y),
    "maximum": lambda x, y: maximum(x * y, 0.5) + maximum(x * y, 1e3),
    "clip": lambda x, y: clip(x, 0, 50) * y + clip(x, -3, 0.01) * x + clip(y, 1e3, 1e4) * y,
}


@pytest.mark.parametrize("name", FORMULAS)
@pytest.mark.parametrize("at", [(0.7, 1.9), (2.3, 0.4), (11.0, 12.5)])
def test_derivatives_are_those_of_the_value(name, at):
    formula = njit(FORMULAS[name])

    @njit
    def with_derivatives(x, y):
        # Carried along with x, the third derivative is the first.
        result = formula(Dual(x, 1.0, 0.0, 1.0), Dual(y, 0.0, 1.0, 0.0))
        return result.value, result.by_first, result.by_second, result.by_third

    step = 1e-5
    value, by_first, by_second, by_third = with_derivatives(*at)
    x, y = at
    assert value == pytest.approx(formula(x, y), rel=1e-14)
    slopes = (
        (formula(x + step, y) - formula(x - step, y)) / (2 * step),
        (formula(x, y + step) - formula(x, y - step)) / (2 * step),
    )
    assert by_third == by_first
    assert (by_first, by_second) == pytest.approx(slopes, rel=1e-7, abs=1e-7)


def test_log_gamma_and_its_slope_are_scipys():
    x = np.concatenate(
        [np.geomspace(1e-9, 1e14, 2000), np.arange(1, 30), 8 - np.geomspace(1e-9, 1, 50)]
    )
    found = np.array([duals._gammaln(one) for one in x])
    np.testing.assert_allclose(found[:, 0], gammaln(x), rtol=2e-14, atol=2e-14)
    np.testing.assert_allclose(found[:, 1], digamma(x), rtol=2e-14, atol=2e-14)


@pytest.mark.parametrize("function", [log, exp, duals.gammaln, maximum, clip])
def test_outside_compiled_code_they_say_so(function):
    arguments = {maximum: (1.0, 2.0), clip: (1.0, 0.0, 2.0)}.get(function, (1.0,))
    with pytest.raises(TypeError, match="compiled code only"):
        function(*arguments)
