"""The page says what the tables say, of every model, and what names hold is text."""

import base64
import hashlib
import json
import re
from functools import cache

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from fake_panels import fake_panel, panel_model
from fakes import fake_exams_nested
from known_predictors import fake_known, known_model
from models import MODELS, build
from pages import read_page

import hbm
from hbm.page.scale import Scale, chance

FINE = hbm.Diagnosis(
    True,
    pd.DataFrame(
        [{"check": "R-hat", "value": 1.0, "allowed": "1.01", "worst": "", "passes": True}]
    ),
    [],
)
HOSTILE = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "</title></style></script><b>",
    "=HYPERLINK(1)",
    "{{ 7 * 7 }}",
    "\N{RIGHT-TO-LEFT OVERRIDE}olleh & <bye>",
    "javascript:alert(1)",
    "bell \x07 and \x1b[31m",
    "-->'\"",
    "@SUM(A1)",
    "plain",
]


def of_draws(model, n_draws=40):
    """Return draws of a model's prior in place of a fit's."""
    prior = hbm.sample_prior_predictive(model, n_draws, random_seed=1)
    return prior.assign(posterior=prior["prior"])


def two_chains(fit):
    return xr.DataTree.from_dict(
        {
            name: node.to_dataset().isel(chain=[0, 0]) if name == "posterior" else node.to_dataset()
            for name, node in fit.children.items()
        }
    )


def write(folder, model, fit, **settings):
    settings = {"checks": [FINE], "random_seed": 1, "progressbar": False} | settings
    return read_page(hbm.report(model, fit, folder / "page.html", **settings))


def number(text):
    """Return a number as a reader takes it."""
    return float(re.sub(r"[^\d.\-]", "", text.replace("−", "-")))


def numbers(text):
    return [number(x) for x in re.findall(r"[+−]?[\d,]*\.?\d+", text)]


@cache
def exams():
    model = build("exams.nested")
    # Schools that differ, some for certain.
    means = np.linspace(-0.6, 1.8, len(model.coords["school"]))
    draws = np.random.default_rng(1).normal(means, 0.3, (200, len(means)))
    return model, fake_exams_nested(model, 200, eta_school=draws)


def exam_names():
    labels = exams()[0].coords
    schools = pd.DataFrame({"school": labels["school"], "school_name": HOSTILE})
    d = exams()[0].description
    schools["authority"] = d.levels[0].labels[d.levels[1].parent]
    schools["authority_name"] = [f"<i>{x}</i> & co" for x in schools["authority"]]
    schools["acceptable"] = np.linspace(0.3, 0.9, len(schools)).round(2)
    schools.loc[2, "acceptable"] = np.nan
    schools["excellent"] = (schools["acceptable"] / 3).round(2)
    return schools


@pytest.fixture(scope="module")
def exam_page(tmp_path_factory):
    return write(tmp_path_factory.mktemp("exams"), *exams(), names=exam_names(), title="<Maths>")


@pytest.mark.parametrize("name", MODELS)
def test_every_model_has_a_page(tmp_path, name):
    model = build(name)
    page = write(tmp_path, model, of_draws(model))
    d = model.description
    assert len(page.tables["table"]) == 1 + len(d.levels[-1].labels)
    addresses = [f"{level.name}={label}" for level in d.levels for label in level.labels]
    assert sorted(page.sections) == sorted(addresses)
    assert f"mean {d.value_name} of" in page.text
    assert ("rank" in page.tables["table"][0]) is (name.split(".")[1] != "complete_pooling")
    facts = page.sections[f"{d.group}={d.levels[-1].labels[0]}"]["facts"]
    assert ("prior" in facts["Raw mean"]) is (name.split(".")[1] == "no_pooling")


def test_levels_above_levels_have_sections_too(tmp_path):
    table = hbm.simulate.exams([3, 2, 2], 20, random_seed=1)[0]
    table["zone"] = np.where(table["authority"] == "3", "south", "north")
    model = hbm.exams.nested(table, levels=("authority", "zone"))
    page = write(tmp_path, model, of_draws(model))
    assert {"zone=north", "zone=south", "authority=1"} < {*page.sections}
    assert page.tables["table"][0][:3] == ["school", "authority", "zone"]
    assert "Its authorities:" in page.sections["zone=north"]["text"]
    assert {"other schools of its zone", "all other schools"} <= {
        re.sub(r"^\d+ % ", "", part)
        for part in page.sections["school=1"]["facts"]["Made of"].split(", ")
    }


