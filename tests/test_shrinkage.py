"""Tables of shrinkage, against the algebra of Normal hierarchies; posteriors are made by hand."""

import arviz as az
import numpy as np
import pandas as pd
import pymc as pm
import pytest
import xarray as xr
from models import build
from scipy import stats
from scipy.special import expit

import hbm
from hbm import estimates, shrinkage, variance_shares
from hbm.results.estimates import group_table
from hbm.students.likelihoods import beta_mean_logp

N_DRAWS = 200
SCHOOLS = ["0003", "0001", "0004", "0002", "0005", "0006"]
DISTRICTS = ["20", "10", "30"]
DISTRICT_OF_SCHOOL = np.array([0, 1, 1, 0, 0, 2])
N = np.array([4.0, 1.0, 30.0, 12.0, 6.0, 9.0])
RAW = np.array([0.62, 0.4, 0.71, 0.55, 0.66, 0.8])


def tree(posterior, constant, **coords):
    """Make a fit of arrays whose dims are told by their lengths."""
    lengths = {len(labels): dim for dim, labels in coords.items()}
    dims = {
        name: [lengths[values.shape[-1]]]
        for name, values in {**posterior, **constant}.items()
        if values.ndim == (2 if name in posterior else 1)
    }
    posterior = {
        name: np.broadcast_to(values, (N_DRAWS, *values.shape[1:]))[None]
        for name, values in posterior.items()
    }
    return az.from_dict(
        {"posterior": posterior, "constant_data": constant}, dims=dims, coords=coords
    )


def normal_fit(*, tau=3.0, sigma=6.0, mu=175.0, n=(1, 36, 4), raw=(185.0, 182.0, 170.0)):
    """Countries whose variances and mean are known, or have the draws given."""
    draws = {"tau_country": tau, "sigma": sigma, "mu": mu}
    draws = {name: np.atleast_1d(np.asarray(value, float)) for name, value in draws.items()}
    n, raw = np.array(n, float), np.array(raw)
    weight = 1 / (1 + draws["tau_country"] ** 2 * n[:, None] / draws["sigma"] ** 2)
    draws["mu_country"] = ((1 - weight) * raw[:, None] + weight * draws["mu"]).T
    constant = {"n_people": n, "mean": raw, "sd": np.zeros(len(n))}
    return tree(draws, constant, country=[f"c{i}" for i in range(len(n))])


def nested_fit(*, tau_school=0.3, tau_district=0.2, sigma=None, seed=1):
    """Schools in districts: Normal if sigma is given, else Beta with means around the raw ones."""
    rng = np.random.default_rng(seed)
    mu_school = RAW + rng.normal(0, 0.02, (N_DRAWS, 6))
    posterior = {
        "mu": 0.6 + rng.normal(0, 0.01, N_DRAWS),
        "mu_district": rng.uniform(0.5, 0.7, (N_DRAWS, 3)),
        "mu_school": mu_school,
        "tau_school": np.atleast_1d(tau_school),
        "tau_district": np.atleast_1d(tau_district),
    }
    if sigma is None:
        posterior |= {"nu_school": rng.uniform(4, 8, (N_DRAWS, 6))}
    else:
        posterior |= {"sigma": np.atleast_1d(sigma)}
    constant = {
        "n_students": N,
        "mean": RAW,
        "sd": np.array([0.2, 0, 0.2, 0.2, 0.2, 0.2]),
        "district_of_school": DISTRICT_OF_SCHOOL,
    }
    return tree(posterior, constant, school=SCHOOLS, district=DISTRICTS)


# Estimates


