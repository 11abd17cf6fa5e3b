"""``sem-inspect``: compare image files, or the defects of a KLARF file, with references of the same place."""

import dataclasses
from pathlib import Path

from omegaconf import DictConfig

from sem_lightning.config.app import exit_with_unusable, run_command
from sem_lightning.config.build import build
from sem_lightning.config.environment import hide_variables, shown
from sem_lightning.config.inspect_schema import InspectSettings
from sem_lightning.inspection.references import find_pairs
from sem_lightning.klarf.read import is_klarf


def main() -> None:
    """Entry point of ``sem-inspect``."""
    run_command("inspect", inspect)


def inspect(config: DictConfig) -> None:
    """Write one row for each image or defect. What cannot be compared is named and gives exit code 3."""
    settings: InspectSettings = build(config, "")
    images = Path(settings.images).expanduser()
    settings.check_images(is_klarf(images))
    exit_with_unusable(_inspect_lot(settings, images) if is_klarf(images) else _inspect_images(settings))


def _inspect_lot(settings: InspectSettings, lot: Path) -> list[str]:
    from sem_lightning.klarf.lot_inspection import LotInspection

    inspection = LotInspection(lot, settings.klarf, settings.reference)
    for remark in inspection.remarks:
        print(shown(remark))
    output, lines, _, _ = settings.files_written()
    files = settings.klarf.files(lot, output, lines)
    facts = hide_variables(dataclasses.asdict(settings))
    writer = inspection.write(settings.open_inspector(), files, settings.files_read([]), facts)
    print(writer.summary(shown(files.table), shown(files.klarf)))
    return writer.errors


def _inspect_images(settings: InspectSettings) -> list[str]:
    output, lines, page, limits = settings.files_written()
    overlays = output.with_name(f"{output.stem}_overlays")
    design = settings.design.open()
    pairs = find_pairs(settings.images, settings.reference, overlays, print)
    from sem_lightning.inspection.limits_choice import evaluate_outcomes, open_outcomes
    from sem_lightning.inspection.report import InspectionReport
    from sem_lightning.inspection.sinks import Overlays, Sink, inspect_pairs
    from sem_lightning.inspection.writers import InspectionWriter
    from sem_lightning.provenance import describe_environment

    images, bounds = [pair.image for pair in pairs], settings.bounds if limits else None
    outcomes = None
    if settings.labels:
        outcomes = open_outcomes(settings.labels, images, bounds, lambda line: print(shown(line)))
    inputs = settings.files_read(pairs)
    writer = InspectionWriter(output, lines, page, design is not None, limits, inputs)
    inspector = settings.open_inspector()
    report = InspectionReport() if page else None
    drawn = Overlays(overlays, inputs) if settings.overlays else None
    sinks: list[Sink] = [each for each in (writer, report, drawn, outcomes) if each is not None]
    with writer.open():
        unusable = inspect_pairs(inspector, pairs, design, sinks)
        if report is not None and page is not None:
            report.write(page, writer.count, dataclasses.asdict(settings) | describe_environment())
    print(writer.summary(shown(output)))
    if outcomes is not None:
        print(hide_variables(evaluate_outcomes(outcomes, bounds, limits)))
    return unusable


if __name__ == "__main__":
    main()
