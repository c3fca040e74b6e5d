"""Fits made of numbers chosen by a test or drawn from the prior, without sampling."""

import numpy as np
import xarray as xr

import hbm
from hbm.hierarchy.carried import carry


def fake_fit(model, draws):
    """Return a fit of a model whose draws are given: name → array (n_draws, ...), as one chain."""
    dims = model.named_vars_to_dims
    n = max(len(np.atleast_1d(values)) for values in draws.values())

    def dataset(variables, sample_dims=()):
        named = {name: (*sample_dims, *(dims.get(name) or ())) for name in variables}
        used = {dim for of_one in named.values() for dim in of_one}
        coords = {dim: list(x) for dim, x in model.coords.items() if dim in used and x is not None}
        return xr.Dataset({name: (named[name], v) for name, v in variables.items()}, coords)

    if "design_effect" in model.named_vars and "design_effect" not in draws:
        # All but independent students: what does not vary has no sensitivity to its prior.
        draws = draws | {"design_effect": 1 + 1e-12 * np.arange(n)}
    posterior = {}
    for name, values in draws.items():
        shape = tuple(len(model.coords[d]) for d in dims.get(name) or ())
        values = np.asarray(values, dtype=float)
        if values.ndim == 1:
            values = values.reshape(-1, *(1 for _ in shape))
        posterior[name] = np.broadcast_to(values, (n, *shape))[None].copy()
    observed = {rv.name: model.rvs_to_values[rv].eval() for rv in model.observed_RVs}
    fit = xr.DataTree.from_dict(
        {
            "posterior": dataset(posterior, ("chain", "draw")).assign_coords(
                chain=[0], draw=np.arange(n)
            ),
            "constant_data": dataset({data.name: data.get_value() for data in model.data_vars}),
            "observed_data": dataset(observed),
        }
    )
    return carry(model, fit)


def prior_draws(model, n_draws):
    """Return draws from the prior of a model."""
    return hbm.sample_prior_predictive(model, n_draws, random_seed=1)


def fake_exams_nested(model, n_draws, seed=1, **fixed):
    """Return a fake fit of exams.nested, with the numbers given held fixed in all draws."""
    rng = np.random.default_rng(seed)
    n_authorities = len(model.coords["authority"])
    n_schools = len(model.coords["school"])
    eta = rng.normal(0.6, 0.03, n_draws)
    draws = {
        "eta": eta,
        "tau_authority": rng.normal(0.3, 0.01, n_draws),
        "tau_school": rng.normal(0.5, 0.01, n_draws),
        "nu": rng.normal(6, 0.1, n_draws),
        "tau_nu": rng.normal(0.3, 0.01, n_draws),
        "eta_authority": rng.normal(0.6, 0.03, (n_draws, n_authorities)),
        "eta_school": rng.normal(0.6, 0.4, (n_draws, n_schools)),
        "log_nu_school": rng.normal(np.log(6), 0.3, (n_draws, n_schools)),
    }
    draws |= {name: np.broadcast_to(v, draws.get(name, eta).shape) for name, v in fixed.items()}
    draws["mu_authority"] = 1 / (1 + np.exp(-draws["eta_authority"]))
    draws["mu_school"] = 1 / (1 + np.exp(-draws["eta_school"]))
    draws["nu_school"] = np.exp(draws["log_nu_school"])
    return fake_fit(model, draws)
