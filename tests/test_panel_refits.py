"""Units of a panel left out in earnest: their density under other tables' fits, and the tables."""

import functools
import re

import numpy as np
import pytest
from fakes import fake_fit
from scipy.special import expit
from test_chain_evidence import by_grids
from test_exact_refits import compare_by_unit, log_mean_exp

import hbm
from hbm.checks.panel_units import chain_of
from hbm.checks.refits import without
from hbm.checks.units import of_new
from hbm.hierarchy.fitted import read_panel
from hbm.students.likelihoods import beta_summary_logp

NATS = 1e-3
YEARS = (2016, 2017, 2018, 2019)
SIZES = np.array([[12, 30, 0, 8], [40, 0, 0, 35], [0, 0, 9, 0], [5, 6, 7, 8]])
N_DRAWS = 2
NEW_SCHOOLS = 200  # simulated for each draw, of a school left out
TOP = {"eta": 0.6, "tau_school": 0.4, "tau_year": 0.15, "tau_authority": 0.3, "persistence": 0.9,
       "nu": 6.0, "tau_nu": 0.3, "design_effect": 1.5}  # fmt: skip


@functools.cache
def panel_table():
    table = hbm.simulate.exam_panel([2, 1, 1], SIZES, years=YEARS, random_seed=1)[0]
    return table.assign(school="s" + table["school"], authority="a" + table["authority"])


def fit_of(table, levels=("authority",), n_draws=N_DRAWS):
    """Return a panel's model, and a fit of a few draws of all that its units hang on."""
    model = hbm.exams.panel(table, levels=levels)
    rng = np.random.default_rng(3)
    draws = {name: value * rng.uniform(0.9, 1.1, n_draws) for name, value in TOP.items()}
    draws = {name: value for name, value in draws.items() if name in model.named_vars}
    for name in ("effect_year", "eta_authority"):
        if name in model.named_vars:
            shape = [len(model.coords[dim]) for dim in model.named_vars_to_dims[name]]
            draws[name] = 0.3 + 0.2 * rng.normal(size=(n_draws, *shape))
    rest = {rv.name: np.zeros(n_draws) for rv in model.free_RVs if rv.name not in draws}
    return model, fake_fit(model, draws | rest)


def read(table, levels=("authority",)):
    model, fit = fit_of(table, levels)
    return read_panel(fit, model)


def at_draw(given, i, around):
    """Return the numbers that a chain on grids goes by."""
    names = "tau_school", "persistence"
    log_nu, tau_nu, excess = (x[i] for x in given.within)
    return around, *(given.draws(name)[i] for name in names), log_nu, tau_nu, excess


def seen_of(seen, school):
    """Return what was seen of a school, the gaps of its years, and these."""
    rows = panel_table().query(f"school == '{school}'").sort_values("year")
    cells = [seen.d.positions["cell"][f"{school} {year}"] for year in rows["year"]]
    years = rows["year"].to_numpy()
    return [seen.evidence(cell) for cell in cells], np.diff(years, prepend=years[0]), years


def log_density(seen, given, i, school, around, years_kept=None):
    """Return the log density of a school's years given one draw, on grids."""
    evidence, gaps, years = seen_of(seen, school)
    effect = dict(zip(given.d.cells.years, given.draws("effect_year")[i], strict=True))
    shift = [effect[year] for year in years]
    k = len(years) if years_kept is None else years_kept
    return by_grids(evidence[:k], gaps[:k], shift[:k], at_draw(given, i, around)) if k else 0.0


def averaged(log_f, mean, sd):
    """Average exp(log_f) over a Normal, by Gauss and Hermite's points."""
    z, weight = np.polynomial.hermite_e.hermegauss(11)
    values = np.array([log_f(mean + sd * x) for x in z])
    return values.max() + np.log(np.exp(values - values.max()) @ weight / weight.sum())


def position(seen, unit, label):
    return seen.d.unit_labels(unit).tolist().index(label)


def test_a_school_with_all_its_years_given_a_fit_without_it():
    table = panel_table()
    seen, given = read(table), read(table[table["school"] != "s2"])
    found = of_new(given, seen, "school", position(seen, "school", "s2"))
    effect = given.effect("authority")[:, given.d.positions["authority"]["a1"]]
    expected = [log_density(seen, given, i, "s2", effect[i]) for i in range(N_DRAWS)]
    np.testing.assert_allclose(found, expected, rtol=0, atol=NATS)