def test_estimates_summarise_the_draws():
    fit = nested_fit()
    draws = fit["posterior/mu_school"].to_numpy()[0]
    table = estimates(fit, "mu_school", prob=0.8)
    assert table["school"].tolist() == SCHOOLS
    np.testing.assert_allclose(table["mean"], draws.mean(axis=0))
    np.testing.assert_allclose(table["sd"], draws.std(axis=0, ddof=1))
    np.testing.assert_allclose(table[["lower", "upper"]].T, np.quantile(draws, [0.1, 0.9], axis=0))
    assert table.attrs == {"variable": "mu_school", "prob": 0.8}


@pytest.mark.parametrize("function", [estimates, shrinkage])
def test_what_is_no_fit_is_refused(function):
    with pytest.raises(TypeError, match=r"must be an xarray.DataTree, got DataFrame"):
        function(pd.DataFrame(), "mu_school")
    with pytest.raises(ValueError, match="no group 'posterior'; its groups are: none"):
        function(xr.DataTree(), "mu_school")
    with pytest.raises(ValueError, match="prob must lie between 0 and 1, got 95"):
        function(nested_fit(), "school", prob=95)


def test_estimates_of_another_variable_are_refused():
    with pytest.raises(ValueError, match=r"no variable 'mu_shool'.*Did you mean 'mu_school'"):
        estimates(nested_fit(), "mu_shool")
    with pytest.raises(
        ValueError, match=r"'tau_school' has no dimension .* mu_district, mu_school"
    ):
        estimates(nested_fit(), "tau_school")


# Pooling


def test_pooling_is_the_closed_form_for_known_variances():
    fit = normal_fit(tau=3.0, sigma=6.0)
    table = shrinkage(fit, "country")
    np.testing.assert_allclose(table["pooling"], [36 / 45, 1 / 10, 9 / 18])
    np.testing.assert_allclose(table["raw_se"], [6, 1, 3])
    np.testing.assert_allclose(table["moved"], table["mean"] - [185, 182, 170])
    # The estimate lies at this part of the way, which the ratio of distances could not tell
    # of a group that starts at its target.
    way = (1 - table["pooling"]) * table["raw_mean"] + table["pooling"] * table["target"]
    np.testing.assert_allclose(table["mean"], way)
    at_target = shrinkage(normal_fit(raw=(175.0, 182.0, 170.0)), "country")
    assert at_target.loc[0, "pooling"] == table.loc[0, "pooling"]


def test_pooling_is_averaged_over_the_draws():
    rng = np.random.default_rng(3)
    tau, sigma = rng.uniform(0, 5, N_DRAWS), rng.uniform(3, 8, N_DRAWS)
    table = shrinkage(normal_fit(tau=tau, sigma=sigma), "country")
    for i, n in enumerate([1, 36, 4]):
        expected = np.mean((sigma**2 / n) / (sigma**2 / n + tau**2))
        np.testing.assert_allclose(table.loc[i, "pooling"], expected)
        np.testing.assert_allclose(table.loc[i, "raw_se"], np.sqrt(np.mean(sigma**2 / n)))


def test_complete_pooling_is_exactly_one():
    fit = normal_fit(tau=0.0)
    fit["constant_data"]["tau_country"] = xr.DataArray(0.0)
    fit["posterior"] = fit["posterior"].to_dataset().drop_vars("tau_country")
    table = shrinkage(fit, "country")
    assert (table["pooling"] == 1).all()
    np.testing.assert_allclose(table["mean"], 175)
    beta = nested_fit(tau_school=0.0, tau_district=0.0)
    table = shrinkage(beta, "school")
    assert (table[["pooling", "share_population"]] == 1).all(axis=None)
    assert (table[["share_own", "share_district"]] == 0).all(axis=None)
    assert (shrinkage(beta, "district")["pooling"] == 1).all()


def test_no_pooling_is_nearly_zero_and_says_so():
    fit = normal_fit()
    posterior = fit["posterior"].to_dataset().drop_vars(["tau_country", "mu"])
    fit["posterior"] = posterior
    fit["constant_data"]["tau_country"] = xr.DataArray(50.0)
    fit["constant_data"]["mu"] = xr.DataArray(176.0)
    table = shrinkage(fit, "country")
    np.testing.assert_allclose(
        table["pooling"], 36 / np.array([1, 36, 4]) / (36 / np.array([1, 36, 4]) + 2500)
    )
    assert table["pooling"].max() < 0.02
    assert (table["target"] == 176).all()


