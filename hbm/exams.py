"""Exam results by school, from published tables: Beta models with four levels of pooling, or years.

All that is published of a school's n students is their mean mark and its standard deviation. The
students are taken to be Beta with mean mu_school = expit(eta_school) and sample size nu_school,
log nu_school ~ N(log nu, tau_nu), and what is observed is the mean and standard deviation of n such
students, by the approximate density of :mod:`hbm.students.summary_density`, so that no school is
too small to stay in. The schools' means differ in

=====================  ====================================================================
`complete_pooling`     eta_school = eta: one mean for all
`no_pooling`           eta_school ~ N(1.1, 1.5): each school alone
`partial_pooling`      eta_school ~ N(eta, tau_school), with tau_school learned
`nested`               eta_school ~ N(eta_authority, tau_school), with
                       eta_authority ~ N(eta, tau_authority), both learned
`panel`                the same with several years, of which each remembers the one before
=====================  ====================================================================

Marks are proportions. eta, the effects and the taus are in logits: at a mean of 0.65 a step of
0.1 logits is 2.3 points of a hundred.

**The design effect.** The students of a school are no independent draws: they share classes,
teachers, a year. So their mean varies around mu_school with more than the variance of n independent
students, by a factor that is called the design effect (Kish 1965). It is what lies between a census
of those who wrote and what the school would reach again. One year's table knows it weakly, since
small schools that truly differ more than large ones look the same; `partial_pooling` and `nested`
learn it from that all the same, design_effect ~ N(1, 1) above 1, or take it as a number: 1 for
independent students, or what other years say, which know it well: the mean of what `panel` learns
of it can be handed to a model of one year. In the other two it would take all that tells schools
apart, and is a number only. nu_school is that of the students of one cohort.
:mod:`hbm.students.summary_density` has the law.

All models take the same arguments and have, with dim ``school``, ``mu_school`` (a proportion) and
``nu_school``; ``constant_data`` of a fit has ``n_students``, ``mean`` and ``sd`` of each school.
The table has one row a school, as made by :func:`hbm.exam_table`: ``school``, ``n_students`` (1 or
more), ``mean`` and ``sd`` (proportions; sd with divisor n − 1). The table of
`panel` has a row a school and year, as made by :func:`hbm.exam_panel`, and its ``mu_school`` both
dims. A school whose sd is missing is
observed by its mean; with ``observe="mean"``, as the article does, all are, and the spread of
students is what the prior says. ``parameterisation`` is how the sampler sees the effects; the
posterior is the same.
Other words make other names: ``group="hospital", levels=("trust",), individual="patient"`` reads
columns ``hospital``, ``trust`` and ``n_patients``, and gives ``mu_hospital`` and ``tau_trust``.
They raise a ValueError or TypeError, naming rows and the likely mend, if the table is not as
described.

**Predictors.** With x what is known of a school, coded (:mod:`hbm.tables.predictors`),
eta_school ~ N(eta_authority + x · beta, tau_school) and log nu_school ~ N(log nu + x · gamma,
tau_nu): small schools may have lower means, and less spread. What is known of authorities moves
eta_authority, likewise. ``mu`` and ``mu_authority`` are then means of the school in the middle
whose predictors are average.

Simulation-based calibration with students one by one (300 data sets of 20 schools, the design
effect learned, parameters from priors that are not the default ones: eta ~ N(0.6, 1) and
log nu ~ N(log 8, 0.5)) finds ranks of all parameters uniform; 89 % intervals of `nested` cover
88.7 ± 0.5 % of mu_school and 89.0 ± 0.6 % of nu_school. ``tests/benchmarks/calibration.md`` has the
tables by number of students, and of students who sit in classes.
"""

from collections.abc import Sequence

import pandas as pd

from hbm.hierarchy.logit_normal import alone, as_one, pooled
from hbm.hierarchy.model import TableModel
from hbm.hierarchy.panel import over_years
from hbm.hierarchy.parameterisation import Parameterisation
from hbm.hierarchy.priors import Priors
from hbm.hierarchy.published import Observe, check_known, describe_exams
from hbm.hierarchy.recipes import remembered
from hbm.students.beta import BETA
from hbm.tables.predictors import Asked

__all__ = [
    "Observe",
    "Priors",
    "complete_pooling",
    "nested",
    "no_pooling",
    "panel",
    "partial_pooling",
]


