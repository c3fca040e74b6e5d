import numpy as np
import pandas as pd
import pytest
import xarray as xr
from fakes import fake_exams_nested, fake_fit, prior_draws
from known_exams import AUTHORITIES, SIZES, TRUTH, fitted_to, known_exams, row, summaries
from models import MODELS, build, table_for
from scipy import stats
from scipy.special import logit

import hbm
from hbm.students import cohorts

# The article's models that observe data, each with the kind of table it takes.
ARTICLE = {
    "heights": "heights",
    "single_school": "one school",
    "scores_no_pooling": "scores",
    "scores_partial_pooling": "scores",
    "exams_no_pooling": "exams",
    "exams_partial_pooling": "exams",
    "exams_nested": "exams",
}


def article_table(name):
    kind = ARTICLE[name]
    if kind == "one school":
        scores = table_for("scores")
        return scores[scores["school"] == "1"].reset_index(drop=True)
    return table_for(kind)


@pytest.fixture(scope="module")
def known():
    return known_exams()


def test_observed_statistics_follow_their_definitions():
    # Schools of one authority need not stand together.
    table = table_for("exams").sample(frac=1, random_state=3).reset_index(drop=True)
    model = hbm.exams.nested(table)
    check = hbm.check_predictive(model, fake_exams_nested(model, 99), random_seed=1)
    expected = summaries(table)
    assert list(check.table["statistic"]) == list(expected)
    np.testing.assert_allclose(check.table["observed"], list(expected.values()), atol=1e-12)


def test_statistics_of_individuals_follow_their_definitions():
    table = table_for("nested_scores")
    # In any order of rows.
    mixed = table.sample(frac=1, random_state=2).reset_index(drop=True)
    residual = table["score"] - table.groupby("school")["score"].transform("mean")
    for of in (table, mixed):
        model = hbm.scores.nested(of)
        prior = prior_draws(model, 99)
        check = hbm.check_predictive(model, prior, random_seed=1)
        assert row(check, "lowest")["observed"] == table["score"].min()
        assert row(check, "highest")["observed"] == table["score"].max()
        np.testing.assert_allclose(row(check, "skewness")["observed"], stats.skew(residual))
        np.testing.assert_allclose(
            row(check, "sd_within")["observed"], table.groupby("school")["score"].std().mean()
        )


def test_shares_at_marks_are_of_all_students_and_come_with_the_table(known):
    model, fit = known
    # Students of the table's own means and spreads, so that the shares are theirs.
    table = table_for("exams")
    rng = np.random.default_rng(1)
    n = table["n_students"].to_numpy()
    acceptable, excellent = rng.uniform(0.6, 0.9, len(n)), rng.uniform(0.1, 0.3, len(n))
    with_shares = table.assign(acceptable=acceptable, excellent=excellent)
    without = hbm.check_predictive(model, fit, new_groups=True, random_seed=1)
    assert not without.table["statistic"].str.startswith("share_").any()
    check = hbm.check_predictive(model, fit, table=with_shares, new_groups=True, random_seed=1)
    for name, mark, shares in (("acceptable", 0.5, acceptable), ("excellent", 0.8, excellent)):
        found = row(check, f"share_{name}")
        np.testing.assert_allclose(found["observed"], (shares * n).sum() / n.sum())
        # Replications: of students simulated elsewhere.
        simulated = [
            hbm.simulate.exams(AUTHORITIES, SIZES, **TRUTH, random_seed=rng)[1]["score"] >= mark
            for _ in range(300)
        ]
        simulated = np.array([one.mean() for one in simulated])
        replicates = check.replicates[f"share_{name}"]
        assert stats.ks_2samp(replicates, simulated).pvalue > 1e-4
        assert found["meaning"] == f"students at {100 * mark:g} % or above"
    impossible = with_shares.assign(excellent=20.0)
    with pytest.raises(ValueError, match=r"shares in \[0, 1\]"):
        hbm.check_predictive(model, fit, table=impossible)


