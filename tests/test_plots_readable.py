"""A picture can be read: in any style, with long names, with lost attrs."""

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_hex
from matplotlib.text import Text
from numpy.testing import assert_allclose, assert_array_equal
from pictures import (
    CALLS,
    authorities_table,
    changes_table,
    comparison_table,
    estimates_table,
    exam_table,
    legend_texts,
    limits_table,
    lost,
    ranks_table,
    shrinkage_table,
    spreads_fit,
)

from hbm import plots
from hbm.plots import style


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


# Any style ---------------------------------------------------------------------------------------


def texts_of(ax):
    """Return the texts of a picture that show something."""
    return [t for t in ax.figure.findobj(Text) if t.get_text() and t.get_visible()]


@pytest.mark.parametrize("own", [True, False])
@pytest.mark.parametrize("name", CALLS)
def test_all_text_is_dark_on_white_in_a_dark_style(name, own):
    args, kwargs = CALLS[name](9)
    with plt.style.context("dark_background"):
        ax = getattr(plots, name)(*args, **kwargs, **({} if own else {"ax": plt.subplots()[1]}))
        ax.figure.canvas.draw()
        assert to_hex(ax.figure.get_facecolor()) == to_hex(ax.get_facecolor()) == "#ffffff"
        dark = {to_hex(c) for c in (style.BLACK, style.GREY, style.VERMILLION)}
        assert {to_hex(t.get_color()) for t in texts_of(ax)} <= dark


def test_a_light_or_no_background_of_ones_own_is_kept():
    for face in ("#f0f0f0", "none"):
        figure, ax = plt.subplots(facecolor=face)
        plots.plot_ranks(ranks_table(9), ax=ax)
        assert figure.get_facecolor() == mpl.colors.to_rgba(face)


def test_a_part_of_a_dark_figure_gets_a_background_of_its_own():
    whole = plt.figure(facecolor="black")
    left, right = whole.subfigures(1, 2)
    plots.plot_ranks(ranks_table(9), ax=left.subplots())
    assert to_hex(left.get_facecolor()) == "#ffffff"
    assert right.get_facecolor()[3] == 0
    assert to_hex(whole.get_facecolor()) == "#000000"


def test_a_picture_is_saved_on_its_own_background(tmp_path):
    with mpl.rc_context({"savefig.facecolor": "black"}):
        png, _ = plots.save_figure(plots.plot_ranks(ranks_table(9)), tmp_path / "ranks")
    assert_array_equal(plt.imread(png)[0, 0], [1, 1, 1, 1])


# Long names --------------------------------------------------------------------------------------

LONG = [
    f"{start} {i} of the Board of Trustees of the Holy Spirit Roman Catholic Separate Regional Div."
    for i in range(30)
    for start in ("Our Lady of the Snows Catholic Academy",)
]


def with_long_names(table):
    return table.assign(school=[f"{LONG[0][:60]}{i:03d}{LONG[0][60:]}" for i in range(len(table))])


@pytest.mark.parametrize("most", [12, 24])
@pytest.mark.parametrize(
    "names",
    [
        LONG,
        ["short", "shorter", "no longer than that"],
        [f"{'x' * 60}{i}" for i in range(40)],
        [f"{i}{'x' * 60}" for i in range(40)],
        [f"{'x' * i}o{'x' * (60 - i)}" for i in range(60)],
        [f"{'school ' * 8}{a} in {'town ' * 8}{b}" for a in range(9) for b in range(9)],
        ["x" * n for n in range(1, 60)],
    ],
)
def test_shortened_names_stay_different(names, most):
    short = style.shorten(names, most)
    assert len(set(short)) == len(names)
    assert max(map(len, short)) <= most
    for name, now in zip(names, short, strict=True):
        assert now == name if len(name) <= most else "…" in now


def test_shortened_names_show_where_they_differ():
    names = [f"Senior High School of Calgary {i:04d} in the North" for i in range(12)]
    short = style.shorten(names, 24)
    assert all(f"{i:04d}" in label for i, label in enumerate(short))
    assert all(label.startswith("Senior") for label in short)
    assert style.shorten(["Lester B. Pearson Senior High School"], 24) == [
        "Lester B. Pearson Senio…"
    ]


