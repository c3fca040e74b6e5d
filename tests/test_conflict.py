"""Data far from the priors are warned of when a model is built, and no others."""

import re
import warnings
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pandas as pd
import pytest
from fakes import fake_fit
from models import MODELS, build, model_function
from scipy.special import expit

import hbm
from hbm.hierarchy.conflict import quiet, warn_of_conflict
from hbm.hierarchy.published import describe_exams
from hbm.hierarchy.recipes import make_again, recipe_of
from hbm.sampling import many
from hbm.students.beta import BETA
from hbm.students.cohorts import individuals, summarise

HEIGHTS = ["complete_pooling", "no_pooling", "partial_pooling"]
FAR = "^the data are far from what the priors expect: "


def people(mean, sd, n=30):
    """Return a published table of four countries."""
    return pd.DataFrame({"country": list("abcd"), "n_people": n, "mean": mean, "sd": sd})


def schools(mean, sd, n=400):
    """Return a published table of four schools in two authorities."""
    table = pd.DataFrame({"school": list("abcd"), "authority": list("xxyy"), "n_students": n})
    return table.assign(mean=mean, sd=sd)


TESTED = people([500.0, 510.0, 480.0, 530.0], 20.0)
ENDS = [0.0005, 0.9995, 0.0005, 0.9995]
INCOMES = people([1.0e5, 1.2e5, 0.9e5, 1.1e5], 3e4)


@pytest.mark.parametrize("name", HEIGHTS)
@pytest.mark.parametrize(
    ("table", "raw", "more"),
    [(TESTED, "505", ""), (INCOMES, "105,000", "; a raw sd of heights within a country of 30,000")],
)
def test_other_scales_than_that_of_heights_are_warned_of(name, table, raw, more):
    with pytest.warns(UserWarning, match=f"{FAR}a raw grand mean of {raw} cm .*{more}") as caught:
        getattr(hbm.heights, name)(table)
    (one,) = caught
    assert one.filename == __file__
    # The mend that is named is one.
    mend = re.search(r"priors=(hbm\.heights\.Priors\(.*?\))", str(one.message))[1]
    priors = eval(mend, {"hbm": hbm})
    getattr(hbm.heights, name)(table, priors=priors)


@pytest.mark.parametrize(("factor", "act"), [(10, "divide by 10"), (0.01, "multiply by 100")])
def test_heights_in_another_unit_are_told_from_which(factor, act):
    table = people(factor * np.array([176.0, 180.0, 178.0, 174.0]), factor * 7.0)
    with pytest.warns(UserWarning, match=f"with unit= if it is not 'cm'; or {act}, if the table"):
        hbm.heights.partial_pooling(table)
    mended = table.assign(mean=table["mean"] / factor, sd=table["sd"] / factor)
    hbm.heights.partial_pooling(mended)


def test_people_one_by_one_are_warned_of_too():
    heights = np.random.default_rng(1).normal(500, 20, 80)
    table = pd.DataFrame({"country": np.repeat(list("abcd"), 20), "height": heights})
    with pytest.warns(UserWarning, match=f"{FAR}a raw grand mean of (49|50)"):
        hbm.heights.partial_pooling(table)


@pytest.mark.parametrize(
    ("function", "table", "found"),
    [
        (
            hbm.heights.partial_pooling,
            people([176, 300, 50, 20.0], 5.0),
            r"country means of 128 cm",
        ),
        (hbm.heights.no_pooling, people([176.0, 178, 180, 175], 90.0), r"sd of heights .* 90 cm"),
        (
            hbm.exams.nested,
            schools(0.002, 0.001),
            r"grand mean of 0\.2 % \(expected 28\.9 to 95\.7\)",
        ),
        (hbm.exams.no_pooling, schools(0.5, 0.001), r"sd of scores within a school of 0\.1 points"),
        (hbm.exams.partial_pooling, schools(ENDS, 0.002), r"school means of \S+ logits"),
        (hbm.exams.complete_pooling, schools(0.002, 0.001), r"grand mean of 0\.2 %"),
    ],
)
def test_each_quantity_is_named_and_its_mend_is_one(function, table, found):
    with pytest.warns(UserWarning, match=f"{FAR}.*{found}") as caught:
        function(table)
    mend = re.search(r"priors=(hbm\.\w+\.Priors\(.*?\))", str(caught[0].message))[1]
    function(table, priors=eval(mend, {"hbm": hbm}))


def test_students_one_by_one_are_sent_to_the_priors_of_scores():
    scores = np.random.default_rng(1).beta(0.002 * 500, 0.998 * 500, 400)
    table = pd.DataFrame({"school": np.repeat(list("abcd"), 100), "score": scores})
    with pytest.warns(UserWarning, match=r"priors=hbm\.scores\.Priors\(eta_mean=-5\."):
        hbm.scores.partial_pooling(table)


@pytest.mark.parametrize("name", MODELS)
def test_the_usual_tables_are_not_warned_of(name):
    build(name)


def test_no_year_of_the_real_workbook_is_warned_of(diploma):
    seen = 0
    for course, year in diploma[["course", "year"]].drop_duplicates().itertuples(index=False):
        table = hbm.exam_table(diploma, course=course, year=year)
        if len(table) >= 3:
            d = describe_exams(BETA, table, "school", "student", "exam", "mean and sd")
            for fields in (("eta_sd", "tau_school"), ("no_pooling_sd",) * 2, ("eta_sd",)):
                warn_of_conflict(d, hbm.exams.Priors(), *fields)
            seen += 1
    assert seen > 30


