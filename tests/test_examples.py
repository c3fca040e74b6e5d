"""The examples run from data to pictures, and say what they should."""

import importlib
import re
import sys
from pathlib import Path

import pandas as pd
import pytest
from conftest import SHARED, WORKBOOK

import hbm

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"
PICTURES = {
    "heights": {
        "heights_by_country",
        "prior_predictive",
        "spreads",
        "posterior_predictive",
        "check",
        "predictive_by_country",
        "comparison",
        "shrinkage",
        "recommended",
        "ranks",
        "article_prior_predictive",
        "countries",
    },
    "scores": {
        "beta_alpha_beta",
        "beta_mu_nu",
        "one_school",
        "prior_scores",
        "prior_nu",
        "prior_classes",
        "posterior_mu",
        "posterior_nu",
        "school_means",
        "school_densities",
        "school_scores",
        "true_and_empirical",
        "no_pooling",
        "prior_predictive",
        "partial_pooling",
        "posterior_predictive",
        "district_means",
        "district_schools",
        "students",
        "nested_districts",
        "nested_schools",
        "nested_posterior_predictive",
        "recommended_prior",
        "spreads",
        "check",
        "comparison",
        "shrinkage",
        "nesting",
        "recommended",
        "ranks",
    },
    "alberta": {
        "schools",
        "schools_by_authority",
        "authorities",
        "schools_kept",
        "authorities_kept",
        "prior_predictive",
        "spreads",
        "check",
        "coefficients",
        "excellent",
        "shrinkage",
        "pooling",
        "nesting",
        "funnel",
        "recommended",
        "ranks",
        "no_pooling",
        "partial_pooling",
        "nested",
        "nested_check",
    },
    "panel": {"trajectories", "changes"},
}


@pytest.fixture(scope="module")
def sample_once():
    """Return `hbm.sample`, but that it returns the fit it has of the same model and settings."""
    sample, fits = hbm.sample, {}

    def fit_of(model, **settings):
        observed = [model.rvs_to_values[rv].eval().tobytes() for rv in model.observed_RVs]
        same = model.str_repr(), repr(observed), repr(settings)
        if same not in fits:
            fits[same] = sample(model, **settings)
        return fits[same].copy(deep=True)

    return fit_of


@pytest.fixture
def run(monkeypatch, tmp_path, capsys, sample_once):
    """Return a function that runs an example at small settings and returns what it printed."""
    monkeypatch.syspath_prepend(str(EXAMPLES))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(hbm, "sample", sample_once)

    def run_example(name, *arguments):
        small = ["--draws", "60", "--chains", "2", "--seed", "1"]
        assert importlib.import_module(name).main([*small, *arguments]) is None
        return capsys.readouterr().out

    return run_example


def pictures(folder):
    files = [file for file in folder.iterdir() if file.suffix not in (".xlsx", ".html")]
    assert all(file.stat().st_size > 5000 for file in files)
    png, svg = ({f.stem for f in files if f.suffix == ending} for ending in (".png", ".svg"))
    assert png == svg
    return png


OTHERS = {"common", "readme_pictures"}  # no walks
VERDICT = (
    r"^(.+): (?:R-hat at most \d\.\d+, ESS at least \d+ .* divergences"
    r"|120 independent draws, \d+ of them effective, Pareto k \S+)$"
)
NAMES = sorted({file.stem for file in EXAMPLES.glob("*.py")} - OTHERS)


@pytest.mark.parametrize("name", NAMES)
def test_help(name, monkeypatch, capsys):
    monkeypatch.syspath_prepend(str(EXAMPLES))
    with pytest.raises(SystemExit, match="0"):
        importlib.import_module(name).main(["--help"])
    shown = capsys.readouterr().out
    for option in ("--draws", "--tune", "--chains", "--seed", "--out", "--quiet"):
        assert option in shown
    if name == "alberta":
        for option in ("--workbook", "--course", "--year", "--min-students", "--compare"):
            assert option in shown


@pytest.mark.parametrize("name", NAMES)
def test_cells_are_told_and_importing_does_no_work(name, monkeypatch, tmp_path, capsys):
    cells = (EXAMPLES / f"{name}.py").read_text().split("# %%")
    told = [cell for cell in cells if cell.startswith(" [markdown]\n# ")]
    assert len(told) >= len(cells) // 2 - 1 >= 2
    monkeypatch.syspath_prepend(str(EXAMPLES))
    monkeypatch.chdir(tmp_path)
    monkeypatch.delitem(sys.modules, name, raising=False)
    importlib.import_module(name)
    assert capsys.readouterr().out == ""
    assert not list(tmp_path.iterdir())


