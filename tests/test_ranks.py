"""Ranks, against brute force over draws, and their joint intervals against unseen truths."""

import itertools
import re

import arviz as az
import numpy as np
import pandas as pd
import pytest
import xarray as xr
from fakes import fake_fit
from scipy.special import expit
from scipy.stats import rankdata

import hbm
from hbm.results.rank_intervals import pairs_apart, tiers, worst_inversion
from hbm.results.ranks import pairwise, ranks


def fit_of(draws, **more):
    """Make a fit of draws of the means, (n_draws, n_groups)."""
    labels = [f"s{i}" for i in range(draws.shape[1])]
    posterior = {"mu_school": draws[None]} | {name: x[None] for name, x in more.items()}
    return az.from_dict(
        {"posterior": posterior},
        dims={name: ["school"] for name in posterior},
        coords={"school": labels},
    )


def some_draws(n_groups=7, n_draws=300, seed=1):
    """Correlated draws of groups of unlike precision, some far apart and some near."""
    rng = np.random.default_rng(seed)
    centre, spread = rng.normal(60, 3, n_groups), rng.uniform(0.2, 3, n_groups)
    common = rng.normal(0, 2, (n_draws, 1))
    return centre + common + spread * rng.normal(size=(n_draws, n_groups))


def positions(table):
    """Return the position in the draws of each row's group."""
    return table["school"].str[1:].astype(int).to_numpy()


def in_order_of_draws(table):
    return table.iloc[np.argsort(positions(table))]


def rank_one_by_one(draws):
    return np.array([[1 + sum(other > x for other in draw) for x in draw] for draw in draws])


# The table


@pytest.mark.parametrize("prob", [0.8, 0.95])
def test_ranks_are_those_of_each_draw(prob):
    draws = some_draws()
    rank = rank_one_by_one(draws)
    table = ranks(fit_of(draws), "school", k=2, prob=prob)
    order = np.argsort(rank.mean(axis=0), kind="stable")
    assert table["school"].tolist() == [f"s{i}" for i in order]
    table = table.iloc[np.argsort(order)]
    np.testing.assert_allclose(table["expected_rank"], rank.mean(axis=0))
    np.testing.assert_allclose(table["p_top"], (rank <= 2).mean(axis=0))
    np.testing.assert_allclose(table["p_bottom"], (rank >= 6).mean(axis=0))
    above = draws > draws.mean(axis=1)[:, None]
    np.testing.assert_allclose(table["p_above_average"], above.mean(axis=0))
    for i, (lower, upper) in enumerate(zip(table["rank_lower"], table["rank_upper"], strict=True)):
        assert np.mean(rank[:, i] < lower) <= (1 - prob) / 2 < np.mean(rank[:, i] <= lower)
        assert np.mean(rank[:, i] > upper) <= (1 - prob) / 2 < np.mean(rank[:, i] >= upper)
    np.testing.assert_allclose(table["mean"], draws.mean(axis=0))
    ends = np.quantile(draws, [(1 - prob) / 2, (1 + prob) / 2], axis=0)
    np.testing.assert_allclose(table[["lower", "upper"]].T, ends)


def test_rank_one_is_the_highest_mean():
    draws = np.random.default_rng(1).normal([1.0, 9.0, 5.0], 0.01, (100, 3))
    table = ranks(fit_of(draws), "school")
    assert table["school"].tolist() == ["s1", "s2", "s0"]
    for column in ("expected_rank", "rank_lower", "rank_upper", "joint_lower", "joint_upper"):
        assert table[column].tolist() == [1, 2, 3]
    assert table["tier"].tolist() == [1, 2, 3]
    assert table["p_top"].tolist() == [1, 0, 0]
    assert table["p_bottom"].tolist() == [0, 0, 1]


