"""Panels drawn on to other years: against closed forms, from fits whose draws are chosen."""

import functools
import re

import numpy as np
import pandas as pd
import pytest
from fakes import fake_fit
from scipy.special import expit, logit

import hbm
from hbm.results.forward import bridge
from hbm.students.beta import BETA

# 4.5 standard errors: seven in a million, were it Normal.
SIGMAS = 4.5
N_DRAWS = 8_000
YEARS = [2015, 2016, 2018]  # none in 2017
SIZES = [[20, 0, 30], [12, 15, 0], [40, 41, 42], [5, 6, 7]]  # by school and year
ETA, RHO, TAU, TAU_YEAR, TAU_AUTHORITY = 0.5, 0.8, 0.4, 0.15, 0.3
OF_AUTHORITY = np.array([0.2, 0.9])
OF_YEAR = np.array([0.1, -0.2, 0.05])
# A school's own deviation by year; schools 1 to 3 stand in authority 1, school 4 in authority 2.
OWN = np.array([[0.3, 0.2, 0.5], [-0.4, -0.3, -0.1], [0.0, 0.1, -0.2], [0.6, 0.2, -0.6]])
AUTHORITY = np.array([0, 0, 0, 1])
EFFECT = OF_AUTHORITY[AUTHORITY][:, None] + OF_YEAR + OWN


def panel_table():
    return hbm.simulate.exam_panel([3, 1], SIZES, years=YEARS, random_seed=1)[0]


@pytest.fixture(scope="module")
def panel():
    """Return a panel's model and a fit in which nothing is uncertain but what is to come."""
    model = hbm.exams.panel(panel_table())
    spread = np.linspace(1.5, 2.5, len(model.coords["cell"]))
    fixed = {
        "eta": ETA,
        "mu": expit(ETA),
        "tau_year": TAU_YEAR,
        "tau_authority": TAU_AUTHORITY,
        "tau_school": TAU,
        "persistence": RHO,
        "nu": 8.0,
        "tau_nu": 0.25,
        "design_effect": 1.5,
        "effect_year": OF_YEAR,
        "eta_authority": OF_AUTHORITY,
        "mu_authority": expit(OF_AUTHORITY),
        "eta_school": EFFECT,
        "mu_school": expit(EFFECT),
        "log_nu_school": spread,
        "nu_school": np.exp(spread),
    }
    draws = {name: np.broadcast_to(v, (N_DRAWS, *np.shape(v))) for name, v in fixed.items()}
    return model, fake_fit(model, draws)


def rows(*cells, n=10):
    """Make a table of (school, authority, year)."""
    table = pd.DataFrame(cells, columns=["school", "authority", "year"])
    return table.assign(n_students=n)


def effects(panel, table, **settings):
    """Predict, and return the effects: shape (n_draws, n_rows)."""
    tree = hbm.predict(*panel, table, random_seed=1, **settings)
    return logit(tree["predictions"]["mu_school"].to_numpy().reshape(-1, len(table)))


def assert_moments(values, mean, covariance):
    """Check mean and covariance of draws of a Normal, (n_draws, k), by their Monte Carlo error."""
    n, variance = len(values), np.diag(covariance)
    assert (abs(values.mean(axis=0) - mean) < SIGMAS * np.sqrt(variance / n) + 1e-9).all()
    error = np.sqrt((np.outer(variance, variance) + covariance**2) / n)
    assert (abs(np.cov(values.T) - covariance) < SIGMAS * error + 1e-9).all()


def chain_given(years, known, values):
    """Mean and covariance of a stationary chain in some years, given it in others."""
    every = np.array([*years, *known])
    covariance = TAU**2 * RHO ** abs(every[:, None] - every)
    k = len(years)
    gain = covariance[:k, k:] @ np.linalg.inv(covariance[k:, k:])
    return gain @ values, covariance[:k, :k] - gain @ covariance[k:, :k]


@pytest.mark.parametrize(
    ("years", "known"),
    [
        ([2013, 2014, 2017, 2019, 2022], YEARS),
        ([2016, 2017], [2014, 2019]),
        ([2019, 2021], [2018]),
        ([2010, 2012], [2015]),
        ([2015, 2016, 2019], []),
    ],
)
def test_a_chain_is_that_of_its_joint_normal(years, known):
    values = np.array([0.3, -0.5, 0.7])[: len(known)]
    drawn = bridge(
        years,
        {year: np.full((N_DRAWS, 1), v) for year, v in zip(known, values, strict=True)},
        np.full(N_DRAWS, RHO),
        np.full(N_DRAWS, TAU),
        1,
        np.random.default_rng(1),
    )
    assert list(drawn) == years
    assert_moments(np.hstack(list(drawn.values())), *chain_given(years, known, values))


