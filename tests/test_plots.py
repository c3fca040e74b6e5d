"""Pictures show what is in their tables: checked through the artists' data."""

import copy
import itertools
import subprocess
import sys

import arviz_base as azb
import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import scipy.stats
import xarray as xr
from fake_panels import fake_panel
from fakes import prior_draws
from matplotlib.collections import LineCollection, PathCollection
from matplotlib.colors import to_hex
from models import build
from numpy.testing import assert_allclose, assert_array_equal
from pictures import (
    CALLS,
    authorities_table,
    bars,
    by_label,
    comparison_table,
    estimates_table,
    exam_table,
    horizontal,
    labels,
    legend_texts,
    limits_table,
    points,
    ranks_table,
    replicated,
    shrinkage_table,
    spreads_fit,
    students_table,
)

import hbm
from hbm import plots
from hbm.plots import marks, style
from hbm.results.shrinkage import estimates


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


# Drawn in tests/test_checks.py.
ELSEWHERE = {"plot_check", "plot_pit"}


# All functions -----------------------------------------------------------------------------------


def test_every_plot_function_is_called_below():
    drawn = {name for name in plots.__all__ if name.startswith("plot_")}
    assert set(CALLS) == drawn - ELSEWHERE
    assert drawn <= set(hbm.__all__)


@pytest.mark.parametrize("n", [3, 500])
@pytest.mark.parametrize("name", CALLS)
def test_draws_on_the_axes_given_and_changes_no_argument(name, n):
    args, kwargs = CALLS[name](n)
    before = copy.deepcopy((args, kwargs))
    figure, ax = plt.subplots()
    assert getattr(plots, name)(*args, **kwargs, ax=ax) is ax
    assert len(figure.axes) == 1
    figure.canvas.draw()
    for now, then in zip([*args, *kwargs.values()], [*before[0], *before[1].values()], strict=True):
        if isinstance(now, pd.DataFrame):
            pd.testing.assert_frame_equal(now, then)
            assert now.attrs == then.attrs
        elif isinstance(now, np.ndarray):
            assert_array_equal(now, then)
        elif isinstance(now, xr.DataArray | xr.DataTree):
            assert now.identical(then)
        else:
            assert now == then
    assert ax.get_title(loc="left")
    assert ax.get_xlabel()
    assert ax.get_ylabel()


@pytest.mark.parametrize("name", CALLS)
def test_a_part_of_a_figure_will_do(name):
    args, kwargs = CALLS[name](9)
    part = plt.figure(figsize=(12, 5)).subfigures(1, 2)[0]
    ax = getattr(plots, name)(*args, **kwargs, ax=part.subplots())
    assert ax.get_figure() is part
    part.figure.draw_without_rendering()


@pytest.mark.parametrize("name", CALLS)
def test_same_look_under_any_global_style(name):
    args, kwargs = CALLS[name](3)
    with plt.style.context("dark_background"):
        settings = dict(mpl.rcParams)
        ax = getattr(plots, name)(*args, **kwargs)
        assert dict(mpl.rcParams) == settings
    assert to_hex(ax.figure.get_facecolor()) == to_hex(ax.get_facecolor()) == "#ffffff"
    text = [
        ax._left_title,
        ax.xaxis.label,
        ax.yaxis.label,
        *ax.get_xticklabels(),
        *ax.get_yticklabels(),
    ]
    text += ax.get_legend().get_texts() if ax.get_legend() else []
    assert {to_hex(t.get_color()) for t in text} == {"#000000"}


@pytest.mark.parametrize("name", CALLS)
@pytest.mark.parametrize("n", [1, 2, 7, 8, 25, 30, 41])
def test_no_text_overlaps(name, n):
    args, kwargs = CALLS[name](n)
    ax = getattr(plots, name)(*args, **kwargs)
    ax.figure.canvas.draw()
    shown = [t for t in ax.get_xticklabels() if t.get_text()]
    boxes = [t.get_window_extent() for t in shown]
    assert all(a.x1 <= b.x0 + 0.5 for a, b in itertools.pairwise(boxes))
    above = [t.get_window_extent() for t in [*ax.texts, ax._left_title]]
    assert not any(a.overlaps(b) for i, a in enumerate(above) for b in above[:i])
    shown = [t for t in ax.get_yticklabels() if t.get_text()]
    boxes = sorted((t.get_window_extent() for t in shown), key=lambda box: box.y0)
    assert all(a.y1 <= b.y0 + 0.5 for a, b in itertools.pairwise(boxes))
    if ax.get_legend() is not None and n <= 40:
        legend = ax.get_legend().get_window_extent()
        beside = legend.x0 >= ax.get_window_extent().x1 - 1
        assert beside or legend.y1 <= ax.xaxis.label.get_window_extent().y0
        assert legend.y0 >= -0.5


def test_drawing_needs_matplotlib_and_importing_does_not():
    code = "import sys, hbm.plots; assert 'matplotlib' not in sys.modules, 'imported'"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_names_without_room_are_left_out_and_counted():
    ax = plots.plot_estimates(estimates_table(60))
    assert not ax.get_xticks().size
    assert ax.get_xlabel() == "60 schools"


# Densities ---------------------------------------------------------------------------------------


def test_density_integrates_to_one_within_its_bounds():
    values = np.random.default_rng(1).beta(12, 1, 500)
    grid, density = marks.kernel_density(values, 0, 1)
    assert grid[-1] == 1
    assert_allclose(np.trapezoid(density, grid), 1, atol=2e-3)
    # Without reflection a part of the mass lies beyond 1.
    grid, density = marks.kernel_density(values, -np.inf, np.inf)
    assert grid[-1] > 1
    assert_allclose(np.trapezoid(density, grid), 1, atol=2e-3)
    assert np.trapezoid(density[grid <= 1], grid[grid <= 1]) < 0.98


@pytest.mark.parametrize("n", [2, 50, 5000])
def test_density_is_that_of_scipy(n):
    values = np.random.default_rng(1).normal(185, 7, n)
    grid, density = marks.kernel_density(values, -np.inf, np.inf)
    assert_allclose(density, scipy.stats.gaussian_kde(values)(grid), rtol=1e-9)