def test_groups_alike_cannot_be_told_apart():
    draws = np.random.default_rng(1).normal(5.0, 1.0, (2000, 30))
    table = ranks(fit_of(draws), "school")
    assert (table["tier"] == 1).all()
    assert (table["joint_lower"] <= 2).all()
    assert (table["joint_upper"] >= 29).all()
    assert table["expected_rank"].between(14, 17).all()


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("prob", [0.5, 0.9])
def test_joint_statements_hold_in_the_promised_part_of_the_draws(seed, prob):
    draws = some_draws(n_groups=15, seed=seed)
    rank = rank_one_by_one(draws)
    table = in_order_of_draws(ranks(fit_of(draws), "school", prob=prob))
    inside = (rank >= table["joint_lower"].to_numpy()) & (rank <= table["joint_upper"].to_numpy())
    assert inside.all(axis=1).mean() >= prob
    lower, upper = table["comparison_lower"].to_numpy(), table["comparison_upper"].to_numpy()
    ordered = lower[:, None] > upper
    assert ordered.any()

    def right(ordered):
        wrong = (draws[:, :, None] < draws[:, None, :]) & ordered
        return 1 - wrong.any(axis=(1, 2)).mean()

    assert right(ordered) >= prob
    # No wider than needed: a little narrower, they promise too much.
    centre, half = draws.mean(axis=0), (1 - 1e-6) * (upper - lower) / 2
    assert right((centre - half)[:, None] > centre + half) < prob
    np.testing.assert_allclose((upper + lower) / 2, centre)
    half /= draws.std(axis=0, ddof=1)
    np.testing.assert_allclose(half, half[0])


def test_joint_rank_intervals_are_as_narrow_as_the_draws_allow():
    draws = some_draws(n_groups=15)
    rank = rank_one_by_one(draws)
    table = in_order_of_draws(ranks(fit_of(draws), "school", prob=0.9))
    centre, spread = draws.mean(axis=0), draws.std(axis=0, ddof=1)

    def bounds(c):
        low, high = centre - c * spread, centre + c * spread
        above = (low[:, None] > high).sum(axis=0)
        below = (high[:, None] < low).sum(axis=0)
        own = table[["rank_lower", "rank_upper"]].to_numpy().T
        return np.minimum(1 + above, own[0]), np.maximum(15 - below, own[1])

    grid = np.arange(0, 6, 0.001)
    held = [
        np.all((rank >= lo) & (rank <= up), axis=1).mean() >= 0.9 for lo, up in map(bounds, grid)
    ]
    smallest = grid[np.argmax(held)]
    np.testing.assert_array_equal(table[["joint_lower", "joint_upper"]].T, bounds(smallest))


def test_worst_inversion_is_the_largest_over_all_pairs():
    draws = some_draws(n_groups=12, n_draws=60)
    centre, spread = draws.mean(axis=0), draws.std(axis=0)
    ratio = (centre[:, None] - centre) / (spread[:, None] + spread)
    expected = [max(0.0, ratio[draw[:, None] < draw].max()) for draw in draws]
    np.testing.assert_allclose(worst_inversion(draws, centre, spread), expected)
    assert np.max(expected) > 0.5


def test_tiers_are_the_fewest_runs_that_cannot_be_told_apart():
    table = ranks(fit_of(some_draws(n_groups=40)), "school", prob=0.8)
    lower, upper = table["comparison_lower"].to_numpy(), table["comparison_upper"].to_numpy()
    apart = (lower[:, None] > upper) | (upper[:, None] < lower)
    tier = table["tier"].to_numpy()
    assert tier[0] == 1
    assert set(np.diff(tier)) == {0, 1}
    for t in range(1, tier[-1] + 1):
        members = np.flatnonzero(tier == t)
        assert not apart[np.ix_(members, members)].any()
        if t < tier[-1]:
            assert apart[members[-1] + 1, members].any()


@pytest.mark.parametrize("seed", range(3))
def test_pairs_told_apart_are_counted(seed):
    table = ranks(fit_of(some_draws(n_groups=40, seed=seed)), "school", prob=0.8)
    lower, upper = table["comparison_lower"].to_numpy(), table["comparison_upper"].to_numpy()
    tier = table["tier"].to_numpy()
    pairs = list(itertools.combinations(range(40), 2))
    apart = np.array([lower[i] > upper[j] or lower[j] > upper[i] for i, j in pairs])
    different = np.array([tier[i] != tier[j] for i, j in pairs])
    assert 0 < apart.sum() < different.sum() < len(pairs)
    assert table.attrs["told_apart"] == apart.mean()
    assert table.attrs["told_apart_between_tiers"] == apart[different].mean()
    assert type(table.attrs["told_apart"]) is type(table.attrs["told_apart_between_tiers"]) is float


