# %% [markdown]
# # Does pooling predict next year, and does it know how well?
#
# Fit one year's table, or those of several years, and hold what is predicted against the means that
# the same schools publish a year later. There are five predictions:
#
# * `raw`: this year's raw mean, which is what a league table would go by;
# * `independent`: `hbm.exams.nested` with `design_effect=1`, students as independent draws;
# * `clustered`: `hbm.exams.nested` as it stands, with the design effect learned from this year;
# * `panel`: `hbm.exams.panel` of this year and those before, told the next year's provincial mean;
# * `panel, drawn`: the same without being told: how hard the next exam is, is drawn as well.
#
# An exam is harder in one year than in another. That is no school's doing, and no model of one year
# can know it, so the difference of the two years' provincial means (students' own, over all
# schools) is taken off the second year's means; `--shift-left-in` keeps it. A panel is told it, or
# expects to be surprised: its predictions are held against the means as they were published.
#
# Of the first course it leaves a page for people: what was expected of each school in the last
# year, from the years before.
#
# Run `python examples/next_year.py --help`, or run the cells and then call `main([])`.

# %%
import functools
import sys
from pathlib import Path

import common
import numpy as np
import pandas as pd

import hbm

FORMS = {"independent": 1, "clustered": None}
PANELS = ["panel", "panel, drawn"]
BANDS = {"under 10": 0, "10–29": 10, "30–99": 30, "100+": 100}  # by the least number of students
SIMULATED = "Mathematics 30-1"


# %% [markdown]
# ## Pairs of years
#
# All courses with enough schools in two years that follow each other.


# %%
def pairs_of_years(results, least_schools, course=None):
    """Return the tables of a year and of the next, by course and year."""
    sizes = results.groupby(["course", "year"], sort=False).size()
    return {
        (name, int(year)): tuple(
            hbm.exam_table(results, course=name, year=y) for y in (year, year + 1)
        )
        for name, year in sizes.index
        if min(sizes[name, year], sizes.get((name, year + 1), 0)) >= least_schools
        and course in (None, name)
    }


def provincial_mean(table):
    return np.average(table["mean"], weights=table["n_students"])


def next_means(this, following, shift_left_in):
    """Return the next year's means of the schools of both years, in the authority of the first.

    The shifted means may not go with the sds as published, and the means alone are asked of.
    """
    both = following.merge(this[["school", "authority"]], on="school", suffixes=("_next", ""))
    if not shift_left_in:
        shift = provincial_mean(following) - provincial_mean(this)
        both["mean"] = (both["mean"] - shift).clip(0, 1)
    return both[["school", "authority", "n_students", "mean"]]


# %% [markdown]
# ## What is looked at
#
# Of each school: the error of its predicted mean, whether its mean lies in the 50 % and the 89 %
# predictive interval, the log score and the CRPS. A school counts as small by its students in the
# second year.


# %%
def held_against(form, tables, options):
    """Fit a form of the model to each first year, and return a row a school of each second one."""
    fits = hbm.sample_each(
        functools.partial(hbm.exams.nested, design_effect=FORMS[form]),
        {key: this for key, (this, _) in tables.items()},
        **common.sampling(options),
    )
    common.say(options, f"{form}: {fits}")
    rows = []
    for key, (model, fit) in fits.fits.items():
        cohort = next_means(*tables[key], options.shift_left_in)
        found = hbm.evaluate(model, fit, cohort, random_seed=options.seed)
        found["design_effect"] = (
            float(fit["posterior"]["design_effect"].mean())
            if "design_effect" in fit["posterior"]
            else 1.0
        )
        rows.append(found.assign(course=key[0], year=key[1], persistence=np.nan))
    return pd.concat(rows, ignore_index=True).assign(form=form)


def panel_held_against(tables, results, options):
    """Fit a panel to each first year and those before, where there are enough of them.

    All schools of the second year are predicted, since its provincial mean is that of all, and the
    same are returned as for the others: those with results in the first year.
    """
    panels = {}
    for course, year in tables:
        of_course = results[(results["course"] == course) & (results["year"] <= year)]
        if of_course["year"].nunique() >= options.least_years:
            years = sorted(of_course["year"].unique().tolist())
            panels[course, year] = hbm.exam_panel(results, course=course, years=years)
    if not panels:
        return []
    fits = hbm.sample_each(hbm.exams.panel, panels, **common.sampling(options))
    common.say(options, f"panel: {fits}")
    rows = []
    for (course, year), (model, fit) in fits.fits.items():
        this, following = tables[course, year]
        last = panels[course, year].drop_duplicates("school", keep="last").set_index("school")
        stands = following["school"].map(last["authority"]).fillna(following["authority"])
        cohort = following.assign(authority=stands, year=year + 1)
        for form in PANELS:
            given = {year + 1: provincial_mean(following)} if form == "panel" else None
            found = hbm.evaluate(model, fit, cohort, year_means=given, random_seed=options.seed)
            found = found[found["school"].isin(this["school"])]
            of_panel = {
                x: float(fit["posterior"][x].mean()) for x in ("design_effect", "persistence")
            }
            rows.append(found.assign(course=course, year=year, form=form, **of_panel))
    first, _ = next(iter(fits.fits))
    last = max(key for key in fits.fits if key[0] == first)
    page(options, *fits.fits[last], panels[last], first)
    return rows