@pytest.mark.parametrize("n", [1, 2, 3, 12, 25])
@pytest.mark.parametrize(
    ("draw", "table"),
    [
        (plots.plot_shrinkage, shrinkage_table),
        (plots.plot_ranks, ranks_table),
        (plots.plot_changes, changes_table),
        (plots.plot_estimates, estimates_table),
        (plots.plot_exam_table, exam_table),
    ],
)
def test_groups_with_long_names_are_named(draw, table, n):
    ax = draw(with_long_names(table(n)))
    ax.figure.canvas.draw()
    shown = ax.get_xticklabels()
    assert len({t.get_text() for t in shown}) == n
    assert all("…" in t.get_text() for t in shown)
    whole = ax.figure.bbox
    for text in [*shown, ax.xaxis.label, ax._left_title]:
        box = text.get_window_extent()
        assert whole.x0 <= box.x0
        assert whole.y0 <= box.y0
        assert box.x1 <= whole.x1
    # What is drawn keeps most of the picture.
    assert ax.get_window_extent().height > 0.4 * whole.height


@pytest.mark.parametrize(
    "draw", [lambda t: plots.plot_funnel(t, limits_table()), plots.plot_pooling]
)
def test_names_of_points_do_not_span_the_picture(draw):
    ax = draw(with_long_names(shrinkage_table(20)))
    ax.figure.canvas.draw()
    assert ax.texts
    widest = max(t.get_window_extent().width for t in ax.texts)
    assert widest < 0.35 * ax.get_window_extent().width


def test_of_many_points_in_one_place_three_are_named():
    table = pd.DataFrame({"country": list("abcdef"), "n_people": 20, "pooling": 0.4})
    ax = plots.plot_pooling(table)
    assert [t.get_text() for t in ax.texts] == ["a, b, c and 3 more"]
    table["country"] = [f"the {name} and associated territories" for name in table["country"]]
    (one,) = plots.plot_pooling(table).texts
    assert one.get_text().startswith("the a and")
    assert one.get_text().endswith("… and 5 more")


def test_the_parent_of_an_only_child_is_named_where_attrs_are_lost():
    ax = plots.plot_pooling(lost(shrinkage_table(30)).assign(share_authority=0.0))
    assert legend_texts(ax) == ["only school of its authority"]


@pytest.mark.parametrize(
    "draw",
    [
        lambda t: plots.plot_shrinkage(t, colour_by="authority"),
        lambda t: plots.plot_pooling(t, colour_by="authority"),
        lambda t: plots.plot_densities(t, "mean", "authority"),
        lambda t: plots.plot_comparison(
            comparison_table(3).set_axis([f"model_{'x' * 95}_{i}" for i in range(3)])
        ),
    ],
)
def test_long_names_in_a_legend_leave_room_for_the_picture(draw):
    table = shrinkage_table(12)
    table["authority"] = [LONG[i % 5] for i in range(12)]
    ax = draw(table)
    ax.figure.canvas.draw()
    assert ax.get_window_extent().width > 0.4 * ax.figure.bbox.width
    assert ax.get_legend().get_window_extent().x1 <= ax.figure.bbox.x1


# Draws that are all alike ------------------------------------------------------------------------


@pytest.mark.parametrize("value", [4.0, 0.0, 0.65])
def test_draws_that_are_all_alike_are_a_line(value):
    ax = plots.plot_density(np.full((4, 25), value), name="nu")
    ax.figure.canvas.draw()
    (line,) = ax.lines
    assert_array_equal(line.get_xdata(), [value, value])
    assert line.get_window_extent().height > 0.5 * ax.get_window_extent().height
    assert ax.get_title(loc="left") == f"nu: 100 draws, all of them {value:g}"
    assert not ax.get_yticks().size
    assert_allclose(np.mean(ax.get_xlim()), value)
    one = plots.plot_density([value], name="nu", unit="%" if value == 0.65 else "", truth=0.5)
    number = "65%" if value == 0.65 else f"{value:g}"
    title = f"nu: 1 draw, {number}; dashed: true value"
    assert one.get_title(loc="left") == title
    low, high = one.get_xlim()
    assert low < min(value, 0.5) <= max(value, 0.5) < high


