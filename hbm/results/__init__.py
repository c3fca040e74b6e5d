"""What a fit says: estimates, changes, shrinkage, variances, ranks, limits, predictions."""
