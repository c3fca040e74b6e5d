"""What a law of individuals is: all that the rest of the package asks of it.

How individuals vary within a group is a Beta for proportions (:mod:`hbm.students.beta`) or a
Normal for anything else (:mod:`hbm.students.normal`). Either has a mean mu and a spread, which is
the Beta's sample size nu or the Normal's sd sigma. A group's *effect* is its mean on the scale on
which groups are Normal: the logit of a Beta's mean, a Normal's mean itself.

The individuals of a group may have been seen as a *cohort*, whose own mean varies around the
group's, so that the variance of a mean of n is 1 + `excess` times that of independent individuals:
its design effect. The spread is that within a cohort.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["Evidence", "Law", "RawEstimates"]

Floats = NDArray[np.float64]
Numbers = Floats | float


class RawEstimates(NamedTuple):
    """What a table says of each group by itself, for the informed parameterisation.

    Attributes
    ----------
    effect, effect_se : numpy.ndarray, shape (n_groups,)
        Estimate of the effect, and its standard error.
    log_spread, log_spread_se : numpy.ndarray, shape (n_groups,)
        Estimate of the log of the spread, and its standard error: ``inf`` where nothing tells it.
    """

    effect: Floats
    effect_se: Floats
    log_spread: Floats
    log_spread_se: Floats


class Evidence(NamedTuple):
    """What was seen of one group.

    Attributes
    ----------
    log_lik : callable
        Takes an effect, the log of a spread and an excess, which broadcast, and returns the log
        density of what was seen.
    effect, effect_se : float
        Rough estimate of the effect from the group alone, and its standard error.
    log_spread : float
        Rough estimate of the log of the spread; NaN where the group says nothing of it.
    exact : callable, optional
        Where there is a closed form: takes m, tau, the log of a spread and an excess, which
        broadcast, and returns the log density of what was seen if the effect is N(m, tau).
    """

    log_lik: Callable[[Any, Any, Any], Floats]
    effect: float
    effect_se: float
    log_spread: float
    exact: Callable[[Any, Any, Any, Any], Floats] | None = None


class Law(ABC):
    """A law of individuals. Arrays broadcast; `mu` and `spread` are those of the groups.

    `excess` is 0 where individuals are independent.

    Attributes
    ----------
    name : str
        ``"Beta"`` or ``"Normal"``.
    effect : str
        What a group's effect is called in a model: ``<effect>_<group>``, and ``<effect>`` the grand
        mean.
    spread : str
        What the spread is called.
    spread_varies : bool
        Whether groups have spreads of their own, log <spread>_<group> ~ N(log <spread>,
        tau_<spread>), or share one.
    bounds : tuple of float
        Ends of the range of individuals.
    proportions : bool
        Whether individuals are proportions, so that their effects are logits.
    values, possible : str
        What individuals are, and what a mean and sd of theirs can be, for messages.
    """

    name: ClassVar[str]
    effect: ClassVar[str]
    spread: ClassVar[str]
    spread_varies: ClassVar[bool]
    bounds: ClassVar[tuple[float, float]]
    proportions: ClassVar[bool]
    values: ClassVar[str]
    possible: ClassVar[str]

    @abstractmethod
    def mean_of(self, effect: Any) -> Any:
        """Return the mean of an effect, of an array or of a tensor."""

    @abstractmethod
    def slope(self, mu: Numbers) -> Floats:
        """Return the derivative of the mean by the effect."""

    @abstractmethod
    def variance(self, mu: Numbers, spread: Numbers) -> Floats:
        """Return the variance of an individual."""

    @abstractmethod
    def mean_variance(
        self, n: Numbers, mu: Numbers, spread: Numbers, excess: Numbers = 0.0
    ) -> Floats:
        """Return the variance of the mean of n individuals."""

    def information(
        self, n: Numbers, mu: Numbers, spread: Numbers, excess: Numbers = 0.0
    ) -> Floats:
        """Return the information that the mean of n individuals has on the effect: 1/s²."""
        return self.slope(mu) ** 2 / self.mean_variance(n, mu, spread, excess)

    @abstractmethod
    def individual_logp(self, value: Numbers, mu: Numbers, spread: Numbers) -> Floats:
        """Return the log density of one individual."""

    @abstractmethod
    def mean_logp(self, mean: Any, n: Any, mu: Any, spread: Any, excess: Any = 0.0) -> Any:
        """Return the log density of the mean of n individuals."""

    @abstractmethod
    def summary_logp(
        self, mean: Any, sd: Any, n: Any, mu: Any, spread: Any, excess: Any = 0.0
    ) -> Any:
        """Return the log density of mean and sd of n individuals; of the mean where sd is NaN."""

    @abstractmethod
    def sums(self, value: Any, index: Any, n_groups: Any = None) -> tuple[Any, ...]:
        """Return what says all of individuals, by group: arrays of arrays, tensors of tensors."""

    @abstractmethod
    def sums_logp(self, sums: Sequence[Any], mu: Any, spread: Any) -> Any:
        """Return the log density of the individuals of each group from their :meth:`sums`."""

    @abstractmethod
    def mean_cdf(
        self, mean: Numbers, n: Numbers, mu: Numbers, spread: Numbers, excess: Numbers = 0.0
    ) -> Floats:
        """Return the probability that the mean of n individuals is lower."""

    @abstractmethod
    def mean_quantile(
        self, p: Numbers, n: Numbers, mu: Numbers, spread: Numbers, excess: Numbers = 0.0
    ) -> Floats:
        """Return the quantile of the mean of n individuals."""

    @abstractmethod
    def share_above(self, mark: float, mu: Numbers, spread: Numbers) -> Floats:
        """Return the probability that an individual is at a mark or above it."""

    @abstractmethod
    def sd_cdf(
        self,
        sd: Numbers,
        mean: Numbers,
        n: Numbers,
        mu: Numbers,
        spread: Numbers,
        excess: Numbers = 0.0,
    ) -> Floats:
        """Return the probability that the sd of n individuals is lower, given their mean.

        It is NaN where sd is, or where n = 1.
        """

    @abstractmethod
    def draw(self, rng: np.random.Generator, mu: Numbers, spread: Numbers) -> Floats:
        """Draw an individual for each mu and spread."""

    @abstractmethod
    def draw_cohort(
        self, rng: np.random.Generator, n: Numbers, mu: Numbers, spread: Numbers, excess: Numbers
    ) -> Floats:
        """Draw the mean that a cohort of n individuals has of its own, for an `excess` above 0."""

    @abstractmethod
    def published(self, mean: Floats, sd: Floats, n: Floats) -> tuple[Floats, Floats]:
        """Return published means and sds as numbers that individuals can have."""

    @abstractmethod
    def raw_estimates(
        self, n: Floats, mean: Floats, sd: Floats, spread: float | None = None
    ) -> RawEstimates:
        """Estimate each group by itself, given a spread to go by where the data tell none.

        The standard errors are those of independent individuals.
        """

    @abstractmethod
    def evidence(self, mean: float, sd: float, n: float, value: Floats | None = None) -> Evidence:
        """Return what was seen of a group: a mean and sd (NaN if not known), or individuals."""
