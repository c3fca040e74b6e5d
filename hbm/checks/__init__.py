"""Whether to believe it: predictive checks, units left out, comparison, the next cohort, priors."""