@pytest.mark.parametrize("rho", [1.0, 1e-300])
def test_a_chain_that_lasts_for_ever_or_not_at_all(rho):
    one, sd = np.ones((3, 1)), np.full(3, TAU)
    drawn = bridge([2016, 2018], {2015: one, 2017: one}, np.full(3, rho), sd, 1, _Ones())
    np.testing.assert_allclose(np.hstack(list(drawn.values())), 1.0 if rho == 1 else TAU, 1e-5)


class _Ones:
    """In place of a generator."""

    def standard_normal(self, shape):
        return np.ones(shape)


def test_years_of_the_fit_are_the_posterior_s(panel):
    model, fit = panel
    table = panel_table()
    without = rows(("1", "1", 2016), ("2", "1", 2018))  # no results, and so no cell
    table = pd.concat([table, without], ignore_index=True)
    predictions = hbm.predict(model, fit, table, random_seed=1)["predictions"]
    year = [YEARS.index(x) for x in table["year"]]
    expected = expit(EFFECT[table["school"].astype(int) - 1, year])
    np.testing.assert_allclose(predictions["mu_school"][0], [expected] * N_DRAWS, atol=1e-12)
    posterior = fit["posterior"].to_dataset()
    for label in model.coords["cell"]:
        known = posterior["nu_school"].sel(cell=label).to_numpy()
        np.testing.assert_array_equal(predictions["nu_school"].sel(cell=label), known)
    for label in ("1 2016", "2 2018"):
        log_nu = np.log(predictions["nu_school"].sel(cell=label).to_numpy().reshape(-1, 1))
        assert_moments(log_nu, np.log(8), np.array([[0.25**2]]))


def test_next_years_are_drawn_forward(panel):
    years = [2019, 2021]
    x = effects(panel, rows(("1", "1", 2019), ("1", "1", 2021)))
    mean, covariance = chain_given(years, [2018], OWN[0, 2:])
    assert_moments(x, OF_AUTHORITY[0] + mean, covariance + TAU_YEAR**2 * np.eye(2))


def test_earlier_years_and_years_between(panel):
    years = [2013, 2017]
    x = effects(panel, rows(("4", "2", 2017), ("4", "2", 2013)))[:, ::-1]
    mean, covariance = chain_given(years, YEARS, OWN[3])
    assert_moments(x, OF_AUTHORITY[1] + mean, covariance + TAU_YEAR**2 * np.eye(2))


def test_a_new_year_is_the_same_for_all_schools(panel):
    x = effects(panel, rows(("1", "1", 2019), ("4", "2", 2019), ("4", "2", 2020)))
    assert abs(np.cov(x.T)[0, 1] - TAU_YEAR**2) < SIGMAS * np.prod(x[:, :2].std(axis=0)) / np.sqrt(
        N_DRAWS / 2
    )
    assert abs(np.corrcoef(x.T)[0, 2]) < SIGMAS / np.sqrt(N_DRAWS)


def test_new_schools_are_chains_around_their_authority(panel):
    # Of a known year and a new one; of a known authority, and two of a new one.
    cells = [
        (school, a, y) for school, a in (("a", "1"), ("b", "X"), ("c", "X")) for y in (2018, 2019)
    ]
    x = effects(panel, rows(*cells))
    known = np.tile([True, False], 3)
    mean = np.where(known, OF_YEAR[2], 0) + np.repeat([OF_AUTHORITY[0], ETA, ETA], 2)
    school = np.repeat(np.arange(3), 2)
    same = school[:, None] == school
    covariance = same * TAU**2 * RHO ** (known[:, None] != known)
    covariance = covariance + TAU_YEAR**2 * (~known[:, None] & ~known)
    covariance = covariance + TAU_AUTHORITY**2 * ((school[:, None] > 0) & (school > 0))
    assert_moments(x, mean, covariance)


@pytest.mark.parametrize("mean", [0.62, 0.999, 0.001])
def test_a_year_s_mean_is_met_in_each_draw(panel, mean):
    n = np.array([5, 40, 10, 1])
    cells = [("1", "1", 2019), ("4", "2", 2019), ("new", "X", 2019), ("1", "1", 2020)]
    table = rows(*cells).assign(n_students=n)
    drawn, given = effects(panel, table), effects(panel, table, year_means={2019: mean})
    weights = n[:3] / n[:3].sum()
    np.testing.assert_allclose(expit(given[:, :3]) @ weights, mean, atol=1e-9)
    # Schools differ as they did, and the other year is what it was.
    np.testing.assert_allclose(np.diff(given[:, :3]), np.diff(drawn[:, :3]), atol=1e-6)
    np.testing.assert_array_equal(given[:, 3], drawn[:, 3])


