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
        "finite",
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


def slow_chains(rng, n_quantities):
    """Return chains with a correlation of 0.6 from draw to draw: 4,000 draws count for 1,000."""
    draws = rng.normal(size=(4, 1000, n_quantities))
    for t in range(1, 1000):
        draws[:, t] = 0.6 * draws[:, t - 1] + 0.8 * draws[:, t]
    return xr.DataTree.from_dict({"posterior": xr.Dataset({"x": (("chain", "draw", "i"), draws)})})


def test_of_many_quantities_some_r_hat_is_above_the_limit_by_chance():
    """By the limit alone most fits of 500 quantities that mix as well as these would fail."""
    rng = np.random.default_rng(1)
    checks = [hbm.diagnose(slow_chains(rng, 500)).checks.iloc[0] for _ in range(6)]
    assert sum(row["value"] > 1.01 for row in checks) >= 3
    assert all(row["passes"] for row in checks)
    assert all(("by chance" in row["allowed"]) == (row["value"] > 1.01) for row in checks)


def test_among_many_quantities_a_chain_elsewhere_is_found():
    fit = slow_chains(np.random.default_rng(2), 500)
    fit["posterior"]["x"][1, :, 7] += 0.6
    first = hbm.diagnose(fit).checks.iloc[0]
    assert not first["passes"]
    assert first["worst"] == "x[7]"


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


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize(("n", "said"), [(3, "3 of 4000"), (4000, "4000 of 4000")])
def test_draws_that_are_no_numbers_fail_and_are_counted(draws, bad, n, said):
    draws[:, :, 1].flat[:n] = bad
    fit = fit_of(draws)
    diagnosis = hbm.diagnose(fit)
    row = diagnosis.checks.set_index("check").loc["finite"]
    assert not diagnosis.ok
    assert not row["passes"]
    assert (row["value"], row["worst"]) == (n, "mu_school[s1]")
    assert f"finite: draws that are NaN or infinite: {said} of mu_school[s1];" in str(diagnosis)
    assert str(diagnosis).startswith("The draws should not be used")


def test_all_quantities_with_draws_that_are_no_numbers_are_named_worst_first(draws):
    draws[0, :7, 0] = np.nan  # mu as well
    draws[1, :9, 2] = np.inf
    (advice,) = hbm.diagnose(fit_of(draws)).advice
    assert ": 9 of 4000 of mu_school[s2], 7 of 4000 of mu, 7 of 4000 of mu_school[s0];" in advice


def test_of_many_quantities_that_are_no_numbers_a_few_are_named():
    draws = np.full((2, 50, 30), np.nan)
    (advice,) = [line for line in hbm.diagnose(fit_of(draws)).advice if line.startswith("finite")]
    assert "100 of 100 of mu_school[s2] and of 27 others;" in advice


def test_numbers_that_overflow_are_found_beside_their_own_logarithm(draws):
    """Of quantities of the same ranks one is looked at; this looks at all."""
    fit = fit_of(draws)
    posterior = fit["posterior"].to_dataset()
    posterior["nu_school"] = posterior["mu_school"].where(posterior["mu_school"] < 3, np.inf)
    fit["posterior"] = xr.DataTree(posterior)
    n = int((draws >= 3).sum())
    assert n > 0
    assert failed(hbm.diagnose(fit)) == ["finite"]


@pytest.mark.parametrize("first", ["mu", "zero"])
def test_chains_that_each_stand_still_elsewhere_fail(draws, first):
    """R-hat is infinite, or by rounding some huge number; a constant beside it hides nothing."""
    fit = fit_of(draws)
    mu = fit["posterior"]["mu"]
    stuck = 0 * mu + xr.DataArray([0.1, 0.2, 0.3, 0.4], dims="chain")
    posterior = xr.Dataset({first: mu if first == "mu" else 0 * mu, "stuck": stuck})
    diagnosis = hbm.diagnose(xr.DataTree.from_dict({"posterior": posterior}))
    assert {"R-hat", "bulk ESS", "tail ESS"} <= set(failed(diagnosis))
    assert diagnosis.checks["worst"][0] == "stuck"
    assert "the chains disagree" in str(diagnosis)


def test_one_chain_that_stands_still_fails(draws):
    draws[2, :, 1] = 0.3
    diagnosis = hbm.diagnose(fit_of(draws))
    assert "R-hat" in failed(diagnosis)
    assert diagnosis.checks["worst"][0] == "mu_school[s1]"


def test_a_sampler_that_never_moved_fails(draws):
    diagnosis = hbm.diagnose(fit_of(np.full_like(draws, 1.5)))
    assert failed(diagnosis) == ["R-hat", "bulk ESS", "tail ESS"]
    assert "no quantity has finite draws that vary" in str(diagnosis)


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
    for what in (draws, fit_of(draws)["posterior"].to_dataset(), None):
        with pytest.raises(TypeError, match=r"fit must be an xarray\.DataTree, got"):
            hbm.diagnose(what)
    for dim in ("chain", "draw"):
        with pytest.raises(ValueError, match=rf"has no dim '{dim}'.*fit\.sel\({dim}=\[0\]\)"):
            hbm.diagnose(fit_of(draws).isel({dim: 0}))


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
