"""Schools in authorities in zones: whatever is read from a fit, at more than two levels.

Labels are alike at all levels ("1" is a school, an authority and a zone), rows are in no order, one
zone is one authority, and one of these one school.
"""

import dataclasses

import numpy as np
import pandas as pd
import pytest
from fakes import fake_fit
from matplotlib.figure import Figure
from matplotlib.text import Text
from models import build
from scipy import stats
from scipy.special import expit, logit, logsumexp
from test_models import random_point
from test_written_densities import CLOSE, evaluator, students

import hbm
from hbm.checks.sensitivity import _log_likelihood
from hbm.checks.units import log_likelihoods, of_new
from hbm.hierarchy.fitted import read_fit
from hbm.sampling.compiled import Compiled, shape_of
from hbm.students.law import Evidence

SIGMAS = 4.5  # seven in a million, were it Normal
NATS = 1e-3  # of a sum of three quadratures, each held to a tenth of this
ZONES = ("authority", "zone")
LEVELS = ["school", "authority", "zone"]
PRIORS = hbm.exams.Priors(
    eta_mean=0.4,
    eta_sd=0.7,
    tau_parent={"authority": 0.25, "zone": 0.65},
    tau_school=0.8,
    nu_median=6.0,
    nu_log_sd=0.6,
    tau_nu=0.35,
)
SIZES = [3, 8, 12, 30, 100, 5, 25, 60, 9, 40]


def exam_rows(seed=8):
    table, *_ = hbm.simulate.exams([3, 1, 2, 1, 2, 1], SIZES, zones=[2, 1, 2, 1], random_seed=seed)
    return table.sample(frac=1, random_state=2, ignore_index=True)


def student_rows():
    _, students, _ = hbm.simulate.exams([2, 1, 1], [3, 1, 4, 2], zones=[2, 1], random_seed=3)
    return students.sample(frac=1, random_state=2, ignore_index=True)


TABLE = exam_rows()


def in_zones(table=TABLE, **options):
    return hbm.exams.nested(table, levels=ZONES, **({"priors": PRIORS} | options))


def fake(model, n_draws=100, seed=1, **fixed):
    """Return a fit of nested exams with any levels, with the numbers given held fixed."""
    rng, d = np.random.default_rng(seed), model.description
    draws = {"eta": rng.normal(0.6, 0.1, n_draws), "nu": rng.normal(6, 0.5, n_draws)}
    draws["tau_nu"] = rng.normal(0.3, 0.02, n_draws)
    for level, tau in zip(reversed(d.levels), (0.5, 0.35, 0.25), strict=False):
        draws[f"tau_{level.name}"] = rng.normal(tau, 0.02, n_draws)
        draws[f"eta_{level.name}"] = rng.normal(0.6, 0.4, (n_draws, len(level.labels)))
    draws["log_nu_school"] = rng.normal(np.log(6), 0.3, (n_draws, len(d.n)))
    draws |= {name: np.broadcast_to(v, draws[name].shape) for name, v in fixed.items()}
    draws |= {f"mu_{level.name}": expit(draws[f"eta_{level.name}"]) for level in d.levels}
    draws |= {"mu": expit(draws["eta"]), "nu_school": np.exp(draws["log_nu_school"])}
    return fake_fit(model, draws)


@pytest.fixture(scope="module")
def pair():
    model = in_zones()
    return model, fake(model)


# The data


def test_simulated_zones_hold_their_authorities():
    table, students, truth = hbm.simulate.exams([2, 1, 3], 9, zones=[1, 2], random_seed=1)
    assert list(table["zone"]) == list(truth["zone"]) == ["1", "1", "2", "2", "2", "2"]
    assert list(truth["authority"]) == ["1", "1", "2", "3", "3", "3"]
    assert len(students[["authority", "zone"]].drop_duplicates()) == 3
    assert truth.groupby("zone")["zone_mean"].nunique().to_list() == [1, 1]


def test_simulated_effects_have_their_spreads():
    n = 4000
    _, _, truth = hbm.simulate.exams(
        [1] * (2 * n), 1, zones=[2] * n, tau_zone=0.5, tau_authority=0.2, mu=0.6, random_seed=1
    )
    zone, authority = (logit(truth[f"{level}_mean"].to_numpy()) for level in ("zone", "authority"))
    for effects, tau in ((zone[::2] - logit(0.6), 0.5), (authority - zone, 0.2)):
        m = len(effects)
        assert abs(effects.mean()) < SIGMAS * tau / np.sqrt(m)
        assert abs(effects.std() - tau) < SIGMAS * tau / np.sqrt(2 * m)


def test_without_zones_simulated_numbers_are_those_of_earlier_versions():
    table, students, truth = hbm.simulate.exams(random_seed=1)
    assert list(truth.columns) == ["authority", "authority_mean", "school", "school_mean", "nu"]
    assert "zone" not in table
    assert "zone" not in students
    np.testing.assert_allclose(
        [truth["school_mean"].sum(), truth["nu"].sum(), students["score"].sum()],
        [19.746041755968488, 174.0003154162071, 589.9321344410537], rtol=1e-12,
    )  # fmt: skip


