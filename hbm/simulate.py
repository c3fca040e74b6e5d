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

from hbm.students.beta import BETA
from hbm.students.cohorts import individuals
from hbm.students.normal import NORMAL
from hbm.tables.grouped import read_individuals

__all__ = ["exams", "heights", "nested_scores", "scores", "summarise"]


def _labels(n: int) -> np.ndarray:
    return np.array([str(i) for i in range(1, n + 1)], dtype=object)


def _sizes(n: int | Sequence[int], n_groups: int, what: str) -> np.ndarray:
    sizes = np.broadcast_to(np.asarray(n), (n_groups,))
    if not np.issubdtype(sizes.dtype, np.integer) or (sizes < 1).any():
        raise ValueError(f"{what} must be whole numbers, 1 or more, got {n!r}")
    return sizes


def heights(
    n_countries: int = 4,
    n_people: int | Sequence[int] = 20,
    *,
    mu: float = 176,
    tau_country: float = 10,
    sigma: float = 3,
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
    """
    rng = np.random.default_rng(random_seed)
    sizes = _sizes(n_people, n_countries, "n_people")
    countries = _labels(n_countries)
    means = rng.normal(mu, tau_country, n_countries)
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
    sizes = _sizes(n_students, n_schools, "n_students")
    schools = _labels(n_schools)
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
    sizes = _sizes(n_students, n_schools, "n_students")
    district_means = rng.beta(mu * nu_districts, (1 - mu) * nu_districts, n_districts)
    parents = np.repeat(district_means, schools_per_district)
    school_means = rng.beta(parents * nu_schools, (1 - parents) * nu_schools)
    truth = pd.DataFrame(
        {
            "district": np.repeat(_labels(n_districts), schools_per_district),
            "district_mean": parents,
            "school": _labels(n_schools),
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
    random_seed: int | np.random.Generator | None = None,
) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Simulate exam marks in schools in authorities, and the table published of them.

    eta_authority ~ N(logit mu, tau_authority), eta_school ~ N(eta_authority, tau_school),
    log nu_school ~ N(log nu, tau_nu); a student's mark is Beta with mean expit(eta_school) and
    sample size nu_school. With zones, eta_zone ~ N(logit mu, tau_zone) and
    eta_authority ~ N(eta_zone, tau_authority).

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
        If a number of students, schools or authorities is not a positive whole number, or the
        zones do not hold as many authorities as there are.

    Examples
    --------
    >>> table, students, truth = exams([2, 1], [5, 8, 40], random_seed=1)
    >>> len(table), len(students), list(table["n_students"])
    (3, 53, [5, 8, 40])
    """
    rng = np.random.default_rng(random_seed)
    per_authority = _sizes(
        schools_per_authority, len(schools_per_authority), "schools_per_authority"
    )
    n_schools = int(per_authority.sum())
    sizes = _sizes(n_students, n_schools, "n_students")
    truth, around = pd.DataFrame(index=range(n_schools)), logit(mu)
    if zones is not None:
        per_zone = _sizes(zones, len(zones), "zones")
        if per_zone.sum() != len(per_authority):
            raise ValueError(
                f"the zones hold {per_zone.sum()} authorities, and schools_per_authority has "
                f"{len(per_authority)}"
            )
        around = np.repeat(rng.normal(around, tau_zone, len(per_zone)), per_zone)
        truth["zone"] = np.repeat(np.repeat(_labels(len(per_zone)), per_zone), per_authority)
        truth["zone_mean"] = expit(np.repeat(around, per_authority))
    eta_authority = np.repeat(rng.normal(around, tau_authority, len(per_authority)), per_authority)
    school_means = expit(rng.normal(eta_authority, tau_school))
    nu_school = nu * np.exp(rng.normal(0, tau_nu, n_schools))
    truth["authority"] = np.repeat(_labels(len(per_authority)), per_authority)
    truth["authority_mean"] = expit(eta_authority)
    truth["school"] = _labels(n_schools)
    truth["school_mean"], truth["nu"] = school_means, nu_school
    labels = [name for name in ("zone", "authority", "school") if name in truth]
    students = truth.loc[truth.index.repeat(sizes), labels].reset_index(drop=True)
    students["score"] = _students(rng, school_means, nu_school, sizes)
    return summarise(students), students, truth


def summarise(students: pd.DataFrame) -> pd.DataFrame:
    """Make the table that would be published of students' marks.

    Parameters
    ----------
    students : pandas.DataFrame
        One row a student: ``authority``, ``school``, ``score``, and ``zone`` if authorities stand
        in zones.

    Returns
    -------
    pandas.DataFrame
        One row a school, in order of appearance: ``school``, ``school_name``, ``authority``,
        ``authority_name``, ``n_students``, ``mean``, ``sd`` (with divisor n − 1; missing for a
        school of one student), and ``zone`` if there are zones.

    Raises
    ------
    ValueError, TypeError
        If the table is not as described.

    Examples
    --------
    >>> import pandas as pd
    >>> students = pd.DataFrame({"authority": "x", "school": "a", "score": [0.4, 0.6]})
    >>> summarise(students)[["n_students", "mean"]].to_dict("records")
    [{'n_students': 2, 'mean': 0.5}]
    """
    zoned = isinstance(students, pd.DataFrame) and "zone" in students
    data = read_individuals(
        students,
        "score",
        by="school",
        parents=["authority", "zone"] if zoned else ["authority"],
        allowed="proportions in [0, 1] (divide percentages by 100)",
        ok=lambda x: (x >= 0) & (x <= 1),
    )
    *zones, authorities, schools = data.levels
    authority = authorities.labels[schools.parent]
    table = pd.DataFrame(
        {
            "school": schools.labels,
            "school_name": [f"School {label}" for label in schools.labels],
            "authority": authority,
            "authority_name": [f"Authority {label}" for label in authority],
            "n_students": data.n.astype(int),
            "mean": data.mean,
            "sd": data.sd,
        }
    )
    return (
        table.assign(zone=zones[0].labels[authorities.parent[schools.parent]]) if zones else table
    )


def _students(rng, means, nu, sizes) -> np.ndarray:
    """Draw students one by one, given their schools' means."""
    return individuals(BETA, means, nu, sizes, rng)