def test_a_school_without_authorities_given_a_fit_without_it():
    table = panel_table()
    seen, given = read(table, ()), read(table[table["school"] != "s4"], ())
    found = of_new(given, seen, "school", position(seen, "school", "s4"))
    eta = given.grand_mean
    expected = [log_density(seen, given, i, "s4", eta[i]) for i in range(N_DRAWS)]
    np.testing.assert_allclose(found, expected, rtol=0, atol=NATS)


def test_a_last_year_given_a_fit_without_it():
    table = panel_table()
    rows = (table["school"] == "s1") & (table["year"] == 2019)
    seen, given = read(table), read(table[~rows])
    found = of_new(given, seen, "last_year", position(seen, "last_year", "s1 2019"))
    effect = given.effect("authority")[:, given.d.positions["authority"]["a1"]]
    expected = [
        log_density(seen, given, i, "s1", effect[i])
        - log_density(seen, given, i, "s1", effect[i], years_kept=2)
        for i in range(N_DRAWS)
    ]
    np.testing.assert_allclose(found, expected, rtol=0, atol=NATS)


@pytest.mark.parametrize("unit", ["school", "authority", "last_year"])
def test_an_authority_that_the_other_fit_does_not_have_is_integrated(unit):
    """School s3 is alone in a2, and has one year: each of the units is all there is of it."""
    table = panel_table()
    seen, given = read(table), read(table[table["school"] != "s3"])
    label = {"school": "s3", "authority": "a2", "last_year": "s3 2018"}[unit]
    found = of_new(given, seen, unit, position(seen, unit, label))
    expected = [
        averaged(
            lambda x, i=i: log_density(seen, given, i, "s3", x),
            given.grand_mean[i],
            given.tau("authority")[i],
        )
        for i in range(N_DRAWS)
    ]
    np.testing.assert_allclose(found, expected, rtol=0, atol=NATS)


def test_schools_of_an_authority_left_out_hang_together():
    table = panel_table()
    seen, given = read(table), read(table[table["authority"] != "a1"])
    found = of_new(given, seen, "authority", position(seen, "authority", "a1"))
    expected = [
        averaged(
            lambda x, i=i: sum(log_density(seen, given, i, s, x) for s in ("s1", "s2")),
            given.grand_mean[i],
            given.tau("authority")[i],
        )
        for i in range(N_DRAWS)
    ]
    np.testing.assert_allclose(found, expected, rtol=0, atol=NATS)


def test_a_year_that_the_other_fit_does_not_have_is_drawn_once_for_all_schools():
    """Without s3 and 2018 of s4 that year is gone: two schools of it share what is drawn of it."""
    table = panel_table()
    seen, given = read(table), read(table[table["year"] != 2018])
    assert given.d.cells.years.tolist() == [2016, 2017, 2019]
    three, four = (chain_of(seen, seen.d.positions["school"][s], given) for s in ("s3", "s4"))
    np.testing.assert_array_equal(three.shift[:, 0], four.shift[:, 2])
    tau = given.tau("year")
    assert (np.abs(three.shift[:, 0]) < 5 * tau).all()
    assert len(np.unique(three.shift)) == N_DRAWS


# Tables.


def left(table, unit, label, levels=("authority",)):
    """Return the cells of a table without a unit."""
    seen = read(table, levels)
    rest = without(table, seen, unit, position(seen, unit, label))
    return rest, set(rest["school"] + " " + rest["year"].astype(str))


def cells_of(table):
    return set(table["school"] + " " + table["year"].astype(str))


def test_tables_lose_the_cells_of_a_unit():
    table = panel_table()
    before = table.copy(deep=True)
    every = cells_of(table)
    assert every - left(table, "last_year", "s1 2019")[1] == {"s1 2019"}
    assert every - left(table, "school", "s2")[1] == {"s2 2016", "s2 2019"}
    of_authority = cells_of(table[table["authority"] == "a1"])
    assert every - left(table, "authority", "a1")[1] == of_authority
    assert table.equals(before)


