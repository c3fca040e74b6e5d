"""Refits: a unit left out in earnest, by fitting the model to the table without it."""

import numpy as np
import pandas as pd
import xarray as xr

from hbm.checks.units import of_new
from hbm.hierarchy.conflict import quiet
from hbm.hierarchy.fitted import Fitted, check_fit, read_fit
from hbm.sampling.posterior import sample
from hbm.tables.labels import label_text

__all__ = ["exact", "same_model", "without"]


def exact(result, tree, fitted: Fitted, unit, refit, table, random_seed, threshold):
    """Replace the elpd of units with a high Pareto k by that of fits without them."""
    from arviz_stats import SamplingWrapper, reloo

    posterior = fitted.fit["posterior"]

    class Refits(SamplingWrapper):
        def sel_observations(self, idx):
            return int(idx), int(idx)

        def sample(self, modified_observed_data):
            with quiet():
                model = refit(without(table, fitted, unit, modified_observed_data))
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
            given = read_fit(fit, model)
            sizes = given.fit["posterior"].sizes
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
    """Return a table without a unit."""
    if unit == fitted.d.individual:
        keep = np.arange(len(table)) != position
    else:
        keep = label_text(table, unit) != fitted.d.coords[unit][position]
    if not keep.any():
        raise ValueError(f"nothing is left of the table without this {unit}: it is the only one")
    return table[keep].reset_index(drop=True)
