"""The page of a fit: how large it is, and how long it takes beside sampling and checks."""

import tempfile
import warnings
from pathlib import Path

import measuring
import numpy as np

import hbm

warnings.simplefilter("ignore", hbm.ConvergenceWarning)


def schools(n, **settings):
    """Return the model of so many simulated schools, with its fit and names of usual length."""
    rng = np.random.default_rng(n)
    sizes = np.exp(rng.uniform(np.log(6), np.log(500), n)).astype(int)
    table = hbm.simulate.exams(np.full(n // 10, 10), sizes, random_seed=rng)[0]
    model = hbm.exams.nested(table)
    fit = hbm.sample(model, method="direct", random_seed=1, progressbar=False, **settings)
    return model, fit, named(table).assign(acceptable=0.8, excellent=0.2)


def years(n):
    """Return the same of five years of so many schools."""
    rng = np.random.default_rng(n)
    sizes = np.exp(rng.uniform(np.log(6), np.log(500), n)).astype(int)
    sizes = rng.poisson(np.repeat(sizes[:, None], 5, axis=1)) + 1
    years = range(2015, 2020)
    table = hbm.simulate.exam_panel(np.full(n // 10, 10), sizes, years=years, random_seed=rng)[0]
    model = hbm.exams.panel(table)
    fit = hbm.sample(model, draws=500, chains=2, random_seed=1, progressbar=False)
    return model, fit, named(table).assign(acceptable=0.8, excellent=0.2)


def named(table):
    return table.assign(
        school_name="Composite High School " + table["school"],
        authority_name="Regional School Division " + table["authority"],
    )


def main():
    measuring.options(__doc__)
    rows = []
    for n, n_years, (model, fit, names) in (
        (320, 1, schools(320)),
        (320, 5, years(320)),
        (5000, 1, schools(5000, draws=250)),
    ):
        row = {"schools": n, "years": n_years}
        settings = {"names": names, "checks": [hbm.diagnose(fit)], "progressbar": False}
        with tempfile.TemporaryDirectory() as folder:
            with measuring.stopwatch(row):
                page = hbm.report(model, fit, Path(folder, "page.html"), **settings)
            row["MB"] = round(page.stat().st_size / 1e6, 2)
        rows.append(row)
    measuring.show("The page", rows)


if __name__ == "__main__":
    main()