def test_zones_of_other_authorities_are_refused():
    with pytest.raises(
        ValueError, match=r"the zones hold 2 authorities.*schools_per_authority has"
    ):
        hbm.simulate.exams([2, 1, 3], 9, zones=[1, 1])
    with pytest.raises(ValueError, match="zones must be whole numbers, 1 or more"):
        hbm.simulate.exams([2, 1, 3], 9, zones=[3, 0])


# The model


@pytest.mark.parametrize("observed", ["exam", "score"])
def test_the_model_is_the_density_of_its_equations(observed):
    table = TABLE if observed == "exam" else student_rows()
    function = hbm.exams.nested if observed == "exam" else hbm.scores.nested
    models = [
        function(table, levels=ZONES, priors=PRIORS, parameterisation=by)
        for by in ("informed", "centred", "non-centred")
    ]
    p, parents = PRIORS, table.groupby("school")[list(ZONES)].first()
    zone_of = parents.groupby("authority")["zone"].first()
    for model in models:
        at = evaluator(model)
        for seed in range(2):
            terms, total, v = at(random_point(model, seed))
            zone, authority, school = (v[f"eta_{level}"] for level in LEVELS[::-1])
            expected = {
                "eta": stats.norm.logpdf(v["eta"], p.eta_mean, p.eta_sd),
                "tau_zone": stats.halfnorm.logpdf(v["tau_zone"], scale=0.65),
                "tau_authority": stats.halfnorm.logpdf(v["tau_authority"], scale=0.25),
                "tau_school": stats.halfnorm.logpdf(v["tau_school"], scale=p.tau_school),
                "nu": stats.lognorm.logpdf(v["nu"], p.nu_log_sd, scale=p.nu_median),
                "tau_nu": stats.halfnorm.logpdf(v["tau_nu"], scale=p.tau_nu),
                "eta_zone": stats.norm.logpdf(zone, v["eta"], v["tau_zone"]).sum(),
                "eta_authority": stats.norm.logpdf(
                    authority, zone[zone_of[authority.index]], v["tau_authority"]
                ).sum(),
                "eta_school": stats.norm.logpdf(
                    school, authority[parents.loc[school.index, "authority"]], v["tau_school"]
                ).sum(),
                "log_nu_school": stats.norm.logpdf(
                    v["log_nu_school"], np.log(v["nu"]), v["tau_nu"]
                ).sum(),
            }
            excess = v["design_effect"] - 1 if observed == "exam" else 0.0
            if observed == "exam":
                expected["design_effect"] = stats.halfnorm.logpdf(excess, scale=p.design_effect_sd)
            of_row = (x[table["school"]].to_numpy() for x in (expit(school), v["nu_school"]))
            expected[observed] = students(observed, table, *of_row, excess)
            assert set(terms) == set(expected)
            for name, value in expected.items():
                np.testing.assert_allclose(terms[name], value, **CLOSE, err_msg=name)
            np.testing.assert_allclose(total, sum(expected.values()), **CLOSE)
            for level in LEVELS:
                np.testing.assert_allclose(v[f"mu_{level}"], expit(v[f"eta_{level}"]), rtol=1e-10)


def test_the_names_go_from_the_top_down():
    model = in_zones()
    assert [v.name for v in model.free_RVs] == [
        "eta", "tau_zone", "tau_authority", "tau_school", "nu", "tau_nu", "design_effect",
        "eta_zone", "eta_authority", "eta_school", "log_nu_school",
    ]  # fmt: skip
    assert model.description.units == LEVELS


def test_a_scale_that_is_not_given_is_refused():
    with pytest.raises(ValueError, match="tau_parent of the priors has no scale for 'zone'"):
        in_zones(priors=hbm.exams.Priors(tau_parent={"authority": 0.3}))


@pytest.mark.parametrize(
    ("make", "extra", "there"),
    [
        (lambda priors: in_zones(priors=priors), "zonne", "'zone', 'authority'"),
        (lambda priors: hbm.exams.nested(TABLE, priors=priors), "zone", "'authority'"),
        (lambda priors: hbm.exams.partial_pooling(TABLE, priors=priors), "zone", "none"),
        (
            lambda priors: hbm.exams.panel(
                pd.concat([TABLE.assign(year=2018), TABLE.assign(year=2019)]), priors=priors
            ),
            "zone",
            "'authority'",
        ),
    ],
)
def test_a_scale_of_a_level_that_is_not_there_is_refused(make, extra, there):
    scales = {"authority": 0.3, "zone": 0.2, extra: 0.2}
    message = f"tau_parent of the priors names .*'{extra}'.*the levels .* schools.*: {there}"
    with pytest.raises(ValueError, match=message):
        make(hbm.exams.Priors(tau_parent=scales))


def test_an_authority_in_two_zones_is_refused():
    moved = TABLE.copy()
    moved.loc[moved["school"] == "2", "zone"] = "3"
    with pytest.raises(
        ValueError, match=r"authority must stand in one zone, but '1' in .* two authorities share"
    ):
        in_zones(moved)


