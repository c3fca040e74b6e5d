# %% [markdown]
# # Heights of people in countries
#
# Twenty people were measured in each of four countries. People of one country have something in
# common, and so have countries; a hierarchical model says both. The data are simulated, so that
# what the model finds can be held against the truth. The walk ends with the article's model, which
# it began with.
#
# Run `python examples/heights.py --help`, or run the cells and then call `main([])`.

# %%
import sys

import common
import numpy as np
import pandas as pd

import hbm

# %% [markdown]
# ## The data
#
# Countries 1 and 3 are nearly alike, and with twenty people each their densities are ragged: how
# much of a country's mean is the country, and how much is who happened to be measured?


# %%
def look_at_the_data(options):
    people = hbm.load_dataset("heights")
    truth = hbm.load_truth("heights").set_index("country")["mean"]
    raw = people.groupby("country", sort=False)["height"].agg(["size", "mean", "std"])
    common.say(options, "Heights in cm, with the true means:", raw.assign(truth=truth).round(2), "")
    ax = hbm.plot_densities(people, "height", "country", truth=truth, unit="cm")
    common.save(ax, options, "heights_by_country")
    return people, truth, raw["mean"]


# %% [markdown]
# ## The model and its prior
#
# Each country's mean comes from a population, whose mean and spread are learned. Before the model
# sees a height, what does it expect? Draw parameters from the prior and people from them. A prior
# that gave many people of one metre or three would need mending now.


# %%
def look_at_the_prior(options, model, name="prior_predictive"):
    prior = hbm.sample_prior_predictive(model, draws=options.draws, random_seed=options.seed)
    simulated = prior["prior_predictive/height"]
    low, high = np.quantile(simulated, [0.025, 0.975])
    common.say(options, f"Under the prior, 95 % of people are {low:.0f} to {high:.0f} cm tall.", "")
    ax = hbm.plot_predictive(simulated, name="height", unit="cm")
    common.save(ax, options, name, "100 sets of 80 people from the prior; line: mean of all")
    return prior


# %% [markdown]
# ## The fit
#
# Can the draws be used? And what was learned of the spread between countries? From four of them not
# much: a spread of 2 cm is ruled out, and one of 17 cm is not.


# %%
def sample(options, model, prior):
    fit = hbm.sample(model, **common.sampling(options))
    table = common.summary(fit, ["mu", "tau_country", "mu_country", "sigma"])
    print(common.verdict("recommended", fit, table))
    common.say(options, hbm.diagnose(fit), "", table.to_string(), "")
    common.save(hbm.plot_spreads(fit, prior, unit="cm"), options, "spreads")
    return fit


# %% [markdown]
# ## Could the model have produced these people?
#
# Simulated sets of people lie around the observed one, and plain statistics of the data are among
# those of the simulations. So are the means of the four countries.


# %%
def check(options, model, fit, people, raw_mean):
    fit = hbm.sample_posterior_predictive(model, fit, random_seed=options.seed, progressbar=False)
    simulated = fit["posterior_predictive/height"]
    ax = hbm.plot_predictive(simulated, observed=people["height"], name="height", unit="cm")
    common.save(ax, options, "posterior_predictive")
    found = hbm.check_predictive(model, fit, random_seed=options.seed)
    common.say(options, found, "")
    common.save(hbm.plot_check(found), options, "check")
    again = people.groupby("country", sort=False).size().rename("n_people").reset_index()
    predictions = hbm.predict(model, fit, again, random_seed=options.seed)["predictions"]
    ax = hbm.plot_predictive_by_group(predictions["mean"], raw_mean, unit="cm")
    common.save(ax, options, "predictive_by_country")
    return found


# %% [markdown]
# ## Does pooling help?
#
# Three models are asked to predict one more person of these countries: one in which countries share
# nothing, one in which they share all, and the one in between. With twenty people in each country
# it hardly matters whether countries share a population; that they differ does.


# %%
def compare(options, model, fit, people):
    rivals = {
        "no pooling": hbm.heights.no_pooling(people),
        "complete pooling": hbm.heights.complete_pooling(people),
    }
    models = {"partial pooling": (model, fit)} | common.fits(options, rivals, ["mu_country"])
    common.show_comparison(options, models, unit="person")


