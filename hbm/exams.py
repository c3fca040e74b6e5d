"""Exam results by school, from published tables: Beta models with four levels of pooling.

All that is published of a school's n students is their mean mark and its standard deviation. The
students are taken to be Beta with mean mu_school = expit(eta_school) and sample size nu_school,
log nu_school ~ N(log nu, tau_nu), and the likelihood is that of the published mean and standard
deviation of n such students, so that no school is too small to stay in. The schools' means differ
in

=====================  ====================================================================
`complete_pooling`     eta_school = eta: one mean for all
`no_pooling`           eta_school ~ N(1.1, 1.5): each school alone
`partial_pooling`      eta_school ~ N(eta, tau_school), with tau_school learned
`nested`               eta_school ~ N(eta_authority, tau_school), with
                       eta_authority ~ N(eta, tau_authority), both learned
=====================  ====================================================================

Marks are proportions. eta, the effects and the taus are in logits: at a mean of 0.65 a step of
0.1 logits is 2.3 points of a hundred.

Simulation-based calibration, 1,500 data sets of 20 schools each, parameters from the prior and
students one by one: ranks of all parameters are uniform, and intervals cover, in per cent, by
number of students and raw mean (±: standard error of the 89 % intervals),

===================  =======  ====  ====  ===  ====  ====  ===
`partial_pooling`    schools  mu_school        nu_school
                              50 %  89 %  ±    50 %  89 %  ±
===================  =======  ====  ====  ===  ====  ====  ===
3–9                  12000    50.0  89.1  0.3  50.1  88.6  0.4
10–29                9000     50.3  89.4  0.3  50.8  88.7  0.4
30+                  9000     50.4  89.5  0.3  50.2  89.1  0.3
3–9, mean below 0.2  533      49.3  91.0  1.4  54.2  89.3  1.4
3–9, mean above 0.8  3047     50.0  88.6  0.6  49.2  88.1  0.7
===================  =======  ====  ====  ===  ====  ====  ===

===================  =======  ====  ====  ===  ====  ====  ===
`nested`             schools  mu_school        nu_school
                              50 %  89 %  ±    50 %  89 %  ±
===================  =======  ====  ====  ===  ====  ====  ===
3–9                  12000    49.4  88.4  0.3  50.6  88.6  0.4
10–29                9000     49.7  88.4  0.4  50.7  88.9  0.4
30+                  9000     50.2  89.3  0.3  50.5  88.9  0.4
3–9, mean below 0.2  678      45.9  87.5  1.4  49.0  86.4  1.4
3–9, mean above 0.8  3223     50.6  88.7  0.6  50.5  88.8  0.6
===================  =======  ====  ====  ===  ====  ====  ===
"""

from typing import Literal, get_args

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
from hbm.students.likelihoods import beta_mean, beta_summary, published
from hbm.tables.grouped import GroupedData, read_summaries

__all__ = ["Observe", "Priors", "complete_pooling", "nested", "no_pooling", "partial_pooling"]

Observe = Literal["mean and sd", "mean"]


@remembered
def complete_pooling(
    table: pd.DataFrame,
    *,
    observe: Observe = "mean and sd",
    priors: Priors = Priors(),
    parameterisation: Parameterisation = "informed",
) -> pm.Model:
    """Build the model in which the students of all schools come from one Beta.

    (mean, sd) ~ those of n students ~ Beta(mu_school, nu_school), mu_school = mu = expit(eta),
    eta ~ N(1.1, 1), nu_school = nu, log nu ~ N(log 10, 1).

    Parameters
    ----------
    table : pandas.DataFrame
        One row a school, as made by :func:`hbm.exam_table`: ``school``, ``n_students`` (1 or
        more), ``mean`` and ``sd`` (proportions; sd with divisor n − 1, missing where n = 1).
    observe : {"mean and sd", "mean"}
        What of the table to learn from. The article ignores the sd, so that the spread of
        students is what the prior says; ``sd`` may then be absent.
    priors : Priors
        Priors, in logits; see there.
    parameterisation : {"informed", "centred", "non-centred"}
        Without effect: all models take it, but here no group has an effect of its own.

    Returns
    -------
    pymc.Model
        ``eta``, ``mu``, ``nu``, and ``mu_school`` and ``nu_school``, the same for all;
        dim ``school``.

    Raises
    ------
    ValueError, TypeError
        If the table is not as described, `observe` not one of the two, or the parameterisation
        not one of the three.

    Examples
    --------
    >>> import hbm
    >>> table = hbm.simulate.exams(random_seed=1)[0]
    >>> model = hbm.exams.complete_pooling(table)
    >>> [variable.name for variable in model.free_RVs]
    ['eta', 'nu']
    """
    check_parameterisation(parameterisation)
    exams = _read(table, observe)
    with pm.Model(coords=exams.coords) as model:
        eta = pm.Normal("eta", priors.eta_mean, priors.eta_sd)
        nu = pm.LogNormal("nu", np.log(priors.nu_median), priors.nu_log_sd)
        mu = pm.Deterministic("mu", pm.math.invlogit(eta))
        mu_school = pm.Deterministic("mu_school", pt.full(exams.n.shape, mu), dims="school")
        nu_school = pm.Deterministic("nu_school", pt.full(exams.n.shape, nu), dims="school")
        pm.Data("tau_school", 0.0)
        pm.Data("tau_nu", 0.0)
        _observe(mu_school, nu_school, exams, observe)
    return model


