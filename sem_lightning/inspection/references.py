"""Finds which reference belongs to which image."""

import fnmatch
import glob
import os
import re
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from sem_lightning.errors import SettingError, UserError
from sem_lightning.io.csv_table import read_table, with_slashes
from sem_lightning.io.find import existing_folder, find_images, is_folder, is_inside
from sem_lightning.io.images import read_gray
from sem_lightning.io.sidecars import is_image_name

SELF: Literal["self"] = "self"
DESIGN: Literal["design"] = "design"
NO_REFERENCE = "no reference"
LIST_SUFFIX = ".csv"
_PLACEHOLDER = re.compile(r"\{(\w+)\}")
_NAME = "name"  # what the placeholder {name} stands for unless images has it: the file's name without its suffix
_COLUMNS = {
    "image": ("image", "inspected", "file", "filename", "file_name", "image_name", "image_path", "path"),
    "reference": ("reference", "golden", "ref", "reference_image", "reference_path", "template"),
}


@dataclass(frozen=True)
class InspectionPair:
    """An image and what it is compared with.

    Attributes:
        image: The file to inspect.
        references: Its reference; of several most count. ``self`` compares the cells of a periodic
            pattern with each other; ``design`` compares with a layout or a mask.
        fault: `NO_REFERENCE`; ``None`` if there is one.
        detail: What was found in place of a reference, for a message.
    """

    image: Path
    references: tuple[Path, ...] | Literal["self", "design"]
    fault: str | None = None
    detail: str = ""


_Words = dict[str, str]  # what the placeholders stand for in an image's path
_Chosen = tuple[Path, ...] | Literal["self"] | str  # references, or why there are none


def find_pairs(
    images: str,
    reference: str | None,
    leave_out: Path | None = None,
    say: Callable[[str], object] = lambda line: None,
) -> list[InspectionPair]:
    """Pair images with their references.

    Images that are references of others are not among the pairs, unless a list names them as images.

    Args:
        images: A folder, a glob, a text file with one path a line (see `find_images`), or a CSV file with the columns
            ``image`` and ``reference``, relative to its own folder; several lines of an image are several references.
            In a glob ``{word}`` stands for any text without a slash.
        reference: A folder with files of the same names and subfolders (another suffix of images, if only one file has
            the stem); one image file for all; such a CSV file; ``self``; ``design``; or a pattern, in which ``{word}``
            is what it is in ``images``, and ``{name}`` otherwise the image's file name without its suffix. Patterns
            may be globs, for several references. One without a folder is looked for beside the image.
        leave_out: A folder to skip.
        say: Called with a sentence if images are left out because they are references.

    Raises:
        SettingError: No images, no reference for any of them, or no such file, folder or placeholder.
        UserError: The list cannot be read, or the one reference for all.
    """
    if _is_list(images):
        if reference is not None:
            raise SettingError("reference", f"found {reference!r}, expected none, because images={images} lists them")
        listing = Path(images).expanduser()
        listed = _read_list(listing)
        return _some([_checked(_pair(image, chosen)) for image, chosen in listed.items()], str(listing))
    if not reference:
        raise SettingError(
            "reference",
            "needs a value: add reference=... to the command: a folder, a file, a pattern such as "
            "'{name}_reference.tif', a .csv file, or self",
        )
    found = _find_named(images, leave_out)
    if reference == SELF:
        return [InspectionPair(image, SELF) for image, _ in found]
    if reference == DESIGN:
        return [InspectionPair(image, DESIGN) for image, _ in found]
    reference = os.path.expanduser(reference)  # noqa: PTH111, pathlib drops "./"
    place = Path(reference)
    choose = _chooser(images, reference, place)
    inspected = _outside(found, images, place) if place.is_dir() else found
    pairs = _without_references([_pair(image, choose(image, words)) for image, words in inspected])
    if not pairs:
        raise SettingError("reference", f"{reference} makes every image the reference of another; none is left")
    if len(pairs) < len(found):
        say(f"{len(found) - len(pairs)} of {len(found)} images are references and are not inspected")
    return _some([_checked(pair) for pair in pairs], reference)


