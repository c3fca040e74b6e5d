"""English names of groups and individuals in the singular and in the plural."""

import re

__all__ = ["a", "plural", "singular"]

# What the rules below would get wrong, in one direction or the other.
_KNOWN = {
    "person": "people",
    "child": "children",
    "man": "men",
    "woman": "women",
    "series": "series",
    "species": "species",
    "staff": "staff",
    "sheep": "sheep",
    "half": "halves",
    "life": "lives",
    "wife": "wives",
    "hero": "heroes",
    "quiz": "quizzes",
    "axis": "axes",
    "basis": "bases",
    "epoch": "epochs",
    "stomach": "stomachs",
    "monarch": "monarchs",
    "movie": "movies",
    "cache": "caches",
    "niche": "niches",
    "use": "uses",
    "gas": "gases",
    "bias": "biases",
    "lens": "lenses",
    "atlas": "atlases",
    "canvas": "canvases",
    "iris": "irises",
}
_ONE = {many: one for one, many in _KNOWN.items()}


def plural(name: str) -> str:
    """Return the plural of a name, whose last word is a noun in the singular.

    Parameters
    ----------
    name : str
        For example the name of a column. Words may be parted by blanks or underscores.

    Returns
    -------
    str
        A name that does not end in a Latin letter is left as it is.

    Examples
    --------
    >>> [plural(name) for name in ("school", "authority", "class", "person", "local_trust")]
    ['schools', 'authorities', 'classes', 'people', 'local_trusts']
    """
    return _of_last_word(name, _plural)


def singular(name: str) -> str:
    """Return the singular of a name that `plural` makes; other names are left as they are.

    Parameters
    ----------
    name : str
        A name whose last word is a noun in the plural.

    Returns
    -------
    str

    Examples
    --------
    >>> [singular(name) for name in ("schools", "authorities", "classes", "people", "courses")]
    ['school', 'authority', 'class', 'person', 'course']
    """
    return _of_last_word(name, _singular)


def _of_last_word(name: str, change) -> str:
    found = re.search(r"[A-Z]?[a-z]+$|[A-Z]+s?$", name)
    if found is None:
        return name
    word = found.group()
    if word.rstrip("s").isupper():  # as LEA, LEAs
        return f"{name}s" if change is _plural else name.removesuffix("s")
    changed = change(word.lower())
    return name[: found.start()] + (changed.capitalize() if word[0].isupper() else changed)


def _plural(word: str) -> str:
    if word in _KNOWN or len(word) == 1:
        return _KNOWN.get(word, word + "s")
    if word.endswith("sman"):
        return word[:-2] + "en"
    if word.endswith("sis"):
        return word[:-2] + "es"
    if word.endswith(("s", "x", "z", "ch", "sh")):
        return word + "es"
    return word[:-1] + "ies" if re.search(r"[^aeiou]y$", word) else word + "s"


def _singular(word: str) -> str:
    if word in _ONE:
        return _ONE[word]
    # Of the words of this plural, as "cours" and "course", the likeliest.
    likely = [word[:-2] + "an", word[:-3] + "y"]
    if re.search(r"(aly|gno|the|cri)ses$", word):
        likely.append(word[:-2] + "is")
    if re.search(r"(ss|x|ch|sh|tz|[^ao]us)es$", word):
        likely.append(word[:-2])
    return next((one for one in [*likely, word[:-1]] if one and _plural(one) == word), word)


def a(name: str) -> str:
    """Return a name with its article.

    Examples
    --------
    >>> a("school"), a("authority")
    ('a school', 'an authority')
    """
    return f"{'an' if name[0].lower() in 'aeiou' else 'a'} {name}"
