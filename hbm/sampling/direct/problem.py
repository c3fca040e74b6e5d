"""What is to be drawn from: a model of this package, as numbers.

A model qualifies if its variables are those, and only those, that the equations of
:mod:`hbm.hierarchy.logit_normal` add; priors are those it was made with.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pymc as pm
from numpy.typing import NDArray
from scipy.special import erfcinv, erfinv, ndtr

from hbm.hierarchy.description import Description
from hbm.hierarchy.model import description_of
from hbm.hierarchy.recipes import recipe_of
from hbm.sampling.direct.coefficients import conditional
from hbm.students.law import RawEstimates

__all__ = ["Problem", "half_normal", "known", "log_likelihood_of", "read_plain", "read_problem"]

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Problem:
    """A hierarchy of pairs of effects, given a few numbers at the top.

    Attributes
    ----------
    d : Description
        What the model is.
    top_mean, top_sd : float
        Prior of the grand mean; an sd of 0 fixes it.
    scales : numpy.ndarray, shape (n_levels,)
        Scales of the half-normal priors of tau, from the top down; or the taus, if `fixed`.
    log_nu_mean, log_nu_sd, tau_nu : float
        Prior of log nu, and the scale of that of tau_nu; or their values.
    excess_sd : float
        Scale of the half-normal prior of the excess, 0 where the design effect is known.
    beta_sd, gamma_sd : float
        Sds of the priors of the coefficients of predictors, by contrast, if there are any.
    fixed : bool
        Whether nothing is learned at the top: no pooling.

    Notes
    -----
    θ is what all groups share: the tau of each level from the top down, log nu, tau_nu and the
    excess, n_levels + 3 numbers; then, if there are predictors, beta and gamma by contrast. With x
    what is known of a member and of all it stands in, effects less x · beta vary around their
    parent's less its own as they would without predictors. So above the groups all effects are
    taken less that, and groups alone are moved: by x · beta, and the middle of their log nu by
    x · gamma.
    """

    d: Description
    top_mean: float
    top_sd: float
    scales: Floats
    log_nu_mean: float
    log_nu_sd: float
    tau_nu: float
    excess_sd: float
    beta_sd: float = 0.0
    gamma_sd: float = 0.0
    fixed: bool = False

    @property
    def n_levels(self) -> int:
        """Number of levels with effects."""
        return len(self.scales)

    @property
    def n_top(self) -> int:
        """Number of coordinates at the top: of θ, without an excess that is known."""
        if self.fixed:
            return 0
        return self.n_joint + 2 * self.n_contrasts

    @property
    def n_joint(self) -> int:
        """How many of these, the first ones, hang on each other: all but the coefficients."""
        return 0 if self.fixed else self.n_levels + 2 + (self.excess_sd > 0)

    @property
    def n_contrasts(self) -> int:
        """Number of coefficients of predictors that are free, of each of beta and gamma."""
        return self.x[-1].shape[1]

    @property
    def known_excess(self) -> float:
        """The excess, where it is known."""
        return 0.0 if self.d.design_effect is None else float(self.d.design_effect) - 1

    def thetas(self, z: Floats) -> Floats:
        """Return θ of coordinates: a row each.

        Their prior is standard Normal, but for coefficients of predictors, about which
        :mod:`hbm.sampling.direct.coefficients` knows more.
        """
        return self.thetas_and_prior(z)[0]

    def thetas_and_prior(self, z: Floats) -> tuple[Floats, Floats]:
        """Return θ of coordinates, and the log prior density of these."""
        theta, n, c = self.shared(z), self.n_joint, self.n_contrasts
        prior = -(z[:, :n] ** 2).sum(axis=1) / 2 - self.n_top * np.log(2 * np.pi) / 2
        if not c:
            return theta, prior
        mean, root, log_det = conditional(self, theta)
        both = mean + (root @ z[:, n:].reshape(-1, 2, c, 1))[..., 0]
        sds = np.array([[self.beta_sd], [self.gamma_sd]])
        prior += log_det - ((both / sds) ** 2).sum(axis=(1, 2)) / 2 - c * np.log(sds).sum()
        return np.column_stack([theta, both.reshape(-1, 2 * c)]), prior

    def shared(self, z: Floats) -> Floats:
        """Return θ of coordinates without coefficients of predictors: (n, n_levels + 3)."""
        k = self.n_levels
        theta = np.empty((len(z), k + 3))
        if self.fixed:
            theta[:] = [*self.scales, self.log_nu_mean, self.tau_nu, self.known_excess]
            return theta
        theta[:, :k] = self.scales * half_normal(z[:, :k])
        theta[:, k] = self.log_nu_mean + self.log_nu_sd * z[:, k]
        theta[:, k + 1] = self.tau_nu * half_normal(z[:, k + 1])
        theta[:, k + 2] = self.known_excess
        if self.excess_sd > 0:
            theta[:, k + 2] = self.excess_sd * half_normal(z[:, k + 2])
        return theta

    def moved(self, thetas: Floats) -> tuple[Floats, Floats]:
        """Return by how much predictors move groups, and the middles of log nu: (n, n_groups)."""
        k = self.n_levels
        beta, gamma = np.split(thetas[:, k + 3 :], 2, axis=1)
        return beta @ self.x[-1].T, thetas[:, k : k + 1] + gamma @ self.x[-1].T

    @cached_property
    def raw(self) -> RawEstimates:
        """What the raw table says of each group by itself."""
        d = self.d
        return d.law.raw_estimates(d.n, d.mean, d.sd, np.exp(self.log_nu_mean))

    @cached_property
    def x(self) -> list[Floats]:
        """What is known of the members of each level and of all they stand in, by contrast."""
        return known(self.d)

    @cached_property
    def tree(self) -> tuple[Any, ...]:
        """Parents and levels of the nodes above the groups, the groups' parents, and the top."""
        parents, levels, begin = [-1], [-1], 0
        for i, level in enumerate(self.d.levels[:-1]):
            above = begin
            begin = len(parents)
            own = np.zeros(len(level.labels), int) if i == 0 else above + level.parent
            parents += own.tolist()
            levels += [i] * len(own)
        last = self.d.levels[-1]
        n_groups = len(last.labels)
        parent = np.zeros(n_groups, int) if last.parent is None else begin + last.parent
        if self.n_levels == 1:
            parent = np.zeros(n_groups, int)
        return (
            np.array(parents, dtype=np.int64),
            np.array(levels, dtype=np.int64),
            parent.astype(np.int64),
            float(self.top_mean),
            float(self.top_sd),
        )

    @cached_property
    def log_lik(self) -> Callable[[Any, Floats, Floats, Any], Floats]:
        """The log density of what was seen of groups, at their positions, eta, log nu, excess."""
        return log_likelihood_of(self.d)

    @cached_property
    def untold(self) -> NDArray[np.bool_]:
        """The groups of which nothing was seen but one mean, or one individual.

        What it says of eta hangs on log nu and the excess by one number: the nu of one individual
        who varies as the mean does.
        """
        d = self.d
        return (d.n == 1) | (d.means_only | np.isnan(d.sd) if d.value is None else False)

    def log_lik_of_mean(self, i: Any, eta: Floats, log_size: Floats) -> Floats:
        """Return the log density of the means of groups, at positions, eta, and that log nu."""
        d = self.d
        mean = d.law.published(d.mean, d.sd, d.n)[0][i] if d.value is None else d.mean[i]
        return d.law.mean_logp(mean, 1.0, d.law.mean_of(eta), np.exp(log_size))


