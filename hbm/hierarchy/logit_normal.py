"""The equations of scores and exams: Beta groups whose effects are Normal on the logit scale.

Individuals of a group are Beta with mean mu_group = expit(eta_group) and sample size nu_group. The
models differ in what the effects eta_group are drawn from; how a table is read and what of it is
observed is for :mod:`hbm.scores` and :mod:`hbm.exams` to say.
"""

import numpy as np
import pymc as pm
import pytensor.tensor as pt
from pytensor.tensor import TensorLike

from hbm.hierarchy.conflict import warn_of_conflict
from hbm.hierarchy.description import Description
from hbm.hierarchy.effects import Raw, level_effect, raw_by_level, spread_effect
from hbm.hierarchy.model import TableModel, table_data
from hbm.hierarchy.observation import observe
from hbm.hierarchy.parameterisation import Parameterisation, check_parameterisation
from hbm.hierarchy.priors import Priors

__all__ = ["alone", "as_one", "pooled"]


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
        observe(d, mu_group, nu_group)
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
        _groups(d, eta, tau, nu, tau_nu, raw_by_level(d, priors.nu_median), parameterisation)
    warn_of_conflict(d, priors, "no_pooling_sd", "no_pooling_sd")
    return model


def pooled(d: Description, priors: Priors, parameterisation: Parameterisation) -> TableModel:
    """Build the model in which groups vary around what they stand in, level by level up to eta."""
    raw = raw_by_level(d, priors.nu_median)
    above = [level.name for level in d.levels[:-1]]
    with TableModel(d) as model:
        table_data(d)
        eta = pm.Normal("eta", priors.eta_mean, priors.eta_sd)
        taus = [pm.HalfNormal(f"tau_{level}", priors.tau_of(level)) for level in above]
        tau = pm.HalfNormal(f"tau_{d.group}", priors.tau_school)
        nu = pm.LogNormal("nu", np.log(priors.nu_median), priors.nu_log_sd)
        tau_nu = pm.HalfNormal("tau_nu", priors.tau_nu)
        pm.Deterministic("mu", pm.math.invlogit(eta))
        for level, tau_level in zip(above, taus, strict=True):
            eta = level_effect(d, level, eta, tau_level, raw, parameterisation)
        _groups(d, eta, tau, nu, tau_nu, raw, parameterisation)
    warn_of_conflict(d, priors, "eta_sd", "tau_school")
    return model


def _groups(
    d: Description,
    eta: TensorLike,
    tau: TensorLike,
    nu: TensorLike,
    tau_nu: TensorLike,
    raw: Raw,
    parameterisation: Parameterisation,
) -> None:
    """Add eta_group ~ N(eta, tau), log nu_group ~ N(log nu, tau_nu), and what was seen."""
    n, sd = (pm.modelcontext(None)[name] for name in (d.size, "sd"))
    nu_group, widened = None, 1.0
    if d.sd_unknown.any():
        # How much such a mean says hangs on nu_group, which the data do not tell: coordinates that
        # took it for known would be too narrow for some of its values, and too wide for others.
        nu_group = spread_effect(d, nu, tau_nu, raw, parameterisation)
        taken = pt.exp(pm.modelcontext(None)[f"log_{d.spread_name}_raw"][0])
        unknown = pt.and_(n > 1, pt.eq(sd, 0))
        widened = pt.where(unknown, pt.sqrt((taken + 1) / (nu_group + 1)), 1.0)
    level_effect(d, d.group, eta, tau, raw, parameterisation, widened)
    if nu_group is None:
        nu_group = spread_effect(d, nu, tau_nu, raw, parameterisation)
    observe(d, pm.modelcontext(None)[d.mean_name], nu_group)