def test_with_predictors_it_says_towards_what_is_like_it_and_in_what(tmp_path):
    model = known_model()
    page = write(tmp_path, model, fake_known(model))
    told = page.sections["school=1"]["facts"]["Raw mean"]
    assert told.endswith("%, what is expected of a school like it in its authority")
    known = "the same number of students, new and kind, and type of its authority"
    assert f"what is expected of a school like it: of one with {known}." in page.text
    assert (
        "With predictors, eta_school ~ N(eta_authority + x · beta, tau_school), eta_authority ~ "
        "N(eta + x · beta, tau_authority) and log nu_school ~ N(log nu + x · gamma, tau_nu), where "
        "x is log_n_students, new and kind of a school and type of an authority, coded; "
        "beta ~ N(0, 0.3), gamma ~ N(0, 0.3), and effects of categories sum to zero." in page.text
    )


def test_predictors_of_heights_move_means_alone(tmp_path):
    people = hbm.load_dataset("heights")
    words = {"group": "hospital", "individual": "patient", "value": "stay", "unit": "days"}
    table = people.rename(columns={"country": "hospital", "height": "stay"})
    table["far"] = 1.0 * (table["hospital"] == "1")
    model = hbm.heights.partial_pooling(table, predictors=["far"], **words)
    page = write(tmp_path, model, of_draws(model))
    told = "With predictors, mu_hospital ~ N(mu + x · beta, tau_hospital), where x is far of a"
    assert f"{told} hospital, coded; beta ~ N(0, 5)." in page.text
    assert page.text.count("With predictors") == 1
    assert "gamma" not in page.text


def test_predictors_of_a_panel_move_its_years(tmp_path):
    table, _ = hbm.simulate.exam_panel([2, 1], [9, 40, 12], years=(2015, 2016), random_seed=1)
    model = hbm.exams.panel(table.assign(size=[1.0, 2, 5, 7, 8, 11]), predictors=["size"])
    page = write(tmp_path, model, of_draws(model))
    assert "of one with the same size." in page.text
    assert (
        "With predictors, eta_school in a year is eta_authority + effect_year + x · beta + d and "
        "log nu_school ~ N(log nu + x · gamma, tau_nu), where x is size of a school, coded; "
        "beta ~ N(0, 0.3), gamma ~ N(0, 0.3)." in page.text
    )


@pytest.mark.parametrize("name", MODELS)
def test_without_predictors_there_is_no_word_of_them(tmp_path, name):
    model = build(name)
    page = write(tmp_path, model, of_draws(model))
    assert not re.search("With predictors|like it|x · beta", page.text)


def test_words_are_those_of_the_model(tmp_path):
    table = hbm.simulate.exams([3, 2], 20, random_seed=1)[0]
    words = {"school": "hospital", "authority": "local_trust", "n_students": "n_patients"}
    model = hbm.exams.nested(
        table.rename(columns=words),
        levels=("local_trust",),
        group="hospital",
        individual="patient",
        value="rate",
    )
    page = write(tmp_path, model, of_draws(model))
    for words in ("Find a hospital", "Local trusts", "mean rate of 5 hospitals in 2 local trusts"):
        assert words in page.text
    body = page.text.split("How it was made")[0]
    assert not re.search("school|student|authorit", body, re.I)


