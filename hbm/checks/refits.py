"""Refits: a unit left out in earnest, by fitting the model to the table without it."""

import numpy as np
import pandas as pd
import xarray as xr

from hbm.checks.units import of_new
from hbm.hierarchy.conflict import quiet
from hbm.hierarchy.description import Description
from hbm.hierarchy.fitted import Fitted, check_fit, read_all
from hbm.sampling.posterior import sample
from hbm.sampling.threads import ONE_THREAD
from hbm.tables.labels import label_text
from hbm.tables.predictors import coded_as

__all__ = ["exact", "same_model", "without"]


def exact(result, tree, fitted: Fitted, unit, refit, table, random_seed, threshold):
    """Replace the elpd of units with a high Pareto k by that of fits without them."""
    from arviz_stats import SamplingWrapper, reloo

    posterior = fitted.fit["posterior"]

    class Refits(SamplingWrapper):
        def sel_observations(self, idx):
            return int(idx), int(idx)

        def sample(self, modified_observed_data):
            with quiet(), coded_as(fitted.d.predictors):
                model = refit(without(table, fitted, unit, modified_observed_data))
            _check_years(model, fitted, unit, modified_observed_data)
            fit = sample(
                model,
                draws=posterior.sizes["draw"],
                chains=max(2, posterior.sizes["chain"]),
                random_seed=random_seed,
                progressbar=False,
            )
            return model, fit

        def get_inference_data(self, fitted_model):
            return fitted_model

        def log_likelihood__i(self, excluded_obs, idata__i):
            model, fit = idata__i
            given = read_all(fit, model)
            sizes = given.fit["posterior"].sizes
            # The matrices are small: to share them out among threads costs more than it gains.
            with ONE_THREAD:
                values = of_new(given, fitted, unit, excluded_obs)
            shape = (sizes["chain"], sizes["draw"])
            values = np.broadcast_to(values, given.n_draws).reshape(shape)
            return xr.DataArray(values, dims=("chain", "draw"))

    refits = Refits(None, idata_orig=tree)
    return reloo(refits, loo_orig=result, k_threshold=threshold, pointwise=True)


def same_model(model, fit) -> None:
    """Raise unless a model, as made again from its table, observes what the fit's model did."""
    check_fit(model, fit)
    for rv in model.observed_RVs:
        again = model.rvs_to_values[rv].eval()
        if rv.name not in fit["observed_data"] or not np.array_equal(
            again, fit["observed_data"][rv.name].to_numpy()
        ):
            raise ValueError(
                f"refit= and table= do not give the model of the fit: {rv.name!r} differs. "
                "Give the function, with functools.partial if it had options, and the table that "
                "the fitted model was made from"
            )


def without(table: pd.DataFrame, fitted: Fitted, unit: str, position: int) -> pd.DataFrame:
    """Return a table without a unit.

    In a table of several years groups stand in what they stood in when nothing was left out, which
    their last year may have said.
    """
    d = fitted.d
    if unit == d.individual:
        keep = np.arange(len(table)) != position
    elif d.panel:
        table = _as_fitted(table, d)
        cells = [d.last_cells[position]] if unit == d.last else d.ancestor_of(unit) == position
        left_out = d.cell_labels[cells]
        labels = [f"{g} {y:.0f}" for g, y in zip(table[d.group], table[d.cells.name], strict=True)]
        keep = ~np.isin(labels, left_out.astype(str))
    else:
        keep = (label_text(table, unit) != d.coords[unit][position]).to_numpy()
    if not keep.any():
        raise ValueError(f"nothing is left of the table without this {unit}: it is the only one")
    return table[keep].reset_index(drop=True)


def _as_fitted(table: pd.DataFrame, d: Description) -> pd.DataFrame:
    """Return a table of several years with groups, and what they stand in, as the fit has them."""
    labels = label_text(table, d.group)
    at = labels.map(d.positions[d.group]).to_numpy()
    placed = {d.group: labels}
    for level in reversed(d.levels[:-1]):
        at = d.parent_of(d.below(level.name))[at]
        placed[level.name] = level.labels[at]
    return table.assign(**placed)


def _check_years(model, fitted: Fitted, unit: str, position: int) -> None:
    """Raise if of several years one is left, whose model does not know how they hang together."""
    if fitted.d.panel and not model.description.panel:
        label = fitted.d.unit_labels(unit)[position]
        raise ValueError(
            f"without {label!r} the table has results of one {fitted.d.cells.name} only, and a "
            f"model of one cannot predict another: no {unit} can be left out of so few"
        )
