"""Shrinkage in a panel: held against the Gaussian conditional mean with its whole covariance."""

import numpy as np
import pandas as pd
import pytest
from fake_panels import YEARS, fake_panel
from fakes import fake_exams_nested, fake_fit
from numpy.testing import assert_allclose
from scipy.special import expit

import hbm
from hbm.results import weights as module

DRAWS = 3


def in_zones():
    """Return a fake fit of ten schools in five authorities in three zones, with gaps."""
    sizes = np.random.default_rng(3).integers(1, 80, (10, 4))
    sizes[np.random.default_rng(4).random(sizes.shape) < 0.25] = 0
    sizes[0] = [0, 0, 20, 0]
    sizes[9, 3] = 11
    table, _ = hbm.simulate.exam_panel([4, 2, 2, 1, 1], sizes, years=YEARS, random_seed=1)
    table["zone"] = table["authority"].map(dict(zip("12345", "aabbc", strict=True)))
    model = hbm.exams.panel(table, levels=("authority", "zone"))
    d, rng = model.description, np.random.default_rng(5)
    draws = {
        "eta": rng.normal(0.6, 0.1, DRAWS),
        "tau_year": np.full(DRAWS, 0.1),
        "tau_zone": rng.uniform(0.05, 0.3, DRAWS),
        "tau_authority": rng.uniform(0.05, 0.3, DRAWS),
        "tau_school": rng.uniform(0.2, 0.6, DRAWS),
        "persistence": rng.uniform(0.5, 0.95, DRAWS),
        "nu": np.full(DRAWS, 6.0),
        "tau_nu": np.full(DRAWS, 0.3),
        "design_effect": rng.uniform(1, 3, DRAWS),
        "effect_year": rng.normal(0, 0.2, (DRAWS, 4)),
        "eta_zone": rng.normal(0.6, 0.2, (DRAWS, 3)),
        "eta_authority": rng.normal(0.6, 0.3, (DRAWS, 5)),
        "eta_school": rng.normal(0.6, 0.4, (DRAWS, 10, 4)),
        "nu_school": rng.gamma(9, 0.7, (DRAWS, len(d.n))),
    }
    for level in ("zone", "authority", "school"):
        draws[f"mu_{level}"] = expit(draws[f"eta_{level}"])
    return fake_fit(model, draws | {"mu": expit(draws["eta"])})


FITS = {
    "zones": in_zones,
    "authorities": lambda: fake_panel(DRAWS),
    "none": lambda: fake_panel(DRAWS, levels=()),
}
LEVELS = {"zones": ["authority", "zone"], "authorities": ["authority"], "none": []}


def brute(fit, year, levels):
    """Return weights of all cells by the whole covariance, averaged over draws: by school.

    And, of the level above the schools, that of all cells together and the mean of the logits.
    """
    p = {name: x.isel(chain=0).to_pandas() if x.ndim == 2 else x.isel(chain=0).to_numpy()
         for name, x in fit["posterior"].data_vars.items()}  # fmt: skip
    constant = fit["constant_data"].to_dataset()
    at = pd.DataFrame({"school": constant["school_of_cell_label"].to_numpy(),
                       "year": constant["year_of_cell_label"].to_numpy()})  # fmt: skip
    parents = {}
    for below, level in zip(["school", *levels], levels, strict=False):
        labels = constant[f"{level}_of_{below}_label"].to_numpy()
        parents[level] = dict(zip(constant[below].to_numpy(), labels, strict=True))
        at[level] = at[below].map(parents[level])
    schools, years = fit["posterior"]["school"].to_numpy(), list(YEARS)
    n = constant["n_students"].to_numpy()
    weights, upper = 0, 0
    for draw in range(DRAWS):

        def number(name, draw=draw):
            return float(fit["posterior"][name].isel(chain=0, draw=draw))

        mu = np.array([p["mu_school"][draw][list(schools).index(s), years.index(y)]
                       for s, y in zip(at["school"], at["year"], strict=True)])  # fmt: skip
        nu = fit["posterior"]["nu_school"].isel(chain=0, draw=draw).to_numpy()
        size = (n * (nu + 1) - 1) / number("design_effect")
        noise = 1 / (mu * (1 - mu) * (size + 1))  # of a logit, by the delta method

        def covariance(a, b, draw=draw, number=number):
            same = np.equal.outer(a["school"].to_numpy(), b["school"].to_numpy())
            lag = np.abs(np.subtract.outer(a["year"].to_numpy(), b["year"].to_numpy()))
            found = same * number("tau_school") ** 2 * number("persistence") ** lag
            for level in levels:
                same = np.equal.outer(a[level].to_numpy(), b[level].to_numpy())
                found = found + same * number(f"tau_{level}") ** 2
            return found

        whole = covariance(at, at) + np.diag(noise)
        wanted = pd.DataFrame({"school": schools, "year": year})
        for below, level in zip(["school", *levels], levels, strict=False):
            wanted[level] = wanted[below].map(parents[level])
        weights = weights + np.linalg.solve(whole, covariance(at, wanted)).T / DRAWS
        if levels:
            # Of an authority's effect the covariance with cells is that of what is above schools.
            of_parents = wanted.drop_duplicates("authority")
            of_parents = of_parents.assign(school="none of them")
            upper = upper + np.linalg.solve(whole, covariance(at, of_parents)).T / DRAWS
    return at, wanted, weights, upper


