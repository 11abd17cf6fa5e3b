"""Finds the image files that a user names."""

import glob
import os
from collections.abc import Set
from pathlib import Path

from sem_lightning.errors import SettingError
from sem_lightning.io.dataset_format import CLEAN, DESCRIPTION, GROUND_TRUTH, MASKS, PREVIEW
from sem_lightning.io.images import IMAGE_SUFFIXES
from sem_lightning.io.sidecars import is_image_name, is_sidecar
from sem_lightning.io.text_encoding import UTF_8, find_encoding

LIST_SUFFIX = ".txt"


def find_images(pattern: str, leave_out: Path | None = None) -> list[Path]:
    """The image files of a folder, of a glob, or of a list.

    What cannot be read is among them, so that reading it gives an error with its name: subfolders without permission,
    links that lead nowhere, pipes and devices with the name of an image.

    Args:
        pattern: A folder (with subfolders except ``masks`` and ``ground_truth``, also linked ones) or a glob, both
            sorted by name; or a text file with one path a line, in that order, relative to the file's folder.
        leave_out: A folder to skip, with images that this package draws.

    Raises:
        SettingError: There are none, or the list cannot be read.
    """
    if not pattern.strip():
        raise SettingError("images", "found nothing; expected a folder, a glob such as 'data/*.tif', or a .txt file")
    place = Path(pattern).expanduser()
    if place.is_dir():
        ours = {PREVIEW, CLEAN} if (place / DESCRIPTION).is_file() else set()  # a set of generate.py
        paths = _in_folder(place, {MASKS, GROUND_TRUTH, *ours})
    elif place.suffix.lower() == LIST_SUFFIX and place.is_file():
        paths = _read_list(place)
    elif place.is_file():
        paths = [place]  # even if its name is also a pattern
    else:
        names = glob.glob(_escape_folders(place), recursive=True)  # noqa: PTH207
        paths = sorted({Path(name) for name in names if _may_be_image(Path(name))} | _closed_folders(place))
    if leave_out is not None:
        skipped = Path(os.path.realpath(leave_out))
        paths = [path for path in paths if not is_inside(path, skipped)]
    if not paths:
        raise SettingError(
            "images",
            f"found no images at {pattern}; expected a folder, a glob such as 'data/*.tif', or a .txt file that lists "
            f"them ({', '.join(IMAGE_SUFFIXES)})",
        )
    return paths


def _escape_folders(pattern: Path) -> str:
    """The glob with its first folders escaped, as far as they exist: a folder may be called ``[a]``."""
    there = existing_folder(pattern)
    return str(Path(glob.escape(str(there)), *pattern.parts[len(there.parts) :]))


def existing_folder(pattern: Path) -> Path:
    """The first folders of a path or glob, as far as they exist: those in which its files are looked for."""
    there = Path()
    for part in pattern.parts:
        if not (there / part).is_dir():
            break
        there /= part
    return there


def _in_folder(root: Path, left_out: Set[str]) -> list[Path]:
    """The images below a folder. Every folder is read once, and linked ones last, so that links may form loops."""
    found: list[Path] = []
    seen: set[tuple[int, int]] = set()
    folders, linked = [root], list[Path]()
    while folders or linked:
        folder = folders.pop() if folders else linked.pop(0)
        try:
            facts = folder.stat()
            if (facts.st_dev, facts.st_ino) in seen:
                continue
            seen.add((facts.st_dev, facts.st_ino))
            entries = [(each, is_folder(each)) for each in sorted(folder.iterdir()) if each.name not in left_out]
        except OSError:
            found.append(folder)
            continue
        for entry, within in entries:
            if within:
                (linked if entry.is_symlink() else folders).append(entry)
            elif not entry.name.startswith("._") and (is_image_name(entry) or may_be_lost_folder(entry)):
                found.append(entry)
    return sorted(found)


def may_be_lost_folder(path: Path) -> bool:
    """Whether this is a link that leads nowhere and may have led to a folder, as its name has no suffix."""
    return not path.suffix and not path.name.startswith(".") and path.is_symlink() and not path.exists()


def _may_be_image(path: Path) -> bool:
    """Whether what a glob found is meant as an image; hidden files are found only by their names."""
    return not is_folder(path) and (path.name.startswith(".") or not is_sidecar(path))


def is_folder(path: Path) -> bool:
    """Whether this is a folder, as far as can be seen without permission."""
    try:
        return path.is_dir()
    except OSError:  # no permission
        return False


def _closed_folders(pattern: Path) -> set[Path]:
    """The folders in which a glob finds nothing because they cannot be read."""
    parents = (f"{_escape_folders(parent)}/" for parent in pattern.parents)
    folders = (Path(name) for parent in parents for name in glob.glob(parent, recursive=True))  # noqa: PTH207
    return {folder for folder in folders if not os.access(folder, os.R_OK | os.X_OK)}


def is_inside(path: Path, folder: Path) -> bool:
    """Whether a path lies in a folder when all links are followed; one that leads in a circle does not."""
    try:
        return folder in Path(os.path.realpath(path)).parents
    except ValueError:  # no valid name
        return False


def _read_list(listing: Path) -> list[Path]:
    """The paths of a list, one on each line, in UTF-8 or UTF-16. Bytes that are not UTF-8 are names as they are."""
    data = listing.read_bytes()
    encoding = find_encoding(data)
    text = data.decode(encoding, "surrogateescape" if encoding == UTF_8 else "replace")
    return [listing.parent / line.strip() for line in text.split("\n") if line.strip()]
