"""Grids of one effect, and log densities between their points.

A grid is (start, step, anchor, curve). Point p lies at anchor + start + p step; or, if curve > 0,
at anchor + curve sinh(start + p step), dense around the anchor and sparse far from it: a mean of
students whose spread is not known may say much of its group, or little.
"""

import math
from typing import Any

import numpy as np
from numba import njit

__all__ = [
    "LEAST",
    "LOG_ROOT_2PI",
    "LOWEST",
    "ROOTS",
    "ROOT_2PI",
    "SHARES",
    "bounded_exp",
    "called_from_python",
    "compiled",
    "integral",
    "maximum",
    "plus",
    "point",
    "position",
    "six_points",
    "six_weights",
    "spacing",
    "value_at",
]

LOG_ROOT_2PI, ROOT_2PI = math.log(2 * math.pi) / 2, math.sqrt(2 * math.pi)
# Gauss and Hermite's seven points of a standard Normal.
ROOTS, _WEIGHTS = np.polynomial.hermite_e.hermegauss(7)
SHARES = _WEIGHTS / _WEIGHTS.sum()
LEAST, LOWEST = 1e-300, -690.0  # what densities below are taken to be, and about its log
_LARGE = 1.5 * 2.0**52
_REACH = 6  # own points each side of an integrand's maximum, 0.9 standard deviations apart
_APART = 0.9

_OPTIONS: Any = {"error_model": "numpy"}
_ANY_ORDER = {"reassoc", "contract", "nsz", "arcp"}


def compiled(function: Any) -> Any:
    """Compile a function that compiled ones call; terms may be added in any order.

    It becomes a part of each that calls it. Left to itself it would be there twice, alone and in
    its caller, with terms in different orders; the process that compiles would run one of these
    and all that read the cache another, and their draws of one seed would differ.
    """
    return njit(forceinline=True, fastmath=_ANY_ORDER, **_OPTIONS)(function)


def called_from_python(function: Any) -> Any:
    """Compile a function that no compiled one calls; terms may be added in any order."""
    return njit(fastmath=_ANY_ORDER, cache=True, nogil=True, **_OPTIONS)(function)


@njit(fastmath=False, forceinline=True, **_OPTIONS)  # else it has the options of its caller
def plus(a, b):
    """Return a sum as it stands, whatever terms are added to it."""
    return a + b


@njit(fastmath={"contract"}, forceinline=True, **_OPTIONS)
def bounded_exp(x):
    """Return e^x of x from −690 to 700, right to 3e-10 of it; beyond it is that of the ends.

    As 2^k e^r, |r| ≤ log(2)/2: k is rounded in the last bits of a sum with a number so large that
    it has no bits for fractions, and added to the exponent's bits. Processors make many at a time.
    """
    x = min(max(x, LOWEST), 700.0)
    large = x * 1.4426950408889634 + _LARGE  # in this order, whatever terms are added to it
    r = x - (large - _LARGE) * 0.6931471805599453
    s = r * r
    p = 1 / 2 + r / 6 + s * (1 / 24 + r / 120 + s * (1 / 720 + r / 5040 + s / 40320))
    bits = np.float64(1 + r + s * p).view(np.int64) + (np.float64(large).view(np.int64) << 52)
    return np.int64(bits).view(np.float64)


@compiled
def point(grid, p):
    """Return where point p of a grid lies."""
    start, step, anchor, curve = grid
    if curve > 0:
        return anchor + curve * math.sinh(start + p * step)
    return anchor + start + p * step


@compiled
def position(grid, e):
    """Return the number of the point of a grid that lies at e."""
    start, step, anchor, curve = grid
    away = e - anchor
    if curve > 0:
        away = math.asinh(away / curve)
    return (away - start) / step


@compiled
def spacing(grid, e):
    """Return the distance of neighbouring points at e."""
    _, step, anchor, curve = grid
    if curve > 0:
        return step * math.sqrt(curve * curve + (e - anchor) * (e - anchor))
    return step


@compiled
def value_at(f, n, position):
    """Return a log density between the points of its grid, at a position in steps.

    By the six points around, and near the two that it lies between, where a polynomial swings;
    beyond the ends it goes on as a line, and does not rise.
    """
    if position < 0:
        return f[0] + position * max(f[1] - f[0], 0.0)
    if position > n - 1:
        return f[n - 1] + (position - (n - 1)) * min(f[n - 1] - f[n - 2], 0.0)
    i, t = six_points(position, n)
    a0, a1, a2, a3, a4, a5 = six_weights(t)
    value = a0 * f[i] + a1 * f[i + 1] + a2 * f[i + 2]
    value += a3 * f[i + 3] + a4 * f[i + 4] + a5 * f[i + 5]
    left = min(int(position), n - 2)
    low, high = min(f[left], f[left + 1]), max(f[left], f[left + 1])
    return min(max(value, low - 1.0), high + 1.0)


@compiled
def six_points(position, n):
    """Return the first of the six points around a position, and the position from there on."""
    position = min(max(position, 0.0), n - 1.0)
    i = min(max(int(position) - 2, 0), n - 6)
    return i, position - i


@compiled
def six_weights(t):
    """Return the weights of six points by which a polynomial goes through them, at t from 0 to 5.

    They are Lagrange's.
    """
    a, b, c, d, e = t - 1, t - 2, t - 3, t - 4, t - 5
    ta, de, bc = t * a, d * e, b * c
    return (
        -a * bc * de / 120,
        t * bc * de / 24,
        -ta * c * de / 12,
        ta * b * de / 12,
        -ta * bc * e / 24,
        ta * bc * d / 120,
    )


@compiled
def maximum(f, n, grid, mean, tau, p):
    """Return where f times a Normal is largest by position, and the width there."""
    _, step, anchor, curve = grid
    prior = 1 / (tau * tau)
    precision = 1.0
    # It lies between the Normal's mean and the grid.
    lowest, highest = min(p, 0.0) - 1, max(p, n - 1.0) + 1
    for _ in range(12):
        j = min(max(round(p), 1), n - 2)
        bend = f[j + 1] - 2 * f[j] + f[j - 1]
        e = point(grid, p)
        apart = spacing(grid, e)
        turn = step * step * (e - anchor) if curve > 0 else 0.0
        slope = (f[j + 1] - f[j - 1]) / 2 + (p - j) * bend
        slope += turn / apart - (e - mean) * apart * prior
        own = apart * apart * prior
        precision = max(own + (e - mean) * turn * prior - bend, own / 4)
        move = slope / precision
        p = min(max(p + move, lowest), highest)
        if move * move * precision < 1e-3:
            break
    return p, 1 / math.sqrt(precision)


@compiled
def integral(f, n, grid, mean, tau):
    """Return log ∫ exp(f) N(mean, tau), by points around the maximum."""
    p = position(grid, mean)
    if tau < 1e-6 * spacing(grid, mean):
        return value_at(f, n, p)
    centre, width = maximum(f, n, grid, mean, tau, p)
    step = _APART * width
    top = -1e300
    total = 0.0
    for i in range(-_REACH, _REACH + 1):
        at = centre + i * step
        e = point(grid, at)
        z = (e - mean) / tau
        value = value_at(f, n, at) - z * z / 2
        if value > top:
            total *= math.exp(top - value)
            top = value
        total += spacing(grid, e) * math.exp(value - top)
    return top + math.log(total * step / tau) - LOG_ROOT_2PI
