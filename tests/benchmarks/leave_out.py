"""Leaving out a school in eight fits: how the sum varies, and how far importance sampling holds."""

import warnings

import measuring

import hbm

SEEDS = range(11, 19)


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
        row["elpd"] = round(result.elpd, 2)
        row["largest k"] = round(float(result.pareto_k.max()), 2)
        row["k > 0.5"] = int((result.pareto_k > 0.5).sum())
        rows.append(row)
    measuring.show(f"Leaving out each of {len(table)} schools", rows)


if __name__ == "__main__":
    main()