def test_the_table_says_what_shrinkage_and_ranks_say(exam_page):
    head, *rows = exam_page.tables["table"]
    assert head == ["school", "authority", "students", "raw mean", "estimate", "interval", "rank"]
    fit = exams()[1]
    told = hbm.shrinkage(fit, "school").merge(
        hbm.ranks(fit, "school")[["school", "joint_lower", "joint_upper"]], on="school"
    )
    told["name"] = exam_names()["school_name"].tolist()
    told = told.set_index("school")
    assert len(rows) == len(told)
    for name, authority, n, raw, mean, interval, rank in rows:
        row = told.loc[name.split()[-1]]
        assert name == f"{row['name']} {row.name}"
        assert authority == f"<i>{row['authority']}</i> & co"
        assert int(n) == row["n_students"]
        assert number(raw) == round(100 * row["raw_mean"], 1)
        assert number(mean) == round(100 * row["mean"], 1)
        ends = [round(100 * row[x], 1) for x in ("lower", "upper")]
        assert [number(x) for x in interval.split("–")] == ends
        assert [int(x) for x in rank.split("–")] == [row["joint_lower"], row["joint_upper"]]


def test_each_section_says_what_the_tables_say(exam_page):
    fit = exams()[1]
    schools = hbm.shrinkage(fit, "school").set_index("school")
    league = hbm.ranks(fit, "school").set_index("school")
    published = exam_names().set_index("school")
    standards = {50: "acceptable", 80: "excellent"}
    shares = {mark: hbm.shares(fit, above=mark / 100).set_index("school") for mark in standards}
    average = schools["mean"].mean()

    def shown(*values):
        return [round(100 * x, 1) for x in values]

    for label, row in schools.iterrows():
        section = exam_page.sections[f"school={label}"]
        good, sure = re.findall(r"How (?:good|sure): (.*)", section["text"])
        away = abs(row["mean"] - average)
        assert numbers(good) == shown(row["mean"], away, average)
        assert ("above" if row["mean"] > average else "below") in good
        above = league.loc[label, "p_above_average"]
        p = above if row["mean"] >= average else 1 - above
        told = [row["n_students"], *shown(row["lower"], row["upper"]), 95]
        assert numbers(sure) == [*told, *numbers(chance(p))]
        assert ("which is enough to say" in sure) == (p >= 0.975)
        facts = section["facts"]
        moved = abs(row["moved"])
        assert numbers(facts["Raw mean"]) == shown(row["raw_mean"], moved, row["target"])
        assert (" up by" if row["moved"] > 0 else " down by") in facts["Raw mean"]
        assert numbers(facts["Estimate"]) == shown(row["mean"], row["lower"], row["upper"])
        parts = ["share_own", *([] if row["only_child"] else ["share_authority"])]
        parts = [row[x] for x in [*parts, "share_population"]]
        assert numbers(facts["Made of"]) == [float(f"{100 * x:.0f}") for x in parts]
        columns = ["rank_lower", "rank_upper", "joint_lower", "joint_upper"]
        ranks = [round(league.loc[label, "expected_rank"]), len(schools)]
        assert numbers(facts["Rank"]) == [*ranks, *league.loc[label, columns]]
        for mark, name in standards.items():
            share = shares[mark].loc[label, ["share", "lower", "upper"]]
            share = [
                float(f"{100 * x:.0f}") for x in [*share, published.loc[label, name]] if x >= 0
            ]
            assert numbers(facts[f"Students at {mark} % or more"]) == share


def test_authorities_say_what_shrinkage_says(exam_page):
    assert "An authority's estimate is that of a school in its middle" in exam_page.text
    table = hbm.shrinkage(exams()[1], "authority").set_index("authority")
    head, *rows = exam_page.tables["sums parents"]
    assert head == ["authority", "schools", "students", "raw mean", "estimate", "interval"]
    assert len(rows) == len(table)
    for name, *cells in rows:
        row = table.loc[name.split()[-1]]
        values = [row["n_schools"], row["n_students"]]
        values += [round(100 * row[x], 1) for x in ("raw_mean", "mean", "lower", "upper")]
        assert numbers(" ".join(cells).replace("–", " ")) == values
    d = exams()[0].description
    for i, authority in enumerate(d.levels[0].labels):
        own = d.levels[1].labels[d.levels[1].parent == i]
        text = exam_page.sections[f"authority={authority}"]["text"]
        assert text.count("\n") >= 2
        inside = re.search(f'id="authority={authority}".*?</section>', exam_page.html, re.S).group()
        assert sorted(re.findall(r'#school=(\w+)"', inside)) == sorted(own)