@remembered
def no_pooling(
    table: pd.DataFrame,
    *,
    observe: Observe = "mean and sd",
    priors: Priors = Priors(),
    parameterisation: Parameterisation = "informed",
) -> pm.Model:
    """Build the model in which each school is estimated alone.

    (mean, sd) ~ those of n students ~ Beta(mu_school, nu_school), mu_school = expit(eta_school),
    eta_school ~ N(1.1, 1.5), log nu_school ~ N(log 10, 1), all of them fixed numbers.

    Parameters
    ----------
    table : pandas.DataFrame
        One row a school, as made by :func:`hbm.exam_table`: ``school``, ``n_students`` (1 or
        more), ``mean`` and ``sd`` (proportions; sd with divisor n − 1, missing where n = 1).
    observe : {"mean and sd", "mean"}
        What of the table to learn from. The article ignores the sd, so that the spread of
        students is what the prior says; ``sd`` may then be absent.
    priors : Priors
        Priors, in logits; see there.
    parameterisation : {"informed", "centred", "non-centred"}
        How the sampler sees the effects; the posterior is the same.

    Returns
    -------
    pymc.Model
        ``eta_school``, ``mu_school``, ``log_nu_school``, ``nu_school``; dim ``school``.

    Raises
    ------
    ValueError, TypeError
        If the table is not as described, `observe` not one of the two, or the parameterisation
        not one of the three.

    Examples
    --------
    >>> import hbm
    >>> table = hbm.simulate.exams(random_seed=1)[0]
    >>> model = hbm.exams.no_pooling(table)
    >>> [variable.name for variable in model.free_RVs]
    ['eta_school', 'log_nu_school']
    """
    exams = _read(table, observe)
    raw = raw_estimates(exams, pooled_nu(exams.n, exams.mean, exams.sd, priors.nu_median))
    with pm.Model(coords=exams.coords) as model:
        eta = pm.Data("eta", priors.eta_mean)
        tau_school = pm.Data("tau_school", priors.no_pooling_sd)
        nu = pm.Data("nu", priors.nu_median)
        tau_nu = pm.Data("tau_nu", priors.nu_log_sd)
        mu_school = school_effect(eta, tau_school, raw, parameterisation)
        nu_school = school_nu(nu, tau_nu, raw, parameterisation)
        _observe(mu_school, nu_school, exams, observe)
    return model


