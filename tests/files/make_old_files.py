"""Make the small files of saved fits that later versions of the package must go on reading.

They were made by version 0.1.0 and are kept as they are: to run this again with a later version
would leave nothing to test. ``python tests/files/make_old_files.py 0_1`` from the project's root.
"""

import sys
import warnings
from pathlib import Path

import hbm

SETTINGS = {"draws": 50, "tune": 200, "chains": 2, "random_seed": 1, "progressbar": False}


def main(version):
    """Fit two small tables, and save the fits under the name of a version."""
    exams = hbm.simulate.exams([3, 2, 3], [6, 20, 45, 12, 80, 30, 9, 150], random_seed=1)[0]
    scores = hbm.simulate.nested_scores(3, 3, [6, 12, 20, 8, 15, 30, 9, 4, 10], random_seed=1)[0]
    models = {"exams_nested": hbm.exams.nested(exams), "scores_nested": hbm.scores.nested(scores)}
    for name, model in models.items():
        with warnings.catch_warnings(action="ignore", category=hbm.ConvergenceWarning):
            fit = hbm.sample(model, **SETTINGS)
        print(hbm.save(model, fit, Path(__file__).parent / f"{name}_{version}.nc"))


if __name__ == "__main__":
    main(sys.argv[1])
