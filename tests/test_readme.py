"""The README's code runs as written, and what it names and shows exists."""

import re
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from fake_panels import fake_panel
from fakes import fake_exams_nested
from known_exams import fitted_to
from models import build, table_for

import hbm

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
PICTURES = sorted((ROOT / "examples" / "pictures").iterdir())
BLOCKS = re.findall(r"^```python\n(.*?)^```$", README, re.M | re.S)


def test_quick_start_is_five_lines():
    assert len([line for line in BLOCKS[0].splitlines() if line]) == 5


def test_every_name_exists():
    for name in set(re.findall(r"\bhbm((?:\.[a-z_]\w*)+)\b(?!\.)", README)):
        found = hbm
        for part in name[1:].split("."):
            assert hasattr(found, part), f"hbm{name}"
            found = getattr(found, part)
    for name in re.findall(r"`((?:scores|heights|exams)\.\w+)`", README):
        module, function = name.split(".")
        assert callable(getattr(getattr(hbm, module), function)), name


def test_every_file_exists():
    files = re.findall(r"`((?:examples|data|tests)/[\w./]+)`", README)
    pictures = re.findall(r"!\[[^\]]+\]\(([^)]+)\)", README)
    assert len(files) >= 5
    assert 3 <= len(pictures) <= 4
    for file in (*files, *pictures):
        assert (ROOT / file).exists(), file
    assert {ROOT / file for file in pictures} == set(PICTURES)


@pytest.mark.parametrize(
    "file", sorted((ROOT / "examples/pictures").iterdir()), ids=lambda f: f.name
)
def test_pictures_are_small_and_as_wide_as_they_are_seen(file):
    assert file.suffix == ".png"
    assert file.stat().st_size < 150_000
    assert plt.imread(file).shape[1] == 800


@pytest.fixture(scope="module")
def fits():
    model, table = build("exams.nested"), table_for("exams")
    fit = fitted_to(model, table, 200)
    known = hbm.exams.partial_pooling(table, predictors=["log_n_students"])
    prior = hbm.sample_prior_predictive(known, 99, random_seed=1)
    return {
        "model": model,
        "table": table,
        "fit": fit,
        "schools": hbm.shrinkage(fit, "school"),
        "other": fake_exams_nested(model, 200),
        "known": prior.assign(posterior=prior["prior"]),
        "panel": fake_panel(60),
    }


# What README's list names beside each other, as its reader would write it.
DRAWN = {
    ("check_predictive", "plot_check"): lambda f: hbm.plot_check(
        hbm.check_predictive(f["model"], f["fit"], draws=99, random_seed=1)
    ),
    ("check_predictive", "plot_predictive_by_group"): lambda f: hbm.plot_predictive_by_group(
        hbm.predict(f["model"], f["fit"], f["table"], random_seed=1)["predictions"]["mean"],
        f["table"].set_index("school")["mean"],
    ),
    ("loo_pit", "plot_pit"): lambda f: hbm.plot_pit(hbm.loo_pit(f["model"], f["fit"], "school")),
    ("compare", "plot_comparison"): lambda f: hbm.plot_comparison(
        hbm.compare({"a": (f["model"], f["fit"]), "b": (f["model"], f["other"])}, "school")
    ),
    ("shrinkage", "plot_shrinkage"): lambda f: hbm.plot_shrinkage(f["schools"]),
    ("shrinkage", "plot_pooling"): lambda f: hbm.plot_pooling(f["schools"]),
    ("shrinkage", "plot_nesting"): lambda f: hbm.plot_nesting(
        f["schools"], hbm.shrinkage(f["fit"], "authority")
    ),
    ("funnel_limits", "plot_funnel"): lambda f: hbm.plot_funnel(
        f["schools"], hbm.funnel_limits(f["fit"], "school")
    ),
    ("variance_shares", "plot_spreads"): lambda f: hbm.plot_spreads(f["fit"]),
    ("coefficients", "plot_coefficients"): lambda f: hbm.plot_coefficients(
        hbm.coefficients(f["known"])
    ),
    ("ranks", "plot_ranks"): lambda f: hbm.plot_ranks(hbm.ranks(f["fit"], "school")),
    ("shares", "plot_estimates"): lambda f: hbm.plot_estimates(hbm.shares(f["other"], above=0.8)),
    ("changes", "plot_changes"): lambda f: hbm.plot_changes(hbm.changes(f["panel"], "school")),
    ("changes", "plot_trajectories"): lambda f: hbm.plot_trajectories(f["panel"], ["1", "2"]),
}


def test_every_picture_of_the_list_is_walked():
    rows = [row.split("|")[2:4] for row in README.splitlines() if row.startswith("| ")]
    listed = {
        picture: re.findall(r"`hbm\.(\w+)`", table)
        for table, pictures in rows
        for picture in re.findall(r"`hbm\.(plot_\w+)`", pictures)
    }
    assert set(listed) == {picture for _, picture in DRAWN}
    assert all(table in listed[picture] for table, picture in DRAWN)


