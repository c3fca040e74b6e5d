# %% [markdown]
# # Diploma exams in Alberta
#
# Alberta publishes, for each school, how many students wrote a diploma exam, their mean mark and
# its standard deviation. What can be said of a school of nine students? This walk goes from the
# published table to a league table that says what a rank is worth, and ends with the three models
# of the article it began with.
#
# Without a workbook of your own it uses the bundled one, which is simulated in the same layout;
# `data/README.md` says where to download the real one. Run `python examples/alberta.py --help`, or
# run the cells and then call `main([])`.

# %%
import sys
from pathlib import Path

import common
import numpy as np
import pandas as pd
import xarray as xr

import hbm

# %% [markdown]
# ## The data
#
# Schools in the order of their mean, each with the spread of its students; then coloured by
# authority, and the authorities themselves. More than half of the schools have fewer than 30
# students, and nine in ten of the lowest tenth have.


# %%
def look_at_the_data(options):
    results = (
        hbm.read_diploma(options.workbook) if options.workbook else hbm.load_dataset("diploma")
    )
    settings = {"course": options.course, "year": options.year}
    every = hbm.exam_table(results, **settings)
    kept = hbm.exam_table(results, **settings, min_students=options.min_students)
    n_schools, n_authorities = len(every), every["authority"].nunique()
    if not options.workbook:
        common.say(options, "The bundled workbook is simulated: these are no real schools.")
    common.say(
        options,
        f"{options.course}, {options.year}: {n_schools} schools in {n_authorities} authorities; "
        f"{len(kept)} in {kept['authority'].nunique()} with at least "
        f"{options.min_students} students.",
        "",
    )
    common.save(hbm.plot_exam_table(every), options, "schools")
    ax = hbm.plot_exam_table(every, colour_by="authority_name")
    common.save(ax, options, "schools_by_authority")
    common.save(hbm.plot_authorities(every), options, "authorities")
    common.save(hbm.plot_exam_table(kept, sized=True), options, "schools_kept")
    common.save(hbm.plot_authorities(kept), options, "authorities_kept")
    return every, kept


# %% [markdown]
# ## The model and its prior
#
# Schools vary around their authority and authorities around the province. What is observed of a
# school is the published mean *and* standard deviation of its n students, whose density is that of
# Beta students, approximately. So the spread of students is learned, and no school is dropped: a
# small one is pulled further, and stays less certain.
#
# The students of a school share classes, teachers and a year, so that they are no independent
# draws: their mean varies by more than their own spread over √n. How many times as much, in the
# variance, is the *design effect*. It is what lies between a census of those who wrote, who are all
# known, and what the school would reach again. One year says little of it, since small schools
# that truly differ more than large ones look the same; several years say much.
#
# Before the model sees a mark, what tables does it expect? Parameters from the prior, then schools,
# and students one by one. It expects higher marks than these, but its tables differ so much that it
# decides little.


# %%
def look_at_the_prior(options, every):
    rng = np.random.default_rng(options.seed)
    priors = hbm.exams.Priors()
    in_authority = every["authority"].value_counts(sort=False).tolist()
    simulated = []
    for _ in range(100):
        table, *_ = hbm.simulate.exams(
            in_authority, every["n_students"].to_numpy(), **priors.draw(rng), random_seed=rng
        )
        simulated.append(table["mean"])
    ax = hbm.plot_predictive(simulated, observed=every["mean"], name="Mean score", unit="%")
    title = "100 tables from the prior (thick: observed)"
    common.save(ax, options, "prior_predictive", title)
    draws = pd.DataFrame([priors.draw(rng) for _ in range(4 * options.draws)])
    return xr.DataTree.from_dict({"prior": draws.to_xarray()})


# %% [markdown]
# ## The fit
#
# Independent draws, without a Markov chain. Can they be used? And how much do schools differ, and
# authorities? The standard deviations between them are in logits; as shares of the variance between
# students, most of it is within schools. A cohort's share is what passes: it is small, but for a
# school of a few students or some hundred alike it comes on top of chance.


