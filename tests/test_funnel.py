"""Control limits hold the share of groups they say, given parameters that are known."""

import arviz_base as azb
import numpy as np
import pandas as pd
import pytest
import xarray as xr
from matplotlib.colors import to_hex
from numpy.testing import assert_allclose
from scipy.special import expit
from scipy.stats import beta, norm

import hbm
from hbm import funnel_limits

POPULATION = {"mu": 0.65, "tau_authority": 0.25, "tau_school": 0.35, "nu": 5.0, "tau_nu": 0.3}


def normal_fit(mu=175.0, tau=3.0, sigma=6.0, n_people=(4, 100), fixed=()):
    """Return a fake fit of heights; what is `fixed` is in constant_data."""
    constant = {"n_people": np.array(n_people), "mean": np.full(len(n_people), 175.0)}
    learned = {"mu": mu, "tau_country": tau, "sigma": sigma}
    constant |= {name: np.asarray(learned.pop(name)) for name in fixed}
    posterior = {name: np.atleast_2d(np.broadcast_to(x, 1000)) for name, x in learned.items()}
    posterior["mu_country"] = np.full((1, 1000, len(n_people)), 175.0)
    return azb.from_dict(
        {"posterior": posterior, "constant_data": constant},
        dims={name: ["country"] for name in ("mu_country", "n_people", "mean")},
        coords={"country": [f"c{i}" for i in range(len(n_people))]},
    )


def exam_fit(table, *, mu, tau_authority, tau_school, nu, tau_nu):
    """Return a fake fit of exams.nested that knows the parameters."""
    authorities = list(dict.fromkeys(table["authority"]))
    n_schools = len(table)
    learned = {
        "eta": np.log(mu / (1 - mu)),
        "tau_authority": tau_authority,
        "tau_school": tau_school,
        "nu": nu,
        "tau_nu": tau_nu,
    }
    posterior = {name: np.full((1, 4), value) for name, value in learned.items()}
    posterior |= {
        "mu_school": np.full((1, 4, n_schools), mu),
        "nu_school": np.full((1, 4, n_schools), nu),
        "mu_authority": np.full((1, 4, len(authorities)), mu),
    }
    constant = {
        "n_students": table["n_students"].to_numpy(),
        "mean": table["mean"].to_numpy(),
        "authority_of_school": table["authority"].map(authorities.index).to_numpy(),
    }
    return azb.from_dict(
        {"posterior": posterior, "constant_data": constant},
        dims={name: ["school"] for name in ("mu_school", "nu_school", *constant)}
        | {"mu_authority": ["authority"]},
        coords={"school": list(table["school"]), "authority": authorities},
    )


def test_limits_of_normal_means_are_the_closed_form():
    limits = funnel_limits(normal_fit(), "country", n=[1, 4, 100], prob=0.8)
    n = np.array([1, 4, 100])
    z = norm.ppf(0.9)
    # 8,192 quasi-random points tell a quantile to about a hundredth of a standard deviation.
    for ends, spread in (
        (["alike_lower", "alike_upper"], 6 / np.sqrt(n)),
        (["lower", "upper"], np.sqrt(9 + 36 / n)),
    ):
        away = (limits[ends].to_numpy() - 175) / spread[:, None]
        assert_allclose(away, np.tile([-z, z], (3, 1)), atol=0.02)
    assert (limits["centre"] == 175).all()
    assert limits.attrs == {
        "group": "country",
        "size": "n_people",
        "prob": 0.8,
        "far": 0.998,
        "unit": "",
        "proportions": False,
    }


@pytest.mark.parametrize("far", [0.998, 0.99])
def test_far_limits_are_outer_ones_of_a_higher_level(far):
    n = [1, 4, 100]
    limits = funnel_limits(normal_fit(), "country", n=n, far=far)
    away = (limits[["far_lower", "far_upper"]] - 175).div(np.sqrt(9 + 36 / np.array(n)), axis=0)
    # The standard error of this quantile, were the 8,192 points random: 0.10 and 0.06.
    z = norm.ppf((1 + far) / 2)
    assert_allclose(away, np.tile([-z, z], (3, 1)), atol=0.07)
    assert limits.attrs["far"] == far
    ends = [[f"{end}lower", f"{end}upper"] for end in ("far_", "")]
    as_outer = funnel_limits(normal_fit(), "country", n=n, prob=far, far=1 - 1e-6)
    assert_allclose(limits[ends[0]], as_outer[ends[1]])


