"""Pictures of the page: where marks stand in them. Templates make SVG of these numbers."""

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from hbm.page.scale import Scale

__all__ = ["Axis", "Mark", "axis", "crowd", "field", "marks", "radius"]

_AROUND = 0.04  # of the range, beyond what is shown
_LARGEST, _SMALLEST = 7.0, 2.0  # radii of raw means
_BAR, _TALLEST = 4, 12  # width, and height of the largest, of bars of a crowd


@dataclass(frozen=True)
class Axis:
    """Values along a line of the page.

    Attributes
    ----------
    low, high : float
        Ends, in the unit of the data.
    start, stop : float
        Where these are.
    ticks : list of (str, float)
        What is written beside it, and where.
    """

    low: float
    high: float
    start: float
    stop: float
    ticks: list[tuple[str, float]]

    def at(self, value: Any) -> Any:
        """Return where values are, to a tenth."""
        share = (np.clip(value, self.low, self.high) - self.low) / (self.high - self.low)
        return np.round(self.start + share * (self.stop - self.start), 1) + 0.0


class Mark(NamedTuple):
    """A group in the picture of all: where its estimate, interval and raw mean are."""

    x: float
    lower: float
    upper: float
    mean: float
    raw: float


def axis(values: ArrayLike, scale: Scale, start: float, stop: float) -> Axis:
    """Lay values along a line, with a few round numbers beside it.

    Examples
    --------
    >>> line = axis([0.41, 0.79], Scale("%", "points", 1), 0, 100)
    >>> [text for text, _ in line.ticks], float(line.at(0.6))
    (['40 %', '50 %', '60 %', '70 %', '80 %'], 50.0)
    """
    from matplotlib.ticker import MaxNLocator

    shown = np.asarray(values, dtype=float)
    low, high = float(np.nanmin(shown)), float(np.nanmax(shown))
    around = _AROUND * (high - low) or 1.0
    low, high = low - around, high + around
    if scale.unit == "%":
        low, high = max(low, 0.0), min(high, 1.0)
    line = Axis(low, high, start, stop, [])
    ticks = np.asarray(MaxNLocator(6, steps=[1, 2, 5, 10]).tick_values(low, high))
    unit = f" {scale.unit}".rstrip()
    for x in ticks[(ticks >= low) & (ticks <= high)].tolist():
        line.ticks.append((f"{100 * x if scale.unit == '%' else x:g}{unit}", float(line.at(x))))
    return line


def field(groups: pd.DataFrame, line: Axis, start: float, stop: float) -> list[Mark]:
    """Lay groups side by side, in the order of their estimates.

    Parameters
    ----------
    groups : pandas.DataFrame
        Result of `hbm.shrinkage`, as it is ordered.
    line : Axis
        Of the means.
    start, stop : float
        Where the first and the last stand.

    Returns
    -------
    list of Mark
        In the order of the rows.
    """
    order = np.argsort(np.argsort(groups["mean"].to_numpy(), kind="stable"), kind="stable")
    step = (stop - start) / max(len(groups) - 1, 1)
    x = np.round(start + order * step, 1) if len(groups) > 1 else np.array([(start + stop) / 2])
    return [Mark(*each) for each in zip(x.tolist(), *marks(groups, line), strict=True)]


def marks(groups: pd.DataFrame, line: Axis) -> list[list[float]]:
    """Return where the ends of intervals, the estimates and the raw means of groups are."""
    columns = ["lower", "upper", "mean", "raw_mean"]
    return [line.at(groups[column].to_numpy(dtype=float)).tolist() for column in columns]


def crowd(means: ArrayLike, line: Axis, bottom: float) -> str:
    """Draw how many values are where, as one path, since each section shows it.

    Parameters
    ----------
    means : array-like
        Values.
    line : Axis
        Where they are.
    bottom : float
        Where the bars stand.

    Returns
    -------
    str
        Of a path whose stroke is to be as wide as a bar, 4.

    Examples
    --------
    >>> crowd([0.5, 0.5, 0.6], Axis(0.5, 0.6, 0, 8, []), 42)
    'M2 42v-12M6 42v-6'
    """
    n_bars = round((line.stop - line.start) / _BAR)
    counts, edges = np.histogram(line.at(np.asarray(means)), n_bars, (line.start, line.stop))
    bars = zip(edges + _BAR / 2, _TALLEST * counts / counts.max(), strict=False)
    return "".join(f"M{x:g} {bottom:g}v-{h:.3g}" for x, h in bars if h)


def radius(n: ArrayLike, largest: float) -> NDArray[np.float64]:
    """Return the radii of rings whose areas are numbers of individuals."""
    return np.round(np.maximum(_LARGEST * np.sqrt(np.asarray(n) / largest), _SMALLEST), 1)
