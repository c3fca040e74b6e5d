import arviz_base as azb
import numpy as np
import pandas as pd
import pytest
from arviz_stats import psense
from fakes import fake_exams_nested, fake_fit
from models import build
from scipy import stats
from scipy.special import logsumexp

import hbm
from hbm.checks.sensitivity import _log_likelihood
from hbm.hierarchy.fitted import read_fit
from hbm.students.likelihoods import beta_summary_logp

# 4.5 standard errors: seven in a million, were it Normal.
SIGMAS = 4.5
SIGMA = 7.0
PEOPLE = pd.DataFrame(
    {"country": list("abc"), "n_people": [4, 6, 10], "mean": [170.0, 174.0, 181.0], "sd": 7.0}
)


def pooled(mu_mean, mu_sd, people=PEOPLE):
    """Return a model of one Normal mean, and its posterior at powers of prior and likelihood."""
    priors = hbm.heights.Priors(mu_mean=mu_mean, mu_sd=mu_sd)
    model = hbm.heights.complete_pooling(people, priors=priors)
    n = people["n_people"].sum()
    mean = (people["n_people"] * people["mean"]).sum() / n

    def posterior(prior=1.0, likelihood=1.0):
        weights = np.array([prior / mu_sd**2, likelihood * n / SIGMA**2])
        return stats.norm(weights @ [mu_mean, mean] / weights.sum(), 1 / np.sqrt(weights.sum()))

    return model, posterior


def fit_of(model, posterior, n_draws, seed):
    mu = posterior().rvs(n_draws, random_state=np.random.default_rng(seed))
    # Sigma is known; it varies just enough to have a density.
    sigma = SIGMA + np.random.default_rng(seed + 1).normal(0, 1e-4, n_draws)
    return fake_fit(model, {"mu": mu, "sigma": sigma, "mu_country": 176.0})


def distance(p, q, x):
    """Return the cumulative Jensen–Shannon distance of two distributions, from its definition."""

    def one_way(f, g):
        f, g = np.maximum(f, 1e-300), np.maximum(g, 1e-300)
        divergence = f * np.log2(2 * f / (f + g)) + (g - f) / (2 * np.log(2))
        return np.trapezoid(divergence, x)

    f, g = p.cdf(x), q.cdf(x)
    both_sides = [(f, g), (p.sf(x), q.sf(x))]
    return max(
        np.sqrt((one_way(a, b) + one_way(b, a)) / np.trapezoid(a + b, x)) for a, b in both_sides
    )


def exact(posterior, component, low, high):
    """Return how fast the posterior moves with the log of a component's power."""
    x = np.linspace(low, high, 20_001)
    steps = [
        abs(distance(posterior(), posterior(**{component: power}), x) / np.log2(power))
        for power in (0.99, 1.01)
    ]
    return np.mean(steps)


@pytest.mark.filterwarnings("ignore:the data are far from what the priors expect:UserWarning")
@pytest.mark.parametrize(("mu_mean", "mu_sd"), [(176, 10), (160, 2), (190, 1)])
def test_a_normal_mean_moves_as_in_closed_form(mu_mean, mu_sd):
    model, posterior = pooled(mu_mean, mu_sd)
    differences = []
    for seed in range(8):
        fit = fit_of(model, posterior, 4000, seed)
        found = hbm.prior_sensitivity(model, fit).loc["mu"]
        # ArviZ measures over the range of the draws.
        ends = fit["posterior"]["mu"].min().item(), fit["posterior"]["mu"].max().item()
        differences.append(
            [found[name] - exact(posterior, name, *ends) for name in ("prior", "likelihood")]
        )
    differences = np.array(differences)
    error = differences.std(axis=0, ddof=1) / np.sqrt(len(differences))
    assert (np.abs(differences.mean(axis=0)) < SIGMAS * error).all()
    # Beside the sizes of the two this is small, so that it would be seen to be wrong.
    assert error.max() < 0.01


