"""Pictures of several years show what the fit and the table say."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from fake_panels import YEARS, fake_panel, panel_model
from matplotlib.collections import LineCollection, PathCollection, PolyCollection
from matplotlib.colors import to_hex
from numpy.testing import assert_allclose
from pictures import bars, changes_table, legend_texts, lost
from scipy.special import expit
from scipy.stats import norm

from hbm import plots
from hbm.hierarchy.fitted import read_panel
from hbm.plots import style
from hbm.plots.trajectories import _next_year


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


def test_lines_bands_and_points_of_the_groups_chosen():
    fit, d = fake_panel(400), panel_model().description
    ax = plots.plot_trajectories(fit, {"5": "Fifth", "2": "Second"}, prob=0.8)
    lines = ax.lines
    assert len(lines) == 4  # of each group the years, and the step ahead
    rings = [c for c in ax.collections if isinstance(c, PathCollection)]
    bands = [c for c in ax.collections if isinstance(c, PolyCollection)]
    for i, label in enumerate(("5", "2")):
        draws = fit["posterior"]["mu_school"].sel(school=label).isel(chain=0)
        assert_allclose(lines[2 * i].get_xdata(), YEARS)
        assert_allclose(lines[2 * i].get_ydata(), draws.mean("draw"))
        vertices = bands[2 * i].get_paths()[0].vertices
        for year in YEARS:
            ends = np.quantile(draws.sel(year=year), [0.1, 0.9])
            here = vertices[vertices[:, 0] == year, 1]
            assert_allclose([here.min(), here.max()], ends)
        at = [j for j in range(len(d.n)) if d.coords["school"][d.cells.group[j]] == label]
        seen = np.column_stack([d.cells.years[d.cells.year[at]], d.mean[at]])
        assert_allclose(np.sort(rings[i].get_offsets(), axis=0), np.sort(seen, axis=0))
        sizes = dict(zip(d.mean[at], d.n[at], strict=True))
        n = [sizes[y] for y in rings[i].get_offsets()[:, 1].tolist()]
        area = rings[i].get_sizes()
        assert_allclose(area / area.max(), np.array(n) / max(n), atol=0.01 if i == 0 else 1)
    assert legend_texts(ax)[:3] == ["Fifth", "Second", "4 other schools"]
    assert [t.get_text() for t in ax.get_xticklabels()] == ["2015", "2016", "2018", "2019", "2020"]
    assert ax.yaxis.get_major_formatter()(0.5, None) == "50%"
    title = "2 schools of 6: estimates with 80 % intervals, raw means as points"
    assert ax.get_title(loc="left").split("\n")[0] == title


def test_other_groups_are_drawn_while_they_have_results():
    fit, d = fake_panel(50), panel_model().description
    ax = plots.plot_trajectories(fit, ["1"])
    (grey,) = [c for c in ax.collections if isinstance(c, LineCollection)]
    labels = [x for x in d.coords["school"] if x != "1"]
    for label, segment in zip(labels, grey.get_segments(), strict=True):
        at = list(d.coords["school"]).index(label)
        there = d.cells.years[d.cells.year[d.cells.group == at]]
        years = [y for y in YEARS if there.min() <= y <= there.max()]
        assert_allclose(segment[:, 0], years)
        mean = fit["posterior"]["mu_school"].sel(school=label, year=years).mean(("chain", "draw"))
        assert_allclose(segment[:, 1], mean)


def test_the_next_year_is_drawn_forward():
    """Given one draw of everything it is Normal on the scale of effects, with the year's own."""
    n, known = 4000, {"persistence": 0.7, "tau_school": 0.4, "tau_year": 0.3}
    effects = np.broadcast_to([0.1, 0.0, -0.2, 0.25], (n, 4))
    eta = np.broadcast_to(np.linspace(0.2, 1.4, 24).reshape(6, 4), (n, 6, 4))
    parents = np.broadcast_to([0.5, 0.9, 0.4], (n, 3))
    fit = fake_panel(n, effect_year=effects, eta_school=eta, eta_authority=parents, **known)
    f = read_panel(fit)
    ahead = _next_year(f, [1, 4])
    for i, school in enumerate((1, 4)):
        around = [0.5, 0.9, 0.4][f.d.parent_of("school")[school]]
        mean = around + 0.7 * (eta[0, school, 3] - around - 0.25)
        sd = np.sqrt(0.4**2 * (1 - 0.7**2) + 0.3**2)
        p = np.array([0.05, 0.25, 0.5, 0.75, 0.95])
        found = np.quantile(ahead[:, i], p)
        assert_allclose(found, expit(mean + sd * norm.ppf(p)), atol=0.002)