def test_coverage_of_next_year_is_told_by_course(monkeypatch):
    monkeypatch.syspath_prepend(str(EXAMPLES))
    coverage = importlib.import_module("next_year").coverage
    rows = pd.DataFrame(
        [
            ("Art 30", 2016, "panel", 9, True, True),
            ("Art 30", 2017, "panel", 9, False, True),
            ("Art 30", 2017, "panel", 100, True, True),
            ("Art 30", 2016, "clustered", 29, False, True),
            ("Music 30", 2016, "panel", 10, False, False),
        ],
        columns=["course", "year", "form", "n_students", "inside_50", "inside_89"],
    )
    table = coverage(rows, ["course", "form"])
    assert table.columns.tolist() == [
        (interval, band) for interval in ("50 %", "89 %") for band in ("under 10", "10–29", "100+")
    ]
    assert set(table.index) == {("Art 30", "panel"), ("Art 30", "clustered"), ("Music 30", "panel")}
    assert table.loc[("Art 30", "panel"), ("50 %", "under 10")] == 50
    assert table.loc[("Art 30", "panel"), ("89 %", "under 10")] == 100
    assert table.loc[("Music 30", "panel"), ("89 %", "10–29")] == 0
    assert table.loc[("Art 30", "clustered")].isna().sum() == 4
    by_pair = coverage(rows, ["course", "year", "form"])
    assert by_pair["50 %", "under 10"].loc["Art 30", [2016, 2017], "panel"].tolist() == [100, 0]
    assert by_pair.loc[("Art 30", 2017, "panel"), ("89 %", "100+")] == 100


