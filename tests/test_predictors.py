"""Predictors: their coding, the densities written out, and all that is integrated or drawn."""

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from models import table_for
from numpy.testing import assert_allclose
from scipy import stats
from scipy.special import expit
from test_models import random_point
from test_panel import PRIORS as PANEL_PRIORS
from test_panel import YEARS, natural
from test_panel import written as written_panel
from test_written_densities import BETA, CLOSE, students

import hbm
from hbm.checks.units import log_likelihoods, of_new
from hbm.hierarchy.fitted import read_all, read_fit, read_panel
from hbm.hierarchy.marginal import marginal
from hbm.sampling.compiled import Compiled, shape_of
from hbm.tables.predictors import coded_as

PRIORS = hbm.exams.Priors(**BETA)
ASKED = {"school": ["log_n_students", "kind"], "authority": ["share"]}
ALL = ["informed", "centred", "non-centred"]


@pytest.fixture(scope="module")
def table():
    """Return eleven schools with what is known of them and of their authorities, in no order."""
    made = table_for("exams")
    made["kind"] = np.resize(["public", "private", "charter"], len(made))
    made["rural"] = np.resize([True, False, False, True, False], len(made))
    made["share"] = made["authority"].map({"1": 0.1, "2": 0.7, "3": 0.35, "4": 0.3, "5": 0.9})
    return made.sample(frac=1, random_state=1, ignore_index=True)


@pytest.fixture(scope="module")
def panel_table():
    rng = np.random.default_rng(1)
    sizes = rng.integers(2, 60, (8, 4)) * (rng.random((8, 4)) < 0.7)
    sizes[:, 0] += sizes.sum(axis=1) == 0
    made, _ = hbm.simulate.exam_panel([4, 2, 1, 1], sizes, years=YEARS, random_seed=2)
    made["share"] = made["authority"].map({"1": 0.1, "2": 0.7, "3": 0.35, "4": 0.3})
    return made.sample(frac=1, random_state=1, ignore_index=True)


def scaled(values):
    values = np.asarray(values, dtype=float)
    return (values - values.mean()) / values.std()


def zero_sum_logpdf(effects, sd):
    """Return the density of effects ~ N(0, sd²) on the plane where they sum to zero."""
    assert_allclose(np.sum(effects), 0, atol=1e-12)
    k = len(effects) - 1
    return -k / 2 * np.log(2 * np.pi * sd**2) - np.sum(np.square(effects)) / (2 * sd**2)


def by_row(table):
    """Return the coded numbers of each row, with names of their coefficients."""
    share = table.drop_duplicates("authority").set_index("authority")["share"]
    share = pd.Series(scaled(share), index=share.index)[table["authority"]].to_numpy()
    return {
        "log_n_students": scaled(np.log(table["n_students"])),
        "kind[charter]": (table["kind"] == "charter").to_numpy(float),
        "kind[private]": (table["kind"] == "private").to_numpy(float),
        "kind[public]": (table["kind"] == "public").to_numpy(float),
        "share": share,
    }


def of_school(x, coefficients, names):
    return sum(coefficients[name] * x[name] for name in names)


# Densities


@pytest.mark.parametrize("parameterisation", ALL)
def test_nested_exams_are_the_density_of_their_equations(table, parameterisation):
    model = hbm.exams.nested(
        table, predictors=ASKED, priors=PRIORS, parameterisation=parameterisation
    )
    x, p = by_row(table), PRIORS
    assert list(model.coords["predictor"]) == list(x)
    of_schools = [name for name in x if name != "share"]
    for seed in range(2):
        terms, v = natural(model, random_point(model, seed))
        beta, gamma = v["beta"], v["gamma"]
        school, authority = table["school"], table["authority"]
        upper = v["eta_authority"]
        share = pd.Series(x["share"], index=authority).groupby(level=0).first()[upper.index]
        centre = upper[authority].to_numpy() + of_school(x, beta, of_schools)
        log_nu_centre = np.log(v["nu"]) + of_school(x, gamma, x)
        expected = {
            f"{name}_contrast": zero_sum_logpdf(values.filter(like="kind"), sd)
            + stats.norm.logpdf(values[["log_n_students", "share"]], 0, sd).sum()
            for name, values, sd in (("beta", beta, p.beta_sd), ("gamma", gamma, p.gamma_sd))
        } | {
            "eta_authority": stats.norm.logpdf(
                upper, v["eta"] + beta["share"] * share, v["tau_authority"]
            ).sum(),
            "eta_school": stats.norm.logpdf(v["eta_school"][school], centre, v["tau_school"]).sum(),
            "log_nu_school": stats.norm.logpdf(
                v["log_nu_school"][school], log_nu_centre, v["tau_nu"]
            ).sum(),
            "exam": students(
                "exam",
                table,
                expit(v["eta_school"][school].to_numpy()),
                np.exp(v["log_nu_school"][school].to_numpy()),
                v["design_effect"] - 1,
            ),
        }
        for name, value in expected.items():
            assert_allclose(terms[name], value, **CLOSE, err_msg=name)


