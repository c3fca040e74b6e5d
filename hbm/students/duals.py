"""Dual numbers: numbers that carry their derivatives by three parameters through compiled code.

A formula written with the functions of this module, compiled by numba, gives its value when it is
handed numbers, and its value and all derivatives when it is handed :func:`Dual` ones: the chain
rule is applied as it goes along, and nothing is differentiated by hand. The functions work on plain
numbers and on duals, and only in compiled code. They follow NumPy where a number is divided by 0.

numba does not see a change of this file in the caches of the files that use it.
"""

import math
import operator
from collections.abc import Callable
from typing import Any

from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic, make_attribute_wrapper, models, overload, register_model

__all__ = [
    "Dual",
    "clip",
    "exp",
    "gammaln",
    "log",
    "maximum",
    "sqrt",
]

_OPTIONS: Any = {"error_model": "numpy"}
_compiled = njit(**_OPTIONS)
_PARTS = "value", "by_first", "by_second", "by_third"


class _DualType(types.Type):
    """What numba calls a number with three derivatives."""

    def __init__(self) -> None:
        super().__init__(name="Dual")


_dual = _DualType()


@register_model(_DualType)
class _DualModel(models.StructModel):
    """Four numbers, kept in registers."""

    def __init__(self, manager: Any, fe_type: Any) -> None:
        members = [(name, types.float64) for name in _PARTS]
        super().__init__(manager, fe_type, members)


for _name in _PARTS:
    make_attribute_wrapper(_DualType, _name, _name)


def _make(typingctx: Any, value: Any, by_first: Any, by_second: Any, by_third: Any) -> Any:
    """Make a dual number of a value and its derivatives by the three parameters."""

    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        number = cgutils.create_struct_proxy(_dual)(context, builder)
        for part, argument in zip(_PARTS, arguments, strict=True):
            setattr(number, part, argument)
        return number._getvalue()

    return _dual(*(types.float64,) * len(_PARTS)), build


Dual: Any = intrinsic(_make)


def _is_dual(x: Any) -> bool:
    return isinstance(x, _DualType)


def _operation(of: Callable, duals: Callable, dual_first: Callable, dual_second: Callable) -> None:
    """Teach an operator two duals, a dual and a number, and a number and a dual."""

    @overload(of, jit_options=_OPTIONS)
    def _(x, y):  # numba compares signatures, annotations and all
        if _is_dual(x) and _is_dual(y):
            return duals
        if _is_dual(x) and isinstance(y, types.Number):
            return dual_first
        if isinstance(x, types.Number) and _is_dual(y):
            return dual_second
        return None


_operation(
    operator.add,
    lambda x, y: Dual(
        x.value + y.value,
        x.by_first + y.by_first,
        x.by_second + y.by_second,
        x.by_third + y.by_third,
    ),
    lambda x, y: Dual(x.value + y, x.by_first, x.by_second, x.by_third),
    lambda x, y: Dual(x + y.value, y.by_first, y.by_second, y.by_third),
)
_operation(
    operator.sub,
    lambda x, y: Dual(
        x.value - y.value,
        x.by_first - y.by_first,
        x.by_second - y.by_second,
        x.by_third - y.by_third,
    ),
    lambda x, y: Dual(x.value - y, x.by_first, x.by_second, x.by_third),
    lambda x, y: Dual(x - y.value, -y.by_first, -y.by_second, -y.by_third),
)
_operation(
    operator.mul,
    lambda x, y: Dual(
        x.value * y.value,
        x.by_first * y.value + x.value * y.by_first,
        x.by_second * y.value + x.value * y.by_second,
        x.by_third * y.value + x.value * y.by_third,
    ),
    lambda x, y: Dual(x.value * y, x.by_first * y, x.by_second * y, x.by_third * y),
    lambda x, y: Dual(x * y.value, x * y.by_first, x * y.by_second, x * y.by_third),
)