@remembered
def complete_pooling(
    table: pd.DataFrame,
    *,
    observe: Observe = "mean and sd",
    design_effect: float = 1,
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
        One row a school: ``school``, ``n_students``, ``mean``, ``sd``.
    observe : {"mean and sd", "mean"}
        What of the table to learn from; ``sd`` may be absent where it is the mean.
    design_effect : float, default 1
        A number of 1 or more.
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
    d = describe_exams(BETA, table, group, individual, value, observe, design_effect=design_effect)
    check_known(d)
    return as_one(d, priors, parameterisation)


@remembered
def no_pooling(
    table: pd.DataFrame,
    *,
    observe: Observe = "mean and sd",
    design_effect: float = 1,
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
        One row a school: ``school``, ``n_students``, ``mean``, ``sd``.
    observe : {"mean and sd", "mean"}
        What of the table to learn from; ``sd`` may be absent where it is the mean.
    design_effect : float, default 1
        A number of 1 or more.
    priors : Priors
        Priors, in logits; see there.
    parameterisation : {"informed", "centred", "non-centred"}
        How the sampler sees the effects.
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
    d = describe_exams(BETA, table, group, individual, value, observe, design_effect=design_effect)
    check_known(d)
    return alone(d, priors, parameterisation)


@remembered
def partial_pooling(
    table: pd.DataFrame,
    *,
    observe: Observe = "mean and sd",
    design_effect: float | None = None,
    priors: Priors = Priors(),
    parameterisation: Parameterisation = "informed",
    predictors: Asked = (),
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
        One row a school: ``school``, ``n_students``, ``mean``, ``sd``.
    observe : {"mean and sd", "mean"}
        What of the table to learn from; ``sd`` may be absent where it is the mean.
    design_effect : float, optional
        A number of 1 or more; learned if it is not given.
    priors : Priors
        Priors, in logits; see there.
    parameterisation : {"informed", "centred", "non-centred"}
        How the sampler sees the effects.
    predictors : sequence of str, or mapping of str to sequence of str
        Columns that say what is known of a school: numbers, ``log_<column>``, true or false, or
        text for categories (:mod:`hbm.tables.predictors`).
    group, individual, value : str
        What a school, a student and an exam are called.

    Returns
    -------
    pymc.Model
        ``eta``, ``mu``, ``tau_school``, ``nu``, ``tau_nu``, ``design_effect``, ``eta_school``,
        ``mu_school``, ``log_nu_school``, ``nu_school``; with predictors also ``beta`` and
        ``gamma``, dim ``predictor``.

    Examples
    --------
    >>> import hbm
    >>> table = hbm.simulate.exams(random_seed=1)[0]
    >>> model = hbm.exams.partial_pooling(table)
    >>> [variable.name for variable in model.free_RVs]
    ['eta', 'tau_school', 'nu', 'tau_nu', 'design_effect', 'eta_school', 'log_nu_school']
    """
    words = group, individual, value
    d = describe_exams(BETA, table, *words, observe, (), design_effect, predictors=predictors)
    return pooled(d, priors, parameterisation)


@remembered
def nested(
    table: pd.DataFrame,
    *,
    observe: Observe = "mean and sd",
    design_effect: float | None = None,
    priors: Priors = Priors(),
    parameterisation: Parameterisation = "informed",
    levels: Sequence[str] = ("authority",),
    predictors: Asked = (),
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
        One row a school: ``school``, ``authority``, ``n_students``, ``mean``, ``sd``. A school
        stands in one authority.
    observe : {"mean and sd", "mean"}
        What of the table to learn from; ``sd`` may be absent where it is the mean.
    design_effect : float, optional
        A number of 1 or more; learned if it is not given.
    priors : Priors
        Priors, in logits; see there.
    parameterisation : {"informed", "centred", "non-centred"}
        How the sampler sees the effects.
    levels : sequence of str
        What schools stand in, from the innermost out: columns of the table. The standard deviation
        between the members of each has the prior of `Priors.tau_parent`.
    predictors : sequence of str, or mapping of str to sequence of str
        Columns that say what is known of a school: numbers, ``log_<column>``, true or false, or
        text for categories (:mod:`hbm.tables.predictors`); of what schools stand in, by level:
        ``{"school": ["log_n_students"], "authority": ["authority_type"]}``.
    group, individual, value : str
        What a school, a student and an exam are called.

    Returns
    -------
    pymc.Model
        ``eta``, ``mu``, ``tau_authority``, ``tau_school``, ``nu``, ``tau_nu``, ``design_effect``,
        ``eta_authority``, ``mu_authority``, ``eta_school``, ``mu_school``, ``log_nu_school``,
        ``nu_school``; dim ``authority`` too. mu_authority is the mean of the school in the
        authority's middle. With predictors also ``beta`` and ``gamma``, dim ``predictor``.

    Examples
    --------
    >>> import hbm
    >>> table = hbm.simulate.exams(random_seed=1)[0]
    >>> model = hbm.exams.nested(table)
    >>> [variable.name for variable in model.free_RVs]
    ['eta', 'tau_authority', 'tau_school', 'nu', 'tau_nu', 'design_effect',
     'eta_authority', 'eta_school', 'log_nu_school']
    """
    words = group, individual, value
    d = describe_exams(BETA, table, *words, observe, levels, design_effect, predictors=predictors)
    return pooled(d, priors, parameterisation)


@remembered
def panel(
    table: pd.DataFrame,
    *,
    observe: Observe = "mean and sd",
    design_effect: float | None = None,
    priors: Priors = Priors(),
    parameterisation: Parameterisation = "informed",
    levels: Sequence[str] = ("authority",),
    predictors: Asked = (),
    group: str = "school",
    individual: str = "student",
    value: str = "exam",
    year: str = "year",
) -> TableModel:
    """Build the model of several years, in which what a school does well mostly lasts.

    (mean, sd) ~ those of n students ~ Beta(mu_school, nu_school), mu_school = expit(eta_school).
    eta_school in a year is eta_authority + effect_year + d, with eta_authority ~ N(eta,
    tau_authority) and effect_year ~ N(0, tau_year). d remembers the year before: N(0, tau_school)
    in the first, then N(rho d, tau_school sqrt(1 − rho²)), with d that of the year before and
    rho = persistence ~ U(0, 1); over a gap of k years rho is taken to the power of k. The rest is
    as in `nested`, with a nu_school for each year. tau_school is the sd between the schools of an
    authority in any one year.

    Parameters
    ----------
    table : pandas.DataFrame
        One row a school and year, as :func:`hbm.exam_panel` makes it: ``school``, ``year``,
        ``authority``, ``n_students``, ``mean``, ``sd``. Schools may open, close and have years
        without results, which are estimated from those before and after. One that changes its
        authority counts to the last.
    observe : {"mean and sd", "mean"}
        What of the table to learn from; ``sd`` may be absent where it is the mean.
    design_effect : float, optional
        A number of 1 or more; learned if it is not given, which several years do well. To hand what
        they say to one year, whose table knows it weakly:
        ``hbm.exams.nested(table, design_effect=float(fit["posterior"]["design_effect"].mean()))``.
    priors : Priors
        Priors, in logits; see there.
    parameterisation : {"informed", "centred", "non-centred"}
        How the sampler sees the effects.
    levels : sequence of str
        What schools stand in, from the innermost out; may be empty.
    predictors : sequence of str, or mapping of str to sequence of str
        As for `nested`; of a school they may differ by year, as the number of students does. A year
        without results has those of the nearest with.
    group, individual, value, year : str
        What a school, a student, an exam and a year are called.

    Returns
    -------
    pymc.Model
        ``eta``, ``mu``, ``tau_year``, ``tau_authority``, ``tau_school``, ``persistence``, ``nu``,
        ``tau_nu``, ``design_effect``, ``effect_year``, ``eta_authority`` and ``mu_authority``
        (without the year's effect); ``eta_school`` and ``mu_school`` with dims (school, year), for
        years without results too; ``log_nu_school`` and ``nu_school`` with dim ``cell``, the school
        and years that have results; with predictors also ``beta`` and ``gamma``, dim ``predictor``.
        Of one year it is `nested`.

    Warns
    -----
    UserWarning
        If schools changed their authority.

    Examples
    --------
    >>> import hbm
    >>> results = hbm.load_dataset("diploma")
    >>> table = hbm.exam_panel(results, course="Mathematics 30-1", min_students=100)
    >>> model = hbm.exams.panel(table)
    >>> [variable.name for variable in model.free_RVs]
    ['eta', 'tau_year', 'tau_authority', 'tau_school', 'persistence', 'nu', 'tau_nu',
     'design_effect', 'effect_year', 'eta_authority', 'eta_school', 'log_nu_school']
    """
    words = group, individual, value
    d = describe_exams(BETA, table, *words, observe, levels, design_effect, year, predictors)
    return (
        over_years(d, priors, parameterisation) if d.panel else pooled(d, priors, parameterisation)
    )
