"""Students one by one, as observed variables whose density costs no more than their schools'.

The number of a school's students and two sums over them say all there is to say of the school's
parameters. The sums are taken of the observed values once, when the density is written down, so
that a gradient costs the number of schools and not that of students.
"""

from typing import Any

import numpy as np
import pymc as pm
import pytensor.tensor as pt
from pytensor.graph.basic import Constant
from pytensor.tensor import TensorVariable

from hbm.students.likelihoods import beta_students_logp, normal_students_logp

__all__ = ["beta_students", "normal_students"]


def _numbers(value: Any) -> tuple[Any, Any]:
    """Return what a constant holds with NumPy's functions, or a variable with PyTensor's.

    PyTensor leaves the sums by group of a constant to be taken anew with every gradient.
    """
    return (np, value.data) if isinstance(value, Constant) else (pt, value)


def _sum_by_group(values: Any, index: np.ndarray) -> Any:
    if isinstance(values, np.ndarray):
        return np.bincount(index, values)
    return pt.inc_subtensor(pt.zeros(int(index.max()) + 1)[pt.as_tensor(index)], values)


def beta_students(
    name: str,
    mu: TensorVariable,
    nu: TensorVariable,
    index: np.ndarray,
    *,
    observed: np.ndarray,
    dims: str,
) -> TensorVariable:
    """Add the scores of students, Beta within their schools, to the current model.

    Parameters
    ----------
    name : str
        Name of the variable.
    mu, nu : TensorVariable, shape (n_schools,)
        Mean and sample size of each school's Beta.
    index : numpy.ndarray of int, shape (n_students,)
        Position of each student's school.
    observed : numpy.ndarray, shape (n_students,)
        Scores, strictly between 0 and 1.
    dims : str
        The students' dim.

    Returns
    -------
    TensorVariable
        Shape (n_students,). Its log density is one number for all students.

    Examples
    --------
    >>> import numpy as np, pymc as pm
    >>> with pm.Model(coords={"student": [1, 2, 3]}) as model:
    ...     mu = pm.Beta("mu", 3, 1, shape=2)
    ...     score = beta_students("score", mu, mu * 0 + 5, np.array([0, 0, 1]),
    ...                           observed=np.array([0.4, 0.7, 0.9]), dims="student")
    >>> pm.logp(score, [0.4, 0.7, 0.9]).ndim
    0
    """

    def logp(value, mu, nu, _):
        xp, value = _numbers(value)
        n = np.bincount(index).astype(float)
        sum_log = _sum_by_group(xp.log(value), index)
        sum_log1m = _sum_by_group(xp.log1p(-value), index)
        return beta_students_logp(n, sum_log, sum_log1m, mu, nu).sum()

    def random(mu, nu, index, rng=None, size=None):
        mean, size_ = mu[..., index], nu[..., index]
        return rng.beta(mean * size_, (1 - mean) * size_)

    return pm.CustomDist(
        name,
        mu,
        nu,
        index,
        logp=logp,
        random=random,
        signature="(s),(s),(n)->(n)",
        observed=observed,
        dims=dims,
    )


def normal_students(
    name: str,
    mu: TensorVariable,
    sigma: TensorVariable,
    index: np.ndarray,
    *,
    observed: np.ndarray,
    dims: str,
) -> TensorVariable:
    """Add the results of people, Normal within their groups, to the current model.

    Parameters
    ----------
    name : str
        Name of the variable.
    mu : TensorVariable, shape (n_groups,)
        Mean of each group.
    sigma : TensorVariable, scalar
        Standard deviation within groups.
    index : numpy.ndarray of int, shape (n_people,)
        Position of each person's group.
    observed : numpy.ndarray, shape (n_people,)
        Results, in the data's units.
    dims : str
        The people's dim.

    Returns
    -------
    TensorVariable
        Shape (n_people,). Its log density is one number for all people.

    Examples
    --------
    >>> import numpy as np, pymc as pm
    >>> with pm.Model(coords={"person": [1, 2, 3]}) as model:
    ...     mu = pm.Normal("mu", 176, 10, shape=2)
    ...     height = normal_students("height", mu, pt.as_tensor(7.0), np.array([0, 0, 1]),
    ...                              observed=np.array([170.0, 180.0, 175.0]), dims="person")
    >>> model.named_vars_to_dims["height"]
    ('person',)
    """

    def logp(value, mu, sigma, _):
        xp, value = _numbers(value)
        n = np.bincount(index).astype(float)
        mean = _sum_by_group(value, index) / n
        squares = _sum_by_group((value - mean[index]) ** 2, index)
        sd = xp.sqrt(squares / np.maximum(n - 1, 1))
        return normal_students_logp(n, mean, sd, mu, sigma).sum()

    def random(mu, sigma, index, rng=None, size=None):
        return rng.normal(mu[..., index], np.asarray(sigma)[..., None])

    return pm.CustomDist(
        name,
        mu,
        sigma,
        index,
        logp=logp,
        random=random,
        signature="(s),(),(n)->(n)",
        observed=observed,
        dims=dims,
    )
