"""Prediction of the next cohort: of groups the model knows, and of new ones.

:mod:`hbm.results.forward` says what is drawn of them; here their individuals follow.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import pymc as pm
import xarray as xr

from hbm.hierarchy.fitted import Fitted, read_all
from hbm.results.forward import draw_parameters, read_year_means
from hbm.results.rows import Rows, read_rows
from hbm.sampling.inputs import check_seed
from hbm.students.cohorts import cohorts, summarise

__all__ = ["predict", "predict_rows"]


def predict(
    model: pm.Model,
    fit: xr.DataTree,
    new_table: pd.DataFrame,
    *,
    year_means: Mapping[int, float] | None = None,
    random_seed: int | np.random.Generator | None = None,
) -> xr.DataTree:
    """Predict the next cohort of known groups, and of new ones; of a panel in any year.

    Parameters
    ----------
    model : pymc.Model
        A model of :mod:`hbm.heights`, :mod:`hbm.scores` or :mod:`hbm.exams`.
    fit : xarray.DataTree
        Its fit, the result of :func:`hbm.sample`.
    new_table : pandas.DataFrame
        One row a group, known and new ones in any order: ``school`` and ``n_students``, and
        ``authority`` or ``district`` for a nested model; for heights ``country`` and ``n_people``.
        For a panel one row a group and year, with ``year`` too: years of the fit, later ones,
        earlier ones and ones between. With predictors also their columns: they are read of groups,
        and of what groups stand in, that the fit does not know; of a panel's groups in each row
        that the fit has no results of. Of all others what the fit was told counts, and if there are
        only such, the columns need not be there. Other columns are not looked at.
    year_means : mapping of int to float, optional
        For a panel: what the individuals of a new year reached on average, by year, if that is
        known, as a province's mean is before its schools' are, and they are all in the table. The
        year's effect is then not drawn but set, in each draw, so that the means of the year's rows,
        weighted by individuals, average to it.
    random_seed : int or numpy.random.Generator, optional
        The same seed gives the same draws.

    Returns
    -------
    xarray.DataTree
        Group ``predictions``, dims ``chain``, ``draw`` and ``school`` (or ``country``), has

        ``mu_school`` (``mu_country``)
            The group's mean: what a very large cohort like the fitted one would reach, and not the
            mean of those who were counted. It is the same for all cohorts to come; in a panel, for
            all cohorts of its year.
        ``nu_school``
            The sample size of the Beta of a school's students; not for heights.
        ``mean``, ``sd``
            Mean and standard deviation (divisor n − 1; missing where n = 1) of the next cohort,
            its individuals simulated one by one.

        ``predictions_constant_data`` has ``n_students`` (``n_people``), and ``known``, whether the
        group was in the fit.

        For a panel the dim is ``cell`` in place of ``school``, one a row of the table, labelled
        "0009 2020", with coordinates ``school`` and ``year`` along it.

    Raises
    ------
    TypeError
        If `new_table` is not a data frame, or numbers of individuals or means of years are not
        numbers.
    ValueError
        If the fit is not of the model, a column is missing, as that of a predictor of a new group,
        or has a category that the model was not fitted with, a group has two rows (of a year), the
        mean of a year is given that the fit knows or the table has not, a known group stands under
        another parent than in the fit, or a label that the fit does not know is one that it knows
        but for leading zeros, case, blanks or Unicode form, as "9" for "0009". Where the table has
        both, they are two groups.

    Notes
    -----
    Where a design effect above 1 is learned or given (:mod:`hbm.exams`), a cohort has a mean of its
    own around its group's, and the intervals are as wide as that asks for. What lasts longer than
    a cohort and still changes, as a school that gets better over the years, a model of one year
    does not know: the intervals of large groups, whose other variation is small, stay somewhat too
    narrow; :func:`hbm.exams.panel` learns it. Of independent individuals, as of
    ``design_effect=1``, scores and heights, the next cohort is other individuals of the same group:
    right for another sample of the one that was fitted, and too narrow for the next.

    In a panel all groups of a new year share one draw of its effect: how hard an exam is.
    `year_means` takes that out. The mean is taken as exact, and as that of the rows there are: few
    groups, or one with most of the individuals, are so told their own means, and for them it is
    better left out. :mod:`hbm.results.forward` has the equations.

    Examples
    --------
    >>> import hbm, pandas as pd
    >>> table = hbm.simulate.exams([2, 1], [5, 8, 40], random_seed=1)[0]
    >>> model = hbm.exams.nested(table)
    >>> fit = hbm.sample(model)  # doctest: +SKIP
    >>> new = pd.DataFrame({"school": ["1", "new", "another"], "authority": ["1", "1", "9"],
    ...                     "n_students": [20, 20, 20]})
    >>> predictions = hbm.predict(model, fit, new, random_seed=1)  # doctest: +SKIP

    Next year of a panel, here with draws of its prior in place of a fit's:

    >>> table = hbm.simulate.exam_panel([2, 1], [5, 8, 40], years=[2018, 2019], random_seed=1)[0]
    >>> model = hbm.exams.panel(table)
    >>> prior = hbm.sample_prior_predictive(model, 10, random_seed=1)
    >>> fit = prior.assign(posterior=prior["prior"])
    >>> new = table[table["year"] == 2019].assign(year=2020)
    >>> tree = hbm.predict(model, fit, new, year_means={2020: 0.65}, random_seed=1)
    >>> tree["predictions"]["cell"].to_numpy().tolist()
    ['1 2020', '2 2020', '3 2020']
    >>> weights = tree["predictions_constant_data"]["n_students"]
    >>> mu = tree["predictions"]["mu_school"].weighted(weights).mean("cell")
    >>> bool((abs(mu - 0.65) < 1e-6).all())
    True
    """
    check_seed(random_seed)
    fitted = read_all(fit, model)
    rows = read_rows(new_table, fitted.d)
    return predict_rows(fitted, rows, np.random.default_rng(random_seed), year_means)


def predict_rows(
    fitted: Fitted,
    rows: Rows,
    rng: np.random.Generator,
    year_means: Mapping[int, float] | None = None,
) -> xr.DataTree:
    """Predict the next cohort of rows that were read; see :func:`predict`."""
    d, dim = fitted.d, fitted.d.cell
    means, spreads = draw_parameters(fitted, rows, rng, read_year_means(year_means, rows, d))
    mean, sd = np.empty(means.shape), np.empty(means.shape)
    for block, value in cohorts(d.law, means, spreads, rows.n, rng, fitted.excess):
        mean[block], sd[block] = summarise(value, rows.n)
    variables = {d.mean_name: means, "mean": mean, "sd": sd}
    if d.law.spread_varies:
        variables[d.spread_name] = spreads
    own = _coords(rows, d.group)
    posterior = fitted.fit["posterior"]
    coords = {name: posterior[name].to_numpy() for name in ("chain", "draw")} | own
    dims = "chain", "draw", dim
    shape = *(len(coords[name]) for name in dims[:2]), len(rows.n)
    known = rows.positions[d.group] >= 0
    if rows.cells is not None:
        known = known[rows.cells.group]
    return xr.DataTree.from_dict(
        {
            "predictions": xr.Dataset(
                {name: (dims, v.reshape(shape)) for name, v in variables.items()}, coords
            ),
            "predictions_constant_data": xr.Dataset(
                {d.size: (dim, rows.n), "known": (dim, known)}, own
            ),
        }
    )


def _coords(rows: Rows, group: str) -> dict[str, Any]:
    """Return the labels of rows, by dim or along the one they have."""
    labels = rows.levels[-1].labels
    if rows.cells is None:
        return {group: labels}
    cells = rows.cells
    return {
        "cell": cells.labels(labels),
        group: ("cell", labels[cells.group]),
        cells.name: ("cell", cells.years[cells.year]),
    }
