"""Files are written whole or not at all, where and as the one that was there stood."""

import os
import stat

import pandas as pd
import pytest

from hbm.tables.export import save_table
from hbm.tables.files import write_whole


@pytest.fixture
def file(tmp_path):
    file = tmp_path / "kept" / "table.csv"
    file.parent.mkdir()
    file.write_text("old")
    return file


def test_a_link_stays_a_link(file, tmp_path):
    link, chain = tmp_path / "link.csv", tmp_path / "chain.csv"
    link.symlink_to(file)
    chain.symlink_to(link.name)
    write_whole(b"new", chain)
    assert chain.is_symlink()
    assert link.is_symlink()
    assert file.read_text() == "new"
    assert [p.name for p in file.parent.iterdir()] == ["table.csv"]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["chain.csv", "kept", "link.csv"]


def test_a_link_to_a_file_that_is_not_there_makes_it(tmp_path):
    link = tmp_path / "link.csv"
    link.symlink_to(tmp_path / "new" / "table.csv")
    write_whole(b"new", link)
    assert link.is_symlink()
    assert (tmp_path / "new" / "table.csv").read_text() == "new"


def test_links_in_a_circle_are_refused(tmp_path):
    (tmp_path / "a.csv").symlink_to("b.csv")
    (tmp_path / "b.csv").symlink_to("a.csv")
    with pytest.raises(OSError, match="nothing was saved"):
        write_whole(b"new", tmp_path / "a.csv")
    assert (tmp_path / "a.csv").is_symlink()


@pytest.mark.parametrize("mode", [0o600, 0o664, 0o640])
def test_a_file_keeps_its_mode(file, mode):
    file.chmod(mode)
    write_whole(b"new", file)
    assert file.read_text() == "new"
    assert stat.S_IMODE(file.stat().st_mode) == mode


def test_what_is_private_is_so_from_the_first_byte(file, monkeypatch):
    file.chmod(0o600)
    modes = []
    monkeypatch.setattr(os, "fsync", lambda f: modes.append(stat.S_IMODE(os.fstat(f).st_mode)))
    write_whole(b"new", file)
    assert modes == [0o600]


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root may")
def test_a_file_keeps_its_owner(file):
    os.chown(file, 12345, 23456)
    write_whole(b"new", file)
    assert (file.stat().st_uid, file.stat().st_gid) == (12345, 23456)


def test_a_new_file_has_the_usual_mode(tmp_path):
    usual = tmp_path / "usual"
    usual.touch()
    write_whole(b"new", tmp_path / "table.csv")
    assert (tmp_path / "table.csv").stat().st_mode == usual.stat().st_mode


def test_what_is_no_file_is_refused(tmp_path):
    pipe, folder, link = tmp_path / "pipe.csv", tmp_path / "folder.csv", tmp_path / "link.csv"
    os.mkfifo(pipe)
    folder.mkdir()
    link.symlink_to(pipe)
    for path, kind in ((pipe, "a pipe"), (folder, "a folder"), (link, "a pipe")):
        with pytest.raises(ValueError, match=f"{kind} and no file; give another path"):
            save_table(pd.DataFrame({"a": [1]}), path)
    assert stat.S_ISFIFO(pipe.stat().st_mode)
    assert link.is_symlink()
