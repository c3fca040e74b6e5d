"""Messages: log densities of one effect, integrated over a Normal, for many means at a time.

A log density, known at the points of a grid, is that of what was seen below; the Normal is the
effect's own, around its parent.

Where the Normal is wider than the spacing, the sum over the grid points times the spacing is the
trapezoidal rule, whose error falls exponentially (Trefethen and Weideman 2014), and for all means
at a time it is a polynomial in one number a mean: with points e = j h around the middle of the
grid, exp(−(e − m)²/2τ²) = exp(−e²/2τ²) exp(−m²/2τ²) ρ^j, ρ = exp(h m/τ²). Where it is narrower,
each mean takes points of its own, around the maximum of its integrand and as far apart as that is
wide, at which the log density is interpolated; with τ → 0 it becomes the value at the mean. Nothing
is clipped.
"""

import math

from hbm.sampling.direct.curve import message_of_curve
from hbm.sampling.direct.grids import LOG_ROOT_2PI, compiled, integral

__all__ = ["by_powers", "message"]

_LARGEST = 500.0  # exponents beyond which a sum by powers could overflow
_LEAST = 1e-200  # a sum by powers that is less has lost digits


@compiled
def by_powers(c, top, n, start, step, tau, first, apart, k, out, work):
    """Add log ∫ exp(top) c(e) N(e; m, tau) de to `out`, for k means m of an even grid.

    Says whether the sums have their digits; if not, `out` is as it was. `c` may be `work[0]`.
    """
    j = (n - 1) // 2
    middle = start + j * step
    half = (n - j) * step
    far = max(abs(first - middle), abs(first + (k - 1) * apart - middle))
    if tau < step or half * max(far, half) > _LARGEST * tau * tau:
        return False
    d, rho, right, left = work[0], work[1], work[2], work[3]
    inverse = 1 / (tau * tau)
    bend = step * step * inverse
    largest = d[j] = c[j]
    turn, once = math.exp(-bend), math.exp(-bend / 2)
    kernel, ratio = once, once * turn
    for g in range(1, j + 1):
        d[j - g] = c[j - g] * kernel
        d[j + g] = c[j + g] * kernel
        largest = max(largest, d[j - g], d[j + g])
        kernel *= ratio
        ratio *= turn
    for g in range(2 * j + 1, n):
        d[g] = c[g] * kernel
        largest = max(largest, d[g])
        kernel *= ratio
        ratio *= turn
    if largest < _LEAST:
        return False
    rho[0] = math.exp(step * (first - middle) * inverse)
    ratio = math.exp(step * apart * inverse)
    for i in range(1, k):
        rho[i] = rho[i - 1] * ratio
    for i in range(k):
        right[i] = d[n - 1]
        left[i] = 0.0
    for g in range(n - 2, j - 1, -1):
        for i in range(k):
            right[i] = right[i] * rho[i] + d[g]
    for i in range(k):
        rho[i] = 1 / rho[i]
    for g in range(j):
        for i in range(k):
            left[i] = (left[i] + d[g]) * rho[i]
    constant = top + math.log(step / tau) - LOG_ROOT_2PI
    for i in range(k):
        m = first + i * apart - middle
        out[i] += math.log(right[i] + left[i]) - m * m * inverse / 2 + constant
    return True


@compiled
def message(f, n, grid, tau, first, apart, k, out, work):
    """Add log ∫ exp(f(e)) N(e; m, tau) de to `out`, for k means m, `apart` from `first` on.

    Parameters
    ----------
    f : numpy.ndarray, shape (n,) or more
        Log density at the n points of a grid.
    grid : tuple of float
        See above.
    tau : float
        Standard deviation, 0 or more.
    out : numpy.ndarray, shape (k,) or more
        Changed.
    work : numpy.ndarray, shape (4, n or k or more)
        Overwritten.
    """
    start, step, anchor, curve = grid
    if curve > 0:
        message_of_curve(f, n, grid, tau, first, apart, k, out, work)
        return
    if tau >= step:
        top = -1e300
        for g in range(n):
            top = max(top, f[g])
        for g in range(n):
            work[0, g] = math.exp(f[g] - top) if f[g] - top > -690.0 else 0.0
        if by_powers(work[0], top, n, anchor + start, step, tau, first, apart, k, out, work):
            return
    for i in range(k):
        out[i] += integral(f, n, grid, first + i * apart, tau)
