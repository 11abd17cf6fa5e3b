"""Merged: two neighbouring holes have grown together."""

from dataclasses import dataclass
from typing import ClassVar

from sem_lightning.synthesis.defects.bridge import Bridge


@dataclass(frozen=True)
class Merged(Bridge):
    """The wall between two holes is open: the same strip as a bridge's, between holes."""

    name: ClassVar[str] = "merged"
    site_kind: ClassVar[str] = "between_holes"
