"""A file appears whole or not at all, and what is no file is never replaced."""

import errno
import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from sem_lightning.io import atomic
from sem_lightning.io.atomic import atomic_file, write_atomically

LEAVES = (
    "import os, sys; from pathlib import Path; from sem_lightning.io.atomic import write_atomically;"
    "write_atomically(Path(sys.argv[1]), lambda name: (name.write_text('half'), os._exit(1)))"
)


def names(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


def test_an_error_leaves_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_text("old")
    with pytest.raises(ValueError, match="broken"), atomic_file(path) as temporary:
        temporary.write_text("half")
        assert path.read_text() == "old"
        raise ValueError("broken")
    assert path.read_text() == "old" and names(tmp_path) == ["table.csv"]
    write_atomically(path, lambda name: name.write_text("new"))
    assert path.read_text() == "new" and names(tmp_path) == ["table.csv"]


def test_two_files_may_be_open_at_once_under_long_names(tmp_path: Path) -> None:
    paths = [tmp_path / ("n" * 250 + end) for end in ("1.csv", "2.csv")]
    with atomic_file(paths[0]) as first, atomic_file(paths[1]) as second:
        first.write_text("1")
        second.write_text("2")
    assert [path.read_text() for path in paths] == ["1", "2"]


def test_a_full_disk_is_an_error_that_names_the_file(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10, before[1]))
    try:
        with pytest.raises(OSError, match="File too large") as caught:
            write_atomically(path, lambda name: name.write_text("n" * 100))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert caught.value.filename == str(path) and not names(tmp_path)


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    link, target = tmp_path / "link.csv", tmp_path / "elsewhere" / "table.csv"
    link.symlink_to(target)
    for content in ("first", "second"):  # the target need not exist
        write_atomically(link, lambda name, content=content: name.write_text(content))  # type: ignore[misc]
        assert link.is_symlink() and target.read_text() == content
    assert names(tmp_path / "elsewhere") == ["table.csv"]


def test_a_device_is_written_to(tmp_path: Path) -> None:
    for name in ("null", "full"):
        (tmp_path / name).symlink_to(f"/dev/{name}")
    write_atomically(tmp_path / "null", lambda name: name.write_text("lost"))
    with pytest.raises(OSError) as caught:
        write_atomically(tmp_path / "full", lambda name: name.write_text("lost"))
    assert caught.value.errno == errno.ENOSPC and caught.value.filename == str(tmp_path / "full")
    assert (tmp_path / "null").is_char_device() and (tmp_path / "full").is_char_device()


def test_a_folder_is_not_written_over(tmp_path: Path) -> None:
    with pytest.raises(IsADirectoryError):
        write_atomically(tmp_path, lambda name: name.write_text("lost"))


def test_what_a_killed_process_left_is_removed_and_that_of_others_is_not(tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-c", LEAVES, str(tmp_path / "table.csv")], check=False)
    [left] = tmp_path.iterdir()
    others = [
        left.with_name(left.name.replace(f"{atomic._HOST}-", f"another-{atomic._HOST}-")),
        tmp_path / f".table.csv.{atomic._HOST}-{os.getppid()}-0.tmp.csv",  # at work
        tmp_path / ".table.csv.12.tmp",
        tmp_path / "table.tmp.csv",
    ]
    for other in others:
        other.write_text("mine")
    write_atomically(tmp_path / "other.csv", lambda name: name.write_text("new"))
    assert {path.name for path in tmp_path.iterdir()} == {"other.csv", *(other.name for other in others)}
