"""``sem-predict``: classify image files, or the defects of a KLARF file."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from omegaconf import DictConfig

from sem_lightning.config.app import exit_with_unusable, run_command
from sem_lightning.config.build import build
from sem_lightning.config.environment import hide_variables, shown
from sem_lightning.config.schemas import PredictSettings
from sem_lightning.io.find import find_images
from sem_lightning.klarf.read import is_klarf

if TYPE_CHECKING:
    from sem_lightning.inference.predictor import Image, Predictor


def main() -> None:
    """Entry point of ``sem-predict``."""
    run_command("predict", predict)


def predict(config: DictConfig) -> None:
    """Write one row for each readable image, or for each defect. What cannot be read is named and gives exit code 3."""
    settings: PredictSettings = build(config, "")
    output, images = Path(settings.output).expanduser(), Path(settings.images).expanduser()
    settings.check_images(is_klarf(images))
    (_predict_lot if is_klarf(images) else _predict_images)(settings, output, images)


def _predict_images(settings: PredictSettings, output: Path, images: Path) -> None:
    overlays = output.with_name(f"{output.stem}_overlays")
    paths = find_images(settings.images, leave_out=overlays)
    from sem_lightning.inference.predicting import write_predictions
    from sem_lightning.inference.writers import PredictionWriter

    predictor = _build_predictor(settings, paths)
    boxes = output.with_name(f"{output.stem}_regions.csv") if settings.tiling == "on" or settings.explain else None
    inputs = (("images", [images, *paths]), settings.checkpoint_read())
    writer = PredictionWriter(predictor.classes, output, settings.lines_file(), boxes, inputs)
    unreadable = write_predictions(predictor, paths, writer, overlays if settings.explain else None)
    print(f"{writer.summary(shown(output), predictor.rule.kind)}; polarity: {predictor.polarity_in_words()}")
    exit_with_unusable(unreadable)


def _predict_lot(settings: PredictSettings, output: Path, lot: Path) -> None:
    from sem_lightning.klarf.lot_prediction import LotPrediction

    prediction = LotPrediction(lot, settings.klarf)
    for remark in prediction.remarks:
        print(shown(remark))
    predictor = _build_predictor(settings, prediction.pages)
    files = settings.klarf.files(lot, output, settings.lines_file())
    facts = hide_variables(dataclasses.asdict(settings)) | {"polarity": predictor.polarity_in_words()}
    writer = prediction.write(predictor, files, [settings.checkpoint_read()], facts)
    print(writer.summary(shown(output), shown(files.klarf), f"{predictor.rule.kind}, {facts['polarity']}"))
    exit_with_unusable(writer.errors)


def _build_predictor(settings: PredictSettings, images: "Sequence[Image]") -> "Predictor":
    """The Predictor, with polarity and, if requested, batch norms from these images; prints the results."""
    from sem_lightning.inference.predictor import load

    predictor = load(settings.ckpt, **settings.predictor_options())
    vote = predictor.adopt_polarity(images)
    if vote is not None and vote.reason:
        print(f"polarity: {vote.reason}")
    if settings.adapt:
        print(f"adapted to {predictor.adapt(images)} of the images, without labels")
    for remark in predictor.remarks(adapted=settings.adapt):
        print(remark)
    return predictor


if __name__ == "__main__":
    main()
