"""Checks of panels: what works on one year's fit works on that of several, and says which."""

import numpy as np
import pandas as pd
import pytensor
import pytest
from fakes import fake_fit, prior_draws

import hbm
from hbm.checks.statistics import Sample, choose_statistics
from hbm.students.beta import BETA

YEARS = [2015, 2016, 2018, 2019]
SIZES = np.random.default_rng(3).integers(3, 60, (14, 4))
SIZES[[1, 4, 7], [0, 3, 1]] = 0
SIZES[9, :3] = SIZES[12, 1:] = 0


@pytest.fixture(scope="module")
def table():
    return hbm.simulate.exam_panel([5, 4, 3, 2], SIZES, years=YEARS, random_seed=1)[0]


@pytest.fixture(scope="module")
def model(table):
    return hbm.exams.panel(table)


@pytest.fixture(scope="module")
def fit(model):
    """Return prior draws as if they were a fit."""
    prior = prior_draws(model, 200)
    return prior.assign(posterior=prior["prior"])


def plain(f):
    """Run a function uncompiled: compiling takes far longer."""
    with pytensor.config.change_flags(mode="FAST_COMPILE"):
        return f()


def of_years(model):
    return {s.name: s for s in choose_statistics(model.description, {})}


def test_statistics_of_years_are_those_of_successive_results(table, model):
    d = model.description
    mean = d.mean[None]
    found = {name: float(s.of(Sample(mean, d.sd[None], None, None))[0])
             for name, s in of_years(model).items()}  # fmt: skip
    rows = table.assign(off=table["mean"] - table.groupby("year")["mean"].transform("mean"))
    rows = rows.sort_values(["school", "year"])
    rows["before"] = rows.groupby("school")["off"].shift()
    rows["least"] = np.minimum(rows["n_students"], rows.groupby("school")["n_students"].shift())
    pairs = rows.dropna(subset="before")
    large = pairs["least"] >= pairs["least"].median()
    for name, of in (("small", pairs[~large]), ("large", pairs[large])):
        expected = np.corrcoef(of["before"], of["off"])[0, 1]
        assert np.isclose(found[f"successive_{name}"], expected)
    change = pairs["off"] - pairs["before"]
    assert np.isclose(found["changes_large"], change[large].std())
    assert np.isclose(found["changes_small_minus"], change[~large].std() - change[large].std())
    between = table.groupby("year")["mean"].mean().std()
    assert np.isclose(found["sd_between_years"], between)


def test_one_year_has_no_statistics_of_years(table):
    of_one = hbm.exams.panel(table[table["year"] == 2019])
    assert not {"changes_large", "sd_between_years"} & set(of_years(of_one))


def test_replications_are_of_the_cells_of_their_schools(model):
    """Schools all of whose students are alike: means are told apart by school and year."""
    d = model.description
    rng = np.random.default_rng(1)
    mu = np.repeat(rng.uniform(0.2, 0.8, (1, 14, 4)), 120, axis=0)
    fit = fake_fit(
        model,
        {
            "mu_school": mu,
            "nu_school": np.full((120, len(d.n)), 1e5),
            **{rv.name: np.zeros(120) for rv in model.free_RVs if rv.name != "design_effect"},
            "design_effect": np.ones(120),
        },
    )
    check = hbm.check_predictive(model, fit, random_seed=1)
    cells = mu[0][d.cells.group, d.cells.year]
    row = check.table.set_index("statistic")
    assert np.isclose(row.loc["lowest_mean", "mean"], cells.min(), atol=0.01)
    assert np.isclose(row.loc["sd_between", "mean"], cells.std(ddof=1), atol=0.005)


