"""Independent draws: the hierarchy integrated and drawn from on grids."""
