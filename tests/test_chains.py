"""Chains of effects over the years, and the coordinates that a sampler sees them in."""

import numpy as np
import pymc as pm
import pytensor
import pytensor.tensor as pt
import pytest
from scipy.stats import multivariate_normal

import hbm
from hbm.hierarchy.joint import joint_effect

RHO, TAU = 0.7, 0.9
GAPS = np.array([1.0, 1.0, 2.0, 1.0])
SHAPE = (3, 4)


@pytest.fixture(scope="module")
def case():
    """Return estimates, errors and means of three chains of four years, two of them with gaps."""
    rng = np.random.default_rng(1)
    estimate, mean = rng.normal(size=SHAPE), rng.normal(size=SHAPE)
    error = rng.uniform(0.2, 2, SHAPE)
    error[0, 1] = error[2, 3] = np.inf
    return estimate, error, mean


def built(case, estimate, error):
    with pm.Model() as model:
        rho, tau = pm.Uniform("rho", 0, 1), pm.HalfNormal("tau", 1)
        transform = hbm.informed_chain(estimate, error)
        x = hbm.chain("x", case[2], rho, tau, gaps=GAPS, transform=transform)
    value = pt.matrix()
    inputs = x.owner.inputs
    chain = model.rvs_to_transforms[x].backward(value, *inputs)
    outputs = [
        chain,
        model.rvs_to_transforms[x].forward(chain, *inputs),
        model.rvs_to_transforms[x].log_jac_det(value, *inputs),
        pm.logp(x, chain),
    ]
    return pytensor.function([value, rho, tau], outputs, mode="FAST_COMPILE")


@pytest.fixture(scope="module")
def informed(case):
    return built(case, *case[:2])


def covariance():
    time = np.cumsum(GAPS)
    return TAU**2 * RHO ** np.abs(np.subtract.outer(time, time))


def test_a_chain_is_normal_with_correlations_that_fall_with_the_years_between(case, informed):
    z = np.random.default_rng(2).normal(size=SHAPE)
    chain, _, _, logp = informed(z, RHO, TAU)
    expected = [
        multivariate_normal(mean, covariance()).logpdf(x)
        for mean, x in zip(case[2], chain, strict=True)
    ]
    np.testing.assert_allclose(logp, expected, rtol=1e-12)


def test_there_and_back(informed):
    z = np.random.default_rng(3).normal(size=SHAPE)
    np.testing.assert_allclose(informed(z, RHO, TAU)[1], z, rtol=1e-12, atol=1e-12)


def test_the_jacobian_is_that_of_differences(informed):
    z, step = np.random.default_rng(4).normal(size=SHAPE), 1e-6
    jacobian = np.zeros((*SHAPE, SHAPE[1]))
    for t in range(SHAPE[1]):
        moved = z.copy()
        moved[:, t] += step
        low = 2 * z - moved
        difference = informed(moved, RHO, TAU)[0] - informed(low, RHO, TAU)[0]
        jacobian[..., t] = difference / (2 * step)
    expected = np.linalg.slogdet(jacobian)[1]
    np.testing.assert_allclose(informed(z, RHO, TAU)[2], expected, rtol=1e-8)


def test_with_gaussian_data_the_posterior_of_z_is_standard_normal(case, informed):
    estimate, error, _ = case

    def beyond_normal(z):
        chain, _, jacobian, logp = informed(z, RHO, TAU)
        likelihood = -0.5 * ((chain - estimate) / error) ** 2
        return logp + jacobian + likelihood.sum(axis=1) + 0.5 * (z**2).sum(axis=1)

    rng = np.random.default_rng(5)
    first, second = (beyond_normal(rng.normal(size=SHAPE)) for _ in range(2))
    np.testing.assert_allclose(first, second, rtol=1e-10)


def test_without_information_z_are_the_innovations(case):
    nothing = built(case, np.zeros(SHAPE), np.full(SHAPE, np.inf))
    z = np.random.default_rng(6).normal(size=SHAPE)
    chain = nothing(z, RHO, TAU)[0] - case[2]
    np.testing.assert_allclose(chain[:, 0], TAU * z[:, 0])
    rho = RHO ** GAPS[1:]
    step = chain[:, 1:] - rho * chain[:, :-1]
    np.testing.assert_allclose(step, TAU * np.sqrt(1 - rho**2) * z[:, 1:])


