"""What predictors explain of the variance between groups, against sums written out."""

import numpy as np
import pandas as pd
import pytest
from fakes import fake_fit
from known_predictors import (
    BETA,
    GAMMA,
    KNOWN,
    SIZES,
    coded,
    fake_known,
    known_model,
    known_table,
)
from numpy.testing import assert_allclose
from scipy.special import expit

import hbm

Z, W = np.polynomial.hermite_e.hermegauss(61)
W = W / W.sum()


def written_out(excess):
    """Return what a student's variance is made of: predictors, authority, school, cohort, own."""
    x = sum(coded())
    away = KNOWN["eta"] + x @ BETA
    mean = expit(
        away[:, None, None] + KNOWN["tau_authority"] * Z[:, None] + KNOWN["tau_school"] * Z
    )
    given_authority = mean @ W
    given_predictors = given_authority @ W
    parts = [
        given_predictors.var(),
        ((given_authority**2) @ W - given_predictors**2).mean(),
        ((mean**2) @ W @ W - (given_authority**2) @ W).mean(),
    ]
    n = np.array(SIZES, float)
    nu = KNOWN["nu"] * np.exp((x @ GAMMA)[:, None] + KNOWN["tau_nu"] * Z)
    trials = (n[:, None] * (nu + 1) + excess) / (1 + excess)
    of_cohort_mean = ((mean * (1 - mean)) @ W @ W) * ((1 / trials) @ W)
    weight = n / n.sum()
    return np.array(
        [
            *parts,
            weight @ of_cohort_mean * excess / (1 + excess),
            weight @ (n * of_cohort_mean) / (1 + excess),
        ]
    )


@pytest.mark.parametrize("excess", [0.0, 0.7])
def test_shares_are_those_written_out(excess):
    table = hbm.variance_shares(fake_known(n_draws=2, design_effect=np.full(2, 1 + excess)))
    expected = written_out(excess)
    assert table["level"].tolist() == ["predictors", "authority", "school", "cohort", "student"]
    assert_allclose(table["sd"] ** 2, expected, rtol=1e-4, atol=1e-12)
    assert_allclose(table["share"], expected / expected.sum(), rtol=1e-4, atol=1e-12)
    assert expected[0] > 0.05 * expected.sum()


def test_independent_students_have_no_cohort():
    model = known_model(design_effect=1)
    table = hbm.variance_shares(fake_known(model, n_draws=2))
    assert_allclose(table["sd"] ** 2, np.delete(written_out(0.0), 3), rtol=1e-4)


def test_predictors_without_effects_leave_the_levels_as_they_are():
    drawn = {"n_draws": 3, "design_effect": np.full(3, 1.5)}
    none = {"beta": np.zeros((1, 7)), "gamma": np.zeros((1, 7))}
    table = hbm.variance_shares(fake_known(**drawn, **none))
    plain = hbm.exams.nested(known_table())
    posterior = fake_known(**drawn)["posterior"].to_dataset()
    kept = posterior.drop_vars(["beta", "gamma", "beta_contrast", "gamma_contrast"])
    without = fake_fit(plain, {name: x.to_numpy()[0] for name, x in kept.items()})
    assert table["share"][0] == pytest.approx(0, abs=1e-12)
    pd.testing.assert_frame_equal(
        table[1:].reset_index(drop=True), hbm.variance_shares(without), rtol=1e-9
    )


def test_a_draw_counts_for_itself():
    beta = np.stack([BETA, 2 * BETA])
    table = hbm.variance_shares(fake_known(n_draws=2, beta=beta))
    one, two = (hbm.variance_shares(fake_known(n_draws=1, beta=b[None]))["sd"] for b in beta)
    assert_allclose(table["sd"], (one + two) / 2, rtol=1e-6, atol=1e-6)
    assert two[0] > 1.5 * one[0]


def test_heights_explained_are_the_variance_of_what_is_expected():
    table = hbm.load_dataset("heights").assign(latitude=lambda t: t["country"].map(ord) ** 2.0)
    model = hbm.heights.partial_pooling(table, predictors=["latitude"])
    countries = table.drop_duplicates("country")["latitude"]
    x = (countries - countries.mean()) / countries.std(ddof=0)
    fit = fake_fit(
        model,
        {
            "mu": np.full(2, 175.0),
            "tau_country": np.full(2, 3.0),
            "sigma": np.full(2, 6.0),
            "beta": np.full((2, 1), 4.0),
            "beta_contrast": np.full((2, 1), 4.0),
            "mu_country": np.full((2, 4), 175.0),
        },
    )
    found = hbm.variance_shares(fit)
    assert found["level"].tolist() == ["predictors", "country", "person"]
    assert_allclose(found["sd"], [4 * x.std(ddof=0), 3, 6])