def test_a_fixed_logit_of_the_population_is_a_target_too():
    fit = nested_fit()
    fit["posterior"] = fit["posterior"].to_dataset().drop_vars("mu")
    fit["constant_data"]["eta"] = xr.DataArray(1.1)
    np.testing.assert_allclose(shrinkage(fit, "district")["target"], expit(1.1))


def test_beta_pooling_uses_each_schools_own_information():
    fit = nested_fit()
    mu, nu = (fit[f"posterior/{name}_school"].to_numpy()[0] for name in ("mu", "nu"))
    table = shrinkage(fit, "school")
    s2 = 1 / (N * (nu + 1) * mu * (1 - mu))
    np.testing.assert_allclose(table["pooling"], (s2 / (s2 + 0.09)).mean(axis=0))
    se = np.sqrt((mu * (1 - mu) / (N * (nu + 1))).mean(axis=0))
    np.testing.assert_allclose(table["raw_se"], se)


@pytest.mark.parametrize(("mean", "n"), [(0.65, 6), (0.65, 40), (0.45, 15), (0.8, 25)])
def test_beta_pooling_is_the_prior_variance_that_is_left(mean, n):
    """Against the exact posterior of one school on a grid, its parent and spreads known."""
    tau, nu, parent = 0.4, 6.0, 0.6
    eta = np.linspace(-6, 6, 4001) * tau + parent
    log_density = beta_mean_logp(mean, n, expit(eta), nu) + stats.norm.logpdf(eta, parent, tau)
    weight = np.exp(log_density - log_density.max())
    weight /= weight.sum()
    left = (weight @ eta**2 - (weight @ eta) ** 2) / tau**2
    quantiles = np.searchsorted(np.cumsum(weight), (np.arange(N_DRAWS) + 0.5) / N_DRAWS)
    fit = tree(
        {
            "mu": np.full(N_DRAWS, expit(parent)),
            "mu_school": np.tile(expit(eta[quantiles])[:, None], 2),
            "nu_school": np.full((1, 2), nu),
            "tau_school": np.full(1, tau),
        },
        {"n_students": np.array([n, n]), "mean": np.array([mean, mean])},
        school=["a", "b"],
    )
    # 0.01 is the error of the delta method, the largest of these four being 0.008.
    assert abs(shrinkage(fit, "school").loc[0, "pooling"] - left) < 0.01


def linear_weights(tau_school, tau_district, sigma):
    """Weights of raw means and population in the posterior means, from the joint Normal."""
    s2, n_schools, n_districts = sigma**2 / N, len(N), len(DISTRICTS)
    size = n_schools + n_districts
    precision, data = np.zeros((size, size)), np.zeros((size, n_schools + 1))
    for j, d in enumerate(n_schools + DISTRICT_OF_SCHOOL):
        precision[j, j] += 1 / s2[j] + 1 / tau_school**2
        precision[d, d] += 1 / tau_school**2
        precision[j, d] = precision[d, j] = -1 / tau_school**2
        data[j, j] = 1 / s2[j]
    for d in range(n_schools, size):
        precision[d, d] += 1 / tau_district**2
        data[d, -1] = 1 / tau_district**2
    weights = np.linalg.solve(precision, data)
    return weights[:n_schools], weights[n_schools:]


