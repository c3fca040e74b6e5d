"""Prior sensitivity of coefficients: priors and likelihood written out for heights."""

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from arviz_stats import psense_summary
from fakes import fake_fit
from known_predictors import BETA, GAMMA, KNOWN, LABELS, fake_known, known_model
from scipy import stats

import hbm
from hbm.checks.sensitivity import _log_likelihood
from hbm.hierarchy.fitted import read_fit

PEOPLE = pd.DataFrame(
    {
        "country": list("aaabbbbccdd"),
        "height": 176 + 8 * np.random.default_rng(2).normal(size=11),
        "kind": list("xxxyyyyzzxx"),
    }
)
PRIORS = hbm.heights.Priors(mu_mean=170, mu_sd=9, tau_country=8, sigma=7, beta_sd=3)


@pytest.fixture(scope="module")
def case():
    model = hbm.heights.partial_pooling(PEOPLE, priors=PRIORS, predictors=["kind"])
    rng = np.random.default_rng(1)
    free = rng.normal(0, 2, (400, 2))
    draws = {
        "mu": rng.normal(174, 2, 400),
        "tau_country": rng.uniform(2, 6, 400),
        "sigma": rng.uniform(6, 9, 400),
        "beta_contrast": free,
        "beta": free @ model.description.predictors.contrasts.T,
        "mu_country": np.full((400, 4), 176.0),
    }
    return model, draws, fake_fit(model, draws)


def likelihood(draws):
    """Return the log density of all people, given what is at the top."""
    one = np.equal.outer(PEOPLE["country"].to_numpy(), PEOPLE["country"].to_numpy())
    kind = PEOPLE["kind"].map({"x": 0, "y": 1, "z": 2}).to_numpy()
    found = []
    for mu, tau, sigma, beta in zip(
        *(draws[x] for x in ("mu", "tau_country", "sigma", "beta")), strict=True
    ):
        covariance = tau**2 * one + sigma**2 * np.eye(11)
        found.append(
            stats.multivariate_normal.logpdf(PEOPLE["height"], mu + beta[kind], covariance)
        )
    return np.array(found)


def test_the_likelihood_is_around_what_predictors_let_expect(case):
    _, draws, fit = case
    np.testing.assert_allclose(_log_likelihood(read_fit(fit)), likelihood(draws), rtol=1e-9)


def test_coefficients_are_looked_at_and_their_prior_counts(case):
    model, draws, fit = case
    table = hbm.prior_sensitivity(model, fit)
    labels = ["beta[kind[x]]", "beta[kind[y]]", "beta[kind[z]]"]
    assert table.index.tolist() == ["mu", "tau_country", *labels, "sigma"]
    priors = {
        "mu": stats.norm(170, 9).logpdf(draws["mu"]),
        "tau_country": stats.halfnorm(0, 8).logpdf(draws["tau_country"]),
        "sigma": stats.halfnorm(0, 7).logpdf(draws["sigma"]),
        "beta": stats.norm(0, 3).logpdf(draws["beta_contrast"]).sum(axis=1),
    }

    def dataset(values):
        return xr.Dataset({name: (("chain", "draw"), x[None]) for name, x in values.items()})

    tree = xr.DataTree.from_dict(
        {
            "posterior": fit["posterior"].to_dataset()[["mu", "tau_country", "sigma", "beta"]],
            "log_prior": dataset(priors),
            "log_likelihood": dataset({"height": likelihood(draws)}),
        }
    )
    expected = psense_summary(tree, threshold=0.05, round_to=15)
    columns = ["prior", "likelihood", "diagnosis"]
    pd.testing.assert_frame_equal(table[columns], expected[columns], check_like=True)
    without = psense_summary(
        tree.assign(log_prior=xr.DataTree(tree["log_prior"].to_dataset().drop_vars("beta")))
    )
    assert (table["prior"] - without["prior"]).abs().max() > 0.01


def test_coefficients_of_spreads_are_too():
    rng, n = np.random.default_rng(1), 30
    near = {name: rng.normal(value, 0.02, n) for name, value in KNOWN.items()}
    near |= {"beta": rng.normal(BETA, 0.02, (n, 7)), "gamma": rng.normal(GAMMA, 0.02, (n, 7))}
    model, design_effect = known_model(), 1 + rng.uniform(0.1, 0.2, n)
    table = hbm.prior_sensitivity(
        model, fake_known(model, n_draws=n, design_effect=design_effect, **near)
    )
    expected = [f"{name}[{label}]" for name in ("beta", "gamma") for label in LABELS]
    assert table.index.tolist()[6:] == expected
    assert table["meaning"].notna().all()