def test_densities_by_group_with_true_means():
    table = pd.DataFrame(
        {"country": [2, 2, 2, 1, 1, 1], "height": [170.0, 171, 175, 180, 182, 190]}
    )
    ax = plots.plot_densities(table, "height", "country", truth={1: 183.0, 2: 172.0}, unit="cm")
    first, its_mean, second, other_mean = ax.lines
    assert (first.get_label(), second.get_label()) == ("2", "1")
    kernel = scipy.stats.gaussian_kde([170.0, 171, 175])
    assert_allclose(first.get_ydata(), kernel(first.get_xdata()))
    assert (its_mean.get_xdata()[0], other_mean.get_xdata()[0]) == (172, 183)
    assert its_mean.get_color() == first.get_color() != second.get_color()
    assert first.get_linestyle() != second.get_linestyle()
    assert ax.get_xlabel() == "Height (cm)"
    assert legend_texts(ax) == ["2", "1"]
    assert ax.get_legend().get_title().get_text() == "Country"


def test_a_group_without_two_values_is_a_tick():
    table = pd.DataFrame({"school": list("aab"), "score": [0.5, 0.7, 0.9]})
    ax = plots.plot_densities(table, "score", "school", unit="%")
    assert ax.lines[1].get_xdata().tolist() == [0.9]
    assert ax.lines[1].get_marker() == "|"
    assert ax.get_xlim() == (0, 1)


def test_many_densities_have_no_legend_and_true_means_are_ticks():
    ax = plots.plot_densities(students_table(8), "score", "school", truth=by_label(8), unit="%")
    assert ax.get_legend() is None
    *densities, ticks = ax.lines
    assert len(densities) == 8
    assert_allclose(ticks.get_xdata(), exam_table(8)["mean"])
    assert ticks.get_marker() == "|"


def test_density_of_draws_shades_the_interval():
    draws = xr.DataArray(
        np.random.default_rng(1).beta(6, 3, (4, 500)), dims=("chain", "draw"), name="mu"
    )
    ax = plots.plot_density(draws, truth=0.7, unit="%")
    assert ax.get_title(loc="left").startswith("mu: 2,000 draws")
    shaded = ax.collections[0].get_paths()[0].vertices[:, 0]
    assert_allclose([shaded.min(), shaded.max()], np.quantile(draws, [0.025, 0.975]), atol=0.005)
    assert ax.lines[1].get_xdata()[0] == 0.7
    assert ax.xaxis.get_major_formatter()(0.625, None) == "62.5%"


def test_density_of_draws_keeps_to_its_bounds():
    draws = np.random.default_rng(1).exponential(size=1000)
    ax = plots.plot_density(draws, name="sigma", bounds=(0, np.inf))
    assert ax.lines[0].get_xdata()[0] == 0
    with pytest.raises(ValueError, match=r"sigma must hold finite numbers from 0 to inf; 1 of 2"):
        plots.plot_density([1.0, -1.0], name="sigma", bounds=(0, np.inf))


@pytest.mark.parametrize(
    "table",
    [
        pd.DataFrame({"alpha": [3.0, 7.5], "beta": [1.0, 2.5]}),
        pd.DataFrame({"mu": [0.75, 0.75], "nu": [4.0, 10.0]}),
    ],
)
def test_betas_by_either_pair(table):
    ax = plots.plot_betas(table, points=[[0.5], [0.6, 0.9]])
    curve, _, other, on_other = ax.lines
    assert_allclose(curve.get_ydata(), scipy.stats.beta.pdf(curve.get_xdata(), 3, 1))
    assert_allclose(other.get_ydata(), scipy.stats.beta.pdf(other.get_xdata(), 7.5, 2.5))
    assert on_other.get_xdata().tolist() == [0.6, 0.9]
    assert_allclose(on_other.get_ydata(), scipy.stats.beta.pdf([0.6, 0.9], 7.5, 2.5))
    assert on_other.get_color() == other.get_color()
    assert len(legend_texts(ax)) == 2


def test_betas_are_named_by_a_first_column():
    ax = plots.plot_betas(pd.DataFrame({"school": ["b", "a"], "mu": [0.5, 0.6], "nu": 30}))
    assert legend_texts(ax) == ["b", "a"]
    assert ax.get_legend().get_title().get_text() == "School"


def test_betas_refuse():
    table = pd.DataFrame({"mu": [0.75], "nu": [4.0]})
    with pytest.raises(ValueError, match="one array a row of parameters: 1, not 2"):
        plots.plot_betas(table, points=[[0.5], [0.6]])
    with pytest.raises(ValueError, match="no column 'alpha'"):
        plots.plot_betas(pd.DataFrame({"a": [1.0], "b": [1.0]}))
    with pytest.raises(ValueError, match=r"'mu' must hold proportions .*row 0 has 75"):
        plots.plot_betas(pd.DataFrame({"mu": [75.0], "nu": [4.0]}))


def test_predictive_draws_are_spread_evenly():
    draws = np.random.default_rng(1).beta(6, 3, (5, 30))
    ax = plots.plot_predictive(draws, n_curves=3, unit="%", name="score")
    assert len(ax.lines) == 4
    for line, row in zip(ax.lines[:3], [0, 2, 4], strict=True):
        grid, density = marks.kernel_density(draws[row], 0, 1)
        assert_allclose(line.get_xydata(), np.column_stack([grid, density]))
    assert_allclose(ax.lines[3].get_xdata(), draws.mean())


def test_predictive_takes_dimensions_in_any_order():
    draws = xr.DataArray(
        np.random.default_rng(1).normal(size=(2, 3, 10)), dims=("chain", "draw", "person")
    )
    straight = plots.plot_predictive(draws, observed=np.arange(10.0))
    turned = plots.plot_predictive(draws.transpose("person", "draw", "chain"))
    for a, b in zip(straight.lines[:6], turned.lines[:6], strict=True):
        assert_allclose(a.get_xydata(), b.get_xydata())
    observed = straight.lines[-1]
    assert_allclose(
        observed.get_ydata(), scipy.stats.gaussian_kde(np.arange(10.0))(observed.get_xdata())
    )
    assert observed.get_linewidth() > straight.lines[0].get_linewidth()


def test_predictive_refuses_one_number_a_draw():
    with pytest.raises(ValueError, match="two or more observations"):
        plots.plot_predictive(np.zeros(10))
    with pytest.raises(ValueError, match="1 of 20 are not, for example nan"):
        plots.plot_predictive(np.r_[np.nan, np.zeros(19)].reshape(2, 10))


# Estimates ---------------------------------------------------------------------------------------


