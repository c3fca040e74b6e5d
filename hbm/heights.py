"""Heights of people in countries: Normal models with three levels of pooling.

Each person's height ~ N(mu_country, sigma), and a country's mean is one of

=====================  =============================================================
`complete_pooling`     mu_country = mu: one mean for all
`no_pooling`           mu_country ~ N(176 cm, 50 cm): each country alone
`partial_pooling`      mu_country ~ N(mu, tau_country), with tau_country learned
=====================  =============================================================

The number, mean and standard deviation of a country's people say all there is to say of its mean
and of sigma, so the models use just these, whether they are given the people or a published table:
the posterior is the same. Heights are in centimetres. Anything else that is Normal within groups
will do, with priors of its own.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
import pymc as pm
import pytensor.tensor as pt
from pytensor.tensor import TensorVariable

from hbm.hierarchy.parameterisation import Parameterisation, check_parameterisation, group_effect
from hbm.hierarchy.recipes import check_priors, remembered
from hbm.students.individuals import normal_students
from hbm.students.likelihoods import normal_summary
from hbm.tables.grouped import GroupedData, read_individuals, read_summaries

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
    no_pooling_sd: float = 50

    def __post_init__(self) -> None:
        """Refuse numbers that make no prior."""
        check_priors(self, positive=("mu_sd", "tau_country", "sigma", "no_pooling_sd"))

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
) -> pm.Model:
    """Build the model in which all countries have one mean.

    height ~ N(mu, sigma), mu ~ N(176, 10), sigma ~ HN(10).

    Parameters
    ----------
    table : pandas.DataFrame
        One row a person: ``country``, ``height`` (cm); or one row a country: ``country``,
        ``n_people``, ``mean``, ``sd`` (cm, with divisor n − 1).
    priors : Priors
        Priors, in cm.
    parameterisation : {"informed", "centred", "non-centred"}
        Without effect: all models take it, but here no group has an effect of its own.

    Returns
    -------
    pymc.Model
        ``mu``, ``mu_country`` (the same for all) and ``sigma``, in cm; dim ``country``, and
        ``person`` where people are given.

    Raises
    ------
    ValueError, TypeError
        If the table is not as described.

    Examples
    --------
    >>> import hbm
    >>> model = hbm.heights.complete_pooling(hbm.load_dataset("heights"))
    >>> [variable.name for variable in model.free_RVs]
    ['mu', 'sigma']
    """
    check_parameterisation(parameterisation)
    people = _read(table)
    with pm.Model(coords=people.coords) as model:
        mu = pm.Normal("mu", priors.mu_mean, priors.mu_sd)
        pm.Data("tau_country", 0.0)
        mu_country = pm.Deterministic("mu_country", pt.full(people.n.shape, mu), dims="country")
        _observe(mu_country, people, priors)
    return model


@remembered
def no_pooling(
    table: pd.DataFrame,
    *,
    priors: Priors = Priors(),
    parameterisation: Parameterisation = "informed",
) -> pm.Model:
    """Build the model in which each country's mean is estimated alone.

    height ~ N(mu_country, sigma), mu_country ~ N(176, 50), sigma ~ HN(10). The standard deviation
    of people is shared: it is the means that are not pooled.

    Parameters
    ----------
    table : pandas.DataFrame
        One row a person: ``country``, ``height`` (cm); or one row a country: ``country``,
        ``n_people``, ``mean``, ``sd`` (cm, with divisor n − 1).
    priors : Priors
        Priors, in cm.
    parameterisation : {"informed", "centred", "non-centred"}
        How the sampler sees a country's mean; the posterior is the same.

    Returns
    -------
    pymc.Model
        ``mu_country`` and ``sigma``, in cm; dim ``country``, and ``person`` where people are
        given.

    Raises
    ------
    ValueError, TypeError
        If the table is not as described, or the parameterisation not one of the three.

    Examples
    --------
    >>> import hbm
    >>> model = hbm.heights.no_pooling(hbm.load_dataset("heights"))
    >>> [variable.name for variable in model.free_RVs]
    ['mu_country', 'sigma']
    """
    people = _read(table)
    with pm.Model(coords=people.coords) as model:
        mu = pm.Data("mu", float(priors.mu_mean))
        tau_country = pm.Data("tau_country", float(priors.no_pooling_sd))
        mu_country = _country_effect(mu, tau_country, people, parameterisation)
        _observe(mu_country, people, priors)
    return model


@remembered
def partial_pooling(
    table: pd.DataFrame,
    *,
    priors: Priors = Priors(),
    parameterisation: Parameterisation = "informed",
) -> pm.Model:
    """Build the model in which countries share a population, whose spread is learned.

    height ~ N(mu_country, sigma), mu_country ~ N(mu, tau_country), mu ~ N(176, 10),
    tau_country ~ HN(10), sigma ~ HN(10).

    Parameters
    ----------
    table : pandas.DataFrame
        One row a person: ``country``, ``height`` (cm); or one row a country: ``country``,
        ``n_people``, ``mean``, ``sd`` (cm, with divisor n − 1).
    priors : Priors
        Priors, in cm.
    parameterisation : {"informed", "centred", "non-centred"}
        How the sampler sees a country's mean; the posterior is the same.

    Returns
    -------
    pymc.Model
        ``mu``, ``tau_country``, ``mu_country`` and ``sigma``, in cm; dim ``country``, and
        ``person`` where people are given.

    Raises
    ------
    ValueError, TypeError
        If the table is not as described, or the parameterisation not one of the three.

    Examples
    --------
    >>> import hbm
    >>> model = hbm.heights.partial_pooling(hbm.load_dataset("heights"))
    >>> [variable.name for variable in model.free_RVs]
    ['mu', 'tau_country', 'mu_country', 'sigma']
    """
    people = _read(table)
    with pm.Model(coords=people.coords) as model:
        mu = pm.Normal("mu", priors.mu_mean, priors.mu_sd)
        tau_country = pm.HalfNormal("tau_country", priors.tau_country)
        mu_country = _country_effect(mu, tau_country, people, parameterisation)
        _observe(mu_country, people, priors)
    return model


def _read(table: pd.DataFrame) -> GroupedData:
    if isinstance(table, pd.DataFrame) and "height" in table:
        return read_individuals(
            table,
            "height",
            by="country",
            individual="person",
            allowed="heights in cm, none of them missing",
            ok=np.isfinite,
        )
    return read_summaries(table, by="country", size="n_people", proportions=False)


def _country_effect(mu, tau_country, people, parameterisation) -> TensorVariable:
    freedom = people.n - 1
    within = np.nansum(freedom * people.sd**2) / max(freedom.sum(), 1)
    # Where nobody varies, or every country has one person, the data do not tell the spread.
    spread = np.sqrt(within) if within > 0 else np.inf
    return group_effect(
        "mu_country",
        mu,
        tau_country,
        dims="country",
        estimate=people.mean,
        standard_error=spread / np.sqrt(people.n),
        parameterisation=parameterisation,
    )


def _observe(mu_country: TensorVariable, people: GroupedData, priors: Priors) -> None:
    sigma = pm.HalfNormal("sigma", priors.sigma)
    pm.Data("n_people", people.n, dims="country")
    pm.Data("mean", people.mean, dims="country")
    pm.Data("sd", np.nan_to_num(people.sd), dims="country")
    if people.value is None:
        normal_summary(
            "summary", mu_country, sigma, people.n, (people.mean, people.sd), dims="country"
        )
    else:
        normal_students(
            "height", mu_country, sigma, people.index, observed=people.value, dims="person"
        )