@pytest.mark.parametrize("parameterisation", ALL)
def test_a_panel_is_the_density_of_its_equations(panel_table, parameterisation):
    asked = {"school": ["log_n_students"], "authority": ["share"]}
    priors = hbm.exams.Priors(**BETA)
    model = hbm.exams.panel(
        panel_table, predictors=asked, priors=priors, parameterisation=parameterisation
    )
    t = panel_table
    log_n = t.assign(z=scaled(np.log(t["n_students"]))).pivot_table("z", "school", "year")
    # A year without results has what is known of the nearest with, of two the earlier.
    for school, row in log_n.iterrows():
        known = row.dropna().index
        for year in row.index[row.isna()]:
            log_n.loc[school, year] = row[min(known, key=lambda y: (abs(y - year), y))]
    share = t.drop_duplicates("authority").set_index("authority")["share"]
    share = pd.Series(scaled(share), index=share.index)
    terms, v = natural(model, random_point(model, 1))
    beta, gamma = v["beta"], v["gamma"]
    # Without predictors, of effects less what these add, it is the density without any.
    v["eta_school"] = v["eta_school"] - beta["log_n_students"] * log_n.loc[v["eta_school"].index]
    upper, authority = v["eta_authority"], t.groupby("school")["authority"].first()
    v["eta_authority"] = upper - beta["share"] * share[upper.index]
    plain = written_panel(t, PANEL_PRIORS, v)
    assert_allclose(terms["eta_authority"], plain["eta_authority"], **CLOSE)
    v["eta_authority"] = upper
    assert_allclose(terms["eta_school"], written_panel(t, PANEL_PRIORS, v)["eta_school"], **CLOSE)
    cells = t["school"] + " " + t["year"].astype(str)
    x = scaled(np.log(t["n_students"])) * gamma["log_n_students"]
    x = x + share[authority[t["school"]]].to_numpy() * gamma["share"]
    expected = stats.norm.logpdf(v["log_nu_school"][cells], np.log(v["nu"]) + x, v["tau_nu"]).sum()
    assert_allclose(terms["log_nu_school"], expected, **CLOSE)


@pytest.mark.parametrize("parameterisation", ALL)
@pytest.mark.parametrize("name", ["heights.partial_pooling", "scores.nested"])
def test_individuals_are_centred_on_what_is_known_of_their_group(name, parameterisation):
    table, options = table_for(name), {"parameterisation": parameterisation}
    if name.startswith("heights"):
        table["size"] = table.groupby("country").ngroup() ** 2.0
        model = hbm.heights.partial_pooling(table, predictors=["size"], **options)
        effect, group, mean, tau = "mu_country", "country", "mu", "tau_country"
    else:
        table["size"] = table.groupby("school").ngroup() % 7.0
        model = hbm.scores.nested(table, predictors=["size"], **options)
        effect, group, mean, tau = "eta_school", "school", "eta_district", "tau_school"
    one = table.drop_duplicates(group).set_index(group)
    terms, v = natural(model, random_point(model, 3))
    centre = v[mean] if np.ndim(v[mean]) == 0 else v[mean][one["district"]].to_numpy()
    centre = centre + v["beta"]["size"] * scaled(one["size"])
    expected = stats.norm.logpdf(v[effect][one.index], centre, v[tau]).sum()
    assert_allclose(terms[effect], expected, **CLOSE)
    assert ("gamma" in v) == name.startswith("scores")
    if name.startswith("scores"):
        nu = np.log(v["nu"]) + v["gamma"]["size"] * scaled(one["size"])
        expected = stats.norm.logpdf(v["log_nu_school"][one.index], nu, v["tau_nu"]).sum()
        assert_allclose(terms["log_nu_school"], expected, **CLOSE)