def test_estimates_with_intervals_others_and_references():
    table = pd.DataFrame(
        {
            "school": ["b", "a", "c", "d"],
            "mean": [0.5, 0.6, 0.7, 0.8],
            "lower": [0.4, 0.55, 0.6, 0.79],
            "upper": [0.7, 0.65, 0.8, 0.81],
        }
    )
    ax = plots.plot_estimates(
        table,
        others={"true mean": pd.Series({"a": 0.1, "b": 0.2, "c": 0.3, "d": 0.4, "e": 0.5})},
        reference={"grand mean": 0.65, "district": {"a": 0.6, "b": 0.6, "c": 0.9, "d": 0.6}},
        unit="%",
    )
    x, lower, upper = bars(ax)
    assert_array_equal(x, range(4))
    assert_allclose(lower, table["lower"])
    assert_allclose(upper, table["upper"])
    estimate, truth = ax.lines
    assert_allclose(estimate.get_ydata(), table["mean"])
    assert_allclose(truth.get_ydata(), [0.2, 0.1, 0.3, 0.4])
    assert (truth.get_xdata() > estimate.get_xdata()).all()
    assert [t.get_text() for t in ax.get_xticklabels()] == ["b", "a", "c", "d"]
    # Neighbours of the same district share a line; the same mean further on has its own.
    assert horizontal(ax) == [
        (-0.5, 3.5, 0.65),
        (-0.5, 1.5, 0.6),
        (1.5, 2.5, 0.9),
        (2.5, 3.5, 0.6),
    ]
    assert legend_texts(ax) == ["estimate and interval", "true mean", "grand mean", "district"]


def test_estimates_say_which_interval():
    assert "90 % interval" in plots.plot_estimates(estimates_table(3)).get_title(loc="left")


def shares_table(**attrs):
    table = estimates_table(3).rename(columns={"mean": "share"}).assign(n_students=9)
    table.attrs = attrs
    return table


@pytest.mark.parametrize(
    ("attrs", "label"),
    [
        ({"above": 0.8, "above_unit": "%"}, "Share of students at or above 80%"),
        ({"above": 183.5, "above_unit": "cm"}, "Share of students at or above 183.5 cm"),
        ({}, "Share of students at or above the mark"),
    ],
)
def test_shares_are_drawn_as_shares_of_individuals(attrs, label):
    table = shares_table(**attrs)
    ax = plots.plot_estimates(table)
    assert ax.get_ylabel() == label
    assert ax.yaxis.get_major_formatter()(0.25, 0) == "25%"
    np.testing.assert_allclose(bars(ax)[1:], table[["lower", "upper"]].to_numpy().T)
    shown = next(line for line in ax.lines if line.get_marker() == "o")
    np.testing.assert_allclose(shown.get_ydata(), table["share"])


def test_shares_without_sizes_are_of_individuals():
    table = shares_table(above=0.8, above_unit="%").drop(columns="n_students")
    assert plots.plot_estimates(table).get_ylabel() == "Share at or above 80%"


def test_shares_of_a_fit_say_their_mark_with_its_unit():
    model = build("heights.partial_pooling")
    prior = prior_draws(model, 20)
    table = hbm.shares(prior.assign(posterior=prior["prior"]), above=183)
    assert plots.plot_estimates(table).get_ylabel() == "Share of people at or above 183 cm"


@pytest.mark.parametrize(
    "draw",
    [plots.plot_estimates, lambda table: plots.plot_caterpillar(table, exam_table(3))],
    ids=["plot_estimates", "plot_caterpillar"],
)
def test_estimates_of_several_years_are_told_to_choose_one(draw):
    panel = hbm.estimates(fake_panel(20), "mu_school")
    with pytest.raises(ValueError, match=r"label twice.*hbm\.in_year\(fit, year\)"):
        draw(panel)
    with pytest.raises(ValueError, match=r"label twice; one row a group is needed$"):
        draw(estimates_table(3).assign(school="a"))


def test_estimates_refuse():
    table = estimates_table(3)
    with pytest.raises(ValueError, match=r"'true mean' has no value for '0002'; it has: '0000'"):
        plots.plot_estimates(table, others={"true mean": {"0000": 1.0, "0001": 1.0}})
    with pytest.raises(TypeError, match=r"'true mean' must map labels to numbers"):
        plots.plot_estimates(table, others={"true mean": table})
    with pytest.raises(ValueError, match="first column must hold the groups' labels"):
        plots.plot_estimates(table[["mean", "lower", "upper"]])
    with pytest.raises(ValueError, match="label twice"):
        plots.plot_estimates(table.assign(school="a"))
    with pytest.raises(ValueError, match=r"'lower' must hold finite numbers; row 1 has nan"):
        plots.plot_estimates(table.assign(lower=[0.1, np.nan, 0.2]))


def test_agreement():
    table = pd.DataFrame({"true_mean": [0.7, 0.8], "empirical_mean": [0.68, 0.83]})
    ax = plots.plot_agreement(table, "true_mean", "empirical_mean", unit="%")
    line, dots = ax.lines
    assert line.get_slope() == 1
    assert_allclose(dots.get_xydata(), table.to_numpy())
    assert ax.get_xlim() == ax.get_ylim()
    assert ax.get_xlim()[0] < 0.68 < 0.83 < ax.get_xlim()[1]
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("True mean", "Empirical mean")


def test_agreement_of_shares_hardly_reaches_beyond_0_and_1():
    table = pd.DataFrame({"published": [0.0, 0.4, 1.0], "by_the_model": [0.1, 0.5, 0.9]})
    assert plots.plot_agreement(table, "published", "by_the_model", unit="%").get_xlim() == (
        pytest.approx((-0.02, 1.02))
    )
    low, high = plots.plot_agreement(table, "published", "by_the_model").get_xlim()
    assert (low, high) == pytest.approx((-0.08, 1.08))


def test_a_few_simulated_data_sets_that_hardly_vary_do_not_hide_the_others():
    rng = np.random.default_rng(1)
    sds = np.r_[np.ones(38), 0.01, 0.01]
    draws = rng.normal(size=(40, 200)) * sds[:, None]
    ax = plots.plot_predictive(draws, observed=rng.normal(size=200) / 3)
    peaks = [line.get_xydata()[:, 1].max() for line in ax.lines]
    assert max(peaks) > 20
    assert peaks[-1] < ax.get_ylim()[1] < 2
    # Where all vary alike, nothing is cut off.
    ax = plots.plot_predictive(draws[:38])
    assert max(line.get_xydata()[:, 1].max() for line in ax.lines[:38]) < ax.get_ylim()[1]


