"""Arguments that no picture can be drawn of are refused in words."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from fake_panels import fake_panel
from pictures import (
    CALLS,
    by_label,
    estimates_table,
    exam_table,
    replicated,
    students_table,
)

from hbm import plots


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


@pytest.mark.parametrize("name", CALLS)
def test_only_axes_are_drawn_on(name):
    args, kwargs = CALLS[name](3)
    for wrong in (plt.figure(), plt.subplots(1, 2)[1], "left"):
        kind = type(wrong).__name__
        with pytest.raises(TypeError, match=rf"ax must be matplotlib Axes, .*got {kind}"):
            getattr(plots, name)(*args, **kwargs, ax=wrong)


def test_checks_are_drawn_on_axes_only():
    from hbm import LooPit

    table = pd.DataFrame({"school": list("abcd"), "pit": [0.1, 0.4, 0.7, 0.8]})
    pit = LooPit(True, 0.9, table, "school")
    with pytest.raises(TypeError, match=r"ax must be matplotlib Axes, .*got Figure"):
        plots.plot_pit(pit, ax=plt.figure())
    with pytest.raises(TypeError, match=r"prob must be a number, got '0\.9'"):
        plots.plot_pit(pit, prob="0.9")
    with pytest.raises(ValueError, match="prob must lie between 0 and 1, got 99"):
        plots.plot_pit(pit, prob=99)


CALLERS = {
    "unit": lambda x: plots.plot_estimates(estimates_table(3), unit=x),
    "bounds": lambda x: plots.plot_density([1.0, 2.0], bounds=x),
    "truth": lambda x: plots.plot_density([1.0, 2.0], truth=x),
    "n_curves": lambda x: plots.plot_predictive(np.ones((5, 3)) * np.arange(3), n_curves=x),
    "prob": lambda x: plots.plot_predictive_by_group(replicated(3), by_label(3), prob=x),
    "others": lambda x: plots.plot_estimates(estimates_table(3), others=x),
    "reference": lambda x: plots.plot_estimates(estimates_table(3), reference=x),
    "lines": lambda x: plots.plot_caterpillar(estimates_table(3), exam_table(3), reference=x),
    "points": lambda x: plots.plot_betas(pd.DataFrame({"mu": [0.5], "nu": [4]}), points=x),
    "means": lambda x: plots.plot_densities(students_table(3), "score", "school", truth=x),
    "level": lambda x: plots.plot_ranks(CALLS["plot_ranks"](3)[0][0], prob=x),
    "observed": lambda x: plots.plot_predictive_by_group(replicated(3), x),
    "groups": lambda x: plots.plot_trajectories(fake_panel(4), x),
    "band": lambda x: plots.plot_trajectories(fake_panel(4), ["1"], prob=x),
    "picture": lambda x: plots.save_figure(x, "picture"),
}


@pytest.mark.parametrize(
    ("argument", "wrong", "error", "message"),
    [
        ("unit", 5, TypeError, "unit must be text, such as '%' or 'cm', got 5"),
        ("bounds", "01", TypeError, r"bounds must be two numbers, such as \(0, 1\), got '01'"),
        ("bounds", (0,), TypeError, r"bounds must be two numbers, such as \(0, 1\), got \(0,\)"),
        ("bounds", (3, 0), ValueError, r"bounds must ascend, got \(3, 0\)"),
        ("truth", "1", TypeError, "truth must be a number, got '1'"),
        ("truth", np.nan, ValueError, "truth must be a finite number, got nan"),
        ("n_curves", "9", TypeError, "n_curves must be a whole number, got '9'"),
        ("n_curves", 2.5, TypeError, r"n_curves must be a whole number, got 2\.5"),
        ("n_curves", 0, ValueError, "n_curves must be 1 or more, got 0"),
        ("prob", "0.9", TypeError, "prob must be a number, got '0.9'"),
        ("level", "0.9", TypeError, "prob must be a number, got '0.9'"),
        ("others", pd.Series(by_label(3)), TypeError, "others must map names to .*got Series"),
        ("others", {"true": 0.5}, TypeError, "'true' must map labels to numbers, .*got float"),
        ("others", {"a": {**by_label(3), "0001": "?"}}, TypeError, r"'a' .*'0001' has '\?'"),
        ("reference", 0.66, TypeError, "reference must map names to .*got float"),
        ("reference", {"grand mean": "0.6"}, TypeError, "'grand mean' must .*got str"),
        ("lines", 0.66, TypeError, "reference must map names to .*got float"),
        ("lines", {"grand mean": "0.6"}, TypeError, "'grand mean' must be a number, got '0.6'"),
        ("points", 0.5, TypeError, "points must hold one array a row .*got float"),
        ("means", 0.5, TypeError, "'truth' must map labels to numbers, .*got float"),
        ("observed", [0.5, 0.6, 0.7], TypeError, "'observed' must map labels .*got list"),
        ("groups", "1", TypeError, r"groups must be labels, such as \['1', '2'\].* got '1'"),
        ("groups", 1, TypeError, "groups must be labels"),
        ("groups", ["1", "12"], ValueError, "the fit has no school '12'"),
        ("groups", [], ValueError, "0 schools cannot be told apart .* choose 1 to 7"),
        ("band", "0.9", TypeError, "prob must be a number, got '0.9'"),
        ("band", 90, ValueError, "prob must lie between 0 and 1, got 90"),
        ("picture", "ranks", TypeError, "picture must be .*Axes or a Figure.*got str"),
        ("picture", [1], TypeError, "picture must be .*Axes or a Figure.*got list"),
    ],
)
def test_arguments_of_another_kind_are_refused(argument, wrong, error, message):
    with pytest.raises(error, match=message):
        CALLERS[argument](wrong)
