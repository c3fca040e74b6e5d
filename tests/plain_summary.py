"""The density of (mean, sd) of n ≥ 2 Beta students in NumPy, with quotients as differences of logs.

A second route to what `hbm.students.summary_density` compiles: slow, without derivatives, and with
SciPy's Beta density. Its head has the formula.
"""

import numpy as np
from scipy import stats

BEND = 0.5  # half the width over which the corner of above() is rounded off


def h(y):
    return y * (1 - y)


def log_end_shape(n, a):
    log_unbounded = (
        np.log((n - 1) / (2 * n)) - np.log(a + 1) + np.log(n * a + 2) + np.log(n * a + 3)
    )
    log_bounded = np.log(np.expm1(log_unbounded)) - np.log(n * a + 1)
    return (log_unbounded - np.log(n * a) + log_bounded) / 2


def spread_shapes(mean, n, mu, nu):
    size = n * (nu + 1) - 1
    product = h(mu) * size**2
    tilt = nu / (nu + 2) * (1 - 2 * mu) / h(mu)

    def log_d(y):
        return np.log1p(n * (nu * ((y - mu) ** 2 + h(mu)) + h(y) * (1 + tilt * (y - mu))))

    y2 = (mu * size + 2) / (size + 4)
    inverse = n * np.exp(-log_d(y2))
    slope = inverse * (2 * nu * (y2 - mu) + (1 - 2 * y2) * (1 + tilt * (y2 - mu)) + h(y2) * tilt)
    bend = inverse * (nu - 1 + tilt * (1 + mu - 3 * y2))
    curved = 1 + h(y2) / (size + 5) * (slope**2 - bend)
    log_wanted = (
        log_d(y2) + np.log(size + 2) + np.log(size + 3) - np.log(size) - np.log(product + size + 1)
    )
    delta = (np.exp(log_wanted) - curved) * (size + 5) / (size + 4) / h(y2)
    delta = np.maximum(delta, -3.0)

    def log_scale(y):
        return np.log1p(delta * h(y)) - log_d(y)

    def e(y):
        return np.clip((n - 1) * h(y) * np.exp(log_scale(y)), 1e-12, 0.99)

    y4 = (mu * size + 4) / (size + 8)
    h_kurtosis = 6 * ((nu + 1) * (1 - 4 * h(mu)) - h(mu) * (nu + 2)) / (nu + 2) / (nu + 3)
    log_ratio = (
        np.log(h(mu) * (n + 1) / (n - 1) + h_kurtosis / n)
        + sum(np.log(size + i) for i in range(2, 8))
        - sum(np.log(size + i) for i in range(2))
        - sum(np.log(product + i * size + i**2) for i in range(1, 4))
        - 2 * (log_scale(y4) + np.log(curved))
    )
    cv2 = np.maximum(np.expm1(log_ratio), 1e-3 / n)
    p4 = np.clip((1 - e(y4)) / cv2 - e(y4), 0.05, n)

    p_0, p_1 = np.exp(log_end_shape(n, mu * nu)), np.exp(log_end_shape(n, (1 - mu) * nu))
    ratio = p4 / (p_0 + (p_1 - p_0) * y4)
    up = np.maximum(ratio - 1, 0.0) / h(y4)
    down = np.maximum(1 / ratio - 1, 0.0) / h(y4)
    p = (p_0 + (p_1 - p_0) * mean) * (1 + up * h(mean)) / (1 + down * h(mean))
    return p, p * (1 / e(mean) - 1)


def above(x):
    # The second antiderivative of the curvature 6s(1 − s)/(2·BEND), s from 0 to 1.
    s = (x / BEND + 1) / 2
    rounded = BEND * (2 * s**3 - s**4)
    return np.where(x <= -BEND, 0.0, np.where(x >= BEND, x, rounded))


def logp(mean, sd, n, mu, nu, excess=0.0):
    told = n / (1 + excess)
    eta, centre, reach = np.log(mu / (1 - mu)), np.log(mean / (1 - mean)), 1 + 4 / np.sqrt(told)
    too_high = above(eta - np.maximum(centre, 0.0) - reach)
    too_low = above(-eta - np.maximum(-centre, 0.0) - reach)
    too_small = above(np.log(0.5) - np.log(nu))
    mu = 1 / (1 + np.exp(too_high - too_low - eta))
    nu = nu * np.exp(too_small)
    # Of a mean whose variance is μ(1 − μ)/(size + 1), which is that of a cohort's mean and in it.
    own = n * (nu + 1) / np.maximum(excess, 1e-300)  # sample size of the Beta of cohorts' means
    of_cohort = 1 / (own + 1)
    size = 1 / (of_cohort + (1 - of_cohort) / (n * (nu + 1))) - 1
    reliable = of_cohort * (size + 1)  # the part of its variance that is the cohort's
    p, q = spread_shapes(mean, n, mu + reliable * (mean - mu), nu)
    most = n * h(mean) / (n - 1)
    return (
        stats.beta.logpdf(mean, mu * size, (1 - mu) * size)
        + stats.beta.logpdf(sd**2 / most, p, q)
        + np.log(2 * sd / most)
        - told * (too_high + too_low + too_small)
    )
