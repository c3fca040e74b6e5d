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

**Predictors.** With x what is known of a school, coded (:mod:`hbm.tables.predictors`),
eta_school ~ N(eta_district + x · beta, tau_school) and log nu_school ~ N(log nu + x · gamma,
tau_nu); what is known of districts moves eta_district, likewise. ``mu`` and ``mu_district`` are
then means of the school in the middle whose predictors are average.

All models take the same arguments and have, with dim ``school``, ``mu_school`` (a proportion) and
``nu_school``; ``constant_data`` of a fit has ``n_students``, ``mean`` and ``sd`` of each school.
Other words make other names: ``group="team", individual="player"`` gives ``mu_team`` and reads a
column ``team``. They raise a ValueError or TypeError, naming rows and the likely mend, if the table
is not as described.
"""

from collections.abc import Sequence

import pandas as pd

from hbm.hierarchy.description import Description, check_words, describe
from hbm.hierarchy.logit_normal import alone, as_one, pooled
from hbm.hierarchy.model import TableModel
from hbm.hierarchy.parameterisation import Parameterisation
from hbm.hierarchy.priors import Priors
from hbm.hierarchy.recipes import remembered
from hbm.students.beta import BETA
from hbm.tables.forms import read_open_proportions
from hbm.tables.predictors import Asked, read_predictors
from hbm.tables.words import plural

__all__ = ["Priors", "complete_pooling", "nested", "no_pooling", "partial_pooling"]


@remembered
def complete_pooling(
    table: pd.DataFrame,
    *,
    priors: Priors = Priors(),
    parameterisation: Parameterisation = "informed",
    group: str = "school",
    individual: str = "student",
    value: str = "score",
) -> TableModel:
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
    group, individual, value : str
        What a school, a student and a score are called.

    Returns
    -------
    pymc.Model
        ``eta``, ``mu``, ``nu``, and ``mu_school`` and ``nu_school``, the same for all.

    Examples
    --------
    >>> import hbm
    >>> model = hbm.scores.complete_pooling(hbm.load_dataset("scores"))
    >>> [variable.name for variable in model.free_RVs]
    ['eta', 'nu']
    """
    d = _describe(table, group, individual, value)
    return as_one(d, priors, parameterisation)


@remembered
def no_pooling(
    table: pd.DataFrame,
    *,
    priors: Priors = Priors(),
    parameterisation: Parameterisation = "informed",
    group: str = "school",
    individual: str = "student",
    value: str = "score",
) -> TableModel:
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
    group, individual, value : str
        What a school, a student and a score are called.

    Returns
    -------
    pymc.Model
        ``eta_school``, ``mu_school``, ``log_nu_school``, ``nu_school``.

    Examples
    --------
    >>> import hbm
    >>> model = hbm.scores.no_pooling(hbm.load_dataset("scores"))
    >>> [variable.name for variable in model.free_RVs]
    ['eta_school', 'log_nu_school']
    """
    d = _describe(table, group, individual, value)
    return alone(d, priors, parameterisation)


@remembered
def partial_pooling(
    table: pd.DataFrame,
    *,
    priors: Priors = Priors(),
    parameterisation: Parameterisation = "informed",
    predictors: Asked = (),
    group: str = "school",
    individual: str = "student",
    value: str = "score",
) -> TableModel:
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
    predictors : sequence of str, or mapping of str to sequence of str
        Columns that say what is known of a school: numbers, ``log_<column>``, true or false, or
        text for categories (:mod:`hbm.tables.predictors`).
    group, individual, value : str
        What a school, a student and a score are called.

    Returns
    -------
    pymc.Model
        ``eta``, ``mu``, ``tau_school``, ``nu``, ``tau_nu``, ``eta_school``, ``mu_school``,
        ``log_nu_school``, ``nu_school``; with predictors also ``beta`` and ``gamma``, dim
        ``predictor``.

    Examples
    --------
    >>> import hbm
    >>> model = hbm.scores.partial_pooling(hbm.load_dataset("scores"))
    >>> [variable.name for variable in model.free_RVs]
    ['eta', 'tau_school', 'nu', 'tau_nu', 'eta_school', 'log_nu_school']
    """
    d = _describe(table, group, individual, value, predictors=predictors)
    return pooled(d, priors, parameterisation)


@remembered
def nested(
    table: pd.DataFrame,
    *,
    priors: Priors = Priors(),
    parameterisation: Parameterisation = "informed",
    levels: Sequence[str] = ("district",),
    predictors: Asked = (),
    group: str = "school",
    individual: str = "student",
    value: str = "score",
) -> TableModel:
    """Build the model in which schools vary around their district, and districts around a mean.

    score ~ Beta(mu_school, nu_school), mu_school = expit(eta_school),
    eta_school ~ N(eta_district, tau_school), eta_district ~ N(eta, tau_district),
    eta ~ N(1.1, 1), both taus ~ HN(0.5); log nu_school ~ N(log nu, tau_nu),
    log nu ~ N(log 10, 1), tau_nu ~ HN(0.5). With further levels, eta_district ~ N(what it stands
    in, tau_district), and so on up to eta.

    Parameters
    ----------
    table : pandas.DataFrame
        One row a student: ``district``, ``school``, ``score`` (a proportion strictly between 0
        and 1). A school stands in one district.
    priors : Priors
        Priors, in logits; see there.
    parameterisation : {"informed", "centred", "non-centred"}
        How the sampler sees the effects; the posterior is the same.
    levels : sequence of str
        What schools stand in, from the innermost out: columns of the table. The standard deviation
        between the members of each has the prior of `Priors.tau_parent`.
    predictors : sequence of str, or mapping of str to sequence of str
        Columns that say what is known of a school: numbers, ``log_<column>``, true or false, or
        text for categories (:mod:`hbm.tables.predictors`); of what schools stand in, by level:
        ``{"school": ["log_n_students"], "district": ["district_type"]}``.
    group, individual, value : str
        What a school, a student and a score are called.

    Returns
    -------
    pymc.Model
        ``eta``, ``mu``, ``tau_district``, ``tau_school``, ``nu``, ``tau_nu``, ``eta_district``,
        ``mu_district``, ``eta_school``, ``mu_school``, ``log_nu_school``, ``nu_school``; dim
        ``district`` too. mu_district is the mean of the school in the district's middle. With
        predictors also ``beta`` and ``gamma``, dim ``predictor``.

    Examples
    --------
    >>> import hbm
    >>> model = hbm.scores.nested(hbm.load_dataset("nested_scores"))
    >>> [variable.name for variable in model.free_RVs]
    ['eta', 'tau_district', 'tau_school', 'nu', 'tau_nu',
     'eta_district', 'eta_school', 'log_nu_school']
    """
    d = _describe(table, group, individual, value, levels, predictors)
    return pooled(d, priors, parameterisation)


def _describe(
    table: pd.DataFrame,
    group: str,
    individual: str,
    value: str,
    levels: Sequence[str] = (),
    predictors: Asked = (),
) -> Description:
    check_words(individual, group, levels, value)
    scores = read_open_proportions(table, value, by=group, individual=individual, parents=levels)
    return describe(
        BETA,
        scores,
        individual=individual,
        observed=value,
        value_name=value,
        predictors=read_predictors(table, predictors, scores, f"n_{plural(individual)}"),
    )