def test_shares_are_the_weights_of_the_joint_normal():
    spreads = {"tau_school": 0.3, "tau_district": 0.2, "sigma": 0.8}
    table = shrinkage(nested_fit(**spreads), "school")
    weights, _ = linear_weights(**spreads)
    own = np.diag(weights)
    same = DISTRICT_OF_SCHOOL[:, None] == DISTRICT_OF_SCHOOL
    np.testing.assert_allclose(table["share_own"], own)
    np.testing.assert_allclose(table["share_population"], weights[:, -1])
    np.testing.assert_allclose(
        table["share_district"], (weights[:, :-1] * same).sum(axis=1) - own, atol=1e-12
    )


def test_upper_level_is_the_joint_normal():
    spreads = {"tau_school": 0.3, "tau_district": 0.2, "sigma": 0.8}
    fit = nested_fit(**spreads)
    table = shrinkage(fit, "district")
    _, weights = linear_weights(**spreads)
    np.testing.assert_allclose(table["pooling"], weights[:, -1])
    of_schools = weights[:, :-1] / weights[:, :-1].sum(axis=1, keepdims=True)
    np.testing.assert_allclose(table["raw_mean"], of_schools @ RAW)
    # What is left of the prior variance is the pooling factor: s² = τ² λ / (1 − λ).
    s2 = 0.2**2 * weights[:, -1] / (1 - weights[:, -1])
    np.testing.assert_allclose(table["raw_se"], np.sqrt(s2))
    assert table["n_schools"].tolist() == [3, 2, 1]
    assert table["n_students"].tolist() == [22, 31, 9]
    np.testing.assert_allclose(table["target"], fit["posterior/mu"].mean())
    assert table.attrs["parent"] == ""


def test_upper_level_of_a_beta_has_its_standard_error_in_proportions():
    fit = nested_fit()
    mu = fit["posterior/mu_district"].to_numpy()[0]
    child, nu = (fit[f"posterior/{name}_school"].to_numpy()[0] for name in ("mu", "nu"))
    precision = 1 / (1 / (N * (nu + 1) * child * (1 - child)) + 0.09)
    total = np.stack([precision[:, d == DISTRICT_OF_SCHOOL].sum(axis=1) for d in range(3)], axis=1)
    table = shrinkage(fit, "district")
    np.testing.assert_allclose(
        table["raw_se"], np.sqrt(((mu * (1 - mu)) ** 2 / total).mean(axis=0))
    )
    np.testing.assert_allclose(table["pooling"], (25 / (25 + total)).mean(axis=0))


def test_an_only_child_is_flagged_and_only_the_sum_of_its_variances_counts():
    table = shrinkage(nested_fit(tau_school=0.3, tau_district=0.2), "school")
    assert table["only_child"].tolist() == [False] * 5 + [True]
    assert table.loc[5, "share_district"] == 0
    swapped = shrinkage(nested_fit(tau_school=0.2, tau_district=0.3), "school")
    assert np.isclose(swapped.loc[5, "share_own"], table.loc[5, "share_own"])
    assert not np.isclose(swapped.loc[5, "pooling"], table.loc[5, "pooling"])
    assert not np.isclose(swapped.loc[0, "share_own"], table.loc[0, "share_own"])


@pytest.mark.parametrize("sigma", [None, 0.8])
def test_shares_sum_to_one_for_any_draws(sigma):
    rng = np.random.default_rng(5)
    tau = {f"tau_{level}": rng.exponential(0.3, N_DRAWS) for level in ("school", "district")}
    tau["tau_school"][:5] = 0
    tau["tau_district"][3:8] = 0
    table = shrinkage(nested_fit(**tau, sigma=sigma), "school")
    shares = table[["share_own", "share_district", "share_population"]]
    np.testing.assert_allclose(shares.sum(axis=1), 1)
    assert ((shares >= 0) & (shares <= 1)).all(axis=None)


