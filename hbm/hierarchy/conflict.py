"""Conflict: data so far from a model's priors that the two can hardly be of the same scale.

Priors are in the data's units, and by default are those of people's heights in cm or of exam marks.
Given other data they bend the estimates without a word, and the draws look well.
"""

import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from scipy.special import gammainccinv, gammaincinv

from hbm.hierarchy.description import Description

__all__ = ["quiet", "warn_of_conflict"]

_OURS = (str(Path(__file__).parents[1]) + os.sep,)
_FAR = 5.0  # prior scales
_CHANCE = 0.01  # of a raw spread so far from the true one
_LEAST = 5.0  # individuals at the other end of the range, were there only two values
_POWERS = (10.0, 100.0, 1000.0, 0.1, 0.01, 0.001)

_quiet: ContextVar[bool] = ContextVar("quiet", default=False)


class _Far(NamedTuple):
    """A raw quantity, the interval that holds it with a prior probability of 95 %, and the mend."""

    what: str
    raw: float
    expected: tuple[float, float]
    unit: str
    mend: dict[str, float]


@contextmanager
def quiet() -> Iterator[None]:
    """Say nothing of conflicts, in this thread, where a model is made once more.

    Examples
    --------
    >>> import hbm, pandas as pd
    >>> table = pd.DataFrame({"country": ["a", "b"], "n_people": 9, "mean": [500, 510], "sd": 20})
    >>> with quiet():
    ...     model = hbm.heights.partial_pooling(table)
    """
    token = _quiet.set(True)
    try:
        yield
    finally:
        _quiet.reset(token)


def warn_of_conflict(d: Description, priors: Any, sd: str, between: str | None = None) -> None:
    """Warn of data that lie five prior scales or more from what the priors expect.

    Looked at are the raw grand mean of the effects, the raw spread between groups, and that of
    individuals within them.

    Parameters
    ----------
    d : Description
        What the model is, and what was seen.
    priors : Priors
        Those of the model.
    sd : str
        Which of them is the sd of the grand mean.
    between : str, optional
        Which is the scale of the sd between groups, if groups differ.

    Warns
    -----
    UserWarning
        Naming each quantity, its raw value, what the prior expects, and the mend.

    Notes
    -----
    The scale of a grand mean is that of its prior predictions: of four countries it varies by half
    of the spread between countries as well. A raw spread is far off if it had a probability below
    1 % were the true one five scales from its prior's middle. Less spread between groups than
    expected is no conflict: a half-normal allows for none.

    Examples
    --------
    >>> import hbm, pandas as pd
    >>> table = pd.DataFrame({"country": ["a", "b"], "n_people": 9, "mean": [1760, 1820], "sd": 70})
    >>> with warnings.catch_warnings(record=True) as caught:
    ...     warnings.simplefilter("always")
    ...     model = hbm.heights.partial_pooling(table)
    >>> print(caught[0].message)
    the data are far from what the priors expect: a raw grand mean of 1,790 cm (expected 156 to
    196)...
    """
    if _quiet.get():
        return
    taus = [float(priors.tau_of(level.name)) for level in d.levels[:-1]]
    taus += [float(getattr(priors, between))] if between else [0.0]
    looked_at = (
        _grand_mean(d, priors, sd, taus, between),
        _between(d, priors, taus, between),
        _within(d, priors),
    )
    found = [each for each in looked_at if each is not None]
    if not found:
        return
    said = "; ".join(
        f"a raw {far.what} of {_short(far.raw)} {far.unit} (expected "
        + (f"{_short(far.expected[0])} to " if far.expected[0] else "up to ")
        + f"{_short(far.expected[1])})"
        for far in found
    )
    mend = {name: value for far in found for name, value in far.mend.items()}
    fields = ", ".join(f"{name}={float(f'{value:.2g}'):g}" for name, value in mend.items())
    home = type(priors).__module__
    if home.startswith("hbm.hierarchy"):
        home = "hbm.exams" if d.value is None else "hbm.scores"
    warnings.warn(
        f"the data are far from what the priors expect: {said}. Estimates will be drawn to the "
        "priors, and what is learned of the spreads too. Give priors of the data's scale, for "
        f"example priors={home}.Priors({fields}){_other_unit(d, priors, found[0])}",
        UserWarning,
        skip_file_prefixes=_OURS,
    )


def _short(value: float) -> str:
    return f"{float(f'{value:.3g}'):,g}"


def _shown(d: Description, *values: float) -> list[float]:
    """Return means or spreads of individuals as they are shown."""
    return [float(100 * x if d.law.proportions else x) for x in values]


def _spread_prior(d: Description, priors: Any) -> tuple[float, float, bool]:
    """Return the middle of the prior of the spread, its scale, and whether that is of the log."""
    name = d.law.spread
    if d.law.spread_varies:
        own = getattr(priors, f"{name}_log_sd"), getattr(priors, f"tau_{name}")
        return float(getattr(priors, f"{name}_median")), float(np.hypot(*own)), True
    return float(getattr(priors, name)), float(getattr(priors, name)), False


def _most_excess(d: Description, priors: Any) -> float:
    """Return the design effect less 1, or the most that its prior expects."""
    return _FAR * priors.design_effect_sd if d.design_effect is None else d.design_effect - 1


