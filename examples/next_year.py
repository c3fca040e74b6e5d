# %% [markdown]
# # Does pooling predict next year?
#
# Fit one year's table, and hold the posterior means against the means the same schools publish a
# year later. Both years are centred on their province's mean, since exams differ in difficulty, and
# schools are weighted by their students. The rival is this year's raw mean, which is what a league
# table would go by.
#
# Run `python examples/next_year.py --help`, or run the cells and then call `main([])`.

# %%
import sys
from pathlib import Path

import common
import numpy as np
import pandas as pd

import hbm

# %% [markdown]
# ## One pair of years
#
# Errors are root mean squares in points of a hundred: `raw` of this year's mean, `model` of the
# posterior mean of `hbm.exams.nested`, for all schools and for those with fewer than 30 students.
#
# And do the intervals hold what came? `inside` is the share of schools, in per cent, whose next
# mean lies in its 89 % predictive interval, with the difference between the two provincial means
# taken off. It is below 89, most of all for large schools: the model knows one year, and nothing in
# it lets a school change, nor the students of a school have a year in common.


# %%
def hold_against_next_year(results, course, year, options):
    this = hbm.exam_table(results, course=course, year=year)
    following = hbm.exam_table(results, course=course, year=year + 1)
    model = hbm.exams.nested(this)
    fit = hbm.sample(model, **common.sampling(options))
    inside = hold_intervals(model, fit, this, following, options)
    this["posterior_mean"] = hbm.estimates(fit, "mu_school")["mean"].to_numpy()
    for table, columns in ((this, ["mean", "posterior_mean"]), (following, ["mean"])):
        for column in columns:
            # The province's mean is the students' own, for the raw and the posterior means alike.
            table[f"{column}_centred"] = table[column] - np.average(
                table["mean"], weights=table["n_students"]
            )
    both = this.merge(following, on="school", suffixes=("", "_next"))
    row = {"course": course, "years": f"{year} → {year + 1}"}
    for label, schools in (("", both), (" < 30", both[both["n_students"] < 30])):
        row[f"schools{label}"] = len(schools)
        for name, column in (("raw", "mean_centred"), ("model", "posterior_mean_centred")):
            squares = (schools[column] - schools["mean_centred_next"]) ** 2
            error = np.sqrt(np.average(squares, weights=schools["n_students_next"]))
            row[f"{name}{label}"] = 100 * error
    small = inside["n_students"] < 30
    for label, schools in (("", inside), (" < 30", inside[small]), (" 30+", inside[~small])):
        row[f"inside{label}"] = 100 * schools["inside_89"].mean()
    return row


def hold_intervals(model, fit, this, following, options):
    """Evaluate the schools of both years, in the authority of the first."""
    then, now = (np.average(t["mean"], weights=t["n_students"]) for t in (following, this))
    both = following.merge(this[["school", "authority"]], on="school", suffixes=("_next", ""))
    both["mean"] = (both["mean"] - (then - now)).clip(0, 1)
    # The shifted means may not go with the sds as published, and the means alone are asked of.
    cohort = both[["school", "authority", "n_students", "mean"]]
    return hbm.evaluate(model, fit, cohort, random_seed=options.seed)


# %% [markdown]
# ## Every course and pair of years


# %%
def main(argv=None):
    parser = common.parser("Does pooling predict the next year's school means?", "next_year")
    parser.add_argument("--workbook", type=Path, help="workbook to read; the simulated one if none")
    parser.add_argument("--course", help="one course only; every course with 100 schools if none")
    parser.add_argument("--least-schools", type=int, default=100, help="fewest schools of a course")
    options = parser.parse_args(argv)
    results = (
        hbm.read_diploma(options.workbook) if options.workbook else hbm.load_dataset("diploma")
    )
    if options.course:
        results = results[results["course"] == options.course]
    sizes = results.groupby(["course", "year"], sort=False).size()
    rows = []
    for course, year in sizes.index:
        if min(sizes[course, year], sizes.get((course, year + 1), 0)) >= options.least_schools:
            rows.append(hold_against_next_year(results, course, year, options))
            common.say(options, pd.DataFrame(rows[-1:]).to_string(index=False, header=False))
    table = pd.DataFrame(rows)
    print(table.to_string(index=False, float_format="{:.2f}".format))
    print(
        f"The model predicts better in {(table['model'] < table['raw']).sum()} of {len(table)} "
        f"pairs of years, and among schools with fewer than 30 students in "
        f"{(table['model < 30'] < table['raw < 30']).sum()}. On average "
        f"{table['raw'].mean():.1f} → {table['model'].mean():.1f} points, and "
        f"{table['raw < 30'].mean():.1f} → {table['model < 30'].mean():.1f} for the small ones; "
        f"89 % intervals hold {table['inside'].mean():.0f} % of next year's means, "
        f"{table['inside < 30'].mean():.0f} % of small schools' and "
        f"{table['inside 30+'].mean():.0f} % of large ones'."
    )


if __name__ == "__main__":
    sys.exit(main())
