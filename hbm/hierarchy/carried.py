"""How a fit carries the description of its model, so that it can be read without the model.

Beside the positions that PyMC keeps in ``constant_data`` (``authority_of_school``) stand labels
(``authority_of_school_label``), which stay right when a fit is sorted or a part of it selected, and
the number of members of each family (``schools_in_authority``), which tells whether a part has all
of them. The words are in the attribute ``hbm`` of ``constant_data``.

Fits that carry no description, such as those of earlier versions and those made by hand, are read
by the names of their variables.
"""

import json
from itertools import pairwise
from typing import Any

import numpy as np
import pymc as pm
import xarray as xr

from hbm.hierarchy.description import Description
from hbm.hierarchy.model import description_of
from hbm.students.beta import BETA
from hbm.students.law import Law
from hbm.students.normal import NORMAL
from hbm.tables.coding import Coding
from hbm.tables.labels import Cells, Level
from hbm.tables.predictors import Predictors
from hbm.tables.words import plural, singular

__all__ = ["carry", "posterior_of", "read_description", "words_of"]

_LAWS: dict[str, Law] = {law.name: law for law in (BETA, NORMAL)}
_ROUNDED = 0.00051  # a mean published as 0 or 1, or an sd as 0, is observed half a unit inside


def carry(model: pm.Model, fit: xr.DataTree) -> xr.DataTree:
    """Return a fit that carries the description of its model.

    Parameters
    ----------
    model : pymc.Model
        The model of the fit.
    fit : xarray.DataTree
        Draws of it; not changed.

    Returns
    -------
    xarray.DataTree
        The fit itself if the model has no description to carry.
    """
    d = description_of(model)
    if d is None or not d.effects:
        return fit
    there = fit["constant_data"].to_dataset() if "constant_data" in fit.children else xr.Dataset()
    return fit.assign(constant_data=xr.DataTree(labelled(d, there)))


def labelled(d: Description, constant: xr.Dataset) -> xr.Dataset:
    """Return the numbers of a table with labels and words that tell what they are of."""
    added: dict[str, Any] = {}
    for level in d.levels[1:]:
        above = d.level(d.above(level.name))
        added[f"{d.index_name(level.name)}_label"] = (level.name, above.labels[level.parent])
        sizes = np.bincount(level.parent, minlength=len(above.labels))
        added[_family(level.name, above.name)] = (above.name, sizes)
    if d.value is not None:
        labels = d.levels[-1].labels[d.index]
        added[f"{d.index_name(d.individual)}_label"] = (d.individual, labels)
    if d.cells is not None:
        added[f"{d.group}_of_cell_label"] = ("cell", d.levels[-1].labels[d.cells.group])
        added[f"{d.cells.name}_of_cell_label"] = ("cell", d.cells.years[d.cells.year])
    coords = {dim: list(d.coords[dim]) for _, (dim, _) in added.items()}
    words = {
        "law": d.law.name,
        "levels": [level.name for level in d.levels],
        "individual": d.individual,
        "observed": d.observed,
        "value_name": d.value_name,
        "unit": d.unit,
        "design_effect": d.design_effect,
    }
    if d.cells is not None:
        words["year"] = d.cells.name
    if d.predictors is not None:
        words["predictors"] = [coding._asdict() for coding in d.predictors.coding]
    return constant.assign_coords(coords).assign(added).assign_attrs(hbm=json.dumps(words))


def _family(level: str, above: str) -> str:
    """Name the number of members of each family."""
    return f"{plural(level)}_in_{above}"


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


def words_of(fit: xr.DataTree) -> tuple[str, str]:
    """Return what groups and individuals of a fit are called, in the plural, as far as it says."""
    told = fit["constant_data"].attrs if "constant_data" in fit.children else {}
    if "hbm" not in told:
        return "groups", "individuals"
    words = json.loads(told["hbm"])
    return plural(words["levels"][-1]), plural(words["individual"])


