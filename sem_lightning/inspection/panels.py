"""Pictures of a comparison: the image with its places, the registered reference, and the difference map."""

import cv2
import numpy as np
import numpy.typing as npt

from sem_lightning.inference.overlay import grey_range, stretch, with_title
from sem_lightning.inspection.inspection import Inspection, Place
from sem_lightning.synthesis.field import Float32

Picture = npt.NDArray[np.uint8]  # [H, W, 3], BGR

WHITE_AT = 10.0  # standard deviations that the difference map shows as its brightest colour
_LONGEST_SIDE = 1536
_SHORTEST_SIDE = 512  # smaller images are enlarged, so that labels can be read
_BOX = (60, 220, 255)
_NOTHING = (110, 84, 60)  # where the reference shows nothing
_MARGIN = 2  # pixels of the picture between a place and its frame
_FONT = cv2.FONT_HERSHEY_SIMPLEX


def draw_overlay(inspection: Inspection) -> Picture:
    """The image with its places and, at the top, the decision; without its data bar."""
    decided = ", ".join(filter(None, (inspection.decision, inspection.reason)))
    count = len(inspection.places)
    return with_title(draw_image(inspection), f"{decided} ({count} place{'' if count == 1 else 's'})")


def draw_image(inspection: Inspection, longest: int = _LONGEST_SIDE, letters: float = 0.5) -> Picture:
    """The image with a frame around each place, its label and its score.

    Args:
        inspection: Of any decision.
        longest: Pixels of the longer side, at most.
        letters: Size of the labels; 1 is 22 pixels.
    """
    scale = _scale_of(inspection, longest)
    picture = _draw_grey(inspection.image, _size_of(inspection, scale), grey_range(inspection.image))
    for place in reversed(inspection.places):  # the strongest is on top
        _draw_place(picture, place, scale, letters)
    return picture


def draw_reference(inspection: Inspection, longest: int = _LONGEST_SIDE) -> Picture | None:
    """The registered reference at its own contrast, bluish where it shows nothing of the image; see `draw_image`."""
    if inspection.reference is None:
        return None
    missing = ~np.isfinite(inspection.reference)
    if missing.all():
        return None
    limits = grey_range(inspection.reference[~missing])
    size = _size_of(inspection, _scale_of(inspection, longest))
    picture = _draw_grey(np.where(missing, np.float32(limits[0]), inspection.reference), size, limits)
    picture[_resize(missing.astype(np.float32), size) > 0.5] = _NOTHING
    return picture


def draw_difference(inspection: Inspection, longest: int = _LONGEST_SIDE) -> Picture | None:
    """The difference map, from black at 0 to the brightest colour at `WHITE_AT` standard deviations."""
    if inspection.difference is None:
        return None
    strength = np.asarray(np.abs(np.nan_to_num(inspection.difference)), np.float32)
    if (scale := _scale_of(inspection, longest)) < 1:  # a place of a few pixels stays visible
        reach = int(np.ceil(1 / scale))
        strength = np.asarray(cv2.dilate(strength, np.ones((reach, reach), np.uint8)), np.float32)
    shown = _resize(strength, _size_of(inspection, scale))
    return np.asarray(cv2.applyColorMap(stretch(shown, (0, WHITE_AT)), cv2.COLORMAP_INFERNO), np.uint8)


def _scale_of(inspection: Inspection, longest: int) -> float:
    side = float(max(inspection.image.shape))
    return float(min(longest / side, max(1.0, min(_SHORTEST_SIDE, longest) / side)))


def _size_of(inspection: Inspection, scale: float) -> tuple[int, int]:
    """Width and height of the picture."""
    height, width = inspection.image.shape
    return max(1, round(width * scale)), max(1, round(height * scale))


def _draw_grey(image: Float32, size: tuple[int, int], limits: tuple[float, float]) -> Picture:
    return np.asarray(cv2.cvtColor(stretch(_resize(image, size), limits), cv2.COLOR_GRAY2BGR), np.uint8)


def _resize(image: Float32, size: tuple[int, int]) -> Float32:
    shrinks = size[0] < image.shape[1]
    resized = cv2.resize(image, size, interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)
    return np.asarray(resized, np.float32)


def _draw_place(picture: Picture, place: Place, scale: float, letters: float) -> None:
    height, width = picture.shape[:2]
    left, top = (max(0, int(corner * scale) - _MARGIN) for corner in (place.x, place.y))
    right = min(width - 1, int(np.ceil((place.x + place.width) * scale)) + _MARGIN)
    bottom = min(height - 1, int(np.ceil((place.y + place.height) * scale)) + _MARGIN)
    cv2.rectangle(picture, (left, top), (right, bottom), _BOX, 1)
    text = f"{place.label} {place.score:.1f}"
    (wide, high), _ = cv2.getTextSize(text, _FONT, letters, 1)
    base = top - 4 if top - 4 - high >= 0 else min(height - 3, bottom + high + 4)
    start = (max(0, min(left, width - wide - 2)), base)
    for x, y in ((-1, 0), (1, 0), (0, -1), (0, 1)):  # thicker letters would be further apart
        cv2.putText(picture, text, (start[0] + x, start[1] + y), _FONT, letters, (0, 0, 0), 1, cv2.LINE_AA)
    cv2.putText(picture, text, start, _FONT, letters, _BOX, 1, cv2.LINE_AA)
