"""Make the pictures of the README, from the simulated workbook; run after a change of the plots."""

import sys
from pathlib import Path

import common

import hbm


def save(ax, folder: Path, name: str) -> None:
    """Save a picture at the width it is seen at, without white around it."""
    folder.mkdir(parents=True, exist_ok=True)
    ax.figure.savefig(folder / f"{name}.png", dpi=100, pil_kwargs={"optimize": True})


def main(argv=None):
    parser = common.parser("Make the pictures of the README.", "readme")
    parser.set_defaults(seed=1, out=Path(__file__).resolve().parent / "pictures")
    options = parser.parse_args(argv)
    results = hbm.load_dataset("diploma")
    table = hbm.exam_table(results, course="Mathematics 30-1", year=2016)
    fit = hbm.sample(hbm.exams.nested(table), **common.sampling(options))
    print(hbm.diagnose(fit))
    schools = hbm.shrinkage(fit, "school")
    pictures = {
        "shrinkage": hbm.plot_shrinkage(schools),
        "funnel": hbm.plot_funnel(schools, hbm.funnel_limits(fit, "school")),
        "ranks": hbm.plot_ranks(hbm.ranks(fit, "school")),
    }
    for name, ax in pictures.items():
        save(ax, options.out, name)
    common.say(options, f"Pictures are in {options.out}.")


if __name__ == "__main__":
    sys.exit(main())
