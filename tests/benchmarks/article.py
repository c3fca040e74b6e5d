"""The article's nested model and ours, with the settings of `examples/alberta.py`."""

import re
import sys
import warnings
from pathlib import Path

import measuring
import numpy as np

import hbm

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


def effective(fit, names, common):
    """Return the smallest ESS of a chain, or the effective draws of independent ones."""
    told = fit["sample_stats"].attrs
    if told["method"] == "direct":
        return float(told["effective_draws"])
    return float(common.summary(fit, names)["ess_bulk"].min())


def held(table, fit, mean, spread, names, common):
    """Return what a fit says of students and of schools, as a row."""
    schools = hbm.estimates(fit, mean)
    own = table["sd"].to_numpy() / np.sqrt(table["n_students"].to_numpy())
    return {
        "schools": len(table),
        "smallest": int(table["n_students"].min()),
        "sd": float(spread.mean()),
        "published": float(table["sd"].mean()),
        "times": float((own / schools["sd"].to_numpy()).mean()),
        "ESS": effective(fit, [*names, mean], common),
        "draws": fit["posterior/chain"].size * fit["posterior/draw"].size,
    }


def main():
    workbook = measuring.options(__doc__).workbook
    sys.path.append(str(EXAMPLES))
    import alberta
    import common

    settings = common.sampling(common.parser("", "").parse_args(["--quiet"]))
    warnings.simplefilter("ignore", hbm.ConvergenceWarning)
    results = measuring.results(workbook)
    every = hbm.exam_table(results, course="Mathematics 30-1", year=2016)
    kept = every[every["n_students"] >= 30].reset_index(drop=True)

    twice = settings | {"draws": 2 * settings["draws"]}
    model = hbm.article.exams_nested(kept)
    fit = hbm.sample(model, **twice, target_accept=alberta.TARGET_ACCEPT)
    spread = np.sqrt(fit["posterior/school_sigma_squared"])
    theirs = held(kept, fit, "school_mu", spread, alberta.HYPERPARAMETERS["nested"], common)

    model = hbm.exams.nested(every)
    fit = hbm.sample(model, **settings)
    mu, nu = fit["posterior/mu_school"], fit["posterior/nu_school"]
    spread = np.sqrt(mu * (1 - mu) / (nu + 1))
    names = ["mu", "tau_authority", "tau_school", "nu", "tau_nu"]
    ours = held(every, fit, "mu_school", spread, names, common)
    schools = hbm.shrinkage(fit, "school").sort_values("n_students", kind="stable")
    for name, five in (("small", schools.head()), ("large", schools.tail())):
        ours[name] = [float(five["pooling"].min()), float(five["pooling"].max())]
    ours["five largest"] = int(schools["n_students"].iloc[-5])
    tests = hbm.loo_pit(model, fit).tests.set_index("test")
    means = tests.loc["means: small and large schools"]
    ours["median size"] = int(re.search(r"under (\d+)", means["finding"]).group(1))
    ours["pit of small"], ours["pit of large"] = float(means["small"]), float(means["large"])
    measuring.show(
        "The article's nested model, and exams.nested",
        [{"model": "article.exams_nested"} | theirs, {"model": "exams.nested"} | ours],
    )


if __name__ == "__main__":
    main()
