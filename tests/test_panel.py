"""The panel: its table, its density written out, its coordinates, and one of its years."""

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from scipy import stats
from scipy.special import expit
from test_models import random_point
from test_written_densities import CLOSE, students

import hbm
from hbm.hierarchy.fitted import read_fit, read_panel

PRIORS = hbm.exams.Priors(
    eta_mean=0.4,
    eta_sd=0.7,
    tau_parent=0.25,
    tau_school=0.8,
    tau_year=0.15,
    nu_median=6.0,
    nu_log_sd=0.6,
    tau_nu=0.35,
    design_effect_sd=1.4,
)
YEARS = [2015, 2016, 2018, 2019]  # none of them has results of 2017


@pytest.fixture(scope="module")
def table():
    """Return results of eight schools with gaps, in no order, some of one student or without sd."""
    rng = np.random.default_rng(1)
    sizes = rng.integers(2, 60, (8, 4)) * (rng.random((8, 4)) < 0.7)
    sizes[:, 0] += sizes.sum(axis=1) == 0
    sizes[2] = [1, 0, 0, 9]
    made, _ = hbm.simulate.exam_panel([4, 2, 1, 1], sizes, years=YEARS, random_seed=2)
    made.loc[3, "sd"] = np.nan
    return made.sample(frac=1, random_state=1, ignore_index=True)


def written(table, p, v, observed="exam"):
    """Write the density out, term by term; `v` holds the free variables as frames and series."""
    schools, years = v["eta_school"].index, v["eta_school"].columns
    terms = {
        "eta": stats.norm.logpdf(v["eta"], p.eta_mean, p.eta_sd),
        "tau_year": stats.halfnorm.logpdf(v["tau_year"], scale=p.tau_year),
        "tau_authority": stats.halfnorm.logpdf(v["tau_authority"], scale=p.tau_parent),
        "tau_school": stats.halfnorm.logpdf(v["tau_school"], scale=p.tau_school),
        "persistence": stats.uniform.logpdf(v["persistence"]),
        "nu": stats.lognorm.logpdf(v["nu"], p.nu_log_sd, scale=p.nu_median),
        "tau_nu": stats.halfnorm.logpdf(v["tau_nu"], scale=p.tau_nu),
        "design_effect": stats.halfnorm.logpdf(v["design_effect"] - 1, scale=p.design_effect_sd),
        "effect_year": stats.norm.logpdf(v["effect_year"], 0, v["tau_year"]).sum(),
        "eta_authority": stats.norm.logpdf(v["eta_authority"], v["eta"], v["tau_authority"]).sum(),
    }
    authority = table.groupby("school")["authority"].first()[schools]
    mean = v["eta_authority"][authority].to_numpy()[:, None] + v["effect_year"].to_numpy()
    distance = np.abs(np.subtract.outer(years, years))
    chain = stats.multivariate_normal(cov=v["tau_school"] ** 2 * v["persistence"] ** distance)
    terms["eta_school"] = chain.logpdf(v["eta_school"] - mean).sum()
    log_nu = v["log_nu_school"]
    terms["log_nu_school"] = stats.norm.logpdf(log_nu, np.log(v["nu"]), v["tau_nu"]).sum()
    cell = table["school"] + " " + table["year"].astype(str)
    eta = np.array(
        [v["eta_school"].loc[s, y] for s, y in zip(table.school, table.year, strict=True)]
    )
    nu = np.exp(log_nu[cell].to_numpy())
    known = table["sd"].notna().to_numpy() | (table["n_students"] == 1).to_numpy()
    excess = v["design_effect"] - 1
    terms[observed] = sum(
        students(kind, table[rows], expit(eta[rows]), nu[rows], excess)
        for kind, rows in (
            [("exam", known), ("exam_mean", ~known)]
            if observed == "exam"
            else [("exam_mean", np.full(len(table), True))]
        )
    )
    return terms


def natural(model, point):
    """Return terms by variable, and the free variables by label, at a point."""
    variables = model.free_RVs + model.observed_RVs
    outputs = [model.logp(vars=rv, jacobian=False) for rv in variables]
    run = model.compile_fn(
        outputs + model.unobserved_value_vars, inputs=model.value_vars, mode="FAST_COMPILE"
    )
    found = run(point)
    values = {}
    for value, x in zip(model.unobserved_value_vars, found[len(outputs) :], strict=True):
        dims = [model.coords[dim] for dim in model.named_vars_to_dims.get(value.name, ())]
        kind = {0: lambda x: x, 1: pd.Series, 2: pd.DataFrame}[len(dims)]
        values[value.name] = kind(x, *(pd.Index(labels) for labels in dims))
    return dict(zip((rv.name for rv in variables), found, strict=False)), values