def read_description(fit: xr.DataTree) -> Description | None:
    """Read what the model of a fit is.

    Parameters
    ----------
    fit : xarray.DataTree
        Has a posterior.

    Returns
    -------
    Description or None
        With the labels of the fit, in their order. None if it says too little: at least the number
        of individuals of each group, and their observed means, must be in ``constant_data``.

    Raises
    ------
    ValueError
        If the fit contradicts itself.
    """
    posterior = fit["posterior"].to_dataset()
    constant = fit["constant_data"].to_dataset() if "constant_data" in fit.children else None
    if constant is None:
        return None
    seen = fit["observed_data"].to_dataset() if "observed_data" in fit.children else xr.Dataset()
    words = (
        json.loads(constant.attrs["hbm"])
        if "hbm" in constant.attrs
        else _by_names(posterior, constant, seen)
    )
    if words is None:
        return None
    names = words["levels"]
    labels = {name: _labels(name, posterior, constant) for name in names}
    cell = names[-1]
    if "year" in words:
        cell, labels["cell"] = "cell", _labels("cell", posterior, constant)
    constant, seen = (_in_order(x, labels) for x in (constant, seen))
    levels = [Level(names[0], labels[names[0]])]
    for above, name in pairwise(names):
        parent = _positions(constant, f"{above}_of_{name}", labels[above])
        levels.append(Level(name, labels[name], parent))
    group, individual = names[-1], words["individual"]
    n = constant[f"n_{plural(individual)}"].to_numpy().astype(float)
    nothing = xr.DataArray(np.full(len(n), np.nan), dims=cell)
    mean, sd = (constant.get(name, nothing).to_numpy() for name in ("mean", "sd"))
    known = sd > 0
    value = index = None
    law = _LAWS[words["law"]]
    observed = seen.get(words["observed"])
    if observed is not None and cell in observed.dims:
        values = observed.to_numpy().reshape(len(n), -1)
        _check_same({"mean": mean}, [values[:, 0]], labels[cell], cell)
        # An sd published as 0 is observed half a unit above; one that is not known, as 0.
        known = values[:, -1] > 0 if values.shape[1] > 1 else np.zeros(len(n), bool)
        kept = {"sd": np.where(known, law.published(mean, sd, n)[1], np.nan)}
        _check_same(kept, [values[:, -1]], labels[cell], cell)
    elif observed is not None:
        value, known = observed.to_numpy(), n > 1
        index = _positions(constant, f"{group}_of_{individual}", labels[group])
        if index is not None:
            kept = {f"n_{plural(individual)}": n, "mean": mean, "sd": np.where(known, sd, np.nan)}
            _check_same(kept, _summaries(value, index, len(n)), labels[group], group)
    return Description(
        law=law,
        levels=tuple(levels),
        individual=individual,
        observed=words["observed"],
        value_name=words["value_name"],
        unit=words["unit"],
        n=n,
        mean=mean,
        sd=np.where((n > 1) & known, sd, np.nan),
        value=value,
        index=index,
        means_only=observed is not None and observed.dims == (cell,),
        cells=_cells(words, posterior, constant, labels) if "year" in words else None,
        predictors=_predictors(words, constant) if "predictors" in words else None,
        design_effect=words.get("design_effect", 1.0),  # fits of earlier versions do not say
    )


def _predictors(words: dict[str, Any], constant: xr.Dataset) -> Predictors:
    """Read what is known of groups and of what they stand in."""
    codings = [Coding(**given) for given in words["predictors"]]
    codings = [coding._replace(categories=tuple(coding.categories)) for coding in codings]
    x = {}
    for level in dict.fromkeys(coding.level for coding in codings):
        known = constant[f"predictors_of_{level}"]
        years = [dim for dim in known.dims if dim not in (level, "predictor")]
        x[level] = known.transpose(level, *years, "predictor").to_numpy()
    return Predictors(tuple(codings), x)


def _cells(
    words: dict[str, Any], posterior: xr.Dataset, constant: xr.Dataset, labels: dict[str, Any]
) -> Cells:
    """Read which groups and years have results."""
    group, year = words["levels"][-1], words["year"]
    years = posterior[year].to_numpy()
    at = _positions(constant, f"{group}_of_cell", labels[group])
    when = constant[f"{year}_of_cell_label"].to_numpy()
    order = {label: i for i, label in enumerate(years.tolist())}
    in_year = np.array([order.get(label, -1) for label in when.tolist()], dtype=int)
    lost = (at < 0) | (in_year < 0)
    if lost.any():
        shown = ", ".join(map(repr, labels["cell"][lost][:5]))
        raise ValueError(
            f"the fit is a part of one: it has results of {shown}, and not the {group} or {year}. "
            f"Use the whole fit, or hbm.in_year for one {year}, and select from that"
        )
    return Cells(year, years, at, in_year)


