"""What the raw data say of coefficients, for the informed parameterisation.

Raw estimates ê ± s of groups are taken to be Normal around an intercept, their predictors times the
coefficients, and effects of each level, whose variances are estimated by moments. The intercept and
the coefficients are then told as by generalised least squares, and coordinates of the coefficients
are laid along the directions in which the data know them independently. They hang on the intercept
of a draw: where those of whom the data know much are not in the middle of a predictor, they know
the sum of the two better than either. They shape the sampler's coordinates, and nothing else.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Regression", "gram", "regression"]

Floats = NDArray[np.float64]

_LEAST = 1e-10  # of what is known along the best known direction: less is nothing


@dataclass(frozen=True, eq=False)
class Regression:
    """Raw estimates of coefficients along directions in which they are known independently.

    Attributes
    ----------
    basis : numpy.ndarray, shape (n, n)
        The directions, orthonormal, as columns.
    estimate, standard_error : numpy.ndarray, shape (n,)
        Of the coefficients along these, were the intercept 0.
    slope : numpy.ndarray, shape (n,)
        How much higher the estimates are for each unit of the intercept.
    start : numpy.ndarray, shape (n,)
        Of the coefficients themselves, with the intercept that fits best.
    """

    basis: Floats
    estimate: Floats
    standard_error: Floats
    slope: Floats
    start: Floats


def gram(
    columns: Floats, precision: Floats, parents: Sequence[NDArray[np.int64]], taus2: Sequence[float]
) -> Floats:
    """Return CᵀV⁻¹C, with V the covariance of what was seen and effects of all levels in it.

    Parameters
    ----------
    columns : numpy.ndarray, shape (n_groups, n_years, n)
        C.
    precision : numpy.ndarray, shape (n_groups, n_years, n_years)
        Of the cells of each group, given what the group stands in.
    parents : sequence of numpy.ndarray of int
        Where the groups stand, then where these stand, and so on upwards.
    taus2 : sequence of float
        Variance between the members of each of these levels.

    Returns
    -------
    numpy.ndarray, shape (n, n)

    Examples
    --------
    Two pairs of groups, each pair with an effect of its own:

    >>> ones = np.ones((4, 1, 1))
    >>> gram(ones, ones, [np.array([0, 0, 1, 1])], [0.5])
    array([[2.]])
    >>> covariance = np.eye(4) + 0.5 * np.kron(np.eye(2), np.ones((2, 2)))
    >>> float(np.linalg.inv(covariance).sum().round(6))
    2.0
    """
    told = precision @ columns
    total = np.einsum("gti,gtj->ij", columns, told)
    sums, known = told.sum(axis=1), precision.sum(axis=(1, 2))
    for parent, tau2 in zip(parents, taus2, strict=True):
        n = parent.max() + 1
        known = np.bincount(parent, known, n)
        sums = np.stack([np.bincount(parent, column, n) for column in sums.T], axis=1)
        kept = 1 / (1 + known * tau2)
        total = total - sums.T @ (sums * (tau2 * kept)[:, None])
        known, sums = known * kept, sums * kept[:, None]
    return total


def regression(matrix: Floats, sd: float) -> Regression:
    """Estimate coefficients ~ N(0, sd), and how they follow the intercept.

    Parameters
    ----------
    matrix : numpy.ndarray, shape (n + 2, n + 2)
        From :func:`gram`, of the columns of the coefficients, the intercept's, and what was seen.
    sd : float
        Prior sd of the coefficients.

    Returns
    -------
    Regression

    Examples
    --------
    >>> x, y = np.array([-1.0, 0, 1, 2]), np.array([1.0, 2, 3, 4])
    >>> columns = np.column_stack([x, np.ones(4), y])
    >>> found = regression(columns.T @ columns, 1e6)
    >>> (found.basis @ (found.estimate + found.slope * 2)).round(6)  # with an intercept of 2
    array([1.])
    """
    x, one, y = matrix[:-2, :-2], matrix[-2], matrix[-1]
    intercept = one[-1] / one[-2] if one[-2] > 0 else 0.0
    values, basis = np.linalg.eigh(x)
    known = values > _LEAST * max(values[-1], 1e-300)
    along = basis.T @ np.stack([y[:-2], one[:-2]], axis=1)
    estimate, slope = np.where(known, along.T / np.where(known, values, 1.0), 0.0)
    prior = 1 / sd**2
    # Of both at once: what of the intercept is not a sum of the columns.
    left = np.linalg.solve(x + prior * np.eye(len(x)), matrix[:-2, -2:])
    own = one[-2] - one[:-2] @ left[:, 0]
    if own > _LEAST * one[-2]:
        intercept = (one[-1] - one[:-2] @ left[:, 1]) / own
    return Regression(
        basis=basis,
        estimate=estimate,
        standard_error=np.where(known, 1 / np.sqrt(np.where(known, values, 1.0)), np.inf),
        slope=-slope,
        start=left[:, 1] - left[:, 0] * intercept,
    )