def test_the_table_has_what_a_picture_needs():
    fit = nested_fit()
    table = shrinkage(fit, "school", prob=0.8)
    assert list(table) == [
        *("school", "district", "n_students", "raw_mean", "raw_se", "mean", "sd", "lower"),
        *("upper", "target", "moved", "pooling", "share_own", "share_district"),
        *("share_population", "only_child"),
    ]
    assert table["district"].tolist() == [DISTRICTS[i] for i in DISTRICT_OF_SCHOOL]
    np.testing.assert_allclose(table["raw_mean"], RAW)
    np.testing.assert_allclose(
        table["target"],
        fit["posterior/mu_district"].mean(("chain", "draw")).to_numpy()[DISTRICT_OF_SCHOOL],
    )
    pd.testing.assert_frame_equal(
        table[["school", "mean", "sd", "lower", "upper"]], estimates(fit, "mu_school", 0.8),
        check_dtype=False,
    )  # fmt: skip
    assert table.attrs == {
        "variable": "mu_school",
        "group": "school",
        "parent": "district",
        "size": "n_students",
        "prob": 0.8,
        "unit": "%",
        "proportions": True,
    }


def test_means_without_pooling_are_found_by_label():
    fit, alone = nested_fit(), nested_fit(seed=2)
    backwards = alone.isel(school=slice(None, None, -1))
    table = shrinkage(fit, "school", no_pooling=backwards)
    expected = alone["posterior/mu_school"].mean(("chain", "draw"))
    np.testing.assert_allclose(table["no_pooling"], expected)
    with pytest.raises(ValueError, match=r"without pooling has no school '0006'. Fit both models"):
        shrinkage(fit, "school", no_pooling=alone.isel(school=slice(0, 5)))
    one_level = alone.copy()
    one_level["posterior"] = alone["posterior"].to_dataset().drop_vars("mu_district")
    with pytest.raises(ValueError, match="an upper level exists by pooling only"):
        shrinkage(fit, "district", no_pooling=one_level)
    with pytest.raises(TypeError, match=r"must be an xarray.DataTree, got DataFrame"):
        shrinkage(fit, "school", no_pooling=pd.DataFrame())


def test_what_a_fit_lacks_is_named():
    fit = nested_fit()
    posterior = fit["posterior"].to_dataset()
    other = posterior.assign(mu_student=posterior["mu_school"].rename(school="student"))
    with pytest.raises(ValueError, match=r"group must be 'school' or 'district', .* got 'student'"):
        shrinkage(fit.assign(posterior=xr.DataTree(other)), "student")
    with pytest.raises(ValueError, match="no variable 'mu_shool'"):
        shrinkage(fit, "shool")
    without = fit.copy()
    without["constant_data"] = fit["constant_data"].to_dataset().drop_vars("mean")
    with pytest.raises(ValueError, match=r"must hold each group's raw 'mean'.*it has: n_students"):
        shrinkage(without, "school")
    del without["constant_data"]
    with pytest.raises(ValueError, match=r"raw 'mean' and its number.* it has: nothing"):
        shrinkage(without, "school")
    without = fit.copy()
    without["posterior"] = fit["posterior"].to_dataset().drop_vars("tau_district")
    with pytest.raises(ValueError, match="the fit has no 'tau_district', neither in its posterior"):
        shrinkage(without, "school")


def test_a_saved_fit_gives_the_same_tables(tmp_path):
    fit = nested_fit()
    fit.to_netcdf(tmp_path / "fit.nc")
    with xr.open_datatree(tmp_path / "fit.nc") as saved:
        for group in ("school", "district"):
            pd.testing.assert_frame_equal(shrinkage(saved, group), shrinkage(fit, group))


def test_a_fit_is_not_changed():
    fit = nested_fit()
    before = fit.copy(deep=True)
    shrinkage(fit, "school", no_pooling=fit)
    shrinkage(fit, "district")
    group_table(fit, "school")
    assert fit.identical(before)


