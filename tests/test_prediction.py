import numpy as np
import pandas as pd
import pytest
from fakes import fake_exams_nested, fake_fit
from models import build, table_for
from scipy.special import expit, logit

import hbm
from hbm.results.prediction import predict

# 4.5 standard errors: seven in a million, were it Normal.
SIGMAS = 4.5
N_DRAWS = 20_000


def assert_moments(values, mean, sd):
    """Check mean and sd of independent draws of a Normal, within their Monte Carlo error."""
    n = len(values)
    assert abs(values.mean() - mean) < SIGMAS * sd / np.sqrt(n)
    assert abs(values.std() - sd) < SIGMAS * sd / np.sqrt(2 * n)


@pytest.fixture(scope="module")
def exams():
    """Predict from one known population, so that all uncertainty is that of new groups."""
    model = build("exams.nested")
    authorities = np.linspace(0.2, 1.0, 5)
    fit = fake_exams_nested(
        model,
        N_DRAWS,
        eta=0.5,
        tau_authority=0.3,
        tau_school=0.4,
        nu=8,
        tau_nu=0.25,
        eta_authority=authorities,
    )
    new = pd.DataFrame(
        {
            "school": ["new 1", "2", "new 2", "new 3", "new 4"],
            "authority": ["2", "1", "X", "X", "Y"],
            "n_students": [25, 10, 40, 1, 2],
        }
    )
    return fit, predict(model, fit, new, random_seed=1)


def column(tree, name, school):
    return tree["predictions"][name].sel(school=school).to_numpy().ravel()


def test_a_known_school_keeps_its_own_draws(exams):
    fit, tree = exams
    for name in ("mu_school", "nu_school"):
        known = fit["posterior"][name].sel(school="2").to_numpy().ravel()
        np.testing.assert_array_equal(column(tree, name, "2"), known)


def test_a_new_school_is_drawn_around_its_known_authority(exams):
    _, tree = exams
    assert_moments(logit(column(tree, "mu_school", "new 1")), 0.4, 0.4)
    assert_moments(np.log(column(tree, "nu_school", "new 1")), np.log(8), 0.25)


def test_a_new_authority_is_drawn_around_the_grand_mean(exams):
    _, tree = exams
    for school in ("new 2", "new 3", "new 4"):
        assert_moments(logit(column(tree, "mu_school", school)), 0.5, 0.5)


def test_schools_of_one_new_authority_share_its_effect(exams):
    _, tree = exams
    x, same, other = (
        logit(column(tree, "mu_school", school)) for school in ("new 2", "new 3", "new 4")
    )
    expected = 0.3**2 / (0.3**2 + 0.4**2)
    error = SIGMAS / np.sqrt(len(x))
    assert abs(np.corrcoef(x, same)[0, 1] - expected) < error
    assert abs(np.corrcoef(x, other)[0, 1]) < error


def test_next_cohort_is_made_of_students(exams):
    _, tree = exams
    n = 10
    mu, nu = (column(tree, name, "2") for name in ("mu_school", "nu_school"))
    variance = mu * (1 - mu) / (nu + 1)
    # In units of its own standard error each draw's mean has mean 0 and variance 1.
    z = (column(tree, "mean", "2") - mu) / np.sqrt(variance / n)
    assert abs(z.mean()) < SIGMAS / np.sqrt(len(z))
    assert abs((z**2).mean() - 1) < SIGMAS * (z**2).std() / np.sqrt(len(z))
    ratio = column(tree, "sd", "2") ** 2 / variance
    assert abs(ratio.mean() - 1) < SIGMAS * ratio.std() / np.sqrt(len(z))


def test_a_cohort_of_one_has_no_sd(exams):
    _, tree = exams
    assert np.isnan(column(tree, "sd", "new 3")).all()
    assert np.isfinite(column(tree, "sd", "new 4")).all()
    assert np.isfinite(column(tree, "mean", "new 3")).all()