def test_filled_up_it_is_the_density_of_the_model(monkeypatch):
    """One compiled model serves tables of fewer members at any level."""
    import nutpie

    opened = []
    monkeypatch.setattr(nutpie, "compile_pymc_model", lambda model, **_: opened.append(model))
    few, *_ = hbm.simulate.exams([2, 1, 1], [9, 30, 4, 12], zones=[1, 2], random_seed=2)
    model = in_zones()
    shape = shape_of(model)
    assert shape.sizes == (10, 6, 4)
    compiled = Compiled(model, shape._replace(sizes=(12, 7, 6)))
    density = opened[0].compile_logp(mode="FAST_COMPILE")
    filled = opened[0].initial_point()
    rng = np.random.default_rng(3)
    for own in (in_zones(few), model):
        compiled.use(own)
        point, longer, beside = {}, {}, []
        for value, start in own.initial_point().items():
            longer[value] = z = rng.normal(0, 0.7, np.shape(filled[value]))
            point[value] = z[: len(start)] if np.ndim(start) else z
            beside.append(np.ravel(z)[np.size(start) :])
        expected = own.compile_logp(mode="FAST_COMPILE")(point)
        expected += stats.norm.logpdf(np.concatenate(beside)).sum()
        assert np.isclose(density(longer), expected, rtol=1e-10)


# Shrinkage


def blups(fit, draw):
    """Return what a linear mixed model makes of the raw means in one draw, by matrices.

    Weights of the raw means in each school's estimate; and of each member of each level what its
    schools say of its effect: raw mean, information, and the prior's part in its estimate.
    """
    d = read_fit(fit).d
    post = fit["posterior"].to_dataset().isel(chain=0, draw=draw)
    same = [d.ancestor_of(x)[:, None] == d.ancestor_of(x) for x in LEVELS]
    variance = [float(post[f"tau_{x}"]) ** 2 for x in LEVELS]
    mu, nu = post["mu_school"].to_numpy(), post["nu_school"].to_numpy()
    sampling = np.diag(1 / (d.n * (nu + 1) * mu * (1 - mu)))
    between = sum(v * s for v, s in zip(variance, same, strict=True))
    weights = between @ np.linalg.inv(between + sampling)
    said = {}
    for i, level in enumerate(LEVELS):
        rows = []
        for member in range(len(d.level(level).labels)):
            own = d.ancestor_of(level) == member
            below = sum((v * s for v, s in zip(variance[:i], same, strict=False)), sampling)
            precision = np.linalg.inv(below[np.ix_(own, own)])
            information = precision.sum()
            raw = precision.sum(axis=0) @ d.mean[own] / information
            rows.append([raw, information, 1 / (1 + information * variance[i])])
        said[level] = np.array(rows)
    return weights, said


def brute_shrinkage(fit):
    n = fit["posterior"].sizes["draw"]
    each = [blups(fit, draw) for draw in range(n)]
    said = {level: np.stack([s[level] for _, s in each]) for level in LEVELS}
    return np.mean([w for w, _ in each], axis=0), said


def test_shares_are_the_weights_of_a_linear_mixed_model(pair):
    _, fit = pair
    table, (weights, said) = hbm.shrinkage(fit, "school"), brute_shrinkage(fit)
    own = np.diag(weights)
    np.testing.assert_allclose(table["share_own"], own, rtol=1e-9)
    np.testing.assert_allclose(table["share_population"], 1 - weights.sum(axis=1), rtol=1e-9)
    others = table["share_authority"] + table["share_zone"]
    np.testing.assert_allclose(others, weights.sum(axis=1) - own, atol=1e-12)
    np.testing.assert_allclose(table["pooling"], said["school"][:, :, 2].mean(axis=0), rtol=1e-9)
    shares = table[["share_own", "share_authority", "share_zone", "share_population"]]
    np.testing.assert_allclose(shares.sum(axis=1), 1, rtol=1e-12)


def test_each_school_counts_for_the_innermost_level_that_it_shares(pair):
    _, fit = pair
    table, (weights, _) = hbm.shrinkage(fit, "school"), brute_shrinkage(fit)
    d = read_fit(fit).d
    school, authority, zone = (d.ancestor_of(x)[:, None] == d.ancestor_of(x) for x in LEVELS)
    for level, others in {"authority": authority & ~school, "zone": zone & ~authority}.items():
        expected = (weights * others).sum(axis=1)
        np.testing.assert_allclose(table[f"share_{level}"], expected, atol=1e-12, err_msg=level)


@pytest.mark.parametrize("level", ["authority", "zone"])
def test_upper_levels_are_what_their_schools_say(level, pair):
    _, fit = pair
    table, (_, said) = hbm.shrinkage(fit, level), brute_shrinkage(fit)
    raw, information, pooling = np.moveaxis(said[level], 2, 0)
    np.testing.assert_allclose(table["raw_mean"], raw.mean(axis=0), rtol=1e-9)
    np.testing.assert_allclose(table["pooling"], pooling.mean(axis=0), rtol=1e-9)
    mu = fit["posterior"][f"mu_{level}"].to_numpy()[0]
    variance = ((mu * (1 - mu)) ** 2 / information).mean(axis=0)
    np.testing.assert_allclose(table["raw_se"], np.sqrt(variance), rtol=1e-9)


