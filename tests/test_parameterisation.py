"""One model, three coordinate systems: the density is the same up to the Jacobian."""

import numpy as np
import pymc as pm
import pytensor
import pytensor.tensor as pt
import pytest
from pymc.initial_point import make_initial_point_fn

import hbm
from hbm.hierarchy.parameterisation import group_effect, informed, raw_starts
from hbm.hierarchy.parents import parent_estimates

RAW = np.array([[0.3, -0.2, 1.4], [0.1, 2.0, np.inf]])


def effects(parameterisation):
    with pm.Model(coords={"school": ["a", "b", "c"]}) as model:
        eta = pm.Normal("eta", 0, 1)
        tau = pm.HalfNormal("tau", 1)
        group_effect(
            "eta_school",
            eta,
            tau,
            dims="school",
            estimate=RAW[0],
            standard_error=RAW[1],
            parameterisation=parameterisation,
        )
    return model


def test_backward_undoes_forward_and_the_jacobian_is_its_derivative():
    rng = np.random.default_rng(1)
    transform = informed(RAW[0], RAW[1])
    z, m, tau = pt.vector("z"), pt.scalar("m"), pt.scalar("tau")
    effect = transform.backward(z, None, None, m, tau)
    again = transform.forward(effect, None, None, m, tau)
    derivative = pytensor.gradient.grad(effect.sum(), z)
    run = pytensor.function(
        [z, m, tau], [again, pt.log(derivative), transform.log_jac_det(z, None, None, m, tau)]
    )
    for tau_value in (1e-4, 0.3, 1e3):
        point = rng.normal(size=3)
        back, log_derivative, log_jacobian = run(point, 0.4, tau_value)
        np.testing.assert_allclose(back, point, rtol=1e-6, atol=1e-9)
        np.testing.assert_allclose(log_jacobian, log_derivative, rtol=1e-12, atol=1e-12)


def test_informed_is_the_gaussian_posterior():
    """c and 1/√p are the posterior mean and sd of a Normal effect with a Normal estimate."""
    transform = informed([2.0], [0.5])
    centre = transform.backward(pt.as_tensor([0.0]), None, None, 1.0, 1.5).eval()
    step = transform.backward(pt.as_tensor([1.0]), None, None, 1.0, 1.5).eval() - centre
    precision = 1 / 0.5**2 + 1 / 1.5**2
    np.testing.assert_allclose(centre, (2.0 / 0.5**2 + 1.0 / 1.5**2) / precision)
    np.testing.assert_allclose(step, precision**-0.5)


def test_no_information_is_the_non_centred_form():
    transform = informed([5.0], [np.inf])
    np.testing.assert_array_equal(
        transform.backward(pt.as_tensor([0.7]), None, None, 1.0, 1.5).eval(), [1.0 + 0.7 * 1.5]
    )


@pytest.mark.parametrize("parameterisation", ["informed", "non-centred"])
def test_density_differs_from_the_centred_one_by_the_jacobian(parameterisation):
    rng = np.random.default_rng(2)
    centred, other = effects("centred"), effects(parameterisation)
    logp = centred.compile_logp()
    other_logp = other.compile_logp()
    standard_error = RAW[1] if parameterisation == "informed" else np.full(3, np.inf)
    estimate = RAW[0] if parameterisation == "informed" else np.zeros(3)
    for _ in range(5):
        eta, log_tau, z = rng.normal(), rng.normal(), rng.normal(size=3)
        precision = 1 / standard_error**2 + np.exp(-2 * log_tau)
        effect = eta + (estimate - eta) / standard_error**2 / precision + z / np.sqrt(precision)
        expected = logp({"eta": eta, "tau_log__": log_tau, "eta_school": effect})
        found = other_logp({"eta": eta, "tau_log__": log_tau, "eta_school_informed__": z})
        np.testing.assert_allclose(found, expected - 0.5 * np.log(precision).sum(), rtol=1e-10)


@pytest.mark.parametrize(
    ("estimate", "standard_error", "message"),
    [
        ([0.0, 1.0], [1.0, 0.0], r"must be positive; those at \[1\] are \[0.0\]"),
        ([0.0, 1.0], [-1.0, 1.0], r"must be positive; those at \[0\] are \[-1.0\]"),
        ([np.nan, 1.0], [1.0, 1.0], r"estimates must be finite; those at \[0\]"),
    ],
)
def test_informed_refuses_what_is_no_estimate(estimate, standard_error, message):
    with pytest.raises(ValueError, match=message):
        hbm.informed(estimate, standard_error)


def test_an_unknown_parameterisation_names_the_three():
    with pytest.raises(ValueError, match="one of 'informed', 'centred', 'non-centred', got 'nc'"):
        effects("nc")