def test_intervals_that_touch_are_not_told_apart():
    assert pairs_apart([1, 2, 5], [2, 5, 6]) == 1
    assert pairs_apart([5, 1, 2], [6, 2, 5]) == 1
    assert pairs_apart([0.5], [1]) == 0


def test_of_thousands_of_groups_pairs_are_not_compared_one_by_one():
    rng = np.random.default_rng(1)
    lower = rng.normal(size=200_000)
    upper = lower + rng.uniform(0, 1, lower.size)
    # All 20 thousand million pairs would not fit into memory.
    some = rng.choice(lower.size, 300)
    found = [(upper < low).mean() for low in lower[some]]
    share = pairs_apart(lower, upper) / lower.size**2
    assert abs(share - np.mean(found)) < 4 * np.std(found) / np.sqrt(len(found))


def test_tiers_of_intervals_written_down():
    def cut(*intervals):
        return tiers(*np.array(intervals, float).T).tolist()

    assert cut((8, 9), (7, 9), (6, 8), (5, 6.5), (4, 5), (1, 3)) == [1, 1, 1, 2, 2, 3]
    # The first and the second overlap, and the second and the third, but not all three.
    assert cut((5, 6), (2, 6), (1, 3), (0, 4)) == [1, 1, 2, 2]
    # A group may even lie above one that comes before it.
    assert cut((1, 2), (2.5, 3.5), (3, 7)) == [1, 2, 2]


def widened_quantiles(values, prob):
    """Widen quantiles of ranks until they hold a part of the draws: what `ranks` does not do."""
    rank = rankdata(-values, axis=1)
    ordered, inside, outside = np.sort(rank, axis=0), 0, len(rank) // 2
    while outside - inside > 1:
        cut = (inside + outside) // 2
        held = ((rank >= ordered[cut]) & (rank <= ordered[-1 - cut])).all(axis=1).mean()
        inside, outside = (cut, outside) if held >= prob else (inside, cut)
    return ordered[inside], ordered[-1 - inside]


@pytest.mark.parametrize(
    ("n_groups", "n_draws", "n_sets"),
    [
        (80, 400, 250),
        pytest.param(60, 2000, 1500, marks=pytest.mark.calibration),
        pytest.param(300, 1000, 500, marks=pytest.mark.calibration),
    ],
)
def test_joint_intervals_hold_the_truth_as_often_as_they_say(n_groups, n_draws, n_sets):
    """Truths from the population and conjugate Normal draws, which the truths are none of."""
    rng = np.random.default_rng(12)
    prob, held, compared, by_quantiles = 0.9, 0, 0, 0
    for _ in range(n_sets):
        truth = rng.normal(0, 1, n_groups)
        se = rng.uniform(0.1, 1.0, n_groups)
        weight = 1 / (1 + se**2)
        centre = weight * rng.normal(truth, se)
        draws = rng.normal(centre, np.sqrt(weight) * se, (n_draws, n_groups))
        lower, upper = widened_quantiles(draws, prob)
        rank = rankdata(-truth)
        by_quantiles += ((lower <= rank) & (rank <= upper)).all()
        table = ranks(fit_of(draws), "school", prob=prob)
        truth = truth[positions(table)]
        rank = rankdata(-truth)
        held += (table["joint_lower"] <= rank).all() and (rank <= table["joint_upper"]).all()
        lower, upper = table["comparison_lower"].to_numpy(), table["comparison_upper"].to_numpy()
        compared += not ((lower[:, None] > upper) & (truth[:, None] < truth)).any()
    error = np.sqrt(prob * (1 - prob) / n_sets)
    print(
        f"ranks {held / n_sets:.3f}, comparisons {compared / n_sets:.3f}, error {error:.3f}; "
        f"ranks by widened quantiles {by_quantiles / n_sets:.3f}"
    )
    assert abs(held / n_sets - prob) < 3.5 * error
    assert abs(compared / n_sets - prob) < 3.5 * error