FIELDS = {
    "complete_pooling": ["mean_sd"],
    "no_pooling": ["no_pooling_sd", "no_pooling_sd"],
    "partial_pooling": ["mean_sd", "tau"],
    "nested": ["mean_sd", "tau"],
}


def some_sizes(rng):
    """Return numbers of individuals of 1 to 60 groups, of one size or very different ones."""
    n_groups = int(rng.choice([1, 2, 3, 4, 10, 60]))
    if rng.uniform() < 0.5:
        return rng.choice([1, 2, 3, 8, 20, 100, 400], n_groups)
    return np.full(n_groups, rng.integers(1, 60))


def heights_of_the_prior(name, rng):
    n, priors = some_sizes(rng), hbm.heights.Priors()
    drawn = priors.draw(rng)
    tau = {"complete_pooling": 0.0, "no_pooling": 50.0}.get(name, drawn["tau_country"])
    mu = rng.normal(176 if name == "no_pooling" else drawn["mu"], tau, len(n))
    value = np.repeat(mu, n) + drawn["sigma"] * rng.standard_normal(n.sum())
    mean, sd = summarise(value, n)
    labels = np.arange(len(n)).astype(str)
    table = pd.DataFrame({"country": labels, "n_people": n, "mean": mean, "sd": sd})
    return hbm.heights._describe(table, "country", "person", "height", "cm"), priors


def exams_of_the_prior(name, rng):
    n, priors = some_sizes(rng), hbm.exams.Priors()
    drawn = priors.draw(rng)
    authority = rng.integers(0, rng.choice([1, 3, 60]), len(n))
    eta = np.full(len(n), np.log(drawn["mu"] / (1 - drawn["mu"])))
    log_nu = np.full(len(n), np.log(drawn["nu"]))
    if name == "no_pooling":
        eta, log_nu = rng.normal(1.1, 1.5, len(n)), rng.normal(np.log(10), 1, len(n))
    elif name != "complete_pooling":
        if name == "nested":
            eta = eta + rng.normal(0, drawn["tau_authority"], 60)[authority]
        eta = eta + rng.normal(0, drawn["tau_school"], len(n))
        log_nu = log_nu + rng.normal(0, drawn["tau_nu"], len(n))
    pools = name in ("partial_pooling", "nested")
    excess = drawn["design_effect"] - 1 if pools else 0.0
    mean, sd = summarise(individuals(BETA, expit(eta), np.exp(log_nu), n, rng, excess), n)
    labels = np.arange(len(n)).astype(str)
    table = pd.DataFrame({"school": labels, "n_students": n, "mean": mean, "sd": sd})
    table["authority"] = authority.astype(str)
    levels = ("authority",) if name == "nested" else ()
    observe = rng.choice(["mean and sd", "mean"])
    words = "school", "student", "exam"
    known = None if pools else 1
    return describe_exams(BETA, table, *words, observe, levels, design_effect=known), priors


FAMILIES = [(heights_of_the_prior, name) for name in HEIGHTS]
FAMILIES += [(exams_of_the_prior, name) for name in FIELDS]


def look_at_the_prior(simulate, name, n_sets):
    effect, tau = (
        ("mu", "tau_country") if simulate is heights_of_the_prior else ("eta", "tau_school")
    )
    fields = [{"mean_sd": f"{effect}_sd", "tau": tau}.get(field, field) for field in FIELDS[name]]
    rng = np.random.default_rng(3)
    for _ in range(n_sets):
        warn_of_conflict(*simulate(name, rng), *fields)


@pytest.mark.parametrize(("simulate", "name"), FAMILIES)
def test_tables_simulated_from_the_prior_are_never_warned_of(simulate, name):
    look_at_the_prior(simulate, name, 100)


@pytest.mark.calibration
@pytest.mark.parametrize(("simulate", "name"), FAMILIES)
def test_2000_tables_simulated_from_the_prior_are_never_warned_of(simulate, name):
    look_at_the_prior(simulate, name, 2000)


# Models made again are of tables that were warned of --------------------------------------------


def test_a_model_made_again_is_not_warned_of_again():
    with pytest.warns(UserWarning, match=FAR):
        model = hbm.heights.partial_pooling(TESTED)
    assert make_again(recipe_of(model)).description.group == "country"


def test_many_tables_are_warned_of_once_each(monkeypatch):
    def drawn(model, **_):
        draws = {
            "mu": 500.0,
            "tau_country": 20.0,
            "sigma": 20.0,
            "mu_country": np.full((9, 4), 500),
        }
        return fake_fit(model, draws)

    monkeypatch.setattr(many, "draw", drawn)
    monkeypatch.setattr(many, "what_is_poor", lambda fit: "")
    tables = {"a": TESTED}
    with ThreadPoolExecutor(1) as executor, pytest.warns(UserWarning, match=FAR) as caught:
        fits = hbm.sample_each(
            hbm.heights.partial_pooling, tables, executor=executor, progressbar=False
        )
    assert list(fits.fits) == ["a"]
    assert len(caught) == 1


def test_quiet_is_of_its_thread_only():
    with quiet(), ThreadPoolExecutor(1) as other:
        hbm.heights.partial_pooling(TESTED)
        with pytest.raises(UserWarning, match=FAR):
            other.submit(hbm.heights.partial_pooling, TESTED).result()
    with pytest.warns(UserWarning, match=FAR):
        hbm.heights.partial_pooling(TESTED)


def test_the_model_is_made_all_the_same():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = model_function("heights.partial_pooling")(TESTED)
    assert np.isfinite(model.compile_logp()(model.initial_point()))
