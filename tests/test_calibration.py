"""Simulation-based calibration: the models' posteriors mean what they say.

Parameters are drawn from the prior, students from the parameters one by one, and the model is
fitted to the students, or to the table made of them. Over many such data sets the rank of each true
value among its posterior draws is uniform (Talts et al. 2018) and intervals cover as often as they
say, in every band of what can be seen of a school: its size and its mean mark.

The density of (mean, sd) of Beta students is an approximation, so this is where it is put to the
test. All models go through `hbm.sample_each`, as they would at work, and are compiled once.
"""

import functools
import warnings

import arviz as az
import numpy as np
import pandas as pd
import pytest
from scipy import stats

import hbm

# By authority; small and large schools in each.
SIZES = np.array([3, 22, 70, 9, 120, 5, 200, 15, 7, 35, 4, 90, 12, 3, 29, 8, 50, 6, 18, 25])
N_RANKS = 100  # a rank among 99 draws

# For students one by one, nu is kept from values at which Beta draws round to 0 or 1.
PRIORS = {
    "exams": hbm.exams.Priors(eta_mean=0.6, nu_median=8, nu_log_sd=0.5),
    "scores": hbm.scores.Priors(eta_mean=0.6, nu_median=25, nu_log_sd=0.4, tau_nu=0.3),
    "heights": hbm.heights.Priors(),
    "exams.nested in zones": hbm.exams.Priors(
        eta_mean=0.6,
        tau_parent={"authority": 0.3, "zone": 0.6},
        tau_school=0.4,
        nu_median=8,
        nu_log_sd=0.5,
    ),
}


def school_data(rng, priors, nested):
    """Draw parameters, then students, then the table made of them."""
    truth = priors.draw(rng)
    if not nested:
        truth["tau_authority"] = 0.0
    table, students, schools = hbm.simulate.exams(
        [5, 4, 3, 3, 2, 1, 1, 1], SIZES, **truth, random_seed=rng
    )
    if not nested:
        del truth["tau_authority"]
    truth["mu_school"] = schools["school_mean"].to_numpy()
    truth["nu_school"] = schools["nu"].to_numpy()
    return table, students, truth


def exam_data(rng, nested):
    table, _, truth = school_data(rng, PRIORS["exams"], nested)
    return table, truth, table["mean"].to_numpy()


def zone_data(rng, nested):
    """Draw schools in authorities in zones: one zone is one authority, one of these one school."""
    priors = PRIORS["exams.nested in zones"]
    truth = priors.draw(rng) | {"tau_zone": abs(rng.normal(0, priors.tau_of("zone")))}
    table, _, schools = hbm.simulate.exams(
        [5, 4, 3, 3, 2, 1, 1, 1], SIZES, zones=[3, 2, 2, 1], **truth, random_seed=rng
    )
    truth["mu_school"] = schools["school_mean"].to_numpy()
    truth["nu_school"] = schools["nu"].to_numpy()
    return table, truth, table["mean"].to_numpy()


def score_data(rng, nested):
    table, students, truth = school_data(rng, PRIORS["scores"], nested)
    students = students.rename(columns={"authority": "district"})
    # Once in a few data sets a score rounds to 0 or 1, which no Beta gives.
    students["score"] = students["score"].clip(1e-15, 1 - 1e-15)
    if nested:
        truth["tau_district"] = truth.pop("tau_authority")
    return students, truth, table["mean"].to_numpy()


def height_data(rng, nested):
    truth = PRIORS["heights"].draw(rng)
    table, countries = hbm.simulate.heights(len(SIZES), SIZES, **truth, random_seed=rng)
    truth["mu_country"] = countries["mean"].to_numpy()
    mean = table.groupby("country", sort=False)["height"].mean().to_numpy()
    return table, truth, mean


CASES = {
    "heights.partial_pooling": (height_data, False),
    "scores.partial_pooling": (score_data, False),
    "scores.nested": (score_data, True),
    "exams.partial_pooling": (exam_data, False),
    "exams.nested": (exam_data, True),
    "exams.nested in zones": (zone_data, True),
}


def calibrate(name, n_sets, seed=20180418):
    """Return one row a data set and quantity: the rank of the truth and whether intervals cover."""
    module, function = name.removesuffix(" in zones").split(".")
    simulate, nested = CASES[name]
    options = {"priors": PRIORS.get(name, PRIORS[module])}
    if name.endswith(" in zones"):
        options["levels"] = ("authority", "zone")
    build = functools.partial(getattr(getattr(hbm, module), function), **options)
    rng = np.random.default_rng(seed)
    sets = [simulate(rng, nested) for _ in range(n_sets)]
    # A short fit may miss a check by a hair; ranks and intervals say whether it matters.
    with warnings.catch_warnings(action="ignore", category=hbm.ConvergenceWarning):
        each = hbm.sample_each(
            build,
            {i: table for i, (table, *_) in enumerate(sets)},
            draws=500,
            tune=400,
            chains=2,
            target_accept=0.9,
            random_seed=seed,
            progressbar=False,
        )
    assert not each.errors
    fits = (az.extract(fit) for _, fit in each.fits.values())
    rows = []
    for i, ((_, truth, means), draws) in enumerate(zip(sets, fits, strict=True)):
        for quantity, true in truth.items():
            values = draws[quantity].transpose("sample", ...).to_numpy()
            values = values.reshape(len(values), -1)
            true = np.atleast_1d(true)
            thinned = values[np.linspace(0, len(values) - 1, N_RANKS - 1).astype(int)]
            by_group = len(true) > 1
            rows.append(
                pd.DataFrame(
                    {
                        "set": i,
                        "quantity": quantity,
                        "size": SIZES if by_group else 0,
                        "mean": means if by_group else np.nan,
                        "rank": (thinned < true).sum(axis=0),
                        "cover_50": covers(values, true, 0.50),
                        "cover_89": covers(values, true, 0.89),
                    }
                )
            )
    return pd.concat(rows, ignore_index=True)