def test_students_stand_by_district_and_school():
    table = pd.DataFrame(
        {
            "district": ["x", "y", "x", "x", "y"],
            "school": ["a", "b", "c", "a", "b"],
            "score": [0.1, 0.2, 0.3, 0.5, 0.8],
        }
    )
    ax = plots.plot_students(table, district="district")
    blocks = [line for line in ax.lines if line.get_linestyle() == "None"]
    assert [line.get_xdata().tolist() for line in blocks] == [[0, 1], [2], [3, 4]]
    assert [line.get_ydata().tolist() for line in blocks] == [[0.1, 0.5], [0.3], [0.2, 0.8]]
    assert blocks[0].get_marker() == blocks[1].get_marker() != blocks[2].get_marker()
    assert len({line.get_color() for line in blocks}) == 3
    assert [y for *_, y in horizontal(ax)] == pytest.approx([0.3, 0.3, 0.5])
    (boundary,) = [line for line in ax.lines if line.get_linestyle() == "-"]
    assert boundary.get_xdata()[0] == 2.5
    assert [t.get_text() for t in ax.get_xticklabels()] == ["a", "c", "b"]
    assert [t.get_text() for t in ax.texts] == ["district x", "district y"]


def test_districts_too_narrow_for_their_names_have_none():
    table = pd.DataFrame({"district": list("abcdefgh") + ["i"] * 100, "score": 0.5})
    ax = plots.plot_students(table.assign(school=table["district"]), district="district")
    assert not ax.texts
    assert sum(line.get_linestyle() == "-" for line in ax.lines) == 8


# Exam tables -------------------------------------------------------------------------------------


def test_schools_by_mean_with_bars():
    table = exam_table(50)
    table.loc[3, "sd"] = np.nan
    ax = plots.plot_exam_table(table)
    ordered = table.sort_values("mean").reset_index(drop=True)
    x, y, *_ = points(ax)
    assert_array_equal(x, range(50))
    assert_allclose(y, ordered["mean"])
    has_sd = ordered["sd"].notna()
    x, lower, upper = bars(ax)
    assert_array_equal(x, np.flatnonzero(has_sd))
    assert_allclose(lower, (ordered["mean"] - ordered["sd"])[has_sd])
    assert_allclose(upper, (ordered["mean"] + ordered["sd"])[has_sd])
    assert ax.get_ylim()[0] == 0
    assert ax.get_ylim()[1] >= upper.max() > 1
    assert ax.get_xlabel() == "50 schools"
    assert ax.get_legend() is None


def test_area_is_the_number_of_students():
    table = pd.DataFrame(
        {"school": list("abc"), "mean": [0.5, 0.6, 0.7], "sd": 0.1, "n_students": [700, 100, 350]}
    )
    ax = plots.plot_exam_table(table, sized=True)
    _, _, size, _ = points(ax)
    assert_allclose(size / size[0], [1, 1 / 7, 1 / 2])
    assert size[0] == marks.LARGEST
    shown = ax.get_legend().legend_handles
    assert legend_texts(ax) == ["100 students", "500 students"]
    assert_allclose([h.get_markersize() ** 2 for h in shown], [size[0] / 7, size[0] * 5 / 7])


def test_the_largest_groups_have_colours_and_the_others_are_grey():
    authority = [*"aaaabbbccddeeffgghhi"]
    n = len(authority)
    table = pd.DataFrame(
        {"school": labels(n), "authority": authority, "mean": np.linspace(0.9, 0.3, n), "sd": 0.1}
    )
    ax = plots.plot_exam_table(table, colour_by="authority")
    *_, colour = points(ax)
    by_authority = pd.Series(colour[::-1]).groupby(authority).unique()
    assert (by_authority.map(len) == 1).all()
    assert by_authority[list("abcdef")].explode().nunique() == 6
    grey = by_authority[list("ghi")].explode().str.upper().unique()
    assert grey.tolist() == [style.GREY]
    assert legend_texts(ax)[0] == "a (4)"
    assert legend_texts(ax)[-1] == "3 others (5)"


def test_schools_are_not_drawn_as_students():
    table = exam_table(4).assign(score=0.6)
    with pytest.raises(ValueError, match=r"one row a school, .*; hbm\.plot_exam_table draws it"):
        plots.plot_students(table)


def test_a_missing_score_is_no_percentage():
    table = students_table(3)
    table.loc[2, "score"] = np.nan
    with pytest.raises(ValueError, match="row 2 has nan") as refused:
        plots.plot_students(table)
    assert "percent" not in str(refused.value)
    with pytest.raises(ValueError, match=r"0 to 1 \(divide percentages by 100\); row 0 has 63"):
        plots.plot_students(table.assign(score=63.0))


def test_seven_groups_all_have_colours():
    table = exam_table(7).assign(authority=list("abcdefg"))
    ax = plots.plot_exam_table(table, colour_by="authority")
    *_, colour = points(ax)
    assert len(set(colour)) == 7
    assert style.GREY.lower() not in set(colour)


def test_authorities_by_the_mean_of_their_students():
    table = pd.DataFrame(
        {
            "school": list("abcd"),
            "authority": list("xxyx"),
            "n_students": [30, 10, 20, 60],
            "mean": [0.6, 0.8, 0.5, 0.7],
        }
    )
    ax = plots.plot_authorities(table)
    schools, means = ax.collections
    assert schools.get_offsets().tolist() == [[1, 0.6], [1, 0.8], [0, 0.5], [1, 0.7]]
    assert_allclose(means.get_offsets(), [[0, 0.5], [1, (30 * 0.6 + 10 * 0.8 + 60 * 0.7) / 100]])
    assert_allclose(means.get_sizes()[1] / means.get_sizes()[0], 3)
    assert [t.get_text() for t in ax.get_xticklabels()] == ["y", "x"]


