"""The article's posterior tables come out of its models again."""

import json
import re

import arviz_stats as azs
import numpy as np
import pandas as pd
import pytest
import xarray as xr
from conftest import SHARED

import hbm

TABLES = SHARED / "reference" / "article_tables.json"

# adapt_delta as in the article's runs.
TARGET_ACCEPT = {
    "heights": 0.8,
    "scores_no_pooling": 0.8,
    "scores_partial_pooling": 0.95,
    "scores_nested": 0.95,
    "exams_no_pooling": 0.99,
    "exams_partial_pooling": 0.99,
    "exams_nested": 0.99,
}


def article_table(key):
    if not TABLES.exists():
        pytest.skip("the article's tables are not here")
    rows = json.loads(TABLES.read_text())[key]
    return {name: row for name, row in rows.items() if name != "lp__"}


def draws_of(posterior, name):
    """Find the draws of a row of the article's tables, whose indices count from 1."""
    variable, index = re.fullmatch(r"(\w+)(?:\[(\d+)\])?", name).groups()
    draws = posterior[variable]
    return draws if index is None else draws[..., int(index) - 1]


def compare_with_article(posterior, key):
    """Return the rows that miss: mean by more than 4 standard errors, or sd by more than 10 %."""
    rows = article_table(key)
    assert len(rows) > 4
    missed = []
    for name, row in rows.items():
        draws = draws_of(posterior, name)
        mean, sd, mcse = float(draws.mean()), float(draws.std()), float(azs.mcse(draws))
        error = 4 * np.hypot(mcse, row["sd"] / np.sqrt(row["ess_bulk"]))
        if abs(mean - row["mean"]) > error or abs(sd / row["sd"] - 1) > 0.1:
            missed.append((name, mean, row["mean"], error, sd, row["sd"]))
    columns = ["row", "mean", "article's mean", "allowed", "sd", "article's sd"]
    return pd.DataFrame(missed, columns=columns)


def table_of(key, diploma):
    if key.startswith("exams"):
        table = hbm.exam_table(diploma, course="Mathematics 30-1", year=2016, min_students=30)
        # The article's edition of the workbook lacks this school.
        return table[table["school"] != "5491"].reset_index(drop=True)
    names = {"heights": "heights", "scores_nested": "nested_scores"}
    return hbm.load_dataset(names.get(key, "scores"))


@pytest.mark.slow
@pytest.mark.parametrize("key", TARGET_ACCEPT)
def test_posterior_table(key, request):
    diploma = request.getfixturevalue("diploma") if key.startswith("exams") else None
    model = getattr(hbm.article, key)(table_of(key, diploma))
    fit = hbm.sample(
        model,
        draws=2000,
        tune=1000,
        target_accept=TARGET_ACCEPT[key],
        random_seed=20241202,
        progressbar=False,
    )
    missed = compare_with_article(fit["posterior"].to_dataset(), key)
    assert missed.empty, missed.to_string()


@pytest.mark.slow
def test_prior_table():
    model = hbm.article.score_prior_predictive()
    prior = hbm.sample_prior_predictive(model, draws=16_000, random_seed=1)["prior"].to_dataset()
    missed = compare_with_article(prior, "score_prior_predictive")
    assert missed.empty, missed.to_string()


@pytest.mark.parametrize(("shift", "scale", "n_missed"), [(0, 1, 0), (0.2, 1, 7), (0, 1.2, 7)])
def test_comparison_can_fail(shift, scale, n_missed):
    rng = np.random.default_rng(1)
    rows = article_table("heights")
    draws = {
        name: scale * rng.standard_normal((4, 1000)) * row["sd"] + row["mean"] + shift * row["sd"]
        for name, row in rows.items()
    }
    countries = [draws.pop(f"mu_country[{i}]") for i in (1, 2, 3, 4)]
    draws = {name: (("chain", "draw"), values) for name, values in draws.items()}
    draws["mu_country"] = (("chain", "draw", "country"), np.stack(countries, axis=-1))
    assert len(compare_with_article(xr.Dataset(draws), "heights")) == n_missed
