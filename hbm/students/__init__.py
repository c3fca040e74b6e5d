"""How individuals vary in a group: their law, its densities, and cohorts simulated from it."""