def _grand_mean(
    d: Description, priors: Any, sd: str, taus: list[float], between: str | None
) -> _Far | None:
    law, name = d.law, f"{d.law.effect}_mean"
    m, prior_sd = float(getattr(priors, name)), float(getattr(priors, sd))
    middle = _spread_prior(d, priors)[0]
    # As of individuals that vary as the prior expects: sds of a few of them may be anything.
    effect = law.raw_estimates(d.n, d.mean, np.full(len(d.n), np.nan), middle).effect
    mu = law.mean_of(np.full(len(d.n), m))
    se2 = 1 / law.information(d.n, mu, np.full(len(d.n), middle), _most_excess(d, priors))
    weight = 1 / (np.sum(np.square(taus)) + se2)
    weight /= weight.sum()
    raw = float(weight @ effect)
    variance = prior_sd**2 + weight**2 @ se2
    for level, tau in zip(d.levels, taus, strict=True):
        variance += tau**2 * (np.bincount(d.ancestor_of(level.name), weight) ** 2).sum()
    if abs(raw - m) <= _FAR * np.sqrt(variance):
        return None
    mend = {name: raw}
    if not d.law.proportions:  # whose mean lies elsewhere, its spreads most likely do as well
        scale = max(float(np.std(effect)), np.sqrt(_pooled(d, d.sd**2))) or abs(raw) / 10
        names = [sd, *([between] if between else []), law.spread]
        mend |= dict.fromkeys(names, scale or prior_sd)
        if sd == between:  # around a fixed mean, which is not to draw them in
            mend[sd] *= 5
    low, high = _shown(d, *(law.mean_of(m + k * prior_sd) for k in (-2, 2)))
    return _Far("grand mean", _shown(d, weight @ d.mean)[0], (low, high), d.unit, mend)


def _between(d: Description, priors: Any, taus: list[float], field: str | None) -> _Far | None:
    raw = d.law.raw_estimates(d.n, d.mean, d.sd, _spread_prior(d, priors)[0])
    if field is None or len(d.n) < 2 or not np.isfinite(raw.effect_se).all():
        return None
    tau = float(np.sqrt(np.sum(np.square(taus))))
    weight = 1 / ((_FAR * tau) ** 2 + (1 + _most_excess(d, priors)) * raw.effect_se**2)
    away = raw.effect - weight @ raw.effect / weight.sum()
    if weight @ away**2 <= 2 * gammainccinv((len(d.n) - 1) / 2, _CHANCE):
        return None
    spread = float(np.std(raw.effect, ddof=1))
    unit = "logits" if d.law.proportions else d.unit
    return _Far(f"sd between {d.group} means", spread, (0, 2 * tau), unit, {field: spread})


def _within(d: Description, priors: Any) -> _Far | None:
    middle, scale, is_log = _spread_prior(d, priors)
    freedom = np.where(np.isfinite(d.sd), d.n - 1, 0.0).sum()
    seen = _pooled(d, d.sd**2)
    if not seen > 0:  # nobody varies, or there are no sds: nothing is told
        return None

    def variance(away: float) -> float:
        spread = middle * np.exp(away * scale) if is_log else abs(away) * scale
        return _pooled(d, d.law.variance(d.mean, np.full(len(d.n), spread)))

    def ends(away: float) -> tuple[float, float]:
        low, high = sorted((variance(-away if is_log else 0.0), variance(away)))
        return low, high

    low, high = ends(_FAR)
    lowest, highest = (2 * gammaincinv(freedom / 2, p) / freedom for p in (_CHANCE, 1 - _CHANCE))
    # A few proportions that are all next to 0 or 1 do not tell how individuals vary.
    most = freedom * _pooled(d, d.law.variance(d.mean, np.zeros(len(d.n))))
    too_small = seen < lowest * low and most > _LEAST
    if not (too_small or seen > highest * high):
        return None
    name, spread = d.law.spread, float(np.sqrt(seen))
    mend = {name: spread}
    if is_log:
        steps = np.linspace(4 * _FAR, -4 * _FAR, 801)  # of falling log spread, so that sds rise
        found = np.interp(seen, [variance(step) for step in steps], steps)
        mend = {f"{name}_median": float(middle * np.exp(found * scale))}
    expected = _shown(d, *np.sqrt(ends(2)))
    what = f"sd of {d.value_name}s within a {d.group}"
    return _Far(what, _shown(d, spread)[0], (expected[0], expected[1]), d.distance, mend)


def _pooled(d: Description, variance: np.ndarray) -> float:
    """Average variances over groups whose sd is known, by degrees of freedom; 0 of none."""
    freedom = np.where(np.isfinite(d.sd), d.n - 1, 0.0)
    return float(freedom @ np.where(freedom > 0, variance, 0.0) / max(freedom.sum(), 1))


def _other_unit(d: Description, priors: Any, first: _Far) -> str:
    """Say what else may be wrong, where the unit may be another."""
    if d.law.proportions:
        return ""
    text = f", with unit= if it is not {d.unit!r}"
    m = float(getattr(priors, f"{d.law.effect}_mean"))
    power = next((k for k in _POWERS if abs(first.raw / k - m) < abs(m) / 4), None)
    if first.what == "grand mean" and power:
        act = f"divide by {power:g}" if power > 1 else f"multiply by {1 / power:g}"
        text += f"; or {act}, if the table is to be in {d.unit} and is not"
    return text
