"""Pictures of a part of a table, or of one in another order, show it as it is and call it so."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from pictures import (
    authorities_table,
    bars,
    comparison_table,
    horizontal,
    labels,
    legend_texts,
    limits_table,
    lost,
    points,
    ranks_table,
    shrinkage_table,
)

from hbm import plots
from hbm.results.ranks import ranks


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


# A part of a table, or another order -------------------------------------------------------------


def league_of(n):
    """Return a league table whose intervals reach far beyond the rows of a part of it."""
    table = ranks_table(n)
    table["joint_upper"] = np.minimum(table["joint_upper"] + 25, n)
    table.loc[:, "expected_rank"] += 3 * (table["expected_rank"] < n / 2)
    table["authority"] = np.where(np.arange(n) % 7 == 3, "A", "B")
    return table


@pytest.mark.parametrize(
    "part",
    [
        lambda league: league.head(10),
        lambda league: league.tail(10),
        lambda league: league[league["authority"] == "A"],
        lambda league: league.iloc[[150]],
        lambda league: league,
    ],
)
def test_the_axis_of_ranks_reaches_all_that_is_drawn(part):
    rows = part(league_of(318))
    ax = plots.plot_ranks(rows)
    bottom, top = ax.get_ylim()
    lowest, highest = rows["joint_lower"].min(), rows["joint_upper"].max()
    assert top < lowest <= highest < bottom
    # And no further: what is drawn fills it.
    assert highest - lowest >= 0.9 * (bottom - top) - 1.1
    _, y, *_ = points(ax)
    assert ((y > top) & (y < bottom)).all()
    ticks = ax.get_yticks()
    assert len(ticks)
    assert ((ticks >= lowest) & (ticks <= highest)).all()


def test_ranks_are_drawn_by_expected_rank_in_whatever_order_they_come():
    league = ranks_table(12)
    league["expected_rank"] = np.r_[1, 2, 3, 4.5, 4.5, 6:13]
    ax = plots.plot_ranks(league)
    # The two with one expected rank stand on either side of a border between tiers.
    shuffled = plots.plot_ranks(league.iloc[[4, 11, 3, 0, 8, 2, 1, 10, 9, 5, 7, 6]])
    assert_array_equal(points(shuffled)[1], points(ax)[1])
    for now, then in zip(bars(shuffled), bars(ax), strict=True):
        assert_array_equal(now, then)
    assert [t.get_text() for t in shuffled.get_xticklabels()] == labels(12)
    assert [t.get_text() for t in shuffled.texts] == ["tier 1", "tier 2", "tier 3"]


def test_tiers_of_which_no_group_is_drawn_are_not_named():
    rows = ranks_table(12).iloc[[0, 1, 2, 9, 10, 11]]
    ax = plots.plot_ranks(rows)
    assert [t.get_text() for t in ax.texts] == ["tier 1", "tier 3"]
    assert "every other of 2 tiers" in legend_texts(ax)


def test_ranks_say_how_many_pairs_can_be_told_apart():
    table = ranks_table(4)
    assert "told apart" not in plots.plot_ranks(table).get_title(loc="left")
    table["comparison_upper"] = [9.0, 8, 6, 5]
    table["comparison_lower"] = [7.0, 5, 5, 4]
    title = "4 schools by expected rank\n33 % of 6 pairs can be told apart"
    assert plots.plot_ranks(table).get_title(loc="left") == title
    assert (
        plots.plot_ranks(table.iloc[1:])
        .get_title(loc="left")
        .endswith("\nno two can be told apart")
    )
    table["comparison_lower"] = table["comparison_upper"]
    assert plots.plot_ranks(table).get_title(loc="left").endswith("\nall can be told apart")


def test_ranks_of_a_fit_say_what_their_attrs_say():
    import arviz_base as azb

    rng = np.random.default_rng(3)
    draws = rng.normal(rng.normal(60, 3, 30), 1.0, (1, 400, 30))
    fit = azb.from_dict({"posterior": {"mu_school": draws}}, dims={"mu_school": ["school"]})
    league = ranks(fit, "school")
    share = league.attrs["told_apart"]
    assert 0.05 < share < 0.95
    ax = plots.plot_ranks(league)
    assert ax.get_title(loc="left").endswith(f"{100 * share:.0f} % of 435 pairs can be told apart")


def test_funnel_limits_in_another_order_draw_the_same():
    table = shrinkage_table(30)
    ax = plots.plot_funnel(table, limits_table())
    turned = plots.plot_funnel(table, limits_table().iloc[::-1])
    assert legend_texts(turned) == legend_texts(ax)
    assert_array_equal(turned.lines[0].get_xydata(), ax.lines[0].get_xydata())


def test_comparison_of_numbers_as_they_are():
    table = comparison_table(3)
    table["elpd_diff"] = [0.0, -0.2431837465, -102.0912837465]
    table["dse"] = [0.0, 0.7773645128, 13.4871625341]
    table["weight"] = [0.6012345678, 0.3987654321, 1.1e-16]
    ax = plots.plot_comparison(table)
    ax.figure.canvas.draw()
    found = np.concatenate([c.get_offsets()[:, 0] for c in ax.collections[2:]])
    assert_allclose(np.sort(found), np.sort(table["elpd_diff"]))
    weights = [t.get_text().split("\n")[1] for t in ax.get_yticklabels()]
    assert weights == ["weight 0.60", "weight 0.40", "weight 0.00"]
    assert all(len(t.get_text()) <= 5 for t in ax.get_xticklabels())
    assert not ax.xaxis.get_offset_text().get_text()


# What groups are pulled to -----------------------------------------------------------------------


def only_one_authority():
    table = shrinkage_table(30)
    return table[table["authority"] == "A0"]


@pytest.mark.parametrize(
    ("table", "label"),
    [
        (only_one_authority(), "mean of its authority"),
        (lost(only_one_authority()).assign(share_authority=0.1), "mean of its authority"),
        (shrinkage_table(30), "mean of its authority"),
        (authorities_table(30).assign(raw_mean=0.6), "mean of the population"),
        # Nothing says what the target is, and it is not guessed.
        (lost(only_one_authority()), "target it is pulled to"),
        (lost(authorities_table(30)).assign(raw_mean=0.6), "target it is pulled to"),
    ],
)
def test_the_target_is_called_what_the_table_says(table, label):
    texts = legend_texts(plots.plot_shrinkage(table))
    assert {"mean of its authority", "mean of the population", "target it is pulled to"} & set(
        texts
    ) == {label}


@pytest.mark.parametrize(
    ("parent", "label"),
    [("", "mean of the population"), ("province", "mean of its province")],
)
def test_parents_are_pulled_to_what_their_table_says(parent, label):
    authorities = authorities_table(30)
    authorities.attrs["parent"] = parent
    ax = plots.plot_nesting(shrinkage_table(30), authorities)
    assert label in legend_texts(ax)


def test_parents_with_targets_of_their_own_have_a_line_each():
    authorities = authorities_table(30)
    authorities.attrs["parent"] = "province"
    authorities["target"] = np.linspace(0.6, 0.7, len(authorities))
    ax = plots.plot_nesting(shrinkage_table(30), authorities)
    in_order = authorities.sort_values("mean")["target"]
    assert_allclose([y for *_, y in horizontal(ax)], in_order)


@pytest.mark.parametrize("n", [12, 60])
def test_shrinkage_shows_where_targets_are_without_predictors(n):
    table = shrinkage_table(n)
    step = np.linspace(-0.06, 0.06, n)
    # What the predictors add to a target moves the estimate by its share of the pooling factor.
    known = table.assign(moved_predictors=table["pooling"] * step)
    known.attrs |= table.attrs
    plain, ax = plots.plot_shrinkage(table), plots.plot_shrinkage(known)
    rows = known.assign(step=step).sort_values("raw_mean")
    dots, _ = ax.lines
    assert_allclose(dots.get_xdata(), np.arange(n))
    assert_allclose(dots.get_ydata(), rows["target"] - rows["step"])
    texts = legend_texts(ax)
    assert texts[texts.index("expected of a school like it\nin its authority") + 1] == (
        "… without predictors"
    )
    assert not plain.lines
    assert "… without predictors" not in legend_texts(plain)


def test_without_the_pooling_factor_it_is_not_known_where_targets_are_without_predictors():
    table = shrinkage_table(12).assign(moved_predictors=0.01).drop(columns="pooling")
    assert "… without predictors" not in legend_texts(plots.plot_shrinkage(table))
