"""A fit read as a hierarchy: the same few quantities whatever the model.

All models of heights, scores and exams are one Normal hierarchy of group effects. Where a model
learns a quantity, the fit has its draws in ``posterior``; where it fixes one, in ``constant_data``:
complete pooling is the hierarchy with between-group sds of 0, no pooling the one with a known
population. What uses a fit after sampling can so go by the hierarchy and not by the model.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import pymc as pm
import xarray as xr
from scipy.special import expit, logit

from hbm.sampling.posterior import check_fit
from hbm.students.likelihoods import beta_mean_logp, beta_students_logp, beta_summary_logp

__all__ = ["Evidence", "Hierarchy", "read_hierarchy"]

# Name of the observed variable: its group, the individual where these are observed one by one, and
# whether they are proportions, Beta in their groups, or Normal.
_OBSERVED = {
    "exam": ("school", None, True),
    "exam_mean": ("school", None, True),
    "score": ("school", "student", True),
    "summary": ("country", None, False),
    "height": ("country", "person", False),
}


class Evidence(NamedTuple):
    """What was seen of one group of proportions.

    Attributes
    ----------
    log_lik : callable
        Takes eta and log nu, which broadcast, and returns the log density of what was seen.
    eta, eta_se : float
        Rough estimate of eta from the group alone, and its standard error.
    log_nu : float
        Rough estimate of log nu; NaN where the group says nothing of it.
    """

    log_lik: Callable[[Any, Any], np.ndarray]
    eta: float
    eta_se: float
    log_nu: float


@dataclass(frozen=True)
class Hierarchy:
    """A fit, with one name for each part of its hierarchy.

    Attributes
    ----------
    fit : xarray.DataTree
        The fit.
    observed : str
        Name of the observed variable.
    group, parent, individual : str or None
        Dims: ``"school"`` or ``"country"``; ``"authority"`` or ``"district"`` where nested;
        ``"student"`` or ``"person"`` where these were observed one by one.
    proportions : bool
        Whether individuals are Beta, with eta and log nu as a group's effects, or Normal.
    n : numpy.ndarray, shape (n_groups,)
        Number of individuals.
    mean, sd : numpy.ndarray, shape (n_groups,)
        Their mean and standard deviation as observed; sd is 0 where n = 1 or it was not observed.
    value, index : numpy.ndarray, shape (n_individuals,), or None
        The individuals' results, and the position of each one's group.
    """

    fit: xr.DataTree
    observed: str
    group: str
    parent: str | None
    individual: str | None
    proportions: bool
    n: np.ndarray
    mean: np.ndarray
    sd: np.ndarray
    value: np.ndarray | None
    index: np.ndarray | None

    @property
    def units(self) -> list[str]:
        """What can be left out: individuals, groups, parents, as far as the fit has them."""
        return [dim for dim in (self.individual, self.group, self.parent) if dim is not None]

    @cached_property
    def labels(self) -> dict[str, np.ndarray]:
        """Labels of each unit, as text."""
        there = self.fit["posterior"].coords | self.fit["observed_data"].coords
        return {dim: np.array([str(x) for x in there[dim].values], object) for dim in self.units}

    @cached_property
    def positions(self) -> dict[str, dict[str, int]]:
        """Position of each label of each unit."""
        return {dim: {x: i for i, x in enumerate(labels)} for dim, labels in self.labels.items()}

    @cached_property
    def parent_of_group(self) -> np.ndarray | None:
        """Position of each group's parent."""
        if self.parent is None:
            return None
        return self._constant(f"{self.parent}_of_{self.group}").astype(int)

    def _constant(self, name: str) -> np.ndarray:
        return self.fit["constant_data"][name].to_numpy()

    def learned(self, name: str) -> bool:
        """Whether the model learns a quantity or fixes it."""
        return name in self.fit["posterior"].data_vars

    def draws(self, name: str) -> np.ndarray:
        """Return a quantity with its draws first: shape (n_draws, ...), or (1, ...) if fixed."""
        if not self.learned(name):
            return self._constant(name)[None].astype(float)
        values = self.fit["posterior"][name].transpose("chain", "draw", ...).to_numpy()
        return values.reshape(-1, *values.shape[2:])

    @property
    def n_draws(self) -> int:
        """Number of draws of all chains."""
        return self.fit["posterior"].sizes["chain"] * self.fit["posterior"].sizes["draw"]

    @property
    def grand_mean(self) -> np.ndarray:
        """Draws of the mean of the top of the hierarchy: eta, or mu of heights."""
        return self.draws("eta" if self.proportions else "mu")

    @property
    def parent_effect(self) -> np.ndarray:
        """Draws of the parents' effects, shape (n_draws, n_parents)."""
        return self.draws(f"eta_{self.parent}")

    @property
    def spread(self) -> list[np.ndarray]:
        """Draws of all that a new group of proportions is drawn with: tau, log nu and tau_nu."""
        return [self.draws(f"tau_{self.group}"), np.log(self.draws("nu")), self.draws("tau_nu")]

    def evidence(self, position: int | np.integer) -> Evidence:
        """Return what was seen of a group of proportions."""
        n, mean, sd = self.n[position], self.mean[position], self.sd[position]
        if self.observed == "score":
            return self.evidence_of(self.value[self.index == position])
        if self.observed == "exam_mean":
            return _evidence(lambda mu, nu: beta_mean_logp(mean, n, mu, nu), n, mean, 0.0)
        return _evidence(lambda mu, nu: beta_summary_logp(mean, sd, n, mu, nu), n, mean, sd)

    def evidence_of(self, scores: np.ndarray) -> Evidence:
        """Return what a group's scores say."""
        n, sums = len(scores), (np.log(scores).sum(), np.log1p(-scores).sum())
        return _evidence(
            lambda mu, nu: beta_students_logp(n, *sums, mu, nu),
            n,
            scores.mean(),
            scores.std(ddof=1) if n > 1 else 0.0,
        )