@pytest.mark.parametrize(
    ("parameterisation", "observe"),
    [
        ("informed", "mean and sd"),
        ("centred", "mean"),
        ("non-centred", "mean and sd"),
    ],
)
def test_a_panel_is_the_density_of_its_equations(table, parameterisation, observe):
    model = hbm.exams.panel(
        table, priors=PRIORS, parameterisation=parameterisation, observe=observe
    )
    observed = model.observed_RVs[0].name
    for seed in range(2):
        terms, values = natural(model, random_point(model, seed))
        expected = written(table, PRIORS, values, observed)
        assert set(terms) == set(expected)
        for name, value in expected.items():
            np.testing.assert_allclose(terms[name], value, **CLOSE, err_msg=name)
        np.testing.assert_allclose(values["mu_school"], expit(values["eta_school"]))
        np.testing.assert_allclose(values["mu_authority"], expit(values["eta_authority"]))


@pytest.mark.parametrize("parameterisation", ["informed", "centred"])
def test_a_panel_of_one_year_is_nested(table, parameterisation):
    one = table[table["year"] == 2018].reset_index(drop=True)
    options = {"priors": PRIORS, "parameterisation": parameterisation}
    panel, nested = hbm.exams.panel(one, **options), hbm.exams.nested(one, **options)
    assert [rv.name for rv in panel.free_RVs] == [rv.name for rv in nested.free_RVs]
    point = random_point(nested, 1)
    logps = [model.compile_logp()(point) for model in (panel, nested)]
    np.testing.assert_allclose(*logps, rtol=1e-12)


def test_levels_above_and_none(table):
    zoned = table.assign(zone=np.where(table["authority"].isin(["1", "2"]), "a", "b"))
    three = hbm.exams.panel(zoned, levels=("authority", "zone"), priors=PRIORS)
    none = hbm.exams.panel(table, levels=(), priors=PRIORS)
    assert "tau_zone" in three.named_vars
    assert "tau_authority" not in none.named_vars
    for model in (three, none):
        assert np.isfinite(model.compile_logp()(random_point(model, 1)))


def test_other_words(table):
    renamed = table.rename(
        columns={
            "school": "hospital",
            "authority": "trust",
            "n_students": "n_patients",
            "year": "season",
        }
    )
    words = {"group": "hospital", "levels": ("trust",), "individual": "patient", "year": "season"}
    model = hbm.exams.panel(renamed, **words, value="outcome")
    assert {"tau_season", "effect_season", "mu_hospital", "tau_trust", "outcome"} <= set(
        model.named_vars
    )
    assert model.named_vars_to_dims["mu_hospital"] == ("hospital", "season")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda t: pd.concat([t, t.iloc[[0]]]), "one row a year; there are more of '"),
        (lambda t: t.drop(columns="year"), "'year'"),
        (lambda t: t.assign(year=t["year"] + 0.5), "whole numbers"),
        (lambda t: t.assign(mean=100 * t["mean"]), "in 201"),
    ],
)
def test_a_table_that_is_no_panel_is_refused(table, change, said):
    with pytest.raises((ValueError, TypeError), match=said):
        hbm.exams.panel(change(table))


def test_a_school_that_moves_counts_to_its_last_authority(table):
    moved = table.copy()
    moved.loc[(moved["school"] == "1") & (moved["year"] == moved["year"].min()), "authority"] = "4"
    with pytest.warns(
        UserWarning, match=r"1 school stood elsewhere .* '1', earlier in '4', in '1'"
    ):
        model = hbm.exams.panel(moved)
    d = model.description
    school = list(d.coords["school"]).index("1")
    assert d.coords["authority"][d.parent_of("school")[school]] == "1"


def test_nothing_given_is_changed(table):
    before = table.copy(deep=True)
    hbm.exams.panel(table)
    pd.testing.assert_frame_equal(table, before)


@pytest.fixture(scope="module")
def drawn(table):
    """Return a model and draws of its prior, in place of its posterior's."""
    model = hbm.exams.panel(table, priors=PRIORS)
    prior = hbm.sample_prior_predictive(model, 20, random_seed=1)
    return model, prior.assign(posterior=prior["prior"])


