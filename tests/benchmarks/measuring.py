"""What the benchmarks share: their option, their data, a stopwatch and a table."""

import argparse
import json
import os
import resource
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import pandas as pd

import hbm

ROWS = "BENCHMARK_ROWS"  # variable of the environment: a folder, with a file a part


def options(description):
    """Parse the option that all benchmarks have."""
    parser = argparse.ArgumentParser(description=description.splitlines()[0])
    parser.add_argument("--workbook", help="the real workbook; the simulated one if none")
    return parser.parse_args()


def results(workbook):
    """Return the results of the real workbook, or of the simulated one."""
    return hbm.read_diploma(workbook) if workbook else hbm.load_dataset("diploma")


def environment(cache):
    """Return that of a process whose compile caches are in a folder.

    Bytecode is kept between processes, as Python does unless it is told not to.
    """
    flags = f"{os.environ.get('PYTENSOR_FLAGS', '')},base_compiledir={cache}/pytensor".lstrip(",")
    own = {"PYTENSOR_FLAGS": flags, "NUMBA_CACHE_DIR": f"{cache}/numba"}
    return {k: x for k, x in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"} | own


@contextmanager
def stopwatch(row, name=""):
    """Add the seconds a block takes, and those of the processor, to a row of a table."""
    prefix = f"{name} " if name else ""
    wall, cpu = time.perf_counter(), time.process_time()
    yield
    row[f"{prefix}s"] = round(time.perf_counter() - wall, 2)
    row[f"{prefix}CPU s"] = round(time.process_time() - cpu, 2)


def peak_megabytes():
    """Return the most memory this process has had."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return round(peak / (1e6 if sys.platform == "darwin" else 1e3))


def smallest_ess(fit):
    """Return the smallest bulk ESS of any quantity."""
    checks = hbm.diagnose(fit).checks.set_index("check")["value"]
    return round(checks["bulk ESS"])


def fails_by(check):
    """Return the names of the statistics by which a predictive check fails."""
    table = check.table
    return ", ".join(table.loc[table["verdict"] != "as expected", "statistic"])


def show(title, rows):
    """Print a table under a title, and leave its rows in the folder of `ROWS`, if that is set."""
    print(f"\n{title}\n{pd.DataFrame(rows).to_string(index=False)}", flush=True)
    if ROWS in os.environ:
        with open(Path(os.environ[ROWS], Path(sys.argv[0]).stem), "a", encoding="utf-8") as file:
            file.writelines(json.dumps(row, default=float) + "\n" for row in rows)


def microseconds_per_gradient(model, seconds=2.0):
    """Return the time of one density and gradient, the best of a few rounds."""
    import pymc as pm

    with model:
        density = model.logp_dlogp_function(ravel_inputs=True, mode="NUMBA")
        density.set_extra_values({})
        point = pm.blocking.DictToArrayBijection.map(model.initial_point())
    density(point)
    start, best = time.perf_counter(), float("inf")
    while time.perf_counter() - start < seconds:
        before = time.perf_counter()
        for _ in range(10):
            density(point)
        best = min(best, (time.perf_counter() - before) / 10)
    return best * 1e6
