"""A year of a panel, as a fit of one year: what uses one year's fit then works on it as it is."""

import dataclasses

import numpy as np
import xarray as xr

from hbm.hierarchy.carried import labelled, posterior_of, read_description
from hbm.hierarchy.description import Description
from hbm.tables.labels import Level

__all__ = ["YEAR_OF_PANEL", "in_year", "of_several_years", "one_year", "require_all_years"]

YEAR_OF_PANEL = "year_of_panel"  # attribute of constant_data: which of several years it is of


def in_year(fit: xr.DataTree, year: int | None = None) -> xr.DataTree:
    """Return one year of the fit of a panel, as a fit of :func:`hbm.exams.nested`.

    Tables and pictures of what is returned are of that year, with what the model learned of all
    years. Given the whole fit, they take the last. What goes by all that informed the draws, such
    as leaving out, predicting or asking of priors, wants the whole fit, and refuses a year of it.
    So does :func:`hbm.shrinkage`, which takes ``year=``: estimates lean on the other years.

    Parameters
    ----------
    fit : xarray.DataTree
        Draws of :func:`hbm.exams.panel`.
    year : int, optional
        One of its years; the last if not given.

    Returns
    -------
    xarray.DataTree
        With the schools that have results in that year, and their authorities. ``eta``, ``mu``,
        ``eta_authority`` and ``mu_authority`` have the year's effect in them. ``sample_stats`` and,
        if there is one, ``posterior_predictive`` are kept.

    Raises
    ------
    TypeError
        If `fit` is not a DataTree.
    ValueError
        If the fit is not of a panel, or has no such year.

    Examples
    --------
    >>> import hbm
    >>> results = hbm.load_dataset("diploma")
    >>> table = hbm.exam_panel(results, course="Mathematics 30-1", min_students=200)
    >>> prior = hbm.sample_prior_predictive(hbm.exams.panel(table), 10, random_seed=1)
    >>> year = in_year(prior.assign(posterior=prior["prior"]), 2018)
    >>> dict(year["posterior"]["mu_school"].sizes), int((table["year"] == 2018).sum())
    ({'chain': 1, 'draw': 10, 'school': 27}, 27)
    """
    posterior_of(fit)
    d = read_description(fit)
    if d is None or d.cells is None:
        raise ValueError("the fit is not of several years; it is of one already")
    return _view(fit, d, d.cells.position(year))


def one_year(fit: xr.DataTree) -> xr.DataTree:
    """Return the last year of the fit of a panel, and any other fit as it is."""
    d = of_several_years(fit)
    return fit if d is None else _view(fit, d, d.cells.position())


def of_several_years(fit: xr.DataTree) -> Description | None:
    """Return the description of the fit of a panel, and None of any other fit."""
    there = isinstance(fit, xr.DataTree) and {"posterior", "constant_data"} <= set(fit.children)
    words = fit["constant_data"].attrs.get("hbm", "") if there else ""
    d = read_description(fit) if '"year"' in words else None
    return None if d is None or d.cells is None else d


def require_all_years(
    fit: xr.DataTree,
    why: str = "what is left out, predicted or asked of priors must know of them",
) -> None:
    """Raise if a fit is one year of several, whose draws the other years informed as well.

    Parameters
    ----------
    fit : xarray.DataTree
        Any fit.
    why : str, optional
        What one year will not do for.

    Raises
    ------
    ValueError
        Naming the year, and what to give.
    """
    constant = fit["constant_data"].attrs if "constant_data" in fit.children else {}
    if YEAR_OF_PANEL in constant:
        raise ValueError(
            f"the fit is one of several years ({constant[YEAR_OF_PANEL]}, of hbm.in_year), and the "
            f"others have informed its draws: {why}. Give the whole fit, and its model of "
            "hbm.exams.panel"
        )


def _view(fit: xr.DataTree, d: Description, at: int) -> xr.DataTree:
    """Return the year at a position of a fit."""
    year, cell = d.cells.name, d.cells.grid(len(d.levels[-1].labels))[:, at]
    cell = cell[cell >= 0]
    kept = {d.group: d.cells.group[cell]}
    levels = []
    for level in reversed(d.levels):
        here = kept[level.name]
        parent = None
        above = d.above(level.name)
        if above is not None:
            kept[above], parent = np.unique(level.parent[here], return_inverse=True)
        levels.append(Level(level.name, level.labels[here], parent))
    predictors = d.predictors
    if predictors is not None:
        x = {
            name: known[kept[name], at] if name == d.group else known[kept[name]]
            for name, known in predictors.x.items()
        }
        predictors = dataclasses.replace(predictors, x=x)
    view = dataclasses.replace(
        d,
        levels=tuple(reversed(levels)),
        n=d.n[cell],
        mean=d.mean[cell],
        sd=d.sd[cell],
        cells=None,
        predictors=predictors,
    )
    whole = fit["posterior"].to_dataset()
    effect = whole[f"effect_{year}"].isel({year: at}, drop=True)
    of_years = {f"effect_{year}", f"tau_{year}", "persistence"}
    posterior = _renamed(whole.drop_vars(of_years), d, kept, cell, at)
    for level in d.levels[:-1]:
        eta = posterior[d.effect(level.name)] + effect
        posterior[d.effect(level.name)] = eta
        posterior[f"mu_{level.name}"] = d.law.mean_of(eta)
    posterior[d.effect()] = posterior[d.effect()] + effect
    posterior["mu"] = d.law.mean_of(posterior[d.effect()])

    constant = _renamed(fit["constant_data"].to_dataset(), d, kept, cell, at)
    known = [name for name in map(str, constant) if name.startswith("predictors_of_")]
    own = constant[[name for name in (d.size, "mean", "sd", *known) if name in constant]]
    positions = {
        d.index_name(level.name): (level.name, level.parent)
        for level in view.levels
        if level.parent is not None
    }
    nodes = {
        "posterior": posterior,
        "constant_data": labelled(view, own.assign(positions)).assign_attrs(
            {YEAR_OF_PANEL: int(d.cells.years[at])}
        ),
    }
    for name in ("observed_data", "posterior_predictive"):
        if name in fit.children:
            nodes[name] = _renamed(fit[name].to_dataset(), d, kept, cell, at)
    if "sample_stats" in fit.children:
        nodes["sample_stats"] = fit["sample_stats"].to_dataset()
    return xr.DataTree.from_dict(nodes)


def _renamed(data: xr.Dataset, d: Description, kept: dict, cell: np.ndarray, at: int) -> xr.Dataset:
    """Return the members of a year, with the cells under their groups' labels."""
    order = {**kept, "cell": cell}
    found = {}
    for name, values in data.data_vars.items():
        one = values.isel({dim: order[dim] for dim in values.dims if dim in order})
        if d.cells.name in one.dims:
            one = one.isel({d.cells.name: at}, drop=True)
        if "cell" in one.dims:
            one = one.drop_vars("cell").rename(cell=d.group)
            one = one.assign_coords({d.group: list(d.levels[-1].labels[kept[d.group]])})
        found[name] = one
    return xr.Dataset(found, attrs=data.attrs)
