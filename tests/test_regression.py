"""What raw data say of coefficients: as dense generalised least squares says it."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

import hbm
from hbm.hierarchy.coefficients import of_cells, told_of_effects, told_of_spreads
from hbm.hierarchy.effects import raw_by_level
from hbm.hierarchy.panel_estimates import (
    _DESIGN_EFFECT,
    _PERSISTENCE,
    _YEARS,
    _ancestors,
    _variances,
    panel_estimates,
)
from hbm.hierarchy.parents import between_variance
from hbm.hierarchy.regression import regression

KNOWN = {"school": ["log_n_students"], "authority": ["rural"], "zone": ["coast"]}


def zones():
    """Return the description of schools in authorities in zones, all known of."""
    sizes = [3, 8, 12, 30, 100, 5, 25, 60, 7, 18, 40, 1]
    table, *_ = hbm.simulate.exams(
        [3, 2, 2, 1, 3, 1], sizes, zones=[2, 2, 2], tau_zone=1.0, tau_authority=0.5, random_seed=9
    )
    table["rural"] = table["authority"].astype(int) % 2 == 0
    table["coast"] = table["zone"] == "1"
    model = hbm.exams.nested(table, levels=("authority", "zone"), predictors=KNOWN)
    return model.description


def dense(x, covariance, y):
    columns = np.column_stack([x, np.ones(len(x)), y])
    return columns.T @ np.linalg.solve(covariance, columns)


def test_effects_of_all_levels_are_in_the_covariance():
    d = zones()
    raw = raw_by_level(d)
    covariance = np.diag(raw["eta_school"][1] ** 2)
    for i, level in enumerate(d.levels):
        estimate, error = raw[d.effect(level.name)]
        parent = np.zeros(len(estimate), int) if i == 0 else level.parent
        at = d.ancestor_of(level.name)
        tau2 = between_variance(estimate, error, parent, parent.max() + 1)
        assert tau2 > 0
        covariance += tau2 * (at[:, None] == at)
    expected = dense(of_cells(d), covariance, raw["eta_school"][0])
    assert_allclose(told_of_effects(d, raw), expected, rtol=1e-9)


def test_groups_whose_spread_is_not_known_say_nothing_of_it():
    d = zones()
    estimate, error = raw_by_level(d)["log_nu_school"]
    known = np.isfinite(error)
    assert not known.all()
    tau2 = np.nan_to_num(between_variance(estimate, error, np.zeros(len(error), int), 1))
    covariance = np.diag(error[known] ** 2 + tau2)
    expected = dense(of_cells(d)[known], covariance, estimate[known])
    assert_allclose(told_of_spreads(d, estimate, error), expected, rtol=1e-9)


def test_in_a_panel_the_years_are_in_the_covariance_too():
    sizes = [[20, 0, 30], [12, 15, 0], [40, 41, 42], [5, 6, 7], [9, 0, 90]]
    table = hbm.simulate.exam_panel([3, 2], sizes, years=[2015, 2016, 2018], random_seed=1)[0]
    table["rural"] = table["authority"] == "2"
    known = {"school": ["log_n_students"], "authority": ["rural"]}
    d = hbm.exams.panel(table, predictors=known).description
    own = d.law.raw_estimates(d.n, d.mean, d.sd, 10)
    lag = abs(d.cells.years[:, None] - d.cells.years)[np.ix_(d.cells.year, d.cells.year)]
    same_school = d.cells.group[:, None] == d.cells.group
    at = d.ancestor_of("authority")

    def covariance(tau2, of_authority):
        found = np.diag(own.effect_se**2 * _DESIGN_EFFECT) + tau2 * same_school * _PERSISTENCE**lag
        found += of_authority * (at[:, None] == at)
        return found + _YEARS**2 * (d.cells.year[:, None] == d.cells.year)

    told = panel_estimates(d, 10).told
    precision = np.zeros((5, 3))
    precision[d.cells.group, d.cells.year] = 1 / own.effect_se**2 / _DESIGN_EFFECT
    estimate = np.zeros((5, 3))
    estimate[d.cells.group, d.cells.year] = own.effect
    year = (precision * estimate).sum(axis=0) / precision.sum(axis=0)
    away = np.where(precision > 0, estimate - year, 0.0)
    tau2, (of_authority,) = _variances(away, precision, _ancestors(d))
    expected = dense(of_cells(d), covariance(tau2, of_authority), own.effect)
    assert_allclose(told, expected, rtol=1e-8)


@pytest.mark.parametrize("sd", [0.3, 2.0])
def test_coordinates_are_those_of_the_posterior(sd):
    """Given the intercept; the start is the mean of both, the intercept's prior being flat."""
    rng = np.random.default_rng(3)
    x, y = rng.normal(size=(9, 3)), rng.normal(0.5, 1, 9)
    x[:, 2] = x[:, 1] + 0.1 * x[:, 2]  # nearly the same
    found = regression(dense(x, np.diag(np.linspace(0.2, 2, 9)), y), sd)
    weight = np.diag(1 / np.linspace(0.2, 2, 9))
    precision = x.T @ weight @ x + np.eye(3) / sd**2
    total = 1 / found.standard_error**2 + 1 / sd**2
    assert_allclose(found.basis @ np.diag(total) @ found.basis.T, precision, rtol=1e-9)
    for intercept in (0.0, 0.7):
        centre = (found.estimate + found.slope * intercept) / found.standard_error**2 / total
        mean = np.linalg.solve(precision, x.T @ weight @ (y - intercept))
        assert_allclose(found.basis @ centre, mean, rtol=1e-9)
    both = np.column_stack([x, np.ones(9)])
    prior = np.diag([1 / sd**2] * 3 + [0])
    mean = np.linalg.solve(both.T @ weight @ both + prior, both.T @ weight @ y)
    assert_allclose(found.start, mean[:3], rtol=1e-9)


def test_what_nothing_is_known_of_is_left_to_the_prior():
    found = regression(np.zeros((4, 4)), 0.5)
    assert np.isinf(found.standard_error).all()
    assert not found.estimate.any()
    assert not found.slope.any()
    assert not found.start.any()
