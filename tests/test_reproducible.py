"""The same seed gives the same result in another process, whoever compiled what it runs."""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

CODE = """
import hashlib
import hbm

def digest(tree, group):
    data = tree[group].to_dataset()
    return hashlib.sha256(b"".join(data[v].to_numpy().tobytes() for v in sorted(data))).hexdigest()

table = hbm.simulate.exams([3, 2], [5, 8, 40, 12, 30], random_seed=1)[0]
model = hbm.exams.nested(table)
fit = hbm.sample(model, 300, chains=2, random_seed=5, progressbar=False)
print(digest(fit, "posterior"))
fit = hbm.sample_posterior_predictive(model, fit, random_seed=6, progressbar=False)
print(digest(fit, "posterior_predictive"))
print(digest(hbm.predict(model, fit, table, random_seed=7), "predictions"))
print(digest(hbm.sample_prior_predictive(model, 50, random_seed=8), "prior_predictive"))
"""


def run(**settings):
    return subprocess.run(
        [sys.executable, "-W", "ignore", "-c", CODE],
        env=os.environ | settings,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()


@pytest.mark.slow
def test_the_same_seed_gives_the_same_draws_in_another_process():
    with ThreadPoolExecutor() as at_once:
        first, second = at_once.map(lambda seed: run(PYTHONHASHSEED=seed), ("1", "2"))
    assert len(set(first)) == 4
    assert second == first


@pytest.mark.slow
def test_the_process_that_compiles_draws_what_others_read_from_the_cache(tmp_path):
    caches = {
        "NUMBA_CACHE_DIR": str(tmp_path),
        "PYTENSOR_FLAGS": f"base_compiledir={tmp_path / 'pytensor'}",
    }
    empty, full = (run(**caches) for _ in range(2))
    assert list(tmp_path.glob("**/tree.upward*.nbc"))
    assert full == empty