# With so few draws the checks of convergence fail, as they should, and so may those of Pareto k.
@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::hbm.ConvergenceWarning")
@pytest.mark.filterwarnings("ignore:.*Pareto k above:UserWarning")
class TestRun:
    def test_heights(self, run, tmp_path):
        printed = run("heights", "--out", str(tmp_path / "out"))
        assert pictures(tmp_path / "out") == PICTURES["heights"]
        verdicts = re.findall(VERDICT, printed, re.M)
        assert verdicts == ["recommended", "no pooling", "complete pooling", "article"]
        assert re.search(r"^1 +20 +185\.12 +3\.02 +185\.68$", printed, re.M)
        assert re.search(r"^mu_country\[4\] +17[67]\.", printed, re.M)
        assert re.search(r"^[34] of 4 true means are in the 95 % intervals", printed, re.M)
        # All countries alike is out of the question; the other two are as good as each other.
        assert re.search(r"^complete pooling +-[4-9]\d\.", printed, re.M)
        assert re.search(r"^ +2 +19\d\.\d+ +1\.00 +1 +1 +1\.0 +1$", printed, re.M)
        assert re.search(r"^a fifth country +1[78]\d\.", printed, re.M)
        assert "an estimated mean height of 18" in (tmp_path / "out/page.html").read_text("utf-8")

    def test_scores(self, run, tmp_path):
        printed = run("scores", "--out", str(tmp_path / "out"))
        assert pictures(tmp_path / "out") == PICTURES["scores"]
        verdicts = re.findall(VERDICT, printed, re.M)
        assert verdicts == [
            "single school",
            "no pooling",
            "partial pooling",
            "nested",
            "recommended",
            "one population",
            "schools alone",
        ]
        assert "the prior of nu_school is flat" in printed
        assert re.search(r"^mu_school\[9\] +0\.[67]", printed, re.M)
        assert re.search(r"^Posterior predictive check: .* of the same schools$", printed, re.M)
        assert re.search(r"^ *new school of a new district +0\.", printed, re.M)

    def test_alberta_on_the_simulated_workbook(self, run, tmp_path):
        printed = run("alberta", "--compare")
        folder = tmp_path / "pictures" / "alberta"
        assert pictures(folder) == PICTURES["alberta"] | {"comparison", "comparison_size"}
        sheets = pd.read_excel(folder / "schools.xlsx", sheet_name=None)
        assert list(sheets) == ["league", "shrinkage", "about"]
        assert "A page for people is pictures/alberta/page.html" in printed
        page = (folder / "page.html").read_text(encoding="utf-8")
        assert "(simulated)</h1>" in page
        # Of the model that knows the size, with its checks.
        assert "Of 2 models, that of this page." in page
        assert "what is expected of a school like it" in page
        assert "Yes: each school left out is predicted as well as the model says." in page
        assert "school_name" in sheets["league"]
        assert re.search(r"^partial pooling +-?\d+\.", printed, re.M)
        assert re.search(r"^ *new school of a new authority +0\.[5-7]", printed, re.M)
        # The same schools and new ones, both with the size known, and the article's.
        assert len(re.findall("^Posterior predictive check", printed, re.M)) == 5
        of_new = re.findall(r"new schools from the population\nThe model (\w+) \(p", printed)
        assert of_new == ["fails", "passes"]
        # Of Beta students the shares at or above a mark are right as well, but for the article's.
        of_same = re.findall(r"new students of the same schools\nThe model (\w+) \(p", printed)
        assert of_same == ["passes", "passes", "fails"]
        assert len(re.findall(r"^  ok +students at [58]0 % or above", printed, re.M)) >= 2
        assert "Without intake a league table is not school quality." in printed
        left_out = re.findall(r"^(Predictions|Each) .*left out (.*)$", printed, re.M)
        too_high = (
            "are not right: they are too high for small schools, next to those for large ones."
        )
        assert left_out == [
            ("Predictions", too_high),
            ("Each", "is predicted as well as the model says."),
        ]
        assert "these are no real schools" in printed
        n_schools, kept = map(
            int, re.search(r"(\d+) schools in .*; (\d+) in \d+", printed).groups()
        )
        assert 250 < n_schools < 400
        assert 80 < kept < n_schools
        spread = re.findall(r"students' sd (0\.\d+) in the model, (0\.\d+) published", printed)
        assert len(spread) == 4
        *article, (model, published) = [tuple(map(float, pair)) for pair in spread]
        assert all(model < 0.6 * published for model, published in article)
        assert 0.9 < model / published < 1.1

    def test_alberta_on_the_real_workbook(self, run, tmp_path):
        if not WORKBOOK.exists():
            pytest.skip(f"the real workbook is not in {SHARED}")
        printed = run("alberta", "--workbook", str(WORKBOOK), "--out", str(tmp_path))
        assert (
            "Mathematics 30-1, 2016: 318 schools in 89 authorities; "
            "141 in 56 with at least 30 students." in printed
        )
        assert re.search(r"^school_mu\[0012\] +0\.6[34]", printed, re.M)
        # Ten times the students: 6.0 ± 1.2 points and 1.5 ± 0.2 points with 4,000 draws, and here
        # of 120, whose intervals' ends may be a third of an sd off.
        tenfold = re.findall(r"tenfold: \S+ to \S+ +(0\.\d+)", printed)
        assert float(tenfold[0]) == pytest.approx(0.060, abs=0.006)
        assert float(tenfold[1]) == pytest.approx(0.015, abs=0.002)
        # Beta students meet the one standard and fall short of the other.
        shares = re.findall(r"(acceptable|excellent) +0\.[58] +(0\.\d+) +(0\.\d+)", printed)
        short = {standard: float(published) - float(model) for standard, published, model in shares}
        assert abs(short["acceptable"]) < 0.012
        assert 0.006 < short["excellent"] < 0.035
        # Stan gives 0.086 for the article's models; allowed are about four standard errors of 60
        # effective draws of a quantity that comes from the prior.
        spread = re.findall(r"students' sd (0\.\d+) in the model, (0\.\d+) published", printed)
        assert [published for _, published in spread] == ["0.193"] * 3 + ["0.187"]
        assert [float(model) for model, _ in spread[:3]] == pytest.approx([0.086] * 3, abs=0.004)
        # The model that looks at the published sds; small schools' are small by chance as often.
        assert float(spread[3][0]) == pytest.approx(0.194, abs=0.004)

    def test_next_year_on_three_simulated_years(self, run, monkeypatch, tmp_path):
        results = hbm.load_dataset("diploma")
        three_years = results[results["year"] <= results["year"].min() + 2]
        monkeypatch.setattr(hbm, "load_dataset", {"diploma": three_years}.get)
        printed = run("next_year", "--least-years", "2")
        assert re.search(r"^In 2 pairs of years .* raw means in [0-2], and", printed, re.M)
        assert re.search(r"^clustered +under 10", printed, re.M)
        assert re.search(r"^Mathematics 30-1 +clustered( +\d+){8}$", printed, re.M)
        assert len(re.findall(r"^ .* panel, drawn( +\d+){8}$", printed, re.M)) == 2
        assert re.search(r"^panel, drawn +under 10", printed, re.M)
        assert re.search(r"^In 1 pairs of years the panel is closer .* in [01], and", printed, re.M)
        page = (tmp_path / "pictures/next_year/page.html").read_text(encoding="utf-8")
        first = int(results["year"].min())
        assert f"<h1>Mathematics 30-1, {first} to {first + 1} (simulated)</h1>" in page
        assert f"Expected in {first + 2}" in page

    def test_panel(self, run, tmp_path):
        printed = run("panel", "--out", str(tmp_path))
        assert pictures(tmp_path) == PICTURES["panel"]
        assert "Mathematics 30-1, 2015 to 2018: " in printed
        assert re.search(r"^Panel: R-hat at most .* in 5 quantities, 0 divergences$", printed, re.M)
        assert re.search(r"^persistence +0\.9", printed, re.M)
        assert re.search(r"^One year: 120 independent draws", printed, re.M)
        alone, together = re.search(
            r"alone tells a school's mean to (\S+) points .* all years tell it to (\S+)\.$",
            printed,
            re.M,
        ).groups()
        assert float(together) < float(alone)
        assert re.search(r"^From 2015 to 2018 \d+ of \d\d\d schools changed", printed, re.M)
        # One standard error is 2 points.
        inside = re.search(r"^89 % intervals hold (\d+) % of the means", printed, re.M)
        assert 81 <= int(inside[1]) <= 97
        assert re.search(r"^The model (passes|fails) \(p = ", printed, re.M)
        assert re.search(r"^What the check finds: \S.*\.$", printed, re.M)
        assert "Expected in 2019" in (tmp_path / "page.html").read_text(encoding="utf-8")

    def test_quiet(self, run, tmp_path):
        printed = run("heights", "--quiet", "--out", str(tmp_path))
        assert len(re.findall(VERDICT, printed, re.M)) == printed.count("\n") == 4
        assert pictures(tmp_path) == PICTURES["heights"]
