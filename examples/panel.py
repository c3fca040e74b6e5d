# %% [markdown]
# # Several years of a school
#
# One year's table cannot tell what lasts of a school's mean from what passes with its students.
# Several years can. This walk goes from the published workbook to one school's years, to the
# schools that changed, and to next year: predicted, and held against what came.
#
# Without a workbook of your own it uses the bundled one, which is simulated in the same layout;
# `data/README.md` says where to download the real one. Run `python examples/panel.py --help`, or
# run the cells and then call `main([])`.

# %%
import sys
from pathlib import Path

import common
import numpy as np

import hbm

# %% [markdown]
# ## The data
#
# One row a school and year. Schools open and close and have years without results; they stay in.
# The last year is kept back: it is what the others are to predict.


# %%
def look_at_the_data(options):
    results = (
        hbm.read_diploma(options.workbook) if options.workbook else hbm.load_dataset("diploma")
    )
    every = hbm.exam_panel(results, course=options.course)
    *years, last = sorted(set(every["year"]))
    seen, kept_back = (every[part] for part in (every["year"] < last, every["year"] == last))
    years_of_school = seen.groupby("school").size()
    if not options.workbook:
        common.say(options, "The bundled workbook is simulated: these are no real schools.")
    common.say(
        options,
        f"{options.course}, {years[0]} to {years[-1]}: {len(seen)} results of "
        f"{len(years_of_school)} schools, {(years_of_school == len(years)).sum()} of them in all "
        f"years; {len(kept_back)} in {last}, of which "
        f"{kept_back['school'].isin(seen['school']).sum()} are known.",
        "",
    )
    return seen.reset_index(drop=True), kept_back.reset_index(drop=True)


# %% [markdown]
# ## The model
#
# A school's effect in a year is its authority's, plus the year's, which is how hard the exam was,
# plus its own, which remembers the year before: `persistence` is the correlation of the two. What
# its students have in common and pass with them is the `design_effect`'s.
#
# What do raw means of one year differ by? By number of students: what is the authority's, what of
# the school's own lasts into the next year and what does not, what is a cohort's and what is
# chance.


# %%
def sample(options, seen):
    model = hbm.exams.panel(seen)
    fit = hbm.sample(model, **common.sampling(options))
    rows = common.summary(
        fit, ["tau_year", "tau_authority", "tau_school", "persistence", "design_effect"]
    )
    print(common.verdict("Panel", fit, rows))
    diagnosis = hbm.diagnose(fit)
    common.say(options, diagnosis, "", rows.to_string(), "")
    common.show(options, "What raw means of one year differ by:", hbm.reliability(fit))
    return model, fit, diagnosis


# %% [markdown]
# ## One year, told what several know
#
# One year's table cannot tell a cohort's mean from its school's, and hardly knows the design
# effect. It can be handed the panel's.


# %%
def one_year(options, fit, seen):
    year = seen["year"].max()
    design_effect = float(fit["posterior"]["design_effect"].mean())
    model = hbm.exams.nested(seen[seen["year"] == year], design_effect=design_effect)
    alone = hbm.sample(model, **common.sampling(options))
    print(common.verdict("One year", alone, common.summary(alone, ["tau_authority", "tau_school"])))
    sds = [100 * hbm.estimates(x, "mu_school")["sd"].mean() for x in (alone, hbm.in_year(fit))]
    common.say(
        options,
        f"With the panel's design effect of {design_effect:.2f}, {year} alone tells a school's "
        f"mean to {sds[0]:.1f} points (posterior sd, on average); all years tell it to "
        f"{sds[1]:.1f}.",
        "",
    )


# %% [markdown]
# ## One school's years
#
# The small school whose raw means went up and down the most, and the largest. The small one's
# estimates move far less than its raw means: with so few students a mean of one year says little,
# and its other years say more.


# %%
def choose(seen):
    """Return the labels of the two schools, among those with results in all years."""
    of_school = seen.groupby("school")
    all_years = of_school.size() == seen["year"].nunique()
    size, swing = of_school["n_students"].max(), of_school["mean"].agg(np.ptp)
    small = all_years & (size < 30)
    return [swing[small if small.any() else all_years].idxmax(), size[all_years].idxmax()]


def look_at_schools(options, fit, seen):
    labels = [options.school] if options.school else choose(seen)
    estimates = hbm.estimates(fit, "mu_school")
    table = seen.merge(estimates, on=["school", "year"], suffixes=("_raw", ""))
    columns = ["year", "n_students", "mean_raw", "mean", "lower", "upper"]
    names = {}
    for label in labels:
        years = table[table["school"] == label]
        if years.empty:
            raise SystemExit(f"no school {label!r} in {options.course}")
        names[label] = f"{years['school_name'].iloc[-1]} ({label})"
        common.show(options, f"{names[label]}:", years[columns])
    common.save(hbm.plot_trajectories(fit, names), options, "trajectories")


