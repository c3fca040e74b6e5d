"""What was seen of a group over the years: its log density, with its chain of effects integrated.

Each year's likelihood is tabulated by draw on a grid of the effect, with the spread of individuals
integrated (:mod:`hbm.hierarchy.quadrature`). What is left is an integral over the chain (see
:mod:`hbm.hierarchy.chains`), one step for each year with results; years without are skipped by
powers of the persistence. It is done from the last year to the first,

    B_t(d_{t−1}) = ∫ N(d_t; ρ d_{t−1}, q) f_t(d_t) B_{t+1}(d_t) dd_t,

with each draw's own points: a Gaussian approximation of all f_t at their joint mode says where
d_t lies given d_{t−1}, and Gauss and Hermite's points stand around that. Nothing is divided by q,
so that they follow a step of any width. What log B_t differs by from a parabola is smooth, and kept
as a polynomial; so is the log density of all years as a function of what the chain is around.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numba import njit
from numpy.polynomial import chebyshev, hermite_e
from numpy.typing import NDArray

from hbm.hierarchy.quadrature import table_of_effects
from hbm.students.law import Evidence

__all__ = ["ChainEvidence", "chain_evidence"]

Floats = NDArray[np.float64]

_POINTS = 9  # of an integral over one year's effect
_VALUES = 17  # of the last year's effect
_BENDS = 9  # points that what differs from a parabola is known at
_REACH = 4.5  # how far these lie from the middle, in standard deviations
_AROUND = 9  # points of what a chain is around
_NEWTON = 6  # steps to the mode
_FLATTEST = 1e-3  # precision of a year's likelihood that is not concave
_HIGHEST = 300.0  # of a logarithm, for its exponential to be a number


def _nodes(n: int) -> tuple[Floats, Floats]:
    """Return Chebyshev's points, and the matrix from values there to a polynomial's powers."""
    at = chebyshev.chebpts1(n)
    return at, np.linalg.inv(np.vander(at, increasing=True))


_Z, _WEIGHTS = hermite_e.hermegauss(_POINTS)
_WEIGHTS /= _WEIGHTS.sum()
_BEND_AT, _TO_BEND = _nodes(_BENDS)
_AROUND_AT, _TO_AROUND = _nodes(_AROUND)


@dataclass(frozen=True, eq=False)
class ChainEvidence:
    """What was seen of one group, given draws of all that its years share.

    Attributes
    ----------
    tables : numpy.ndarray, shape (n_cells, n_draws, n_points)
        Log likelihood of each year with results, in their order, on a grid of the effect.
    start, step : numpy.ndarray, shape (n_cells,)
        Of the grids.
    length : numpy.ndarray of int, shape (n_cells,)
        Number of their points.
    best : numpy.ndarray of int, shape (n_cells, n_draws)
        Where on the grid the log likelihood is highest.
    shift : numpy.ndarray, shape (n_draws, n_cells)
        Effect of each of these years.
    gaps : numpy.ndarray, shape (n_cells,)
        Years since the result before; the first is not looked at.
    persistence : numpy.ndarray, shape (n_draws,)
        Correlation of an effect with that of the year before.
    effect, effect_se : float
        Rough estimate of what the chain is around, and its standard error were all effects alike.
    """

    tables: Floats
    start: Floats
    step: Floats
    length: NDArray[np.int64]
    best: NDArray[np.int64]
    shift: Floats
    gaps: Floats
    persistence: Floats
    effect: float
    effect_se: float

    def without_last(self) -> "ChainEvidence":
        """Return what was seen but for the last year with results."""
        return self._of(list(range(len(self.gaps) - 1)))

    def only_last(self) -> "ChainEvidence":
        """Return what was seen in the last year with results."""
        return self._of([len(self.gaps) - 1])

    def _of(self, cells: list[int]) -> "ChainEvidence":
        """Return what was seen in some years, in the order given."""
        return replace(
            self,
            tables=self.tables[cells],
            start=self.start[cells],
            step=self.step[cells],
            length=self.length[cells],
            best=self.best[cells],
            shift=np.ascontiguousarray(self.shift[:, cells]),
            gaps=self.gaps[cells],
        )

    def effect_of_last(
        self, points: Floats, tau: Floats, rows: Floats, at: Floats
    ) -> tuple[Floats, Floats]:
        """Return what the last year's effect may be, given what was seen in the years before it.

        A stationary chain runs backwards as it runs forwards. So it is begun with the last year,
        of which nothing is taken as seen, and all before is integrated.

        Parameters
        ----------
        points, tau, rows
            As for :meth:`given`.
        at : numpy.ndarray, shape (n, n_points)
            Where between 0 and 1 the values lie in their steps. Spread evenly over draws, they
            average what is as steep as a distribution function.

        Returns
        -------
        effect, share : numpy.ndarray, shape (n, n_points, n_values)
            Values of the effect, with the year's in it, and their probabilities.
        """
        back = self._of(list(range(len(self.gaps)))[::-1])
        gaps = np.concatenate([[0.0], back.gaps[:-1]])
        tables = back.tables.copy()
        tables[0] = 0
        _, first, bends = replace(back, tables=tables, gaps=gaps)._at(points, tau, rows)
        middle, width, mean, sd = first[..., None]
        c = 2 * (np.arange(_VALUES) + at[..., None]) / _VALUES - 1
        bend = np.zeros(c.shape)
        for power in range(_BENDS - 1, -1, -1):
            bend = bend * c + bends[..., power, None]
        log_share = bend - ((c - mean) / sd) ** 2 / 2
        share = np.exp(log_share - log_share.max(axis=2, keepdims=True))
        around = (points + self.shift[rows.astype(np.int64), -1:])[..., None]
        return around + middle + width * c, share / share.sum(axis=2, keepdims=True)

    def given(self, points: Floats, tau: Floats, rows: Floats) -> Floats:
        """Return the log density of what was seen at points of what the chain is around.

        Parameters
        ----------
        points : numpy.ndarray, shape (n, n_points)
            The points, some of each draw.
        tau : numpy.ndarray, shape (n,)
            Draws of the standard deviation of an effect.
        rows : numpy.ndarray, shape (n,)
            Which draws they are.

        Returns
        -------
        numpy.ndarray, shape (n, n_points)
        """
        if not len(self.gaps):
            return np.zeros(points.shape)
        low, high = points.min(axis=1)[:, None], points.max(axis=1)[:, None]
        middle, reach = (low + high) / 2, np.maximum((high - low) / 2, 1e-12)
        few = points.shape[1] <= _AROUND
        at = points if few else middle + reach * _AROUND_AT
        values, *_ = self._at(at, tau, rows)
        if few:
            return values
        powers = ((points - middle) / reach)[..., None] ** np.arange(_AROUND)
        return (powers @ (values @ _TO_AROUND.T)[..., None])[..., 0]

    def _at(self, points: Floats, tau: Floats, rows: Floats) -> tuple[Floats, Floats, Floats]:
        return _integrated(
            np.ascontiguousarray(points),
            tau,
            rows.astype(np.int64),
            self.persistence,
            self.shift,
            self.gaps,
            self.start,
            self.step,
            self.length,
            self.best,
            self.tables,
        )


def chain_evidence(
    evidence: list[Evidence],
    gaps: Floats,
    around: Floats,
    shift: Floats,
    tau: Floats,
    persistence: Floats,
    within: Sequence[tuple[Floats, Floats, Floats]],
) -> ChainEvidence:
    """Tabulate what was seen of a group in its years.

    Parameters
    ----------
    evidence : list of Evidence
        What was seen of each year with results, in their order.
    gaps : numpy.ndarray, shape (n_cells,)
        Years since the result before.
    around : numpy.ndarray, shape (n_draws,)
        Draws of what the chain is around but for the years.
    shift : numpy.ndarray, shape (n_draws, n_cells)
        Draws of the effects of these years.
    tau : numpy.ndarray, shape (n_draws,) or (1,)
        How far effects may lie from there: a standard deviation.
    persistence : numpy.ndarray, shape (n_draws,)
        Draws of the persistence.
    within : sequence of tuple of numpy.ndarray
        For each of these years, draws of log spread, its standard deviation and the excess.

    Returns
    -------
    ChainEvidence
    """
    tables = [
        table_of_effects(seen, around + shift[:, t], tau, *within[t])
        for t, seen in enumerate(evidence)
    ]
    length = np.array([table.shape[1] for *_, table in tables])
    padded = np.zeros((len(tables), len(shift), length.max()))
    for own, (*_, table) in zip(padded, tables, strict=True):
        own[:, : table.shape[1]] = table
    precision = np.array([1 / seen.effect_se**2 for seen in evidence])
    away = np.array([seen.effect for seen in evidence]) - shift.mean(axis=0)
    return ChainEvidence(
        tables=padded,
        start=np.array([start for start, *_ in tables]),
        step=np.array([step for _, step, _ in tables]),
        length=length,
        best=np.stack([table.argmax(axis=1) for *_, table in tables]),
        shift=np.ascontiguousarray(shift),
        gaps=np.asarray(gaps, dtype=float),
        persistence=persistence,
        effect=float((precision * away).sum() / precision.sum()),
        effect_se=float(1 / np.sqrt(precision.sum())),
    )


@njit(cache=True, error_model="numpy")
def _at(table, n, position):
    """Return a table at a position in steps: Lagrange's polynomial of six points, then straight."""
    p = min(max(position, 0.0), n - 1.0)
    first = min(max(int(p) - 2, 0), n - 6)
    u = p - first
    a, b, c, d, e, f = u, u - 1, u - 2, u - 3, u - 4, u - 5
    value = (
        -table[first] * b * c * d * e * f / 120
        + table[first + 1] * a * c * d * e * f / 24
        - table[first + 2] * a * b * d * e * f / 12
        + table[first + 3] * a * b * c * e * f / 12
        - table[first + 4] * a * b * c * d * f / 24
        + table[first + 5] * a * b * c * d * e / 120
    )
    if position < 0:
        return value + position * (table[1] - table[0])
    if position > n - 1:
        return value + (position - p) * (table[n - 1] - table[n - 2])
    return value


