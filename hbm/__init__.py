"""hbm: hierarchical Bayesian models of grouped results, on PyMC.

A table becomes a model (:mod:`hbm.heights`, :mod:`hbm.scores`, :mod:`hbm.exams`, and the article's
in :mod:`hbm.article`), a model a fit (:func:`hbm.sample`), and a fit tables and pictures.
"""

from hbm import article, exams, heights, scores, simulate
from hbm.checks.compare import compare
from hbm.checks.leave_out import loo
from hbm.checks.next_cohort import by_band, evaluate
from hbm.checks.pit import loo_pit
from hbm.checks.predictive import check_predictive
from hbm.checks.report import LooPit, PredictiveCheck
from hbm.checks.sensitivity import prior_sensitivity
from hbm.hierarchy.chains import chain, informed_chain
from hbm.hierarchy.parameterisation import informed
from hbm.hierarchy.years import in_year
from hbm.page.write import report
from hbm.plots.checks import plot_check, plot_pit
from hbm.plots.coefficients import plot_coefficients
from hbm.plots.comparison import plot_comparison
from hbm.plots.data import plot_authorities, plot_exam_table, plot_students
from hbm.plots.densities import plot_betas, plot_densities, plot_density, plot_spreads
from hbm.plots.estimates import plot_agreement, plot_caterpillar, plot_estimates
from hbm.plots.funnel import plot_funnel
from hbm.plots.predictive import plot_predictive, plot_predictive_by_group
from hbm.plots.ranks import plot_ranks
from hbm.plots.saving import save_figure
from hbm.plots.shrinkage import plot_nesting, plot_pooling, plot_shrinkage
from hbm.plots.trajectories import plot_changes, plot_trajectories
from hbm.results.changes import changes
from hbm.results.coefficients import coefficients
from hbm.results.estimates import estimates
from hbm.results.funnel import funnel_limits
from hbm.results.prediction import predict
from hbm.results.ranks import pairwise, ranks
from hbm.results.reliability import reliability
from hbm.results.shares import shares
from hbm.results.shrinkage import shrinkage
from hbm.results.variance import variance_shares
from hbm.sampling.diagnostics import ConvergenceWarning, Diagnosis, diagnose
from hbm.sampling.evidence import log_marginal_likelihood
from hbm.sampling.many import Fits, sample_each
from hbm.sampling.posterior import sample
from hbm.sampling.predictive import sample_posterior_predictive, sample_prior_predictive
from hbm.sampling.storage import load, save
from hbm.tables.datasets import load_dataset, load_truth
from hbm.tables.exam_tables import exam_panel, exam_table
from hbm.tables.export import save_table
from hbm.tables.workbook import read_diploma

__all__ = [
    "ConvergenceWarning",
    "Diagnosis",
    "Fits",
    "LooPit",
    "PredictiveCheck",
    "article",
    "by_band",
    "chain",
    "changes",
    "check_predictive",
    "coefficients",
    "compare",
    "diagnose",
    "estimates",
    "evaluate",
    "exam_panel",
    "exam_table",
    "exams",
    "funnel_limits",
    "heights",
    "in_year",
    "informed",
    "informed_chain",
    "load",
    "load_dataset",
    "load_truth",
    "log_marginal_likelihood",
    "loo",
    "loo_pit",
    "pairwise",
    "plot_agreement",
    "plot_authorities",
    "plot_betas",
    "plot_caterpillar",
    "plot_changes",
    "plot_check",
    "plot_coefficients",
    "plot_comparison",
    "plot_densities",
    "plot_density",
    "plot_estimates",
    "plot_exam_table",
    "plot_funnel",
    "plot_nesting",
    "plot_pit",
    "plot_pooling",
    "plot_predictive",
    "plot_predictive_by_group",
    "plot_ranks",
    "plot_shrinkage",
    "plot_spreads",
    "plot_students",
    "plot_trajectories",
    "predict",
    "prior_sensitivity",
    "ranks",
    "read_diploma",
    "reliability",
    "report",
    "sample",
    "sample_each",
    "sample_posterior_predictive",
    "sample_prior_predictive",
    "save",
    "save_figure",
    "save_table",
    "scores",
    "shares",
    "shrinkage",
    "simulate",
    "variance_shares",
]
