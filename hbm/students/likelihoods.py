"""What a published mean and standard deviation say about the students behind them.

A table gives for each school the mean ȳ, the standard deviation s and the number n of its students,
and no student. If the students are Normal, (ȳ, s) lose nothing: the mean is Normal, the variance an
independent χ², and the posterior is that of the raw students.

If they are Beta(μν, (1−μ)ν), the density of (ȳ, s) is that of :mod:`hbm.students.summary_density`,
pinned to its moments and to what it does near a mean of 0 or 1. No constant is fitted;
:func:`beta_summary_logp` has the coverage measured with simulated students.

Each ``..._logp`` takes numbers, NumPy arrays or PyTensor tensors that broadcast together, and
returns the like: one formula serves the sampler and the quadratures outside it. The functions
without ``_logp`` are observed variables for a PyMC model. Their predictive draws simulate students
one by one and summarise them, so they are exact whatever the density.
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

from hbm.students.summary_density import MU, NU, summary_logp

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


def beta_mean_logp(mean: Any, n: Any, mu: Any, nu: Any) -> Any:
    """Return the log density of the mean of n Beta students: Beta(μN, (1−μ)N), N = n(ν+1) − 1.

    Its mean and variance are exact, as is the whole density for n = 1.

    Parameters
    ----------
    mean : array_like or TensorVariable
        Published mean, a proportion.
    n : array_like or TensorVariable
        Number of students. No students, 0, say nothing: their log density is 0.
    mu, nu : array_like or TensorVariable
        The students' Beta(μν, (1−μ)ν).

    Returns
    -------
    ndarray or TensorVariable
        Log density of the mean; −inf outside (0, 1).

    Examples
    --------
    >>> float(beta_mean_logp(0.7, 1, mu=0.5, nu=2.0))  # one student of the uniform distribution
    0.0
    """
    mean, n, mu, nu = _operands(mean, n, mu, nu)
    xp = _ops(mean, n, mu, nu)
    mu, nu = xp.clip(mu, *MU), xp.clip(nu, *NU)
    possible = (mean > 0) & (mean < 1)
    size = xp.where(n > 0, n, 1.0) * (nu + 1) - 1
    log_density = _log_beta(xp, xp.where(possible, mean, 0.5), mu * size, (1 - mu) * size)
    return xp.where(n > 0, xp.where(possible, log_density, -np.inf), 0.0)


def beta_summary_logp(mean: Any, sd: Any, n: Any, mu: Any, nu: Any) -> Any:
    """Return the log density of the mean and the standard deviation of n Beta students.

    It is the density of (ȳ, s), not of (ȳ, s²). Its form is at the head of
    :mod:`hbm.students.summary_density`. A tensor has derivatives by `mu` and `nu`, not by the data,
    and no second ones.

    Parameters
    ----------
    mean, sd : array_like or TensorVariable
        Published mean and standard deviation (divisor n − 1), proportions. Rounded numbers go
        through :func:`published` first: a standard deviation of 0, or one beyond what the mean
        allows, has density 0.
    n : array_like or TensorVariable
        Number of students. Where it is 1 there is no spread: `sd` is ignored (NaN too) and the
        density is that of the mean. Where it is 0 there is no mean either: the log density is 0.
    mu, nu : array_like or TensorVariable
        The students' Beta(μν, (1−μ)ν).

    Returns
    -------
    ndarray or TensorVariable
        Log density; for n > 0, −inf unless 0 < mean < 1 and, for n > 1, 0 < s² < n ȳ(1−ȳ)/(n−1).

    Notes
    -----
    Measured coverage of 89 % intervals, in per cent, students simulated one by one. Raw students is
    the likelihood of the students themselves: what is attainable. The comparison has the same mean
    and a Gamma variance whose expectation given the mean is bent by an exponential.

    Of μ: μ and ν = 9 fixed; prior flat on μ, log ν ~ N(log 9, 1); 3,000 data sets each, ± 0.6:

    =============== ======== ======== ======== ======== ======== ======== ======== ======== ========
    mean, n         0.6, 6   0.6, 40  0.9, 6   0.9, 12  0.9, 40  0.95, 6  0.95, 12 0.95, 40 0.12, 12
    =============== ======== ======== ======== ======== ======== ======== ======== ======== ========
    raw students    88.7     89.0     89.9     90.0     88.5     90.4     90.5     89.6     89.1
    this likelihood 88.8     88.9     90.5     90.6     88.4     90.6     92.0     90.2     90.1
    comparison      86.9     88.4     84.3     87.4     86.9     84.4     86.4     87.5     86.6
    =============== ======== ======== ======== ======== ======== ======== ======== ======== ========

    Of μ and of ν: both drawn from their prior, logit μ ~ N(logit 0.9, 1), log ν ~ N(log 7, 0.8);
    schools whose raw mean is above 0.8, some 3,000 each:

    ================== ===== ===== ===== ===== ===== ===== =====
    n                  2     3     4     6     9     12    40
    ================== ===== ===== ===== ===== ===== ===== =====
    μ, raw students    89.0  88.8  89.1  88.9  89.3  87.7  88.8
    μ, this likelihood 88.0  88.3  88.5  89.2  89.3  87.7  89.4
    μ, comparison      78.5  79.3  80.1  83.1  83.7  83.6  86.8
    ν, raw students    89.7  89.1  89.1  88.8  89.3  87.9  88.5
    ν, this likelihood 88.8  89.0  89.2  90.2  89.9  90.2  91.1
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
    return summary_logp(*_operands(mean, sd, n, mu, nu))


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


