"""Normal individuals: any numbers, with mean mu and a standard deviation sigma that groups share.

A group's effect is its mean.
"""

from typing import Any

import numpy as np
import pytensor.tensor as pt
from pytensor.graph.basic import Variable
from scipy.special import gammainc, ndtr, ndtri

from hbm.students.law import Evidence, Law, RawEstimates
from hbm.students.likelihoods import (
    normal_students_logp,
    normal_summary_logp,
    sum_by_group,
)

__all__ = ["NORMAL"]

_LOG_SQRT_2PI = np.log(2 * np.pi) / 2


class _Normal(Law):
    """The law of numbers that are Normal in their groups."""

    name = "Normal"
    effect = "mu"
    spread = "sigma"
    spread_varies = False
    bounds = (-np.inf, np.inf)
    proportions = False
    values = "numbers"
    possible = "A standard deviation of two individuals or more is above 0"

    def mean_of(self, effect: Any) -> Any:
        """Return the effect: it is the mean."""
        return effect

    def slope(self, mu):
        """Return 1."""
        return np.ones_like(mu)

    def variance(self, mu, spread):
        """Return sigma²."""
        return np.broadcast_to(spread, np.broadcast_shapes(np.shape(mu), np.shape(spread))) ** 2

    def mean_variance(self, n, mu, spread, excess=0.0):
        """Return sigma² (1 + excess) / n."""
        return self.variance(mu, spread) * (1 + excess) / n

    def individual_logp(self, value, mu, spread):
        """Return the log density of N(mu, sigma)."""
        return -(((value - mu) / spread) ** 2) / 2 - np.log(spread) - _LOG_SQRT_2PI

    def mean_logp(self, mean, n, mu, spread, excess=0.0):
        """Return the log density of N(mu, sigma √((1 + excess) / n))."""
        return self.individual_logp(mean, mu, spread * np.sqrt((1 + excess) / n))

    def summary_logp(self, mean, sd, n, mu, spread, excess=0.0):
        """Return :func:`hbm.students.likelihoods.normal_summary_logp`."""
        return normal_summary_logp(mean, sd, n, mu, spread, excess)

    def sums(self, value, index, n_groups=None):
        """Return n, the mean and the standard deviation, 0 where n = 1."""
        xp = pt if isinstance(value, Variable) else np
        n = sum_by_group(xp.ones_like(value), index, n_groups)
        mean = sum_by_group(value, index, n_groups) / n
        squares = sum_by_group((value - mean[index]) ** 2, index, n_groups)
        return n, mean, xp.sqrt(squares / xp.maximum(n - 1, 1))

    def sums_logp(self, sums, mu, spread):
        """Return :func:`hbm.students.likelihoods.normal_students_logp`."""
        n, mean, sd = sums
        return normal_students_logp(n, mean, sd, mu, spread)

    def mean_cdf(self, mean, n, mu, spread, excess=0.0):
        """Return the distribution function of N(mu, sigma √((1 + excess) / n))."""
        return ndtr((mean - mu) / (spread * np.sqrt((1 + excess) / n)))

    def mean_quantile(self, p, n, mu, spread, excess=0.0):
        """Return the inverse of :meth:`mean_cdf`."""
        return mu + spread * np.sqrt((1 + excess) / n) * ndtri(p)

    def share_above(self, mark, mu, spread):
        """Return the survival function of N(mu, sigma)."""
        return ndtr((mu - mark) / spread)

    def sd_cdf(self, sd, mean, n, mu, spread, excess=0.0):
        """Return the distribution function of χ²(n − 1) at (n − 1) sd² / sigma²: whatever the mean.

        The mean and the sd of Normal individuals are independent.
        """
        half = np.where(n > 1, (n - 1) / 2, np.nan)
        shape = np.broadcast_shapes(*map(np.shape, (sd, mean, n, mu, spread)))
        return np.broadcast_to(gammainc(half, half * (sd / spread) ** 2), shape)

    def draw(self, rng, mu, spread):
        """Draw from N(mu, sigma)."""
        return rng.normal(mu, spread)

    def draw_cohort(self, rng, n, mu, spread, excess):
        """Draw from N(mu, sigma √(excess / n))."""
        return rng.normal(mu, spread * np.sqrt(excess / n))

    def published(self, mean, sd, n):
        """Return them as they are."""
        return mean, sd

    def raw_estimates(self, n, mean, sd, spread=None):
        """Estimate mu of each group; nothing is said of sigma, which is not a group's own."""
        freedom = np.where(np.isfinite(sd), n - 1, 0.0)
        within = np.nansum(freedom * sd**2) / max(freedom.sum(), 1)
        # Where nobody varies, or every group has one individual, the data do not tell the spread.
        sigma = np.sqrt(within) if within > 0 else np.inf
        nothing = np.full(len(n), np.inf)
        return RawEstimates(mean, sigma / np.sqrt(n), np.zeros(len(n)), nothing)

    def evidence(self, mean, sd, n, value=None):
        """Return what was seen of a group, whose average over N(m, tau) has a closed form.

        Given the rest, the mean is N(m, √(tau² + sigma² (1 + excess)/n)), and what else was seen
        hangs on sigma alone. Individuals seen one by one are independent.
        """

        def log_lik(mu, log_sigma, excess=0.0):
            if value is not None:
                return normal_students_logp(n, mean, sd, mu, np.exp(log_sigma))
            return normal_summary_logp(mean, sd, n, mu, np.exp(log_sigma), excess)

        def exact(m, tau, log_sigma, excess=0.0):
            within = np.exp(2 * log_sigma) / n * (1 if value is not None else 1 + excess)
            total = tau**2 + within
            at_mean = log_lik(mean, log_sigma, excess)
            return at_mean + np.log(within / total) / 2 - (mean - m) ** 2 / (2 * total)

        spread = sd if sd > 0 else max(abs(mean), 1.0)
        return Evidence(log_lik, mean, spread / np.sqrt(n), np.nan, exact)


NORMAL = _Normal()
