"""From the start of a process to a printed summary of `exams.nested`: where the seconds go.

Each process is run twice with compile caches of its own: with empty ones, and with what the first
left there. Once with the default 1,000 draws of each chain and once with 250.
"""

import subprocess
import sys
import tempfile
import time

import measuring

import hbm

STAGES = """
import sys, time
last = float(sys.argv[1])
def lap(name):
    global last
    now = time.time()
    print(f"{name}={now - last:.2f}")
    last = now
import pandas as pd
import hbm
table = pd.read_pickle(sys.argv[2])
lap("import")
model = hbm.exams.nested(table, design_effect=1)
lap("build")
import nutpie
lap("import nutpie")
compile_ = nutpie.compile_pymc_model
def compiled(*args, **kwargs):
    start = time.time()
    result = compile_(*args, **kwargs)
    print(f"compile={time.time() - start:.2f}")
    global last
    last += time.time() - start
    return result
nutpie.compile_pymc_model = compiled
diagnose = hbm.sampling.posterior.diagnose
def timed(fit):
    lap("sample")
    result = diagnose(fit)
    lap("diagnose")
    return result
hbm.sampling.posterior.diagnose = timed
import warnings
warnings.simplefilter("ignore")
fit = hbm.sample(model, int(sys.argv[3]), method="nuts", random_seed=1, progressbar=False)
summary = hbm.shrinkage(fit, "school")
print(summary.to_string(), file=sys.stderr)
lap("summary")
"""


def run(table, cache, draws):
    """Run one process and return its row."""
    start = time.time()
    done = subprocess.run(
        [sys.executable, "-c", STAGES, repr(start), table, str(draws)],
        env=measuring.environment(cache),
        capture_output=True,
        text=True,
        check=True,
    )
    seconds = time.time() - start
    laps = dict(line.split("=") for line in done.stdout.splitlines())
    return {name: float(value) for name, value in laps.items()} | {"in all": round(seconds, 1)}


def main():
    workbook = measuring.options(__doc__).workbook
    table = hbm.exam_table(measuring.results(workbook), course="Mathematics 30-1", year=2016)
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        table.to_pickle(f"{folder}/table")
        for draws in (1000, 250):
            for state in ("empty", "warm"):
                row = run(f"{folder}/table", f"{folder}/cache{draws}", draws)
                known = {"schools": len(table), "draws": f"4 × {draws}", "caches": state}
                rows.append(known | row)
    measuring.show(f"Startup, {len(table)} schools: seconds from an empty process to a table", rows)


if __name__ == "__main__":
    main()
