"""What stands on the page of each group, and of each of what groups stand in."""

from collections import defaultdict
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

import numpy as np
import pandas as pd

from hbm.hierarchy.description import Description
from hbm.page.drawing import axis, marks, radius
from hbm.page.gather import Tables
from hbm.page.scale import Scale
from hbm.page.words import Words, words_of
from hbm.tables.exam_tables import STANDARDS
from hbm.tables.words import plural

__all__ = ["Sections", "address"]

STRIP = (20, 380)  # from where to where marks stand in the picture of one group
YEARS = (50, 390, 185, 10)  # left, right, bottom and top of that of its years


def address(level: str, label: str) -> str:
    """Return the address of a member of a level on the page, such as ``school=0009``.

    Examples
    --------
    >>> address("school", "0009"), address("school", "St Ann's")
    ('school=0009', 'school=St%20Ann%27s')
    """
    return f"{level}={quote(label, safe='')}"


@dataclass
class Member:
    """One group, or what groups stand in: all its texts, and where its marks are.

    Attributes
    ----------
    address, label, name : str
        Where it is on the page, its label, and what it is called.
    above : list of (str, str, str)
        What it stands in, from the innermost out: what that is, its address and its name.
    cells : dict of str to str
        What the table of all says of it, by column.
    good, sure : str
        The two sentences.
    facts : list of (str, str)
        What else is said, under what.
    strip : list of float
        Where lower and upper ends, estimate, raw mean and target are.
    years : list of dict of str to str
        The table of its years.
    band, line, rings, ahead : str, list
        The picture of these.
    children : list of Member
        What stands in it.
    """

    address: str
    label: str
    name: str
    above: list[tuple[str, str, str]]
    cells: dict[str, str] = field(default_factory=dict)
    good: str = ""
    sure: str = ""
    facts: list[tuple[str, str]] = field(default_factory=list)
    strip: list[float] = field(default_factory=list)
    years: list[dict[str, str]] = field(default_factory=list)
    band: str = ""
    line: str = ""
    rings: list[tuple[float, float, float]] = field(default_factory=list)
    ahead: list[float] = field(default_factory=list)
    children: list["Member"] = field(default_factory=list)


