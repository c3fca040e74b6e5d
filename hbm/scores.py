"""Scores of students in schools (in districts): Beta models with four levels of pooling.

A student's score is Beta with mean mu_school = expit(eta_school) and sample size nu_school,
log nu_school ~ N(log nu, tau_nu). The schools' means differ in

=====================  ====================================================================
`complete_pooling`     eta_school = eta: one mean for all
`no_pooling`           eta_school ~ N(1.1, 1.5): each school alone
`partial_pooling`      eta_school ~ N(eta, tau_school), with tau_school learned
`nested`               eta_school ~ N(eta_district, tau_school), with
                       eta_district ~ N(eta, tau_district), both learned
=====================  ====================================================================

Scores are proportions strictly between 0 and 1. eta, the effects and the taus are in logits. The
students of a school enter by their number and the sums of log s and of log(1 − s), which say all
there is to say of mu_school and nu_school: the posterior is that of the students one by one.
"""

import numpy as np
import pandas as pd
import pymc as pm
import pytensor.tensor as pt
from pytensor.tensor import TensorVariable

from hbm.hierarchy.beta_groups import (
    Priors,
    parent_effect,
    pooled_nu,
    raw_estimates,
    school_effect,
    school_nu,
)
from hbm.hierarchy.parameterisation import Parameterisation, check_parameterisation
from hbm.hierarchy.recipes import remembered
from hbm.students.individuals import beta_students
from hbm.tables.grouped import GroupedData, read_individuals

__all__ = ["Priors", "complete_pooling", "nested", "no_pooling", "partial_pooling"]


@remembered
def complete_pooling(
    table: pd.DataFrame,
    *,
    priors: Priors = Priors(),
    parameterisation: Parameterisation = "informed",
) -> pm.Model:
    """Build the model in which the students of all schools come from one Beta.

    score ~ Beta(mu_school, nu_school), mu_school = mu = expit(eta), eta ~ N(1.1, 1),
    nu_school = nu, log nu ~ N(log 10, 1).

    Parameters
    ----------
    table : pandas.DataFrame
        One row a student: ``school``, ``score`` (a proportion strictly between 0 and 1).
    priors : Priors
        Priors, in logits; see there.
    parameterisation : {"informed", "centred", "non-centred"}
        Without effect: all models take it, but here no group has an effect of its own.

    Returns
    -------
    pymc.Model
        ``eta``, ``mu``, ``nu``, and ``mu_school`` and ``nu_school``, the same for all;
        dims ``school`` and ``student``.

    Raises
    ------
    ValueError, TypeError
        If the table is not as described, or the parameterisation not one of the three.

    Examples
    --------
    >>> import hbm
    >>> model = hbm.scores.complete_pooling(hbm.load_dataset("scores"))
    >>> [variable.name for variable in model.free_RVs]
    ['eta', 'nu']
    """
    check_parameterisation(parameterisation)
    scores = _read(table)
    with pm.Model(coords=scores.coords) as model:
        eta = pm.Normal("eta", priors.eta_mean, priors.eta_sd)
        nu = pm.LogNormal("nu", np.log(priors.nu_median), priors.nu_log_sd)
        mu = pm.Deterministic("mu", pm.math.invlogit(eta))
        mu_school = pm.Deterministic("mu_school", pt.full(scores.n.shape, mu), dims="school")
        nu_school = pm.Deterministic("nu_school", pt.full(scores.n.shape, nu), dims="school")
        pm.Data("tau_school", 0.0)
        pm.Data("tau_nu", 0.0)
        _observe(mu_school, nu_school, scores)
    return model


