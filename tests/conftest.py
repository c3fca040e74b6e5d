"""Shared paths, settings and small tables."""

import os
from pathlib import Path

import pytest

os.environ["MPLBACKEND"] = "Agg"

SHARED = Path(__file__).resolve().parents[2] / "shared"
WORKBOOK = SHARED / "data" / "diploma-multiyear-sch-list-annual.xlsx"


@pytest.fixture(scope="session")
def diploma():
    """Return the real workbook's results; it is not part of the project."""
    if not WORKBOOK.exists():
        pytest.skip("the real workbook is not here")
    import hbm

    return hbm.read_diploma(WORKBOOK)
