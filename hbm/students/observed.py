"""Groups as observed variables of a PyMC model: by mean and sd, by mean alone, or one by one.

The numbers that a density goes by are its inputs, so that they may be ``pm.Data``: one compiled
model then serves many tables. Predictive draws simulate individuals one by one and summarise them
(:mod:`hbm.students.cohorts`), so that they are exact whatever the density.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pymc as pm
import pytensor.tensor as pt
from pytensor.tensor import TensorVariable

from hbm.students import cohorts
from hbm.students.law import Law

__all__ = ["observe_individuals", "observe_means", "observe_summaries", "pair"]


def observe_summaries(
    name: str,
    law: Law,
    mu: Any,
    spread: Any,
    n: Any,
    observed: Any = None,
    dims: str | Sequence[str] | None = None,
    excess: Any = 0.0,
) -> TensorVariable:
    """Add the mean and the standard deviation of n individuals of each group to the current model.

    Parameters
    ----------
    name : str
        Name of the variable.
    law : Law
        Law of the individuals.
    mu, spread : TensorVariable
        Mean of each group, and spread.
    n : array_like or TensorVariable
        Number of individuals of each group. Where it is 1 the mean alone counts.
    observed : array_like or TensorVariable, shape (n_groups, 2), optional
        Mean and sd of each group, as :func:`pair` makes it: the sd is 0 where it is not known.
    dims : str or sequence of str, optional
        Dims of the groups. A last dim ``statistic``, with the coords ``mean`` and ``sd``, is added.
    excess : scalar or TensorVariable, default 0
        Design effect less 1.

    Returns
    -------
    TensorVariable
        Shape (..., 2): mean and sd. Its log-likelihood is one value per group.

    Examples
    --------
    >>> from hbm.students.beta import BETA
    >>> seen = pair(BETA, [0.66, 0.81], [0.19, np.nan], [24, 3])
    >>> with pm.Model(coords={"school": ["0009", "0012"]}) as model:
    ...     mu = pm.Beta("mu_school", 3, 1, dims="school")
    ...     exam = observe_summaries("exam", BETA, mu, 5.0, [24, 3], seen, dims="school")
    >>> model.named_vars_to_dims["exam"]
    ('school', 'statistic')
    """
    if dims is not None:
        dims = (dims, "statistic") if isinstance(dims, str) else (*dims, "statistic")
        pm.modelcontext(None).add_coord("statistic", ["mean", "sd"])

    def logp(value, mu, spread, n, excess):
        mean, sd = value[..., 0], value[..., 1]
        return law.summary_logp(mean, pt.where(sd > 0, sd, np.nan), n, mu, spread, excess)

    def random(mu, spread, n, excess, rng=None, size=None):
        mean, sd = _cohort(law, mu, spread, n, excess, rng, size)
        return np.stack([mean, np.nan_to_num(sd)], axis=-1)

    return pm.CustomDist(
        name,
        mu,
        spread,
        pt.as_tensor(n),
        pt.as_tensor(excess),
        logp=logp,
        random=random,
        signature="(),(),(),()->(2)",
        observed=observed,
        dims=dims,
    )


def observe_means(
    name: str,
    law: Law,
    mu: Any,
    spread: Any,
    n: Any,
    observed: Any = None,
    dims: str | Sequence[str] | None = None,
    excess: Any = 0.0,
) -> TensorVariable:
    """Add the mean alone of n individuals of each group to the current model.

    Parameters are those of :func:`observe_summaries`, with the means as `observed`. A mean says
    next to nothing about the spread: its posterior will be its prior.

    Returns
    -------
    TensorVariable
        One mean per group.

    Examples
    --------
    >>> from hbm.students.beta import BETA
    >>> with pm.Model():
    ...     exam = observe_means("exam", BETA, 0.7, 5.0, [24, 3], np.array([0.66, 0.81]))
    >>> pm.logp(exam, np.array([0.66, 0.81])).eval().round(3)
    array([1.754, 0.978])
    """

    def logp(value, mu, spread, n, excess):
        return law.mean_logp(value, n, mu, spread, excess)

    def random(mu, spread, n, excess, rng=None, size=None):
        return _cohort(law, mu, spread, n, excess, rng, size)[0]

    return pm.CustomDist(
        name,
        mu,
        spread,
        pt.as_tensor(n),
        pt.as_tensor(excess),
        logp=logp,
        random=random,
        signature="(),(),(),()->()",
        observed=observed,
        dims=dims,
    )


def observe_individuals(
    name: str,
    law: Law,
    mu: TensorVariable,
    spread: TensorVariable,
    index: Any,
    sums: Sequence[Any],
    *,
    observed: TensorVariable,
    dims: str,
) -> TensorVariable:
    """Add individuals one by one, at no more cost than their groups', to the current model.

    A few sums over a group's individuals say all there is to say of its parameters. They are taken
    once, by :meth:`Law.sums`, so that a gradient costs the number of groups and not that of
    individuals.

    Parameters
    ----------
    name : str
        Name of the variable.
    law : Law
        Law of the individuals.
    mu : TensorVariable, shape (n_groups,)
        Mean of each group.
    spread : TensorVariable, shape (n_groups,) or ()
        Spread of each group, or of all.
    index : TensorVariable of int, shape (n_individuals,)
        Position of each individual's group.
    sums : sequence of TensorVariable, shape (n_groups,)
        What :meth:`Law.sums` returns of `observed`.
    observed : TensorVariable, shape (n_individuals,)
        Their values.
    dims : str
        The individuals' dim.

    Returns
    -------
    TensorVariable
        Shape (n_individuals,). Its log density is one number for all individuals.

    Examples
    --------
    >>> from hbm.students.beta import BETA
    >>> y, index = np.array([0.4, 0.7, 0.9]), np.array([0, 0, 1])
    >>> with pm.Model(coords={"student": [1, 2, 3]}) as model:
    ...     mu = pm.Beta("mu", 3, 1, shape=2)
    ...     score = observe_individuals("score", BETA, mu, mu * 0 + 5, index, BETA.sums(y, index),
    ...                                 observed=pm.Data("y", y), dims="student")
    >>> pm.logp(score, y).ndim
    0
    """

    def logp(value, mu, spread, index, *known):
        # The sums are those of what was observed; any other values are summed anew.
        sums = known if value is observed else law.sums(value, index, known[0].shape[0])
        return law.sums_logp(sums, mu, spread).sum()

    def random(mu, spread, index, *_, rng=None, size=None):
        spread = np.asarray(spread)
        return law.draw(rng, mu[..., index], spread[..., index] if spread.ndim else spread)

    own_spread = "(s)" if pt.as_tensor(spread).ndim else "()"
    return pm.CustomDist(
        name,
        mu,
        spread,
        pt.as_tensor(index),
        *(pt.as_tensor(x) for x in sums),
        logp=logp,
        random=random,
        signature=f"(s),{own_spread},(n){',(s)' * len(sums)}->(n)",
        observed=observed,
        dims=dims,
    )


def pair(law: Law, mean: Any, sd: Any, n: Any) -> np.ndarray:
    """Return means and sds as they are observed: side by side, the sd 0 where it is not known.

    PyMC would take a NaN for a missing value, and impute it.

    Parameters
    ----------
    law : Law
        Law of the individuals.
    mean, sd : array_like, shape (n_groups,)
        Means and standard deviations; an sd may be NaN.
    n : array_like of int, shape (n_groups,)
        Number of individuals of each group.

    Returns
    -------
    numpy.ndarray, shape (n_groups, 2)

    Raises
    ------
    ValueError
        If a pair is one that no individuals can have.

    Examples
    --------
    >>> from hbm.students.beta import BETA
    >>> pair(BETA, [0.66, 0.81], [0.19, np.nan], [24, 3])
    array([[0.66, 0.19],
           [0.81, 0.  ]])
    """
    mean, sd, n = (np.asarray(x, dtype=float) for x in (mean, sd, n))
    sd = np.where(n > 1, sd, np.nan)
    bad = np.flatnonzero(~np.isfinite(law.summary_logp(mean, sd, n, np.full_like(mean, 0.5), 1.0)))
    if bad.size:
        shown = [(float(mean[i]), float(sd[i])) for i in bad[:5]]
        raise ValueError(
            f"{bad.size} observed pairs of mean and sd are impossible, the first at positions "
            f"{bad[:5].tolist()}: {shown}. {law.possible}; an sd that is not known is missing, NaN"
        )
    return np.stack([mean, np.nan_to_num(sd)], axis=-1)


def _cohort(law, mu, spread, n, excess, rng, size):
    given = mu, spread, n, excess
    shape = np.broadcast_shapes(*map(np.shape, given)) if size is None else tuple(size)
    mu, spread, n, excess = (np.broadcast_to(x, shape).ravel() for x in given)
    n = n.astype(int)
    value = cohorts.individuals(law, mu, spread, n, rng, excess)
    return [x.reshape(shape) for x in cohorts.summarise(value, n)]
