"""Reliability of a panel with predictors, against sums written out for one draw."""

import numpy as np
import pytest
import xarray as xr
from fake_panels import SIZES, YEARS
from fakes import fake_fit
from numpy.testing import assert_allclose
from scipy.special import expit

import hbm

Z, W = np.polynomial.hermite_e.hermegauss(31)
W = W / W.sum()
ONE = {"eta": 0.6, "tau_year": 0.1, "tau_authority": 0.25, "tau_school": 0.4, "persistence": 0.8}
ONE |= {"nu": 6.0, "tau_nu": 0.3, "design_effect": 1.7}
BETA = np.array([0.3, 0.5, -0.5])
GAMMA = np.array([-0.2, 0.1, -0.1])


@pytest.fixture(scope="module")
def table():
    table, _ = hbm.simulate.exam_panel([3, 2, 1], SIZES, years=YEARS, random_seed=1)
    return table.assign(type=table["authority"].map({"1": "a", "2": "b", "3": "b"}))


@pytest.fixture(scope="module")
def fit(table):
    asked = {"school": ["log_n_students"], "authority": ["type"]}
    model = hbm.exams.panel(table, predictors=asked)
    posterior = hbm.sample_prior_predictive(model, 1, random_seed=5)["prior"].to_dataset()
    draws = {name: np.repeat(x.to_numpy()[0], 2, axis=0) for name, x in posterior.items()}
    draws |= {name: np.full(2, x) for name, x in ONE.items()}
    draws |= {"beta": np.tile(BETA, (2, 1)), "gamma": np.tile(GAMMA, (2, 1))}
    draws["effect_year"] = np.tile([0.1, -0.2, 0.05, 0.25], (2, 1))
    return fake_fit(model, draws)


@pytest.mark.parametrize("n", [8, 60])
def test_parts_of_a_size_are_those_written_out(table, fit, n):
    log_n = np.log(table["n_students"])
    size = (np.log(n) - log_n.mean()) / log_n.std(ddof=0)
    share = (table["type"] == "a").mean()
    weight = np.array([share, 1 - share])
    away = BETA[0] * size + BETA[1:]
    centre = ONE["eta"] + np.mean([0.1, -0.2, 0.05, 0.25]) + away
    rho = ONE["persistence"]

    def parts(kept):
        sds = ONE["tau_authority"], kept * 0.4, np.sqrt(1 - kept**2) * 0.4
        x = centre[:, None, None, None] + sds[0] * Z[:, None, None] + sds[1] * Z[:, None]
        mean = expit(x + sds[2] * Z)
        down = [mean, mean @ W, mean @ W @ W, mean @ W @ W @ W]
        squares = []
        for each in down:
            squared = each**2
            while squared.ndim > 1:
                squared = squared @ W
            squares.append(weight @ squared)
        squares.append((weight @ down[-1]) ** 2)
        return mean, -np.diff(squares)[::-1]

    mean, variances = parts(rho)
    within = (mean * (1 - mean)) @ W @ W @ W
    nu = ONE["nu"] * np.exp((GAMMA[0] * size + GAMMA[1:])[:, None] + 0.3 * Z)
    trials = (n * (nu + 1) - 1) / 1.7
    own = weight @ (within * ((1 / (trials + 1)) @ W))
    total = variances.sum() + own
    found = hbm.reliability(fit, n=[n]).iloc[0]
    assert_allclose(found["sd"], np.sqrt(total), rtol=1e-5)
    names = [f"share_{x}" for x in ("predictors", "authority", "lasting", "passing")]
    assert_allclose(found[names].astype(float), variances / total, rtol=1e-4)
    assert_allclose(found["share_cohort"], own / total * 0.7 / 1.7, rtol=1e-5)
    assert_allclose(found["share_student"], own / total / 1.7, rtol=1e-5)
    common = parts(np.sqrt(rho))[1][:-1].sum()
    assert_allclose(found["correlation"], common / total, rtol=1e-5)


def test_predictors_without_effects_leave_the_parts_as_they_are(table, fit):
    posterior = fit["posterior"].to_dataset()
    none = posterior.assign(beta=0 * posterior["beta"], gamma=0 * posterior["gamma"])
    found = hbm.reliability(fit.assign(posterior=xr.DataTree(none)))
    names = ["beta", "gamma", "beta_contrast", "gamma_contrast"]
    kept = {name: x.to_numpy()[0] for name, x in posterior.drop_vars(names).items()}
    plain = hbm.reliability(fake_fit(hbm.exams.panel(table), kept))
    assert_allclose(found.pop("share_predictors"), 0, atol=1e-12)
    assert_allclose(found, plain, rtol=1e-8)