def test_logits_are_used_where_the_model_has_them():
    eta = np.random.default_rng(2).normal([2.0, 3.0, 5.0, 2.5], 0.8, (500, 4))
    schools = pd.DataFrame({"school": ["s0", "s1", "s2", "s3"], "n_students": 9})
    model = hbm.exams.partial_pooling(schools.assign(mean=0.9, sd=0.1))
    draws = {"eta": 2.0, "tau_school": 0.5, "nu": 6.0, "tau_nu": 0.3}
    draws |= {"eta_school": eta, "mu_school": expit(eta), "log_nu_school": 1.8, "nu_school": 6.0}
    table = ranks(fake_fit(model, draws), "school", prob=0.99)
    plain = ranks(fit_of(eta), "school", prob=0.99)
    same = ["school", "expected_rank", "rank_lower", "rank_upper", "joint_lower", "joint_upper"]
    pd.testing.assert_frame_equal(table[[*same, "p_top", "tier"]], plain[[*same, "p_top", "tier"]])
    ends = ["comparison_lower", "comparison_upper"]
    np.testing.assert_allclose(table[ends], expit(plain[ends]))
    assert table["comparison_upper"].between(0, 1).all()
    above = expit(eta) > expit(eta).mean(axis=1)[:, None]
    by_label = table.set_index("school").loc[["s0", "s1", "s2", "s3"]]
    np.testing.assert_allclose(by_label["p_above_average"], above.mean(axis=0))


def test_parent_and_size_come_along_if_the_fit_holds_them():
    fit = az.from_dict(
        {
            "posterior": {
                "mu_school": some_draws(3)[None],
                "mu_district": some_draws(2)[None],
            },
            "constant_data": {
                "n_students": np.array([4.0, 5.0, 6.0]),
                "district_of_school": np.array([1, 0, 1]),
            },
        },
        dims={
            "mu_school": ["school"],
            "mu_district": ["district"],
            "n_students": ["school"],
            "district_of_school": ["school"],
        },
        coords={"school": ["a", "b", "c"], "district": ["x", "y"]},
    )
    table = ranks(fit, "school").sort_values("school")
    assert table["district"].tolist() == ["y", "x", "y"]
    assert table["n_students"].tolist() == [4, 5, 6]
    assert table.attrs == {
        "variable": "mu_school",
        "group": "school",
        "parent": "district",
        "size": "n_students",
        "prob": 0.95,
        "k": 1,
        "adjusted": False,
        "question": "Which school has the highest mean, for whatever reason?",
        "predictors": [],
        "told_apart": 0.0,
        "told_apart_between_tiers": 0.0,
        "unit": "",
        "proportions": False,
    }
    districts = ranks(fit, "district").sort_values("district")
    assert districts["n_students"].tolist() == [5, 10]


def test_k_is_ten_or_half_of_few_groups():
    assert ranks(fit_of(some_draws(25)), "school").attrs["k"] == 10
    assert ranks(fit_of(some_draws(7)), "school").attrs["k"] == 3
    assert ranks(fit_of(some_draws(2)), "school").attrs["k"] == 1


def test_working_in_blocks_changes_nothing(monkeypatch):
    fit = fit_of(some_draws())
    whole = ranks(fit, "school")
    monkeypatch.setitem(ranks.__globals__, "_BLOCK", 30)
    pd.testing.assert_frame_equal(ranks(fit, "school"), whole)


def test_equal_means_share_the_better_rank():
    draws = np.array([[3.0, 3.0, 1.0], [2.0, 3.0, 3.0]])
    table = ranks(fit_of(draws), "school").sort_values("school")
    assert table["expected_rank"].tolist() == [2.0, 1.0, 2.0]
    assert pairwise(fit_of(draws), "school").loc["s0", "s1"] == 0
    assert pairwise(fit_of(draws), "school").loc["s1", "s0"] == 0.5


# Pairs


def test_pairwise_is_counted_over_the_draws():
    draws = some_draws()
    table = pairwise(fit_of(draws), "school")
    labels = [f"s{i}" for i in range(7)]
    assert table.index.tolist() == table.columns.tolist() == labels
    for i, row in enumerate(labels):
        for j, column in enumerate(labels):
            found = table.loc[row, column]
            assert np.isnan(found) if i == j else found == np.mean(draws[:, i] > draws[:, j])


