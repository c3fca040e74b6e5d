"""Every model against its whole density, written out from the equations with NumPy and SciPy.

The priors differ from each other and from the defaults in every field, so that none can stand in
for another unseen.
"""

import dataclasses
import re
from itertools import combinations

import numpy as np
import pandas as pd
import plain_summary
import pytest
from models import MODELS, model_function, table_for
from scipy import stats
from scipy.special import expit, logit
from test_models import random_point

import hbm

# PyMC's half-normal has the log of its constant to eight digits.
CLOSE = {"rtol": 1e-9, "atol": 1e-7}
# 4.5 standard errors: seven in a million, were it Normal.
SIGMAS = 4.5
HEIGHTS = hbm.heights.Priors(
    mu_mean=181, mu_sd=7, tau_country=4, sigma=5.5, beta_sd=2.5, no_pooling_sd=23
)
BETA = {
    "eta_mean": 0.4,
    "eta_sd": 0.7,
    "tau_parent": 0.25,
    "tau_school": 0.8,
    "tau_year": 0.15,
    "nu_median": 6.0,
    "nu_log_sd": 0.6,
    "tau_nu": 0.35,
    "no_pooling_sd": 1.2,
    "design_effect_sd": 1.4,
    "beta_sd": 0.45,
    "gamma_sd": 0.21,
}
PRIORS = {
    "heights": HEIGHTS,
    "scores": hbm.scores.Priors(**BETA),
    "exams": hbm.exams.Priors(**BETA),
}
OBSERVED = {
    "heights": ["height", "summary"],
    "scores": ["score"],
    "exams": ["exam", "exam_mean", "exam of a known design effect"],
}
KNOWN = 1.7  # design effect
CASES = [(name, observed) for name in MODELS for observed in OBSERVED[name.split(".")[0]]]


def table_of(observed):
    """Return a table in no order, with a group of one individual."""
    if observed in ("height", "summary"):
        table = table_for("heights")
        table.loc[len(table)] = {"country": "9", "height": 171.5}
        if observed == "summary":
            by_country = table.groupby("country")["height"]
            table = by_country.agg(n_people="size", mean="mean", sd="std").reset_index()
    elif observed == "score":
        table = table_for("nested_scores")
        table.loc[len(table)] = {"district": "2", "school": "99", "score": 0.44}
    else:
        table = table_for("exams")
    return table.sample(frac=1, random_state=1, ignore_index=True)


def of_row(effects, table, level):
    """Return each row's own of some effects, which are by label."""
    return effects[table[level]].to_numpy()


# The densities, term by term; `v` holds the free variables by name, those of groups by label.


def written_heights(level, observed, table, p, v):
    terms = {"sigma": stats.halfnorm.logpdf(v["sigma"], scale=p.sigma)}
    if level == "no_pooling":
        mu_country = v["mu_country"]
        terms["mu_country"] = stats.norm.logpdf(mu_country, p.mu_mean, p.no_pooling_sd).sum()
    else:
        terms["mu"] = stats.norm.logpdf(v["mu"], p.mu_mean, p.mu_sd)
    if level == "complete_pooling":
        mu_country = pd.Series(v["mu"], index=table["country"].unique())
    if level == "partial_pooling":
        mu_country = v["mu_country"]
        terms["tau_country"] = stats.halfnorm.logpdf(v["tau_country"], scale=p.tau_country)
        terms["mu_country"] = stats.norm.logpdf(mu_country, v["mu"], v["tau_country"]).sum()
    mu = of_row(mu_country, table, "country")
    if observed == "height":
        terms["height"] = stats.norm.logpdf(table["height"], mu, v["sigma"]).sum()
    else:
        n, sigma = table["n_people"], v["sigma"]
        log_mean = stats.norm.logpdf(table["mean"], mu, sigma / np.sqrt(n))
        # (n − 1) s²/σ² is χ²(n − 1); its derivative by s takes the density to that of s.
        n, sd = (table.loc[n > 1, name] for name in ("n_people", "sd"))
        log_sd = stats.chi2.logpdf((n - 1) * sd**2 / sigma**2, n - 1)
        log_sd = log_sd + np.log(2 * (n - 1) * sd / sigma**2)
        terms["summary"] = log_mean.sum() + log_sd.sum()
    return terms, {"mu_country": mu_country}