@njit(cache=True, error_model="numpy")
def _back(rho, q, known, told, j, h, scale):
    """Collect what each year and later ones say: precision, and precision times mean."""
    later_j, later_h = 0.0, 0.0
    for t in range(len(rho) - 1, -1, -1):
        j[t], h[t] = known[t] + later_j, told[t] + later_h
        scale[t] = 1 + q[t] * j[t]
        later_j, later_h = rho[t] ** 2 * j[t] / scale[t], rho[t] * h[t] / scale[t]


@njit(cache=True, error_model="numpy")
def _integrated(points, tau, rows, persistence, shift, gaps, start, step, length, best, tables):
    """Return the log density of all years at points of what the chain is around.

    And of the first year's deviation given all years: where the middle of its range is, and half
    its width, in units of which its mean and sd are told, were there no bends; and these.
    """
    n_years, n_points = len(gaps), points.shape[1]
    result = np.empty(points.shape)
    first, of_first = np.empty((4, *points.shape)), np.empty((*points.shape, _BENDS))
    rho, q, d, known, told, of_point, j, h, scale, middle, width = np.empty((11, n_years))
    rest, bends = np.empty(_BENDS), np.empty(_BENDS)
    for i in range(len(points)):
        row = rows[i]
        centre = points[i, n_points // 2]
        for t in range(n_years):
            rho[t] = persistence[row] ** gaps[t] if t else 0.0
            q[t] = tau[i] ** 2 * (1 - rho[t] ** 2)
            d[t] = start[t] + step[t] * best[t, row] - centre - shift[row, t]
        # The joint mode, of the chain around the point in the middle.
        for _ in range(_NEWTON):
            for t in range(n_years):
                base = start[t] - centre - shift[row, t]
                at = min(max((d[t] - base) / step[t], 1.0), length[t] - 2.0)
                below = _at(tables[t, row], length[t], at - 1)
                here = _at(tables[t, row], length[t], at)
                above = _at(tables[t, row], length[t], at + 1)
                known[t] = max((2 * here - below - above) / step[t] ** 2, _FLATTEST)
                told[t] = known[t] * (base + step[t] * at) + (above - below) / (2 * step[t])
            _back(rho, q, known, told, j, h, scale)
            before = 0.0
            for t in range(n_years):
                d[t] = (rho[t] * before + q[t] * h[t]) / scale[t]
                before = d[t]
        for k in range(n_points):
            away = points[i, k] - centre
            for t in range(n_years):
                of_point[t] = told[t] - known[t] * away
            _back(rho, q, known, of_point, j, h, scale)
            before, spread, total = 0.0, 0.0, 0.0
            for t in range(n_years):
                before = (rho[t] * before + q[t] * h[t]) / scale[t]
                spread = q[t] / scale[t] + (rho[t] / scale[t]) ** 2 * spread
                middle[t], width[t] = before, max(_REACH * np.sqrt(spread), 1e-9)
                # What the parabolas give by themselves.
                total += (q[t] * h[t] ** 2 / scale[t] - np.log(scale[t])) / 2
            rest[:] = 0.0
            for t in range(n_years - 1, -1, -1):
                base = points[i, k] + shift[row, t] - start[t]
                for x in range(_BENDS):
                    effect = middle[t] + width[t] * _BEND_AT[x]
                    rest[x] += _at(tables[t, row], length[t], (base + effect) / step[t])
                    rest[x] -= of_point[t] * effect - known[t] * effect**2 / 2
                constant = rest[_BENDS // 2]
                total += constant
                for b in range(_BENDS):
                    bends[b] = 0.0
                    for x in range(_BENDS):
                        bends[b] += _TO_BEND[b, x] * (rest[x] - constant)
                sd = np.sqrt(q[t] / scale[t]) / width[t]
                for x in range(_BENDS if t else 1):
                    previous = middle[t - 1] + width[t - 1] * _BEND_AT[x] if t else 0.0
                    mean = (rho[t] * previous + q[t] * h[t]) / scale[t]
                    mean = (mean - middle[t]) / width[t]
                    expected = 0.0
                    for z in range(_POINTS):
                        c = min(max(mean + sd * _Z[z], -1.0), 1.0)
                        bend = bends[_BENDS - 1]
                        for b in range(_BENDS - 2, -1, -1):
                            bend = bend * c + bends[b]
                        expected += _WEIGHTS[z] * np.exp(min(bend, _HIGHEST))
                    rest[x] = np.log(expected)
            first[0, i, k], first[1, i, k] = middle[0], width[0]
            first[2, i, k], first[3, i, k] = mean, sd  # of the last step, which is the first year's
            of_first[i, k] = bends
            result[i, k] = total + rest[0]
    return result, first, of_first