@pytest.mark.parametrize("year", YEARS)
@pytest.mark.parametrize("name", FITS)
def test_weights_are_those_of_the_conditional_mean(name, year):
    fit, levels = FITS[name](), LEVELS[name]
    table = hbm.shrinkage(fit, "school", year=year).set_index("school")
    at, wanted, weights, _ = brute(fit, year, levels)
    there = at.loc[at["year"] == year, "school"]
    assert sorted(table.index) == sorted(there)
    for row, of_cells in zip(wanted.itertuples(), weights, strict=True):
        if row.school not in table.index:
            continue
        found = table.loc[row.school]
        own = (at["school"] == row.school).to_numpy()
        this = own & (at["year"] == year).to_numpy()
        assert_allclose(found["share_own"], of_cells[this].sum(), rtol=1e-9, atol=1e-12)
        assert_allclose(found["share_years"], of_cells[own & ~this].sum(), rtol=1e-9, atol=1e-12)
        inside = own
        for level in levels:
            family = (at[level] == getattr(row, level)).to_numpy()
            share = of_cells[family & ~inside].sum()
            assert_allclose(found[f"share_{level}"], share, rtol=1e-9, atol=1e-12)
            inside = family
        assert_allclose(found["share_population"], 1 - of_cells.sum(), rtol=1e-9, atol=1e-12)
    shares = table.filter(like="share_")
    assert_allclose(shares.sum(axis=1), 1)
    assert (shares.to_numpy() > -1e-12).all()
    if levels:
        alone = wanted.set_index("school").groupby("authority")["year"].transform("size") == 1
        assert table["only_child"].to_dict() == alone[table.index].to_dict()


def test_pooling_is_the_weight_of_the_target():
    """Where the target is known, the rest is the school's own, of all its years."""
    fit = fake_panel(DRAWS, levels=())
    table = hbm.shrinkage(fit, "school", year=2018).set_index("school")
    assert_allclose(table["pooling"], table["share_population"])
    # Without persistence and with authorities that are known, a year is by itself.
    fixed = {"persistence": 1e-12, "tau_authority": 1e-9}
    fit = fake_panel(DRAWS, **fixed)
    table = hbm.shrinkage(fit, "school", year=2018).set_index("school")
    assert_allclose(table["share_years"], 0, atol=1e-6)
    assert_allclose(table["share_own"], 1 - table["pooling"], rtol=1e-6)


def test_other_years_are_most_where_all_lasts():
    """With persistence 1 all years are one, and weigh as their numbers of students."""
    fit = fake_panel(DRAWS, levels=(), persistence=1.0, log_nu_school=np.full((DRAWS, 17), 1.8),
                     eta_school=np.full((DRAWS, 6, 4), 0.6), design_effect=1.0)  # fmt: skip
    row = hbm.shrinkage(fit, "school", year=2019).set_index("school").loc["2"]
    assert_allclose(row["share_years"] / row["share_own"], (40 + 38 + 45) / 50)
    row = hbm.shrinkage(fit, "school", year=2016).set_index("school").loc["2"]
    assert_allclose(row["share_years"] / row["share_own"], (40 + 50 + 45) / 38)


def test_pooling_of_an_authority_is_what_its_own_results_leave():
    fit = fake_panel(DRAWS)
    table = hbm.shrinkage(fit, "authority", year=2015).set_index("authority")
    at, wanted, _, upper = brute(fit, 2015, ["authority"])
    names = wanted["authority"].drop_duplicates()
    assert set(table.index) == set(names) == {"1", "2", "3"}
    for name, of_cells in zip(names, upper, strict=True):
        assert_allclose(of_cells[(at["authority"] != name).to_numpy()], 0, atol=1e-12)
        assert_allclose(table.loc[name, "pooling"], 1 - of_cells.sum())
    effects = fit["posterior"]["eta"] + fit["posterior"]["effect_year"].sel(year=2015)
    assert_allclose(table["target"], float(expit(effects).mean()))


