"""The article's nine models, exactly as its code defines them.

"Hierarchical Bayesian Models" (2 December 2024) builds these models in Stan, for people's heights
in countries and for exam scores of students in schools in districts or authorities. They are kept
here to reproduce its posterior tables, under its names; each docstring says where its code departs
from its prose. To analyse data, use :mod:`hbm.heights`, :mod:`hbm.scores` and :mod:`hbm.exams`.

Throughout, N⁺ is a Normal truncated to positive numbers, HN a standard half-normal, and a Beta is
given by its mean mu and its "sample size" nu, so that alpha = mu nu and beta = (1 − mu) nu.
"""

import numpy as np
import pandas as pd
import pymc as pm
import pytensor.tensor as pt

from hbm.hierarchy.recipes import remembered
from hbm.tables.grouped import read_summaries
from hbm.tables.labels import Groups, group, nest, require_columns, require_numbers

__all__ = [
    "exams_nested",
    "exams_no_pooling",
    "exams_partial_pooling",
    "heights",
    "score_prior_predictive",
    "scores_nested",
    "scores_no_pooling",
    "scores_partial_pooling",
    "single_school",
]


def _positive_normal(name, mu, sigma, dims=None):
    return pm.TruncatedNormal(name, mu, sigma, lower=0, dims=dims)


def _observed_scores(table):
    require_columns(table, ["score"])
    return require_numbers(
        table,
        "score",
        allowed="proportions strictly between 0 and 1, as a Beta gives (divide percentages by 100)",
        ok=lambda x: (x > 0) & (x < 1),
    )


def _observed_means(table):
    exams = read_summaries(table, by="school", size="n_students", proportions=True, sd_needed=False)
    return Groups(exams.coords["school"], np.arange(len(exams.n))), exams.n, exams.mean


def _students(table):
    return [str(i) for i in range(1, len(table) + 1)]


@remembered
def heights(table: pd.DataFrame) -> pm.Model:
    """Build the model of heights by country.

    height ~ N(mu_country, sigma), mu_country ~ N(alpha_bar, 10), alpha_bar ~ N(176, 1),
    sigma ~ Exp(1).

    The prose gives a standard deviation of 2 between countries and a sigma_country; in the code
    it is the constant 10, and ``sigma_country ~ Exp(1)`` is connected to nothing, so that its
    posterior is its prior. Both sigmas exceed 0.001.

    Parameters
    ----------
    table : pandas.DataFrame
        One row a person: ``country``, ``height`` (cm).

    Returns
    -------
    pymc.Model
        Dims ``country`` and ``person``.

    Raises
    ------
    ValueError, TypeError
        If the table is not as described.

    Examples
    --------
    >>> import hbm
    >>> model = hbm.article.heights(hbm.load_dataset("heights"))
    >>> model.coords["country"]
    ('1', '2', '3', '4')
    """
    require_columns(table, ["country", "height"])
    country = group(table, "country")
    height = require_numbers(table, "height", allowed="heights in cm", ok=np.isfinite)
    with pm.Model(coords={"country": country.labels, "person": _students(table)}) as model:
        alpha_bar = pm.Normal("alpha_bar", 176, 1)
        sigma = pm.Truncated("sigma", pm.Exponential.dist(1), lower=1e-3)
        pm.Truncated("sigma_country", pm.Exponential.dist(1), lower=1e-3)
        mu_country = pm.Normal("mu_country", alpha_bar, 10, dims="country")
        pm.Normal("height", mu_country[country.index], sigma, observed=height, dims="person")
    return model


def score_prior_predictive(n_students: int = 100) -> pm.Model:
    """Build the prior of one school with simulated students, and no data.

    mu ~ Beta(12, 4), nu ~ N⁺(10, 1), s_sim ~ Beta(mu nu, (1 − mu) nu).

    Parameters
    ----------
    n_students : int, default 100
        Students to simulate.

    Returns
    -------
    pymc.Model
        Dim ``student``; ``s_sim`` is a free variable, drawn with the others.

    Examples
    --------
    >>> import hbm
    >>> hbm.article.score_prior_predictive(3).coords["student"]
    ('1', '2', '3')
    """
    with pm.Model(coords={"student": [str(i) for i in range(1, n_students + 1)]}) as model:
        a, b = _one_school()
        pm.Beta("s_sim", a, b, dims="student")
    return model


def _one_school():
    mu = pm.Beta("mu", 12, 4)
    nu = _positive_normal("nu", 10, 1)
    return pm.Deterministic("a", mu * nu), pm.Deterministic("b", (1 - mu) * nu)


