"""Coordinates of predictors' coefficients that hang on little else at the top.

How well a table tells coefficients hangs on the standard deviations between groups, so that many
coefficients and these are far from jointly Normal. Given all else at the top the raw table says of
coefficients about what a generalised least-squares regression does, with groups in all that they
stand in, and together with the coefficients' prior that is a Normal. In the coordinates of that
Normal they are about standard Normal, whatever all else is.
"""

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from hbm.sampling.direct.problem import Problem

__all__ = ["conditional"]

Floats = NDArray[np.float64]

_BLOCK = 2_000_000  # numbers worked on at a time


def conditional(problem: "Problem", thetas: Floats) -> tuple[Floats, Floats, Floats]:
    """Return about what coefficients are, given all else at the top.

    Parameters
    ----------
    problem : Problem
        What is to be drawn from.
    thetas : numpy.ndarray, shape (n, n_levels + 3 or more)
        Its θ; what comes after these is not looked at.

    Returns
    -------
    mean : numpy.ndarray, shape (n, 2, n_contrasts)
        Means, of beta and of gamma.
    root : numpy.ndarray, shape (n, 2, n_contrasts, n_contrasts)
        Upper triangular roots of their variances.
    log_det : numpy.ndarray, shape (n,)
        Logs of the determinants of the roots of both.
    """
    n, c = len(thetas), problem.n_contrasts
    length = max(1, _BLOCK // (len(problem.x[-1]) * (c + 1)))
    sums = np.empty((n, 2, c + 1, c + 1))
    for i in range(0, n, length):
        block = slice(i, i + length)
        sums[block, 0] = _of_effects(problem, thetas[block])
        sums[block, 1] = _of_spreads(problem, thetas[block])
    sds = np.array([problem.beta_sd, problem.gamma_sd])
    precision = sums[..., :c, :c] + (sds**-2.0)[:, None, None] * np.eye(c)
    lower = np.linalg.cholesky(precision)
    root = np.linalg.inv(lower).swapaxes(-1, -2)
    mean = root @ (root.swapaxes(-1, -2) @ sums[..., :c, c:])
    log_det = -np.log(np.diagonal(lower, axis1=-2, axis2=-1)).sum(axis=(-2, -1))
    return mean[..., 0], root, log_det


def _of_effects(problem, thetas):
    """Return the sums of squares and products of the predictors and the groups' estimates.

    What is the same for all groups of a parent is taken out, as far as parents may differ, and so
    on upward.
    """
    k, raw = problem.n_levels, problem.raw
    above = [problem.top_sd**2, *(thetas[:, i, None] ** 2 for i in range(k))]
    weight = 1 / (raw.effect_se**2 * (1 + thetas[:, k + 2, None]) + above[k])
    seen = np.column_stack([problem.x[-1], raw.effect - problem.top_mean])
    sums, seen = _products(weight, seen), seen[None]
    for i in range(k - 1, -1, -1):
        parent = np.zeros(weight.shape[1], int) if i == 0 else problem.d.levels[i].parent
        order = np.argsort(parent, kind="stable")
        begins = np.searchsorted(parent[order], np.arange(parent.max() + 1))
        whole = np.add.reduceat(weight[:, order], begins, axis=1)
        products = np.add.reduceat((weight[..., None] * seen)[:, order], begins, axis=1)
        seen = products / whole[..., None]
        sums -= products.swapaxes(1, 2) @ seen
        weight = 1 / (1 / whole + above[i])
        sums += seen.swapaxes(1, 2) @ (weight[..., None] * seen)
    return sums


def _of_spreads(problem, thetas):
    """Return the same of log nu, whose middle all groups share."""
    k, raw = problem.n_levels, problem.raw
    weight = 1 / (raw.log_spread_se**2 + thetas[:, k + 1, None] ** 2)
    x, away = problem.x[-1], raw.log_spread - thetas[:, k, None]
    c = x.shape[1]
    sums = np.zeros((len(thetas), c + 1, c + 1))
    sums[:, :c, :c] = _products(weight, x)
    sums[:, :c, c] = (weight * away) @ x
    return sums


def _products(weight, seen):
    """Return weighted sums over groups of the products of what was seen of each: (n, c, c)."""
    n_groups, c = seen.shape
    pairs = (seen[:, :, None] * seen[:, None, :]).reshape(n_groups, -1)
    return (weight @ pairs).reshape(-1, c, c)
