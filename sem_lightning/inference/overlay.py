"""Overlays: images with the heatmap of a prediction."""

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from sem_lightning.inference.prediction import Prediction
from sem_lightning.io.atomic import write_atomically
from sem_lightning.synthesis.field import Float32

_LONGEST_SIDE = 768
_SHORTEST_SIDE = 256
_STRIP = 22  # rows for the text at the top
_BOX = (60, 220, 255)


def draw_overlay(prediction: Prediction) -> npt.NDArray[np.uint8]:
    """The image, the image with the heatmap and, if requested, with captum's saliency: uint8 [H, W, 3], BGR.

    Suspicious regions are framed. Data bars are cropped, as for the classifier.

    Args:
        prediction: From a Predictor with ``explain=True``, so that it holds the image.
    """
    assert prediction.image is not None
    height, width = prediction.shape
    scale = min(_LONGEST_SIDE / max(height, width), max(1.0, _SHORTEST_SIDE / max(height, width)))
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    shown = np.asarray(cv2.resize(prediction.image, size, interpolation=cv2.INTER_AREA), np.float32)
    plain = np.asarray(cv2.cvtColor(stretch(shown, grey_range(shown)), cv2.COLOR_GRAY2BGR), np.uint8)
    panels = [
        plain,
        *(_tint(plain, heat, size) for heat in (prediction.heatmap, prediction.saliency) if heat is not None),
    ]
    for panel in panels[1:]:
        for region in prediction.regions:
            start = (round(region.x * scale), round(region.y * scale))
            end = (round((region.x + region.width) * scale) - 1, round((region.y + region.height) * scale) - 1)
            cv2.rectangle(panel, start, end, _BOX, 1)
    decided = f"{prediction.decision}, {prediction.reason}" if prediction.reason else prediction.decision
    return with_title(np.hstack(panels), f"{decided} ({prediction.label} {prediction.confidence:.2f})")


def with_title(picture: npt.NDArray[np.uint8], text: str) -> npt.NDArray[np.uint8]:
    """A picture [H, W, 3] below a white strip with a line of text."""
    strip = np.full((_STRIP, picture.shape[1], 3), 255, np.uint8)
    cv2.putText(strip, text, (4, 15), cv2.FONT_HERSHEY_SIMPLEX, 0.45, (0, 0, 0), 1, cv2.LINE_AA)
    return np.vstack([strip, picture])


def grey_range(image: Float32) -> tuple[float, float]:
    """The brightness to show as black and as white, so that hot and dead pixels do not decide."""
    low, high = np.percentile(image, [0.5, 99.5])
    return float(low), float(high)


def stretch(image: Float32, limits: tuple[float, float]) -> npt.NDArray[np.uint8]:
    """An image with black and white at the limits."""
    low, high = limits
    return np.asarray(np.clip((image - low) * (255 / max(high - low, 1e-6)), 0, 255), np.uint8)


def _tint(plain: npt.NDArray[np.uint8], heat: Float32, size: tuple[int, int]) -> npt.NDArray[np.uint8]:
    """The picture with high values of ``heat`` in colour; low values leave it unchanged."""
    fine = np.clip(cv2.resize(heat, size, interpolation=cv2.INTER_CUBIC), 0, 1)
    colours = cv2.applyColorMap((fine * 255).astype(np.uint8), cv2.COLORMAP_INFERNO)
    share = (0.65 * fine)[..., None]
    return np.asarray(plain * (1 - share) + colours * share, np.uint8)


def save_overlay(folder: Path, number: int, image: Path | None, picture: npt.NDArray[np.uint8]) -> None:
    """Write the picture of an image as a PNG file in ``folder``. The number keeps files of the same name apart."""
    folder.mkdir(parents=True, exist_ok=True)
    code: Any = cv2.imencode(".png", picture)[1]
    name = "array" if image is None else image.stem
    stem = "".join(c if c.isalnum() or c in "-_." else "_" for c in name)[:80]
    write_atomically(folder / f"{number:06d}_{stem}.png", lambda path: path.write_bytes(code.tobytes()))


def clear_overlays(folder: Path) -> None:
    """Remove the pictures of an earlier run."""
    for stale in folder.glob("[0-9]*_*.png"):
        stale.unlink()
