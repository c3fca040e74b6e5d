"""Importance sampling of a few numbers whose log density is known up to nothing.

Coordinates are those in which the prior is standard Normal, so that tails are about Normal even
where the data hardly keep a standard deviation away from 0; or, of coefficients, about their
posterior given all else, so that they hang on nothing else. The proposal is a multivariate t around
the mode, shaped by the curvature there, then by the weighted moments of all points so far, up to
the third, each round weighed against all proposals so far (Cornuet, Marin, Mira and Robert 2012, as
Berild, Martino, Gómez-Rubio and Rue 2022 do around INLA), with parts of its own where weights stay
large (Raftery and Bao 2010). Weights are Pareto-smoothed (Vehtari, Simpson, Gelman, Yao and Gabry
2024), and k-hat is their verdict.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import solve_triangular
from scipy.special import gammaln

from hbm.sampling.direct.mode import LEAST
from hbm.sampling.direct.skew import Skew

__all__ = [
    "Mixture",
    "Proposal",
    "Weighted",
    "adapt",
    "does",
    "smooth",
    "strengthen",
    "weigh",
]

Floats = NDArray[np.float64]
LogDensity = Callable[[Floats], Floats]

_FEW = 8  # coordinates whose moments a round of adaptation tells
_ROUND = 250
_DF = 12.0
_WIDENED = 1.06  # of what hangs on each other
_WIDENED_REST = 1.03
_SHARE_OF_WIDE = 0.08
_MOST_ROUNDS = 6
_GOOD = 0.72  # efficiency at which adaptation ends
_WIDER = 1.6
_LIGHT = 0.35  # k-hat of a mixture that does
_MOST_PARTS = 5


@dataclass(frozen=True, eq=False)
class Proposal:
    """Coordinates that are a multivariate t once made symmetric, and others that are Normal.

    Attributes
    ----------
    mean, sd : numpy.ndarray, shape (n,)
        Of each coordinate.
    skew : Skew
        Of the first n_joint coordinates.
    centre, root : numpy.ndarray, shape (n_joint,) and (n_joint, n_joint)
        Where these, made symmetric, are centred, and their lower triangular scale. The others
        hang on nothing.
    df : float
        Degrees of freedom.
    """

    mean: Floats
    sd: Floats
    skew: Skew
    centre: Floats
    root: Floats
    df: float

    def draw(self, n: int, rng: np.random.Generator) -> Floats:
        """Draw n points: (n, number of coordinates)."""
        z, n_joint = rng.standard_normal((n, len(self.mean))), len(self.centre)
        t = z[:, :n_joint] / np.sqrt(rng.chisquare(self.df, n) / self.df)[:, None]
        z[:, :n_joint] = self.skew.skewed(self.centre + t @ self.root.T)
        return self.mean + z * self.sd

    def standard(self, x: Floats) -> Floats:
        """Return points in coordinates in which the proposal is round, with a centre of 0."""
        return self._standard((x - self.mean) / self.sd)

    def _standard(self, z: Floats) -> Floats:
        """Return these coordinates of points that are less the mean, over the sd."""
        n_joint = len(self.centre)
        away = self.skew.symmetric(z[:, :n_joint]) - self.centre
        return np.hstack([solve_triangular(self.root, away.T, lower=True).T, z[:, n_joint:]])

    def logpdf(self, x: Floats) -> Floats:
        """Return the log density at points."""
        of_sd, df, n = (x - self.mean) / self.sd, self.df, len(self.centre)
        z = self._standard(of_sd)
        squares = (z[:, :n] ** 2).sum(axis=1)
        norm = gammaln((df + n) / 2) - gammaln(df / 2) - n / 2 * np.log(df * np.pi)
        norm -= np.log(self.sd).sum() + np.log(np.diag(self.root)).sum()
        steep = self.skew.log_slope(of_sd[:, :n]).sum(axis=1)
        rest = (z[:, n:] ** 2 + np.log(2 * np.pi)).sum(axis=1) / 2
        return norm + steep - rest - (df + n) / 2 * np.log1p(squares / df)


@dataclass(frozen=True, eq=False)
class Mixture:
    """Proposals, each for a share of the points.

    Attributes
    ----------
    parts : list of Proposal
        The proposals.
    shares : numpy.ndarray, shape (n_parts,)
        Their shares, which add to 1.
    """

    parts: list[Proposal]
    shares: Floats

    def draw(self, n: int, rng: np.random.Generator) -> Floats:
        """Draw n points: (n, number of coordinates)."""
        counts = rng.multinomial(n, self.shares)
        drawn = [part.draw(k, rng) for part, k in zip(self.parts, counts, strict=True)]
        return np.concatenate(drawn)

    def logpdf(self, x: Floats) -> Floats:
        """Return the log density at points."""
        of_parts = np.stack([part.logpdf(x) for part in self.parts])
        return np.logaddexp.reduce(of_parts + np.log(self.shares)[:, None], axis=0)


@dataclass(frozen=True, eq=False)
class Weighted:
    """Points with weights.

    Attributes
    ----------
    z : numpy.ndarray, shape (n, number of coordinates)
        The points.
    log_density : numpy.ndarray, shape (n,)
        Log density there.
    log_weight : numpy.ndarray, shape (n,)
        Smoothed and normalised.
    k : float
        k-hat.
    log_integral, error : float
        Log of the integral of the density, with its Monte Carlo error.
    """

    z: Floats
    log_density: Floats
    log_weight: Floats
    k: float
    log_integral: float
    error: float

    @property
    def efficiency(self) -> float:
        """Return 1/Σw² over the number of points."""
        return float(1 / np.exp(2 * self.log_weight).sum() / len(self.log_weight))


def adapt(
    log_density: LogDensity,
    mode: Floats,
    covariance: Floats,
    rng: np.random.Generator,
    n_joint: int | None = None,
) -> tuple[Mixture, Weighted, int]:
    """Fit a proposal to a density, in rounds, and return it with points of its own.

    Parameters
    ----------
    log_density : callable
        Of points (n, number of coordinates).
    mode, covariance : numpy.ndarray
        From :func:`hbm.sampling.direct.mode.find_mode`.
    rng : numpy.random.Generator
        Source of random numbers.
    n_joint : int, optional
        How many coordinates, the first ones, hang on each other; the others hang on nothing. All by
        default.

    Returns
    -------
    Mixture, Weighted
    evaluations : int
        Of the density, in the rounds.
    """
    n_joint = len(mode) if n_joint is None else n_joint
    proposals = [_round(mode, 1.3 * covariance, 5.0, n_joint)]
    n_new = int(_ROUND * max(1.0, n_joint / _FEW) ** 2)
    z, value = np.empty((0, len(mode))), np.empty(0)
    best, evaluations = -1.0, 0
    while True:
        new = proposals[-1].draw(n_new, rng)
        z, value = np.concatenate([z, new]), np.concatenate([value, log_density(new)])
        own = weigh(new, value[-n_new:], proposals[-1].logpdf(new))
        of_all = Mixture(proposals, np.full(len(proposals), 1 / len(proposals)))
        points = weigh(z, value, of_all.logpdf(z))
        evaluations += n_new
        better, best = own.efficiency > best, max(own.efficiency, best)
        enough = best > (_GOOD if better else does(n_joint))
        if (enough and len(proposals) > 2) or len(proposals) == _MOST_ROUNDS:
            break
        proposals.append(_fitted(points, n_joint))
    # By the points of all rounds: which round was the best is told with much noise.
    chosen = _fitted(points, n_joint)
    wide = replace(chosen, root=_WIDER * chosen.root, df=4.0)
    mixture = Mixture([chosen, wide], np.array([1 - _SHARE_OF_WIDE, _SHARE_OF_WIDE]))
    z = mixture.draw(2 * n_new, rng)
    return *strengthen(log_density, mixture, z, log_density(z), _LIGHT, rng), evaluations


def does(n: int) -> float:
    """Return at which efficiency a proposal of n coordinates that hang on each other does."""
    return _GOOD * min(1.0, np.sqrt(_FEW / n))


def strengthen(
    log_density: LogDensity,
    mixture: Mixture,
    z: Floats,
    value: Floats,
    k: float,
    rng: np.random.Generator,
) -> tuple[Mixture, Weighted]:
    """Add parts to a mixture around the points that too few others stand for, until k-hat is low.

    That is the incremental mixture of Raftery and Bao (2010).

    Parameters
    ----------
    log_density : callable
        Of points (n, number of coordinates).
    mixture : Mixture
        What the points were drawn from.
    z, value : numpy.ndarray
        Points, and the log density there.
    k : float
        At which k-hat to end; at the latest after a few parts.
    rng : numpy.random.Generator
        Source of random numbers.

    Returns
    -------
    Mixture, Weighted
        With the points of the new parts.
    """
    n_new = len(z) // 5
    points = weigh(z, value, mixture.logpdf(z))
    for _ in range(_MOST_PARTS):
        if points.k <= k:
            break
        centre = z[points.log_weight.argmax()]
        away, main = z - centre, mixture.parts[0]
        near = (main.standard(z) - main.standard(centre[None])) ** 2
        nearest = np.argsort(near.sum(axis=1))[: len(z) // 5]
        w = np.exp(points.log_weight[nearest]) + 1 / len(z)
        w /= w.sum()
        part = _round(centre, away[nearest].T @ (away[nearest] * w[:, None]), 5.0)
        share = n_new / (len(z) + n_new)
        mixture = Mixture([*mixture.parts, part], np.append(mixture.shares * (1 - share), share))
        new = part.draw(n_new, rng)
        z, value = np.concatenate([z, new]), np.concatenate([value, log_density(new)])
        points = weigh(z, value, mixture.logpdf(z))
    return mixture, points


def _root(covariance: Floats) -> Floats:
    """Return a lower triangular root of a covariance, of what may be none by rounding."""
    values, vectors = np.linalg.eigh(covariance)
    root = vectors * np.sqrt(np.maximum(values, 1e-8))
    # Q R = rootᵀ, so that Rᵀ R is the covariance.
    lower = np.linalg.qr(root.T, mode="r").T
    return lower * np.sign(np.diag(lower))


def _round(mean: Floats, covariance: Floats, df: float, n_joint: int | None = None) -> Proposal:
    """Return the proposal with a mean and a covariance, without skewness."""
    n_joint = len(mean) if n_joint is None else n_joint
    sd = np.ones(len(mean))
    sd[n_joint:] = np.sqrt(np.diag(covariance)[n_joint:])
    none = np.zeros(n_joint)
    return Proposal(mean, sd, Skew.of(none), none, _root(covariance[:n_joint, :n_joint]), df)


def _fitted(points: Weighted, n_joint: int) -> Proposal:
    """Return the proposal that has the moments of points."""
    w = np.exp(points.log_weight)
    n_effective = 1 / (w**2).sum()
    mean = w @ points.z
    sd = np.sqrt(np.maximum(w @ (points.z - mean) ** 2, 1e-8))
    z = ((points.z - mean) / sd)[:, :n_joint]
    # Few points tell little of skewness.
    skew = Skew.of((w @ z**3) * n_effective / (n_effective + 30))
    z = skew.symmetric(z)
    centre = w @ z
    root = _root((z - centre).T @ ((z - centre) * w[:, None]))
    sd[n_joint:] *= _WIDENED_REST
    return Proposal(mean, sd, skew, centre, root * np.sqrt((_DF - 2) / _DF) * _WIDENED, _DF)


def weigh(z: Floats, log_density: Floats, log_proposal: Floats) -> Weighted:
    """Weigh points of a proposal.

    Parameters
    ----------
    z : numpy.ndarray, shape (n, number of coordinates)
        The points.
    log_density, log_proposal : numpy.ndarray, shape (n,)
        Of the density wanted, and of that drawn from.

    Returns
    -------
    Weighted
    """
    ratio = np.maximum(log_density, LEAST) - log_proposal
    top = ratio.max()
    w = np.exp(ratio - top)
    log_integral = top + np.log(w.mean())
    error = w.std() / w.mean() / np.sqrt(len(w))
    smoothed, k = smooth(ratio)
    return Weighted(z, log_density, smoothed, k, float(log_integral), float(error))


def smooth(log_ratio: Floats) -> tuple[Floats, float]:
    """Return normalised log weights whose largest are those of a Pareto law, and its k.

    Parameters
    ----------
    log_ratio : numpy.ndarray, shape (n,)
        Logs of the ratios of densities.

    Returns
    -------
    log_weight : numpy.ndarray, shape (n,)
    k : float
        Shape of the law; −inf if the ratios are all the same.

    Examples
    --------
    >>> rng = np.random.default_rng(1)
    >>> z = rng.standard_normal(4000)
    >>> smooth(-(z**2) / 2 * (1 / 0.7**2 - 1))[1] < 0.1  # a Normal by a wider one
    True
    """
    from arviz_stats.base import array_stats

    n_tail = int(np.ceil(min(len(log_ratio) / 5, 3 * np.sqrt(len(log_ratio)))))
    tail = np.exp(np.sort(log_ratio)[-n_tail:] - log_ratio.max())
    if n_tail < 5 or np.ptp(tail) < 1e-10:
        return log_ratio - np.logaddexp.reduce(log_ratio), -np.inf
    log_weight, k = array_stats.psislw(-log_ratio)
    # None comes of a tail of which most is nothing.
    return log_weight, float(k) if np.isfinite(k) else np.inf