def page(options, model, fit, panel, course):
    """Leave a page of a panel: what it says of the year after its last, before that came."""
    title = f"{course}, {panel['year'].min()} to {panel['year'].max()}"
    title += "" if options.workbook else " (simulated)"
    found = hbm.check_predictive(model, fit, random_seed=options.seed)
    common.page(options, model, fit, checks=[found], names=panel, title=title)


def raw_means(tables, options):
    """Return a row a school of each second year, predicted by its raw mean of the first."""
    rows = []
    for (course, year), (this, following) in tables.items():
        cohort = next_means(this, following, options.shift_left_in)
        raw = this.set_index("school")["mean"][cohort["school"]].to_numpy()
        cohort = cohort.rename(columns={"mean": "observed"})
        # The CRPS of a single number is how far off it is.
        cohort = cohort.assign(predicted=raw, crps=(raw - cohort["observed"]).abs())
        rows.append(cohort.assign(course=course, year=year))
    return pd.concat(rows, ignore_index=True).assign(form="raw")


def rmse(rows):
    """Return the root mean square error in points of a hundred, weighted by students."""
    squares = (rows["predicted"] - rows["observed"]) ** 2
    return 100 * np.sqrt(np.average(squares, weights=rows["n_students"]))


def by_pair(rows):
    """Return a row a course, year and form."""
    table = {}
    for key, part in rows.groupby(["course", "year", "form"], sort=False):
        small = part["n_students"] < 30
        table[key] = {
            "schools": len(part),
            "rmse": rmse(part),
            "rmse < 30": rmse(part[small]) if small.any() else np.nan,
            "inside 50 %": 100 * part["inside_50"].mean(),
            "inside 89 %": 100 * part["inside_89"].mean(),
            "log score": part["log_score_mean"].mean(),
            "crps": 100 * part["crps"].mean(),
            "design effect": part["design_effect"].iloc[0],
            "persistence": part["persistence"].iloc[0],
        }
    return pd.DataFrame.from_dict(table, orient="index").rename_axis(["course", "year", "form"])


def with_band(rows):
    """Return the rows with the band of the second year's students."""
    at = np.searchsorted(list(BANDS.values()), rows["n_students"], side="right") - 1
    return rows.assign(band=pd.Categorical.from_codes(at, list(BANDS), ordered=True))


def coverage(rows, by):
    """Return a row a course and form, or also year: what intervals hold, in per cent, by band."""
    rows = with_band(rows)
    for level in ("50", "89"):
        rows[f"{level} %"] = 100 * rows[f"inside_{level}"].astype(float)
    of = {"index": by, "columns": "band", "values": ["50 %", "89 %"]}
    return rows.pivot_table(**of, observed=True)


def by_band(rows):
    """Return a row a form and band of the second year's students, over all pairs of years."""
    names, rows = list(BANDS), with_band(rows)
    table = {}
    for key, part in rows.groupby(["form", "band"], observed=True, sort=False):
        n, inside = len(part), part[["inside_50", "inside_89"]].mean()
        table[key] = {
            "schools": n,
            "inside 50 %": 100 * inside["inside_50"],
            "inside 89 %": 100 * inside["inside_89"],
            "se": 100 * np.sqrt(inside["inside_89"] * (1 - inside["inside_89"]) / n),
            "log score": part["log_score_mean"].mean(),
            "crps": 100 * part["crps"].mean(),
        }
    table = pd.DataFrame.from_dict(table, orient="index").rename_axis(["form", "students"])
    order = pd.MultiIndex.from_product([[*FORMS, *PANELS], names])
    return table.loc[order.intersection(table.index)]


# %% [markdown]
# ## All of them


