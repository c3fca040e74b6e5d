"""Tables of one year take a year of a panel: the last, or that of hbm.in_year."""

import numpy as np
import pandas as pd
import pytest
from fake_panels import YEARS, fake_panel, panel_model
from numpy.testing import assert_allclose
from scipy.special import betaincc, betaincinv, expit
from scipy.stats import norm, rankdata

import hbm

KNOWN = {
    "eta": 0.6,
    "tau_authority": 0.3,
    "tau_school": 0.4,
    "nu": 6.0,
    "tau_nu": 1e-9,
    "design_effect": 2.0,
    "effect_year": np.broadcast_to([0.2, -0.1, 0.0, 0.5], (60, 4)),
}
TABLES = {
    "ranks": lambda fit: hbm.ranks(fit, "school"),
    "authorities": lambda fit: hbm.ranks(fit, "authority"),
    "pairwise": lambda fit: hbm.pairwise(fit, "school"),
    "limits": lambda fit: hbm.funnel_limits(fit, "school"),
    "shares": lambda fit: hbm.shares(fit, above=0.8),
    "variances": hbm.variance_shares,
}


@pytest.fixture(scope="module")
def fit():
    return fake_panel(**KNOWN)


def schools_in(year):
    d = panel_model().description
    return d.coords["school"][d.cells.group[d.cells.years[d.cells.year] == year]].tolist()


@pytest.mark.parametrize("name", TABLES)
def test_the_last_year_is_taken(fit, name):
    table = TABLES[name](fit)
    pd.testing.assert_frame_equal(table, TABLES[name](hbm.in_year(fit, 2019)))
    assert not table.equals(TABLES[name](hbm.in_year(fit, 2015)))


@pytest.mark.parametrize("year", YEARS)
def test_ranks_are_of_schools_with_results_in_the_year(fit, year):
    table = hbm.ranks(hbm.in_year(fit, year), "school", k=1).set_index("school")
    there = schools_in(year)
    assert sorted(table.index) == sorted(there)
    draws = fit["posterior"]["mu_school"].sel(school=there, year=year).isel(chain=0)
    expected = rankdata(-draws.transpose("draw", "school"), axis=1).mean(axis=0)
    assert_allclose(table["expected_rank"][there], expected)


@pytest.mark.parametrize("year", [2016, 2019])
def test_shares_and_limits_have_the_effect_of_the_year(fit, year):
    view = hbm.in_year(fit, year)
    posterior, cells = fit["posterior"].isel(chain=0), [f"{s} {year}" for s in schools_in(year)]
    mu = posterior["mu_school"].sel(school=schools_in(year), year=year).to_numpy()
    nu = posterior["nu_school"].sel(cell=cells).to_numpy()
    share = betaincc(mu * nu, (1 - mu) * nu, 0.8).mean(axis=0)
    table = hbm.shares(view, above=0.8).set_index("school")
    assert_allclose(table["share"][schools_in(year)], share)

    of_year = float(posterior["effect_year"].sel(year=year)[0])
    z = np.linspace(-8, 8, 4001)
    weight = norm.pdf(z) / norm.pdf(z).sum()
    centre = expit(0.6 + of_year + 0.5 * z) @ weight
    variance = (expit(0.6 + of_year + 0.5 * z) - centre) ** 2 @ weight
    limits = hbm.funnel_limits(view, "school", n=[20])
    assert_allclose(limits["centre"], centre, rtol=1e-9)
    size = (20 * 7 - 1) / 2
    ends = betaincinv(centre * size, (1 - centre) * size, [0.025, 0.975])
    assert_allclose(limits[["alike_lower", "alike_upper"]].to_numpy()[0], ends, atol=2e-3)
    levels = hbm.variance_shares(view).set_index("level")
    assert list(levels.index) == ["authority", "school", "cohort", "student"]
    assert_allclose((levels["sd"][["authority", "school"]] ** 2).sum(), variance, rtol=1e-9)