def test_a_category_of_one_school_is_told_from_the_school_by_priors_alone(table):
    kind = ["charter", *np.resize(["private", "public"], len(table) - 1)]
    model = hbm.exams.nested(table.assign(kind=kind), predictors=["kind"], priors=PRIORS)
    x = pd.get_dummies(pd.Series(kind, index=table["school"])).astype(float)
    terms, v = natural(model, random_point(model, 1))
    beta = v["beta"].set_axis(x.columns)
    expected = zero_sum_logpdf(beta, PRIORS.beta_sd)
    assert_allclose(terms["beta_contrast"], expected, **CLOSE)
    own = v["eta_school"][table["school"]]
    centre = v["eta_authority"][table["authority"]].to_numpy() + (x @ beta).to_numpy()
    expected = stats.norm.logpdf(own, centre, v["tau_school"]).sum()
    assert_allclose(terms["eta_school"], expected, **CLOSE)
    # What was observed knows a school's mean, wherever that comes from.
    nu = np.exp(v["log_nu_school"][table["school"]].to_numpy())
    expected = students("exam", table, expit(own.to_numpy()), nu, v["design_effect"] - 1)
    assert_allclose(terms["exam"], expected, **CLOSE)


def test_numbers_of_individuals_are_counted_where_the_table_has_none():
    table = table_for("nested_scores").iloc[3:]
    model = hbm.scores.partial_pooling(table, predictors=["log_n_students"])
    n = table.groupby("school", sort=False).size()
    assert_allclose(model.description.predictors.x["school"][:, 0], scaled(np.log(n)))


# Coding


def test_true_and_false_are_a_step_of_one(table):
    for column in (table["rural"], table["rural"].astype(float)):
        model = hbm.exams.nested(table.assign(rural=column), predictors=["rural"])
        x = model.description.predictors.x["school"][:, 0]
        assert_allclose(np.ptp(x), 1)
        assert_allclose(x.mean(), 0, atol=1e-12)


@pytest.mark.parametrize(
    ("change", "asked", "said"),
    [
        ({}, ["log_students"], "no column 'log_students'"),
        ({"k": 3.0}, ["k"], "column 'k' is the same for every school"),
        ({"kind": "public"}, ["kind"], "column 'kind' is the same for every school"),
        ({"twice": 1}, ["n_students", "twice"], "'n_students', 'twice' say the same as each other"),
        ({}, {"authority": ["log_n_students"]}, "must have one value for each authority, but '"),
        ({}, {"zone": ["kind"]}, "predictors are given of 'zone', and the model has levels"),
        ({}, ["kind", "kind"], "predictor 'kind' stands twice"),
        ({"kind": None}, ["kind"], r"column 'kind' has no value for school '.*dropna"),
        ({"z": 0.0}, ["log_z"], "column 'z' must hold numbers above 0, since their log is asked"),
        ({"z": np.inf}, ["z"], "column 'z' must hold numbers"),
    ],
)
def test_predictors_that_cannot_be_used_are_refused(table, change, asked, said):
    changed = table.copy()
    for name, value in change.items():
        if name == "twice":
            value = 3 - 2 * changed["n_students"]
        changed[name] = value
        if name == "z":
            changed.loc[1:, name] = np.arange(1.0, len(changed))
    with pytest.raises(ValueError, match=said):
        hbm.exams.nested(changed, predictors=asked)


@pytest.mark.parametrize("asked", ["kind", [3], {"school": "kind"}])
def test_names_that_are_none_are_refused(table, asked):
    with pytest.raises(TypeError, match="predictor"):
        hbm.exams.nested(table, predictors=asked)


