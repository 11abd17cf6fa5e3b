"""Contact sheets: a row of images for each class, with outlined defects."""

from collections.abc import Sequence

import cv2
import numpy as np
import numpy.typing as npt

from sem_lightning.synthesis.simulator import Sample

Picture = npt.NDArray[np.uint8]

_STRIP = 110  # pixels left of each row, for the class name
_OUTLINE = (0, 200, 255)  # amber, BGR
_INK = (0, 0, 0)


def draw_contact_sheet(rows: Sequence[tuple[str, Sequence[Sample]]], cell: int) -> Picture:
    """Draw a labelled sheet.

    Args:
        rows: A title and its samples.
        cell: Height and width of each picture, pixels.

    Returns:
        uint8 [rows * cell, ..., 3], BGR.
    """
    drawn = []
    for title, samples in rows:
        strip = np.full((cell, _STRIP, 3), 255, np.uint8)
        cv2.putText(strip, title, (4, cell // 2 + 4), cv2.FONT_HERSHEY_SIMPLEX, 0.45, _INK, 1, cv2.LINE_AA)
        drawn.append(np.hstack([strip, *(_draw_cell(sample, cell) for sample in samples)]))
    widest = max(row.shape[1] for row in drawn)
    padded = [np.pad(row, ((0, 0), (0, widest - row.shape[1]), (0, 0)), constant_values=255) for row in drawn]
    return np.vstack(padded)


def _draw_cell(sample: Sample, cell: int) -> Picture:
    image = sample.image if sample.image.dtype == np.uint8 else (sample.image >> 8).astype(np.uint8)
    scale = cell / image.shape[0]
    method = cv2.INTER_AREA if scale < 1 else cv2.INTER_NEAREST
    picture = cv2.cvtColor(cv2.resize(image, (cell, cell), interpolation=method), cv2.COLOR_GRAY2BGR)
    for instance in sample.instances:
        x, y, width, height = instance.box
        if not instance.mask.size:
            continue
        # the outline is two pixels outside the defect, so that it does not hide it
        size = (max(1, round(width * scale)), max(1, round(height * scale)))
        mask = cv2.resize(instance.mask, size, interpolation=cv2.INTER_NEAREST)
        mask = cv2.dilate(cv2.copyMakeBorder(mask, 3, 3, 3, 3, cv2.BORDER_CONSTANT, value=0), np.ones((5, 5), np.uint8))
        contours = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)[0]
        corner = (round(x * scale) - 3, round(y * scale) - 3)
        cv2.drawContours(picture, contours, -1, _OUTLINE, 1, offset=corner)
        text = (max(2, min(corner[0], cell - 26)), max(10, corner[1] - 2))
        cv2.putText(picture, f"{instance.severity:.2f}", text, cv2.FONT_HERSHEY_SIMPLEX, 0.32, _OUTLINE, 1, cv2.LINE_AA)
    framed = cv2.copyMakeBorder(picture[1:-1, 1:-1], 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=(255, 255, 255))
    return np.asarray(framed, np.uint8)
