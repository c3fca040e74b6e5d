"""Models without grids: Normal groups, and groups that are all one.

Of Normal groups that share one sd all effects have closed forms given tau and sigma, and so have
the coefficients of predictors: these two alone are drawn by importance sampling, as of
meta-analyses by Röver (2020, bayesmeta). Where all groups are one there are no effects, and eta and
log nu are all there is.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pymc as pm
from numpy.typing import NDArray

from hbm.hierarchy.description import Description
from hbm.sampling.direct.problem import half_normal, known, log_likelihood_of, read_plain

__all__ = ["Closed", "read_closed"]

Floats = NDArray[np.float64]

_BLOCK = 200_000  # numbers worked on at a time


@dataclass(frozen=True, eq=False)
class Closed:
    """A model whose effects, if it has some, have closed forms given a few numbers.

    Attributes
    ----------
    n_top : int
        How many numbers these are, in coordinates in which their prior is standard Normal.
    n_groups : int
        Number of groups.
    log_likelihood : callable
        Of points (n, n_top), all effects summed out.
    values : callable
        Of points and a source of random numbers: draws of all variables by name.
    """

    n_top: int
    n_groups: int
    log_likelihood: Callable[[Floats], Floats]
    values: Callable[[Floats, np.random.Generator], dict[str, Any]]

    def log_density(self, z: Floats) -> Floats:
        """Return log p(data, z)."""
        length = max(1, _BLOCK // self.n_groups)
        blocks = [self.log_likelihood(z[i : i + length]) for i in range(0, len(z), length)]
        return np.concatenate(blocks) - (z**2).sum(axis=1) / 2 - self.n_top * np.log(2 * np.pi) / 2


def read_closed(model: pm.Model) -> Closed | str:
    """Read a model, or say why it is not one of these."""
    plain = read_plain(model)
    if isinstance(plain, str):
        return plain
    d, priors, free = plain
    if d.law.spread_varies:
        if free == {d.effect(), d.law.spread}:
            return _as_one(d, priors)
        return "its groups have effects on a scale without closed forms"
    own, tau = d.effect(d.group), f"tau_{d.group}"
    moved = {"beta_contrast"} if d.predictors is not None else set()
    if len(d.levels) == 1 and free in (
        {d.law.effect, tau, own, d.law.spread, *moved},
        {own, d.law.spread},
        {d.law.effect, d.law.spread},
    ):
        return _normal(d, priors, pooled=tau in free, alone=d.law.effect not in free)
    return "it learns something else than effects of groups"


def _as_one(d: Description, priors: Any) -> Closed:
    log_lik, groups = log_likelihood_of(d), np.arange(len(d.n))
    excess = 0.0 if d.design_effect is None else d.design_effect - 1.0

    def effects(z):
        eta = priors.eta_mean + priors.eta_sd * z[:, 0]
        return eta, np.log(priors.nu_median) + priors.nu_log_sd * z[:, 1]

    def log_likelihood(z):
        eta, x = effects(z)
        return log_lik(groups, eta[:, None], x[:, None], excess).sum(axis=1)

    def values(z, _):
        eta, x = effects(z)
        mu, nu = d.law.mean_of(eta), np.exp(x)
        of_groups = {d.mean_name: mu, d.spread_name: nu}
        return {"eta": eta, "mu": mu, "nu": nu} | {
            name: np.repeat(x[:, None], len(groups), axis=1) for name, x in of_groups.items()
        }

    return Closed(2, len(groups), log_likelihood, values)


def _normal(d: Description, priors: Any, *, pooled: bool, alone: bool) -> Closed:
    """Of group means N(mean, s²/n) around effects N(mu, tau), with mu ~ N(mu_mean, mu_sd).

    With w = 1/(tau² + s²/n), what groups say of mu has the precision Σw, and the means have the
    density Π √w exp(−w (mean − mu)²/2), whose integral over mu is that of a Normal. Predictors
    take x · beta, beta ~ N(0, beta_sd), off the means. With mu summed out what is left is a
    regression of the means on x, both around what they say of mu, and the integral over beta is
    that of a Normal in its turn.
    """
    law = d.law
    mean, sd = law.published(d.mean, d.sd, d.n)
    sd = np.where(np.isnan(d.sd), np.nan, sd)
    n = d.n.astype(float)
    excess = 0.0 if d.value is not None or d.design_effect is None else d.design_effect - 1.0
    sums = None if d.value is None else law.sums(d.value, d.index, len(n))
    # Around the middle of the data, for no digits to be lost.
    origin = float(np.average(mean, weights=n))
    y, prior_mean = mean - origin, priors.mu_mean - origin
    prior_sd = 0.0 if alone else priors.mu_sd
    x = known(d)[-1]
    n_contrasts = x.shape[1]

    def top(z):
        sigma = priors.sigma * half_normal(z[:, -1:])
        tau = np.zeros_like(sigma)
        if pooled:
            tau = priors.tau_country * half_normal(z[:, :1])
        elif alone:
            tau = np.full_like(sigma, priors.no_pooling_sd)
        return tau, sigma, law.mean_variance(n, mean, sigma, excess)

    def of_mu(tau, v):
        """Return the weights, and the mean and the precision of mu given tau and sigma."""
        w = 1 / (tau**2 + v)
        if alone:
            return w, np.full(len(w), prior_mean), np.full(len(w), np.inf)
        precision = w.sum(axis=1) + 1 / prior_sd**2
        return w, (w @ y + prior_mean / prior_sd**2) / precision, precision

    def of_beta(w, centre, precision):
        """Return what predictors say of mu, and mean and precision of beta given tau and sigma."""
        says = (w @ x) / precision[:, None]
        away = x - says[:, None]
        weighted = np.swapaxes(away, 1, 2) * w[:, None]
        of_prior = says[:, :, None] * says[:, None] / prior_sd**2
        whole = weighted @ away + of_prior + np.eye(n_contrasts) / priors.beta_sd**2
        pull = (weighted @ (y - centre[:, None])[..., None])[..., 0]
        pull += says * (centre - prior_mean)[:, None] / prior_sd**2
        return says, np.linalg.solve(whole, pull[..., None])[..., 0], whole

    def log_likelihood(z):
        tau, sigma, v = top(z)
        if sums is not None:
            at_mean = law.sums_logp([a[None] for a in sums], mean, sigma)
        else:
            at_mean = law.summary_logp(mean, sd, n, mean, sigma, excess)
        w, centre, precision = of_mu(tau, v)
        result = (at_mean + np.log(v * w) / 2).sum(axis=1)
        result -= (w * (y - centre[:, None]) ** 2).sum(axis=1) / 2
        if not alone:
            result -= ((centre - prior_mean) / prior_sd) ** 2 / 2
            result -= np.log(precision * prior_sd**2) / 2
        if n_contrasts:
            _, beta, whole = of_beta(w, centre, precision)
            result += np.einsum("ni,nij,nj->n", beta, whole, beta) / 2
            result -= np.linalg.slogdet(whole * priors.beta_sd**2)[1] / 2
        return result

    def values(z, rng):
        tau, sigma, v = top(z)
        w, centre, precision = of_mu(tau, v)
        predicted, of_contrasts = 0.0, {}
        if n_contrasts:
            says, beta, whole = of_beta(w, centre, precision)
            half = np.linalg.inv(np.linalg.cholesky(whole))
            beta = beta + (rng.standard_normal((len(z), 1, n_contrasts)) @ half)[:, 0]
            centre = centre - (says * beta).sum(axis=1)
            predicted = beta @ x.T
            of_contrasts = {
                "beta_contrast": beta,
                "beta": beta @ d.predictors.contrasts.T,
            }
        mu = centre + rng.standard_normal(len(z)) / np.sqrt(precision)
        # As a step from mu: with tau = 0 it is mu.
        pulled = tau**2 / (tau**2 + v)
        around = mu[:, None] + predicted
        effect = around + pulled * (y - around)
        effect += np.sqrt(pulled * v) * rng.standard_normal(v.shape)
        return {
            law.effect: mu + origin,
            d.mean_name: effect + origin,
            f"tau_{d.group}": tau[:, 0],
            law.spread: sigma[:, 0],
        } | of_contrasts

    return Closed(2 if pooled else 1, len(n), log_likelihood, values)
