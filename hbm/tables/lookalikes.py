"""Lookalikes: labels that are two and seem meant as one, or that were something else once."""

import os
import re
import unicodedata
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path

from hbm.tables.messages import quoted

__all__ = ["check_labels", "folded"]

_OURS = (str(Path(__file__).parents[1]) + os.sep,)
# What pandas makes of missing values when a column is made text.
_MISSING = {"nan", "NaN", "<NA>", "NaT"}
_DECIMAL = re.compile(r"\d+\.(\d+)")


def check_labels(labels: Sequence[str], column: str) -> None:
    """Refuse labels that cannot be meant as they are, and warn of those that hardly can.

    Parameters
    ----------
    labels : sequence of str
        The distinct labels of a column.
    column : str
        Its name.

    Raises
    ------
    ValueError
        If a label is a missing value made text, or two are one in two Unicode forms.

    Warns
    -----
    UserWarning
        If labels differ only in case, blanks or form, or seem to have been made text.

    Examples
    --------
    >>> check_labels(["0009", "nan"], "school")
    Traceback (most recent call last):
        ...
    ValueError: column 'school' has labels 'nan', which is what pandas makes of a missing label ...
    """
    there, has = f"table[{column!r}]", f"column {column!r} has"
    if gone := sorted(_MISSING.intersection(labels)):
        raise ValueError(
            f"{has} labels {quoted(gone)}, which is what pandas makes of a missing label that is "
            f"made text. Drop these rows, for example with table[~{there}.isin({gone})]"
        )
    if "None" in labels:
        _warn(
            f"{has} the label 'None', which is what Python makes of a missing label that is made "
            "text. If it is none, drop these rows"
        )
    decimals = {x: match[1] for x in labels if (match := _DECIMAL.fullmatch(x))}
    if set(decimals.values()) == {"0"}:
        _warn(
            f"{has} labels such as {quoted(list(decimals)[:5])}, which look like whole numbers "
            "made decimals, as pandas does where others are missing. If they were, take off "
            f"the '.0' with {there}.str.removesuffix('.0')"
        )
    same = _alike(labels, lambda x: x if x.isascii() else unicodedata.normalize("NFC", x))
    if same:
        raise ValueError(
            f"{has} labels that look the same and are not, as they are written in two Unicode "
            f"forms: {same}. Make them one with {there}.str.normalize('NFC')"
        )
    alike = _alike(labels, folded)
    if alike:
        _warn(
            f"{has} labels that differ only in case, blanks or Unicode form: {alike}. If they are "
            f"one, give them one label, for example with {there}.replace"
        )


def folded(label: str) -> str:
    """Return a label without what it may have by mistake: case, blanks and a form of Unicode."""
    if not label.isascii():
        label = unicodedata.normalize("NFKC", label)
    return " ".join(label.casefold().split())


def _alike(labels: Sequence[str], fold: Callable[[str], str]) -> str:
    """Return up to five pairs of labels that fold to the same, in words."""
    folded = [fold(label) for label in labels]
    if len(set(folded)) == len(labels):
        return ""
    first: dict[str, str] = {}
    seen = zip(folded, labels, strict=True)
    pairs = [(first[key], x) for key, x in seen if first.setdefault(key, x) != x]
    shown = ", ".join(f"{a!a} and {b!a}" for a, b in pairs[:5])
    return shown + (f" and {len(pairs) - 5} more pairs" if len(pairs) > 5 else "")


def _warn(message: str) -> None:
    warnings.warn(message, UserWarning, skip_file_prefixes=_OURS)