@remembered
def single_school(table: pd.DataFrame) -> pm.Model:
    """Build the model of the scores of one school's students.

    s ~ Beta(mu nu, (1 − mu) nu), mu ~ Beta(12, 4), nu ~ N⁺(10, 1). Prose and code agree.

    Parameters
    ----------
    table : pandas.DataFrame
        One row a student: ``score``, a proportion.

    Returns
    -------
    pymc.Model
        Dim ``student``.

    Raises
    ------
    ValueError, TypeError
        If the table is not as described.

    Examples
    --------
    >>> import hbm
    >>> scores = hbm.load_dataset("scores")
    >>> model = hbm.article.single_school(scores[scores["school"] == "1"])
    >>> len(model.coords["student"])
    20
    """
    score = _observed_scores(table)
    with pm.Model(coords={"student": _students(table)}) as model:
        a, b = _one_school()
        pm.Beta("score", a, b, observed=score, dims="student")
    return model


def _scores(mu_school, nu_school, school, score):
    """Add scores of students, given their schools' mu and nu."""
    a_school = pm.Deterministic("a_school", mu_school * nu_school, dims="school")
    b_school = pm.Deterministic("b_school", (1 - mu_school) * nu_school, dims="school")
    pm.Beta("score", a_school[school.index], b_school[school.index], observed=score, dims="student")


@remembered
def scores_no_pooling(table: pd.DataFrame) -> pm.Model:
    """Build the model of scores in which schools share nothing.

    s ~ Beta by school, mu_school ~ Beta(3, 1), nu_school ~ N⁺(30, 4).

    The prose gives nu_school ~ N(10, 1).

    Parameters
    ----------
    table : pandas.DataFrame
        One row a student: ``school``, ``score`` (a proportion).

    Returns
    -------
    pymc.Model
        Dims ``school`` and ``student``.

    Raises
    ------
    ValueError, TypeError
        If the table is not as described.

    Examples
    --------
    >>> import hbm
    >>> model = hbm.article.scores_no_pooling(hbm.load_dataset("scores"))
    >>> [variable.name for variable in model.free_RVs]
    ['mu_school', 'nu_school']
    """
    score = _observed_scores(table)
    school = group(table, "school")
    with pm.Model(coords={"school": school.labels, "student": _students(table)}) as model:
        mu_school = pm.Beta("mu_school", 3, 1, dims="school")
        nu_school = _positive_normal("nu_school", 30, 4, dims="school")
        _scores(mu_school, nu_school, school, score)
    return model


@remembered
def scores_partial_pooling(table: pd.DataFrame) -> pm.Model:
    """Build the model of scores in which schools share a population.

    s ~ Beta by school, mu_school ~ Beta(alpha_bar, beta_bar), alpha_bar ~ N⁺(3, 0.5),
    beta_bar ~ N⁺(1, 0.3); nu_school = nu_bar + sigma_nu nu_school_raw, nu_school_raw ~ HN,
    nu_bar ~ N⁺(30, 5), sigma_nu ~ Exp(1).

    A comment in the code says nu_school ~ N(nu_bar, sigma_nu), but nu_school_raw is declared
    positive: nu_school can never be below nu_bar.

    Parameters
    ----------
    table : pandas.DataFrame
        One row a student: ``school``, ``score`` (a proportion).

    Returns
    -------
    pymc.Model
        Dims ``school`` and ``student``.

    Raises
    ------
    ValueError, TypeError
        If the table is not as described.

    Examples
    --------
    >>> import hbm
    >>> model = hbm.article.scores_partial_pooling(hbm.load_dataset("scores"))
    >>> "sigma_nu" in model.named_vars
    True
    """
    score = _observed_scores(table)
    school = group(table, "school")
    with pm.Model(coords={"school": school.labels, "student": _students(table)}) as model:
        alpha_bar = _positive_normal("alpha_bar", 3, 0.5)
        beta_bar = _positive_normal("beta_bar", 1, 0.3)
        nu_bar = _positive_normal("nu_bar", 30, 5)
        sigma_nu = pm.Exponential("sigma_nu", 1)
        mu_school = pm.Beta("mu_school", alpha_bar, beta_bar, dims="school")
        nu_school_raw = pm.HalfNormal("nu_school_raw", 1, dims="school")
        nu_school = pm.Deterministic("nu_school", nu_bar + sigma_nu * nu_school_raw, dims="school")
        _scores(mu_school, nu_school, school, score)
    return model


