"""Pictures that show where a finding comes from."""

import cv2
import numpy as np
import numpy.typing as npt

from sem_lightning.inspection.inspector import Finding, Float32

_LONGEST_SIDE = 768
_SHORTEST_SIDE = 256
_STRIP = 22  # rows for the text above
_BOX = (60, 220, 255)


def draw_overlay(finding: Finding) -> npt.NDArray[np.uint8]:
    """The image beside itself under the heatmap and, where asked for, under captum's saliency: uint8 [H, W, 3], BGR.

    Suspicious regions are framed. Data bars are left out, as they were for the classifier.
    """
    height, width = finding.prepared.shape
    scale = min(_LONGEST_SIDE / max(height, width), max(1.0, _SHORTEST_SIDE / max(height, width)))
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    shown = np.asarray(cv2.resize(finding.prepared.image, size, interpolation=cv2.INTER_AREA), np.float32)
    plain = np.asarray(cv2.cvtColor(_stretch(shown), cv2.COLOR_GRAY2BGR), np.uint8)
    panels = [plain, *(_tint(plain, heat, size) for heat in (finding.heat, finding.salience) if heat is not None)]
    for panel in panels[1:]:
        for region in finding.regions:
            start = (round(region.x * scale), round(region.y * scale))
            end = (round((region.x + region.width) * scale) - 1, round((region.y + region.height) * scale) - 1)
            cv2.rectangle(panel, start, end, _BOX, 1)
    picture = np.hstack(panels)
    text = f"{finding.decision} ({finding.label} {finding.probabilities.max():.2f})"
    strip = np.full((_STRIP, picture.shape[1], 3), 255, np.uint8)
    cv2.putText(strip, text, (4, 15), cv2.FONT_HERSHEY_SIMPLEX, 0.45, (0, 0, 0), 1, cv2.LINE_AA)
    return np.vstack([strip, picture])


def _stretch(image: Float32) -> npt.NDArray[np.uint8]:
    low, high = np.percentile(image, [0.5, 99.5])
    return np.asarray(np.clip((image - low) * (255 / max(high - low, 1e-6)), 0, 255), np.uint8)


def _tint(plain: npt.NDArray[np.uint8], heat: Float32, size: tuple[int, int]) -> npt.NDArray[np.uint8]:
    """The picture with hot places in colour; cold ones stay as they are."""
    fine = np.clip(cv2.resize(heat, size, interpolation=cv2.INTER_CUBIC), 0, 1)
    colours = cv2.applyColorMap((fine * 255).astype(np.uint8), cv2.COLORMAP_INFERNO)
    share = (0.65 * fine)[..., None]
    return np.asarray(plain * (1 - share) + colours * share, np.uint8)
