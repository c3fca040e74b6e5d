"""The same seed gives the same result in another process, once the compile cache is warm."""

import os
import subprocess
import sys

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


@pytest.mark.slow
def test_the_same_seed_gives_the_same_draws_in_another_process():
    def run(hash_seed):
        settings = os.environ | {"PYTHONHASHSEED": hash_seed}
        return subprocess.run(
            [sys.executable, "-W", "ignore", "-c", CODE],
            env=settings,
            capture_output=True,
            text=True,
            check=True,
        ).stdout.split()

    run("1")  # fills the compile cache, where it is empty
    first = run("2")
    assert len(set(first)) == 4
    assert run("3") == first
