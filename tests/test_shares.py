"""Shares at a mark or above are those of students simulated one by one."""

import numpy as np
import pytest
import xarray as xr
from fakes import fake_exams_nested, fake_fit, prior_draws
from models import build, table_for
from numpy.testing import assert_allclose, assert_array_equal
from scipy.stats import norm

import hbm

N_DRAWS = 50


@pytest.fixture(scope="module")
def exams():
    return fake_exams_nested(build("exams.nested"), N_DRAWS)


def heights(mu, sigma):
    model = build("heights.partial_pooling")
    draws = {"mu": 176.0, "tau_country": 5.0, "sigma": sigma, "mu_country": mu}
    return fake_fit(model, draws)


@pytest.mark.parametrize("mark", [0.05, 0.5, 0.8, 0.95])
def test_shares_are_those_of_simulated_students(exams, mark):
    rng = np.random.default_rng(1)
    n = 20_000
    shares = hbm.shares(exams, above=mark)
    for i in (0, 3, 8):
        mu, nu = (
            exams["posterior"][name][0, :, i].to_numpy() for name in ("mu_school", "nu_school")
        )
        students = rng.beta(mu * nu, (1 - mu) * nu, (n, N_DRAWS))
        simulated = (students >= mark).mean(axis=0)
        error = np.sqrt(shares["share"][i] * (1 - shares["share"][i]) / (n * N_DRAWS))
        assert abs(simulated.mean() - shares["share"][i]) < 4.5 * error
        # An end of the interval is told by its own draws of students.
        for end, p in (("lower", 0.025), ("upper", 0.975)):
            at = shares[end][i]
            own = np.sqrt(max(at * (1 - at), 1 / n) / n)
            assert abs(np.quantile(simulated, p) - at) < 4.5 * own


def test_shares_of_heights_are_those_of_a_normal():
    mu = np.random.default_rng(1).normal(180, 3, (N_DRAWS, 4))
    sigma = np.random.default_rng(2).uniform(5, 8, N_DRAWS)
    shares = hbm.shares(heights(mu, sigma), above=185, prob=0.8)
    expected = norm.sf(185, mu, sigma[:, None])
    assert_allclose(shares["share"], expected.mean(axis=0))
    ends = shares[["lower", "upper"]].to_numpy().T
    assert_allclose(ends, np.quantile(expected, [0.1, 0.9], axis=0))


@pytest.mark.parametrize("name", ["exams.complete_pooling", "exams.no_pooling", "scores.nested"])
def test_every_model_has_shares(name):
    model = build(name)
    prior = prior_draws(model, 10)
    fit = prior.assign(posterior=prior["prior"])
    shares = hbm.shares(fit, above=0.5)
    assert shares["share"].between(0, 1).all()
    assert len(shares) == len(model.coords["school"])


def test_the_table_is_labelled(exams):
    shares = hbm.shares(exams, above=0.8, prob=0.9)
    table = table_for("exams")
    labels = ["school", "authority", "n_students"]
    assert list(shares.columns) == [*labels, "share", "lower", "upper"]
    for name in labels:
        assert_array_equal(shares[name], table[name])
    assert shares.attrs == {
        "group": "school",
        "size": "n_students",
        "prob": 0.9,
        "above": 0.8,
        "above_unit": "%",
        "unit": "%",
        "proportions": True,
    }
    assert (shares["lower"] < shares["share"]).all()
    assert (shares["share"] < shares["upper"]).all()
    assert (hbm.shares(exams, above=0.5)["share"] > shares["share"]).all()


def test_all_that_a_school_stands_in_is_named():
    table = table_for("exams").assign(zone="z")
    model = hbm.exams.nested(table, levels=("authority", "zone"))
    prior = prior_draws(model, 10)
    shares = hbm.shares(prior.assign(posterior=prior["prior"]), above=0.5)
    assert list(shares.columns[:3]) == ["school", "authority", "zone"]
    assert (shares["zone"] == "z").all()
    assert_array_equal(shares["authority"], table["authority"])


def test_extreme_effects_have_shares():
    model = build("scores.complete_pooling")
    fit = fake_fit(model, {"eta": np.full(4, 80.0), "nu": 1e9, "mu_school": 1.0, "nu_school": 1e9})
    assert_allclose(hbm.shares(fit, above=0.99)["share"], 1)


def test_the_fit_is_not_changed(exams):
    before = exams.copy(deep=True)
    hbm.shares(exams, above=0.5)
    assert exams.identical(before)


def test_refused(exams):
    with pytest.raises(ValueError, match=r"above must lie between 0 and 1, got 80; 80 % is 0\.8"):
        hbm.shares(exams, above=80)
    with pytest.raises(ValueError, match="above must lie between 0 and 1, got nan"):
        hbm.shares(exams, above=float("nan"))
    with pytest.raises(TypeError, match=r"above must be a number, got '0\.8'"):
        hbm.shares(exams, above="0.8")
    with pytest.raises(ValueError, match="above must be a finite number, got inf"):
        hbm.shares(heights(np.full((4, 4), 180.0), 6.0), above=float("inf"))
    with pytest.raises(ValueError, match="prob must lie between 0 and 1, got 95"):
        hbm.shares(exams, above=0.8, prob=95)
    with pytest.raises(TypeError, match=r"must be an xarray\.DataTree"):
        hbm.shares("fit", above=0.8)
    with pytest.raises(ValueError, match="must hold each group's raw 'mean'"):
        hbm.shares(xr.DataTree.from_dict({"posterior": exams["posterior"].to_dataset()}), above=0.8)
