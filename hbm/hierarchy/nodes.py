"""Nodes: what was seen of a group, or of all that stands in a member of a level above it.

They are what integrals over effects go down (:mod:`hbm.hierarchy.marginal`). Where something is
known of a member, its node is placed around what that adds.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hbm.hierarchy.chain_evidence import ChainEvidence
from hbm.hierarchy.fitted import Fitted
from hbm.hierarchy.marginal import Placed
from hbm.students.law import Evidence

__all__ = ["given_below", "node_of", "placed", "rows_of"]

Floats = NDArray[np.float64]


def node_of(
    f: Fitted,
    level: str,
    member: Any,
    seen_of: Callable[[Fitted, Any], Any] = Fitted.evidence,
    given: Fitted | None = None,
) -> Any:
    """Return what was seen of a group, or in a list of all that stands in a member above.

    Parameters
    ----------
    f : Fitted
        The fit that the data are of.
    level : str
        A level of it.
    member : int
        Which member of that.
    seen_of : callable, optional
        Takes the fit and a group, and returns what was seen of that.
    given : Fitted, optional
        The fit that the draws are of, if that is another.

    Returns
    -------
    Evidence, ChainEvidence, Placed, or list of these
    """
    below = f.d.below(level)
    if below is None:
        return placed(seen_of(f, member), f, level, member, given)
    children = np.flatnonzero(f.d.parent_of(below) == member).tolist()
    nodes = [node_of(f, below, child, seen_of, given) for child in children]
    return placed(nodes, f, level, member, given)


def placed(node: Any, f: Fitted, level: str, member: Any, given: Fitted | None = None) -> Any:
    """Return a node around what is known of its member; the chains of a panel are already."""
    if f.d.predictors is None or isinstance(node, ChainEvidence):
        return node
    by = f if given is None else Fitted(given.fit, f.d)
    shift = np.broadcast_to(by.moved(level, [member])[:, 0], by.n_draws)
    own = isinstance(node, Evidence)
    within = np.broadcast_arrays(*by.within_of(member), shift)[:3] if own else None
    return Placed(node, shift, within)


def rows_of(f: Fitted) -> Floats:
    """Return the numbers of the draws, by which chains and placed nodes know them."""
    return np.arange(f.n_draws, dtype=float)


def given_below(f: Fitted) -> tuple[Floats, ...]:
    """Return what integrals over nodes are given: `within`, or which draws these are."""
    return (rows_of(f),) if f.d.panel or f.d.predictors is not None else f.within
