"""Storage: a fit in a file, with all that is needed to make its model again.

The file is netCDF, as ArviZ writes it: `xarray.open_datatree` and ``arviz.from_netcdf`` open it. On
top of the fit it has the table the model was made from, as the group ``table``, and what the model
is, as attributes that can be read: ``hbm_model``, ``hbm_arguments``, ``hbm_priors``,
``hbm_versions``, ``hbm_data_sha256`` and ``hbm_log_density``. Attributes of the fit that netCDF has
no form for are in ``hbm_attributes``, as JSON.
"""

import dataclasses
import hashlib
import json
import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pymc as pm
import xarray as xr
from pymc.logprob import conditional_logp

from hbm.hierarchy.carried import carry
from hbm.hierarchy.fitted import check_fit
from hbm.hierarchy.model import description_of
from hbm.hierarchy.recipes import Recipe, columns_of, make_again, priors_of, recipe_of, takes
from hbm.hierarchy.years import require_all_years
from hbm.sampling.attributes import put_back, set_apart
from hbm.tables.files import write_whole

__all__ = ["load", "package_versions", "save", "table_sha256"]

_PACKAGES = ("hbm", "pymc", "pytensor", "nutpie", "arviz", "xarray", "numpy", "scipy")
_ATTRIBUTES = ("model", "arguments", "priors", "versions", "data_sha256", "log_density")


def save(model: pm.Model, fit: xr.DataTree, path: str | os.PathLike[str]) -> Path:
    """Save a fit and what its model was made from, in one file.

    Parameters
    ----------
    model : pymc.Model
        The model of the fit, made by a function of :mod:`hbm.heights`, :mod:`hbm.scores`,
        :mod:`hbm.exams` or :mod:`hbm.article`.
    fit : xarray.DataTree
        Result of :func:`hbm.sample`, with whatever groups and attributes were added to it since.
    path : str or os.PathLike
        Where to, for example ``"maths.nc"``. Folders are made; a file that is there is replaced,
        and only once the new one is complete.

    Returns
    -------
    pathlib.Path
        The file.

    Raises
    ------
    TypeError
        If `model` is not a PyMC model or `fit` not a DataTree, or if the fit has attributes that
        cannot be kept, such as dates and dicts with numbers for keys: all are named.
    ValueError
        If the model was not made by one of those functions, the fit is not of it, or has a group
        ``table`` of another table.
    OSError
        If the file cannot be written, for example as the disk is full. A file that was there
        before is left as it was.

    Notes
    -----
    The file holds the table's columns that the model was made from, individuals' results among
    them: keep it as you would keep the table. Other columns, such as names, are not in it.

    Attributes of the fit, its groups and variables come back as they were, None and booleans among
    them; tuples, and arrays of fewer than two numbers, come back as lists or numbers.

    Examples
    --------
    >>> import hbm
    >>> table = hbm.simulate.exams(random_seed=1)[0]
    >>> model = hbm.exams.nested(table)
    >>> fit = hbm.sample(model)  # doctest: +SKIP
    >>> hbm.save(model, fit, "maths.nc")  # doctest: +SKIP
    >>> model, fit = hbm.load("maths.nc")  # doctest: +SKIP
    """
    recipe = recipe_of(model)
    require_all_years(fit, "a file keeps draws with the model and table they were made from")
    # What is checked is the model as it will be made again, not the one at hand.
    _check_same(make_again(recipe), fit)
    arguments = dict(recipe.arguments)
    priors = arguments.pop("priors", None)
    columns = {name: ("row", recipe.table[name].to_numpy()) for name in recipe.table}
    table = xr.Dataset(columns)
    if "table" in fit.children and not fit["table"].to_dataset().equals(table):
        raise ValueError(
            "the fit has a group 'table', where the file keeps the table of the model; give the "
            "group another name"
        )
    tree, apart = set_apart(fit)
    tree = tree.assign(table=xr.DataTree(table))
    tree.attrs |= {
        "hbm_model": recipe.function,
        "hbm_arguments": json.dumps(arguments),
        "hbm_priors": json.dumps(
            {} if priors is None else dataclasses.asdict(priors), default=float
        ),
        "hbm_versions": json.dumps(package_versions()),
        "hbm_data_sha256": table_sha256(recipe.table),
        "hbm_log_density": _log_density(model, fit),
        "hbm_attributes": apart,
    }
    # In memory first: when a disk is full, HDF5 itself may end the process.
    content = tree.to_netcdf(engine="h5netcdf")
    path = Path(path)
    write_whole(content, path)
    return path


