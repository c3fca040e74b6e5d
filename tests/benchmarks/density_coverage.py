"""Coverage of the density of (mean, sd): the tables of `beta_summary_logp` in hbm/students.

The study is that of `tests/test_likelihoods.py`, whose tests of tier `calibration` hold the tables
to other students.
"""

import sys
from pathlib import Path

import measuring

TESTS = Path(__file__).resolve().parents[1]


def main():
    measuring.options(__doc__)
    sys.path.append(str(TESTS))
    import test_likelihoods as study

    rows = []
    for form, logp in study.FORMS.items():
        found = {f"{mu}, {n}": study.fixed_coverage(logp, mu, n) for mu, n in study.CELLS}
        rows.append({"mean, n": form} | {cell: round(share, 1) for cell, share in found.items()})
    measuring.show("89 % intervals of μ, μ and ν = 9 fixed", rows)
    rows = {"μ": [], "ν": []}
    for form, logp in study.FORMS.items():
        found = {n: study.drawn_coverage(logp, n) for n in study.SIZES}
        for i, parameter in enumerate(rows):
            shares = {str(n): round(float(of[i]), 1) for n, of in found.items()}
            rows[parameter].append({"n": f"{parameter}, {form}"} | shares)
    measuring.show("89 % intervals, both drawn, raw mean above 0.8", rows["μ"] + rows["ν"])


if __name__ == "__main__":
    main()