def missing_members(fit: xr.DataTree, d: Description, level: str) -> np.ndarray:
    """Count how many members of each family of a level's parents the fit does not hold."""
    above = d.above(level)
    constant = fit["constant_data"].to_dataset()
    if above is None or _family(level, above) not in constant:
        return np.zeros(0 if above is None else len(d.level(above).labels), dtype=int)
    whole = _in_order(constant, {above: d.level(above).labels})[_family(level, above)].to_numpy()
    there = d.level(level).parent
    return whole - np.bincount(there[there >= 0], minlength=len(whole))


def _labels(name: str, posterior: xr.Dataset, constant: xr.Dataset) -> np.ndarray:
    holder = posterior if name in posterior.coords else constant
    return np.array([str(x) for x in holder[name].to_numpy()], dtype=object)


def _in_order(data: xr.Dataset, labels: dict[str, np.ndarray]) -> xr.Dataset:
    """Return data with its groups in the order of the posterior's."""
    for name, wanted in labels.items():
        if name not in data.coords:
            continue
        there = [str(x) for x in data[name].to_numpy()]
        if there == list(wanted):
            continue
        position = {label: i for i, label in enumerate(there)}
        lost = [label for label in wanted if label not in position]
        if lost:
            raise ValueError(
                f"the fit's data lack {name} {', '.join(map(repr, lost[:5]))}; select from the fit "
                "as a whole and not from one of its groups"
            )
        data = data.isel({name: [position[label] for label in wanted]})
    return data


def _positions(constant: xr.Dataset, name: str, labels: np.ndarray) -> np.ndarray | None:
    """Return positions among labels, by labels where the fit has them; −1 where there is none."""
    if f"{name}_label" in constant:
        position = {label: i for i, label in enumerate(labels)}
        there = constant[f"{name}_label"].to_numpy().tolist()
        return np.array([position.get(str(label), -1) for label in there], dtype=int)
    if name not in constant:
        return None
    index = constant[name].to_numpy().astype(int)
    return np.where(index < len(labels), index, -1)


def _summaries(value: np.ndarray, index: np.ndarray, n_groups: int) -> list[np.ndarray]:
    """Return the numbers, means and sds of the individuals of the groups that are there."""
    value, index = value[index >= 0], index[index >= 0]
    n = np.bincount(index, minlength=n_groups)
    mean = np.bincount(index, value, n_groups) / np.maximum(n, 1)
    squares = np.bincount(index, (value - mean[index]) ** 2, n_groups)
    return [n, mean, np.sqrt(squares / np.maximum(n - 1, 1))]


def _check_same(kept, observed, labels, group) -> None:
    """Raise if the numbers kept are not those observed; what is not known, NaN, is not looked at.

    Numbers of individuals of published means stand in one place, and cannot differ.
    """
    for (what, values), seen in zip(kept.items(), observed, strict=True):
        other = np.flatnonzero(np.abs(values - seen) > _ROUNDED + 1e-9 * np.abs(seen))
        if len(other):
            shown = ", ".join(map(repr, labels[other[:5]]))
            raise ValueError(
                f"the fit contradicts itself: of {group} {shown} its constant_data has another "
                f"{what} than its observed_data. Was the model's data changed by pm.set_data? Make "
                "the model again, from the new table"
            )


def _by_names(
    posterior: xr.Dataset, constant: xr.Dataset, seen: xr.Dataset
) -> dict[str, Any] | None:
    """Find the words of a fit by the names of its variables, or None if these do not tell."""
    sizes = [str(x) for x in constant if str(x).startswith("n_") and constant[x].ndim == 1]
    if not sizes:
        return None
    # Of the groups whose means are kept, if there are numbers of others too.
    of_means = [
        x for x in sizes if "mean" in constant and constant[x].dims == constant["mean"].dims
    ]
    size = (of_means or sizes)[0]
    group = str(constant[size].dims[0])
    levels = [group]
    while above := [str(x) for x in constant if str(x).endswith(f"_of_{levels[0]}")]:
        levels.insert(0, above[0].removesuffix(f"_of_{levels[0]}"))
    law = BETA if f"nu_{group}" in posterior else NORMAL
    return {
        "law": law.name,
        "levels": levels,
        "individual": singular(size.removeprefix("n_")),
        "observed": next(iter(map(str, seen)), ""),
        "value_name": "score" if law is BETA else "height",
        "unit": "%" if law is BETA else "",
        "design_effect": None if "design_effect" in posterior else 1.0,
    }