def test_new_groups_are_new_schools_authorities_and_years(model):
    """With no spread at the top but one of years, new years differ and nothing else does."""
    n = 120
    draws = {rv.name: np.zeros(n) for rv in model.free_RVs}
    draws |= {"tau_year": np.full(n, 0.5), "persistence": np.full(n, 0.5), "nu": np.full(n, 1e5)}
    draws |= {name: np.full(n, 1e-9) for name in ("tau_school", "tau_authority", "tau_nu")}
    draws |= {"design_effect": np.ones(n), "eta_school": np.full(n, 2.0)}
    draws |= {"mu_school": np.full(n, 0.9), "nu_school": np.full(n, 1e5)}
    fit = fake_fit(model, draws)
    new = plain(lambda: hbm.check_predictive(model, fit, new_groups=True, random_seed=1))
    spread = new.replicates["sd_between_years"]
    # 0.5 logits around a mean of 0.5 are some 12 points; of four years, less their mean.
    assert 0.08 < spread.mean() < 0.13
    assert new.replicates["changes_large"].max() < 0.01  # less their years' means
    assert new.replicates["lowest_mean"].median() < 0.5  # not around the 0.9 that was drawn
    same = hbm.check_predictive(model, fit, random_seed=1)
    assert same.replicates["lowest_mean"].min() > 0.85


def test_a_check_of_the_prior_and_its_picture(model):
    check = hbm.check_predictive(model, prior_draws(model, 200), random_seed=1)
    assert check.source == "prior"
    hbm.plot_check(check)


def test_table_of_a_check_is_held_against_the_model(table, model, fit):
    assert hbm.check_predictive(model, fit, table=table, random_seed=1).table.shape[0]
    moved = table.copy()
    of_one = moved.index[moved["school"] == "13"]  # results of one year, 2015
    moved.loc[of_one, "year"] = 2016
    with pytest.raises(ValueError, match="school and year differ"):
        hbm.check_predictive(model, fit, table=moved)
    with pytest.raises(ValueError, match="the labels of 'school' differ"):
        hbm.check_predictive(model, fit, table=table[::-1].sort_values("authority", kind="stable"))


def test_predictive_draws_are_by_cell(model, fit):
    drawn = plain(lambda: hbm.sample_posterior_predictive(model, fit, progressbar=False))
    exam = drawn["posterior_predictive"]["exam"]
    assert exam.sizes["cell"] == len(model.description.n)
    mean = exam.sel(statistic="mean")
    seen = dict(zip(mean["cell"].to_numpy().tolist(), model.description.mean, strict=True))
    hbm.plot_predictive(mean, observed=model.description.mean, unit="%")
    hbm.plot_predictive_by_group(mean, seen, unit="%")
    year = hbm.in_year(drawn, 2018)["posterior_predictive"]["exam"]
    assert year.sizes["school"] == (SIZES[:, 2] > 0).sum()


def test_save_and_load(table, model, fit, tmp_path):
    other, again = hbm.load(hbm.save(model, fit, tmp_path / "panel.nc"))
    assert other.description.cells.years.tolist() == YEARS
    assert np.array_equal(other.description.mean, model.description.mean)
    check = hbm.check_predictive(other, again, random_seed=1)
    assert check.table.equals(hbm.check_predictive(model, fit, random_seed=1).table)


def test_a_panel_of_other_words(table, tmp_path):
    words = {"school": "hospital", "authority": "trust", "year": "season",
             "n_students": "n_patients"}  # fmt: skip
    options = {"group": "hospital", "levels": ("trust",), "year": "season",
               "individual": "patient", "value": "result"}  # fmt: skip
    model = hbm.exams.panel(table.rename(columns=words), **options)
    prior = prior_draws(model, 120)
    fit = prior.assign(posterior=prior["prior"])
    check = hbm.check_predictive(model, fit, table=table.rename(columns=words), random_seed=1)
    assert {"sd_between_seasons", "successive_large"} <= set(check.table["statistic"])
    text = "correlation of successive seasons, hospitals under"
    assert check.table["meaning"].str.startswith(text).any()
    other, _ = hbm.load(hbm.save(model, fit, tmp_path / "hospitals.nc"))
    assert other.description.cells.name == "season"
    assert hbm.in_year(fit, 2019)["posterior"].sizes["hospital"] == (SIZES[:, 3] > 0).sum()


def test_numbers_of_a_panel_cannot_be_changed_one_by_one(model):
    import pymc as pm

    for name in ("mean", "n_students", "school_of_cell", "effect_year_directions"):
        with pytest.raises(ValueError, match="cannot be changed by itself"):
            pm.set_data({name: np.zeros(3)}, model)