def known(d: Description) -> list[Floats]:
    """Return the predictors of members and of all they stand in: (n_members, n_contrasts) each."""
    found: list[Floats] = []
    for level in d.levels:
        n = len(level.labels)
        if d.predictors is None:
            found.append(np.zeros((n, 0)))
            continue
        x = np.zeros((n, len(d.predictors.labels)))
        x += d.predictors.x.get(level.name, 0.0)
        above = found[-1][level.parent] if level.parent is not None else 0.0
        found.append(x @ d.predictors.contrasts + above)
    return found


def half_normal(z: Floats) -> Floats:
    """Return the quantile of the standard half-normal law at Φ(z): 37 at the most."""
    return np.sqrt(2) * np.where(z < 0, erfinv(ndtr(z)), erfcinv(np.maximum(ndtr(-z), 1e-300)))


def read_problem(model: pm.Model) -> Problem | str:
    """Read a model, or say why independent draws cannot be made of it.

    Parameters
    ----------
    model : pymc.Model
        Any model.

    Returns
    -------
    Problem or str

    Examples
    --------
    >>> import hbm, pymc as pm
    >>> table = hbm.simulate.exams([2, 1], [5, 8, 40], random_seed=1)[0]
    >>> read_problem(hbm.exams.nested(table)).n_top
    5
    >>> read_problem(pm.Model())
    'it is no model of hbm.heights, hbm.scores or hbm.exams'
    """
    plain = read_plain(model)
    if isinstance(plain, str):
        return plain
    d, priors, free = plain
    if not d.law.spread_varies:
        return "its groups share one spread"
    own = [d.effect(level.name) for level in d.levels]
    taus = [f"tau_{level.name}" for level in d.levels]
    spread, log_spread = d.law.spread, f"log_{d.spread_name}"
    learned = ["design_effect"] if d.design_effect is None else []
    moved = [] if d.predictors is None else ["beta_contrast", "gamma_contrast"]
    pooled = {d.effect(), *taus, spread, f"tau_{spread}", *learned, *moved, *own, log_spread}
    at_top: dict[str, Any] = {
        "d": d,
        "top_mean": float(priors.eta_mean),
        "log_nu_mean": float(np.log(priors.nu_median)),
    }
    if free == pooled:
        above = [priors.tau_of(level.name) for level in d.levels[:-1]]
        return Problem(
            top_sd=float(priors.eta_sd),
            scales=np.array([*above, priors.tau_school], dtype=float),
            log_nu_sd=float(priors.nu_log_sd),
            tau_nu=float(priors.tau_nu),
            excess_sd=float(priors.design_effect_sd) if learned else 0.0,
            beta_sd=float(priors.beta_sd),
            gamma_sd=float(priors.gamma_sd),
            **at_top,
        )
    if free == {own[-1], log_spread} and len(d.levels) == 1:
        return Problem(
            top_sd=0.0,
            scales=np.array([priors.no_pooling_sd], dtype=float),
            log_nu_sd=0.0,
            tau_nu=float(priors.nu_log_sd),
            excess_sd=0.0,
            fixed=True,
            **at_top,
        )
    return "it learns something else than effects of nested groups"


