"""What the page says of a group: how good and how sure, and never one as the other."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from hbm.page.gather import Tables
from hbm.page.scale import MINUS, Scale, chance, per_cent
from hbm.tables.words import plural

__all__ = ["Words", "count", "listed", "words_of"]

_WAYS = {True: "risen", False: "fallen"}
_TOLD = 0.975  # probability of one side from which that is said to be told


def count(n: int, name: str) -> str:
    """Say how many there are.

    Examples
    --------
    >>> count(1, "school"), count(1234, "local_authority")
    ('1 school', '1,234 local authorities')
    """
    return f"{n:,} {words_of(name if n == 1 else plural(name))}"


def words_of(name: str) -> str:
    """Return a name of a column as words."""
    return name.replace("_", " ")


def listed(texts: Sequence[str]) -> str:
    """Return texts with commas, and "and" before the last.

    Examples
    --------
    >>> listed(["size", "kind", "age"])
    'size, kind and age'
    """
    return " and ".join([*([", ".join(texts[:-1])] if texts[1:] else []), texts[-1]])


class Words:
    """Sentences of one page.

    Parameters
    ----------
    tables : Tables
        What is known.
    scale : Scale
        How numbers are written.
    """

    def __init__(self, tables: Tables, scale: Scale) -> None:
        self._tables = tables
        self._scale = scale
        self._d = tables.view
        self._group = words_of(self._d.group)
        self._groups = words_of(plural(self._d.group))
        self.average = float(tables.groups["mean"].mean())
        self.interval = per_cent(tables.groups.attrs["prob"])

    def n(self, row: Any) -> str:
        """Say how many individuals a group has."""
        return count(int(row[self._d.size]), self._d.individual)

    def good(self, row: Any) -> str:
        """Say how good a group is, next to the average."""
        away = row["mean"] - self.average
        mean = (
            f"an estimated mean {words_of(self._d.value_name)} of {self._scale.value(row['mean'])}"
        )
        against = f"the average of all {self._groups} ({self._scale.value(self.average)})"
        if len(self._tables.groups) == 1:
            return f"{mean}."
        if not float(self._scale.number(away).lstrip(MINUS)):
            return f"{mean}, as much as {against}."
        return f"{mean}, {self._scale.by(away)} {'above' if away > 0 else 'below'} {against}."

    def sure(self, row: Any) -> str:
        """Say how sure that is."""
        ends = self._scale.between(row["lower"], row["upper"]).replace(" to ", " and ")
        known = (
            f"with {self.n(row)}, its mean lies between {ends} with a probability of "
            f"{self.interval}"
        )
        if not self._tables.ranked:
            return f"{known}."
        above = float(row["p_above_average"])
        side, p = ("above", above) if row["mean"] >= self.average else ("below", 1 - above)
        told = "is enough" if p >= _TOLD else "is not enough"
        return (
            f"{known}, which {told} to say that it is {side} average (probability of that: "
            f"{chance(p)})."
        )

    def moved(self, row: Any) -> str:
        """Say what the raw mean of a group is, how far it was moved, and towards what."""
        way = "up " if row["moved"] > 0 else "down "
        if not float(self._scale.number(row["moved"]).lstrip(MINUS)):
            way = ""
        return (
            f"{self._scale.value(row['raw_mean'])}, moved {way}by {self._scale.by(row['moved'])} "
            f"towards {self._towards(self._scale.value(row['target']))}"
        )

    def _towards(self, target: str) -> str:
        """Say towards what groups are moved."""
        parent = self._d.above(self._d.group)
        of = f"all {self._groups}" if self._tables.pools else "the prior"
        if parent is not None:
            of = f"its {words_of(parent)}"
        panel = self._tables.d.panel
        own = f"its other {words_of(plural(self._tables.d.cells.name))} and " if panel else ""
        if self._tables.d.predictors is not None:
            return f"{own}{target}, what is expected of a {self._group} like it in {of}"
        return f"{own}{target}, the middle of {of}"

    def like(self) -> str:
        """Say in what groups are like one another that the model knows of; "" if of nothing."""
        d, found = self._tables.d, []
        for level in reversed(d.levels):
            codings = () if d.predictors is None else d.predictors.coding
            columns = [coding.column for coding in codings if coding.level == level.name]
            known = {d.size: f"number of {words_of(plural(d.individual))}"}
            names = [known.get(column, words_of(column)) for column in columns]
            of = "" if level.name == d.group else f" of its {words_of(level.name)}"
            found += [f"{listed(names)}{of}"] if names else []
        # With a comma: "and" alone parts the columns of one level.
        return ", and ".join(found)

    def made_of(self, row: Any) -> str:
        """Say what an estimate is made of, in parts of a hundred."""
        parts = dict(self._parts(row))
        return ", ".join(f"{per_cent(share)} {what}" for what, share in parts.items())

    def _parts(self, row: Any) -> Iterator[tuple[str, float]]:
        d, above = self._d, self._d.above(self._d.group)
        if "share_own" not in row:
            yield "its own result", 1 - row["pooling"]
            yield f"all {self._groups}" if self._tables.pools else "the prior", row["pooling"]
            return
        yield "its own result", row["share_own"]
        if self._tables.d.panel:
            years = plural(self._tables.d.cells.name)
            yield f"its other {words_of(years)}", row[f"share_{years}"]
        while above is not None:
            if above != d.above(d.group) or not row["only_child"]:
                yield f"other {self._groups} of its {words_of(above)}", row[f"share_{above}"]
            above = d.above(above)
        yield f"all other {self._groups}", row["share_population"]

    def rank(self, row: Any) -> str:
        """Say where the rank of a group could be."""
        own, joint = (_ends(row[f"{x}_lower"], row[f"{x}_upper"]) for x in ("rank", "joint"))
        return (
            f"about {row['expected_rank']:.0f} of {len(self._tables.groups)}, but it could be "
            f"anything from {own} ({joint}, if all ranks are to hold at once)"
        )

    def share(self, row: Any) -> str:
        """Say which share of individuals is at a mark or above it."""
        ends = f"{100 * row['lower']:.0f} to {per_cent(row['upper'])}"
        published = row["published"]
        said = "" if np.isnan(published) else f"; published {per_cent(published)}"
        return f"{per_cent(row['share'])} ({ends}){said}"

    def variances(self) -> list[list[str]]:
        """Say how much the members of each level differ, as rows of a table."""
        table = self._tables.variance
        return [
            [
                words_of(row["level"]),
                self._scale.by(row["sd"]),
                per_cent(row["share"]),
                f"{100 * row['lower']:.0f} to {per_cent(row['upper'])}",
            ]
            for row in ([] if table is None else table.to_dict("records"))
        ]

    def change(self, row: Any) -> str:
        """Say whether a group changed."""
        scale, attrs = self._scale, self._tables.changes.attrs
        ends = f"{scale.signed(row['lower'])} to {scale.signed(row['upper'])} {scale.distance}"
        raw = f"raw {scale.signed(row['raw_change'])}"
        said = "it cannot be told from no change"
        if row["named"]:
            said = f"one of those that can be said to have {_WAYS[bool(row['change'] > 0)]}"
        return (
            f"{scale.signed(row['change'])} since {attrs['since']} ({ends.rstrip()}; {raw}), net "
            f"of what changed for all: {said}"
        )

    def expected(self, row: Any) -> str:
        """Say what is expected of another cohort."""
        return (
            f"{self._scale.value(row['mean'])}; with a probability of {self.interval}, if there "
            f"are {self.n(row)}, {self._scale.between(row['lower'], row['upper'])}"
        )


def _ends(lower: float, upper: float) -> str:
    return f"{int(lower)} to {int(upper)}"
