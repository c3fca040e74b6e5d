"""Simulation: the generative stories of the models, run forwards.

Each function draws group means from a population, people or students given their group, and, for
published tables, summarises the students only then. It returns the table a model takes and the true
values behind it, so that a model can be asked to find them again.

The article's stories draw means from a Beta; those of the models to use, on the logit scale.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy.special import expit, logit

from hbm.hierarchy.chains import gaps_of, random_chains
from hbm.students.beta import BETA
from hbm.students.cohorts import individuals
from hbm.students.normal import NORMAL
from hbm.tables.summaries import numbered, sizes_of, summarise

__all__ = ["exam_panel", "exams", "heights", "nested_scores", "scores", "summarise"]


def heights(
    n_countries: int = 4,
    n_people: int | Sequence[int] = 20,
    *,
    mu: float = 176,
    tau_country: float = 10,
    sigma: float = 3,
    moved: float | np.ndarray = 0.0,
    random_seed: int | np.random.Generator | None = None,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Simulate people's heights in countries; the defaults are the article's.

    Parameters
    ----------
    n_countries : int, default 4
        Number of countries.
    n_people : int or sequence of int, default 20
        People in each country.
    mu, tau_country : float, default 176 and 10
        Mean and standard deviation of the countries' means, in cm.
    sigma : float, default 3
        Standard deviation of people within a country, in cm.
    moved : float or array_like, shape (n_countries,), default 0
        By how much what is known of a country moves where its mean is centred, in cm.
    random_seed : int or numpy.random.Generator, optional
        The same seed gives the same people.

    Returns
    -------
    table : pandas.DataFrame
        One row a person: ``country``, ``height`` (cm).
    truth : pandas.DataFrame
        One row a country: ``country``, ``mean`` (cm).

    Raises
    ------
    ValueError
        If a number of people is not a positive whole number.

    Examples
    --------
    >>> table, truth = heights(random_seed=1)
    >>> table.shape, list(truth.columns)
    ((80, 2), ['country', 'mean'])
    >>> _, by_the_sea = heights(moved=[5, 0, 0, 5], random_seed=1)
    >>> list((by_the_sea["mean"] - truth["mean"]).round(6))
    [5.0, 0.0, 0.0, 5.0]
    """
    rng = np.random.default_rng(random_seed)
    sizes = sizes_of(n_people, n_countries, "n_people")
    countries = numbered(n_countries)
    means = rng.normal(mu + np.asarray(moved), tau_country, n_countries)
    table = pd.DataFrame(
        {
            "country": np.repeat(countries, sizes),
            "height": individuals(NORMAL, means, sigma, sizes, rng),
        }
    )
    return table, pd.DataFrame({"country": countries, "mean": means})


