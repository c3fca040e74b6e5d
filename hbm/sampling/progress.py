"""Progress of long work, as a bar that can be silenced."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.progress import Progress, ProgressColumn

__all__ = ["progress_bar"]


def progress_bar(shown: bool, *columns: "ProgressColumn") -> "Progress":
    """Make a bar of these columns, or of the usual ones; silenced, it prints nothing at all."""
    from rich.console import Console
    from rich.progress import Progress

    # Old releases of rich end a bar that is only disabled with an empty line.
    return Progress(*columns, disable=not shown, console=Console(quiet=not shown))
