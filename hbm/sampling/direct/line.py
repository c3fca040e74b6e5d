"""Messages: log densities of one effect, integrated over a Normal, for many means at a time.

A log density, known at the points of a grid, is that of what was seen below; the Normal is the
effect's own, around its parent.

Where the Normal is wider than the spacing, the sum over the grid points times the spacing is the
trapezoidal rule, whose error falls exponentially (Trefethen and Weideman 2014), and for all means
at a time it is a polynomial in one number a mean: with points e = j h around the middle of the
grid, exp(−(e − m)²/2τ²) = exp(−e²/2τ²) exp(−m²/2τ²) ρ^j, ρ = exp(h m/τ²). Where it is narrower,
each mean takes points of its own, around the maximum of its integrand and as far apart as that is
wide, at which the log density is interpolated (:func:`hbm.sampling.direct.grids.integral`); with
τ → 0 it becomes the value at the mean. Nothing is clipped.

Sums are made for many θ side by side, which is what processors are fast at. A parent's messages add
up as logs; to take few of these, they are multiplied for as long as the product is a plain number.
"""

import math

from hbm.sampling.direct.grids import LEAST, LOG_ROOT_2PI, compiled

__all__ = ["by_powers"]

_LARGEST = 500.0  # exponents beyond which a sum by powers could overflow
_LEAST = 1e-200  # a sum by powers that is less has lost digits
_PLAIN = 1e140  # products up to here, and down to its inverse, are left as they are


@compiled
def by_powers(c, top, step, start, tau, first, apart, k, out, product, does, work, row):
    """Add log ∫ exp(top) c(e) N(e; m, tau) de to log messages, for k means m and many θ.

    Parameters
    ----------
    c : numpy.ndarray, shape (n, n_theta)
        Densities at the n points of a grid, relative to about their greatest.
    top : numpy.ndarray, shape (n_theta,)
        Log of what they are relative to.
    step, start, tau : numpy.ndarray, shape (n_theta,)
        Grids, and standard deviations of the Normal.
    first, apart : numpy.ndarray, shape (n_theta,)
        Grids of the means.
    k : int
        Number of means.
    out, product : numpy.ndarray, shape (k or more, n_theta)
        Changed: a message is `out` and the log of `product`.
    does : numpy.ndarray of bool, shape (n_theta,)
        Overwritten: for which θ the sums have their digits. For others nothing is changed.
    work : numpy.ndarray, shape (4, n and k or more, n_theta)
        Overwritten.
    row : numpy.ndarray, shape (9, n_theta)
        Overwritten.
    """
    n, n_theta = c.shape
    d, rho, right, left = work[0], work[1], work[2], work[3]
    middle, inverse, turn, kernel, ratio, by = row[0], row[1], row[2], row[3], row[4], row[5]
    largest, least, most = row[6], row[7], row[8]
    j = (n - 1) // 2
    for b in range(n_theta):
        middle[b] = start[b] + j * step[b]
        half, last = (n - j) * step[b], first[b] + (k - 1) * apart[b]
        far = max(abs(first[b] - middle[b]), abs(last - middle[b]))
        does[b] = tau[b] >= step[b] and half * max(far, half) <= _LARGEST * tau[b] ** 2
        inverse[b] = 1 / tau[b] ** 2 if does[b] else 0.0
        once = math.exp(-(step[b] ** 2) * inverse[b] / 2)
        turn[b] = once * once
        kernel[b], ratio[b] = once, once * turn[b]
        rho[0, b] = math.exp(step[b] * (first[b] - middle[b]) * inverse[b])
        by[b] = math.exp(step[b] * apart[b] * inverse[b])
        largest[b] = d[j, b] = c[j, b]
        least[b] = most[b] = 1.0
    for g in range(1, n - j):  # of an even number of points the last has none opposite
        for b in range(n_theta):
            d[j + g, b] = c[j + g, b] * kernel[b]
            largest[b] = max(largest[b], d[j + g, b])
        for b in range(n_theta if g <= j else 0):
            d[j - g, b] = c[j - g, b] * kernel[b]
            largest[b] = max(largest[b], d[j - g, b])
        for b in range(n_theta):
            kernel[b] *= ratio[b]
            ratio[b] *= turn[b]
    for i in range(k):
        for b in range(n_theta):
            if i > 0:
                rho[i, b] = rho[i - 1, b] * by[b]
            right[i, b], left[i, b] = d[n - 1, b], 0.0
    for g in range(n - 2, j - 1, -1):
        for i in range(k):
            for b in range(n_theta):
                right[i, b] = right[i, b] * rho[i, b] + d[g, b]
    for i in range(k):
        for b in range(n_theta):
            rho[i, b] = 1 / rho[i, b]
    for g in range(j):
        for i in range(k):
            for b in range(n_theta):
                left[i, b] = (left[i, b] + d[g, b]) * rho[i, b]
    for i in range(k):
        for b in range(n_theta):
            right[i, b] += left[i, b]
            left[i, b] = right[i, b] * product[i, b]
            least[b], most[b] = min(least[b], left[i, b]), max(most[b], left[i, b])
    for b in range(n_theta):
        does[b] = does[b] and largest[b] >= _LEAST
        if not does[b]:
            continue
        constant = top[b] + math.log(step[b] / tau[b]) - LOG_ROOT_2PI
        plain = least[b] >= 1 / _PLAIN and most[b] <= _PLAIN
        for i in range(k):
            m = first[b] + i * apart[b] - middle[b]
            out[i, b] += constant - m * m * inverse[b] / 2
            if not plain:
                out[i, b] += math.log(product[i, b]) + math.log(max(right[i, b], LEAST))
                left[i, b] = 1.0
            product[i, b] = left[i, b]
