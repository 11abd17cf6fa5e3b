"""Compares pairs of files one after the other, and gives the results to all that write or collect them."""

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from sem_lightning.inference.overlay import clear_overlays, save_overlay
from sem_lightning.inspection.design.design import Design
from sem_lightning.inspection.inspection import Inspection
from sem_lightning.inspection.inspector import Inspector
from sem_lightning.inspection.panels import draw_overlay
from sem_lightning.inspection.references import InspectionPair
from sem_lightning.inspection.writers import UNREADABLE
from sem_lightning.io.result_files import Inputs, check_spared


class Sink(Protocol):
    """Takes the result of each pair, in order."""

    def add(self, inspection: Inspection) -> None:
        """Take the result of the next pair."""

    def add_unusable(self, pair: InspectionPair, reason: str, error: str) -> None:
        """Take the next pair, which could not be compared; see `InspectionWriter.add_unusable`."""


class Overlays:
    """Writes images with their places to a folder, which is emptied before.

    Args:
        folder: It is made with the first picture.
        inputs: What is read, and must not lie in the folder.

    Raises:
        SettingError: Something in the folder is read.
    """

    def __init__(self, folder: Path, inputs: Inputs) -> None:
        check_spared([("overlays", folder)], inputs)
        clear_overlays(folder)
        self._folder = folder
        self._number = 0

    def add(self, inspection: Inspection) -> None:
        """Write the picture of the next pair."""
        self._number += 1
        assert inspection.path is not None  # pairs are files
        save_overlay(self._folder, self._number, inspection.path, draw_overlay(inspection))

    def add_unusable(self, pair: InspectionPair, reason: str, error: str) -> None:
        """Count the next pair, which has no picture."""
        self._number += 1


def inspect_pairs(
    inspector: Inspector, pairs: Sequence[InspectionPair], design: Design | None, sinks: Sequence[Sink]
) -> list[str]:
    """Compare pairs of files and give each result to all sinks, in order.

    Args:
        inspector: Compares them.
        pairs: See `find_pairs`; those with a fault are not compared.
        design: What images are compared with whose reference is ``design``.
        sinks: Take the results.

    Returns:
        What is wrong with each pair that could not be used, a line each.
    """
    results = inspector.stream((pair for pair in pairs if pair.fault is None), design)
    unusable: list[str] = []
    for pair in pairs:
        found = next(results) if pair.fault is None else None
        if isinstance(found, Inspection):
            for sink in sinks:
                sink.add(found)
            continue
        error = str(found.error) if found else f"{pair.image}: {pair.fault}: {pair.detail}"
        unusable.append(error)
        for sink in sinks:
            sink.add_unusable(pair, pair.fault or UNREADABLE, error)
    return unusable