def test_one_year_of_a_panel_is_a_fit_of_nested(table, drawn):
    _, fit = drawn
    for year in YEARS:
        view, own = hbm.in_year(fit, year), table[table["year"] == year].set_index("school")
        fitted = read_fit(view)
        assert set(fitted.d.levels[-1].labels) == set(own.index)
        rows = own.loc[fitted.d.levels[-1].labels]
        np.testing.assert_array_equal(fitted.d.n, rows["n_students"])
        np.testing.assert_array_equal(fitted.d.mean, rows["mean"])
        authority = fitted.d.levels[0].labels[fitted.d.parent_of("school")]
        assert authority.tolist() == rows["authority"].tolist()
        posterior, schools = fit["posterior"].to_dataset(), list(rows.index)
        expected = posterior["mu_school"].sel(school=schools, year=year).drop_vars("year")
        np.testing.assert_array_equal(view["posterior"]["mu_school"], expected)
        cells = [f"{school} {year}" for school in schools]
        expected = posterior["nu_school"].sel(cell=cells)
        np.testing.assert_array_equal(view["posterior"]["nu_school"], expected)
        centre = posterior["eta_authority"].sel(authority=authority) + posterior["effect_year"].sel(
            year=year
        )
        np.testing.assert_allclose(
            fitted.location("school"), centre.to_numpy().reshape(-1, len(schools)), rtol=1e-12
        )


def test_sorted_and_selected_panels_keep_their_labels(drawn):
    _, fit = drawn
    order = fit["posterior"]["school"].to_numpy()[::-1]
    turned = fit.sel(school=list(order))
    for year in (2015, 2019):
        one, other = hbm.in_year(fit, year), hbm.in_year(turned, year)
        schools = list(one["posterior"]["school"].to_numpy())
        np.testing.assert_array_equal(
            other["posterior"]["mu_school"].sel(school=schools), one["posterior"]["mu_school"]
        )
        np.testing.assert_array_equal(
            other["constant_data"]["mean"].sel(school=schools), one["constant_data"]["mean"]
        )
    with pytest.raises(ValueError, match=r"part of one: it has results of"):
        read_panel(fit.sel(school=list(order[:3])))


def test_years_that_are_not_there(drawn):
    _, fit = drawn
    with pytest.raises(ValueError, match="no year 2017; it has"):
        hbm.in_year(fit, 2017)
    with pytest.raises(TypeError, match=r"fit must be an xarray\.DataTree, got DataFrame"):
        hbm.in_year(hbm.estimates(fit, "mu_school"), 2018)
    with pytest.raises(ValueError, match="no group 'posterior'"):
        hbm.in_year(xr.DataTree(), 2018)
    with pytest.raises(ValueError, match="not of several years"):
        hbm.in_year(hbm.in_year(fit))
    with pytest.raises(ValueError, match="must be of several"):
        read_panel(hbm.in_year(fit))


def test_exam_panel_cuts_what_exam_table_cuts_year_by_year():
    results = hbm.load_dataset("diploma")
    course = "Mathematics 30-1"
    panel = hbm.exam_panel(results, course=course, years=[2019, 2017], min_students=10)
    assert panel["year"].unique().tolist() == [2017, 2019]
    for year in (2017, 2019):
        table = hbm.exam_table(results, course=course, year=year, min_students=10)
        own = panel[panel["year"] == year].drop(columns="year").reset_index(drop=True)
        pd.testing.assert_frame_equal(own, table)
    every = hbm.exam_panel(results, course=course)
    assert every["year"].unique().tolist() == sorted(results["year"].unique())


@pytest.mark.parametrize(
    ("arguments", "error", "said"),
    [
        ({"years": [2031]}, ValueError, "no year 2031"),
        ({"years": "2016"}, TypeError, "sequence of years"),
        ({"years": []}, ValueError, "no years"),
        ({"min_students": 10**6}, ValueError, "the largest has"),
        ({"course": "Maths"}, ValueError, "no course 'Maths'"),
    ],
)
def test_exam_panel_says_what_is_wrong(arguments, error, said):
    results = hbm.load_dataset("diploma")
    with pytest.raises(error, match=said):
        hbm.exam_panel(results, **{"course": "Mathematics 30-1"} | arguments)
    twice = pd.concat([results, results])
    with pytest.raises(ValueError, match="more than once in a year"):
        hbm.exam_panel(twice, course="Mathematics 30-1")


def test_simulated_years_without_results_are_left_out():
    table, truth = hbm.simulate.exam_panel([2], [[5, 0, 8], [9, 0, 7]], years=[2017, 2018, 2019])
    assert table["year"].unique().tolist() == [2017, 2019]
    assert len(truth) == 6