def test_a_share_that_was_not_published_leaves_its_school_out_of_both(known):
    model, fit = known
    table = table_for("exams")
    n, shares = table["n_students"].to_numpy(), np.linspace(0.6, 0.9, len(table))
    # The largest school's share is not known, nor those of schools of one and of two students.
    kept = ~np.isin(n, [100, 1, 2])
    some = table.assign(acceptable=np.where(kept, shares, np.nan), excellent=np.nan)
    check = hbm.check_predictive(model, fit, table=some, new_groups=True, random_seed=1)
    found = row(check, "share_acceptable")
    np.testing.assert_allclose(found["observed"], np.average(shares[kept], weights=n[kept]))
    # None of the other mark's were published: there is nothing to compare.
    assert "share_excellent" not in set(check.table["statistic"])
    rng = np.random.default_rng(2)
    simulated = []
    for _ in range(300):
        students = hbm.simulate.exams(AUTHORITIES, SIZES, **TRUTH, random_seed=rng)[1]
        there = students["school"].isin(table["school"][kept])
        simulated.append((students["score"][there] >= 0.5).mean())
    replicates = check.replicates["share_acceptable"]
    assert stats.ks_2samp(replicates, simulated).pvalue > 1e-4
    # They are the same simulations as those of all schools, less the students of three.
    whole = hbm.check_predictive(
        model, fit, table=table.assign(acceptable=shares), new_groups=True, random_seed=1
    )
    counts = replicates * n[kept].sum()
    left_out = whole.replicates["share_acceptable"] * n.sum() - counts
    np.testing.assert_allclose(counts, counts.round(), atol=1e-6)
    assert left_out.between(-1e-6, n[~kept].sum() + 1e-6).all()
    assert left_out.std() > 1


def test_mixed_replications_are_data_sets_of_the_population(known):
    model, fit = known
    replicates = hbm.check_predictive(model, fit, new_groups=True, random_seed=3).replicates
    rng = np.random.default_rng(4)
    simulated = pd.DataFrame(
        [
            summaries(hbm.simulate.exams(AUTHORITIES, SIZES, **TRUTH, random_seed=rng)[0])
            for _ in range(500)
        ]
    )
    assert list(replicates.columns) == list(simulated.columns)
    for name in simulated:
        assert stats.ks_2samp(replicates[name], simulated[name]).pvalue > 1e-4, name


def test_conditional_replications_are_next_cohorts_of_the_same_schools():
    model = build("exams.nested")
    table = table_for("exams")
    fit = fitted_to(model, table, 600)
    replicates = hbm.check_predictive(model, fit, random_seed=1).replicates
    cohort = hbm.predict(model, fit, table, random_seed=2)["predictions"].to_dataset()
    cohort = cohort.isel(chain=0).transpose("draw", ...)
    means, sds = cohort["mean"].to_numpy(), cohort["sd"].to_numpy()
    expected = pd.DataFrame(
        [summaries(table.assign(mean=m, sd=s)) for m, s in zip(means, sds, strict=True)]
    )
    for name in expected:
        assert stats.ks_2samp(replicates[name], expected[name]).pvalue > 1e-4, name


def test_the_articles_exams_imply_too_little_spread_of_students():
    table = hbm.simulate.exams([5, 5], 60, mu=0.65, nu=5, random_seed=1)[0]
    model = hbm.article.exams_no_pooling(table)
    rng = np.random.default_rng(1)
    fit = fake_fit(
        model,
        {
            "school_mu": np.tile(table["mean"].to_numpy(), (300, 1)),
            # Nothing informs it: its posterior is its prior.
            "school_nu": stats.truncnorm.rvs(-7.5, 100, 30, 4, (300, 10), random_state=rng),
        },
    )
    check = hbm.check_predictive(model, fit, table=table, random_seed=1)
    spread = row(check, "sd_within")
    assert spread["verdict"] == "higher than expected"
    assert spread["observed"] == pytest.approx(table["sd"].mean())
    # The sd of a Beta student with nu = 30: 8.6 points at a mean of 65.
    implied = np.sqrt(table["mean"] * (1 - table["mean"]) / 31).mean()
    assert abs(spread["mean"] - implied) < 0.02 * implied
    assert not check.ok
    assert "FAIL  spread of students within a school" in str(check)


