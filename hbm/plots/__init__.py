"""Pictures: each function draws one table on one Axes and returns the Axes.

Without ``ax=`` a function makes its own figure, 8 inches wide, so that it reads well at the
800 pixels of a README. Colours are those of Okabe and Ito (2008), which people with any of the
common colour-vision deficiencies can tell apart; where there are more groups than colours, the
largest groups keep a colour and the others are grey, or position alone tells them apart. Long names
are shortened such that different ones stay different. Nothing here reads or changes Matplotlib's
global settings: a picture is dark on white in any style, and Axes on a dark figure make its
background white. Matplotlib is imported only when a picture is drawn.

``unit=`` says what the numbers are: ``"%"`` for proportions in (0, 1), which are drawn on an
axis of percentages, or a unit such as ``"cm"``, which is added to the axis label. Tables of this
package say in their ``attrs`` whether they hold proportions and which probability their intervals
hold; a merge or a file loses that, and then ``unit=`` and ``prob=`` say it.
"""

from hbm.plots.checks import plot_check, plot_pit
from hbm.plots.comparison import plot_comparison
from hbm.plots.data import plot_authorities, plot_exam_table, plot_students
from hbm.plots.densities import plot_betas, plot_densities, plot_density, plot_spreads
from hbm.plots.estimates import plot_agreement, plot_caterpillar, plot_estimates
from hbm.plots.funnel import plot_funnel
from hbm.plots.predictive import plot_predictive, plot_predictive_by_group
from hbm.plots.ranks import plot_ranks
from hbm.plots.saving import save_figure
from hbm.plots.shrinkage import plot_nesting, plot_pooling, plot_shrinkage

__all__ = [
    "plot_agreement",
    "plot_authorities",
    "plot_betas",
    "plot_caterpillar",
    "plot_check",
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
    "save_figure",
]
