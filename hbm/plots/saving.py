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
        Where to: ``"pictures/heights"`` gives ``heights.png``, twice as dense as the 800 pixels it
        is meant to be seen at, and ``heights.svg``. So do ``"pictures/heights.png"`` and
        ``"pictures/heights.svg"``; any other ending is part of the name. Folders are made.

    Returns
    -------
    list of pathlib.Path
        The two files.

    Raises
    ------
    TypeError
        If `picture` is something else.

    Examples
    --------
    >>> import tempfile
    >>> from matplotlib.figure import Figure
    >>> from hbm.plots.densities import plot_density
    >>> folder = tempfile.mkdtemp()
    >>> ax = plot_density([1.0, 2.0, 3.0], ax=Figure().subplots())
    >>> [file.name for file in save_figure(ax, folder + "/draws")]
    ['draws.png', 'draws.svg']
    """
    import matplotlib as mpl
    import matplotlib.pyplot as plt
    from matplotlib.artist import Artist

    if not isinstance(picture, Artist) or picture.figure is None:
        raise TypeError(
            f"picture must be the Axes or a Figure that was drawn on, got {type(picture).__name__}"
        )
    figure: Any = picture.figure.figure  # the whole one, if it is a part
    path = Path(path)
    if path.suffix.lower() in (".png", ".svg"):
        path = path.with_suffix("")
    path.parent.mkdir(parents=True, exist_ok=True)
    files = [path.with_name(path.name + ending) for ending in (".png", ".svg")]
    # No date and fixed ids: the same picture gives the same file.
    with mpl.rc_context({"svg.hashsalt": path.name}):
        # On its own face, whatever the style.
        look = {"facecolor": figure.get_facecolor(), "bbox_inches": "tight"}
        figure.savefig(files[0], dpi=200, **look)
        figure.savefig(files[1], metadata={"Date": None}, **look)
    plt.close(figure)
    return files
