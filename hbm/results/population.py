"""The population of groups: what predictors of a table's groups move, and averages over them.

Given a draw, groups vary around the grand mean by what is known of them, as that is spread over
the groups of the table, and by Normal effects. What is averaged over groups is smooth in where a
group is centred, so that a few nodes in place of hundreds of groups do.
"""

import numpy as np
from numpy.typing import NDArray

from hbm.hierarchy.coefficients import of_cells
from hbm.hierarchy.description import Description
from hbm.hierarchy.fitted import Fitted
from hbm.students.law import Law

__all__ = ["known_of", "moved_by", "population_mean", "rule", "size_is_known"]

Floats = NDArray[np.float64]

_BLOCK = 1_000_000  # numbers worked on at a time, which bounds the memory
_NODES = 41  # of the quadrature over a Normal effect
_POINTS = 9  # in place of the groups of a table


def size_is_known(d: Description) -> bool:
    """Say whether numbers of individuals are among the predictors of groups."""
    return d.predictors is not None and any(_size_columns(d))


def known_of(d: Description, n: float | None = None) -> Floats:
    """Return what is known of each group, or cell of a panel, at all levels together.

    Parameters
    ----------
    d : Description
        What the model is; it has predictors.
    n : float, optional
        Number of individuals that all of them are to have, where that is a predictor.

    Returns
    -------
    numpy.ndarray, shape (n_cells, n_predictors)

    Examples
    --------
    >>> import hbm
    >>> table = hbm.simulate.exams([2, 1], [5, 8, 40], random_seed=1)[0]
    >>> d = hbm.exams.nested(table, predictors=["log_n_students"]).description
    >>> known_of(d).ravel().round(2), known_of(d, 40).ravel().round(2)
    (array([-0.95, -0.43,  1.38]), array([1.38, 1.38, 1.38]))
    """
    x = of_cells(d)
    if n is not None:
        for column, coding in enumerate(_size_columns(d)):
            if coding is not None:
                value = np.log(n) if coding.kind == "log" else n
                x[:, column] = (value - coding.centre) / coding.scale
    return x


def _size_columns(d: Description) -> list:
    """Return by coefficient how the number of individuals is coded, None for all others."""
    return [
        coding if coding.column == d.size and coding.level == d.group else None
        for coding in d.predictors.coding
        for _ in coding.labels
    ]


def moved_by(f: Fitted, x: Floats, row: NDArray[np.int64] | None = None) -> tuple[Floats, Floats]:
    """Return by how much predictors move effects, and log spreads.

    Parameters
    ----------
    f : Fitted
        What was learned.
    x : numpy.ndarray, shape (n, n_predictors)
        What is known.
    row : numpy.ndarray of int, shape (n,), optional
        Which draw each is to be of; all of all draws if not given.

    Returns
    -------
    moved, log_moved : numpy.ndarray, shape (n_draws, n), or (n,)
        Of spreads zeros, where all groups share one.
    """

    def by(name: str) -> Floats:
        values = f.draws(name)
        return values @ x.T if row is None else (values[row] * x).sum(axis=1)

    moved = by("beta")
    return moved, by("gamma") if f.d.law.spread_varies else np.zeros_like(moved)


def population_mean(law: Law, centre: Floats, tau: Floats) -> Floats:
    """Return the mean of groups whose effects are Normal around each centre.

    Parameters
    ----------
    law : Law
        How individuals vary in their group.
    centre : numpy.ndarray, shape (n,)
        Where effects are centred.
    tau : numpy.ndarray, shape (n,) or (1,)
        Their standard deviation.

    Returns
    -------
    numpy.ndarray, shape (n,)

    Examples
    --------
    >>> from hbm.students.beta import BETA
    >>> population_mean(BETA, np.array([0.0, 1.0]), np.array([0.5])).round(3)
    array([0.5  , 0.721])
    """
    z, weight = np.polynomial.hermite_e.hermegauss(_NODES)
    effect = centre[:, None] + np.broadcast_to(tau, centre.shape)[:, None] * z
    middle = law.mean_of(centre)
    # As what it is away from the middle: a symmetric law's mean is its middle to the last digit.
    return middle + (law.mean_of(effect) - middle[:, None]) @ weight / weight.sum()


def rule(values: Floats, weight: Floats) -> tuple[Floats, Floats]:
    """Return a few nodes and weights that average smooth functions as weighted values do.

    Parameters
    ----------
    values : numpy.ndarray, shape (n_draws, n)
        What a function is to be averaged over, in each draw.
    weight : numpy.ndarray, shape (n,) or (n_draws, n)
        Weights of the values; their sum may be any.

    Returns
    -------
    nodes, weights : numpy.ndarray, shape (n_draws, 9), or less
        The sum of weights times function is that of `weight` times the polynomial that is the
        function at the nodes, which are Chebyshev's between the smallest value and the largest.
        Nine values or fewer are the nodes themselves.

    Examples
    --------
    >>> values = np.random.default_rng(1).normal(size=(1, 300))
    >>> nodes, weights = rule(values, np.full(300, 1 / 300))
    >>> averages = np.exp(values).mean(), (weights * np.exp(nodes)).sum()
    >>> [round(float(average), 4) for average in averages]
    [1.4343, 1.4343]
    """
    weight = np.broadcast_to(weight, values.shape)
    if values.shape[1] <= _POINTS:
        return values, weight
    low, high = values.min(axis=1), values.max(axis=1)
    middle, half = ((high + sign * low)[:, None] / 2 for sign in (1, -1))
    chebyshev = np.polynomial.chebyshev
    points = chebyshev.chebpts1(_POINTS)
    back = np.linalg.inv(chebyshev.chebvander(points, _POINTS - 1))
    step = max(1, _BLOCK // (values.shape[1] * _POINTS))
    weights = []
    for start in range(0, len(values), step):
        rows = slice(start, start + step)
        at = (values[rows] - middle[rows]) / np.where(half[rows] > 0, half[rows], 1)
        sums = np.einsum("dj,djk->dk", weight[rows], chebyshev.chebvander(at, _POINTS - 1))
        weights.append(sums @ back)
    return middle + half * points, np.concatenate(weights)