def test_sharing_one_spread_among_unlike_groups_is_seen():
    rng = np.random.default_rng(1)
    sds = np.repeat([2.0, 4.0, 8.0, 12.0, 3.0], 40)
    table = pd.DataFrame(
        {"country": np.repeat(list("abcde"), 40), "height": 176 + sds * rng.normal(size=200)}
    )
    model = hbm.heights.complete_pooling(table)
    pooled = float(table["height"].std())
    fit = fake_fit(model, {"mu": np.full(300, 176.0), "sigma": pooled, "mu_country": 176.0})
    check = hbm.check_predictive(model, fit, random_seed=1)
    assert row(check, "sd_of_sds")["verdict"] == "higher than expected"
    assert row(check, "lowest_mean")["verdict"] == "as expected"


def test_complete_pooling_of_unlike_schools_is_seen():
    table = hbm.simulate.exams([15], 80, mu=0.65, tau_school=0.6, tau_nu=0, random_seed=1)[0]
    model = hbm.exams.complete_pooling(table)
    draws = {"eta": np.full(200, logit(0.65)), "nu": 6.0, "mu_school": 0.65, "nu_school": 6.0}
    for new_groups in (False, True):
        check = hbm.check_predictive(
            model, fake_fit(model, draws), new_groups=new_groups, random_seed=1
        )
        assert row(check, "sd_between")["verdict"] == "higher than expected"


def test_only_mixed_replication_sees_that_small_schools_differ():
    table = hbm.simulate.exams([12], [6, 60] * 6, mu=0.65, tau_school=0.05, random_seed=1)[0]
    table["mean"] -= np.where(table["n_students"] == 6, 0.25, 0.0)
    model = hbm.exams.nested(table)
    between = {"tau_school": 0.6, "tau_authority": 0.01}
    fit = fitted_to(model, table, 400, eta=logit(table["mean"].mean()), **between)
    same, new = (
        row(
            hbm.check_predictive(model, fit, new_groups=new_groups, prob=0.9, random_seed=1),
            "small_minus_large",
        )
        for new_groups in (False, True)
    )
    assert same["verdict"] == "as expected"
    assert new["observed"] < -0.2
    assert new["p"] > 0.99
    assert abs(new["mean"]) < 0.05


def test_that_students_of_small_schools_vary_less_is_seen():
    table = hbm.simulate.exams([12], [10, 60] * 6, mu=0.65, tau_nu=0, nu=6, random_seed=1)[0]
    table["sd"] *= np.where(table["n_students"] == 10, 0.4, 1.0)
    model = hbm.exams.nested(table)
    fit = fitted_to(model, table, 300, log_nu_school=np.log(6))
    spread = row(hbm.check_predictive(model, fit, random_seed=1), "within_small_minus")
    assert spread["verdict"] == "lower than expected"
    assert (
        spread["meaning"] == "schools under 35 students less larger ones: spread of students (sd)"
    )


@pytest.mark.filterwarnings("ignore:the data are far from what the priors expect")
def test_a_prior_that_excludes_the_data_fails_and_a_wide_one_passes():
    table = table_for("heights")
    narrow = hbm.heights.Priors(mu_mean=100, mu_sd=1, tau_country=1, sigma=1)
    for priors, ok in ((hbm.heights.Priors(), True), (narrow, False)):
        model = hbm.heights.partial_pooling(table, priors=priors)
        check = hbm.check_predictive(model, prior_draws(model, 1000), random_seed=1)
        assert check.ok is ok
        assert check.source == "prior"
        assert "Prior predictive check" in str(check)


@pytest.mark.parametrize("name", MODELS)
def test_every_model_has_a_prior_check_of_both_kinds(name):
    model = build(name)
    prior = hbm.sample_prior_predictive(model, 99, random_seed=1)
    for new_groups in (False, True):
        check = hbm.check_predictive(model, prior, new_groups=new_groups, random_seed=1)
        assert np.isfinite(check.table.select_dtypes("number")).all(axis=None)
        assert check.replicates.shape == (99, len(check.table))
        assert check.replicates.notna().all(axis=None)