def load(
    path: str | os.PathLike[str], table: pd.DataFrame | None = None
) -> tuple[pm.Model, xr.DataTree]:
    """Load a fit that was saved, and make its model again.

    Parameters
    ----------
    path : str or os.PathLike
        A file that :func:`save` made.
    table : pandas.DataFrame, optional
        The table you believe the model was fitted to. If it is another one, that is an error.

    Returns
    -------
    model : pymc.Model
        Made again, by the same function with the same arguments, from the table in the file.
    fit : xarray.DataTree
        The fit as it was saved.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If the file is damaged or is not one that :func:`save` made; if `table` is not the table
        that was fitted (what differs is named); if the model made by this version of the package
        is not the one that was fitted: its data differ, or the log density of the last draw.

    Notes
    -----
    Nothing in the file is run: the model's function is looked up by its name among those of this
    package. The pair goes where other functions take one: ``hbm.compare({"nested":
    hbm.load("nested.nc"), "flat": hbm.load("flat.nc")})``.

    Examples
    --------
    >>> import hbm
    >>> model, fit = hbm.load("maths.nc")  # doctest: +SKIP
    >>> predictions = hbm.predict(model, fit, next_table)  # doctest: +SKIP
    """
    path = Path(path)
    if not path.exists():
        raise FileNotFoundError(f"there is no file {str(path)!r}")
    tree = _read(path)
    attrs = {str(name): value for name, value in tree.attrs.items()}
    missing = [name for name in _ATTRIBUTES if f"hbm_{name}" not in attrs]
    if missing or "table" not in tree.children:
        raise ValueError(
            f"{path.name} is not a file that hbm.save made, and does not say how its model was "
            "made; xarray.open_datatree reads its draws"
        )
    stored = tree["table"].to_dataset()
    data = pd.DataFrame({str(name): stored[name].to_numpy() for name in stored.data_vars})
    if table_sha256(data) != attrs["hbm_data_sha256"]:
        raise ValueError(f"the table in {path.name} was changed since it was saved")
    if table is not None:
        numbers = [c for c in data if pd.api.types.is_numeric_dtype(data[c])]
        labels = [c for c in data if c not in numbers]
        _check_table(columns_of(table, labels, numbers)[list(data)], data)
    fit = tree.drop_nodes("table")
    own = {f"hbm_{name}" for name in (*_ATTRIBUTES, "attributes")}
    fit.attrs = {name: value for name, value in attrs.items() if name not in own}
    put_back(fit, attrs.get("hbm_attributes", "[]"))  # not in files of hbm 0.1.0
    saved_with = json.loads(attrs["hbm_versions"])
    model = make_again(_recipe(attrs, data))
    _check_same(model, fit)
    density, expected = _log_density(model, fit), float(attrs["hbm_log_density"])
    if not np.isclose(density, expected, rtol=1e-6, equal_nan=True):
        raise ValueError(
            f"this is no longer the model that was fitted: the log density of the last draw was "
            f"{expected:.6g} and is {density:.6g}. {path.name} was saved with hbm "
            f"{saved_with['hbm']} and PyMC {saved_with['pymc']}; install these, or fit again. "
            "xarray.open_datatree reads the draws"
        )
    return model, carry(model, fit)


def _recipe(attrs: dict[str, Any], table: pd.DataFrame) -> Recipe:
    made_with = priors_of(attrs["hbm_model"])
    arguments = json.loads(attrs["hbm_arguments"])
    if takes(attrs["hbm_model"], "design_effect"):  # which version 0.1.0 did not know
        arguments.setdefault("design_effect", 1.0)
    priors = json.loads(attrs["hbm_priors"])
    if priors:
        arguments["priors"] = made_with(**priors)
    return Recipe(attrs["hbm_model"], table, arguments)


