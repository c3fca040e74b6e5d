"""The page of a fit: `hbm.report`."""

import base64
import hashlib
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
import pandas as pd
import pymc as pm
import xarray as xr

from hbm.checks.report import LooPit, PredictiveCheck
from hbm.page import method
from hbm.page.drawing import axis, crowd, field
from hbm.page.gather import STEPS, Tables, gather
from hbm.page.scale import scale_of
from hbm.page.sections import STRIP, YEARS, Sections, address
from hbm.page.verdicts import headline, verdicts
from hbm.page.words import Words, count, words_of
from hbm.plots import style
from hbm.sampling.diagnostics import Diagnosis
from hbm.sampling.progress import progress_bar
from hbm.tables.files import write_whole
from hbm.tables.words import a, plural

__all__ = ["report"]

_FIELD = (720, 400, 64, 12, 712, 365)  # width, height; left, top, right and bottom of the marks
_MOST_RINGS = 400  # groups, above which the picture of all shows no raw means
_FORMULA = ("=", "+", "-", "@", "\t", "\r")  # what a spreadsheet takes for the start of one


def report(
    model: pm.Model,
    fit: xr.DataTree,
    path: str | os.PathLike[str],
    *,
    names: pd.DataFrame | None = None,
    title: str | None = None,
    compare: Mapping[str, tuple[pm.Model, xr.DataTree]] | pd.DataFrame | None = None,
    checks: Sequence[Diagnosis | PredictiveCheck | LooPit] | None = None,
    licence: str | None = None,
    random_seed: int | np.random.Generator | None = None,
    progressbar: bool = True,
) -> Path:
    """Write a page of a fit for people who read no code: one HTML file that needs nothing else.

    It says whether the numbers can be used, finds a school by name, code or authority, shows all of
    them in one picture and a table, and has a section for each school (``#school=0009``) and
    authority (``#authority=0012``) with two sentences: how good, and how sure.

    Parameters
    ----------
    model : pymc.Model
        A model of :mod:`hbm.heights`, :mod:`hbm.scores` or :mod:`hbm.exams`.
    fit : xarray.DataTree
        Its fit, the result of :func:`hbm.sample`. Of a panel, the whole fit.
    path : str or os.PathLike
        Where to, for example ``"maths.html"``. Folders are made; a file that is there is replaced.
    names : pandas.DataFrame, optional
        A table that names the codes, such as the one of :func:`hbm.exam_table` that the model took:
        ``school_name`` beside ``school``, and so on; of a panel, the names of the last year. If it
        has ``acceptable`` or ``excellent``, shares of students at 50 and 80 % or more, these stand
        beside those of :func:`hbm.shares`.
    title : str, optional
        What stands at the top, such as the exam and its year; made from what the model is of by
        default.
    compare : mapping of str to (pymc.Model, xarray.DataTree), or pandas.DataFrame, optional
        Other models of the same data with their fits, which :func:`hbm.compare` holds against this
        one; or the table that it made, in which this one is called ``"the model of this page"``.
    checks : sequence of Diagnosis, PredictiveCheck or LooPit, optional
        Results of :func:`hbm.diagnose`, :func:`hbm.check_predictive` and :func:`hbm.loo_pit`, so
        that they are not made twice. By default all three are made here, of a panel with the last
        year of each group left out. If the list has none of the model, the page says that the model
        was not checked.
    licence : str, optional
        Where the data are from, and under which licence.
    random_seed : int or numpy.random.Generator, optional
        The same seed gives the same numbers, of the check and of the year to come.
    progressbar : bool, default True
        Show how far it is.

    Returns
    -------
    pathlib.Path
        The file.

    Raises
    ------
    TypeError
        If an argument is of another kind.
    ValueError
        If the model is none of these, the fit is not of it, `names` lacks a label or names one
        twice, or the file does not end in ``.html``.
    OSError
        If the file cannot be written. A file that was there before is left as it was.

    Notes
    -----
    Numbers are those of :func:`hbm.shrinkage`, :func:`hbm.ranks`, :func:`hbm.shares`,
    :func:`hbm.variance_shares` and, of a panel, :func:`hbm.estimates`, :func:`hbm.changes` and
    :func:`hbm.predict`; shares, predictions and, of a panel, PITs of at most some 500 draws, evenly
    apart. The CSV
    file that the page offers has them in full, to six digits; a text in it that a spreadsheet would
    take for a formula begins with an apostrophe.

    The page loads nothing, and forbids its reader's browser to. It reads without JavaScript, which
    adds search, sorting and filters. Whoever has it can read the table: keep it as you would keep
    that.

    Examples
    --------
    >>> import hbm, tempfile
    >>> table = hbm.simulate.exams([2, 1], [5, 8, 40], random_seed=1)[0]
    >>> model = hbm.exams.nested(table)
    >>> fit = hbm.sample(model)  # doctest: +SKIP
    >>> hbm.report(model, fit, "maths.html")  # doctest: +SKIP

    Here with draws of its prior in place of a fit's:

    >>> prior = hbm.sample_prior_predictive(model, 400, random_seed=1)
    >>> fit = prior.assign(posterior=prior["prior"].isel(chain=[0, 0]))
    >>> file = tempfile.mkdtemp() + "/maths.html"
    >>> page = hbm.report(model, fit, file, title="Maths", checks=[], progressbar=False)
    >>> page.read_text(encoding="utf-8")[:15]
    '<!DOCTYPE html>'
    """
    path = Path(path)
    if path.suffix.lower() not in (".html", ".htm"):
        raise ValueError(f"the file must end in .html, got {path.name!r}")
    for check in checks or ():
        if not isinstance(check, Diagnosis | PredictiveCheck | LooPit):
            raise TypeError(
                "checks must be results of hbm.diagnose, hbm.check_predictive and hbm.loo_pit, got "
                f"{type(check).__name__}"
            )
    with _progress(progressbar) as tell:
        tables = gather(
            model,
            fit,
            names=names,
            compare=compare,
            checks=checks,
            random_seed=random_seed,
            tell=tell,
        )
        tell("writing")
        page = _rendered(_context(tables, title, licence))
    # A text that is none, such as half of a pair of surrogates, must not keep the page from being.
    write_whole(page.encode("utf-8", "replace"), path)
    return path