@pytest.mark.filterwarnings("ignore:.*Pareto k above")
@pytest.mark.parametrize("pair", DRAWN, ids="-".join)
def test_a_table_of_the_list_is_drawn_by_its_picture(pair, fits):
    ax = DRAWN[pair](fits)
    assert ax.get_title(loc="left")
    plt.close("all")


def run(block, folder, monkeypatch):
    monkeypatch.chdir(folder)
    names = {}
    exec(compile(block, "README.md", "exec"), names)
    plt.close("all")
    return names


@pytest.mark.slow
class TestCode:
    def test_quick_start(self, tmp_path, monkeypatch, capsys):
        run(BLOCKS[0], tmp_path, monkeypatch)
        assert "The draws can be used." in capsys.readouterr().out
        assert {file.name for file in tmp_path.iterdir()} == {"shrinkage.png", "shrinkage.svg"}

    def test_a_table_of_your_own(self, tmp_path, monkeypatch, capsys):
        table, *_ = hbm.simulate.exams([6] * 8, [6, 30, 80] * 16, random_seed=5)
        table["school"] = table["school"].str.zfill(4)
        columns = ["school", "authority", "n_students", "mean", "sd"]
        table[columns].to_csv(tmp_path / "mine.csv", index=False)
        run(BLOCKS[1], tmp_path, monkeypatch)
        assert "The draws can be used." in capsys.readouterr().out
        league = pd.read_excel(tmp_path / "league_table.xlsx", dtype={"school": str})
        assert set(league["school"]) == set(table["school"])
        shown = {
            f"{name}.{end}" for name in ("shrinkage", "funnel", "ranks") for end in ("png", "svg")
        }
        assert {file.name for file in tmp_path.iterdir()} == shown | {
            "mine.csv",
            "league_table.xlsx",
            "maths.html",
        }

    # Whether one of 24 hospitals weighs too much is the table's matter, and told.
    @pytest.mark.filterwarnings("ignore:.*have a Pareto k above")
    def test_hospitals(self, tmp_path, monkeypatch, capsys):
        table, *_ = hbm.simulate.exams([3] * 8, [6, 30, 80] * 8, random_seed=3)
        names = {"school": "hospital", "authority": "trust", "n_students": "n_patients"}
        table = table.rename(columns=names)
        columns = ["hospital", "trust", "n_patients", "mean", "sd"]
        table[columns].to_csv(tmp_path / "hospitals.csv", index=False)
        run(BLOCKS[2], tmp_path, monkeypatch)
        printed = capsys.readouterr().out
        assert "new hospitals from the population" in printed
        assert "elpd_diff" in printed
        assert {file.name for file in tmp_path.iterdir()} == {
            "hospitals.csv",
            "hospitals.png",
            "hospitals.svg",
        }

    # A fit of few schools may miss a check by a hair; what is run here is the page's code.
    @pytest.mark.filterwarnings("ignore::hbm.ConvergenceWarning")
    def test_several_years(self, tmp_path, monkeypatch, capsys):
        sizes = np.add(np.resize([[6], [30], [80]], (12, 1)), [0, 3, 1, 2])
        table, _ = hbm.simulate.exam_panel([3] * 4, sizes, years=range(2016, 2020), random_seed=3)
        table["school"] = table["school"].str.zfill(4)
        columns = ["year", "school", "authority", "n_students", "mean", "sd"]
        table[columns].to_csv(tmp_path / "years.csv", index=False)
        names = run(BLOCKS[3], tmp_path, monkeypatch)
        assert "R-hat" in capsys.readouterr().out
        assert dict(names["predicted"]["predictions"].sizes)["cell"] == 12
        shown = {f"{name}.{end}" for name in ("changes", "trajectories") for end in ("png", "svg")}
        assert {file.name for file in tmp_path.iterdir()} == shown | {"years.csv", "years.xlsx"}

    @pytest.mark.filterwarnings("ignore::hbm.ConvergenceWarning")
    def test_what_is_known_of_a_school(self, tmp_path, monkeypatch, capsys):
        sizes = np.resize([6, 30, 80], 24)
        table, *_ = hbm.simulate.exams([3] * 8, sizes, moved=np.log(sizes / 30), random_seed=3)
        columns = ["school", "authority", "n_students", "mean", "sd"]
        table[columns].to_csv(tmp_path / "mine.csv", index=False)
        names = run(BLOCKS[4], tmp_path, monkeypatch)
        assert "log_n_students" in capsys.readouterr().out
        # Ten times the students: 2.3 logits, half a hundred points.
        assert names["effects"]["lower"][0] > 0.2
        assert {file.name for file in tmp_path.iterdir()} == {
            "mine.csv",
            "coefficients.png",
            "coefficients.svg",
        }

    def test_there_are_no_other_blocks(self):
        assert len(BLOCKS) == 5