def covers(draws, true, prob):
    """Say which true values lie in their equal-tailed intervals."""
    lower, upper = np.quantile(draws, [(1 - prob) / 2, (1 + prob) / 2], axis=0)
    return (lower < true) & (true < upper)


def uniformity(ranks):
    """Test each quantity, and small, middle and large groups, for uniform ranks; one row a test."""
    tests = []
    for quantity, rows in ranks.groupby("quantity"):
        if (rows["size"] == 0).all():
            picked = {quantity: rows}
        else:
            # One school of each size a set: ranks of one set share its hyperparameters.
            picked = {
                f"{quantity} of {size}": rows[rows["size"] == size].drop_duplicates("set")
                for size in (4, 15, 120)
            }
        for label, chosen in picked.items():
            counts = np.bincount(chosen["rank"] // 10, minlength=10)
            tests.append((label, len(chosen), stats.chisquare(counts).pvalue))
    return pd.DataFrame(tests, columns=["quantity", "n", "p"])


def coverage(ranks, quantity):
    """Return coverage by band, with a standard error that knows that sets share parameters."""
    rows = ranks[ranks["quantity"] == quantity].assign(all="all")
    rows["n"] = pd.cut(rows["size"], [2, 9, 29, 1000], labels=["3–9", "10–29", "30+"]).astype(str)
    if rows["mean"].max() <= 1:
        rows["at"] = pd.cut(
            rows["mean"], [0, 0.2, 0.3, 0.8, 1], labels=["< 0.2", "0.2–0.3", "0.3–0.8", "> 0.8"]
        ).astype(str)
    else:
        rows["at"] = "all"
    bands = []
    for keys in (["all"], ["n"], ["at"], ["n", "at"]):
        for band, chosen in rows.groupby(keys):
            row = {"band": " & ".join(map(str, band)), "schools": len(chosen)}
            for level, nominal in (("cover_50", 0.5), ("cover_89", 0.89)):
                by_set = chosen.groupby("set")[level].agg(["sum", "size"])
                share = by_set["sum"].sum() / by_set["size"].sum()
                residual = by_set["sum"] - nominal * by_set["size"]
                error = np.sqrt((residual**2).sum()) / by_set["size"].sum()
                # In a few schools that happen to be covered too often their own spread says little.
                independent = np.sqrt(nominal * (1 - nominal) / len(chosen))
                row |= {level: share, f"{level}_error": max(error, independent)}
            bands.append(row)
    return pd.DataFrame(bands).drop_duplicates("band")


def check(ranks):
    tests = uniformity(ranks)
    print(tests.to_string())
    # All tests together fail a calibrated model once in a hundred runs.
    assert (tests["p"] > 0.01 / len(tests)).all(), tests.to_string()
    quantities = sorted(set(ranks.loc[ranks["size"] > 0, "quantity"]))
    tables = {quantity: coverage(ranks, quantity) for quantity in quantities}
    # As before: so many standard errors that one of all bands is off once in a hundred runs.
    most = stats.norm.isf(0.01 / (2 * 2 * sum(map(len, tables.values()))))
    for quantity, table in tables.items():
        print(quantity, table.to_string(), sep="\n")
        for level, nominal in (("cover_50", 0.5), ("cover_89", 0.89)):
            bad = table[(table[level] - nominal).abs() > most * table[f"{level}_error"]]
            assert bad.empty, f"{quantity}, {level}:\n{bad.to_string()}"


@pytest.mark.calibration
@pytest.mark.parametrize("name", CASES)
def test_calibration(name):
    check(calibrate(name, 300))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["exams.nested", "exams.nested in zones"])
def test_calibration_in_small(name):
    check(calibrate(name, 40))


def test_calibration_sees_a_density_that_is_too_sure():
    """Ranks of draws with half the right spread fail both checks."""
    rng = np.random.default_rng(1)
    true = rng.normal(size=(300, len(SIZES)))
    draws = 0.5 * rng.normal(size=(99, 300, len(SIZES)))
    ranks = pd.DataFrame(
        {
            "set": np.repeat(np.arange(300), len(SIZES)),
            "quantity": "mu_school",
            "size": np.tile(SIZES, 300),
            "mean": 0.5,
            "rank": (draws < true).sum(axis=0).ravel(),
            "cover_50": covers(draws, true, 0.50).ravel(),
            "cover_89": covers(draws, true, 0.89).ravel(),
        }
    )
    with pytest.raises(AssertionError, match="mu_school of 4"):
        check(ranks)