@remembered
def partial_pooling(
    table: pd.DataFrame,
    *,
    observe: Observe = "mean and sd",
    priors: Priors = Priors(),
    parameterisation: Parameterisation = "informed",
) -> pm.Model:
    """Build the model in which schools share a population, whose spread is learned.

    (mean, sd) ~ those of n students ~ Beta(mu_school, nu_school), mu_school = expit(eta_school),
    eta_school ~ N(eta, tau_school), eta ~ N(1.1, 1), tau_school ~ HN(0.5);
    log nu_school ~ N(log nu, tau_nu), log nu ~ N(log 10, 1), tau_nu ~ HN(0.5).

    Parameters
    ----------
    table : pandas.DataFrame
        One row a school, as made by :func:`hbm.exam_table`: ``school``, ``n_students`` (1 or
        more), ``mean`` and ``sd`` (proportions; sd with divisor n − 1, missing where n = 1).
    observe : {"mean and sd", "mean"}
        What of the table to learn from. The article ignores the sd, so that the spread of
        students is what the prior says; ``sd`` may then be absent.
    priors : Priors
        Priors, in logits; see there.
    parameterisation : {"informed", "centred", "non-centred"}
        How the sampler sees the effects; the posterior is the same.

    Returns
    -------
    pymc.Model
        ``eta``, ``mu``, ``tau_school``, ``nu``, ``tau_nu``, ``eta_school``, ``mu_school``,
        ``log_nu_school``, ``nu_school``; dim ``school``.

    Raises
    ------
    ValueError, TypeError
        If the table is not as described, `observe` not one of the two, or the parameterisation
        not one of the three.

    Examples
    --------
    >>> import hbm
    >>> table = hbm.simulate.exams(random_seed=1)[0]
    >>> model = hbm.exams.partial_pooling(table)
    >>> [variable.name for variable in model.free_RVs]
    ['eta', 'tau_school', 'nu', 'tau_nu', 'eta_school', 'log_nu_school']
    """
    exams = _read(table, observe)
    raw = raw_estimates(exams, pooled_nu(exams.n, exams.mean, exams.sd, priors.nu_median))
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


@remembered
def nested(
    table: pd.DataFrame,
    *,
    observe: Observe = "mean and sd",
    priors: Priors = Priors(),
    parameterisation: Parameterisation = "informed",
) -> pm.Model:
    """Build the model in which schools vary around their authority, and authorities around a mean.

    (mean, sd) ~ those of n students ~ Beta(mu_school, nu_school), mu_school = expit(eta_school),
    eta_school ~ N(eta_authority, tau_school), eta_authority ~ N(eta, tau_authority),
    eta ~ N(1.1, 1), both taus ~ HN(0.5); log nu_school ~ N(log nu, tau_nu), log nu ~ N(log 10, 1),
    tau_nu ~ HN(0.5).

    Parameters
    ----------
    table : pandas.DataFrame
        One row a school, as made by :func:`hbm.exam_table`: ``school``, ``authority``,
        ``n_students`` (1 or more), ``mean`` and ``sd`` (proportions; sd with divisor n − 1,
        missing where n = 1). A school stands in one authority.
    observe : {"mean and sd", "mean"}
        What of the table to learn from. The article ignores the sd, so that the spread of
        students is what the prior says; ``sd`` may then be absent.
    priors : Priors
        Priors, in logits; see there.
    parameterisation : {"informed", "centred", "non-centred"}
        How the sampler sees the effects; the posterior is the same.

    Returns
    -------
    pymc.Model
        ``eta``, ``mu``, ``tau_authority``, ``tau_school``, ``nu``, ``tau_nu``, ``eta_authority``,
        ``mu_authority``, ``eta_school``, ``mu_school``, ``log_nu_school``, ``nu_school``;
        dims ``authority`` and ``school``. mu_authority is the mean of the school in the
        authority's middle.

    Raises
    ------
    ValueError, TypeError
        If the table is not as described, `observe` not one of the two, or the parameterisation
        not one of the three.

    Examples
    --------
    >>> import hbm
    >>> table = hbm.simulate.exams(random_seed=1)[0]
    >>> model = hbm.exams.nested(table)
    >>> [variable.name for variable in model.free_RVs]
    ['eta', 'tau_authority', 'tau_school', 'nu', 'tau_nu',
     'eta_authority', 'eta_school', 'log_nu_school']
    """
    exams = _read(table, observe, parent="authority")
    raw = raw_estimates(exams, pooled_nu(exams.n, exams.mean, exams.sd, priors.nu_median))
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


def _observe(
    mu_school: TensorVariable, nu_school: TensorVariable, exams: GroupedData, observe: Observe
) -> None:
    pm.Data("n_students", exams.n, dims="school")
    pm.Data("mean", exams.mean, dims="school")
    pm.Data("sd", np.nan_to_num(exams.sd), dims="school")
    mean, sd = published(exams.mean, exams.sd, exams.n)
    if observe == "mean":
        beta_mean("exam_mean", mu_school, nu_school, exams.n, mean, dims="school")
    else:
        beta_summary("exam", mu_school, nu_school, exams.n, (mean, sd), dims="school")