def written_beta(level, observed, table, p, v):
    log_nu_prior = np.log(p.nu_median), p.nu_log_sd
    schools = table["school"].unique()
    terms, means = {}, {}
    if level != "no_pooling":
        terms["eta"] = stats.norm.logpdf(v["eta"], p.eta_mean, p.eta_sd)
        terms["nu"] = stats.norm.logpdf(np.log(v["nu"]), *log_nu_prior) - np.log(v["nu"])
        means["mu"] = expit(v["eta"])
    if level == "complete_pooling":
        eta_school = pd.Series(v["eta"], index=schools)
        nu_school = pd.Series(v["nu"], index=schools)
    else:
        eta_school, log_nu_school = v["eta_school"], v["log_nu_school"]
        nu_school = np.exp(log_nu_school)
    if level == "no_pooling":
        terms["eta_school"] = stats.norm.logpdf(eta_school, p.eta_mean, p.no_pooling_sd).sum()
        terms["log_nu_school"] = stats.norm.logpdf(log_nu_school, *log_nu_prior).sum()
    if level in ("partial_pooling", "nested"):
        terms["tau_school"] = stats.halfnorm.logpdf(v["tau_school"], scale=p.tau_school)
        terms["tau_nu"] = stats.halfnorm.logpdf(v["tau_nu"], scale=p.tau_nu)
        terms["log_nu_school"] = stats.norm.logpdf(
            log_nu_school, np.log(v["nu"]), v["tau_nu"]
        ).sum()
        centre = v["eta"]
    if level == "nested":
        parent = "district" if observed == "score" else "authority"
        tau, eta_parent = v[f"tau_{parent}"], v[f"eta_{parent}"]
        terms[f"tau_{parent}"] = stats.halfnorm.logpdf(tau, scale=p.tau_parent)
        terms[f"eta_{parent}"] = stats.norm.logpdf(eta_parent, v["eta"], tau).sum()
        means[f"mu_{parent}"] = expit(eta_parent)
        centre = eta_parent[table.groupby("school")[parent].first()[eta_school.index]].to_numpy()
    if level in ("partial_pooling", "nested"):
        terms["eta_school"] = stats.norm.logpdf(eta_school, centre, v["tau_school"]).sum()
    excess = 0.0
    if observed == "exam of a known design effect":
        observed, excess = "exam", KNOWN - 1
    elif "design_effect" in v:
        excess = v["design_effect"] - 1
        terms["design_effect"] = stats.halfnorm.logpdf(excess, scale=p.design_effect_sd)
    mu_school = expit(eta_school)
    terms[observed] = students(
        observed, table, *(of_row(x, table, "school") for x in (mu_school, nu_school)), excess
    )
    return terms, means | {"mu_school": mu_school, "nu_school": nu_school}


def students(observed, table, mu, nu, excess):
    """Return the log density of what was observed of Beta students, μ and ν by row."""
    if observed == "score":
        return stats.beta.logpdf(table["score"], mu * nu, (1 - mu) * nu).sum()
    mean, sd, n = (table[name].to_numpy() for name in ("mean", "sd", "n_students"))
    trials = (n * (nu + 1) + excess) / (1 + excess) - 1
    log_mean = stats.beta.logpdf(mean, mu * trials, (1 - mu) * trials)
    if observed == "exam_mean":
        return log_mean.sum()
    several = n > 1
    pairs = plain_summary.logp(*(x[several] for x in (mean, sd, n, mu, nu)), excess)
    return log_mean[~several].sum() + pairs.sum()


WRITTEN = {"heights": written_heights, "scores": written_beta, "exams": written_beta}


def evaluator(model):
    """Return a function of a point: terms by variable, their sum, and variables by label."""
    variables = model.free_RVs + model.observed_RVs
    outputs = [model.logp(vars=rv, jacobian=False) for rv in variables]
    outputs += [model.logp(jacobian=False), *model.unobserved_value_vars]
    run = model.compile_fn(outputs, inputs=model.value_vars, mode="FAST_COMPILE")
    names = [value.name for value in model.unobserved_value_vars]

    def by_label(name, value):
        dims = model.named_vars_to_dims.get(name)
        return pd.Series(value, index=model.coords[dims[0]]) if dims else value

    def at(point):
        found = run(point)
        terms = dict(zip((rv.name for rv in variables), found, strict=False))
        values = zip(names, found[len(variables) + 1 :], strict=True)
        return terms, found[len(variables)], {name: by_label(name, x) for name, x in values}

    return at


