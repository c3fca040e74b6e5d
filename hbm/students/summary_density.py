"""The density of the mean and the standard deviation of n Beta students, with its derivatives.

If students are Beta(μν, (1−μ)ν), no exact density of (ȳ, s) is known, but its moments are, and so
is what it does near a mean of 0 or 1. The density here is pinned to both. Write h = ȳ(1−ȳ) and
v = μ(1−μ)/(ν+1), the variance of one student.

* **The mean** is Beta(μN, (1−μ)N) with N = n(ν+1) − 1: its mean μ and variance v/n are exact.
* **The spread, given the mean.** Scores in [0, 1] with mean ȳ cannot have s² above nh/(n−1). The
  part of it that they reach, r = s²(n−1)/(nh), lies in (0, 1) and is taken as Beta with mean e and
  first parameter p, both functions of ȳ, since a high mean leaves less room for spread.
  Near 0 the students of a Beta act like Gamma(μν) variables, for which s/ȳ is exactly independent
  of ȳ (Lukacs 1955), and near 1 like Gamma((1−μ)ν) ones; so E[s²|ȳ] tends to nh²/(nμν+1) and
  nh²/(n(1−μ)ν+1). At ȳ = μ, for many students, its level is v and its slope μ₃/v, with μ₃ the third
  central moment of a student. One rational function has all of these,

      e(ȳ) = (n−1) h (1+δh) / D(ȳ),
      D(ȳ) = 1 + n {ν [(ȳ−μ)² + μ(1−μ)] + h [1 + (ȳ−μ) ν(1−2μ) / ((ν+2) μ(1−μ))]},

  where δ, which vanishes as n grows, makes E[s²] = v for small n too (within 1 % for n ≥ 4 at means
  of 0.5 to 0.8). In the same way p joins two ends known from the fourth moments of Gamma variables,
  through the value that gives E[s⁴] = v²(1 + 2/(n−1) + κ/n), with κ the excess kurtosis.

* **A cohort.** The n students of a school share classes, teachers and a year, so that their means
  vary by more than √(v/n). With an *excess* s ≥ 0, which makes the design effect 1 + s [1]_, the
  cohort has a mean m of its own, m ~ Beta(μM, (1−μ)M) with M = n(ν+1)/s, and its students are
  Beta(mν, (1−m)ν). By the law of total variance ȳ then has variance μ(1−μ)(1+s)/(n(ν+1)+s), that of
  Beta(μN, (1−μ)N) with N = (n(ν+1) − 1)/(1+s), which takes the place of the N above; and since
  Cov(m, ȳ) = Var m is s/(1+s) of it, the best linear guess of m is (μ + sȳ)/(1+s), which takes the
  place of μ in the density of the spread. s = 0 is the density of independent students.

* **Far from the data**, where ν is below ½ or logit μ more than 1 + 4/√n beyond both 0 and logit ȳ,
  moments no longer tell. The density goes on as that of students does: as μ, 1 − μ or ν tends to 0,
  a Beta's density at a score inside (0, 1) falls in proportion, that of n students with the power
  n, and that of a cohort is taken to fall with the power n/(1+s); 4/√n goes by the same number.

The excess is told by how means vary, and hardly by spreads: ν is that of the students of a cohort.

Normal students (ν → ∞) then have the χ² law, Gamma students (μ → 0 or 1) an E[s²|ȳ] in proportion
to ȳ². It is an approximation: no number in it was fitted to data, but where two limits ask for
different shapes their geometric mean was taken, since that calibrates best. Beyond the known ground
it keeps a sampler from getting lost and is no density: its mass is 1.00 down to ν = 0.8, and at
ν = 0.6 it is 0.95, 0.85 and 0.45 for 2, 6 and 30 students (``tests/test_likelihoods.py``).

The formula is written once and compiled by numba: for NumPy's arrays as it is, for PyTensor's
graphs with :mod:`hbm.students.duals`, which give its derivatives along with the value. As a graph
of its own it would be many nodes, and its gradient more, to rewrite and to compile for every model;
here a model's graph has one.

References
----------
.. [1] Kish (1965). Survey Sampling. Wiley.
"""