def test_a_school_has_no_share_of_what_it_stands_alone_in(pair):
    _, fit = pair
    table = hbm.shrinkage(fit, "school").set_index("school")
    # Schools 4 and 7 are the only ones of their authorities, 10 of its zone as well.
    assert list(table.index[table["only_child"]].sort_values()) == ["10", "4", "7"]
    assert (table.loc[["4", "7", "10"], "share_authority"] == 0).all()
    assert (table.loc[["4", "7"], "share_zone"] > 0).all()
    assert table.loc["10", "share_zone"] == 0


def test_labels_numbers_and_targets_follow_the_table(pair):
    _, fit = pair
    means = {level: fit["posterior"][f"mu_{level}"].mean(("chain", "draw")) for level in LEVELS}
    parents = {"school": "authority", "authority": "zone"}
    for level, parent in parents.items():
        table = hbm.shrinkage(fit, level)
        expected = TABLE.groupby(level)[parent].first()
        assert (table[parent] == expected[table[level]].to_numpy()).all()
        np.testing.assert_allclose(
            table["target"], means[parent].sel({parent: list(table[parent])})
        )
        assert table.attrs["parent"] == parent
    zones = hbm.shrinkage(fit, "zone").set_index("zone")
    assert "parent" not in zones
    np.testing.assert_allclose(zones["target"], float(fit["posterior"]["mu"].mean()))
    by_zone = TABLE.groupby("zone")
    assert dict(zones["n_authorities"]) == dict(by_zone["authority"].nunique())
    assert dict(zones["n_students"]) == dict(by_zone["n_students"].sum())


# Selecting and sorting


def sorted_by(fit, level):
    return fit.map_over_datasets(
        lambda data: data.sortby(level, ascending=False) if level in data.coords else data
    )


def same_numbers(found, whole, level):
    expected = whole.set_index(level).loc[found[level]].reset_index()[list(found)]
    pd.testing.assert_frame_equal(found, expected, rtol=1e-9)


def fits(n_levels):
    model = in_zones() if n_levels == 3 else build("exams.nested")
    return model, fake(model)


@pytest.mark.parametrize(
    ("n_levels", "level"),
    [(2, "school"), (2, "authority"), (3, "school"), (3, "authority"), (3, "zone")],
)
def test_a_sorted_fit_says_the_same(n_levels, level):
    model, fit = fits(n_levels)
    other = sorted_by(fit, level)
    for of in LEVELS[:n_levels]:
        same_numbers(hbm.shrinkage(other, of), hbm.shrinkage(fit, of), of)
        found, expected = (hbm.ranks(x, of).drop(columns="tier") for x in (other, fit))
        columns = [c for c in found if not c.startswith(("joint", "comparison"))]
        same_numbers(found[columns], expected[columns], of)
    pd.testing.assert_frame_equal(hbm.variance_shares(other), hbm.variance_shares(fit))
    pd.testing.assert_frame_equal(
        hbm.funnel_limits(other, "school"), hbm.funnel_limits(fit, "school")
    )
    with pytest.raises(ValueError, match=f"the labels of '{level}' differ"):
        hbm.loo(model, other, "school")


def test_sorted_units_have_the_same_density(pair):
    _, fit = pair
    for unit in LEVELS:
        whole, other = (read_fit(x) for x in (fit, sorted_by(sorted_by(fit, "zone"), "authority")))
        order = [whole.d.positions[unit][x] for x in other.d.coords[unit]]
        found, expected = log_likelihoods(other, unit), log_likelihoods(whole, unit)[:, order]
        np.testing.assert_allclose(found, expected, atol=1e-9)


@pytest.mark.parametrize(
    ("n_levels", "part"),
    [
        (2, {"authority": ["3", "1"], "school": ["8", "2", "1", "4", "3"]}),
        (3, {"zone": ["3", "1"], "authority": ["5", "2", "4", "1"],
             "school": ["9", "4", "2", "1", "8", "7", "3"]}),
    ],
)  # fmt: skip
def test_whole_families_can_be_selected_in_any_order(n_levels, part):
    _, fit = fits(n_levels)
    table = hbm.shrinkage(fit, "school")
    top = next(iter(part))
    if n_levels == 2:
        part["school"] = list(table["school"][table["authority"].isin(part["authority"])])[::-1]
    chosen = fit.sel(part)
    for level in part:
        found = hbm.shrinkage(chosen, level)
        assert list(found[level]) == part[level]
        same_numbers(found, hbm.shrinkage(fit, level), level)
    assert list(hbm.ranks(chosen, top)[top].sort_values()) == sorted(part[top])


