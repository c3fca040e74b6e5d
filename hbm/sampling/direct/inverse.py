"""Draws: the inverse distribution function of a log density on a grid, times a Normal.

It goes by points half a standard deviation apart, around the maximum, with a cubic between them
that has the density as its slope. Of a Normal that is off by 1e-4 at most (h⁴/384 times the third
derivative of its density, at most 0.55); the tests hold it to 2e-4 of a skewed density on an even
grid, and to 1e-3 of one that is narrow and has wide shoulders on a curved grid.
"""

import math

from hbm.sampling.direct.grids import compiled, maximum, point, position, spacing, value_at

__all__ = ["between", "draw"]

_FINE = 0.5  # own points, in standard deviations
_EACH_SIDE = 11
_MOST_EACH_SIDE = 60
_DEPTH = 16.0  # how far below its maximum, in nats, a density is followed


@compiled
def draw(f, n, grid, mean, tau, u, work):
    """Return the value at which exp(f(e)) N(e; mean, tau) has the share `u` below it.

    Parameters
    ----------
    f : numpy.ndarray, shape (n,) or more
        Log density at the n points of a grid.
    grid : tuple of float
        See above.
    mean, tau : float
        Of the Normal; tau may be 0.
    u : float
        Between 0 and 1.
    work : numpy.ndarray, shape (3, 121) or more
        Overwritten.
    """
    if tau < 1e-9 * spacing(grid, mean):
        return mean
    centre = position(grid, mean)
    if tau > spacing(grid, mean):
        best = -1e300
        for g in range(n):
            e = point(grid, g)
            z = (e - mean) / tau
            value = f[g] - z * z / 2
            if grid[3] > 0:
                value += math.log(spacing(grid, e))
            if value > best:
                best = value
                centre = float(g)
    centre, width = maximum(f, n, grid, mean, tau, centre)
    fine = _FINE * width
    density, whole, slope = work[0], work[1], work[2]
    middle = _MOST_EACH_SIDE
    low, high = middle - _EACH_SIDE, middle + _EACH_SIDE
    top = -1e300
    for i in range(low, high + 1):
        density[i] = _by_position(f, n, grid, mean, tau, centre + (i - middle) * fine)
        top = max(top, density[i])
    while low > 0 and density[low] > top - _DEPTH:
        low -= 1
        density[low] = _by_position(f, n, grid, mean, tau, centre + (low - middle) * fine)
        top = max(top, density[low])
    while high < 2 * middle and density[high] > top - _DEPTH:
        high += 1
        density[high] = _by_position(f, n, grid, mean, tau, centre + (high - middle) * fine)
        top = max(top, density[high])
    # In units of the own points' spacing from here on.
    for i in range(low, high + 1):
        if i < low + 2 or i > high - 2:
            a, b = max(i - 1, low), min(i + 1, high)
            slope[i] = (density[b] - density[a]) / (b - a)
        else:
            slope[i] = (
                8 * (density[i + 1] - density[i - 1]) - density[i + 2] + density[i - 2]
            ) / 12
    for i in range(low, high + 1):
        density[i] = math.exp(density[i] - top)
        slope[i] *= density[i]
    whole[low] = 0.0
    for i in range(low + 1, high + 1):
        area = (density[i - 1] + density[i]) / 2 + (slope[i - 1] - slope[i]) / 12
        whole[i] = whole[i - 1] + max(area, 0.0)
    target = u * whole[high]
    a, b = low, high
    while b - a > 1:
        m = (a + b) // 2
        if whole[m] <= target:
            a = m
        else:
            b = m
    t = between(whole[a], whole[b], density[a], density[b], target)
    return point(grid, centre + (a - middle + t) * fine)


@compiled
def _by_position(f, n, grid, mean, tau, at):
    """Return the log of the density that is drawn from, by position."""
    e = point(grid, at)
    z = (e - mean) / tau
    value = value_at(f, n, at) - z * z / 2
    return value + math.log(spacing(grid, e)) if grid[3] > 0 else value


@compiled
def between(below, above, left, right, target):
    """Return the share of the way at which Hermite's cubic reaches a target.

    It is that of the distribution function, whose slopes are the density.
    """
    area = above - below
    least, most = 0.0, 1.0
    t = (target - below) / area if area > 0 else 0.5
    for _ in range(30):
        s = 1 - t
        value = below + t * t * (3 - 2 * t) * area + t * s * (left * s - right * t)
        if value < target:
            least = t
        else:
            most = t
        by_t = 6 * t * s * area + left * s * (1 - 3 * t) + right * t * (3 * t - 2)
        following = t - (value - target) / by_t if by_t > 0 else (least + most) / 2
        if not least <= following <= most:
            following = (least + most) / 2
        if abs(following - t) < 1e-6:  # squared by the last step
            return following
        t = following
    return t