@pytest.mark.parametrize("name", ARTICLE)
def test_every_model_of_the_article_too_and_the_table_adds_its_sds(name):
    table = article_table(name)
    model = getattr(hbm.article, name)(table)
    prior = hbm.sample_prior_predictive(model, 99, random_seed=1)
    alone = hbm.check_predictive(model, prior, random_seed=1)
    for new_groups in (False, True):
        check = hbm.check_predictive(
            model, prior, table=table, new_groups=new_groups, random_seed=1
        )
        assert np.isfinite(check.table.select_dtypes("number")).all(axis=None)
        assert "sd_within" in check.replicates
        assert set(alone.replicates) <= set(check.replicates)
    assert ("sd_within" in alone.replicates) == (not name.startswith("exams"))


def test_without_a_proper_prior_there_are_no_new_schools():
    table = table_for("nested_scores")
    model = hbm.article.scores_nested(table)
    rng = np.random.default_rng(1)
    draws = {
        rv.name: rng.uniform(0.5, 0.9, (99, *rv.shape.eval()))
        for rv in [*model.free_RVs, *model.deterministics]
    }
    draws["nu_school"] = draws["nu_school"] * 40
    fit = fake_fit(model, draws)
    assert len(hbm.check_predictive(model, fit, table=table, random_seed=1).table) > 5
    with pytest.raises(ValueError, match="no new schools can be drawn: the prior of nu_school is"):
        hbm.check_predictive(model, fit, table=table, new_groups=True)


def test_where_the_sd_was_not_observed_the_table_tells_it():
    table = table_for("exams")
    model = hbm.exams.nested(table, observe="mean")
    fit = fake_exams_nested(model, 99)
    assert "sd_within" not in hbm.check_predictive(model, fit, random_seed=1).replicates
    check = hbm.check_predictive(model, fit, table=table, random_seed=1)
    assert row(check, "sd_within")["observed"] == pytest.approx(table["sd"].mean())


def test_schools_of_one_student_and_sds_that_are_all_the_same_leave_statistics_out():
    table = table_for("exams").assign(n_students=1, sd=np.nan)
    model = hbm.exams.nested(table)
    check = hbm.check_predictive(model, fake_exams_nested(model, 99), random_seed=1)
    assert not check.table["statistic"].str.contains("within|sds|correlation").any()
    assert np.isfinite(check.table.select_dtypes("number")).all(axis=None)
    # The correlation of means with sds that do not vary is not defined.
    alike = table_for("exams").assign(sd=lambda t: np.where(t["n_students"] > 1, 0.2, np.nan))
    model = hbm.exams.nested(alike)
    check = hbm.check_predictive(model, fake_exams_nested(model, 99), random_seed=1)
    assert "mean_sd_correlation" not in check.replicates
    assert row(check, "sd_of_sds")["observed"] == pytest.approx(0)
    assert np.isfinite(check.table.select_dtypes("number")).all(axis=None)


def test_where_no_statistic_is_possible_it_says_so():
    table = table_for("exams").iloc[:2].reset_index(drop=True)
    model = hbm.exams.nested(table, observe="mean")
    fit = fake_exams_nested(model, 99)
    with pytest.raises(ValueError, match="2 schools are too few for a statistic between them"):
        hbm.check_predictive(model, fit)
    assert list(hbm.check_predictive(model, fit, table=table).replicates) == ["sd_within"]


def test_the_block_bounds_memory_and_changes_nothing(known, monkeypatch):
    model, fit = known
    settings = {"draws": 99, "random_seed": 1}
    whole = hbm.check_predictive(model, fit, **settings).replicates
    sizes = []
    draw = cohorts.individuals

    def seen(law, mu, spread, n, rng):
        sizes.append(len(mu) * n.sum())
        return draw(law, mu, spread, n, rng)

    monkeypatch.setattr(cohorts, "_BLOCK", 700)
    monkeypatch.setattr(cohorts, "individuals", seen)
    in_blocks = hbm.check_predictive(model, fit, **settings).replicates
    assert max(sizes) == 700 // sum(SIZES) * sum(SIZES)
    pd.testing.assert_frame_equal(whole, in_blocks)


