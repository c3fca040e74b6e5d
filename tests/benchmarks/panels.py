"""Several years: all courses of a workbook at once, and what knowing the size of schools adds.

First every course, all of its years, by `hbm.sample_each` with its default settings: time, memory,
and what `hbm.diagnose` finds. Then the last years of courses with many schools are predicted from
those before, given their provincial means, with `predictors=["log_n_students"]` and without.
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
    rows, whole = all_courses(results)
    measuring.show("All years of each course", rows)
    measuring.show("All of them, two at a time", [whole])
    rows, pairs = next_years(results)
    measuring.show("Next year's means by panels, points", rows)
    measuring.show("Of these", [pairs])


if __name__ == "__main__":
    main()