# %%
def sample(options, model, prior):
    fit = hbm.sample(model, **common.sampling(options))
    names = ["mu", "tau_authority", "tau_school", "nu", "tau_nu", "design_effect"]
    rows = common.summary(fit, names)
    print(common.verdict("Recommended", fit, rows))
    diagnosis = hbm.diagnose(fit)
    common.say(options, diagnosis, "", rows.to_string(), "")
    common.save(hbm.plot_spreads(fit, prior), options, "spreads")
    common.show(options, "Shares of the variance of marks:", hbm.variance_shares(fit))
    return fit


# %% [markdown]
# ## Could the model have produced the data?
#
# First, other students of the same schools: that asks what the model says of students. The table
# tells of them what the model does not look at, the shares at or above two marks. Then other
# schools of the same province, which is harder, since the effects of these schools cannot help.
# Last, each school in turn, predicted without it.
#
# The first passes in the bundled workbook, whose students are Beta. In the real one more students
# are at 80 % or above than Beta students would be, 25.6 % where 22 to 25 % are expected, and it
# fails by that alone: the limit of a Beta, of which more below.
#
# The other two see one thing, in both workbooks, since small schools of the bundled one were made
# to do worse: the model does not know that these have lower means than large ones, and less spread.
# Of eleven statistics of new schools one is off, how far the means of small schools are below those
# of large ones. By it the model fails in the bundled workbook; in the real one it is as far off as
# chance is once in a hundred, where the verdict turns, so that the seed decides. School by school
# it is far beyond that in both. A later step tells the model the size of schools, which mends
# these two, and not the first.


# %%
def check(options, model, fit, every):
    settings = {"random_seed": options.seed}
    same = hbm.check_predictive(model, fit, table=every, **settings)
    new = hbm.check_predictive(model, fit, new_groups=True, **settings)
    left_out = hbm.loo_pit(model, fit)
    common.say(options, same, "", new, "", left_out, "")
    common.save(hbm.plot_check(new), options, "check")


# %% [markdown]
# ## What is known of a school
#
# Pooling pulls a small school towards the average of its authority, in which large ones count with
# it. If small schools do worse, that is too high. How many wrote is in the table, so let the model
# learn what it tells: `predictors=["log_n_students"]` moves what is expected of a school of a size,
# and of the spread of its students. A school is then pulled towards schools like it.
#
# Two things this is not. The number of those who wrote, in one year, is no enrolment. And it is no
# cause: large schools stand in towns, and have much else that small ones have not. To ask how a
# school does for its size is another question than how well its students do; the table asks the
# second.


# %%
def tell_it_the_size(options, model, fit, every):
    informed = hbm.exams.nested(every, predictors=["log_n_students"])
    by_size = hbm.sample(informed, **common.sampling(options))
    names = ["tau_authority", "tau_school", "tau_nu", "design_effect", "beta", "gamma"]
    rows = common.summary(by_size, names)
    print(common.verdict("With the size known", by_size, rows))
    effects = hbm.coefficients(by_size)
    common.show(options, "What the number of students tells:", effects)
    common.save(hbm.plot_coefficients(effects), options, "coefficients")
    settings = {"random_seed": options.seed}
    same = hbm.check_predictive(informed, by_size, table=every, **settings)
    new = hbm.check_predictive(informed, by_size, new_groups=True, **settings)
    left_out = hbm.loo_pit(informed, by_size)
    common.say(options, same, "", new, "", left_out, "")
    comparison = None
    if options.compare:
        fits = {"size known": (informed, by_size), "size not known": (model, fit)}
        comparison = common.show_comparison(options, fits, "school", "comparison_size")
        comparison = comparison.rename(index={"size known": "the model of this page"})
    both = hbm.shrinkage(fit, "school").merge(
        hbm.shrinkage(by_size, "school"), on="school", suffixes=("", "_size")
    )
    small = both.iloc[(both["n_students"] - 8).abs().argsort(kind="stable")[:5]]
    columns = ["school", "n_students", "raw_mean", "target", "target_size", "mean", "mean_size"]
    common.show(
        options,
        "Schools of eight students, or near it (target: what each is pulled towards):",
        small[columns],
    )
    return informed, by_size, [same, new, left_out], comparison


