"""Tables of 318 to 5,000 schools: what a gradient costs, and what a draw is worth."""

import warnings

import measuring
import numpy as np

import hbm


def main():
    measuring.options(__doc__)
    rows = []
    for n_schools in (320, 1000, 5000):
        rng = np.random.default_rng(n_schools)
        sizes = np.exp(rng.uniform(np.log(6), np.log(500), n_schools)).astype(int)
        table = hbm.simulate.exams(np.full(n_schools // 10, 10), sizes, random_seed=rng)[0]
        model = hbm.exams.nested(table, design_effect=1)
        row = {"schools": n_schools, "authorities": n_schools // 10}
        row["µs a gradient"] = round(measuring.microseconds_per_gradient(model))
        row["µs a school"] = round(row["µs a gradient"] / n_schools, 3)
        with warnings.catch_warnings(), measuring.stopwatch(row, "fit"):
            warnings.simplefilter("ignore", hbm.ConvergenceWarning)
            fit = hbm.sample(model, method="nuts", random_seed=1, progressbar=False)
        row["steps"] = round(float(fit["sample_stats/n_steps"].mean()), 1)
        row["ESS a draw"] = round(measuring.smallest_ess(fit) / 4000, 3)
        row["peak MB"] = measuring.peak_megabytes()
        rows.append(row)
    measuring.show("Many schools: exams.nested", rows)


if __name__ == "__main__":
    main()
