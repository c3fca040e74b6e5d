"""What checks say: their verdicts, for people."""

import html
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd

from hbm.tables.messages import some
from hbm.tables.words import plural

__all__ = ["PIT_LEVEL", "LooPit", "PredictiveCheck", "in_unit"]

PIT_LEVEL = 0.01  # of the tests of PITs together


@dataclass(frozen=True, repr=False)
class PredictiveCheck:
    """What :func:`hbm.check_predictive` found.

    Attributes
    ----------
    ok : bool
        Whether the statistics together are as expected.
    p_value : float
        Share of the replications, the data among them, whose most unusual statistic is as unusual
        as that of the data, or more.
    table : pandas.DataFrame
        One row a statistic: ``statistic``, its name; ``meaning``, in words; ``observed``; ``mean``
        of the replications, and ``lower`` and ``upper``, between which all statistics of the share
        `prob` of them lie at the same time; ``unit``, in which reports and pictures show
        these (``"%"`` and ``"points"`` of a hundred, which are proportions here; ``"cm"``; or
        none); ``p``, the share of the replications above what was observed; ``verdict``, one of
        ``"as expected"``, ``"higher than expected"`` and ``"lower than expected"``.
    replicates : pandas.DataFrame
        The replications: one row a draw, one column a statistic.
    source : {"posterior", "prior"}
        Where the parameters were drawn from.
    new_groups : bool
        Whether the groups were drawn anew.
    prob : float
        Probability that a right model passes.
    group, individual : str
        What a group and an individual are called.
    """

    ok: bool
    p_value: float
    table: pd.DataFrame
    replicates: pd.DataFrame
    source: Literal["posterior", "prior"]
    new_groups: bool
    prob: float
    group: str
    individual: str

    @property
    def title(self) -> str:
        """What was replicated, in words."""
        groups = plural(self.group)
        if self.source == "prior":
            return f"Prior predictive check: {groups} as the prior imagines them"
        if self.new_groups:
            return f"Posterior predictive check, mixed: new {groups} from the population"
        return f"Posterior predictive check: new {plural(self.individual)} of the same {groups}"

    def __str__(self) -> str:
        """Return the verdict and the statistics as lines of text."""
        width = max(map(len, self.table["meaning"]))
        rows = [
            f"  {'ok  ' if row.verdict == 'as expected' else 'FAIL'}  {row.meaning:<{width}}"
            f"  {in_unit(row.observed, row.unit):>12}"
            f"  expected {_number(row.lower, row.unit)} to {in_unit(row.upper, row.unit)}"
            for row in self.table.itertuples()
        ]
        return "\n".join([self.title, self._verdict(), *rows])

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return (
            f"<p>{html.escape(self.title)}<br><b>{html.escape(self._verdict())}</b></p>"
            f"{self.table.to_html(index=False, float_format='{:.4g}'.format)}"
        )

    def _verdict(self) -> str:
        failed = int((self.table["verdict"] != "as expected").sum())
        what = "model" if self.source == "posterior" else "prior"
        data = f"of {len(self.table)} statistics of the data, "
        together = f"where all are in {100 * self.prob:g} % of the replications"
        if self.ok:
            return f"The {what} passes (p = {self.p_value:.2g}): {data}all are {together}."
        which = "is" if failed == 1 else "are"
        return f"The {what} fails (p = {self.p_value:.2g}): {data}{failed} {which} not {together}."