def test_raw_mean_of_an_authority_is_of_all_its_years():
    """By the same weights, with the means of other years brought to the level of the year."""
    fit = fake_panel(DRAWS)
    fit["posterior"] = fit["posterior"].isel(draw=[0, 0, 0])
    at, wanted, _, upper = brute(fit, 2019, ["authority"])
    table = hbm.shrinkage(fit, "authority", year=2019).set_index("authority")
    names = wanted["authority"].drop_duplicates().tolist()
    draw = fit["posterior"].to_dataset().isel(chain=0, draw=0)
    eta = np.array(
        [
            float(draw["eta_school"].sel(school=s, year=y))
            for s, y in at[["school", "year"]].to_numpy()
        ]
    )
    years = draw["effect_year"].to_series()
    there = expit(eta + years[2019] - years[at["year"]].to_numpy())
    mean = fit["constant_data"]["mean"].to_numpy() + there - expit(eta)
    for name in table.index:
        weights = upper[names.index(name)]
        assert_allclose(table.loc[name, "raw_mean"], weights @ mean / weights.sum())
        precision = (1 / table.loc[name, "pooling"] - 1) / float(draw["tau_authority"]) ** 2
        mu = expit(float(draw["eta_authority"].sel(authority=name)) + years[2019])
        assert_allclose(table.loc[name, "raw_se"], mu * (1 - mu) / np.sqrt(precision))
    assert sorted(table.index) == ["1", "2"]  # the school of the third has no results in 2019


def test_numbers_of_a_year_are_those_of_the_view():
    fit = fake_panel(DRAWS)
    for group in ("school", "authority"):
        table = hbm.shrinkage(fit, group, year=2016, prob=0.8)
        view = hbm.in_year(fit, 2016)
        columns = [group, "mean", "sd", "lower", "upper"]
        same = hbm.estimates(view, f"mu_{group}", 0.8)
        pd.testing.assert_frame_equal(table[columns], same)
    schools = hbm.shrinkage(fit, "school", year=2016).set_index("school")
    raw = view["constant_data"]["mean"].to_series()
    assert_allclose(schools["raw_mean"], raw[schools.index])
    assert_allclose(schools["moved"], schools["mean"] - schools["raw_mean"])
    nu, mu = (view["posterior"][x].isel(chain=0).to_pandas() for x in ("nu_school", "mu_school"))
    size = (schools["n_students"] * (nu + 1) - 1).div(
        view["posterior"]["design_effect"].isel(chain=0).to_pandas(), axis=0
    )
    assert_allclose(schools["raw_se"], np.sqrt((mu * (1 - mu) / (size + 1)).mean()))
    last = hbm.shrinkage(fit, "school")
    pd.testing.assert_frame_equal(last, hbm.shrinkage(fit, "school", year=2019))
    assert last["school"].tolist() == ["1", "2", "4", "5", "3"]


def test_weights_are_averaged_over_draws_evenly_spaced(monkeypatch):
    fit = fake_panel(12)
    monkeypatch.setattr(module, "_DRAWS", 4)
    some = hbm.shrinkage(fit, "school")
    chosen = fit.copy()
    chosen["posterior"] = fit["posterior"].isel(draw=[0, 3, 6, 9])
    columns = ["raw_se", "pooling", "share_own", "share_years"]
    pd.testing.assert_frame_equal(some[columns], hbm.shrinkage(chosen, "school")[columns])


def test_a_year_alone_is_refused():
    fit = fake_panel(DRAWS)
    with pytest.raises(ValueError, match=r"several years \(2018\).*whole fit, and year=2018"):
        hbm.shrinkage(hbm.in_year(fit, 2018), "school")
    with pytest.raises(ValueError, match="the fit has no year 2017"):
        hbm.shrinkage(fit, "school", year=2017)


def test_part_of_a_panel_is_refused():
    fit = fake_panel(DRAWS)
    cells = [x for x in fit["constant_data"]["cell"].to_numpy().tolist() if not x.startswith("2 ")]
    part = fit.sel(school=["1", "3", "4", "5", "6"], cell=cells)
    with pytest.raises(ValueError, match="1 schools of authority '1' are not in it"):
        hbm.shrinkage(part, "school")


def test_a_year_of_a_fit_of_one_year_is_refused():
    table = hbm.simulate.exams([2, 1], 20, random_seed=1)[0]
    fit = fake_exams_nested(hbm.exams.nested(table), 5)
    with pytest.raises(ValueError, match=r"the fit is of one year, .* no 2018 to choose"):
        hbm.shrinkage(fit, "school", year=2018)
