"""Every number of a page is read back and held against the package's own tables, marks included."""

import re
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from fake_panels import fake_panel, panel_model
from known_predictors import fake_known, known_model
from models import build
from pages import Page
from test_page import exams, number, numbers, of_draws, two_chains, write

import hbm
from hbm.hierarchy.description import Description
from hbm.page.scale import Scale, chance, scale_of

DRAWS = 200
NEAR = 0.2  # of a picture, whose marks and ticks are each rounded to tenths


def panel():
    """Return a panel of which one school rose and one fell for certain."""
    model, rng = panel_model(), np.random.default_rng(2)
    eta = rng.normal(0.6, 0.3, (DRAWS, 6, 4))
    for label, means in (("2", [-0.5, 0.0, 0.5, 1.0]), ("5", [1.5, 1.0, 0.5, 0.0])):
        at = list(model.coords["school"]).index(label)
        eta[:, at] = rng.normal(means, 0.1, (DRAWS, 4))
    return model, fake_panel(DRAWS, eta_school=eta)


def of(name):
    model = build(name)
    return model, of_draws(model, DRAWS)


FITS = {
    "panel": panel,
    "exams": exams,
    "predictors": lambda: (known_model(), fake_known(n_draws=DRAWS)),
    "heights": lambda: of("heights.partial_pooling"),
    "scores": lambda: of("scores.nested"),
}


@dataclass(frozen=True)
class Told:
    """A page, and the tables that it is held against."""

    page: Page
    d: Description
    model: object
    fit: xr.DataTree

    @cached_property
    def groups(self):
        return hbm.shrinkage(self.fit, self.d.group).set_index(self.d.group)

    @cached_property
    def league(self):
        return hbm.ranks(self.fit, self.d.group).set_index(self.d.group)

    @cached_property
    def changes(self):
        return hbm.changes(self.fit, self.d.group).set_index(self.d.group)

    @cached_property
    def scale(self) -> Scale:
        return scale_of(self.d.unit, self.d.distance, self.groups["sd"])

    def shown(self, *values):
        """Numbers as a reader of the page takes them."""
        factor = 100 if self.d.unit == "%" else 1
        return [float(f"{factor * x:.{self.scale.digits}f}") for x in values]

    def section(self, label):
        return self.page.sections[f"{self.d.group}={label}"]

    def drawn(self, address, kind):
        """The picture of a kind in a section."""
        section = re.search(
            f'<section class="member" id="{address}".*?</section>', self.page.html, re.S
        )
        return re.search(f'<svg class="{kind}".*?</svg>', section.group(), re.S).group()

    def position(self, picture, at):
        """Return where values are, by the numbers that stand beside a picture."""
        label = r'<text x="([\d.]+)" y="([\d.]+)"( text-anchor="end")?[^>]*>([^<]*)</text>'
        found = [
            (number(text), float(x) if at == "x" else float(y) - 4)
            for x, y, end, text in re.findall(label, picture)
            if re.search(r"\d", text) and (at == "x" or end)
        ]
        (low, start), (high, stop) = min(found), max(found)
        factor = 100 if self.d.unit == "%" else 1
        return lambda x: start + (factor * np.asarray(x) - low) / (high - low) * (stop - start)


@pytest.fixture(scope="module", params=FITS)
def told(request, tmp_path_factory):
    model, fit = FITS[request.param]()
    page = write(tmp_path_factory.mktemp(request.param), model, fit)
    return Told(page, model.description, model, fit)


def whole(share):
    return float(f"{100 * share:.0f}")


def test_the_main_table(told):
    head, *rows = told.page.tables["table"]
    n_above = len(told.d.levels) - 1
    assert [row[0] for row in rows] == sorted(told.groups.index)
    size = told.d.size.removeprefix("n_")
    names = [size, "raw mean", "estimate", "interval", "rank"]
    assert head[1 + n_above :] == [*names, *(["change"] if told.d.panel else [])]
    for label, *cells in rows:
        row, place = told.groups.loc[label], told.league.loc[label]
        n, raw, mean, interval, rank, *change = cells[n_above:]
        assert number(n) == row[told.d.size]
        assert [number(raw), number(mean)] == told.shown(row["raw_mean"], row["mean"])
        assert [number(x) for x in interval.split("–")] == told.shown(row["lower"], row["upper"])
        assert [int(x) for x in rank.split("–")] == [place["joint_lower"], place["joint_upper"]]
        if not change:
            continue
        if label not in told.changes.index:
            assert change == ["–"]
            continue
        of_one = told.changes.loc[label]
        assert numbers(change[0]) == told.shown(of_one["change"])
        arrow = ("▲" if of_one["change"] > 0 else "▼") if of_one["named"] else ""
        assert re.sub("[^▲▼]", "", change[0]) == arrow
    if told.d.panel:
        assert {cell[-1] for *_, cell in rows} >= {"▲", "▼"}


