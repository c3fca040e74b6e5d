"""Fits in files: what was saved comes back, what is not the same is refused, nothing is half."""

import datetime
import errno
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pymc as pm
import pytest
import xarray as xr
from fakes import prior_draws
from models import build, table_for
from scipy.stats import rankdata

import hbm


def prior_as_fit(model):
    """Return draws of the prior with the groups of a fit."""
    prior = prior_draws(model, 10)
    data = {name: prior[name] for name in prior.children if name.endswith("data")}
    return xr.DataTree.from_dict({"posterior": prior["prior"], **data})


@pytest.fixture(scope="module")
def exams():
    model = build("exams.nested", observe="mean", priors=hbm.exams.Priors(tau_parent=0.2))
    return model, prior_as_fit(model)


@pytest.fixture(scope="module")
def whole_file(exams, tmp_path_factory):
    return hbm.save(*exams, tmp_path_factory.mktemp("fits") / "new folder" / "fit.nc").read_bytes()


@pytest.fixture
def saved(whole_file, tmp_path):
    path = tmp_path / "fit.nc"
    path.write_bytes(whole_file)
    return path


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("heights.partial_pooling", {"priors": hbm.heights.Priors(mu_mean=np.float32(170))}),
        ("scores.nested", {"parameterisation": "non-centred"}),
        ("exams.complete_pooling", {}),
    ],
)
def test_a_saved_fit_and_its_model_come_back(name, options, tmp_path):
    model = build(name, **options)
    fit = prior_as_fit(model)
    before = fit.copy(deep=True)
    again, loaded = hbm.load(hbm.save(model, fit, tmp_path / "fit.nc"))
    xr.testing.assert_identical(fit, before)
    xr.testing.assert_identical(loaded, fit)
    assert again.coords == model.coords
    assert [v.name for v in again.value_vars] == [v.name for v in model.value_vars]


def test_models_of_the_article_come_back(tmp_path):
    model = hbm.article.heights(hbm.load_dataset("heights"))
    again, _ = hbm.load(hbm.save(model, prior_as_fit(model), tmp_path / "fit.nc"))
    assert again.coords == model.coords


def test_a_loaded_model_is_saved_again(saved, tmp_path):
    hbm.load(hbm.save(*hbm.load(saved), tmp_path / "again.nc"))


def test_files_open_without_hbm_and_say_what_they_hold(exams, saved):
    import arviz as az

    for open_file in (xr.open_datatree, az.from_netcdf):
        with open_file(saved) as opened:
            tree = opened.load()
        xr.testing.assert_equal(tree["posterior"].to_dataset(), exams[1]["posterior"].to_dataset())
        assert tree.attrs["hbm_model"] == "hbm.exams.nested"
        assert json.loads(tree.attrs["hbm_arguments"]) == {
            "observe": "mean",
            "design_effect": None,
            "parameterisation": "informed",
            "levels": ["authority"],
            "predictors": [],
            "group": "school",
            "individual": "student",
            "value": "exam",
        }
        assert json.loads(tree.attrs["hbm_priors"])["tau_parent"] == 0.2
        assert json.loads(tree.attrs["hbm_versions"])["pymc"] == pm.__version__
        # The sd was not observed, and so is not part of what the model was made from.
        assert set(tree["table"].data_vars) == {"authority", "school", "n_students", "mean"}


def test_the_table_may_be_held_against_the_one_fitted(saved):
    table = table_for("exams").astype({"n_students": "Int64", "school": int})
    hbm.load(saved, table.assign(sd=0.1))
    for changed, message in [
        (table.iloc[:-1], "it had 11 rows, and the one given has 10"),
        (table.iloc[::-1], "8 rows differ in 'authority'; row 0 had '1' and has '5'"),
        (table.assign(mean=table["mean"] + 1e-9), "11 rows differ in 'mean'; row 0 had 0"),
        (table.drop(columns="mean"), "no column 'mean'"),
    ]:
        with pytest.raises(ValueError, match=message):
            hbm.load(saved, changed)


def rewrite(path, change):
    """Write a file again after a change."""
    with xr.open_datatree(path) as opened:
        tree = opened.load()
    change(tree)
    tree.to_netcdf(path, engine="h5netcdf")


def set_attribute(name, value):
    return lambda tree: tree.attrs.update({name: value})


def double_means(tree):
    tree["table"]["mean"] = tree["table"]["mean"] / 2


