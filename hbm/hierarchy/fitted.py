"""A fit read as a hierarchy: the same few quantities whatever the model.

All models of heights, scores and exams are one Normal hierarchy of group effects. Where a model
learns a quantity, the fit has its draws in ``posterior``; where it fixes one, in ``constant_data``:
complete pooling is the hierarchy with between-group sds of 0, no pooling the one with a known
population. What uses a fit after sampling can so go by the hierarchy and not by the model.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pymc as pm
import xarray as xr
from numpy.typing import NDArray

from hbm.hierarchy.carried import carry, missing_members, read_description
from hbm.hierarchy.description import Description
from hbm.students.law import Evidence
from hbm.tables.words import plural

__all__ = ["Fitted", "check_fit", "check_model", "flat", "posterior_of", "read_fit"]

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Fitted:
    """A fit, and what its model is. Draws come first, chain after chain.

    Attributes
    ----------
    fit : xarray.DataTree
        The fit.
    d : Description
        What the model is, with the labels of the fit.
    """

    fit: xr.DataTree
    d: Description

    @cached_property
    def n_draws(self) -> int:
        """Number of draws of all chains."""
        return self.fit["posterior"].sizes["chain"] * self.fit["posterior"].sizes["draw"]

    def learned(self, name: str) -> bool:
        """Whether the model learns a quantity or fixes it."""
        return name in self.fit["posterior"].data_vars

    @property
    def pools(self) -> bool:
        """Whether the model learns what groups have in common."""
        return self.learned(self.d.effect())

    def draws(self, name: str) -> Floats:
        """Return a quantity: shape (n_draws, ...), or (1, ...) if it is fixed."""
        if self.learned(name):
            return flat(self.fit, name)
        constant = self.fit["constant_data"].to_dataset()
        if name not in constant:
            raise ValueError(
                f"the fit has no {name!r}, neither in its posterior nor in its constant_data; the "
                "models of hbm.heights, hbm.scores and hbm.exams have it"
            )
        return constant[name].to_numpy()[None].astype(float)

    @property
    def grand_mean(self) -> Floats:
        """Draws of the top of the hierarchy, on the scale of effects: (n_draws,) or (1,)."""
        return self.draws(self.d.effect())

    @property
    def middle(self) -> Floats:
        """Draws of the mean of the group in the middle, in the units of the data."""
        if self.learned(self.d.effect()):
            return self.d.law.mean_of(self.grand_mean)
        return self.draws("mu") if self.learned("mu") else self.d.law.mean_of(self.grand_mean)

    def effect(self, level: str) -> Floats:
        """Draws of the effects of a level: (n_draws, n_members)."""
        return self.draws(self.d.effect(level))

    def mu(self, level: str) -> Floats:
        """Draws of the means of a level, in the units of the data: (n_draws, n_members)."""
        return self.draws(self.d.mean_name if level == self.d.group else f"mu_{level}")

    def tau(self, level: str) -> Floats:
        """Draws of the standard deviation between the members of one parent: (n_draws,) or (1,)."""
        return self.draws(f"tau_{level}")

    @property
    def spread(self) -> Floats:
        """Draws of the spread of individuals: (n_draws, n_groups), or (n_draws, 1) if shared."""
        values = self.draws(self.d.spread_name)
        return values if self.d.law.spread_varies else values[:, None]

    @property
    def population_spread(self) -> tuple[Floats, Floats]:
        """Draws of the log of the spread in the middle, and of its sd between groups."""
        log_spread = np.log(self.draws(self.d.law.spread))
        if not self.d.law.spread_varies:
            return log_spread, np.zeros(1)
        return log_spread, self.draws(f"tau_{self.d.law.spread}")

    def location(self, level: str, members: NDArray[np.int64] | slice = slice(None)) -> Floats:
        """Return around what the effects of members are centred: (n_draws, n) or (1, n)."""
        above = self.d.above(level)
        if above is None:
            n = len(self.d.level(level).labels[members])
            return np.repeat(self.grand_mean[:, None], n, axis=1)
        return self.effect(above)[:, self.d.parent_of(level)[members]]

    def evidence(self, group: int | np.integer) -> Evidence:
        """Return what was seen of a group."""
        value = None if self.d.value is None else self.d.value[self.index == group]
        mean, sd = (x[group] for x in self.published)
        return self.d.law.evidence(mean, sd, self.d.n[group], value)

    @cached_property
    def published(self) -> tuple[Floats, Floats]:
        """Mean and sd of each group, as its individuals can have them; NaN if not known."""
        mean, sd = self.d.law.published(self.d.mean, self.d.sd, self.d.n)
        return mean, np.where(np.isnan(self.d.sd), np.nan, sd)

    @property
    def index(self) -> NDArray[np.int64]:
        """Position of each individual's group."""
        if self.d.index is None:
            raise ValueError(
                f"the fit does not say which {self.d.group} each {self.d.individual} stands in. It "
                "was made by an earlier version or without hbm.sample: give the model as well, or "
                "load it with hbm.load"
            )
        return self.d.index

    def require_families(self, level: str) -> None:
        """Raise unless the fit holds all members of each parent that it holds any of."""
        missing = missing_members(self.fit, self.d, level)
        if missing.any():
            above = self.d.above(level)
            shown = ", ".join(map(repr, self.d.level(above).labels[missing > 0][:5]))
            raise ValueError(
                f"the fit is a part of one: {missing.sum()} {plural(level)} of {above} {shown} are "
                "not in it. Give the whole fit, and select from the table that comes of it"
            )


