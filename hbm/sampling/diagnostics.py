"""Diagnosis: can the draws of a fit be used, and if not, what to do.

nutpie itself checks nothing. The checks are those of Vehtari et al. (2021) on rank-normalised split
R-hat and effective sample sizes, those of Betancourt (2016) on energies, divergences, and trees cut
off at their greatest depth; the numbers are ArviZ's.
"""

import html
from collections.abc import Hashable
from dataclasses import dataclass

import numpy as np
import pandas as pd
import xarray as xr

__all__ = ["ConvergenceWarning", "Diagnosis", "diagnose"]

R_HAT = 1.01
ESS_PER_CHAIN = 100
BFMI = 0.3
MAX_TREE_DEPTH_SHARE = 0.01

_ADVICE = {
    "R-hat": "the chains disagree: draw more (draws=, tune=); if that does not help, use "
    'parameterisation="informed" or a tighter prior on the quantity named',
    "bulk ESS": "too few effective draws for means and sds: draw more (draws=), or use "
    'parameterisation="informed"',
    "tail ESS": "too few effective draws for interval ends: draw more (draws=), or use "
    'parameterisation="informed"',
    "divergences": "the sampler met geometry it cannot follow, and estimates may be biased: use "
    'parameterisation="informed", then target_accept=0.95 or more, then a tighter prior on the '
    "between-group sds",
    "tree depth": "the sampler stopped before its paths turned round, so draws are dear rather "
    "than wrong: tune longer (tune=), or tighten priors that leave a quantity all but free",
    "E-BFMI": "the energies are explored too slowly, as with heavy tails: tune longer (tune=), or "
    "use a tighter prior on the between-group sds",
}


class ConvergenceWarning(UserWarning):
    """The draws of a fit fail a check of :func:`diagnose`."""


@dataclass(frozen=True, repr=False)
class Diagnosis:
    """What :func:`diagnose` found.

    Attributes
    ----------
    ok : bool
        Whether every check passes.
    checks : pandas.DataFrame
        One row a check: ``check``, ``value``, ``allowed``, ``worst`` (the quantity or chain that
        gave the value, where there is one), ``passes``.
    advice : list of str
        What to do, a sentence for each check that fails.
    """

    ok: bool
    checks: pd.DataFrame
    advice: list[str]

    def __str__(self) -> str:
        """Return the verdict, the checks and the advice as lines of text."""
        rows = [
            f"  {'ok  ' if row.passes else 'FAIL'}  {row.check:<12} {row.value:>8.6g}"
            f"  ({row.allowed}{f'; worst: {row.worst}' if row.worst else ''})"
            for row in self.checks.itertuples()
        ]
        return "\n".join([self._verdict(), *rows, *(f"→ {line}" for line in self.advice)])

    __repr__ = __str__

    def _repr_html_(self) -> str:
        advice = "".join(f"<li>{html.escape(line)}</li>" for line in self.advice)
        return (
            f"<p><b>{self._verdict()}</b></p>"
            f"{self.checks.to_html(index=False, float_format='{:.6g}'.format)}<ul>{advice}</ul>"
        )

    def _verdict(self) -> str:
        if self.ok:
            return "The draws can be used."
        return "The draws should not be used as they are."


