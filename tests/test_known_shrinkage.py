"""Shrinkage towards "a school like this", against the algebra written out."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import xarray as xr
from fake_panels import SIZES, YEARS
from fakes import fake_fit
from known_predictors import AUTHORITIES, BETA, KNOWN, coded, fake_known, known_table
from numpy.testing import assert_allclose
from pictures import horizontal, legend_texts
from scipy.special import expit

import hbm

OF = np.repeat(np.arange(5), AUTHORITIES)


def twice(prior):
    """Return a fit of two draws that are the one draw of a prior."""
    one = prior["prior"].to_dataset().isel(draw=[0, 0]).assign_coords(draw=[0, 1])
    return prior.assign(posterior=xr.DataTree(one))


def test_a_country_is_pulled_to_what_is_expected_of_one_like_it():
    people = hbm.load_dataset("heights").assign(rich=lambda t: t["country"].isin(["1", "3"]))
    model = hbm.heights.partial_pooling(people, predictors=["rich"])
    d, x = model.description, np.array([0.5, -0.5, 0.5, -0.5])
    weight = 1 / (1 + 9 * d.n / 36)
    target = 175 + 4.0 * x
    draws = {"mu": np.full(2, 175.0), "tau_country": np.full(2, 3.0), "sigma": np.full(2, 6.0)}
    draws |= {"beta": np.full((2, 1), 4.0)}
    draws["mu_country"] = np.tile((1 - weight) * d.mean + weight * target, (2, 1))
    table = hbm.shrinkage(fake_fit(model, draws), "country")
    assert_allclose(table["target"], target)
    assert_allclose(table["pooling"], weight)
    assert_allclose(table["moved_predictors"], weight * 4 * x)
    assert_allclose(table["moved_population"], weight * (175 - d.mean))
    assert_allclose(table["moved_predictors"] + table["moved_population"], table["moved"])


def weights(draw, n):
    """Return the pooling of schools, and what they say of their authority: written out."""
    mu, nu = expit(draw["eta_school"]), np.exp(draw["log_nu_school"])
    information = n * (nu + 1) * mu * (1 - mu)
    variance = KNOWN["tau_school"] ** 2
    return 1 / (1 + information * variance), 1 / (1 / information + variance)


@pytest.fixture(scope="module")
def fit():
    return fake_known(n_draws=3)


@pytest.fixture(scope="module")
def draws(fit):
    posterior = fit["posterior"].to_dataset().isel(chain=0)
    return [{name: x.isel(draw=i).to_numpy() for name, x in posterior.items()} for i in range(3)]


def test_a_schools_way_is_split_into_predictors_authority_and_everybody(fit, draws):
    own, above = (x @ BETA for x in coded())
    n = known_table()["n_students"].to_numpy()
    expected = []
    for draw in draws:
        pooling, _ = weights(draw, n)
        everybody = expit(KNOWN["eta"])
        alike = expit(KNOWN["eta"] + own + above)
        target = expit(draw["eta_authority"][OF] + own)
        expected.append(
            [target, pooling, pooling * (alike - everybody), pooling * (target - alike)]
        )
    table = hbm.shrinkage(fit, "school")
    columns = ["target", "pooling", "moved_predictors", "moved_authority"]
    assert_allclose(table[columns].T, np.mean(expected, axis=0), rtol=1e-6)
    parts = table["moved_predictors"] + table["moved_authority"] + table["moved_population"]
    assert_allclose(parts, table["moved"])
    assert_allclose(table.filter(like="share_").sum(axis=1), 1)
    order = ["moved", "moved_predictors", "moved_authority", "moved_population", "pooling"]
    assert [c for c in table if c.startswith("moved") or c == "pooling"] == order


def test_an_authoritys_raw_mean_is_that_of_schools_of_average_predictors(fit, draws):
    own, above = (x @ BETA for x in coded())
    data = known_table()
    by_authority = pd.Series(above).groupby(OF).first()
    expected = []
    for draw in draws:
        _, says = weights(draw, data["n_students"].to_numpy())
        brought = data["mean"] + expit(draw["eta_school"] - own) - expit(draw["eta_school"])
        total = np.bincount(OF, says)
        pooling = 1 / (1 + total * KNOWN["tau_authority"] ** 2)
        alike = expit(KNOWN["eta"] + by_authority)
        expected.append(
            [
                np.bincount(OF, says * brought) / total,
                pooling,
                alike,
                pooling * (alike - expit(KNOWN["eta"])),
            ]
        )
    table = hbm.shrinkage(fit, "authority")
    columns = ["raw_mean", "pooling", "target", "moved_predictors"]
    assert_allclose(table[columns].T, np.mean(expected, axis=0), rtol=1e-6)
    assert_allclose(table["moved_predictors"] + table["moved_population"], table["moved"])


def test_without_predictors_nothing_is_split():
    model = hbm.exams.nested(known_table())
    prior = hbm.sample_prior_predictive(model, 5, random_seed=1)
    table = hbm.shrinkage(prior.assign(posterior=prior["prior"]), "school")
    assert not [c for c in table if c.startswith("moved_")]


def test_each_level_above_has_its_part():
    data = known_table().assign(
        zone=lambda t: t["authority"].map(lambda a: "n" if a in "12" else "s")
    )
    asked = {"school": ["log_n_students"], "zone": ["cold"]}
    data["cold"] = data["zone"] == "n"
    model = hbm.exams.nested(data, predictors=asked, levels=("authority", "zone"))
    prior = hbm.sample_prior_predictive(model, 1, random_seed=3)
    fit = twice(prior)
    draw = {name: x.to_numpy()[0, 0] for name, x in prior["prior"].items()}
    x = model.description.predictors.x
    zone = np.array([0, 0, 1, 1, 1])
    known = x["school"] @ draw["beta"] + (x["zone"] @ draw["beta"])[zone[OF]]
    steps = [
        np.full(11, draw["eta"]),
        draw["eta"] + known,
        draw["eta_zone"][zone[OF]] + x["school"] @ draw["beta"],
        draw["eta_authority"][OF] + x["school"] @ draw["beta"],
    ]
    table = hbm.shrinkage(fit, "school")
    for i, source in enumerate(["predictors", "zone", "authority"]):
        part = table["pooling"] * (expit(steps[i + 1]) - expit(steps[i]))
        assert_allclose(table[f"moved_{source}"], part, err_msg=source)
    above = hbm.shrinkage(fit, "authority")
    part = above["pooling"] * (
        expit(draw["eta_zone"][zone]) - expit(draw["eta"] + (x["zone"] @ draw["beta"])[zone])
    )
    assert_allclose(above["moved_zone"], part)


# Several years


@pytest.fixture(scope="module")
def panel():
    table, _ = hbm.simulate.exam_panel([3, 2, 1], SIZES, years=YEARS, random_seed=1)
    table["type"] = table["authority"].map({"1": "a", "2": "b", "3": "b"})
    asked = {"school": ["log_n_students"], "authority": ["type"]}
    model = hbm.exams.panel(table, predictors=asked)
    prior = hbm.sample_prior_predictive(model, 1, random_seed=5)
    return model.description, twice(prior)


@pytest.mark.parametrize("year", [2016, 2019])
def test_a_year_of_a_panel_leans_on_others_brought_to_its_predictors(panel, year):
    d, fit = panel
    draw = {name: x.to_numpy()[0, 0] for name, x in fit["posterior"].items()}
    at, beta = YEARS.index(year), draw["beta"]
    x, above = d.predictors.x["school"] @ beta, d.predictors.x["authority"] @ beta
    table = hbm.shrinkage(fit, "school", year=year).set_index("school")
    parent = d.levels[-1].parent
    nu = np.zeros((6, 4))
    nu[d.cells.group, d.cells.year] = draw["nu_school"]
    for s, label in enumerate(d.levels[-1].labels):
        cells = np.flatnonzero(d.cells.group == s)
        t = d.cells.year[cells]
        if at not in t:
            assert label not in table.index
            continue
        effect, n, mu = draw["eta_school"][s], d.n[cells], expit(draw["eta_school"][s, t])
        size = (n * (nu[s, t] + 1) - 1) / draw["design_effect"]
        noise = np.diag(1 / ((size + 1) * mu * (1 - mu)))
        lag = np.abs(np.subtract.outer(np.array(YEARS), np.array(YEARS)))
        covariance = draw["tau_school"] ** 2 * draw["persistence"] ** lag
        gain = covariance[at, t] @ np.linalg.inv(covariance[np.ix_(t, t)] + noise)
        shift = draw["effect_year"][at] - draw["effect_year"][t] + x[s, at] - x[s, t]
        raw = d.mean[cells] + expit(effect[t] + shift) - mu
        row = table.loc[label]
        assert_allclose(row["pooling"], 1 - gain.sum(), rtol=1e-6)
        assert_allclose(
            row["moved_years"], gain @ (raw - d.mean[cells[t == at]]), rtol=1e-5, atol=1e-9
        )
        everybody = draw["eta"] + draw["effect_year"][at]
        alike = everybody + x[s, at] + above[parent[s]]
        target = draw["eta_authority"][parent[s]] + draw["effect_year"][at] + x[s, at]
        assert_allclose(row["target"], expit(target))
        part = row["pooling"] * (expit(alike) - expit(everybody))
        assert_allclose(row["moved_predictors"], part)
        assert_allclose(row["moved_authority"], row["pooling"] * (expit(target) - expit(alike)))
    parts = table[[c for c in table if c.startswith("moved_")]]
    assert list(parts) == [f"moved_{x}" for x in ("predictors", "authority", "years", "population")]
    assert_allclose(parts.sum(axis=1), table["moved"])


def test_predictors_of_years_that_are_alike_bring_nothing(panel):
    """With coefficients of 0 an authority's raw mean is that of a panel without predictors."""
    _, fit = panel
    table, _ = hbm.simulate.exam_panel([3, 2, 1], SIZES, years=YEARS, random_seed=1)
    plain = hbm.exams.panel(table)
    posterior = fit["posterior"].to_dataset()
    names = ["beta", "gamma", "beta_contrast", "gamma_contrast"]
    kept = {name: x.to_numpy()[0] for name, x in posterior.drop_vars(names).items()}
    without = hbm.shrinkage(fake_fit(plain, kept), "authority", year=2016)
    none = posterior.assign(beta=0 * posterior["beta"])
    known = hbm.shrinkage(fit.assign(posterior=xr.DataTree(none)), "authority", year=2016)
    columns = ["raw_mean", "raw_se", "pooling"]
    pd.testing.assert_frame_equal(known[columns], without[columns])
    moved = hbm.shrinkage(fit, "authority", year=2016)
    assert np.abs(moved["raw_mean"] - without["raw_mean"]).max() > 0.001


