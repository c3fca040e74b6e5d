"""How near a nested model comes to partial pooling where authorities do not differ.

The posterior standard deviation of eta, nested, against that of partial pooling, the middle one of
five simulated tables of 60 schools.
"""

import warnings

import measuring
import numpy as np

import hbm

N_SCHOOLS, TABLES = 60, 5


def ratio(n_authorities, seed):
    """Return how many times as uncertain the nested model is of eta, of one table."""
    rng = np.random.default_rng(seed)
    per_authority = np.full(n_authorities, N_SCHOOLS // n_authorities)
    sizes = np.exp(rng.uniform(np.log(6), np.log(200), N_SCHOOLS)).astype(int)
    table = hbm.simulate.exams(per_authority, sizes, tau_authority=0.0, random_seed=rng)[0]
    sds = [
        float(hbm.sample(build(table), random_seed=1, progressbar=False)["posterior/eta"].std())
        for build in (hbm.exams.nested, hbm.exams.partial_pooling)
    ]
    return sds[0] / sds[1]


def main():
    measuring.options(__doc__)
    warnings.simplefilter("ignore", hbm.ConvergenceWarning)
    rows = []
    for n_authorities in (3, 5, 10, 20):
        found = [ratio(n_authorities, seed) for seed in range(TABLES)]
        rows.append(
            {
                "authorities": n_authorities,
                "times the sd of eta": round(float(np.median(found)), 2),
                "from": round(min(found), 2),
                "to": round(max(found), 2),
            }
        )
    measuring.show(f"Authorities that do not differ: {N_SCHOOLS} schools", rows)


if __name__ == "__main__":
    main()
