"""Where the integrands of all groups lie, and how narrow they are.

For five values of one effect, the other is followed to where the likelihood times an envelope of
all priors (:class:`Box`) has fallen by so many nats.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hbm.sampling.direct.problem import Problem

__all__ = ["Box", "Support", "variances"]

Floats = NDArray[np.float64]

_ROWS = np.array([-2.5, -1.2, 0.0, 1.2, 2.5])
_SCAN = 17
_FARTHEST = 21.0
_WIDEST = 1e4  # variance of what says nothing of an effect
_VALUES = 9  # of log nu at which to know how much a mean says
# From the middle of where an sd lies to its end, and the nats that each loses: as of a Normal.
_AWAY = np.array([0.0, 0.25, 0.5, 0.75, 1.0])
_LOST = 5.6**2 / 2 * _AWAY**2


@dataclass(frozen=True, eq=False)
class Box:
    """The θ that tables are made for, and where the effects above the groups lie.

    Attributes
    ----------
    low, high : numpy.ndarray, shape (n_levels + 3,)
        Least and greatest θ, but for coefficients of predictors. Taus may be lower than their
        `low`, which only says where points of grids should not be farther apart.
    m_low, m_high : numpy.ndarray, shape (n_groups,)
        Where the groups' parents lie, each moved by what predictors say of the group.
    nu_low, nu_high : numpy.ndarray, shape (n_groups,)
        Where the middles of their log nu lie, moved likewise.
    """

    low: Floats
    high: Floats
    m_low: Floats
    m_high: Floats
    nu_low: Floats
    nu_high: Floats

    def nearest(self, thetas: Floats) -> Floats:
        """Return the nearest θ inside."""
        least = self.low.copy()
        k = len(least) - 3
        least[:k] = least[k + 1] = 0
        inside = thetas.copy()
        inside[:, : k + 3] = np.clip(thetas[:, : k + 3], least, self.high)
        return inside


class Support:
    """Where the integrands of all groups lie, for one excess.

    Attributes
    ----------
    eta, x : tuple of numpy.ndarray, shape (n_groups,)
        Lowest and highest effect, and log nu.
    eta_width, x_width : numpy.ndarray, shape (n_groups,)
        Standard deviation of the narrowest integrand.
    anchor : numpy.ndarray, shape (n_groups,)
        Where the narrowest is highest.
    estimate, variance : numpy.ndarray, shape (n_groups,)
        What the likelihood says of eta, seen as a Normal near the priors.
    x_estimate, x_precision : numpy.ndarray, shape (n_groups,)
        The same of log nu.

    The mean of a group whose log nu nothing was seen of may say much or little: all that log nu can
    be is followed.
    """

    def __init__(self, problem: Problem, box: Box, excess: float, depth: float) -> None:
        d, k = problem.d, problem.n_levels
        n_groups = len(d.n)
        raw = problem.raw
        tau, tau_nu = box.high[k - 1], box.high[k + 1]
        nu_low, nu_high = box.nu_low, box.nu_high
        x_at, x_sd = _joined(
            raw.log_spread,
            raw.log_spread_se,
            (nu_low + nu_high) / 2,
            (nu_high - nu_low) / 4 + tau_nu,
        )
        wider = np.sqrt(1 + excess)
        m_sd = (box.m_high - box.m_low) / 4 + tau
        eta_at, eta_sd = _joined(
            raw.effect, raw.effect_se * wider, (box.m_low + box.m_high) / 2, m_sd
        )

        def follow(log_f, at, sd, rows):
            rows = np.broadcast_to(rows, (n_groups, len(_ROWS)))
            at, sd = (np.repeat(a, len(_ROWS)) for a in (at, sd))
            found = _support(log_f, rows.ravel(), at - 8 * sd, at + 8 * sd, depth)
            return [a.reshape(n_groups, len(_ROWS)) for a in found]

        def of_x(i, x, eta):
            return problem.log_lik(i, eta, x, excess)

        def of_x_joint(i, x, eta):
            return of_x(i, x, eta) + _envelope_of_both(x, nu_low[i], nu_high[i], tau_nu)

        def of_eta(i, eta, x):
            return problem.log_lik(i, eta, x, excess)

        def of_eta_joint(i, eta, x):
            return of_eta(i, eta, x) + _envelope(eta, box.m_low[i], box.m_high[i], tau)

        eta_rows = eta_at[:, None] + _ROWS * eta_sd[:, None]
        low, at, high, width = follow(of_x_joint, x_at, x_sd, eta_rows)
        self.x, self.x_width = (low.min(axis=1), high.max(axis=1)), width.min(axis=1)
        i = np.arange(n_groups)
        untold = problem.untold
        middle = np.where(untold, (nu_low + nu_high) / 2, at[:, 2])
        self.x_estimate, variance = _normal(lambda x: of_x(i, x, eta_at), middle, width[:, 2])
        told = (variance < _WIDEST) & ~untold
        self.x_precision = np.where(told, 1 / variance, 0.0)
        x_rows = np.where(
            untold[:, None],
            self.x[0][:, None] + (self.x[1] - self.x[0])[:, None] * np.linspace(0, 1, len(_ROWS)),
            middle[:, None] + _ROWS * width[:, 2:3],
        )
        low, at, high, width = follow(of_eta_joint, eta_at, eta_sd, x_rows)
        self.eta, self.eta_width = (low.min(axis=1), high.max(axis=1)), width.min(axis=1)
        highest = x_rows[:, -1]
        self.anchor = _normal(lambda eta: of_eta(i, eta, highest), at[:, -1], width[:, -1])[0]
        at, width = (np.where(untold, a[:, 3], a[:, 2]) for a in (at, width))
        self.estimate, self.variance = _normal(lambda eta: of_eta(i, eta, middle), at, width)


def variances(problem: Problem, box: Box, seen: Support) -> tuple[Floats, float, float]:
    """Return what each group's estimate varies by, at a few values of log nu from one on.

    That matters where log nu is not told: a variance is scaled as that of a mean.
    """
    d = problem.d
    low, high = box.nu_low.min(), box.nu_high.max()
    if not problem.untold.any() or high - low < 1e-9:
        return seen.variance[:, None], low, 1.0
    at = np.linspace(low, high, _VALUES)
    mu = d.law.mean_of(seen.estimate)[:, None]
    of_mean = d.law.mean_variance(d.n[:, None], mu, np.exp(at))
    middle = d.law.mean_variance(d.n, mu[:, 0], np.exp((box.nu_low + box.nu_high) / 2))
    scaled = seen.variance[:, None] * of_mean / middle[:, None]
    whole = np.where(problem.untold[:, None], scaled, seen.variance[:, None])
    return np.ascontiguousarray(whole), low, at[1] - at[0]


def _joined(estimate, se, mean, sd):
    """Return mean and sd of the product of two Normals."""
    known = 1 / se**2
    precision = known + 1 / sd**2
    return mean + (estimate - mean) * known / precision, 1 / np.sqrt(precision)


def _envelope(x, low, high, sd):
    """Return a log density as wide as any prior's, flat between their means."""
    low, high = (
        np.expand_dims(a, -1) if np.ndim(a) and np.ndim(a) < x.ndim else a for a in (low, high)
    )
    outside = np.maximum(np.maximum(low - x, x - high), 0)
    return -((outside / sd) ** 2) / 2


