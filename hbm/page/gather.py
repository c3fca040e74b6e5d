"""The tables that a page is made of: all that it says is in one of them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pymc as pm
import xarray as xr

from hbm.checks.compare import compare as compare_models
from hbm.checks.pit import loo_pit
from hbm.checks.predictive import check_predictive
from hbm.checks.report import LooPit, PredictiveCheck
from hbm.hierarchy.description import Description
from hbm.hierarchy.fitted import flat, read_all, read_fit
from hbm.hierarchy.recipes import Recipe, recipe_of
from hbm.results.changes import changes
from hbm.results.estimates import estimates
from hbm.results.prediction import predict
from hbm.results.ranks import ranks
from hbm.results.shares import shares
from hbm.results.shrinkage import shrinkage
from hbm.results.variance import variance_shares
from hbm.sampling.diagnostics import Diagnosis, diagnose
from hbm.tables.columns import require_numbers
from hbm.tables.exam_tables import STANDARDS
from hbm.tables.export import with_names
from hbm.tables.labels import label_text

__all__ = ["SHOWN", "STEPS", "Tables", "gather"]

SHOWN = "the model of this page"  # what it is called beside others
STEPS = 8  # that `gather` tells of
_MOST_DRAWS = 500  # for shares, and for what is predicted
_OF_RANKS = ["expected_rank", "rank_lower", "rank_upper", "joint_lower", "joint_upper"]


@dataclass(frozen=True)
class Tables:
    """What is known of a fit.

    Attributes
    ----------
    d, view : Description
        Of the fit, and of its last year; of a fit of one year both are the same.
    recipe : Recipe
        How the model was made.
    sampled : dict of str to object
        What the fit says of how it was drawn.
    seed : object
        That of what is drawn for the page.
    diagnosis : Diagnosis
        Whether the draws can be used.
    checks : sequence of PredictiveCheck or LooPit
        Whether the model can.
    comparison : pandas.DataFrame or None
        Result of :func:`hbm.compare`.
    groups : pandas.DataFrame
        One row a group: :func:`hbm.shrinkage` and, as far as they can be told, :func:`hbm.ranks`.
        Of a panel, those with results in the last year.
    parents : dict of str to pandas.DataFrame
        :func:`hbm.shrinkage` of each level above, from the innermost out.
    shares : dict of str to pandas.DataFrame
        By standard, :func:`hbm.shares`, with ``published`` beside.
    variance : pandas.DataFrame or None
        :func:`hbm.variance_shares`.
    names : dict of str to dict of str to str
        By level, what its members are called, by label.
    expected : pandas.DataFrame
        Mean and interval of what :func:`hbm.predict` says of another cohort of each group, of as
        many individuals and like those seen in all that is known of them: of a panel, in the year
        after the last.
    years, changes : pandas.DataFrame or None
        Of a panel: :func:`hbm.estimates` of groups and years beside what was published; and
        :func:`hbm.changes`.
    """

    d: Description
    view: Description
    recipe: Recipe
    sampled: dict[str, object]
    seed: object
    diagnosis: Diagnosis
    checks: Sequence[PredictiveCheck | LooPit]
    comparison: pd.DataFrame | None
    groups: pd.DataFrame
    parents: dict[str, pd.DataFrame]
    shares: dict[str, pd.DataFrame]
    variance: pd.DataFrame | None
    names: dict[str, dict[str, str]]
    expected: pd.DataFrame
    years: pd.DataFrame | None = None
    changes: pd.DataFrame | None = None

    @property
    def pools(self) -> bool:
        """Whether the model learns what groups have in common."""
        return self.variance is not None

    @property
    def ranked(self) -> bool:
        """Whether the groups have ranks."""
        return "expected_rank" in self.groups


def gather(
    model: pm.Model,
    fit: xr.DataTree,
    *,
    names: pd.DataFrame | None,
    compare: Mapping[str, tuple[pm.Model, xr.DataTree]] | pd.DataFrame | None,
    checks: Sequence[Diagnosis | PredictiveCheck | LooPit] | None,
    random_seed: int | np.random.Generator | None,
    tell: Callable[[str], None],
) -> Tables:
    """Make the tables of a page; see :func:`hbm.report`.

    Parameters
    ----------
    model, fit, names, compare, checks, random_seed
        As there.
    tell : callable
        Is told what begins, `STEPS` times.

    Returns
    -------
    Tables
    """
    fitted = read_all(fit, model)
    d, last = fitted.d, read_fit(fit, model)
    recipe, called = recipe_of(model), _names(fitted.d, names)
    rng = np.random.default_rng(random_seed)
    few = fit.isel(draw=slice(None, None, -(-fitted.n_draws // _MOST_DRAWS)))

    tell("checking the draws")
    given = [check for check in checks or () if isinstance(check, Diagnosis)]
    diagnosis = given[-1] if given else diagnose(fit)
    tell("checking the model")
    of_model = _checks(model, fit, few, d, rng) if checks is None else _of_model(checks)
    tell("comparing models")
    if compare is not None and not isinstance(compare, pd.DataFrame):
        compare = compare_models({SHOWN: (model, fit), **compare}, d.group)
    tell(f"estimates of each {d.group}")
    groups = shrinkage(fit, d.group)
    parents = {level.name: shrinkage(fit, level.name) for level in reversed(d.levels[:-1])}
    tell("ranks")
    mu = last.mu(d.group)
    if (mu != mu[:, :1]).any():
        columns = [d.group, *_OF_RANKS, "p_above_average", "tier"]
        attrs, league = groups.attrs, ranks(fit, d.group)
        groups = groups.merge(league[columns], on=d.group, how="left", validate="1:1")
        groups.attrs = attrs
    tell(f"shares of {d.individual} results")
    of_standards = _shares(few, last.d, names, d)
    tell("variances")
    variance = variance_shares(fit) if fitted.pools else None
    tell("years to come")
    return Tables(
        d,
        last.d,
        recipe,
        _sampled(fit),
        random_seed,
        diagnosis,
        of_model,
        compare,
        groups,
        parents,
        of_standards,
        variance,
        called,
        _expected(model, few, d, rng),
        *(_of_years(fit, d) if d.panel else ()),
    )


def _checks(
    model: pm.Model, fit: xr.DataTree, few: xr.DataTree, d: Description, rng: np.random.Generator
) -> tuple[PredictiveCheck | LooPit, ...]:
    same = check_predictive(model, fit, random_seed=rng)
    if d.panel:  # of which each draw takes long
        return same, loo_pit(model, few, d.last)
    return same, loo_pit(model, fit, d.group)


def _sampled(fit: xr.DataTree) -> dict[str, object]:
    """Return what a fit says of how it was drawn."""
    nodes = [fit[name] for name in ("posterior", "sample_stats") if name in fit.children]
    return {str(name): value for node in nodes for name, value in node.attrs.items()}


def _of_model(
    checks: Sequence[Diagnosis | PredictiveCheck | LooPit],
) -> tuple[PredictiveCheck | LooPit, ...]:
    return tuple(check for check in checks if not isinstance(check, Diagnosis))


def _names(d: Description, names: pd.DataFrame | None) -> dict[str, dict[str, str]]:
    """Return what the members of each level are called: in a panel, in the last year they have."""
    if names is not None and d.panel and d.cells.name in names:
        names = names.sort_values(d.cells.name, kind="stable")
    named = [] if names is None else [level.name for level in d.levels]
    named = [name for name in named if name in names and f"{name}_name" in names]
    if names is not None and not named:
        raise ValueError(
            f"names must hold labels of the fit and their names, such as {d.group!r} and "
            f"'{d.group}_name'; it has: {', '.join(map(str, names.columns))}"
        )
    found = {}
    for level in d.levels:
        table = pd.DataFrame({level.name: level.labels})
        if level.name in named:
            last = names.drop_duplicates(level.name, keep="last") if d.panel else names
            table = with_names(table, last)
        texts = table.iloc[:, -1].fillna(table[level.name]).astype(str)
        found[level.name] = dict(zip(level.labels.tolist(), texts, strict=True))
    return found


def _shares(
    fit: xr.DataTree, view: Description, names: pd.DataFrame | None, d: Description
) -> dict[str, pd.DataFrame]:
    """Return the shares of individuals at each standard that `names` has the published ones of."""
    if names is None or d.unit != "%" or d.means_only or d.group not in names:
        return {}
    rows = names
    if d.panel and d.cells.name in names:
        rows = names[names[d.cells.name] == d.cells.years[-1]]
    labels, found = label_text(rows, d.group), {}
    for name, mark in STANDARDS.items():
        if name in rows and not labels.duplicated().any():
            published = pd.Series(
                require_numbers(
                    rows,
                    name,
                    allowed="shares in [0, 1], or missing",
                    ok=lambda x: np.isnan(x) | ((x >= 0) & (x <= 1)),
                ),
                labels,
            )
            table = shares(fit, above=mark)
            found[name] = table.assign(published=table[d.group].map(published))
    return found


def _of_years(fit: xr.DataTree, d: Description) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the estimates of all years, and changes."""
    year, labels = d.cells.name, d.levels[-1].labels
    seen = pd.DataFrame(
        {
            d.group: labels[d.cells.group],
            year: d.cells.years[d.cells.year],
            d.size: d.n.astype(int),
            "raw_mean": d.mean,
        }
    )
    by_year = estimates(fit, d.mean_name).merge(seen, on=[d.group, year], how="left")
    return by_year, _changes(fit, d)


