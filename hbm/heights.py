"""Heights of people in countries: Normal models with three levels of pooling.

Each person's height ~ N(mu_country, sigma), and a country's mean is one of

=====================  =============================================================
`complete_pooling`     mu_country = mu: one mean for all
`no_pooling`           mu_country ~ N(176 cm, 50 cm): each country alone
`partial_pooling`      mu_country ~ N(mu, tau_country), with tau_country learned
=====================  =============================================================

The number, mean and standard deviation of a country's people say all there is to say of its mean
and of sigma, so the models use just these, whether they are given the people or a published table:
the posterior is the same. Heights are in centimetres.

Anything else that is Normal within groups will do, with priors of its own and in words of its own:
``partial_pooling(table, group="hospital", individual="patient", value="stay", unit="days",
priors=...)`` takes a table with columns ``hospital`` and ``stay``, or ``hospital``, ``n_patients``,
``mean`` and ``sd``, and its variables are ``mu_hospital``, ``tau_hospital`` and so on.

All models take the same arguments and have, in the table's units, ``mu_country`` (dim ``country``)
and ``sigma``; ``constant_data`` of a fit has ``n_people``, ``mean`` and ``sd`` of each country.
They raise a ValueError or TypeError, naming rows and the likely mend, if the table is not as
described.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
import pymc as pm
import pytensor.tensor as pt
from pytensor.tensor import TensorVariable

from hbm.hierarchy.coefficients import coefficients, told_of_effects
from hbm.hierarchy.conflict import warn_of_conflict
from hbm.hierarchy.description import Description, check_words, describe
from hbm.hierarchy.effects import level_effect, raw_by_level
from hbm.hierarchy.model import TableModel, table_data
from hbm.hierarchy.observation import observe
from hbm.hierarchy.parameterisation import Parameterisation, check_parameterisation
from hbm.hierarchy.priors import check_priors
from hbm.hierarchy.recipes import remembered
from hbm.students.normal import NORMAL
from hbm.tables.forms import read_either
from hbm.tables.predictors import Asked, read_predictors
from hbm.tables.words import plural

__all__ = ["Priors", "complete_pooling", "no_pooling", "partial_pooling"]


@dataclass(frozen=True)
class Priors:
    """Priors of the models of heights, in centimetres.

    Attributes
    ----------
    mu_mean, mu_sd : float, default 176 and 10
        Normal prior of the grand mean. The mean is the article's; its sd of 1 would be stronger
        than the data of a few countries.
    tau_country : float, default 10
        Scale of the half-normal prior of the between-country standard deviation, which the
        article's code fixes at this value.
    sigma : float, default 10
        Scale of the half-normal prior of the standard deviation of people within a country.
    beta_sd : float, default 5
        Sd of the Normal priors of the coefficients of predictors: of one sd of a number, of true
        against false, and, about, of a category.
    no_pooling_sd : float, default 50
        Prior standard deviation of a country's mean around `mu_mean` where nothing is pooled.

    Examples
    --------
    >>> Priors(mu_mean=165).mu_sd
    10
    """

    mu_mean: float = 176
    mu_sd: float = 10
    tau_country: float = 10
    sigma: float = 10
    beta_sd: float = 5
    no_pooling_sd: float = 50

    def __post_init__(self) -> None:
        """Refuse numbers that make no prior."""
        check_priors(self, positive=("mu_sd", "tau_country", "sigma", "beta_sd", "no_pooling_sd"))

    def draw(self, random_seed: int | np.random.Generator | None = None) -> dict[str, float]:
        """Draw the parameters of partial pooling, as :func:`hbm.simulate.heights` takes them.

        Parameters
        ----------
        random_seed : int or numpy.random.Generator, optional
            The same seed gives the same parameters.

        Returns
        -------
        dict of str to float
            ``mu``, ``tau_country`` and ``sigma``, in cm.

        Examples
        --------
        >>> import hbm
        >>> parameters = hbm.heights.Priors().draw(random_seed=1)
        >>> people, truth = hbm.simulate.heights(4, 20, **parameters, random_seed=1)
        """
        rng = np.random.default_rng(random_seed)
        return {
            "mu": rng.normal(self.mu_mean, self.mu_sd),
            "tau_country": abs(rng.normal(0, self.tau_country)),
            "sigma": abs(rng.normal(0, self.sigma)),
        }


@remembered
def complete_pooling(
    table: pd.DataFrame,
    *,
    priors: Priors = Priors(),
    parameterisation: Parameterisation = "informed",
    group: str = "country",
    individual: str = "person",
    value: str = "height",
    unit: str = "cm",
) -> TableModel:
    """Build the model in which all countries have one mean.

    height ~ N(mu, sigma), mu ~ N(176, 10), sigma ~ HN(10).

    Parameters
    ----------
    table : pandas.DataFrame
        One row a person: ``country``, ``height``; or one row a country: ``country``, ``n_people``,
        ``mean``, ``sd`` (with divisor n − 1, missing where it is not known).
    priors : Priors
        Priors, in the table's units.
    parameterisation : {"informed", "centred", "non-centred"}
        Without effect: all models take it, but here no group has an effect of its own.
    group, individual, value, unit : str
        What a country, a person and a height are called, and the unit of the latter. Not ``"%"``,
        which is for proportions: values in per cent have the unit ``"percent"``.

    Returns
    -------
    pymc.Model
        ``mu``, ``mu_country`` (the same for all) and ``sigma``.

    Examples
    --------
    >>> import hbm
    >>> model = hbm.heights.complete_pooling(hbm.load_dataset("heights"))
    >>> [variable.name for variable in model.free_RVs]
    ['mu', 'sigma']
    """
    check_parameterisation(parameterisation)
    people = _describe(table, group, individual, value, unit)
    with TableModel(people) as model:
        n = table_data(people)["n"]
        mu = pm.Normal("mu", priors.mu_mean, priors.mu_sd)
        pm.Data(f"tau_{group}", 0.0)
        mu_group = pm.Deterministic(f"mu_{group}", pt.full(n.shape, mu), dims=group)
        _observe(people, mu_group, priors)
    warn_of_conflict(people, priors, "mu_sd")
    return model


@remembered
def no_pooling(
    table: pd.DataFrame,
    *,
    priors: Priors = Priors(),
    parameterisation: Parameterisation = "informed",
    group: str = "country",
    individual: str = "person",
    value: str = "height",
    unit: str = "cm",
) -> TableModel:
    """Build the model in which each country's mean is estimated alone.

    height ~ N(mu_country, sigma), mu_country ~ N(176, 50), sigma ~ HN(10). The standard deviation
    of people is shared: it is the means that are not pooled.

    Parameters
    ----------
    table : pandas.DataFrame
        One row a person: ``country``, ``height``; or one row a country: ``country``, ``n_people``,
        ``mean``, ``sd`` (with divisor n − 1, missing where it is not known).
    priors : Priors
        Priors, in the table's units.
    parameterisation : {"informed", "centred", "non-centred"}
        How the sampler sees a country's mean; the posterior is the same.
    group, individual, value, unit : str
        What a country, a person and a height are called, and the unit of the latter. Not ``"%"``,
        which is for proportions: values in per cent have the unit ``"percent"``.

    Returns
    -------
    pymc.Model
        ``mu_country`` and ``sigma``.

    Examples
    --------
    >>> import hbm
    >>> model = hbm.heights.no_pooling(hbm.load_dataset("heights"))
    >>> [variable.name for variable in model.free_RVs]
    ['mu_country', 'sigma']
    """
    people = _describe(table, group, individual, value, unit)
    with TableModel(people) as model:
        table_data(people)
        mu = pm.Data("mu", float(priors.mu_mean))
        tau = pm.Data(f"tau_{group}", float(priors.no_pooling_sd))
        mu_group = level_effect(people, group, mu, tau, raw_by_level(people), parameterisation)
        _observe(people, mu_group, priors)
    warn_of_conflict(people, priors, "no_pooling_sd", "no_pooling_sd")
    return model


@remembered
def partial_pooling(
    table: pd.DataFrame,
    *,
    priors: Priors = Priors(),
    parameterisation: Parameterisation = "informed",
    predictors: Asked = (),
    group: str = "country",
    individual: str = "person",
    value: str = "height",
    unit: str = "cm",
) -> TableModel:
    """Build the model in which countries share a population, whose spread is learned.

    height ~ N(mu_country, sigma), mu_country ~ N(mu, tau_country), mu ~ N(176, 10),
    tau_country ~ HN(10), sigma ~ HN(10).

    With predictors, mu_country ~ N(mu + x · beta, tau_country), beta ~ N(0, 5).

    Parameters
    ----------
    table : pandas.DataFrame
        One row a person: ``country``, ``height``; or one row a country: ``country``, ``n_people``,
        ``mean``, ``sd`` (with divisor n − 1, missing where it is not known).
    priors : Priors
        Priors, in the table's units.
    parameterisation : {"informed", "centred", "non-centred"}
        How the sampler sees a country's mean; the posterior is the same.
    predictors : sequence of str
        Columns that say what is known of a country: numbers, ``log_<column>``, true or false, or
        text for categories (:mod:`hbm.tables.predictors`).
    group, individual, value, unit : str
        What a country, a person and a height are called, and the unit of the latter. Not ``"%"``,
        which is for proportions: values in per cent have the unit ``"percent"``.

    Returns
    -------
    pymc.Model
        ``mu``, ``tau_country``, ``mu_country`` and ``sigma``; with predictors also ``beta``, dim
        ``predictor``.

    Examples
    --------
    >>> import hbm
    >>> model = hbm.heights.partial_pooling(hbm.load_dataset("heights"))
    >>> [variable.name for variable in model.free_RVs]
    ['mu', 'tau_country', 'mu_country', 'sigma']
    """
    people = _describe(table, group, individual, value, unit, predictors)
    with TableModel(people) as model:
        table_data(people)
        mu = pm.Normal("mu", priors.mu_mean, priors.mu_sd)
        tau = pm.HalfNormal(f"tau_{group}", priors.tau_country)
        raw = raw_by_level(people)
        told = told_of_effects(people, raw)
        beta = coefficients(people, "beta", priors.beta_sd, parameterisation, mu, told)
        mu_group = level_effect(people, group, mu, tau, raw, parameterisation, beta=beta)
        _observe(people, mu_group, priors)
    warn_of_conflict(people, priors, "mu_sd", "tau_country")
    return model


def _describe(
    table: pd.DataFrame,
    group: str,
    individual: str,
    value: str,
    unit: str,
    predictors: Asked = (),
) -> Description:
    check_words(individual, group, (), value)
    if unit == "%":  # shown times 100, and drawn from 0 to 1
        raise ValueError(
            "unit='%' is for proportions, which hbm.exams and hbm.scores take: these models would "
            "show 60.3 as 6030%. For values in per cent give unit='percent'"
        )
    people = read_either(
        table,
        value,
        by=group,
        size=f"n_{plural(individual)}",
        proportions=False,
        allowed=f"{plural(value)} in {unit}, none of them missing",
        ok=np.isfinite,
        sd_may_be_missing=True,
    )
    observed = "summary" if people.value is None else value
    return describe(
        NORMAL,
        people,
        individual=individual,
        observed=observed,
        value_name=value,
        unit=unit,
        predictors=read_predictors(table, predictors, people, f"n_{plural(individual)}"),
    )


def _observe(people: Description, mu_group: TensorVariable, priors: Priors) -> None:
    sigma = pm.HalfNormal("sigma", priors.sigma)
    observe(people, mu_group, sigma)
