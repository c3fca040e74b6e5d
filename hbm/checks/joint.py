"""One verdict for many statistics: the most unusual one, ranked among those of the replications."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["Joint", "fewest_replications", "judge"]

Floats = NDArray[np.float64]

_USUAL = 0.95, 0.99  # quantiles whose distance from the median is a statistic's reach
_FARTHEST = 10.0  # reaches to the farthest value, of a statistic that hardly ever differs
_ROUNDING = 1e-12


class Joint(NamedTuple):
    """What :func:`judge` found.

    Attributes
    ----------
    p_value : float
        Share of the replications, the data among them, whose most unusual statistic is as unusual
        as that of the data, or more.
    lower, upper : numpy.ndarray, shape (n_statistics,)
        Limits that hold all statistics of the share `prob` of the replications at the same time.
    outside : numpy.ndarray of int, shape (n_statistics,)
        −1 where the data lie below, 1 where they lie above, 0 between.
    """

    p_value: float
    lower: Floats
    upper: Floats
    outside: NDArray[np.int64]


def fewest_replications(prob: float) -> int:
    """Return how many replications it takes to tell a chance of 1 − `prob`.

    Parameters
    ----------
    prob : float
        Probability that a right model passes.

    Returns
    -------
    int

    Examples
    --------
    >>> fewest_replications(0.99), fewest_replications(0.9)
    (99, 9)
    """
    return int(np.ceil(1 / (1 - prob) - 1e-9)) - 1


def judge(replicates: Floats, seen: Floats, prob: float) -> Joint:
    """Rank the most unusual statistic of the data among those of the replications.

    How unusual a value is counts from the median, in units of the distance from there to the 5 % or
    95 % quantile. The data count as one more replication, so that, if they are one, they are
    outside with probability 1 − `prob` at most, however the statistics hang together, whatever
    their distributions and however few the replications.

    Parameters
    ----------
    replicates : numpy.ndarray, shape (n_replications, n_statistics)
        May be NaN, which is not unusual.
    seen : numpy.ndarray, shape (n_statistics,)
        Of the data.
    prob : float
        Probability that a right model passes.

    Returns
    -------
    Joint

    Examples
    --------
    >>> replicates = np.random.default_rng(1).normal(size=(999, 2))
    >>> found = judge(replicates, np.array([0.5, -4.0]), 0.99)
    >>> found.p_value, found.outside, found.lower.round(), found.upper.round()
    (0.001, array([ 0, -1]), array([-3., -3.]), array([3., 3.]))
    """
    pooled = np.vstack([replicates, seen])
    middle = np.nanmedian(pooled, axis=0)
    off = pooled - middle
    off = np.where(np.abs(off) > _ROUNDING * np.abs(middle), off, 0 * off)
    below, above = _reach(-off), _reach(off)
    reach = np.where(off < 0, below, above)
    unusual = np.divide(np.abs(off), reach, out=np.zeros_like(off), where=reach > 0)
    unusual = np.nan_to_num(unusual)
    most = unusual.max(axis=1)
    # The data are outside if fewer than a part 1 − prob of all are as unusual.
    allowed = int(np.floor((1 - prob) * len(most) + 1e-9))
    limit = np.sort(most)[len(most) - 1 - allowed]
    return Joint(
        p_value=float((most >= most[-1]).mean()),
        lower=middle - limit * below,
        upper=middle + limit * above,
        outside=np.where(unusual[-1] > limit, np.sign(off[-1]), 0).astype(int),
    )


def _reach(off: Floats) -> Floats:
    """Return how far values usually lie on the upper side of the middle, 0 if they never do."""
    usual, farther = np.nanquantile(off, _USUAL, axis=0)
    # Many a value may be the same: a share of marks that nobody reaches in most replications.
    farther = np.where(farther > 0, farther, np.nanmax(off, axis=0) / _FARTHEST)
    return np.where(usual > 0, usual, farther).clip(0)