@dataclass(frozen=True, repr=False)
class LooPit:
    """What :func:`hbm.loo_pit` found.

    Attributes
    ----------
    ok : bool
        Whether the values could be those of right predictions.
    p_value : float
        Of the tests together: the smallest of theirs times their number, at most 1. It is (at
        most) how often right predictions would look as wrong as these, and not the probability
        that they are right.
    table : pandas.DataFrame
        One row a unit: its label; ``observed``, its mean, or its result if it is an individual;
        ``pit``, the probability that the model, without it, gave to a lower one; ``pareto_k``, how
        far that can be trusted; and, of groups, ``pit_sd``, the probability that it gave to a lower
        standard deviation, missing where that is not known.
    unit : str
        What was left out at a time.
    tests : pandas.DataFrame, optional
        One row a test: ``test``, of what; ``p``, its p value; ``finding``, in words; and, where
        small and large groups are compared, ``small`` and ``large``, their average PITs.
    good_k : float, default 0.7
        Pareto k up to which leaving out can be trusted; of few draws it is lower.
    """

    ok: bool
    p_value: float
    table: pd.DataFrame
    unit: str
    tests: pd.DataFrame | None = None
    good_k: float = 0.7

    @property
    def doubtful(self) -> list[Any]:
        """Labels of the units whose Pareto k is too high, so that their PITs may be off."""
        if "pareto_k" not in self.table:
            return []
        return self.table.loc[self.table["pareto_k"] > self.good_k, self.unit].tolist()

    @property
    def verdict(self) -> str:
        """Whether the predictions are right and, if not, how they are wrong."""
        unit = self.unit.replace("_", " ")
        if self.ok:
            return f"Each {unit} left out is predicted as well as the model says."
        tests = [] if self.tests is None else self.tests.sort_values("p").to_dict("records")
        worst = tests[0] if tests else {"test": ""}
        of_sds = worst["test"].startswith("sds")
        what = f"the sd in a {unit}" if of_sds else f"a {unit}"
        if "small" in worst["test"]:
            side = "low" if worst["small"] > worst["large"] else "high"
            how = f"too {side} for small {plural(unit)}, next to those for large ones"
        else:
            how = f"mostly {_how_wrong(self.table['pit_sd' if of_sds else 'pit'])}"
        return f"Predictions of {what} left out are not right: they are {how}."

    def __str__(self) -> str:
        """Return the verdict and what it goes by."""
        head = (
            f"{self.verdict}\n"
            f"  {len(self.table)} units ({self.unit}); right predictions would look as wrong as "
            f"these at most {_in_100(self.p_value)} times in 100 (fails below {100 * PIT_LEVEL:g})"
        )
        if self.doubtful:
            head += (
                f"\n  {len(self.doubtful)} of these with a Pareto k above {self.good_k:.2f}, "
                f"whose PITs may be off: {some(self.doubtful)}"
            )
        if self.tests is None:
            return head
        width = max(map(len, self.tests["test"]))
        rows = [
            f"  {test:<{width}}  p = {p:<8.2g}  {finding}"
            for test, p, finding in self.tests[["test", "p", "finding"]].itertuples(index=False)
        ]
        return "\n".join([head, *rows])

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return f"<pre>{html.escape(str(self))}</pre>{self.table.to_html(index=False)}"


def _how_wrong(pit: pd.Series) -> str:
    pit = pit.dropna()
    # Both in standard errors of a uniform sample.
    shift = (pit.mean() - 0.5) * np.sqrt(12 * len(pit))
    middle = (np.mean(np.abs(pit - 0.5) < 0.25) - 0.5) * np.sqrt(4 * len(pit))
    if abs(shift) > abs(middle):
        return "too low" if shift > 0 else "too high"
    return "too wide" if middle > 0 else "too narrow"


def in_unit(value: float, unit: str, digits: int = 2) -> str:
    """Write a number of a check's table for people.

    Parameters
    ----------
    value : float
        The number, a proportion if the unit is ``"%"`` or ``"points"``.
    unit : {"%", "points", "cm", ""}
        Its unit.
    digits : int, default 2
        Decimals; two at least where there is no unit.

    Returns
    -------
    str

    Examples
    --------
    >>> in_unit(0.1867, "points"), in_unit(0.245, "%", 1), in_unit(-0.33, "", 1)
    ('18.67 points', '24.5 %', '-0.33')
    """
    return f"{_number(value, unit, digits)} {unit}".rstrip()


def _number(value, unit, digits=2) -> str:
    if unit == "":
        return f"{value:.{max(digits, 2)}f}"
    return f"{100 * value if unit in ('%', 'points') else value:.{digits}f}"


def _in_100(p: float) -> str:
    """Return a probability as times in a hundred, with two digits where these tell."""
    return f"{100 * p:.2g}" if p < 0.095 else f"{100 * p:.0f}"
