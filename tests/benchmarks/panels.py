"""Several years: all courses of a workbook at once, and what knowing the size of schools adds.

First what a gradient costs, on simulated panels. Then every course, all of its years, by
`hbm.sample_each` with its default settings: time, memory, and what `hbm.diagnose` finds. Of courses
with many schools the design effect that a panel learns stands beside those of single years. One
course is checked with new schools, with `predictors=["log_n_students"]` and without, and so the
last years of courses with many schools are predicted from those before, given their provincial
means.
"""

import functools
import warnings

import measuring
import numpy as np
import pandas as pd
from predictors import BANDS, LEAST

import hbm

NEXT = [2018, 2019]
FORMS = {"without": (), "with": ("log_n_students",)}
COURSE = "Mathematics 30-1"


def gradients():
    """Return a row a simulated panel of five years: the time of one density and gradient."""
    rows = []
    for n_schools in (20, 80, 320):
        rng = np.random.default_rng(n_schools)
        sizes = np.exp(rng.uniform(np.log(6), np.log(500), n_schools)).astype(int)
        table = hbm.simulate.exam_panel(np.full(n_schools // 10, 10), sizes, random_seed=rng)[0]
        row = {"schools": n_schools, "years": table["year"].nunique(), "cells": len(table)}
        cost = measuring.microseconds_per_gradient(hbm.exams.panel(table))
        rows.append(row | {"µs a gradient": round(cost), "µs a cell": round(cost / len(table), 3)})
    return rows


def all_courses(results):
    """Return a row a course, and one of all."""
    tables = {
        course: hbm.exam_panel(results, course=course) for course in results["course"].unique()
    }
    whole = {}
    with measuring.stopwatch(whole):
        each = hbm.sample_each(hbm.exams.panel, tables, random_seed=1, progressbar=False)
    del whole["CPU s"]  # of other processes
    rows = []
    for course, (_, fit) in each.fits.items():
        checks = hbm.diagnose(fit).checks.set_index("check")["value"]
        row = {"course": course, "schools": tables[course]["school"].nunique()}
        row |= {"rows": len(tables[course]), "sampling s": fit["posterior"].attrs["sampling_time"]}
        row |= {name: checks[name] for name in ("R-hat", "bulk ESS", "tail ESS", "divergences")}
        for name in ("persistence", "design_effect"):
            row[name] = float(fit["posterior"][name].mean())
        rows.append({k: round(x, 4) if isinstance(x, float) else x for k, x in row.items()})
    whole |= {"fits": len(each.fits), "errors": len(each.errors), "warnings": len(each.warnings)}
    whole["MB, with all fits"] = measuring.peak_megabytes()
    print(*each.warnings.values(), sep="\n")
    return rows, whole


def design_effects(results, panels):
    """Return a row a course of many schools: the design effect of each year, and of its panel."""
    sizes = results.groupby(["course", "year"], sort=False).size()
    keys = list(sizes.index[sizes >= LEAST])
    each = hbm.sample_each(
        hbm.exams.nested,
        {key: hbm.exam_table(results, course=key[0], year=key[1]) for key in keys},
        draws=250,
        random_seed=3,
        progressbar=False,
    )
    learned = {}
    for (course, year), (_, fit) in each.fits.items():
        effect = float(fit["posterior"]["design_effect"].mean())
        learned.setdefault(course, {})[str(year)] = round(effect, 2)
    of_panel = {row["course"]: round(row["design_effect"], 2) for row in panels}
    return [
        {"course": course, **years, "panel": of_panel[course]} for course, years in learned.items()
    ]


def new_schools(results):
    """Return the statistics of a check of new schools that fail in either form, of one course."""
    table, checks = hbm.exam_panel(results, course=COURSE), {}
    for form, predictors in FORMS.items():
        model = hbm.exams.panel(table, predictors=predictors)
        fit = hbm.sample(model, random_seed=1, progressbar=False)
        checks[form] = hbm.check_predictive(model, fit, new_groups=True, random_seed=1)
    failing = set().union(*(measuring.fails_by(check).split(", ") for check in checks.values()))
    rows = []
    for form, check in checks.items():
        row = {"size of the school": form, "p": round(check.p_value, 4)}
        row |= {"statistics": len(check.table), "fails by": measuring.fails_by(check)}
        for found in check.table.itertuples():
            if found.statistic in failing:
                factor = 100 if found.unit in ("%", "points") else 1
                seen, low, high = (factor * x for x in (found.observed, found.lower, found.upper))
                row[found.statistic] = f"{seen:.2f} ({low:.2f} to {high:.2f})"
        rows.append(row)
    return rows


def next_years(results):
    """Return a row a band of the next year's students, over courses and years."""
    sizes = results.groupby(["course", "year"], sort=False).size()
    keys = [key for key in sizes.index[sizes >= LEAST] if key[1] in NEXT]
    keys = [key for key in keys if sizes.get((key[0], key[1] - 1), 0) >= LEAST]
    tables = {
        (course, year): hbm.exam_panel(
            results, course=course, years=[y for y in sizes[course].index if y < year]
        )
        for course, year in keys
    }
    found = []
    for form, predictors in FORMS.items():
        each = hbm.sample_each(
            functools.partial(hbm.exams.panel, predictors=predictors),
            tables,
            draws=500,
            chains=2,
            random_seed=3,
            progressbar=False,
        )
        for (course, year), (model, fit) in each.fits.items():
            following = hbm.exam_table(results, course=course, year=year)
            last = tables[course, year].drop_duplicates("school", keep="last").set_index("school")
            mean = np.average(following["mean"], weights=following["n_students"])
            stands = following["school"].map(last["authority"]).fillna(following["authority"])
            cohort = following.assign(authority=stands, year=year)
            rows = hbm.evaluate(model, fit, cohort, year_means={year: mean}, random_seed=1)
            known = rows[rows["school"].isin(last.index)]
            found.append(known.assign(form=form, pair=f"{course} {year}"))
    found = pd.concat(found, ignore_index=True)
    rows = []
    for band, (low, high) in BANDS.items():
        row = {"students": band}
        for form in FORMS:
            in_band = found["n_students"].between(low, high, inclusive="left")
            part = found[(found["form"] == form) & in_band]
            error = 100 * (part["predicted"] - part["observed"])
            row["schools"] = len(part)
            row[f"bias {form}"] = round(float(error.mean()), 2)
            row[f"rmse {form}"] = round(float(np.sqrt((error**2).mean())), 2)
            row[f"50 % {form}"] = round(100 * float(part["inside_50"].mean()), 1)
            row[f"89 % {form}"] = round(100 * float(part["inside_89"].mean()), 1)
            row[f"log score {form}"] = round(float(part["log_score_mean"].mean()), 4)
        rows.append(row)
    scores = found.pivot_table("log_score_mean", "pair", "form")
    better = int((scores["with"] > scores["without"]).sum())
    return rows, {"pairs": len(scores), "log score better with": better}


def main():
    results = measuring.results(measuring.options(__doc__).workbook)
    warnings.simplefilter("ignore", hbm.ConvergenceWarning)
    measuring.show("A gradient of simulated panels", gradients())
    rows, whole = all_courses(results)
    measuring.show("All years of each course", rows)
    measuring.show("All of them, two at a time", [whole])
    measuring.show("Design effect of a year alone, and of the panel", design_effects(results, rows))
    measuring.show(f"New schools of {COURSE}: observed (expected)", new_schools(results))
    rows, pairs = next_years(results)
    measuring.show("Next year's means by panels, points", rows)
    measuring.show("Of these", [pairs])


if __name__ == "__main__":
    main()
