"""The article's nine models, exactly as its code defines them.

"Hierarchical Bayesian Models" (2 December 2024) builds these models in Stan, for people's heights
in countries and for exam scores of students in schools in districts or authorities. They are kept
here to reproduce its posterior tables, under its names; each docstring says where its code departs
from its prose. To analyse data, use :mod:`hbm.heights`, :mod:`hbm.scores` and :mod:`hbm.exams`.

Throughout, N⁺ is a Normal truncated to positive numbers, HN a standard half-normal, and a Beta is
given by its mean mu and its "sample size" nu, so that alpha = mu nu and beta = (1 − mu) nu.

The functions take a table with the columns that each names: one row a person (``height`` in cm),
one a student (``score``) or one a school (``mean``, of :func:`hbm.exam_table`), both proportions.
Dims are columns of labels, ``person`` and ``student``. Other tables raise ValueError or TypeError.
"""

from dataclasses import replace

import numpy as np
import pandas as pd
import pymc as pm
import pytensor.tensor as pt

from hbm.hierarchy.description import describe
from hbm.hierarchy.model import TableModel
from hbm.hierarchy.recipes import remembered
from hbm.students.beta import BETA
from hbm.students.normal import NORMAL
from hbm.tables.forms import read_open_proportions
from hbm.tables.grouped import read_individuals, read_summaries

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


def _scores_of(table, parents=(), **names):
    scores = read_open_proportions(
        table, "score", by="school", individual="student", parents=parents
    )
    return _described(BETA, scores, "student", "score", **names)


def _means_of(table, parents=()):
    means = read_summaries(
        table, by="school", size="n_students", parents=parents, proportions=True, sd_needed=False
    )
    names = {"mean_name": "school_mu", "spread_name": "school_nu", "means_only": True}
    return _described(BETA, means, "student", "school_mean", **names)


def _described(law, data, individual, observed, unit="%", **names):
    words = {"individual": individual, "observed": observed, "unit": unit}
    d = describe(law, data, **words, value_name="score" if observed == "school_mean" else observed)
    return replace(d, effects=False, **names)


@remembered
def heights(table: pd.DataFrame) -> TableModel:
    """Build the model of heights by country.

    height ~ N(mu_country, sigma), mu_country ~ N(alpha_bar, 10), alpha_bar ~ N(176, 1),
    sigma ~ Exp(1). The prose gives a standard deviation of 2 between countries and a sigma_country;
    in the code it is the constant 10, and ``sigma_country ~ Exp(1)`` is connected to nothing, so
    that its posterior is its prior. Both sigmas exceed 0.001.

    Parameters
    ----------
    table : pandas.DataFrame
        ``country``, ``height``.

    Returns
    -------
    pymc.Model

    Examples
    --------
    >>> import hbm
    >>> hbm.article.heights(hbm.load_dataset("heights")).coords["country"]
    ('1', '2', '3', '4')
    """
    data = read_individuals(table, "height", by="country", allowed="heights in cm", ok=np.isfinite)
    d = _described(NORMAL, data, "person", "height", "cm")
    with TableModel(d) as model:
        alpha_bar = pm.Normal("alpha_bar", 176, 1)
        sigma = pm.Truncated("sigma", pm.Exponential.dist(1), lower=1e-3)
        pm.Truncated("sigma_country", pm.Exponential.dist(1), lower=1e-3)
        mu_country = pm.Normal("mu_country", alpha_bar, 10, dims="country")
        pm.Normal("height", mu_country[d.index], sigma, observed=d.value, dims="person")
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
        a, b = _shapes(("a", "b"), None, pm.Beta("mu", 12, 4), _positive_normal("nu", 10, 1))
        pm.Beta("s_sim", a, b, dims="student")
    return model


def _shapes(names, dims, mu, nu):
    values = (mu * nu, (1 - mu) * nu)
    return [pm.Deterministic(*pair, dims=dims) for pair in zip(names, values, strict=True)]


@remembered
def single_school(table: pd.DataFrame) -> TableModel:
    """Build the model of the scores of one school's students.

    s ~ Beta(mu nu, (1 − mu) nu), mu ~ Beta(12, 4), nu ~ N⁺(10, 1). Prose and code agree.

    Parameters
    ----------
    table : pandas.DataFrame
        ``score``, of one school.

    Returns
    -------
    pymc.Model

    Examples
    --------
    >>> import hbm
    >>> hbm.article.single_school(hbm.load_dataset("scores").query("school == '1'"))["score"]
    score
    """
    if isinstance(table, pd.DataFrame):
        table = table.assign(school="1")
    d = _scores_of(table, mean_name="mu", spread_name="nu")
    with TableModel(d) as model:
        a, b = _shapes(("a", "b"), None, pm.Beta("mu", 12, 4), _positive_normal("nu", 10, 1))
        pm.Beta("score", a, b, observed=d.value, dims="student")
    return model


