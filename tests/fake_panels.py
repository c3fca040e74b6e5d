"""Fits of panels made of numbers chosen by a test, without sampling."""

from functools import cache

import numpy as np
from fakes import fake_fit
from scipy.special import expit

import hbm

YEARS = (2015, 2016, 2018, 2019)  # none has results of 2017
# Schools of 1 to 240 students, with gaps: one of the last year only, one alone in its authority.
SIZES = np.array(
    [
        [9, 12, 0, 14],
        [40, 38, 45, 50],
        [0, 0, 0, 7],
        [3, 1, 2, 4],
        [240, 0, 0, 210],
        [25, 30, 28, 0],
    ]
)


@cache
def _model(n_schools, levels):
    if n_schools == len(SIZES):
        families, sizes = [3, 2, 1], SIZES
    else:
        rng = np.random.default_rng(n_schools)
        usual = np.exp(rng.normal(3.5, 1, (n_schools, 1)))
        sizes = rng.poisson(usual, (n_schools, len(YEARS))) + 1
        sizes[rng.random(sizes.shape) < 0.1] = 0
        sizes[:, -1] = np.maximum(sizes[:, -1], 1)
        sizes[0] = np.maximum(sizes[0], 1)  # no year is without results
        families = [1] * (n_schools % 3) + [3] * (n_schools // 3)
    table, _ = hbm.simulate.exam_panel(families, sizes, years=YEARS, random_seed=1)
    return hbm.exams.panel(table, levels=levels)


def panel_model(n_schools=6, levels=("authority",)):
    """Return the model of a small panel."""
    return _model(n_schools, levels)


def fake_panel(n_draws=60, seed=1, n_schools=6, levels=("authority",), **fixed):
    """Return a fake fit of a panel, with the numbers given held fixed in all draws."""
    model = panel_model(n_schools, levels)
    d, rng = model.description, np.random.default_rng(seed)
    one = {
        "eta": rng.normal(0.6, 0.05, n_draws),
        "tau_year": rng.gamma(30, 0.1 / 30, n_draws),
        "tau_authority": rng.gamma(30, 0.2 / 30, n_draws),
        "tau_school": rng.gamma(30, 0.3 / 30, n_draws),
        "persistence": rng.beta(90, 10, n_draws),
        "nu": rng.normal(6, 0.1, n_draws),
        "tau_nu": rng.normal(0.3, 0.01, n_draws),
        "design_effect": 1 + rng.gamma(10, 0.05, n_draws),
    }
    draws = one | {name: np.broadcast_to(v, (n_draws,)) for name, v in fixed.items() if name in one}
    shape = (n_draws, len(d.levels[-1].labels), len(YEARS))
    draws["effect_year"] = rng.normal(0, 0.1, (n_draws, len(YEARS)))
    around = draws["eta"][:, None]
    for level in levels[::-1]:
        members = len(model.coords[level])
        around = rng.normal(draws["eta"][:, None], 0.2, (n_draws, members))
        draws[f"eta_{level}"], draws[f"mu_{level}"] = around, expit(around)
    draws["eta_school"] = draws["eta"][:, None, None] + rng.normal(0, 0.3, shape)
    draws["log_nu_school"] = rng.normal(np.log(6), 0.3, (n_draws, len(d.n)))
    draws |= {name: v for name, v in fixed.items() if name not in one}
    draws["mu"] = expit(draws["eta"])
    draws["mu_school"] = expit(draws["eta_school"])
    draws["nu_school"] = np.exp(draws["log_nu_school"])
    return fake_fit(model, draws)
