"""Skewed coordinates, made symmetric.

A number x of mean 0 and variance 1 is taken to be as sinh(asinh(u) + e) is of a standard Normal u,
less its mean, over its sd: the sinh-arcsinh law of Jones and Pewsey (2009), both of whose tails are
Normal, one of them wider. Moments are taken by quadrature.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Skew"]

Floats = NDArray[np.float64]

_MOST = 1.0
_U, _SHARES = np.polynomial.hermite_e.hermegauss(99)
_SHARES /= _SHARES.sum()


def _moved(u: Floats, e: Floats) -> Floats:
    """Return sinh(asinh(u) + e)."""
    return u * np.cosh(e) + np.sqrt(1 + u**2) * np.sinh(e)


def _moments(e: Floats) -> tuple[Floats, Floats, Floats]:
    """Return mean, sd and skewness of sinh(asinh(u) + e)."""
    x = _moved(_U, e[:, None])
    mean = x @ _SHARES
    away = x - mean[:, None]
    sd = np.sqrt(away**2 @ _SHARES)
    return mean, sd, away**3 @ _SHARES / sd**3


_KNOWN = np.linspace(-_MOST, _MOST, 401)
_SKEWNESS = _moments(_KNOWN)[2]


@dataclass(frozen=True, eq=False)
class Skew:
    """How skewed a few coordinates are, whose means are 0 and whose variances are 1.

    Attributes
    ----------
    e : numpy.ndarray, shape (n,)
        Negative, where the lower tail is the longer.
    mean, sd : numpy.ndarray, shape (n,)
        Of sinh(asinh(u) + e), u standard Normal.
    """

    e: Floats
    mean: Floats
    sd: Floats

    @classmethod
    def of(cls, skewness: Floats) -> "Skew":
        """Return what has a skewness, up to the largest there is."""
        e = np.interp(skewness, _SKEWNESS, _KNOWN)
        return cls(e, *_moments(e)[:2])

    def skewed(self, u: Floats) -> Floats:
        """Return coordinates of symmetric ones: (n_points, n)."""
        return (_moved(u, self.e) - self.mean) / self.sd

    def symmetric(self, x: Floats) -> Floats:
        """Return symmetric coordinates: (n_points, n)."""
        return _moved(self.mean + self.sd * x, -self.e)

    def log_slope(self, x: Floats) -> Floats:
        """Return the log of by how much these change with the coordinates: (n_points, n)."""
        y = self.mean + self.sd * x
        slope = np.cosh(self.e) - y / np.sqrt(1 + y**2) * np.sinh(self.e)
        return np.log(self.sd * slope)