def _envelope_of_both(x, low, high, sd):
    """Return the same where few of both ends go together: where the mean is far out, or the sd."""
    middle, half = (low + high) / 2, (high - low) / 2
    found = np.full(np.shape(x), -np.inf)
    for mean_away, mean_lost in zip(_AWAY[::2], _LOST[::2], strict=True):
        reach = half * (1 + mean_away) / 2
        for sd_away, sd_lost in zip(_AWAY, _LOST, strict=True):
            of_these = _envelope(x, middle - reach, middle + reach, sd * (1 + sd_away) / 2)
            found = np.maximum(found, of_these - mean_lost - sd_lost)
    return found


def _support(log_f, given, low, high, depth):
    """Follow each row's log_f from its maximum to where it has fallen by `depth`.

    Returns the lowest and highest point, that of the maximum, and the width there.
    """
    n = len(given)
    result = np.empty((4, n))
    todo = np.arange(n)
    low, high = np.maximum(low, -_FARTHEST), np.minimum(high, _FARTHEST)
    for _ in range(14):
        x = np.linspace(low[todo], high[todo], _SCAN, axis=-1)
        y = log_f((todo // len(_ROWS))[:, None], x, given[todo, None])
        best = y.argmax(axis=1)
        top = y[np.arange(len(todo)), best]
        above = y >= top[:, None] - depth
        first = above.argmax(axis=1)
        last = _SCAN - 1 - above[:, ::-1].argmax(axis=1)
        step = (high - low)[todo] / (_SCAN - 1)
        at_low, at_high = low[todo] <= -_FARTHEST, high[todo] >= _FARTHEST
        fine = (last - first >= 5) & ((first > 0) | at_low) & ((last < _SCAN - 1) | at_high)
        # One point more on either side, or half the range where it goes on beyond.
        lower = low[todo] + step * np.where(first == 0, -_SCAN / 2, first - 1)
        upper = low[todo] + step * np.where(last == _SCAN - 1, 1.5 * _SCAN, last + 1)
        lower, upper = np.maximum(lower, -_FARTHEST), np.minimum(upper, _FARTHEST)
        j = np.clip(best, 1, _SCAN - 2)
        rows = np.arange(len(todo))
        bend = -(y[rows, j - 1] - 2 * y[rows, j] + y[rows, j + 1]) / step**2
        wide = (upper - lower) / np.sqrt(8 * depth)
        with np.errstate(divide="ignore", invalid="ignore"):
            width = np.where(bend > 0, np.minimum(wide, 1 / np.sqrt(bend)), wide)
        result[:, todo] = lower, x[rows, best], upper, width
        low[todo], high[todo] = lower, upper
        todo = todo[~fine]
        if not len(todo):
            break
    return result


def _normal(log_f, at, width):
    """Return mean and variance of the Normal that a log density is like around a point."""
    below, here, above = (log_f(at + step * width) for step in (-0.5, 0.0, 0.5))
    slope, bend = (above - below) / width, -4 * (above - 2 * here + below) / width**2
    precision = np.maximum(bend, 1e-3 / width**2)
    variance = np.minimum(1 / precision, _WIDEST)
    return at + np.clip(slope * variance, -30 * width, 30 * width), variance
