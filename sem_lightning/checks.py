"""Checks of single settings."""

from collections.abc import Sequence
from pathlib import Path

from sem_lightning.errors import SettingError

MAX_WORKERS = 256  # processes of one command on one machine
MAX_THREADS = 1024
_LARGEST_WEIGHT = 1e9


def at_least(key: str, value: int, low: int) -> None:
    """Refuse a value below ``low``.

    Raises:
        SettingError: For ``key``.
    """
    if value < low:
        raise SettingError(key, f"found {value}, expected at least {low}")


def between(key: str, value: float, low: float, high: float, unit: str = "") -> None:
    """Refuse a value below ``low``, above ``high``, or NaN.

    Raises:
        SettingError: For ``key``.
    """
    if not low <= value <= high:
        raise SettingError(key, f"found {value:g}, expected {low:g} to {high:g} {unit}".rstrip())


def check_weights(key: str, weights: Sequence[float], classes: Sequence[str]) -> None:
    """Check that there is one finite number from 0 for each class, and not only zeros.

    Raises:
        SettingError: For ``key``.
    """
    if len(weights) != len(classes) or not all(0 <= each <= _LARGEST_WEIGHT for each in weights) or not any(weights):
        raise SettingError(
            key,
            f"found {list(weights)}, expected one number from 0 to {_LARGEST_WEIGHT:g} for each of "
            f"{', '.join(classes)}, not all 0",
        )


def file_name(key: str, name: str) -> None:
    """Refuse a path that names no file, such as an empty one.

    Raises:
        SettingError: For ``key``.
    """
    if not Path(name).name:
        raise SettingError(key, f"found {name!r}, expected the name of a file")


def one_of(key: str, value: str, allowed: Sequence[str]) -> None:
    """Refuse a value that is not among those allowed.

    Raises:
        SettingError: For ``key``.
    """
    if value not in allowed:
        raise SettingError(key, f"found {value!r}, expected one of {', '.join(allowed)}")


def share(key: str, value: float) -> None:
    """Refuse a value that is not between 0 and 1, or is one of them.

    Raises:
        SettingError: For ``key``.
    """
    if not 0 < value < 1:
        raise SettingError(key, f"found {value:g}, expected a share between 0 and 1")
