"""What cannot be read: folders without permission, links that lead nowhere or in a circle, pipes and devices."""

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any
from unittest import mock

from folder_trees import PAIR, Check, Make, Right, all_of, images, judge, linked, made, piped, save, with_files
from kind import Kind

from sem_lightning.errors import UserError
from sem_lightning.io.find import find_images
from sem_lightning.io.images import ImageError, read_gray
from sem_lightning.model.checkpoint import load_model

_LINKS: dict[str, tuple[Make, Right]] = {
    "a linked class": (
        linked(("set/good", "../all/good"), images=("all/good/0.png", "set/gap/0.png")),
        Right({"good": 1, "gap": 1}),
    ),
    "a class whose link leads nowhere": (
        linked(("bridge", "gone")),
        Right(said=("bridge: No such file or directory",)),
    ),
    "a class whose link is a circle": (
        linked(("bridge", "bridge")),
        Right(said=("bridge: Too many levels of symbolic links",)),
    ),
    "an image whose link leads nowhere": (linked(("gap/2.png", "gone.png")), Right(said=("gap/2.png: No such file",))),
    "an image whose link is a circle": (linked(("gap/2.png", "2.png")), Right(said=("gap/2.png: Too many levels",))),
    "a pipe in a class": (
        all_of(images(*PAIR), piped("gap/2.png")),
        Right(said=("gap/2.png: is no file but a pipe or a device",)),
    ),
    "a device in a class": (linked(("gap/2.png", "/dev/zero")), Right(said=("gap/2.png: is no file but a pipe",))),
    "a link to the root in a class": (linked(("gap/loop", "..")), Right(said=("gap/loop: Is a directory",))),
}


def _find(names: list[str], pattern: str = "set", bad: tuple[str, ...] = ()) -> Check:
    """Find images below ``set`` of a folder; those of ``bad`` cannot be read."""

    def check(folder: Path) -> str | None:
        paths = find_images(str(folder / pattern), leave_out=folder / "overlays")
        found = [str(path.relative_to(folder)) for path in paths]
        if found != names:
            return f"found {found}, right is {names}"
        unreadable = []
        for path in paths:
            try:
                read_gray(path)
            except ImageError:
                unreadable.append(str(path.relative_to(folder)))
        return None if unreadable == list(bad) else f"cannot read {unreadable}, right is {list(bad)}"

    return check


def _list(text: str) -> Make:
    return lambda folder: (folder / "list.txt").write_text(text)


def _closed(*folders: str) -> Any:
    """Make folders that cannot be listed, also for the administrator."""
    iterdir, access = Path.iterdir, os.access

    def listed(path: Path) -> Any:
        if path.name in folders:
            raise PermissionError(13, "Permission denied", str(path))
        return iterdir(path)

    def allowed(path: Path, mode: int) -> bool:
        return Path(path).name not in folders and access(path, mode)

    return mock.patch.multiple(Path, iterdir=listed), mock.patch.object(os, "access", allowed)


def _find_closed(names: list[str], pattern: str) -> Check:
    def check(folder: Path) -> str | None:
        save(folder, "set/a.png", "set/locked/b.png")
        listing, access = _closed("locked")
        with listing, access:
            return _find(names, pattern, ("set/locked",))(folder)

    return check


def _closed_class(folder: Path) -> str | None:
    save(folder, *PAIR, "bridge/0.png")
    listing, access = _closed("bridge")
    with listing, access:
        return judge(folder, Right(said=("1 of 5 images", "bridge")))