# %%
def main(argv=None):
    parser = common.parser("Does pooling predict the next year's school means?", "next_year")
    parser.add_argument("--workbook", type=Path, help="workbook to read; the simulated one if none")
    parser.add_argument(
        "--course",
        help="one course only; if none, every one with enough schools, and of the simulated "
        f"workbook {SIMULATED}",
    )
    parser.add_argument("--least-schools", type=int, default=100, help="fewest schools of a course")
    parser.add_argument("--least-years", type=int, default=3, help="fewest years of a panel")
    parser.add_argument(
        "--shift-left-in", action="store_true", help="leave in what all schools have in common"
    )
    options = parser.parse_args(argv)
    results = (
        hbm.read_diploma(options.workbook) if options.workbook else hbm.load_dataset("diploma")
    )
    course = options.course or (None if options.workbook else SIMULATED)
    tables = pairs_of_years(results, options.least_schools, course)
    rows = [raw_means(tables, options), *(held_against(form, tables, options) for form in FORMS)]
    rows = pd.concat([*rows, *panel_held_against(tables, results, options)], ignore_index=True)
    tell(rows, options)


def tell(rows, options):
    """Print what was found: of all pairs of years, and of those that a panel predicted."""
    pairs = by_pair(rows)
    common.say(options, pairs.to_string(float_format="{:.2f}".format, na_rep=""), "")
    tell_coverage(rows[rows["form"] != "raw"], "pair of years", options)
    one_year = ~rows["form"].isin(PANELS)
    held = rows[one_year & (rows["form"] != "raw")]
    print(by_band(held).to_string(float_format="{:.2f}".format))
    tell_coverage(held, "course", options)
    print(in_words(pairs.drop(PANELS, level="form", errors="ignore")))
    if one_year.all():
        return
    of_panels = pairs.xs("panel", level="form").index
    there = pd.MultiIndex.from_frame(rows[["course", "year"]]).isin(of_panels)
    kept = rows[there & (rows["form"] != "raw")]
    print("", "Of the pairs of years that a panel predicts:", sep="\n")
    print(by_band(kept).to_string(float_format="{:.2f}".format))
    tell_coverage(kept[kept["form"].isin(PANELS)], "course", options)
    print(panels_in_words(pairs))


def tell_coverage(rows, of, options):
    """Print what intervals hold of each course or pair of years, unless asked to be quiet."""
    by = ["course", "form"] if of == "course" else ["course", "year", "form"]
    table = coverage(rows, by).to_string(float_format="{:.0f}".format, na_rep="")
    common.say(options, "", f"So many per cent of each {of}'s means lie inside:", table, "")


def in_words(pairs):
    """Say what the table of pairs of years comes to."""
    raw, independent, clustered = (
        pairs.xs(form, level="form").sort_index() for form in ("raw", "independent", "clustered")
    )
    small = "rmse < 30"
    change = clustered[small] - independent[small]
    return (
        f"In {len(raw)} pairs of years the posterior means are closer than the raw means in "
        f"{(clustered['rmse'] < raw['rmse']).sum()}, and for schools under 30 students in "
        f"{(clustered[small] < raw[small]).sum()}: on average {raw['rmse'].mean():.2f} → "
        f"{clustered['rmse'].mean():.2f} points, and {raw[small].mean():.2f} → "
        f"{clustered[small].mean():.2f} for the small. With the design effect learned "
        f"({clustered['design effect'].mean():.2f} on average, "
        f"{clustered['design effect'].min():.2f} to {clustered['design effect'].max():.2f}) the "
        f"log score is better than with independent students in "
        f"{(clustered['log score'] > independent['log score']).sum()}; the error of small schools "
        f"changes by {change.mean():.3f} points (standard error "
        f"{change.std() / np.sqrt(len(change)):.3f})."
    )


def panels_in_words(pairs):
    """Say what panels come to, next to the models of one year."""
    panel = pairs.xs("panel", level="form").sort_index()
    raw, clustered = (
        pairs.xs(form, level="form").loc[panel.index] for form in ("raw", "clustered")
    )
    small = "rmse < 30"
    rivals = pairs.drop(PANELS, level="form")["log score"].groupby(["course", "year"]).max()
    return (
        f"In {len(panel)} pairs of years the panel is closer than one year's model in "
        f"{(panel['rmse'] < clustered['rmse']).sum()}, and for schools under 30 students in "
        f"{(panel[small] < clustered[small]).sum()}: on average {raw['rmse'].mean():.2f} (raw) → "
        f"{clustered['rmse'].mean():.2f} → {panel['rmse'].mean():.2f} points, and "
        f"{raw[small].mean():.2f} → {clustered[small].mean():.2f} → {panel[small].mean():.2f} for "
        f"the small. Its log score is the best in "
        f"{(panel['log score'] > rivals[panel.index]).sum()}. Persistence is "
        f"{panel['persistence'].mean():.2f} on average ({panel['persistence'].min():.2f} to "
        f"{panel['persistence'].max():.2f}), the design effect "
        f"{panel['design effect'].mean():.2f} ({panel['design effect'].min():.2f} to "
        f"{panel['design effect'].max():.2f})."
    )


if __name__ == "__main__":
    sys.exit(main())
