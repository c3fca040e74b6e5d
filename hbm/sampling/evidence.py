"""How probable a model makes what was seen: the marginal likelihood of a fit."""

from typing import NamedTuple

import xarray as xr

from hbm.hierarchy.carried import posterior_of
from hbm.sampling.diagnostics import is_direct

__all__ = ["MarginalLikelihood", "log_marginal_likelihood"]


class MarginalLikelihood(NamedTuple):
    """The log of a marginal likelihood.

    Attributes
    ----------
    value : float
        In nats.
    error : float
        Its Monte Carlo standard error.
    """

    value: float
    error: float


def log_marginal_likelihood(fit: xr.DataTree) -> MarginalLikelihood:
    """Return the log density of what was seen, whatever the parameters: ∫ p(data | θ) p(θ) dθ.

    The difference between two models of the same data is the log of their Bayes factor. It hangs on
    their priors as no posterior does: with a prior twice as wide of a quantity that only one of
    them has, that one loses log 2, though its estimates stay the same. To compare how models
    predict, which hangs less on priors, use :func:`hbm.compare`.

    Parameters
    ----------
    fit : xarray.DataTree
        Independent draws (``method="direct"`` of :func:`hbm.sample`), which come with it.

    Returns
    -------
    MarginalLikelihood
        ``value`` and ``error``, in nats.

    Raises
    ------
    TypeError
        If `fit` is not a DataTree.
    ValueError
        If the fit was made by a Markov chain, which does not tell it.

    Examples
    --------
    >>> import hbm
    >>> table = hbm.load_dataset("heights")
    >>> each, one = (hbm.sample(model(table), random_seed=1, progressbar=False) for model in
    ...              (hbm.heights.partial_pooling, hbm.heights.complete_pooling))
    >>> value, error = log_marginal_likelihood(each)
    >>> round(value - log_marginal_likelihood(one).value)  # log Bayes factor
    52
    """
    posterior_of(fit)
    if not is_direct(fit):
        raise ValueError(
            "a Markov chain does not tell the marginal likelihood: use "
            'hbm.sample(model, method="direct"), for models that have independent draws'
        )
    told = fit["sample_stats"].attrs
    return MarginalLikelihood(
        float(told["log_marginal_likelihood"]), float(told["log_marginal_likelihood_error"])
    )