@_compiled
def _chain(x, value, slope):
    """Return f(x) from f's value and slope there."""
    return Dual(value, slope * x.by_first, slope * x.by_second, slope * x.by_third)


@_compiled
def _reciprocal(x):
    inverse = 1 / x.value
    return _chain(x, inverse, -inverse * inverse)


_operation(
    operator.truediv,
    lambda x, y: x * _reciprocal(y),
    lambda x, y: x * (1 / y),
    lambda x, y: x * _reciprocal(y),
)


@overload(operator.neg)
def _negative(x):
    if _is_dual(x):
        return lambda x: Dual(-x.value, -x.by_first, -x.by_second, -x.by_third)
    return None


@overload(operator.pow, jit_options=_OPTIONS)
def _power(x, k):
    if _is_dual(x) and isinstance(k, types.Integer):
        return lambda x, k: _chain(x, x.value**k, k * x.value ** (k - 1))
    return None


def _function(value_and_slope: Callable, name: str) -> Callable:
    """Make a function of numbers and duals from one that returns a value and a slope."""

    def function(x):
        raise TypeError(f"{name} works in compiled code only")

    function.__name__, function.__doc__ = name, f"Return {name}(x), for compiled code."

    @overload(function, jit_options=_OPTIONS)
    def _(x):
        if _is_dual(x):
            return lambda x: _chain(x, *value_and_slope(x.value))
        return lambda x: value_and_slope(x)[0]

    return function


@_compiled
def _log(x):
    return math.log(x), 1 / x


@_compiled
def _exp(x):
    value = math.exp(x)
    return value, value


@_compiled
def _sqrt(x):
    value = math.sqrt(x)
    return value, 0.5 / value


@_compiled
def _gammaln(x):
    """Return log Γ(x) and ψ(x) for x > 0, to some 15 digits, for the price of two logarithms.

    Stirling's series beyond 8, where seven terms suffice [1]_; below, x(x+1)… takes it there.

    References
    ----------
    .. [1] NIST Digital Library of Mathematical Functions, 5.11.1 and 5.11.2, with 5.5.1.
    """
    product, slope = 1.0, 0.0  # of x(x + 1)…
    while x < 8:
        slope = slope * x + product
        product *= x
        x += 1
    log_x, r = math.log(x), 1 / x
    s = r * r
    series = 1 / 1188 - s * (691 / 360360 - s / 156)
    series = r * (1 / 12 - s * (1 / 360 - s * (1 / 1260 - s * (1 / 1680 - s * series))))
    value = (x - 0.5) * log_x - x + 0.9189385332046728 + series
    series = 1 / 132 - s * (691 / 32760 - s / 12)
    series = s * (1 / 12 - s * (1 / 120 - s * (1 / 252 - s * (1 / 240 - s * series))))
    digamma = log_x - r / 2 - series
    return value - math.log(product), digamma - slope / product


log = _function(_log, "log")
exp = _function(_exp, "exp")
sqrt = _function(_sqrt, "sqrt")
gammaln = _function(_gammaln, "gammaln")


def maximum(x: Any, least: Any) -> Any:
    """Return x, or the number `least` where that is larger."""
    raise TypeError("maximum works in compiled code only")


@overload(maximum)
def _maximum(x, least):
    if _is_dual(x):
        return lambda x, least: x if x.value > least else Dual(float(least), 0.0, 0.0, 0.0)
    return lambda x, least: x if x > least else float(least)


def clip(x: Any, least: Any, most: Any) -> Any:
    """Return x, or the nearer of two numbers where x is not between them."""
    raise TypeError("clip works in compiled code only")


@overload(clip)
def _clip(x, least, most):
    def dual(x, least, most):
        bounded = min(max(x.value, float(least)), float(most))
        return x if bounded == x.value else Dual(bounded, 0.0, 0.0, 0.0)

    if _is_dual(x):
        return dual
    return lambda x, least, most: min(max(x, float(least)), float(most))