# %% [markdown]
# ## How far was each country pulled?
#
# Hardly: with twenty people a country's own mean says more than the other countries do.


# %%
def shrink(options, fit, truth):
    moved = hbm.shrinkage(fit, "country")
    columns = ["country", "n_people", "raw_mean", "mean", "target", "moved", "pooling"]
    common.say(options, "How far each country was pulled, in cm:")
    common.say(options, moved[columns].round(2).to_string(index=False), "")
    inside = moved["country"].map(truth).between(moved["lower"], moved["upper"])
    common.say(options, f"{inside.sum()} of {len(inside)} true means are in the 95 % intervals.")
    common.save(hbm.plot_shrinkage(moved, unit="cm"), options, "shrinkage")
    ax = hbm.plot_estimates(
        hbm.estimates(fit, "mu_country"),
        others={"true mean": truth},
        reference={"mean of the population": float(fit["posterior/mu"].mean())},
        unit="cm",
    )
    common.save(ax, options, "recommended", "Mean height by country, spread between them learned")


# %% [markdown]
# ## Who is tallest?
#
# Two ranks are certain, and two countries cannot be told apart.


# %%
def rank(options, fit):
    league = hbm.ranks(fit, "country", k=1)
    columns = ["country", "mean", "expected_rank", "rank_lower", "rank_upper", "p_top", "tier"]
    common.say(options, league[columns].round(2).to_string(index=False), "")
    common.save(hbm.plot_ranks(league), options, "ranks")


# %% [markdown]
# ## A country the model has not seen
#
# Ten people of a fifth country, and ten more of country 1: four countries say little of a fifth.


# %%
def predict(options, model, fit):
    new = pd.DataFrame({"country": ["1", "fifth"], "n_people": 10})
    predictions = hbm.predict(model, fit, new, random_seed=options.seed)["predictions"]
    table = common.intervals(predictions["mean"], ["country 1", "a fifth country"])
    common.say(options, "Mean height of ten people, in cm:")
    common.say(options, table.round(1).to_string(index=False), "")


# %% [markdown]
# ## A page for people
#
# What was found, for someone who reads no code: one file that a browser opens.


# %%
def page(options, model, fit, found):
    common.page(options, model, fit, checks=[hbm.diagnose(fit), found], title="Heights by country")


# %% [markdown]
# ## The article's model
#
# The published model fixes the spread between countries at 10 cm, and has a prior for the mean of
# the population, 176 ± 1 cm, that outweighs the data of four countries, whose means average 185 cm.
# `sigma_country` is part of it but nothing depends on it, so that it comes back as its prior, an
# Exponential of mean and standard deviation 1.


# %%
def the_articles_model(options, people, truth, raw_mean):
    model = hbm.article.heights(people)
    look_at_the_prior(options, model, "article_prior_predictive")
    fit = hbm.sample(model, **common.sampling(options), target_accept=0.8)
    table = common.summary(fit, ["mu_country", "sigma", "sigma_country", "alpha_bar"])
    print(common.verdict("article", fit, table))
    common.say(options, table.to_string(), "")
    ax = hbm.plot_estimates(
        hbm.estimates(fit, "mu_country"),
        others={"true mean": truth, "raw mean": raw_mean},
        reference={"mean of the population": float(fit["posterior/alpha_bar"].mean())},
        unit="cm",
    )
    common.save(ax, options, "countries", "Mean height by country, partially pooled")


# %%
def main(argv=None):
    options = common.parser("Heights of people in countries.", "heights").parse_args(argv)
    people, truth, raw_mean = look_at_the_data(options)
    model = hbm.heights.partial_pooling(people)
    prior = look_at_the_prior(options, model)
    fit = sample(options, model, prior)
    found = check(options, model, fit, people, raw_mean)
    compare(options, model, fit, people)
    shrink(options, fit, truth)
    rank(options, fit)
    predict(options, model, fit)
    page(options, model, fit, found)
    the_articles_model(options, people, truth, raw_mean)
    common.say(options, f"Pictures are in {options.out}.")


if __name__ == "__main__":
    sys.exit(main())