def test_caterpillar_joins_by_label():
    table = exam_table(20)
    fitted = estimates_table(20).sample(frac=1, random_state=1)
    ax = plots.plot_caterpillar(fitted, table, reference={"population mean": 0.66})
    order = table["mean"].sort_values().index
    x, observed, size, _ = points_of_rings(ax)
    assert_array_equal(x, range(20))
    assert_allclose(observed, table["mean"][order])
    assert np.argmax(size) == np.argmax(table["n_students"][order])
    assert_allclose(ax.lines[0].get_ydata(), table["mean"][order] + 0.01)
    _, lower, upper = bars(ax)
    assert_allclose(lower, table["mean"][order] - 0.04)
    assert_allclose(upper, table["mean"][order] + 0.11)
    assert ax.lines[-1].get_ydata()[0] == 0.66
    assert legend_texts(ax)[0] == "estimate and 90 % interval"


def points_of_rings(ax):
    (rings,) = [c for c in ax.collections if isinstance(c, PathCollection)]
    x, y = np.asarray(rings.get_offsets()).T
    return x, y, rings.get_sizes(), rings.get_edgecolors()


def test_caterpillar_refuses_other_schools():
    with pytest.raises(ValueError, match=r"estimates lack '0003'; were they fitted"):
        plots.plot_caterpillar(estimates_table(3), exam_table(4))
    with pytest.raises(ValueError, match=r"'table' has no value for '0003'"):
        plots.plot_caterpillar(estimates_table(4), exam_table(3))
    with pytest.raises(ValueError, match=r"'mean' must hold proportions .*divide percentages"):
        plots.plot_caterpillar(estimates_table(3), exam_table(3).assign(mean=63.9))


@pytest.mark.parametrize("name", ["plot_exam_table", "plot_authorities"])
def test_exam_plots_refuse_percentages_and_missing_columns(name):
    table = exam_table(3)
    with pytest.raises(ValueError, match=r"divide percentages by 100\); row 0 has 63\.9"):
        getattr(plots, name)(table.assign(mean=63.9))
    with pytest.raises(ValueError, match="no column 'school'"):
        getattr(plots, name)(table.drop(columns="school"))


def test_real_table(diploma):
    from hbm import exam_table as exam_table_of

    table = exam_table_of(diploma, course="Mathematics 30-1", year=2016)
    ax = plots.plot_exam_table(table, colour_by="authority_name")
    assert len(points(ax)[0]) == 318
    assert legend_texts(ax)[-1] == "83 others (230)"
    ax = plots.plot_authorities(table)
    assert len(ax.collections[-1].get_offsets()) == 89


# Shrinkage ---------------------------------------------------------------------------------------


def segments(ax, x, y):
    """Return the lines from (x, y₀) to (x, y₁), as rows of x, y₀, y₁, that start at these y."""
    lines = [s for c in ax.collections if isinstance(c, LineCollection) for s in c.get_segments()]
    return [
        [float(s[0][0]), float(s[0][1]), float(s[1][1])]
        for s in lines
        if any(np.allclose(s[0], point) for point in zip(x, y, strict=True))
    ]


def test_shrinkage_goes_from_raw_mean_to_estimate():
    table = shrinkage_table(20).sample(frac=1, random_state=2)
    ax = plots.plot_shrinkage(table)
    rows = table.sort_values("raw_mean")
    x = np.arange(20)
    ways = segments(ax, x, rows["raw_mean"])
    assert_allclose(ways, np.column_stack([x, rows["raw_mean"], rows["mean"]]))
    intervals = segments(ax, x, rows["lower"])
    assert_allclose(intervals, np.column_stack([x, rows["lower"], rows["upper"]]))
    dots, rings = (
        c for c in ax.collections if isinstance(c, PathCollection) and len(c.get_sizes())
    )
    assert_allclose(np.asarray(dots.get_offsets())[:, 1], rows["mean"])
    assert_allclose(np.asarray(rings.get_offsets())[:, 1], rows["raw_mean"])
    assert not rings.get_facecolors().size
    size = rings.get_sizes()
    assert np.argmax(size) == np.argmax(rows["n_students"])
    assert_allclose([y for *_, y in horizontal(ax)], rows["target"])
    assert [t.get_text() for t in ax.get_xticklabels()] == rows["school"].tolist()
    assert "90 % interval" in legend_texts(ax)
    assert ax.yaxis.get_major_formatter()(0.5, None) == "50%"


def test_one_target_is_one_line():
    table = shrinkage_table(5).assign(target=0.7)
    table.attrs["parent"] = ""
    ax = plots.plot_shrinkage(table, unit="cm")
    (line,) = ax.lines
    assert line.get_ydata()[0] == 0.7
    assert "mean of the population" in legend_texts(ax)
    assert ax.get_ylabel() == "Mean (cm)"


def test_shrinkage_colours_the_largest_parents_above_the_others():
    table = shrinkage_table(60)
    ax = plots.plot_shrinkage(table, colour_by="authority")
    largest = table["authority"].value_counts(sort=True)
    texts = legend_texts(ax)
    assert f"{largest.index[0]} ({largest.iloc[0]})" in texts
    assert texts[-1] == f"{len(largest) - 6} others ({largest.iloc[6:].sum()})"
    dots = [c for c in ax.collections if isinstance(c, PathCollection) and c.get_facecolors().size]
    grey, coloured = dots
    assert {to_hex(c) for c in grey.get_facecolors()} == {style.GREY.lower()}
    assert style.GREY.lower() not in {to_hex(c) for c in coloured.get_facecolors()}
    assert coloured.get_zorder() > grey.get_zorder()


def test_pooling_against_size():
    table = shrinkage_table(30)
    ax = plots.plot_pooling(table)
    shared, alone = (c for c in ax.collections if isinstance(c, PathCollection))
    only = table["only_child"]
    assert 0 < only.sum() < 30
    assert_allclose(shared.get_offsets(), table.loc[~only, ["n_students", "pooling"]])
    assert_allclose(alone.get_offsets(), table.loc[only, ["n_students", "pooling"]])
    assert legend_texts(ax) == ["only school of its authority"]
    assert ax.get_xscale() == "log"
    assert ax.get_ylim()[0] < 0 < 1 < ax.get_ylim()[1]
    with pytest.raises(ValueError, match=r"'pooling' must hold proportions"):
        plots.plot_pooling(table.assign(pooling=1.2))
    with pytest.raises(ValueError, match=r"no column of numbers of individuals, such as 'n_st"):
        plots.plot_pooling(table.drop(columns="n_students"))


