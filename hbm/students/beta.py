"""Beta individuals: proportions with mean mu and sample size nu.

Their variance is mu (1 − mu) / (nu + 1). A group's effect is eta = logit mu, on whose scale group
effects are Normal, so that levels add up and every parameterisation exists.
"""

from typing import Any

import numpy as np
import pytensor.tensor as pt
from numpy.typing import NDArray
from pytensor.graph.basic import Variable
from scipy.special import betainc, betaincc, betaincinv, betaln, expit, logit

from hbm.students.law import Evidence, Law, RawEstimates
from hbm.students.likelihoods import (
    beta_mean_logp,
    beta_students_logp,
    beta_summary_logp,
    published,
    sum_by_group,
)
from hbm.students.summary_density import MU, NU, size_of, spread_shapes_of

__all__ = ["BETA", "pooled_nu"]

Floats = NDArray[np.float64]


class _Beta(Law):
    """The law of proportions in (0, 1)."""

    name = "Beta"
    effect = "eta"
    spread = "nu"
    spread_varies = True
    bounds = (0.0, 1.0)
    proportions = True
    values = "proportions"
    possible = (
        "A mean of proportions lies inside (0, 1), and a standard deviation above 0 and below "
        "sqrt(n mean (1 - mean) / (n - 1)); hbm.students.likelihoods.published mends rounded ones"
    )

    def mean_of(self, effect: Any) -> Any:
        """Return expit(eta)."""
        return pt.expit(effect) if isinstance(effect, Variable) else expit(effect)

    def slope(self, mu):
        """Return mu (1 − mu)."""
        return mu * (1 - mu)

    def variance(self, mu, spread):
        """Return mu (1 − mu) / (nu + 1)."""
        return mu * (1 - mu) / (spread + 1)

    def mean_variance(self, n, mu, spread, excess=0.0):
        """Return mu (1 − mu) / (N + 1): see :mod:`hbm.students.summary_density`."""
        return mu * (1 - mu) / (size_of(n, spread, excess) + 1)

    def individual_logp(self, value, mu, spread):
        """Return the log density of Beta(mu nu, (1 − mu) nu)."""
        a, b = mu * spread, (1 - mu) * spread
        return (a - 1) * np.log(value) + (b - 1) * np.log1p(-value) - betaln(a, b)

    def mean_logp(self, mean, n, mu, spread, excess=0.0):
        """Return :func:`hbm.students.likelihoods.beta_mean_logp`."""
        return beta_mean_logp(mean, n, mu, spread, excess)

    def summary_logp(self, mean, sd, n, mu, spread, excess=0.0):
        """Return :func:`hbm.students.likelihoods.beta_summary_logp`."""
        return beta_summary_logp(mean, sd, n, mu, spread, excess)

    def sums(self, value, index, n_groups=None):
        """Return n, Σ log y and Σ log(1 − y)."""
        xp = pt if isinstance(value, Variable) else np
        ones = xp.ones_like(value)
        terms = ones, xp.log(value), xp.log1p(-value)
        return tuple(sum_by_group(term, index, n_groups) for term in terms)

    def sums_logp(self, sums, mu, spread):
        """Return :func:`hbm.students.likelihoods.beta_students_logp`."""
        n, sum_log, sum_log1m = sums
        return beta_students_logp(n, sum_log, sum_log1m, mu, spread)

    def mean_cdf(self, mean, n, mu, spread, excess=0.0):
        """Return the distribution function of Beta(mu N, (1 − mu) N)."""
        a, b = _of_mean(n, mu, spread, excess)
        return betainc(a, b, mean)

    def mean_quantile(self, p, n, mu, spread, excess=0.0):
        """Return the inverse of :meth:`mean_cdf`."""
        a, b = _of_mean(n, mu, spread, excess)
        return betaincinv(a, b, p)

    def share_above(self, mark, mu, spread):
        """Return the survival function of Beta(mu nu, (1 − mu) nu)."""
        mu, nu = _possible(mu, spread)
        return betaincc(mu * nu, (1 - mu) * nu, mark)

    def sd_cdf(self, sd, mean, n, mu, spread, excess=0.0):
        """Return that of sd² (n − 1)/(n h): see :mod:`hbm.students.summary_density`."""
        arrays = np.broadcast_arrays(sd, mean, n, mu, spread, excess)
        known = (arrays[2] > 1) & ~np.isnan(arrays[0])
        result = np.full(known.shape, np.nan)
        if known.any():
            sd, mean, n, mu, nu, excess = (np.asarray(x[known], dtype=float) for x in arrays)
            mu, nu = _possible(mu, nu)
            p, q = spread_shapes_of(mean, n, mu, nu, excess)
            result[known] = betainc(p, q, np.minimum(sd**2 * (n - 1) / (n * mean * (1 - mean)), 1))
        return result

    def draw(self, rng, mu, spread):
        """Draw from Beta(mu nu, (1 − mu) nu)."""
        mu, nu = _possible(mu, spread)
        return rng.beta(mu * nu, (1 - mu) * nu)

    def draw_cohort(self, rng, n, mu, spread, excess):
        """Draw from Beta(mu M, (1 − mu) M), M = n (nu + 1) / excess."""
        mu, nu = _possible(mu, spread)
        size = n * (nu + 1) / excess
        return rng.beta(mu * size, (1 - mu) * size)

    def published(self, mean, sd, n):
        """Return :func:`hbm.students.likelihoods.published`."""
        return published(mean, sd, n)

    def raw_estimates(self, n, mean, sd, spread=None):
        """Estimate eta and log nu of each group, finite for every group.

        The mean of n individuals weighs as much as N = n (nu + 1) − 1 trials, since its variance is
        mu (1 − mu) / (N + 1). Half a success and half a failure are added, as for an empirical
        logit. The precision of log nu is that of the log of a Normal sample's variance.
        """
        nu = pooled_nu(n, mean, sd, spread)
        trials = n * (nu + 1) - 1
        mean = (mean * trials + 0.5) / (trials + 1)
        known = np.isfinite(sd) & (sd**2 > 0)
        sd = np.where(known, sd, 1.0)
        with np.errstate(divide="ignore", over="ignore"):  # an sd of almost 0, and n = 1
            own_nu = np.clip(mean * (1 - mean) / sd**2 - 1, nu / 20, nu * 20)
            log_nu_se = np.sqrt(2 / (n - 1)) * (own_nu + 1) / own_nu
        return RawEstimates(
            effect=logit(mean),
            effect_se=1 / np.sqrt(mean * (1 - mean) * (trials + 1)),
            log_spread=np.where(known, np.log(own_nu), np.log(nu)),
            log_spread_se=np.where(known, log_nu_se, np.inf),
        )

    def evidence(self, mean, sd, n, value=None):
        """Return what was seen of a group as a function of eta, log nu and an excess.

        Individuals seen one by one are independent.
        """
        if value is not None:
            sums = np.log(value).sum(), np.log1p(-value).sum()

            def log_lik(mu, nu, _):
                return beta_students_logp(n, *sums, mu, nu)
        else:

            def log_lik(mu, nu, excess):
                return beta_summary_logp(mean, sd, n, mu, nu, excess)

        def of_effects(eta, log_nu, excess=0.0):
            # The likelihoods themselves take nothing beyond these limits; they spare overflows.
            return log_lik(expit(eta), np.exp(np.clip(log_nu, -20, 20)), excess)

        nu = np.clip(mean * (1 - mean) / sd**2 - 1, 0.05, 5000) if sd > 0 else np.nan
        trials = n * (10 if np.isnan(nu) else np.clip(nu, 2, 50))
        mean_ = (mean * trials + 0.5) / (trials + 1)
        eta_se = 1 / np.sqrt(mean_ * (1 - mean_) * (trials + 1))
        return Evidence(of_effects, float(logit(mean_)), float(eta_se), float(np.log(nu)))