def reference_finder(folder: Path, reference: str) -> Callable[[Path], InspectionPair | None]:
    """What pairs single images of a folder with their references, as they come; see `find_pairs`.

    Args:
        folder: Where the images are.
        reference: As in `find_pairs`, but for ``design``; ``{name}`` is the only placeholder.

    Returns:
        A function of an image's path. It gives ``None`` for a file that is a reference by its name: it lies in the
        folder of the references, or has a name that the pattern gives.

    Raises:
        SettingError: No such file, folder or placeholder.
        UserError: The list cannot be read, or the one reference for all.
    """
    if reference == SELF:
        return lambda image: InspectionPair(image, SELF)
    reference = os.path.expanduser(reference)  # noqa: PTH111, pathlib drops "./"
    place = Path(reference)
    choose = _chooser(str(folder), reference, place)
    pattern = _PLACEHOLDER.sub("*", reference)

    def find(image: Path) -> InspectionPair | None:
        if place.exists():
            is_reference = is_inside(image, place.resolve()) or full_path(image) == full_path(place)
        else:
            name = str(image) if os.path.dirname(reference) else image.name  # noqa: PTH120
            is_reference = fnmatch.fnmatchcase(name, pattern)
        return None if is_reference else _checked(_pair(image, choose(image, {_NAME: image.stem})))

    return find


def _outside(found: list[tuple[Path, _Words]], images: str, folder: Path) -> list[tuple[Path, _Words]]:
    """The images outside the folder of the references, where that lies within the folder of the images.

    Raises:
        SettingError: There are none.
    """
    root, folder = existing_folder(Path(images).expanduser()).resolve(), folder.resolve()
    if root != folder and root not in folder.parents:
        return found
    outside = [(image, words) for image, words in found if not is_inside(image, folder)]
    if not outside:
        raise SettingError("reference", f"{folder} is the folder of the images; name another, or a pattern")
    return outside


def _is_list(name: str) -> bool:
    place = Path(name).expanduser()
    return place.suffix.lower() == LIST_SUFFIX and place.is_file()


def _pair(image: Path, chosen: _Chosen) -> InspectionPair:
    if isinstance(chosen, str):
        return InspectionPair(image, (), NO_REFERENCE, chosen)
    return InspectionPair(image, chosen)


def _some(pairs: list[InspectionPair], reference: str) -> list[InspectionPair]:
    """The pairs, if at least one image has a reference."""
    first = pairs[0]
    if all(pair.fault == NO_REFERENCE for pair in pairs):
        images = f"any of {len(pairs)} images" if len(pairs) > 1 else "the image"
        raise SettingError("reference", f"{reference} has none for {images}; for {first.image}: {first.detail}")
    return pairs


def _find_named(images: str, leave_out: Path | None) -> list[tuple[Path, _Words]]:
    """The images, with what the placeholders stand for in their paths."""
    if not _PLACEHOLDER.search(images) or os.path.lexists(images):
        return [(path, {_NAME: path.stem}) for path in find_images(images, leave_out)]
    pattern, expression, known = "", "", set[str]()
    for part in re.split(r"(\{\w+\}|\*\*|\*|\?)", str(Path(images).expanduser())):
        word = part[1:-1]
        if _PLACEHOLDER.fullmatch(part):
            pattern += "?*"
            expression += f"(?P={word})" if word in known else f"(?P<{word}>[^/\\\\]+)"
            known.add(word)
        else:
            wild = {"**": ".*", "*": r"[^/\\]*", "?": r"[^/\\]"}.get(part)
            pattern += glob.escape(part) if wild is None else part
            expression += re.escape(part) if wild is None else wild
    matches = [(path, re.fullmatch(expression, str(path), re.DOTALL)) for path in find_images(pattern, leave_out)]
    # a folder that cannot be read does not match, and is named later
    return [
        (path, {_NAME: path.stem} | (match.groupdict() if match else {}))
        for path, match in matches
        if match or is_folder(path)
    ]


def _chooser(images: str, reference: str, place: Path) -> Callable[[Path, _Words], _Chosen]:
    """What finds the references of an image, given the words of its path."""
    if place.is_dir():
        return _by_folder(place, existing_folder(Path(images).expanduser()))
    if _is_list(reference):
        listed = {full_path(image): chosen for image, chosen in _read_list(place).items()}
        return lambda image, _: listed.get(full_path(image), f"{reference} does not list it")
    if os.path.lexists(place):
        read_gray(place)  # once here: an error of the one reference is no error of every image
        return lambda image, _: (place,)
    words = set(_PLACEHOLDER.findall(reference))
    if not words and not glob.has_magic(reference):
        raise SettingError(
            "reference",
            f"found no file or folder {reference}; expected one, a pattern such as '{{name}}_reference.tif', a .csv "
            "file with the columns image and reference, or self",
        )
    unknown = words - {_NAME, *_PLACEHOLDER.findall(images)}
    if unknown:
        raise SettingError(
            "reference",
            f"{{{min(unknown)}}} stands for nothing; expected {{{_NAME}}}, or a word that images has as well",
        )
    return lambda image, of_image: _by_pattern(reference, image, of_image)


