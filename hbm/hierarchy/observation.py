"""What a model observes: individuals one by one, or what was published of them."""

import pymc as pm
from pytensor.tensor import TensorLike, TensorVariable

from hbm.hierarchy.description import Description
from hbm.students.observed import observe_individuals, observe_means, observe_summaries, pair

__all__ = ["observe"]


def observe(
    d: Description, mu: TensorVariable, spread: TensorVariable, excess: TensorLike = 0.0
) -> TensorVariable:
    """Add what was seen of each group, or cell, given its mean and spread, to the current model.

    Parameters
    ----------
    d : Description
        What the model is. Its numbers are in the current model.
    mu : TensorVariable, shape (n_groups,)
        Mean of each group.
    spread : TensorVariable, shape (n_groups,) or ()
        Spread of each group, or of all.
    excess : scalar or TensorVariable, default 0
        Design effect less 1. Individuals seen one by one are independent.

    Returns
    -------
    TensorVariable
        The observed variable.
    """
    n = pm.modelcontext(None)[d.size]
    if d.value is not None:
        sums = d.law.sums(d.value, d.index)
        # The number of a group's individuals is there already.
        named = [n, *(pm.Data(f"sum_{i}", x, dims=d.group) for i, x in enumerate(sums[1:], 1))]
        observed = pm.Data(f"{d.observed}_observed", d.value, dims=d.individual)
        index = pm.modelcontext(None)[d.index_name(d.individual)]
        return observe_individuals(
            d.observed, d.law, mu, spread, index, named, observed=observed, dims=d.individual
        )
    mean, sd = d.law.published(d.mean, d.sd, d.n)
    seen = pair(d.law, mean, sd, d.n)
    if d.means_only:
        observed = pm.Data(f"{d.observed}_observed", seen[:, 0], dims=d.cell)
        return observe_means(d.observed, d.law, mu, spread, n, observed, d.cell, excess)
    pm.modelcontext(None).add_coord("statistic", ["mean", "sd"])
    observed = pm.Data(f"{d.observed}_observed", seen, dims=(d.cell, "statistic"))
    return observe_summaries(d.observed, d.law, mu, spread, n, observed, d.cell, excess)
