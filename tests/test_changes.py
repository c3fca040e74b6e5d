"""Changes between two years: raw and estimated, how much is noise, and which can be named."""

import numpy as np
import pandas as pd
import pytest
from fake_panels import SIZES, YEARS, fake_panel
from fakes import fake_fit
from numpy.testing import assert_allclose, assert_array_equal
from scipy.special import expit
from scipy.stats import norm

import hbm
from hbm.results.changes import _named

FIXED = {
    "eta": 0.6,
    "tau_year": 0.2,
    "tau_school": 0.4,
    "persistence": 0.8,
    "design_effect": 2.5,
}


@pytest.fixture(scope="module")
def fit():
    return fake_panel(**FIXED)


def of(fit, name):
    """Return draws by label: one column a draw."""
    return fit["posterior"][name].isel(chain=0)


def cell(fit, name, school, year):
    data = fit["constant_data"] if name in fit["constant_data"] else fit["posterior"]
    return data[name].sel(cell=f"{school} {year}").to_numpy().reshape(-1)


@pytest.mark.parametrize(("since", "until"), [(2016, 2019), (2015, 2018), (2018, 2019)])
@pytest.mark.parametrize("absolute", [False, True])
def test_changes_are_those_of_each_draw(fit, since, until, absolute):
    table = hbm.changes(fit, "school", since=since, until=until, absolute=absolute, prob=0.8)
    cells = fit["constant_data"]["cell"].to_numpy().tolist()
    there = [s for s in map(str, range(1, 7)) if {f"{s} {since}", f"{s} {until}"} <= set(cells)]
    assert table["school"].tolist() == there
    assert table.attrs["n_left_out"] == 6 - len(there)
    for row in table.itertuples():
        eta = [of(fit, "eta_school").sel(school=row.school, year=y).to_numpy() for y in YEARS]
        eta = dict(zip(YEARS, eta, strict=True))
        of_year = {y: of(fit, "effect_year").sel(year=y).to_numpy() for y in (since, until)}
        whole = expit(eta[until]) - expit(eta[since])
        half = (of_year[until] - of_year[since]) / 2
        net = expit(eta[until] - half) - expit(eta[since] + half)
        draws = whole if absolute else net
        found = [row.change, row.sd, row.lower, row.upper, row.p_rose, row.year_change]
        expected = [draws.mean(), draws.std(ddof=1), *np.quantile(draws, [0.1, 0.9])]
        assert_allclose(found, [*expected, (draws > 0).mean(), (whole - net).mean()])
        raw = [cell(fit, "mean", row.school, y).item() for y in (since, until)]
        assert_allclose([row.raw_since, row.raw_until], raw)
        by_year = 0 if absolute else (whole - net).mean()
        assert_allclose(row.raw_change, raw[1] - raw[0] - by_year)
        sizes = [cell(fit, "n_students", row.school, y).item() for y in (since, until)]
        assert [row.n_students_since, row.n_students_until] == sizes


def test_noise_and_its_part_of_a_raw_change(fit):
    """A gap of two years counts as two, and a year's own variance where changes are absolute."""
    for absolute in (False, True):
        table = hbm.changes(fit, "school", since=2016, until=2018, absolute=absolute)
        for row in table.itertuples():
            noise, slopes = 0, []
            for year in (2016, 2018):
                mu = of(fit, "mu_school").sel(school=row.school, year=year).to_numpy()
                nu = cell(fit, "nu_school", row.school, year)
                n = cell(fit, "n_students", row.school, year)
                # A Beta of sample size N has the variance mu (1 - mu) / (N + 1).
                noise = noise + mu * (1 - mu) / ((n * (nu + 1) - 1) / 2.5 + 1)
                slopes.append(mu * (1 - mu))
            covariance = 0.4**2 * np.array([[1, 0.8**2], [0.8**2, 1]])
            covariance += 0.2**2 * np.eye(2) * absolute
            b = np.array([-slopes[0], slopes[1]])
            own = np.einsum("id,ij,jd->d", b, covariance, b)
            assert_allclose(row.raw_se, np.sqrt(noise.mean()))
            assert_allclose(row.pooling, (noise / (noise + own)).mean())