# %% [markdown]
# ## Who changed?
#
# From the first year to the last before the one kept back, beside the raw change, most of which is
# noise where students are few. Of the schools that are named, at most one in twenty did not change
# in the direction that is said, as far as the model is right.


# %%
def who_changed(options, fit):
    found = hbm.changes(fit, "school")
    named = found[found["named"]].sort_values("change")
    common.say(
        options,
        f"From {found.attrs['since']} to {found.attrs['until']} {len(named)} of {len(found)} "
        f"schools changed: {(named['change'] > 0).sum()} rose and {(named['change'] < 0).sum()} "
        f"fell, next to all. Raw, {(found['raw_change'].abs() > 0.1).sum()} changed by more than "
        "ten points.",
    )
    largest = found.loc[found["change"].abs().nlargest(8).index].sort_values("change")
    columns = ["school", "n_students_since", "n_students_until", "raw_change", "change", "lower"]
    common.show(
        options, "The largest changes:", largest[[*columns, "upper", "pooling", "p_rose", "named"]]
    )
    common.save(hbm.plot_changes(found), options, "changes")


# %% [markdown]
# ## Next year
#
# How hard the next exam is nobody knows before it is written, so without more to go by each draw
# has a year's effect of its own, the same for all schools. Once the province's mean is out, it can
# be given: then what is left is how schools differ. Each prediction is held against what came.


# %%
def next_year(options, model, fit, seen, kept_back):
    year = int(kept_back["year"].iloc[0])
    # A school stands in the authority that it was fitted in.
    last = seen.drop_duplicates("school", keep="last").set_index("school")["authority"]
    stands = kept_back["school"].map(last).fillna(kept_back["authority"])
    cohort = kept_back.assign(authority=stands)
    province = float(np.average(cohort["mean"], weights=cohort["n_students"]))
    for name, given in (
        (f"{year}, its provincial mean not known:", None),
        (f"{year}, given its provincial mean of {100 * province:.1f} %:", {year: province}),
    ):
        held = hbm.evaluate(model, fit, cohort, year_means=given, random_seed=options.seed)
        known = held[held["known"]]
        common.show(options, name, hbm.by_band(known).reset_index())
    inside = 100 * known["inside_89"].mean()
    print(f"89 % intervals hold {inside:.0f} % of the means of {len(known)} known schools.")
    schools = [options.school] if options.school else choose(seen)
    own = cohort[cohort["school"].isin(schools)]
    if len(own):
        tree = hbm.predict(model, fit, own, random_seed=options.seed)
        table = common.intervals(tree["predictions"]["mean"], own["school"].to_list(), prob=0.89)
        table = table.rename(columns={"": "school", "mean": "predicted"})
        table["n_students"], table["came"] = own["n_students"].to_list(), own["mean"].to_list()
        common.show(options, f"Means of {year}, predicted without it (89 %), and what came:", table)


# %% [markdown]
# ## Could the model have produced such data?
#
# Other schools of the population that it learned, in other years, and what their results would be
# like: how far do ours fall outside?


# %%
def check(options, model, fit):
    found = hbm.check_predictive(model, fit, new_groups=True, random_seed=options.seed)
    outside = found.table[found.table["verdict"] != "as expected"]
    told = "; ".join(f"{row.meaning}: {row.verdict}" for row in outside.itertuples())
    told = told or f"all {len(found.table)} statistics are as expected"
    common.say(options, found, f"What the check finds: {told}.", "")
    return found


# %% [markdown]
# ## A page for people
#
# For each school its years, whether it changed and what next year may bring, in words and for
# people who read no code: one file that a browser opens. Before it says any of that, it says
# whether the model could have produced such data.


# %%
def page(options, model, fit, checks, seen):
    years = f"{seen['year'].min()} to {seen['year'].max()}"
    title = f"{options.course}, {years}{'' if options.workbook else ' (simulated)'}"
    common.page(options, model, fit, checks=checks, names=seen, title=title)


# %% [markdown]
# ## The walk


# %%
def main(argv=None):
    parser = common.parser("Several years of diploma exams, and the next.", "panel")
    parser.add_argument("--workbook", type=Path, help="workbook to read; the simulated one if none")
    parser.add_argument("--course", default="Mathematics 30-1", help="course to look at")
    parser.add_argument("--school", help="code of a school to look at; two telling ones if none")
    options = parser.parse_args(argv)
    seen, kept_back = look_at_the_data(options)
    model, fit, diagnosis = sample(options, seen)
    one_year(options, fit, seen)
    look_at_schools(options, fit, seen)
    who_changed(options, fit)
    next_year(options, model, fit, seen, kept_back)
    page(options, model, fit, [diagnosis, check(options, model, fit)], seen)


if __name__ == "__main__":
    sys.exit(main())