@pytest.mark.parametrize(
    ("n_levels", "part", "level", "reason"),
    [
        (2, {"authority": ["1"], "school": ["1", "2"]}, "school",
         "2 schools of authority '1' are not in it.*select from the table"),
        (2, {"school": ["1", "2"]}, "authority", "schools of authority '1', '2'.* not in it"),
        (2, {"authority": ["1"]}, "school",
         "no authority of school '5'.*select authorities together with their schools"),
        (3, {"zone": ["1"]}, "school",
         "no zone of authority.*select zones together with their authorities"),
        (3, {"zone": ["1"], "authority": ["1", "2"]}, "school", "no authority of school"),
        (3, {"zone": ["3"], "authority": ["5"], "school": ["8", "9"]}, "school",
         "of zone '3' are not in it"),
        (3, {"zone": ["3"], "authority": ["5"], "school": ["8", "9"]}, "zone",
         "of zone '3' are not in it"),
        (3, {"zone": ["1"], "authority": ["1", "2"], "school": ["1", "2", "4"]}, "zone",
         "of authority '1' are not in it"),
    ],
)  # fmt: skip
def test_a_part_of_a_family_is_refused_with_the_reason(n_levels, part, level, reason):
    _, fit = fits(n_levels)
    with pytest.raises(ValueError, match=reason):
        hbm.shrinkage(fit.sel(part), level)


def test_an_authority_can_be_shown_without_the_others_of_its_zone(pair):
    _, fit = pair
    part = fit.sel(zone=["3"], authority=["5"], school=["8", "9"])
    same_numbers(hbm.shrinkage(part, "authority"), hbm.shrinkage(fit, "authority"), "authority")


def test_an_authority_can_be_shown_without_the_authorities_of_other_zones(pair):
    _, fit = pair
    part = fit.sel(authority=["5"], school=["8", "9"])
    same_numbers(hbm.shrinkage(part, "authority"), hbm.shrinkage(fit, "authority"), "authority")


# Variances, limits, ranks


def test_variance_shares_are_those_of_simulated_students():
    known = {"eta": 0.7, "tau_zone": 0.6, "tau_authority": 0.4, "tau_school": 0.8}
    known |= {"nu": 5.0, "tau_nu": 0.5}
    table = hbm.variance_shares(fake(in_zones(design_effect=1), 2, **known))
    assert list(table["level"]) == ["zone", "authority", "school", "student"]
    # Two students of one school, one of another of its authority, one of the zone's other.
    rng, n = np.random.default_rng(1), 1_000_000
    zone = rng.normal(0.7, 0.6, n)
    a, b = zone + rng.normal(0, 0.4, (2, n))
    first, second, third = rng.normal([a, a, b], 0.8)
    nu = 5 * np.exp(rng.normal(0, 0.5, (4, n)))
    mu, nu[1] = expit(np.stack([first, first, second, third])), nu[0]
    y = rng.beta(mu * nu, (1 - mu) * nu)
    y -= y.mean()
    products = y[0] * y[::-1]  # of covariance: zone, authority, school, and the variance itself
    steps = np.diff(products, axis=0, prepend=np.zeros((1, n)))
    errors = steps.std(axis=1) / np.sqrt(n)
    found = (table["share"] * (table["sd"] ** 2).sum()).to_numpy()
    np.testing.assert_allclose(found, table["sd"] ** 2, rtol=1e-9)
    assert (np.abs(found - steps.mean(axis=1)) < SIGMAS * errors).all()


def test_limits_of_large_schools_are_those_of_all_levels_together():
    known = {"eta": 0.5, "tau_zone": 0.3, "tau_authority": 0.4, "tau_school": 1.2, "tau_nu": 0.01}
    limits = hbm.funnel_limits(fake(in_zones(), 2, **known), "school", n=[10**7], prob=0.9)
    expected = expit(stats.norm(0.5, 1.3).ppf([0.05, 0.95]))
    # The quantiles are those of 8,192 points.
    np.testing.assert_allclose(limits[["lower", "upper"]].to_numpy()[0], expected, atol=2e-3)


@pytest.mark.parametrize("level", LEVELS)
def test_ranks_are_counted_at_any_level(level, pair):
    _, fit = pair
    table = hbm.ranks(fit, level)
    mu = fit["posterior"][f"mu_{level}"].to_numpy()[0]
    expected = (mu[:, :, None] < mu[:, None, :]).sum(axis=2).mean(axis=0) + 1
    expected = pd.Series(expected, fit["posterior"][level].to_numpy())
    np.testing.assert_allclose(table["expected_rank"], expected[table[level]])


# Checks


def test_the_check_looks_at_zones_too():
    model = in_zones()
    fit = fake(model, 2000, eta=0.6, tau_zone=1.0, tau_authority=1e-6, tau_school=1e-6)
    check = hbm.check_predictive(model, fit, new_groups=True, draws=2000, random_seed=1)
    table = check.table.set_index("statistic")
    assert table.loc["sd_between_parents", "meaning"] == "spread between authority means (sd)"
    assert table.loc["sd_between_zones", "meaning"] == "spread between zone means (sd)"
    marks = TABLE.assign(total=TABLE["mean"] * TABLE["n_students"])
    for statistic, level in (("sd_between_parents", "authority"), ("sd_between_zones", "zone")):
        sums = marks.groupby(level)[["total", "n_students"]].sum()
        expected = (sums["total"] / sums["n_students"]).std()
        assert table.loc[statistic, "observed"] == pytest.approx(expected)
    # Zones are drawn anew: the variance between them is that of expit(N(0.6, 1)), and sampling's.
    mu = expit(np.random.default_rng(2).normal(0.6, 1, 10**6))
    n = TABLE.groupby("zone")["n_students"].sum()
    expected = mu.var() + ((mu * (1 - mu)).mean() / (6 + 1) / n).mean()
    squares = check.replicates["sd_between_zones"] ** 2
    assert abs(squares.mean() - expected) < SIGMAS * squares.std() / np.sqrt(2000)


