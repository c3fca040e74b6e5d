"""Inputs of sampling and of all that uses a fit: what is wrong is said before any work is done."""

from numbers import Real

import numpy as np

__all__ = [
    "LEAST_DRAWS",
    "check_acceptance",
    "check_lengths",
    "check_seed",
    "check_whole_number",
]

LEAST_DRAWS = 4  # of a chain, for R-hat to exist


def check_lengths(draws: int, tune: int | None, chains: int) -> None:
    """Raise unless chains of these numbers of draws can be made and checked."""
    check_whole_number("draws", draws, LEAST_DRAWS)
    check_whole_number("chains", chains, 1)
    check_whole_number("tune", tune, 0)


def check_acceptance(target_accept: float | None) -> None:
    """Raise unless a mean acceptance can be aimed at."""
    if target_accept is None:
        return
    if isinstance(target_accept, bool) or not isinstance(target_accept, Real):
        raise TypeError(f"target_accept must be a number, got {target_accept!r}")
    if not 0 < target_accept < 1:
        raise ValueError(f"target_accept must lie between 0 and 1, got {target_accept}")


def check_seed(random_seed: int | np.random.Generator | None) -> None:
    """Raise if a seed is one that is refused, or rounded without a word, further on."""
    if isinstance(random_seed, bool | str | float | np.bool | np.floating):
        raise TypeError(f"random_seed must be a whole number, got {random_seed!r}")
    if isinstance(random_seed, int | np.integer) and random_seed < 0:
        raise ValueError(f"random_seed must be at least 0, got {random_seed}")


def check_whole_number(name: str, value: int | None, least: int) -> None:
    """Raise unless a number is whole and large enough; tune and cores may be left open."""
    if value is None and name in ("tune", "cores"):
        return
    if isinstance(value, bool | np.bool) or not isinstance(value, int | np.integer):
        raise TypeError(f"{name} must be a whole number, got {value!r}")
    if value < least:
        raise ValueError(f"{name} must be at least {least}, got {value}")
