"""What knowing the size of schools mends, over courses and years of a workbook.

Each table is fitted by `hbm.exams.nested` with and without `predictors=["log_n_students"]`. Does
the check with new schools pass, or which statistics fail, what is a school left out predicted with,
and is the next year predicted better, whose provincial mean is taken for known?
"""

import functools
import warnings

import measuring
import numpy as np
import pandas as pd

import hbm

LEAST = 100  # schools
FORMS = {"without": (), "with": ("log_n_students",)}
BANDS = {"< 10": (0, 10), "10–29": (10, 30), "30–99": (30, 100), "100+": (100, np.inf)}
BANDS["all"] = (0, np.inf)


def cohort_of(this, following):
    """Return the next year's means less what the province's changed by, of schools of both."""
    both = following.merge(this[["school", "authority"]], on="school", suffixes=("_next", ""))
    means = [np.average(t["mean"], weights=t["n_students"]) for t in (this, following)]
    both["mean"] = (both["mean"] - means[1] + means[0]).clip(0, 1)
    return both[["school", "authority", "n_students", "mean"]]


def main():
    results = measuring.results(measuring.options(__doc__).workbook)
    sizes = results.groupby(["course", "year"], sort=False).size()
    keys = list(sizes.index[sizes >= LEAST])
    tables = {key: hbm.exam_table(results, course=key[0], year=key[1]) for key in keys}
    warnings.simplefilter("ignore")
    fits = {
        form: hbm.sample_each(
            functools.partial(hbm.exams.nested, predictors=predictors),
            tables,
            draws=250,
            random_seed=3,
            progressbar=False,
        ).fits
        for form, predictors in FORMS.items()
    }
    rows, next_year = [], []
    for course, year in keys:
        row, elpd = {"course": course, "year": year}, {}
        for form in FORMS:
            model, fit = fits[form][course, year]
            check = hbm.check_predictive(model, fit, new_groups=True, random_seed=1)
            row |= {f"p {form}": round(check.p_value, 4)}
            row |= {f"fails by {form}": measuring.fails_by(check)}
            elpd[form] = hbm.loo(model, fit, "school").elpd_i
            if (year + 1) in sizes[course]:
                following = hbm.exam_table(results, course=course, year=year + 1)
                cohort = cohort_of(tables[course, year], following)
                found = hbm.evaluate(model, fit, cohort, random_seed=1)
                next_year.append(found.assign(form=form))
        gain = elpd["with"] - elpd["without"]
        row["elpd gained"] = round(float(gain.sum()), 1)
        row["se"] = round(float(np.sqrt(gain.size) * gain.std()), 1)
        effects = hbm.coefficients(fit)["effect"] * 100
        row |= dict(zip(("mean, tenfold", "sd, tenfold"), effects.round(1), strict=True))
        rows.append(row)
    measuring.show("The size of schools known: check of new schools, elpd, points", rows)
    table = pd.DataFrame(rows)
    row = {"tables": len(table)}
    row |= {f"pass {form}": int((table[f"fails by {form}"] == "").sum()) for form in FORMS}
    row |= {"elpd higher": int((table["elpd gained"] > 0).sum())}
    measuring.show("Of these", [row])
    found = pd.concat(next_year)
    bands = []
    for band, (low, high) in BANDS.items():
        row = {"students": band}
        for form in FORMS:
            part = found[
                (found["form"] == form) & found["n_students"].between(low, high, inclusive="left")
            ]
            error = 100 * (part["predicted"] - part["observed"])
            row["schools"] = len(part)
            row[f"bias {form}"] = round(float(error.mean()), 2)
            row[f"rmse {form}"] = round(float(np.sqrt((error**2).mean())), 2)
            row[f"89 % {form}"] = round(100 * float(part["inside_89"].mean()), 1)
        bands.append(row)
    measuring.show("Next year's means, points", bands)


if __name__ == "__main__":
    main()
