"""The equations of scores and exams: Beta groups whose effects are Normal on the logit scale.

Individuals of a group are Beta with mean mu_group = expit(eta_group) and sample size nu_group. The
models differ in what the effects eta_group are drawn from; how a table is read and what of it is
observed is for :mod:`hbm.scores` and :mod:`hbm.exams` to say.
"""

from typing import Any

import numpy as np
import pymc as pm
import pytensor.tensor as pt
from pytensor.tensor import TensorLike, TensorVariable

from hbm.hierarchy.coefficients import (
    carried,
    coefficients,
    followed,
    told_of_effects,
    told_of_spreads,
)
from hbm.hierarchy.conflict import warn_of_conflict
from hbm.hierarchy.description import Description
from hbm.hierarchy.effects import Raw, level_effect, raw_by_level, spread_effect
from hbm.hierarchy.half_normal import half_normal
from hbm.hierarchy.model import TableModel, table_data
from hbm.hierarchy.observation import observe
from hbm.hierarchy.parameterisation import Parameterisation, check_parameterisation
from hbm.hierarchy.priors import Priors

__all__ = ["alone", "as_one", "excess_of", "pooled"]


def as_one(d: Description, priors: Priors, parameterisation: Parameterisation) -> TableModel:
    """Build the model in which all groups are one: eta_group = eta and nu_group = nu."""
    check_parameterisation(parameterisation)
    with TableModel(d) as model:
        n = table_data(d)["n"]
        eta = pm.Normal("eta", priors.eta_mean, priors.eta_sd)
        nu = pm.LogNormal("nu", np.log(priors.nu_median), priors.nu_log_sd)
        mu = pm.Deterministic("mu", pm.math.invlogit(eta))
        mu_group = pm.Deterministic(d.mean_name, pt.full(n.shape, mu), dims=d.group)
        nu_group = pm.Deterministic(d.spread_name, pt.full(n.shape, nu), dims=d.group)
        pm.Data(f"tau_{d.group}", 0.0)
        pm.Data("tau_nu", 0.0)
        observe(d, mu_group, nu_group, excess_of(d, priors))
    warn_of_conflict(d, priors, "eta_sd")
    return model


def alone(d: Description, priors: Priors, parameterisation: Parameterisation) -> TableModel:
    """Build the model of each group by itself, with effects Normal around fixed numbers."""
    with TableModel(d) as model:
        table_data(d)
        eta = pm.Data("eta", priors.eta_mean)
        tau = pm.Data(f"tau_{d.group}", priors.no_pooling_sd)
        nu = pm.Data("nu", priors.nu_median)
        tau_nu = pm.Data("tau_nu", priors.nu_log_sd)
        raw, excess = raw_by_level(d, priors.nu_median), excess_of(d, priors)
        _groups(d, eta, tau, nu, tau_nu, excess, raw, parameterisation)
    warn_of_conflict(d, priors, "no_pooling_sd", "no_pooling_sd")
    return model


def pooled(d: Description, priors: Priors, parameterisation: Parameterisation) -> TableModel:
    """Build the model in which groups vary around what they stand in, level by level up to eta."""
    raw = raw_by_level(d, priors.nu_median)
    above, spreads = [level.name for level in d.levels[:-1]], raw[f"log_{d.spread_name}"]
    with TableModel(d) as model:
        table_data(d)
        eta = pm.Normal("eta", priors.eta_mean, priors.eta_sd)
        scales = zip(above, priors.taus_of(above, d.group), strict=True)
        taus = [pm.HalfNormal(f"tau_{level}", scale) for level, scale in scales]
        tau = pm.HalfNormal(f"tau_{d.group}", priors.tau_school)
        nu = pm.LogNormal("nu", np.log(priors.nu_median), priors.nu_log_sd)
        tau_nu = pm.HalfNormal("tau_nu", priors.tau_nu)
        excess = excess_of(d, priors)
        of_effects, of_spreads = told_of_effects(d, raw), told_of_spreads(d, *spreads)
        beta = coefficients(d, "beta", priors.beta_sd, parameterisation, eta, of_effects)
        gamma = coefficients(d, "gamma", priors.gamma_sd, parameterisation, pt.log(nu), of_spreads)
        pm.Deterministic("mu", pm.math.invlogit(eta))
        off = carried(d, raw)
        for level, tau_level in zip(above, taus, strict=True):
            shift = followed(d.effect(level), off.get(level), beta, level)
            eta = level_effect(
                d, level, eta, tau_level, raw, parameterisation, shift=shift, beta=beta
            )
        _groups(d, eta, tau, nu, tau_nu, excess, raw, parameterisation, beta, gamma)
    warn_of_conflict(d, priors, "eta_sd", "tau_school")
    return model


def excess_of(d: Description, priors: Priors) -> Any:
    """Return the design effect less 1: known, or learned, design_effect ~ N(1, its sd) above 1."""
    if d.design_effect is not None:
        return d.design_effect - 1.0
    return half_normal("design_effect", 1, priors.design_effect_sd) - 1


def _groups(
    d: Description,
    eta: TensorLike,
    tau: TensorLike,
    nu: TensorLike,
    tau_nu: TensorLike,
    excess: Any,
    raw: Raw,
    parameterisation: Parameterisation,
    beta: TensorVariable | None = None,
    gamma: TensorVariable | None = None,
) -> None:
    """Add eta_group ~ N(eta, tau), log nu_group ~ N(log nu, tau_nu), and what was seen.

    Where something is known of groups, beta and gamma move where these are centred.
    """
    n, sd = (pm.modelcontext(None)[name] for name in (d.size, "sd"))
    nu_group, widened = None, pt.sqrt(1.0 + excess)
    if d.sd_unknown.any():
        # How much such a mean says hangs on nu_group, which the data do not tell: coordinates that
        # took it for known would be too narrow for some of its values, and too wide for others.
        nu_group = spread_effect(d, nu, tau_nu, raw, parameterisation, gamma)
        taken = pt.exp(pm.modelcontext(None)[f"log_{d.spread_name}_raw"][0])
        unknown = pt.and_(n > 1, pt.eq(sd, 0))
        widened *= pt.where(unknown, pt.sqrt((taken + 1) / (nu_group + 1)), 1.0)
    level_effect(d, d.group, eta, tau, raw, parameterisation, widened, beta=beta)
    if nu_group is None:
        nu_group = spread_effect(d, nu, tau_nu, raw, parameterisation, gamma)
    observe(d, pm.modelcontext(None)[d.mean_name], nu_group, excess)
