"""Independent draws: time whole from an empty process, efficiency, and what more schools cost.

The first lines are of a whole script, from starting Python to printed estimates, the table read
from a pickle, with NUTS beside: what was compiled is in a folder of its own, which is empty at
first. All others are one table each, fitted a second time, of which nothing is to be compiled;
seconds and CPU seconds are of `hbm.sample` alone. The course is Mathematics 30-1 of 2016; tables of
many schools and of many students are simulated. Last come all courses and years.
"""

import subprocess
import sys
import tempfile
import time
import warnings

import measuring
import numpy as np
from many_students import students

import hbm

WHOLE = """
import sys, time
start = time.perf_counter()
import pandas as pd
import hbm
imported = time.perf_counter() - start
file, effect, method = sys.argv[1:]
table = pd.read_pickle(file)
model = hbm.exams.nested(table, design_effect=None if effect == "learned" else 1)
read = time.perf_counter() - start
fit = hbm.sample(model, method=method, random_seed=1, progressbar=False)
hbm.estimates(fit, "mu_school").to_string()
print(imported, read, time.perf_counter() - start, time.process_time())
"""


def whole(table, effect, method):
    """Return the seconds of a script, and of its parts, with empty caches and with warm ones."""
    rows = []
    with tempfile.TemporaryDirectory() as cache:
        table.to_pickle(f"{cache}/table")
        for caches in ("empty", "warm"):
            before = time.perf_counter()
            done = subprocess.run([sys.executable, "-c", WHOLE, f"{cache}/table", effect, method],
                                  env=measuring.environment(cache), capture_output=True,
                                  text=True, check=True)  # fmt: skip
            seconds = time.perf_counter() - before
            imported, read, _, cpu = map(float, done.stdout.split()[-4:])
            row = {"design effect": effect, "method": method, "caches": caches, "whole s": seconds}
            row |= {"import s": imported, "model s": read - imported, "CPU s": cpu}
            rows.append({k: x if isinstance(x, str) else round(x, 2) for k, x in row.items()})
    return rows


def simulated(n_schools):
    rng = np.random.default_rng(1)
    sizes = np.round(np.exp(rng.uniform(np.log(5), np.log(200), n_schools))).astype(int)
    return hbm.simulate.exams(np.full(n_schools // 4, 4), sizes, random_seed=1)[0]


def fitted(title, model, **more):
    """Return one line of the benchmark."""
    schools = hbm.estimates(quick(model), "mu_school")
    row = {"table": title, "schools": len(schools)} | more
    with measuring.stopwatch(row):
        fit = hbm.sample(model, method="direct", random_seed=1, progressbar=False)
    told = fit["sample_stats"].attrs
    row |= {name: round(told[name], 3) for name in ("pareto_k", "efficiency")}
    row |= {"grid error": f"{told['grid_error']:.0e}", "evaluations": told["evaluations"]}
    error = told["log_marginal_likelihood_error"]
    return row | {"log evidence": f"{told['log_marginal_likelihood']:.2f} ± {error:.2f}"}


def quick(model):
    """Return a few draws, for which all is compiled."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", hbm.ConvergenceWarning)
        return hbm.sample(model, 25, method="direct", random_seed=1, progressbar=False)


def known(table):
    """Return what predictors there are to be: none, one, and three of eight columns."""
    table = table.assign(n_schools=table.groupby("authority")["school"].transform("size"))
    three = {"school": ["log_n_students"], "authority": ["authority_type", "log_n_schools"]}
    return table, {"none": (), "log_n_students": ("log_n_students",), "three": three}


def both_routes(table):
    """Return a line for each number of predictors, by each route."""
    table, forms = known(table)
    rows = []
    for name, predictors in forms.items():
        model = hbm.exams.nested(table, predictors=predictors)
        quick(model)
        for method in ("direct", "nuts"):
            row = {"predictors": name, "method": method}
            with measuring.stopwatch(row):
                fit = hbm.sample(model, method=method, random_seed=1, progressbar=False)
            told = fit["sample_stats"].attrs
            if method == "direct":
                row["least effective draws"] = round(told["effective_draws"])
                row["efficiency"] = round(told["efficiency"], 2)
            else:
                row["least effective draws"] = measuring.smallest_ess(fit)
                row["steps"] = round(float(fit["sample_stats/n_steps"].mean()), 1)
            rows.append(row)
    return rows


def main():
    results = measuring.results(measuring.options(__doc__).workbook)
    table = hbm.exam_table(results, course="Mathematics 30-1", year=2016)
    rows = [
        row
        for effect in ("fixed", "learned")
        for method in ("direct", "nuts")
        for row in whole(table, effect, method)
    ]
    measuring.show("From an empty process to printed estimates", rows)
    one_by_one = hbm.exams.nested(table, design_effect=1)
    rows = [fitted("the course's", one_by_one, **{"design effect": "1"})]
    rows += [fitted("the course's", hbm.exams.nested(table), **{"design effect": "learned"})]
    for n in (320, 1000, 5000):
        model = hbm.exams.nested(simulated(n))
        rows.append(fitted("simulated", model, **{"design effect": "learned"}))
    for n in (10, 1000):
        rows.append(fitted("students", hbm.scores.nested(students(n)), students=1000 * n))
    measuring.show("4,000 independent draws", rows)
    measuring.show("With predictors, by both routes", both_routes(table))
    pairs = results[["course", "year"]].drop_duplicates().itertuples(index=False)
    tables = {tuple(pair): hbm.exam_table(results, course=pair[0], year=pair[1]) for pair in pairs}
    row = {}
    with measuring.stopwatch(row):
        each = hbm.sample_each(hbm.exams.nested, tables, method="direct", random_seed=1,
                               progressbar=False)  # fmt: skip
    del row["CPU s"]  # of other processes
    told = [fit["sample_stats"].attrs for _, fit in each.fits.values()]
    row |= {"fits": len(told), "errors": len(each.errors), "warnings": len(each.warnings)}
    row["least efficiency"] = round(min(x["efficiency"] for x in told), 2)
    row["least effective draws"] = round(min(x["effective_draws"] for x in told))
    row["schools"] = sum(map(len, tables.values()))
    row["largest k"] = round(max(x["pareto_k"] for x in told), 2)
    measuring.show("All courses and years, two at a time", [row])


if __name__ == "__main__":
    main()