def _evidence(log_lik, n, mean, sd) -> Evidence:
    spread = mean * (1 - mean)
    nu = np.clip(spread / sd**2 - 1, 0.05, 5000) if sd > 0 else np.nan
    trials = n * (10 if np.isnan(nu) else np.clip(nu, 2, 50))
    mean = (mean * trials + 0.5) / (trials + 1)

    def of_effects(eta, log_nu):
        # The likelihoods themselves take nothing beyond these limits; here they spare overflows.
        return log_lik(expit(eta), np.exp(np.clip(log_nu, -20, 20)))

    return Evidence(
        of_effects, logit(mean), 1 / np.sqrt(mean * (1 - mean) * (trials + 1)), np.log(nu)
    )


def read_hierarchy(model: pm.Model, fit: xr.DataTree) -> Hierarchy:
    """Read a fit of one of the models of heights, scores and exams as a hierarchy.

    Parameters
    ----------
    model : pymc.Model
        The model of the fit.
    fit : xarray.DataTree
        Result of :func:`hbm.sample`.

    Returns
    -------
    Hierarchy

    Raises
    ------
    TypeError
        If `model` is not a PyMC model.
    ValueError
        If the fit is of another model, or the model is not one of these.

    Examples
    --------
    >>> import hbm
    >>> table = hbm.simulate.exams([2, 1], [5, 8, 40], random_seed=1)[0]
    >>> model = hbm.exams.nested(table)
    >>> prior = hbm.sample_prior_predictive(model, 10, random_seed=1)
    >>> fit = prior.assign(posterior=prior["prior"])
    >>> hierarchy = read_hierarchy(model, fit)
    >>> hierarchy.units, hierarchy.parent_effect.shape
    (['school', 'authority'], (10, 2))
    """
    check_fit(model, fit)
    for name in ("observed_data", "constant_data"):
        if name not in fit.children:
            raise ValueError(f"the fit has no group {name!r}; pass the result of hbm.sample")
    constant = fit["constant_data"].to_dataset()
    observed = ", ".join(rv.name for rv in model.observed_RVs)
    group, individual, proportions = _OBSERVED.get(observed, ("group", None, False))
    size = "n_students" if proportions else "n_people"
    if observed not in _OBSERVED or not {size, "mean", "sd"} <= set(constant.data_vars):
        raise ValueError(
            "this works on the models of hbm.heights, hbm.scores and hbm.exams, and the model "
            f"given, which observes {observed or 'nothing'}, is not one of them"
        )
    parents = [
        str(name).removesuffix(f"_of_{group}")
        for name in constant.data_vars
        if str(name).endswith(f"_of_{group}")
    ]
    values = fit["observed_data"][observed].to_numpy()
    value = index = None
    mean, sd = constant["mean"].to_numpy(), constant["sd"].to_numpy()
    if individual is not None:
        value = values
        rv = model[observed]
        index = rv.owner.op.dist_params(rv.owner)[-1].eval().astype(int)
    elif observed == "exam_mean":
        mean, sd = values, np.zeros(len(values))
    else:
        mean, sd = values[:, 0], values[:, 1]
    return Hierarchy(
        fit=fit,
        observed=observed,
        group=group,
        parent=parents[0] if parents else None,
        individual=individual,
        proportions=proportions,
        n=constant[size].to_numpy(),
        mean=mean,
        sd=sd,
        value=value,
        index=index,
    )
