"""The card of a set: content and origin, for people (``README.md``) and programs (``dataset.json``)."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from sem_lightning.io.dataset_format import CHECKSUMS, COCO, LABELS, METADATA, PREVIEW
from sem_lightning.polarity import POLARITIES

LICENCE = "CC0-1.0"


@dataclass(frozen=True)
class CardFacts:
    """The facts on a card.

    Attributes:
        classes: Class names in label order.
        counts: Images of each class in each split.
        image_size: Height and width, pixels.
        pixel_size: nm.
        polarity: Polarity of the feature: ``bright`` or ``dark``; ``None`` or ``either`` if both occur.
        bits: Bits of a pixel, 8 or 16.
        command: The command that reproduces the set.
        kind: ``files`` or ``shards``.
        seed: Seed of the scenes.
        identity: Version and configuration.
    """

    classes: list[str]
    counts: dict[str, dict[str, int]]
    image_size: int
    pixel_size: float
    polarity: str | None
    bits: int
    command: str
    kind: str
    seed: int
    identity: dict[str, Any]

    def describe(self) -> dict[str, Any]:
        """The content of ``dataset.json``."""
        return {
            "made_by": self.identity["made_by"],
            "command": self.command,
            "licence": LICENCE,
            "classes": self.classes,
            "images": sum(sum(counts.values()) for counts in self.counts.values()),
            "counts": self.counts,
            "seed": self.seed,
            "image_size": self.image_size,
            "pixel_size": self.pixel_size,
            "polarity": self.polarity,
            "bits": self.bits,
            "kind": self.kind,
            "config": self.identity["config"],
        }


def write_card(path: Path, facts: CardFacts, severities: dict[str, list[int]], grey: list[int]) -> None:
    """Write ``README.md``.

    Args:
        path: The output file.
        facts: Its content.
        severities: Number of defects of each class in each fifth of the severity scale.
        grey: Number of pixels in each sixteenth of the grey scale.
    """
    splits = [split for split in facts.counts if sum(facts.counts[split].values())]
    features = facts.polarity if facts.polarity in POLARITIES else "bright and dark"
    lines = [
        f"# {facts.describe()['images']} simulated SEM images",
        "",
        f"{facts.image_size} x {facts.image_size} pixels of {facts.pixel_size:g} nm, {facts.bits} bits, "
        f"{features} features. Made by {facts.identity['made_by']}; the same command makes "
        "the same bytes again:",
        "",
        f"    {facts.command}",
        "",
        f"Every pixel is simulated; no real image went into it. Licence: {LICENCE} (no rights reserved).",
        "",
        f"| class | {' | '.join(splits)} |",
        f"| --- |{' ---: |' * len(splits)}",
        *(_row(name, [facts.counts[split][name] for split in splits]) for name in facts.classes),
        "",
        f"`{LABELS}` lists class and split of every image, `{METADATA}` its boxes, severities and the scene that "
        f"renders it bit for bit, `{COCO}` boxes and masks where they were asked for. `sha256sum -c {CHECKSUMS}` "
        f"checks every file. `{PREVIEW}` shows the first images of each class.",
        "",
        "## Severity of the defects",
        "",
        "| class | 0 to 0.2 | to 0.4 | to 0.6 | to 0.8 | to 1 |",
        "| --- | ---: | ---: | ---: | ---: | ---: |",
        *(_row(name, counts) for name, counts in severities.items()),
        "",
        "## Grey levels",
        "",
        "Share of all pixels in each sixteenth of the scale, black to white:",
        "",
        "    " + " ".join(f"{count / max(sum(grey), 1):.3f}" for count in grey),
        "",
        "## Configuration",
        "",
        "```yaml",
        OmegaConf.to_yaml(OmegaConf.create(facts.identity["config"])).rstrip(),
        "```",
    ]
    path.write_text("\n".join(lines) + "\n")


def _row(name: str, numbers: list[int]) -> str:
    return f"| {name} | {' | '.join(map(str, numbers))} |"
