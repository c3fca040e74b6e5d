"""The description of a model: all that the rest of the package asks of what a model is.

A model function reads and checks a table, and from that builds one description: the law of
individuals, the levels from the top down, and what was seen. The ``pm.Model`` is written from it,
it stays beside the model, and a fit carries it (:mod:`hbm.hierarchy.carried`).

Names follow the words that a user gives: with groups called hospitals and individuals patients, a
model has ``mu_hospital`` and ``tau_hospital``, and its table a column ``n_patients``.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from hbm.students.law import Law
from hbm.tables.grouped import GroupedData
from hbm.tables.labels import Cells, Level
from hbm.tables.predictors import Predictors
from hbm.tables.words import plural

__all__ = ["Description", "check_words", "describe"]

Floats = NDArray[np.float64]

# Names that models give to their own quantities.
_TAKEN = {
    "beta",
    "cell",
    "contrast",
    "design_effect",
    "eta",
    "gamma",
    "mean",
    "mu",
    "n",
    "nu",
    "persistence",
    "predictor",
    "raw",
    "sd",
    "sigma",
    "statistic",
    "tau",
}


@dataclass(frozen=True, eq=False)
class Description:
    """What a model is.

    Attributes
    ----------
    law : Law
        How individuals vary in their group.
    levels : tuple of Level
        From the top down; the last are the groups that individuals stand in.
    individual : str
        What an individual is called.
    observed, value_name : str
        Name of the observed variable, and what an individual's result is called.
    unit : str
        Unit of individuals: ``"%"`` for proportions.
    n, mean, sd : numpy.ndarray, shape (n_groups,)
        Number of individuals of each group, their mean and standard deviation, which is missing
        where n = 1 or where it is not observed.
    value : numpy.ndarray, shape (n_individuals,), or None
        The individuals, where these are observed one by one.
    index : numpy.ndarray of int, shape (n_individuals,), or None
        Position of each individual's group.
    means_only : bool
        Whether the standard deviations are not looked at.
    design_effect : float or None
        How many times as large the variance of a mean is as of independent individuals; None if it
        is learned.
    cells : Cells or None
        Of results of several years: what `n`, `mean` and `sd` are of, in place of the groups.
    year : str
        Column of years of the table, if it has one.
    predictors : Predictors or None
        What is known of groups, and of what they stand in.
    effects : bool
        Whether groups vary by Normal effects, as in all models but the article's.
    mean_name, spread_name : str
        Names of the variables that hold the groups' means, and spreads.
    """

    law: Law
    levels: tuple[Level, ...]
    individual: str
    observed: str
    value_name: str
    unit: str
    n: Floats
    mean: Floats
    sd: Floats
    value: Floats | None = None
    index: NDArray[np.int64] | None = None
    means_only: bool = False
    design_effect: float | None = 1.0
    cells: Cells | None = None
    year: str = ""
    predictors: Predictors | None = None
    effects: bool = True
    mean_name: str = ""
    spread_name: str = ""

    def __post_init__(self) -> None:
        """Name the variables of means and spreads as the models to use do."""
        own = f"_{self.group}" if self.law.spread_varies else ""
        object.__setattr__(self, "mean_name", self.mean_name or f"mu_{self.group}")
        object.__setattr__(self, "spread_name", self.spread_name or f"{self.law.spread}{own}")

    @property
    def group(self) -> str:
        """What a group of individuals is called."""
        return self.levels[-1].name

    @property
    def size(self) -> str:
        """Name of the numbers of individuals, such as ``n_students``."""
        return f"n_{plural(self.individual)}"

    @property
    def panel(self) -> bool:
        """Whether groups have results of several years."""
        return self.cells is not None

    @property
    def cell(self) -> str:
        """Dim of what was seen: the groups, or in a panel the groups and years with results."""
        return "cell" if self.panel else self.group

    @property
    def sd_unknown(self) -> NDArray[np.bool_]:
        """Which groups of two or more have no standard deviation."""
        return np.isnan(self.sd) & (self.n > 1)

    @property
    def clustered(self) -> bool:
        """Whether individuals are no independent draws of their group."""
        return self.design_effect != 1

    @property
    def distance(self) -> str:
        """Unit of differences: points of a hundred for proportions."""
        return "points" if self.law.proportions else self.unit

    @property
    def units(self) -> list[str]:
        """What can be left out: individuals, if observed one by one, groups, and levels above.

        In a panel also the last year of each group.
        """
        own = [] if self.value is None else [self.individual]
        levels = [level.name for level in reversed(self.levels)]
        return own + levels + ([self.last] if self.panel else [])

    def unit_labels(self, unit: str) -> NDArray:
        """Return the labels of what can be left out."""
        return self.cell_labels[self.last_cells] if unit == self.last else self.coords[unit]

    @property
    def last(self) -> str:
        """What the last year of a group with results is called: ``"last_year"``."""
        return "" if self.cells is None else f"last_{self.cells.name}"

    @cached_property
    def coords(self) -> dict[str, NDArray]:
        """Labels by dim, from the top down."""
        labels = {level.name: level.labels for level in self.levels}
        if self.value is not None:
            numbers = [str(i) for i in range(1, len(self.value) + 1)]
            labels[self.individual] = np.array(numbers, dtype=object)
        if self.panel:
            labels[self.cells.name] = self.cells.years
            labels["cell"] = self.cell_labels
        if self.predictors is not None:
            labels["predictor"] = np.array(self.predictors.labels, dtype=object)
            n = self.predictors.contrasts.shape[1]
            labels["contrast"] = np.array([str(i) for i in range(1, n + 1)], dtype=object)
        return labels

    @property
    def last_cells(self) -> NDArray[np.int64]:
        """Position of the last cell of each group of a panel."""
        return self.cells.last

    @property
    def cell_labels(self) -> NDArray:
        """Labels of the cells of a panel, such as ``"0009 2016"``."""
        return self.cells.labels(self.levels[-1].labels)

    @cached_property
    def positions(self) -> dict[str, dict[str, int]]:
        """Position of each label of each dim."""
        return {dim: {x: i for i, x in enumerate(labels)} for dim, labels in self.coords.items()}

    def level(self, name: str) -> Level:
        """Return the level of a name."""
        return next(level for level in self.levels if level.name == name)

    def above(self, name: str) -> str | None:
        """Return the name of the level that the members of another stand in."""
        return {b.name: a.name for a, b in pairwise(self.levels)}.get(name)

    def below(self, name: str) -> str | None:
        """Return the name of the level whose members stand in those of another."""
        return {a.name: b.name for a, b in pairwise(self.levels)}.get(name)

    def levels_from(self, name: str) -> list[str]:
        """Return the names of a level and of all below it."""
        names = [level.name for level in self.levels]
        return names[names.index(name) :]

    def parent_of(self, name: str) -> NDArray[np.int64]:
        """Return the position of each member's parent in the level above.

        Raises
        ------
        ValueError
            If a parent is not there, as in a part of a fit.
        """
        level, above = self.level(name), self.above(name)
        alone = level.labels[level.parent < 0]
        if len(alone):
            shown = ", ".join(map(repr, alone[:5])) + (" and others" if len(alone) > 5 else "")
            raise ValueError(
                f"the fit has no {above} of {name} {shown}; select {plural(above)} together with "
                f"their {plural(name)}"
            )
        return level.parent

    def ancestor_of(self, name: str) -> NDArray[np.int64]:
        """Return the position in a level of what each group, or cell, of individuals stands in."""
        at = self.cells.group if self.panel else np.arange(len(self.n))
        for level in reversed(self.levels):
            if level.name == name:
                return at
            at = self.parent_of(level.name)[at]
        raise ValueError(f"no level {name!r}")

    def effect(self, name: str | None = None) -> str:
        """Return the name of the effects of a level, or of the grand mean."""
        return self.law.effect if name is None else f"{self.law.effect}_{name}"

    def index_name(self, name: str) -> str:
        """Return the name of the positions of what members of a level stand in."""
        return f"{self.group if name == self.individual else self.above(name)}_of_{name}"

    @property
    def columns(self) -> tuple[list[str], list[str]]:
        """Columns of labels and of numbers that a table of it has."""
        labels = [level.name for level in self.levels]
        if self.value is not None:
            numbers = [self.observed]
        else:
            numbers = [*([self.year] if self.year else []), self.size, "mean"]
            numbers += [] if self.means_only else ["sd"]
        for coding in self.predictors.coding if self.predictors is not None else ():
            (labels if coding.categories else numbers).append(coding.column)
        return list(dict.fromkeys(labels)), list(dict.fromkeys(numbers))


def describe(
    law: Law,
    data: GroupedData,
    *,
    individual: str,
    observed: str,
    value_name: str,
    unit: str = "%",
    means_only: bool = False,
    design_effect: float | None = 1.0,
    predictors: Predictors | None = None,
) -> Description:
    """Describe a model of a table that was read.

    Parameters
    ----------
    law : Law
        How individuals vary in their group.
    data : GroupedData
        What was seen.
    individual : str
        What an individual is called.
    observed, value_name : str
        Name of the observed variable, and what an individual's result is called.
    unit : str, default "%"
        Unit of individuals.
    means_only : bool, default False
        Whether the standard deviations are not looked at.
    design_effect : float or None, default 1
        That of the individuals of a group; None to learn it.
    predictors : Predictors, optional
        What is known of groups, and of what they stand in.

    Returns
    -------
    Description

    Examples
    --------
    >>> import pandas as pd
    >>> from hbm.students.beta import BETA
    >>> from hbm.tables.grouped import read_summaries
    >>> table = pd.DataFrame({"school": ["a", "b"], "authority": ["x", "x"], "mean": [0.6, 0.7],
    ...                       "sd": [0.2, 0.1], "n_students": [12, 30]})
    >>> data = read_summaries(table, by="school", size="n_students", parents=["authority"],
    ...                       proportions=True)
    >>> words = {"individual": "student", "observed": "exam", "value_name": "score"}
    >>> description = describe(BETA, data, **words)
    >>> description.effect("authority"), description.units
    ('eta_authority', ['school', 'authority'])
    """
    cells = data.cells
    return Description(
        law=law,
        levels=data.levels,
        individual=individual,
        observed=observed,
        value_name=value_name,
        unit=unit,
        n=data.n,
        mean=data.mean,
        sd=data.sd,
        value=data.value,
        index=data.index,
        means_only=means_only,
        design_effect=design_effect,
        cells=cells if cells is not None and len(cells.years) > 1 else None,
        year="" if cells is None else cells.name,
        predictors=predictors,
    )


def check_words(individual: str, group: str, levels: Sequence[str] = (), *others: str) -> None:
    """Raise unless the words for individuals, groups and levels can name a model's variables.

    Parameters
    ----------
    individual, group : str
        What an individual and a group are called.
    levels : sequence of str
        What the levels above are called.
    *others : str
        Further names.

    Raises
    ------
    TypeError
        If a word is no text, or `levels` is.
    ValueError
        If a word is no name, is taken, or stands for two things; or a level is missing.

    Examples
    --------
    >>> check_words("patient", "hospital", ("trust", "trust"))
    Traceback (most recent call last):
        ...
    ValueError: the words must all differ, and 'trust' stands twice
    """
    if isinstance(levels, str):
        raise TypeError(f"levels must be a sequence of names, such as ({levels!r},), got a text")
    words = [individual, group, *levels, *others]
    for word in words:
        if not isinstance(word, str):
            raise TypeError(f"a name of groups or individuals must be a text, got {word!r}")
        if not word.isidentifier() or word in _TAKEN:
            raise ValueError(
                f"{word!r} cannot name groups or individuals: "
                + ("the models use it" if word in _TAKEN else "a name has letters and digits only")
            )
        if words.count(word) > 1:
            raise ValueError(f"the words must all differ, and {word!r} stands twice")
