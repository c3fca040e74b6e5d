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
from matplotlib.collections import LineCollection, PathCollection
from matplotlib.colors import to_hex
from numpy.testing import assert_allclose, assert_array_equal

from hbm import plots
from hbm.shrinkage import estimates


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


def labels(n):
    return [f"{i:04d}" for i in range(n)]


def exam_table(n, seed=1):
    rng = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "school": labels(n),
            "authority": [f"A{i}" for i in rng.integers(0, max(n // 3, 2), n)],
            "n_students": rng.integers(2, 300, n),
            "mean": rng.beta(12, 6, n),
            "sd": rng.uniform(0.1, 0.2, n),
        }
    )


def estimates_table(n):
    mean = exam_table(n)["mean"] + 0.01
    table = pd.DataFrame(
        {"school": labels(n), "mean": mean, "lower": mean - 0.05, "upper": mean + 0.1}
    )
    table.attrs = {"variable": "mu_school", "prob": 0.9}
    return table


def students_table(n, per_school=4):
    rng = np.random.default_rng(3)
    school = np.repeat(labels(n), per_school)
    district = np.repeat([f"D{i % 2}" for i in range(n)], per_school)
    score = rng.beta(6, 3, n * per_school)
    return pd.DataFrame({"district": district, "school": school, "score": score})


def by_label(n):
    return dict(zip(labels(n), exam_table(n)["mean"], strict=True))


# Each function with its arguments for n groups.
CALLS = {
    "plot_agreement": lambda n: ((exam_table(n), "mean", "sd"), {"unit": "%"}),
    "plot_authorities": lambda n: ((exam_table(n),), {}),
    "plot_betas": lambda n: (
        (pd.DataFrame({"school": labels(n), "mu": exam_table(n)["mean"], "nu": 30}),),
        {"points": [[0.5, 0.6]] * n},
    ),
    "plot_caterpillar": lambda n: (
        (estimates_table(n), exam_table(n)),
        {"reference": {"population mean": 0.66}},
    ),
    "plot_densities": lambda n: (
        (students_table(n), "score", "school"),
        {"truth": by_label(n), "unit": "%"},
    ),
    "plot_density": lambda n: ((np.random.default_rng(1).normal(size=n),), {"truth": 0.0}),
    "plot_estimates": lambda n: (
        (estimates_table(n),),
        {
            "others": {"true mean": by_label(n)},
            "reference": {"grand mean": 0.66, "district mean": by_label(n)},
        },
    ),
    "plot_exam_table": lambda n: ((exam_table(n),), {"colour_by": "authority", "sized": True}),
    "plot_predictive": lambda n: (
        (np.random.default_rng(1).beta(6, 3, (n, 20)),),
        {"observed": np.linspace(0.1, 0.9, 20), "unit": "%"},
    ),
    "plot_students": lambda n: ((students_table(n),), {"district": "district"}),
}


def points(ax):
    """Return x, y, area and colour of all scattered points, from left to right."""
    groups = [c for c in ax.collections if isinstance(c, PathCollection)]
    xy = np.concatenate([c.get_offsets() for c in groups])
    size = np.concatenate([c.get_sizes() for c in groups])
    colour = [to_hex(rgba) for c in groups for rgba in c.get_facecolors()]
    order = np.argsort(xy[:, 0], kind="stable")
    return xy[order, 0], xy[order, 1], size[order], np.array(colour)[order]


def bars(ax):
    """Return x, lower and upper end of all vertical bars, from left to right."""
    lines = [c for c in ax.collections if isinstance(c, LineCollection)]
    ends = np.array([s for c in lines for s in c.get_segments() if s[0][0] == s[1][0]])
    ends = ends[np.argsort(ends[:, 0, 0])]
    return ends[:, 0, 0], ends[:, 0, 1], ends[:, 1, 1]


def horizontal(ax):
    lines = [c for c in ax.collections if isinstance(c, LineCollection)]
    segments = [s for c in lines for s in c.get_segments() if s[0][1] == s[1][1]]
    return [(float(a), float(b), float(y)) for (a, y), (b, _) in segments]


def legend_texts(ax):
    return [text.get_text() for text in ax.get_legend().get_texts()]


# All functions -----------------------------------------------------------------------------------


def test_every_plot_function_is_called_below():
    assert set(CALLS) == {name for name in plots.__all__ if name.startswith("plot_")}


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
        else:
            assert now == then
    assert ax.get_title(loc="left")
    assert ax.get_xlabel()
    assert ax.get_ylabel()


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
    if ax.get_legend() is not None and n <= 40:
        assert ax.get_legend().get_window_extent().x0 >= ax.get_window_extent().x1 - 1


def test_drawing_needs_matplotlib_and_importing_does_not():
    code = "import sys, hbm.plots; assert 'matplotlib' not in sys.modules, 'imported'"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_long_names_are_left_out_and_counted():
    table = estimates_table(12)
    table["school"] = "Senior High School of Calgary " + table["school"]
    ax = plots.plot_estimates(table)
    assert not ax.get_xticks().size
    assert ax.get_xlabel() == "12 schools"


# Densities ---------------------------------------------------------------------------------------


def test_density_integrates_to_one_within_its_bounds():
    values = np.random.default_rng(1).beta(12, 1, 500)
    grid, density = plots._density(values, 0, 1)
    assert grid[-1] == 1
    assert_allclose(np.trapezoid(density, grid), 1, atol=2e-3)
    # Without reflection a part of the mass lies beyond 1.
    grid, density = plots._density(values, -np.inf, np.inf)
    assert grid[-1] > 1
    assert_allclose(np.trapezoid(density, grid), 1, atol=2e-3)
    assert np.trapezoid(density[grid <= 1], grid[grid <= 1]) < 0.98


@pytest.mark.parametrize("n", [2, 50, 5000])
def test_density_is_that_of_scipy(n):
    values = np.random.default_rng(1).normal(185, 7, n)
    grid, density = plots._density(values, -np.inf, np.inf)
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
        grid, density = plots._density(draws[row], 0, 1)
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
    assert size[0] == plots._LARGEST
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
    assert grey.tolist() == [plots._GREY]
    assert legend_texts(ax)[0] == "a (4)"
    assert legend_texts(ax)[-1] == "3 others (5)"


def test_seven_groups_all_have_colours():
    table = exam_table(7).assign(authority=list("abcdefg"))
    ax = plots.plot_exam_table(table, colour_by="authority")
    *_, colour = points(ax)
    assert len(set(colour)) == 7
    assert plots._GREY.lower() not in set(colour)


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


def test_estimates_name_what_is_there(fit):
    with pytest.raises(ValueError, match=r"no variable 'mu_schol'; it has: .*Did you mean 'mu_sch"):
        estimates(fit, "mu_schol")
    with pytest.raises(ValueError, match=r"'mu' has no dimension .*as in: mu_school"):
        estimates(fit, "mu")
    with pytest.raises(ValueError, match=r"'two' has dimensions \['school', 'year'\]"):
        estimates(fit, "two")
    with pytest.raises(ValueError, match="95 %"):
        estimates(fit, "mu_school", prob=95)
    with pytest.raises(TypeError, match=r"must be an xarray\.DataTree, got DataFrame"):
        estimates(pd.DataFrame(), "mu_school")
    with pytest.raises(ValueError, match="no posterior; its groups are: prior"):
        estimates(xr.DataTree.from_dict({"prior": fit["posterior"].to_dataset()}), "mu_school")
