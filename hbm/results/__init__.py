"""What a fit says: estimates, shrinkage, variances, ranks, control limits, predictions."""