@remembered
def no_pooling(
    table: pd.DataFrame,
    *,
    priors: Priors = Priors(),
    parameterisation: Parameterisation = "informed",
) -> pm.Model:
    """Build the model in which each school is estimated alone.

    score ~ Beta(mu_school, nu_school), mu_school = expit(eta_school),
    eta_school ~ N(1.1, 1.5), log nu_school ~ N(log 10, 1), all of them fixed numbers.

    Parameters
    ----------
    table : pandas.DataFrame
        One row a student: ``school``, ``score`` (a proportion strictly between 0 and 1).
    priors : Priors
        Priors, in logits; see there.
    parameterisation : {"informed", "centred", "non-centred"}
        How the sampler sees the effects; the posterior is the same.

    Returns
    -------
    pymc.Model
        ``eta_school``, ``mu_school``, ``log_nu_school``, ``nu_school``; dims ``school`` and
        ``student``.

    Raises
    ------
    ValueError, TypeError
        If the table is not as described, or the parameterisation not one of the three.

    Examples
    --------
    >>> import hbm
    >>> model = hbm.scores.no_pooling(hbm.load_dataset("scores"))
    >>> [variable.name for variable in model.free_RVs]
    ['eta_school', 'log_nu_school']
    """
    scores = _read(table)
    raw = raw_estimates(scores, pooled_nu(scores.n, scores.mean, scores.sd, priors.nu_median))
    with pm.Model(coords=scores.coords) as model:
        eta = pm.Data("eta", priors.eta_mean)
        tau_school = pm.Data("tau_school", priors.no_pooling_sd)
        nu = pm.Data("nu", priors.nu_median)
        tau_nu = pm.Data("tau_nu", priors.nu_log_sd)
        mu_school = school_effect(eta, tau_school, raw, parameterisation)
        nu_school = school_nu(nu, tau_nu, raw, parameterisation)
        _observe(mu_school, nu_school, scores)
    return model


@remembered
def partial_pooling(
    table: pd.DataFrame,
    *,
    priors: Priors = Priors(),
    parameterisation: Parameterisation = "informed",
) -> pm.Model:
    """Build the model in which schools share a population, whose spread is learned.

    score ~ Beta(mu_school, nu_school), mu_school = expit(eta_school),
    eta_school ~ N(eta, tau_school), eta ~ N(1.1, 1), tau_school ~ HN(0.5);
    log nu_school ~ N(log nu, tau_nu), log nu ~ N(log 10, 1), tau_nu ~ HN(0.5).

    Parameters
    ----------
    table : pandas.DataFrame
        One row a student: ``school``, ``score`` (a proportion strictly between 0 and 1).
    priors : Priors
        Priors, in logits; see there.
    parameterisation : {"informed", "centred", "non-centred"}
        How the sampler sees the effects; the posterior is the same.

    Returns
    -------
    pymc.Model
        ``eta``, ``mu``, ``tau_school``, ``nu``, ``tau_nu``, ``eta_school``, ``mu_school``,
        ``log_nu_school``, ``nu_school``; dims ``school`` and ``student``.

    Raises
    ------
    ValueError, TypeError
        If the table is not as described, or the parameterisation not one of the three.

    Examples
    --------
    >>> import hbm
    >>> model = hbm.scores.partial_pooling(hbm.load_dataset("scores"))
    >>> [variable.name for variable in model.free_RVs]
    ['eta', 'tau_school', 'nu', 'tau_nu', 'eta_school', 'log_nu_school']
    """
    scores = _read(table)
    raw = raw_estimates(scores, pooled_nu(scores.n, scores.mean, scores.sd, priors.nu_median))
    with pm.Model(coords=scores.coords) as model:
        eta = pm.Normal("eta", priors.eta_mean, priors.eta_sd)
        tau_school = pm.HalfNormal("tau_school", priors.tau_school)
        nu = pm.LogNormal("nu", np.log(priors.nu_median), priors.nu_log_sd)
        tau_nu = pm.HalfNormal("tau_nu", priors.tau_nu)
        pm.Deterministic("mu", pm.math.invlogit(eta))
        mu_school = school_effect(eta, tau_school, raw, parameterisation)
        nu_school = school_nu(nu, tau_nu, raw, parameterisation)
        _observe(mu_school, nu_school, scores)
    return model