import math
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pytensor.tensor as pt
from numba import njit, vectorize
from pytensor.gradient import disconnected_type, grad_not_implemented
from pytensor.graph.basic import Variable
from pytensor.link.numba.dispatch.basic import register_funcify_and_cache_key
from pytensor.scalar import ScalarOp, float64
from pytensor.tensor.elemwise import Elemwise

from hbm.students import duals
from hbm.students.duals import Dual, clip, exp, gammaln, log, maximum, sqrt

__all__ = ["MU", "NU", "size_of", "spread_shapes_of", "summary_logp"]

# Beyond these limits a sampler meets rounding, not information; clipped there, densities and
# gradients stay finite.
MU = 1e-9, 1 - 1e-9
NU = 1e-4, 1e7
_E = 1e-12, 0.99
_LOG_LEAST_NU = math.log(0.5)  # below, nearly all students are 0 or 1: two moments say little
_BEND = 0.5  # in logits, and in log nu: how sharply a density turns where the known ground ends

_compiled = njit(error_model="numpy")


@_compiled
def _log_beta(y, a, b):
    """Return the log density of Beta(a, b) at y."""
    norm = gammaln(a + b) - gammaln(a) - gammaln(b)
    return norm + (a - 1) * math.log(y) + (b - 1) * math.log1p(-y)


@_compiled
def _h(y):
    return y * (1 - y)


@_compiled
def _d(y, n, mu, nu, tilt):
    return 1 + n * (nu * ((y - mu) ** 2 + _h(mu)) + _h(y) * (1 + tilt * (y - mu)))


@_compiled
def _end_shape(n, a):
    """Return p where the mean goes to the end at which students act like Gamma(a) variables.

    There t = s²/ȳ² has E t = n/(na + 1) and a known variance. Seen as the low part of an unbounded
    range it asks for one p; seen as a part of its own range, t ≤ n, for another (exactly right at
    n = 2). The geometric mean of the two calibrates best.
    """
    unbounded = (n - 1) / (2 * n) / (a + 1) * (n * a + 2) * (n * a + 3)
    bounded = (unbounded - 1) / (n * a + 1)
    return sqrt(unbounded / (n * a) * bounded)


@_compiled
def spread_shapes(mean, n, mu, nu):
    """Return p and q of r = s²(n − 1)/(n h) ~ Beta(p, q), given the mean of n ≥ 2 Beta students."""
    size = n * (nu + 1) - 1
    product = _h(mu) * size**2
    tilt = nu / (nu + 2) * (1 - 2 * mu) / _h(mu)

    # E[s²] = v. The law of the mean times h² is again a Beta, 2 higher on each side, with mean y2;
    # under it 1/D has the mean curved/D(y2), to second order in 1/n.
    y2 = (mu * size + 2) / (size + 4)
    d2 = _d(y2, n, mu, nu, tilt)
    slope = 2 * nu * (y2 - mu) + (1 - 2 * y2) * (1 + tilt * (y2 - mu)) + _h(y2) * tilt
    slope = n * slope / d2
    bend = n * (nu - 1 + tilt * (1 + mu - 3 * y2)) / d2
    curved = 1 + _h(y2) / (size + 5) * (slope**2 - bend)
    wanted = d2 * ((size + 2) / size) * ((size + 3) / (product + size + 1))
    delta = maximum((wanted - curved) * (size + 5) / (size + 4) / _h(y2), -3.0)

    # E[s⁴] = v²(1 + 2/(n − 1) + κ/n). Times h⁴ it is 4 higher, with mean y4; there it tells the
    # squared coefficient of variation of s² given the mean, and so p.
    y4 = (mu * size + 4) / (size + 8)
    scale = (1 + delta * _h(y4)) / _d(y4, n, mu, nu, tilt)
    e4 = clip((n - 1) * _h(y4) * scale, *_E)
    h_kurtosis = 6 * ((nu + 1) * (1 - 4 * _h(mu)) - _h(mu) * (nu + 2)) / (nu + 2) / (nu + 3)
    ratio = (
        (_h(mu) * (n + 1) / (n - 1) + h_kurtosis / n)
        * ((size + 2) / size * (size + 3) / (size + 1))
        * ((size + 4) / (product + size + 1) * (size + 5))
        * ((size + 6) / (product + 2 * size + 4))
        * ((size + 7) / (product + 3 * size + 9))
        / (scale * curved) ** 2
    )
    cv2 = maximum(ratio - 1, 1e-3 / n)
    p4 = clip((1 - e4) / cv2 - e4, 0.05, n)  # binds below ν = 1.5 only, near 0 or 1

    # p runs from end to end, bent so that it is p4 at y4.
    p_0 = _end_shape(n, mu * nu)
    p_1 = _end_shape(n, (1 - mu) * nu)
    ratio = p4 / (p_0 + (p_1 - p_0) * y4)
    up = maximum(ratio - 1, 0.0) / _h(y4)
    down = maximum(1 / ratio - 1, 0.0) / _h(y4)
    p = (p_0 + (p_1 - p_0) * mean) * (1 + up * _h(mean)) / (1 + down * _h(mean))
    e = clip((n - 1) * _h(mean) * (1 + delta * _h(mean)) / _d(mean, n, mu, nu, tilt), *_E)
    return p, p * (1 / e - 1)


