"""The result of a fit, and its output files."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from sem_lightning.fitting.estimate import Estimate, pool
from sem_lightning.fitting.fit_report import Pair, write_page
from sem_lightning.fitting.settings_file import LENGTHS, Ranges, to_yaml
from sem_lightning.fitting.two_sample_test import TwoSampleTest
from sem_lightning.io.atomic import printable, write_atomically, write_json


@dataclass(frozen=True)
class FitResult:
    """A microscope estimated from images.

    Attributes:
        name: Its name.
        family: ``line_space`` or ``routing``.
        polarity: ``bright`` or ``dark``: brightness of the feature.
        pixel_size: Pixel size of the files in nm, if known.
        paths: The images.
        found: Estimates of each image, lengths in its pixels.
        ranges: The resulting settings.
        narrowed: Keys with ranges that are narrower than their uncertainty.
        scale: Pixels of the files in one pixel of the training images.
    """

    name: str
    family: str
    polarity: str
    pixel_size: float | None
    paths: list[Path]
    found: list[dict[str, Estimate]]
    ranges: Ranges
    narrowed: list[str]
    scale: float

    @cached_property
    def pooled(self) -> dict[str, Estimate]:
        """One estimate of each key from all images."""
        return pool(self.found)

    @property
    def unit(self) -> str:
        return "lengths in nm" if self.pixel_size else "lengths in pixels of the files"

    def in_words(self, key: str, each: Estimate) -> str:
        """A value and its uncertainty as text, lengths in nm if the pixel size is known."""
        group, name = key.split(".")
        factor = (self.pixel_size or 1.0) if name in LENGTHS.get(group, ()) else 1.0
        return f"{each.value * factor:.4g} +- {each.sigma * factor:.2g}"

    def write_settings(self, path: Path) -> None:
        """Write ``conf/microscope/<name>.yaml`` atomically."""
        remarks = {key: self.in_words(key, each) for key, each in self.pooled.items()}
        text = to_yaml(self._header(path.stem), self.family, self.ranges, remarks)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, lambda temporary: temporary.write_text(text, encoding="utf-8"))

    def _header(self, option: str) -> list[str]:
        size = f"{self.pixel_size:g} nm" if self.pixel_size else "unknown: 1 nm here stands for a pixel of the files"
        several = len(self.paths) > 1
        lines = [
            f"{self.name}: what sem-fit estimated from {len(self.paths)} image{'s' * several}, "
            f"{printable(self.paths[0].name)}{' and others' * several}.",
            "After each range: the estimate and its standard uncertainty; keys without one were not estimated.",
            f"Pixel size of the files: {size}.",
            f"  python train.py microscope={option}",
        ]
        lines += self._scaling()
        if self.narrowed:
            lines.append(f"Narrower than uncertain, for it could not be drawn: {', '.join(self.narrowed)}.")
        if not self.pixel_size:
            lines.append("To predict: sem-predict pixel_size=1 ckpt=... images=...  (tiles at the training's scale)")
        return lines

    def _scaling(self) -> list[str]:
        if self.scale == 1:
            return []
        return [
            f"A training pixel is {self.scale:.3g} of the files' pixels, so that an image shows enough of the pattern:",
            "ranges of noise, streaks and jitter are in training pixels, their estimates in pixels of the files.",
        ]

    def write_report(
        self, folder: Path, pairs: list[Pair], likeness: TwoSampleTest, missing: list[str], environment: dict[str, Any]
    ) -> None:
        """Write ``report.html`` and ``fit.json``.

        Args:
            folder: The output folder.
            pairs: Real and simulated images.
            likeness: Their two-sample test.
            missing: Keys without an estimate, and the reasons.
            environment: Provenance of the result, with its ``command``.
        """
        rows = []
        for key in sorted(self.pooled):
            group, name = key.split(".")
            cells = [self.in_words(key, each[key]) if key in each else "" for each in self.found]
            written = self.ranges[group][name]
            ends = f"{written[0]:g} to {written[1]:g}" if isinstance(written, list) else f"{written:g}"
            rows.append([key, self.in_words(key, self.pooled[key]), *cells, ends])
        folder.mkdir(parents=True, exist_ok=True)
        facts = {
            "name": self.name,
            "family": self.family,
            "polarity": self.polarity,
            "unit": self.unit,
            "images": [printable(path.name) for path in self.paths],
            "rows": rows,
            "scaling": " ".join(self._scaling()),
            "missing": missing,
            "facts": printable(" ".join(environment["command"])),
        }
        write_page(folder / "report.html", pairs, likeness, facts)
        content = {
            "family": self.family,
            "polarity": self.polarity,
            "pixel_size": self.pixel_size,
            "likeness": {"accuracy": likeness.accuracy, "right": likeness.right, "patches": likeness.patches},
            "images": [
                {"path": str(path), "pixels": {key: [each.value, each.sigma] for key, each in estimates.items()}}
                for path, estimates in zip(self.paths, self.found, strict=True)
            ],
            "ranges": self.ranges,
            "narrowed": self.narrowed,
            "not_estimated": missing,
        }
        write_json(folder / "fit.json", content | environment)
