"""Exam results by school, from published tables: Beta models with four levels of pooling.

All that is published of a school's n students is their mean mark and its standard deviation. The
students are taken to be Beta with mean mu_school = expit(eta_school) and sample size nu_school,
log nu_school ~ N(log nu, tau_nu), and the likelihood is that of the published mean and standard
deviation of n such students, so that no school is too small to stay in. The schools' means differ in

=====================  ====================================================================
`complete_pooling`     eta_school = eta: one mean for all
`no_pooling`           eta_school ~ N(1.1, 1.5): each school alone
`partial_pooling`      eta_school ~ N(eta, tau_school), with tau_school learned
`nested`               eta_school ~ N(eta_authority, tau_school), with
                       eta_authority ~ N(eta, tau_authority), both learned
=====================  ====================================================================

Marks are proportions. eta, the effects and the taus are in logits: at a mean of 0.65 a step of
0.1 logits is 2.3 points of a hundred.
"""

from typing import Literal, get_args

import numpy as np
import pandas as pd
import pymc as pm
import pytensor.tensor as pt
from pytensor.tensor import TensorVariable

from hbm.beta_groups import (
    Priors,
    RawEstimates,
    parent_effect,
    pooled_nu,
    raw_estimates,
    school_effect,
    school_nu,
)
from hbm.likelihoods import beta_mean, beta_summary
from hbm.parameterisation import Parameterisation, check_parameterisation
from hbm.tables import GroupedData, read_summaries

__all__ = ["Observe", "Priors", "complete_pooling", "nested", "no_pooling", "partial_pooling"]

Observe = Literal["mean and sd", "mean"]


def complete_pooling(
    table: pd.DataFrame,
    *,
    observe: Observe = "mean and sd",
    priors: Priors = Priors(),
    parameterisation: Parameterisation = "informed",
) -> pm.Model:
    """Build the model in which the students of all schools come from one Beta."""
    check_parameterisation(parameterisation)
    exams = _read(table, observe)
    with pm.Model(coords=exams.coords) as model:
        eta = pm.Normal("eta", priors.eta_mean, priors.eta_sd)
        nu = pm.LogNormal("nu", np.log(priors.nu_median), priors.nu_log_sd)
        pm.Data("tau_school", 0.0)
        pm.Data("tau_nu", 0.0)
        mu = pm.Deterministic("mu", pm.math.invlogit(eta))
        mu_school = pm.Deterministic("mu_school", pt.full(exams.n.shape, mu), dims="school")
        nu_school = pm.Deterministic("nu_school", pt.full(exams.n.shape, nu), dims="school")
        _observe(mu_school, nu_school, exams, observe)
    return model


def no_pooling(
    table: pd.DataFrame,
    *,
    observe: Observe = "mean and sd",
    priors: Priors = Priors(),
    parameterisation: Parameterisation = "informed",
) -> pm.Model:
    """Build the model in which each school is estimated alone."""
    exams = _read(table, observe)
    raw = _raw(exams, priors)
    with pm.Model(coords=exams.coords) as model:
        eta = pm.Data("eta", priors.eta_mean)
        tau_school = pm.Data("tau_school", priors.no_pooling_sd)
        nu = pm.Data("nu", priors.nu_median)
        tau_nu = pm.Data("tau_nu", priors.nu_log_sd)
        mu_school = school_effect(eta, tau_school, raw, parameterisation)
        nu_school = school_nu(nu, tau_nu, raw, parameterisation)
        _observe(mu_school, nu_school, exams, observe)
    return model


def partial_pooling(
    table: pd.DataFrame,
    *,
    observe: Observe = "mean and sd",
    priors: Priors = Priors(),
    parameterisation: Parameterisation = "informed",
) -> pm.Model:
    """Build the model in which schools share a population, whose spread is learned."""
    exams = _read(table, observe)
    raw = _raw(exams, priors)
    with pm.Model(coords=exams.coords) as model:
        eta = pm.Normal("eta", priors.eta_mean, priors.eta_sd)
        tau_school = pm.HalfNormal("tau_school", priors.tau_school)
        nu = pm.LogNormal("nu", np.log(priors.nu_median), priors.nu_log_sd)
        tau_nu = pm.HalfNormal("tau_nu", priors.tau_nu)
        pm.Deterministic("mu", pm.math.invlogit(eta))
        mu_school = school_effect(eta, tau_school, raw, parameterisation)
        nu_school = school_nu(nu, tau_nu, raw, parameterisation)
        _observe(mu_school, nu_school, exams, observe)
    return model


def nested(
    table: pd.DataFrame,
    *,
    observe: Observe = "mean and sd",
    priors: Priors = Priors(),
    parameterisation: Parameterisation = "informed",
) -> pm.Model:
    """Build the model in which schools vary around their authority, and authorities around a mean."""
    exams = _read(table, observe, parent="authority")
    raw = _raw(exams, priors)
    with pm.Model(coords=exams.coords) as model:
        eta = pm.Normal("eta", priors.eta_mean, priors.eta_sd)
        tau_authority = pm.HalfNormal("tau_authority", priors.tau_parent)
        tau_school = pm.HalfNormal("tau_school", priors.tau_school)
        nu = pm.LogNormal("nu", np.log(priors.nu_median), priors.nu_log_sd)
        tau_nu = pm.HalfNormal("tau_nu", priors.tau_nu)
        pm.Deterministic("mu", pm.math.invlogit(eta))
        eta_authority = parent_effect("authority", eta, tau_authority, exams, raw, parameterisation)
        authority_of_school = pm.Data("authority_of_school", exams.parent, dims="school")
        mu_school = school_effect(
            eta_authority[authority_of_school], tau_school, raw, parameterisation
        )
        nu_school = school_nu(nu, tau_nu, raw, parameterisation)
        _observe(mu_school, nu_school, exams, observe)
    return model


def _read(table: pd.DataFrame, observe: Observe, parent: str | None = None) -> GroupedData:
    if observe not in get_args(Observe):
        raise ValueError(f"observe must be 'mean and sd' or 'mean', got {observe!r}")
    return read_summaries(
        table,
        by="school",
        size="n_students",
        parent=parent,
        proportions=True,
        sd_needed=observe == "mean and sd",
    )


def _raw(exams: GroupedData, priors: Priors) -> RawEstimates:
    return raw_estimates(exams, pooled_nu(exams.n, exams.mean, exams.sd, priors.nu_median))


def _observe(
    mu_school: TensorVariable, nu_school: TensorVariable, exams: GroupedData, observe: Observe
) -> None:
    n = pm.Data("n_students", exams.n, dims="school")
    mean = pm.Data("mean", exams.mean, dims="school")
    sd = pm.Data("sd", np.nan_to_num(exams.sd), dims="school")
    if observe == "mean":
        beta_mean("exam_mean", mu_school, nu_school, n, mean, dims="school")
    else:
        beta_summary("exam", mu_school, nu_school, n, mean, sd, dims="school")
