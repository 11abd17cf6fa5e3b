"""``sem-inspect``: compare image files with references of the same place."""

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Union

from omegaconf import DictConfig

from sem_lightning.config.app import exit_with_unusable, run_command
from sem_lightning.config.build import build
from sem_lightning.config.environment import shown
from sem_lightning.config.schemas import InspectSettings
from sem_lightning.inspection.references import InspectionPair, find_pairs

if TYPE_CHECKING:
    from sem_lightning.inference.prediction import UnreadableImage
    from sem_lightning.inspection.design import Design
    from sem_lightning.inspection.inspection import Inspection
    from sem_lightning.inspection.inspector import Inspector


def main() -> None:
    """Entry point of ``sem-inspect``."""
    run_command("inspect", inspect)


def inspect(config: DictConfig) -> None:
    """Write one row for each image. Those that cannot be compared are named and give exit code 3."""
    settings: InspectSettings = build(config, "")
    output = Path(settings.output).expanduser()
    overlays = output.with_name(f"{output.stem}_overlays")
    design = settings.design.open()
    pairs = find_pairs(settings.images, settings.reference, overlays, print)
    from sem_lightning.inference.overlay import clear_overlays, save_overlay
    from sem_lightning.inspection.inspection import Inspection
    from sem_lightning.inspection.inspector import Inspector
    from sem_lightning.inspection.panels import draw_overlay
    from sem_lightning.inspection.report import InspectionReport
    from sem_lightning.inspection.writers import UNREADABLE, InspectionWriter
    from sem_lightning.provenance import describe_environment

    lines, page = (Path(name).expanduser() if name else None for name in (settings.jsonl, settings.report))
    writer = InspectionWriter(output, lines, page, edges=design is not None)
    crop = settings.data_bar == "auto"
    inspector = Inspector(settings.false_places, settings.pixel_size, crop, settings.network)
    report = InspectionReport()
    sinks: list[InspectionWriter | InspectionReport] = [writer, report] if page else [writer]
    if settings.overlays:
        clear_overlays(overlays)
    unusable: list[str] = []
    with writer.open():
        for number, (pair, found) in enumerate(_results(inspector, pairs, design), start=1):
            if isinstance(found, Inspection):
                for each in sinks:
                    each.add(found)
                if settings.overlays:
                    save_overlay(overlays, number, found.path, draw_overlay(found))
                continue
            error = str(found.error) if found else f"{pair.image}: {pair.fault}: {pair.detail}"
            unusable.append(error)
            for each in sinks:
                each.add_unusable(pair, pair.fault or UNREADABLE, error)
        if page is not None:
            report.write(page, writer.count, dataclasses.asdict(settings) | describe_environment())
    print(writer.summary(shown(output)))
    exit_with_unusable(unusable)


def _results(
    inspector: "Inspector", pairs: list[InspectionPair], design: "Design | None"
) -> Iterator[tuple[InspectionPair, Union["Inspection", "UnreadableImage", None]]]:
    """Each pair with its result; ``None`` for those with a fault."""
    results = inspector.stream((pair for pair in pairs if pair.fault is None), design)
    for pair in pairs:
        yield pair, next(results) if pair.fault is None else None


if __name__ == "__main__":
    main()
