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

All models take the same arguments and have, with dim ``school``, ``mu_school`` (a proportion) and
``nu_school``; ``constant_data`` of a fit has ``n_students``, ``mean`` and ``sd`` of each school.
Other words make other names: ``group="hospital", levels=("trust",), individual="patient"`` reads
columns ``hospital``, ``trust`` and ``n_patients``, and gives ``mu_hospital`` and ``tau_trust``.
They raise a ValueError or TypeError, naming rows and the likely mend, if the table is not as
described.

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

from collections.abc import Sequence
from typing import Literal, get_args

import pandas as pd

from hbm.hierarchy.description import Description, check_words, describe
from hbm.hierarchy.logit_normal import alone, as_one, pooled
from hbm.hierarchy.model import TableModel
from hbm.hierarchy.parameterisation import Parameterisation
from hbm.hierarchy.priors import Priors
from hbm.hierarchy.recipes import remembered
from hbm.students.beta import BETA
from hbm.tables.grouped import read_summaries
from hbm.tables.words import plural

__all__ = ["Observe", "Priors", "complete_pooling", "nested", "no_pooling", "partial_pooling"]

Observe = Literal["mean and sd", "mean"]


@remembered
def complete_pooling(
    table: pd.DataFrame,
    *,
    observe: Observe = "mean and sd",
    priors: Priors = Priors(),
    parameterisation: Parameterisation = "informed",
    group: str = "school",
    individual: str = "student",
    value: str = "exam",
) -> TableModel:
    """Build the model in which all schools have one mean and one spread.

    (mean, sd) ~ those of n students ~ Beta(mu_school, nu_school), mu_school = mu = expit(eta),
    eta ~ N(1.1, 1), nu_school = nu, log nu ~ N(log 10, 1).

    Parameters
    ----------
    table : pandas.DataFrame
        One row a school, as made by :func:`hbm.exam_table`: ``school``, ``n_students`` (1 or
        more), ``mean`` and ``sd`` (proportions; sd with divisor n − 1). A school whose sd is
        missing is observed by its mean.
    observe : {"mean and sd", "mean"}
        What of the table to learn from. The article ignores the sd, so that the spread of
        students is what the prior says; ``sd`` may then be absent.
    priors : Priors
        Priors, in logits; see there.
    parameterisation : {"informed", "centred", "non-centred"}
        Without effect: all models take it, but here no group has an effect of its own.
    group, individual, value : str
        What a school, a student and an exam are called.

    Returns
    -------
    pymc.Model
        ``eta``, ``mu``, ``nu``, and ``mu_school`` and ``nu_school``, the same for all.

    Examples
    --------
    >>> import hbm
    >>> table = hbm.simulate.exams(random_seed=1)[0]
    >>> model = hbm.exams.complete_pooling(table)
    >>> [variable.name for variable in model.free_RVs]
    ['eta', 'nu']
    """
    d = _describe(table, group, individual, value, observe)
    return as_one(d, priors, parameterisation)


@remembered
def no_pooling(
    table: pd.DataFrame,
    *,
    observe: Observe = "mean and sd",
    priors: Priors = Priors(),
    parameterisation: Parameterisation = "informed",
    group: str = "school",
    individual: str = "student",
    value: str = "exam",
) -> TableModel:
    """Build the model in which each school is estimated alone.

    (mean, sd) ~ those of n students ~ Beta(mu_school, nu_school), mu_school = expit(eta_school),
    eta_school ~ N(1.1, 1.5), log nu_school ~ N(log 10, 1), all of them fixed numbers.

    Parameters
    ----------
    table : pandas.DataFrame
        One row a school, as made by :func:`hbm.exam_table`: ``school``, ``n_students`` (1 or
        more), ``mean`` and ``sd`` (proportions; sd with divisor n − 1). A school whose sd is
        missing is observed by its mean.
    observe : {"mean and sd", "mean"}
        What of the table to learn from. The article ignores the sd, so that the spread of
        students is what the prior says; ``sd`` may then be absent.
    priors : Priors
        Priors, in logits; see there.
    parameterisation : {"informed", "centred", "non-centred"}
        How the sampler sees the effects; the posterior is the same.
    group, individual, value : str
        What a school, a student and an exam are called.

    Returns
    -------
    pymc.Model
        ``eta_school``, ``mu_school``, ``log_nu_school``, ``nu_school``.

    Examples
    --------
    >>> import hbm
    >>> table = hbm.simulate.exams(random_seed=1)[0]
    >>> model = hbm.exams.no_pooling(table)
    >>> [variable.name for variable in model.free_RVs]
    ['eta_school', 'log_nu_school']
    """
    d = _describe(table, group, individual, value, observe)
    return alone(d, priors, parameterisation)