def normal_summary_logp(mean: Any, sd: Any, n: Any, mu: Any, sigma: Any) -> Any:
    """Return the log density of the mean and the standard deviation of n Normal students: exact.

    mean ~ N(μ, σ/√n) and, independently, (n − 1)s²/σ² ~ χ²(n − 1). As a function of μ and σ it is
    :func:`normal_students_logp` plus a constant, so it gives the posterior of the raw students.

    Parameters
    ----------
    mean, sd : array_like or TensorVariable
        Mean and standard deviation (divisor n − 1), in the data's units.
    n : array_like or TensorVariable
        Number of students. Where it is 1, `sd` is ignored (NaN too) and the density is that of
        the mean.
    mu, sigma : array_like or TensorVariable
        The students' N(μ, σ).

    Returns
    -------
    ndarray or TensorVariable
        Log density of (mean, sd); −inf where sd ≤ 0 and n > 1.

    Examples
    --------
    >>> round(float(normal_summary_logp(176.0, np.nan, 1, mu=175.0, sigma=5.0)), 6)
    -2.548376
    """
    mean, sd, n, mu, sigma = _operands(mean, sd, n, mu, sigma)
    xp = _ops(mean, sd, n, mu, sigma)
    spread, reached = n > 1, sd > 0
    s = xp.where(spread & reached, sd, 1.0)
    half = xp.where(spread, n - 1, 1.0) / 2
    log_mean = xp.log(n / (2 * np.pi)) / 2 - xp.log(sigma) - n * ((mean - mu) / sigma) ** 2 / 2
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


def beta_summary(
    name: str,
    mu: Any,
    nu: Any,
    n: ArrayLike,
    observed: tuple[ArrayLike, ArrayLike] | None = None,
    dims: str | Sequence[str] | None = None,
) -> Variable:
    """Add the mean and the standard deviation of n Beta students to the current model.

    Parameters
    ----------
    name : str
        Name of the variable.
    mu, nu : TensorVariable
        The students' Beta(μν, (1−μ)ν), one per group.
    n : array_like of int
        Number of students of each group: one dimension, constant. Where it is 1 the mean alone
        counts.
    observed : tuple of array_like, optional
        (mean, sd), proportions; see :func:`published` for rounded ones. An sd may be NaN where
        n = 1.
    dims : str or sequence of str, optional
        Dims of the groups. A last dim ``statistic``, with the coords ``mean`` and ``sd``, is added.

    Returns
    -------
    TensorVariable
        Shape (..., 2): mean and sd. Its log-likelihood is one value per group; its predictive draws
        summarise students simulated one by one. Where n = 1 the sd is 0, in data and draws.

    Raises
    ------
    ValueError
        If an observed pair is one that no Beta students can have.

    Examples
    --------
    >>> with pm.Model(coords={"school": ["0009", "0012"]}) as model:
    ...     mu = pm.Beta("mu_school", 3, 1, dims="school")
    ...     exam = beta_summary(
    ...         "exam", mu, 5.0, n=[24, 3], observed=([0.66, 0.81], [0.19, 0.08]), dims="school"
    ...     )
    >>> model.named_vars_to_dims["exam"]
    ('school', 'statistic')
    """
    return _summary(name, (mu, nu), n, observed, dims, beta_summary_logp, _beta_students)


def normal_summary(
    name: str,
    mu: Any,
    sigma: Any,
    n: ArrayLike,
    observed: tuple[ArrayLike, ArrayLike] | None = None,
    dims: str | Sequence[str] | None = None,
) -> Variable:
    """Add the mean and the standard deviation of n Normal students to the current model.

    Parameters and result are those of :func:`beta_summary`, with N(μ, σ) students.

    Examples
    --------
    >>> with pm.Model(coords={"country": ["A", "B"]}) as model:
    ...     mu = pm.Normal("mu_country", 176, 10, dims="country")
    ...     height = normal_summary(
    ...         "height", mu, 7.0, n=[20, 1], observed=([178, 171], [6.5, np.nan]), dims="country"
    ...     )
    >>> model.named_vars_to_dims["height"]
    ('country', 'statistic')
    """
    return _summary(name, (mu, sigma), n, observed, dims, normal_summary_logp, _normal_students)