def test_groups_of_one_size_have_a_linear_axis_and_share_a_name():
    table = pd.DataFrame({"country": list("abc"), "n_people": 20, "pooling": [0.1, 0.1, 0.6]})
    ax = plots.plot_pooling(table)
    assert ax.get_xscale() == "linear"
    assert ax.get_xlabel() == "Number of people"
    assert {t.get_text() for t in ax.texts} == {"c", "a, b"}


def test_names_of_points_do_not_overlap():
    table = shrinkage_table(40)
    ax = plots.plot_pooling(table)
    ax.figure.canvas.draw()
    assert 5 < len(ax.texts) < 40
    boxes = [t.get_window_extent() for t in ax.texts]
    assert not any(a.overlaps(b) for i, a in enumerate(boxes) for b in boxes[:i])
    at = ax.transData.transform(table[["n_students", "pooling"]])
    assert not any(box.count_contains(at) for box in boxes)
    shown = {name for t in ax.texts for name in t.get_text().split(", ")}
    assert shown <= set(table["school"])


def test_schools_stand_beside_their_authority():
    schools = pd.DataFrame(
        {
            "school": list("abc"),
            "authority": list("yxy"),
            "mean": [0.7, 0.5, 0.6],
            "lower": [0.6, 0.4, 0.5],
            "upper": [0.8, 0.6, 0.7],
        }
    )
    authorities = pd.DataFrame(
        {"authority": ["y", "x"], "mean": [0.65, 0.55], "lower": [0.6, 0.5], "upper": [0.7, 0.6]}
    )
    authorities.attrs["parent"] = ""
    ax = plots.plot_nesting(schools, authorities.assign(target=0.62), unit="%")
    assert [t.get_text() for t in ax.get_xticklabels()] == ["x", "y"]
    x, y, *_ = points(ax)
    assert_allclose(y, [0.5, 0.6, 0.7])
    assert 0 < x[0] < 1 < x[1] < x[2] < 2
    middle = next(line for line in ax.lines if line.get_marker() == "o")
    assert_allclose(middle.get_xydata(), [[0, 0.55], [1, 0.65]])
    at, lower, upper = bars(ax)
    assert_allclose(lower, [0.5, 0.4, 0.6, 0.5, 0.6])
    assert_allclose(upper, [0.6, 0.6, 0.7, 0.7, 0.8])
    assert_allclose(at[[0, 2]], [0, 1])
    assert "mean of the population" in legend_texts(ax)
    with pytest.raises(ValueError, match=r"no authority 'y'; are both of one fit"):
        plots.plot_nesting(schools, authorities.iloc[1:])


def test_schools_of_many_authorities_stand_behind_them():
    n = 200
    ax = plots.plot_nesting(shrinkage_table(n), authorities_table(n))
    x, y, *_ = points(ax)
    assert_array_equal(x, np.round(x))
    assert len(y) == n
    assert ax.get_xlabel() == f"{len(authorities_table(n))} authorities"


def test_funnel_counts_and_names_those_outside():
    table = pd.DataFrame(
        {
            "school": list("abcdef"),
            "n_students": [1, 10, 20, 100, 300, 20],
            "raw_mean": [0.5, 0.66, 0.66 + 0.15, 0.3, 0.7, 0.66 - 0.15],
        }
    )
    limits = limits_table()
    ax = plots.plot_funnel(table, limits)
    inside, outside = (c for c in ax.collections if isinstance(c, PathCollection))
    assert_allclose(outside.get_offsets(), [[100, 0.3]])
    assert_allclose(inside.get_offsets(), table[["n_students", "raw_mean"]].drop(index=3))
    # c and f lie beyond the inner band, ± 0.067 at 20, and inside the outer lines, ± 0.167.
    assert legend_texts(ax) == [
        "if all were alike: 4 of 6 outside, 0.6 expected",
        "as they differ: 1 of 6 outside, 0.6 expected",
        "mean of the population",
    ]
    lower, upper = ax.lines[:2]
    # Limits without far ones: the filled diamond of those outside stands beside the dashed lines.
    shown = ax.get_legend().get_lines()[0]
    assert (shown.get_marker(), shown.get_linestyle()) == ("D", "--")
    assert to_hex(shown.get_markerfacecolor()) == to_hex(outside.get_facecolor()[0])
    assert_allclose(lower.get_xydata(), limits[["n_students", "lower"]])
    assert_allclose(upper.get_xydata(), limits[["n_students", "upper"]])
    band = ax.collections[0].get_paths()[0].vertices
    assert_allclose([band[:, 1].min(), band[:, 1].max()], [0.36, 0.96])
    assert "d" in {t.get_text() for t in ax.texts}
    assert "90 % limits" in ax.get_title(loc="left")
    with pytest.raises(ValueError, match=r"reach from 1 to 300, and 'e' lies beyond"):
        plots.plot_funnel(table.assign(n_students=[1, 2, 3, 4, 301, 5]), limits)
    with pytest.raises(ValueError, match="no column 'n_students'"):
        plots.plot_funnel(table.rename(columns={"n_students": "n"}), limits)


def test_only_those_outside_are_named_among_many():
    table = shrinkage_table(100)
    table.loc[7, "raw_mean"] = 0.01
    table["n_students"] += 1
    ax = plots.plot_funnel(table, limits_table())
    limits = limits_table()
    upper = np.interp(table["n_students"], limits["n_students"], limits["upper"])
    assert 0 < len(ax.texts) < 30
    assert "0007" in {t.get_text() for t in ax.texts}
    shown = table.set_index("school").loc[[t.get_text() for t in ax.texts], "raw_mean"]
    assert ((shown - 0.66).abs() > (upper - 0.66).min()).all()


# Ranks, comparisons, spreads ---------------------------------------------------------------------


def test_ranks_with_both_intervals_and_tiers():
    table = ranks_table(12)
    ax = plots.plot_ranks(table)
    joint, one = (c for c in ax.collections if isinstance(c, LineCollection))
    ends = [np.array(c.get_segments())[:, :, 1] for c in (joint, one)]
    assert_array_equal(ends[0], table[["joint_lower", "joint_upper"]])
    assert_array_equal(ends[1], table[["rank_lower", "rank_upper"]])
    assert joint.get_linewidth()[0] < one.get_linewidth()[0]
    _, y, *_ = points(ax)
    assert_allclose(y, table["expected_rank"])
    assert ax.yaxis_inverted()
    shaded = [patch.get_extents().transformed(ax.transData.inverted()) for patch in ax.patches]
    assert_allclose([[box.x0, box.x1] for box in shaded], [[3.5, 7.5]])
    assert [t.get_text() for t in ax.texts] == ["tier 1", "tier 2", "tier 3"]
    assert "this one rank (90 %)" in legend_texts(ax)
    with pytest.raises(ValueError, match="no column 'joint_lower'"):
        plots.plot_ranks(table.drop(columns="joint_lower"))


