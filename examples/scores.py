# %% [markdown]
# # Exam scores of students in schools in districts
#
# Scores are proportions, so students are drawn from a Beta, given by its mean mu and its "sample
# size" nu. The walk goes from one school to five schools that share a population, and on to nine
# schools in three districts. All data are simulated: each model is asked to find what is known.
#
# Run `python examples/scores.py --help`, or run the cells and then call `main([])`.

# %%
import sys

import common
import numpy as np
import pandas as pd

import hbm

# %% [markdown]
# ## A Beta, two ways
#
# Four Betas have mean 75 %, and the larger alpha and beta are, the narrower they get. In terms of
# mu and nu only nu changes, which makes a prior much easier to choose. The mean is not the peak.


# %%
def look_at_betas(options):
    by_shape = pd.DataFrame({"alpha": [3, 6, 9, 12], "beta": [1, 2, 3, 4]})
    common.save(hbm.plot_betas(by_shape), options, "beta_alpha_beta", "Four Betas of mean 75 %")
    by_mean = pd.DataFrame({"mu": 0.75, "nu": [4, 8, 12, 16]})
    common.save(hbm.plot_betas(by_mean), options, "beta_mu_nu", "The same by mean and sample size")


# %% [markdown]
# ## One school
#
# Twenty students of a school with mu = 75 % and nu = 10. First the prior: one student of each of
# many simulated schools, the nu they have, and 100 whole classes. The classes differ a good deal,
# and few are absurd.


# %%
def one_school(options):
    rng = np.random.default_rng(options.seed)
    mu, nu = 0.75, 10
    students = pd.DataFrame({"score": rng.beta(mu * nu, (1 - mu) * nu, 20)})
    ax = hbm.plot_betas(pd.DataFrame({"mu": [mu], "nu": [nu]}), points=[students["score"]])
    common.save(ax, options, "one_school", "20 students on the density they were drawn from")

    prior = hbm.sample_prior_predictive(
        hbm.article.score_prior_predictive(n_students=100), draws=4000, random_seed=options.seed
    )["prior"]
    ax = hbm.plot_density(prior["s_sim"].isel(student=0), name="Score", unit="%")
    common.save(ax, options, "prior_scores", "Score of a student under the prior; shaded: 95 %")
    ax = hbm.plot_density(prior["nu"], bounds=(0, np.inf))
    common.save(ax, options, "prior_nu", "nu under the prior; shaded: 95 %")
    ax = hbm.plot_predictive(prior["s_sim"], name="score", unit="%")
    common.save(ax, options, "prior_classes", "100 classes under the prior; line: mean of all")

    fit = hbm.sample(hbm.article.single_school(students), **common.sampling(options))
    table = common.summary(fit, ["mu", "nu"])
    print(common.verdict("single school", fit, table))
    common.say(options, table.to_string(), "")
    for name, truth, settings in (("mu", mu, {"unit": "%"}), ("nu", nu, {"bounds": (0, np.inf)})):
        ax = hbm.plot_density(fit[f"posterior/{name}"], truth=truth, **settings)
        common.save(ax, options, f"posterior_{name}")


# %% [markdown]
# ## Five schools
#
# Their means come from a Beta with mu = 75 % and nu = 50, and the students of each from a Beta
# around its mean with nu = 30.


# %%
def look_at_five_schools(options):
    students = hbm.load_dataset("scores")
    truth = hbm.load_truth("scores")
    ax = hbm.plot_betas(pd.DataFrame({"mu": [0.75], "nu": [50]}), points=[truth["mean"]])
    ax.set_xlabel("Mean score of a school")
    common.save(ax, options, "school_means", "Means of five schools on the population's density")
    densities = pd.DataFrame({"school": truth["school"], "mu": truth["mean"], "nu": 30})
    common.save(hbm.plot_betas(densities), options, "school_densities", "Where students come from")
    ax = hbm.plot_densities(students, "score", "school", unit="%")
    common.save(ax, options, "school_scores", "What 20 students of each school scored")
    empirical = students.groupby("school")["score"].mean()
    means = truth.rename(columns={"mean": "true_mean"})
    means["empirical_mean"] = means["school"].map(empirical)
    ax = hbm.plot_agreement(means, "true_mean", "empirical_mean", unit="%")
    common.save(ax, options, "true_and_empirical")
    return students, truth.set_index("school")["mean"], empirical


# %% [markdown]
# Without pooling each school is on its own. With partial pooling they share a population whose
# shape is learned, and each is drawn a little towards its mean. Twenty students a school say so
# much that the difference is small.


