"""The equations of a panel: Beta groups over several years, each a chain around its authority.

The effect of a school in a year is that of its authority, plus that of the year, plus a deviation
that remembers the year before (:mod:`hbm.hierarchy.chains`). What students of a school and year
have in common, and pass with it, is the design effect's.
"""

from typing import Any

import numpy as np
import pymc as pm
import pytensor.tensor as pt
from pytensor.tensor import TensorLike, TensorVariable

from hbm.hierarchy.chains import chain, gaps_of, informed_chain, sampled_as
from hbm.hierarchy.coefficients import coefficients, followed, moved, told_of_spreads
from hbm.hierarchy.conflict import warn_of_conflict
from hbm.hierarchy.description import Description
from hbm.hierarchy.effects import level_effect, spread_effect
from hbm.hierarchy.joint import joint_effect
from hbm.hierarchy.logit_normal import excess_of
from hbm.hierarchy.model import TableModel, table_data
from hbm.hierarchy.observation import observe
from hbm.hierarchy.panel_estimates import PanelEstimates, panel_estimates
from hbm.hierarchy.parameterisation import Parameterisation, check_parameterisation
from hbm.hierarchy.priors import Priors

__all__ = ["over_years"]


def over_years(d: Description, priors: Priors, parameterisation: Parameterisation) -> TableModel:
    """Build the model in which groups vary around what they stand in, and over the years."""
    check_parameterisation(parameterisation)
    raw = panel_estimates(d, priors.nu_median)
    above = [level.name for level in d.levels[:-1]]
    year = d.cells.name
    with TableModel(d) as model:
        data = table_data(d)
        eta = pm.Normal("eta", priors.eta_mean, priors.eta_sd)
        tau_year = pm.HalfNormal(f"tau_{year}", priors.tau_year)
        scales = zip(above, priors.taus_of(above, d.group), strict=True)
        taus = [pm.HalfNormal(f"tau_{level}", scale) for level, scale in scales]
        tau = pm.HalfNormal(f"tau_{d.group}", priors.tau_school)
        persistence = pm.Uniform("persistence", 0, 1)
        nu = pm.LogNormal("nu", np.log(priors.nu_median), priors.nu_log_sd)
        tau_nu = pm.HalfNormal("tau_nu", priors.tau_nu)
        excess = excess_of(d, priors)
        of_spreads = told_of_spreads(d, raw.log_spread, raw.log_spread_se)
        beta = coefficients(d, "beta", priors.beta_sd, parameterisation, eta, raw.told)
        gamma = coefficients(d, "gamma", priors.gamma_sd, parameterisation, pt.log(nu), of_spreads)
        pm.Deterministic("mu", pm.math.invlogit(eta))
        effect_year = _years(d, eta, tau_year, beta, raw, parameterisation)
        around: TensorLike = eta
        for level, tau_level in zip(above, taus, strict=True):
            estimate, standard_error, weights, off = raw.above[level]
            of_level = {d.effect(level): (estimate, standard_error)}
            shift = -pt.dot(
                pm.Data(f"{d.effect(level)}_weights", weights, dims=(level, year)), effect_year
            ) + followed(d.effect(level), off, beta, level)
            around = level_effect(
                d, level, around, tau_level, of_level, parameterisation, shift=shift, beta=beta
            )
        mean = _location(d, around) + effect_year[None, :] + moved(d, d.group, beta)
        eta_group = _chains(d, mean, persistence, tau, excess, raw, parameterisation)
        mu = pm.Deterministic(d.mean_name, d.law.mean_of(eta_group), dims=(d.group, year))
        spreads = {f"log_{d.spread_name}": (raw.log_spread, raw.log_spread_se)}
        nu_cell = spread_effect(d, nu, tau_nu, spreads, parameterisation, gamma)
        observe(d, mu[data[f"{d.group}_of_cell"], data[f"{year}_of_cell"]], nu_cell, excess)
    warn_of_conflict(d, priors, "eta_sd", "tau_school")
    return model


def _location(d: Description, around: TensorLike) -> TensorVariable:
    """Return what the chain of each group is around but for the years: shape (n_groups, 1)."""
    around = pt.as_tensor(around)
    if d.above(d.group) is None:
        return pt.full((len(d.levels[-1].labels), 1), around)
    return around[pm.modelcontext(None)[d.index_name(d.group)]][:, None]


def _years(
    d: Description,
    eta: TensorVariable,
    tau: TensorVariable,
    beta: TensorVariable | None,
    raw: PanelEstimates,
    parameterisation: Parameterisation,
) -> TensorVariable:
    """Add effect_year ~ N(0, tau_year)."""
    name = f"effect_{d.cells.name}"
    return joint_effect(
        name,
        tau,
        dims=d.cells.name,
        estimate=raw.year,
        standard_error=raw.year_se,
        basis=raw.basis,
        start=raw.basis @ raw.year - (raw.basis @ raw.year).mean(),
        intercept=eta,
        slope=-raw.basis.sum(axis=0),
        shift=followed(name, raw.year_carried, beta, f"{d.cells.name}_direction"),
        parameterisation=parameterisation,
    )


def _chains(
    d: Description,
    mean: TensorVariable,
    persistence: TensorVariable,
    tau: TensorVariable,
    excess: Any,
    raw: PanelEstimates,
    parameterisation: Parameterisation,
) -> TensorVariable:
    """Add the chain of each group, of persistence and sd tau, around its mean of each year."""
    name, dims = d.effect(d.group), (d.group, d.cells.name)
    gaps = gaps_of(d.cells.years)
    kept = pm.Data(f"{name}_raw", np.stack([raw.school, raw.school_se]), dims=("raw", *dims))
    if parameterisation == "informed":
        precision = (1 / kept[1] ** 2) / (1 + excess)
        return sampled_as(
            name, mean, persistence, tau, gaps=gaps, raw=kept[0], precision=precision, dims=dims
        )
    nothing = np.zeros_like(raw.school), np.full_like(raw.school, np.inf)
    transform = informed_chain(*nothing) if parameterisation == "non-centred" else None
    return chain(name, mean, persistence, tau, gaps=gaps, transform=transform, dims=dims)
