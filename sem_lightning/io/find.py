"""Finds the image files that a user names."""

import glob
from pathlib import Path

from sem_lightning.errors import SettingError
from sem_lightning.io.dataset_format import CLEAN, DESCRIPTION, MASKS, PREVIEW
from sem_lightning.io.images import IMAGE_SUFFIXES

LIST_SUFFIX = ".txt"


def find_images(pattern: str, leave_out: Path | None = None) -> list[Path]:
    """The image files of a folder, of a glob, or of a list.

    Args:
        pattern: A folder (with subfolders except ``masks``) or a glob, both sorted by name; or a text file with one
            path a line, in that order, relative to the file's folder.
        leave_out: A folder to skip, with images that this package draws.

    Raises:
        SettingError: There are none, or the list cannot be read.
    """
    if not pattern.strip():
        raise SettingError("images", "found nothing; expected a folder, a glob such as 'data/*.tif', or a .txt file")
    place = Path(pattern).expanduser()
    if place.is_dir():
        found = (path for path in place.rglob("*") if path.suffix.lower() in IMAGE_SUFFIXES and path.is_file())
        ours = {PREVIEW, CLEAN} if (place / DESCRIPTION).is_file() else set()  # a set of generate.py
        paths = sorted(path for path in found if not {MASKS, *ours} & set(path.relative_to(place).parts))
    elif place.suffix.lower() == LIST_SUFFIX and place.is_file():
        paths = _read_list(place)
    elif place.is_file():
        paths = [place]  # even if its name is also a pattern
    else:
        names = glob.glob(_escape_folders(place), recursive=True)  # noqa: PTH207
        paths = sorted({Path(name) for name in names if Path(name).is_file()})
    if leave_out is not None:
        paths = [path for path in paths if leave_out.resolve() not in path.resolve().parents]
    if not paths:
        raise SettingError(
            "images",
            f"found no images at {pattern}; expected a folder, a glob such as 'data/*.tif', or a .txt file that lists "
            f"them ({', '.join(IMAGE_SUFFIXES)})",
        )
    return paths


def _escape_folders(pattern: Path) -> str:
    """The glob with its first folders escaped, as far as they exist: a folder may be called ``[a]``."""
    there = Path()
    parts = list(pattern.parts)
    while parts and (there / parts[0]).is_dir():
        there /= parts.pop(0)
    return str(Path(glob.escape(str(there)), *parts))


def _read_list(listing: Path) -> list[Path]:
    try:
        lines = listing.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise SettingError("images", f"{listing} is not a list of paths in UTF-8 ({error.reason})") from None
    return [listing.parent / line.strip() for line in lines if line.strip()]