def _scores(d, mu_school, nu_school):
    """Add scores of students, given their schools' mu and nu."""
    a, b = _shapes(("a_school", "b_school"), "school", mu_school, nu_school)
    pm.Beta("score", a[d.index], b[d.index], observed=d.value, dims="student")


def _population(dim, nu):
    """Add mu and nu of groups that share a population, where nu_bar ~ N⁺(nu, 5)."""
    alpha_bar = _positive_normal("alpha_bar", 3, 0.5)
    beta_bar = _positive_normal("beta_bar", 1, 0.3)
    nu_bar = _positive_normal("nu_bar", nu, 5)
    sigma_nu = pm.Exponential("sigma_nu", 1)
    mu = pm.Beta(f"mu_{dim}", alpha_bar, beta_bar, dims=dim)
    raw = pm.HalfNormal(f"nu_{dim}_raw", 1, dims=dim)
    return mu, pm.Deterministic(f"nu_{dim}", nu_bar + sigma_nu * raw, dims=dim)


@remembered
def scores_no_pooling(table: pd.DataFrame) -> TableModel:
    """Build the model of scores in which schools share nothing.

    s ~ Beta by school, mu_school ~ Beta(3, 1), nu_school ~ N⁺(30, 4), in the prose N(10, 1).

    Parameters
    ----------
    table : pandas.DataFrame
        ``school``, ``score``.

    Returns
    -------
    pymc.Model

    Examples
    --------
    >>> import hbm
    >>> hbm.article.scores_no_pooling(hbm.load_dataset("scores")).free_RVs
    [mu_school, nu_school]
    """
    d = _scores_of(table)
    with TableModel(d) as model:
        mu_school = pm.Beta("mu_school", 3, 1, dims="school")
        _scores(d, mu_school, _positive_normal("nu_school", 30, 4, dims="school"))
    return model


@remembered
def scores_partial_pooling(table: pd.DataFrame) -> TableModel:
    """Build the model of scores in which schools share a population.

    s ~ Beta by school, mu_school ~ Beta(alpha_bar, beta_bar), alpha_bar ~ N⁺(3, 0.5),
    beta_bar ~ N⁺(1, 0.3); nu_school = nu_bar + sigma_nu nu_school_raw, nu_school_raw ~ HN,
    nu_bar ~ N⁺(30, 5), sigma_nu ~ Exp(1). A comment says nu_school ~
    N(nu_bar, sigma_nu), but nu_school_raw is declared positive: it can never be below nu_bar.

    Parameters
    ----------
    table : pandas.DataFrame
        ``school``, ``score``.

    Returns
    -------
    pymc.Model

    Examples
    --------
    >>> import hbm
    >>> hbm.article.scores_partial_pooling(hbm.load_dataset("scores"))["sigma_nu"]
    sigma_nu
    """
    d = _scores_of(table)
    with TableModel(d) as model:
        _scores(d, *_population("school", 30))
    return model


@remembered
def scores_nested(table: pd.DataFrame) -> TableModel:
    """Build the model of scores of students in schools in districts.

    s ~ Beta by school, mu_school ~ Beta(mu_district nu_district, (1 − mu_district) nu_district),
    mu_district ~ Beta(alpha_bar, beta_bar), alpha_bar ~ N⁺(3, 0.5), beta_bar ~ N⁺(1, 0.3);
    nu_district = nu_bar + sigma_nu nu_district_raw, nu_district_raw ~ HN, nu_bar ~ N⁺(40, 5),
    sigma_nu ~ Exp(1). nu_school has no prior in the code: it is flat, hence improper, and so there
    is no prior predictive. Again nu_district is never below nu_bar, though a comment says it can.

    Parameters
    ----------
    table : pandas.DataFrame
        ``district``, ``school``, ``score``.

    Returns
    -------
    pymc.Model

    Examples
    --------
    >>> import hbm
    >>> hbm.article.scores_nested(hbm.load_dataset("nested_scores")).coords["district"]
    ('1', '2', '3')
    """
    d = _scores_of(table, ["district"])
    parent = d.parent_of("school")
    with TableModel(d) as model:
        a, b = _shapes(("a_district", "b_district"), "district", *_population("district", 40))
        mu_school = pm.Beta("mu_school", a[parent], b[parent], dims="school")
        _scores(d, mu_school, pm.HalfFlat("nu_school", dims="school"))
    return model


def _school_means(d, school_mu, school_nu):
    """Add published school means, given the schools' mu and nu; the published sds are not used."""
    alpha, beta = _shapes(("school_alpha", "school_beta"), "school", school_mu, school_nu)
    variance = alpha * beta / ((alpha + beta) ** 2 * (alpha + beta + 1))
    variance = pm.Deterministic("school_sigma_squared", variance, dims="school")
    pm.Normal("school_mean", school_mu, pt.sqrt(variance / d.n), observed=d.mean, dims="school")


