"""What would be published of students: a table of their means and standard deviations."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from hbm.tables.columns import percentages
from hbm.tables.grouped import read_individuals

__all__ = ["numbered", "sizes_of", "summarise"]


def summarise(students: pd.DataFrame) -> pd.DataFrame:
    """Make the table that would be published of students' marks.

    Parameters
    ----------
    students : pandas.DataFrame
        One row a student: ``authority``, ``school``, ``score``, and ``zone`` if authorities stand
        in zones.

    Returns
    -------
    pandas.DataFrame
        One row a school, in order of appearance: ``school``, ``school_name``, ``authority``,
        ``authority_name``, ``n_students``, ``mean``, ``sd`` (with divisor n − 1; missing for a
        school of one student), and ``zone`` if there are zones.

    Raises
    ------
    ValueError, TypeError
        If the table is not as described.

    Examples
    --------
    >>> import pandas as pd
    >>> students = pd.DataFrame({"authority": "x", "school": "a", "score": [0.4, 0.6]})
    >>> summarise(students)[["n_students", "mean"]].to_dict("records")
    [{'n_students': 2, 'mean': 0.5}]
    """
    zoned = isinstance(students, pd.DataFrame) and "zone" in students
    data = read_individuals(
        students,
        "score",
        by="school",
        parents=["authority", "zone"] if zoned else ["authority"],
        allowed="proportions in [0, 1]",
        mend=percentages,
        ok=lambda x: (x >= 0) & (x <= 1),
    )
    *zones, authorities, schools = data.levels
    authority = authorities.labels[schools.parent]
    table = pd.DataFrame(
        {
            "school": schools.labels,
            "school_name": [f"School {label}" for label in schools.labels],
            "authority": authority,
            "authority_name": [f"Authority {label}" for label in authority],
            "n_students": data.n.astype(int),
            "mean": data.mean,
            "sd": data.sd,
        }
    )
    return (
        table.assign(zone=zones[0].labels[authorities.parent[schools.parent]]) if zones else table
    )


def numbered(n: int) -> np.ndarray:
    """Return labels "1" to "n"."""
    return np.array([str(i) for i in range(1, n + 1)], dtype=object)


def sizes_of(n: int | Sequence[int], n_groups: int, what: str) -> np.ndarray:
    """Return the number of members of each group, checked."""
    sizes = np.broadcast_to(np.asarray(n), (n_groups,))
    if not np.issubdtype(sizes.dtype, np.integer) or (sizes < 1).any():
        raise ValueError(f"{what} must be whole numbers, 1 or more, got {n!r}")
    return sizes