def _by_folder(folder: Path, root: Path) -> Callable[[Path, _Words], _Chosen]:
    """Files of the same name in ``folder`` as the images have in ``root``."""
    stems: dict[Path, dict[str, list[Path]]] = {}

    def choose(image: Path, _: _Words) -> _Chosen:
        wanted = folder / (image.relative_to(root) if image.is_relative_to(root) else image.name)
        if os.path.lexists(wanted):
            return (wanted,)
        if wanted.parent not in stems:
            stems[wanted.parent] = _by_stem(wanted.parent)
        alike = stems[wanted.parent].get(wanted.stem, [])
        if len(alike) > 1:
            return f"{wanted.parent} has {' and '.join(path.name for path in alike)}, expected one of them"
        return tuple(alike) or f"{wanted} does not exist"

    return choose


def _by_stem(folder: Path) -> dict[str, list[Path]]:
    """The images of a folder by their names without suffix."""
    found: dict[str, list[Path]] = defaultdict(list)
    if folder.is_dir():
        for path in sorted(folder.iterdir()):
            if is_image_name(path) and not is_folder(path):
                found[path.stem].append(path)
    return found


def _by_pattern(reference: str, image: Path, words: _Words) -> _Chosen:
    """The files that a pattern names for an image."""
    folder = Path() if os.path.dirname(reference) else image.parent  # noqa: PTH120, pathlib drops "./"

    def fill(escape: Callable[[str], str]) -> str:
        return _PLACEHOLDER.sub(lambda found: escape(words.get(found[1], "")), reference)

    path = folder / fill(str)
    if os.path.lexists(path):
        return (path,)
    if not glob.has_magic(reference):
        return f"{path} does not exist"
    names = glob.glob(str(Path(glob.escape(str(folder)), fill(glob.escape))), recursive=True)  # noqa: PTH207
    found = [Path(name) for name in sorted(names) if is_image_name(Path(name)) and not is_folder(Path(name))]
    return tuple(each for each in found if full_path(each) != full_path(image)) or f"no file is {path}"


def _read_list(listing: Path) -> dict[Path, _Chosen]:
    """The references of each image of a list, in its order."""
    expected = "expected image,reference in the first line"
    listed: dict[Path, list[Path]] = {}
    for row in read_table(listing, _COLUMNS, ("image", "reference"), expected):
        image, reference = (with_slashes(listing.parent, row.cells.get(column, "")) for column in _COLUMNS)
        if not image:
            raise SettingError(
                "images", f"{listing}, line {row.number}: the image is empty; expected one in every line"
            )
        known = listed.setdefault(listing.parent / image, [])
        if reference and (path := listing.parent / reference) not in known:
            known.append(path)
    if not listed:
        raise UserError(f"{listing}: lists no images; expected one in every line after the first")
    return {image: tuple(known) or f"{listing} has no reference for it" for image, known in listed.items()}


def full_path(path: Path) -> str:
    """The path from the root, by which two names are compared; links stay as they are."""
    return os.path.abspath(path)  # noqa: PTH100


def _without_references(pairs: list[InspectionPair]) -> list[InspectionPair]:
    """The pairs of those images that are not the reference of another one."""
    images_of: dict[str, set[Path]] = defaultdict(set)
    for pair in pairs:
        for reference in pair.references:
            images_of[full_path(Path(reference))].add(pair.image)
    return [pair for pair in pairs if not images_of.get(full_path(pair.image), set()) - {pair.image}]


def _checked(pair: InspectionPair) -> InspectionPair:
    """The pair, with its fault if a file of a list is missing; the pixels show that an image is its own reference."""
    missing = [str(path) for path in pair.references if not os.path.lexists(path)]
    if pair.fault is not None or not missing:
        return pair
    return replace(pair, references=(), fault=NO_REFERENCE, detail=f"{missing[0]} does not exist")
