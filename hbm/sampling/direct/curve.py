"""Messages from curved grids, dense around an anchor and sparse far from it.

As in :mod:`hbm.sampling.direct.line`, powers of one number a point make the sums for all means at a
time; where the spacing at a mean is wider than the Normal there, points are put between.
"""

import math

from hbm.sampling.direct.grids import (
    LOG_ROOT_2PI,
    compiled,
    integral,
    point,
    spacing,
    value_at,
)

__all__ = ["message_of_curve"]

_LARGEST = 500.0  # exponents beyond which a sum by powers could overflow
_LEAST = 1e-200  # a sum by powers that is less has lost digits
_NARROW = 1.2  # spacing, in sds of the Normal, that asks for points between
_FINEST = 8
_BESIDE = 9.0  # sds of the Normal beyond which the anchor's own peak says nothing


@compiled
def message_of_curve(f, n, grid, tau, first, apart, k, out, work):
    """Add the message of a curved grid: a sum over its points where the Normal is wide enough."""
    middle = first + (k // 2) * apart
    low, high = point(grid, 0.0), point(grid, n - 1.0)
    far = max(abs(low - middle), abs(high - middle)) * max(k - k // 2, k // 2) * apart
    powers = far < _LARGEST * tau * tau
    c, now, ratio = work[0], work[1], work[2]
    inverse, top = 0.0, -1e300
    if powers:
        inverse = 1 / (tau * tau)
        for g in range(n):
            e = point(grid, g)
            away = e - middle
            c[g] = f[g] + math.log(spacing(grid, e)) - away * away * inverse / 2
            ratio[g] = math.exp(away * apart * inverse)
            top = max(top, c[g])
        for g in range(n):
            c[g] = math.exp(c[g] - top) if c[g] - top > -690.0 else 0.0
        top -= math.log(tau) + LOG_ROOT_2PI
    for side in range(2):
        if powers:
            for g in range(n):
                now[g] = c[g]
                if side == 1:
                    ratio[g] = 1 / ratio[g]
                    now[g] *= ratio[g]
        begin, end, by = (k // 2, k, 1) if side == 0 else (k // 2 - 1, -1, -1)
        for i in range(begin, end, by):
            m = first + i * apart
            total = 0.0
            if powers:
                for g in range(n):
                    total += now[g]
                    now[g] *= ratio[g]
            if total > _LEAST and spacing(grid, m) <= _NARROW * tau:
                away = m - middle
                out[i] += math.log(total) + top - away * away * inverse / 2
            else:
                out[i] += _of_curve(f, n, grid, m, tau)


@compiled
def _of_curve(f, n, grid, mean, tau):
    """Return log ∫ exp(f) N(mean, tau) over a curved grid, whose points are made as many as needed.

    Beside the anchor, where f may have a narrow peak, and the mean there may be two maxima.
    """
    apart, wide = spacing(grid, mean), _NARROW * tau
    if apart > wide and (abs(mean - grid[2]) > _BESIDE * tau or apart > _FINEST * wide):
        return integral(f, n, grid, mean, tau)
    finer = max(1, math.ceil(apart / wide))
    top, total = -1e300, 0.0
    for i in range((n - 1) * finer + 1):
        at = i / finer
        e = point(grid, at)
        z = (e - mean) / tau
        value = (f[i] if finer == 1 else value_at(f, n, at)) - z * z / 2
        if value > top:
            total *= math.exp(top - value)
            top = value
        total += spacing(grid, e) * math.exp(value - top)
    return top + math.log(total / finer / tau) - LOG_ROOT_2PI
