"""Coverage where students are no independent draws: the stories, and what a model takes them for.

Sixty simulated schools of 3 to 300 students, in 15 authorities. Their students are independent, or
cohorts whose design effect is that of the models for all schools, or they sit in classes, which
have means of their own, and a school of few students has one class. Two cohorts of each school are
drawn: `hbm.exams.nested` is fitted to one, and asked for the school's own mean and for the mean of
the other cohort. `mean` and `sd` are those of the design effect's posterior, where it is learned.
"""

import functools
import warnings

import measuring
import numpy as np
import pandas as pd

import hbm
from hbm.students.beta import BETA
from hbm.students.cohorts import individuals

SETS = 40
AUTHORITIES = [12, 10, 8, 6, 5, 4, 3, 3, 2, 2, 1, 1, 1, 1, 1]
SIZES = np.random.default_rng(1).permutation(np.geomspace(3, 300, 60).round().astype(int))
BANDS = ("3–9", "10–29", "30+")
BAND = np.array(BANDS)[np.searchsorted([10, 30], SIZES, side="right")]

EXCESS = 0.7  # of all schools by the models' story; of those of full classes otherwise
CLASSES = {"classes of 10": 10, "classes of 25": 25}
TRUTHS = ("independent", "design effect 1.7", *CLASSES)
FITS = {"learned": None, "1": 1, "1.7": 1 + EXCESS}


def in_classes(rng, mu, nu, most):
    """Draw students in as few classes of at most so many as hold them, of nearly equal sizes.

    A school's students vary as those of Beta(mu nu, (1 − mu) nu). The part rho of their variance
    lies between classes, so that the design effect is 1 + (n − 1) rho for classes of n (Kish 1965).
    """
    rho = EXCESS / (most - 1)
    n_classes = -(-SIZES // most)
    sizes = np.concatenate(
        [n // k + (np.arange(k) < n % k) for n, k in zip(SIZES, n_classes, strict=True)]
    )
    mu, nu = np.repeat(mu, n_classes), np.repeat(nu, n_classes)
    between = (nu + 1) / rho - 1
    means = rng.beta(mu * between, (1 - mu) * between)
    return individuals(BETA, means, nu / (1 - rho), sizes, rng)


def cohort(rng, truth, schools):
    """Draw one cohort of all schools, and return what is published of it."""
    mu, nu = schools["school_mean"].to_numpy(), schools["nu"].to_numpy()
    if truth in CLASSES:
        score = in_classes(rng, mu, nu, CLASSES[truth])
    else:
        excess = 0 if truth == "independent" else EXCESS
        score = individuals(BETA, mu, nu, SIZES, rng, excess)
    students = schools.loc[schools.index.repeat(SIZES), ["authority", "school"]]
    return hbm.simulate.summarise(students.reset_index(drop=True).assign(score=score))


def data_set(truth, seed):
    """Return schools, and two cohorts of them."""
    rng = np.random.default_rng([TRUTHS.index(truth), seed])
    schools = hbm.simulate.exams(AUTHORITIES, SIZES, random_seed=rng)[2]
    return schools, cohort(rng, truth, schools), cohort(rng, truth, schools)


def inside(model, fit, schools, following):
    """Say of each school whether its mean, and that of its next cohort, lie in their intervals."""
    draws = fit["posterior/mu_school"].to_numpy().reshape(-1, len(SIZES))
    found = {"band": BAND}
    for level, prob in (("50 %", 0.5), ("89 %", 0.89)):
        low, high = np.quantile(draws, [(1 - prob) / 2, (1 + prob) / 2], axis=0)
        found[f"own {level}"] = (low < schools["school_mean"]) & (schools["school_mean"] < high)
    next_one = hbm.evaluate(model, fit, following, random_seed=1)
    found["next 50 %"], found["next 89 %"] = next_one["inside_50"], next_one["inside_89"]
    return pd.DataFrame(found)


def coverage(schools, of):
    """Return coverage by band, in per cent, and the largest standard error, over data sets."""
    row, errors = {}, []
    for band in BANDS:
        for level in ("50 %", "89 %"):
            by_set = schools[schools["band"] == band].groupby("set")[f"{of} {level}"].mean()
            row[f"{band}: {level}"] = round(100 * by_set.mean(), 1)
            errors.append(100 * by_set.std() / np.sqrt(len(by_set)))
    return row | {"± at most": round(max(errors), 1)}


def main():
    measuring.options(__doc__)
    warnings.simplefilter("ignore", hbm.ConvergenceWarning)
    sets = {(truth, seed): data_set(truth, seed) for truth in TRUTHS for seed in range(SETS)}
    rows = {"own": [], "next": []}
    for name, design_effect in FITS.items():
        each = hbm.sample_each(
            functools.partial(hbm.exams.nested, design_effect=design_effect),
            {key: table for key, (_, table, _) in sets.items()},
            draws=250,
            chains=2,
            random_seed=1,
            progressbar=False,
        )
        for truth in TRUTHS:
            keys = [(truth, seed) for seed in range(SETS)]
            schools = pd.concat(
                inside(*each.fits[key], sets[key][0], sets[key][2]).assign(set=key[1])
                for key in keys
            )
            start = {"students": truth, "fitted with": name}
            if design_effect is None:
                posteriors = [each.fits[key][1]["posterior/design_effect"] for key in keys]
                start["mean"] = round(float(np.mean([x.mean() for x in posteriors])), 2)
                start["sd"] = round(float(np.mean([x.std() for x in posteriors])), 2)
            for of in rows:
                rows[of].append(start | coverage(schools, of))
    title = f"{SETS} data sets of {len(SIZES)} schools: intervals"
    for of, what in (("own", "mu_school"), ("next", "the mean of the next cohort")):
        in_order = sorted(rows[of], key=lambda row: TRUTHS.index(row["students"]))
        measuring.show(f"{title} of {what}", in_order)


if __name__ == "__main__":
    main()
