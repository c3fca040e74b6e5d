"""Leaving out a school in eight fits: how the sum varies, and how far importance sampling holds.

Students are independent there. Then one fit each tells what learning the design effect adds.
"""

import warnings

import measuring
import numpy as np

import hbm

SEEDS = range(11, 19)
DESIGN_EFFECTS = {"1": 1, "learned": None}


def told(result):
    """Return the sum over schools, and how far importance sampling held."""
    row = {"elpd": round(result.elpd, 2), "largest k": round(float(result.pareto_k.max()), 2)}
    return row | {"k > 0.5": int((result.pareto_k > 0.5).sum())}


def main():
    workbook = measuring.options(__doc__).workbook
    table = hbm.exam_table(measuring.results(workbook), course="Mathematics 30-1", year=2016)
    model = hbm.exams.nested(table, design_effect=1)
    rows = []
    warnings.simplefilter("ignore")
    for seed in SEEDS:
        fit = hbm.sample(model, method="nuts", random_seed=seed, progressbar=False)
        row = {"schools": len(table), "seed": seed}
        with measuring.stopwatch(row):
            result = hbm.loo(model, fit, "school")
        rows.append(row | told(result))
    measuring.show(f"Leaving out each of {len(table)} schools", rows)
    rows, first = [], None
    for name, design_effect in DESIGN_EFFECTS.items():
        model = hbm.exams.nested(table, design_effect=design_effect)
        fit = hbm.sample(model, random_seed=1, progressbar=False)
        result = hbm.loo(model, fit, "school")
        first = result if first is None else first
        gain = (result.elpd_i - first.elpd_i).to_numpy()
        row = {"schools": len(table), "design effect": name} | told(result)
        row |= {"gained": round(float(gain.sum()), 2)}
        rows.append(row | {"se": round(float(np.sqrt(gain.size) * gain.std()), 2)})
    measuring.show("With the design effect known, and learned", rows)


if __name__ == "__main__":
    main()