# %%
def five_schools(options):
    students, truth, empirical = look_at_five_schools(options)
    no_pooling = hbm.sample(
        hbm.article.scores_no_pooling(students), **common.sampling(options), target_accept=0.8
    )
    table = common.summary(no_pooling, ["mu_school", "nu_school"])
    print(common.verdict("no pooling", no_pooling, table))
    common.say(options, table.to_string(), "")
    alone = hbm.estimates(no_pooling, "mu_school")
    ax = hbm.plot_estimates(
        alone, others={"true mean": truth, "empirical mean": empirical}, unit="%"
    )
    common.save(ax, options, "no_pooling", "Each school on its own")

    model = hbm.article.scores_partial_pooling(students)
    prior = hbm.sample_prior_predictive(model, draws=options.draws, random_seed=options.seed)
    ax = hbm.plot_predictive(prior["prior_predictive/score"], unit="%")
    common.save(
        ax, options, "prior_predictive", "100 sets of five schools under the prior; line: mean"
    )
    fit = hbm.sample(model, **common.sampling(options), target_accept=0.95)
    variables = ["mu_school", "nu_school", "alpha_bar", "beta_bar", "nu_bar", "sigma_nu"]
    table = common.summary(fit, variables)
    print(common.verdict("partial pooling", fit, table))
    common.say(options, table.to_string(), "")
    fit = hbm.sample_posterior_predictive(model, fit, random_seed=options.seed, progressbar=False)
    ax = hbm.plot_predictive(
        fit["posterior_predictive/score"], observed=students["score"], unit="%"
    )
    common.save(ax, options, "posterior_predictive")
    a, b = fit["posterior/alpha_bar"], fit["posterior/beta_bar"]
    ax = hbm.plot_estimates(
        hbm.estimates(fit, "mu_school"),
        others={"true mean": truth, "no pooling": alone.set_index("school")["mean"]},
        reference={"population mean": float((a / (a + b)).mean())},
        unit="%",
    )
    common.save(ax, options, "partial_pooling", "Five schools of one population")


# %% [markdown]
# ## Nine schools in three districts
#
# One level more: districts' means come from a Beta with mu = 75 % and nu = 30, schools' means from
# Betas around their district's with nu = 40, students from Betas around their school's with nu =
# 30.


# %%
def look_at_districts(options):
    students = hbm.load_dataset("nested_scores")
    truth = hbm.load_truth("nested_scores")
    districts = truth.drop_duplicates("district")
    ax = hbm.plot_betas(
        pd.DataFrame({"mu": [0.75], "nu": [30]}), points=[districts["district_mean"]]
    )
    ax.set_xlabel("Mean score of a district")
    common.save(ax, options, "district_means", "Means of three districts on their density")
    densities = districts[["district"]].assign(mu=districts["district_mean"], nu=40)
    schools = [truth.loc[truth["district"] == d, "school_mean"] for d in districts["district"]]
    ax = hbm.plot_betas(densities, points=schools)
    ax.set_xlabel("Mean score of a school")
    common.save(
        ax, options, "district_schools", "Means of schools on the density of their district"
    )
    common.save(hbm.plot_students(students, district="district"), options, "students")
    return students, truth, districts.set_index("district")["district_mean"]


# %% [markdown]
# The published model gives nu_school no prior at all. The data make the posterior proper all the
# same, but nothing can be drawn from the prior, and asking for it says why.


# %%
def nine_schools(options):
    students, truth, district_truth = look_at_districts(options)
    model = hbm.article.scores_nested(students)
    try:
        hbm.sample_prior_predictive(model)
    except ValueError as refusal:
        common.say(options, f"No prior predictive: {refusal}.", "")
    fit = hbm.sample(model, **common.sampling(options), target_accept=0.95)
    variables = ["mu_district", "mu_school", "alpha_bar", "beta_bar", "nu_bar", "sigma_nu"]
    table = common.summary(fit, variables)
    print(common.verdict("nested", fit, table))
    common.say(options, table.to_string(), "")
    fit = hbm.sample_posterior_predictive(model, fit, random_seed=options.seed, progressbar=False)
    ax = hbm.plot_predictive(
        fit["posterior_predictive/score"], observed=students["score"], unit="%"
    )
    common.save(ax, options, "nested_posterior_predictive")

    districts = hbm.estimates(fit, "mu_district")
    a, b = fit["posterior/alpha_bar"], fit["posterior/beta_bar"]
    ax = hbm.plot_estimates(
        districts,
        others={"true mean": district_truth},
        reference={"mean of districts": float((a / (a + b)).mean())},
        unit="%",
    )
    common.save(ax, options, "nested_districts", "Three districts, each known by three schools")
    schools = hbm.estimates(fit, "mu_school")
    district_of_school = truth.set_index("school")["district"]
    ax = hbm.plot_estimates(
        schools,
        others={"true mean": truth.set_index("school")["school_mean"]},
        reference={
            "district mean": district_of_school.map(districts.set_index("district")["mean"])
        },
        unit="%",
    )
    common.save(ax, options, "nested_schools", "Nine schools, drawn to their district's mean")


