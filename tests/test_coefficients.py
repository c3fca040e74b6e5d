"""Coefficients on the scale that people read, against numbers written out."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from fake_panels import SIZES, YEARS
from fakes import fake_fit
from known_predictors import BETA, GAMMA, KNOWN, LABELS, fake_known, known_table
from numpy.testing import assert_allclose
from pictures import coefficients_table, legend_texts, points
from scipy.special import expit

import hbm


@pytest.fixture(scope="module")
def table():
    return hbm.coefficients(fake_known(n_draws=2))


def test_rows_are_the_coefficients_of_the_mean_and_then_those_of_the_spread(table):
    assert table["predictor"].tolist() == 2 * LABELS
    assert table["of"].tolist() == 7 * ["mean"] + 7 * ["sd of students"]
    assert table["level"].tolist() == 2 * (5 * ["school"] + 2 * ["authority"])
    assert table.attrs == {"prob": 0.95, "unit": "%", "proportions": True}


def ends():
    """Return the coded ends of the steps: tenfold, false to true, average to category."""
    exams = known_table()
    half = np.log(10) / 2 / np.log(exams["n_students"]).std(ddof=0)
    share = exams["new"].mean()
    return np.array([-half, -share, 0, 0, 0, 0, 0]), np.array([half, 1 - share, 1, 1, 1, 1, 1])


def test_effects_on_means_are_differences_at_the_middle_school(table):
    start, stop = ends()
    expected = expit(KNOWN["eta"] + stop * BETA) - expit(KNOWN["eta"] + start * BETA)
    assert_allclose(table["effect"][:7], expected)
    assert_allclose(table["lower"][:7], expected)


def test_effects_on_spreads_are_differences_of_students_sds_at_its_mean(table):
    start, stop = ends()
    mu = expit(KNOWN["eta"])
    sds = [np.sqrt(mu * (1 - mu) / (1 + KNOWN["nu"] * np.exp(x * GAMMA))) for x in (start, stop)]
    assert_allclose(table["effect"][7:], sds[1] - sds[0])
    # A larger nu is a smaller spread.
    assert (np.sign(table["effect"][7:]) == -np.sign(GAMMA)).all()


def test_steps_say_from_where_to_where(table):
    middle = np.exp(np.log(known_table()["n_students"]).mean())
    low, high = (f"{middle * factor:.3g}" for factor in (10**-0.5, 10**0.5))
    steps = table["step"][:7].tolist()
    assert steps[0] == f"tenfold: {low} to {high}"
    assert steps[1:3] == ["true against false", "against the average of all"]


def test_a_number_is_told_by_one_sd_about_its_average():
    exams = known_table().assign(fees=np.arange(11) ** 2 * 1000.0)
    model = hbm.exams.partial_pooling(exams, predictors=["fees"])
    draws = {name: np.full(2, KNOWN[name]) for name in ("eta", "tau_school", "nu", "tau_nu")}
    draws |= {"beta": np.full((2, 1), 0.5), "gamma": np.zeros((2, 1))}
    draws |= {"eta_school": np.zeros((2, 11)), "mu_school": np.zeros((2, 11))}
    found = hbm.coefficients(fake_fit(model, draws | {"nu_school": np.ones((2, 11))}))
    centre, sd = exams["fees"].mean(), exams["fees"].std(ddof=0)
    assert found["step"][0] == f"one sd: {centre - sd / 2:,.0f} to {centre + sd / 2:,.0f}"
    assert_allclose(found["effect"][0], expit(0.6 + 0.25) - expit(0.6 - 0.25))


def test_intervals_and_probabilities_are_of_draws():
    beta = np.random.default_rng(1).normal(0.1, 0.2, (400, 7))
    found = hbm.coefficients(fake_known(n_draws=400, beta=beta), prob=0.5)
    half = np.log(10) / 2 / np.log(known_table()["n_students"]).std(ddof=0)
    draws = expit(0.6 + half * beta[:, 0]) - expit(0.6 - half * beta[:, 0])
    row = found.loc[0]
    assert_allclose(
        row[["effect", "lower", "upper"]].astype(float),
        [draws.mean(), *np.quantile(draws, [0.25, 0.75])],
    )
    assert row["p_positive"] == (beta[:, 0] > 0).mean()


def test_heights_differ_by_the_coefficient_itself():
    people = hbm.load_dataset("heights").assign(rich=lambda t: t["country"].isin(["1", "3"]))
    model = hbm.heights.partial_pooling(people, predictors=["rich"])
    draws = {"mu": np.full(2, 175.0), "tau_country": np.ones(2), "sigma": np.ones(2)}
    draws |= {"beta": np.full((2, 1), 4.5), "mu_country": np.full((2, 4), 175.0)}
    found = hbm.coefficients(fake_fit(model, draws))
    assert found[["predictor", "of", "effect"]].to_numpy().tolist() == [["rich", "mean", 4.5]]
    assert found.attrs["unit"] == "cm"


def test_a_panels_middle_is_of_an_average_year():
    exams, _ = hbm.simulate.exam_panel([3, 2, 1], SIZES, years=YEARS, random_seed=1)
    model = hbm.exams.panel(exams, predictors=["log_n_students"])
    prior = hbm.sample_prior_predictive(model, 1, random_seed=1)
    posterior = prior["prior"].to_dataset()
    found = hbm.coefficients(prior.assign(posterior=prior["prior"]))
    middle = (posterior["eta"] + posterior["effect_year"].mean()).item()
    log_n = np.log(exams["n_students"])
    step = posterior["beta"].item() * np.log(10) / 2 / log_n.std(ddof=0)
    assert_allclose(found["effect"][0], expit(middle + step) - expit(middle - step))


def test_a_model_without_predictors_is_refused():
    model = hbm.exams.partial_pooling(known_table())
    prior = hbm.sample_prior_predictive(model, 5, random_seed=1)
    with pytest.raises(ValueError, match=r"has no predictors, .* predictors=, such as \('log_n_s"):
        hbm.coefficients(prior.assign(posterior=prior["prior"]))


# The picture


def test_each_predictor_has_a_row_with_both_differences():
    shown = coefficients_table(3)
    ax = hbm.plot_coefficients(shown.sample(frac=1, random_state=2))
    x, y, _, colour = points(ax)
    assert_allclose(x, np.sort(shown["effect"]))
    rows = [label.get_text() for label in ax.get_yticklabels()]
    assert "log n 0001\ntenfold: 4 to 40" in rows
    by_effect = shown.sort_values("effect")
    names = "log n " + by_effect["predictor"].str[-4:] + "\n" + by_effect["step"]
    assert [rows[round(place)] for place in y] == names.tolist()
    assert len(set(colour[(by_effect["of"] == "mean").to_numpy()])) == 1
    assert set(legend_texts(ax)) == {"mean, 90 % interval", "sd of students, 90 % interval"}
    assert ax.get_xlabel() == "Difference (points of a hundred)"
    plt.close(ax.figure)


def test_a_table_from_a_file_can_be_drawn():
    lost = pd.DataFrame(coefficients_table(2).to_dict("list"))
    ax = hbm.plot_coefficients(lost, unit="cm", prob=0.8)
    assert ax.get_xlabel() == "Difference (cm)"
    assert "mean, 80 % interval" in legend_texts(ax)
    plt.close(ax.figure)
    with pytest.raises(ValueError, match="no column 'step'"):
        hbm.plot_coefficients(lost.drop(columns="step"))