@pytest.mark.filterwarnings("ignore:the data are far from what the priors expect:UserWarning")
@pytest.mark.parametrize(
    ("mu_mean", "mu_sd", "people", "diagnosis", "meaning"),
    [
        (176, 10, PEOPLE, "✓", "the data decide"),
        (150, 1.5, PEOPLE, "potential prior-data conflict", "prior and data both move it"),
        (
            160,
            0.2,
            PEOPLE.assign(mean=160.1),
            "potential strong prior / weak likelihood",
            "the prior decides",
        ),
    ],
)
def test_a_strong_or_conflicting_prior_is_flagged(mu_mean, mu_sd, people, diagnosis, meaning):
    model, posterior = pooled(mu_mean, mu_sd, people)
    table = hbm.prior_sensitivity(model, fit_of(model, posterior, 4000, 1))
    assert list(table.columns) == ["prior", "likelihood", "diagnosis", "meaning"]
    assert list(table.index) == ["mu", "sigma"]
    assert table.loc["mu", "diagnosis"] == diagnosis
    assert table.loc["mu", "meaning"].startswith(meaning)


def test_the_likelihood_of_heights_is_that_of_all_people_jointly():
    rng = np.random.default_rng(1)
    people = pd.DataFrame({"country": list("aaabbbbc"), "height": 176 + 8 * rng.normal(size=8)})
    model = hbm.heights.partial_pooling(people)
    draws = {
        "mu": rng.normal(176, 3, 5),
        "tau_country": rng.uniform(1, 9, 5),
        "sigma": rng.uniform(4, 9, 5),
        "mu_country": 176.0,
    }
    together = np.equal.outer(people["country"].to_numpy(), people["country"].to_numpy())
    expected = [
        stats.multivariate_normal.logpdf(
            people["height"], np.full(8, mu), tau**2 * together + sigma**2 * np.eye(8)
        )
        for mu, tau, sigma in zip(draws["mu"], draws["tau_country"], draws["sigma"], strict=True)
    ]
    found = _log_likelihood(read_fit(fake_fit(model, draws)))
    np.testing.assert_allclose(found, expected, rtol=1e-10)


@pytest.mark.parametrize("nested", [True, False])
def test_the_likelihood_of_exams_has_the_effects_integrated_out(nested):
    table = hbm.simulate.exams([2, 1], [6, 20, 12], random_seed=1)[0]
    parameters = {"eta": 0.7, "tau_school": 0.3, "nu": 6.0, "tau_nu": 0.2}
    if nested:
        model = hbm.exams.nested(table)
        fit = fake_exams_nested(model, 1, tau_authority=0.4, **parameters)
    else:
        model = hbm.exams.partial_pooling(table)
        effects = {"eta_school": 0.7, "log_nu_school": 1.8, "mu_school": 0.6, "nu_school": 6.0}
        fit = fake_fit(model, {name: np.array([v]) for name, v in (parameters | effects).items()})
    found = _log_likelihood(read_fit(fit))
    # Brute force: effects from their distribution, the density of the data averaged over them.
    rng, n = np.random.default_rng(2), 400_000
    authority = np.array([0, 0, 1]) if nested else np.array([0, 1, 2])
    tau = 0.4 if nested else 0.0
    eta = 0.7 + tau * rng.normal(size=(n, 3))[:, authority] + 0.3 * rng.normal(size=(n, 3))
    nu = 6 * np.exp(0.2 * rng.normal(size=(n, 3)))
    log_density = beta_summary_logp(
        *(table[name].to_numpy() for name in ("mean", "sd", "n_students")),
        1 / (1 + np.exp(-eta)),
        nu,
    ).sum(axis=1)
    expected = logsumexp(log_density) - np.log(n)
    error = np.exp(log_density - expected).std() / np.sqrt(n)
    assert error < 0.02
    assert abs(found - expected) < SIGMAS * error


def test_only_the_top_of_the_hierarchy_is_scaled():
    model = build("exams.nested")
    design_effect = 1 + np.abs(np.random.default_rng(3).normal(size=200))
    fit = fake_exams_nested(model, 200, design_effect=design_effect)
    before = fit.copy(deep=True)
    table = hbm.prior_sensitivity(model, fit)
    top = ["eta", "tau_authority", "tau_school", "nu", "tau_nu", "design_effect"]
    assert list(table.index) == top
    assert fit.identical(before)
    # Effects of groups, however unlikely, have no part in it.
    fit["posterior"]["eta_school"][:] = np.linspace(-9, 9, 200)[None, :, None]
    pd.testing.assert_frame_equal(hbm.prior_sensitivity(model, fit), table)