def test_the_file_is_the_table(exam_page):
    back = exam_page.csv(dtype={"school": str, "authority": str}).set_index("school")
    table = hbm.shrinkage(exams()[1], "school").set_index("school")
    for name in table:
        if pd.api.types.is_numeric_dtype(table[name]) and table[name].dtype != bool:
            np.testing.assert_allclose(back[name], table[name], rtol=1e-5)
        else:
            assert back[name].tolist() == table[name].tolist()
    league = hbm.ranks(exams()[1], "school").set_index("school").loc[table.index]
    for name in ("expected_rank", "rank_lower", "joint_upper", "p_above_average", "tier"):
        np.testing.assert_allclose(back[name], league[name], rtol=1e-5)
    safe = [f"'{x}" if x[0] in "=@-" else x for x in HOSTILE]
    assert back["school_name"].tolist() == safe


def test_hostile_names_are_text(exam_page):
    assert "<script>alert(1)</script>" in exam_page.text
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in exam_page.html
    assert "{{ 7 * 7 }}" in exam_page.text
    tags = [tag for tag, _ in exam_page.tags]
    assert tags.count("script") == 1
    assert {"img", "i"}.isdisjoint(tags)
    known = {"charset", "http-equiv", "content", "name", "lang", "rel"}
    assert all(not x.startswith("on") for _, attrs in exam_page.tags for x in {*attrs} - known)
    assert "<Maths>" in exam_page.text


def test_nothing_is_asked_of_the_network(exam_page):
    """All addresses are on the page, and a policy forbids others: by the hashes of what is here."""
    for link in exam_page.links:
        assert link.startswith(("#", "data:")), link
    (policy,) = (
        attrs["content"]
        for tag, attrs in exam_page.tags
        if attrs.get("http-equiv") == "Content-Security-Policy"
    )
    rules = dict(rule.split(" ", 1) for rule in policy.split("; "))
    assert rules["default-src"] == rules["base-uri"] == rules["form-action"] == "'none'"
    for tag in ("style", "script"):
        (content,) = re.findall(f"<{tag}>(.*?)</{tag}>", exam_page.html, re.S)
        digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
        assert rules[f"{tag}-src"] == f"'sha256-{digest}'"
    assert not any("style" in attrs for _, attrs in exam_page.tags)
    assert not re.search(r"@import|url\(|https?:(?!//www.w3.org/2000/svg)", exam_page.html)


def test_all_links_lead_somewhere(exam_page):
    assert len(exam_page.ids) == len({*exam_page.ids})
    for link in exam_page.links:
        assert not link.startswith("#") or link[1:] in exam_page.ids, link


@pytest.mark.parametrize("label", ["St Ann's", "a/b#c?d=%20", "École", "a b", '"<&>'])
def test_any_label_has_an_address(tmp_path, label):
    table = pd.DataFrame({"country": [label, "other", "third"]}).assign(
        n_people=10, mean=[170.0, 175.0, 180.0], sd=6.0
    )
    model = hbm.heights.partial_pooling(table)
    page = write(tmp_path, model, of_draws(model))
    assert len(page.sections) == 3
    (address,) = {*page.sections} - {"country=other", "country=third"}
    assert re.fullmatch(r"country=[\w.~%-]+", address)
    assert f"#{address}" in page.links