@remembered
def exams_no_pooling(table: pd.DataFrame) -> TableModel:
    """Build the model of published school means in which schools share nothing.

    school_mean ~ N(school_mu, √(school_sigma_squared / n)), where school_sigma_squared is the
    variance school_mu (1 − school_mu) / (school_nu + 1) of a Beta student; school_mu ~ Beta(3, 1),
    school_nu ~ N⁺(30, 4). The code loads the published standard deviations and never uses them, and
    nothing seen informs school_nu: the spread of students is what the prior says it is.

    Parameters
    ----------
    table : pandas.DataFrame
        ``school``, ``n_students``, ``mean``.

    Returns
    -------
    pymc.Model

    Examples
    --------
    >>> import hbm
    >>> hbm.article.exams_no_pooling(hbm.simulate.exams([2], 30)[0]).coords["school"]
    ('1', '2')
    """
    d = _means_of(table)
    with TableModel(d) as model:
        school_mu = pm.Beta("school_mu", 3, 1, dims="school")
        _school_means(d, school_mu, _positive_normal("school_nu", 30, 4, dims="school"))
    return model


def _above(prior, raw, mu, sigma, dims):
    """Return a quantity by group that is never below its mean: mean + sd raw, raw ~ HN."""
    mean = _positive_normal(f"{prior}_mean", mu, sigma)
    return mean + pm.Exponential(f"{prior}_sd", 1) * pm.HalfNormal(raw, 1, dims=dims)


def _pooled_school_nu():
    nu = _above("school_prior_nu", "school_nu_raw", 30, 4, "school")
    return pm.Deterministic("school_nu", nu, dims="school")


@remembered
def exams_partial_pooling(table: pd.DataFrame) -> TableModel:
    """Build the model of published school means in which schools share a population.

    As :func:`exams_no_pooling`, with school_mu ~ Beta(school_prior_alpha, school_prior_beta),
    school_prior_alpha ~ N⁺(3, 0.5), school_prior_beta ~ N⁺(1, 0.3), and
    school_nu = school_prior_nu_mean + school_prior_nu_sd school_nu_raw, school_nu_raw ~ HN,
    school_prior_nu_mean ~ N⁺(30, 4), school_prior_nu_sd ~ Exp(1). school_nu_raw is positive, and so
    school_nu never below school_prior_nu_mean, though a comment says it is normal around it.

    Parameters
    ----------
    table : pandas.DataFrame
        ``school``, ``n_students``, ``mean``.

    Returns
    -------
    pymc.Model

    Examples
    --------
    >>> import hbm
    >>> hbm.article.exams_partial_pooling(hbm.simulate.exams([2], 30)[0])["school_prior_alpha"]
    school_prior_alpha
    """
    d = _means_of(table)
    with TableModel(d) as model:
        alpha = _positive_normal("school_prior_alpha", 3, 0.5)
        beta = _positive_normal("school_prior_beta", 1, 0.3)
        school_mu = pm.Beta("school_mu", alpha, beta, dims="school")
        _school_means(d, school_mu, _pooled_school_nu())
    return model


@remembered
def exams_nested(table: pd.DataFrame) -> TableModel:
    """Build the model of published school means in which schools share their authority's prior.

    As :func:`exams_partial_pooling`, with school_mu ~ Beta(school_prior_alpha[a],
    school_prior_beta[a]) in authority a, where school_prior_alpha is authority_prior_beta_mean +
    authority_prior_beta_sd school_prior_beta_raw, school_prior_beta is authority_prior_alpha_mean +
    authority_prior_alpha_sd school_prior_alpha_raw, both raw ~ HN by authority;
    authority_prior_alpha_mean ~ N⁺(3, 0.5), authority_prior_beta_mean ~ N⁺(1, 0.3), both
    sd ~ Exp(1). Alpha and beta are swapped in the article's code, and so here: an authority's alpha
    is made of the beta hyperparameters and the reverse, so its prior mean score is 25 %, not 75 %.

    Parameters
    ----------
    table : pandas.DataFrame
        ``school``, ``authority``, ``n_students``, ``mean``.

    Returns
    -------
    pymc.Model

    Examples
    --------
    >>> import hbm
    >>> hbm.article.exams_nested(hbm.simulate.exams([2], 30)[0]).coords["authority"]
    ('1',)
    """
    d = _means_of(table, ["authority"])
    parent = d.parent_of("school")
    with TableModel(d) as model:
        from_alpha = _above("authority_prior_alpha", "school_prior_alpha_raw", 3, 0.5, "authority")
        from_beta = _above("authority_prior_beta", "school_prior_beta_raw", 1, 0.3, "authority")
        alpha = pm.Deterministic("school_prior_alpha", from_beta, dims="authority")
        beta = pm.Deterministic("school_prior_beta", from_alpha, dims="authority")
        school_mu = pm.Beta("school_mu", alpha[parent], beta[parent], dims="school")
        _school_means(d, school_mu, _pooled_school_nu())
    return model
