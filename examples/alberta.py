# %% [markdown]
# # Diploma exams in Alberta
#
# Alberta publishes, for each school, how many students wrote a diploma exam, their mean mark and
# its standard deviation. Without a workbook of your own this walk uses the bundled one, which is
# simulated in the same layout; `data/README.md` says where to download the real one.
#
# Run `python examples/alberta.py --help`, or run the cells and then call `main([])`.

# %%
import sys
from pathlib import Path

import common
import numpy as np

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
# ## The model to use
#
# Schools vary around their authority and authorities around the province, and the likelihood is
# that of the published mean *and* standard deviation of n students. So the spread of students is
# learned, and no school is dropped: a small one is pulled further, and stays less certain.


# %%
def recommended(options, every):
    model = hbm.exams.nested(every)
    fit = hbm.sample(model, **common.sampling(options))
    rows = common.summary(fit, ["mu", "tau_authority", "tau_school", "nu", "tau_nu"])
    print(common.verdict("Recommended", fit, rows))
    common.say(options, rows.to_string(), "")

    moved = hbm.shrinkage(fit, "school").merge(every[["school", "school_name"]], on="school")
    columns = ["school", "school_name", "n_students", "raw_mean", "mean", "sd", "target", "pooling"]
    by_size = moved.sort_values("n_students", kind="stable")[columns]
    common.say(
        options,
        "The five smallest and the five largest schools (pooling: 0 = raw mean, 1 = target):",
        by_size.iloc[[0, 1, 2, 3, 4, -5, -4, -3, -2, -1]].round(3).to_string(index=False),
        "",
    )
    league = hbm.ranks(fit, "school")
    columns = ["school", "n_students", "mean", "expected_rank", "rank_lower", "rank_upper", "tier"]
    common.say(
        options,
        f"First five of {len(league)} by expected rank, with what their ranks could be:",
        league[columns].head().round(3).to_string(index=False),
        "",
    )
    ax = hbm.plot_caterpillar(hbm.estimates(fit, "mu_school"), every)
    common.save(ax, options, "recommended", f"Recommended: {ax.get_title(loc='left')}")
    return fit


# %% [markdown]
# ## The article's three models
#
# The published models take each school's mean, with a standard error from its number of students
# and a Beta that says how students spread. Schools share nothing, or a population, or the
# population of their authority. In the last, the code swaps alpha and beta: its prior expects a
# mean score of 25 %, as its prior predictive shows.

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
    prior = hbm.sample_prior_predictive(model, draws=options.draws, random_seed=options.seed)
    # A Normal mean near 0 or 1 can pass it by a hair.
    simulated = prior["prior_predictive/school_mean"].clip(0, 1)
    ax = hbm.plot_predictive(simulated, observed=table["mean"], name="Mean score", unit="%")
    common.save(
        ax, options, f"{name}_prior", f"{title}: 100 tables from the prior (thick: observed)"
    )

    settings = common.sampling(options)
    if name == "nested":
        # The spread between authorities mixes slowly: three times the draws.
        settings["draws"] *= 3
    fit = hbm.sample(model, **settings, target_accept=TARGET_ACCEPT)
    rows = common.summary(fit, [*HYPERPARAMETERS[name], "school_mu"])
    print(common.verdict(title, fit, rows))
    n_shown = len(HYPERPARAMETERS[name]) + 5
    common.say(
        options, rows[:n_shown].to_string(), f"... and {len(rows) - n_shown} schools more", ""
    )

    fit = hbm.sample_posterior_predictive(model, fit, random_seed=options.seed, progressbar=False)
    simulated = fit["posterior_predictive/school_mean"].clip(0, 1)
    ax = hbm.plot_predictive(simulated, observed=table["mean"], name="Mean score", unit="%")
    common.save(
        ax,
        options,
        f"{name}_predictive",
        f"{title}: 100 tables from the posterior (thick: observed)",
    )
    reference = None
    if name == "partial_pooling":
        a, b = fit["posterior/school_prior_alpha"], fit["posterior/school_prior_beta"]
        reference = {"population mean": float((a / (a + b)).mean())}
    schools = hbm.estimates(fit, "school_mu")
    ax = hbm.plot_caterpillar(schools, table, reference=reference)
    common.save(ax, options, name, f"{title}: {ax.get_title(loc='left')}")
    return fit, schools


# %% [markdown]
# ## What to make of it
#
# The three sets of estimates are nearly the same. Two reasons should keep that from being read as
# "pooling does not matter": schools with few students, the ones that pooling helps, were dropped;
# and the models never look at the published standard deviations. They take the spread of students
# from a prior, which makes it less than half of what was published, and the schools' means look
# known more than twice as well as they are.


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


# %%
def main(argv=None):
    parser = common.parser("Diploma exam results of Alberta's schools.", "alberta")
    parser.add_argument("--workbook", type=Path, help="workbook to read; the simulated one if none")
    parser.add_argument("--course", default="Mathematics 30-1", help="course")
    parser.add_argument("--year", type=int, default=2016, help="year")
    parser.add_argument("--min-students", type=int, default=30, help="fewest students of a school")
    options = parser.parse_args(argv)
    every, kept = look_at_the_data(options)
    best = recommended(options, every)
    for name in MODELS:
        fit, schools = fit_and_draw(options, name, kept)
        spread = float(np.sqrt(fit["posterior/school_sigma_squared"]).mean())
        hold_against_published(options, name, kept, spread, schools)
    mu, nu = best["posterior/mu_school"], best["posterior/nu_school"]
    spread = float(np.sqrt(mu * (1 - mu) / (nu + 1)).mean())
    hold_against_published(options, "recommended", every, spread, hbm.estimates(best, "mu_school"))
    common.say(options, f"Pictures are in {options.out}.")


if __name__ == "__main__":
    sys.exit(main())
