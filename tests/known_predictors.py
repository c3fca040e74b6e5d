"""Fits of models with predictors whose draws are chosen by a test, without sampling."""

from functools import cache

import numpy as np
from fakes import fake_fit
from scipy.special import expit

import hbm

SIZES = [3, 8, 12, 30, 100, 5, 25, 60, 1, 2, 40]
AUTHORITIES = [4, 3, 1, 2, 1]
ASKED = {"school": ("log_n_students", "new", "kind"), "authority": ("type",)}
LABELS = [
    *("log_n_students", "new", "kind[arts]", "kind[plain]", "kind[sports]"),
    *("type[charter]", "type[public]"),
]
# One coefficient a label, those of categories sum to zero; no two alike.
BETA = np.array([0.25, -0.4, 0.3, -0.1, -0.2, 0.35, -0.35])
GAMMA = np.array([-0.3, 0.2, 0.15, 0.05, -0.2, -0.1, 0.1])
KNOWN = {"eta": 0.6, "tau_authority": 0.25, "tau_school": 0.4, "nu": 6.0, "tau_nu": 0.3}


def known_table():
    """Return a table of exams with columns of what is known of schools and authorities."""
    table = hbm.simulate.exams(AUTHORITIES, SIZES, random_seed=8)[0]
    table["new"] = [True, False, False] * 3 + [True, True]
    table["kind"] = ["arts", "plain", "plain", "sports"] * 2 + ["plain", "arts", "sports"]
    return table.assign(type=table["authority"].map(lambda a: "charter" if a in "14" else "public"))


@cache
def known_model(**arguments):
    """Return exams.nested of that table, with predictors of both levels."""
    return hbm.exams.nested(known_table(), predictors=ASKED, **arguments)


def coded(table=None, sizes=None):
    """Return the predictors of schools, and of what they stand in, written out: (11, 7) each."""
    table = known_table() if table is None else table
    log_n = np.log(table["n_students"])
    sizes = np.broadcast_to(table["n_students"] if sizes is None else sizes, len(table))
    own = [(np.log(sizes) - log_n.mean()) / log_n.std(ddof=0)]
    own.append(table["new"] - table["new"].mean())
    own += [1.0 * (table["kind"] == kind) for kind in ("arts", "plain", "sports")]
    above = [1.0 * (table["type"] == each) for each in ("charter", "public")]
    nothing = np.zeros(len(table))
    x = np.column_stack([*own, nothing, nothing])
    return x, np.column_stack([*[nothing] * 5, *above])


def fake_known(model=None, n_draws=50, seed=1, **fixed):
    """Return a fit of that model, with the numbers given held fixed in all draws."""
    model = known_model() if model is None else model
    d, rng = model.description, np.random.default_rng(seed)
    n_schools, n_authorities = len(d.n), len(d.levels[0].labels)
    draws = {name: np.full(n_draws, value) for name, value in KNOWN.items()}
    draws |= {"beta": BETA, "gamma": GAMMA}
    draws["eta_authority"] = rng.normal(0.6, 0.3, (n_draws, n_authorities))
    draws["eta_school"] = rng.normal(0.6, 0.4, (n_draws, n_schools))
    draws["log_nu_school"] = rng.normal(np.log(6), 0.3, (n_draws, n_schools))
    draws |= fixed
    contrasts = d.predictors.contrasts
    for name in ("beta", "gamma"):
        draws[name] = np.broadcast_to(draws[name], (n_draws, len(LABELS)))
        draws[f"{name}_contrast"] = draws[name] @ contrasts
    draws = {name: np.broadcast_to(x, (n_draws, *np.shape(x)[1:])) for name, x in draws.items()}
    for name in ("", "_authority", "_school"):
        draws[f"mu{name}"] = expit(draws[f"eta{name}"])
    draws["nu_school"] = np.exp(draws["log_nu_school"])
    return fake_fit(model, draws)