@_compiled
def _above(x):
    """Return the larger of x and 0, its corner rounded off: quadratures want no kink."""
    part = clip((x / _BEND + 1) / 2, 0.0, 1.0)
    return _BEND * part * part * part * (2 - part) + maximum(x - _BEND, 0.0)


@_compiled
def _on_known_ground(mean, n, mu, nu):
    """Return μ and ν no farther than the moments tell of the density, and how far beyond they were.

    Far from what was published, or where nearly all students are 0 or 1, two moments say nothing of
    the density there, and its form would have maxima of its own, where a chain stays for good.
    """
    eta, centre, reach = log(mu / (1 - mu)), math.log(mean / (1 - mean)), 1 + 4 / sqrt(n)
    too_high = _above(eta - max(centre, 0.0) - reach)
    too_low = _above(-eta - max(-centre, 0.0) - reach)
    too_small = _above(_LOG_LEAST_NU - log(nu))
    near_mu = mu / (mu + (1 - mu) * exp(too_high - too_low))
    return near_mu, nu * exp(too_small), too_high + too_low + too_small


def size_of(n, nu, excess):
    """Return the sample size N of the Beta of a cohort's mean: of numbers, arrays or tensors."""
    return (n * (nu + 1) - 1) / (1 + excess)


_size_of = _compiled(size_of)


@_compiled
def _logp(mean, sd, n, mu, nu, excess):
    """Return the log density, for n ≥ 1 students and a possible mean and sd."""
    mu, nu = clip(mu, *MU), clip(nu, *NU)
    if n == 1 or math.isnan(sd):  # the mean alone, whose density needs no moments of the spread
        size = _size_of(n, nu, excess)
        return _log_beta(mean, mu * size, (1 - mu) * size)
    effective = n / (1 + excess)
    mu, nu, beyond = _on_known_ground(mean, effective, mu, nu)
    size = _size_of(n, nu, excess)
    log_mean = _log_beta(mean, mu * size, (1 - mu) * size)
    p, q = spread_shapes(mean, n, (mu + excess * mean) / (1 + excess), nu)
    most = n / (n - 1) * _h(mean)
    log_sd = _log_beta(sd**2 / most, p, q) + math.log(2 * sd / most)
    return log_mean + log_sd - effective * beyond


