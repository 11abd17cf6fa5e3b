"""Parses overrides with Hydra."""

from collections.abc import Sequence

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import ChoiceSweep, Override, RangeSweep
from hydra.errors import HydraException

from sem_lightning.errors import UserError

__all__ = ["Override", "is_grid", "parse_overrides"]


def parse_overrides(overrides: Sequence[str]) -> list[Override]:
    """Parse each override.

    Raises:
        UserError: Hydra cannot parse an override.
    """
    parser, parsed = OverridesParser.create(), []
    for each in overrides:
        try:
            parsed.append(parser.parse_override(each))
        except HydraException as error:
            raise UserError(f"{each}: {str(error).splitlines()[0]}") from None
    return parsed


def is_grid(override: Override) -> bool:
    """Whether a swept override is a list or range of values."""
    return isinstance(override.value(), ChoiceSweep | RangeSweep)