def test_rank_ticks_start_at_one():
    for n in (1, 4, 89, 500):
        ticks = plots.plot_ranks(ranks_table(n)).get_yticks()
        assert ticks[0] == 1
        assert ticks[-1] <= n
        assert (np.diff(ticks) > 0).all()


def test_comparison_shows_differences_errors_weights_and_doubts():
    table = comparison_table(3)
    ax = plots.plot_comparison(table)
    two, one = (c for c in ax.collections if isinstance(c, LineCollection))
    for bars_of, errors in ((two, 2), (one, 1)):
        ends = np.array(bars_of.get_segments())
        assert_allclose(ends[:, 0, 0], table["elpd_diff"] - errors * table["dse"])
        assert_allclose(ends[:, 1, 0], table["elpd_diff"] + errors * table["dse"])
    trusted, doubted = (c for c in ax.collections if isinstance(c, PathCollection))
    assert_allclose(trusted.get_offsets(), [[0, 0], [-6, 2]])
    assert_allclose(doubted.get_offsets(), [[-3, 1]])
    assert to_hex(doubted.get_facecolors()[0]) == "#ffffff"
    assert ax.get_yticklabels()[0].get_text() == "model 0\nweight 0.57"
    assert ax.yaxis_inverted()
    without = plots.plot_comparison(table.drop(columns="diag_elpd"))
    assert without.get_legend() is None


def test_comparison_takes_what_arviz_makes():
    from arviz_stats import compare, loo

    rng = np.random.default_rng(1)
    results = {}
    for name, mean in (("a", -1.0), ("b", -2.0)):
        draws = rng.normal(mean, 0.3, 200) + rng.normal(0, 0.1, (4, 250, 200))
        tree = azb.from_dict({"posterior": {"mu": draws[..., 0]}, "log_likelihood": {"y": draws}})
        results[name] = loo(tree, pointwise=True)
    table = compare(results)
    ax = plots.plot_comparison(table)
    assert [t.get_text().split("\n")[0] for t in ax.get_yticklabels()] == ["a", "b"]
    (dots,) = (c for c in ax.collections if isinstance(c, PathCollection) and len(c.get_offsets()))
    assert_allclose(dots.get_offsets()[:, 0], table["elpd_diff"])


def test_spreads_are_of_groups_with_prior_dashed():
    ax = plots.plot_spreads(spreads_fit(500), spreads_fit(500, "prior", seed=2))
    assert legend_texts(ax) == [
        "between authorities",
        "between authorities, prior",
        "between schools",
        "between schools, prior",
    ]
    solid = [line for line in ax.lines if line.get_linestyle() == "-"]
    assert len(solid) == 2
    draws = spreads_fit(500)["posterior/tau_authority"].to_numpy().ravel()
    grid, density = marks.kernel_density(draws, 0, np.inf)
    assert_allclose(solid[0].get_xydata(), np.column_stack([grid, density]))
    shaded = ax.collections[0].get_paths()[0].vertices[:, 0]
    assert_allclose([shaded.min(), shaded.max()], np.quantile(draws, [0.025, 0.975]), atol=0.005)
    # Of what a fit is of that says nothing but its draws, its spreads may be in any unit.
    assert ax.get_xlabel() == "Standard deviation between groups"


@pytest.mark.parametrize(
    ("name", "unit"),
    [
        ("exams.nested", "logits"),
        ("scores.partial_pooling", "logits"),
        ("heights.partial_pooling", "cm"),
    ],
)
def test_spreads_are_in_the_unit_of_effects(name, unit):
    prior = prior_draws(build(name), 20)
    fit = prior.assign(posterior=prior["prior"])
    assert plots.plot_spreads(fit).get_xlabel() == f"Standard deviation between groups ({unit})"
    assert plots.plot_spreads(fit, unit="x").get_xlabel().endswith("(x)")


def test_spreads_refuse():
    fit = spreads_fit(10)
    with pytest.raises(ValueError, match=r"the prior has no tau_authority, tau_school"):
        plots.plot_spreads(fit, azb.from_dict({"prior": {"mu": np.zeros((1, 10))}}))
    with pytest.raises(ValueError, match="learned no spread between groups"):
        plots.plot_spreads(azb.from_dict({"posterior": {"tau_nu": np.zeros((1, 10))}}))


def test_predictive_intervals_by_group():
    draws = replicated(10)
    observed = by_label(10)
    observed["0003"] = 0.02
    ax = plots.plot_predictive_by_group(draws, observed, prob=0.8, unit="%")
    seen = pd.Series(observed).sort_values()
    expected = draws.sel(school=list(seen.index)).to_numpy().reshape(-1, 10)
    x, lower, upper = bars(ax)
    assert_array_equal(x, range(10))
    assert_allclose(lower, np.quantile(expected, 0.1, axis=0))
    assert_allclose(upper, np.quantile(expected, 0.9, axis=0))
    _, y, _, colour = points(ax)
    assert_allclose(y, seen)
    outside = (seen < lower) | (seen > upper)
    assert outside.iloc[0]
    assert [c == style.VERMILLION.lower() for c in colour] == outside.tolist()
    inside = 10 - outside.sum()
    assert (
        ax.get_title(loc="left") == f"{inside} of 10 schools inside the 80 % predictive intervals"
    )
    assert ax.get_ylabel() == "Mean"


def test_predictive_by_group_refuses():
    with pytest.raises(ValueError, match=r"'observed' has no value for '0002'"):
        plots.plot_predictive_by_group(replicated(3), by_label(2))
    with pytest.raises(ValueError, match=r"one dimension of groups .* it has \[\]"):
        plots.plot_predictive_by_group(replicated(3).isel(school=0), by_label(3))
    with pytest.raises(ValueError, match="prob must lie between 0 and 1, got 95"):
        plots.plot_predictive_by_group(replicated(3), by_label(3), prob=95)
    with pytest.raises(ValueError, match="mean must hold finite numbers"):
        plots.plot_predictive_by_group(replicated(3) * np.nan, by_label(3))


