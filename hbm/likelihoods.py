"""What a published mean and standard deviation say about the students behind them.

A table gives for each school the mean ȳ, the standard deviation s and the number n of its students, and no student. If the students
are Normal, (ȳ, s) lose nothing: the mean is Normal, the variance is an independent χ², and the posterior is that of the raw students.

If they are Beta(μν, (1−μ)ν), no exact density of (ȳ, s) is known, but its ends and its moments are, and the likelihood
here is pinned to both. Write h = ȳ(1−ȳ) and v = μ(1−μ)/(ν+1), the variance of one student.

* **The mean** is Beta(μN, (1−μ)N) with N = n(ν+1) − 1, which has the exact mean μ and the exact variance v/n.
* **The spread, given the mean.** Scores in [0, 1] with mean ȳ cannot have s² above nh/(n−1); the part of it that is reached,
  r = s²(n−1)/(nh), lies in (0, 1) and is taken as Beta(p, p(1−e)/e), so its mean is e. A high mean leaves less room for spread, so e and p
  depend on ȳ. Near 0 the students of a Beta act like Gamma(μν) variables, whose s/ȳ is exactly independent of ȳ (Lukacs 1955), and near 1
  like Gamma((1−μ)ν) ones; so there E[s²|ȳ] tends to nh²/(nμν+1) and nh²/(n(1−μ)ν+1). At ȳ = μ, for many students, its
  level is v and its slope μ₃/n over v/n, with μ₃ the third central moment. One rational function has all of these,

      e(ȳ) = (n−1) h (1 + δh) / D(ȳ),   D(ȳ) = 1 + n {ν[(ȳ−μ)² + μ(1−μ)] + h [1 + ν(1−2μ)/((ν+2)μ(1−μ)) (ȳ−μ)]},

  and δ, which vanishes as n grows, makes E[s²] equal to v for every n. In the same way p joins its two ends, known from the fourth
  moments of Gamma variables, through the value that gives E[s⁴] = v²(1 + 2/(n−1) + κ/n), with κ the excess kurtosis.

The limits are right: Normal students (ν → ∞) give the χ² law, p = (n−1)/2; Gamma students (μ → 0 or 1) give s/ȳ independent of ȳ.
Nothing is fitted to simulations; they only measured how good it is (see :func:`beta_summary_logp`).

Each ``..._logp`` takes numbers, NumPy arrays or PyTensor tensors that broadcast together, and returns the like: one formula serves the sampler
and the quadratures outside it. The functions without ``_logp`` are observed variables for a PyMC model; their predictive
draws simulate the students one by one and summarise them, so they are exact whatever the density.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np
import pymc as pm
import pytensor.tensor as pt
from numpy.typing import ArrayLike
from pytensor.graph.basic import Variable
from scipy.special import gammaln

__all__ = [
    "beta_mean",
    "beta_mean_logp",
    "beta_students_logp",
    "beta_summary",
    "beta_summary_logp",
    "normal_students_logp",
    "normal_summary",
    "normal_summary_logp",
    "published",
]

_NUMPY = SimpleNamespace(
    clip=np.clip,
    gammaln=gammaln,
    log=np.log,
    log1p=np.log1p,
    maximum=np.maximum,
    sqrt=np.sqrt,
    where=np.where,
)

# Beyond these a sampler meets rounding to 0 or 1, not information; a density clipped there stays finite, with finite gradient.
_MU = 1e-9
_NU = 1e-4, 1e7
_E = 1e-12, 0.99
_STUDENTS_AT_ONCE = 2_000_000


def _ops(*values: Any) -> Any:
    """Return the namespace whose functions suit the values: PyTensor's or NumPy's."""
    return pt if any(isinstance(value, Variable) for value in values) else _NUMPY


def _operands(*values: Any) -> list[Any]:
    """Turn numbers and lists into float arrays; leave tensors as they are."""
    return [v if isinstance(v, Variable) else np.asarray(v, dtype=float) for v in values]


def _log_beta(xp: Any, y: Any, a: Any, b: Any) -> Any:
    """Return the log density of Beta(a, b) at y."""
    norm = xp.gammaln(a + b) - xp.gammaln(a) - xp.gammaln(b)
    return norm + (a - 1) * xp.log(y) + (b - 1) * xp.log1p(-y)


def _expectation(xp: Any, f: Callable[[Any], Any], a: Any, b: Any) -> Any:
    """Return E f(Y), Y ~ Beta(a, b), by the two-point Gauss rule: exact for cubics, nodes in (0, 1)."""
    total = a + b
    mean = a / total
    sd = xp.sqrt(mean * (1 - mean) / (total + 1))
    skew = 2 * (b - a) / (total + 2) * xp.sqrt((total + 1) / (a * b))
    root = xp.sqrt(1 + skew**2 / 4)
    low, high = skew / 2 - root, skew / 2 + root
    return (high * f(mean + sd * low) - low * f(mean + sd * high)) / (high - low)


def _end_shape(xp: Any, n: Any, a: Any) -> Any:
    """Return p where the mean goes to the end at which students act like Gamma(a) variables.

    There t = s²/ȳ² has E t = n/(na+1) and a known variance. Read as the lower part of an unbounded range it asks for one p, as a part of
    its own range, t ≤ n, for another (at n = 2 exactly right); in between, at their geometric mean, calibration is best.
    """
    moments = (n - 1) * (n * a + 2) * (n * a + 3) / (2 * n * (a + 1))
    return xp.sqrt(moments / (n * a) * (moments - 1) / (n * a + 1))


def _spread_shapes(xp: Any, mean: Any, n: Any, mu: Any, nu: Any) -> tuple[Any, Any]:
    """Return p and q of r = s²(n−1)/(n h) ~ Beta(p, q) given the mean of n ≥ 2 Beta students."""
    h_mu = mu * (1 - mu)
    v = h_mu / (nu + 1)
    kurtosis = 6 * ((nu + 1) * (1 - 4 * h_mu) / h_mu - (nu + 2)) / ((nu + 2) * (nu + 3))
    size = n * (nu + 1) - 1
    a, b = mu * size, (1 - mu) * size
    # E h² and E h⁴ over the law of the mean; h² or h⁴ times that law is again a Beta, with 2 or 4 more on each side.
    h2 = a * (a + 1) * b * (b + 1) / (size * (size + 1) * (size + 2) * (size + 3))
    h4 = h2 * (a + 2) * (a + 3) * (b + 2) * (b + 3)
    h4 = h4 / ((size + 4) * (size + 5) * (size + 6) * (size + 7))
    tilt = nu * (1 - 2 * mu) / ((nu + 2) * h_mu)

    def h(y: Any) -> Any:
        return y * (1 - y)

    def denominator(y: Any) -> Any:
        bend = nu * ((y - mu) ** 2 + h_mu) + h(y) * (1 + tilt * (y - mu))
        return 1 + n * bend

    level = n * h2 * _expectation(xp, lambda y: 1 / denominator(y), a + 2, b + 2)
    lift = n * h2 * _expectation(xp, lambda y: h(y) / denominator(y), a + 2, b + 2)
    delta = xp.maximum((v - level) / lift, -3.0)

    def scale(y: Any) -> Any:
        """E[s²|y] / (n h²)."""
        return (1 + delta * h(y)) / denominator(y)

    def e(y: Any) -> Any:
        return xp.clip((n - 1) * h(y) * scale(y), *_E)

    # The squared coefficient of variation of s² given the mean, that makes E[s⁴] right; it tells p where most of E[s⁴] comes from.
    fourth = n**2 * h4 * _expectation(xp, lambda y: scale(y) ** 2, a + 4, b + 4)
    cv2 = xp.maximum(v**2 * (1 + 2 / (n - 1) + kurtosis / n) / fourth - 1, 1e-3 / n)
    y0 = (a + 4) / (size + 8)
    p0 = xp.maximum((1 - e(y0)) / cv2 - e(y0), 0.05)
    at_0, at_1 = _end_shape(xp, n, mu * nu), _end_shape(xp, n, (1 - mu) * nu)

    def ends(y: Any) -> Any:
        return at_0 * (1 - y) + at_1 * y

    ratio = p0 / ends(y0)
    up = xp.maximum(ratio - 1, 0.0) / h(y0)
    down = xp.maximum(1 / ratio - 1, 0.0) / h(y0)
    p = ends(mean) * (1 + up * h(mean)) / (1 + down * h(mean))
    return p, p * (1 - e(mean)) / e(mean)
