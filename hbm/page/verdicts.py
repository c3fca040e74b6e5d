"""Whether a page's numbers can be used: sentences, with the tables that they go by."""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from hbm.checks.report import LooPit, PredictiveCheck, in_unit
from hbm.page.gather import SHOWN, Tables
from hbm.page.scale import MINUS
from hbm.page.words import count, words_of
from hbm.tables.words import plural

__all__ = ["Verdict", "headline", "verdicts"]

_FEW_ERRORS = 2  # standard errors of a difference, within which models predict alike
_NAMED = 20  # units that are named of those of which a check is uncertain


@dataclass(frozen=True)
class Verdict:
    """What was asked, what was found, and the table that says so.

    Attributes
    ----------
    asked, found : str
        In words.
    ok : bool or None
        Whether all is well; None where nothing can be wrong.
    head : list of str
        Columns of the table.
    rows : list of list of str
        Its rows.
    advice : list of str
        What to do.
    """

    asked: str
    found: str
    ok: bool | None
    head: list[str]
    rows: list[list[str]]
    advice: list[str] = field(default_factory=list)


def headline(all_of: list[Verdict]) -> tuple[str, str]:
    """Return in one sentence whether the numbers can be used, and its kind."""
    draws, *models = [verdict.ok for verdict in all_of if verdict.ok is not None]
    failed = models.count(False)
    if not draws:
        return "These numbers should not be used: the computation failed its own checks.", "bad"
    if not models:
        return (
            "These numbers can be used as far as the computation goes; whether the model fits the "
            "data was not checked.",
            "care",
        )
    if failed:
        return (
            f"These numbers can be used with care: of {count(len(models), 'check')} of the model "
            f"against the data, {failed} found something amiss, as said below.",
            "care",
        )
    return "These numbers can be used: the computation and the model passed their checks.", "good"


def verdicts(t: Tables) -> list[Verdict]:
    """Return what was found of the draws, of the model, and of the model beside others."""
    found = [_of_draws(t)]
    for check in t.checks:
        found.append(_of_check(check) if isinstance(check, PredictiveCheck) else _of_pit(check, t))
    return found if t.comparison is None else [*found, _of_comparison(t.comparison, t.d.group)]


def _of_draws(t: Tables) -> Verdict:
    checks, failed = t.diagnosis.checks, int((~t.diagnosis.checks["passes"]).sum())
    said = (
        f"Yes: it passed all of its {len(checks)} checks."
        if t.diagnosis.ok
        else f"No: it failed {failed} of its {len(checks)} checks, and should be run again."
    )
    table = checks.assign(passes=np.where(checks["passes"], "yes", "no"))
    asked = "Did the computation work?"
    return Verdict(asked, said, t.diagnosis.ok, *_rows_of(table), list(t.diagnosis.advice))


def _of_check(check: PredictiveCheck) -> Verdict:
    groups, off = words_of(plural(check.group)), check.table["verdict"] != "as expected"
    anew = f"other {groups}" if check.new_groups else f"other {plural(check.individual)}"
    if not check.new_groups:
        anew = f"{words_of(anew)} of the same {groups}"
    asked = f"Could the model have produced such data, with {anew}?"
    said = f"Yes: {len(check.table)} figures that sum up the data lie where the model expects them."
    if not check.ok:
        which = "; ".join(
            f"{row.meaning} ({row.verdict})" for row in check.table[off].itertuples(index=False)
        )
        said = f"Not in all respects. Of {len(check.table)} figures that sum up the data: {which}."
    rows = [
        [
            row.meaning,
            in_unit(row.observed, row.unit).replace("-", MINUS),
            f"{in_unit(row.lower, row.unit)} to {in_unit(row.upper, row.unit)}".replace("-", MINUS),
            row.verdict,
        ]
        for row in check.table.itertuples(index=False)
    ]
    return Verdict(asked, said, check.ok, ["of the data", "observed", "expected", "verdict"], rows)


def _of_pit(pit: LooPit, t: Tables) -> Verdict:
    group, unit = words_of(t.d.group), words_of(pit.unit)
    asked = f"Does it predict each {unit} rightly from the others?"
    if t.d.panel and pit.unit == t.d.last:
        asked = f"Does it predict the {unit} of each {group} rightly from the years before?"
    said = pit.verdict if not pit.ok else f"Yes: {pit.verdict[0].lower()}{pit.verdict[1:]}"
    said = said if pit.ok else f"Not in all respects. {said}"
    advice = []
    if pit.doubtful:
        said += f" Of {len(pit.doubtful)} of {count(len(pit.table), pit.unit)} that is uncertain."
        advice.append(
            "What the model learns hangs on these so much that it can hardly be said what it would "
            f"have learned without one of them (Pareto k above {pit.good_k:.2f}): "
            f"{_called(pit, t)}."
        )
    tests = pd.DataFrame() if pit.tests is None else pit.tests[["test", "p", "finding"]]
    return Verdict(asked, said, pit.ok, *_rows_of(tests), advice)


def _called(pit: LooPit, t: Tables) -> str:
    """Say which units are doubtful, by the names of their groups where these are known."""
    names = {x: _named(x, name) for x, name in t.names.get(pit.unit, {}).items()}
    if t.d.panel and pit.unit == t.d.last:
        years = t.d.cells.years[t.d.cells.year[t.d.last_cells]]
        groups = (_named(x, name) for x, name in t.names[t.d.group].items())
        called = (f"{group} in {year}" for group, year in zip(groups, years, strict=True))
        names = dict(zip(t.d.unit_labels(pit.unit), called, strict=True))
    shown = [names.get(label, str(label)) for label in pit.doubtful]
    more = f" and {len(shown) - _NAMED} more" if len(shown) > _NAMED else ""
    return ", ".join(shown[:_NAMED]) + more


def _named(label: str, name: str) -> str:
    return name if name == label else f"{name} ({label})"


def _of_comparison(table: pd.DataFrame, group: str) -> Verdict:
    best = str(table.index[0])
    asked = f"Which model predicts a {words_of(group)} best that it has not seen?"
    if best == SHOWN:
        said = f"Of {count(len(table), 'model')}, that of this page."
    else:
        said = f"Of {count(len(table), 'model')}, “{best}”."
        if SHOWN in table.index:
            away, error = table.loc[SHOWN, ["elpd_diff", "dse"]].astype(float)
            near = abs(away) <= _FEW_ERRORS * error
            said += f" That of this page predicts {'as well, within chance' if near else 'worse'}."
    kept = [c for c in ("elpd_diff", "dse", "weight", "note") if c in table]
    head, rows = _rows_of(table[kept])
    rows = [[str(name), *row] for name, row in zip(table.index, rows, strict=True)]
    return Verdict(asked, said, None, ["model", *head], rows)


def _rows_of(table: pd.DataFrame) -> tuple[list[str], list[list[str]]]:
    """Return the heads and cells of a table, as text."""
    columns = [[_cell(x) for x in table[name].tolist()] for name in table]
    return [words_of(str(name)) for name in table], [
        list(row) for row in zip(*columns, strict=True)
    ]


_number: Callable[[float], str] = "{:.4g}".format


def _cell(value: object) -> str:
    if isinstance(value, float):
        return "–" if np.isnan(value) else _number(value).replace("-", MINUS)
    return str(value)
