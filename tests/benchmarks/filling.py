"""What `hbm.sample_each` saves: a table of half the size, in its own shape and filled up."""

import time

import measuring

import hbm
from hbm.sampling.compiled import Compiled, shape_of

SETTINGS = {"tune": None, "chains": 4, "target_accept": 0.85}
SEEDS = (1, 2, 3)


def main():
    workbook = measuring.options(__doc__).workbook
    table = hbm.exam_table(measuring.results(workbook), course="Mathematics 30-1", year=2016)
    half = table.iloc[::2].reset_index(drop=True)
    large, small = hbm.exams.nested(table), hbm.exams.nested(half)
    rows = []
    for name, shape in (("its own", shape_of(small)), ("filled up", shape_of(large))):
        row = {"schools": len(half), "shape": name, "room for": shape.sizes[0]}
        with measuring.stopwatch(row, "compile"):
            compiled = Compiled(small, shape)
            compiled.sample(small, 10, random_seed=1, **SETTINGS | {"tune": 10})
        start = time.process_time()
        for seed in SEEDS:
            compiled.sample(small, 1000, random_seed=seed, **SETTINGS)
        row["CPU s a fit"] = round((time.process_time() - start) / len(SEEDS), 2)
        rows.append(row)
    measuring.show("Filling up: exams.nested, 4 × 1,000 draws", rows)


if __name__ == "__main__":
    main()
