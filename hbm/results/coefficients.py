"""Coefficients of predictors, on the scale that people read."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import pandas as pd
import xarray as xr

from hbm.hierarchy.fitted import Fitted, read_all
from hbm.results.estimates import check_prob
from hbm.tables.coding import Coding
from hbm.tables.words import plural

__all__ = ["coefficients"]


def coefficients(fit: xr.DataTree, *, prob: float = 0.95) -> pd.DataFrame:
    """Show what is expected of a group for what is known of it, predictor by predictor.

    An effect here is a difference between groups that differ in one predictor and are alike in the
    others. It is not what would come of changing that: schools with more students have more of much
    else too.

    Parameters
    ----------
    fit : xarray.DataTree
        Result of :func:`hbm.sample` for a model with ``predictors=``; of a panel, whole.
    prob : float, default 0.95
        Probability inside the intervals, strictly between 0 and 1.

    Returns
    -------
    pandas.DataFrame
        One row a predictor, of a category one for each, for the means of groups, and then one for
        the spread of their individuals, where spreads are groups' own:

        ``predictor``
            As in ``beta`` and ``gamma`` of the fit: the name of the column, and the category.
        ``level``
            What it is known of, such as ``"school"``.
        ``of``
            What differs: ``"mean"``, or ``"sd of students"``.
        ``step``
            Between what the difference is. Of a number one standard deviation over the table, half
            of it to either side of the average; of the log of one, ten times as much, about the
            geometric mean: both with the two numbers. Of true and false, from false to true. Of a
            category, from the average of all categories, which count alike, to this one.
        ``effect``, ``lower``, ``upper``
            Posterior mean and equal-tailed interval of the difference, in the units of the data:
            points of a hundred are hundredths.
        ``p_positive``
            Probability that it is above 0.

        ``attrs`` holds `prob`, ``unit`` and ``proportions``.

    Raises
    ------
    TypeError
        If `fit` is not a DataTree.
    ValueError
        If the model has no predictors, or `prob` is not between 0 and 1.

    Notes
    -----
    With m the mean of an effect, expit of a logit or for heights the effect itself, and x the
    predictor as it is coded at either end of the step, the difference is m(η + x_to β) −
    m(η + x_from β) in each draw: that of the school in the middle, all else known of which is
    average, in a year that is like the average of a panel's. It is smaller where means are near 0
    or 1. The spread is that of the individuals of this school, √(μ(1 − μ) / (ν + 1)) with
    ν exp(x γ) in place of ν, and the mean as it is.

    Examples
    --------
    >>> import hbm
    >>> table = hbm.simulate.exams([2, 1], [5, 8, 40], random_seed=1)[0]
    >>> model = hbm.exams.nested(table, predictors=["log_n_students"])
    >>> prior = hbm.sample_prior_predictive(model, 50, random_seed=1)
    >>> hbm.coefficients(prior.assign(posterior=prior["prior"]))[["predictor", "of", "step"]]
            predictor              of                step
    0  log_n_students            mean  tenfold: 3.7 to 37
    1  log_n_students  sd of students  tenfold: 3.7 to 37
    """
    check_prob(prob)
    f = read_all(fit)
    d = f.d
    if d.predictors is None:
        raise ValueError(
            "the model has no predictors, and so no coefficients: give a model of hbm.exams, "
            "hbm.scores or hbm.heights predictors=, such as ('log_n_students',)"
        )
    steps = list(_steps(d.predictors.coding))
    draws = {"mean": [_of_mean(f, step) for step in steps]}
    if d.law.spread_varies:
        draws[f"sd of {plural(d.individual)}"] = [_of_spread(f, step) for step in steps]
    ends = [(1 - prob) / 2, (1 + prob) / 2]
    rows = []
    for of, differences in draws.items():
        for step, difference in zip(steps, differences, strict=True):
            lower, upper = np.quantile(difference, ends)
            rows.append(
                {
                    "predictor": step.label,
                    "level": step.level,
                    "of": of,
                    "step": step.words,
                    "effect": difference.mean(),
                    "lower": lower,
                    "upper": upper,
                    "p_positive": (difference > 0).mean(),
                }
            )
    table = pd.DataFrame(rows)
    table.attrs = {"prob": prob, "unit": d.unit, "proportions": d.law.proportions}
    return table


class _Step(NamedTuple):
    """Which coefficient it is, and between what a difference is told, in coded numbers."""

    at: int
    label: str
    level: str
    words: str
    start: float
    stop: float


def _steps(codings: tuple[Coding, ...]) -> Iterator[_Step]:
    """Yield the step of each coefficient."""
    at = 0
    for coding in codings:
        for label in coding.labels:
            yield _Step(at, label, coding.level, *_step_of(coding))
            at += 1


def _step_of(coding: Coding) -> tuple[str, float, float]:
    """Return a step in words, and its ends as they are coded."""
    if coding.kind == "category":
        return "against the average of all", 0.0, 1.0
    if coding.kind == "true or false":
        return "true against false", -coding.centre, 1 - coding.centre
    if coding.kind == "log":
        half = np.log(10) / 2
        low, high = (_shown(np.exp(coding.centre + x)) for x in (-half, half))
        return f"tenfold: {low} to {high}", -half / coding.scale, half / coding.scale
    low, high = (_shown(coding.centre + x * coding.scale) for x in (-0.5, 0.5))
    return f"one sd: {low} to {high}", -0.5, 0.5


def _shown(value: float) -> str:
    """Write a number with three digits, or all that are before the point."""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def _middle(f: Fitted) -> np.ndarray:
    """Draws of the effect of the group in the middle, in an average year of a panel."""
    if not f.d.panel:
        return f.grand_mean
    return f.grand_mean + f.draws(f"effect_{f.d.cells.name}").mean(axis=1)


def _of_mean(f: Fitted, step: _Step) -> np.ndarray:
    """Draws of the difference in means."""
    beta, middle = f.draws("beta")[:, step.at], _middle(f)
    start, stop = (f.d.law.mean_of(middle + x * beta) for x in (step.start, step.stop))
    return stop - start


def _of_spread(f: Fitted, step: _Step) -> np.ndarray:
    """Draws of the difference in the standard deviation of individuals."""
    gamma, mu = f.draws("gamma")[:, step.at], f.d.law.mean_of(_middle(f))
    log_spread, _ = f.population_spread
    start, stop = (
        np.sqrt(f.d.law.variance(mu, np.exp(log_spread + x * gamma)))
        for x in (step.start, step.stop)
    )
    return stop - start