# Prediction


POPULATION = {"eta": 0.5, "tau_zone": 0.3, "tau_authority": 0.4, "tau_school": 0.6}
NEW = pd.DataFrame(
    [
        ("2", "1", "1", 10),  # known
        ("a", "1", "1", 25),  # new, of a known authority
        ("b", "A", "1", 25),  # of a new authority of a known zone
        ("c", "A", "1", 25),
        ("d", "B", "1", 25),
        ("e", "C", "Z", 25),  # of a new zone
        ("f", "D", "Z", 25),
        ("g", "E", "Y", 25),
    ],
    columns=["school", "authority", "zone", "n_students"],
)


@pytest.fixture(scope="module")
def predicted():
    model = in_zones()
    d = model.description
    fixed = {f"eta_{x}": np.linspace(-0.5, 1, len(d.level(x).labels)) for x in ZONES}
    fit = fake(model, 20_000, **POPULATION, **fixed)
    drawn = hbm.predict(model, fit, NEW.sample(frac=1, random_state=1), random_seed=1)
    effects = {
        school: logit(drawn["predictions/mu_school"].sel(school=school).to_numpy().ravel())
        for school in NEW["school"]
    }
    centres = {
        level: dict(zip(d.level(level).labels, fixed[f"eta_{level}"], strict=True))
        for level in ZONES
    }
    return model, fit, effects, centres


def test_a_known_school_keeps_its_draws(predicted):
    _, fit, effects, _ = predicted
    known = fit["posterior/eta_school"].sel(school="2").to_numpy().ravel()
    np.testing.assert_allclose(effects["2"], known, rtol=1e-9)


def test_a_new_school_is_drawn_around_the_nearest_that_is_known(predicted):
    _, _, effects, centres = predicted
    zone, authority, school = 0.3, 0.4, 0.6
    expected = {"a": (centres["authority"]["1"], school)}
    expected |= dict.fromkeys("bcd", (centres["zone"]["1"], np.hypot(authority, school)))
    expected |= dict.fromkeys("efg", (0.5, np.sqrt(zone**2 + authority**2 + school**2)))
    for name, (mean, sd) in expected.items():
        n = len(effects[name])
        assert abs(effects[name].mean() - mean) < SIGMAS * sd / np.sqrt(n), name
        assert abs(effects[name].std() - sd) < SIGMAS * sd / np.sqrt(2 * n), name


@pytest.mark.parametrize(
    ("one", "other", "shared", "total"),
    [
        ("b", "c", 0.4**2, 0.4**2 + 0.6**2),
        ("b", "d", 0, 1),
        ("e", "f", 0.3**2, 0.3**2 + 0.4**2 + 0.6**2),
        ("e", "g", 0, 1),
        ("a", "b", 0, 1),
    ],
)
def test_draws_are_shared_as_far_as_a_line_is(one, other, shared, total, predicted):
    effects = predicted[2]
    found = np.corrcoef(effects[one], effects[other])[0, 1]
    assert abs(found - shared / total) < SIGMAS / np.sqrt(20_000)


def test_what_moved_to_another_parent_is_refused(predicted):
    model, fit, *_ = predicted
    row = {"school": "new", "authority": "3", "zone": "1", "n_students": 9}
    with pytest.raises(
        ValueError,
        match=r"authority must stand under the zone .*'3' is under '1' and was under '2'",
    ):
        hbm.predict(model, fit, pd.DataFrame([row]))
    row |= {"school": "2", "zone": "2"}
    with pytest.raises(
        ValueError, match=r"school must stand under the authority .*'2' is under '3' and was .*'1'"
    ):
        hbm.predict(model, fit, pd.DataFrame([row]))
    with pytest.raises(ValueError, match="no column 'zone'"):
        hbm.predict(model, fit, NEW.drop(columns="zone"))


def test_the_next_cohort_may_have_new_zones(pair):
    model, fit = pair
    following = TABLE.assign(mean=TABLE["mean"].clip(0.2, 0.8))
    following.loc[following["school"] == "10", ["school", "authority", "zone"]] = "new"
    found = hbm.evaluate(model, fit, following, random_seed=1)
    assert list(found["school"]) == list(following["school"])
    assert list(found["known"]) == list(following["school"] != "new")
    assert np.isfinite(found[["log_score_mean", "log_score", "crps"]]).all(axis=None)
    moved = following.assign(zone=following["zone"].replace("2", "1"))
    with pytest.raises(ValueError, match="known authority must stand under the zone"):
        hbm.evaluate(model, fit, moved)


# Leaving out


GRID = np.linspace(-3.5, 4.5, 1001)
STEP = GRID[1] - GRID[0]


