"""The printed geometry of a scene: the pattern with its defects, and their positions."""

import functools
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from sem_lightning.synthesis.defects.defect import Cover, Defect
from sem_lightning.synthesis.field import FieldOfView, Float32, Window
from sem_lightning.synthesis.patterns.pattern import Pattern, clean_phi
from sem_lightning.synthesis.scan import Scan, resample_mask

_FEWEST_PIXELS = 4  # least pixels of a visible defect
_APART = 2  # pixels between the boxes of two defects
_SHARE_IN_PLACE = 0.9  # of its pixels; a scratch may be longer than any place


@dataclass(frozen=True)
class Printed:
    """A printed pattern with defects. Arrays are shared and read-only.

    Attributes:
        phi: float32 [H, W], nm.
        covers: Objects on the pattern.
        masks: For each defect its window and bool [h, w]: where it changes or covers the pattern.
    """

    phi: Float32
    covers: tuple[Cover, ...]
    masks: tuple[tuple[Window, npt.NDArray[np.bool_]], ...]

    def boxes(self) -> list[tuple[int, int, int, int]]:
        """``x, y, width, height`` of each mask in pixels; all 0 for an empty mask."""
        found = []
        for (rows, columns), mask in self.masks:
            x, y, width, height = cv2.boundingRect(mask.view(np.uint8)) if mask.size else (0, 0, 0, 0)
            found.append((x + columns.start, y + rows.start, width, height) if width else (0, 0, 0, 0))
        return found


@functools.lru_cache(maxsize=8)
def print_pattern(pattern: Pattern, defects: tuple[Defect, ...], view: FieldOfView) -> Printed:
    """Apply the defects to a pattern one after the other.

    The last few results are cached, because drawing and rendering a scene use the same geometry.
    """
    if not defects:
        return Printed(clean_phi(pattern, view), (), ())
    before, defect = print_pattern(pattern, defects[:-1], view), defects[-1]
    window = defect.window(view)
    across, along = view.axes(defect.site.x, defect.site.y, defect.site.angle, window)
    here = before.phi[window]
    if here.size == 0:
        return Printed(before.phi, before.covers, (*before.masks, (window, np.zeros(here.shape, bool))))
    changed = defect.change(here, across, along, view)
    mask = (changed > 0) != (here > 0)
    covers = before.covers
    cover = defect.cover(across, along, window)
    if cover is not None:
        covers = (*covers, cover)
        mask |= cover.phi > 0
    phi = before.phi
    if changed is not here:
        phi = phi.copy()
        phi[window] = changed
        phi.flags.writeable = False
    return Printed(phi, covers, (*before.masks, (window, mask)))


def shows_last(
    pattern: Pattern,
    defects: tuple[Defect, ...],
    view: FieldOfView,
    scan: Scan,
    frames: int,
    covered_rows: int,
    place: npt.NDArray[np.bool_] | None = None,
) -> bool:
    """Whether the last defect is visible, apart from the others, above the lowest ``covered_rows`` and in ``place``."""
    printed = print_pattern(pattern, defects, view)
    *others, (x, y, width, height) = printed.boxes()
    window, mask = printed.masks[-1]
    pixels = np.count_nonzero(mask)
    if pixels < _FEWEST_PIXELS:
        return False
    if place is not None and np.count_nonzero(mask & place[window]) < _SHARE_IN_PLACE * pixels:
        return False
    if not all(
        x > left + wide + _APART or left > x + width + _APART or y > top + high + _APART or top > y + height + _APART
        for left, top, wide, high in others
    ):
        return False
    lowest = view.height - covered_rows
    margin = scan.reach(frames) / view.pixel_size + 1
    if margin <= min(x, y, view.width - x - width, lowest - y - height):
        return True
    # Near the border or the banner, the scan distortion decides whether it is visible.
    seen = mask.view(np.uint8)
    maps = scan.maps(view, frames)
    if maps is not None:
        window, seen = resample_mask(seen, window, maps)
    return int(np.count_nonzero(seen)) >= _FEWEST_PIXELS and not seen[max(lowest - window[0].start, 0) :].any()