def read_plain(model: pm.Model) -> tuple[Description, Any, set[str]] | str:
    """Return a model's description, its priors and the names of what it learns.

    Or say why these do not tell all: that it is another model, or that something was added to it.
    """
    d = description_of(model)
    try:
        priors = recipe_of(model).arguments.get("priors")
    except ValueError:
        priors = None
    if d is None or not d.effects or priors is None:
        return "it is no model of hbm.heights, hbm.scores or hbm.exams"
    if d.panel:
        return "its groups have results of several years"
    derived = {"beta", "gamma"} if d.predictors is not None else set()
    derived |= {"mu", d.mean_name, d.spread_name, *(f"mu_{level.name}" for level in d.levels)}
    if (
        model.potentials
        or {variable.name for variable in model.observed_RVs} != {d.observed}
        or not {variable.name for variable in model.deterministics} <= derived
    ):
        return "something was added to the model"
    return d, priors, {variable.name for variable in model.free_RVs}


def log_likelihood_of(d: Description) -> Callable[[Any, Floats, Floats, Any], Floats]:
    """Return the log density of what was seen of groups, by position, eta, log nu and excess."""
    law = d.law

    def of_effects(eta, x):
        return law.mean_of(eta), np.exp(np.clip(x, -20, 20))

    if d.value is not None:
        sums = law.sums(d.value, d.index, len(d.n))

        def of_individuals(i, eta, x, _):
            mu, nu = of_effects(eta, x)
            return law.sums_logp([a[i] for a in sums], mu, nu)

        return of_individuals
    mean, sd = law.published(d.mean, d.sd, d.n)
    sd = np.where(np.isnan(d.sd) | d.means_only, np.nan, sd)
    n = d.n.astype(float)

    def of_summaries(i, eta, x, excess):
        mu, nu = of_effects(eta, x)
        return law.summary_logp(mean[i], sd[i], n[i], mu, nu, excess)

    return of_summaries
