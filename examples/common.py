"""What the examples share: their options, a line about the sampling, tables and pictures."""

import argparse
import sys
from pathlib import Path

import hbm


def parser(description: str, name: str) -> argparse.ArgumentParser:
    """Make a parser of the options that all examples have."""
    options = argparse.ArgumentParser(
        description=description, formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    options.add_argument("--draws", type=int, default=1000, help="draws kept of each chain")
    options.add_argument("--tune", type=int, help="draws to tune; given, NUTS is taken throughout")
    options.add_argument("--chains", type=int, default=4, help="chains, 2 or more")
    options.add_argument("--seed", type=int, default=2024, help="seed of everything drawn")
    options.add_argument("--out", type=Path, default=Path("pictures", name), help="for pictures")
    options.add_argument("--quiet", action="store_true", help="print only how sampling went")
    return options


def sampling(options: argparse.Namespace) -> dict:
    """Return the arguments of `hbm.sample` that the options set."""
    tune = {} if options.tune is None else {"tune": options.tune}
    return {
        **tune,
        "draws": options.draws,
        "chains": options.chains,
        "random_seed": options.seed,
        "progressbar": not options.quiet and sys.stderr.isatty(),
    }


def say(options: argparse.Namespace, *lines: object) -> None:
    """Print lines, unless asked to be quiet."""
    if not options.quiet:
        print(*lines, sep="\n")


def summary(fit, variables: list[str]):
    """Return ArviZ's summary of some variables, with the article's 5 % and 95 % quantiles."""
    import arviz as az

    table = az.summary(fit, var_names=variables, ci_kind="eti", ci_prob=0.9, round_to="none")
    table = table.drop(columns=["mcse_mean", "mcse_sd"])
    table = table.rename(columns={"eti90_lb": "5 %", "eti90_ub": "95 %"}).round(3)
    return table.astype({"ess_bulk": int, "ess_tail": int})


def show(options: argparse.Namespace, title: str, table) -> None:
    """Print a table under a title, with three decimals, unless asked to be quiet."""
    say(options, title, table.round(3).to_string(index=False), "")


def intervals(draws, labels, prob: float = 0.95):
    """Return mean and equal-tailed interval of draws with one dimension beside chain and draw."""
    import pandas as pd

    sample = ("chain", "draw")
    ends = draws.quantile([(1 - prob) / 2, (1 + prob) / 2], dim=sample)
    return pd.DataFrame(
        {"": labels, "mean": draws.mean(sample), "lower": ends[0], "upper": ends[1]}
    )


def verdict(name: str, fit, table) -> str:
    """Say in one line how sampling went; `hbm.sample` has checked every other quantity too."""
    told = fit["sample_stats"].attrs
    if told["method"] == "direct":
        return (
            f"{name}: {told['draws']:,} independent draws, {told['effective_draws']:,.0f} of them "
            f"effective, Pareto k {told['pareto_k']:.2f}"
        )
    return (
        f"{name}: R-hat at most {table['r_hat'].max():.3f}, ESS at least "
        f"{table['ess_bulk'].min():.0f} (bulk) and {table['ess_tail'].min():.0f} (tail) in "
        f"{len(table)} quantities, {int(fit['sample_stats/diverging'].sum())} divergences"
    )


def fits(options: argparse.Namespace, models: dict, variables: list[str]) -> dict:
    """Fit models, say how it went, and return them with their fits as `hbm.compare` takes them."""
    pairs = {}
    for name, model in models.items():
        pairs[name] = model, hbm.sample(model, **sampling(options))
        print(verdict(name, pairs[name][1], summary(pairs[name][1], variables)))
    return pairs


def show_comparison(options: argparse.Namespace, models: dict, unit: str, name: str = "comparison"):
    """Compare models by how they predict a unit left out: as a table, returned, and a picture."""
    table = hbm.compare(models, unit=unit)
    columns = ["elpd_diff", "dse", "weight"]
    say(options, f"Predicting one more {unit}:", table[columns].round(2).to_string(), "")
    save(hbm.plot_comparison(table), options, name)
    return table


def page(options: argparse.Namespace, model, fit, **settings) -> None:
    """Leave a page for people beside the pictures, and say where."""
    shown = not options.quiet and sys.stderr.isatty()
    file = options.out / "page.html"
    hbm.report(model, fit, file, random_seed=options.seed, progressbar=shown, **settings)
    say(options, f"A page for people is {file}; a browser opens it.", "")


def save(ax, options: argparse.Namespace, name: str, title: str | None = None) -> None:
    """Save a picture in the folder of the options, under a title of its own if it has one."""
    if title is not None:
        ax.set_title(title, loc="left")
    hbm.save_figure(ax, options.out / name)
