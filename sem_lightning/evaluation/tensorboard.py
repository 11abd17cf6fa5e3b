"""Content for TensorBoard besides the curves that Lightning logs."""

from pathlib import Path
from typing import Any

import cv2
from torch.utils.tensorboard import SummaryWriter

from sem_lightning.evaluation.test_report import Report


def lay_out_charts(writer: SummaryWriter, classes: list[str]) -> None:
    """Show overall and per-class accuracy in one chart (the tab Custom Scalars)."""
    names = ["accuracy", *(f"accuracy_{label}" for label in classes)]
    writer.add_custom_scalars(
        {
            "accuracy": {
                "validation, all classes": ["Multiline", [f"val/{name}$" for name in names]],
                "test, all classes": ["Multiline", [f"test/{name}$" for name in names]],
            }
        }
    )


def write_test(
    writer: SummaryWriter, report: Report, figures: dict[str, Path], settings: dict[str, Any], step: int
) -> None:
    """Write the test's metrics, figures, and hyperparameters with final metrics (the tab HParams)."""
    write_figures(writer, figures, step)
    for name, value in report.metrics.items():
        writer.add_scalar(name, value, step)
    final = {f"final/{name.removeprefix('test/')}": value for name, value in report.metrics.items()}
    writer.add_hparams(_flatten(settings), final, run_name=".")
    writer.flush()


def write_figures(writer: SummaryWriter, figures: dict[str, Path], step: int) -> None:
    """Write the test's figures from files by name (the tab Images)."""
    for name, path in figures.items():
        pixels = cv2.imread(str(path), cv2.IMREAD_COLOR_RGB)
        writer.add_image(f"test/{name}", pixels, step, dataformats="HWC")


def _flatten(settings: dict[str, Any], prefix: str = "") -> dict[str, str | float | bool]:
    """Flatten nested settings to ``group.key`` with values that TensorBoard accepts."""
    flat: dict[str, str | float | bool] = {}
    for key, value in settings.items():
        if isinstance(value, dict):
            flat |= _flatten(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = value if isinstance(value, int | float | bool | str) else str(value)
    return flat
