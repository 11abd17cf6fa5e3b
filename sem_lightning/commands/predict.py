"""``sem-predict``: classify image files."""

from pathlib import Path
from typing import TYPE_CHECKING

from omegaconf import DictConfig

from sem_lightning.config.app import exit_with_unusable, run_command
from sem_lightning.config.build import build
from sem_lightning.config.environment import shown
from sem_lightning.config.schemas import PredictSettings
from sem_lightning.io.find import find_images

if TYPE_CHECKING:
    from sem_lightning.inference.predictor import Predictor

_OPTIONS = ("polarity", "tiling", "overlap", "pixel_size", "view_scales", "explain", "device")  # of the Predictor


def main() -> None:
    """Entry point of ``sem-predict``."""
    run_command("predict", predict)


def predict(config: DictConfig) -> None:
    """Write one row for each readable image. Unreadable images are named and give exit code 3."""
    settings: PredictSettings = build(config, "")
    output = Path(settings.output).expanduser()
    overlays = output.with_name(f"{output.stem}_overlays")
    paths = find_images(settings.images, leave_out=overlays)
    from sem_lightning.inference.overlay import clear_overlays, draw_overlay, save_overlay
    from sem_lightning.inference.prediction import UnreadableImage
    from sem_lightning.inference.writers import PredictionWriter

    if settings.explain:
        from sem_lightning.model.saliency import check_captum  # imports torch

        check_captum()
    predictor = _build_predictor(settings, paths)
    lines = Path(settings.jsonl).expanduser() if settings.jsonl else None
    boxes = output.with_name(f"{output.stem}_regions.csv") if settings.tiling == "on" or settings.explain else None
    inputs = (("images", [Path(settings.images).expanduser(), *paths]), ("ckpt", [Path(settings.ckpt).expanduser()]))
    writer = PredictionWriter(predictor.classes, output, lines, boxes, inputs)
    if settings.explain:
        clear_overlays(overlays)
    unreadable: list[str] = []
    with writer.open():
        for number, found in enumerate(predictor.stream(paths), start=1):
            if isinstance(found, UnreadableImage):
                unreadable.append(str(found.error))
                writer.add_unreadable(found)
                continue
            writer.add(found)
            if settings.explain:
                save_overlay(overlays, number, found.path, draw_overlay(found))
    print(f"{writer.summary(shown(output), predictor.rule.kind)}; polarity: {predictor.polarity_in_words()}")
    exit_with_unusable(unreadable)


def _build_predictor(settings: PredictSettings, paths: list[Path]) -> "Predictor":
    """The Predictor, with polarity and, if requested, batch norms from these images; prints the results."""
    from sem_lightning.inference.predictor import load

    options = {name: getattr(settings, name) for name in _OPTIONS}
    predictor = load(settings.ckpt, crop_data_bar=settings.data_bar == "auto", **options)
    vote = predictor.adopt_polarity(paths)
    if vote is not None and vote.reason:
        print(f"polarity: {vote.reason}")
    if settings.adapt:
        print(f"adapted to {predictor.adapt(paths)} of the images, without labels")
    for remark in predictor.remarks(adapted=settings.adapt):
        print(remark)
    return predictor


if __name__ == "__main__":
    main()
