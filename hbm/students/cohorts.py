"""Cohorts: individuals drawn one by one from the law of their group, and what is published of them.

This is the one place where a cohort is simulated, for predictions, checks, prior draws and data.
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from hbm.students.law import Law

__all__ = ["cohorts", "individuals", "summarise"]

Floats = NDArray[np.float64]

_BLOCK = 1_000_000  # individuals simulated at a time, which bounds the memory


def individuals(
    law: Law,
    mu: Floats,
    spread: Floats | float,
    n: NDArray[np.int64],
    rng: np.random.Generator,
    excess: Floats | float = 0.0,
) -> Floats:
    """Draw the individuals of groups, group after group: one cohort of each.

    Parameters
    ----------
    law : Law
        The law of the individuals.
    mu, spread : numpy.ndarray, shape (..., n_groups)
        Mean and spread of each group.
    n : numpy.ndarray of int, shape (n_groups,)
        Number of individuals of each group.
    rng : numpy.random.Generator
        Where randomness comes from.
    excess : numpy.ndarray or float, default 0
        Design effect less 1; broadcasts with `mu`. Where it is above 0 each cohort has a mean of
        its own, around its group's.

    Returns
    -------
    numpy.ndarray, shape (..., sum of n)

    Examples
    --------
    >>> from hbm.students.normal import NORMAL
    >>> rng = np.random.default_rng(1)
    >>> mu, spread = np.array([170.0, 180.0]), np.array([1e-9, 1e-9])
    >>> individuals(NORMAL, mu, spread, np.array([2, 1]), rng).round()
    array([170., 170., 180.])
    """
    mu = _own_means(law, mu, spread, n, rng, excess)
    return law.draw(rng, *(np.repeat(np.broadcast_to(x, mu.shape), n, -1) for x in (mu, spread)))


def summarise(value: Floats, n: NDArray[np.int64]) -> tuple[Floats, Floats]:
    """Return mean and standard deviation of each group of individuals.

    Parameters
    ----------
    value : numpy.ndarray, shape (..., sum of n)
        Individuals, group after group.
    n : numpy.ndarray of int, shape (n_groups,)
        Number of individuals of each group, 1 or more.

    Returns
    -------
    mean, sd : numpy.ndarray, shape (..., n_groups)
        The sd has divisor n − 1, and is missing where n = 1.

    Examples
    --------
    >>> summarise(np.array([0.4, 0.6, 0.7]), np.array([2, 1]))
    (array([0.5, 0.7]), array([0.14142136,        nan]))
    """
    first = np.cumsum(n) - n
    mean = np.add.reduceat(value, first, axis=-1) / n
    squares = np.add.reduceat((value - np.repeat(mean, n, axis=-1)) ** 2, first, axis=-1)
    return mean, np.where(n > 1, np.sqrt(squares / np.maximum(n - 1, 1)), np.nan)


def cohorts(
    law: Law,
    mu: Floats,
    spread: Floats,
    n: NDArray[np.int64],
    rng: np.random.Generator,
    excess: Floats,
) -> Iterator[tuple[slice, Floats]]:
    """Draw the individuals of groups for many draws of their parameters, some draws at a time.

    Parameters
    ----------
    law : Law
        The law of the individuals.
    mu, spread : numpy.ndarray, shape (n_draws, n_groups)
        Draws of the mean and spread of each group.
    n : numpy.ndarray of int, shape (n_groups,)
        Number of individuals of each group.
    rng : numpy.random.Generator
        Where randomness comes from.
    excess : numpy.ndarray, shape (n_draws,) or (1,)
        Draws of the design effect less 1.

    Yields
    ------
    rows : slice
        Which draws.
    value : numpy.ndarray, shape (number of these draws, sum of n)
        The individuals, group after group.

    Examples
    --------
    >>> from hbm.students.normal import NORMAL
    >>> rng = np.random.default_rng(1)
    >>> mu, spread = np.full((3, 2), 170.0), np.full((3, 2), 7.0)
    >>> n, excess = np.array([2, 1]), np.zeros(1)
    >>> [(rows, y.shape) for rows, y in cohorts(NORMAL, mu, spread, n, rng, excess)]
    [(slice(0, 3, None), (3, 3))]
    """
    # All at once: how many are simulated at a time is to change nothing.
    mu = _own_means(law, mu, spread, n, rng, np.broadcast_to(excess, len(mu))[:, None])
    step = max(1, _BLOCK // int(n.sum()))
    for start in range(0, len(mu), step):
        rows = slice(start, min(start + step, len(mu)))
        yield rows, individuals(law, mu[rows], spread[rows], n, rng)


def _own_means(law, mu, spread, n, rng, excess) -> Floats:
    """Draw the mean that each cohort has of its own: that of its group where there is no excess."""
    clustered = np.broadcast_to(excess, mu.shape) > 0
    if not clustered.any():
        return mu
    of = (np.broadcast_to(x, mu.shape)[clustered] for x in (n, mu, spread, excess))
    own = np.array(mu, dtype=float)
    own[clustered] = law.draw_cohort(rng, *of)
    return own
