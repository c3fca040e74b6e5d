"""What to do about draws that fail a check of :func:`hbm.diagnose`, by check."""

__all__ = [
    "ADVICE",
    "ALMOST",
    "DESIGN_EFFECT",
    "DESIGN_EFFECT_OF_YEARS",
    "OF_INDEPENDENT_DRAWS",
]

ADVICE = {
    "R-hat": "the chains disagree: draw more (draws=, tune=); if that does not help, use "
    'parameterisation="informed" or a tighter prior on the quantity named',
    "bulk ESS": "too few effective draws for means and sds: draw more (draws=), or use "
    'parameterisation="informed"',
    "tail ESS": "too few effective draws for interval ends: draw more (draws=), or use "
    'parameterisation="informed"',
    "finite": "draws that are NaN or infinite: {}; look for a logarithm or root of what may be "
    "negative, a division by what may be 0, or an overflow, and keep the quantity in bounds or "
    "leave it out of the model",
    "divergences": "the sampler met geometry it cannot follow, and estimates may be biased: use "
    'parameterisation="informed", then target_accept=0.95 or more, then a tighter prior on the '
    "between-group sds",
    "tree depth": "the sampler stopped before its paths turned round, so draws are dear rather "
    "than wrong: tune longer (tune=), or tighten priors that leave a quantity all but free",
    "E-BFMI": "the energies are explored too slowly, as with heavy tails: tune longer (tune=), or "
    "use a tighter prior on the between-group sds",
}
OF_INDEPENDENT_DRAWS = {
    "Pareto k": "a few points have most of the weight, and estimates may be off: "
    'use hbm.sample(..., method="nuts"), or a tighter prior on the between-group sds',
    "grid error": "the grids that effects are summed out on are too coarse for this table: "
    'use hbm.sample(..., method="nuts")',
    "beyond grids": "the grids that effects are summed out on end before what is shared by all "
    'groups does, and no draw is from beyond: use hbm.sample(..., method="nuts")',
    "effective draws": "too few points count for as many draws as were asked for: draw more "
    '(draws=), or use hbm.sample(..., method="nuts")',
}
ALMOST = (
    "Pareto k: between 0.5 and 0.7, means and standard deviations can be used, but their Monte "
    "Carlo errors are larger than the number of draws tells: draw more (draws=), or use "
    'hbm.sample(..., method="nuts")'
)
DESIGN_EFFECT = (
    "design_effect: a table of one year, above all of few {groups}, tells little of it: draw more, "
    "or give it as a number, such as what other years say or 1 for independent {individuals}"
)
DESIGN_EFFECT_OF_YEARS = (
    "design_effect: few years, or few {groups} with results in several of them, tell little of it: "
    "draw more, or give it as a number, such as 1 for independent {individuals}"
)