@contextmanager
def _progress(shown: bool) -> Iterator[Callable[[str], None]]:
    with progress_bar(shown) as progress:
        bar = progress.add_task("Page", total=STEPS + 1)

        def tell(what: str) -> None:
            progress.update(bar, description=f"Page: {what}", advance=1)

        yield tell


def _context(t: Tables, title: str | None, licence: str | None) -> dict[str, Any]:
    """Return all that the template asks for."""
    d, scale = t.view, scale_of(t.d.unit, t.d.distance, t.groups["sd"])
    words, sections = Words(t, scale), Sections(t, scale)
    left, top, right, bottom = _FIELD[2:]
    line = axis(t.groups[["raw_mean", "lower", "upper"]], scale, bottom, top)
    marks = dict(
        zip(
            (address(d.group, label) for label in t.groups[d.group]),
            field(t.groups, line, left + 8, right - 8),
            strict=True,
        )
    )
    all_of, today = verdicts(t), date.today()
    sentence, kind = headline(all_of)
    groups = count(len(t.groups), d.group)
    above = [count(len(t.parents[name]), name) for name in t.parents]
    years = [] if t.years is None else [str(x) for x in t.d.cells.years]
    default = f"{style.heading(d.value_name)}s of {groups}"
    if years:
        default += f", {years[0]} to {years[-1]}"
    return {
        "title": title or default,
        "t": t,
        "d": d,
        "scale": scale,
        "words": words,
        "sections": sections,
        "verdicts": all_of,
        "headline": sentence,
        "kind": kind,
        "group": words_of(d.group),
        "groups": words_of(plural(d.group)),
        "individual": words_of(d.individual),
        "individuals": words_of(d.size.removeprefix("n_")),
        "value_name": words_of(d.value_name),
        "of": " in ".join([groups, *above]),
        "n": f"{int(t.d.n.sum()):,}",
        "all_groups": count(len(t.d.levels[-1].labels), d.group),
        "years": years,
        "today": f"{today.day} {today:%B %Y}",
        "field": {"box": _FIELD, "axis": line, "marks": marks, "average": line.at(words.average)},
        "in_order": sorted(sections.groups, key=lambda member: marks[member.address].x),
        "crowd": crowd(t.groups["mean"], sections.strip, 42),
        "above": sections.groups[0].above,
        "rings": len(t.groups) <= _MOST_RINGS,
        "strip_ends": STRIP,
        "years_ends": YEARS,
        "story": method.story(t.recipe),
        "equations": method.equations(t.recipe),
        "with_predictors": method.with_predictors(t),
        "priors": method.priors(t.recipe),
        "made_with": method.made_with(t),
        "licence": licence,
        "csv": _csv(t),
        "file": f"{plural(d.group)}.csv",
        "colours": style,
        "plural": lambda name: words_of(plural(name)),
    }


def _csv(t: Tables) -> str:
    """Return the table of all groups as an address that holds a CSV file."""
    table = t.groups.copy()
    for level in [t.d.group, *t.parents]:
        if level in table and t.names[level] != {x: x for x in t.names[level]}:
            at = table.columns.get_loc(level) + 1
            table.insert(at, f"{level}_name", table[level].map(t.names[level]))
    if t.changes is not None:
        of = t.changes[[t.d.group, "raw_change", "change", "lower", "upper", "p_rose", "named"]]
        renamed = of.rename(columns={"lower": "change_lower", "upper": "change_upper"})
        table = table.merge(renamed, on=t.d.group, how="left")
    for name in table.select_dtypes(["object", "string"]):
        table[name] = table[name].map(
            lambda x: f"'{x}" if isinstance(x, str) and x.startswith(_FORMULA) else x
        )
    text = table.to_csv(index=False, lineterminator="\n", float_format="%.6g")
    # With the mark that tells Excel that it is UTF-8.
    return "data:text/csv;charset=utf-8," + quote(f"\N{BOM}{text}".encode("utf-8", "replace"), ",")


def _rendered(context: dict[str, Any]) -> str:
    """Fill in the templates, and say by their hashes that no other style or script may be used."""
    import jinja2
    from markupsafe import Markup

    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("hbm", "page"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["words"] = words_of
    environment.filters["a"] = a
    look = environment.get_template("style.css.jinja").render(context)
    script = (Path(__file__).parent / "script.js").read_text("utf-8")
    hashes = {
        name: base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        for name, text in {"style": look, "script": script}.items()
    }
    # Our own, and nothing of the tables in it.
    ours = {"look": Markup(look), "script": Markup(script)}
    return environment.get_template("page.html.jinja").render(context, hashes=hashes, **ours)
