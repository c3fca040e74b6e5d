"""Exams of a population that is known exactly, and the statistics of a table of exams."""

import numpy as np
from fakes import fake_exams_nested
from models import build
from scipy.special import logit

TRUTH = {"mu": 0.65, "tau_authority": 0.25, "tau_school": 0.35, "nu": 8, "tau_nu": 0.3}
SIZES = [3, 8, 12, 30, 100, 5, 25, 60, 1, 2, 40]  # of the table of tests/models.py
AUTHORITIES = [4, 3, 1, 2, 1]


def known_exams(n_draws=1000):
    """Return a model of exams, and a fit whose draws all are the true parameters."""
    model = build("exams.nested")
    fixed = {name: TRUTH[name] for name in ("tau_authority", "tau_school", "nu", "tau_nu")}
    return model, fake_exams_nested(model, n_draws, eta=logit(TRUTH["mu"]), **fixed)


def fitted_to(model, table, n_draws=200, **more):
    """Return a fake fit of exams.nested that has found every school's mean and spread."""
    mean, sd = table["mean"].clip(0.02, 0.98).to_numpy(), table["sd"].fillna(0.2).to_numpy()
    nu = np.clip(mean * (1 - mean) / np.maximum(sd, 0.02) ** 2 - 1, 0.5, 500)
    found = {"eta_school": logit(mean), "log_nu_school": np.log(nu)} | more
    return fake_exams_nested(model, n_draws, **found)


def summaries(table):
    """Return the statistics of a table of exams, by their definitions."""
    mean, sd, n = (table[name] for name in ("mean", "sd", "n_students"))
    small, large = n < n.median(), n >= n.median()
    several = large & (n > 1)
    parents = (
        table.assign(total=mean * n).groupby("authority", sort=False)[["total", "n_students"]].sum()
    )
    return {
        "sd_within": sd.mean(),
        "sd_of_sds": sd[several].std(),
        "mean_sd_correlation": mean[several].corr(sd[several]),
        "sd_between": mean.std(),
        "lowest_mean": mean.min(),
        "highest_mean": mean.max(),
        "mean_minus_median": mean.mean() - mean.median(),
        "small_minus_large": mean[small].mean() - mean[large].mean(),
        "sd_small_minus_large": mean[small].std() - mean[large].std(),
        "within_small_minus": sd[small].mean() - sd[large].mean(),
        "sd_between_parents": (parents["total"] / parents["n_students"]).std(),
    }


def row(check, statistic):
    """Return what a check says of one statistic."""
    return check.table.set_index("statistic").loc[statistic]