def test_a_panel_says_what_its_tables_say(tmp_path):
    model, fit = panel_model(), fake_panel(200)
    page = write(tmp_path, model, fit)
    d = model.description
    by_year = hbm.estimates(fit, "mu_school").set_index(["school", "year"])
    changes = hbm.changes(fit, "school").set_index("school")
    last = hbm.shrinkage(fit, "school").set_index("school")
    assert {row[0] for row in page.tables["table"][1:]} == {*last.index}
    for label in d.levels[-1].labels:
        section = page.sections[f"school={label}"]
        head, *rows = section["rows"]
        assert head == ["year", "n", "raw mean", "estimate", "interval"]
        at = list(d.levels[-1].labels).index(label)
        cells = np.flatnonzero(d.cells.group == at)
        seen = {int(d.cells.years[d.cells.year[c]]): c for c in cells}
        assert [int(row[0]) for row in rows] == [
            y for y in d.cells.years if min(seen) <= y <= max(seen)
        ]
        for year, n, raw, mean, interval in rows:
            row = by_year.loc[(label, int(year))]
            shown = [f"{100 * row[x]:.1f}" for x in ("mean", "lower", "upper")]
            assert [mean, *interval.split("–")] == shown
            if int(year) in seen:
                cell = seen[int(year)]
                assert (n, raw) == (f"{d.n[cell]:.0f}", f"{100 * d.mean[cell]:.1f}")
            else:
                assert (n, raw) == ("–", "–")
        facts = section["facts"]
        if label in changes.index:
            row = changes.loc[label]
            told = [row["change"], row["lower"], row["upper"], row["raw_change"]]
            told = [round(100 * x, 1) for x in told]
            assert numbers(facts["Change"]) == [told[0], 2015, *told[1:]]
            assert ("risen" in facts["Change"]) == bool(row["named"] and row["change"] > 0)
        else:
            assert "Change" not in facts
        assert ("Expected in 2020" in facts) == (label in last.index)
        if label in last.index:
            assert number(facts["Raw mean"].split("%")[0]) == round(
                100 * last.loc[label, "raw_mean"], 1
            )
        else:
            assert "no results in 2019" in section["text"]
    assert {"raw_change", "change", "p_rose"} < {*page.csv()}


def test_another_cohort_is_what_is_predicted(tmp_path):
    model, fit = exams()
    page = write(tmp_path, model, fit)
    d = model.description
    new = pd.DataFrame(
        {level.name: level.labels[d.ancestor_of(level.name)] for level in d.levels}
    ).assign(n_students=d.n.astype(int))
    draws = hbm.predict(model, fit, new, random_seed=1)["predictions"]["mean"]
    for i, label in enumerate(new["school"]):
        told = page.sections[f"school={label}"]["facts"]["Another cohort"]
        of_one = draws.isel(school=i).to_numpy()
        ends = np.quantile(of_one, [0.025, 0.975])
        assert numbers(told) == [
            round(100 * of_one.mean(), 1),
            95,
            new["n_students"][i],
            *(round(100 * x, 1) for x in ends),
        ]
    assert "from year to year these data do not say" in page.text


def test_the_year_to_come_is_what_is_predicted(tmp_path):
    model, fit = panel_model(), fake_panel(200)
    page = write(tmp_path, model, fit)
    d = model.description
    cells = d.last_cells[d.cells.year[d.last_cells] == 3]
    new = pd.DataFrame(
        {level.name: level.labels[d.ancestor_of(level.name)[cells]] for level in d.levels}
    ).assign(year=2020, n_students=d.n[cells].astype(int))
    draws = hbm.predict(model, fit, new, random_seed=1)["predictions"]["mean"]
    for i, label in enumerate(new["school"]):
        told = page.sections[f"school={label}"]["facts"]["Expected in 2020"]
        of_one = draws.isel(cell=i).to_numpy()
        ends = np.quantile(of_one, [0.025, 0.975])
        mean, *rest = numbers(told)
        assert mean == round(100 * of_one.mean(), 1)
        assert rest == [95, new["n_students"][i], *(round(100 * x, 1) for x in ends)]


def test_a_school_without_results_in_the_last_year_has_its_authority(tmp_path):
    sizes = np.array([[9, 12], [40, 0], [12, 0]])
    table, _ = hbm.simulate.exam_panel([2, 1], sizes, years=(2015, 2016), random_seed=1)
    model = hbm.exams.panel(table)
    page = write(tmp_path, model, of_draws(model))
    (of_closed,) = re.findall(r'<ul class="members" id="without">(.*?)</ul>', page.html, re.S)
    assert re.findall(r'="#school=(\d)".*?(?:class="text">(\d)<|</li>)', of_closed) == [
        ("2", "1"),
        ("3", ""),
    ]
    head = r'<section class="member" id="school=(\d)".*?</h3>\s*<p[^>]*>(?:<a href="(.*?)")?'
    links = re.findall(head, page.html, re.S)
    assert links == [("1", "#authority=1"), ("2", "#authority=1"), ("3", "")]