def test_a_part_or_another_order_of_a_fit_is_not_the_models(model, fit):
    for other in (
        fit.isel(school=slice(None, None, -1)),
        fit.isel(school=[0, 1]),
        fit.isel(year=[3, 2, 1, 0]),
    ):
        with pytest.raises(ValueError, match="the fit is not of this model"):
            hbm.check_predictive(model, other)


def test_prior_sensitivity_knows_what_a_panel_learns(model, fit):
    found = hbm.prior_sensitivity(model, fit)
    assert {"tau_year", "persistence", "design_effect"} <= set(found.index)
    assert isinstance(found, pd.DataFrame)


# One year of a panel, as a fit of one year.


@pytest.fixture(scope="module")
def one(table, fit):
    """Return the model of a year's table, and that year of the fit."""
    view, rows = hbm.in_year(fit, 2018), table[table["year"] == 2018].set_index("school")
    order = view["posterior"]["school"].to_numpy()
    return hbm.exams.nested(rows.loc[order].reset_index()), view


@pytest.mark.parametrize(
    "ask",
    [
        lambda model, fit, table, path: hbm.loo(model, fit),
        lambda model, fit, table, path: hbm.loo(model, fit, "authority"),
        lambda model, fit, table, path: hbm.loo_pit(model, fit),
        lambda model, fit, table, path: hbm.compare({"a": (model, fit), "b": (model, fit)}),
        lambda model, fit, table, path: hbm.prior_sensitivity(model, fit),
        lambda model, fit, table, path: hbm.predict(model, fit, table),
        lambda model, fit, table, path: hbm.evaluate(model, fit, table),
        lambda model, fit, table, path: hbm.save(model, fit, path),
    ],
    ids=["school", "authority", "PIT", "compare", "priors", "predict", "evaluate", "save"],
)
def test_what_goes_by_all_that_was_seen_refuses_one_year_of_a_panel(table, one, ask, tmp_path):
    match = r"one of several years \(2018, of hbm.in_year\).* Give the whole fit, and its model"
    of_year = table[table["year"] == 2018]
    with pytest.raises(ValueError, match=match):
        ask(*one, of_year, tmp_path / "year.nc")


def test_what_goes_by_draws_takes_one_year_of_a_panel(table, model, fit, one):
    """What is drawn of a year's schools is what the panel's draws of them say."""
    of_year, view = one
    check = hbm.check_predictive(of_year, view, random_seed=1).table.set_index("statistic")
    d = model.description
    there = d.cells.years[d.cells.year] == 2018
    mu = fit["posterior"]["mu_school"].sel(year=2018).to_numpy()[0][:, d.cells.group[there]]
    between = mu.var(axis=1, ddof=1).mean()
    nu, excess = (fit["posterior"][name].to_numpy()[0] for name in ("nu_school", "design_effect"))
    own = BETA.mean_variance(d.n[there], mu, nu[:, there], excess[:, None] - 1).mean()
    simulated = hbm.check_predictive(of_year, view, random_seed=1).replicates["sd_between"] ** 2
    error = simulated.std() / np.sqrt(len(simulated))
    assert abs(simulated.mean() - between - own) < 4.5 * error
    assert check.loc["sd_between", "observed"] == pytest.approx(d.mean[there].std(ddof=1))


def test_a_fit_of_several_years_is_not_that_of_one(table):
    """Though schools, authorities and names of one year's model are all in it."""
    whole = table[
        table["school"].isin(table.groupby("school").filter(lambda x: len(x) == 4).school)
    ]
    model = hbm.exams.panel(whole.reset_index(drop=True))
    prior = prior_draws(model, 100)
    fit = prior.assign(posterior=prior["prior"])
    of_year = whole[whole["year"] == 2019].reset_index(drop=True)
    one = hbm.exams.nested(of_year)
    for ask in (hbm.loo, hbm.check_predictive, hbm.sample_posterior_predictive):
        with pytest.raises(ValueError, match="is by school in the model, and by school and year"):
            ask(one, fit)
    with pytest.raises(ValueError, match=r"has learned the design effect, .* at 1\.5"):
        hbm.check_predictive(hbm.exams.nested(of_year, design_effect=1.5), hbm.in_year(fit))