@njit(error_model="numpy", cache=True)
def spread_shapes_of(mean, n, mu, nu, excess):
    """Return :func:`spread_shapes` of arrays of one length, on known ground."""
    p, q = np.empty(len(mean)), np.empty(len(mean))
    for i in range(len(mean)):
        near, near_nu, _ = _on_known_ground(mean[i], n[i] / (1 + excess[i]), mu[i], nu[i])
        cohort = (near + excess[i] * mean[i]) / (1 + excess[i])
        p[i], q[i] = spread_shapes(mean[i], n[i], cohort, near_nu)
    return p, q


@_compiled
def _possible(mean, sd, n):
    """Say whether n students can have the mean and the standard deviation."""
    known = n > 1 and not math.isnan(sd)
    return 0 < mean < 1 and (not known or (sd > 0 and sd**2 * (n - 1) < n * _h(mean)))


@vectorize(cache=True)
def _values(mean, sd, n, mu, nu, excess):
    if n == 0:
        return 0.0
    if not _possible(mean, sd, n):
        return -np.inf
    return _logp(mean, sd, n, mu, nu, excess)


@_compiled
def _value_and_slopes(mean, sd, n, mu, nu, excess):
    if n == 0:
        return 0.0, 0.0, 0.0, 0.0
    if not _possible(mean, sd, n):
        return -np.inf, 0.0, 0.0, 0.0
    parameters = Dual(mu, 1.0, 0.0, 0.0), Dual(nu, 0.0, 1.0, 0.0), Dual(excess, 0.0, 0.0, 1.0)
    logp = _logp(mean, sd, n, *parameters)
    return logp.value, logp.by_first, logp.by_second, logp.by_third


class _SummaryLogp(ScalarOp):
    """The log density and its derivatives by μ, ν and the excess, of six numbers."""

    nin, nout = 6, 4

    def __init__(self) -> None:
        super().__init__(lambda *_: (float64,) * 4, name="summary_logp")

    def impl(self, *numbers: float) -> tuple[float, float, float, float]:
        return _value_and_slopes(*(float(number) for number in numbers))

    def c_code(self, *arguments: Any) -> str:
        raise NotImplementedError("only numba's compiled code")

    def pullback(self, inputs: Any, outputs: Any, cotangents: Any) -> list[Variable]:
        by_logp, *by_slopes = cotangents
        if not all(isinstance(slope.type, type(disconnected_type)) for slope in by_slopes):
            raise NotImplementedError("the density of (mean, sd) has no second derivatives")
        data = [grad_not_implemented(self, i, inputs[i]) for i in range(3)]
        return [*data, *(by_logp * slope for slope in outputs[1:])]


# What PyTensor keeps compiled is of this formula, and of no other version of it.
_VERSION = sha256(Path(__file__).read_bytes() + Path(duals.__file__).read_bytes()).hexdigest()


@register_funcify_and_cache_key(_SummaryLogp)
def _numba_summary_logp(op: _SummaryLogp, node: Any = None, **kwargs: Any) -> tuple[Any, str]:
    return _value_and_slopes, f"hbm.summary_logp {_VERSION}"


_summary_logp: Any = Elemwise(_SummaryLogp())


def summary_logp(mean: Any, sd: Any, n: Any, mu: Any, nu: Any, excess: Any = 0.0) -> Any:
    """Return the log density of the mean and the standard deviation of n Beta students.

    See :func:`hbm.students.likelihoods.beta_summary_logp`.

    Parameters
    ----------
    mean, sd, n, mu, nu, excess : ndarray or TensorVariable
        Of floats, that broadcast together.

    Returns
    -------
    ndarray or TensorVariable
        One log density each. A tensor has derivatives by `mu`, `nu` and `excess`, not by the data,
        and no second ones.

    Examples
    --------
    >>> round(float(summary_logp(0.66, 0.19, 24.0, 0.65, 5.0)), 3)
    5.104
    """
    arguments = mean, sd, n, mu, nu, excess
    if any(isinstance(x, Variable) for x in arguments):
        return _summary_logp(*(pt.cast(pt.as_tensor(x), "float64") for x in arguments))[0]
    return _values(*arguments)