@pytest.mark.parametrize("value", [0.0, 0.5])
def test_a_spread_that_does_not_vary_is_a_line(value):
    fit = spreads_fit(50)
    fit["posterior"]["tau_school"][:] = value
    ax = plots.plot_spreads(fit)
    line = next(line for line in ax.lines if line.get_label() == f"between schools: {value:g}")
    assert_array_equal(line.get_xdata(), [value, value])
    low, high = ax.get_xlim()
    assert low <= value < high


def test_spreads_none_of_which_varies():
    fit = spreads_fit(50)
    for name in ("tau_school", "tau_authority"):
        fit["posterior"][name][:] = 0.0
    ax = plots.plot_spreads(fit)
    assert len(ax.lines) == 2
    assert ax.get_xlim()[1] > 0


# What a merge or a CSV file loses ----------------------------------------------------------------

WITH_LEVEL = {
    "plot_caterpillar": lambda t, **k: plots.plot_caterpillar(t, exam_table(5), **k),
    "plot_changes": plots.plot_changes,
    "plot_estimates": plots.plot_estimates,
    "plot_funnel": lambda t, **k: plots.plot_funnel(shrinkage_table(5), t, **k),
    "plot_nesting": lambda t, **k: plots.plot_nesting(shrinkage_table(5), t, **k),
    "plot_ranks": plots.plot_ranks,
    "plot_shrinkage": plots.plot_shrinkage,
}
TABLES = {
    "plot_caterpillar": estimates_table(5),
    "plot_changes": changes_table(5),
    "plot_estimates": estimates_table(5),
    "plot_funnel": limits_table(),
    "plot_nesting": authorities_table(5),
    "plot_ranks": ranks_table(5),
    "plot_shrinkage": shrinkage_table(5),
}


@pytest.mark.parametrize("name", WITH_LEVEL)
def test_a_lost_level_can_be_given_and_is_not_guessed(name):
    draw, table = WITH_LEVEL[name], TABLES[name]

    def words(ax):
        return " ".join(t.get_text() for t in texts_of(ax))

    assert "90 %" in words(draw(table))
    assert "90 %" in words(draw(lost(table), prob=0.9))
    assert not {"90 %", "95 %"} & set(words(draw(lost(table))).split("  "))
    assert " % i" not in words(draw(lost(table)))
    with pytest.raises(ValueError, match=r"intervals of the table hold 90 %, and prob is 0\.95"):
        draw(table, prob=0.95)
    with pytest.raises(ValueError, match="prob must lie between 0 and 1, got 90"):
        draw(lost(table), prob=90)


def test_estimates_of_proportions_can_have_an_axis_in_per_cent():
    ax = plots.plot_estimates(lost(estimates_table(5)), unit="%")
    assert ax.yaxis.get_major_formatter()(0.5, None) == "50%"
    table = estimates_table(5)
    table.attrs["proportions"] = True
    ax = plots.plot_estimates(table)
    assert ax.yaxis.get_major_formatter()(0.5, None) == "50%"


# Saving ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "stem"),
    [
        ("fig", "fig"),
        ("fig.png", "fig"),
        ("fig.svg", "fig"),
        ("fig.PNG", "fig"),
        ("maths.30-1", "maths.30-1"),
        ("maths.30-1.png", "maths.30-1"),
        ("a.png.picture", "a.png.picture"),
    ],
)
def test_an_ending_of_a_picture_is_not_written_twice(tmp_path, given, stem):
    files = plots.save_figure(plots.plot_estimates(estimates_table(3)), tmp_path / given)
    assert [file.name for file in files] == [f"{stem}.png", f"{stem}.svg"]
    assert sorted(file.name for file in tmp_path.iterdir()) == [f"{stem}.png", f"{stem}.svg"]
