"""Files that programs put beside images: which they are, and the pixel sizes in those of microscopes."""

import re
from pathlib import Path

from sem_lightning.io.images import IMAGE_SUFFIXES
from sem_lightning.io.lengths import read_length
from sem_lightning.io.text_encoding import UTF_8, find_encoding

_NEVER_IMAGES = (".hdr", ".json", ".xml", ".ini", ".yaml", ".yml")
_NAMES = ("thumbs.db", "ehthumbs.db", "classes.txt")
_BYTES_READ = 1 << 16
_NUMBER = r"([\d.,eE+-]+)"
TESCAN = re.compile(rf"\bPixelSizeX[^\S\n]*=[^\S\n]*{_NUMBER}")
_HITACHI = re.compile(r"^\s*PixelSize\s*=\s*(\S+(?: \S+)?)\s*$", re.MULTILINE)
_JEOL_BAR = re.compile(rf"^\s*\${{1,2}}SM_MICRON_BAR\s+{_NUMBER}\s*$", re.MULTILINE)
_JEOL_MARKER = re.compile(r"^\s*\${1,2}SM_MICRON_MARKER\s+(\S+(?: \S+)?)\s*$", re.MULTILINE)


def is_sidecar(path: Path) -> bool:
    """Whether a file is neither an image nor meant as one.

    Such are hidden files, those of Windows, those with the suffix of another kind (``.hdr``, ``.json``, ``.xml``), and
    a text file beside an image of the same name, as Hitachi, JEOL and YOLO write it.
    """
    name, suffix = path.name.lower(), path.suffix.lower()
    if name.startswith(".") or name in _NAMES or suffix in _NEVER_IMAGES:
        return True
    if suffix != ".txt":
        return False
    beside = [path.with_suffix(each) for end in IMAGE_SUFFIXES for each in (end, end.upper())]
    named_whole = path.with_suffix("")  # a.tif.txt
    return any(each.is_file() for each in (*beside, *([named_whole] if is_image_name(named_whole) else [])))


def is_image_name(path: Path) -> bool:
    """Whether a name ends like that of an image."""
    return path.suffix.lower() in IMAGE_SUFFIXES


def read_sidecar(image: Path) -> float | None:
    """Width of a pixel of an image in nm, if a file of TESCAN, Hitachi or JEOL beside it holds it.

    Raises:
        ValueError, KeyError, ZeroDivisionError: The file holds something else where the size should be.
    """
    stem, kind = image.stem, image.suffix[1:]
    names = [f"{stem}{end}" for end in (".hdr", ".HDR", ".txt", ".TXT")] + [f"{stem}-{kind}.hdr", f"{image.name}.txt"]
    texts = (_read_text(image.with_name(name)) for name in names)
    found = (read(text) for text in texts if text for read in (_of_tescan, _of_hitachi, _of_jeol))
    return next((size for size in found if size is not None), None)


def _read_text(path: Path) -> str:
    """The beginning of a text file in UTF-8, UTF-16 or Latin-1; empty if there is none."""
    try:
        if not path.is_file():
            return ""
        with path.open("rb") as stream:
            data = stream.read(_BYTES_READ)
    except (OSError, ValueError):
        return ""
    encoding = find_encoding(data)
    try:
        return data.decode(encoding, "strict" if encoding == UTF_8 else "replace")
    except UnicodeDecodeError:
        return data.decode("latin-1")


def _of_tescan(text: str) -> float | None:
    found = TESCAN.search(text)
    return read_length(found[1], "m") if found else None


def _of_hitachi(text: str) -> float | None:
    found = _HITACHI.search(text) if "[SemImageFile]" in text else None
    return read_length(found[1], "nm") if found else None


def _of_jeol(text: str) -> float | None:
    bar, marker = _JEOL_BAR.search(text), _JEOL_MARKER.search(text)
    return read_length(marker[1], "um") / float(bar[1].replace(",", ".")) if bar and marker else None
