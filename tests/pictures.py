"""Tables of n groups as this package makes them, and what a picture shows of them."""

import arviz_base as azb
import numpy as np
import pandas as pd
import xarray as xr
from fake_panels import fake_panel
from matplotlib.collections import LineCollection, PathCollection
from matplotlib.colors import to_hex


def labels(n):
    return [f"{i:04d}" for i in range(n)]


def exam_table(n, seed=1):
    rng = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "school": labels(n),
            "authority": [f"A{i}" for i in rng.integers(0, max(n // 3, 2), n)],
            "n_students": rng.integers(2, 300, n),
            "mean": rng.beta(12, 6, n),
            "sd": rng.uniform(0.1, 0.2, n),
        }
    )


def estimates_table(n):
    mean = exam_table(n)["mean"] + 0.01
    table = pd.DataFrame(
        {"school": labels(n), "mean": mean, "lower": mean - 0.05, "upper": mean + 0.1}
    )
    table.attrs = {"variable": "mu_school", "prob": 0.9}
    return table


def students_table(n, per_school=4):
    rng = np.random.default_rng(3)
    school = np.repeat(labels(n), per_school)
    district = np.repeat([f"D{i % 2}" for i in range(n)], per_school)
    score = rng.beta(6, 3, n * per_school)
    return pd.DataFrame({"district": district, "school": school, "score": score})


def by_label(n):
    return dict(zip(labels(n), exam_table(n)["mean"], strict=True))


def shrinkage_table(n, seed=1):
    table = exam_table(n, seed)
    raw = table["mean"]
    target = pd.Series(np.where(table["authority"] == "A0", 0.6, 0.7))
    pooling = 30 / (30 + table["n_students"])
    mean = (1 - pooling) * raw + pooling * target
    table = pd.DataFrame(
        {
            "school": table["school"],
            "authority": table["authority"],
            "n_students": table["n_students"],
            "raw_mean": raw,
            "mean": mean,
            "lower": mean - 0.05,
            "upper": mean + 0.1,
            "target": target,
            "pooling": pooling,
            "only_child": ~table["authority"].duplicated(keep=False),
        }
    )
    table.attrs = {"prob": 0.9, "proportions": True, "parent": "authority"}
    return table


def authorities_table(n):
    by = shrinkage_table(n).groupby("authority", sort=False)
    table = by.agg(n_schools=("school", "size"), n_students=("n_students", "sum"))
    table["mean"] = by["mean"].mean()
    table["lower"], table["upper"] = table["mean"] - 0.04, table["mean"] + 0.04
    table = table.assign(target=0.66).reset_index()
    table.attrs = {"prob": 0.9, "proportions": True, "parent": ""}
    return table


def lost(table):
    """Return a table as it comes from CSV or from a merge."""
    table = table.copy()
    table.attrs = {}
    return table


def limits_table():
    n = np.array([1, 2, 5, 10, 30, 100, 300])
    table = pd.DataFrame({"n_students": n, "centre": 0.66})
    for name, spread in (("alike_", 0.3 / np.sqrt(n)), ("", 0.1 + 0.3 / np.sqrt(n))):
        table[f"{name}lower"], table[f"{name}upper"] = 0.66 - spread, 0.66 + spread
    table.attrs = {"prob": 0.9, "proportions": True}
    return table


def ranks_table(n):
    rank = np.arange(1, n + 1)
    table = pd.DataFrame(
        {
            "school": labels(n),
            "n_students": exam_table(n)["n_students"],
            "expected_rank": rank.astype(float),
            "rank_lower": np.maximum(rank - 3, 1),
            "rank_upper": np.minimum(rank + 2, n),
            "joint_lower": np.maximum(rank - 9, 1),
            "joint_upper": np.minimum(rank + 8, n),
            "tier": 1 + np.arange(n) // max(n // 3, 1),
        }
    )
    table.attrs = {"prob": 0.9}
    return table


def changes_table(n):
    rng = np.random.default_rng(5)
    change = rng.normal(0, 0.03, n)
    table = pd.DataFrame(
        {
            "school": labels(n),
            "n_students_since": rng.integers(2, 300, n),
            "n_students_until": rng.integers(2, 300, n),
            "raw_change": change + rng.normal(0, 0.05, n),
            "change": change,
            "lower": change - 0.05,
            "upper": change + 0.06,
            "named": np.abs(change) > 0.05,
        }
    )
    table.attrs = {
        "prob": 0.9, "fdr": 0.05, "since": 2015, "until": 2019, "absolute": False, "unit": "%"
    }  # fmt: skip
    return table


def comparison_table(n):
    i = np.arange(n)
    weight = 0.5**i
    return pd.DataFrame(
        {
            "elpd_diff": -3.0 * i,
            "dse": 1.5 * i,
            "weight": weight / weight.sum(),
            "diag_elpd": np.where(i % 2, "2 k̂ > 0.70", ""),
        },
        index=[f"model_{k}" for k in i],
    )


def coefficients_table(n):
    rng = np.random.default_rng(4)
    names = pd.Series([f"log_n_{x}" for x in labels(n)])
    steps = pd.Series([f"tenfold: {i + 3} to {10 * i + 30}" for i in range(n)])
    table = pd.DataFrame({"predictor": names, "level": "school", "of": "mean", "step": steps})
    table = pd.concat([table, table.assign(of="sd of students")], ignore_index=True)
    table["effect"] = rng.normal(0, 0.03, 2 * n)
    table["lower"], table["upper"] = table["effect"] - 0.02, table["effect"] + 0.03
    table["p_positive"] = 0.5
    table.attrs = {"prob": 0.9, "unit": "%", "proportions": True}
    return table


def spreads_fit(n, group="posterior", seed=1):
    """Return a fit with n draws of two spreads between groups, and of one that is of no groups."""
    rng = np.random.default_rng(seed)
    return azb.from_dict(
        {
            group: {
                "tau_school": rng.gamma(9, 0.03, (1, n)),
                "tau_authority": rng.gamma(9, 0.02, (1, n)),
                "tau_nu": rng.gamma(9, 0.02, (1, n)),
                "mu_school": np.zeros((1, n, 2)),
                "nu_school": np.zeros((1, n, 2)),
                "mu_authority": np.zeros((1, n, 1)),
            }
        },
        dims={
            "mu_school": ["school"],
            "nu_school": ["school"],
            "mu_authority": ["authority"],
        },
        coords={"school": ["a", "b"], "authority": ["x"]},
    )


def replicated(n, seed=1):
    draws = exam_table(n)["mean"].to_numpy() + np.random.default_rng(seed).normal(
        0, 0.05, (2, 50, n)
    )
    return xr.DataArray(
        draws, dims=("chain", "draw", "school"), coords={"school": labels(n)}, name="mean"
    )


# Each function with its arguments for n groups.
CALLS = {
    "plot_agreement": lambda n: ((exam_table(n), "mean", "sd"), {"unit": "%"}),
    "plot_authorities": lambda n: ((exam_table(n),), {}),
    "plot_betas": lambda n: (
        (pd.DataFrame({"school": labels(n), "mu": exam_table(n)["mean"], "nu": 30}),),
        {"points": [[0.5, 0.6]] * n},
    ),
    "plot_caterpillar": lambda n: (
        (estimates_table(n), exam_table(n)),
        {"reference": {"population mean": 0.66}},
    ),
    "plot_changes": lambda n: ((changes_table(n),), {}),
    "plot_coefficients": lambda n: ((coefficients_table(n),), {}),
    "plot_comparison": lambda n: ((comparison_table(n),), {}),
    "plot_densities": lambda n: (
        (students_table(n), "score", "school"),
        {"truth": by_label(n), "unit": "%"},
    ),
    "plot_density": lambda n: ((np.random.default_rng(1).normal(size=n),), {"truth": 0.0}),
    "plot_estimates": lambda n: (
        (estimates_table(n),),
        {
            "others": {"true mean": by_label(n)},
            "reference": {"grand mean": 0.66, "district mean": by_label(n)},
        },
    ),
    "plot_exam_table": lambda n: ((exam_table(n),), {"colour_by": "authority", "sized": True}),
    "plot_funnel": lambda n: ((shrinkage_table(n), limits_table()), {}),
    "plot_nesting": lambda n: ((shrinkage_table(n), authorities_table(n)), {}),
    "plot_pooling": lambda n: ((shrinkage_table(n),), {"colour_by": "authority"}),
    "plot_predictive": lambda n: (
        (np.random.default_rng(1).beta(6, 3, (n, 20)),),
        {"observed": np.linspace(0.1, 0.9, 20), "unit": "%"},
    ),
    "plot_predictive_by_group": lambda n: ((replicated(n), by_label(n)), {"unit": "%"}),
    "plot_ranks": lambda n: ((ranks_table(n),), {}),
    "plot_shrinkage": lambda n: ((shrinkage_table(n),), {"colour_by": "authority"}),
    "plot_spreads": lambda n: ((spreads_fit(n), spreads_fit(n, "prior", seed=2)), {}),
    "plot_students": lambda n: ((students_table(n),), {"district": "district"}),
    "plot_trajectories": lambda n: (
        (fake_panel(20, n_schools=n), [str(i + 1) for i in range(min(n, 3))]),
        {},
    ),
}


def points(ax):
    """Return x, y, area and colour of all scattered points, from left to right."""
    groups = [c for c in ax.collections if isinstance(c, PathCollection)]
    xy = np.concatenate([c.get_offsets() for c in groups])
    n = [len(c.get_offsets()) for c in groups]
    size = np.concatenate(
        [np.broadcast_to(c.get_sizes(), m) for c, m in zip(groups, n, strict=True)]
    )
    colour = [
        to_hex(rgba)
        for c, m in zip(groups, n, strict=True)
        for rgba in np.broadcast_to(c.get_facecolors(), (m, 4))
    ]
    order = np.argsort(xy[:, 0], kind="stable")
    return xy[order, 0], xy[order, 1], size[order], np.array(colour)[order]


def bars(ax):
    """Return x, lower and upper end of all vertical bars, from left to right."""
    lines = [c for c in ax.collections if isinstance(c, LineCollection)]
    ends = np.array([s for c in lines for s in c.get_segments() if s[0][0] == s[1][0]])
    ends = ends[np.argsort(ends[:, 0, 0])]
    return ends[:, 0, 0], ends[:, 0, 1], ends[:, 1, 1]


def horizontal(ax):
    lines = [c for c in ax.collections if isinstance(c, LineCollection)]
    segments = [s for c in lines for s in c.get_segments() if s[0][1] == s[1][1]]
    return [(float(a), float(b), float(y)) for (a, y), (b, _) in segments]


def legend_texts(ax):
    return [text.get_text() for text in ax.get_legend().get_texts()]
