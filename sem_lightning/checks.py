"""Checks of single settings."""

from collections.abc import Sequence

from sem_lightning.errors import SettingError


def at_least(key: str, value: int, low: int) -> None:
    """Refuse a value below ``low``.

    Raises:
        SettingError: For ``key``.
    """
    if value < low:
        raise SettingError(key, f"found {value}, expected at least {low}")


def one_of(key: str, value: str, allowed: Sequence[str]) -> None:
    """Refuse a value that is not among those allowed.

    Raises:
        SettingError: For ``key``.
    """
    if value not in allowed:
        raise SettingError(key, f"found {value!r}, expected one of {', '.join(allowed)}")
