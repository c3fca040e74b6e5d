"""Draws: of the prior, the posterior and of data given them; many tables; diagnosis; storage."""