def test_next_cohort_is_made_of_clustered_students(panel):
    n = 15
    predictions = hbm.predict(*panel, rows(("2", "1", 2019), n=n), random_seed=1)["predictions"]
    mu, nu, mean = (predictions[x].to_numpy().ravel() for x in ("mu_school", "nu_school", "mean"))
    z = (mean - mu) / np.sqrt(BETA.mean_variance(n, mu, nu, 0.5))
    assert abs(z.mean()) < SIGMAS / np.sqrt(N_DRAWS)
    assert abs((z**2).mean() - 1) < SIGMAS * (z**2).std() / np.sqrt(N_DRAWS)


def test_predictions_are_labelled_by_school_and_year(panel):
    table = rows(("1", "1", 2020), ("new", "X", 2018), ("1", "1", 2018)).assign(
        n_students=[3, 1, 5]
    )
    before = table.copy(deep=True)
    tree = hbm.predict(*panel, table, random_seed=1)
    pd.testing.assert_frame_equal(table, before)
    for group in ("predictions", "predictions_constant_data"):
        assert tree[group]["cell"].to_numpy().tolist() == ["1 2020", "new 2018", "1 2018"]
        assert tree[group]["school"].to_numpy().tolist() == ["1", "new", "1"]
        assert tree[group]["year"].to_numpy().tolist() == [2020, 2018, 2018]
    assert tree["predictions"]["mean"].dims == ("chain", "draw", "cell")
    constant = tree["predictions_constant_data"]
    assert constant["n_students"].to_numpy().tolist() == [3, 1, 5]
    assert constant["known"].to_numpy().tolist() == [True, False, True]
    assert np.isnan(tree["predictions"]["sd"].sel(cell="new 2018")).all()


def test_evaluate_holds_the_same_draws_against_what_came(panel):
    table = panel_table()
    following = table[table["year"] == 2018].assign(year=2019)
    mean = float(np.average(following["mean"], weights=following["n_students"]))
    for given in (None, {2019: mean}):
        found = hbm.evaluate(*panel, following, year_means=given, random_seed=3)
        predictions = hbm.predict(*panel, following, year_means=given, random_seed=3)["predictions"]
        draws = predictions["mean"].to_numpy().reshape(-1, len(following))
        assert found["school"].tolist() == following["school"].tolist()
        assert found["year"].tolist() == [2019] * len(following)
        np.testing.assert_allclose(found["predicted"], draws.mean(axis=0))
        low, high = np.quantile(draws, [0.055, 0.945], axis=0)
        inside = (following["mean"].to_numpy() >= low) & (following["mean"].to_numpy() <= high)
        assert found["inside_89"].tolist() == inside.tolist()
    bands = hbm.by_band(found)
    assert bands.loc["all", "groups"] == len(following)
    n = following["n_students"].to_numpy()
    mu, nu = (predictions[x].to_numpy().reshape(-1, len(n)) for x in ("mu_school", "nu_school"))
    density = np.exp(BETA.mean_logp(following["mean"].to_numpy(), n, mu, nu, 0.5)).mean(axis=0)
    np.testing.assert_allclose(found["log_score_mean"], np.log(density))


def test_evaluate_takes_several_years(panel):
    table = panel_table()
    found = hbm.evaluate(*panel, table, random_seed=1)
    assert found[["school", "year"]].equals(table[["school", "year"]])
    assert found["known"].all()


TWO = rows(("1", "1", 2019), ("new", "1", 2019))


@pytest.mark.parametrize(
    ("table", "match"),
    [
        (TWO.drop(columns="year"), "no column 'year'"),
        (
            TWO.assign(school="1"),
            "each school must have one row a year; there are more of '1' in 2019",
        ),
        (TWO.assign(year=2019.5), "'year' must hold years, whole numbers"),
        (TWO.assign(n_students=[0, 4]), "'1' in 2019 has 0"),
        (TWO.assign(authority="2"), "'1' is under '2' and was under '1'. Give it that authority"),
        (TWO.assign(school=["01", "2"]), "labels that the fit knows, .*: '01' for '1'"),
        (rows(("a", "1", 2018), ("a", "2", 2019)), "'a' in '1' and '2'"),
    ],
)
def test_tables_that_are_refused(panel, table, match):
    with pytest.raises(ValueError, match=match):
        hbm.predict(*panel, table)