def test_draws_are_thinned_evenly_over_chains():
    model = build("heights.complete_pooling")
    fit = fake_fit(model, {"mu": np.linspace(100, 200, 400), "sigma": 1e-3, "mu_country": 0.0})
    fit["posterior"]["mu_country"][:] = fit["posterior"]["mu"]
    first = fit["posterior"].to_dataset()
    second = first.assign({name: first[name] + 100 for name in ("mu", "mu_country")})
    two = xr.concat([first, second], "chain")
    fit = fit.assign(posterior=xr.DataTree(two.assign_coords(chain=[0, 1])))
    check = hbm.check_predictive(model, fit, draws=5, prob=0.8, random_seed=1)
    lowest = check.replicates["lowest_mean"]
    np.testing.assert_allclose(lowest, np.linspace(100, 300, 5), atol=0.2)


def test_seeds_and_unchanged_arguments(known):
    model, fit = known
    before = fit.copy(deep=True)
    first, again, other = (
        hbm.check_predictive(model, fit, new_groups=True, draws=99, random_seed=seed).replicates
        for seed in (1, 1, 2)
    )
    pd.testing.assert_frame_equal(first, again)
    assert not first.equals(other)
    assert fit.identical(before)


def test_the_report_is_for_people(known):
    model, fit = known
    check = hbm.check_predictive(model, fit, new_groups=True, random_seed=1)
    text = str(check)
    assert text.startswith("Posterior predictive check, mixed: new schools from the population\n")
    assert not check.ok
    failed = (check.table["verdict"] != "as expected").sum()
    verdict = f"The model fails (p = {check.p_value:.2g}): of 11 statistics of the data, {failed} "
    assert verdict in text
    wide = hbm.check_predictive(model, fit, new_groups=True, prob=0.999, random_seed=1)
    assert "all are where all are in 99.9 % of the replications" in str(wide)
    observed = table_for("exams")["mean"].min()
    assert f"lowest school mean {'':>10}" in text
    assert f"{100 * observed:.2f} %" in text
    html = check._repr_html_()
    assert "<table" in html
    assert "schools&#x27;" in html or "schools'" in html


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"prob": 1.0}, "prob must lie between 0 and 1, got 1.0"),
        ({"draws": 0}, "draws must be 1 or more, got 0"),
        ({"draws": 98}, "98 draws are too few to tell a chance of 1 %: give 99 or more, or a sma"),
        ({"prob": 0.999, "draws": 500}, "500 draws are too few to tell a chance of 0.1 %: give 99"),
        ({"table": "other labels"}, "not the one that the model was made from: the labels of"),
        ({"table": "other means"}, "not the one that the model was made from: 'exam' differs"),
    ],
)
def test_what_makes_no_sense_is_refused(known, options, match):
    model, fit = known
    table = table_for("exams")
    tables = {
        "other labels": table.assign(school=table["school"] + "x"),
        "other means": table.assign(mean=table["mean"] - 0.01),
    }
    if "table" in options:
        options = {"table": tables[options["table"]]}
    with pytest.raises(ValueError, match=match):
        hbm.check_predictive(model, fit, **options)


def test_other_models_and_fits_are_refused(known):
    model, fit = known
    with pytest.raises(TypeError, match=r"prob must be a number, got '0\.99'; 0\.99 is 99 %"):
        hbm.check_predictive(model, fit, prob="0.99")
    with pytest.raises(TypeError, match="random_seed must be a whole number, got 'one'"):
        hbm.check_predictive(model, fit, random_seed="one")
    with pytest.raises(ValueError, match="random_seed must be at least 0, got -1"):
        hbm.check_predictive(model, fit, random_seed=-1)
    with pytest.raises(TypeError, match=r"draws must be a whole number, got 99.0"):
        hbm.check_predictive(model, fit, draws=99.0)
    with pytest.raises(TypeError, match=r"model must be a pymc.Model, got DataTree"):
        hbm.check_predictive(fit, fit)
    nothing = hbm.article.score_prior_predictive()
    with pytest.raises(ValueError, match="which observes nothing, is not one of them"):
        hbm.check_predictive(nothing, prior_draws(nothing, 99))
    with pytest.raises(ValueError, match="the fit is not of this model: it has no draws of mu"):
        hbm.check_predictive(build("heights.partial_pooling"), fit)
    with pytest.raises(ValueError, match="no group 'posterior'"):
        hbm.check_predictive(model, xr.DataTree())
