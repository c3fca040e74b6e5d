"""Data sets: the bundled tables, all of them simulated, and the values they came from."""

import functools
from pathlib import Path

import pandas as pd

from hbm.tables.messages import hint, quoted
from hbm.tables.workbook import read_diploma

__all__ = ["load_dataset", "load_truth"]

_DATASETS = {
    "heights": ("heights.csv", "heights_truth.csv"),
    "scores": ("scores.csv", "scores_truth.csv"),
    "nested_scores": ("nested_scores.csv", "nested_scores_truth.csv"),
    "diploma": ("simulated-diploma.xlsx", "simulated-diploma-truth.csv"),
}
_LABELS = dict.fromkeys(["country", "district", "authority", "school", "course"], str)


def load_dataset(name: str) -> pd.DataFrame:
    """Load one of the bundled tables; all of them are simulated.

    ===================  ===================================================================
    ``"heights"``        ``country``, ``height`` (cm): 20 people in each of 4 countries
    ``"scores"``         ``school``, ``score`` (proportion): 20 students in each of 5 schools
    ``"nested_scores"``  ``district``, ``school``, ``score`` (proportion): 20 students in each
                         of 9 schools, 3 schools in each of 3 districts
    ``"diploma"``        a workbook in the layout of Alberta's diploma results, with invented
                         schools, as :func:`hbm.read_diploma` returns it. The students of a
                         school in a year are a cohort, with design effects of 1.2 to 1.7
    ===================  ===================================================================

    The first three are the simulations of the article that this package follows. Labels are text.
    :func:`load_truth` has the values that each was simulated from.

    Parameters
    ----------
    name : str
        One of the names above.

    Returns
    -------
    pandas.DataFrame
        A new copy at each call.

    Raises
    ------
    ValueError
        If there is no such data set.

    Examples
    --------
    >>> import hbm
    >>> heights = hbm.load_dataset("heights")
    >>> heights.groupby("country")["height"].mean().round(1).to_dict()
    {'1': 185.1, '2': 194.8, '3': 185.4, '4': 176.9}
    """
    table, _ = _dataset_files(name)
    if name == "diploma":
        return _simulated_diploma().copy()
    return pd.read_csv(_data_folder() / table, dtype=_LABELS)


def load_truth(name: str) -> pd.DataFrame:
    """Load the values that a bundled table was simulated from.

    ===================  ===================================================================
    ``"heights"``        ``country``, ``mean`` (cm)
    ``"scores"``         ``school``, ``mean``
    ``"nested_scores"``  ``district``, ``district_mean``, ``school``, ``school_mean``
    ``"diploma"``        ``course``, ``year``, ``authority``, ``school``, ``mean``, ``nu``,
                         ``authority_mean``, ``cohort_mean``; one row for each row of the
                         results, in their order. ``mean`` is the school's own in that year. Its
                         n students are a cohort: with c = ``cohort_mean``, Beta around ``mean``
                         with sample size n (nu + 1) / (design effect − 1), exam marks are
                         Beta(c·nu, (1−c)·nu), rounded to whole percentages.
                         ``authority_mean`` is the mean of an average school of the authority
                         in that course and year
    ===================  ===================================================================

    Means of scores and marks are proportions.

    Parameters
    ----------
    name : str
        A data set of :func:`load_dataset`.

    Returns
    -------
    pandas.DataFrame

    Raises
    ------
    ValueError
        If there is no such data set.

    Examples
    --------
    >>> import hbm
    >>> hbm.load_truth("scores").round(3)["mean"].tolist()
    [0.829, 0.73, 0.663, 0.898, 0.719]
    """
    _, truth = _dataset_files(name)
    return pd.read_csv(_data_folder() / truth, dtype=_LABELS)


def _dataset_files(name: str) -> tuple[str, str]:
    if name not in _DATASETS:
        raise ValueError(
            f"no data set {name!r}{hint(name, list(_DATASETS))} "
            f"The data sets are: {quoted(_DATASETS)}"
        )
    return _DATASETS[name]


def _data_folder() -> Path:
    """Return the folder of the bundled files: in the wheel, or else beside the package."""
    package = Path(__file__).parents[1]
    installed = package / "_data"
    return installed if installed.is_dir() else package.parent / "data"


@functools.cache
def _simulated_diploma() -> pd.DataFrame:
    return read_diploma(_data_folder() / _DATASETS["diploma"][0])
