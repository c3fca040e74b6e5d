import arviz_stats as azs
import numpy as np
import pytest
import xarray as xr

import hbm


def fit_of(draws, **stats):
    """Make a fit of draws (chain, draw[, school]) and sampler statistics."""
    dims = ("chain", "draw", "school")
    posterior = {"mu": (dims[:2], draws[..., 0]), "mu_school": (dims, draws)}
    coords = {"school": [f"s{i}" for i in range(draws.shape[2])]}
    stats = {name: (dims[:2], values) for name, values in stats.items()}
    return xr.DataTree.from_dict(
        {"posterior": xr.Dataset(posterior, coords=coords), "sample_stats": xr.Dataset(stats)}
    )


@pytest.fixture
def draws():
    return np.random.default_rng(1).normal(size=(4, 1000, 3))


def failed(diagnosis):
    return diagnosis.checks.loc[~diagnosis.checks["passes"], "check"].tolist()


def test_independent_draws_pass(draws):
    diverging = np.zeros((4, 1000), bool)
    energy = np.random.default_rng(2).normal(size=(4, 1000))
    diagnosis = hbm.diagnose(fit_of(draws, diverging=diverging, energy=energy))
    assert diagnosis.ok
    assert not diagnosis.advice
    assert str(diagnosis).startswith("The draws can be used.")
    assert list(diagnosis.checks["check"]) == [
        "R-hat",
        "bulk ESS",
        "tail ESS",
        "divergences",
        "E-BFMI",
    ]


def test_a_chain_elsewhere_fails_r_hat_and_is_named(draws):
    draws[2, :, 1] += 1
    diagnosis = hbm.diagnose(fit_of(draws))
    assert not diagnosis.ok
    assert "R-hat" in failed(diagnosis)
    assert diagnosis.checks["worst"][0] == "mu_school[s1]"
    assert "the chains disagree" in str(diagnosis)


def test_slow_chains_fail_both_effective_sizes(draws):
    draws[:, :, 2] = np.cumsum(draws[:, :, 2], axis=1)
    diagnosis = hbm.diagnose(fit_of(draws))
    assert {"bulk ESS", "tail ESS"} <= set(failed(diagnosis))


def test_one_divergence_fails(draws):
    diverging = np.zeros((4, 1000), bool)
    diverging[3, 17] = True
    diagnosis = hbm.diagnose(fit_of(draws, diverging=diverging))
    assert failed(diagnosis) == ["divergences"]
    assert diagnosis.checks.set_index("check").loc["divergences", "value"] == 1


@pytest.mark.parametrize("name", ["maxdepth_reached", "reached_max_treedepth"])
@pytest.mark.parametrize(("n", "fails"), [(40, False), (41, True)])
def test_tree_depth_under_both_samplers_names(draws, name, n, fails):
    cut_off = np.zeros(4000, bool)
    cut_off[:n] = True
    diagnosis = hbm.diagnose(fit_of(draws, **{name: cut_off.reshape(4, 1000)}))
    assert failed(diagnosis) == (["tree depth"] if fails else [])


def test_a_random_walk_in_energy_fails_e_bfmi_and_names_its_chain(draws):
    energy = np.random.default_rng(3).normal(size=(4, 1000))
    energy[2] = np.cumsum(energy[2])
    diagnosis = hbm.diagnose(fit_of(draws, energy=energy))
    assert failed(diagnosis) == ["E-BFMI"]
    assert diagnosis.checks["worst"].iloc[-1] == "chain 2"


def test_a_quantity_that_does_not_vary_is_left_out(draws):
    draws[:, :, 0] = 1.5
    assert hbm.diagnose(fit_of(draws)).ok


def test_notebooks_get_a_table_and_escaped_advice(draws):
    draws[2] += 1
    html = hbm.diagnose(fit_of(draws))._repr_html_()
    assert "<table" in html
    assert "parameterisation=&quot;informed&quot;" in html


def test_a_fit_without_draws_or_with_one_chain_is_refused(draws):
    with pytest.raises(ValueError, match="no group 'posterior'"):
        hbm.diagnose(xr.DataTree())
    with pytest.raises(ValueError, match="the fit has one: sample with chains=4"):
        hbm.diagnose(fit_of(draws[:1]))


def test_of_quantities_of_the_same_ranks_one_is_looked_at(draws):
    """A rising function of another has its effective sizes; a falling or another one is kept."""
    draws[2, :, 1] += 1
    fit = fit_of(draws)
    posterior = fit["posterior"].to_dataset()
    posterior["nu_school"] = np.exp(posterior["mu_school"])
    posterior["below"] = -posterior["mu_school"]
    posterior["partly"] = posterior["mu_school"].where(posterior["school"] != "s2", 0) ** 2
    fit["posterior"] = xr.DataTree(posterior)
    kept = hbm.sampling.diagnostics._of_own_ranks(posterior)
    assert list(kept) == ["mu", "mu_school", "below", "partly"]
    for method in ("bulk", "tail"):
        sizes = azs.ess(posterior, method=method)
        assert sizes["nu_school"].to_numpy() == pytest.approx(sizes["mu_school"].to_numpy())
    assert hbm.diagnose(fit).checks["worst"][0] in ("mu_school[s1]", "below[s1]")
