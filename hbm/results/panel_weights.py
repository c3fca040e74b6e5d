"""What a group's estimate of one year leans on in a panel: its raw mean, and its other years'.

Given what is above it, a group's effects over the years are Normal around it with the covariance
B = τ² ρ^|t − u|, and raw means of cells have information J, 0 where there are no results. The gain
of the effects is then G = B (1 + J B)⁻¹ J, and the weights of a generalised least squares estimate
of what is above are h = (1 + J B)⁻¹ J 1. Nothing is divided by τ², J or 1 − ρ², which may all be 0.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from hbm.hierarchy.fitted import Fitted

__all__ = ["Leaning", "over_years"]

Floats = NDArray[np.float64]


class Leaning(NamedTuple):
    """What estimates of groups lean on: by draw and group.

    Attributes
    ----------
    raw : numpy.ndarray
        Raw mean, as it counts for what the group stands in.
    variance : numpy.ndarray
        Variance of the raw mean of a group that is what it is.
    pooling : numpy.ndarray
        Weight of the target in the estimate.
    precision : numpy.ndarray
        What the group's raw means say of what it stands in.
    own : numpy.ndarray
        Weight of this year's raw mean in the estimate, given the target.
    own_above : numpy.ndarray
        This year's part of `precision`.
    from_others : numpy.ndarray
        By how much raw means of other years move the estimate away from that of this year.
    """

    raw: Floats
    variance: Floats
    pooling: Floats
    precision: Floats
    own: Floats
    own_above: Floats
    from_others: Floats


def over_years(f: Fitted, at: int, rows: NDArray[np.int64]) -> Leaning:
    """Return what estimates of one year of a panel lean on.

    Parameters
    ----------
    f : Fitted
        A whole panel.
    at : int
        Position of the year.
    rows : numpy.ndarray of int
        Draws to take.

    Returns
    -------
    Leaning
        Raw means of other years are brought to the level of this one, and to what is known of the
        group in this one. Of groups without results in this year, variance and own weights are 0.

    Examples
    --------
    >>> import hbm
    >>> from hbm.hierarchy.fitted import read_panel
    >>> table, _ = hbm.simulate.exam_panel([2, 1], [12, 150, 40], random_seed=1)
    >>> prior = hbm.sample_prior_predictive(hbm.exams.panel(table), 10, random_seed=1)
    >>> fitted = read_panel(prior.assign(posterior=prior["prior"]))
    >>> weights = over_years(fitted, 4, np.arange(10))
    >>> weights.pooling.shape, bool((weights.own + weights.pooling <= 1).all())
    ((10, 3), True)
    """
    d, law, cells = f.d, f.d.law, f.d.cells
    effect = f.effect(d.group)[rows][:, cells.group, cells.year]
    mu, spread = law.mean_of(effect), f.spread[rows]
    excess = np.broadcast_to(f.excess, f.n_draws)[rows, None]
    of_year = f.draws(f"effect_{cells.name}")[rows]
    known = f.moved_in_years(np.arange(len(d.levels[-1].labels)))
    known = known[rows % len(known)]
    differ = known[:, cells.group, at] - known[:, cells.group, cells.year]
    here = law.mean_of(effect + of_year[:, [at]] - of_year[:, cells.year] + differ)
    raw = d.mean + here - mu

    def by_group(values: Floats) -> Floats:
        whole = np.zeros((len(rows), len(d.levels[-1].labels), len(cells.years)))
        whole[:, cells.group, cells.year] = values
        return whole

    information = by_group(law.information(d.n, mu, spread, excess))
    lag = np.abs(np.subtract.outer(cells.years, cells.years))
    tau2 = np.broadcast_to(f.tau(d.group), f.n_draws)[rows, None, None] ** 2
    covariance = tau2 * f.draws("persistence")[rows, None, None] ** lag
    unit = np.eye(len(lag))
    inverse = np.linalg.inv(unit + information[..., None] * covariance[:, None])
    gain = (covariance[:, None, [at]] @ inverse)[:, :, 0] * information
    above = (inverse @ information[..., None])[..., 0]
    precision, each = above.sum(axis=2), by_group(raw)
    return Leaning(
        raw=(above * each).sum(axis=2) / precision,
        variance=by_group(law.mean_variance(d.n, mu, spread, excess))[:, :, at],
        pooling=1 - gain.sum(axis=2),
        precision=precision,
        own=gain[:, :, at],
        own_above=above[:, :, at] / precision,
        from_others=(gain * (each - each[:, :, [at]])).sum(axis=2),
    )
