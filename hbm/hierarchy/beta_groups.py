"""What the models of scores and of exams share: Beta groups on the logit scale.

The students of a school are Beta with mean mu_school = expit(eta_school) and sample size nu_school,
so that their variance is mu_school (1 − mu_school) / (nu_school + 1). On the logit scale group
effects are Normal, so that levels add up and every parameterisation exists; nu_school is log-normal
around nu.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pymc as pm
import pytensor.tensor as pt
from pytensor.tensor import TensorLike, TensorVariable
from scipy.special import expit, logit

from hbm.hierarchy.parameterisation import Parameterisation, group_effect, parent_estimates
from hbm.hierarchy.recipes import check_priors
from hbm.tables.grouped import GroupedData

__all__ = [
    "Priors",
    "RawEstimates",
    "parent_effect",
    "pooled_nu",
    "raw_estimates",
    "school_effect",
    "school_nu",
]


@dataclass(frozen=True)
class Priors:
    """Priors of the models of scores and of exams; in logits unless said otherwise.

    Attributes
    ----------
    eta_mean, eta_sd : float, default 1.1 and 1
        Normal prior of the grand mean. 1.1 is the logit of 0.75, the article's mean mark; with an
        sd of 1 the grand mean lies between 0.30 and 0.96 with probability 95 %.
    tau_parent, tau_school : float, default 0.5
        Scales of the half-normal priors of the standard deviations between districts or
        authorities, and between the schools of one (or all schools, where they are not nested).
    nu_median, nu_log_sd : float, default 10 and 1
        Median, and standard deviation on the log scale, of the log-normal prior of the sample size
        nu of a school in the middle. 10 is the article's; at a mean of 0.65 the students' standard
        deviation then lies between 6 and 31 points of a hundred with probability 95 %.
    tau_nu : float, default 0.5
        Scale of the half-normal prior of the standard deviation of log nu between schools.
    no_pooling_sd : float, default 1.5
        Prior standard deviation of a school's effect around `eta_mean` where nothing is pooled;
        a school's log nu then has the prior of log nu.

    Examples
    --------
    >>> Priors(tau_school=0.3).tau_parent
    0.5
    """

    eta_mean: float = 1.1
    eta_sd: float = 1.0
    tau_parent: float = 0.5
    tau_school: float = 0.5
    nu_median: float = 10.0
    nu_log_sd: float = 1.0
    tau_nu: float = 0.5
    no_pooling_sd: float = 1.5

    def __post_init__(self) -> None:
        """Refuse numbers that make no prior."""
        check_priors(
            self,
            positive=(
                "eta_sd",
                "tau_parent",
                "tau_school",
                "nu_median",
                "nu_log_sd",
                "tau_nu",
                "no_pooling_sd",
            ),
        )

    def draw(self, random_seed: int | np.random.Generator | None = None) -> dict[str, float]:
        """Draw the parameters of the nested models, as :func:`hbm.simulate.exams` takes them.

        Parameters
        ----------
        random_seed : int or numpy.random.Generator, optional
            The same seed gives the same parameters.

        Returns
        -------
        dict of str to float
            ``mu`` (a proportion), ``tau_authority``, ``tau_school``, ``nu`` and ``tau_nu``. For
            schools of one population set ``tau_authority`` to 0.

        Examples
        --------
        >>> import hbm
        >>> parameters = hbm.exams.Priors().draw(random_seed=1)
        >>> table, students, truth = hbm.simulate.exams([2, 1], 12, **parameters, random_seed=1)
        """
        rng = np.random.default_rng(random_seed)
        return {
            "mu": float(expit(rng.normal(self.eta_mean, self.eta_sd))),
            "tau_authority": abs(rng.normal(0, self.tau_parent)),
            "tau_school": abs(rng.normal(0, self.tau_school)),
            "nu": float(self.nu_median * np.exp(rng.normal(0, self.nu_log_sd))),
            "tau_nu": abs(rng.normal(0, self.tau_nu)),
        }


class RawEstimates(NamedTuple):
    """What a table says of each school by itself, for the informed parameterisation.

    Attributes
    ----------
    eta, eta_se : numpy.ndarray, shape (n_schools,)
        Estimate of the logit of the mean, and its standard error.
    log_nu, log_nu_se : numpy.ndarray, shape (n_schools,)
        Estimate of log nu, and its standard error: ``inf`` where there is no standard deviation.
    """

    eta: np.ndarray
    eta_se: np.ndarray
    log_nu: np.ndarray
    log_nu_se: np.ndarray


def pooled_nu(n: np.ndarray, mean: np.ndarray, sd: np.ndarray, default: float) -> float:
    """Estimate one sample size nu for all schools, by matching variances.

    Parameters
    ----------
    n, mean, sd : numpy.ndarray, shape (n_schools,)
        Number of students, their mean and standard deviation (missing where there is none).
    default : float
        What to return where no school has a standard deviation above 0.

    Returns
    -------
    float
        Σ (n − 1) mean (1 − mean) / Σ (n − 1) sd² − 1, kept between 0.5 and 500.

    Examples
    --------
    >>> import numpy as np
    >>> pooled_nu(np.array([10.0, 20.0]), np.array([0.5, 0.5]), np.array([0.25, 0.25]), 10)
    3.0
    """
    freedom = np.where(np.isfinite(sd), n - 1, 0.0)
    observed = np.nansum(freedom * sd**2)
    if observed == 0:
        return float(default)
    with np.errstate(over="ignore"):  # an sd of almost 0
        return float(np.clip((freedom * mean * (1 - mean)).sum() / observed - 1, 0.5, 500))


def raw_estimates(data: GroupedData, nu: float) -> RawEstimates:
    """Estimate each school by itself, well enough to standardise its coordinates.

    Parameters
    ----------
    data : GroupedData
        Number, mean and standard deviation of each school's students.
    nu : float
        Sample size to go by where a school's own says little, as in the mean's standard error.

    Returns
    -------
    RawEstimates
        Finite for every school: of one student, of students with no spread, of mean 0 or 1.

    Notes
    -----
    The mean of n students weighs as much as N = n (nu + 1) − 1 trials, since its variance is
    mu (1 − mu) / (N + 1). Half a success and half a failure are added, as for an empirical logit.
    The precision of log nu is that of the log of a Normal sample's variance.
    """
    trials = data.n * (nu + 1) - 1
    mean = (data.mean * trials + 0.5) / (trials + 1)
    eta_se = 1 / np.sqrt(mean * (1 - mean) * (trials + 1))
    known = np.isfinite(data.sd) & (data.sd**2 > 0)
    sd = np.where(known, data.sd, 1.0)
    with np.errstate(divide="ignore", over="ignore"):  # an sd of almost 0, and n = 1
        own_nu = np.clip(mean * (1 - mean) / sd**2 - 1, nu / 20, nu * 20)
        log_nu_se = np.sqrt(2 / (data.n - 1)) * (own_nu + 1) / own_nu
    return RawEstimates(
        eta=logit(mean),
        eta_se=eta_se,
        log_nu=np.where(known, np.log(own_nu), np.log(nu)),
        log_nu_se=np.where(known, log_nu_se, np.inf),
    )


def parent_effect(
    level: str,
    eta: TensorLike,
    tau: TensorLike,
    data: GroupedData,
    raw: RawEstimates,
    parameterisation: Parameterisation,
) -> TensorVariable:
    """Add eta_<level> ~ N(eta, tau) of schools' parents, and mu_<level> = expit(eta_<level>)."""
    estimate, standard_error = parent_estimates(
        raw.eta, raw.eta_se, data.parent, len(data.coords[level])
    )
    effect = group_effect(
        f"eta_{level}",
        eta,
        tau,
        dims=level,
        estimate=estimate,
        standard_error=standard_error,
        parameterisation=parameterisation,
    )
    pm.Deterministic(f"mu_{level}", pm.math.invlogit(effect), dims=level)
    return effect


def school_effect(
    eta: TensorLike,
    tau_school: TensorLike,
    raw: RawEstimates,
    parameterisation: Parameterisation,
) -> TensorVariable:
    """Add eta_school ~ N(eta, tau_school) and return mu_school = expit(eta_school)."""
    eta_school = group_effect(
        "eta_school",
        eta,
        tau_school,
        dims="school",
        estimate=raw.eta,
        standard_error=raw.eta_se,
        parameterisation=parameterisation,
    )
    return pm.Deterministic("mu_school", pm.math.invlogit(eta_school), dims="school")


def school_nu(
    nu: TensorLike,
    tau_nu: TensorLike,
    raw: RawEstimates,
    parameterisation: Parameterisation,
) -> TensorVariable:
    """Add log nu_school ~ N(log nu, tau_nu) and return nu_school."""
    log_nu_school = group_effect(
        "log_nu_school",
        pt.log(nu),
        tau_nu,
        dims="school",
        estimate=raw.log_nu,
        standard_error=raw.log_nu_se,
        parameterisation=parameterisation,
    )
    return pm.Deterministic("nu_school", pt.exp(log_nu_school), dims="school")