# The pictures


@pytest.mark.parametrize(
    ("level", "label"),
    [
        ("school", "expected of a school like it\nin its authority"),
        ("authority", "expected of an authority like it"),
    ],
)
def test_the_target_is_called_what_is_expected_of_one_like_it(fit, level, label):
    table = hbm.shrinkage(fit, level)
    lost = pd.DataFrame(table.to_dict("list"))
    for each in (table, lost):
        ax = hbm.plot_shrinkage(each, unit="%")
        assert label in legend_texts(ax)
        lines = horizontal(ax)
        order = np.argsort(table["raw_mean"].to_numpy(), kind="stable")
        assert_allclose([y for _, _, y in lines], table["target"].to_numpy()[order])
        plt.close(ax.figure)


def test_the_steps_of_a_schools_target_stand_in_the_picture():
    effects = np.random.default_rng(1)
    fixed = {name: effects.normal(0.6, 0.4, n) for name, n in (("authority", 5), ("school", 11))}
    still = {f"eta_{name}": np.tile(x, (2, 1)) for name, x in fixed.items()}
    fit = fake_known(n_draws=2, log_nu_school=np.full((2, 11), 1.8), **still)
    table = hbm.shrinkage(fit, "school")
    own, above = (x @ BETA for x in coded())
    everybody = expit(KNOWN["eta"])
    target = expit(fixed["authority"][OF] + own)
    without = target - (expit(KNOWN["eta"] + own + above) - everybody)
    order = np.argsort(table["raw_mean"].to_numpy(), kind="stable")
    for each in (table, pd.DataFrame(table.to_dict("list"))):
        ax = hbm.plot_shrinkage(each, unit="%")
        ticks, across = (line.get_ydata() for line in ax.lines if len(line.get_ydata()))
        assert_allclose(ticks, without[order])
        assert_allclose(across, everybody)
        assert legend_texts(ax)[-2:] == ["… without predictors", "mean of the population"]
        plt.close(ax.figure)
    # Authorities stand in nothing: without predictors all have the mean of the population.
    ax = hbm.plot_shrinkage(hbm.shrinkage(fit, "authority"), unit="%")
    ticks, _ = (line.get_ydata() for line in ax.lines)
    assert_allclose(ticks, everybody)
    assert legend_texts(ax)[-1] == "… without predictors"
    plt.close(ax.figure)


def test_other_years_are_no_step_of_a_schools_target(panel):
    _, fit = panel
    one = fit["posterior"].to_dataset().isel(draw=[0, 0])
    # Years that are so alike lean on each other.
    like = {"persistence": 0 * one["persistence"] + 0.9, "tau_school": 0 * one["tau_school"] + 0.5}
    posterior = one.assign(like).assign_coords(draw=[0, 1])
    table = hbm.shrinkage(fit.assign(posterior=xr.DataTree(posterior)), "school", year=2016)
    draw = {name: x.to_numpy()[0, 0] for name, x in posterior.items()}
    ax = hbm.plot_shrinkage(table, unit="%")
    everybody = draw["eta"] + draw["effect_year"][YEARS.index(2016)]
    assert_allclose(ax.lines[-1].get_ydata(), expit(everybody))
    assert np.abs(table["moved_years"]).max() > 0.001
    plt.close(ax.figure)


def test_an_authority_beside_its_schools_is_said_to_be_of_average_ones(fit):
    ax = hbm.plot_nesting(hbm.shrinkage(fit, "school"), hbm.shrinkage(fit, "authority"))
    assert "authority and 95 % interval,\nof average schools" in legend_texts(ax)
    plt.close(ax.figure)