def beta_mean(
    name: str,
    mu: Any,
    nu: Any,
    n: ArrayLike,
    observed: ArrayLike | None = None,
    dims: str | Sequence[str] | None = None,
) -> Variable:
    """Add the mean alone of n Beta students to the current model.

    Parameters are those of :func:`beta_summary`, with the means as `observed`. A mean says next to
    nothing about ν: the posterior of ν will be its prior.

    Returns
    -------
    TensorVariable
        One mean per group.

    Examples
    --------
    >>> with pm.Model():
    ...     exam = beta_mean("exam", 0.7, 5.0, n=[24, 3], observed=[0.66, 0.81])
    >>> pm.logp(exam, np.array([0.66, 0.81])).eval().round(3)
    array([1.754, 0.978])
    """
    n = np.asarray(n, dtype=float)
    if observed is not None:
        observed = np.asarray(observed, dtype=float)
        _check_support(name, beta_mean_logp(observed, n, 0.5, 2.0), observed)

    def logp(value: Any, mu: Any, nu: Any, n: Any) -> Any:
        return beta_mean_logp(value, n, mu, nu)

    def dist(mu: Any, nu: Any, _: Any, size: Any) -> Any:
        return _summarised(_beta_students, mu, nu, n)[0]

    return pm.CustomDist(
        name,
        mu,
        nu,
        n,
        logp=logp,
        dist=dist,
        signature="(),(),()->()",
        observed=observed,
        dims=dims,
    )


def _summary(
    name: str,
    parameters: tuple[Any, Any],
    n: ArrayLike,
    observed: tuple[ArrayLike, ArrayLike] | None,
    dims: str | Sequence[str] | None,
    density: Callable[..., Any],
    draw: Callable[..., Any],
) -> Variable:
    """Make an observed variable (..., statistic) of a density of (mean, sd) and a student's law."""
    n = np.asarray(n, dtype=float)
    if observed is not None:
        mean, sd = (np.asarray(x, dtype=float) for x in observed)
        # PyMC would take the NaN of a class of one for a missing value, and impute it.
        sd = np.where(n > 1, sd, 0.0)
        _check_support(name, density(mean, sd, n, 0.5, 1.0), mean, sd)
        observed = np.stack([mean, sd], axis=-1)  # type: ignore[assignment]
    if dims is not None:
        dims = (dims, "statistic") if isinstance(dims, str) else (*dims, "statistic")
        pm.modelcontext(None).add_coord("statistic", ["mean", "sd"])

    def logp(value: Any, first: Any, second: Any, n: Any) -> Any:
        return density(value[..., 0], value[..., 1], n, first, second)

    def dist(first: Any, second: Any, _: Any, size: Any) -> Any:
        return pt.stack(_summarised(draw, first, second, n), axis=-1)

    return pm.CustomDist(
        name,
        *parameters,
        n,
        logp=logp,
        dist=dist,
        signature="(),(),()->(2)",
        observed=observed,
        dims=dims,
    )


def _check_support(name: str, log_density: np.ndarray, *values: np.ndarray) -> None:
    """Refuse observed values that no parameters could have produced."""
    bad = np.flatnonzero(~np.isfinite(log_density))
    if bad.size:
        shown = [tuple(float(np.ravel(v)[i]) for v in values) for i in bad[:5]]
        raise ValueError(
            f"{name}: {bad.size} observed values are impossible, the first at positions "
            f"{bad[:5].tolist()}: {shown}. A mean of scores lies inside (0, 1), a standard "
            "deviation above 0 and, for scores, below sqrt(n mean (1 - mean) / (n - 1)); "
            "hbm.students.likelihoods.published mends rounded ones."
        )


def _beta_students(mu: Any, nu: Any) -> Any:
    mu, nu = pt.clip(mu, *MU), pt.clip(nu, *NU)
    return pm.Beta.dist(mu * nu, (1 - mu) * nu)


def _normal_students(mu: Any, sigma: Any) -> Any:
    return pm.Normal.dist(mu, sigma)


def _summarised(
    students: Callable[..., Any], first: Any, second: Any, n: np.ndarray
) -> tuple[Any, Any]:
    """Draw n students for every group, one by one, and return the groups' means and sds."""
    # A tensor: indices that are an array PyTensor looks through one by one.
    group = pt.as_tensor(np.repeat(np.arange(n.size, dtype="int32"), n.astype(int)))
    first, second = (pt.broadcast_to(x, n.shape)[group] for x in (first, second))
    y = students(first, second)
    none = pt.zeros(n.size)
    mean = none[group].inc(y) / n
    squares = none[group].inc((y - mean[group]) ** 2)
    return mean, pt.sqrt(squares / np.maximum(n - 1, 1))
