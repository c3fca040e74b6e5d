"""Many draws at a time, from log densities on grids of one length, each times a Normal of its own.

What :mod:`hbm.sampling.direct.inverse` does for one draw is done here for many side by side, with
points that lie alike for all: those of the grid, and as many between them as the narrowest density
asks for. So log densities between points of the grid are sums by the same six weights, and all
steps but the last are the same operations for each draw, which is what processors are fast at.
A draw is made alone where its density is too narrow for that, or not near nothing at the ends of
its grid. The tests hold draws to 2e-4 of the distribution function, as those made alone.
"""

import math

from hbm.sampling.direct.grids import bounded_exp, compiled, six_points, six_weights
from hbm.sampling.direct.inverse import between, draw

__all__ = ["FINEST", "draw_together"]

FINEST = 8  # times as many points as the grid has
_PER_WIDTH = 2.0  # points in a standard deviation
_DEPTH = 14.0  # nats below its maximum to which a density is followed
_BEYOND = 12.0  # nats below it that the ends of a grid must be
_WITHIN = 8.0  # nats below it to which the bend of a density tells of its width
_NARROWEST = 1e6  # precision, in units of the grid's spacing, that stands for all larger ones


@compiled
def draw_together(f, n, grid, mean, tau, u, out, room, row, work):
    """Write the values at which exp(f(e)) N(e; mean, tau) have shares `u` below them.

    Parameters
    ----------
    f : numpy.ndarray, shape (n or more, n_draws)
        Log density of each draw at the n points of its grid.
    grid : numpy.ndarray, shape (4, n_draws)
        Grids; all are curved, or none.
    mean, tau : numpy.ndarray, shape (n_draws,)
        Of the Normals; tau may be 0.
    u : numpy.ndarray, shape (n_draws,)
        Between 0 and 1.
    out : numpy.ndarray, shape (n_draws,)
        Overwritten.
    room : numpy.ndarray, shape (3, FINEST * n or more, n_draws)
        Overwritten.
    row : numpy.ndarray, shape (8, n_draws)
        Overwritten.
    work : numpy.ndarray, shape (4, n and 121 or more)
        Overwritten.
    """
    n_draws = len(mean)
    value, density, whole = room[0], room[1], room[2]
    centre, precision, top, bend, alone, count = row[0], row[1], row[2], row[3], row[4], row[5]
    target, total = row[6], row[7]
    fine, low, high = 0, n - 1, 0
    if grid[3, 0] == 0:
        # In units of the grid's spacing from here on.
        for d in range(n_draws):
            centre[d] = (mean[d] - grid[2, d] - grid[0, d]) / grid[1, d]
            by = grid[1, d] / tau[d] if tau[d] > 0 else _NARROWEST
            precision[d] = min(by * by, _NARROWEST)
            top[d], bend[d] = -1e300, 0.0
        for g in range(n):
            for d in range(n_draws):
                value[g, d] = f[g, d] - (g - centre[d]) ** 2 * precision[d] / 2
                top[d] = max(top[d], value[g, d])
        for g in range(1, n - 1):
            for d in range(n_draws):
                of_f = 2 * f[g, d] - f[g - 1, d] - f[g + 1, d]
                bend[d] = max(bend[d], of_f if value[g, d] > top[d] - _WITHIN else 0.0)
        most = 1.0
        for d in range(n_draws):
            points = _PER_WIDTH * math.sqrt(precision[d] + bend[d])
            ends = max(value[0, d], value[n - 1, d])
            alone[d] = 1.0 if points > FINEST or ends > top[d] - _BEYOND else 0.0
            if alone[d] == 0:
                most = max(most, points)
                fine = math.ceil(most)
        for g in range(n):
            hits = 0.0
            for d in range(n_draws):
                hits += 1 - alone[d] if value[g, d] > top[d] - _DEPTH else 0.0
            if hits > 0:
                low, high = min(low, max(g - 1, 0)), min(g + 1, n - 1)
    if fine > 0:
        last = fine * (high - low)
        for d in range(n_draws):
            top[d] = -1e300
        for k in range(last + 1):
            g, p = low + k // fine, low + k / fine
            if k % fine == 0:
                for d in range(n_draws):
                    value[k, d] = f[g, d] - (p - centre[d]) ** 2 * precision[d] / 2
                    top[d] = max(top[d], value[k, d])
                continue
            i, t = six_points(p, n)
            a0, a1, a2, a3, a4, a5 = six_weights(t)
            for d in range(n_draws):
                v = a0 * f[i, d] + a1 * f[i + 1, d] + a2 * f[i + 2, d]
                v += a3 * f[i + 3, d] + a4 * f[i + 4, d] + a5 * f[i + 5, d]
                # Near the two that it lies between, where a polynomial swings.
                v = max(v, min(f[g, d], f[g + 1, d]) - 1)
                v = min(v, max(f[g, d], f[g + 1, d]) + 1)
                value[k, d] = v - (p - centre[d]) ** 2 * precision[d] / 2
                top[d] = max(top[d], value[k, d])
        for d in range(n_draws):
            total[d], density[0, d], whole[0, d], count[d] = 0.0, 0.0, 0.0, -1.0
        for k in range(1, last + 1):
            a, b, after, beyond = max(k - 2, 0), k - 1, min(k + 1, last), min(k + 2, last)
            for d in range(n_draws):
                own = bounded_exp(value[k, d] - top[d])
                slope = 8 * (value[after, d] - value[b, d]) - value[beyond, d] + value[a, d]
                # Areas are (y0 + y1) / 2 + (y0' - y1') / 12, whose second parts nearly all cancel.
                total[d] += (density[b, d] + own) / 2
                whole[k, d] = max(whole[b, d], total[d] - slope * own / 144)
                density[k, d] = own
        for d in range(n_draws):
            target[d] = u[d] * whole[last, d]
        for k in range(last):
            for d in range(n_draws):
                count[d] += 1.0 if whole[k, d] <= target[d] else 0.0
    for d in range(n_draws):
        if fine > 0 and alone[d] == 0:
            k = int(count[d])
            t = between(whole[k, d], whole[k + 1, d], density[k, d], density[k + 1, d], target[d])
            out[d] = grid[2, d] + grid[0, d] + (low + (k + t) / fine) * grid[1, d]
        else:
            for g in range(n):
                work[3, g] = f[g, d]
            own = (grid[0, d], grid[1, d], grid[2, d], grid[3, d])
            out[d] = draw(work[3], n, own, mean[d], tau[d], u[d], work)
