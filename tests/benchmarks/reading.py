"""Reading the workbook: time and memory, against what pandas alone takes."""

import subprocess
import sys

import measuring

HBM = "import sys, time, hbm; start = time.process_time(); hbm.read_diploma(sys.argv[1])"
PANDAS = "import sys, time, pandas; start = time.process_time(); pandas.read_excel(sys.argv[1])"
REPORT = """
import resource
print(time.process_time() - start, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def main():
    workbook = measuring.options(__doc__).workbook
    rows = []
    if workbook is None:
        print("\nReading is measured on the real workbook only: --workbook")
        return
    for name, code in (("hbm.read_diploma", HBM), ("pandas.read_excel", PANDAS)):
        command = [sys.executable, "-c", f"{code}\n{REPORT}", workbook]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        seconds, kilobytes = map(float, done.stdout.split())
        rows.append({"": name, "CPU s": round(seconds, 1), "peak MB": round(kilobytes / 1e3)})
    measuring.show("Reading the workbook (the imports' memory is in it)", rows)


if __name__ == "__main__":
    main()
