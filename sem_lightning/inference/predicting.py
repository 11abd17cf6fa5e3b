"""Judges files one after the other, and writes what was found."""

from collections.abc import Sequence
from pathlib import Path

from sem_lightning.inference.overlay import clear_overlays, draw_overlay, save_overlay
from sem_lightning.inference.prediction import UnreadableImage
from sem_lightning.inference.predictor import Predictor
from sem_lightning.inference.writers import PredictionWriter


def write_predictions(
    predictor: Predictor, paths: Sequence[Path], writer: PredictionWriter, overlays: Path | None
) -> list[str]:
    """Judge files and write the predictions.

    Args:
        predictor: With ``explain=True`` if overlays are drawn.
        paths: The files.
        writer: Takes the predictions.
        overlays: A folder for overlays, which is emptied before; ``None`` draws none.

    Returns:
        What is wrong with each file that could not be read.
    """
    if overlays is not None:
        clear_overlays(overlays)
    unreadable: list[str] = []
    with writer.open():
        for number, found in enumerate(predictor.stream(paths), start=1):
            if isinstance(found, UnreadableImage):
                unreadable.append(str(found.error))
                writer.add_unreadable(found)
                continue
            writer.add(found)
            if overlays is not None:
                save_overlay(overlays, number, found.path, draw_overlay(found))
    return unreadable