DISTINCT = hbm.exams.Priors(
    eta_mean=0.3,
    eta_sd=0.4,
    tau_parent=0.3,
    tau_school=0.45,
    nu_median=5.0,
    nu_log_sd=0.35,
    tau_nu=0.2,
    design_effect_sd=0.7,
)


def test_every_prior_is_scaled_its_own():
    model = build("exams.nested", priors=DISTINCT)
    rng, n = np.random.default_rng(1), 300
    draws = {
        "eta": rng.normal(0.6, 0.2, n),
        "tau_authority": rng.uniform(0.2, 0.5, n),
        "tau_school": rng.uniform(0.3, 0.7, n),
        "nu": rng.uniform(4, 8, n),
        "tau_nu": rng.uniform(0.2, 0.4, n),
        "design_effect": rng.uniform(1.1, 2.5, n),
    }
    fit = fake_exams_nested(model, n, **draws)
    log_prior = {
        "eta": stats.norm.logpdf(draws["eta"], 0.3, 0.4),
        "tau_authority": stats.halfnorm.logpdf(draws["tau_authority"], scale=0.3),
        "tau_school": stats.halfnorm.logpdf(draws["tau_school"], scale=0.45),
        "nu": stats.lognorm.logpdf(draws["nu"], 0.35, scale=5),
        "tau_nu": stats.halfnorm.logpdf(draws["tau_nu"], scale=0.2),
        "design_effect": stats.halfnorm.logpdf(draws["design_effect"], 1, 0.7),
    }

    def moves(priors):
        sets = {"posterior": draws, "log_prior": {name: log_prior[name] for name in priors}}
        tree = azb.from_dict(
            {group: {name: x[None] for name, x in xs.items()} for group, xs in sets.items()}
        )
        return {name: float(x) for name, x in psense(tree, group="prior").items()}

    expected = moves(log_prior)
    # It is seen where any one of the priors is left out.
    for name in log_prior:
        without = moves(set(log_prior) - {name})
        assert abs(without[name] - expected[name]) > 0.02, name
    found = hbm.prior_sensitivity(model, fit)["prior"]
    assert dict(found) == pytest.approx(expected, rel=1e-6)


@pytest.mark.filterwarnings("ignore:the data are far from what the priors expect:UserWarning")
def test_arviz_does_not_log_beside_it(caplog):
    model, posterior = pooled(150, 1.5)
    hbm.prior_sensitivity(model, fit_of(model, posterior, 500, 1))
    assert not caplog.records


def test_without_pooling_there_is_no_top_level():
    model = build("exams.no_pooling")
    draws = {"eta_school": np.zeros((5, 11)), "log_nu_school": np.zeros((5, 11))}
    fit = fake_fit(model, draws | {"mu_school": 0.5, "nu_school": 1.0})
    with pytest.raises(ValueError, match="no top-level prior: without pooling each school has a"):
        hbm.prior_sensitivity(model, fit)


def test_other_models_are_refused():
    model, posterior = pooled(176, 10)
    fit = fit_of(model, posterior, 10, 1)
    with pytest.raises(TypeError, match=r"model must be a pymc\.Model, got DataTree"):
        hbm.prior_sensitivity(fit, fit)
    with pytest.raises(ValueError, match="the fit is not of this model"):
        hbm.prior_sensitivity(build("exams.nested"), fit)


@pytest.mark.slow
def test_mcmc_draws_flag_a_prior_that_the_data_contradict():
    table = hbm.simulate.heights(12, 15, tau_country=6, sigma=7, random_seed=1)[0]
    found = {}
    with pytest.warns(UserWarning, match="a raw grand mean of"):
        contradicted = hbm.heights.partial_pooling(
            table, priors=hbm.heights.Priors(mu_mean=150, mu_sd=2)
        )
    for name, model in (
        ("default", hbm.heights.partial_pooling(table)),
        ("contradicted", contradicted),
    ):
        fit = hbm.sample(model, random_seed=1, progressbar=False)
        found[name] = hbm.prior_sensitivity(model, fit)
    assert set(found["default"]["meaning"]) == {"the data decide"}
    assert found["contradicted"].loc["mu", "diagnosis"] == "potential prior-data conflict"
    assert found["contradicted"].loc["sigma", "diagnosis"] == "✓"