class Sections:
    """All members of all levels, as the page shows them.

    Parameters
    ----------
    tables : Tables
        What is known.
    scale : Scale
        How numbers are written.
    """

    def __init__(self, tables: Tables, scale: Scale) -> None:
        self._tables, self._scale = tables, scale
        self._words = Words(tables, scale)
        self.strip = axis(tables.groups[["raw_mean", "lower", "upper"]], scale, *STRIP)
        self.levels = {name: self._of_level(name) for name in tables.parents}
        members = {x.address: x for each in self.levels.values() for x in each}
        self.groups = self._of_groups()
        self.without = self._of_years(members)
        innermost = tables.d.above(tables.d.group)
        for member in self.groups if innermost else ():
            members[member.above[0][1]].children.append(member)
        for level in self.levels.values():
            for member in level if level and level[0].above else ():
                members[member.above[0][1]].children.append(member)

    def _above(self, d: Description, level: str, position: int) -> list[tuple[str, str, str]]:
        """Say what a member stands in."""
        found = []
        while (above := d.above(level)) is not None:
            position = int(d.parent_of(level)[position])
            level, label = above, str(d.level(above).labels[position])
            name = self._tables.names[above][label]
            found.append((words_of(above), address(above, label), name))
        return found

    def _member(self, d: Description, level: str, position: int, label: str) -> Member:
        name = self._tables.names[level][label]
        return Member(address(level, label), label, name, self._above(d, level, position))

    def _of_level(self, level: str) -> list[Member]:
        """Return what is said of the members of an upper level, by name."""
        scale, d, found = self._scale, self._tables.view, []
        below = plural(d.below(level))
        for position, row in enumerate(self._tables.parents[level].to_dict("records")):
            member = self._member(d, level, position, row[level])
            member.cells = {
                words_of(below): f"{row[f'n_{below}']:,}",
                words_of(d.size.removeprefix("n_")): f"{row[d.size]:,}",
                "raw mean": scale.number(row["raw_mean"]),
                "estimate": scale.number(row["mean"]),
                "interval": _interval(scale, row),
            }
            member.facts = [
                ("Estimate", self._estimate(row)),
                (
                    "Raw",
                    f"{scale.value(row['raw_mean'])}, of {row[f'n_{below}']:,} {words_of(below)} "
                    f"with {self._words.n(row)}",
                ),
            ]
            found.append(member)
        return sorted(found, key=_by_name)

    def _of_groups(self) -> list[Member]:
        """Return what is said of each group with results in the last year, by name."""
        t, words, scale, d = self._tables, self._words, self._scale, self._tables.view
        targets = self.strip.at(t.groups["target"].to_numpy(dtype=float)).tolist()
        strips = zip(*marks(t.groups, self.strip), targets, strict=True)
        others, changed, found = self._others(), self._changed(), []
        rows = zip(t.groups.to_dict("records"), strips, strict=True)
        for position, (row, own_strip) in enumerate(rows):
            member = self._member(d, d.group, position, row[d.group])
            member.cells = {
                words_of(d.size.removeprefix("n_")): f"{row[d.size]:,}",
                "raw mean": scale.number(row["raw_mean"]),
                "estimate": scale.number(row["mean"]),
                "interval": _interval(scale, row),
            }
            if t.ranked:
                member.cells["rank"] = f"{int(row['joint_lower'])}–{int(row['joint_upper'])}"
            if t.changes is not None:
                member.cells["change"] = changed.get(row[d.group], "–")
            member.good, member.sure = words.good(row), words.sure(row)
            member.facts = [
                ("Raw mean", words.moved(row)),
                ("Estimate", self._estimate(row)),
                ("Made of", words.made_of(row)),
            ]
            if t.ranked:
                member.facts.append(("Rank", words.rank(row)))
            member.facts += others.get(row[d.group], [])
            member.strip = list(own_strip)
            found.append(member)
        return sorted(found, key=_by_name)

    def _estimate(self, row: dict[str, Any]) -> str:
        ends = self._scale.between(row["lower"], row["upper"])
        return f"{self._scale.value(row['mean'])} ({ends})"

    def _others(self) -> dict[str, list[tuple[str, str]]]:
        """Return what the tables of shares, of changes and of the next year say, by label."""
        t, words, group = self._tables, self._words, self._tables.d.group
        individuals, found = words_of(t.d.size.removeprefix("n_")), defaultdict(list)
        for standard, table in t.shares.items():
            head = f"{individuals.capitalize()} at {100 * STANDARDS[standard]:g} % or more"
            for row in table.to_dict("records"):
                found[row[group]].append((head, words.share(row)))
        for row in [] if t.changes is None else t.changes.to_dict("records"):
            found[row[group]].append(("Change", words.change(row)))
        for row in t.expected.to_dict("records"):
            head = f"Expected in {row[t.d.cells.name]}" if t.d.panel else "Another cohort"
            found[row[group]].append((head, words.expected(row)))
        return found

    def _changed(self) -> dict[str, str]:
        """Return the changes, with an arrow where it can be told which way, by label."""
        if self._tables.changes is None:
            return {}
        rows = self._tables.changes.to_dict("records")
        return {
            row[self._tables.d.group]: self._scale.signed(row["change"])
            + ("" if not row["named"] else " ▲" if row["change"] > 0 else " ▼")
            for row in rows
        }

    def _of_years(self, members: Collection[str]) -> list[Member]:
        """Give groups of a panel their years; return those without results in the last one."""
        t, scale = self._tables, self._scale
        if t.years is None:
            return []
        group, year = t.d.group, t.d.cells.name
        self.when = [*t.d.cells.years.tolist(), int(t.d.cells.years[-1]) + 1]
        left, right, bottom, top = YEARS
        self.x = np.linspace(left + 30, right - 30, len(self.when)).round(1).tolist()
        self.y = axis(t.years[["lower", "upper", "raw_mean"]], scale, bottom, top)
        x_of = dict(zip(self.when, self.x, strict=True))
        known = {member.label: member for member in self.groups}
        position_of = {label: i for i, label in enumerate(t.d.level(group).labels)}
        ahead = {row[group]: row for row in t.expected.to_dict("records")}
        largest, without = float(t.years[t.d.size].max()), []
        for label, rows in t.years.groupby(group, sort=False):
            seen = np.flatnonzero(rows["raw_mean"].notna())
            rows = rows.iloc[seen[0] : seen[-1] + 1]
            member = known.get(label)
            if member is None:
                member = self._member(t.d, group, position_of[label], label)
                # What has no groups with results in the last year has no place on the page.
                member.above = [place for place in member.above if place[1] in members]
                without.append(member)
            self._draw_years(member, rows, [x_of[y] for y in rows[year]], largest)
            if label in ahead:
                row = ahead[label]
                member.ahead = [self.x[-1], *(float(self.y.at(row[c])) for c in _ENDS)]
            member.years = [
                {
                    year: str(row[year]),
                    "n": "–" if np.isnan(row[t.d.size]) else f"{row[t.d.size]:,.0f}",
                    "raw mean": "–" if np.isnan(row["raw_mean"]) else scale.number(row["raw_mean"]),
                    "estimate": scale.number(row["mean"]),
                    "interval": _interval(scale, row),
                }
                for row in rows.to_dict("records")
            ]
        return sorted(without, key=_by_name)

    def _draw_years(
        self, member: Member, rows: pd.DataFrame, x: list[float], largest: float
    ) -> None:
        lower, upper, mean, raw = marks(rows, self.y)
        # An interval of its own width, where there is one year and so no band.
        ends = x if len(x) > 1 else [x[0] - 4, x[0] + 4]
        below, over, line = (np.resize(y, len(ends)).tolist() for y in (lower, upper, mean))
        band = [*zip(ends, over, strict=True), *zip(ends[::-1], below[::-1], strict=True)]
        member.band = _points(band)
        member.line = _points(zip(ends, line, strict=True))
        sizes = radius(rows[self._tables.d.size].fillna(0), largest).tolist()
        there = zip(x, raw, sizes, rows["raw_mean"].notna(), strict=True)
        member.rings = [(a, b, r) for a, b, r, known in there if known]


_ENDS = ("lower", "upper", "mean")


def _points(pairs: Iterable[tuple[float, float]]) -> str:
    return " ".join(f"{x:g},{y:g}" for x, y in pairs)


def _interval(scale: Scale, row: dict[str, Any]) -> str:
    return f"{scale.number(row['lower'])}–{scale.number(row['upper'])}"


def _by_name(member: Member) -> tuple[str, str]:
    return member.name.casefold(), member.label