def _check_same(model: pm.Model, fit: xr.DataTree) -> None:
    """Raise unless a fit is of a model and of the same data."""
    check_fit(model, fit)
    for group, values in (
        ("observed_data", {rv.name: model.rvs_to_values[rv].eval() for rv in model.observed_RVs}),
        ("constant_data", {data.name: data.get_value() for data in model.data_vars}),
    ):
        there = fit[group].to_dataset() if group in fit.children else {}
        for name, value in values.items():
            if name not in there and name in _not_kept(model):
                continue
            if name not in there or not _same(np.asarray(value), there[name].to_numpy()):
                raise ValueError(
                    f"the fit is not of this model: {name!r} in its {group} "
                    + ("differs" if name in there else "is missing")
                    + ". Was the model's data changed after it was made?"
                )


def _not_kept(model: pm.Model) -> set[str]:
    """Return the names of data that are in observed_data, or that version 0.1.0 did not keep."""
    d = description_of(model)
    observed = {model.rvs_to_values[rv].name for rv in model.observed_RVs}
    sums = {data.name for data in model.data_vars if data.name.startswith("sum_")}
    return observed | sums | ({d.index_name(d.individual)} if d.value is not None else set())


def _log_density(model: pm.Model, fit: xr.DataTree) -> float:
    """Return the log density of the parameters of the last draw, and of the data given them."""
    values = {rv: rv.type() for rv in model.free_RVs}
    inputs = list(values.values())
    terms = conditional_logp(values | {rv: model.rvs_to_values[rv] for rv in model.observed_RVs})
    # Evaluated once, so that compiling would be most of the work.
    density = model.compile_fn(
        sum(term.sum() for term in terms.values()),
        inputs=inputs,
        mode="FAST_COMPILE",
        point_fn=False,
    )
    last = fit["posterior"].to_dataset().isel(chain=-1, draw=-1)
    return float(density(*(last[rv.name].to_numpy() for rv in model.free_RVs)))


def package_versions() -> dict[str, str]:
    """Return the versions of Python and of the packages that decide the numbers of a fit."""
    versions = {"python": platform.python_version()}
    for package in _PACKAGES:
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            versions[package] = "unknown"
    return versions


def table_sha256(table: pd.DataFrame) -> str:
    """Return the SHA-256 of a table as a model reads it; see :func:`columns_of`."""
    digest = hashlib.sha256()
    for name in sorted(table):
        values = table[name].to_numpy()
        digest.update(f"{name}\n{len(values)}\n".encode())
        if np.issubdtype(values.dtype, np.floating):
            digest.update(values.astype("<f8").tobytes())
        else:
            digest.update(json.dumps(list(values)).encode())
    return digest.hexdigest()


def _check_table(given: pd.DataFrame, fitted: pd.DataFrame) -> None:
    """Raise unless two tables, as a model reads them, are one."""
    if len(given) != len(fitted):
        raise ValueError(
            f"the model was fitted to another table: it had {len(fitted)} rows, and the one given "
            f"has {len(given)}"
        )
    for name in fitted:
        a, b = fitted[name].to_numpy(), given[name].to_numpy()
        same = (a == b) | ((a != a) & (b != b))
        if not same.all():
            row = int(np.argmin(same))
            raise ValueError(
                f"the model was fitted to another table: {(~same).sum()} rows differ in "
                f"{name!r}; row {row} had {a[[row]].tolist()[0]!r} and has {b[[row]].tolist()[0]!r}"
            )


def _read(path: Path) -> xr.DataTree:
    with path.open("rb"):  # a file that may not be read says so itself
        pass
    try:
        with xr.open_datatree(path, engine="h5netcdf") as opened:
            return opened.load()
    except Exception as error:  # whatever HDF5 stumbles over first
        raise ValueError(
            f"{path.name} is damaged or is not a netCDF file ({type(error).__name__}: {error})"
        ) from error


def _same(one: np.ndarray, other: np.ndarray) -> bool:
    # Versions of pandas and NumPy sum in different orders, so that last digits of means differ.
    if one.shape != other.shape:
        return False
    return np.allclose(one, other, rtol=1e-12, atol=0, equal_nan=True)
