"""Joint effects: a few of which the data know some sums better than others.

All years of a panel are seen in the same schools, so that the data know the differences between
years better than their level. An orthonormal turn of coordinates leaves effects ~ N(0, τ) as they
are: along the eigenvectors of what the data say of them they are informed one by one, as the
effects of groups are (:mod:`hbm.hierarchy.parameterisation`).
"""

import numpy as np
import pymc as pm
import pytensor.tensor as pt
from pymc.logprob.transforms import Transform
from pytensor.tensor import TensorLike, TensorVariable

from hbm.hierarchy.parameterisation import (
    ByInputs,
    Parameterisation,
    check_parameterisation,
    informed,
)

__all__ = ["joint_effect"]


class _Joint(ByInputs, Transform):
    """Transform of effects ~ N(0, τ) that the data know independently along given directions.

    A turn of coordinates leaves their prior as it is, so that it is :class:`Informed` along each.
    """

    name = "informed"
    ndim_supp = 1

    def _read(self, inputs):
        *_, estimate, precision, basis, sd = inputs
        total = precision + 1 / sd**2
        return basis, estimate * (precision / total), total

    def forward(self, value: TensorVariable, *inputs) -> TensorVariable:
        """Return z of the effects."""
        basis, centre, precision = self._read(inputs)
        return (pt.dot(value, basis) - centre) * pt.sqrt(precision)

    def backward(self, value: TensorVariable, *inputs) -> TensorVariable:
        """Return the effects of a z."""
        basis, centre, precision = self._read(inputs)
        return pt.dot(centre + value / pt.sqrt(precision), basis.T)

    def log_jac_det(self, value: TensorVariable, *inputs) -> TensorVariable:
        """Return log |d effects / d z|."""
        *_, precision = self._read(inputs)
        return pt.zeros_like(value[..., 0]) - 0.5 * pt.log(precision).sum()


def joint_effect(
    name: str,
    sd: TensorLike,
    *,
    dims: str,
    estimate: np.ndarray,
    standard_error: np.ndarray,
    basis: np.ndarray,
    start: np.ndarray,
    intercept: TensorLike,
    slope: np.ndarray,
    shift: TensorLike = 0.0,
    parameterisation: Parameterisation,
) -> TensorVariable:
    """Add a few effects ~ N(0, sd) of which the data know some sums better than others.

    Parameters
    ----------
    name : str
        Name of the variable.
    sd : scalar or tensor
        Prior standard deviation.
    dims : str
        Their dim.
    estimate, standard_error : numpy.ndarray, shape (n,)
        What the raw data say of the effects along each direction, were the intercept 0.
    basis : numpy.ndarray, shape (n, n)
        The directions, orthonormal, as columns.
    start : numpy.ndarray, shape (n,)
        Where a chain is to start.
    intercept : scalar
        What the effects come on top of.
    slope : numpy.ndarray, shape (n,)
        How much higher the estimates are for each unit of it.
    shift : scalar or tensor, shape (n,), default 0
        How much higher they are, where that hangs on other variables still.
    parameterisation : {"informed", "centred", "non-centred"}
        How the sampler sees the effects.

    Returns
    -------
    TensorVariable, shape (n,)
        The effects.
    """
    check_parameterisation(parameterisation)
    # As of other effects: where to start, and whether the data say anything.
    with np.errstate(invalid="ignore"):  # 0 times infinity
        variance = np.where(basis == 0, 0.0, basis**2 * standard_error**2).sum(axis=1)
    pm.Data(f"{name}_raw", np.stack([start, np.sqrt(variance)]), dims=("raw", dims))
    if parameterisation != "informed":
        non_centred = {"transform": informed(0.0, np.inf)}
        return pm.Normal(
            name, 0, sd, dims=dims, **(non_centred if parameterisation == "non-centred" else {})
        )
    along, directions = np.stack([estimate, standard_error]), f"{dims}_direction"
    told = pm.Data(f"{name}_along", along, dims=("raw", directions))
    turned = pm.Data(f"{name}_directions", basis, dims=(dims, directions))
    follows = pm.Data(f"{name}_slope", slope, dims=directions)
    return pm.CustomDist(
        name,
        told[0] + follows * intercept + shift,
        1 / told[1] ** 2,
        turned,
        sd,
        logp=lambda value, _, __, ___, sd: pm.logp(pm.Normal.dist(0, sd), value).sum(axis=-1),
        random=lambda estimate, _, __, sd, rng=None, size=None: rng.normal(
            0, np.asarray(sd)[..., None], estimate.shape if size is None else (*size, len(basis))
        ),
        signature="(t),(t),(t,t),()->(t)",
        class_name="JointEffect",
        dims=dims,
        transform=_Joint(),
    )