def test_predictions_are_labelled(exams):
    fit, tree = exams
    assert list(tree.children) == ["predictions", "predictions_constant_data"]
    assert tree["predictions"]["mean"].dims == ("chain", "draw", "school")
    assert list(tree["predictions"]["school"].values) == ["new 1", "2", "new 2", "new 3", "new 4"]
    constant = tree["predictions_constant_data"]
    assert list(constant["known"].values) == [False, True, False, False, False]
    assert list(constant["n_students"].values) == [25, 10, 40, 1, 2]
    assert tree["predictions"].sizes["draw"] == fit["posterior"].sizes["draw"]


def heights_fit(name):
    model = build(name)
    rng = np.random.default_rng(2)
    draws = {
        "mu": 176.0,
        "tau_country": 5.0,
        "sigma": 7.0,
        "mu_country": rng.normal(180, 2, (N_DRAWS, 4)),
    }
    learned = {rv.name for rv in model.free_RVs} | {"mu_country"}
    return model, fake_fit(model, {k: v for k, v in draws.items() if k in learned})


@pytest.mark.parametrize(
    ("name", "mean", "sd"),
    [
        ("heights.partial_pooling", 176, 5),
        ("heights.no_pooling", 176, 50),
        ("heights.complete_pooling", 176, 0),
    ],
)
def test_a_new_country(name, mean, sd):
    model, fit = heights_fit(name)
    new = pd.DataFrame({"country": ["1", "new"], "n_people": [9, 16]})
    predictions = predict(model, fit, new, random_seed=3)["predictions"]
    mu = predictions["mu_country"].sel(country="new").to_numpy().ravel()
    if sd == 0:
        np.testing.assert_array_equal(mu, mean)
    else:
        assert_moments(mu, mean, sd)
    assert_moments(
        predictions["mean"].sel(country="new").to_numpy().ravel(), mean, np.hypot(sd, 7 / 4)
    )
    np.testing.assert_array_equal(
        predictions["mu_country"].sel(country="1"), fit["posterior"]["mu_country"].sel(country="1")
    )
    assert "nu_country" not in predictions


def test_schools_without_parents():
    model = build("scores.complete_pooling")
    fit = fake_fit(
        model,
        {"eta": np.full(50, 0.7), "nu": 9.0, "mu_school": expit(0.7), "nu_school": 9.0},
    )
    new = pd.DataFrame({"school": ["new"], "n_students": [3]})
    predictions = predict(model, fit, new)["predictions"]
    np.testing.assert_allclose(predictions["mu_school"], expit(0.7))
    np.testing.assert_allclose(predictions["nu_school"], 9.0)


def test_extreme_effects_give_scores_all_the_same():
    model = build("scores.complete_pooling")
    fit = fake_fit(model, {"eta": np.full(4, 80.0), "nu": 1e9, "mu_school": 1.0, "nu_school": 1e9})
    new = pd.DataFrame({"school": ["new"], "n_students": [3]})
    assert np.isfinite(predict(model, fit, new)["predictions"]["mean"]).all()


def test_seeds():
    model = build("exams.nested")
    fit = fake_exams_nested(model, 20)
    new = table_for("exams")[["school", "authority", "n_students"]]
    once, again, other = (
        predict(model, fit, new, random_seed=seed)["predictions"].to_dataset() for seed in (1, 1, 2)
    )
    assert once.identical(again)
    assert not once["mean"].equals(other["mean"])


def test_arguments_are_not_changed():
    model = build("exams.nested")
    fit = fake_exams_nested(model, 20)
    new = table_for("exams")
    fit_before, new_before = fit.copy(deep=True), new.copy(deep=True)
    predict(model, fit, new, random_seed=1)
    assert fit.identical(fit_before)
    pd.testing.assert_frame_equal(new, new_before)


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"authority": ["2", "2"]}, "'1' is under '2' and was under '1'. Give it that authority"),
        ({"n_students": [0, 5]}, "'n_students' must hold whole numbers, 1 or more; '1' has 0"),
        ({"n_students": [2.5, 5]}, "whole numbers, 1 or more; '1' has 2.5"),
        ({"school": ["1", "1"]}, "each school must have one row; '1' has 2"),
        ({"authority": None}, "no column 'authority'; it has: school, n_students"),
    ],
)
def test_tables_that_are_refused(change, match):
    model = build("exams.nested")
    fit = fake_exams_nested(model, 5)
    columns = {"school": ["1", "new"], "authority": ["1", "1"], "n_students": [4, 5]} | change
    new = pd.DataFrame({name: values for name, values in columns.items() if values is not None})
    with pytest.raises(ValueError, match=match):
        predict(model, fit, new)