# %% [markdown]
# ## Are students Beta?
#
# Published as well, and not shown to the model, is the share of students at 50 % or more (the
# acceptable standard) and at 80 % or more (excellence). The model knows means and standard
# deviations, and for the rest trusts the Beta. In the real workbook the Beta meets the acceptable
# standard, and under-predicts excellence by some points: its limit. A part of that is in the marks,
# which are whole per cents, so that 79.5 counts as 80; where students are Beta, as in the simulated
# workbook, there is no other.


# %%
def hold_against_shares(options, fit, every):
    rows = []
    for standard, mark in (("acceptable", 0.5), ("excellent", 0.8)):
        both = every[["school", standard]].merge(hbm.shares(fit, above=mark), on="school").dropna()
        published, share, n = both[standard], both["share"], both["n_students"]
        row = {"standard": standard, "mark": mark, "published": np.average(published, weights=n)}
        row["model"] = np.average(share, weights=n)
        row["rmse"] = np.sqrt(np.average((share - published) ** 2, weights=n))
        rows.append(row)
    table = pd.DataFrame(rows)
    common.show(options, "Shares of students at each standard, schools by students:", table)
    both = both.rename(columns={"excellent": "published_share", "share": "share_by_the_model"})
    ax = hbm.plot_agreement(both, "published_share", "share_by_the_model", unit="%")
    look = {"color": ax.lines[-1].get_color(), "lw": 0.5, "zorder": 1}
    ax.vlines(both["published_share"], both["lower"], both["upper"], **look)
    title = "Share of students at 80 % or more; bars: 95 % intervals"
    common.save(ax, options, "excellent", title)


# %% [markdown]
# ## Do authorities help?
#
# This needs another fit, and so is done with `--compare` only. The rival knows no authorities: all
# schools come from one population. Which of the two predicts a school better that it has not seen,
# given the other schools? The difference is in nats, with its standard error.


# %%
def compare(options, model, fit, every):
    rival = {"partial pooling": hbm.exams.partial_pooling(every)}
    models = {"nested": (model, fit)} | common.fits(options, rival, ["mu", "tau_school", "nu"])
    common.show_comparison(options, models, unit="school")


# %% [markdown]
# ## How far was each school pulled, and why
#
# From here on the size is known: each is pulled towards what is expected of a school like it in
# its authority. The fewer students, the further. The funnel plot asks the same of the raw means:
# which are unusual for a school of that size, and which only look so because it is small?


# %%
def shrink(options, fit, every):
    schools = hbm.shrinkage(fit, "school")
    named = every[["school", "school_name"]].merge(schools, on="school")
    columns = ["school", "school_name", "n_students", "raw_mean", "mean", "sd", "target", "pooling"]
    by_size = named.sort_values("n_students", kind="stable")[columns]
    common.show(
        options,
        "The five smallest and the five largest schools (pooling: 0 = raw mean, 1 = target):",
        pd.concat([by_size.head(), by_size.tail()]),
    )
    common.save(hbm.plot_shrinkage(schools), options, "shrinkage")
    common.save(hbm.plot_pooling(schools), options, "pooling")
    authorities = hbm.shrinkage(fit, "authority")
    common.save(hbm.plot_nesting(schools, authorities), options, "nesting")
    limits = hbm.funnel_limits(fit, "school")
    common.save(hbm.plot_funnel(schools, limits), options, "funnel")
    ax = hbm.plot_caterpillar(hbm.estimates(fit, "mu_school"), every)
    common.save(ax, options, "recommended", f"With the size known: {ax.get_title(loc='left')}")
    return schools


