"""Words that messages share: names in a row, and the one that was probably meant."""

from collections.abc import Iterable
from difflib import get_close_matches

__all__ = ["hint", "quoted", "some"]


def quoted(names: Iterable) -> str:
    """Return names in quotation marks, with commas between."""
    return ", ".join(repr(name) for name in names)


def some(names: Iterable) -> str:
    """Return the first five names, as text in quotation marks, and how many more there are."""
    texts = [str(name) for name in names]
    return quoted(texts[:5]) + (f" and {len(texts) - 5} more" if len(texts) > 5 else "")


def hint(word: object, names: Iterable) -> str:
    """Return the end of a sentence that offers the nearest of some names to a word."""
    nearest = get_close_matches(str(word), [str(name) for name in names], n=1)
    return f"; did you mean {nearest[0]!r}?" if nearest else "."
