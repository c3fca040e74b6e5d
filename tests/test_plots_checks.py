import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from known_exams import known_exams, row

import hbm
from hbm import LooPit


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


@pytest.fixture(scope="module")
def known():
    return known_exams()


@pytest.fixture
def uniform():
    return pd.DataFrame({"school": np.arange(60).astype(str), "pit": (np.arange(60) + 0.5) / 60})


def test_the_picture_of_a_check_shows_each_statistic(known):
    model, fit = known
    check = hbm.check_predictive(model, fit, new_groups=True, prob=0.5, random_seed=1)
    ax = hbm.plot_check(check)
    labels = [tick.get_text().replace("\n", " ") for tick in ax.get_yticklabels()]
    assert labels == list(check.table["meaning"])
    failed = (check.table["verdict"] != "as expected").sum()
    assert failed
    assert f"{failed} of 11 not as expected (p = {check.p_value:.2g})" in ax.get_title(loc="left")
    texts = [text.get_text() for text in ax.texts]
    lowest = row(check, "lowest_mean")
    for value in (lowest["observed"], lowest["lower"], lowest["upper"]):
        assert f"{100 * value:.1f} %" in texts
    # The limits are those of all statistics together, and it says so.
    below = [tick.get_text() for tick in ax.get_xticklabels()]
    assert below == ["lower", "limits of all in 50 % of replications", "higher"]
    # Each point lies to the lines at -1 and 1 as the observed value to its limits.
    assert len(ax.lines) > 4
    for line in ax.lines[2:]:
        (x,), (y,) = line.get_xdata(), line.get_ydata()
        found = check.table.iloc[y]
        between = found["lower"] + (x + 1) / 2 * (found["upper"] - found["lower"])
        assert between == pytest.approx(found["observed"])
        assert (abs(x) <= 1) == (found["verdict"] == "as expected")


def test_a_far_observation_is_an_arrow_and_a_constant_one_is_drawn(known):
    model, fit = known
    check = hbm.check_predictive(model, fit, draws=99, random_seed=1)
    check.table["verdict"] = "as expected"
    check.table["observed"] = check.table["mean"]
    check.table.loc[3, ["observed", "verdict"]] = [0.9, "higher than expected"]
    check.replicates["sd_within"] = 0.1
    check.table.loc[0, ["lower", "upper", "observed"]] = 0.1
    ax = hbm.plot_check(check)
    arrows = [text for text in ax.texts if text.get_text() == "" and text.xy[0] > 0]
    assert [arrow.xy for arrow in arrows] == [(2.0, 3)]


def test_the_picture_of_pits_is_inside_its_band_when_they_are_uniform(uniform):
    ax = hbm.plot_pit(LooPit(True, 0.9, uniform, "school"))
    assert "60 schools" in [text.get_text() for text in ax.get_legend().get_texts()]
    assert np.abs(ax.lines[-1].get_ydata()).max() < 0.02
    skewed = LooPit(False, 0.0, uniform.assign(pit=uniform["pit"] ** 4), "school")
    ax = hbm.plot_pit(skewed)
    assert ax.get_title(loc="left").replace("\n", " ") == skewed.verdict
    assert ax.lines[-1].get_ydata().max() > 0.4


def test_the_picture_of_pits_shows_those_of_sds_that_are_known(uniform):
    sds = uniform["pit"].where(uniform.index > 9) ** 4
    ax = hbm.plot_pit(LooPit(True, 0.9, uniform.assign(pit_sd=sds), "school"))
    legend = [text.get_text() for text in ax.get_legend().get_texts()]
    assert legend[1:] == ["60 schools: means", "their sds"]
    of_means, of_sds = ax.lines[-2:]
    assert np.abs(of_means.get_ydata()).max() < 0.02
    # Of 50 that are known, all in the picture.
    known = np.sort(sds.dropna())
    at, off = of_sds.get_xdata(), of_sds.get_ydata()
    np.testing.assert_allclose(
        off + at, np.searchsorted(known, at, side="right") / len(known), atol=1e-12
    )
    assert ax.get_ylim()[1] > off.max() > 0.3
    none = hbm.plot_pit(LooPit(True, 0.9, uniform.assign(pit_sd=np.nan), "school"))
    assert "60 schools" in [text.get_text() for text in none.get_legend().get_texts()]


def test_pictures_refuse_other_things():
    with pytest.raises(TypeError, match=r"check must be the result of hbm.check_predictive, got"):
        hbm.plot_check(3)
    with pytest.raises(TypeError, match=r"pit must be the result of hbm.loo_pit, got int"):
        hbm.plot_pit(3)
