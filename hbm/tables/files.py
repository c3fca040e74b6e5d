"""Files that are written whole, or not at all."""

import contextlib
import os
import secrets
import stat
from pathlib import Path

__all__ = ["write_whole"]

_KINDS = {
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFBLK: "a device",
    stat.S_IFCHR: "a device",
}


def write_whole(content: bytes | memoryview, path: Path) -> None:
    """Write a file so that it is there in full or, if that fails, as it was before.

    Parameters
    ----------
    content : bytes or memoryview
        What to write.
    path : pathlib.Path
        Where to. Folders are made; a file that is there is replaced, and who owns it and may read
        it stays. If it is a link, what it leads to is replaced.

    Raises
    ------
    ValueError
        If there is something else than a file, such as a folder or a device.
    OSError
        If the file cannot be written, for example as the disk is full.

    Examples
    --------
    >>> import tempfile
    >>> file = Path(tempfile.mkdtemp()) / "table.csv"
    >>> write_whole(b"school,mean", file)
    >>> file.read_text()
    'school,mean'
    """
    try:
        # Not Path.resolve: of links in a circle, Python 3.12's raises a RuntimeError.
        target = Path(os.path.realpath(path))
        before = target.stat() if os.path.lexists(target) else None
        if before is not None and not stat.S_ISREG(before.st_mode):
            kind = _KINDS.get(stat.S_IFMT(before.st_mode), "something else")
            raise ValueError(f"{path} is {kind} and no file; give another path")
        target.parent.mkdir(parents=True, exist_ok=True)
        _replace(target, content, before)
    except OSError as error:
        raise type(error)(
            error.errno,
            f"nothing was saved, and a file that was there is as it was: {error.strerror}",
            str(path),
        ) from error


def _replace(target: Path, content: bytes | memoryview, before: os.stat_result | None) -> None:
    # What is private is so from its first byte.
    mode = 0o666 if before is None else stat.S_IMODE(before.st_mode)
    beside = target.with_name(f".{target.name}.{secrets.token_hex(4)}.tmp")
    try:
        with open(beside, "xb", opener=lambda name, flags: os.open(name, flags, mode)) as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        if before is not None:
            with contextlib.suppress(AttributeError, PermissionError):  # Windows; not one's own
                os.chown(beside, before.st_uid, before.st_gid)
            beside.chmod(mode)
        beside.replace(target)
    finally:
        beside.unlink(missing_ok=True)
