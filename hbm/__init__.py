"""hbm: hierarchical Bayesian models of grouped results, on PyMC."""

from hbm import article, exams, heights, scores, simulate
from hbm.data import exam_table, load_dataset, load_truth, read_diploma
from hbm.diagnostics import ConvergenceWarning, Diagnosis, diagnose
from hbm.parameterisation import informed
from hbm.sampling import sample, sample_posterior_predictive, sample_prior_predictive
from hbm.shrinkage import estimates

__all__ = [
    "ConvergenceWarning",
    "Diagnosis",
    "article",
    "diagnose",
    "estimates",
    "exam_table",
    "exams",
    "heights",
    "informed",
    "load_dataset",
    "load_truth",
    "read_diploma",
    "sample",
    "sample_posterior_predictive",
    "sample_prior_predictive",
    "scores",
    "simulate",
]