def of_effect(node, taus, log_nu, tau_nu):
    """Return the log density of all below a node at a dense grid of its effect: no quadrature."""
    if isinstance(node, Evidence):
        x = np.linspace(log_nu - 9 * tau_nu, log_nu + 9 * tau_nu, 101)
        f = node.log_lik(GRID[:, None], x) + stats.norm.logpdf(x, log_nu, tau_nu)
        return logsumexp(f, axis=1) + np.log(x[1] - x[0])
    kernel = stats.norm.logpdf(GRID, GRID[:, None], taus[0]) + np.log(STEP)
    children = (of_effect(child, taus[1:], log_nu, tau_nu) for child in node)
    return sum(logsumexp(child + kernel, axis=1) for child in children)


def dense(node, m, taus, log_nu, tau_nu):
    """Return the log density of all below a node whose effect is N(m, taus[0])."""
    f = of_effect(node, taus[1:], log_nu, tau_nu) + stats.norm.logpdf(GRID, m, taus[0])
    return logsumexp(f) + np.log(STEP)


DRAWS = {
    "eta": [0.6, 0.4, 0.7],
    "tau_zone": [0.25, 0.5, 0.1],
    "tau_authority": [0.35, 0.1, 0.4],
    "tau_school": [0.5, 0.3, 0.6],
    "nu": [6.0, 5.0, 7.0],
    "tau_nu": [0.3, 0.2, 0.4],
}


@pytest.fixture(scope="module")
def few_draws():
    model = in_zones()
    fit = fake(model, 3, **{name: np.array(x) for name, x in DRAWS.items()})
    f = read_fit(fit)
    tree = {
        zone: {
            authority: {
                school: f.evidence(f.d.positions["school"][school])
                for school in TABLE["school"][TABLE["authority"] == authority]
            }
            for authority in rows["authority"].unique()
        }
        for zone, rows in TABLE.groupby("zone")
    }
    return model, fit, f, tree


def at_draw(fit, draw):
    post = fit["posterior"].to_dataset().isel(chain=0, draw=draw)
    taus = [float(post[f"tau_{level}"]) for level in ("zone", "authority", "school")]
    zones = {str(x): float(post["eta_zone"].sel(zone=x)) for x in post["zone"].to_numpy()}
    return taus, zones, float(post["eta"]), (np.log(float(post["nu"])), float(post["tau_nu"]))


def test_a_school_left_out_is_that_of_its_authority_less_its_siblings(few_draws):
    _, fit, f, tree = few_draws
    found = log_likelihoods(f, "school")
    for draw in range(3):
        (_, *taus), zones, _, spread = at_draw(fit, draw)
        for zone, authorities in tree.items():
            for schools in authorities.values():
                every = dense(list(schools.values()), zones[zone], taus, *spread)
                for school in schools:
                    others = [seen for label, seen in schools.items() if label != school]
                    rest = dense(others, zones[zone], taus, *spread) if others else 0.0
                    value = found[draw, f.d.positions["school"][school]]
                    assert value == pytest.approx(every - rest, abs=NATS), (draw, school)


def test_an_authority_left_out_is_all_its_schools_given_its_zone(few_draws):
    _, fit, f, tree = few_draws
    found = log_likelihoods(f, "authority")
    for draw in range(3):
        (_, *taus), zones, _, spread = at_draw(fit, draw)
        for zone, authorities in tree.items():
            for authority, schools in authorities.items():
                expected = dense(list(schools.values()), zones[zone], taus, *spread)
                value = found[draw, f.d.positions["authority"][authority]]
                assert value == pytest.approx(expected, abs=NATS), (draw, authority)


def test_a_zone_left_out_is_all_its_authorities_and_the_data_are_all_zones(few_draws):
    _, fit, f, tree = few_draws
    found, everything = log_likelihoods(f, "zone"), _log_likelihood(f)
    for draw in range(3):
        taus, _, eta, spread = at_draw(fit, draw)
        total = 0.0
        for zone, authorities in tree.items():
            family = [list(schools.values()) for schools in authorities.values()]
            expected = dense(family, eta, taus, *spread)
            total += expected
            value = found[draw, f.d.positions["zone"][zone]]
            assert value == pytest.approx(expected, abs=NATS), (draw, zone)
        assert everything[draw] == pytest.approx(total, abs=4 * NATS)


def test_a_unit_of_another_fit_is_integrated_up_to_what_that_fit_has(few_draws):
    _, _, seen, tree = few_draws

    def given(keep):
        model = in_zones(TABLE[keep].reset_index(drop=True))
        fit = fake(model, 3, **{name: np.array(x) for name, x in DRAWS.items()})
        return fit, read_fit(fit)

    # School 7 is its authority, in zone 3; school 10 is its zone.
    fit, without = given(TABLE["school"] != "7")
    found = of_new(without, seen, "school", seen.d.positions["school"]["7"])
    for draw in range(3):
        (_, *taus), zones, _, spread = at_draw(fit, draw)
        expected = dense([tree["3"]["4"]["7"]], zones["3"], taus, *spread)
        assert found[draw] == pytest.approx(expected, abs=NATS)
    fit, without = given(TABLE["zone"] != "4")
    for unit, label in (("school", "10"), ("authority", "6"), ("zone", "4")):
        found = of_new(without, seen, unit, seen.d.positions[unit][label])
        for draw in range(3):
            taus, _, eta, spread = at_draw(fit, draw)
            expected = dense([[tree["4"]["6"]["10"]]], eta, taus, *spread)
            assert found[draw] == pytest.approx(expected, abs=NATS)