@pytest.mark.parametrize(("name", "observed"), CASES)
def test_a_model_is_the_density_of_its_equations(name, observed):
    module, level = name.split(".")
    table, priors = table_of(observed), PRIORS[module]
    options = {"observe": "mean"} if observed == "exam_mean" else {}
    if observed == "exam of a known design effect":
        options = {"design_effect": KNOWN}
    informed, centred = (
        model_function(name)(table, priors=priors, parameterisation=by, **options)
        for by in ("informed", "centred")
    )
    informed_at, centred_at = evaluator(informed), evaluator(centred)
    for seed in range(3):
        point = random_point(informed, seed)
        here = informed_at(point)
        natural = here[-1]
        # The same natural point in the centred model's coordinates.
        values = {rv.name: centred.rvs_to_values[rv].name for rv in centred.free_RVs}
        there = centred_at(
            {value: point.get(value, np.asarray(natural[rv])) for rv, value in values.items()}
        )
        expected, deterministics = WRITTEN[module](level, observed, table, priors, natural)
        for variable, value in deterministics.items():
            np.testing.assert_allclose(natural[variable], value, rtol=1e-10, err_msg=variable)
        for which, (terms, total, _) in {"informed": here, "centred": there}.items():
            assert set(terms) == set(expected)
            for variable, value in expected.items():
                message = f"{variable}, {which}"
                np.testing.assert_allclose(terms[variable], value, **CLOSE, err_msg=message)
            np.testing.assert_allclose(total, sum(expected.values()), **CLOSE, err_msg=which)


# Priors


@pytest.mark.parametrize("module", PRIORS)
def test_no_field_of_these_priors_can_stand_in_for_another(module):
    fields = [field.name for field in dataclasses.fields(PRIORS[module])]
    values = [getattr(PRIORS[module], name) for name in fields]
    defaults = [getattr(type(PRIORS[module])(), name) for name in fields]
    assert len(set(values)) == len(values)
    assert not set(values) & set(defaults)


@pytest.mark.parametrize("module", PRIORS)
def test_defaults_are_those_documented(module):
    priors = type(PRIORS[module])()
    documented = {}
    for names, numbers in re.findall(r"^ *(\w.*) : float.*, default (.*)$", priors.__doc__, re.M):
        names, numbers = names.split(", "), [float(x) for x in numbers.split(" and ")]
        numbers *= len(names) if len(numbers) == 1 else 1
        documented |= dict(zip(names, numbers, strict=True))
    assert documented == dataclasses.asdict(priors)


def written_priors(module, p):
    """Return the law of each number that `Priors.draw` gives, and what it is the law of."""
    if module == "heights":
        return {
            "mu": (stats.norm(p.mu_mean, p.mu_sd), float),
            "tau_country": (stats.halfnorm(scale=p.tau_country), float),
            "sigma": (stats.halfnorm(scale=p.sigma), float),
        }
    return {
        "mu": (stats.norm(p.eta_mean, p.eta_sd), logit),
        "tau_authority": (stats.halfnorm(scale=p.tau_parent), float),
        "tau_school": (stats.halfnorm(scale=p.tau_school), float),
        "nu": (stats.norm(np.log(p.nu_median), p.nu_log_sd), np.log),
        "tau_nu": (stats.halfnorm(scale=p.tau_nu), float),
        "design_effect": (stats.halfnorm(1, p.design_effect_sd), float),
    }


@pytest.mark.parametrize("module", PRIORS)
def test_drawn_parameters_have_the_priors_each_its_own(module):
    rng, n = np.random.default_rng(1), 4000
    draws = pd.DataFrame([PRIORS[module].draw(rng) for _ in range(n)])
    laws = written_priors(module, PRIORS[module])
    assert set(draws) == set(laws)
    z = pd.DataFrame(
        {name: stats.norm.ppf(law.cdf(draws[name].map(of))) for name, (law, of) in laws.items()}
    )
    # Standard Normal, if the law is right, and independent of each other.
    for name in z:
        assert abs(z[name].mean()) < SIGMAS / np.sqrt(n), name
        assert abs((z[name] ** 2).mean() - 1) < SIGMAS * np.sqrt(2 / n), name
    for a, b in combinations(z, 2):
        assert abs((z[a] * z[b]).mean()) < SIGMAS / np.sqrt(n), (a, b)
