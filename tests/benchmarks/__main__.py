"""All figures on speed, side by side in one run.

    python tests/benchmarks [--workbook diploma.xlsx] [--parts draws startup ...]

Each part is a script of its own in this folder, and runs in a process of its own, so that none
warms another up. Bambi is measured where it is installed: `pip install -e ".[benchmark]"`.
"""

import argparse
import os
import platform
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

PARTS = ("draws", "startup", "many_fits", "many_students", "many_schools", "reading", "leave_out")
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
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS, help="some of them")
    options = parser.parse_args()
    print(f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}")
    print(*versions(), sep=", ", flush=True)
    workbook = [] if options.workbook is None else ["--workbook", str(options.workbook.resolve())]
    for part in options.parts:
        script = Path(__file__).with_name(f"{part}.py")
        subprocess.run([sys.executable, str(script), *workbook], check=True)


if __name__ == "__main__":
    main()