def double_observed(tree):
    tree["observed_data"]["exam_mean"] = tree["observed_data"]["exam_mean"] / 2


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (set_attribute("hbm_priors", "{}"), "no longer the model that was fitted: the log density"),
        (set_attribute("hbm_log_density", 0.0), "saved with hbm .* and PyMC .*; install these"),
        (set_attribute("hbm_model", "os.system"), "no model 'os.system'"),
        (set_attribute("hbm_model", "hbm.exams._read"), "no model 'hbm.exams._read'"),
        (double_means, "the table in fit.nc was changed"),
        (double_observed, "'exam_mean' in its observed_data differs"),
        (lambda tree: tree.attrs.pop("hbm_model"), "not a file that hbm.save made"),
        (lambda tree: tree.__delitem__("table"), "not a file that hbm.save made"),
        (
            lambda tree: tree.__delitem__("constant_data"),
            "'n_students' in its constant_data is missing",
        ),
    ],
)
def test_a_file_that_was_changed_is_refused(saved, change, message):
    rewrite(saved, change)
    with pytest.raises(ValueError, match=message):
        hbm.load(saved)


def test_a_file_that_is_none_is_refused(saved, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"there is no file .*nothing\.nc"):
        hbm.load(tmp_path / "nothing.nc")
    whole = saved.read_bytes()
    for part in (b"", b"school,mean\na,0.5\n", whole[: len(whole) // 2], whole[:-100]):
        saved.write_bytes(part)
        with pytest.raises(ValueError, match=r"fit\.nc is damaged or is not a netCDF file"):
            hbm.load(saved)


def test_a_model_that_cannot_be_made_again_is_not_saved(exams, tmp_path):
    model, fit = exams
    path = tmp_path / "fit.nc"
    with pytest.raises(ValueError, match=r"not made by a function of hbm\.heights"):
        hbm.save(pm.Model(), fit, path)
    with pytest.raises(TypeError, match=r"model must be a pymc\.Model, got DataTree"):
        hbm.save(fit, model, path)
    with pytest.raises(ValueError, match="the fit is not of this model: it has no draws of"):
        hbm.save(build("heights.partial_pooling"), fit, path)
    other = build("exams.nested", observe="mean")
    other["n_students"].set_value(np.full(11, 7.0))  # behind the model's back
    with pytest.raises(ValueError, match="'n_students' in its constant_data differs"):
        hbm.save(other, prior_as_fit(other), path)
    assert list(tmp_path.iterdir()) == []


def test_a_table_changed_after_the_model_was_made_does_not_matter(tmp_path):
    table = table_for("exams")
    model = hbm.exams.nested(table)
    table.loc[:, "mean"] = 0.5
    again, _ = hbm.load(hbm.save(model, prior_as_fit(model), tmp_path / "fit.nc"))
    np.testing.assert_array_equal(again["mean"].get_value(), model["mean"].get_value())


NOT_OF_NETCDF = {
    "none": None,
    "flag": True,
    "NumPy's flag": np.False_,
    "settings": {"tune": None, "seeds": [1, 2.5], "notes": {"by": "é", "checked": False}},
    "large": 2**70,
    "null": "a\0b",
    "half": "\ud800",
    "mixed": [1, "a", None],
    "one number": [1],
    "one name": ["a"],
    "two names": ["a", "b"],
    "nothing": [],
    "flags": [True, False],
    "NumPy's text": np.str_("a"),
    "NaN": [float("inf")],
    # Names that netCDF and xarray claim for themselves.
    "": "no name",
    "CLASS": "of 2016",
    "units": "days since 2000-01-01",
    "scale_factor": 2.0,
    "add_offset": 1.0,
    "_FillValue": 1.0,
    "missing_value": 1.0,
    "dtype": "bool",
    "coordinates": "none",
    "calendar": "of the school",
    "grid_mapping": "none",
    "_Unsigned": "true",
    "_Netcdf4Dimid": 7,
}


def test_attributes_that_netcdf_has_no_form_for_come_back(exams, tmp_path):
    """Wherever they stand; None among them, and draws stay what they are."""
    model, fit = exams[0], exams[1].copy(deep=True)
    posterior = fit["posterior"].to_dataset()
    for owner in (fit, posterior, posterior["mu_school"], posterior["school"]):
        owner.attrs |= NOT_OF_NETCDF
    fit["posterior"] = xr.DataTree(posterior)
    before = fit.copy(deep=True)
    _, loaded = hbm.load(hbm.save(model, fit, tmp_path / "fit.nc"))
    xr.testing.assert_identical(fit, before)
    xr.testing.assert_identical(loaded, fit)
    plain = NOT_OF_NETCDF | {"NumPy's flag": False, "NumPy's text": "a"}
    group = loaded["posterior"]
    for owner in (loaded, group, group["mu_school"], group["school"]):
        there = {name: owner.attrs[name] for name in plain}  # order and types as well
        assert repr(there) == repr(plain)


def test_attributes_of_numpy_and_tuples_come_back_as_numbers_and_lists(exams, tmp_path):
    model, fit = exams[0], exams[1].copy(deep=True)
    fit.attrs |= {"whole": np.arange(3), "tuple": (1, 2), "flags": np.array([True]), "n": 3}
    attrs = hbm.load(hbm.save(model, fit, tmp_path / "fit.nc"))[1].attrs
    assert attrs["whole"].tolist() == [0, 1, 2]
    assert (attrs["tuple"], attrs["flags"], attrs["n"]) == ([1, 2], [True], 3)


def test_attributes_that_cannot_be_kept_are_named_before_anything_is_written(exams, tmp_path):
    model, fit = exams[0], exams[1].copy(deep=True)
    fit.attrs |= {"made": datetime.date(2016, 6, 1), "by year": {2016: 1}, "kept": None}
    fit["posterior"].attrs["raw"] = b"bytes"
    fit["posterior"]["mu"].attrs["day"] = np.datetime64("2016-06-01")
    fit["constant_data"].attrs[1] = "number for a name"
    with pytest.raises(TypeError) as refused:
        hbm.save(model, fit, tmp_path / "fit.nc")
    assert str(refused.value).startswith(
        "attributes of the fit that cannot be saved: 'made' (date), 'by year' (dict), "
        "'raw' of posterior (bytes), 'day' of posterior/mu (datetime64), "
        "1 of constant_data (its name is not text). Kept are"
    )
    assert "give others as text" in str(refused.value)
    assert list(tmp_path.iterdir()) == []


def test_files_say_without_hbm_what_netcdf_has_no_form_for(exams, tmp_path):
    model, fit = exams[0], exams[1].copy(deep=True)
    fit["posterior"].attrs |= {"checked": None, "sample_dims": ["chain", "draw"]}
    with xr.open_datatree(hbm.save(model, fit, tmp_path / "fit.nc")) as opened:
        assert opened["posterior"].attrs["sample_dims"] == ["chain", "draw"]
        kept = json.loads(opened.attrs["hbm_attributes"])
    assert ["posterior", None, "checked", None] in kept


def test_what_has_a_name_of_the_files_own_is_not_lost(exams, saved, tmp_path):
    model, fit = exams[0], exams[1].copy(deep=True)
    fit.attrs["hbm_note"] = "mine"
    _, loaded = hbm.load(hbm.save(model, fit, tmp_path / "fit.nc"))
    assert loaded.attrs == {"hbm_note": "mine"}
    with_table = fit.assign(table=xr.DataTree(xr.Dataset({"mine": 1})))
    with pytest.raises(ValueError, match=r"the fit has a group 'table'.* another name"):
        hbm.save(model, with_table, tmp_path / "new.nc")
    with xr.open_datatree(saved) as opened:  # with a group table and attributes that are its own
        opened = opened.load()
    hbm.load(hbm.save(model, opened, tmp_path / "again.nc"))


def test_part_of_a_loaded_fit_is_saved_again(saved, tmp_path):
    model, fit = hbm.load(saved)
    part = fit.isel(draw=slice(3))
    xr.testing.assert_equal(hbm.load(hbm.save(model, part, tmp_path / "part.nc"))[1], part)


OLD = Path(__file__).parent / "files"


@pytest.mark.filterwarnings("ignore:.*Pareto k above:UserWarning")
@pytest.mark.parametrize(
    ("name", "parent", "elpd"),
    [("exams_nested_0_1", "authority", 27.1), ("scores_nested_0_1", "district", 122.0)],
)
def test_files_of_earlier_versions_are_read_and_can_be_used(name, parent, elpd):
    """They were made by tests/files/make_old_files.py, and stay as they are."""
    path = OLD / f"{name}.nc"
    with xr.open_datatree(path) as opened:
        stored = opened.load()
    model, fit = hbm.load(path)
    labels = stored["posterior"]["school"].to_numpy().astype(str).tolist()
    draws = stored["posterior"]["mu_school"]
    xr.testing.assert_equal(fit["posterior"].to_dataset(), stored["posterior"].to_dataset())
    assert fit["posterior"].attrs["tuning_steps"] == 200
    assert model.description.design_effect == 1  # which is what they were fitted with

    table = hbm.shrinkage(fit, "school").set_index("school")
    assert table["mean"][labels].to_numpy() == pytest.approx(draws.mean(("chain", "draw")))
    of_school = stored["constant_data"][f"{parent}_of_school"].to_numpy()
    parents = stored["posterior"][parent].to_numpy().astype(str)[of_school]
    assert table[parent][labels].tolist() == parents.tolist()

    league = hbm.ranks(fit, "school").set_index("school")
    expected = rankdata(-draws.transpose("chain", "draw", "school"), axis=-1).mean((0, 1))
    assert league["expected_rank"][labels].to_numpy() == pytest.approx(expected)

    left_out = hbm.loo(model, fit, "school")
    assert left_out.elpd_i["school"].to_numpy().astype(str).tolist() == labels
    # A hundred draws leave some tenths of a nat to how the unit is left out.
    assert left_out.elpd == pytest.approx(elpd, abs=1)

    new = pd.DataFrame({"school": [*labels, "new"], parent: [*parents, parents[0]]})
    predicted = hbm.predict(model, fit, new.assign(n_students=20), random_seed=1)
    mu = predicted["predictions"]["mu_school"]
    np.testing.assert_array_equal(mu.sel(school=labels), draws)
    known = predicted["predictions_constant_data"]["known"].to_numpy().tolist()
    assert known == [True] * len(labels) + [False]


def stop(*_):
    raise KeyboardInterrupt("stopped")


def disk_full(*_):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.parametrize(
    ("happens", "error", "message"),
    [
        (stop, KeyboardInterrupt, "stopped"),
        (disk_full, OSError, "nothing was saved, .* is as it was: No space left on device: .*fit"),
    ],
)
def test_an_interrupted_save_leaves_the_old_file_whole(
    exams, saved, monkeypatch, happens, error, message
):
    before = saved.read_bytes()
    monkeypatch.setattr(os, "fsync", happens)
    with pytest.raises(error, match=message):
        hbm.save(*exams, saved)
    assert [file.name for file in saved.parent.iterdir()] == ["fit.nc"]
    assert saved.read_bytes() == before


def test_a_file_that_outgrows_the_disk_is_an_error_and_no_crash(exams, saved):
    """HDF5 itself ends the process when it cannot write on."""
    resource = pytest.importorskip("resource")  # not on Windows
    before = saved.read_bytes()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
    try:
        with pytest.raises(OSError, match=r"nothing was saved, .* is as it was: File too large"):
            hbm.save(*exams, saved)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert [file.name for file in saved.parent.iterdir()] == ["fit.nc"]
    assert saved.read_bytes() == before


def test_labels_of_any_script_come_back(tmp_path):
    table = table_for("exams")
    table["school"] = ["Ä", "ß ß", "学校", "9", "09", "a,b", 'quote"', "🏫", "é", "a\nb", "x" * 300]
    model = hbm.exams.nested(table)
    again, loaded = hbm.load(hbm.save(model, prior_as_fit(model), tmp_path / "fit.nc"), table)
    assert again.coords["school"] == tuple(table["school"])
    assert loaded["posterior"]["school"].to_numpy().tolist() == table["school"].tolist()


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::hbm.ConvergenceWarning")
def test_a_fit_goes_on_in_another_process(informed_fits, tmp_path):
    table = table_for("exams")
    model, fit = hbm.exams.nested(table), informed_fits("exams.nested")
    with_predictive = hbm.sample_posterior_predictive(model, fit, progressbar=False)
    path = hbm.save(model, with_predictive, tmp_path / "fit.nc")
    here = hbm.predict(model, fit, table, random_seed=1)["predictions"]["mean"].mean()
    code = (
        "import hbm, pandas as pd; "
        f"model, fit = hbm.load({str(path)!r}); "
        "table = pd.DataFrame({'school': fit.posterior.school, 'n_students': "
        "fit.constant_data.n_students, 'authority': fit.posterior.authority.values["
        "fit.constant_data.authority_of_school]}); "
        "print(repr(float(hbm.predict(model, fit, table, random_seed=1)['predictions']['mean']"
        ".mean())), 'posterior_predictive' in fit.children)"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.split() == [repr(float(here)), "True"]