def test_the_sections(told):
    average = told.groups["mean"].mean()
    others = [x.name for x in reversed(told.d.levels[:-1])]
    for label, row in told.groups.iterrows():
        section, place = told.section(label), told.league.loc[label]
        good, sure = re.findall(r"How (?:good|sure): (.*)", section["text"])
        away = told.shown(abs(row["mean"] - average))
        assert numbers(good) == [
            *told.shown(row["mean"]),
            *(away if away[0] else []),
            *told.shown(average),
        ]
        if away[0]:
            assert (" above " if row["mean"] > average else " below ") in good
        above = place["p_above_average"]
        p = above if row["mean"] >= average else 1 - above
        ends = told.shown(row["lower"], row["upper"])
        assert numbers(sure) == [row[told.d.size], *ends, 95, *numbers(chance(p))]
        assert ("which is enough to say" in sure) == (p >= 0.975)
        facts = section["facts"]
        moved = told.shown(row["raw_mean"], abs(row["moved"]), row["target"])
        assert numbers(facts["Raw mean"]) == moved
        if moved[1]:
            assert (" up by" if row["moved"] > 0 else " down by") in facts["Raw mean"]
        assert numbers(facts["Estimate"]) == [*told.shown(row["mean"]), *ends]
        parts = [1 - row["pooling"], row["pooling"]]
        if others:
            kept = others[1:] if row["only_child"] else others
            names = ["own", *(["years"] if told.d.panel else []), *kept, "population"]
            parts = [row[f"share_{name}"] for name in names]
        assert numbers(facts["Made of"]) == [whole(x) for x in parts]
        columns = ["rank_lower", "rank_upper", "joint_lower", "joint_upper"]
        ranks = [round(place["expected_rank"]), len(told.groups)]
        assert numbers(facts["Rank"]) == [*ranks, *place[columns]]


def test_the_levels_above(told):
    d = told.d
    if len(d.levels) == 1:
        assert "sums parents" not in told.page.tables
        return
    level, below = d.levels[-2], f"n_{d.group}s"
    table = hbm.shrinkage(told.fit, level.name).set_index(level.name)
    _, *rows = told.page.tables["sums parents"]
    assert [row[0] for row in rows] == sorted(table.index)
    for label, *cells in rows:
        row = table.loc[label]
        values = told.shown(*row[["raw_mean", "mean", "lower", "upper"]])
        assert numbers(" ".join(cells).replace("–", " ")) == [row[below], row[d.size], *values]
    for label, row in table.iterrows():
        facts = told.page.sections[f"{level.name}={label}"]["facts"]
        assert numbers(facts["Estimate"]) == told.shown(*row[["mean", "lower", "upper"]])
        raw = [*told.shown(row["raw_mean"]), row[below], row[d.size]]
        assert numbers(facts["Raw"]) == raw
        address = f'<section class="member" id="{level.name}={label}"'
        inside = told.page.html.split(address)[1].split("</section>")[0]
        children = re.findall(r'<li><a href="#\w+=(\w+)">[^<]*</a> ([^<]*)</li>', inside)
        own = told.groups.loc[told.groups[level.name] == label, "mean"]
        assert {child: number(mean) for child, mean in children} == dict(
            zip(own.index, told.shown(*own), strict=True)
        )


def test_the_picture_of_all(told):
    picture = re.search(r'<svg class="field".*?</svg>', told.page.html, re.S).group()
    y = told.position(picture, "y")
    mark = re.compile(
        r'<a class="mark" href="#\w+=(\w+)".*?<title>[^:]*: (.*?)</title>'
        r'<path d="M([\d.]+) ([\d.]+)V([\d.]+)"/><circle class="ring" cx="([\d.]+)" '
        r'cy="([\d.]+)" r="3"/><circle class="dot" cx="([\d.]+)" cy="([\d.]+)"',
        re.S,
    )
    found = mark.findall(picture)
    in_order = told.groups.sort_values("mean", kind="stable")
    assert [label for label, *_ in found] == in_order.index.tolist()
    line = re.search(r'class="average" d="M([\d.]+) ([\d.]+)H([\d.]+)"', picture)
    left, average, right = map(float, line.groups())
    assert average == pytest.approx(y(told.groups["mean"].mean()), abs=NEAR)
    xs = []
    for label, title, *places in found:
        row = told.groups.loc[label]
        values = told.shown(*row[["mean", "lower", "upper"]])
        assert numbers(title.replace("–", " ")) == values
        x, lower, upper, of_ring, raw, of_dot, mean = map(float, places)
        assert x == of_ring == of_dot
        xs.append(x)
        expected = y(row[["lower", "upper", "raw_mean", "mean"]].astype(float))
        np.testing.assert_allclose([lower, upper, raw, mean], expected, atol=NEAR)
    assert left < xs[0] < xs[-1] < right
    np.testing.assert_allclose(xs, np.linspace(xs[0], xs[-1], len(xs)), atol=NEAR)