# %% [markdown]
# ## What a rank is worth
#
# A school's rank can be nearly anything, and within a tier no two can be told apart. The tables go
# into one workbook, with the names of the schools beside their codes.


# %%
def rank(options, fit, every, schools):
    league = hbm.ranks(fit, "school")
    columns = ["school", "n_students", "mean", "expected_rank", "rank_lower", "rank_upper", "tier"]
    common.show(
        options,
        f"First five of {len(league)} by expected rank, with what their ranks could be:",
        league[columns].head(),
    )
    common.say(options, "Without intake a league table is not school quality.", "")
    common.save(hbm.plot_ranks(league), options, "ranks")
    sheets = {"league": league, "shrinkage": schools}
    file = hbm.save_table(sheets, options.out / "schools.xlsx", names=every)
    common.say(options, f"The tables are in {file}.", "")


# %% [markdown]
# ## Schools the model has not seen
#
# What will twenty students of a new school reach, in the authority with most schools and in a new
# one? The mean of the school is less certain without its authority, and the mean of its twenty
# students less certain still.


# %%
def predict(options, model, fit, every):
    largest = every["authority"].value_counts().index[0]
    new = pd.DataFrame(
        {"school": ["first", "second"], "authority": [largest, "new"], "n_students": 20}
    )
    predictions = hbm.predict(model, fit, new, random_seed=options.seed)["predictions"]
    labels = [f"new school of authority {largest}", "new school of a new authority"]
    for name, title in (("mu_school", "Mean of the school"), ("mean", "Mean of its students")):
        common.show(options, f"{title}:", common.intervals(predictions[name], labels))


# %% [markdown]
# ## A page for people
#
# What was found, for a principal or a parent: one file that a browser opens. It is of the model
# that knows the size, which mends two of three checks. It says first whether its numbers can be
# used, and what is amiss still, and of each school how good and how sure, which are two things.
# Look for a school of nine students and one of four hundred.


# %%
def page(options, model, fit, every, checks, comparison):
    title = f"{options.course}, {options.year}{'' if options.workbook else ' (simulated)'}"
    licence = (
        "Simulated, in the layout of Alberta's diploma exam results: these are no real schools."
    )
    if options.workbook:
        licence = "Diploma exam results as published by the Government of Alberta."
    settings = {"names": every, "title": title, "licence": licence}
    common.page(options, model, fit, checks=checks, compare=comparison, **settings)


# %% [markdown]
# ## The article's three models
#
# The published models take each school's mean, with a standard error from its number of students
# and a Beta that says how students spread. Schools share nothing, or a population, or the
# population of their authority. In the last, the code swaps alpha and beta: its prior expects a
# mean score of 25 %.

# %%
MODELS = {
    "no_pooling": hbm.article.exams_no_pooling,
    "partial_pooling": hbm.article.exams_partial_pooling,
    "nested": hbm.article.exams_nested,
}
# The article took 0.99; 0.95 diverges no more and costs half.
TARGET_ACCEPT = 0.95
HYPERPARAMETERS = {
    "no_pooling": [],
    "partial_pooling": [
        "school_prior_alpha",
        "school_prior_beta",
        "school_prior_nu_mean",
        "school_prior_nu_sd",
    ],
    "nested": [
        "authority_prior_alpha_mean",
        "authority_prior_alpha_sd",
        "authority_prior_beta_mean",
        "authority_prior_beta_sd",
        "school_prior_nu_mean",
        "school_prior_nu_sd",
    ],
}


