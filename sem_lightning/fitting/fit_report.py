"""The report of a fit on one page: real and simulated images, and all numbers."""

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import matplotlib
import numpy as np

from sem_lightning.fitting.two_sample_test import PATCH, TwoSampleTest
from sem_lightning.io.html_page import data_uri, write_html
from sem_lightning.metrology.edges import edge_profile
from sem_lightning.synthesis.field import Float32

matplotlib.use("Agg")
from matplotlib.figure import Figure

_SHOWN = 4  # images
_SIDE = 420  # pixels of each on the page
_REACH = 10  # range of profiles, pixels from an edge


@dataclass(frozen=True)
class Pair:
    """A real image and a simulated one of its shape.

    Attributes:
        real: float32 [H, W] in [0, 1].
        real_phi: Signed distance of its pixels from the nearest edge, pixels.
        simulated: Like ``real``.
        simulated_phi: Like ``real_phi``.
    """

    real: Float32
    real_phi: Float32
    simulated: Float32
    simulated_phi: Float32


def write_page(path: Path, pairs: Sequence[Pair], likeness: TwoSampleTest, facts: dict[str, Any]) -> None:
    """Write the self-contained report atomically.

    Args:
        path: The output file.
        pairs: Images to show.
        likeness: Their two-sample test.
        facts: Variables of the template ``fit.html.j2``: ``name``, ``family``, ``polarity``, ``unit``, ``images``,
            ``rows``, ``scaling`` (of the written values), ``missing`` and ``facts`` (provenance).
    """
    pictures = {"pictures": data_uri(_picture(pairs)), "curves": data_uri(_curves(pairs))}
    write_html(path, "fitting/fit.html.j2", {**pictures, "likeness": likeness, "patch": PATCH, **facts})


def _picture(pairs: Sequence[Pair]) -> bytes:
    """The first images, one pair in each row, at their own scale if they are small enough."""
    rows = []
    for pair in pairs[:_SHOWN]:
        scale = min(1.0, _SIDE / max(pair.real.shape))
        size = (round(pair.real.shape[1] * scale), round(pair.real.shape[0] * scale))
        both = [cv2.resize(np.asarray(255 * np.clip(image, 0, 1), np.uint8), size, interpolation=cv2.INTER_AREA)
                for image in (pair.real, pair.simulated)]  # fmt: skip
        row = np.full((_SIDE if scale < 1 else size[1], 2 * _SIDE + 8), 255, np.uint8)
        for left, image in zip((0, _SIDE + 8), both, strict=True):
            row[: image.shape[0], left : left + image.shape[1]] = image
        rows += [row[: size[1]], np.full((8, row.shape[1]), 255, np.uint8)]
    return bytes(cv2.imencode(".png", np.vstack(rows))[1])


def _curves(pairs: Sequence[Pair]) -> bytes:
    figure = Figure(figsize=(11, 3.2), layout="constrained")
    levels, profile, spectrum = figure.subplots(1, 3)
    distance = np.arange(-2 * _REACH, 2 * _REACH + 1) / 2
    for label, colour, images in (
        ("real", "C0", [(pair.real, pair.real_phi) for pair in pairs]),
        ("simulated", "C1", [(pair.simulated, pair.simulated_phi) for pair in pairs]),
    ):
        for number, (image, phi) in enumerate(images):
            style = {"color": colour, "alpha": 0.7, "linewidth": 1.0, "label": label if number == 0 else None}
            counts, edges = np.histogram(image, 64, (0, 1), density=True)
            levels.plot((edges[:-1] + edges[1:]) / 2, counts, **style)
            profile.plot(distance, edge_profile(image, phi, _REACH), **style)
            spectrum.loglog(*_spectrum(image), **style)
    levels.set(title="Grey levels", xlabel="brightness")
    profile.set(title="Across edges", xlabel="pixels inside the feature", ylabel="brightness")
    spectrum.set(title="Power spectrum", xlabel="cycles per pixel")
    levels.legend()
    stream = io.BytesIO()
    figure.savefig(stream, dpi=90)
    return stream.getvalue()


def _spectrum(image: Float32) -> tuple[Float32, Float32]:
    """Power over radius, averaged over directions."""
    window = np.outer(np.hanning(image.shape[0]), np.hanning(image.shape[1]))
    power = np.abs(np.fft.rfft2((image - image.mean()) * window)) ** 2 / np.sum(window**2)
    radius = np.hypot(np.fft.fftfreq(image.shape[0])[:, None], np.fft.rfftfreq(image.shape[1]))
    ring = np.minimum((radius * 128).astype(int), 63)
    count = np.maximum(np.bincount(ring.ravel(), minlength=64), 1)
    mean = np.bincount(ring.ravel(), power.ravel(), 64) / count
    return np.asarray((np.arange(1, 64) + 0.5) / 128, np.float32), np.asarray(mean[1:], np.float32)