def test_pooling_is_what_is_lost_of_a_raw_change_of_the_story():
    """Regress true changes on raw ones: the slope is the weight of the raw change."""
    story = {"mu": 0.65, "tau_school": 0.4, "persistence": 0.7, "nu": 6.0, "design_effect": 1.8}
    rest = {"tau_year": 0.0, "tau_authority": 0.0, "tau_nu": 0.0}
    table, truth = hbm.simulate.exam_panel(
        [1] * 4000, 25, years=[2018, 2019], random_seed=1, **story, **rest
    )
    raw = table.pivot_table(index="school", columns="year", values="mean").diff(axis=1)[2019]
    own = truth.pivot_table(index="school", columns="year", values="school_mean").diff(axis=1)[2019]
    slope = (raw @ own) / (raw @ raw)
    error = np.sqrt(((own - slope * raw) ** 2).mean() / (raw @ raw))
    eta = np.log(story["mu"] / (1 - story["mu"]))
    # A fit of one school of 25 students, in the middle.
    model = hbm.exams.panel(table[table["school"] == "1"].reset_index(drop=True), levels=())
    fit = fake_fit(
        model,
        {
            "eta": [eta] * 2,
            "tau_year": [0.1],
            "tau_school": [story["tau_school"]],
            "persistence": [story["persistence"]],
            "nu": [story["nu"]],
            "tau_nu": [0.1],
            "design_effect": [story["design_effect"]],
            "effect_year": np.zeros((2, 2)),
            "eta_school": np.full((2, 1, 2), eta),
            "mu_school": np.full((2, 1, 2), expit(eta)),
            "nu_school": np.full((2, 2), story["nu"]),
        },
    )
    pooling = hbm.changes(fit, "school")["pooling"].item()
    assert abs(slope - (1 - pooling)) < 4 * error
    assert error < 0.02


# Predictors --------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def known():
    """Return a fit of a panel with predictors of schools in each year, and of authorities."""
    table, _ = hbm.simulate.exam_panel([3, 2, 1], SIZES, years=YEARS, random_seed=1)
    table["type"] = table["authority"].map({"1": "a", "2": "b", "3": "b"})
    table["new"] = (table["school"] == "2") & (table["year"] >= 2018)
    asked = {"school": ["log_n_students", "new"], "authority": ["type"]}
    prior = hbm.sample_prior_predictive(hbm.exams.panel(table, predictors=asked), 60, random_seed=5)
    return table, prior.assign(posterior=prior["prior"])


@pytest.mark.parametrize(("since", "until"), [(2016, 2018), (2015, 2019)])
@pytest.mark.parametrize("absolute", [False, True])
def test_what_predictors_changed_by_is_told_apart(known, since, until, absolute):
    table, fit = known
    found = hbm.changes(fit, "school", since=since, until=until, absolute=absolute)
    log_n = np.log(table["n_students"])
    log_n = (log_n - log_n.mean()) / log_n.std(ddof=0)
    beta = of(fit, "beta")
    years = (since, until)
    for row in found.itertuples():
        rows = [(table["school"] == row.school) & (table["year"] == y) for y in years]
        moved = [
            log_n[r].item() * beta.sel(predictor="log_n_students").to_numpy()
            + table.loc[r, "new"].item() * beta.sel(predictor="new").to_numpy()
            for r in rows
        ]
        eta = [of(fit, "eta_school").sel(school=row.school, year=y).to_numpy() for y in years]
        of_year = [of(fit, "effect_year").sel(year=y).to_numpy() for y in years]
        whole = expit(eta[1]) - expit(eta[0])
        level = [e - y + np.mean(of_year, axis=0) for e, y in zip(eta, of_year, strict=True)]
        net = expit(level[1]) - expit(level[0])
        assert_allclose(row.year_change, (whole - net).mean())
        if absolute:
            level, net = eta, whole
        stayed = [e - m + np.mean(moved, axis=0) for e, m in zip(level, moved, strict=True)]
        part = net - (expit(stayed[1]) - expit(stayed[0]))
        assert_allclose([row.change, row.predictors_change], [net.mean(), part.mean()])
    assert (found["predictors_change"] != 0).all()


