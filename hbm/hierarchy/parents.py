"""Estimates of what groups stand in, made of the groups' own."""

import numpy as np

__all__ = ["between_variance", "parent_estimates", "weighted_parents"]


def parent_estimates(
    estimate: np.ndarray, standard_error: np.ndarray, parent: np.ndarray, n_parents: int
) -> tuple[np.ndarray, np.ndarray]:
    """Estimate each parent's effect, and its standard error, from its children's.

    The children of a parent vary around it with a variance τ² that is estimated from all of them by
    the method of moments (DerSimonian and Laird [1]_, within parents); a parent's estimate is then
    the mean of its children's weighted by 1 / (s² + τ²).

    Parameters
    ----------
    estimate, standard_error : numpy.ndarray, shape (n_children,)
        What the raw data say of each child.
    parent : numpy.ndarray of int, shape (n_children,)
        Position of each child's parent.
    n_parents : int
        Number of parents.

    Returns
    -------
    estimate, standard_error : numpy.ndarray, shape (n_parents,)
        ``inf`` as the standard error of a parent none of whose children has information.

    References
    ----------
    .. [1] DerSimonian and Laird (1986). Meta-analysis in clinical trials. Controlled Clinical
       Trials 7(3).

    Examples
    --------
    >>> import numpy as np
    >>> parent_estimates(np.array([0.0, 2.0, 5.0]), np.ones(3), np.array([0, 0, 1]), 2)
    (array([1., 5.]), array([1.        , 1.41421356]))
    """
    tau_squared = between_variance(estimate, standard_error, parent, n_parents)
    return weighted_parents(estimate, standard_error, np.nan_to_num(tau_squared), parent, n_parents)


def between_variance(
    estimate: np.ndarray, standard_error: np.ndarray, parent: np.ndarray, n_parents: int
) -> float:
    """Return the variance between children of one parent, by moments; NaN if nothing tells it."""

    def total(x):
        return np.bincount(parent, x, minlength=n_parents)

    w = 1 / standard_error**2
    estimate = np.where(w > 0, estimate, 0.0)
    sum_w = total(w)
    safe = np.where(sum_w > 0, sum_w, 1.0)
    within = (total(w * estimate) / safe)[parent]
    q = (w * (estimate - within) ** 2).sum()
    degrees = (w > 0).sum() - (sum_w > 0).sum()
    scale = (sum_w - total(w**2) / safe).sum()
    return max(0.0, (q - degrees) / scale) if scale > 1e-12 * w.sum() else np.nan


def weighted_parents(
    estimate: np.ndarray,
    standard_error: np.ndarray,
    tau_squared: float,
    parent: np.ndarray,
    n_parents: int,
) -> tuple[np.ndarray, np.ndarray]:
    """Return parents' estimates, and standard errors, given the variance between their children."""
    w = np.where(1 / standard_error**2 > 0, 1 / (standard_error**2 + tau_squared), 0.0)
    sum_w = np.bincount(parent, w, minlength=n_parents)
    sums = np.bincount(parent, w * np.where(w > 0, estimate, 0.0), minlength=n_parents)
    safe = np.where(sum_w > 0, sum_w, 1.0)
    return sums / safe, np.where(sum_w > 0, 1 / np.sqrt(safe), np.inf)