def test_pairwise_of_some_groups_is_a_part_of_all():
    fit = fit_of(some_draws())
    some = pairwise(fit, "school", ["s4", "s0", "s5"])
    expected = pairwise(fit, "school").loc[["s4", "s0", "s5"], ["s4", "s0", "s5"]]
    pd.testing.assert_frame_equal(some, expected)


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (["s1", "x", "y"], "different groups of 'school'; unknown: 'x', 'y'"),
        (["s1", "s2", "s1"], "different groups of 'school'; one is there twice"),
        (["s1"], "there is only one label; give two or more"),
    ],
)
def test_wrong_labels_are_refused(labels, message):
    with pytest.raises(ValueError, match=message):
        pairwise(fit_of(some_draws()), "school", labels)


# Refusals


@pytest.mark.parametrize("function", [ranks, pairwise])
def test_what_cannot_be_ranked_is_refused(function):
    with pytest.raises(TypeError, match=r"must be an xarray.DataTree, got DataFrame"):
        function(pd.DataFrame(), "school")
    with pytest.raises(ValueError, match="no group 'posterior'"):
        function(xr.DataTree(), "school")
    with pytest.raises(ValueError, match=r"no variable 'mu_country'; it has: mu_school"):
        function(fit_of(some_draws()), "country")
    with pytest.raises(ValueError, match="there is only one school; ranks need two or more"):
        function(fit_of(some_draws(1)), "school")
    same = np.repeat(some_draws(1), 4, axis=1)
    with pytest.raises(ValueError, match="the same mean in every draw, as with complete pooling"):
        function(fit_of(same), "school")
    bad = some_draws()
    bad[3, 2] = np.nan
    with pytest.raises(ValueError, match="draws of 's2' are not finite"):
        function(fit_of(bad), "school")


@pytest.mark.parametrize("k", ["3", 2.5, 3.0, True, [3]])
def test_k_that_is_no_whole_number_is_refused(k):
    with pytest.raises(TypeError, match=f"k must be a whole number, got {re.escape(repr(k))}"):
        ranks(fit_of(some_draws()), "school", k=k)


def test_k_may_be_a_whole_number_of_numpy():
    assert type(ranks(fit_of(some_draws()), "school", k=np.int64(2)).attrs["k"]) is int


def test_prob_that_is_no_number_is_refused():
    with pytest.raises(TypeError, match=r"prob must be a number, got '0\.9'"):
        ranks(fit_of(some_draws()), "school", prob="0.9")


@pytest.mark.parametrize("labels", ["s1", 1])
def test_labels_that_are_no_list_are_refused(labels):
    with pytest.raises(TypeError, match=rf"labels must be a list of labels, got {labels!r}; write"):
        pairwise(fit_of(some_draws()), "school", labels)


@pytest.mark.parametrize("function", [ranks, pairwise])
@pytest.mark.parametrize("dim", ["chain", "draw"])
def test_one_chain_or_draw_selected_is_refused(function, dim):
    fit = fit_of(some_draws())
    with pytest.raises(ValueError, match=rf"no dim '{dim}', as after fit\.sel\({dim}=0\)"):
        function(fit.sel({dim: 0}), "school")


def test_chains_selected_with_a_list_are_a_fit():
    draws = np.stack([some_draws(), some_draws(seed=2)])
    fit = az.from_dict({"posterior": {"mu_school": draws}}, dims={"mu_school": ["school"]})
    table = ranks(fit.sel(chain=[0]), "school")
    expected = ranks(fit_of(some_draws()), "school").drop(columns="school")
    pd.testing.assert_frame_equal(table.drop(columns="school"), expected)


@pytest.mark.parametrize("k", [0, 7])
def test_k_out_of_range_is_refused(k):
    with pytest.raises(ValueError, match=f"less than the number of groups, 7, got {k}"):
        ranks(fit_of(some_draws()), "school", k=k)


def test_prob_out_of_range_is_refused():
    with pytest.raises(ValueError, match="prob must lie between 0 and 1, got 95"):
        ranks(fit_of(some_draws()), "school", prob=95)


def test_a_fit_is_not_changed():
    fit = fit_of(some_draws())
    before = fit.copy(deep=True)
    labels = ["s1", "s2"]
    ranks(fit, "school")
    pairwise(fit, "school", labels)
    assert fit.identical(before)
    assert labels == ["s1", "s2"]