@pytest.mark.parametrize(
    ("means", "kind", "match"),
    [
        (0.6, TypeError, "must map years to the means of their individuals"),
        ({2018: 0.6}, ValueError, "year 2018, whose effect the fit knows"),
        ({2020: 0.6}, ValueError, r"year 2020, which the table has no rows of; it has \[2019\]"),
        ({"2019": 0.6}, ValueError, "year '2019', which the table has no rows of"),
        ({2019: "0.6"}, TypeError, "the mean of year 2019 must be a number, got '0.6'"),
        ({2019: 63.9}, ValueError, r"between 0 and 1 \(divide percentages by 100\), got 63.9"),
        ({2019: float("nan")}, ValueError, "between 0 and 1"),
        ({2019: 1}, ValueError, "between 0 and 1"),
    ],
)
@pytest.mark.parametrize("function", [hbm.predict, hbm.evaluate])
def test_year_means_that_are_refused(panel, function, means, kind, match):
    with pytest.raises(kind, match=match):
        function(*panel, TWO.assign(mean=0.6), year_means=means)


def test_a_fit_of_one_year_takes_no_year_means():
    table = panel_table().query("year == 2018")
    model = hbm.exams.panel(table)
    names = ["eta", "tau_authority", "tau_school", "nu", "tau_nu"]
    learned = dict.fromkeys(names, 0.5) | {
        "eta_authority": np.zeros((9, 2)),
        "mu_school": np.full((9, 3), 0.5),
        "eta_school": np.zeros((9, 3)),
        "log_nu_school": np.ones((9, 3)),
        "nu_school": np.ones((9, 3)),
    }
    fit = fake_fit(model, learned)
    with pytest.raises(ValueError, match=re.escape("fits of several years, of hbm.exams.panel")):
        hbm.predict(model, fit, table, year_means={2019: 0.6})
    assert hbm.predict(model, fit, table)["predictions"]["mean"].dims == ("chain", "draw", "school")


def test_predicted_cohorts_are_as_clustered_as_the_fit_says(panel):
    """The variance of cohorts' means, next to that of independent students, is the design effect.

    By school and year, known and to come: each has a mean and a spread that do not vary here.
    """
    model, fit = panel
    n = 25
    table = rows(("1", "1", 2015), ("2", "1", 2016), ("4", "2", 2018), n=n)
    predictions = hbm.predict(model, fit, table, random_seed=2)["predictions"]
    mu, nu, mean = (predictions[x].to_numpy()[0] for x in ("mu_school", "nu_school", "mean"))
    assert not mu.std(axis=0).max() > 1e-12
    independent = mu * (1 - mu) / (n * (nu + 1))
    ratio = mean.var(axis=0, ddof=1) / independent[0]
    kurtosis = ((mean - mean.mean(axis=0)) ** 4).mean(axis=0) / mean.var(axis=0) ** 2
    error = ratio * np.sqrt((kurtosis - 1) / N_DRAWS)
    assert (abs(ratio - 1.5) < SIGMAS * error).all()


@pytest.mark.calibration
@pytest.mark.filterwarnings("ignore::hbm.ConvergenceWarning")
def test_the_next_years_means_lie_in_their_intervals_as_often_as_said():
    """Parameters from the prior, students one by one, the last of five years predicted."""
    priors = hbm.exams.Priors(eta_mean=0.6, nu_median=8, nu_log_sd=0.5)
    sizes = np.array([3, 22, 70, 9, 120, 5, 15, 7, 35, 4, 90, 12])
    rng, years = np.random.default_rng(20261129), range(2015, 2020)
    tables = {
        i: hbm.simulate.exam_panel(
            [5, 4, 2, 1], sizes, years=years, **priors.draw(rng, panel=True), random_seed=rng
        )[0]
        for i in range(80)
    }
    each = hbm.sample_each(
        functools.partial(hbm.exams.panel, priors=priors),
        {i: table[table["year"] < 2019] for i, table in tables.items()},
        draws=500,
        tune=400,
        chains=2,
        random_seed=1,
        progressbar=False,
    )
    assert not each.errors
    found = pd.concat(
        hbm.evaluate(model, fit, tables[i][tables[i]["year"] == 2019], random_seed=1).assign(set=i)
        for i, (model, fit) in each.fits.items()
    )
    for band, rows in (
        ("all", found),
        ("small", found[found["n_students"] < 15]),
        ("large", found[found["n_students"] >= 70]),
    ):
        for name, nominal in (("inside_50", 0.5), ("inside_89", 0.89)):
            # Schools of one table share parameters and the year's effect.
            by_set = rows.groupby("set")[name].mean()
            z = (by_set.mean() - nominal) / by_set.sem()
            print(band, name, round(by_set.mean(), 3), round(by_set.sem(), 3))
            assert abs(z) < 3.5, (band, name, by_set.mean(), by_set.sem())