def test_the_pictures_of_one(told):
    common = re.search(r'<g id="strip">(.*?)</g>', told.page.html, re.S).group()
    x = told.position(common, "x")
    mark = re.compile(
        r'class="target" d="M([\d.]+) .*class="interval" d="M([\d.]+) 16H([\d.]+)".*'
        r'class="ring" cx="([\d.]+)".*class="dot" cx="([\d.]+)"'
    )
    dots = []
    ends = x(told.groups[["raw_mean", "lower", "upper"]].to_numpy())
    for label, row in told.groups.iterrows():
        found = mark.search(told.drawn(f"{told.d.group}={label}", "strip")).groups()
        target, *rest = map(float, found)
        expected = x(row[["lower", "upper", "raw_mean", "mean"]].astype(float))
        np.testing.assert_allclose(rest, expected, atol=NEAR)
        dots.append(rest[-1])
        # What all share reaches from the lowest to the highest of these, and somewhat beyond.
        if ends.min() <= x(row["target"]) <= ends.max():
            assert target == pytest.approx(x(row["target"]), abs=NEAR)
    counts, edges = np.histogram(dots, 90, (20, 380))
    bars = {edge + 2: 12 * n / counts.max() for edge, n in zip(edges, counts, strict=False) if n}
    crowd = re.findall(r"M([\d.]+) 42v-([\d.]+)", common)
    assert {float(at): float(high) for at, high in crowd} == pytest.approx(bars, abs=0.01)


def points(text):
    return np.array([[float(v) for v in point.split(",")] for point in text.split()])


def test_the_pictures_of_years(told):
    d = told.d
    if not d.panel:
        assert 'id="times"' not in told.page.html
        return
    common = re.search(r'<g id="times">(.*?)</g>', told.page.html, re.S).group()
    y = told.position(common, "y")
    of_year = {
        int(year): float(x)
        for x, year in re.findall(r'<text x="([\d.]+)" y="206"[^>]*>(\d+)<', common)
    }
    assert sorted(of_year) == [*d.cells.years, d.cells.years[-1] + 1]
    estimates = hbm.estimates(told.fit, "mu_school").set_index("school")
    for i, label in enumerate(d.levels[-1].labels):
        own = np.flatnonzero(d.cells.group == i)
        when = d.cells.years[d.cells.year[own]]
        rows = estimates.loc[[label]]
        rows = rows[rows["year"].between(when.min(), when.max())]
        xs = [of_year[year] for year in rows["year"]]
        over, below, mean = (y(rows[c]) for c in ("upper", "lower", "mean"))
        if len(xs) == 1:  # a band of its own width
            xs = [xs[0] - 4, xs[0] + 4]
            over, below, mean = (np.repeat(v, 2) for v in (over, below, mean))
        picture = told.drawn(f"school={label}", "times")
        band = points(re.search(r'class="band" points="(.*?)"', picture)[1])
        expected = [*zip(xs, over, strict=True)]
        expected += [*zip(xs, below, strict=True)][::-1]
        np.testing.assert_allclose(band, expected, atol=NEAR)
        line = points(re.search(r'class="line" points="(.*?)"', picture)[1])
        np.testing.assert_allclose(line, [*zip(xs, mean, strict=True)], atol=NEAR)
        rings = re.findall(r'class="ring" cx="([\d.]+)" cy="([\d.]+)" r="([\d.]+)"', picture)
        expected = [
            (of_year[int(year)], y(m), max(7 * np.sqrt(n / d.n.max()), 2))
            for year, m, n in zip(when, d.mean[own], d.n[own], strict=True)
        ]
        np.testing.assert_allclose(np.array(rings, dtype=float), expected, atol=NEAR)
        ahead = re.search(
            r'class="ahead" d="M([\d.]+) ([\d.]+)V([\d.]+)"/>'
            r'<rect class="square" x="([\d.]+)" y="([\d.]+)" width="8" height="8"',
            picture,
        )
        facts = told.section(label)["facts"]
        assert (ahead is not None) == ("Expected in 2020" in facts)
        if ahead:  # its numbers are those of `hbm.predict`, as a test of the fact says
            x, lower, upper, left, top = map(float, ahead.groups())
            value, _, _, *ends = numbers(facts["Expected in 2020"])
            assert (x, left + 4) == (of_year[2020], of_year[2020])
            expected = y(np.array([*ends, value]) / 100)
            # The numbers are rounded as well: to half of a tenth of a point.
            near = NEAR + 0.0005 * abs(y(1) - y(0))
            np.testing.assert_allclose([lower, upper, top + 4], expected, atol=near)