def test_what_is_not_known_of_the_population_widens_the_outer_limits_only():
    mu = np.random.default_rng(1).normal(175, 4, 1000)
    sure = funnel_limits(normal_fit(mu.mean()), "country", n=[10_000])
    unsure = funnel_limits(normal_fit(mu), "country", n=[10_000])
    assert_allclose(unsure[["alike_lower", "alike_upper"]], sure[["alike_lower", "alike_upper"]])
    half = (unsure["upper"] - unsure["lower"])[0] / 2
    # 1,000 draws of mu tell its standard deviation to about one part in 45.
    assert_allclose(half, 1.96 * np.hypot(3, 4), rtol=0.04)
    assert (sure["upper"] - sure["lower"])[0] / 2 < 0.65 * half


def test_sampling_variation_of_proportions_is_that_of_a_beta():
    table = hbm.simulate.exams([2, 2], 20, random_seed=1)[0]
    none = {"tau_nu": 0.0, "tau_school": 0.0, "tau_authority": 0.0}
    fit = exam_fit(table, **(POPULATION | none))
    limits = funnel_limits(fit, "school", n=[3, 50], prob=0.9)
    trials = np.array([3, 50]) * (5 + 1) - 1
    exact = beta(0.65 * trials, 0.35 * trials)
    for column, p in (("alike_lower", 0.05), ("alike_upper", 0.95)):
        away = (limits[column].to_numpy() - exact.ppf(p)) / exact.std()
        assert_allclose(away, 0, atol=0.02)


@pytest.mark.parametrize("number", [6, 60])
@pytest.mark.parametrize("alike", [True, False])
def test_limits_hold_the_share_of_simulated_schools_they_say(number, alike):
    # Students are simulated one by one; schools of one authority each, so that they are
    # independent and the count outside is Binomial.
    n_schools = 4000
    five = hbm.simulate.exams([1] * 5, number, random_seed=number)[0]
    limits = funnel_limits(exam_fit(five, **POPULATION), "school", n=[number], prob=0.9).iloc[0]
    all_alike = {"mu": limits["centre"], "tau_authority": 0.0, "tau_school": 0.0}
    population = POPULATION | (all_alike if alike else {})
    table, *_ = hbm.simulate.exams([1] * n_schools, number, **population, random_seed=number)
    ends = ("alike_lower", "alike_upper") if alike else ("lower", "upper")
    outside = ~table["mean"].between(*limits[list(ends)])
    # Four standard errors of the share.
    assert outside.mean() == pytest.approx(0.1, abs=4 * np.sqrt(0.1 * 0.9 / n_schools))


def centre_of(eta, tau_authority, tau_school):
    """Return what `centre` is, from draws: the mean of all schools, by a sum over fine steps."""
    z = np.linspace(-9, 9, 181)
    tau = np.hypot(tau_authority, tau_school)
    means = expit(eta[:, None] + tau[:, None] * z)
    return np.average(means, axis=1, weights=norm.pdf(z)).mean()


def test_the_centre_is_that_of_the_draws():
    table = hbm.simulate.exams([2, 2], 20, random_seed=1)[0]
    fit = exam_fit(table, **(POPULATION | {"tau_nu": 0.0}))
    draws = {
        "eta": np.array([-1.0, 0.5, 2.0, 3.5]),
        "tau_authority": np.array([0.3, 1.1, 0.6, 0.2]),
        "tau_school": np.array([0.9, 0.2, 0.7, 0.5]),
    }
    for name, values in draws.items():
        fit["posterior"][name][:] = values
    expected = centre_of(**draws)
    assert abs(expected - expit(draws["eta"].mean())) > 0.05
    # The school in the middle is another.
    assert abs(expected - expit(draws["eta"]).mean()) > 0.005
    # Of a million students, those of a school like the others have its mean.
    limits = funnel_limits(fit, "school", n=[5, 1_000_000])
    assert_allclose(limits["centre"], expected, rtol=1e-12)
    assert_allclose(limits[["alike_lower", "alike_upper"]].iloc[1], expected, atol=0.001)


def test_limits_narrow_with_size_and_lie_around_each_other():
    limits = funnel_limits(normal_fit(), "country")
    assert limits["n_people"].iloc[[0, -1]].tolist() == [4, 100]
    assert limits["n_people"].is_monotonic_increasing
    assert limits["n_people"].is_unique
    width = limits["alike_upper"] - limits["alike_lower"]
    assert (width.diff().dropna() < 0).all()
    assert (limits["lower"] < limits["alike_lower"]).all()
    assert (limits["upper"] > limits["alike_upper"]).all()


def test_equal_sizes_get_limits_around_them():
    limits = funnel_limits(normal_fit(n_people=(20, 20)), "country")
    assert limits["n_people"].iloc[[0, -1]].tolist() == [10, 40]


def test_complete_pooling_says_that_all_are_alike():
    limits = funnel_limits(normal_fit(tau=0.0, fixed=["tau_country"]), "country")
    assert_allclose(limits["alike_lower"], limits["lower"])


