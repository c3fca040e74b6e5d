"""Effective draws of the three parameterisations, per draw and per second, side by side.

    python tests/benchmarks/draws.py [--workbook diploma.xlsx] [--sampler nutpie pymc]

Each line is one fit of 4 chains of 1,000 draws with the default settings of `hbm.sample`. ESS is
the smallest bulk ESS of any quantity; seconds are those of the sampling, without compiling, and
CPU seconds those of building, compiling, sampling and checking together.
"""

import argparse
import platform
import time
import warnings
from importlib.metadata import version

import pandas as pd

import hbm


def tables(workbook):
    """Return the tables by the name of the model that takes them."""
    results = hbm.read_diploma(workbook) if workbook else hbm.load_dataset("diploma")
    return {
        "heights.partial_pooling": hbm.load_dataset("heights"),
        "scores.nested": hbm.load_dataset("nested_scores"),
        "exams.nested": hbm.exam_table(results, course="Mathematics 30-1", year=2016),
    }


def measure(name, table, parameterisation, sampler, seed):
    """Fit once and return one line of the benchmark."""
    module, function = name.split(".")
    before = time.process_time()
    model = getattr(getattr(hbm, module), function)(table, parameterisation=parameterisation)
    with warnings.catch_warnings():
        # That a form fails is what is to be seen.
        warnings.simplefilter("ignore", hbm.ConvergenceWarning)
        fit = hbm.sample(model, random_seed=seed, progressbar=False, nuts_sampler=sampler)
    cpu = time.process_time() - before
    checks = hbm.diagnose(fit).checks.set_index("check")["value"]
    seconds = fit["posterior"].attrs.get("sampling_time")
    ess = checks["bulk ESS"]
    return {
        "model": name,
        "groups": len(model.coords["country" if name.startswith("heights") else "school"]),
        "form": parameterisation,
        "sampler": sampler,
        "R-hat": round(checks["R-hat"], 3),
        "divergences": int(checks["divergences"]),
        "steps": round(float(fit["sample_stats/n_steps"].mean()), 1),
        "ESS": round(ess),
        "ESS a draw": round(ess / fit["posterior/chain"].size / fit["posterior/draw"].size, 3),
        "ESS a second": None if seconds is None else round(ess / float(seconds), 1),
        "CPU s": round(cpu, 1),
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--workbook", help="the real workbook; the simulated one if none")
    parser.add_argument("--sampler", nargs="+", default=["nutpie"], choices=["nutpie", "pymc"])
    parser.add_argument("--model", nargs="+", help="some of the models")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    packages = ("hbm", "pymc", "pytensor", "nutpie", "numba", "numpy")
    print(f"Python {platform.python_version()}", *(f"{p} {version(p)}" for p in packages), sep=", ")
    rows = []
    for name, table in tables(options.workbook).items():
        if options.model and name not in options.model:
            continue
        for sampler in options.sampler:
            for form in ("informed", "centred", "non-centred"):
                rows.append(measure(name, table, form, sampler, options.seed))
                print(pd.DataFrame(rows[-1:]).to_string(index=False), flush=True)
    print(pd.DataFrame(rows).to_string(index=False))


if __name__ == "__main__":
    main()
