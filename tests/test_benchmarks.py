"""The README says what `python tests/benchmarks --readme` prints, but for its numbers."""

import importlib.util
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def load(name):
    path = ROOT / "tests" / "benchmarks" / f"{name}.py"
    spec = importlib.util.spec_from_file_location(f"benchmarks_{name}", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


readme = load("readme")

EFFECTIVE = {"ESS": 3766, "ESS a draw": 0.941, "ESS a second": 825.4}
MODELS = {
    "exams.nested": ["informed", "centred", "non-centred"],
    "scores.nested": ["informed", "centred", "non-centred", "Bambi"],
}
ROUTES = [(effect, method) for effect in ("fixed", "learned") for method in ("direct", "nuts")]
TABLES = [("the course's", "1"), ("the course's", "learned"), *[("simulated", "learned")] * 3]
OF_TABLES = {"s": 3.1, "CPU s": 5.2, "efficiency": 0.81, "pareto_k": 0.2, "grid error": "1e-05"}
ROWS = {
    "direct": [
        *(
            {"design effect": effect, "method": method, "caches": caches, "whole s": 4.9}
            | {"import s": 1.9}
            for effect, method in ROUTES
            for caches in ("empty", "warm")
        ),
        *(
            {"table": table, "design effect": effect, "schools": 318, "evaluations": 5000}
            | OF_TABLES
            for table, effect in TABLES
        ),
        *(
            {"table": "students", "schools": 1000, "students": n, "evaluations": 5000} | OF_TABLES
            for n in (10_000, 1_000_000)
        ),
        *(
            {"predictors": name, "method": method, "CPU s": 9.1, "least effective draws": 2900}
            for name in ("none", "log_n_students", "three")
            for method in ("direct", "nuts")
        ),
        {"fits": 60, "schools": 16_111, "s": 99.0, "largest k": 0.42, "least efficiency": 0.55}
        | {"least effective draws": 2345},
    ],
    "draws": [
        {"model": model, "form": form, "sampler": sampler, "schools": 318} | EFFECTIVE
        for model, forms in MODELS.items()
        for sampler in ("nutpie", "pymc")
        for form in forms
    ],
    "leave_out": [
        *(
            {"schools": 318, "elpd": elpd, "largest k": k, "k > 0.5": 0}
            for elpd, k in [(981.83, 0.18), *[(982.0, 0.2)] * 6, (982.18, 0.36)]
        ),
        {"schools": 318, "design effect": "learned", "elpd": 988.0, "largest k": 0.6, "k > 0.5": 1},
    ],
    "many_students": [
        {"students": n, "sampling s": 8.2, "peak MB": 1230} for n in (10_000, 1_000_000)
    ],
    "many_schools": [
        {"schools": n, "authorities": n // 10, "µs a school": 0.262, "fit s": 164.3}
        for n in (320, 1000, 5000)
    ],
    "page": [
        {"schools": schools, "years": years, "CPU s": 3.2, "MB": 0.77}
        for schools, years in ((320, 1), (320, 5), (5000, 1))
    ],
    "startup": [
        {"schools": 318, "draws": draws, "caches": caches, "in all": 15.2}
        | dict.fromkeys(["import", "import nutpie", "compile", "sample", "diagnose"], 1.6)
        for draws in ("4 × 1000", "4 × 250")
        for caches in ("empty", "warm")
    ],
    "many_fits": [
        {"draws": draws, "fits": 60, "schools": 16_111, "s": 312.3}
        for draws in ("4 × 250", "4 × 1000")
    ],
    "article": [
        {"schools": 141, "smallest": 30, "sd": 0.086, "published": 0.193, "times": 2.3}
        | {"ESS": 745.0, "draws": 8000},
        {"schools": 318, "smallest": 6, "sd": 0.194, "published": 0.187, "times": 1.1}
        | {"ESS": 3000.0, "draws": 4000, "small": [0.477, 0.501], "large": [0.008, 0.018]}
        | {"five largest": 433, "median size": 24, "pit of small": 0.43, "pit of large": 0.54},
    ],
}


def words(text):
    """Return a text without its numbers, in one line."""
    return " ".join(re.sub(r"-?\d[\d,.]*(?<![,.])", "#", text).split())


@pytest.mark.parametrize("paragraph", readme.paragraphs(ROWS, 2), ids=lambda text: text[:40])
def test_the_readme_says_what_the_benchmarks_print(paragraph):
    assert words(paragraph) in words(README)


def test_rows_are_printed_where_they_belong():
    table = readme.draws(ROWS["draws"])
    assert "| `exams.nested`, 318 schools | informed | 0.941 | 825 | 0.941 | 825 |" in table
    assert "of the 318 schools none had a Pareto k above 0.5 in 8 fits (the largest 0.36)" in (
        readme.leave_out(ROWS["leave_out"])
    )
    worse = [row | {"k > 0.5": 1} for row in ROWS["leave_out"]]
    assert "318 schools 8 had" in readme.leave_out(worse)


def test_parts_that_did_not_run_are_left_out():
    without = {part: rows for part, rows in ROWS.items() if part in ("startup", "many_fits")}
    (only,) = readme.paragraphs(without, 2)
    assert only.startswith("By NUTS, from an empty process")
    bambi = [row for row in ROWS["draws"] if row["form"] != "Bambi"]
    assert "Bambi" not in readme.draws(bambi)


def test_every_part_is_a_script():
    folder = ROOT / "tests" / "benchmarks"
    for part in readme.PARTS:
        assert (folder / f"{part}.py").exists()