@remembered
def scores_nested(table: pd.DataFrame) -> pm.Model:
    """Build the model of scores of students in schools in districts.

    s ~ Beta by school, mu_school ~ Beta(mu_district nu_district, (1 − mu_district) nu_district),
    mu_district ~ Beta(alpha_bar, beta_bar), alpha_bar ~ N⁺(3, 0.5), beta_bar ~ N⁺(1, 0.3);
    nu_district = nu_bar + sigma_nu nu_district_raw, nu_district_raw ~ HN, nu_bar ~ N⁺(40, 5),
    sigma_nu ~ Exp(1).

    nu_school has no prior in the code: it is flat on all positive numbers, which is improper, so
    that the model has no prior predictive. As with the schools before, nu_district can never be
    below nu_bar, although the comment says it is normal around it.

    Parameters
    ----------
    table : pandas.DataFrame
        One row a student: ``district``, ``school``, ``score`` (a proportion).

    Returns
    -------
    pymc.Model
        Dims ``district``, ``school`` and ``student``.

    Raises
    ------
    ValueError, TypeError
        If the table is not as described.

    Examples
    --------
    >>> import hbm
    >>> model = hbm.article.scores_nested(hbm.load_dataset("nested_scores"))
    >>> len(model.coords["district"]), len(model.coords["school"])
    (3, 9)
    """
    score = _observed_scores(table)
    school, district, district_of_school = nest(table, "school", "district")
    coords = {
        "district": district.labels,
        "school": school.labels,
        "student": _students(table),
    }
    with pm.Model(coords=coords) as model:
        alpha_bar = _positive_normal("alpha_bar", 3, 0.5)
        beta_bar = _positive_normal("beta_bar", 1, 0.3)
        nu_bar = _positive_normal("nu_bar", 40, 5)
        sigma_nu = pm.Exponential("sigma_nu", 1)
        mu_district = pm.Beta("mu_district", alpha_bar, beta_bar, dims="district")
        nu_district_raw = pm.HalfNormal("nu_district_raw", 1, dims="district")
        nu_district = pm.Deterministic(
            "nu_district", nu_bar + sigma_nu * nu_district_raw, dims="district"
        )
        a_district = pm.Deterministic("a_district", mu_district * nu_district, dims="district")
        b_district = pm.Deterministic(
            "b_district", (1 - mu_district) * nu_district, dims="district"
        )
        mu_school = pm.Beta(
            "mu_school",
            a_district[district_of_school],
            b_district[district_of_school],
            dims="school",
        )
        nu_school = pm.HalfFlat("nu_school", dims="school")
        _scores(mu_school, nu_school, school, score)
    return model


def _school_means(school_mu, school_nu, n, mean):
    """Add published school means, given the schools' mu and nu; the published sds are not used."""
    alpha = pm.Deterministic("school_alpha", school_mu * school_nu, dims="school")
    beta = pm.Deterministic("school_beta", (1 - school_mu) * school_nu, dims="school")
    sigma_squared = pm.Deterministic(
        "school_sigma_squared",
        alpha * beta / ((alpha + beta) ** 2 * (alpha + beta + 1)),
        dims="school",
    )
    pm.Normal("school_mean", school_mu, pt.sqrt(sigma_squared / n), observed=mean, dims="school")


@remembered
def exams_no_pooling(table: pd.DataFrame) -> pm.Model:
    """Build the model of published school means in which schools share nothing.

    school_mean ~ N(school_mu, √(school_sigma_squared / n)), where school_sigma_squared is the
    variance school_mu (1 − school_mu) / (school_nu + 1) of a Beta student;
    school_mu ~ Beta(3, 1), school_nu ~ N⁺(30, 4).

    The published standard deviations are loaded by the article's code and never used, and no part
    of the likelihood informs school_nu: the spread of students is what the prior says it is.

    Parameters
    ----------
    table : pandas.DataFrame
        One row a school: ``school``, ``n_students``, ``mean`` (a proportion), as made by
        :func:`hbm.exam_table`.

    Returns
    -------
    pymc.Model
        Dim ``school``.

    Raises
    ------
    ValueError, TypeError
        If the table is not as described.

    Examples
    --------
    >>> import hbm, pandas as pd
    >>> table = pd.DataFrame({"school": ["a", "b"], "n_students": [30, 45], "mean": [0.6, 0.7]})
    >>> hbm.article.exams_no_pooling(table).coords["school"]
    ('a', 'b')
    """
    schools, n, mean = _observed_means(table)
    with pm.Model(coords={"school": schools.labels}) as model:
        school_mu = pm.Beta("school_mu", 3, 1, dims="school")
        school_nu = _positive_normal("school_nu", 30, 4, dims="school")
        _school_means(school_mu, school_nu, n, mean)
    return model


def _pooled_school_nu():
    mean = _positive_normal("school_prior_nu_mean", 30, 4)
    sd = pm.Exponential("school_prior_nu_sd", 1)
    raw = pm.HalfNormal("school_nu_raw", 1, dims="school")
    return pm.Deterministic("school_nu", mean + sd * raw, dims="school")


