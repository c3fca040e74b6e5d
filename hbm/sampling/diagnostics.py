"""Diagnosis: can the draws of a fit be used, and if not, what to do.

nutpie itself checks nothing. The checks are those of Vehtari et al. (2021) on rank-normalised split
R-hat and effective sample sizes, those of Betancourt (2016) on energies, divergences, and trees cut
off at their greatest depth; the numbers are ArviZ's.
"""

import html
from collections.abc import Hashable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from hbm.hierarchy.carried import posterior_of, words_of
from hbm.hierarchy.years import YEAR_OF_PANEL, of_several_years
from hbm.sampling.advice import (
    ADVICE,
    ALMOST,
    DESIGN_EFFECT,
    DESIGN_EFFECT_OF_YEARS,
    OF_INDEPENDENT_DRAWS,
)

__all__ = ["ConvergenceWarning", "Diagnosis", "diagnose"]

R_HAT = 1.01
BY_CHANCE = 0.01  # share of fits whose largest R-hat is above what is allowed to chance
ESS_PER_CHAIN = 100
BFMI = 0.3
MAX_TREE_DEPTH_SHARE = 0.01
K_GOOD, K_USABLE = 0.5, 0.7
GRID_ERROR = 0.001  # nats
BEYOND_GRIDS = 0.01  # share of the posterior
_NAMED = 4  # of the quantities with draws that are not finite


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
        width = max(12, *self.checks["check"].str.len())
        rows = [
            f"  {'ok  ' if row.passes else 'FAIL'}  {row.check:<{width}} {row.value:>8.6g}"
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
    TypeError
        If `fit` is not a DataTree.
    ValueError
        If there is no posterior, it has one chain only, or a selection took its chains away.

    Notes
    -----
    Passing means, for every quantity of the posterior, R-hat ≤ 1.01, or no larger than chance makes
    it, and at least 100 effective draws per chain in bulk and in the tails [1]_, and no draw that
    is NaN or infinite; no divergence; E-BFMI above 0.3 in every chain [2]_; and no more than 1 % of
    the draws from trees cut off at their greatest depth. Quantities of one value in all chains are
    left out; one that stands still in each chain at another value has an infinite R-hat. R-hat and
    effective draws are those of the quantities whose draws are all finite. Of quantities that rise
    with one another, as ``mu_school = expit(eta_school)`` with ``eta_school``, they look at the
    first: they go by ranks.

    The limit of 1.01 is for each quantity, and of very many the largest R-hat passes it by chance
    where effective draws are few. Of chains that have converged R-hat² is 1 − 1/n + F/e, with n the
    draws of half a chain, e the effective ones among them, and F from an F distribution with m − 1
    and m (e − 1) degrees of freedom for m halves (see [4]_ on how R-hat hangs on them). So of 3,500
    independent quantities of 4 chains the largest is above 1.003 half of the time with 4,000
    effective draws in all, above 1.007 with 2,000, and above 1.015 with 1,000. A quantity whose
    R-hat is above 1.01 passes where it is not above what the largest of all would exceed once in a
    hundred fits, with its own effective draws: of its ranks, or of how far these are from the
    middle, whichever are fewer, as R-hat looks at both. NUTS may mix the former far better.

    Independent draws (``method="direct"`` of :func:`hbm.sample`) have no chains to compare. Of
    these, passing means a Pareto k of the weights of at most 0.7, with a warning above 0.5 [3]_; a
    grid error of at most 0.001 nats; at least 100 effective draws per chain, 1/Σw² of the weights;
    and no draw that is NaN or infinite.

    References
    ----------
    .. [1] Vehtari, Gelman, Simpson, Carpenter and Bürkner (2021). Rank-normalization, folding, and
       localization: an improved R-hat for assessing convergence of MCMC. Bayesian Analysis 16(2).
    .. [2] Betancourt (2016). Diagnosing suboptimal cotangent disintegrations in Hamiltonian Monte
       Carlo. arXiv:1604.00695.
    .. [3] Vehtari, Simpson, Gelman, Yao and Gabry (2024). Pareto smoothed importance sampling.
       Journal of Machine Learning Research 25.
    .. [4] Vats and Knudson (2021). Revisiting the Gelman–Rubin diagnostic. Statistical Science
       36(4).

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
      ok    finite              0  (all)
      ok    divergences         0  (none)
    """
    import arviz_stats as azs

    posterior = posterior_of(fit)
    if is_direct(fit):
        return _of_independent_draws(fit, posterior)
    n_chains = posterior.sizes["chain"]
    if n_chains < 2:
        raise ValueError("R-hat compares chains, and the fit has one: sample with chains=4")

    not_finite = _not_finite(posterior)
    posterior = _of_own_ranks(posterior)
    looked_at = _finite_and_moving(posterior)
    # 0 / 0 for a quantity that does not vary, 1 / 0 for one that varies between chains only.
    with np.errstate(invalid="ignore", divide="ignore"):
        effective = {kind: azs.ess(posterior, method=kind) for kind in ("bulk", "tail")}
        checks = [_of_r_hats(posterior, effective["bulk"], looked_at)]
        least = ESS_PER_CHAIN * n_chains
        for kind, of_kind in effective.items():
            value, worst = _extreme(of_kind, "min", looked_at)
            checks.append(row(f"{kind} ESS", value, f"at least {least}", worst, value >= least))
    value, worst = not_finite[0] if not_finite else (0, "")
    checks.append(row("finite", value, "all", worst, not not_finite))

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
    advice = ADVICE | {"finite": ADVICE["finite"].format(_counted(not_finite, posterior))}
    if checks["value"].isna()[0]:
        advice["R-hat"] = "no quantity has finite draws that vary: the sampler did not move, or "
        advice["R-hat"] += "what it moved is not in the posterior"
    lines = [f"{name}: {advice[name]}" for name in failed]
    if "design_effect" in checks.loc[~checks["passes"], "worst"].tolist():
        lines.append(_of_design_effect(fit))
    return Diagnosis(failed.empty, checks, lines)


def _of_r_hats(posterior: xr.Dataset, bulk: xr.Dataset, looked_at: xr.Dataset) -> dict[str, Any]:
    """Return the line of R-hat: the largest, of those above what chance gives if there are any."""
    import arviz_stats as azs

    r_hats = azs.rhat(posterior)
    value, worst = _extreme(r_hats, "max", looked_at)
    if not value > R_HAT:
        return row("R-hat", value, f"at most {R_HAT}", worst, value <= R_HAT)
    above = looked_at & ~(r_hats <= _by_chance(posterior, bulk, looked_at))
    fails = any(array.any() for array in above.data_vars.values())
    if fails:
        value, worst = _extreme(r_hats, "max", above)
    return row("R-hat", value, f"at most {R_HAT}, or by chance", worst, not fails)


def _by_chance(posterior: xr.Dataset, bulk: xr.Dataset, looked_at: xr.Dataset) -> xr.Dataset:
    """Return what the R-hat of each quantity would have to be above to be the largest rarely.

    It is the limit itself where there are too few effective draws to tell.
    """
    import arviz_stats as azs
    from scipy.stats import f

    draws = ("chain", "draw")
    folded = azs.ess(abs(posterior - posterior.median(draws)), method="bulk")
    n_quantities = sum(int(array.sum()) for array in looked_at.data_vars.values())
    n_chains, n = posterior.sizes["chain"], posterior.sizes["draw"]

    def bound(of_ranks: xr.DataArray) -> xr.DataArray:
        effective = np.minimum(of_ranks, folded[of_ranks.name])
        e = effective.clip(ESS_PER_CHAIN * n_chains) / (2 * n_chains)
        ratio = f.isf(BY_CHANCE / n_quantities, 2 * n_chains - 1, 2 * n_chains * (e - 1))
        largest = np.sqrt(1 - 2 / n + ratio / e).clip(R_HAT)
        return largest.where(effective >= ESS_PER_CHAIN * n_chains, R_HAT)

    return bulk.map(bound)


def row(check: str, value: float, allowed: str, worst: str, passes: bool) -> dict[str, Any]:
    """Return one line of the checks."""
    return {
        "check": check,
        "value": float(value),
        "allowed": allowed,
        "worst": worst,
        "passes": bool(passes),
    }


def is_direct(fit: xr.DataTree) -> bool:
    """Say whether a fit is of independent draws."""
    return "sample_stats" in fit.children and fit["sample_stats"].attrs.get("method") == "direct"


def _of_independent_draws(fit: xr.DataTree, posterior: xr.Dataset) -> Diagnosis:
    """Diagnose draws that were not made by a chain, by what their sampler measured."""
    told = fit["sample_stats"].attrs
    k, error = float(told["pareto_k"]), float(told["grid_error"])
    beyond = float(told.get("beyond_grids", 0.0))  # not told by earlier versions
    effective = float(told["effective_draws"])
    n_draws = posterior.sizes["chain"] * posterior.sizes["draw"]
    least = ESS_PER_CHAIN * posterior.sizes["chain"]
    not_finite = _not_finite(posterior)
    n_bad, worst = not_finite[0] if not_finite else (0, "")
    effective *= min(1.0, n_draws / fit["sample_stats"].attrs["draws"])  # of a part of the draws
    checks = pd.DataFrame(
        [
            row("Pareto k", k, f"at most {K_USABLE}, better {K_GOOD}", "", k <= K_USABLE),
            row("grid error", error, f"at most {GRID_ERROR} nats", "", error <= GRID_ERROR),
            row("beyond grids", beyond, f"at most {BEYOND_GRIDS}", "", beyond <= BEYOND_GRIDS),
            row("effective draws", effective, f"at least {least}", "", effective >= least),
            row("finite", n_bad, "all", worst, not not_finite),
        ]
    )
    failed = checks.loc[~checks["passes"], "check"]
    advice = OF_INDEPENDENT_DRAWS | {
        "finite": ADVICE["finite"].format(_counted(not_finite, posterior))
    }
    lines = [f"{name}: {advice[name]}" for name in failed]
    if "design_effect" in posterior and {"Pareto k", "effective draws"} & set(failed):
        lines.append(_of_design_effect(fit))
    if K_GOOD < k <= K_USABLE:
        lines.append(ALMOST)
    return Diagnosis(failed.empty, checks, lines)


def _of_design_effect(fit: xr.DataTree) -> str:
    """Say what to do of a design effect that is learned, and that one year or several tell of."""
    constant = fit["constant_data"].attrs if "constant_data" in fit.children else {}
    of_years = YEAR_OF_PANEL in constant or of_several_years(fit) is not None
    groups, individuals = words_of(fit)
    advice = DESIGN_EFFECT_OF_YEARS if of_years else DESIGN_EFFECT
    return advice.format(groups=groups, individuals=individuals)


def _finite_and_moving(posterior: xr.Dataset) -> xr.Dataset:
    """Say of each quantity whether its draws are finite and not all the same."""
    draws = ("chain", "draw")
    return posterior.map(np.isfinite).all(draws) & (posterior.max(draws) != posterior.min(draws))


def _not_finite(posterior: xr.Dataset) -> list[tuple[int, str]]:
    """Count the draws that are NaN or infinite, of each quantity that has some; most first."""
    found = []
    for name, counts in (~posterior.map(np.isfinite)).sum(("chain", "draw")).data_vars.items():
        for where in np.argwhere(counts.to_numpy()):
            found.append((int(counts[tuple(where)]), _label(name, counts, where)))
    return sorted(found, key=lambda item: -item[0])


def _counted(not_finite: list[tuple[int, str]], posterior: xr.Dataset) -> str:
    """Name the first few quantities, and say how many of their draws are meant."""
    total = posterior.sizes["chain"] * posterior.sizes["draw"]
    named = ", ".join(f"{n} of {total} of {label}" for n, label in not_finite[:_NAMED])
    others = len(not_finite) - _NAMED
    return f"{named} and of {others} others" if others > 0 else named


def _label(name: Hashable, array: xr.DataArray, where: Iterable[Any]) -> str:
    """Return the name of one quantity of a variable, with its labels."""
    labels = ", ".join(
        str(array[dim].to_numpy()[i]) for dim, i in zip(array.dims, where, strict=True)
    )
    return f"{name}[{labels}]" if labels else str(name)


def _of_own_ranks(posterior: xr.Dataset) -> xr.Dataset:
    """Leave out the variables whose draws are in the same order as those of an earlier one."""
    orders: dict[Hashable, tuple[np.ndarray, np.ndarray]] = {}
    for name, array in posterior.data_vars.items():
        values = array.transpose("chain", "draw", ...).to_numpy()
        draws = values.reshape(-1, *values.shape[2:])
        alike = (kept for kept in orders.values() if kept[0].shape == draws.shape)
        if not any(_follows(draws, *kept) for kept in alike):
            order = draws.argsort(axis=0)
            ordered = np.take_along_axis(draws, order, axis=0)
            orders[name] = order, ordered[1:] > ordered[:-1]
    return posterior[list(orders)]


def _follows(draws: np.ndarray, order: np.ndarray, rises: np.ndarray) -> bool:
    """Say whether draws in another's order never fall, and rise only where that one does."""
    ordered = np.take_along_axis(draws, order, axis=0)
    return bool(np.where(rises, ordered[1:] >= ordered[:-1], ordered[1:] == ordered[:-1]).all())


def _extreme(values: xr.Dataset, which: str, looked_at: xr.Dataset) -> tuple[float, str]:
    """Find the worst number in a dataset and the name of its quantity; NaN if none is looked at."""
    worst_value, worst_name = np.nan, ""
    for name, array in values.data_vars.items():
        if not looked_at[name].any():
            continue
        # A number that cannot be computed for draws that are finite and vary is as bad as can be.
        numbers = array.fillna(np.inf if which == "max" else 0).where(looked_at[name]).to_numpy()
        i = int(getattr(np, f"nanarg{which}")(numbers))
        value = float(numbers.flat[i])
        if np.isnan(worst_value) or getattr(np, f"f{which}")(value, worst_value) != worst_value:
            worst_value = value
            worst_name = _label(name, array, np.unravel_index(i, array.shape))
    return worst_value, worst_name
