"""hbm: hierarchical Bayesian models of grouped results, on PyMC."""

from hbm import article
from hbm.diagnostics import ConvergenceWarning, Diagnosis, diagnose
from hbm.sampling import sample, sample_posterior_predictive, sample_prior_predictive

__all__ = [
    "ConvergenceWarning",
    "Diagnosis",
    "article",
    "diagnose",
    "sample",
    "sample_posterior_predictive",
    "sample_prior_predictive",
]