_FINDS: dict[str, tuple[Make, Check]] = {
    "a folder with subfolders": (images("set/a.png", "set/b/c.tif"), _find(["set/a.png", "set/b/c.tif"])),
    "without masks": (images("set/a.png", "set/masks/a.png", "set/ground_truth/x/a.png"), _find(["set/a.png"])),
    "sidecars in a folder": (
        with_files(("set/a.tif",), "set/a.hdr", "set/a.txt", "set/Thumbs.db", "set/.DS_Store", "set/._a.tif"),
        _find(["set/a.tif"]),
    ),
    "sidecars in a glob": (
        with_files(("set/a.tif",), "set/a.hdr", "set/a.txt", "set/Thumbs.db", "set/desktop.ini", "set/a.xml"),
        _find(["set/a.tif"], "set/*"),
    ),
    "other files in a glob": (
        with_files(("set/a.tif",), "set/notes.txt"),
        _find(["set/a.tif", "set/notes.txt"], "set/*", ("set/notes.txt",)),
    ),
    "a linked subfolder": (
        linked(("set/more", "../other"), images=("set/a.png", "other/b.png")),
        _find(["set/a.png", "set/more/b.png"]),
    ),
    "a link to itself": (linked(("set/again", "."), images=("set/a.png",)), _find(["set/a.png"])),
    "a link to the folder above": (linked(("set/up", ".."), images=("set/a.png",)), _find(["set/a.png"])),
    "two links to each other": (
        linked(("set/b/c", "../d"), ("set/d/e", "../b"), images=("set/b/0.png", "set/d/1.png")),
        _find(["set/b/0.png", "set/d/1.png"]),
    ),
    "a folder whose link leads nowhere": (
        linked(("set/lot7", "gone"), images=("set/a.png",)),
        _find(["set/a.png", "set/lot7"], bad=("set/lot7",)),
    ),
    "an image whose link leads nowhere": (
        linked(("set/b.png", "gone"), images=("set/a.png",)),
        _find(["set/a.png", "set/b.png"], bad=("set/b.png",)),
    ),
    "an image whose link is a circle": (
        linked(("set/b.png", "b.png"), images=("set/a.png",)),
        _find(["set/a.png", "set/b.png"], bad=("set/b.png",)),
    ),
    "a glob with a link that leads nowhere": (
        linked(("set/b.png", "gone"), images=("set/a.png",)),
        _find(["set/a.png", "set/b.png"], "set/*.png", ("set/b.png",)),
    ),
    "a pipe": (
        all_of(images("set/a.png"), piped("set/b.png")),
        _find(["set/a.png", "set/b.png"], bad=("set/b.png",)),
    ),
    "a pipe alone": (
        piped("b.png"),
        _find(["b.png"], "b.png", ("b.png",)),
    ),
    "a device": (
        linked(("set/b.png", "/dev/full"), images=("set/a.png",)),
        _find(["set/a.png", "set/b.png"], bad=("set/b.png",)),
    ),
    "a list with a circle": (
        all_of(linked(("b.png", "b.png"), images=("a.png",)), _list("a.png\nb.png\n")),
        _find(["a.png", "b.png"], "list.txt", ("b.png",)),
    ),
    "a list with a link that leads nowhere, a folder, a pipe": (
        all_of(
            linked(("b.png", "gone"), images=("a.png", "c/0.png")), piped("d.png"), _list("a.png\nb.png\nc\nd.png\n")
        ),
        _find(["a.png", "b.png", "c", "d.png"], "list.txt", ("b.png", "c", "d.png")),
    ),
    "a list with a name that cannot be": (
        all_of(images("a.png"), _list("a.png\n\0.png\n")),
        _find(["a.png", "\0.png"], "list.txt", ("\0.png",)),
    ),
}


def _checkpoint_is_a_pipe(folder: Path) -> str | None:
    os.mkfifo(folder / "best.ckpt")
    try:
        load_model(folder / "best.ckpt")
    except UserError as error:
        return None if "is no file but a pipe or a device" in str(error) else f"said {error}"
    return "read a pipe"


def _found(make: Make, check: Check) -> Check:
    def both(folder: Path) -> str | None:
        make(folder)
        return check(folder)

    return both


def kinds() -> Iterable[Kind]:
    """Every link, and every way of finding images."""
    for name, (make, right) in _LINKS.items():
        yield Kind(name, made(make, right))
    for name, (make, check) in _FINDS.items():
        yield Kind(f"find: {name}", _found(make, check))
    yield Kind("find: a subfolder that cannot be read", _find_closed(["set/a.png", "set/locked"], "set"))
    yield Kind("find: a glob into a subfolder that cannot be read", _find_closed(["set/locked"], "set/*/x*.png"))
    yield Kind("a class that cannot be read", _closed_class)
    yield Kind("a checkpoint that is a pipe", _checkpoint_is_a_pipe)
