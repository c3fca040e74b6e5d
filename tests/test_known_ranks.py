"""Two rankings of groups of which something is known: by means, and by what predictors leave."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
from fakes import fake_fit
from known_predictors import AUTHORITIES, BETA, coded, fake_known, known_model, known_table
from numpy.testing import assert_allclose
from scipy.special import expit
from scipy.stats import rankdata

import hbm

ALL = ["log_n_students", "new", "kind", "type"]


@pytest.fixture(scope="module")
def fit():
    beta = BETA + np.random.default_rng(3).normal(0, 0.1, (60, 7))
    return fake_known(n_draws=60, beta=beta)


def left_of(fit):
    """Return logits of schools less what predictors of both levels let expect, written out."""
    posterior = fit["posterior"].to_dataset().isel(chain=0)
    return posterior["eta_school"].to_numpy() - posterior["beta"].to_numpy() @ sum(coded()).T


def test_actual_means_are_ranked_by_default(fit):
    table = hbm.ranks(fit, "school")
    mu = fit["posterior"]["mu_school"].to_numpy()[0]
    rank = rankdata(-mu, axis=1).mean(axis=0)
    by_school = table.set_index("school")["expected_rank"]
    assert_allclose(by_school[known_table()["school"]], rank)
    assert table.attrs["adjusted"] is False
    assert table.attrs["predictors"] == ALL
    assert table.attrs["question"] == "Which school has the highest mean, for whatever reason?"


def test_adjusted_is_what_predictors_leave(fit):
    table = hbm.ranks(fit, "school", adjusted=True, prob=0.9).set_index("school")
    table = table.loc[known_table()["school"]]
    left = left_of(fit)
    assert_allclose(table["expected_rank"], rankdata(-left, axis=1).mean(axis=0))
    assert_allclose(table["mean"], expit(left).mean(axis=0))
    ends = np.quantile(expit(left), [0.05, 0.95], axis=0)
    assert_allclose(table[["lower", "upper"]].T, ends)
    above = expit(left) > expit(left).mean(axis=1, keepdims=True)
    assert_allclose(table["p_above_average"], above.mean(axis=0))
    plain = hbm.ranks(fit, "school").set_index("school").loc[table.index]
    assert (table["expected_rank"] - plain["expected_rank"]).abs().max() > 1
    assert table["comparison_lower"].between(0, 1).all()


def test_the_question_names_what_is_the_same(fit):
    attrs = hbm.ranks(fit, "school", adjusted=True).attrs
    assert attrs["adjusted"] is True
    assert attrs["question"] == (
        "Which school has the highest mean among schools of the same log_n_students and new and "
        "kind and type?"
    )


def test_authorities_are_adjusted_for_what_is_known_of_authorities(fit):
    table = hbm.ranks(fit, "authority", adjusted=True).set_index("authority")
    above = coded()[1][np.cumsum([0, *AUTHORITIES[:-1]])]
    posterior = fit["posterior"].to_dataset().isel(chain=0)
    left = posterior["eta_authority"].to_numpy() - posterior["beta"].to_numpy() @ above.T
    found = table.loc[list("12345"), "mean"]
    assert_allclose(found, expit(left).mean(axis=0))
    assert table.attrs["predictors"] == ["type"]


def test_countries_are_ranked_by_what_is_left_of_means():
    people = hbm.load_dataset("heights").assign(rich=lambda t: t["country"].isin(["1", "3"]))
    model = hbm.heights.partial_pooling(people, predictors=["rich"])
    draws = {"mu": np.full(4, 175.0), "tau_country": np.ones(4), "sigma": np.ones(4)}
    mu = np.array([180.0, 176.0, 181.0, 177.0]) + np.array([[0.1], [0], [0], [-0.1]])
    draws |= {"beta": np.full((4, 1), 6.0), "mu_country": mu}
    table = hbm.ranks(fake_fit(model, draws), "country", adjusted=True)
    assert table["country"].tolist() == ["4", "2", "3", "1"]
    assert_allclose(table["mean"], [180, 179, 178, 177], atol=1e-9)


def test_nothing_to_adjust_for_is_said():
    model = hbm.exams.nested(known_table(), predictors=["new"])
    prior = hbm.sample_prior_predictive(model, 20, random_seed=1)
    fit = prior.assign(posterior=prior["prior"])
    with pytest.raises(ValueError, match=r"nothing to adjust for.*no predictors of authorities"):
        hbm.ranks(fit, "authority", adjusted=True)
    plain = hbm.sample_prior_predictive(hbm.exams.nested(known_table()), 20, random_seed=1)
    with pytest.raises(ValueError, match="no predictors of schools; leave adjusted out"):
        hbm.ranks(plain.assign(posterior=plain["prior"]), "school", adjusted=True)


def test_the_pictures_say_which_ranking_they_are(fit):
    assert known_model().description.group == "school"
    for adjusted, words in (
        (False, "11 schools by expected rank of their means,\nwhatever their log n students, new"),
        (True, "11 schools by expected rank among schools\nof the same log n students, new, kind"),
    ):
        ax = hbm.plot_ranks(hbm.ranks(fit, "school", adjusted=adjusted))
        assert ax.get_title(loc="left").startswith(words)
        plt.close(ax.figure)
