"""Leaving out of panels: integrals over chains against closed forms and dense grids."""

import functools

import numpy as np
import pytest
from fakes import fake_fit, prior_draws
from scipy.special import logsumexp
from scipy.stats import multivariate_normal

import hbm
from hbm.checks.panel_units import panel_log_likelihoods
from hbm.hierarchy.chain_evidence import chain_evidence
from hbm.hierarchy.fitted import read_panel
from hbm.hierarchy.marginal import marginal, marginal_family, without_each
from hbm.students.beta import BETA
from hbm.students.law import Evidence

NATS = 1e-3
# around, tau, persistence, log nu, tau_nu, excess
DRAWS = np.array(
    [
        [0.7, 0.35, 0.93, 1.9, 0.3, 0.4],
        [0.7, 0.35, 0.50, 1.9, 0.3, 0.8],
        [0.5, 0.15, 0.97, 1.6, 0.2, 0.0],
        [0.9, 0.80, 0.90, 2.1, 0.4, 1.5],
        [0.1, 0.35, 0.99, 1.9, 0.3, 0.4],
    ]
)
AROUND, TAU, PERSISTENCE, *WITHIN = DRAWS.T
ROWS = np.arange(len(DRAWS), dtype=float)
NAN = np.nan


def chain(seen, gaps, shift, reach=TAU):
    gaps, shift = np.array(gaps, float), np.tile(np.array(shift, float), (len(DRAWS), 1))
    return chain_evidence(
        seen, gaps, AROUND, shift, reach, PERSISTENCE, [tuple(WITHIN)] * len(seen)
    )


def by_grids(seen, gaps, shift, draw):
    """Filter forwards over dense grids, of the effect and of the spread's logarithm."""
    around, tau, persistence, log_nu, tau_nu, excess = draw
    # Grids that hold what high marks, all but alike, pull far out.
    d = np.linspace(-14 * tau, 14 * tau, 1501)
    x = np.linspace(log_nu - 16 * tau_nu, log_nu + 16 * tau_nu, 201)

    def normal(value, sd, step):
        return -((value / sd) ** 2) / 2 - np.log(sd * np.sqrt(2 * np.pi) / step)

    of_x = normal(x - log_nu, tau_nu, x[1] - x[0])
    forward = None
    for of_year, gap, up in zip(seen, gaps, shift, strict=True):
        log_lik = of_year.log_lik((around + up + d)[:, None], x, excess)
        rho = persistence**gap
        if forward is None:
            forward = normal(d, tau, d[1] - d[0])
        else:
            kernel = normal(d - rho * d[:, None], tau * np.sqrt(1 - rho**2), d[1] - d[0])
            forward = logsumexp(forward[:, None] + kernel, axis=0)
        forward = forward + logsumexp(log_lik + of_x, axis=1)
    return logsumexp(forward)


@pytest.mark.parametrize(
    ("cells", "gaps"),
    [
        ([(12, 0.6, 0.2), (15, 0.75, 0.15), (9, 0.55, 0.2)], [0, 1, 1]),
        ([(300, 0.7, 0.17), (280, 0.74, 0.17), (2, 0.5, 0.1), (310, 0.72, 0.16)], [0, 1, 1, 2]),
        ([(1, 0.97, NAN), (1, 0.4, NAN)], [0, 3]),
        ([(4, 0.95, 0.03), (40, 0.93, 0.06), (3, 0.99, 0.005), (7, 0.8, 0.2)], [0, 1, 1, 1]),
    ],
    ids=["ordinary", "large and a gap", "single students", "high"],
)
def test_a_chain_is_as_on_dense_grids(cells, gaps):
    seen = [BETA.evidence(mean, sd, n) for n, mean, sd in cells]
    shift = [0.1, -0.1, 0.0, 0.2][: len(seen)]
    found = chain(seen, gaps, shift).given(AROUND[:, None], TAU, ROWS)[:, 0]
    expected = [by_grids(seen, gaps, shift, draw) for draw in DRAWS]
    np.testing.assert_allclose(found, expected, rtol=0, atol=NATS)


def test_one_year_is_what_one_year_is():
    seen = BETA.evidence(0.7, 0.15, 25)
    found = chain([seen], [0], [0.1]).given(AROUND[:, None], TAU, ROWS)[:, 0]
    expected = marginal(seen, AROUND + 0.1, TAU, *WITHIN)
    np.testing.assert_allclose(found, expected, rtol=0, atol=NATS)


def gaussian(y, se):
    """Return what is seen of an effect with Normal error."""
    constant = np.log(se * np.sqrt(2 * np.pi))
    return Evidence(lambda eta, x, s: -(((eta - y) / se) ** 2) / 2 - constant + 0 * (x + s),
                    y, se, NAN)  # fmt: skip


# Two schools of one authority, one with a gap: years, results, standard errors.
SCHOOLS = [
    (np.array([0, 1, 2, 3]), np.array([0.9, 1.0, 0.7, 0.8]), np.array([0.05, 0.3, 0.1, 0.2])),
    (np.array([0, 3]), np.array([0.1, 0.3]), np.array([0.2, 0.4])),
]
SHIFT = np.array([0.1, -0.1, 0.0, 0.2])
HEAD = 0.3


