"""The files of a labelled folder, as written by ``generate.py`` and read by ``data=folder``."""

from pathlib import Path

LABELS = "labels.csv"  # filename,label and optionally split
DESCRIPTION = "dataset.json"  # classes, pixel size, polarity, ...
METADATA = "metadata.jsonl"  # one scene a line
PREVIEW = "preview.png"
MASKS = "masks"  # mirrors the folder, with one mask PNG for each image


def mask_path(root: Path, image: Path) -> Path | None:
    """Where the mask of an image lies, if anywhere; images outside ``root`` have none."""
    if not image.is_relative_to(root):
        return None
    return (root / MASKS / image.relative_to(root)).with_suffix(".png")
