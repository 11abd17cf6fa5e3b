"""Tests trained classifiers on labelled images, with reports and comparisons."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch.utils.tensorboard import SummaryWriter

from sem_lightning.data.datamodule import SEMDataModule
from sem_lightning.data.sources import Source
from sem_lightning.errors import SettingError
from sem_lightning.evaluation.comparison import Comparison, compare
from sem_lightning.evaluation.compatibility import check_fit, judged_polarity
from sem_lightning.evaluation.html_report import Section, write_page
from sem_lightning.evaluation.pointing_game import play_pointing_game
from sem_lightning.evaluation.prediction_collector import PredictionCollector
from sem_lightning.evaluation.tensorboard import write_figures
from sem_lightning.evaluation.test_figures import save_figures
from sem_lightning.evaluation.test_report import Report, make_report
from sem_lightning.inference.predictor import Predictor
from sem_lightning.io.atomic import write_json
from sem_lightning.runtime.open_model import Model


@dataclass(frozen=True)
class Evaluation:
    """Classifiers tested on the same images.

    Attributes:
        sections: Name, report and figures of each classifier.
        comparisons: The first classifier compared with each other one (exact McNemar tests).
        pointing: Result of `play_pointing_game` for each classifier; empty if not requested.
        skipped: Files that could not be used.
    """

    sections: list[Section]
    comparisons: list[list[Comparison]]
    pointing: list[dict[str, Any]]
    skipped: list[str]

    @property
    def reports(self) -> list[Report]:
        return [section.report for section in self.sections]


def evaluate(
    models: Sequence[tuple[str, Model]],
    source: Source,
    output: Path,
    split: str = "test",
    view_scales: Sequence[float] | None = None,
    explain: int = 0,
    num_workers: int = 0,
    device: str = "cpu",
    skip_unreadable: bool = False,
) -> Evaluation:
    """Test every classifier on one split and save its figures.

    Args:
        models: Names and classifiers.
        source: The labelled images.
        output: Folder of the figures; with several classifiers each has a subfolder.
        split: The split of the source.
        view_scales: See `Predictor`.
        explain: Number of defects for the pointing game; 0 for none.
        num_workers: Worker processes that make or read images.
        device: The torch device.
        skip_unreadable: Whether files that cannot be used are skipped.

    Raises:
        SettingError: The images do not fit a classifier.
        UserError: Files that cannot be used; the message names every one.
    """
    if not models:
        raise SettingError("models", "found none; name a classifier, or several")
    output = Path(output)
    sections, pointing, skipped = [], [], []
    datamodule = SEMDataModule(source, num_workers=num_workers)
    for number, (name, model) in enumerate(models, start=1):
        check_fit(source, model.settings)
        options: dict[str, Any] = {
            "polarity": judged_polarity(model.settings, source),
            "view_scales": view_scales,
            "device": device,
        }
        if explain:
            explaining = Predictor(model, explain=True, **options)
            pointing.append(play_pointing_game(explaining, datamodule.labelled(split), explain))
        else:
            pointing.append({})
        collector = PredictionCollector(Predictor(model, **options)).run(datamodule.labelled(split))
        skipped = [str(error) for error in collector.unreadable]
        if not skip_unreadable:
            collector.refuse_unreadable()
        folder = output if len(models) == 1 else output / str(number)
        folder.mkdir(parents=True, exist_ok=True)
        report = make_report(collector.test_predictions())
        sections.append(Section(name, report, save_figures(report, folder)))
    first = sections[0].report.predictions
    comparisons = [compare(first, other.report.predictions) for other in sections[1:]]
    return Evaluation(sections, comparisons, pointing, skipped)


def write_evaluation(evaluation: Evaluation, output: Path, facts: dict[str, Any]) -> None:
    """Write ``report.json``, ``report.html`` and TensorBoard's events.

    Args:
        evaluation: The results.
        output: The output folder.
        facts: Further content of the files: seed, split, versions.
    """
    sections, comparisons = evaluation.sections, evaluation.comparisons
    models = [
        {"checkpoint": section.name, **section.report.to_dict(), **({"pointing": one} if one else {})}
        for section, one in zip(sections, evaluation.pointing, strict=True)
    ]
    facts = facts | ({"skipped": evaluation.skipped} if evaluation.skipped else {})
    content = models[0] | facts if len(models) == 1 else {"models": models, **facts}
    if comparisons:
        content["comparisons"] = [
            {"first": sections[0].name, "second": other.name, "tests": [dataclasses.asdict(one) for one in pair]}
            for other, pair in zip(sections[1:], comparisons, strict=True)
        ]
    write_json(output / "report.json", content)
    write_page(output / "report.html", sections, comparisons, facts | pointing_in_words(evaluation))
    for number, section in enumerate(sections, start=1):
        _write_events(output / "tensorboard" / (f"{number}" if len(sections) > 1 else ""), section)


def all_metrics(evaluation: Evaluation) -> dict[str, float]:
    """The metrics of every classifier; with several classifiers, names begin with the number."""
    several = len(evaluation.sections) > 1
    return {
        f"{number}/{name}" if several else name: value
        for number, section in enumerate(evaluation.sections, start=1)
        for name, value in section.report.metrics.items()
    }


def pointing_in_words(evaluation: Evaluation) -> dict[str, str]:
    """Results of the pointing game, as text."""
    return {
        f"{method} of {number} points at the defect": f"{rate['events']} of {rate['trials']}"
        for number, one in enumerate(evaluation.pointing, start=1)
        for method, rate in one.items()
    }


def remarks(evaluation: Evaluation) -> list[str]:
    """Classes without images, comparisons, results of the pointing game and skipped files, a line each."""
    first, skipped = evaluation.sections[0].name, evaluation.skipped
    report = evaluation.reports[0]
    missing = [name for name in report.classes if not report.counts("recall", name)[1]]
    lines = [f"no image is of class {', '.join(missing)}: its recall is not measured"] if missing else []
    lines += [
        f"{one.what}: {first} alone {one.first_only}, {other.name} alone {one.second_only} of {one.images} images, "
        f"p = {one.p:.3g}"
        for pair, other in zip(evaluation.comparisons, evaluation.sections[1:], strict=True)
        for one in pair
    ]
    lines += [f"{what}: {share}" for what, share in pointing_in_words(evaluation).items()]
    return lines + ([f"skipped: {len(skipped)} images cannot be used: {'; '.join(skipped)}"] if skipped else [])


def _write_events(folder: Path, section: Section) -> None:
    """Write a classifier's figures, metrics and rates for TensorBoard."""
    with SummaryWriter(str(folder)) as writer:
        write_figures(writer, section.figures, 0)
        for name, value in section.report.metrics.items():
            writer.add_scalar(name, value, 0)
        for rate in section.report.rates:
            if rate.value is not None:
                writer.add_scalar(f"test/{rate.name}", rate.value, 0)