# %% [markdown]
# ## The model to use: its prior and its fit
#
# `hbm.scores.nested` adds levels up on the logit scale, gives every parameter a proper prior and
# samples without a funnel, so that its prior predictive can be drawn too. What is learned of the
# spread between three districts is little more than the prior says.


# %%
def recommended(options):
    students = hbm.load_dataset("nested_scores")
    model = hbm.scores.nested(students)
    prior = hbm.sample_prior_predictive(model, draws=options.draws, random_seed=options.seed)
    ax = hbm.plot_predictive(prior["prior_predictive/score"], unit="%")
    common.save(
        ax, options, "recommended_prior", "100 sets of students from the prior; line: mean of all"
    )
    fit = hbm.sample(model, **common.sampling(options))
    table = common.summary(fit, ["mu", "tau_district", "tau_school", "mu_district", "mu_school"])
    print(common.verdict("recommended", fit, table))
    common.say(options, hbm.diagnose(fit), "", table.to_string(), "")
    common.save(hbm.plot_spreads(fit, prior), options, "spreads")
    return students, model, fit


# %% [markdown]
# ## Could it have produced the data, and do districts help?
#
# Plain statistics of the students are held against the same of simulated ones. Then three models
# are asked to predict one more student of these schools. That one is little helped by districts:
# twenty students have told of the school already.


# %%
def check_and_compare(options, students, model, fit):
    settings = {"random_seed": options.seed}
    found = hbm.check_predictive(model, fit, **settings)
    common.say(options, found, "")
    common.save(hbm.plot_check(found), options, "check")
    rivals = {
        "one population": hbm.scores.partial_pooling(students),
        "schools alone": hbm.scores.no_pooling(students),
    }
    models = {"nested": (model, fit)} | common.fits(options, rivals, ["mu_school"])
    common.show_comparison(options, models, unit="student")
    return found


# %% [markdown]
# ## Shrinkage, ranks, and a new school
#
# Each school is pulled to the middle of its district, and the districts' estimates are less certain
# than their schools': three schools tell little of a district. Within a tier of the league table no
# two schools can be told apart. Last, one more school of district 1, and one of a fourth district.


# %%
def report(options, model, fit):
    truth = hbm.load_truth("nested_scores").set_index("school")["school_mean"]
    schools = hbm.shrinkage(fit, "school")
    columns = ["school", "district", "raw_mean", "mean", "target", "moved", "pooling"]
    common.show(options, "How far each school was pulled:", schools[columns])
    common.save(hbm.plot_shrinkage(schools, colour_by="district"), options, "shrinkage")
    common.save(hbm.plot_nesting(schools, hbm.shrinkage(fit, "district")), options, "nesting")
    ax = hbm.plot_estimates(
        hbm.estimates(fit, "mu_school"),
        others={"true mean": truth},
        reference={"district mean": schools.set_index("school")["target"]},
        unit="%",
    )
    common.save(ax, options, "recommended", "Nine schools, drawn to their district's middle")

    league = hbm.ranks(fit, "school", k=3)
    columns = ["school", "mean", "expected_rank", "rank_lower", "rank_upper", "p_top", "tier"]
    common.show(options, "Ranks, with what they could be:", league[columns])
    common.save(hbm.plot_ranks(league), options, "ranks")

    new = pd.DataFrame({"school": ["10", "11"], "district": ["1", "fourth"], "n_students": 20})
    predictions = hbm.predict(model, fit, new, random_seed=options.seed)["predictions"]
    labels = ["new school of district 1", "new school of a new district"]
    common.show(
        options, "Mean of a new school:", common.intervals(predictions["mu_school"], labels)
    )


# %% [markdown]
# ## A page for people
#
# What was found, for someone who reads no code: one file that a browser opens.


# %%
def page(options, model, fit, found):
    title = "Scores of nine schools in three districts"
    common.page(options, model, fit, checks=[hbm.diagnose(fit), found], title=title)


# %%
def main(argv=None):
    options = common.parser("Exam scores of students in schools.", "scores").parse_args(argv)
    look_at_betas(options)
    one_school(options)
    five_schools(options)
    nine_schools(options)
    students, model, fit = recommended(options)
    found = check_and_compare(options, students, model, fit)
    report(options, model, fit)
    page(options, model, fit, found)
    common.say(options, f"Pictures are in {options.out}.")


if __name__ == "__main__":
    sys.exit(main())