def test_changes_and_those_named():
    table = changes_table(60)
    table["named"] = table["change"].abs() > 0.04
    ax = plots.plot_changes(table.sample(frac=1, random_state=1))
    ordered = table.sort_values("change").reset_index(drop=True)
    x, lower, upper = bars(ax)
    assert_allclose(x, np.arange(60))
    assert_allclose(lower, ordered["lower"])
    assert_allclose(upper, ordered["upper"])
    raw, same, changed = (c for c in ax.collections if isinstance(c, PathCollection))
    where = np.flatnonzero(ordered["named"])
    assert_allclose(raw.get_offsets(), np.column_stack([x, ordered["raw_change"]]))
    assert_allclose(changed.get_offsets()[:, 0], where)
    both = np.concatenate([same.get_offsets(), changed.get_offsets()])
    assert_allclose(both[np.argsort(both[:, 0]), 1], ordered["change"])
    assert to_hex(changed.get_facecolor()[0]) == to_hex(style.VERMILLION)
    names = [t.get_text() for t in ax.get_xticklabels()]
    assert names == ordered.loc[where, "school"].tolist()
    k = len(where)
    assert f"{k} of 60 can be said to have risen or fallen" in ax.get_title(loc="left")
    assert ax.get_ylabel() == "Change from 2015 to 2019 (points)"
    format_ = ax.yaxis.get_major_formatter()
    assert [format_(v, None) for v in (-0.1, 0.0, 0.05)] == ["-10", "0", "+5"]
    assert "5 % may be wrong" in " ".join(legend_texts(ax))


def many_changes(n, n_named, long=False):
    table = changes_table(n)
    away = table["change"].abs().rank(ascending=False)
    # Not the outermost alone: some whose bars stand among those of others.
    table["named"] = away.isin(range(1, 2 * n_named, 2))
    if long:
        table["school"] = [f"Senior High School of the Holy Spirit {i:04d}" for i in range(n)]
    return table


def leaders_of(ax):
    """Return where the lines to names begin, along the axis, and the names where they end."""
    ax.figure.draw_without_rendering()
    lines = [t for t in ax.texts if t.arrow_patch is not None]
    names = {t.get_window_extent().x0 for t in lines}
    assert len(names) == len(lines)
    labels = {t.get_position()[0]: t for t in ax.get_xticklabels()}
    return [(t.xy[0], labels[t.get_position()[0]]) for t in lines]


@pytest.mark.parametrize("long", [False, True])
@pytest.mark.parametrize(("n", "n_named"), [(287, 31), (120, 58), (30, 9), (60, 1)])
def test_names_stand_clear_of_bars_and_of_each_other(n, n_named, long):
    table = many_changes(n, n_named, long)
    ax = plots.plot_changes(table)
    ordered = table.sort_values("change", kind="stable").reset_index(drop=True)
    led = leaders_of(ax)
    boxes = [text.get_window_extent() for _, text in led]
    whole, inside = ax.figure.bbox, ax.get_window_extent()
    assert not any(a.overlaps(b) for i, a in enumerate(boxes) for b in boxes[:i])
    assert all(b.y1 < inside.y0 and whole.x0 <= b.x0 and b.x1 <= whole.x1 for b in boxes)
    # Lines do not cross, and lead each name to its own bar.
    ends = [box.x0 for box in boxes]
    assert ends == sorted(ends)
    assert [at for at, _ in led] == sorted(at for at, _ in led)
    short = style.shorten(ordered["school"].tolist(), style.NAME)
    for at, text in led:
        assert ordered["named"][at]
        assert text.get_text() == short[int(at)]
    # Nothing else is written over what is drawn, and the legend not over names.
    assert all(not t.get_text() for t in ax.texts)
    under = [ax.xaxis.label.get_window_extent(), ax.get_legend().get_window_extent()]
    assert min(b.y0 for b in boxes) >= under[0].y1 >= under[0].y0 >= under[1].y1
    assert whole.y0 <= under[1].y0
    assert inside.height > 0.4 * whole.height


def test_what_is_not_named_is_said():
    ax = plots.plot_changes(many_changes(287, 31))
    assert ax.get_xlabel() == "287 schools: those that changed are named"
    assert len(ax.get_xticks()) == 31
    table = many_changes(287, 90)
    ax = plots.plot_changes(table)
    k = len(ax.get_xticks())
    assert 40 < k < 60
    assert ax.get_xlabel() == f"287 schools: of those that changed, the {k} that did most are named"
    most = table[table["named"]].set_index("school")["change"].abs().nlargest(k)
    assert {t.get_text() for t in ax.get_xticklabels()} == set(most.index)
    assert plots.plot_changes(many_changes(287, 0)).get_xlabel() == "287 schools"


def test_changes_that_nobody_can_be_named_of_and_lost_attrs():
    table = lost(changes_table(5).assign(named=False))
    ax = plots.plot_changes(table)
    assert "none of 5 can be said" in ax.get_title(loc="left")
    assert ax.get_ylabel() == "Change"
    assert not any("wrong" in text for text in legend_texts(ax))
    with pytest.raises(ValueError, match=r"it must be the one that hbm\.changes returns"):
        plots.plot_changes(pd.DataFrame({"school": ["a"], "change": [0.1]}))


def test_eight_schools_are_too_many():
    fit = fake_panel(4, n_schools=9)
    with pytest.raises(ValueError, match="8 schools cannot be told apart"):
        plots.plot_trajectories(fit, [str(i) for i in range(1, 9)])