def test_parents_of_known_effects_by_the_method_of_moments():
    """With many children the between-children variance and the parents' errors are found."""
    rng = np.random.default_rng(3)
    n_parents, per_parent, tau = 200, 30, 0.5
    truth = rng.normal(0, 1, n_parents)
    parent = np.repeat(np.arange(n_parents), per_parent)
    se = rng.uniform(0.1, 1.0, parent.size)
    estimate = rng.normal(rng.normal(truth[parent], tau), se)
    found, error = parent_estimates(estimate, se, parent, n_parents)
    z = (found - truth) / error
    # Mean and variance of 200 standard Normals, within four standard errors.
    assert abs(z.mean()) < 4 / np.sqrt(n_parents)
    assert abs(z.var() - 1) < 4 * np.sqrt(2 / n_parents)
    expected = 1 / np.sqrt(np.bincount(parent, 1 / (se**2 + tau**2)))
    np.testing.assert_allclose(error, expected, rtol=0.05)


@pytest.mark.parametrize("unit", [0.01, 100.0])
def test_parents_in_other_units_are_the_same_parents(unit):
    rng = np.random.default_rng(4)
    parent = np.repeat(np.arange(6), [1, 2, 3, 5, 8, 13])
    se = rng.uniform(0.3, 2.0, parent.size)
    estimate = rng.normal(0, 2, parent.size)
    expected = parent_estimates(estimate, se, parent, 6)
    found = parent_estimates(unit * estimate, unit * se, parent, 6)
    np.testing.assert_allclose(found, unit * np.array(expected))


def test_a_parent_without_information_has_an_infinite_error():
    estimate, error = parent_estimates(
        np.array([1.0, 0.0]), np.array([0.5, np.inf]), np.array([0, 1]), 2
    )
    assert estimate[0] == 1.0
    assert np.isfinite(error[0])
    assert np.isinf(error[1])


def test_chains_start_where_the_raw_data_say():
    """From the prior's mean the large groups' coordinates would start tens of sds away."""
    table = hbm.simulate.exams([30], 500, mu=0.9, random_seed=1)[0]
    model = hbm.exams.nested(table)
    start = make_initial_point_fn(model=model, overrides=raw_starts(model))(1)
    for effect in ("eta_school", "log_nu_school", "eta_authority"):
        assert np.abs(start[f"{effect}_informed__"]).max() < 1.5


@pytest.mark.parametrize("distribution", ["Gamma", "LogNormal", "Beta", "Laplace"])
def test_the_transform_is_for_normal_variables_only(distribution):
    with pm.Model(), pytest.raises(TypeError, match=r"is the transform of a pm\.Normal, not of"):
        getattr(pm, distribution)("x", 2.0, 3.0, shape=3, transform=informed(RAW[0], RAW[1]))


@pytest.mark.parametrize(
    "make",
    [
        lambda t: pm.MvNormal("x", np.zeros(3), np.eye(3), transform=t),
        lambda t: pm.ZeroSumNormal("x", 1.0, shape=3, transform=t),
        lambda t: pm.GaussianRandomWalk("x", 0.0, 1.0, init_dist=pm.Normal.dist(), transform=t,
                                        shape=3),
        lambda t: pm.TruncatedNormal("x", 0.0, 1.0, lower=0, shape=3, transform=t),
    ],
    ids=["MvNormal", "ZeroSumNormal", "GaussianRandomWalk", "TruncatedNormal"],
)  # fmt: skip
def test_nor_for_what_is_made_of_normals(make):
    with pm.Model(), pytest.raises(TypeError, match=r"is the transform of a pm\.Normal, not of"):
        make(informed(RAW[0], RAW[1]))


@pytest.mark.parametrize(
    ("estimate", "standard_error", "what"),
    [
        (["a"], [1.0], "estimates"),
        (["1.5"], [1.0], "estimates"),
        ([1.0], [None], "standard errors"),
        ([1.0], [1j], "standard errors"),
        ([[1.0], [1.0, 2.0]], 1.0, "estimates"),
    ],
)
def test_what_is_no_number_is_a_type_error(estimate, standard_error, what):
    with pytest.raises(TypeError, match=f"{what} must be numbers, got"):
        informed(estimate, standard_error)


def test_estimates_of_another_length_are_refused_in_words():
    with pytest.raises(ValueError, match=r"3 estimates and 2 standard errors"):
        informed([1.0, 2.0, 3.0], [1.0, 2.0])
    for shape in (4, 1, ()):
        with pm.Model(), pytest.raises(ValueError, match=r"hbm\.informed .*\(3,\).* of shape"):
            pm.Normal("x", 0.0, 1.0, shape=shape, transform=informed([1.0, 2.0, 3.0], 1.0))
    # One number for all is as good as one each, and so is a row of them.
    with pm.Model():
        pm.Normal("z", 0.0, 1.0, shape=(2, 3), transform=informed(np.ones((2, 3)), np.ones(3)))
        pm.Normal("x", 0.0, 1.0, shape=3, transform=informed(1.0, [1.0]))
        pm.Normal("y", 0.0, 1.0, shape=(2, 3), transform=informed([1.0, 2.0, 3.0], 1.0))


def test_estimates_are_numbers():
    with pm.Model(), pytest.raises(TypeError, match=r"must be numbers, got the variable estimate"):
        informed(pm.Data("estimate", RAW[0]), 1.0)
