"""Which number in a KLARF file stands for which class of a classifier."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from sem_lightning.decision.rule import UNSURE_NAME
from sem_lightning.errors import SettingError
from sem_lightning.klarf.limits import LARGEST_CLASS

_KEY = "klarf.classes"
_MAX_BYTES = 1 << 16


def find_class_numbers(
    file: Path | None, lookup: Mapping[int, str], classes: Sequence[str], further: Sequence[str] = ()
) -> dict[str, int]:
    """The class number of each decision.

    Args:
        file: A YAML file with a number, or a name in ``lookup``, for each class and optionally for ``unsure``; ``null``
            leaves defects with this decision as they are. ``None`` takes the numbers of the same names in ``lookup``.
        lookup: Names of a file's classes by number.
        classes: Of the classifier; each needs a number.
        further: Names that may have one.

    Returns:
        Class numbers by decision. A decision without one leaves the number of a defect as it is.

    Raises:
        SettingError: A class without a number, an unknown name, or no such file.
    """
    allowed = (*classes, *further, UNSURE_NAME)
    known = {_plain(name): number for number, name in sorted(lookup.items(), reverse=True)}  # of two the lowest
    if file is None:
        missing = [name for name in classes if _plain(name) not in known]
        if missing:
            raise SettingError(
                _KEY,
                f"needs a value, because ClassLookup names no class {missing[0]}; name a YAML file with lines such as "
                f"'{missing[0]}: 7' for each of {', '.join(classes)}, and optionally {UNSURE_NAME}",
            )
        return {name: known[_plain(name)] for name in allowed if _plain(name) in known}
    given = _read(file)
    for name in given:
        if name not in allowed:
            raise SettingError(_KEY, f"{file}: found {name!r}, expected {', '.join(allowed)}")
    missing = [name for name in classes if name not in given]
    if missing:
        raise SettingError(
            _KEY, f"{file}: has no number for {missing[0]}, expected one for each of {', '.join(classes)}"
        )
    numbers = {name: _number(file, name, value, known) for name, value in given.items() if value is not None}
    return {name: numbers[name] for name in allowed if name in numbers}


def _plain(name: str) -> str:
    """A name by which two writers mean the same class."""
    return "".join(letter for letter in name.lower() if letter.isalnum())


def _read(file: Path) -> dict[Any, Any]:
    try:
        with file.open("rb") as stream:
            text = stream.read(_MAX_BYTES + 1)
        if len(text) > _MAX_BYTES:
            raise SettingError(_KEY, f"{file}: more than {_MAX_BYTES >> 10} KiB, expected a line for each class")
        found = yaml.safe_load(text)
    except OSError as error:
        raise SettingError(_KEY, f"{file}: {error.strerror or error}") from None
    except (yaml.YAMLError, ValueError, RecursionError):
        raise SettingError(_KEY, f"{file}: is no YAML, expected lines such as 'gap: 7'") from None
    if not isinstance(found, dict):
        raise SettingError(_KEY, f"{file}: found no names with numbers, expected lines such as 'gap: 7'")
    return found


def _number(file: Path, name: str, value: object, known: Mapping[str, int]) -> int:
    if isinstance(value, str) and _plain(value) in known:
        return known[_plain(value)]
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= LARGEST_CLASS:
        raise SettingError(
            _KEY,
            f"{file}: {name}: found {value!r}, expected a whole number from 0 to {LARGEST_CLASS}, or a name in the "
            "KLARF file's ClassLookup",
        )
    return value