def test_a_table_without_a_category_keeps_those_of_the_fit(table):
    whole = hbm.exams.nested(table, predictors=ASKED)
    part = table[table["kind"] != "charter"].iloc[1:]
    with coded_as(whole.description.predictors):
        again = hbm.exams.nested(part, predictors=ASKED)
    positions = [list(whole.coords["school"]).index(x) for x in again.coords["school"]]
    x = whole.description.predictors.x["school"][positions]
    assert_allclose(again.description.predictors.x["school"], x)
    with (
        coded_as(again.description.predictors),
        pytest.raises(ValueError, match=r"was not fitted with: 'new' \(school"),
    ):
        hbm.exams.nested(part.assign(kind="new"), predictors=ASKED)


def test_nothing_given_is_changed(table, panel_table):
    for given, model in ((table, hbm.exams.nested), (panel_table, hbm.exams.panel)):
        before = given.copy(deep=True)
        asked = {"school": ["log_n_students"], "authority": ["share"]}
        model(given, predictors=asked)
        pd.testing.assert_frame_equal(given, before)
        assert asked == {"school": ["log_n_students"], "authority": ["share"]}


def test_a_school_that_moved_has_what_is_known_of_its_last_authority(panel_table):
    table = panel_table.copy()
    first = table.index[table["school"] == "1"][table["year"][table["school"] == "1"].argsort()][0]
    table.loc[first, ["authority", "share"]] = ["2", 0.7]
    with pytest.warns(UserWarning, match="stood elsewhere"):
        model = hbm.exams.panel(table, predictors={"authority": ["share"]})
    share = pd.Series({"1": 0.1, "2": 0.7, "3": 0.35, "4": 0.3})[list(model.coords["authority"])]
    assert_allclose(model.description.predictors.x["authority"][:, 0], scaled(share))


def test_what_is_known_of_an_authority_is_the_same_in_all_years(panel_table):
    table = panel_table.copy()
    own = table[table["authority"] == "1"]
    table.loc[own["year"].idxmin(), "share"] = 0.2
    with pytest.raises(ValueError, match="column 'share' must have one value for each authority"):
        hbm.exams.panel(table, predictors={"authority": ["share"]})
    table.loc[own["year"].idxmin(), "share"] = np.nan
    with pytest.raises(ValueError, match="'share' has no value for authority '1'"):
        hbm.exams.panel(table, predictors={"authority": ["share"]})


# What a fit carries


def drawn(model, n=6, **fixed):
    """Return draws of a prior as a fit, with some quantities set."""
    prior = hbm.sample_prior_predictive(model, n, random_seed=1)
    posterior = prior["prior"].to_dataset()
    for name, value in fixed.items():
        posterior[name] = posterior[name] * 0 + np.asarray(value)
    return prior.assign(posterior=xr.DataTree(posterior))


def test_a_fit_carries_what_is_known(table):
    model = hbm.exams.nested(table, predictors=ASKED)
    d, read = model.description, read_fit(drawn(model)).d
    assert read.predictors.coding == d.predictors.coding
    assert read.predictors.x.keys() == d.predictors.x.keys()
    for level, x in d.predictors.x.items():
        assert_allclose(read.predictors.x[level], x)
    turned = drawn(model).sel(school=list(model.coords["school"])[::-1])
    assert_allclose(read_fit(turned).d.predictors.x["school"], d.predictors.x["school"][::-1])


def test_a_year_of_a_panel_has_what_was_known_in_it(panel_table):
    model = hbm.exams.panel(panel_table, predictors=["log_n_students"])
    whole = read_panel(drawn(model))
    view = read_fit(hbm.in_year(whole.fit, 2016))
    now = panel_table[panel_table["year"] == 2016].set_index("school")["n_students"]
    logs = np.log(panel_table["n_students"])
    expected = (np.log(now[view.d.coords["school"]]) - logs.mean()) / logs.std(ddof=0)
    assert_allclose(view.d.predictors.x["school"][:, 0], expected)
    # Around what effects of that year are: with its own effect in the parents'.
    of_year = whole.draws("effect_year")[:, YEARS.index(2016)]
    at = [whole.d.positions["school"][x] for x in view.d.coords["school"]]
    expected = whole.around("school", np.array(at)) + of_year[:, None]
    expected = expected + whole.moved_in_years(np.array(at))[..., YEARS.index(2016)]
    assert_allclose(view.location("school"), expected)


