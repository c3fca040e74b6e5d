"""Shared paths, settings, small tables and fits."""

import os
from pathlib import Path

import pytest
from threadpoolctl import threadpool_limits

os.environ["MPLBACKEND"] = "Agg"
# Matrices are small: threads that share them out wait for each other, longest on a busy machine.
os.environ["OPENBLAS_NUM_THREADS"] = "1"  # for what is loaded from now on, and by other processes
threadpool_limits(1, user_api="blas")

SHARED = Path(__file__).resolve().parents[2] / "shared"
WORKBOOK = SHARED / "data" / "diploma-multiyear-sch-list-annual.xlsx"


@pytest.fixture(scope="session")
def diploma():
    """Return the real workbook's results; it is not part of the project."""
    if not WORKBOOK.exists():
        pytest.skip("the real workbook is not here")
    import hbm

    return hbm.read_diploma(WORKBOOK)


WELL = {"draws": 2000, "tune": 1000, "target_accept": 0.95}


@pytest.fixture(scope="session")
def informed_fits():
    """Return a function that samples a model on its small table well, once."""
    from models import build

    import hbm

    fits = {}

    def fit_of(name):
        if name not in fits:
            fits[name] = hbm.sample(build(name), random_seed=1, progressbar=False, **WELL)
        return fits[name]

    return fit_of
