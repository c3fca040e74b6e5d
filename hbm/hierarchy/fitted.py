"""A fit read as a hierarchy: the same few quantities whatever the model.

All models of heights, scores and exams are one Normal hierarchy of group effects. Where a model
learns a quantity, the fit has its draws in ``posterior``; where it fixes one, in ``constant_data``:
complete pooling is the hierarchy with between-group sds of 0, no pooling the one with a known
population. What uses a fit after sampling can so go by the hierarchy and not by the model.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pymc as pm
import xarray as xr
from numpy.typing import NDArray

from hbm.hierarchy.carried import carry, missing_members, posterior_of, read_description
from hbm.hierarchy.coefficients import of_cells
from hbm.hierarchy.description import Description
from hbm.hierarchy.model import description_of
from hbm.hierarchy.years import one_year, require_all_years
from hbm.students.law import Evidence
from hbm.tables.words import plural

__all__ = [
    "Fitted",
    "check_fit",
    "check_model",
    "flat",
    "read_all",
    "read_fit",
    "read_panel",
]

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

    @property
    def excess(self) -> Floats:
        """Draws of the design effect less 1, 0 where individuals are independent."""
        known = self.d.design_effect
        return self.draws("design_effect") - 1 if known is None else np.array([known - 1.0])

    @property
    def within(self) -> tuple[Floats, Floats, Floats]:
        """What all groups share of how their individuals vary: log spread, its sd, the excess."""
        return *self.population_spread, self.excess

    def within_of(self, cell: Any) -> tuple[Floats, Floats, Floats]:
        """Return how individuals of what was seen vary, as `within` does of the middle."""
        log_spread, tau_spread, excess = self.within
        moved: Floats = self.moved_cells(np.array([cell]))[:, 0]
        return log_spread + moved, tau_spread, excess

    def moved(self, level: str, members: Any = slice(None)) -> Floats:
        """Return by how much predictors move effects: (n_draws, n), or (1, 1) by nothing.

        Those of the groups of a panel differ by year: `moved_in_years` has them.
        """
        by_year = self.d.panel and level == self.d.group
        if self.d.predictors is None or level not in self.d.predictors.x or by_year:
            return np.zeros((1, 1))
        return self.draws("beta") @ self.d.predictors.x[level][members].T

    def moved_in_years(self, group: Any) -> Floats:
        """Return by how much predictors move groups of a panel: (n_draws, ..., n_years)."""
        if self.d.predictors is None or self.d.group not in self.d.predictors.x:
            return np.zeros((1, *np.shape(group), len(self.d.cells.years)))
        x = self.d.predictors.x[self.d.group][group]
        return np.moveaxis(x @ self.draws("beta").T, -1, 0)

    def moved_cells(self, cells: Any = slice(None)) -> Floats:
        """Return by how much predictors move log spreads: (n_draws, n), or (1, 1) by nothing."""
        if self.d.predictors is None or not self.d.law.spread_varies:
            return np.zeros((1, 1))
        return self.draws("gamma") @ of_cells(self.d)[cells].T

    def location(self, level: str, members: NDArray[np.int64] | slice = slice(None)) -> Floats:
        """Return around what the effects of members are centred: (n_draws, n) or (1, n).

        Those of the groups of a panel but for what differs by year.
        """
        return self.around(level, members) + self.moved(level, members)

    def around(self, level: str, members: NDArray[np.int64] | slice = slice(None)) -> Floats:
        """Return the effects of what members stand in, or the grand mean, in the same shape."""
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

    Of a panel it is that of the last year.

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
    return _read(one_year(_checked(fit, model)))


def read_panel(fit: xr.DataTree, model: pm.Model | None = None) -> Fitted:
    """Read the fit of a panel with all its years; see :func:`read_fit`.

    What was seen is then by cell (``d.cells``), effects and means of groups by group and year.
    """
    fitted = _read(_checked(fit, model))
    if not fitted.d.panel:
        raise ValueError("the fit is of one year, and must be of several: hbm.exams.panel makes it")
    return fitted


def read_all(fit: xr.DataTree, model: pm.Model | None = None) -> Fitted:
    """Read a fit with all that informed it, of a panel with all its years; see :func:`read_fit`.

    One year of a panel is refused.
    """
    fit = _checked(fit, model)
    require_all_years(fit)
    return _read(fit)


def _checked(fit: xr.DataTree, model: pm.Model | None) -> xr.DataTree:
    """Return a fit that was held against its model, if that is given."""
    if model is not None:
        check_fit(model, fit)
        _check_described(model)
        fit = carry(model, fit)
    posterior_of(fit)
    return fit


def _read(fit: xr.DataTree) -> Fitted:
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
    d = description_of(model)
    if d is not None and d.design_effect is not None and "design_effect" in posterior:
        raise ValueError(
            "the fit is not of this model: it has learned the design effect, which the model holds "
            f"at {d.design_effect:g}. Build the model with the options it was fitted with"
        )
    for rv in model.free_RVs:
        dims = model.named_vars_to_dims.get(rv.name) or ()
        there = set(posterior[rv.name].dims) - {"chain", "draw"}
        if dims and there != set(dims):
            raise ValueError(
                f"the fit is not of this model: {rv.name!r} is by {' and '.join(dims)} in the "
                f"model, and by {' and '.join(sorted(map(str, there))) or 'nothing'} in the fit. "
                "Give the model it was fitted with"
            )
        for dim in dims:
            expected = np.asarray(model.coords[dim], dtype=object).astype(str)
            if not np.array_equal(expected, posterior[dim].to_numpy().astype(str)):
                raise ValueError(
                    f"the fit is not of this model: the labels of {dim!r} differ. "
                    "Build the model from the table it was fitted to"
                )
