# %% [markdown]
# # Heights of people in countries
#
# Twenty people were measured in each of four countries. People of one country have something in
# common, and so have countries; a hierarchical model says both. The data are simulated, so that
# what the model finds can be held against the truth.
#
# Run `python examples/heights.py --help`, or run the cells and then call `main([])`.

# %%
import sys

import common
import numpy as np

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
# ## The prior
#
# Before the model sees a height, what does it expect? Draw parameters from the prior and people
# from them. A prior that gave many people of one metre or three would need mending now.


# %%
def look_at_the_prior(options, model):
    prior = hbm.sample_prior_predictive(model, draws=options.draws, random_seed=options.seed)
    simulated = prior["prior_predictive/height"]
    low, high = np.quantile(simulated, [0.025, 0.975])
    common.say(options, f"Under the prior, 95 % of people are {low:.0f} to {high:.0f} cm tall.", "")
    ax = hbm.plot_predictive(simulated, name="height", unit="cm")
    common.save(ax, options, "prior_predictive", "100 simulated sets of 80 people: the prior")


# %% [markdown]
# ## The posterior
#
# Each country's mean comes from a population with mean `alpha_bar`, which is learned from all
# four. `sigma_country` is part of the published model but nothing depends on it, so that it comes
# back as its prior, an Exponential of mean and standard deviation 1.


# %%
def sample(options, model):
    fit = hbm.sample(model, **common.sampling(options), target_accept=0.8)
    table = common.summary(fit, ["mu_country", "sigma", "sigma_country", "alpha_bar"])
    print(common.verdict("heights", fit, table))
    common.say(options, table.to_string(), "")
    return fit


# %% [markdown]
# ## Checks and estimates
#
# Could this model have produced these people? And where are the estimates, between the raw means
# and the mean of the population, which draws them in? With twenty people a country, hardly away
# from the raw means.


# %%
def look_at_the_posterior(options, model, fit, people, truth, raw_mean):
    fit = hbm.sample_posterior_predictive(model, fit, random_seed=options.seed, progressbar=False)
    ax = hbm.plot_predictive(
        fit["posterior_predictive/height"], observed=people["height"], name="height", unit="cm"
    )
    common.save(ax, options, "posterior_predictive")
    countries = hbm.estimates(fit, "mu_country")
    grand_mean = float(fit["posterior/alpha_bar"].mean())
    inside = countries["country"].map(truth).between(countries["lower"], countries["upper"])
    common.say(options, f"{inside.sum()} of {len(inside)} true means are in the 95 % intervals.")
    ax = hbm.plot_estimates(
        countries,
        others={"true mean": truth, "raw mean": raw_mean},
        reference={"mean of the population": grand_mean},
        unit="cm",
    )
    common.save(ax, options, "countries", "Mean height by country, partially pooled")


# %% [markdown]
# ## The model to use
#
# `hbm.heights.partial_pooling` learns the spread between countries, `tau_country`, which the
# published model fixes at 10 cm, and has a wider prior for the mean of the population: the
# published one, 176 ± 1 cm, outweighs the data of four countries, whose means average 185 cm.


# %%
def recommended(options, people, truth):
    fit = hbm.sample(hbm.heights.partial_pooling(people), **common.sampling(options))
    table = common.summary(fit, ["mu", "tau_country", "mu_country", "sigma"])
    print(common.verdict("recommended", fit, table))
    moved = hbm.shrinkage(fit, "country").round(2)
    common.say(options, table.to_string(), "", "How far each country was pulled, in cm:")
    columns = ["country", "n_people", "raw_mean", "mean", "target", "moved", "pooling"]
    common.say(options, moved[columns].to_string(index=False), "")
    ax = hbm.plot_estimates(
        hbm.estimates(fit, "mu_country"),
        others={"true mean": truth},
        reference={"mean of the population": float(fit["posterior/mu"].mean())},
        unit="cm",
    )
    common.save(ax, options, "recommended", "Mean height by country, spread between them learned")


# %%
def main(argv=None):
    options = common.parser("Heights of people in countries.", "heights").parse_args(argv)
    people, truth, raw_mean = look_at_the_data(options)
    model = hbm.article.heights(people)
    look_at_the_prior(options, model)
    fit = sample(options, model)
    look_at_the_posterior(options, model, fit, people, truth, raw_mean)
    recommended(options, people, truth)
    common.say(options, f"Pictures are in {options.out}.")


if __name__ == "__main__":
    sys.exit(main())