def test_saved_fits_come_back(table, tmp_path):
    asked = {"school": ["log_n_students", "kind", "rural"], "authority": ["share"]}
    model = hbm.exams.nested(table, predictors=asked)
    fit = drawn(model)
    again, loaded = hbm.load(hbm.save(model, fit, tmp_path / "fit.nc"))
    assert again.description.predictors.coding == model.description.predictors.coding
    assert_allclose(read_fit(loaded).location("school"), read_fit(fit, model).location("school"))


def test_one_compiled_model_takes_tables_with_other_scales(table):
    models = [
        hbm.exams.nested(t, predictors=ASKED)
        for t in (table, table.assign(n_students=table["n_students"] + 4 * (table["sd"] > 0))[1:])
    ]
    large, small = (shape_of(model) for model in models)
    assert large[:2] == small[:2]
    other = hbm.exams.nested(table, predictors=["log_n_students"])
    assert shape_of(other)[:2] != large[:2]
    compiled = Compiled(models[0], large)
    numbers = compiled.use(models[1])
    x = numbers["predictors_of_school"]
    assert_allclose(x[: len(table) - 1], models[1].description.predictors.x["school"])
    assert_allclose(x[len(table) - 1 :], 0)


# Integrals and predictions


def brute_force_family(f, authority):
    """Return the log density of an authority's schools, with its effect on a grid of its own."""
    d, x = f.d, f.d.predictors.x
    members = np.flatnonzero(d.parent_of("school") == authority)
    beta, gamma = f.draws("beta"), f.draws("gamma")
    log_nu, tau_nu, excess = f.within
    values = np.empty(f.n_draws)
    for i in range(f.n_draws):
        m = f.grand_mean[i] + beta[i] @ x["authority"][authority]
        tau = f.tau("authority")[i]
        grid = np.linspace(m - 9 * tau, m + 9 * tau, 801)
        total = stats.norm.logpdf(grid, m, tau)
        for j in members:
            everything = x["school"][j] + x["authority"][authority]
            total = total + marginal(
                f.evidence(j),
                grid + beta[i] @ x["school"][j],
                f.tau("school")[[i]],
                log_nu[[i]] + gamma[i] @ everything,
                tau_nu[[i]],
                np.broadcast_to(excess, f.n_draws)[[i]],
            )
        top = total.max()
        values[i] = top + np.log(np.trapezoid(np.exp(total - top), grid))
    return values


@pytest.fixture(scope="module")
def fitted(table):
    model = hbm.exams.nested(table, predictors=ASKED, priors=PRIORS)
    return read_fit(drawn(model, tau_authority=0.3, tau_school=0.5, tau_nu=0.3, nu=9.0))


def test_schools_of_an_authority_jointly_are_a_sum_over_a_dense_grid(fitted):
    values = log_likelihoods(fitted, "authority")
    for authority in range(3):
        assert_allclose(values[:, authority], brute_force_family(fitted, authority), atol=2e-4)


def test_a_school_given_its_siblings_is_a_difference_of_two(fitted, table):
    values, d = log_likelihoods(fitted, "school"), fitted.d
    for school in (0, 3):
        at = d.parent_of("school")[school]
        name = d.level("authority").labels[at]
        keep = (table["authority"] == name) & (table["school"] != d.coords["school"][school])
        others = 0.0
        if keep.any():
            rest = fitted.fit.sel(school=list(table.loc[keep, "school"]), authority=[name])
            others = brute_force_family(read_fit(rest), 0)
        expected = brute_force_family(fitted, at) - others
        assert_allclose(values[:, school], expected, atol=3e-4)


def test_a_school_that_comes_anew_is_around_what_is_known_of_it(fitted):
    f, school = fitted, 4
    at = f.d.parent_of("school")[school]
    x = f.d.predictors.x["school"][school] + f.d.predictors.x["authority"][at]
    expected = marginal(
        f.evidence(school),
        f.effect("authority")[:, at] + f.draws("beta") @ f.d.predictors.x["school"][school],
        f.tau("school"),
        f.within[0] + f.draws("gamma") @ x,
        *f.within[1:],
    )
    assert_allclose(of_new(f, f, "school", school), expected, atol=1e-4)


