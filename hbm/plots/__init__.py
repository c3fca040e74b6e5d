"""Pictures: each function draws one table on one Axes and returns the Axes."""

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

__all__ = [
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
    "save_figure",
]
