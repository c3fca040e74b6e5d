"""Half-normal variables, in a coordinate in which their prior is a standard Normal.

PyMC moves in the log of what has a lower bound. Where the data do not keep a quantity away from its
bound, as one year's table does not keep a design effect from 1, its log has a long left tail, in
which a sampler gets slow. The coordinate here is z = Φ⁻¹(F(x)), with F the prior's distribution
function: next to the bound it falls with the tail of a Normal, and far from it x = z but for a
constant.
"""

import numpy as np
import pymc as pm
import pytensor.tensor as pt
from pymc.logprob.transforms import Transform
from pytensor.tensor import TensorVariable

__all__ = ["half_normal"]


class _Quantile(Transform):
    """Transform of a Normal variable that is cut off at its mean, by its own quantiles.

    With x = mean + σ s, s > 0: 1 − Φ(z) = erfc(s/√2), since F(x) = erf(s/√2).
    """

    name = "quantile"
    ndim_supp = 0

    def forward(self, value: TensorVariable, *inputs) -> TensorVariable:
        """Return z of a value."""
        *_, mean, sd, _, _ = inputs
        return np.sqrt(2) * pt.erfcinv(2 * pt.erfc((value - mean) / sd / np.sqrt(2)))

    def backward(self, value: TensorVariable, *inputs) -> TensorVariable:
        """Return the value of a z."""
        *_, mean, sd, _, _ = inputs
        return mean + sd * np.sqrt(2) * pt.erfcinv(pt.erfc(value / np.sqrt(2)) / 2)

    def log_jac_det(self, value: TensorVariable, *inputs) -> TensorVariable:
        """Return log dx/dz, which is that of a standard Normal's density at z over x's at x."""
        *_, mean, sd, _, _ = inputs
        s = (self.backward(value, *inputs) - mean) / sd
        return (s**2 - value**2) / 2 + pt.log(sd / 2)


def half_normal(name: str, least: float, sd: float) -> TensorVariable:
    """Add a variable to the current model that is Normal around the least that it can be.

    Parameters
    ----------
    name : str
        Name of the variable.
    least : float
        Its lower bound.
    sd : float
        Standard deviation of the Normal of which it is the upper half.

    Returns
    -------
    TensorVariable

    Examples
    --------
    >>> with pm.Model() as model:
    ...     design_effect = half_normal("design_effect", 1, 0.5)
    >>> model.value_vars
    [design_effect_quantile__]
    """
    return pm.TruncatedNormal(name, least, sd, lower=least, default_transform=_Quantile())
