"""Ten thousand and a million students in the same 1,000 schools of 100 districts.

Each number of students has a process of its own, for its peak of memory.
"""

import json
import subprocess
import sys

import measuring
import numpy as np

import hbm


def students(n_each, seed=1):
    """Return students one by one."""
    per_district = np.full(100, 10)
    table = hbm.simulate.exams(per_district, n_each, nu=20, random_seed=seed)[1]
    table = table.rename(columns={"authority": "district"})
    return table.assign(score=table["score"].clip(1e-12, 1 - 1e-12))


def main():
    if len(sys.argv) == 3 and sys.argv[1] == "--each":
        row = {"students": 1000 * int(sys.argv[2])}
        table = students(int(sys.argv[2]))
        row["table MB"] = measuring.peak_megabytes()
        with measuring.stopwatch(row, "build"):
            model = hbm.scores.nested(table)
        with measuring.stopwatch(row, "fit"):
            fit = hbm.sample(model, method="nuts", random_seed=1, progressbar=False)
        row["sampling s"] = round(float(fit["posterior"].attrs["sampling_time"]), 1)
        row["steps"] = float(fit["sample_stats/n_steps"].mean())
        row["ESS"] = measuring.smallest_ess(fit)
        row["peak MB"] = measuring.peak_megabytes()
        row["µs a gradient"] = round(measuring.microseconds_per_gradient(model))
        with measuring.stopwatch(row, "loo"):
            hbm.loo(model, fit, unit="school")
        with measuring.stopwatch(row, "check"):
            hbm.check_predictive(model, fit, draws=100, random_seed=1)
        row["peak MB in all"] = measuring.peak_megabytes()
        print(json.dumps(row))
        return
    measuring.options(__doc__)
    rows = []
    for n_each in (10, 1000):
        done = subprocess.run(
            [sys.executable, __file__, "--each", str(n_each)],
            capture_output=True,
            text=True,
            check=True,
        )
        rows.append(json.loads(done.stdout.splitlines()[-1]))
    measuring.show("Many students: scores.nested, 1,000 schools of 100 districts", rows)


if __name__ == "__main__":
    main()