@pytest.mark.parametrize("unit", ["school", "last_year", "authority"])
def test_the_year_as_a_predictor_is_an_effect_of_years(panel_table, unit):
    model = hbm.exams.panel(panel_table.assign(when=panel_table["year"]), predictors=["when"])
    fit = drawn(model, 4, beta=[0.3], gamma=[0.0])
    f = read_all(fit)
    x = (np.array(YEARS) - panel_table["year"].mean()) / panel_table["year"].std(ddof=0)
    plain = hbm.exams.panel(panel_table)
    posterior = fit["posterior"].to_dataset()
    posterior["effect_year"] = posterior["effect_year"] + 0.3 * x
    other = read_all(drawn(plain, 4).assign(posterior=xr.DataTree(posterior)))
    assert not np.allclose(f.draws("effect_year"), other.draws("effect_year"))
    assert_allclose(log_likelihoods(f, unit), log_likelihoods(other, unit), rtol=1e-9, atol=1e-6)


STILL = {"tau_school": 0.0, "tau_authority": 0.0, "tau_nu": 0.0}
NEW = pd.DataFrame(
    {
        "school": ["new", "other"],
        "authority": ["2", "new one"],
        "n_students": [7, 300],
        "kind": ["private", "charter"],
        "share": [0.7, 0.5],
    }
)


def expected_of_new(model, fit, table, new):
    """Return draws of mu and nu of two new schools without variation of their own, written out."""
    beta, gamma = (fit["posterior"][name].to_numpy()[0] for name in ("beta", "gamma"))
    log_n, share = np.log(table["n_students"]), table.drop_duplicates("authority")["share"]
    z = (np.log(new["n_students"]) - log_n.mean()) / log_n.std(ddof=0)
    s = (new["share"] - share.mean()) / share.std(ddof=0)
    labels = list(model.coords["predictor"])
    upper = [
        fit["posterior"]["eta_authority"].sel(authority="2").to_numpy()[0],
        fit["posterior"]["eta"].to_numpy()[0] + beta[:, labels.index("share")] * s[1],
    ]
    for i, kind in enumerate(new["kind"]):
        at = labels.index(f"kind[{kind}]")
        eta = upper[i] + beta[:, 0] * z[i] + beta[:, at]
        moved = gamma[:, 0] * z[i] + gamma[:, at] + gamma[:, labels.index("share")] * s[i]
        yield expit(eta), fit["posterior"]["nu"].to_numpy()[0] * np.exp(moved)


def test_new_schools_are_drawn_around_what_is_known_of_them(table):
    model = hbm.exams.nested(table, predictors=ASKED)
    fit = drawn(model, **STILL)
    tree = hbm.predict(model, fit, NEW, random_seed=1)["predictions"]
    for i, (mu, nu) in enumerate(expected_of_new(model, fit, table, NEW)):
        assert_allclose(tree["mu_school"][0, :, i], mu)
        assert_allclose(tree["nu_school"][0, :, i], nu)


def test_new_schools_are_evaluated_by_what_is_known_of_them(table):
    model = hbm.exams.nested(table, predictors=ASKED)
    fit = drawn(model, design_effect=1.5, **STILL)
    following = pd.concat([NEW.assign(mean=[0.5, 0.8], sd=0.2), table.iloc[:3]], ignore_index=True)
    following = following.loc[[3, 1, 4, 0, 2]]
    rows = hbm.evaluate(model, fit, following, random_seed=1)
    assert rows["known"].tolist() == [True, False, True, False, True]
    expected = list(expected_of_new(model, fit, table, NEW))
    posterior = fit["posterior"].to_dataset().isel(chain=0)
    for i in (2, 3, 4):
        own = posterior.sel(school=following["school"][i])
        expected.append((own["mu_school"].to_numpy(), own["nu_school"].to_numpy()))
    for row, i in enumerate(following.index):
        mu, nu = expected[i]
        one = following.loc[[i]]
        density = [students("exam_mean", one, m, v, 0.5) for m, v in zip(mu, nu, strict=True)]
        found = rows["log_score_mean"][row]
        assert_allclose(found, np.log(np.mean(np.exp(density))), **CLOSE)
    # Of known schools the fit knows it, whatever the table says.
    others = following.assign(kind=following["kind"].where(~rows["known"].to_numpy(), "unheard of"))
    pd.testing.assert_frame_equal(hbm.evaluate(model, fit, others, random_seed=1), rows)


