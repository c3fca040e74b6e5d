"""hbm: hierarchical Bayesian models of grouped results, on PyMC.

A table becomes a model (:mod:`hbm.heights`, :mod:`hbm.scores`, :mod:`hbm.exams`, and the article's
in :mod:`hbm.article`), a model a fit (:func:`hbm.sample`), and a fit tables and pictures.
"""

from hbm import article, exams, heights, scores, simulate
from hbm.comparison import by_band, compare, evaluate, loo
from hbm.data import exam_table, load_dataset, load_truth, read_diploma
from hbm.diagnostics import ConvergenceWarning, Diagnosis, diagnose
from hbm.export import save_table
from hbm.parameterisation import informed
from hbm.plots import (
    plot_agreement,
    plot_authorities,
    plot_betas,
    plot_caterpillar,
    plot_densities,
    plot_density,
    plot_estimates,
    plot_exam_table,
    plot_predictive,
    plot_students,
    save_figure,
)
from hbm.prediction import predict
from hbm.ranks import pairwise, ranks
from hbm.sampling import sample, sample_posterior_predictive, sample_prior_predictive
from hbm.shrinkage import estimates, shrinkage, variance_shares

__all__ = [
    "ConvergenceWarning",
    "Diagnosis",
    "article",
    "by_band",
    "compare",
    "diagnose",
    "estimates",
    "evaluate",
    "exam_table",
    "exams",
    "heights",
    "informed",
    "load_dataset",
    "load_truth",
    "loo",
    "pairwise",
    "plot_agreement",
    "plot_authorities",
    "plot_betas",
    "plot_caterpillar",
    "plot_densities",
    "plot_density",
    "plot_estimates",
    "plot_exam_table",
    "plot_predictive",
    "plot_students",
    "predict",
    "ranks",
    "read_diploma",
    "sample",
    "sample_posterior_predictive",
    "sample_prior_predictive",
    "save_figure",
    "save_table",
    "scores",
    "shrinkage",
    "simulate",
    "variance_shares",
]