@pytest.fixture(scope="module")
def learned():
    """A fit that knows so much of the parameters that no unit weighs."""
    model, rng = in_zones(), np.random.default_rng(1)
    return model, fake(
        model, 400, eta=rng.normal(0.6, 0.02, 400), eta_zone=rng.normal(0.6, 0.02, (400, 4))
    )


@pytest.mark.parametrize("unit", LEVELS)
def test_units_are_labelled_and_compared(unit, learned):
    model, fit = learned
    results = {x: hbm.loo(model, fit, unit) for x in ("one", "other")}
    assert list(results["one"].elpd_i[unit].to_numpy()) == list(model.coords[unit])
    assert (hbm.compare(results, unit)["elpd_diff"] == 0).all()


def test_models_with_another_zone_of_a_school_are_not_compared_by_zone(pair):
    model, fit = pair
    moved = in_zones(TABLE.assign(zone=TABLE["zone"].where(TABLE["authority"] != "2", "3")))
    with pytest.raises(ValueError, match="have a different zone of school '4'"):
        hbm.compare({"a": (model, fit), "b": (moved, fake(moved))}, "zone")


def test_pits_are_probabilities(learned):
    model, fit = learned
    pit = hbm.loo_pit(model, fit).table["pit"]
    assert ((pit > 0) & (pit < 1)).all()


def test_sensitivity_has_each_spread(pair):
    model, fit = pair
    table = hbm.prior_sensitivity(model, fit)
    top = ["eta", "tau_zone", "tau_authority", "tau_school", "nu", "tau_nu", "design_effect"]
    assert list(table.index) == top
    assert np.isfinite(table[["prior", "likelihood"]]).all(axis=None)


# Files


def test_a_saved_fit_comes_back_with_levels_and_priors(tmp_path, pair):
    model, fit = pair
    hbm.save(model, fit, tmp_path / "zones.nc")
    again, loaded = hbm.load(tmp_path / "zones.nc")
    assert [level.name for level in again.description.levels] == LEVELS[::-1]
    point = random_point(model, 1)
    density = model.compile_logp(mode="FAST_COMPILE")(point)
    assert again.compile_logp(mode="FAST_COMPILE")(point) == pytest.approx(density, rel=1e-12)
    for level in LEVELS:
        pd.testing.assert_frame_equal(hbm.shrinkage(loaded, level), hbm.shrinkage(fit, level))


def test_priors_by_level_stay_beside_the_others():
    assert dataclasses.replace(PRIORS, tau_school=0.3).tau_of("zone") == 0.65


# Pictures


def written(name, *args):
    """Return all that is written in a picture, as lines."""
    ax = getattr(hbm, name)(*args, ax=Figure(figsize=(10, 6)).subplots())
    ax.figure.draw_without_rendering()
    return [line for text in ax.figure.findobj(Text) for line in text.get_text().splitlines()]


@pytest.mark.parametrize(
    ("level", "counted", "target"),
    [
        ("school", "10 schools", "mean of its authority"),
        ("authority", "6 authorities", "mean of its zone"),
        ("zone", "4 zones", "mean of the population"),
    ],
)
def test_pictures_of_each_level_name_it_and_what_it_leans_on(level, counted, target, pair):
    _, fit = pair
    heading, table = level.capitalize(), hbm.shrinkage(fit, level)
    lines = written("plot_shrinkage", table)
    assert {f"{counted} by raw mean, each pulled to its estimate", target, heading} <= {*lines}
    lines = written("plot_pooling", table)
    assert heading in lines or any(counted in line for line in lines)
    lines = written("plot_ranks", hbm.ranks(fit, level))
    assert {f"{counted} by expected rank", heading} <= {*lines}
    lines = written("plot_estimates", hbm.estimates(fit, f"mu_{level}"))
    assert heading in lines
    assert any(line.startswith(f"{counted}: estimates with") for line in lines)


@pytest.mark.parametrize(
    ("level", "above", "title", "target"),
    [
        ("school", "authority", "6 authorities and their 10 schools", "mean of its zone"),
        ("authority", "zone", "4 zones and their 6 authorities", "mean of the population"),
    ],
)
def test_nestings_name_both_levels(level, above, title, target, pair):
    tables = (hbm.shrinkage(pair[1], name) for name in (level, above))
    lines = written("plot_nesting", *tables)
    assert {f"Estimates of {title}", target, above.capitalize()} <= {*lines}


def test_a_funnel_is_of_schools_and_spreads_are_of_each_level(pair):
    _, fit = pair
    lines = written("plot_funnel", hbm.shrinkage(fit, "school"), hbm.funnel_limits(fit, "school"))
    assert any(line.startswith("Raw means of 10 schools") for line in lines)
    assert "Number of students" in lines
    assert not any("authorit" in line or "zone" in line for line in lines)
    lines = written("plot_spreads", fit)
    between = [line for line in lines if line.startswith("between ")]
    assert between == ["between zones", "between authorities", "between schools"]
