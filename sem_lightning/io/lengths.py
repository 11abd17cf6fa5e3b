"""Lengths as the files of microscopes give them, in nm."""

import re
from types import MappingProxyType

_METRES = MappingProxyType({"pico": 1e-3, "nano": 1.0, "micro": 1e3, "milli": 1e6, "centi": 1e7, "": 1e9})  # nm
_NM = MappingProxyType(
    {
        "pm": 1e-3,
        **dict.fromkeys(("angstrom", "angstroms", "\u00e5", "a", "\u00e5ngstr\u00f6m"), 0.1),
        "nm": 1.0,
        **dict.fromkeys(("um", "\u00b5m", "micron", "microns"), 1e3),
        "mm": 1e6,
        "cm": 1e7,
        **dict.fromkeys(("inch", "inches", "in"), 2.54e7),
        "m": 1e9,
        **{f"{prefix}met{end}": nm for prefix, nm in _METRES.items() for end in ("er", "re", "ers", "res")},
    }
)
_ESCAPE = re.compile(r"\\u([0-9a-fA-F]{4})")  # ImageJ writes other letters so
_VALUE = re.compile(r"\s*([-+\d.,eE]+)\s*(\S*)\s*")


def read_length(value: object, unit: str) -> float:
    """A length in nm.

    Args:
        value: A number, or text with a decimal point or comma and optionally a unit (``"1,25 nm"``).
        unit: Unit of a number without one.

    Raises:
        ValueError: Not a number.
        KeyError: An unknown unit, such as pixels.
    """
    found = _VALUE.fullmatch(str(value))
    if found is None:
        raise ValueError(f"found {value!r}, expected a length")
    return float(found[1].replace(",", ".")) * nanometres(found[2] or unit)


def nanometres(unit: str) -> float:
    """Nanometres in a unit of length; raises KeyError for other units."""
    name = _ESCAPE.sub(lambda code: chr(int(code[1], 16)), unit).strip()
    return _NM[name.replace("\u03bc", "\u00b5").replace("\u212b", "\u00e5").lower()]