@remembered
def nested(
    table: pd.DataFrame,
    *,
    priors: Priors = Priors(),
    parameterisation: Parameterisation = "informed",
) -> pm.Model:
    """Build the model in which schools vary around their district, and districts around a mean.

    score ~ Beta(mu_school, nu_school), mu_school = expit(eta_school),
    eta_school ~ N(eta_district, tau_school), eta_district ~ N(eta, tau_district), eta ~ N(1.1, 1),
    both taus ~ HN(0.5); log nu_school ~ N(log nu, tau_nu), log nu ~ N(log 10, 1),
    tau_nu ~ HN(0.5).

    Parameters
    ----------
    table : pandas.DataFrame
        One row a student: ``district``, ``school``, ``score`` (a proportion strictly between 0
        and 1). A school stands in one district.
    priors : Priors
        Priors, in logits; see there.
    parameterisation : {"informed", "centred", "non-centred"}
        How the sampler sees the effects; the posterior is the same.

    Returns
    -------
    pymc.Model
        ``eta``, ``mu``, ``tau_district``, ``tau_school``, ``nu``, ``tau_nu``, ``eta_district``,
        ``mu_district``, ``eta_school``, ``mu_school``, ``log_nu_school``, ``nu_school``;
        dims ``district``, ``school`` and ``student``. mu_district is the mean of the school in the
        district's middle.

    Raises
    ------
    ValueError, TypeError
        If the table is not as described, or the parameterisation not one of the three.

    Examples
    --------
    >>> import hbm
    >>> model = hbm.scores.nested(hbm.load_dataset("nested_scores"))
    >>> [variable.name for variable in model.free_RVs]
    ['eta', 'tau_district', 'tau_school', 'nu', 'tau_nu',
     'eta_district', 'eta_school', 'log_nu_school']
    """
    scores = _read(table, parent="district")
    raw = raw_estimates(scores, pooled_nu(scores.n, scores.mean, scores.sd, priors.nu_median))
    with pm.Model(coords=scores.coords) as model:
        eta = pm.Normal("eta", priors.eta_mean, priors.eta_sd)
        tau_district = pm.HalfNormal("tau_district", priors.tau_parent)
        tau_school = pm.HalfNormal("tau_school", priors.tau_school)
        nu = pm.LogNormal("nu", np.log(priors.nu_median), priors.nu_log_sd)
        tau_nu = pm.HalfNormal("tau_nu", priors.tau_nu)
        pm.Deterministic("mu", pm.math.invlogit(eta))
        eta_district = parent_effect("district", eta, tau_district, scores, raw, parameterisation)
        district_of_school = pm.Data("district_of_school", scores.parent, dims="school")
        mu_school = school_effect(
            eta_district[district_of_school], tau_school, raw, parameterisation
        )
        nu_school = school_nu(nu, tau_nu, raw, parameterisation)
        _observe(mu_school, nu_school, scores)
    return model


def _read(table: pd.DataFrame, parent: str | None = None) -> GroupedData:
    return read_individuals(
        table,
        "score",
        by="school",
        individual="student",
        parent=parent,
        allowed="proportions strictly between 0 and 1, as a Beta gives: divide percentages by 100, "
        "and move scores of exactly 0 or 1 inwards, for example to (score (n − 1) + 0.5) / n "
        "with n students",
        ok=lambda x: (x > 0) & (x < 1),
    )


def _observe(mu_school: TensorVariable, nu_school: TensorVariable, scores: GroupedData) -> None:
    pm.Data("n_students", scores.n, dims="school")
    pm.Data("mean", scores.mean, dims="school")
    pm.Data("sd", np.nan_to_num(scores.sd), dims="school")
    beta_students(
        "score", mu_school, nu_school, scores.index, observed=scores.value, dims="student"
    )
