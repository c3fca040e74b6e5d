"""Coverage of intervals over simulated data sets: the tables of `calibration.md`.

    python tests/benchmarks/calibration.py exams.nested --sets 300
    python tests/benchmarks/calibration.py "exams.nested, independent" --sets 1500
    python tests/benchmarks/calibration.py "exams.nested by default, independent" --sets 300

The study is that of `tests/test_calibration.py`, which has the cases; 300 data sets take some nine
minutes on 2 cores.
"""

import argparse
import sys
from pathlib import Path

import measuring
import numpy as np

TESTS = Path(__file__).resolve().parents[1]
BANDS = {
    "all": "all",
    "none": "no results",
    "3–9": "3–9",
    "10–29": "10–29",
    "30+": "30+",
    "3–9 & < 0.2": "3–9, mean below 0.2",
    "3–9 & > 0.8": "3–9, mean above 0.8",
}
BELOW = 0.6  # where the density of (mean, sd) is none


def rows(ranks, study):
    """Return one row a band of schools."""
    tables = {
        name: study.coverage(ranks, name).set_index("band") for name in ("mu_school", "nu_school")
    }
    found = []
    for band, label in BANDS.items():
        if band not in tables["mu_school"].index:
            continue
        row = {"": label, "schools": int(tables["mu_school"].loc[band, "schools"])}
        for name, table in tables.items():
            for column, of in (("50 %", "cover_50"), ("89 %", "cover_89"), ("±", "cover_89_error")):
                there = band in table.index
                row[f"{name} {column}"] = (
                    round(100 * float(table.loc[band, of]), 1) if there else ""
                )
        found.append(row)
    return found


def of_design_effect(ranks, study):
    """Return the one row of a quantity that is no school's."""
    row = study.coverage(ranks, "design_effect").set_index("band").loc["all"]
    shares = {"50 %": "cover_50", "89 %": "cover_89", "±": "cover_89_error"}
    return {"sets": int(row["schools"])} | {
        label: round(100 * float(row[column]), 1) for label, column in shares.items()
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("cases", nargs="+", help="such as exams.nested")
    parser.add_argument("--sets", type=int, default=300, help="data sets")
    options = parser.parse_args()
    sys.path.append(str(TESTS))
    import test_calibration as study

    for case in options.cases:
        simulate, priors, nested = study.CASES[case]
        ranks = study.calibrate(case, options.sets)
        measuring.show(f"{case}, {options.sets} data sets; {priors}", rows(ranks, study))
        if "design_effect" in set(ranks["quantity"]):
            measuring.show("the design effect", [of_design_effect(ranks, study)])
        print(study.uniformity(ranks).to_string(index=False))
        rng = np.random.default_rng(study.SEED)
        nu = [simulate(rng, priors, nested)[1]["nu_school"] for _ in range(options.sets)]
        print(f"{100 * np.mean(np.array(nu) < BELOW):.1f} % of schools have nu below {BELOW}")


if __name__ == "__main__":
    main()
