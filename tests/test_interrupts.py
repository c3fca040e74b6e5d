"""Sampling that is stopped: what was finished is kept, and what is lost is said."""

import subprocess
import sys
import warnings

import numpy as np
import pymc as pm
import pytest
import xarray as xr
from models import build

import hbm


def stopped(*lengths, filled=True):
    """Return what a sampler returns when its chains have made so many draws each."""
    rng = np.random.default_rng(1)
    values = rng.normal(size=(len(lengths), max(lengths)))
    if filled:  # as nutpie does
        values[np.arange(max(lengths)) >= np.array(lengths)[:, None]] = np.nan
    dims = ("chain", "draw")
    stats = {"energy": (dims, values), "diverging": (dims, np.isnan(values) & False)}
    return xr.DataTree.from_dict(
        {
            "posterior": xr.Dataset({"mu": (dims, values)}),
            "sample_stats": xr.Dataset(stats),
            "observed_data": xr.Dataset({"height": ("person", [170.0, 180.0])}),
        }
    )


@pytest.fixture
def sample(monkeypatch):
    """Return a function that samples, and gets the result it is given from the sampler."""
    model = build("heights.partial_pooling")

    def sample_with(result, **settings):
        def of_sampler(*_, **__):
            if isinstance(result, Exception):
                raise result
            return result

        monkeypatch.setattr(pm, "sample", of_sampler)
        return hbm.sample(model, draws=1000, method="nuts", **settings)

    return sample_with


@pytest.mark.parametrize(
    ("made", "chains", "draws"),
    [
        ((1000, 700, 0, 0), 2, 700),
        ((0, 1000, 400, 900), 2, 900),
        ((900, 800, 700, 100), 3, 700),
        ((500, 500, 500, 499), 4, 499),
    ],
)
def test_the_chains_that_keep_most_draws_are_kept(sample, made, chains, draws):
    with pytest.warns(UserWarning, match=f"kept are {draws} draws from each of {chains} chains"):
        fit = sample(stopped(*made))
    assert fit["posterior"].sizes == {"chain": chains, "draw": draws}
    assert np.isfinite(fit["posterior"]["mu"]).all()
    assert fit["sample_stats"].sizes["draw"] == draws
    assert fit["observed_data"].sizes == {"person": 2}


def test_chains_cut_by_the_sampler_are_reported(sample):
    with pytest.warns(UserWarning, match="interrupted: kept are 500 .* of 1000 from each of 4"):
        fit = sample(stopped(500, 500, 500, 500), nuts_sampler="pymc")
    assert fit["posterior"].sizes == {"chain": 4, "draw": 500}
    with pytest.warns(UserWarning, match="kept are 1000 draws from each of 3 chains"):
        sample(stopped(1000, 1000, 1000), nuts_sampler="pymc")


def test_a_single_chain_cannot_be_checked(sample):
    with pytest.warns(UserWarning, match=r"1 chains, .* a single chain cannot be checked"):
        fit = sample(stopped(1000, 40, 0, 0))
    assert fit["posterior"].sizes == {"chain": 1, "draw": 1000}


def test_nothing_to_keep_is_an_interrupt_with_a_reason(sample):
    unfinished = (
        stopped(3, 1, 0, 0),
        stopped(0, 0),
        ValueError("Not enough samples to build a trace."),
    )
    for result in unfinished:
        with pytest.raises(KeyboardInterrupt, match="there is nothing to keep"):
            sample(result)


def test_other_errors_of_the_sampler_stay_what_they_are(sample):
    with pytest.raises(ValueError, match="initial evaluation failed"):
        sample(ValueError("initial evaluation failed"))


@pytest.mark.parametrize("error", [ConnectionResetError, BrokenPipeError, EOFError])
def test_a_killed_process_of_pymcs_sampler_is_named(sample, error):
    """What PyMC raises when one of its processes is gone."""
    with pytest.raises(RuntimeError, match=r"was killed.*the draws of all chains are lost"):
        sample(error(104, "Connection reset by peer"), nuts_sampler="pymc")


def test_a_whole_fit_is_left_alone(sample):
    whole = stopped(1000, 1000, 1000, 1000)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert sample(whole)["posterior"].identical(whole["posterior"])


CODE = """
import os, signal, sys, threading
signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored in jobs of some shells
import nutpie, hbm
original = nutpie.sample

def sample(*args, **kwargs):
    threading.Timer(float(sys.argv[1]), os.kill, (os.getpid(), signal.SIGINT)).start()
    return original(*args, **kwargs)

nutpie.sample = sample
model = hbm.heights.partial_pooling(hbm.load_dataset("heights"))
settings = {"chains": 4, "cores": 2, "random_seed": 1, "progressbar": False, "method": "nuts"}
fit = hbm.sample(model, draws=5_000_000, **settings)
print(fit["posterior"].sizes["draw"], int(fit["posterior"]["mu"].isnull().sum()))
"""


@pytest.mark.slow
def test_control_c_keeps_what_nutpie_has_drawn():
    command = [sys.executable, "-c", CODE, "1"]
    run = subprocess.run(command, capture_output=True, text=True, check=True, timeout=300)
    draws, missing = map(int, run.stdout.split())
    assert 4 <= draws < 5_000_000
    assert missing == 0
    assert "sampling was interrupted: kept are" in run.stderr