def test_working_in_blocks_changes_nothing(monkeypatch):
    fit = nested_fit(tau_school=np.linspace(0, 1, N_DRAWS))
    fit["posterior"] = fit["posterior"].to_dataset().assign(
        eta=(("chain", "draw"), np.full((1, N_DRAWS), 0.6)),
        nu=(("chain", "draw"), np.full((1, N_DRAWS), 6.0)),
        tau_nu=(("chain", "draw"), np.full((1, N_DRAWS), 0.2)),
    )  # fmt: skip
    whole = [shrinkage(fit, "school"), shrinkage(fit, "district"), variance_shares(fit)]
    monkeypatch.setitem(shrinkage.__globals__, "_BLOCK", 20)
    blocks = [shrinkage(fit, "school"), shrinkage(fit, "district"), variance_shares(fit)]
    for one, other in zip(whole, blocks, strict=True):
        pd.testing.assert_frame_equal(one, other)


# Variances


def beta_fit(eta, tau_district, tau_school, nu, tau_nu):
    draws = {"eta": eta, "tau_school": tau_school, "nu": nu, "tau_nu": tau_nu}
    if tau_district is not None:
        draws["tau_district"] = tau_district
    posterior = {name: np.atleast_1d(np.asarray(value, float)) for name, value in draws.items()}
    posterior |= {"mu_school": np.full((1, 6), 0.5), "nu_school": np.full((1, 6), 5.0)}
    constant = {"n_students": N, "mean": RAW}
    if tau_district is not None:
        posterior |= {"mu_district": np.full((1, 3), 0.5)}
        constant |= {"district_of_school": DISTRICT_OF_SCHOOL}
    return tree(posterior, constant, school=SCHOOLS, district=DISTRICTS)


@pytest.mark.parametrize(
    "parameters", [(0.6, 0.2, 0.35, 5.0, 0.2), (2.0, 1.0, 0.7, 3.0, 0.8), (-1.0, 0.6, 1.5, 20.0, 0)]
)
def test_beta_variances_are_the_integrals(parameters):
    eta, tau_district, tau_school, nu, tau_nu = parameters

    # The trapezoidal rule, on a grid much finer than the quadrature's nodes.
    z = np.linspace(-9, 9, 1001)
    weight = stats.norm.pdf(z) / stats.norm.pdf(z).sum()
    of_district = expit(eta + tau_district * z[:, None] + tau_school * z) @ weight
    mu = expit(eta + np.hypot(tau_district, tau_school) * z)
    mean, second = mu @ weight, mu**2 @ weight
    district = (of_district - mean) ** 2 @ weight
    school = second - mean**2 - district
    student = (mean - second) * (1 / (1 + nu * np.exp(tau_nu * z)) @ weight)
    variances = np.array([district, school, student])
    table = variance_shares(beta_fit(*parameters))
    assert table["level"].tolist() == ["district", "school", "student"]
    np.testing.assert_allclose(table["sd"], np.sqrt(variances), rtol=1e-5)
    np.testing.assert_allclose(table["share"], variances / variances.sum(), rtol=1e-5)
    one_level = variance_shares(beta_fit(eta, None, np.hypot(tau_district, tau_school), nu, tau_nu))
    assert one_level["level"].tolist() == ["school", "student"]
    np.testing.assert_allclose(one_level["sd"], np.sqrt([district + school, student]), rtol=1e-5)


def test_normal_variances_are_the_squares_and_their_intervals_those_of_the_draws():
    rng = np.random.default_rng(4)
    tau, sigma = rng.uniform(1, 5, N_DRAWS), rng.uniform(3, 8, N_DRAWS)
    share = tau**2 / (tau**2 + sigma**2)
    table = variance_shares(normal_fit(tau=tau, sigma=sigma), prob=0.8)
    assert table["level"].tolist() == ["country", "person"]
    np.testing.assert_allclose(table["share"], [share.mean(), 1 - share.mean()])
    np.testing.assert_allclose(
        table.loc[0, ["lower", "upper"]].astype(float), np.quantile(share, [0.1, 0.9])
    )
    np.testing.assert_allclose(table["sd"], [tau.mean(), sigma.mean()])
    assert table.attrs == {"prob": 0.8, "unit": "", "proportions": False}