def test_the_parts_of_the_variance(told):
    table = hbm.variance_shares(told.fit)
    head = ["between", "standard deviation", "share", "interval"]
    (rows,) = (rows for rows in told.page.tables.values() if rows[0] == head)
    for (_, row), (level, *cells) in zip(table.iterrows(), rows[1:], strict=True):
        assert level == row["level"].replace("_", " ")
        shares = [whole(row[x]) for x in ("share", "lower", "upper")]
        assert numbers(" ".join(cells)) == [*told.shown(row["sd"]), *shares]


def four_digits(value):
    return float(f"{value:.4g}")


def read(cell):
    return float(cell.replace("−", "-"))


def test_the_tables_of_the_checks(tmp_path):
    model = build("heights.partial_pooling")
    fit = two_chains(of_draws(model, DRAWS))
    diagnosis = hbm.diagnose(fit)
    check = hbm.check_predictive(model, fit, random_seed=1)
    tests = pd.DataFrame(
        {"test": ["means", "spreads"], "p": [0.012345, np.nan], "finding": ["as a", "as b"]}
    )
    pit = hbm.LooPit(True, 0.4, pd.DataFrame({"pit": [0.5]}), "country", tests)
    compared = pd.DataFrame(
        {"elpd_diff": [0.0, -1.23456], "dse": [0.0, 12.3456], "weight": [0.76543, 0.23457]},
        index=["flat", "the model of this page"],
    )
    page = write(tmp_path, model, fit, checks=[diagnosis, check, pit], compare=compared)
    of_draw, of_check, of_pit, of_models = (page.tables[i] for i in range(4))
    head, *rows = of_draw
    assert head == [*diagnosis.checks]
    for cells, row in zip(rows, diagnosis.checks.to_dict("records"), strict=True):
        said = dict(zip(head, cells, strict=True))
        assert (said["check"], said["worst"]) == (row["check"], str(row["worst"]))
        assert said["passes"] == ("yes" if row["passes"] else "no")
        assert said["allowed"] == str(row["allowed"])
        assert read(said["value"]) == four_digits(row["value"])
    for cells, row in zip(of_check[1:], check.table.to_dict("records"), strict=True):
        meaning, observed, expected, verdict = cells
        assert (meaning, verdict) == (row["meaning"], row["verdict"])
        texts = [observed, *expected.split(" to ")]
        for text, value in zip(texts, (row["observed"], row["lower"], row["upper"]), strict=True):
            (told,) = re.findall(r"−?[\d.,]+", text)
            decimals = len(told.partition(".")[2])
            factor = 100 if row["unit"] in ("%", "points") else 1
            assert number(told) == float(f"{factor * value:.{decimals}f}")
            assert decimals >= 1
    assert of_pit[0] == ["test", "p", "finding"]
    assert of_pit[1:] == [["means", "0.01235", "as a"], ["spreads", "–", "as b"]]
    assert [row[0] for row in of_models[1:]] == compared.index.tolist()
    assert [[read(x) for x in row[1:]] for row in of_models[1:]] == [
        [four_digits(x) for x in row] for row in compared.to_numpy()
    ]


def test_no_number_is_that_of_another_school(tmp_path):
    """Schools of a table in any order have their own numbers."""
    rng = np.random.default_rng(1)
    table = hbm.simulate.exams([2, 3], [5, 90, 20, 8, 300], random_seed=1)[0]
    table = table.iloc[rng.permutation(len(table))].reset_index(drop=True)
    model = hbm.exams.nested(table)
    page = write(tmp_path, model, of_draws(model, 40))
    raw = table.set_index("school")
    for label, _, n, mean, *_ in page.tables["table"][1:]:
        assert int(n) == raw.loc[label, "n_students"]
        assert number(mean) == pytest.approx(100 * raw.loc[label, "mean"], abs=0.5)
