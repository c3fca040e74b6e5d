"""A model that was made from a table: it keeps its description, and its numbers go together."""

from typing import Any

import numpy as np
import pymc as pm

from hbm.hierarchy.description import Description

__all__ = ["TableModel", "description_of"]


class TableModel(pm.Model):
    """A PyMC model that knows its description, and whose data cannot be changed one by one.

    What was seen of a group is in its density, in the coordinates that the sampler moves in, and in
    the tables and pictures made of a fit. ``pm.set_data`` would change one of these.

    Parameters
    ----------
    description : Description
        What the model is. Its coords become the model's, its numbers the model's data.

    Examples
    --------
    >>> import hbm, pymc as pm
    >>> model = hbm.heights.partial_pooling(hbm.load_dataset("heights"))
    >>> pm.set_data({"mean": [170.0, 172.0, 175.0, 168.0]}, model)
    Traceback (most recent call last):
        ...
    ValueError: 'mean' cannot be changed by itself: it was made from the table, and so were ...
    """

    def __init__(self, description: Description) -> None:
        super().__init__(coords=description.coords)
        self.description = description

    def set_data(self, name: str, values: Any, coords: dict[str, Any] | None = None) -> None:
        """Refuse to change a number of the table."""
        raise ValueError(
            f"{name!r} cannot be changed by itself: it was made from the table, and so were other "
            "numbers of this model. Make the model again, from the new table; hbm.sample_each "
            "compiles one model for many tables"
        )


def description_of(model: pm.Model) -> Description | None:
    """Return the description of a model, None for one that was not made from a table.

    Parameters
    ----------
    model : pymc.Model
        Any model.

    Returns
    -------
    Description or None

    Examples
    --------
    >>> import hbm
    >>> model = hbm.heights.partial_pooling(hbm.load_dataset("heights"))
    >>> description_of(model).group
    'country'
    """
    return getattr(model, "description", None)


def table_data(d: Description) -> dict[str, Any]:
    """Add the numbers of a table to the current model, and return them by name.

    Parameters
    ----------
    d : Description
        What the model is.

    Returns
    -------
    dict of str to TensorVariable
        ``n``, ``mean``, ``sd`` (0 where it is not known), and the positions of parents and groups
        by the names of the levels below.
    """
    data = {
        "n": pm.Data(d.size, d.n, dims=d.cell),
        "mean": pm.Data("mean", d.mean, dims=d.cell),
        "sd": pm.Data("sd", np.nan_to_num(d.sd), dims=d.cell),
    }
    for level in d.levels[1:]:
        data[level.name] = pm.Data(d.index_name(level.name), level.parent, dims=level.name)
    if d.cells is not None:
        for name, position in ((d.group, d.cells.group), (d.cells.name, d.cells.year)):
            data[f"{name}_of_cell"] = pm.Data(f"{name}_of_cell", position, dims="cell")
    for name, x in d.predictors.x.items() if d.predictors is not None else ():
        dims = (name, d.cells.name) if d.panel and name == d.group else (name,)
        pm.Data(f"predictors_of_{name}", x, dims=(*dims, "predictor"))
    if d.value is not None:
        data[d.individual] = pm.Data(d.index_name(d.individual), d.index, dims=d.individual)
    return data
