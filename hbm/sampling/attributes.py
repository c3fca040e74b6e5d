"""Attributes of a fit that netCDF has no form for, kept beside it as JSON.

netCDF keeps text, numbers and arrays of numbers. It has no form for None, a boolean or a dict, and
gives a list of one thing back as the thing; and there are names that it, or xarray, claims: draws
with an attribute ``scale_factor`` come back multiplied by it.
"""

import json
from collections.abc import Hashable, Iterator
from typing import Any

import numpy as np
import xarray as xr

__all__ = ["put_back", "set_apart"]

_CLAIMED = {
    *("", "_FillValue", "_Unsigned", "add_offset", "calendar", "coordinates", "dtype"),
    *("grid_mapping", "missing_value", "scale_factor", "units"),
    *("CLASS", "DIMENSION_LABELS", "DIMENSION_LIST", "NAME", "REFERENCE_LIST"),
    *("_NCProperties", "_Netcdf4Coordinates", "_Netcdf4Dimid", "_nc3_strict"),
}


def set_apart(fit: xr.DataTree) -> tuple[xr.DataTree, str]:
    """Copy a fit without the attributes that netCDF would refuse, change or act upon.

    Parameters
    ----------
    fit : xarray.DataTree
        It is not changed.

    Returns
    -------
    tree : xarray.DataTree
        The fit with the other attributes. Lists of text stay, too, for others to read.
    apart : str
        JSON: the path, the name of the variable or null, and the name and value of each attribute.

    Raises
    ------
    TypeError
        If there are attributes that JSON has no form for either, with the names of all.

    Examples
    --------
    >>> import xarray as xr
    >>> set_apart(xr.DataTree(xr.Dataset(attrs={"by": "me", "tune": None})))[1]
    '[["", null, "tune", null]]'
    """
    nodes, apart, refused = {}, [], []
    for node in fit.subtree:
        nodes[node.path] = node.to_dataset(inherit=False).copy()
        path = node.path.strip("/")
        for variable, owner in _owners(nodes[node.path]):
            stay = {}
            for name, value in owner.attrs.items():
                place = " of " + "/".join(filter(None, (path, variable)))
                shown = f"{name!r}{place if path or variable else ''}"
                if not isinstance(name, str):
                    refused.append(f"{shown} (its name is not text)")
                    continue
                if name not in _CLAIMED and _is_written(value):
                    stay[name] = value
                if name in _CLAIMED or not _comes_back(value):
                    try:
                        apart.append((path, variable, name, _plain(value)))
                    except TypeError as error:
                        refused.append(f"{shown} ({error})")
            owner.attrs = stay
    if refused:
        raise TypeError(
            f"attributes of the fit that cannot be saved: {', '.join(refused)}. Kept are text, "
            "numbers, None, booleans, lists of these, and dicts of them by text; give others as "
            "text, for example str(value), or delete them"
        )
    return xr.DataTree.from_dict(nodes), json.dumps(apart)


def put_back(fit: xr.DataTree, apart: str) -> None:
    """Give a fit that was read, in place, the attributes that :func:`set_apart` had set apart."""
    nodes = {node.path.strip("/"): node for node in fit.subtree}
    for path, variable, name, value in json.loads(apart):
        node = nodes.get(path)  # another program may have taken groups out of the file
        if node is not None and (variable is None or variable in node.variables):
            (node if variable is None else node.variables[variable]).attrs[name] = value


def _owners(data: xr.Dataset) -> Iterator[tuple[Hashable, Any]]:
    yield None, data
    yield from data.variables.items()


def _is_written(value: Any) -> bool:
    """Say whether netCDF takes a value, though it may come back in another form."""
    return _comes_back(value) or (
        isinstance(value, list | tuple) and all(type(x) is str and _comes_back(x) for x in value)
    )


def _comes_back(value: Any) -> bool:
    """Say whether netCDF has a form for a value, and gives it back."""
    if isinstance(value, np.ndarray):
        return value.dtype.kind in "iuf" and value.size > 1
    if isinstance(value, np.generic):
        return value.dtype.kind in "iufc"
    if type(value) is str:
        return "\0" not in value and value.encode(errors="ignore").decode() == value
    if isinstance(value, int):
        return not isinstance(value, bool) and -(2**63) <= value < 2**64
    return isinstance(value, float | complex)


def _plain(value: Any) -> Any:
    """Return a value made of what JSON gives back as it was; tuples and arrays become lists."""
    if value is None or isinstance(value, str | bool | int | float):
        return value
    if isinstance(value, np.ndarray | np.generic) and value.dtype.kind in "biufU":
        return value.tolist()
    if isinstance(value, list | tuple):
        return [_plain(x) for x in value]
    if isinstance(value, dict) and all(isinstance(name, str) for name in value):
        return {name: _plain(x) for name, x in value.items()}
    raise TypeError(type(value).__name__)