def fit_and_draw(options, name, table):
    title = name.replace("_", " ").capitalize()
    model = MODELS[name](table)
    settings = common.sampling(options)
    if name == "nested":
        # The spread between authorities mixes slowly: twice the draws.
        settings["draws"] *= 2
    fit = hbm.sample(model, **settings, target_accept=TARGET_ACCEPT)
    rows = common.summary(fit, [*HYPERPARAMETERS[name], "school_mu"])
    print(common.verdict(title, fit, rows))
    n_shown = len(HYPERPARAMETERS[name]) + 5
    common.say(
        options, rows[:n_shown].to_string(), f"... and {len(rows) - n_shown} schools more", ""
    )
    reference = None
    if name == "partial_pooling":
        a, b = fit["posterior/school_prior_alpha"], fit["posterior/school_prior_beta"]
        reference = {"population mean": float((a / (a + b)).mean())}
    schools = hbm.estimates(fit, "school_mu")
    ax = hbm.plot_caterpillar(schools, table, reference=reference)
    common.save(ax, options, name, f"{title}: {ax.get_title(loc='left')}")
    return model, fit, schools


# %% [markdown]
# ## What to make of it
#
# The three sets of estimates are nearly the same. Two reasons should keep that from being read as
# "pooling does not matter": schools with few students, the ones that pooling helps, were dropped;
# and the models never look at the published standard deviations. They take the spread of students
# from a prior, which makes it less than half of what was published, and the schools' means look
# known more than twice as well as they are. The predictive check says so at once. The recommended
# model's means are known a little less well than sd / √n says, by the design effect, and a little
# better, by what other schools tell.


# %%
def hold_against_published(options, name, table, spread, schools):
    standard_error = table["sd"] / np.sqrt(table["n_students"])
    ratio = (standard_error.to_numpy() / schools["sd"].to_numpy()).mean()
    common.say(
        options,
        f"{name.replace('_', ' ')}: students' sd {spread:.3f} in the model, "
        f"{table['sd'].mean():.3f} published; a school's own sd / √n is {ratio:.1f} times the "
        "posterior sd of its mean.",
    )


def the_articles_models(options, kept):
    for name in MODELS:
        model, fit, schools = fit_and_draw(options, name, kept)
        spread = float(np.sqrt(fit["posterior/school_sigma_squared"]).mean())
        hold_against_published(options, name, kept, spread, schools)
    found = hbm.check_predictive(model, fit, table=kept, random_seed=options.seed)
    common.say(options, "", found, "")
    common.save(hbm.plot_check(found), options, "nested_check")


# %%
def main(argv=None):
    parser = common.parser("Diploma exam results of Alberta's schools.", "alberta")
    parser.add_argument("--workbook", type=Path, help="workbook to read; the simulated one if none")
    parser.add_argument("--course", default="Mathematics 30-1", help="course")
    parser.add_argument("--year", type=int, default=2016, help="year")
    parser.add_argument("--min-students", type=int, default=30, help="fewest students of a school")
    parser.add_argument("--compare", action="store_true", help="compare models, which takes longer")
    options = parser.parse_args(argv)
    every, kept = look_at_the_data(options)
    model = hbm.exams.nested(every)
    prior = look_at_the_prior(options, every)
    fit = sample(options, model, prior)
    check(options, model, fit, every)
    informed, by_size, checks, comparison = tell_it_the_size(options, model, fit, every)
    hold_against_shares(options, fit, every)
    if options.compare:
        compare(options, model, fit, every)
    schools = shrink(options, by_size, every)
    rank(options, by_size, every, schools)
    predict(options, informed, by_size, every)
    page(options, informed, by_size, every, checks, comparison)
    the_articles_models(options, kept)
    mu, nu = fit["posterior/mu_school"], fit["posterior/nu_school"]
    spread = float(np.sqrt(mu * (1 - mu) / (nu + 1)).mean())
    hold_against_published(options, "recommended", every, spread, hbm.estimates(fit, "mu_school"))
    common.say(options, f"Pictures are in {options.out}.")


if __name__ == "__main__":
    sys.exit(main())