@remembered
def exams_partial_pooling(table: pd.DataFrame) -> pm.Model:
    """Build the model of published school means in which schools share a population.

    As :func:`exams_no_pooling`, with school_mu ~ Beta(school_prior_alpha, school_prior_beta),
    school_prior_alpha ~ N⁺(3, 0.5), school_prior_beta ~ N⁺(1, 0.3), and
    school_nu = school_prior_nu_mean + school_prior_nu_sd school_nu_raw, school_nu_raw ~ HN,
    school_prior_nu_mean ~ N⁺(30, 4), school_prior_nu_sd ~ Exp(1).

    school_nu_raw is declared positive: school_nu can never be below school_prior_nu_mean, although
    a comment says it is normal around it.

    Parameters
    ----------
    table : pandas.DataFrame
        One row a school: ``school``, ``n_students``, ``mean`` (a proportion), as made by
        :func:`hbm.exam_table`.

    Returns
    -------
    pymc.Model
        Dim ``school``.

    Raises
    ------
    ValueError, TypeError
        If the table is not as described.

    Examples
    --------
    >>> import hbm, pandas as pd
    >>> table = pd.DataFrame({"school": ["a", "b"], "n_students": [30, 45], "mean": [0.6, 0.7]})
    >>> "school_prior_alpha" in hbm.article.exams_partial_pooling(table).named_vars
    True
    """
    schools, n, mean = _observed_means(table)
    with pm.Model(coords={"school": schools.labels}) as model:
        alpha = _positive_normal("school_prior_alpha", 3, 0.5)
        beta = _positive_normal("school_prior_beta", 1, 0.3)
        school_mu = pm.Beta("school_mu", alpha, beta, dims="school")
        _school_means(school_mu, _pooled_school_nu(), n, mean)
    return model


@remembered
def exams_nested(table: pd.DataFrame) -> pm.Model:
    """Build the model of published school means in which schools share their authority's prior.

    As :func:`exams_partial_pooling`, with school_mu ~ Beta(school_prior_alpha[a],
    school_prior_beta[a]) in authority a, where

    * school_prior_alpha = authority_prior_beta_mean + authority_prior_beta_sd
      school_prior_beta_raw,
    * school_prior_beta = authority_prior_alpha_mean + authority_prior_alpha_sd
      school_prior_alpha_raw,

    both raw ~ HN by authority; authority_prior_alpha_mean ~ N⁺(3, 0.5),
    authority_prior_beta_mean ~ N⁺(1, 0.3), both sd ~ Exp(1).

    Alpha and beta are swapped in the article's code, and so here: an authority's alpha is made of
    the beta hyperparameters and the reverse, so that its prior mean score is 25 %, not 75 %.

    Parameters
    ----------
    table : pandas.DataFrame
        One row a school: ``school``, ``authority``, ``n_students``, ``mean`` (a proportion), as
        made by :func:`hbm.exam_table`.

    Returns
    -------
    pymc.Model
        Dims ``school`` and ``authority``.

    Raises
    ------
    ValueError, TypeError
        If the table is not as described.

    Examples
    --------
    >>> import hbm, pandas as pd
    >>> table = pd.DataFrame({"school": ["a", "b"], "authority": ["x", "x"],
    ...                       "n_students": [30, 45], "mean": [0.6, 0.7]})
    >>> hbm.article.exams_nested(table).coords["authority"]
    ('x',)
    """
    schools, n, mean = _observed_means(table)
    _, authorities, authority_of_school = nest(table, "school", "authority")
    coords = {"school": schools.labels, "authority": authorities.labels}
    with pm.Model(coords=coords) as model:
        alpha_mean = _positive_normal("authority_prior_alpha_mean", 3, 0.5)
        alpha_sd = pm.Exponential("authority_prior_alpha_sd", 1)
        alpha_raw = pm.HalfNormal("school_prior_alpha_raw", 1, dims="authority")
        beta_mean = _positive_normal("authority_prior_beta_mean", 1, 0.3)
        beta_sd = pm.Exponential("authority_prior_beta_sd", 1)
        beta_raw = pm.HalfNormal("school_prior_beta_raw", 1, dims="authority")
        alpha = pm.Deterministic(
            "school_prior_alpha", beta_mean + beta_sd * beta_raw, dims="authority"
        )
        beta = pm.Deterministic(
            "school_prior_beta", alpha_mean + alpha_sd * alpha_raw, dims="authority"
        )
        school_mu = pm.Beta(
            "school_mu", alpha[authority_of_school], beta[authority_of_school], dims="school"
        )
        _school_means(school_mu, _pooled_school_nu(), n, mean)
    return model
