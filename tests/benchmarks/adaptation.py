"""What the defaults of `hbm.sample` rest on: lengths of tuning, and the acceptance aimed at.

Each line is the middle one of three seeds, `exams.nested` in the informed form: the smallest bulk
ESS of the schools' means, and of the standard deviations between them and of log nu.
"""

import time
import warnings

import arviz as az
import measuring
import numpy as np

import hbm

SEEDS = (1, 2, 3)
SETTINGS = [(100, 0.85), (200, 0.85), (400, 0.85), (200, 0.8), (200, 0.9)]
SPREADS = ("tau_authority", "tau_school", "tau_nu")


def smallest(fit, names):
    """Return the smallest bulk ESS of some variables."""
    ess = az.ess(fit["posterior"].to_dataset()[list(names)])
    return min(float(ess[name].min()) for name in names)


def main():
    workbook = measuring.options(__doc__).workbook
    table = hbm.exam_table(measuring.results(workbook), course="Mathematics 30-1", year=2016)
    model = hbm.exams.nested(table)
    rows = []
    for tune, acceptance in SETTINGS:
        found = []
        for seed in SEEDS:
            start = time.process_time()
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", hbm.ConvergenceWarning)
                fit = hbm.sample(
                    model,
                    tune=tune,
                    target_accept=acceptance,
                    random_seed=seed,
                    progressbar=False,
                )
            seconds = time.process_time() - start
            steps = float(fit["sample_stats/n_steps"].mean())
            divergences = int(fit["sample_stats/diverging"].sum())
            ess = smallest(fit, ["mu_school"]), smallest(fit, SPREADS)
            found.append([*ess, steps, divergences, seconds])
        names = ("ESS of means", "ESS of spreads", "steps", "divergences", "CPU s")
        middle = dict(zip(names, np.median(found, axis=0).round(1).tolist(), strict=True))
        rows.append({"tune": tune, "target_accept": acceptance} | middle)
    measuring.show(f"Adaptation: 4 × 1,000 draws, {len(table)} schools, {len(SEEDS)} seeds", rows)


if __name__ == "__main__":
    main()