def scores(
    n_schools: int = 5,
    n_students: int | Sequence[int] = 20,
    *,
    mu: float = 0.75,
    nu_between: float = 50,
    nu: float = 30,
    random_seed: int | np.random.Generator | None = None,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Simulate students' scores in schools; the defaults are the article's.

    Parameters
    ----------
    n_schools : int, default 5
        Number of schools.
    n_students : int or sequence of int, default 20
        Students in each school.
    mu, nu_between : float, default 0.75 and 50
        Mean and sample size of the Beta that schools' means come from.
    nu : float, default 30
        Sample size of the Beta that a school's students come from.
    random_seed : int or numpy.random.Generator, optional
        The same seed gives the same students.

    Returns
    -------
    table : pandas.DataFrame
        One row a student: ``school``, ``score`` (a proportion).
    truth : pandas.DataFrame
        One row a school: ``school``, ``mean``.

    Raises
    ------
    ValueError
        If a number of students is not a positive whole number.

    Examples
    --------
    >>> table, truth = scores(n_schools=3, n_students=[5, 10, 20], random_seed=1)
    >>> len(table)
    35
    """
    rng = np.random.default_rng(random_seed)
    sizes = sizes_of(n_students, n_schools, "n_students")
    schools = numbered(n_schools)
    means = rng.beta(mu * nu_between, (1 - mu) * nu_between, n_schools)
    table = pd.DataFrame(
        {"school": np.repeat(schools, sizes), "score": _students(rng, means, nu, sizes)}
    )
    return table, pd.DataFrame({"school": schools, "mean": means})


def nested_scores(
    n_districts: int = 3,
    schools_per_district: int = 3,
    n_students: int | Sequence[int] = 20,
    *,
    mu: float = 0.75,
    nu_districts: float = 30,
    nu_schools: float = 40,
    nu: float = 30,
    random_seed: int | np.random.Generator | None = None,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Simulate scores of students in schools in districts; the defaults are the article's.

    Parameters
    ----------
    n_districts, schools_per_district : int, default 3
        Number of districts, and of schools in each.
    n_students : int or sequence of int, default 20
        Students in each school.
    mu, nu_districts : float, default 0.75 and 30
        Mean and sample size of the Beta that districts' means come from.
    nu_schools : float, default 40
        Sample size of the Beta, around its district's mean, that a school's mean comes from.
    nu : float, default 30
        Sample size of the Beta that a school's students come from.
    random_seed : int or numpy.random.Generator, optional
        The same seed gives the same students.

    Returns
    -------
    table : pandas.DataFrame
        One row a student: ``district``, ``school``, ``score`` (a proportion).
    truth : pandas.DataFrame
        One row a school: ``district``, ``district_mean``, ``school``, ``school_mean``.

    Raises
    ------
    ValueError
        If a number of students is not a positive whole number.

    Examples
    --------
    >>> table, truth = nested_scores(random_seed=1)
    >>> table.shape, truth.shape
    ((180, 3), (9, 4))
    """
    rng = np.random.default_rng(random_seed)
    n_schools = n_districts * schools_per_district
    sizes = sizes_of(n_students, n_schools, "n_students")
    district_means = rng.beta(mu * nu_districts, (1 - mu) * nu_districts, n_districts)
    parents = np.repeat(district_means, schools_per_district)
    school_means = rng.beta(parents * nu_schools, (1 - parents) * nu_schools)
    truth = pd.DataFrame(
        {
            "district": np.repeat(numbered(n_districts), schools_per_district),
            "district_mean": parents,
            "school": numbered(n_schools),
            "school_mean": school_means,
        }
    )
    table = truth.loc[truth.index.repeat(sizes), ["district", "school"]].reset_index(drop=True)
    table["score"] = _students(rng, school_means, nu, sizes)
    return table, truth


def exams(
    schools_per_authority: Sequence[int] = (10, 6, 4, 3, 2, 2, 1, 1, 1),
    n_students: int | Sequence[int] = 30,
    *,
    zones: Sequence[int] | None = None,
    mu: float = 0.65,
    tau_zone: float = 0.2,
    tau_authority: float = 0.3,
    tau_school: float = 0.4,
    nu: float = 6,
    tau_nu: float = 0.3,
    design_effect: float = 1,
    moved: float | np.ndarray = 0.0,
    nu_moved: float | np.ndarray = 0.0,
    random_seed: int | np.random.Generator | None = None,
) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Simulate exam marks in schools in authorities, and the table published of them.

    eta_authority ~ N(logit mu, tau_authority), eta_school ~ N(eta_authority, tau_school),
    log nu_school ~ N(log nu, tau_nu); a student's mark is Beta with mean expit(eta_school) and
    sample size nu_school. With a design effect above 1 the students of a school are a cohort: a
    mean of its own, Beta around mu_school = expit(eta_school) with sample size
    n (nu_school + 1) / (design_effect − 1), takes the place of mu_school. With zones,
    eta_zone ~ N(logit mu, tau_zone) and eta_authority ~ N(eta_zone, tau_authority).

    Parameters
    ----------
    schools_per_authority : sequence of int
        Number of schools of each authority.
    n_students : int or sequence of int, default 30
        Students in each school.
    zones : sequence of int, optional
        Number of authorities of each zone. Without it there are no zones.
    mu : float, default 0.65
        Mean mark of the school in the middle of the population, a proportion.
    tau_zone, tau_authority, tau_school : float, default 0.2, 0.3 and 0.4
        Standard deviations between zones, between the authorities of one, and between an
        authority's schools, in logits.
    nu, tau_nu : float, default 6 and 0.3
        Sample size of the Beta of a school in the middle, and its standard deviation between
        schools on the log scale.
    design_effect : float, default 1
        How many times as large the variance of a school's mean is as of independent students.
    moved, nu_moved : float or array_like, shape (n_schools,), default 0
        By how much what is known of a school moves where its effect is centred, in logits, and
        where its log nu is: x · beta and x · gamma of :mod:`hbm.exams`.
    random_seed : int or numpy.random.Generator, optional
        The same seed gives the same students.

    Returns
    -------
    table : pandas.DataFrame
        One row a school, as :func:`hbm.exam_table` makes: ``school``, ``school_name``,
        ``authority``, ``authority_name``, ``n_students``, ``mean``, ``sd``.
    students : pandas.DataFrame
        One row a student: ``authority``, ``school``, ``score``.
    truth : pandas.DataFrame
        One row a school: ``authority``, ``authority_mean``, ``school``, ``school_mean``, ``nu``.

    With zones the tables have a column ``zone`` as well, and `truth` has ``zone_mean``.

    Raises
    ------
    ValueError
        If a number of students, schools or authorities is not a positive whole number, the zones
        do not hold as many authorities as there are, or the design effect is below 1.

    Examples
    --------
    >>> table, students, truth = exams([2, 1], [5, 8, 40], random_seed=1)
    >>> len(table), len(students), list(table["n_students"])
    (3, 53, [5, 8, 40])
    """
    rng = np.random.default_rng(random_seed)
    if not design_effect >= 1:
        raise ValueError(f"design_effect must be 1 or more, got {design_effect!r}")
    per_authority = sizes_of(
        schools_per_authority, len(schools_per_authority), "schools_per_authority"
    )
    n_schools = int(per_authority.sum())
    sizes = sizes_of(n_students, n_schools, "n_students")
    truth, around = pd.DataFrame(index=range(n_schools)), logit(mu)
    if zones is not None:
        per_zone = sizes_of(zones, len(zones), "zones")
        if per_zone.sum() != len(per_authority):
            raise ValueError(
                f"the zones hold {per_zone.sum()} authorities, and schools_per_authority has "
                f"{len(per_authority)}"
            )
        around = np.repeat(rng.normal(around, tau_zone, len(per_zone)), per_zone)
        truth["zone"] = np.repeat(np.repeat(numbered(len(per_zone)), per_zone), per_authority)
        truth["zone_mean"] = expit(np.repeat(around, per_authority))
    eta_authority = np.repeat(rng.normal(around, tau_authority, len(per_authority)), per_authority)
    school_means = expit(rng.normal(eta_authority + moved, tau_school))
    nu_school = nu * np.exp(rng.normal(nu_moved, tau_nu, n_schools))
    truth["authority"] = np.repeat(numbered(len(per_authority)), per_authority)
    truth["authority_mean"] = expit(eta_authority)
    truth["school"] = numbered(n_schools)
    truth["school_mean"], truth["nu"] = school_means, nu_school
    labels = [name for name in ("zone", "authority", "school") if name in truth]
    students = truth.loc[truth.index.repeat(sizes), labels].reset_index(drop=True)
    students["score"] = _students(rng, school_means, nu_school, sizes, design_effect - 1)
    return summarise(students), students, truth


def exam_panel(
    schools_per_authority: Sequence[int] = (6, 3, 2, 1, 1),
    n_students: int | Sequence[int] | np.ndarray = 30,
    *,
    years: Sequence[int] = range(2015, 2020),
    mu: float = 0.65,
    tau_year: float = 0.1,
    tau_authority: float = 0.2,
    tau_school: float = 0.3,
    persistence: float = 0.95,
    nu: float = 6,
    tau_nu: float = 0.3,
    design_effect: float = 1.5,
    moved: float | np.ndarray = 0.0,
    nu_moved: float | np.ndarray = 0.0,
    random_seed: int | np.random.Generator | None = None,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Simulate the published results of schools in authorities over several years.

    The story is that of :func:`hbm.exams.panel`, students and all.

    Parameters
    ----------
    schools_per_authority : sequence of int
        Number of schools of each authority.
    n_students : int or array_like of int, default 30
        Students of each school, shape (n_schools,), or of each school and year, shape (n_schools,
        n_years), with 0 where there are no results.
    years : sequence of int, default 2015 to 2019
        The years, in order.
    mu : float, default 0.65
        Mean mark of the school in the middle, a proportion.
    tau_year, tau_authority, tau_school : float, default 0.1, 0.2 and 0.3
        Standard deviations between years, authorities, and an authority's schools in any one year,
        in logits.
    persistence : float, default 0.95
        Correlation of what a school deviates by with that of the year before.
    nu, tau_nu : float, default 6 and 0.3
        As for :func:`exams`; each school and year has a sample size of its own.
    design_effect : float, default 1.5
        How many times as large the variance of a mean is as of independent students.
    moved, nu_moved : float or array_like, shape (n_schools, n_years), default 0
        As for :func:`exams`, of each school and year.
    random_seed : int or numpy.random.Generator, optional
        The same seed gives the same students.

    Returns
    -------
    table : pandas.DataFrame
        One row a school and year with results, as :func:`hbm.exam_panel` makes.
    truth : pandas.DataFrame
        One row a school and year: ``authority``, ``school``, ``year``, ``school_mean``, ``nu``.

    Examples
    --------
    >>> table, truth = exam_panel([2, 1], [[5, 0], [8, 9], [40, 38]], years=[2018, 2019])
    >>> len(table), len(truth)
    (5, 6)
    """
    rng, years = np.random.default_rng(random_seed), list(years)
    if not design_effect >= 1 or not 0 <= persistence <= 1:
        raise ValueError("design_effect must be 1 or more, and persistence lie between 0 and 1")
    authority = np.repeat(np.arange(len(schools_per_authority)), schools_per_authority)
    shape = len(authority), len(years)
    sizes = np.asarray(n_students)
    sizes = np.broadcast_to(sizes[:, None] if sizes.ndim == 1 else sizes, shape).ravel()
    eta = logit(mu) + rng.normal(0, tau_authority, len(schools_per_authority))[authority]
    d = random_chains(gaps_of(years), np.zeros(shape), persistence, tau_school, rng)
    means = expit(eta[:, None] + rng.normal(0, tau_year, len(years)) + moved + d).ravel()
    truth = pd.DataFrame(
        {
            "authority": np.repeat(numbered(len(schools_per_authority))[authority], len(years)),
            "school": np.repeat(numbered(len(authority)), len(years)),
            "year": np.tile(years, len(authority)),
            "school_mean": means,
            "nu": nu * np.exp(rng.normal(np.broadcast_to(nu_moved, shape).ravel(), tau_nu)),
        }
    )
    seen = truth[sizes > 0].reset_index(drop=True)
    n = sizes[sizes > 0]
    marks = _students(
        rng, seen["school_mean"].to_numpy(), seen["nu"].to_numpy(), n, design_effect - 1
    )
    students = seen.loc[seen.index.repeat(n), ["authority", "school", "year"]].assign(score=marks)
    tables = [summarise(rows).assign(year=year) for year, rows in students.groupby("year")]
    table = pd.concat(tables, ignore_index=True)
    return table[["year", *table.columns.drop("year")]], truth


def _students(rng, means, nu, sizes, excess=0.0) -> np.ndarray:
    """Draw students one by one, given their schools' means."""
    return individuals(BETA, means, nu, sizes, rng, excess)
