"""The one look of all pictures: colours, axes, names of groups, legends and words.

Each function of this room draws one table on one Axes and returns the Axes. Without ``ax=`` it
makes its own figure, 8 inches wide, so that it reads well at the 800 pixels of a README. Colours
are those of Okabe and Ito (2008), which people with any of the common colour-vision deficiencies
can tell apart; where there are more groups than colours, the largest groups keep a colour and the
others are grey, or position alone tells them apart. Long names are shortened such that different
ones stay different. Nothing here reads or changes Matplotlib's global settings: a picture is dark
on white in any style, and Axes on a dark figure make its background white. Matplotlib is imported
only when a picture is drawn.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from hbm.tables import words

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.text import Text
    from numpy.typing import ArrayLike

__all__ = [
    "BLACK",
    "BLUE",
    "COLOURS",
    "DASHES",
    "GREEN",
    "GREY",
    "LEGEND_NAME",
    "MANY",
    "MARKERS",
    "NAME",
    "ORANGE",
    "PALE",
    "PURPLE",
    "SKY",
    "TEXT",
    "VERMILLION",
    "amount",
    "axes",
    "bar_width",
    "count",
    "finish_density",
    "heading",
    "interval",
    "label_points",
    "legend",
    "name_blocks",
    "name_groups",
    "number_of",
    "plural",
    "quantity",
    "round_down",
    "shorten",
    "singular",
    "title",
    "wide_bar",
]

BLUE, VERMILLION, GREEN, ORANGE = "#0072B2", "#D55E00", "#009E73", "#E69F00"
PURPLE, SKY, BLACK = "#CC79A7", "#56B4E9", "#000000"
# Okabe and Ito's eighth colour, yellow, is left out: on white it cannot be seen.
COLOURS = (BLUE, VERMILLION, GREEN, ORANGE, PURPLE, SKY, BLACK)
DASHES = ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)), (0, (8, 2)), (0, (3, 1)))
MARKERS = ("D", "s", "^", "v", "P", "X")
GREY, PALE = "#6E6E6E", "#DDDDDD"
TEXT, LETTER = 10, 6  # points: size of text, width of a letter
MANY = 40  # groups, above which marks get small and room for labels is short
NAME, LEGEND_NAME = 24, 40  # letters: names are shortened to these under an axis and in legends


def axes(ax: Axes | None, *, grid: str, size: tuple[float, float] = (8, 5)) -> Axes:
    """Return Axes in the one style of all pictures, on a face that black can be read on."""
    import matplotlib.axes
    from matplotlib.colors import to_rgba

    if ax is None:
        import matplotlib.pyplot as plt

        _, ax = plt.subplots(figsize=size, layout="constrained", facecolor="white")
    elif not isinstance(ax, matplotlib.axes.Axes):
        raise TypeError(
            f"ax must be matplotlib Axes, such as figure.subplots() makes, got {type(ax).__name__}"
        )
    part = ax.get_figure()
    faces = [to_rgba(each.get_facecolor()) for each in (part, part.figure)]
    shown = next((face for face in faces if face[3] > 0.5), (1, 1, 1, 1))
    if np.dot(shown[:3], [0.3, 0.59, 0.11]) < 0.7:
        part.set_facecolor("white")
    ax.set_facecolor("white")
    ax.spines[["top", "right"]].set_visible(False)
    ax.spines[["left", "bottom"]].set_color(GREY)
    ax.tick_params(labelsize=TEXT, color=GREY, labelcolor=BLACK)
    ax.grid(visible=False)
    ax.grid(visible=True, axis=grid, color=PALE, lw=0.7, linestyle="-")
    ax.set_axisbelow(True)
    return ax


def title(ax: Axes, text: str, pad: float = 8) -> None:
    """Title a picture, at the left."""
    ax.set_title(text, loc="left", fontsize=TEXT + 2, color=BLACK, pad=pad)


def quantity(axis, label: str, unit: str = "") -> None:
    """Label an axis with a quantity and its unit; show proportions as percentages."""
    if unit == "%":
        axis.set_major_formatter(lambda value, _: f"{100 * value:g}%")
    suffix = f" ({unit})" if unit not in ("", "%") else ""
    axis.set_label_text(label + suffix, fontsize=TEXT + 1, color=BLACK)


def amount(value: float, unit: str = "") -> str:
    """Write a number with its unit."""
    return f"{100 * value:g}%" if unit == "%" else f"{value:g} {unit}".strip()


def finish_density(ax: Axes, label: str, unit: str, low=-np.inf, high=np.inf) -> None:
    """Label a picture of densities; show the whole of a bounded range."""
    quantity(ax.xaxis, label, unit)
    quantity(ax.yaxis, "Density")
    ax.set_ylim(bottom=0)
    if np.isfinite([low, high]).all():
        ax.set_xlim(low, high)


def name_groups(ax: Axes, labels: list[str], name: str, at: Sequence[float] | None = None) -> None:
    """Name groups under the axis: level if that fits, else upright, else not at all.

    Long names are shortened.
    """
    if at is None:
        at = np.arange(len(labels))
        margin = max(0.6, 0.02 * len(labels))
        ax.set_xlim(-margin, len(labels) - 1 + margin)
    room = points(ax, np.diff(at).min() if len(labels) > 1 else np.ptp(ax.get_xlim()))
    fits = int(room / LETTER) - 1
    labels = shorten(labels, max(fits, NAME))
    level = max(map(len, labels)) <= fits
    if level or room >= 1.3 * TEXT:
        ax.set_xticks(at, labels, rotation=0 if level else 90)
        quantity(ax.xaxis, heading(name))
    else:
        ax.set_xticks([])
        quantity(ax.xaxis, count(len(labels), name))


def name_blocks(ax: Axes, blocks: list[tuple[int, int]], names: list[str]) -> bool:
    """Part blocks of the x-axis by lines and name them above, both if that fits."""
    if len(blocks) <= MANY:
        for start, _ in blocks[1:]:
            ax.axvline(start - 0.5, color=GREY, lw=1)
    named = list(zip(blocks, names, strict=True))
    if any(points(ax, stop - start) < LETTER * len(name) for (start, stop), name in named):
        return False
    for (start, stop), name in named:
        ax.annotate(
            name,
            ((start + stop - 1) / 2, 1.0),
            (0, 2),
            xycoords=("data", "axes fraction"),
            textcoords="offset points",
            ha="center",
            fontsize=TEXT,
            color=GREY,
        )
    return True


def points(ax: Axes, x: float) -> float:
    """Return how many points wide a piece of the x-axis will be, beside a legend."""
    left, right = ax.get_xlim()
    return 0.75 * _width(ax) * x / (right - left)


def _width(ax: Axes) -> float:
    """Return how many points wide an Axes is, in a figure or in a part of one."""
    return 72 * ax.bbox.width / ax.get_figure().dpi


def legend(
    ax: Axes,
    handles: list,
    *,
    title: str | None = None,
    inside: bool = False,
    below: bool = False,
) -> None:
    """Put a legend beside the picture, below it, or inside it, under many ascending values."""
    if not handles:
        return
    place = {"loc": "upper left", "bbox_to_anchor": (1.0, 1.0), "frameon": False}
    if inside:
        place = {"loc": "lower right", "framealpha": 0.9, "edgecolor": PALE}
    elif below:
        from matplotlib.transforms import ScaledTranslation

        figure = ax.get_figure()
        # Under the axis label, and the tick labels if there are any.
        down = (ax.bbox.y0 - ax.xaxis.get_tightbbox().y0) / figure.dpi + 0.05
        under = ax.transAxes + ScaledTranslation(0, -down, figure.dpi_scale_trans)
        place = {"loc": "upper left", "bbox_to_anchor": (0.0, 0.0), "bbox_transform": under}
        # Letters of a legend are smaller; beside them stand a mark and some space.
        widest = 5 * max(len(str(handle.get_label())) for handle in handles) + 40
        columns = int(_width(ax) // widest)
        place |= {"ncols": min(max(columns, 1), len(handles)), "frameon": False}
    drawn = ax.legend(
        handles=handles,
        title=title,
        alignment="left",
        fontsize=TEXT - 1,
        title_fontsize=TEXT - 1,
        labelcolor=BLACK,
        facecolor="white",
        **place,
    )
    drawn.get_title().set_color(BLACK)


def bar_width(n: int) -> float:
    """Return how wide, in points, the lines of n groups are."""
    return 2.0 if n <= MANY else 1.0 if n <= 200 else 0.6


def wide_bar(n: int) -> float:
    """Return how wide, in points, bars behind the lines of n groups are."""
    return 6.0 if n <= MANY else 3.0 if n <= 200 else 0.9


def interval(prob: float | None, what: str = "interval") -> str:
    """Say which interval it is, as far as its level is known."""
    return what if prob is None else f"{100 * prob:g} % {what}"


def round_down(count: float) -> int:
    """Return the largest of 1, 2, 5, 10, 20, 50, … that is not above a count."""
    power = 10 ** int(np.floor(np.log10(count)))
    return max(step * power for step in (1, 2, 5) if step * power <= count)


def heading(column: str) -> str:
    """Return the name of a column as a heading."""
    text = column.replace("_", " ")
    return text[:1].upper() + text[1:]


def singular(name: str) -> str:
    """Return the singular of a name of individuals: ``student``, ``person``."""
    return words.singular(name).replace("_", " ")


def plural(name: str) -> str:
    """Return the plural of a column's name."""
    return words.plural(name).replace("_", " ")