def test_names_of_a_panel_are_the_last_ones(tmp_path):
    model, fit = panel_model(), fake_panel(40)
    rows = pd.DataFrame({"school": model.coords["school"]})
    names = pd.concat(
        [
            rows.assign(year=y, school_name=[f"{x} of {y}" for x in rows["school"]])
            for y in (2019, 2015)
        ]
    )
    page = write(tmp_path, model, fit, names=names)
    assert "1 of 2019" in page.sections["school=1"]["text"]
    assert "1 of 2015" not in page.text


def test_the_head_says_whether_numbers_can_be_used(tmp_path):
    model, fit = exams()
    bad = hbm.Diagnosis(False, FINE.checks.assign(passes=False), ["draw more"])
    table = pd.DataFrame(
        [["x", "spread", 0.2, 0.1, 0.05, 0.15, "%", 0.01, "higher than expected"]],
        columns=[
            "statistic",
            "meaning",
            "observed",
            "mean",
            "lower",
            "upper",
            "unit",
            "p",
            "verdict",
        ],
    )
    words = {"source": "posterior", "new_groups": False, "prob": 0.99, "group": "school"}
    check = hbm.PredictiveCheck(False, 0.01, table, pd.DataFrame(), individual="student", **words)
    pit = hbm.LooPit(True, 0.4, pd.DataFrame({"pit": [0.5]}), "school")
    for checks, words in (
        ([bad], "should not be used"),
        ([FINE], "whether the model fits the data was not checked"),
        ([FINE, pit], "These numbers can be used: the computation and the model passed"),
        ([FINE, pit, check], "with care: of 2 checks of the model against the data, 1 found"),
        ([bad, pit], "should not be used"),
    ):
        page = write(tmp_path, model, fit, checks=checks)
        assert words in page.text
        assert ("draw more" in page.text) is (bad in checks)
        assert ("spread (higher than expected)" in page.text) is (check in checks)
    assert "20.00 %" not in page.text
    page = write(tmp_path, model, fit, checks=[FINE, check])
    assert page.tables[1] == [
        ["of the data", "observed", "expected", "verdict"],
        ["spread", "20.00 %", "5.00 % to 15.00 %", "higher than expected"],
    ]


def test_checks_that_are_not_given_are_made(tmp_path):
    model = hbm.heights.partial_pooling(hbm.load_dataset("heights"))
    page = write(tmp_path, model, two_chains(of_draws(model, 200)), checks=None)
    assert "Did the computation work?" in page.text
    assert "with other people of the same countries?" in page.text
    assert "Does it predict each country rightly from the others?" in page.text


@pytest.mark.filterwarnings("ignore:.*Pareto k above")
def test_of_a_panel_last_years_are_left_out(tmp_path):
    model = panel_model()
    fit = two_chains(fake_panel())
    page = write(tmp_path, model, fit, checks=None)
    assert "with other students of the same schools?" in page.text
    asked = "Does it predict the last year of each school rightly from the years before?"
    assert page.text.count(asked) == 1
    tests = hbm.loo_pit(model, fit, "last_year").tests
    shown = [[row[0], row[2]] for row in page.tables[2][1:]]
    assert shown == tests[["test", "finding"]].to_numpy().tolist()


