"""Pictures as files."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["save_figure"]


def save_figure(picture: Axes | Figure, path: str | Path) -> list[Path]:
    """Save a picture as PNG and as SVG, and close it.

    Parameters
    ----------
    picture : matplotlib.axes.Axes or matplotlib.figure.Figure
        What a plot function returned, or the figure it is in.
    path : str or pathlib.Path
        Where to, without ending: ``"pictures/heights"`` gives ``heights.png``, twice as dense as
        the 800 pixels it is meant to be seen at, and ``heights.svg``. Folders are made.

    Returns
    -------
    list of pathlib.Path
        The two files.

    Examples
    --------
    >>> import tempfile
    >>> from matplotlib.figure import Figure
    >>> from hbm.plots import plot_density
    >>> folder = tempfile.mkdtemp()
    >>> ax = plot_density([1.0, 2.0, 3.0], ax=Figure().subplots())
    >>> [file.name for file in save_figure(ax, folder + "/draws")]
    ['draws.png', 'draws.svg']
    """
    import matplotlib as mpl
    import matplotlib.pyplot as plt

    figure: Any = picture.figure.figure  # the whole one, if it is a part
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    files = [path.with_name(path.name + ending) for ending in (".png", ".svg")]
    # No date and fixed ids: the same picture gives the same file.
    with mpl.rc_context({"svg.hashsalt": path.name}):
        figure.savefig(files[0], dpi=200, bbox_inches="tight")
        figure.savefig(files[1], bbox_inches="tight", metadata={"Date": None})
    plt.close(figure)
    return files
