"""All figures on speed, side by side in one run.

    python tests/benchmarks [--workbook diploma.xlsx] [--parts draws startup ...] [--readme]

Each part is a script of its own in this folder, and runs in a process of its own, so that none
warms another up. Bambi is measured where it is installed: `pip install -e ".[benchmark]"`. With
`--readme` the README's tables and sentences come last, as they are to stand there.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import measuring
import readme

PARTS = (*readme.PARTS, "reading")
# What docstrings tell, beside speed: on request only.
OTHERS = (
    "adaptation",
    "filling",
    "pooling",
    "few_authorities",
    "density_coverage",
    "clustering",
    "predictors",
    "panels",
)
PACKAGES = ("hbm", "pymc", "pytensor", "nutpie", "numba", "numpy", "arviz", "bambi")


def versions():
    for package in PACKAGES:
        try:
            yield f"{package} {version(package)}"
        except PackageNotFoundError:
            yield f"{package} not installed"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--workbook", type=Path, help="the real workbook; the simulated one if none"
    )
    parser.add_argument(
        "--parts", nargs="+", choices=[*PARTS, *OTHERS], default=PARTS, help="some of them"
    )
    parser.add_argument(
        "--readme", action="store_true", help="print what the README says of the parts"
    )
    options = parser.parse_args()
    print(f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}")
    print(*versions(), sep=", ", flush=True)
    workbook = [] if options.workbook is None else ["--workbook", str(options.workbook.resolve())]
    with tempfile.TemporaryDirectory() as folder:
        for part in options.parts:
            script = Path(__file__).with_name(f"{part}.py")
            subprocess.run(
                [sys.executable, str(script), *workbook],
                env=os.environ | {measuring.ROWS: folder},
                check=True,
            )
        rows = {
            file.name: [json.loads(line) for line in file.read_text("utf-8").splitlines()]
            for file in Path(folder).iterdir()
        }
    if options.readme:
        print("", *readme.paragraphs(rows, os.cpu_count()), sep="\n\n")


if __name__ == "__main__":
    main()