def closed_form(schools, draw):
    """Return the density of all results, which are jointly Normal."""
    around, tau, persistence = draw[:3]
    years, y, se = (np.concatenate(x) for x in zip(*schools, strict=True))
    of = np.repeat(np.arange(len(schools)), [len(x[0]) for x in schools])
    lag = np.abs(np.subtract.outer(years, years))
    covariance = HEAD**2 + tau**2 * persistence**lag * (of[:, None] == of) + np.diag(se**2)
    return multivariate_normal(around + SHIFT[years], covariance).logpdf(y)


def as_chain(years, y, se):
    seen = [gaussian(*x) for x in zip(y, se, strict=True)]
    return chain(seen, np.diff(years, prepend=0), SHIFT[years], np.hypot(TAU, HEAD))


def test_with_normal_errors_an_authority_and_its_schools_have_a_closed_form():
    family, head = [as_chain(*school) for school in SCHOOLS], np.full(len(DRAWS), HEAD)
    both = np.array([closed_form(SCHOOLS, draw) for draw in DRAWS])
    found = marginal_family(family, AROUND, [head, TAU], ROWS)
    np.testing.assert_allclose(found, both, rtol=0, atol=NATS)
    found = without_each(family, AROUND, [head, TAU], ROWS)
    alone = np.array([[closed_form([s], draw) for s in SCHOOLS[::-1]] for draw in DRAWS])
    np.testing.assert_allclose(found, both[:, None] - alone, rtol=0, atol=NATS)
    kept = [seen.without_last() for seen in family]
    found = without_each(family, AROUND, [head, TAU], ROWS, kept=kept)
    for i, school in enumerate(SCHOOLS):
        earlier = list(SCHOOLS)
        earlier[i] = tuple(x[:-1] for x in school)
        rest = np.array([closed_form(earlier, draw) for draw in DRAWS])
        np.testing.assert_allclose(found[:, i], both - rest, rtol=0, atol=NATS)


SIZES = np.array([[12, 30, 0, 8], [40, 0, 0, 35], [0, 0, 9, 0], [5, 6, 7, 8]])


@functools.cache
def panel(levels):
    table = hbm.simulate.exam_panel([2, 1, 1], SIZES, years=range(2016, 2020), random_seed=1)[0]
    model = hbm.exams.panel(table, levels=levels)
    prior = prior_draws(model, 100)
    rng = np.random.default_rng(2)  # draws near what was simulated
    top = {"eta": 0.6, "tau_school": 0.4, "tau_year": 0.1, "nu": 6.0, "tau_nu": 0.3,
           "persistence": 0.9, "tau_authority": 0.3, "design_effect": 1.5}  # fmt: skip
    draws = {k: v * rng.uniform(0.9, 1.1, 60) for k, v in top.items() if k in prior["prior"]}
    draws |= {name: 0.3 * rng.normal(size=(60, *prior["prior"][name].shape[2:]))
              for name in ("effect_year", "eta_authority") if name in prior["prior"]}  # fmt: skip
    rest = {rv.name: np.zeros(60) for rv in model.free_RVs if rv.name not in draws}
    return table, model, fake_fit(model, draws | rest)


def test_a_school_alone_in_its_authority_is_the_authority():
    _, model, fit = panel(("authority",))
    f = read_panel(fit, model)
    of_school = panel_log_likelihoods(f, "school")
    of_authority = panel_log_likelihoods(f, "authority")
    alone = [i for i, x in enumerate(np.bincount(f.d.levels[-1].parent)) if x == 1]
    assert alone
    for i in alone:
        school = int(np.flatnonzero(f.d.levels[-1].parent == i)[0])
        np.testing.assert_allclose(of_school[:, school], of_authority[:, i], atol=NATS)


@pytest.mark.parametrize("levels", [(), ("authority",)])
def test_of_a_school_with_one_year_the_last_year_is_all(levels):
    _, model, fit = panel(levels)
    f = read_panel(fit, model)
    once = np.flatnonzero(np.bincount(f.d.cells.group) == 1)
    assert len(once) == 1
    of_school, of_last = (panel_log_likelihoods(f, unit) for unit in ("school", "last_year"))
    np.testing.assert_allclose(of_last[:, once], of_school[:, once], atol=NATS)
    others = np.setdiff1d(np.arange(4), once)
    assert (np.abs(of_last - of_school)[:, others] > 0.1).any(axis=0).all()


@pytest.mark.filterwarnings("ignore:.*Pareto k above")  # of few draws that are no posterior's
def test_loo_names_its_units_and_compares():
    table, model, fit = panel(("authority",))
    last = hbm.loo(model, fit, unit="last_year")
    expected = table.groupby("school")["year"].max()
    labels = {f"{school} {year}" for school, year in expected.items()}
    assert set(last.elpd_i["last_year"].to_numpy().tolist()) == labels
    assert hbm.loo(model, fit).elpd_i["school"].size == 4
    hbm.compare({"one": (model, fit), "again": (model, fit)}, unit="last_year")
    one = hbm.exams.nested(table[table["year"] == 2019])
    of_one = prior_draws(one, 100)
    of_one = of_one.assign(posterior=of_one["prior"])
    with pytest.raises(ValueError, match="are of one year and of several"):
        hbm.compare({"panel": (model, fit), "nested": (one, of_one)})
    with pytest.raises(ValueError, match="unit must be one of: 'school', 'authority', 'last_year'"):
        hbm.loo(model, fit, unit="year")
