"""Published exam results as the models take them: a table of one year or of several, described."""

from collections.abc import Sequence
from numbers import Real
from typing import Literal, get_args

import pandas as pd

from hbm.hierarchy.description import Description, check_words, describe
from hbm.students.law import Law
from hbm.tables.grouped import read_summaries
from hbm.tables.panels import read_panel
from hbm.tables.predictors import Asked, read_predictors
from hbm.tables.words import plural

__all__ = ["Observe", "check_known", "describe_exams"]

Observe = Literal["mean and sd", "mean"]


def describe_exams(
    law: Law,
    table: pd.DataFrame,
    group: str,
    individual: str,
    value: str,
    observe: Observe,
    levels: Sequence[str] = (),
    design_effect: float | None = 1,
    year: str | None = None,
    predictors: Asked = (),
) -> Description:
    """Read a published table of exam results, of one year or with a column of years.

    Parameters
    ----------
    law : Law
        How students vary in a school.
    table : pandas.DataFrame
        One row a school, or a school and year.
    group, individual, value : str
        What a school, a student and an exam are called.
    observe : {"mean and sd", "mean"}
        What to learn from.
    levels : sequence of str
        What schools stand in, from the innermost out.
    design_effect : float or None
        A number of 1 or more; None to learn it.
    year : str, optional
        What a year is called, if there are several.
    predictors : sequence of str, or mapping of str to sequence of str
        Columns of what is known of schools; or by level.

    Returns
    -------
    Description

    Raises
    ------
    TypeError, ValueError
        If the table or an argument is not as described.
    """
    if observe not in get_args(Observe):
        raise ValueError(f"observe must be 'mean and sd' or 'mean', got {observe!r}")
    check_words(individual, group, levels, value, *([] if year is None else [year]))
    _check_design_effect(design_effect, individual)
    means_only, size = observe == "mean", f"n_{plural(individual)}"
    if year is None:
        exams = read_summaries(
            table,
            by=group,
            size=size,
            parents=levels,
            proportions=True,
            sd_needed=not means_only,
            sd_may_be_missing=True,
        )
    else:
        exams = read_panel(
            table, by=group, year=year, size=size, parents=levels, sd_needed=not means_only
        )
    observed = f"{value}_mean" if means_only else value
    words = {"individual": individual, "observed": observed}
    words["value_name"] = "score" if value == "exam" else value
    return describe(
        law,
        exams,
        **words,
        means_only=means_only,
        design_effect=design_effect,
        predictors=read_predictors(table, predictors, exams, size),
    )


def _check_design_effect(design_effect: float | None, individual: str) -> None:
    """Raise unless it is a number of 1 or more, or is to be learned."""
    if design_effect is None:
        return
    if isinstance(design_effect, bool) or not isinstance(design_effect, Real):
        raise TypeError(
            f"design_effect must be a number, or None to learn it, got {design_effect!r}"
        )
    if not 1 <= design_effect < float("inf"):
        raise ValueError(
            f"design_effect must be a number of 1 or more, got {design_effect!r}. 1 is for "
            f"independent {plural(individual)}: the variance of their mean is then that of one "
            "over n"
        )


def check_known(d: Description) -> None:
    """Raise if a design effect is to be learned where the data cannot tell it."""
    if d.design_effect is None:
        raise ValueError(
            "design_effect must be a number here: it would take all that tells "
            f"{plural(d.group)} apart. partial_pooling, nested and panel learn it"
        )
