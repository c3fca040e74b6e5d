"""Priors of the models of scores and of exams, and the checks of any model's priors."""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import expit

from hbm.tables.words import plural

__all__ = ["Priors", "check_priors"]


@dataclass(frozen=True)
class Priors:
    """Priors of the models of scores and of exams; in logits unless said otherwise.

    Attributes
    ----------
    eta_mean, eta_sd : float, default 1.1 and 1
        Normal prior of the grand mean. 1.1 is the logit of 0.75, the article's mean mark; with an
        sd of 1 the grand mean lies between 0.30 and 0.96 with probability 95 %.
    tau_parent : float or mapping of str to float, default 0.5
        Scale of the half-normal priors of the standard deviations between districts or
        authorities, and between the members of any level above them; a mapping gives each level
        its own, by name.
    tau_school : float, default 0.5
        Scale of that between the schools of one (or all schools, where they are not nested).
    tau_year : float, default 0.3
        Scale of that of the effects of years, of a panel.
    nu_median, nu_log_sd : float, default 10 and 1
        Median, and standard deviation on the log scale, of the log-normal prior of the sample size
        nu of a school in the middle. 10 is the article's; at a mean of 0.65 the students' standard
        deviation then lies between 6 and 31 points of a hundred with probability 95 %.
    tau_nu : float, default 0.5
        Scale of the half-normal prior of the standard deviation of log nu between schools.
    design_effect_sd : float, default 1
        Of exams whose design effect is learned: it is Normal around 1 with this sd, above 1. By
        default it lies below 1.7 with probability 50 % and below 3 with probability 95 %: the
        means of a school's cohorts vary by up to √3 = 1.7 times what independent students give.
    beta_sd : float, default 0.3
        Sd of the Normal priors of the coefficients of predictors: of one sd of a number (so of
        some three times as many students, for ``log_n_students``), of true against false, and,
        about, of a category. At a mean of 0.65 a step of 0.1 logits is 2.3 points of a hundred, and
        one of 0.3 is 7. Where an sd is threefold, ten times the students are two such steps: the
        prior of what these do to a school's mean has an sd of some 13 points.
    gamma_sd : float, default 0.3
        The same for log nu, which a step of gamma multiplies by e^gamma. At a mean of 0.65 and
        a nu of 6 the students' standard deviation of 18.0 points becomes 15.8 with a step of 0.3,
        and 20.4 with one of −0.3; ten times the students, at one prior sd, make it 14 or 23.
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
    tau_parent: float | Mapping[str, float] = 0.5
    tau_school: float = 0.5
    tau_year: float = 0.3
    nu_median: float = 10.0
    nu_log_sd: float = 1.0
    tau_nu: float = 0.5
    design_effect_sd: float = 1.0
    beta_sd: float = 0.3
    gamma_sd: float = 0.3
    no_pooling_sd: float = 1.5

    def __post_init__(self) -> None:
        """Refuse numbers that make no prior."""
        check_priors(
            self,
            positive=(
                "eta_sd",
                "tau_parent",
                "tau_school",
                "tau_year",
                "nu_median",
                "nu_log_sd",
                "tau_nu",
                "design_effect_sd",
                "beta_sd",
                "gamma_sd",
                "no_pooling_sd",
            ),
        )

    def tau_of(self, level: str) -> float:
        """Return the scale of the prior of the standard deviation of a level above the groups.

        Parameters
        ----------
        level : str
            Name of the level.

        Returns
        -------
        float

        Raises
        ------
        ValueError
            If scales are given by level, and not for this one.

        Examples
        --------
        >>> Priors(tau_parent={"authority": 0.3, "zone": 0.2}).tau_of("zone")
        0.2
        """
        if not isinstance(self.tau_parent, Mapping):
            return self.tau_parent
        if level not in self.tau_parent:
            raise ValueError(
                f"tau_parent of the priors has no scale for {level!r}; it has: "
                f"{', '.join(map(repr, self.tau_parent))}"
            )
        return self.tau_parent[level]

    def taus_of(self, levels: Sequence[str], group: str) -> list[float]:
        """Return :meth:`tau_of` each level of a model of groups, which has these and no others.

        Parameters
        ----------
        levels : sequence of str
            What the groups stand in.
        group : str
            What a group is called.

        Returns
        -------
        list of float

        Raises
        ------
        ValueError
            If scales are given by level, and not for these alone.

        Examples
        --------
        >>> priors = Priors(tau_parent={"authority": 0.3, "zone": 0.2})
        >>> priors.taus_of(["authority", "zone"], "school")
        [0.3, 0.2]
        """
        given = self.tau_parent if isinstance(self.tau_parent, Mapping) else {}
        others = [level for level in given if level not in levels]
        if others:
            raise ValueError(
                f"tau_parent of the priors names {', '.join(map(repr, others))}, and the levels "
                f"that the {plural(group)} of this model stand in are: "
                f"{', '.join(map(repr, levels)) or 'none'}"
            )
        return [self.tau_of(level) for level in levels]

    def draw(
        self, random_seed: int | np.random.Generator | None = None, *, panel: bool = False
    ) -> dict[str, float]:
        """Draw the parameters of the nested models, as :func:`hbm.simulate.exams` takes them.

        Parameters
        ----------
        random_seed : int or numpy.random.Generator, optional
            The same seed gives the same parameters.
        panel : bool, default False
            Whether to draw those of a panel too, as :func:`hbm.simulate.exam_panel` takes them.

        Returns
        -------
        dict of str to float
            ``mu`` (a proportion), ``tau_authority``, ``tau_school``, ``nu``, ``tau_nu`` and
            ``design_effect``. For schools of one population set ``tau_authority`` to 0, for
            independent students ``design_effect`` to 1. Of a panel also ``tau_year`` and
            ``persistence``.

        Examples
        --------
        >>> import hbm
        >>> parameters = hbm.exams.Priors().draw(random_seed=1)
        >>> table, students, truth = hbm.simulate.exams([2, 1], 12, **parameters, random_seed=1)
        """
        rng = np.random.default_rng(random_seed)
        drawn = {
            "mu": float(expit(rng.normal(self.eta_mean, self.eta_sd))),
            "tau_authority": abs(rng.normal(0, self.tau_of("authority"))),
            "tau_school": abs(rng.normal(0, self.tau_school)),
            "nu": float(self.nu_median * np.exp(rng.normal(0, self.nu_log_sd))),
            "tau_nu": abs(rng.normal(0, self.tau_nu)),
            "design_effect": 1 + abs(rng.normal(0, self.design_effect_sd)),
        }
        if panel:
            drawn["tau_year"] = abs(rng.normal(0, self.tau_year))
            drawn["persistence"] = rng.uniform()
        return drawn


def check_priors(priors: Any, *, positive: Sequence[str]) -> None:
    """Raise unless the fields of priors are finite numbers, and some of them positive.

    Parameters
    ----------
    priors : dataclass
        Its fields are numbers.
    positive : sequence of str
        Fields that must be above 0.

    Raises
    ------
    TypeError
        If a field is no number.
    ValueError
        If a field is out of range.

    Examples
    --------
    >>> import hbm
    >>> hbm.exams.Priors(tau_school=-0.5)
    Traceback (most recent call last):
        ...
    ValueError: tau_school of the priors must be a positive number, got -0.5
    """
    for field in dataclasses.fields(priors):
        given = getattr(priors, field.name)
        by_level = isinstance(given, Mapping) and "Mapping" in str(field.type)
        for key, value in given.items() if by_level else [("", given)]:
            name = f"{field.name}[{key!r}]" if by_level else field.name
            if isinstance(value, bool) or not isinstance(value, int | float | np.number):
                raise TypeError(f"{name} of the priors must be a number, got {value!r}")
            if field.name in positive and not (0 < value < math.inf):
                raise ValueError(f"{name} of the priors must be a positive number, got {value!r}")
            if not math.isfinite(value):
                raise ValueError(f"{name} of the priors must be a finite number, got {value!r}")
