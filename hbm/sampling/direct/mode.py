"""Where a log density of a few coordinates is highest, and how it bends there."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

__all__ = ["LEAST", "find_mode"]

Floats = NDArray[np.float64]
LogDensity = Callable[[Floats], Floats]

LEAST = -1e8  # log density that is as good as none
_FARTHEST_APART = 0.1


def find_mode(
    log_density: LogDensity, start: Floats, n_joint: int | None = None
) -> tuple[Floats, Floats, int]:
    """Find the maximum by Newton's method with differences; all points of a step at a time.

    Differences are taken along the axes of the curvature so far, over half the standard deviation
    there and 0.1 at most: many coordinates together may be known far better than each.

    Parameters
    ----------
    log_density : callable
        Of points (n_points, n), whose prior is standard Normal.
    start : numpy.ndarray, shape (n,)
        Where to begin.
    n_joint : int, optional
        How many coordinates, the first ones, bend together; each other by itself. All by default.

    Returns
    -------
    mode : numpy.ndarray, shape (n,)
    covariance : numpy.ndarray, shape (n, n)
        Of the Normal with the curvature there.
    evaluations : int
    """
    n = len(start)
    n_joint = n if n_joint is None else n_joint
    pairs = [(i, j) for i in range(n_joint) for j in range(i)]
    unit = np.eye(n)
    shifts = np.array([np.zeros(n), *unit, *-unit, *(unit[i] + unit[j] for i, j in pairs)])
    axes, apart = unit, np.full(n, _FARTHEST_APART)
    x, damping, evaluations = start, 0.3, 0
    best, best_value = start, -np.inf
    gradient, hessian = np.zeros(n), -np.eye(n)
    for _ in range(30):
        f = np.maximum(log_density(x + shifts * apart @ axes.T), LEAST)
        evaluations += len(f)
        if f[0] < best_value - 1e-3:
            damping = max(4 * damping, 0.5)
            x = best + np.clip(_step(hessian, gradient, damping), -1, 1)
            if damping > 1e4:
                break
            continue
        best, best_value = x, f[0]
        slopes = (f[1 : n + 1] - f[n + 1 : 2 * n + 1]) / 2
        bends = np.diag(f[1 : n + 1] + f[n + 1 : 2 * n + 1] - 2 * f[0])
        for (i, j), both in zip(pairs, f[2 * n + 1 :], strict=True):
            bends[i, j] = bends[j, i] = both - f[1 + i] - f[1 + j] + f[0]
        gradient = axes @ (slopes / apart)
        hessian = axes @ (bends / np.outer(apart, apart)) @ axes.T
        values, axes = -np.diag(hessian), np.eye(n)
        values[:n_joint], axes[:n_joint, :n_joint] = np.linalg.eigh(-hessian[:n_joint, :n_joint])
        apart = np.minimum(_FARTHEST_APART, 0.5 / np.sqrt(np.maximum(values, 1.0)))
        damping = damping / 4 if damping > 1e-3 else 0.0
        step = np.clip(_step(hessian, gradient, damping), -1, 1)
        x = x + step
        if (np.abs(axes.T @ step) < apart / 2).all():
            break
    values, vectors = np.linalg.eigh(-hessian)
    return best, vectors @ np.diag(1 / np.maximum(values, 0.25)) @ vectors.T, evaluations


def _step(hessian, gradient, damping):
    values, vectors = np.linalg.eigh(-hessian)
    # The prior alone has curvature 1.
    return vectors @ ((vectors.T @ gradient) / (np.maximum(values, 0.5) + damping))