@pytest.mark.parametrize("unit", ["last_year", "school"])
def test_what_a_check_cannot_tell_is_said_beside_it(tmp_path, unit):
    model, fit = panel_model(), fake_panel(50)
    d = model.description
    names = pd.DataFrame({"school": d.levels[-1].labels, "year": 2019})
    names["school_name"] = [*("<b>" + names["school"][:-1]), names["school"].iloc[-1]]
    table = pd.DataFrame({unit: d.unit_labels(unit), "pit": 0.5})
    table["pareto_k"] = [0.1, 0.65, 0.3, 0.61, 0.2, 0.9]
    pit = hbm.LooPit(True, 0.4, table, unit, good_k=0.6)
    page = write(tmp_path, model, fit, checks=[FINE, pit], names=names)
    units = {"last_year": "last years", "school": "schools"}[unit]
    assert f"Of 3 of 6 {units} that is uncertain." in page.text
    called = []
    for i in (1, 3, 5):
        label = d.levels[-1].labels[i]
        year = d.cells.years[d.cells.year[d.cells.group == i]].max()
        name = label if i == 5 else f"<b>{label} ({label})"
        called.append(f"{name} in {year}" if unit == "last_year" else name)
    assert f"(Pareto k above 0.60): {', '.join(called)}." in page.text
    sure = hbm.LooPit(True, 0.4, table, unit, good_k=0.95)
    page = write(tmp_path, model, fit, checks=[FINE, sure], names=names)
    assert "uncertain" not in page.text
    assert "Pareto" not in page.text


def test_of_many_uncertain_units_twenty_are_named(tmp_path):
    model, fit = exams()
    table = pd.DataFrame({"student": [f"s{i}" for i in range(30)], "pit": 0.5, "pareto_k": 1.0})
    page = write(tmp_path, model, fit, checks=[FINE, hbm.LooPit(True, 0.4, table, "student")])
    assert "Of 30 of 30 students that is uncertain." in page.text
    assert "s18, s19 and 10 more." in page.text
    assert "s20" not in page.text


def test_models_are_compared(tmp_path):
    model, fit = exams()
    table = pd.DataFrame(
        {"elpd_diff": [0.0, -1.2345], "dse": [0.0, 1.0], "weight": [0.7, 0.3]},
        index=["flat", "the model of this page"],
    )
    page = write(tmp_path, model, fit, compare=table)
    assert "Of 2 models, “flat”. That of this page predicts as well, within chance." in page.text
    assert ["the model of this page", "−1.234", "1", "0.3"] in page.tables[1]
    table["elpd_diff"] = [0.0, -10.0]
    assert "predicts worse" in write(tmp_path, model, fit, compare=table).text
    table.index = table.index[::-1]
    assert "Of 2 models, that of this page." in write(tmp_path, model, fit, compare=table).text


def test_other_models_are_compared_here(tmp_path):
    table = hbm.load_dataset("heights")
    model, other = hbm.heights.partial_pooling(table), hbm.heights.no_pooling(table)
    page = write(
        tmp_path, model, of_draws(model, 100), compare={"alone": (other, of_draws(other, 100))}
    )
    assert {row[0] for row in page.tables[1][1:]} == {"alone", "the model of this page"}


def test_it_says_how_much_levels_differ(exam_page):
    table = hbm.variance_shares(exams()[1])
    (rows,) = (
        x for x in exam_page.tables.values() if x[0][:2] == ["between", "standard deviation"]
    )
    assert [row[0] for row in rows[1:]] == table["level"].tolist()
    for row, told in zip(table.itertuples(), rows[1:], strict=True):
        shown = [
            round(100 * row.sd, 1),
            *(round(100 * x) for x in (row.share, row.lower, row.upper)),
        ]
        assert numbers(" ".join(told[1:])) == shown


def test_it_says_how_it_was_made(tmp_path):
    model, fit = exams()
    fit = fit.copy()
    fit["sample_stats"] = xr.Dataset(attrs={"random_seed": 4711, "method": "nuts"})
    page = write(tmp_path, model, fit, licence="Open <Licence>, 2016")
    assert "authorities around a mean" in page.text
    assert "not the quality of a school" in page.text
    assert "Open <Licence>, 2016" in page.text
    made = dict(re.findall(r"<dt>(.*?)</dt><dd>(.*?)</dd>", page.html.split("How it was made")[1]))
    assert made["Seed"] == "4711"
    assert made["Seed of this page"] == "1"
    assert made["Method of sampling"] == "nuts"
    assert made["Sampled on"] == "not recorded"
    assert made["Prior eta_mean"] == "1.1"
    assert f"hbm {hbm.page.method.package_versions()['hbm']}" in made["Versions"]
    file = hbm.save(model, of_draws(model, 5), tmp_path / "fit.nc")
    with xr.open_datatree(file, engine="h5netcdf") as tree:
        assert made["SHA-256 of the data"] == tree.attrs["hbm_data_sha256"]
        assert json.loads(tree.attrs["hbm_priors"])["eta_sd"] == float(made["Prior eta_sd"])


