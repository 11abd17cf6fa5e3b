"""The images of a reviewed folder: names, contents, and why one cannot be shown."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

from sem_lightning.errors import SettingError
from sem_lightning.io.find import find_images
from sem_lightning.io.limits import MAX_BYTES

CHANGED = "has another content than when it was judged; start the command again"


class MissingImageError(Exception):
    """An image that cannot be shown now. The message says why in one line, and does not name it."""


@dataclass(frozen=True)
class ReviewImage:
    """An image of the folder.

    Attributes:
        number: Its place in the list of all, by which requests name it.
        name: Its path below the folder, with slashes.
        path: Its file.
        sha256: Of its content; empty if it cannot be read.
        error: Why it cannot be read.
    """

    number: int
    name: str
    path: Path
    sha256: str
    error: str | None = None

    def read(self) -> bytes:
        """The content, which is that of ``sha256``.

        Raises:
            MissingImageError: It is gone, cannot be read, or has changed.
        """
        data = read_file(self.path)
        if hashlib.sha256(data).hexdigest() != self.sha256:
            raise MissingImageError(CHANGED)
        return data


def read_file(path: Path) -> bytes:
    """The content of a file of bounded size.

    Raises:
        MissingImageError: It cannot be read.
    """
    try:
        if not path.is_file():
            raise MissingImageError("is not there (any more)" if not path.exists() else "is no file")
        if path.stat().st_size > MAX_BYTES:
            raise MissingImageError(f"has more than {MAX_BYTES >> 20} MiB")
        return path.read_bytes()
    except (OSError, ValueError) as error:
        raise MissingImageError(f"cannot be read: {getattr(error, 'strerror', None) or error}") from None


def check_folder(folder: Path) -> None:
    """Refuse what is no folder.

    Raises:
        SettingError: For ``images``.
    """
    if not folder.is_dir():
        raise SettingError("images", f"found no folder {folder}; expected one that holds images")


def list_review_images(folder: Path, output: Path) -> list[ReviewImage]:
    """The images below a folder, by name.

    Args:
        folder: The folder.
        output: Where answers go; images in it are left out.

    Raises:
        SettingError: No such folder, or no images in it.
    """
    check_folder(folder)
    return [_look_at(number, folder, path) for number, path in enumerate(find_images(str(folder), leave_out=output))]


def _look_at(number: int, folder: Path, path: Path) -> ReviewImage:
    name = path.relative_to(folder).as_posix()
    try:
        name.encode("utf-8")
    except UnicodeEncodeError:
        shown = name.encode("utf-8", "backslashreplace").decode()
        return ReviewImage(number, shown, path, "", "its name is not UTF-8; rename it")
    try:
        return ReviewImage(number, name, path, hashlib.sha256(read_file(path)).hexdigest())
    except MissingImageError as error:
        return ReviewImage(number, name, path, "", str(error))