def count(n: int, name: str) -> str:
    """Say how many there are: ``1 school``, ``89 authorities``."""
    return f"{n:,} {name.replace('_', ' ') if n == 1 else plural(name)}"


def shorten(names: Sequence[str], most: int) -> list[str]:
    """Shorten names to so many letters by ellipses, such that different ones stay different."""
    number = {name: i for i, name in enumerate(names, 1)}
    short = {name: _around(name, 0, most) for name in names}
    for last in (False, False, False, True):
        alike: dict[str, list[str]] = {}
        for name, text in short.items():
            alike.setdefault(text, []).append(name)
        for group in alike.values():
            letters = enumerate(zip(*group, strict=False))
            differ = (i for i, at_i in letters if len(set(at_i)) > 1)
            first = next(differ, min(map(len, group)))
            for name in group if len(group) > 1 else ():
                # In the end, where they differ in several places, they are numbered.
                end = f" ({number[name]})" if last else ""
                short[name] = _around(name, first, most - len(end)) + end
    return [short[name] for name in names]


def _around(name: str, at: int, most: int) -> str:
    """Shorten a name to its beginning and what is around a position."""
    if len(name) <= most:
        return name
    head = name[: most // 4].rstrip() + "…"
    room = most - len(head)
    # From the beginning of a word, if it is near.
    start = max(name.rfind(" ", 0, at) + 1, at - room // 2)
    start = min(start, len(name) - room)
    if start <= len(head):
        return name[: most - 1].rstrip() + "…"
    return head + (name[start:] if len(name) == start + room else name[start:][: room - 1] + "…")


def label_points(ax: Axes, x: ArrayLike, y: ArrayLike, labels: Sequence[str]) -> list[Text]:
    """Name points beside them, the first ones first, and leave out names that would overlap.

    The axes must have their limits, title and legend already. Points in one place share a name.
    """
    from matplotlib.patheffects import withStroke

    ax.get_figure().figure.draw_without_rendering()  # the whole one, if it is a part
    pixels = ax.transData.transform(np.column_stack([x, y]))
    names: dict[tuple, list[str]] = {}
    places = np.round(pixels / 4).astype(int).tolist()
    for place, label in zip(places, shorten(labels, NAME), strict=True):
        names.setdefault(tuple(place), []).append(label)
    inside, legend = ax.get_window_extent(), ax.get_legend()
    taken = [legend.get_window_extent()] if legend else []
    kept: list[Text] = []
    for place, shared in names.items():
        # Several names, unless they are long.
        shown = 3 if sum(map(len, shared[:3])) <= NAME else 1
        more = f" and {len(shared) - shown} more" if len(shared) > shown else ""
        for dx, dy in ((5, 4), (5, -4), (-5, 4), (-5, -4)):
            text = ax.annotate(
                ", ".join(shared[:shown]) + more,
                ax.transData.inverted().transform(4 * np.array(place)),
                (dx, dy),
                textcoords="offset points",
                ha="left" if dx > 0 else "right",
                va="bottom" if dy > 0 else "top",
                fontsize=TEXT - 2,
                color=BLACK,
                path_effects=[withStroke(linewidth=2, foreground="white")],
                zorder=5,
            )
            # So that a name never makes the picture smaller.
            text.set_in_layout(False)
            box = text.get_window_extent().padded(4)
            within = inside.x0 <= box.x0 and box.x1 <= inside.x1
            within &= inside.y0 <= box.y0 and box.y1 <= inside.y1
            if within and not box.count_contains(pixels) and not box.count_overlaps(taken):
                kept.append(text)
                taken.append(box)
                break
            text.remove()
    return kept


def number_of(ax: Axes, n: ArrayLike, size: str) -> None:
    """Show numbers of individuals along the x-axis, on a log scale if they differ much."""
    from matplotlib.ticker import FixedLocator, MaxNLocator, NullLocator

    low, high = np.min(n), np.max(n)
    if high >= 4 * low:
        ax.set_xscale("log")
        ticks = np.outer(10.0 ** np.arange(np.log10(high) + 1), [1, 2, 5]).ravel()
        ax.xaxis.set_major_locator(FixedLocator(ticks[(ticks >= low) & (ticks <= high)]))
        ax.xaxis.set_minor_locator(NullLocator())
    else:
        ax.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    ax.set_xlim(low / 1.15, high * 1.15)
    ax.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
    quantity(ax.xaxis, f"Number of {size.removeprefix('n_').replace('_', ' ')}")