def _expected(
    model: pm.Model, few: xr.DataTree, d: Description, rng: np.random.Generator
) -> pd.DataFrame:
    """Return what is expected of another cohort of the groups, of a panel in the next year."""
    rows, when = np.arange(len(d.n)), {}
    if d.panel:
        rows = d.last_cells[d.cells.year[d.last_cells] == len(d.cells.years) - 1]
        when = {d.cells.name: int(d.cells.years[-1]) + 1}
    following = pd.DataFrame(
        {level.name: level.labels[d.ancestor_of(level.name)[rows]] for level in d.levels}
    ).assign(**when, **{d.size: d.n[rows].astype(int)})
    following = _as_before(following, model, d)
    tree = predict(model, few, following, random_seed=rng)
    draws = flat(xr.DataTree.from_dict({"posterior": tree["predictions"].to_dataset()}), "mean")
    expected = following[[d.group, *when, d.size]].assign(mean=draws.mean(axis=0))
    expected["lower"], expected["upper"] = np.quantile(draws, [0.025, 0.975], axis=0)
    return expected


def _as_before(following: pd.DataFrame, model: pm.Model, d: Description) -> pd.DataFrame:
    """Return groups with what is known of them, of a panel in the last year."""
    codings = () if d.predictors is None else d.predictors.coding
    columns = {coding.column for coding in codings if coding.level == d.group} - {*following}
    if not columns:
        return following
    table = recipe_of(model).table
    if d.panel:
        table = table[table[d.cells.name] == d.cells.years[-1]]
    last = table.drop_duplicates(d.group)
    return following.merge(last[[d.group, *columns]], on=d.group, how="left", validate="1:1")


def _changes(fit: xr.DataTree, d: Description) -> pd.DataFrame | None:
    """Return the changes from the first year to the last, if any group has both."""
    grid = d.cells.grid(len(d.levels[-1].labels))
    return changes(fit, d.group) if (grid[:, [0, -1]] >= 0).all(axis=1).any() else None