def test_only_changes_with_predictors_have_a_part_of_theirs(known, fit):
    table, with_predictors = known
    assert "predictors_change" not in hbm.changes(fit, "school")
    assert list(hbm.changes(with_predictors, "school"))[-3:] == [
        *("year_change", "predictors_change", "named")
    ]
    # What is known of authorities is the same in all years.
    model = hbm.exams.panel(table, predictors={"authority": ["type"]})
    prior = hbm.sample_prior_predictive(model, 20, random_seed=1)
    of_authorities = hbm.changes(prior.assign(posterior=prior["prior"]), "school")
    assert (of_authorities["predictors_change"] == 0).all()


def test_a_part_of_a_fit_with_predictors_has_the_same_changes(known):
    _, fit = known
    cells = ["2 2015", "2 2019", "5 2015", "5 2019"]
    part = fit.sel(school=["5", "2"], cell=cells, authority=["1", "2"])
    whole = hbm.changes(fit, "school").set_index("school")
    table = hbm.changes(part, "school").set_index("school")
    columns = ["raw_change", "raw_se", "change", "pooling", "year_change", "predictors_change"]
    assert_allclose(table.loc[["2"], columns], whole.loc[["2"], columns])


def test_raw_changes_are_pulled_to_what_predictors_let_expect():
    """Regress true changes on raw ones: where the line is, and how steep."""
    n, size, eta, tau, kept, nu, effect, beta = 40_000, 25, 0.6, 0.3, 0.7, 6.0, 1.8, 0.5
    rng = np.random.default_rng(1)
    chain = np.empty((2, n))
    chain[0] = tau * rng.standard_normal(n)
    chain[1] = kept * chain[0] + tau * np.sqrt(1 - kept**2) * rng.standard_normal(n)
    mu = expit(eta + beta * np.array([[-0.5], [0.5]]) + chain)
    effective = (size * (nu + 1) - 1) / effect
    raw = np.diff(rng.beta(mu * effective, (1 - mu) * effective), axis=0)[0]
    own = np.diff(mu, axis=0)[0]
    slope, intercept = np.polyfit(raw, own, 1)
    rest = (own - intercept - slope * raw).std()
    # One school that changed alike.
    table = pd.DataFrame({"school": "a", "year": [2018, 2019], "n_students": size, "mean": 0.6})
    table = table.assign(sd=0.18, new=[False, True])
    model = hbm.exams.panel(table, levels=(), predictors=["new"])
    at = eta + beta * np.array([-0.5, 0.5])
    draws = {"eta": [eta] * 2, "tau_year": [0.1], "tau_school": [tau], "persistence": [kept]}
    draws |= {"nu": [nu], "tau_nu": [0.1], "design_effect": [effect]}
    draws |= {"effect_year": np.zeros((2, 2)), "nu_school": np.full((2, 2), nu)}
    draws |= {"eta_school": np.tile(at, (2, 1, 1)), "mu_school": np.tile(expit(at), (2, 1, 1))}
    draws |= {"beta": np.full((2, 1), beta), "gamma": np.zeros((2, 1))}
    draws = {name: np.broadcast_to(x, (2, *np.shape(x)[1:])) for name, x in draws.items()}
    (row,) = hbm.changes(fake_fit(model, draws), "school").itertuples()
    assert_allclose(row.predictors_change, expit(at[1]) - expit(at[0]))
    expected = row.predictors_change + (1 - row.pooling) * (raw.mean() - row.predictors_change)
    # The delta method is off by the curvature of the means, here by under 0.001 and 0.01.
    assert abs(own.mean() - expected) < 4 * own.std() / np.sqrt(n) + 0.001
    assert abs(slope - (1 - row.pooling)) < 4 * rest / raw.std() / np.sqrt(n) + 0.01
    assert_allclose(row.raw_se, (raw - own).std(), rtol=0.03)


# Those named -------------------------------------------------------------------------------------


