"""Importance sampling of a few numbers whose log density is known up to nothing.

Coordinates are those in which the prior is standard Normal, so that tails are about Normal even
where the data hardly keep a standard deviation away from 0. The proposal is a multivariate t around
the mode, shaped by the curvature there, then by the weighted moments of all points so far, each
round weighed against all proposals so far (Cornuet, Marin, Mira and Robert 2012, as Berild,
Martino, Gómez-Rubio and Rue 2022 do around INLA), with parts of its own where weights stay large
(Raftery and Bao 2010). Weights are Pareto-smoothed (Vehtari, Simpson,
Gelman, Yao and Gabry 2024), and k-hat is their verdict.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaln

from hbm.sampling.direct.mode import LEAST

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

# Of up to so many coordinates: degrees of freedom, and points of a round of adaptation. Of more
# coordinates a t lies farther from a Normal, and moments of as many points are worse known.
_FEW = 8
_DF = 8.0
_ROUND = 250
_MOST_ROUNDS = 6
_GOOD = 0.72  # efficiency at which adaptation ends
_WIDER = 1.6
_LIGHT = 0.35  # k-hat of a mixture that does
_MOST_PARTS = 5


@dataclass(frozen=True, eq=False)
class Proposal:
    """A multivariate t, wider or narrower on either side of its mode along each of its axes.

    Attributes
    ----------
    mode : numpy.ndarray, shape (n,)
        Where it is highest.
    axes : numpy.ndarray, shape (n, n)
        One axis a column.
    below, above : numpy.ndarray, shape (n,)
        Scales on either side.
    df : float
        Degrees of freedom.
    """

    mode: Floats
    axes: Floats
    below: Floats
    above: Floats
    df: float

    def draw(self, n: int, rng: np.random.Generator) -> Floats:
        """Draw n points: (n, number of coordinates)."""
        z = rng.standard_normal((n, len(self.mode)))
        z /= np.sqrt(rng.chisquare(self.df, n) / self.df)[:, None]
        # The side by its share, so that the density is continuous at the mode.
        up = rng.random(z.shape) < self.above / (self.above + self.below)
        z = np.abs(z) * np.where(up, self.above, -self.below)
        return self.mode + z @ self.axes.T

    def logpdf(self, x: Floats) -> Floats:
        """Return the log density at points."""
        n = len(self.mode)
        z = np.linalg.solve(self.axes, (x - self.mode).T).T
        z = z / np.where(z > 0, self.above, self.below)
        norm = gammaln((self.df + n) / 2) - gammaln(self.df / 2) - n / 2 * np.log(self.df * np.pi)
        norm -= np.log((self.above + self.below) / 2).sum() + np.linalg.slogdet(self.axes)[1]
        return norm - (self.df + n) / 2 * np.log1p((z**2).sum(axis=1) / self.df)


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
    log_density: LogDensity, mode: Floats, covariance: Floats, rng: np.random.Generator
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

    Returns
    -------
    Mixture, Weighted
    evaluations : int
        Of the density, in the rounds.
    """
    scale, axes = _axes(1.3 * covariance)
    proposals = [Proposal(mode, axes, scale, scale, 5.0 + _more(len(mode)))]
    n_new = int(_ROUND * max(1.0, len(mode) / _FEW) ** 2)
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
        enough = best > (_GOOD if better else does(len(mode)))
        if (enough and len(proposals) > 2) or len(proposals) == _MOST_ROUNDS:
            break
        proposals.append(_fitted(points))
    # By the points of all rounds: which round was the best is told with much noise.
    chosen = _fitted(points)
    widest = _WIDER * np.maximum(chosen.below, chosen.above)
    wide = Proposal(chosen.mode, chosen.axes, widest, widest, 4.0)
    mixture = Mixture([chosen, wide], np.array([0.88, 0.12]))
    z = mixture.draw(2 * n_new, rng)
    return *strengthen(log_density, mixture, z, log_density(z), _LIGHT, rng), evaluations


def does(n: int) -> float:
    """Return at which efficiency a proposal of n coordinates does."""
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
        near = (np.linalg.solve(main.axes, away.T).T / (main.below + main.above)) ** 2
        nearest = np.argsort(near.sum(axis=1))[: len(z) // 5]
        w = np.exp(points.log_weight[nearest]) + 1 / len(z)
        w /= w.sum()
        scale, axes = _axes(away[nearest].T @ (away[nearest] * w[:, None]))
        part = Proposal(centre, axes, scale, scale, 5.0)
        share = n_new / (len(z) + n_new)
        mixture = Mixture([*mixture.parts, part], np.append(mixture.shares * (1 - share), share))
        new = part.draw(n_new, rng)
        z, value = np.concatenate([z, new]), np.concatenate([value, log_density(new)])
        points = weigh(z, value, mixture.logpdf(z))
    return mixture, points


def _axes(covariance: Floats) -> tuple[Floats, Floats]:
    values, vectors = np.linalg.eigh(covariance)
    return np.sqrt(np.maximum(values, 1e-8)), vectors


def _fitted(points: Weighted) -> Proposal:
    """Return the proposal that has the moments of points on either side of its mode."""
    w = np.exp(points.log_weight)
    mean = w @ points.z
    centred = points.z - mean
    n_effective = 1 / (w**2).sum()
    covariance = centred.T @ (centred * w[:, None])
    scale, axes = _axes(covariance + 1e-6 * np.eye(len(mean)))
    y = centred @ axes / scale
    # A two-piece Normal with this skewness; few points tell little of it.
    skew = (w @ y**3) * n_effective / (n_effective + 30)
    below, above, mode = _two_piece(np.clip(skew, -0.8, 0.8))
    df = _DF + _more(len(mean))
    widened = np.sqrt((df - 2) / df) * 1.08
    return Proposal(
        mean + axes @ (scale * mode), axes, below * scale * widened, above * scale * widened, df
    )


def _more(n: int) -> float:
    """Return by how many degrees of freedom a t of n coordinates is nearer to a Normal."""
    return 2.0 * max(0, n - _FEW)


def _two_piece(skew: Floats) -> tuple[Floats, Floats, Floats]:
    """Return scales below and above the mode, and the mode, of mean 0, variance 1 and a skewness.

    With scales a and b, √(2/π) (b − a) is the mean, (1 − 2/π)(b − a)² + ab the variance, and
    √(2/π) (b − a) ((4/π − 1)(b − a)² + ab) the third central moment.
    """
    c = np.sqrt(2 / np.pi)
    apart = np.linspace(-1.3, 1.3, 2001)  # b − a at variance 1
    product = 1 - (1 - 2 / np.pi) * apart**2
    third = c * apart * ((4 / np.pi - 1) * apart**2 + product)
    d = np.interp(skew, third, apart)
    product = 1 - (1 - 2 / np.pi) * d**2
    above = (d + np.sqrt(d**2 + 4 * product)) / 2
    return above - d, above, -c * d


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