def test_models_that_are_refused():
    model = hbm.article.heights(hbm.load_dataset("heights"))
    fit = fake_fit(
        model,
        {"mu_country": np.zeros((5, 4)), "alpha_bar": np.zeros(5), "sigma": 1, "sigma_country": 1},
    )
    with pytest.raises(ValueError, match=r"works on the models of hbm\.heights, hbm\.scores"):
        predict(model, fit, pd.DataFrame({"country": ["1"], "n_people": [2]}))
    with pytest.raises(TypeError, match=r"must be a pymc\.Model, got str"):
        predict("model", fit, pd.DataFrame())


CODES = ["0009", "0012", "1730", "A 07", "Zoë"]


@pytest.fixture(scope="module")
def coded():
    """Return a model of schools with codes, its fit, and the table of the next cohort."""
    table = hbm.simulate.exams([2, 2, 1], 20, random_seed=2)[0]
    table["school"], table["authority"] = CODES, ["01", "01", "02", "02", "x"]
    model = hbm.exams.nested(table)
    return model, fake_exams_nested(model, 5), table


@pytest.mark.parametrize(
    ("row", "label", "known"),
    [
        (0, "9", "0009"),
        (1, 12, "0012"),
        (2, "01730", "1730"),
        (3, "a 07", "A 07"),
        (3, "A  07", "A 07"),
        (4, "Zoe\u0308", "Zoë"),
    ],
)
@pytest.mark.parametrize("function", [predict, hbm.evaluate])
def test_a_known_label_written_otherwise_is_no_new_one(coded, function, row, label, known):
    model, fit, table = coded
    new = table.assign(school=[label if i == row else code for i, code in enumerate(CODES)])
    message = (
        f"'school' has labels that the fit knows, .*: {str(label)!r} for {known!r}. Write them"
    )
    with pytest.raises(ValueError, match=message):
        function(model, fit, new, random_seed=1)


@pytest.mark.parametrize("function", [predict, hbm.evaluate])
def test_labels_of_parents_are_looked_at_too(coded, function):
    model, fit, table = coded
    new = table.assign(school=list("abcde"), authority=["1", "1", "2", "2", "new"])
    message = r"'authority' has .*: '1' for '01', '2' for '02'\. .*'authority'.*zfill\(2\)"
    with pytest.raises(ValueError, match=message):
        function(model, fit, new, random_seed=1)


@pytest.mark.parametrize("function", [predict, hbm.evaluate])
def test_seeds_are_whole_numbers(coded, function):
    with pytest.raises(TypeError, match="random_seed must be a whole number, got 'one'"):
        function(*coded, random_seed="one")
    with pytest.raises(ValueError, match="random_seed must be at least 0, got -1"):
        function(*coded, random_seed=-1)


def test_many_lost_zeros_are_counted():
    table = hbm.simulate.exams([10], 20, random_seed=2)[0]
    table["school"] = table["school"].str.zfill(4)
    model = hbm.exams.nested(table)
    fit = fake_exams_nested(model, 5)
    lost = table.assign(school=table["school"].astype(int))
    with pytest.raises(ValueError, match=r"'5' for '0005' and 5 more\. .*zfill\(4\)"):
        predict(model, fit, lost)
    mended = lost.assign(school=lost["school"].astype(str).str.zfill(4))
    assert predict(model, fit, mended)["predictions_constant_data"]["known"].all()


def test_new_labels_are_new(coded):
    model, fit, table = coded
    # A school 9 beside a school 0009 is another.
    labels = ["0009", "9", "1731", "A 08", "Zoé"]
    new = table.assign(school=labels, authority=["01", "new", "02", "02", "x"])
    known = predict(model, fit, new, random_seed=1)["predictions_constant_data"]["known"]
    assert known.to_numpy().tolist() == [True, False, False, False, False]
