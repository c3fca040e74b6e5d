"""What a published mean and standard deviation say about the students behind them.

A table gives for each school the mean ȳ, the standard deviation s and the number n of its students,
and no student. If the students are Normal, (ȳ, s) lose nothing: the mean is Normal, the variance an
independent χ², and the posterior is that of the raw students.

If they are Beta(μν, (1−μ)ν), the density of (ȳ, s) is that of :mod:`hbm.students.summary_density`,
an approximation pinned to its moments and to what it does near a mean of 0 or 1;
:func:`beta_summary_logp` has the coverage measured with simulated students, and that module says
where it ends.

Each ``..._logp`` takes numbers, NumPy arrays or PyTensor tensors that broadcast together, and
returns the like: one formula serves the sampler and the quadratures outside it. A standard
deviation that is missing (NaN) leaves the density of the mean.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytensor.tensor as pt
from numpy.typing import ArrayLike
from pytensor.graph.basic import Variable
from scipy.special import gammaln

from hbm.students.summary_density import MU, NU, size_of, summary_logp

__all__ = [
    "beta_mean_logp",
    "beta_students_logp",
    "beta_summary_logp",
    "normal_students_logp",
    "normal_summary_logp",
    "published",
    "sum_by_group",
]

_NUMPY = SimpleNamespace(
    clip=np.clip,
    gammaln=gammaln,
    isnan=np.isnan,
    log=np.log,
    log1p=np.log1p,
    where=np.where,
)


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


def beta_mean_logp(mean: Any, n: Any, mu: Any, nu: Any, excess: Any = 0.0) -> Any:
    """Return the log density of the mean of n Beta students: Beta(μN, (1−μ)N).

    N = n(ν+1) − 1, or with an excess s of their design effect (n(ν+1) − 1)/(1+s). Its mean and
    variance are exact, as is the whole density for n = 1 and s = 0.

    Parameters
    ----------
    mean : array_like or TensorVariable
        Published mean, a proportion.
    n : array_like or TensorVariable
        Number of students. No students, 0, say nothing: their log density is 0.
    mu, nu : array_like or TensorVariable
        The students' Beta(μν, (1−μ)ν).
    excess : array_like or TensorVariable, default 0
        Design effect less 1: see :mod:`hbm.students.summary_density`.

    Returns
    -------
    ndarray or TensorVariable
        Log density of the mean; −inf outside (0, 1).

    Examples
    --------
    >>> float(beta_mean_logp(0.7, 1, mu=0.5, nu=2.0))  # one student of the uniform distribution
    0.0
    """
    mean, n, mu, nu, excess = _operands(mean, n, mu, nu, excess)
    xp = _ops(mean, n, mu, nu, excess)
    mu, nu = xp.clip(mu, *MU), xp.clip(nu, *NU)
    possible = (mean > 0) & (mean < 1)
    size = size_of(xp.where(n > 0, n, 1.0), nu, excess)
    log_density = _log_beta(xp, xp.where(possible, mean, 0.5), mu * size, (1 - mu) * size)
    return xp.where(n > 0, xp.where(possible, log_density, -np.inf), 0.0)


def beta_summary_logp(mean: Any, sd: Any, n: Any, mu: Any, nu: Any, excess: Any = 0.0) -> Any:
    """Return the log density of the mean and the standard deviation of n Beta students.

    It is the density of (ȳ, s), not of (ȳ, s²). Its form is at the head of
    :mod:`hbm.students.summary_density`. A tensor has derivatives by `mu`, `nu` and `excess`, not
    by the data, and no second ones.

    Parameters
    ----------
    mean, sd : array_like or TensorVariable
        Published mean and standard deviation (divisor n − 1), proportions. Rounded numbers go
        through :func:`published` first: a standard deviation of 0, or one beyond what the mean
        allows, has density 0. Where the sd is missing (NaN) the density is that of the mean.
    n : array_like or TensorVariable
        Number of students. Where it is 1 there is no spread: `sd` is ignored (NaN too) and the
        density is that of the mean. Where it is 0 there is no mean either: the log density is 0.
    mu, nu : array_like or TensorVariable
        The students' Beta(μν, (1−μ)ν), μ the school's and ν that of the students of a cohort.
    excess : array_like or TensorVariable, default 0
        Design effect less 1: 0 for independent students.

    Returns
    -------
    ndarray or TensorVariable
        Log density; for n > 0, −inf unless 0 < mean < 1 and, for n > 1, 0 < s² < n ȳ(1−ȳ)/(n−1).

    Notes
    -----
    Measured coverage of 89 % intervals, in per cent, students simulated one by one
    (``tests/benchmarks/density_coverage.py``). Raw students is the likelihood of the students
    themselves: what is attainable. This density is an approximation to that of their mean and sd.
    The comparison has the same mean and a Gamma variance whose expectation given the mean is bent
    by an exponential.

    Of μ: μ and ν = 9 fixed; prior flat on μ, log ν ~ N(log 9, 1); 3,000 data sets each, ± 0.6:

    =============== ======== ======== ======== ======== ======== ======== ======== ======== ========
    mean, n         0.6, 6   0.6, 40  0.9, 6   0.9, 12  0.9, 40  0.95, 6  0.95, 12 0.95, 40 0.12, 12
    =============== ======== ======== ======== ======== ======== ======== ======== ======== ========
    raw students    88.7     89.0     89.9     90.0     88.5     90.4     90.5     89.6     89.1
    this density    88.8     88.9     90.4     90.6     88.4     90.6     91.9     90.2     90.1
    comparison      86.9     88.4     84.3     87.4     86.9     84.4     86.4     87.5     86.6
    =============== ======== ======== ======== ======== ======== ======== ======== ======== ========

    Of μ and of ν: both drawn from their prior, logit μ ~ N(logit 0.9, 1), log ν ~ N(log 7, 0.8);
    schools whose raw mean is above 0.8, some 3,000 each:

    ================== ===== ===== ===== ===== ===== ===== =====
    n                  2     3     4     6     9     12    40
    ================== ===== ===== ===== ===== ===== ===== =====
    μ, raw students    89.0  88.8  89.1  88.9  89.3  87.7  88.8
    μ, this density    88.0  88.3  88.5  89.2  89.2  87.6  89.2
    μ, comparison      78.5  79.3  80.1  83.1  83.7  83.6  86.8
    ν, raw students    89.7  89.1  89.1  88.8  89.3  87.9  88.5
    ν, this density    88.8  89.0  89.2  90.1  89.8  90.0  91.0
    ν, comparison      88.7  89.7  89.3  90.7  90.2  89.9  90.5
    ================== ===== ===== ===== ===== ===== ===== =====

    References
    ----------
    Lukacs, E. (1955). A characterization of the gamma distribution. Annals of Mathematical
    Statistics 26, 319–324.

    Examples
    --------
    >>> round(float(beta_summary_logp(0.66, 0.19, 24, mu=0.65, nu=5.0)), 3)
    5.104
    >>> float(beta_summary_logp(0.66, 0.0, 24, mu=0.65, nu=5.0))
    -inf
    """
    return summary_logp(*_operands(mean, sd, n, mu, nu, excess))


def beta_students_logp(n: Any, sum_log: Any, sum_log1m: Any, mu: Any, nu: Any) -> Any:
    """Return the log density of n Beta students from their sufficient statistics.

    It equals the sum of the students' log densities exactly: no constant is left out.

    Parameters
    ----------
    n : array_like or TensorVariable
        Number of students.
    sum_log, sum_log1m : array_like or TensorVariable
        Σ log y and Σ log(1 − y) over the students.
    mu, nu : array_like or TensorVariable
        The students' Beta(μν, (1−μ)ν).

    Returns
    -------
    ndarray or TensorVariable
        Joint log density of the n students.

    Examples
    --------
    >>> y = np.array([0.4, 0.7, 0.9])
    >>> logp = beta_students_logp(3, np.log(y).sum(), np.log1p(-y).sum(), mu=0.6, nu=5.0)
    >>> round(float(logp), 6)
    0.680684
    """
    n, sum_log, sum_log1m, mu, nu = _operands(n, sum_log, sum_log1m, mu, nu)
    xp = _ops(n, sum_log, sum_log1m, mu, nu)
    mu, nu = xp.clip(mu, *MU), xp.clip(nu, *NU)
    a, b = mu * nu, (1 - mu) * nu
    norm = xp.gammaln(nu) - xp.gammaln(a) - xp.gammaln(b)
    return n * norm + (a - 1) * sum_log + (b - 1) * sum_log1m


def normal_students_logp(n: Any, mean: Any, sd: Any, mu: Any, sigma: Any) -> Any:
    """Return the log density of n Normal students from their mean and standard deviation.

    It equals the sum of the students' log densities exactly: no constant is left out.

    Parameters
    ----------
    n : array_like or TensorVariable
        Number of students.
    mean, sd : array_like or TensorVariable
        Their mean and standard deviation (divisor n − 1); `sd` is ignored (NaN too) where n = 1.
    mu, sigma : array_like or TensorVariable
        The students' N(μ, σ).

    Returns
    -------
    ndarray or TensorVariable
        Joint log density of the n students.

    Examples
    --------
    >>> round(float(normal_students_logp(2, 176.0, np.sqrt(2), mu=175.0, sigma=5.0)), 6)
    -5.136753
    """
    n, mean, sd, mu, sigma = _operands(n, mean, sd, mu, sigma)
    xp = _ops(n, mean, sd, mu, sigma)
    squares = (n - 1) * xp.where(n > 1, sd, 0.0) ** 2 + n * (mean - mu) ** 2
    return -n * (np.log(2 * np.pi) / 2 + xp.log(sigma)) - squares / (2 * sigma**2)


def normal_summary_logp(mean: Any, sd: Any, n: Any, mu: Any, sigma: Any, excess: Any = 0.0) -> Any:
    """Return the log density of the mean and the standard deviation of n Normal students: exact.

    mean ~ N(μ, σ√((1+s)/n)), with s the excess of the design effect, and, independently,
    (n − 1)sd²/σ² ~ χ²(n − 1). With s = 0 it is, as a function of μ and σ,
    :func:`normal_students_logp` plus a constant, so it gives the posterior of the raw students.
    With s > 0 the cohort has a mean of its own, m ~ N(μ, σ√(s/n)), and its students are N(m, σ).

    Parameters
    ----------
    mean, sd : array_like or TensorVariable
        Mean and standard deviation (divisor n − 1), in the data's units. Where the sd is missing
        (NaN) the density is that of the mean.
    n : array_like or TensorVariable
        Number of students. Where it is 1, `sd` is ignored; where it is 0 there is no mean either,
        and the log density is 0.
    mu, sigma : array_like or TensorVariable
        The students' N(μ, σ).
    excess : array_like or TensorVariable, default 0
        Design effect less 1: 0 for independent students.

    Returns
    -------
    ndarray or TensorVariable
        Log density of (mean, sd); −inf where sd ≤ 0 and n > 1.

    Examples
    --------
    >>> round(float(normal_summary_logp(176.0, np.nan, 1, mu=175.0, sigma=5.0)), 6)
    -2.548376
    """
    mean, sd, n, mu, sigma, excess = _operands(mean, sd, n, mu, sigma, excess)
    xp = _ops(mean, sd, n, mu, sigma, excess)
    spread, reached = (n > 1) & ~xp.isnan(sd), sd > 0
    s = xp.where(spread & reached, sd, 1.0)
    half = xp.where(spread, n - 1, 1.0) / 2
    told = n / (1 + excess)
    log_mean = xp.log(xp.where(n > 0, told, 2 * np.pi) / (2 * np.pi)) / 2
    log_mean = (
        log_mean - xp.where(n > 0, xp.log(sigma), 0.0) - told * ((mean - mu) / sigma) ** 2 / 2
    )
    log_sd = np.log(2) + half * xp.log(half) - xp.gammaln(half) - xp.log(s)
    log_sd = log_sd + 2 * half * xp.log(s / sigma) - half * (s / sigma) ** 2
    return log_mean + xp.where(spread, xp.where(reached, log_sd, -np.inf), 0.0)


def published(
    mean: ArrayLike, sd: ArrayLike, n: ArrayLike, unit: float = 0.001
) -> tuple[np.ndarray, np.ndarray]:
    """Return rounded means and standard deviations as numbers that Beta students can have.

    A table rounds to a unit. A mean it prints as 0 or 1, or a standard deviation it prints as 0, is
    taken half a unit inside; a standard deviation that rounding took beyond what the mean allows,
    √(n ȳ(1−ȳ)/(n−1)), is taken just below that. Other values are kept.

    Parameters
    ----------
    mean, sd : array_like
        Published means and standard deviations, proportions; `sd` may be NaN where n = 1.
    n : array_like
        Numbers of students.
    unit : float
        One unit of the last digit: 0.001 for a percentage with one decimal.

    Returns
    -------
    mean, sd : ndarray
        The same, inside the support of :func:`beta_summary_logp`. Where n = 1, `sd` is 0, a
        placeholder that is not used.

    Examples
    --------
    >>> mean, sd = published([0.71, 1.0, 0.64], [0.0, 0.0, np.nan], [2, 3, 1])
    >>> mean.round(4), sd.round(4)
    (array([0.71  , 0.9995, 0.64  ]), array([0.0005, 0.0005, 0.    ]))
    """
    means, sds, sizes = (np.asarray(x, dtype=float) for x in (mean, sd, n))
    means = np.clip(means, unit / 2, 1 - unit / 2)
    most = np.sqrt(means * (1 - means) * sizes / np.maximum(sizes - 1, 1))
    sds = np.minimum(np.maximum(sds, unit / 2), 0.999 * most)
    return means, np.where(sizes > 1, sds, 0.0)


def sum_by_group(values: Any, index: Any, n_groups: Any = None) -> Any:
    """Sum values by group: an array by NumPy, a tensor by PyTensor.

    Parameters
    ----------
    values : ndarray or TensorVariable, shape (n_values,)
        What to sum.
    index : ndarray or TensorVariable of int, shape (n_values,)
        Position of each value's group.
    n_groups : int or TensorVariable, optional
        Number of groups; needed for tensors.

    Returns
    -------
    ndarray or TensorVariable, shape (n_groups,)

    Examples
    --------
    >>> sum_by_group(np.array([1.0, 2.0, 4.0]), np.array([0, 1, 1]))
    array([1., 6.])
    """
    if isinstance(values, Variable):
        return pt.inc_subtensor(pt.zeros(n_groups)[index], values)
    return np.bincount(index, values, minlength=n_groups or 0)
