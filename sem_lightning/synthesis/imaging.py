"""Image formation: from geometry to the brightness at an ideal, noise-free detector."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np

from sem_lightning.checks import between
from sem_lightning.errors import SettingError
from sem_lightning.polarity import POLARITIES
from sem_lightning.synthesis.beam import Beam
from sem_lightning.synthesis.defects.defect import Cover
from sem_lightning.synthesis.field import FieldOfView, Float32, centred, coverage
from sem_lightning.synthesis.ranges import Range, Settings, ranged
from sem_lightning.synthesis.sampling import draw_key, uniform
from sem_lightning.synthesis.scan import UNEVEN_STREAM, Scan, Sine
from sem_lightning.synthesis.texture import OPERATIONS, Grain

MAX_IMAGE_SIZE = 8192
PIXEL_SIZES = (0.001, 1e6)  # nm: smaller than an atom, larger than a field of view
_SINES = 2
_SHRINK = 4


@dataclass(frozen=True)
class Exposure:
    """Formation of one image, with all numbers drawn. Brightness 0 is black and 1 is white.

    Attributes:
        polarity: ``bright`` or ``dark`` features. The brighter material is assumed to be higher.
        dark: Brightness of the darker material.
        contrast: Brightness of the brighter material above the darker one.
        bloom: Extra yield at an edge: ``bloom * exp(-distance / lambda)``. The exponential decay follows from the
            escape of secondary electrons near a step (L. Reimer, Scanning Electron Microscopy, 1998, ch. 4).
        bloom_inside: Lambda inside the feature, nm.
        bloom_outside: Lambda outside it, nm.
        asymmetry: Bloom gained by edges that face left and lost by edges that face right, of the bloom, as with a
            detector at one side.
        shadow: Share of the brightness that the ground loses between surrounding walls (Reimer, ch. 6.1).
        shadow_range: Range of the shadow of a wall, nm.
        beam: The electron beam.
        grain: Surface texture.
        scan: The scan.
        uneven: Difference in brightness between opposite sides of the image, of the brightness in the middle.
        uneven_direction: Direction of the brighter side, degrees from the image's x.
    """

    polarity: str
    dark: float
    contrast: float
    bloom: float
    bloom_inside: float
    bloom_outside: float
    asymmetry: float
    shadow: float
    shadow_range: float
    beam: Beam
    grain: Grain
    scan: Scan
    uneven: float = 0.0  # default for older scenes
    uneven_direction: float = 0.0

    def render(self, phi: Float32, covers: Sequence[Cover], view: FieldOfView) -> Float32:
        """Brightness of the geometry with a perfect scan: float32 [H, W].

        Args:
            phi: The printed pattern, float32 [H, W], nm.
            covers: Objects on the pattern.
            view: Field of view.
        """
        high = coverage(phi, view.pixel_size)  # share of each pixel that the brighter, higher material covers
        if self.polarity == "dark":
            np.subtract(np.float32(1), high, out=high)
        glow = self._edge_glow(phi, view)
        if self.shadow > 0:
            material = np.asarray(cv2.addWeighted(high, self.contrast, high, 0, self.dark), np.float32)
            material *= self._shade(high, view)
            image = np.asarray(cv2.scaleAdd(glow, self.bloom, material), np.float32)
        else:
            image = np.asarray(cv2.addWeighted(high, self.contrast, glow, self.bloom, self.dark), np.float32)
        for cover in covers:
            self._lay(cover, image, view)
        if self.grain.amplitude > 0:
            image *= self.grain.render(view)
        image = self.beam.blur(image, view.pixel_size)
        return self.light_unevenly(image)

    def light_unevenly(self, image: Float32) -> Float32:
        """Make the image brighter towards the detector's side, in place."""
        if self.uneven == 0:
            return image
        height, width = image.shape
        turn = math.radians(self.uneven_direction)
        across = centred(width, 1 / width) * np.float32(self.uneven * math.cos(turn))
        down = centred(height, 1 / height) * np.float32(self.uneven * math.sin(turn))
        image *= across + (down + np.float32(1))[:, None]
        return image

    def _shade(self, high: Float32, view: FieldOfView) -> Float32:
        """Relative brightness: the ground loses signal in proportion to the walls within range."""
        # the share of walls changes slowly, so a quarter of the pixels along each side is sufficient
        small = cv2.resize(high, (-(-view.width // _SHRINK), -(-view.height // _SHRINK)), interpolation=cv2.INTER_AREA)
        size = 2 * round(self.shadow_range / (view.pixel_size * _SHRINK)) + 1
        small = cv2.blur(small, (size, size), borderType=cv2.BORDER_REPLICATE)
        walls = np.asarray(cv2.resize(small, (view.width, view.height), interpolation=cv2.INTER_LINEAR), np.float32)
        # 1 - shadow * walls * (1 - high)
        walls *= high - np.float32(1)
        return np.asarray(cv2.addWeighted(walls, self.shadow, walls, 0, 1), np.float32)

    def _edge_glow(self, phi: Float32, view: FieldOfView) -> Float32:
        """``exp(-|phi| / lambda)`` with lambda by the sign of phi, and more on the detector's side."""
        depth = phi * np.float32(-1 / self.bloom_inside)
        np.minimum(depth, phi * np.float32(1 / self.bloom_outside), out=depth)
        glow = np.asarray(cv2.exp(depth, dst=depth), np.float32)
        if self.asymmetry:
            facing = 0.5 * self.asymmetry / view.pixel_size * (1 if self.polarity == "bright" else -1)
            slope = phi[:, 2:] - phi[:, :-2]
            slope *= glow[:, 1:-1]
            slope *= np.float32(facing)
            glow[:, 1:-1] += slope
        return glow

    def _lay(self, cover: Cover, image: Float32, view: FieldOfView) -> None:
        """Draw a cover over the image, in place."""
        bright = self.dark + self.contrast if self.polarity == "bright" else self.dark
        level = np.float32(bright if cover.brightness is None else cover.brightness)
        below = image[cover.window]
        below += coverage(cover.phi, view.pixel_size) * np.float32(cover.opacity) * (level - below)
        glow = np.exp(np.abs(cover.phi) * np.float32(-1 / self.bloom_inside))
        below += glow * np.float32(self.bloom * cover.rim)


@dataclass
class Imaging(Settings):
    """The field of view and the ranges of image formation (``conf/imaging/*.yaml`` document each)."""

    image_size: int
    pixel_size: float
    polarity: str
    dark: Range = ranged("of white", low=0, high=1, why="0 is black and 1 is white")
    contrast: Range = ranged("of white", low=0, above=True, high=1, why="without contrast there is nothing to see")
    bloom: Range = ranged("of white", low=0, high=3, why="an edge gives a few times the yield of a surface")
    bloom_inside: Range = ranged("nm", low=0, above=True, why="a decay needs a length")
    bloom_outside: Range = ranged("nm", low=0, above=True, why="a decay needs a length")
    asymmetry: Range = ranged("of the bloom", low=-1, high=1, why="beyond 1 the darker edges would take light away")
    shadow: Range = ranged("of the brightness", low=0, high=1, why="a shadow takes no more than all")
    shadow_range: Range = ranged("nm", low=0, above=True, why="a shadow needs a length")
    grain_size: Range = ranged("nm", low=0, above=True, why="grains need a size")
    grain_amplitude: Range = ranged("of the brightness", low=0, high=0.5, why="beyond that grain is blacker than black")
    beam: Range = ranged("nm", low=0, why="a beam is no narrower than nothing")
    defocus: Range = ranged("nm")
    astigmatism: Range = ranged("nm", low=0, why="it is a distance")
    aperture: Range = ranged("mrad", low=0, why="it is an angle")
    line_time: Range = ranged("microseconds", low=0, above=True, why="a scan line takes time")
    jitter: Range = ranged("nm", low=0, why="a deviation is no less than none")
    drift: Range = ranged("nm", low=0, why="it is a distance; the direction is drawn")
    vibration: Range = ranged("nm", low=0, why="an amplitude is no less than none")
    vibration_frequency: Range = ranged("Hz", low=0, above=True, log=True, why="what does not swing is no vibration")
    charging: Range = ranged("of the brightness", low=0, high=1, why="charge takes no more than all")
    charging_length: Range = ranged("nm", low=0, above=True, why="a decay needs a length")
    streaks: Range = ranged("of white", low=0, high=0.5, why="beyond that lines are black and white")
    uneven: Range = ranged("of the brightness", low=0, high=1.4, why="beyond that a corner is black")

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 16 <= self.image_size <= MAX_IMAGE_SIZE:
            raise SettingError("image_size", f"found {self.image_size}, expected 16 to {MAX_IMAGE_SIZE} pixels")
        between("pixel_size", self.pixel_size, *PIXEL_SIZES, "nm")
        if self.polarity not in ("auto", *POLARITIES):
            raise SettingError("polarity", f"found {self.polarity!r}, expected one of auto, {', '.join(POLARITIES)}")
        field = min(self.view.extent)
        out_of_focus = max(map(abs, self.defocus)) + self.astigmatism[1] / 2
        for key, widest, share, what in (
            ("beam", self.beam[1], 4, "blurs everything into one grey"),
            ("defocus", 0.5e-3 * self.aperture[1] * out_of_focus, 4, "of blur turns everything into one grey"),
            ("grain_size", self.grain_size[1], 4, "is no texture any more"),
            ("drift", self.drift[1], 4, "moves the pattern out of the image"),
            ("vibration", self.vibration[1], 8, "tears the pattern apart"),
            ("jitter", self.jitter[1], 16, "tears the pattern apart"),
            ("shadow_range", self.shadow_range[1], 1, "reaches beyond the image"),
        ):
            if widest > field / share:
                raise SettingError(
                    key,
                    f"up to {widest:.3g} nm in a field of view of {field:g} nm {what}; use at most {field / share:.3g}",
                )

    @property
    def view(self) -> FieldOfView:
        return FieldOfView(self.image_size, self.image_size, self.pixel_size)

    def draw(self, rng: np.random.Generator, usual_polarity: str) -> Exposure:
        """Draw an exposure from the ranges; ``polarity=auto`` takes ``usual_polarity``."""
        exposure = Exposure(
            polarity=usual_polarity if self.polarity == "auto" else self.polarity,
            dark=self.draw_value(rng, "dark"),
            contrast=self.draw_value(rng, "contrast"),
            bloom=self.draw_value(rng, "bloom"),
            bloom_inside=self.draw_value(rng, "bloom_inside"),
            bloom_outside=self.draw_value(rng, "bloom_outside"),
            asymmetry=self.draw_value(rng, "asymmetry"),
            shadow=self.draw_value(rng, "shadow"),
            shadow_range=self.draw_value(rng, "shadow_range"),
            grain=Grain(
                operation=list(OPERATIONS)[int(rng.random() * len(OPERATIONS))],
                size=self.draw_value(rng, "grain_size"),
                amplitude=self.draw_value(rng, "grain_amplitude"),
                key=draw_key(rng),
            ),
            beam=Beam(
                sigma=self.draw_value(rng, "beam"),
                defocus=self.draw_value(rng, "defocus"),
                astigmatism=self.draw_value(rng, "astigmatism"),
                astigmatism_angle=180 * rng.random(),
                aperture=self.draw_value(rng, "aperture"),
            ),
            scan=self._draw_scan(rng),
        )
        if self.uneven[1] == 0:
            return exposure
        # a separate stream, so that the other numbers do not depend on it
        share, turn = (float(number) for number in uniform(exposure.scan.key, UNEVEN_STREAM, (2,)))
        return replace(exposure, uneven=self.value_at("uneven", share), uneven_direction=360 * turn)

    def _draw_scan(self, rng: np.random.Generator) -> Scan:
        drift, heading = self.draw_value(rng, "drift"), 2 * math.pi * rng.random()
        return Scan(
            line_time=self.draw_value(rng, "line_time"),
            jitter=self.draw_value(rng, "jitter"),
            drift_x=drift * math.cos(heading),
            drift_y=drift * math.sin(heading),
            vibration=tuple(
                Sine(
                    amplitude=self.draw_value(rng, "vibration") / _SINES,
                    frequency=self.draw_value(rng, "vibration_frequency"),
                    phase=rng.random(),
                    direction=360 * rng.random(),
                )
                for _ in range(_SINES)
            ),
            charging=self.draw_value(rng, "charging"),
            charging_length=self.draw_value(rng, "charging_length"),
            streaks=self.draw_value(rng, "streaks"),
            key=draw_key(rng),
        )


def exposure_from_dict(numbers: dict[str, Any]) -> Exposure:
    """The exposure whose ``dataclasses.asdict`` gave these numbers."""
    scan = numbers["scan"]
    return Exposure(
        **{
            **numbers,
            "beam": Beam(**numbers["beam"]),
            "grain": Grain(**numbers["grain"]),
            "scan": Scan(**{**scan, "vibration": tuple(Sine(**sine) for sine in scan["vibration"])}),
        }
    )
