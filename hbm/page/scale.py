"""Numbers as the page writes them: in the unit of the data, with the digits that mean something."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

__all__ = ["MINUS", "Scale", "chance", "per_cent", "scale_of"]

MINUS = "\N{MINUS SIGN}"
_SPACE = "\N{NO-BREAK SPACE}"  # between a number and its unit
_MOST_DIGITS = 4


@dataclass(frozen=True)
class Scale:
    """How values of a unit are written.

    Attributes
    ----------
    unit : str
        Unit of values: ``"%"`` for proportions.
    distance : str
        Unit of differences.
    digits : int
        Decimals.
    """

    unit: str
    distance: str
    digits: int

    def number(self, value: float) -> str:
        """Write a value without its unit."""
        shown = f"{100 * value if self.unit == '%' else value:,.{self.digits}f}"
        # Not "-0.0".
        return shown.lstrip("-") if not float(shown.replace(",", "")) else shown.replace("-", MINUS)

    def value(self, value: float) -> str:
        """Write a value."""
        return f"{self.number(value)}{_SPACE}{self.unit}".rstrip()

    def between(self, lower: float, upper: float) -> str:
        """Write an interval."""
        return f"{self.number(lower)} to {self.value(upper)}"

    def by(self, difference: float) -> str:
        """Write a difference, without its sign."""
        return f"{self.number(abs(difference))}{_SPACE}{self.distance}".rstrip()

    def signed(self, difference: float) -> str:
        """Write a difference, with its sign, and without its unit."""
        shown = self.number(difference)
        return (
            shown if shown.startswith(MINUS) or not float(shown.replace(",", "")) else f"+{shown}"
        )


def scale_of(unit: str, distance: str, sds: ArrayLike) -> Scale:
    r"""Choose how to write values that are known to within standard deviations.

    Parameters
    ----------
    unit, distance : str
        Units of values and of differences.
    sds : array-like
        Standard deviations: the one in the middle is written with two digits.

    Returns
    -------
    Scale

    Examples
    --------
    >>> scale = scale_of("%", "points", [0.02, 0.03, 0.05])
    >>> scale.number(0.541), scale.by(-0.0312), scale.signed(-0.0312)
    ('54.1', '3.1\xa0points', '−3.1')
    """
    middle = float(np.median(np.asarray(sds))) * (100 if unit == "%" else 1)
    digits = 1 - int(np.floor(np.log10(middle))) if middle > 0 else 1
    return Scale(unit, distance, min(max(digits, 0), _MOST_DIGITS))


def per_cent(share: float) -> str:
    r"""Write a part of a whole in whole per cents.

    Examples
    --------
    >>> per_cent(0.734)
    '73\xa0%'
    """
    return f"{100 * share:.0f}{_SPACE}%"


def chance(probability: float) -> str:
    r"""Write a probability in whole per cents, and never as certain.

    Examples
    --------
    >>> chance(0.42), chance(0.9996), chance(0.0)
    ('42\xa0%', 'more than 99\xa0%', 'less than 1\xa0%')
    """
    if probability > 0.99:
        return f"more than {per_cent(0.99)}"
    return f"less than {per_cent(0.01)}" if probability < 0.01 else per_cent(probability)
