"""What the raw means of a year differ by: what lasts, what passes, and chance."""

import numpy as np
import pandas as pd
import pytest
from fake_panels import fake_panel, panel_model
from fakes import prior_draws
from numpy.testing import assert_allclose

import hbm

KNOWN = {
    "eta": 0.6,
    "tau_school": 0.4,
    "persistence": 0.8,
    "nu": 6.0,
    "tau_nu": 0.3,
    "design_effect": 2.0,
    "effect_year": np.zeros((2, 4)),
}
SHARES = [f"share_{x}" for x in ("authority", "lasting", "passing", "cohort", "student")]


def test_parts_of_small_variances_are_the_closed_form():
    """Where effects hardly vary, all means have one slope, and parts are those of the logits."""
    small = {"tau_authority": 0.003, "tau_school": 0.004, "tau_nu": 1e-9, "tau_year": 0.5}
    fit = fake_panel(2, **(KNOWN | small))
    table = hbm.reliability(fit, n=[1000, 1_000_000])
    slope = np.exp(-0.6) / (1 + np.exp(-0.6)) ** 2
    for row in table.itertuples():
        n = row.n_students
        size = (n * 7 - 1) / 2
        own = slope / (size + 1)  # mu (1 - mu) is the slope
        levels = slope**2 * np.array([0.003**2, 0.8**2 * 0.004**2, (1 - 0.8**2) * 0.004**2])
        parts = np.array([*levels, own / 2, own / 2])
        found = [getattr(row, name) for name in SHARES]
        assert_allclose(found, parts / parts.sum(), rtol=1e-3)
        assert_allclose(row.sd, np.sqrt(parts.sum()), rtol=1e-3)
        both = slope**2 * (0.003**2 + 0.8 * 0.004**2) / parts.sum()
        assert_allclose([row.correlation, row.lower, row.upper], both, rtol=1e-3)


def test_spreads_and_correlations_are_those_of_the_story():
    story = {"mu": 0.7, "tau_school": 0.6, "persistence": 0.7, "nu": 5.0, "tau_nu": 0.4}
    n_schools = 3000
    table, truth = hbm.simulate.exam_panel(
        [1] * n_schools, 12, years=[2018, 2019], tau_year=0, tau_authority=0.5,
        design_effect=1.6, random_seed=2, **story,
    )  # fmt: skip
    eta = np.log(0.7 / 0.3)
    known = KNOWN | story | {"eta": eta, "tau_authority": 0.5, "design_effect": 1.6}
    (row,) = hbm.reliability(fake_panel(2, **known), n=[12]).itertuples()
    raw = table.pivot_table(index="school", columns="year", values="mean")
    own = truth.pivot_table(index="school", columns="year", values="school_mean")
    r = raw.corr().iloc[0, 1]
    assert abs(row.correlation - r) < 4 * (1 - r**2) / np.sqrt(n_schools)
    variance = raw.var().mean()
    squares = ((raw - raw.mean()) ** 2).mean(axis=1)
    assert abs(row.sd**2 - variance) < 4 * squares.std() / np.sqrt(n_schools)
    of_means = row.share_authority + row.share_lasting + row.share_passing
    squares = ((own - own.mean()) ** 2).mean(axis=1)
    assert abs(of_means * row.sd**2 - own.var().mean()) < 4 * squares.std() / np.sqrt(n_schools)


def test_parts_are_those_of_variance_shares():
    fit = fake_panel(2, **KNOWN, tau_authority=0.3)
    table = hbm.reliability(fit, n=[1, 7])
    levels = hbm.variance_shares(hbm.in_year(fit, 2015)).set_index("level")["sd"] ** 2
    for row in table.itertuples():
        variances = row.sd**2 * np.array(
            [row.share_authority, row.share_lasting, row.share_passing]
        )
        assert_allclose(variances[0], levels["authority"])
        assert_allclose(variances[1:], levels["school"] * np.array([0.64, 0.36]), rtol=0.01)
        assert_allclose(variances[1:].sum(), levels["school"])
        assert_allclose(row.share_cohort, row.share_student)


@pytest.mark.parametrize("levels", [(), ("authority",)])
def test_parts_sum_to_one(levels):
    table = hbm.reliability(fake_panel(levels=levels))
    assert table["n_students"].tolist() == [5, 10, 20, 50, 100, 200]
    shares = table.filter(like="share_")
    assert shares.columns.tolist() == SHARES[1 - len(levels) :]
    assert_allclose(shares.sum(axis=1), 1)
    assert (table["correlation"].diff()[1:] > 0).all()
    assert (table["lower"] < table["correlation"]).all()
    assert (table["correlation"] < table["upper"]).all()


def test_independent_students_have_no_cohort():
    table, _ = hbm.simulate.exam_panel([2, 1], 30, random_seed=1)
    model = hbm.exams.panel(table, design_effect=1)
    prior = prior_draws(model, 20)
    found = hbm.reliability(prior.assign(posterior=prior["prior"]))
    assert found["n_students"].tolist() == [30]
    assert [x for x in found if x.startswith("share")] == [SHARES[i] for i in (0, 1, 2, 4)]
    assert_allclose(found.filter(like="share_").sum(axis=1), 1)


def test_the_observed_correlation_is_that_of_successive_years():
    fit = fake_panel(n_schools=120)
    d = panel_model(120).description
    table = pd.DataFrame(
        {
            "school": d.coords["school"][d.cells.group],
            "year": d.cells.years[d.cells.year],
            "n": d.n,
            "mean": d.mean,
        }
    )
    for row in hbm.reliability(fit, n=[20, 60]).itertuples():
        near = table[table["n"].between(row.n_students / 1.6, row.n_students * 1.6)]
        after = near.assign(year=near["year"] - 1)
        pairs = near.merge(after, on=["school", "year"])
        assert set(pairs["year"]) == {2015, 2018}
        centred = pairs.groupby("year")[["mean_x", "mean_y"]].transform(lambda x: x - x.mean())
        expected = (centred["mean_x"] @ centred["mean_y"]) / np.sqrt((centred**2).sum().prod())
        assert row.n_pairs == len(pairs)
        assert_allclose(row.observed, expected)
    few = hbm.reliability(fit, n=[1])
    assert np.isnan(few["observed"]).all()


@pytest.mark.parametrize(
    ("kwargs", "said"),
    [
        ({"n": 10}, "n must be a sequence of whole numbers, got 10"),
        ({"n": [2.5]}, "n must be a sequence of whole numbers"),
        ({"n": [0, 3]}, "1 or more, got 0"),
        ({"prob": 2}, "prob must lie"),
    ],
)
def test_what_is_no_size_is_refused(kwargs, said):
    with pytest.raises(ValueError, match=said):
        hbm.reliability(fake_panel(), **kwargs)


def test_one_year_has_no_reliability():
    with pytest.raises(ValueError, match="of one year"):
        hbm.reliability(hbm.in_year(fake_panel()))