def test_columns_that_new_schools_need_are_asked_for_by_evaluate(table):
    model = hbm.exams.nested(table, predictors=ASKED)
    fit = drawn(model)
    known = table.drop(columns=["kind", "share"])
    assert hbm.evaluate(model, fit, known, random_seed=1)["known"].all()
    new = known.assign(school=["new", *known["school"][1:]])
    with pytest.raises(ValueError, match=r"no column 'kind', .* not in the fit: 'new'"):
        hbm.evaluate(model, fit, new)
    elsewhere = new.assign(kind="public", authority=["9", *known["authority"][1:]])
    with pytest.raises(ValueError, match=r"no column 'share', .* not in the fit: '9'"):
        hbm.evaluate(model, fit, elsewhere)


def test_students_of_new_schools_bring_what_is_known_of_these():
    table = table_for("nested_scores").iloc[3:]
    table = table.assign(size=table.groupby("school").ngroup() % 7.0)
    model = hbm.scores.partial_pooling(table, predictors=["size", "log_n_students"])
    fit = drawn(model)
    schools = table["school"].unique()[:3]
    following = table[table["school"].isin(schools)].sample(frac=1, random_state=1)
    following["school"] = following["school"].replace(schools[1], "new")
    by_school = following.groupby("school", sort=False)
    published = by_school.agg(n_students=("score", "size"), size=("size", "first"))
    rows = hbm.evaluate(model, fit, following, random_seed=1)
    tree = hbm.predict(model, fit, published.reset_index(), random_seed=1)["predictions"]
    means = tree["mean"].mean(("chain", "draw"))
    assert_allclose(rows["predicted"], means.sel(school=rows["school"].to_numpy()))


def test_columns_that_new_schools_need_are_asked_for(table):
    model = hbm.exams.nested(table, predictors=ASKED)
    fit = drawn(model)
    known = table[["school", "authority", "n_students"]]
    assert "predictions" in hbm.predict(model, fit, known, random_seed=1).children
    with pytest.raises(ValueError, match=r"no column 'kind', .* not in the fit: 'new'"):
        hbm.predict(model, fit, known.assign(school=["new", *known["school"][1:]]))
    other = table.assign(school=["new", *table["school"][1:]], kind="unheard of")
    with pytest.raises(ValueError, match=r"not fitted with: 'unheard of' \(school 'new'\)"):
        hbm.predict(model, fit, other)


def test_a_year_to_come_is_around_what_is_known_of_it(panel_table):
    model = hbm.exams.panel(panel_table, predictors=["log_n_students"])
    still = {"tau_school": 0.0, "tau_year": 0.0, "tau_nu": 0.0, "gamma": [0.7]}
    fit = drawn(model, **still)
    f = read_panel(fit)
    # Schools that keep to what is expected of them: nothing but what is known moves them.
    posterior = fit["posterior"].to_dataset()
    mean = f.around("school")[..., None] + f.moved_in_years(slice(None))
    mean = mean + f.draws("effect_year")[:, None]
    posterior["eta_school"] = posterior["eta_school"] * 0 + mean
    fit = fit.assign(posterior=xr.DataTree(posterior))
    schools = f.d.coords["school"][:2]
    new = pd.DataFrame({"school": schools, "year": 2020, "n_students": [5, 250]})
    new["authority"] = [f.d.level("authority").labels[i] for i in f.d.parent_of("school")[:2]]
    tree = hbm.predict(model, fit, new, random_seed=1)["predictions"]
    logs = np.log(panel_table["n_students"])
    z = ((np.log(new["n_students"]) - logs.mean()) / logs.std(ddof=0)).to_numpy()
    eta = f.around("school")[:, :2] + f.draws("beta") * z
    assert_allclose(tree["mu_school"].to_numpy()[0], expit(eta))
    assert_allclose(tree["nu_school"].to_numpy()[0], f.draws("nu")[:, None] * np.exp(0.7 * z))