@remembered
def partial_pooling(
    table: pd.DataFrame,
    *,
    observe: Observe = "mean and sd",
    priors: Priors = Priors(),
    parameterisation: Parameterisation = "informed",
    group: str = "school",
    individual: str = "student",
    value: str = "exam",
) -> TableModel:
    """Build the model in which schools share a population, whose spread is learned.

    (mean, sd) ~ those of n students ~ Beta(mu_school, nu_school), mu_school = expit(eta_school),
    eta_school ~ N(eta, tau_school), eta ~ N(1.1, 1), tau_school ~ HN(0.5);
    log nu_school ~ N(log nu, tau_nu), log nu ~ N(log 10, 1), tau_nu ~ HN(0.5).

    Parameters
    ----------
    table : pandas.DataFrame
        One row a school, as made by :func:`hbm.exam_table`: ``school``, ``n_students`` (1 or
        more), ``mean`` and ``sd`` (proportions; sd with divisor n − 1). A school whose sd is
        missing is observed by its mean.
    observe : {"mean and sd", "mean"}
        What of the table to learn from. The article ignores the sd, so that the spread of
        students is what the prior says; ``sd`` may then be absent.
    priors : Priors
        Priors, in logits; see there.
    parameterisation : {"informed", "centred", "non-centred"}
        How the sampler sees the effects; the posterior is the same.
    group, individual, value : str
        What a school, a student and an exam are called.

    Returns
    -------
    pymc.Model
        ``eta``, ``mu``, ``tau_school``, ``nu``, ``tau_nu``, ``eta_school``, ``mu_school``,
        ``log_nu_school``, ``nu_school``.

    Examples
    --------
    >>> import hbm
    >>> table = hbm.simulate.exams(random_seed=1)[0]
    >>> model = hbm.exams.partial_pooling(table)
    >>> [variable.name for variable in model.free_RVs]
    ['eta', 'tau_school', 'nu', 'tau_nu', 'eta_school', 'log_nu_school']
    """
    d = _describe(table, group, individual, value, observe)
    return pooled(d, priors, parameterisation)


@remembered
def nested(
    table: pd.DataFrame,
    *,
    observe: Observe = "mean and sd",
    priors: Priors = Priors(),
    parameterisation: Parameterisation = "informed",
    levels: Sequence[str] = ("authority",),
    group: str = "school",
    individual: str = "student",
    value: str = "exam",
) -> TableModel:
    """Build the model in which schools vary around their authority, and authorities around a mean.

    (mean, sd) ~ those of n students ~ Beta(mu_school, nu_school), mu_school = expit(eta_school),
    eta_school ~ N(eta_authority, tau_school), eta_authority ~ N(eta, tau_authority),
    eta ~ N(1.1, 1), both taus ~ HN(0.5); log nu_school ~ N(log nu, tau_nu),
    log nu ~ N(log 10, 1), tau_nu ~ HN(0.5). With further levels, eta_authority ~ N(what it stands
    in, tau_authority), and so on up to eta.

    Parameters
    ----------
    table : pandas.DataFrame
        One row a school, as made by :func:`hbm.exam_table`: ``school``, ``authority``,
        ``n_students`` (1 or more), ``mean`` and ``sd`` (proportions; sd with divisor n − 1). A
        school whose sd is missing is observed by its mean. A school stands in one authority.
    observe : {"mean and sd", "mean"}
        What of the table to learn from. The article ignores the sd, so that the spread of
        students is what the prior says; ``sd`` may then be absent.
    priors : Priors
        Priors, in logits; see there.
    parameterisation : {"informed", "centred", "non-centred"}
        How the sampler sees the effects; the posterior is the same.
    levels : sequence of str
        What schools stand in, from the innermost out: columns of the table. The standard deviation
        between the members of each has the prior of `Priors.tau_parent`.
    group, individual, value : str
        What a school, a student and an exam are called.

    Returns
    -------
    pymc.Model
        ``eta``, ``mu``, ``tau_authority``, ``tau_school``, ``nu``, ``tau_nu``, ``eta_authority``,
        ``mu_authority``, ``eta_school``, ``mu_school``, ``log_nu_school``, ``nu_school``; dim
        ``authority`` too. mu_authority is the mean of the school in the authority's middle.

    Examples
    --------
    >>> import hbm
    >>> table = hbm.simulate.exams(random_seed=1)[0]
    >>> model = hbm.exams.nested(table)
    >>> [variable.name for variable in model.free_RVs]
    ['eta', 'tau_authority', 'tau_school', 'nu', 'tau_nu',
     'eta_authority', 'eta_school', 'log_nu_school']
    """
    d = _describe(table, group, individual, value, observe, levels)
    return pooled(d, priors, parameterisation)


def _describe(
    table: pd.DataFrame,
    group: str,
    individual: str,
    value: str,
    observe: Observe,
    levels: Sequence[str] = (),
) -> Description:
    if observe not in get_args(Observe):
        raise ValueError(f"observe must be 'mean and sd' or 'mean', got {observe!r}")
    check_words(individual, group, levels, value)
    means_only = observe == "mean"
    exams = read_summaries(
        table,
        by=group,
        size=f"n_{plural(individual)}",
        parents=levels,
        proportions=True,
        sd_needed=not means_only,
        sd_may_be_missing=True,
    )
    observed = f"{value}_mean" if means_only else value
    words = {"individual": individual, "observed": observed}
    words["value_name"] = "score" if value == "exam" else value
    return describe(BETA, exams, **words, means_only=means_only)