def simulated(n, seed):
    """Return a table of n countries of the population of `normal_fit`."""
    rng = np.random.default_rng(seed)
    size = rng.integers(4, 101, n)
    raw = rng.normal(175, np.sqrt(9 + 36 / size))
    return pd.DataFrame({"country": [f"c{i}" for i in range(n)], "n_people": size, "raw_mean": raw})


def beyond(table, limits, which=""):
    """Return the countries outside some limits, which go with 1/√n."""
    x, at = -1 / np.sqrt(table["n_people"]), -1 / np.sqrt(limits["n_people"])
    lower, upper = (np.interp(x, at, limits[f"{which}{end}"]) for end in ("lower", "upper"))
    return set(table["country"][~table["raw_mean"].between(lower, upper)])


def named(ax):
    return {name for text in ax.texts for name in text.get_text().split(", ")}


def legend_of(ax):
    return [text.get_text() for text in ax.get_legend().get_texts()]


def test_names_go_to_what_chance_does_not_explain():
    fit, table = normal_fit(), simulated(318, seed=2)
    table.loc[7, ["n_people", "raw_mean"]] = 50, 175 - 5 * 3.2
    limits = funnel_limits(fit, "country")
    ax = hbm.plot_funnel(table, limits)
    outside, far = beyond(table, limits), beyond(table, limits, "far_")
    # Chance puts 15.9 ± 3.9 outside, and 0.6 ± 0.8 far outside; one was put there.
    assert abs(len(outside) - 1 - 15.9) < 4 * 3.9
    assert {"c7"} <= far < outside
    assert len(far) - 1 <= 4
    assert named(ax) == far
    assert legend_of(ax)[1:] == [
        f"as they differ: {len(outside)} of 318 outside, 15.9 expected",
        f"99.8 % far limits: {len(far)} of 318 outside, 0.6 expected",
        "mean of the population",
    ]
    *_, diamonds = ax.collections
    assert len(diamonds.get_offsets()) == len(outside)
    assert sum(to_hex(c) != "#ffffff" for c in diamonds.get_facecolors()) == len(far)
    # Who asks for a higher level is told of fewer.
    ax = hbm.plot_funnel(table, funnel_limits(fit, "country", far=0.9999))
    assert named(ax) == {"c7"}
    assert legend_of(ax)[2] == "99.99 % far limits: 1 of 318 outside, 0.0 expected"


def test_limits_without_far_ones_name_all_outside():
    fit, table = normal_fit(), simulated(60, seed=2)
    limits = funnel_limits(fit, "country").drop(columns=["far_lower", "far_upper"])
    ax = hbm.plot_funnel(table, limits)
    assert named(ax) == beyond(table, limits) != set()
    assert len(legend_of(ax)) == 3


def test_a_level_that_is_lost_is_not_guessed():
    limits = funnel_limits(normal_fit(), "country")
    limits.attrs = {}
    texts = legend_of(hbm.plot_funnel(simulated(60, seed=2), limits))
    assert not any("expected" in text for text in texts)
    assert texts[2].startswith("far limits: ")


def test_refused():
    with pytest.raises(ValueError, match=r"does not pool.*hold a country against"):
        funnel_limits(normal_fit(fixed=["mu", "tau_country"]), "country")
    with pytest.raises(ValueError, match=r"whole numbers, got \[1\.5\]"):
        funnel_limits(normal_fit(), "country", n=[1.5])
    with pytest.raises(ValueError, match="1 or more, got 0"):
        funnel_limits(normal_fit(), "country", n=[0, 5])
    with pytest.raises(ValueError, match="prob must lie between 0 and 1, got 95"):
        funnel_limits(normal_fit(), "country", prob=95)
    with pytest.raises(ValueError, match=r"far must lie between 0 and 1, got 99\.8; 0\.998 is"):
        funnel_limits(normal_fit(), "country", far=99.8)
    with pytest.raises(TypeError, match=r"far must be a number, got '99\.8 %'; 0\.998 is 99\.8 %"):
        funnel_limits(normal_fit(), "country", far="99.8 %")
    with pytest.raises(TypeError, match=r"must be an xarray\.DataTree"):
        funnel_limits(normal_fit()["posterior"].to_dataset(), "country")
    table = hbm.simulate.exams([2, 2], 20, random_seed=1)[0]
    with pytest.raises(ValueError, match=r"no raw means of 'authority'; it has those of 'school'"):
        funnel_limits(exam_fit(table, **POPULATION), "authority")
    bare = xr.DataTree.from_dict({"posterior": normal_fit()["posterior"].to_dataset()})
    with pytest.raises(ValueError, match="must hold each group's raw 'mean' and its number"):
        funnel_limits(bare, "country")
