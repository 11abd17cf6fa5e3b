"""``sem-inspect``: compare image files with references of the same place."""

import dataclasses
from pathlib import Path

from omegaconf import DictConfig

from sem_lightning.config.app import exit_with_unusable, run_command
from sem_lightning.config.build import build
from sem_lightning.config.environment import shown
from sem_lightning.config.schemas import InspectSettings
from sem_lightning.inspection.labels import read_labels
from sem_lightning.inspection.outcomes import Outcomes
from sem_lightning.inspection.references import InspectionPair, find_pairs


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
    outcomes = _open_labels(settings, pairs) if settings.labels else None
    from sem_lightning.inspection.report import InspectionReport
    from sem_lightning.inspection.sinks import Overlays, Sink, inspect_pairs
    from sem_lightning.inspection.writers import InspectionWriter
    from sem_lightning.provenance import describe_environment

    names = (settings.jsonl, settings.report, settings.save_limits)
    lines, page, limits = (Path(name).expanduser() if name else None for name in names)
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
        _evaluate(settings, outcomes, limits)
    exit_with_unusable(unusable)


def _open_labels(settings: InspectSettings, pairs: list[InspectionPair]) -> Outcomes:
    """What collects the outcomes. Too few labels for the bounds are refused before anything is compared."""
    from sem_lightning.inspection.limits_choice import check_counts

    labels = read_labels(str(settings.labels))
    images = [pair.image for pair in pairs]
    good, defective = labels.count(images)
    if missing := labels.missing(images):
        print(f"labels: {len(missing)} of the labelled images are not inspected, such as {shown(missing[0])}")
    if settings.save_limits:
        check_counts(good, defective, *settings.bounds)
    return Outcomes(labels)


def _evaluate(settings: InspectSettings, outcomes: Outcomes, limits: Path | None) -> None:
    """Print the rates; choose, write and print the limits."""
    from sem_lightning.inspection.evaluation import evaluate_inspections
    from sem_lightning.inspection.limits_choice import choose_limits

    print(evaluate_inspections(outcomes))
    if limits is not None:
        chosen = choose_limits(outcomes, *settings.bounds)
        chosen.save(limits)
        print(f"{chosen}\n{shown(limits)} holds these limits")


if __name__ == "__main__":
    main()
