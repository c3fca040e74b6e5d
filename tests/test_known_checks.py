"""Checks of fits with predictors: what is left out, replications, comparison."""

import numpy as np
import pytest
from fakes import fake_fit
from known_predictors import KNOWN, SIZES, coded, fake_known, known_model, known_table
from numpy.testing import assert_allclose
from scipy.special import expit

import hbm
from hbm.checks.pit import _of_means, _of_sds
from hbm.hierarchy.fitted import read_fit

CONTRASTS = {"beta": 0.45, "gamma": 0.2}  # prior sds, that differ


@pytest.fixture(scope="module")
def case():
    priors = hbm.exams.Priors(beta_sd=CONTRASTS["beta"], gamma_sd=CONTRASTS["gamma"])
    model = known_model(priors=priors)
    return model, read_fit(fake_known(model, n_draws=4))


def left_out(covariance, x, sd):
    """Return the correlation of PITs of left-out values: their regression written out.

    The intercept has a prior so wide that it is none.
    """
    whole = covariance + sd**2 * x @ x.T + 1e4
    maps = []
    for i in range(11):
        others = np.arange(11) != i
        gain = np.linalg.solve(whole[np.ix_(others, others)], whole[others, i])
        row = np.zeros(11)
        row[i], row[others] = 1, -gain
        maps.append(row / np.sqrt(row @ whole @ row))
    normal = np.array(maps) @ whole @ np.array(maps).T
    return 6 / np.pi * np.arcsin(normal / 2)


def test_left_out_means_know_that_coefficients_are_learned_from_others(case):
    model, f = case
    authority = np.repeat(np.arange(5), [4, 3, 1, 2, 1])
    mu, nu = f.mu("school").mean(axis=0), f.spread.mean(axis=0)
    information = (np.array(SIZES) * (nu + 1)) * mu * (1 - mu)
    covariance = np.diag(KNOWN["tau_school"] ** 2 + 1 / information)
    covariance += KNOWN["tau_authority"] ** 2 * (authority[:, None] == authority)
    x = sum(coded()) @ model.description.predictors.contrasts
    expected = left_out(covariance, x, CONTRASTS["beta"])
    assert_allclose(_of_means(f, model, "school"), expected, atol=2e-3)
    unaware = left_out(covariance, x, 0.0)
    small = np.array(SIZES) < np.median(SIZES)
    weight = small / small.sum() - ~small / (~small).sum()
    # What is left of small and large schools differs less than if size were not known.
    assert weight @ expected @ weight < 0.8 * (weight @ unaware @ weight)


def test_left_out_spreads_do_too(case):
    model, f = case
    found = _of_sds(f, model)
    assert_allclose(np.diag(found), 1)
    said = f.d.law.raw_estimates(f.d.n, *f.published).log_spread_se
    x = sum(coded()) @ model.description.predictors.contrasts
    own = KNOWN["tau_nu"] ** 2 + np.median(said[np.isfinite(said)]) ** 2
    assert_allclose(found, left_out(own * np.eye(11), x, CONTRASTS["gamma"]), atol=2e-3)


def test_new_groups_are_like_the_tables_in_what_is_known_of_them():
    """With nothing else to differ by, small and large schools differ as predictors say."""
    table = known_table().assign(n_students=[20] * 5 + [400] * 6)
    table["mean"], table["sd"] = 0.6, 0.2
    model = hbm.exams.nested(table, predictors=["log_n_students"], design_effect=1)
    n = 120
    draws = {"eta": 0.5, "tau_authority": 1e-3, "tau_school": 1e-3, "nu": 20.0, "tau_nu": 1e-3}
    prior = hbm.sample_prior_predictive(model, n, random_seed=1)
    posterior = prior["prior"].to_dataset()
    new = posterior.assign(
        {name: posterior[name] * 0 + value for name, value in draws.items()}
        | {name: posterior[name] * 0 + 0.7 for name in ("beta", "beta_contrast")}
        | {name: posterior[name] * 0 - 0.5 for name in ("gamma", "gamma_contrast")}
    )
    fit = prior.assign(posterior=prior["prior"])
    fit["posterior"] = new
    check = hbm.check_predictive(model, fit, new_groups=True, prob=0.9, random_seed=1)
    rows = check.table.set_index("statistic")
    log_n = np.log(table["n_students"])
    x = ((log_n - log_n.mean()) / log_n.std(ddof=0)).to_numpy()[[0, -1]]
    mean, nu = expit(0.5 + 0.7 * x), 20 * np.exp(-0.5 * x)
    replicates = check.replicates
    for name, expected in (
        ("small_minus_large", mean[0] - mean[1]),
        ("within_small_minus", -np.diff(np.sqrt(mean * (1 - mean) / (nu + 1)))[0]),
    ):
        error = 4.5 * replicates[name].std() / np.sqrt(len(replicates))
        # The mean of sds of 20 is 1.3 % below that of many.
        bias = 0.02 * np.sqrt(mean * (1 - mean) / (nu + 1)).max()
        assert abs(rows.loc[name, "mean"] - expected) < error + bias * name.startswith("within")


def test_models_with_and_without_predictors_can_be_compared():
    models = {"known": known_model(), "plain": hbm.exams.nested(known_table())}
    known = fake_known(models["known"], n_draws=30)
    names = ["beta", "gamma", "beta_contrast", "gamma_contrast"]
    kept = known["posterior"].to_dataset().drop_vars(names)
    plain = fake_fit(models["plain"], {name: x.to_numpy()[0] for name, x in kept.items()})
    fits = {"known": known, "plain": plain}
    results = {name: hbm.loo(models[name], fits[name]) for name in models}
    table = hbm.compare(results)
    difference = results["plain"].elpd - results["known"].elpd
    assert_allclose(table["elpd_diff"].min(), -abs(difference))