def read_fit(fit: xr.DataTree, model: pm.Model | None = None) -> Fitted:
    """Read a fit of one of the models of heights, scores and exams as a hierarchy.

    Parameters
    ----------
    fit : xarray.DataTree
        Result of :func:`hbm.sample`.
    model : pymc.Model, optional
        The model of the fit, if it is at hand: the fit is checked against it.

    Returns
    -------
    Fitted

    Raises
    ------
    TypeError
        If `fit` is not a DataTree or `model` not a PyMC model.
    ValueError
        If the fit is of another model, or the model is not one of these.

    Examples
    --------
    >>> import hbm
    >>> table = hbm.simulate.exams([2, 1], [5, 8, 40], random_seed=1)[0]
    >>> prior = hbm.sample_prior_predictive(hbm.exams.nested(table), 10, random_seed=1)
    >>> fitted = read_fit(prior.assign(posterior=prior["prior"]))
    >>> fitted.d.units, fitted.location("school").shape
    (['school', 'authority'], (10, 3))
    """
    if model is not None:
        check_fit(model, fit)
        _check_described(model)
        fit = carry(model, fit)
    posterior_of(fit)
    d = read_description(fit)
    if d is None or np.isnan(d.mean).any():
        constant = fit["constant_data"].data_vars if "constant_data" in fit.children else ()
        raise ValueError(
            "the fit's constant_data must hold each group's raw 'mean' and its number, such as "
            f"'n_students'; it has: {', '.join(map(str, constant)) or 'nothing'}. Fit a model of "
            "hbm.heights, hbm.scores or hbm.exams, or give yours the same with pm.Data"
        )
    return Fitted(fit, d)


def _check_described(model: pm.Model) -> None:
    """Raise unless a model has group effects that can be read."""
    d = getattr(model, "description", None)
    known = {"mean", "sd"} <= set(model.named_vars)
    if (d is not None and not d.effects) or (d is None and not known):
        observed = ", ".join(rv.name for rv in model.observed_RVs)
        raise ValueError(
            "this works on the models of hbm.heights, hbm.scores and hbm.exams, and the model "
            f"given, which observes {observed or 'nothing'}, is not one of them"
        )


def flat(fit: xr.DataTree, name: str) -> Floats:
    """Return the draws of a variable of the posterior, chain after chain: (n_draws, ...)."""
    values = fit["posterior"][name].transpose("chain", "draw", ...).to_numpy()
    return values.reshape(-1, *values.shape[2:])


def posterior_of(fit: xr.DataTree) -> xr.Dataset:
    """Return the posterior of a fit, or raise if there is none, or none with chains and draws."""
    if not isinstance(fit, xr.DataTree):
        raise TypeError(
            f"fit must be an xarray.DataTree, got {type(fit).__name__}; pass the result of "
            "hbm.sample"
        )
    if "posterior" not in fit.children:
        raise ValueError(
            "the fit has no group 'posterior'; its groups are: "
            f"{', '.join(fit.children) or 'none'}. Pass the result of hbm.sample"
        )
    posterior = fit["posterior"].to_dataset()
    for dim in ("chain", "draw"):
        if dim not in posterior.dims:
            raise ValueError(
                f"the posterior has no dim {dim!r}, as after fit.sel({dim}=0): select with a list, "
                f"which keeps it, fit.sel({dim}=[0])"
            )
    return posterior


def check_model(model: pm.Model) -> None:
    """Raise unless `model` is a PyMC model."""
    if not isinstance(model, pm.Model):
        raise TypeError(f"model must be a pymc.Model, got {type(model).__name__}")


def check_fit(model: pm.Model, fit: xr.DataTree) -> None:
    """Raise unless `fit` holds draws of every free variable of `model`, for the same groups."""
    check_model(model)
    posterior = posterior_of(fit)
    missing = [rv.name for rv in model.free_RVs if rv.name not in posterior]
    if missing:
        raise ValueError(
            f"the fit is not of this model: it has no draws of {', '.join(missing)}; "
            f"it has: {', '.join(map(str, posterior.data_vars))}"
        )
    for rv in model.free_RVs:
        for dim in model.named_vars_to_dims.get(rv.name, ()):
            expected = np.asarray(model.coords[dim], dtype=object).astype(str)
            if not np.array_equal(expected, posterior[dim].to_numpy().astype(str)):
                raise ValueError(
                    f"the fit is not of this model: the labels of {dim!r} differ. "
                    "Build the model from the table it was fitted to"
                )