BETA = _Beta()


def _possible(mu, nu):
    """Return mu and nu kept where both parameters of a Beta are above 0."""
    return np.clip(mu, *MU), np.clip(nu, *NU)


def _of_mean(n, mu, nu, excess):
    mu, nu = _possible(mu, nu)
    size = size_of(n, nu, excess)
    return mu * size, (1 - mu) * size


def pooled_nu(n: Floats, mean: Floats, sd: Floats, default: float | None) -> float:
    """Estimate one sample size nu for all groups, by matching variances.

    Parameters
    ----------
    n, mean, sd : numpy.ndarray, shape (n_groups,)
        Number of individuals, their mean and standard deviation (missing where there is none).
    default : float, optional
        What to return where no group has a standard deviation above 0; 10 if not given.

    Returns
    -------
    float
        Σ (n − 1) mean (1 − mean) / Σ (n − 1) sd² − 1, kept between 0.5 and 500.

    Examples
    --------
    >>> pooled_nu(np.array([10.0, 20.0]), np.array([0.5, 0.5]), np.array([0.25, 0.25]), 10)
    3.0
    """
    freedom = np.where(np.isfinite(sd), n - 1, 0.0)
    observed = np.nansum(freedom * sd**2)
    if observed == 0:
        return float(default or 10)
    with np.errstate(over="ignore"):  # an sd of almost 0
        return float(np.clip((freedom * mean * (1 - mean)).sum() / observed - 1, 0.5, 500))