def test_directions_are_named_while_few_are_wrong():
    assert _named(np.array([0.2, 0.0, 0.5, 0.04, 0.02]), 0.05).tolist() == [
        *(False, True, False, True, True)
    ]
    # The average of those named, and not each, is at most the rate.
    assert _named(np.array([0.0, 0.09]), 0.05).all()
    assert not _named(np.array([0.06, 0.2]), 0.05).any()
    # Of two alike neither is named if there is room for one.
    assert _named(np.array([0.0, 0.0, 0.14, 0.14]), 0.05).tolist() == [True, True, False, False]


def test_as_many_of_the_directions_named_are_wrong_as_expected():
    rng = np.random.default_rng(1)
    own = rng.normal(0, 0.05, 20_000)
    raw = own + rng.normal(0, 0.04, own.size)
    weight = 0.05**2 / (0.05**2 + 0.04**2)
    rose = norm.sf(0, weight * raw, 0.04 * np.sqrt(weight))
    wrong = np.minimum(rose, 1 - rose)
    named = _named(wrong, 0.05)
    false = ((rose > 0.5) != (own > 0))[named]
    assert wrong[named].mean() == pytest.approx(0.05, abs=0.001)
    error = np.sqrt((wrong[named] * (1 - wrong[named])).sum()) / named.sum()
    assert abs(false.mean() - wrong[named].mean()) < 4 * error


def test_those_named_and_what_is_expected_wrong(fit):
    table = hbm.changes(fit, "school", since=2015, until=2016, fdr=0.45)
    wrong = np.minimum(table["p_rose"], 1 - table["p_rose"])
    assert_array_equal(table["named"], _named(wrong.to_numpy(), 0.45))
    assert table["named"].any()
    assert table.attrs["expected_false"] == pytest.approx(wrong[table["named"]].mean())
    none = hbm.changes(fit, "school", since=2015, until=2016, fdr=1e-9)
    assert not none["named"].any()
    assert none.attrs["expected_false"] == 0


def test_without_years_the_first_and_the_last(fit):
    table = hbm.changes(fit, "school")
    assert (table.attrs["since"], table.attrs["until"]) == (2015, 2019)
    pd.testing.assert_frame_equal(table, hbm.changes(fit, "school", since=2015, until=2019))
    assert table["authority"].tolist() == ["1", "1", "2", "2"]


def test_a_fit_is_not_changed_and_a_part_of_one_will_do(fit):
    before = fit.copy(deep=True)
    whole = hbm.changes(fit, "school")
    assert fit.identical(before)
    cells = ["2 2015", "2 2019", "5 2015", "5 2019"]
    part = fit.sel(school=["5", "2"], cell=cells, authority=["1", "2"])
    table = hbm.changes(part, "school").set_index("school")
    columns = ["raw_change", "change", "p_rose", "pooling"]
    assert_allclose(
        table.loc[["2", "5"], columns], whole.set_index("school").loc[["2", "5"], columns]
    )


@pytest.mark.parametrize(
    ("kwargs", "error", "said"),
    [
        ({"group": "authority"}, ValueError, "authority is one for all years .* group='school'"),
        ({"group": "pupil"}, ValueError, "group must be 'school', .* got 'pupil'"),
        ({"since": 2017}, ValueError, r"no year 2017; it has \[2015, 2016, 2018, 2019\]"),
        ({"since": 2018, "until": 2016}, ValueError, "until must be a year after since"),
        ({"until": 2015}, ValueError, "got since=2015 and until=2015"),
        ({"prob": 95}, ValueError, "prob must lie"),
        ({"fdr": 5}, ValueError, r"fdr must lie between 0 and 1, got 5; 0\.05 is 5 %"),
        ({"fdr": "5 %"}, TypeError, "fdr must be a number"),
    ],
)
def test_what_has_no_change_is_refused(fit, kwargs, error, said):
    with pytest.raises(error, match=said):
        hbm.changes(fit, **({"group": "school"} | kwargs))


def test_years_without_a_common_school_are_refused(fit):
    part = fit.sel(cell=["1 2015", "2 2016"])
    with pytest.raises(ValueError, match="no school has results in both 2015 and 2019"):
        hbm.changes(part, "school")


def test_one_year_has_no_changes(fit):
    with pytest.raises(ValueError, match=r"of one year, .* hbm\.exams\.panel"):
        hbm.changes(hbm.in_year(fit), "school")
