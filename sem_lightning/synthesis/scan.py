"""The scan: displacements of scan lines, and charging."""

import functools
import math
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from sem_lightning.synthesis.field import FieldOfView, Float32, Window
from sem_lightning.synthesis.sampling import normal

_SHRINK = 4  # charge is smooth, so it is computed at a quarter of the pixels along a line
JITTER_STREAM, STREAKS_STREAM, UNEVEN_STREAM, NEGATIVE_STREAM = 0, 1, 2, 3  # streams of its key
_TAIL = 3.0  # decay lengths after which charge is negligible


@dataclass(frozen=True)
class Sine:
    """One vibration of the stage relative to the column.

    Attributes:
        amplitude: nm.
        frequency: Hz.
        phase: Phase, of one period.
        direction: Degrees from the image's x.
    """

    amplitude: float
    frequency: float
    phase: float
    direction: float


@dataclass(frozen=True)
class Scan:
    """One scan, with all numbers drawn.

    Drift and vibration displace whole scan lines (the fast axis is the image's x), as in Cizmar et al., Scanning 30,
    381 (2008).

    Attributes:
        line_time: Time from one scan line to the next, microseconds.
        jitter: Standard deviation of each line's start along the line, in one frame, nm.
        drift_x: Movement during the image, nm to the right.
        drift_y: Movement during the image, nm downwards.
        vibration: Sines to be summed.
        charging: Brightness that a bright stretch takes from the following pixels, of its own brightness.
        charging_length: Decay length of charging along the line, nm.
        streaks: Standard deviation of the lines' brightness, of white.
        key: Seed of jitter, streaks and uneven illumination.
    """

    line_time: float
    jitter: float
    drift_x: float
    drift_y: float
    vibration: tuple[Sine, ...]
    charging: float
    charging_length: float
    streaks: float
    key: int

    def displacements(self, view: FieldOfView, frames: int) -> Float32:
        """Displacement of each line to the right and downwards, nm: float32 [2, H].

        Averaging ``frames`` reduces jitter and vibration, which differ between frames, by the square root of their
        number.
        """
        time = _count(view.height)
        averaging = 1 / math.sqrt(frames)
        step = self.line_time * 2e-6 * math.pi
        numbers = np.array(
            [
                (
                    sine.frequency * step,
                    2 * math.pi * sine.phase,
                    sine.amplitude * averaging,
                    math.radians(sine.direction),
                )
                for sine in self.vibration
            ],
            np.float32,
        ).reshape(-1, 4)
        swings = np.sin(numbers[:, :1] * time + numbers[:, 1:2])
        heading = numbers[:, 3]
        direction = np.empty((2, len(heading)), np.float32)
        np.cos(heading, out=direction[0])
        np.sin(heading, out=direction[1])
        moved = direction * numbers[:, 2] @ swings
        share = _share_of_image(view.height)
        moved[0] += share * np.float32(self.drift_x)
        moved[1] += share * np.float32(self.drift_y)
        if self.jitter > 0:
            moved[0] += normal(self.key, JITTER_STREAM, (view.height,)) * np.float32(self.jitter * averaging)
        return np.asarray(moved, np.float32)

    def reach(self, frames: int) -> float:
        """Upper limit of the displacement of lines, nm (jitter with five standard deviations)."""
        shaken = 5 * self.jitter + sum(sine.amplitude for sine in self.vibration)
        return max(abs(self.drift_x), abs(self.drift_y)) / 2 + shaken / math.sqrt(frames)

    def maps(self, view: FieldOfView, frames: int) -> tuple[Float32, Float32] | None:
        """Column and row, in pixels, that each pixel shows; ``None`` for a perfect scan."""
        if not (self.jitter or self.drift_x or self.drift_y or any(sine.amplitude for sine in self.vibration)):
            return None
        moved = self.displacements(view, frames) * np.float32(1 / view.pixel_size)
        columns = moved[0][:, None] + _count(view.width)
        rows = np.empty(view.shape, np.float32)
        rows[:] = (moved[1] + _count(view.height))[:, None]
        return np.asarray(columns, np.float32), rows

    def charge(self, image: Float32, pixel_size: float) -> Float32:
        """The image with charging along its lines; may overwrite it.

        Bright stretches charge the surface, which then emits fewer electrons until the charge has leaked away: a dark
        tail along the fast axis that decays exponentially (Reimer, ch. 3.5; Cazaux, J. Appl. Phys. 95, 731 (2004)).
        """
        if self.charging > 0:
            height, width = image.shape
            short = cv2.resize(image, (-(-width // _SHRINK), height), interpolation=cv2.INTER_AREA)
            decay = self.charging_length / (pixel_size * _SHRINK)
            taps = min(math.ceil(_TAIL * decay) + 1, short.shape[1])
            kernel = np.exp(np.arange(-taps + 1, 1, dtype=np.float32) / np.float32(decay))[None]
            kernel /= kernel.sum()
            tail = cv2.filter2D(short, -1, kernel, anchor=(taps - 1, 0), borderType=cv2.BORDER_REPLICATE)
            mean = float(cv2.mean(tail)[0])
            tail = cv2.resize(tail, (width, height), interpolation=cv2.INTER_LINEAR)
            image = np.asarray(cv2.addWeighted(image, 1, tail, -self.charging, self.charging * mean), np.float32)
        if self.streaks > 0:
            image += normal(self.key, STREAKS_STREAM, (image.shape[0], 1)) * np.float32(self.streaks)
        return image


@functools.lru_cache(maxsize=8)
def _count(number: int) -> Float32:
    """0, 1, 2, ...; shared and read-only."""
    return np.arange(number, dtype=np.float32)


@functools.lru_cache(maxsize=8)
def _share_of_image(lines: int) -> Float32:
    """Time of each line, from -1/2 to 1/2 of the image; shared and read-only."""
    return np.asarray((_count(lines) + np.float32(0.5)) * np.float32(1 / lines) - np.float32(0.5), np.float32)


def resample(image: Float32, maps: tuple[Float32, Float32]) -> Float32:
    """Resample an image with the displacements of the scan."""
    return np.asarray(cv2.remap(image, *maps, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE), np.float32)


def resample_mask(
    mask: npt.NDArray[np.uint8], window: Window, maps: tuple[Float32, Float32]
) -> tuple[Window, npt.NDArray[np.uint8]]:
    """Resample a mask in a window. Returns the new window and the mask there."""
    rows, columns = window
    nowhere = (slice(0, 0), slice(0, 0))
    # Whole lines are shifted. A pixel that maps into the window shows a part of it.
    shown = (maps[1][:, 0] > rows.start - 1) & (maps[1][:, 0] < rows.stop)
    found = np.flatnonzero(shown)
    if len(found) == 0:
        return nowhere, mask[:0, :0]
    first, last = int(found[0]), int(found[-1]) + 1
    shift = maps[0][first:last, 0]
    left = max(int(columns.start - np.ceil(shift.max())) - 1, 0)
    right = min(int(columns.stop - np.floor(shift.min())) + 1, maps[0].shape[1])
    if right <= left:
        return nowhere, mask[:0, :0]
    new = (slice(first, last), slice(left, right))
    place = (maps[0][new] - np.float32(columns.start), maps[1][new] - np.float32(rows.start))
    moved = cv2.remap(mask, *place, cv2.INTER_NEAREST, borderMode=cv2.BORDER_CONSTANT, borderValue=0)
    return new, np.asarray(moved, np.uint8)