def test_nothing_given_is_changed(tmp_path):
    model, fit = exams()
    names, before = exam_names(), fit.copy(deep=True)
    kept = names.copy()
    write(tmp_path, model, fit, names=names)
    pd.testing.assert_frame_equal(names, kept)
    assert fit.identical(before)


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"checks": ["fine"]}, TypeError, "checks must be results of hbm.diagnose, .*, got str"),
        ({"names": pd.DataFrame({"school": ["1"]})}, ValueError, "names must hold labels of the"),
        ({"names": lambda: exam_names()[1:]}, ValueError, "names has no school '1'"),
        (
            {"names": lambda: exam_names().assign(acceptable=50.0)},
            ValueError,
            "'acceptable' must hold shares in .0, 1., or missing",
        ),
    ],
)
def test_what_makes_no_page_is_refused(tmp_path, settings, error, message):
    settings = {name: x() if callable(x) else x for name, x in settings.items()}
    with pytest.raises(error, match=message):
        write(tmp_path, *exams(), **settings)
    assert [*tmp_path.iterdir()] == []


def test_other_endings_and_other_models_are_refused(tmp_path):
    model, fit = exams()
    with pytest.raises(ValueError, match=r"must end in .html, got 'page.pdf'"):
        hbm.report(model, fit, tmp_path / "page.pdf")
    article = hbm.article.heights(hbm.load_dataset("heights"))
    prior = hbm.sample_prior_predictive(article, 10, random_seed=1)
    with pytest.raises(ValueError, match="works on the models of hbm"):
        hbm.report(article, prior.assign(posterior=prior["prior"]), tmp_path / "page.html")


def test_numbers_are_written_for_people():
    scale = Scale("cm", "cm", 1)
    assert scale.number(-0.01) == "0.0"
    assert scale.value(-1.25) == "−1.2\N{NO-BREAK SPACE}cm"
    assert scale.signed(0.0) == "0.0"
    assert scale.signed(-0.5) == "−0.5"
    assert Scale("", "", 2).between(1234.5, 2) == "1,234.50 to 2.00"


def test_progress_is_shown_and_can_be_silenced(tmp_path, capsys):
    model, fit = exams()
    write(tmp_path, model, fit)
    assert capsys.readouterr().out == ""
    write(tmp_path, model, fit, progressbar=True)
    assert "Page" in capsys.readouterr().out


def table_of(n_schools):
    families = [8] * (n_schools // 8) + [1] * (n_schools % 8)
    sizes = np.round(np.geomspace(6, 600, n_schools)).astype(int)
    table = hbm.simulate.exams(families, sizes, random_seed=1)[0]
    table["school"] = table["school"].str.zfill(4)
    table["school_name"] = "École Saint-Exemple Composite High No. " + table["school"]
    table["authority_name"] = "The Regional School Division " + table["authority"]
    return table.assign(acceptable=0.8, excellent=0.2)


@pytest.mark.parametrize(
    ("n_schools", "most"), [(320, 1.0), pytest.param(5000, 12.0, marks=pytest.mark.slow)]
)
def test_pages_are_small(tmp_path, n_schools, most):
    table = table_of(n_schools)
    model = hbm.exams.nested(table)
    page = write(tmp_path, model, of_draws(model, 20), names=table)
    assert len(page.html.encode()) < most * 1e6


def test_pages_of_years_are_small(tmp_path):
    sizes = np.round(np.geomspace(6, 600, 320)).astype(int)[:, None] + np.arange(5)
    table, _ = hbm.simulate.exam_panel([8] * 40, sizes, years=range(2015, 2020), random_seed=1)
    table["school_name"] = "École Saint-Exemple Composite High No. " + table["school"]
    model = hbm.exams.panel(table)
    page = write(tmp_path, model, of_draws(model, 20), names=table)
    assert len(page.html.encode()) < 2e6