@pytest.mark.filterwarnings("ignore:1 school stood elsewhere")
def test_a_school_stays_where_its_last_year_put_it(recwarn):
    table = panel_table().copy()
    table.loc[(table["school"] == "s4") & (table["year"] == 2019), "authority"] = "a1"
    rest, _ = left(table, "last_year", "s4 2019")
    assert set(rest.loc[rest["school"] == "s4", "authority"]) == {"a1"}
    gone = cells_of(table) - left(table, "authority", "a1")[1]
    assert gone == cells_of(table[table["school"].isin(["s1", "s2", "s4"])])
    recwarn.clear()
    hbm.exams.panel(rest)
    assert not len(recwarn)


def test_labels_are_compared_as_text():
    table = panel_table().assign(school=lambda x: x["school"].str[1:].astype(int),
                                 year=lambda x: x["year"].astype(float))  # fmt: skip
    seen = read(table)
    rest = without(table, seen, "last_year", position(seen, "last_year", "2 2019"))
    assert len(rest) == len(table) - 1
    assert not ((rest["school"].astype(int) == 2) & (rest["year"] == 2019)).any()


@pytest.mark.filterwarnings("ignore:.*Pareto k above")
def test_of_two_years_the_only_result_of_one_cannot_be_left_out(monkeypatch):
    table = panel_table().query("year == 2016 or (year == 2019 and school == 's1')")
    table = table.reset_index(drop=True)
    model, fit = fit_of(table, n_draws=60)
    monkeypatch.setattr("hbm.checks.leave_out.FINITE_VARIANCE", -1.0)
    match = re.escape("without 's1 2019' the table has results of one year only")
    with pytest.raises(ValueError, match=match):
        hbm.loo(model, fit, "last_year", refit=hbm.exams.panel, table=table)


@pytest.mark.filterwarnings("ignore:.*Pareto k above")
def test_refits_of_another_table_are_refused():
    table = panel_table()
    model, fit = fit_of(table, n_draws=60)
    other = table.assign(mean=table["mean"] * 0.9)
    with pytest.raises(ValueError, match="refit= and table= do not give the model of the fit"):
        hbm.loo(model, fit, "last_year", refit=hbm.exams.panel, table=other)


def test_a_chain_s_mean_is_that_of_its_school():
    """What a cell's label says is where its numbers are from."""
    seen = read(panel_table())
    evidence, _, years = seen_of(seen, "s4")
    rows = panel_table().query("school == 's4'").set_index("year")
    for of_year, year in zip(evidence, years, strict=True):
        assert expit(of_year.effect) == pytest.approx(rows.loc[year, "mean"], abs=0.02)


# By importance sampling, and in earnest.


@pytest.mark.calibration
@pytest.mark.filterwarnings("ignore::hbm.ConvergenceWarning")
@pytest.mark.filterwarnings("ignore:Estimated shape parameter of Pareto")
def test_eight_schools_of_three_years():
    """Effects of new schools are simulated here, over all their years, and not integrated."""
    sizes = np.array([[12, 10, 14], [40, 45, 38], [25, 0, 30], [60, 55, 66], [6, 9, 5],
                      [30, 28, 35], [15, 18, 0], [80, 75, 90]])  # fmt: skip
    table, _ = hbm.simulate.exam_panel([3, 3, 2], sizes, years=[2017, 2018, 2019], random_seed=6)

    def density(given, label, rng):
        rows = table[table["school"] == label].sort_values("year")
        authority = given.d.positions["authority"][rows["authority"].iloc[0]]
        around = given.effect("authority")[:, [authority]]
        tau, rho = given.tau("school")[:, None], given.draws("persistence")[:, None]
        log_nu, tau_nu, excess = (x[:, None] for x in given.within)
        shape, before, total = (given.n_draws, NEW_SCHOOLS), None, 0.0
        for row in rows.itertuples():
            z = rng.standard_normal(shape)
            if before is None:
                deviation = tau * z
            else:
                kept = rho ** (row.year - before)
                deviation = kept * deviation + tau * np.sqrt(1 - kept**2) * z
            before = row.year
            year = given.draws("effect_year")[:, [given.d.cells.position(row.year)]]
            nu = np.exp(log_nu + tau_nu * rng.standard_normal(shape))
            mu = expit(around + year + deviation)
            seen = row.mean, row.sd, row.n_students
            total = total + beta_summary_logp(*seen, mu, nu, excess)
        return log_mean_exp(total)

    z, *_ = compare_by_unit("exams.panel", table, "school", density)
    # Of eight standard Normals the largest exceeds it once in two thousand times.
    assert np.abs(z).max() < 4