@pytest.mark.parametrize("rho", [1e-9, 1 - 1e-9])
def test_nothing_is_lost_at_the_ends_of_persistence(informed, rho):
    z = np.random.default_rng(7).normal(size=SHAPE)
    _, back, jacobian, logp = informed(z, rho, TAU)
    assert np.isfinite([jacobian, logp]).all()
    np.testing.assert_allclose(back, z, atol=1e-6)


def test_draws_of_the_prior_have_the_covariance_of_the_chain():
    with pm.Model():
        x = hbm.chain("x", np.arange(4.0), RHO, TAU, gaps=GAPS)
    draws = pm.draw(x, 20_000, random_seed=1, mode="FAST_COMPILE")
    # Standard errors of covariances of Normals: sqrt((C_ii C_jj + C_ij²) / n).
    expected = covariance()
    variances = np.diag(expected)
    error = np.sqrt((np.outer(variances, variances) + expected**2) / len(draws))
    assert (np.abs(np.cov(draws.T) - expected) < 4 * error).all()
    assert (np.abs(draws.mean(axis=0) - np.arange(4)) < 4 * np.sqrt(variances / len(draws))).all()


@pytest.mark.parametrize(("gaps", "said"), [([1, 0, 1, 1], "positive"), ([1, 1, 1], "each of the")])
def test_gaps_are_checked(gaps, said):
    with pm.Model(), pytest.raises(ValueError, match=said):
        hbm.chain("x", np.zeros(SHAPE), RHO, TAU, gaps=gaps)


@pytest.mark.parametrize(
    "make",
    [
        lambda t: pm.Normal("x", 0, 1, shape=(2, 3), transform=t),
        lambda t: pm.Gamma("x", 1, 1, shape=(2, 3), transform=t),
        lambda t: pm.AR("x", [0.5], 1.0, init_dist=pm.Normal.dist(), shape=(2, 3), transform=t),
    ],
    ids=["Normal", "Gamma", "AR"],
)
def test_the_transform_is_for_chains_only(make):
    transform = hbm.informed_chain(np.zeros((2, 3)), np.ones((2, 3)))
    with pm.Model(), pytest.raises(TypeError, match=r"is the transform of an hbm\.chain, not of"):
        make(transform)


def test_joint_effects_keep_their_prior_and_their_jacobian():
    rng = np.random.default_rng(8)
    basis = np.linalg.qr(rng.normal(size=(3, 3)))[0]
    with pm.Model(coords={"year": [1, 2, 3]}) as model:
        tau = pm.HalfNormal("tau", 1)
        x = joint_effect(
            "x",
            tau,
            dims="year",
            estimate=rng.normal(size=3),
            standard_error=np.array([0.1, 1, 3]),
            basis=basis,
            start=np.zeros(3),
            intercept=tau,
            slope=rng.normal(size=3),
            parameterisation="informed",
        )
    transform, value = model.rvs_to_transforms[x], pt.vector()
    effects = transform.backward(value, *x.owner.inputs)
    at = pytensor.function(
        [value, tau],
        [
            effects,
            transform.forward(effects, *x.owner.inputs),
            transform.log_jac_det(value, *x.owner.inputs),
            pm.logp(x, effects),
        ],
        mode="FAST_COMPILE",
        on_unused_input="ignore",
    )
    z = rng.normal(size=3)
    there, back, jacobian, logp = at(z, TAU)
    np.testing.assert_allclose(back, z)
    columns = [at(z + step, TAU)[0] - there for step in np.eye(3)]  # the map is linear
    np.testing.assert_allclose(jacobian, np.linalg.slogdet(np.array(columns))[1])
    np.testing.assert_allclose(
        logp, (-0.5 * (there / TAU) ** 2 - np.log(TAU)).sum() - 1.5 * np.log(2 * np.pi)
    )