def diagnose(fit: xr.DataTree) -> Diagnosis:
    """Say whether the draws of a fit can be used, what fails, and what to do next.

    Parameters
    ----------
    fit : xarray.DataTree
        With groups ``posterior`` and, for the sampler's own checks, ``sample_stats``, as made by
        :func:`hbm.sample`, nutpie or PyMC.

    Returns
    -------
    Diagnosis
        Prints as a short report, in a terminal and in a notebook; ``ok`` is the verdict.

    Raises
    ------
    ValueError
        If there is no posterior, or it has one chain only.

    Notes
    -----
    Passing means, for every quantity of the posterior, R-hat ≤ 1.01 and at least 100 effective
    draws per chain in bulk and in the tails [1]_; no divergence; E-BFMI above 0.3 in every chain
    [2]_; and no more than 1 % of the draws from trees cut off at their greatest depth. Quantities
    that do not vary are left out. Of quantities that rise with one another, as
    ``mu_school = expit(eta_school)`` with ``eta_school``, the first is looked at: these checks go
    by ranks.

    References
    ----------
    .. [1] Vehtari, Gelman, Simpson, Carpenter and Bürkner (2021). Rank-normalization, folding, and
       localization: an improved R-hat for assessing convergence of MCMC. Bayesian Analysis 16(2).
    .. [2] Betancourt (2016). Diagnosing suboptimal cotangent disintegrations in Hamiltonian Monte
       Carlo. arXiv:1604.00695.

    Examples
    --------
    >>> import numpy as np, xarray as xr
    >>> rng = np.random.default_rng(1)
    >>> draws = xr.Dataset({"mu": (("chain", "draw"), rng.normal(size=(4, 1000)))})
    >>> stats = xr.Dataset({"diverging": (("chain", "draw"), np.zeros((4, 1000), bool))})
    >>> fit = xr.DataTree.from_dict({"posterior": draws, "sample_stats": stats})
    >>> print(diagnose(fit))
    The draws can be used.
      ok    R-hat        1.00...  (at most 1.01; worst: mu)
      ok    bulk ESS      ...  (at least 400; worst: mu)
      ok    tail ESS      ...  (at least 400; worst: mu)
      ok    divergences         0  (none)
    """
    import arviz_stats as azs

    if "posterior" not in fit.children:
        raise ValueError("the fit has no group 'posterior'; pass the result of hbm.sample")
    posterior = fit["posterior"].to_dataset()
    n_chains = posterior.sizes["chain"]
    if n_chains < 2:
        raise ValueError("R-hat compares chains, and the fit has one: sample with chains=4")

    def row(check, value, allowed, worst, passes):
        return {
            "check": check,
            "value": float(value),
            "allowed": allowed,
            "worst": worst,
            "passes": bool(passes),
        }

    posterior = _of_own_ranks(posterior)
    with np.errstate(invalid="ignore"):  # 0 / 0 for a quantity that does not vary
        value, worst = _extreme(azs.rhat(posterior), "max")
    checks = [row("R-hat", value, f"at most {R_HAT}", worst, value <= R_HAT)]
    least = ESS_PER_CHAIN * n_chains
    for kind in ("bulk", "tail"):
        value, worst = _extreme(azs.ess(posterior, method=kind), "min")
        checks.append(row(f"{kind} ESS", value, f"at least {least}", worst, value >= least))

    stats = fit["sample_stats"].to_dataset() if "sample_stats" in fit.children else xr.Dataset()
    if "diverging" in stats:
        n = int(stats["diverging"].sum())
        checks.append(row("divergences", n, "none", "", n == 0))
    # nutpie's name and PyMC's.
    for name in ("maxdepth_reached", "reached_max_treedepth"):
        if name in stats:
            n = int(stats[name].sum())
            most = int(MAX_TREE_DEPTH_SHARE * stats[name].size)
            checks.append(row("tree depth", n, f"at most {most} cut off", "", n <= most))
    if "energy" in stats:
        by_chain = azs.bfmi(stats)["energy"].to_numpy()
        value, worst = by_chain.min(), f"chain {by_chain.argmin()}"
        checks.append(row("E-BFMI", value, f"above {BFMI}", worst, value > BFMI))

    checks = pd.DataFrame(checks)
    failed = checks.loc[~checks["passes"], "check"]
    return Diagnosis(failed.empty, checks, [f"{name}: {_ADVICE[name]}" for name in failed])


def _of_own_ranks(posterior: xr.Dataset) -> xr.Dataset:
    """Leave out the variables whose draws are in the same order as those of an earlier one."""
    orders: dict[Hashable, np.ndarray] = {}
    for name, array in posterior.data_vars.items():
        values = array.transpose("chain", "draw", ...).to_numpy()
        draws = values.reshape(-1, *values.shape[2:])
        alike = (order for order in orders.values() if order.shape == draws.shape)
        if not any(_rise(np.take_along_axis(draws, order, axis=0)) for order in alike):
            orders[name] = draws.argsort(axis=0)
    return posterior[list(orders)]


def _rise(draws: np.ndarray) -> bool:
    """Say whether no draw of any quantity is smaller than the one before it."""
    return bool((draws[1:] >= draws[:-1]).all())


def _extreme(values: xr.Dataset, which: str) -> tuple[float, str]:
    """Find the worst number in a dataset and the name of its quantity."""
    worst_value, worst_name = (-np.inf if which == "max" else np.inf), ""
    for name, array in values.data_vars.items():
        flat = array.to_numpy().ravel()
        if not np.isfinite(flat).any():  # a quantity that does not vary
            continue
        i = int(getattr(np, f"nanarg{which}")(flat))
        if (flat[i] > worst_value) if which == "max" else (flat[i] < worst_value):
            where = np.unravel_index(i, array.shape)
            labels = ", ".join(
                str(array[dim].to_numpy()[j]) for dim, j in zip(array.dims, where, strict=True)
            )
            worst_value, worst_name = float(flat[i]), f"{name}[{labels}]" if labels else str(name)
    return worst_value, worst_name