def test_variances_without_a_population_are_refused():
    fit = beta_fit(1.1, None, 1.5, 10.0, 1.0)
    posterior = fit["posterior"].to_dataset()
    fixed = posterior[["eta", "tau_school", "nu", "tau_nu"]].isel(chain=0, draw=0, drop=True)
    fit["constant_data"] = fit["constant_data"].to_dataset().merge(fixed)
    fit["posterior"] = posterior.drop_vars(list(fixed))
    with pytest.raises(ValueError, match=r"does not pool: .* no spread between school means"):
        variance_shares(fit)
    with pytest.raises(TypeError, match=r"must be an xarray.DataTree, got dict"):
        variance_shares({})
    with pytest.raises(ValueError, match="prob must lie between 0 and 1, got 0"):
        variance_shares(normal_fit(), prob=0)


def test_complete_pooling_leaves_no_variance_between_groups():
    table = variance_shares(beta_fit(0.6, None, 0.0, 5.0, 0.0))
    np.testing.assert_allclose(table["share"], [0, 1], atol=1e-12)


# The models


@pytest.mark.parametrize(
    ("name", "groups"),
    [
        ("heights.complete_pooling", ["country"]),
        ("heights.no_pooling", ["country"]),
        ("heights.partial_pooling", ["country"]),
        ("scores.complete_pooling", ["school"]),
        ("scores.nested", ["school", "district"]),
        ("exams.no_pooling", ["school"]),
        ("exams.nested", ["school", "authority"]),
    ],
)
def test_every_kind_of_model_has_its_table(name, groups):
    """Draws of the prior take the place of the posterior's: only names and shapes matter here."""
    model = build(name)
    with model:
        draws = pm.draw(model.unobserved_RVs, 20, random_seed=1, mode="FAST_COMPILE")
    dims = {name: list(dims) for name, dims in model.named_vars_to_dims.items()}
    fit = az.from_dict(
        {
            "posterior": {
                rv.name: x[None] for rv, x in zip(model.unobserved_RVs, draws, strict=True)
            },
            "constant_data": {data.name: data.get_value() for data in model.data_vars},
        },
        dims=dims,
        coords={dim: list(labels) for dim, labels in model.coords.items() if labels},
    )
    for group in groups:
        table = shrinkage(fit, group)
        assert table[group].tolist() == list(model.coords[group])
        assert table["pooling"].between(0, 1).all()
        assert (table["pooling"] == 1).all() == name.endswith("complete_pooling")
        assert table.notna().all(axis=None)
    if not name.endswith("no_pooling"):
        np.testing.assert_allclose(variance_shares(fit)["share"].sum(), 1)


@pytest.mark.slow
def test_a_real_fit_moves_as_its_pooling_says():
    """The mean of mu_country is that of (1 − λ) raw + λ mu, but for sampling error."""
    table, _ = hbm.simulate.heights(8, [1, 2, 3, 5, 8, 12, 20, 40], sigma=8, random_seed=3)
    fit = hbm.sample(hbm.heights.partial_pooling(table), random_seed=1, progressbar=False)
    found = shrinkage(fit, "country")
    draws = fit["posterior"].to_dataset()
    s2 = draws["sigma"] ** 2 / fit["constant_data/n_people"]
    weight = s2 / (s2 + draws["tau_country"] ** 2)
    np.testing.assert_allclose(found["pooling"], weight.mean(("chain", "draw")))
    way = (1 - weight) * fit["constant_data/mean"] + weight * draws["mu"]
    difference = (draws["mu_country"] - way).rename("difference")
    z = difference.mean(("chain", "draw")) / az.mcse(difference)
    assert (abs(z) < 4).all()
    assert found["pooling"].is_monotonic_decreasing
