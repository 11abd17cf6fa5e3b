"""Patterns: what the design should look like on the wafer, before any defect."""

import math
from dataclasses import dataclass

import cv2
import numpy as np

from sem_lightning.errors import SettingError
from sem_lightning.synthesis.field import FieldOfView, Float32
from sem_lightning.synthesis.ranges import Range, Settings, ranged
from sem_lightning.synthesis.roughness import rough_edges


@dataclass(frozen=True)
class Lines:
    """Parallel lines and spaces, every number drawn; line ``k`` is centred at ``phase + k * pitch``.

    Attributes:
        pitch: Distance between line centres, nm.
        cd: Line width (critical dimension), nm.
        angle: Direction of the lines, degrees; 0 runs down the image.
        phase: Offset of line 0 from the middle of the image, nm.
        sigma: Roughness of one edge, one standard deviation, nm.
        correlation_length: xi of that roughness, nm.
        hurst: Roughness exponent H.
        edge_correlation: rho between the two edges of a line.
        key: Seed of the edges.
    """

    pitch: float
    cd: float
    angle: float
    phase: float
    sigma: float
    correlation_length: float
    hurst: float
    edge_correlation: float
    key: int

    @property
    def space(self) -> float:
        """Width between two lines, nm."""
        return self.pitch - self.cd

    def phi(self, view: FieldOfView) -> Float32:
        """Signed distance to the nearest edge, measured across the lines: float32 [H, W], nm, positive in a line."""
        across, along = view.axes(self.angle)
        half_across, half_along = view.half_extent(self.angle)
        first = math.floor((-half_across - self.phase) / self.pitch) - 1
        last = math.ceil((half_across - self.phase) / self.pitch) + 1
        edges = self._edge_positions(first, last, half_along, view.pixel_size)

        nearest = np.rint((across - np.float32(self.phase)) * np.float32(1 / self.pitch))
        right = across >= nearest * np.float32(self.pitch) + np.float32(self.phase)
        outwards = np.where(right, np.float32(1), np.float32(-1))
        row = 2 * (nearest - np.float32(first)) + right  # of the edge on the pixel's side of its line
        column = (along + np.float32(half_along)) * np.float32(1 / view.pixel_size)

        def edge(rows: Float32) -> Float32:
            found = cv2.remap(edges, column, rows.astype(np.float32), cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
            return np.asarray(found, np.float32)

        inside = np.minimum(outwards * (edge(row) - across), outwards * (across - edge(row - outwards)))
        inside_next = outwards * (across - edge(row + outwards))
        phi: Float32 = np.maximum(inside, inside_next)
        return phi

    def _edge_positions(self, first: int, last: int, half_length: float, step: float) -> Float32:
        """Where each edge lies, nm: [2 * lines, samples], left and right edge of each line in turn."""
        samples = math.ceil(2 * half_length / step) + 2
        edges = rough_edges(
            np.random.Generator(np.random.SFC64(self.key)),
            lines=last - first + 1,
            length=samples,
            step=step,
            sigma=self.sigma,
            correlation_length=self.correlation_length,
            hurst=self.hurst,
            edge_correlation=self.edge_correlation,
        )
        centres = self.phase + self.pitch * np.arange(first, last + 1, dtype=np.float32)
        edges[:, 0] += (centres - self.cd / 2)[:, None]
        edges[:, 1] += (centres + self.cd / 2)[:, None]
        return edges.reshape(-1, samples)


@dataclass
class LineSpace(Settings):
    """Ranges of a line/space pattern (``conf/pattern/line_space.yaml`` documents each)."""

    pitch: Range = ranged("nm", low=0, above=True)
    duty: Range = ranged("of the pitch", low=0.1, high=0.9)
    angle: Range = ranged("degrees", low=-180, high=180)
    phase: Range = ranged("of the pitch", low=0, high=1)
    roughness: Range = ranged("of the CD (3 sigma)", low=0, high=0.5)
    correlation_length: Range = ranged("nm", low=0, above=True, log=True)
    hurst: Range = ranged("", low=0, above=True, high=1)
    edge_correlation: Range = ranged("", low=-1, high=1)

    def check(self, view: FieldOfView) -> None:
        """Refuse what this field of view cannot show.

        Raises:
            SettingError: Lines too fine for the pixels, too coarse for the image, or rough enough to touch.
        """
        finest, coarsest = self.pitch
        if finest < 2 * view.pixel_size:
            raise SettingError(
                "pitch",
                f"{finest:g} nm is under two pixels of {view.pixel_size:g} nm, so lines cannot be told apart; "
                f"use at least {2 * view.pixel_size:g} nm or a smaller imaging.pixel_size",
            )
        narrowest = finest * min(self.duty[0], 1 - self.duty[1])
        if narrowest < 1.5 * view.pixel_size:
            raise SettingError(
                "duty",
                f"lines or spaces come down to {narrowest:.3g} nm, under 1.5 pixels of {view.pixel_size:g} nm; "
                "bring duty nearer to 0.5, or use a larger pitch or a smaller imaging.pixel_size",
            )
        if 2.5 * coarsest > min(view.extent):
            raise SettingError(
                "pitch",
                f"{coarsest:g} nm leaves fewer than 2.5 lines in the field of view of {min(view.extent):g} nm, too "
                f"few for a bridge; use at most {min(view.extent) / 2.5:g} nm or a larger imaging.image_size",
            )
        # A line or space whose width varies by s closes somewhere when its mean is not well above: take five s.
        (_, widest), (_, roughest) = self.duty, self.roughness
        space = (1 - widest) / widest / math.sqrt(2)
        line = 1 / math.sqrt(2 * max(1 - self.edge_correlation[0], 1e-9))
        allowed = 3 / 5 * min(space, line)
        if roughest > allowed:
            raise SettingError(
                "roughness",
                f"3 sigma of {roughest:g} of the CD would open or close lines of duty {widest:g} without any defect; "
                f"use at most {math.floor(allowed * 1000) / 1000:g}",
            )

    def draw(self, rng: np.random.Generator) -> Lines:
        """One pattern from the ranges."""
        pitch = self.draw_value(rng, "pitch")
        cd = pitch * self.draw_value(rng, "duty")
        return Lines(
            pitch=pitch,
            cd=cd,
            angle=self.draw_value(rng, "angle"),
            phase=pitch * self.draw_value(rng, "phase"),
            sigma=cd * self.draw_value(rng, "roughness") / 3,
            correlation_length=self.draw_value(rng, "correlation_length"),
            hurst=self.draw_value(rng, "hurst"),
            edge_correlation=self.draw_value(rng, "edge_correlation"),
            key=draw_key(rng),
        )


def draw_key(rng: np.random.Generator) -> int:
    """A seed for a later generator; below 2^53, so that every JSON reader keeps it exact."""
    return int(rng.integers(1 << 53))