@pytest.mark.parametrize(
    ("draw", "maker"),
    [
        (plots.plot_shrinkage, "hbm.shrinkage"),
        (plots.plot_pooling, "hbm.shrinkage"),
        (plots.plot_ranks, "hbm.ranks"),
        (plots.plot_comparison, "hbm.compare"),
        (lambda table: plots.plot_funnel(shrinkage_table(3), table), "hbm.funnel_limits"),
        (lambda table: plots.plot_funnel(table, limits_table()), "hbm.shrinkage"),
        (lambda table: plots.plot_nesting(table, authorities_table(3)), "hbm.shrinkage"),
    ],
)
def test_another_table_is_refused_by_naming_whose_it_must_be(draw, maker):
    with pytest.raises(ValueError, match=rf"no column .*must be the one that {maker} returns"):
        draw(exam_table(3))
    with pytest.raises(TypeError, match=rf"the table that {maker} returns, got DataTree"):
        draw(spreads_fit(3))


def test_other_mistakes_are_named():
    with pytest.raises(ValueError, match=r"expected what hbm\.sample returns, with a group 'post"):
        plots.plot_spreads(shrinkage_table(3))
    with pytest.raises(ValueError, match=r"expected what hbm\.sample_prior_predictive returns"):
        plots.plot_spreads(spreads_fit(9), spreads_fit(9))
    with pytest.raises(TypeError, match=r"must be an xarray\.DataArray, got DataFrame"):
        plots.plot_predictive_by_group(shrinkage_table(3), by_label(3))
    with pytest.raises(ValueError, match=r"no column 'school'.*groups first and that of their par"):
        plots.plot_nesting(authorities_table(3), shrinkage_table(3))


# Saving ------------------------------------------------------------------------------------------


def test_save_figure_writes_closes_and_repeats(tmp_path):
    files = []
    for folder in ("one", "two"):
        ax = plots.plot_estimates(estimates_table(3))
        files.append(plots.save_figure(ax, tmp_path / folder / "a.picture"))
        assert not plt.fignum_exists(ax.figure.number)
    assert [file.name for file in files[0]] == ["a.picture.png", "a.picture.svg"]
    assert [f.read_bytes() for f in files[0]] == [f.read_bytes() for f in files[1]]
    assert files[0][0].read_bytes()[:4] == b"\x89PNG"
    assert plt.imread(files[0][0]).shape[1] >= 1500


def test_save_figure_saves_the_whole_of_which_axes_are_a_part(tmp_path):
    whole = plt.figure(figsize=(10, 4), layout="constrained")
    left, right = whole.subfigures(1, 2)
    ax = plots.plot_shrinkage(shrinkage_table(9), ax=left.subplots())
    right.subplots()
    png, _ = plots.save_figure(ax, tmp_path / "both")
    assert plt.imread(png).shape[1] >= 1500
    assert not plt.fignum_exists(whole.number)


# The table that estimates makes ------------------------------------------------------------------


@pytest.fixture
def fit():
    rng = np.random.default_rng(1)
    draws = rng.normal([60.0, 70.0, 80.0], [1.0, 2.0, 3.0], size=(2, 500, 3))
    return azb.from_dict(
        {"posterior": {"mu_school": draws, "mu": draws[..., 0], "two": draws[..., None]}},
        dims={"mu_school": ["school"], "two": ["school", "year"]},
        coords={"school": ["b", "a", "c"]},
    )


def test_estimates_summarise_the_draws(fit):
    table = estimates(fit, "mu_school", prob=0.5)
    assert list(table.columns) == ["school", "mean", "sd", "lower", "upper"]
    assert list(table["school"]) == ["b", "a", "c"]
    draws = fit["posterior/mu_school"].to_numpy().reshape(-1, 3)
    assert_allclose(table["mean"], draws.mean(axis=0))
    assert_allclose(table["sd"], draws.std(axis=0, ddof=1))
    assert_allclose(table["lower"], np.quantile(draws, 0.25, axis=0))
    assert_allclose(table["upper"], np.quantile(draws, 0.75, axis=0))
    assert table.attrs == {"variable": "mu_school", "prob": 0.5}


def test_estimates_do_not_depend_on_the_order_of_dimensions(fit):
    turned = fit["posterior"].to_dataset().transpose("school", "draw", "chain", "year")
    pd.testing.assert_frame_equal(
        estimates(xr.DataTree.from_dict({"posterior": turned}), "mu_school"),
        estimates(fit, "mu_school"),
    )


def test_estimates_by_group_and_year():
    draws = np.random.default_rng(1).normal(size=(2, 50, 2, 3))
    years = [2015, 2016, 2019]
    fit = azb.from_dict(
        {"posterior": {"mu_school": draws}},
        dims={"mu_school": ["school", "year"]},
        coords={"school": ["b", "a"], "year": years},
    )
    table = estimates(fit, "mu_school", prob=0.5)
    assert list(table.columns) == ["school", "year", "mean", "sd", "lower", "upper"]
    assert list(zip(table["school"], table["year"], strict=True)) == [
        (school, year) for school in "ba" for year in years
    ]
    one = draws[..., 1, 2].ravel()
    quartiles = np.quantile(one, [0.25, 0.75])
    numbers = table.loc[5, "mean":].to_numpy(float)
    assert_allclose(numbers, [one.mean(), one.std(ddof=1), *quartiles])


def test_estimates_name_what_is_there(fit):
    with pytest.raises(ValueError, match=r"no variable 'mu_schol'; it has: .*Did you mean 'mu_sch"):
        estimates(fit, "mu_schol")
    with pytest.raises(ValueError, match=r"'mu' has no dimension .*as in: mu_school"):
        estimates(fit, "mu")
    fit["posterior"]["three"] = fit["posterior"]["two"].expand_dims("course")
    with pytest.raises(ValueError, match=r"'three' has dimensions \['course', 'school', 'year'\]"):
        estimates(fit, "three")
    with pytest.raises(ValueError, match="95 %"):
        estimates(fit, "mu_school", prob=95)
    with pytest.raises(TypeError, match=r"must be an xarray\.DataTree, got DataFrame"):
        estimates(pd.DataFrame(), "mu_school")
    with pytest.raises(ValueError, match="no group 'posterior'; its groups are: prior"):
        estimates(xr.DataTree.from_dict({"prior": fit["posterior"].to_dataset()}), "mu_school")
