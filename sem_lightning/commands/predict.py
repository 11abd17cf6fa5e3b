"""``sem-predict``: classify image files."""

import itertools
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from omegaconf import MISSING, DictConfig

from sem_lightning.commands.app import EXIT_SOME_UNUSABLE, run_command
from sem_lightning.commands.open_data import open_classifier
from sem_lightning.commands.settings import at_least, build, one_of
from sem_lightning.data.images import fit_to
from sem_lightning.decision.rule import UNSURE_NAME
from sem_lightning.errors import SettingError
from sem_lightning.files import printable, write_atomically
from sem_lightning.fitting.measure import wire_pieces
from sem_lightning.inspection.find import find_images
from sem_lightning.inspection.inspector import Finding, Inspector, Preparation, Prepared, Unreadable
from sem_lightning.inspection.listing import Listing
from sem_lightning.inspection.overlay import draw_overlay
from sem_lightning.inspection.polarity import FEWEST_VOTES, bright_share, guess_polarity, polarity_of_ends
from sem_lightning.inspection.reader import read_ahead
from sem_lightning.model.adaptation import adapt_batch_norms
from sem_lightning.model.classifier import SEMClassifier, check_scales
from sem_lightning.model.saliency import check_captum
from sem_lightning.synthesis.field import Float32
from sem_lightning.synthesis.patterns.pattern import EITHER, POLARITIES

_ADAPTED_TO, _FEWEST_ADAPTED_TO, _ADAPTED_AT_ONCE = 256, 8, 32  # images
_POLARITY_VOTES = 32  # images that say which polarity theirs is


@dataclass
class PredictSettings:
    """``conf/predict.yaml``."""

    ckpt: str = MISSING
    images: str = MISSING
    output: str = MISSING
    jsonl: str | None = MISSING
    batch_size: int = MISSING
    tiling: str = MISSING
    overlap: float = MISSING
    scales: list[float] | None = MISSING
    adapt: bool = MISSING
    pixel_size: float | None = MISSING
    polarity: str | None = MISSING
    data_bar: str = MISSING
    explain: bool = MISSING

    def __post_init__(self) -> None:
        at_least("batch_size", self.batch_size, 1)
        one_of("tiling", self.tiling, ("auto", "on", "off"))
        one_of("data_bar", self.data_bar, ("auto", "keep"))
        if not 0 <= self.overlap <= 0.9:
            raise SettingError("overlap", f"found {self.overlap:g}, expected a share of a tile's side from 0 to 0.9")
        check_scales(self.scales)
        if self.pixel_size is not None and not 0 < self.pixel_size < float("inf"):
            raise SettingError("pixel_size", f"found {self.pixel_size:g}, expected nm above 0")
        if self.polarity is not None:
            one_of("polarity", self.polarity, (*POLARITIES, "auto"))


def main() -> None:
    """Entry point of ``sem-predict``."""
    run_command("predict", PredictSettings, predict)


def predict(config: DictConfig) -> None:
    """Write one row for each readable image; unreadable ones are named, and the exit code is then 3."""
    settings: PredictSettings = build(config, "")
    output = Path(settings.output).expanduser()
    if not output.name:
        raise SettingError("output", f"found {settings.output!r}, expected the name of a file")
    overlays = output.with_name(f"{output.stem}_overlays")
    paths = find_images(settings.images, leave_out=overlays)
    _, classifier = open_classifier(config, "ckpt")
    if settings.explain:
        check_captum()
    lines = Path(settings.jsonl).expanduser() if settings.jsonl else None
    boxes = output.with_name(f"{output.stem}_regions.csv") if settings.tiling == "on" or settings.explain else None
    listing = Listing(classifier.classes, output, lines, boxes)
    how = _choose_preparation(settings, paths, classifier)
    if settings.adapt:
        _adapt(classifier, paths, how)
    scales = [1] if settings.tiling == "on" else list(how.scales)
    if classifier.rule.promise is not None and scales != list(classifier.hparams["scales"]):
        print("its promise was made for other scales and does not hold with these")
    if settings.pixel_size is not None and settings.tiling == "auto" and len(scales) > 1:
        print("pixel_size: not used, for files are looked at as a whole at several sizes; tiling=on looks at tiles")
    classifier.net.fold_batch_norm()
    if settings.explain:
        for stale in overlays.glob("[0-9]*_*.png"):  # of an earlier run
            stale.unlink()
    counts: Counter[str] = Counter()
    unreadable: list[str] = []

    inspector = Inspector(classifier, settings.batch_size, settings.explain)
    with listing.open():
        for number, found in enumerate(inspector.judge(read_ahead(paths, how)), start=1):
            if isinstance(found, Unreadable):
                unreadable.append(str(found.error))
                listing.add_unreadable(found)
                continue
            counts[found.decision] += 1
            listing.add(found)
            if settings.explain:
                _save_overlay(overlays, number, found)
    said = ", ".join(f"{name} {counts[name]}" for name in (*classifier.classes, UNSURE_NAME))
    print(f"{counts.total()} images in {output} ({classifier.rule.kind}): {said}")
    if unreadable:
        for problem in unreadable:
            print(f"error: {printable(problem)}", file=sys.stderr)
        sys.exit(EXIT_SOME_UNUSABLE)


def _choose_preparation(settings: PredictSettings, paths: list[Path], classifier: SEMClassifier) -> Preparation:
    """How the files become what this classifier takes.

    Raises:
        SettingError: Something that it does not know of itself, or that does not fit it.
    """
    if settings.tiling == "on" and not classifier.knows_good:
        raise SettingError("tiling", "the most suspicious tile decides, and this classifier has no class good; use off")
    if settings.tiling == "on" and settings.scales is not None and len(settings.scales) > 1:
        raise SettingError("scales", "tiling=on looks at tiles, at one scale; use scales=[1] or another tiling")
    how = Preparation.for_classifier(
        classifier,
        scales=settings.scales,
        tiling=settings.tiling,
        overlap=settings.overlap,
        pixel_size=settings.pixel_size,
        crop_data_bar=settings.data_bar == "auto",
    )
    trained = classifier.hparams["polarity"]
    if settings.polarity is None:
        guess = trained == EITHER and classifier.rule.promise is None  # which holds for images as they are
        return replace(how, negative=guess and _show_dark_ends(paths, how))
    if trained is None:
        unknown = "the checkpoint does not know that of its training images, which data.polarity=... of training says"
        raise SettingError("polarity", f"{unknown}; use null")
    return how.told(_find_polarity(paths, how) if settings.polarity == "auto" else settings.polarity, trained)


def _show_dark_ends(paths: list[Path], how: Preparation) -> bool:
    """Whether some of the images show that they are of dark metal, so that those that do not can be judged as such."""
    if len(paths) < FEWEST_VOTES:
        return False
    pieces = [wire_pieces(image) for image in _some(paths, how)]
    found = polarity_of_ends(pieces) == "dark"
    if found:
        print(f"polarity: dark wires, whose ends some of {len(pieces)} images show (polarity=bright: as they are)")
    return found


def _some(paths: list[Path], how: Preparation) -> Iterator[Float32]:
    """Some of the readable images, from all over the list, each as closely as it is looked at without enlarging it."""
    chosen = _spread(paths, _POLARITY_VOTES)
    others = sorted(set(paths).difference(chosen))  # in place of what cannot be read
    ready = (image for image in read_ahead([*chosen, *others], how) if isinstance(image, Prepared))
    for image in itertools.islice(ready, _POLARITY_VOTES):
        yield [image.image, *(look.image for look in image.closer if not look.enlarged)][-1]


def _spread(paths: list[Path], count: int) -> list[Path]:
    """At most so many of them, evenly spread."""
    return [paths[round(i)] for i in np.linspace(0, len(paths) - 1, min(len(paths), count))]


def _find_polarity(paths: list[Path], how: Preparation) -> str:
    """What the lines of some of the images are.

    Raises:
        SettingError: These do not tell.
    """
    shares = [bright_share(image) for image in _some(paths, how)]
    if not shares:
        return POLARITIES[0]  # nothing will be judged: the run itself names what cannot be read
    found = guess_polarity(shares)
    if found is None:
        raise SettingError(
            "polarity",
            f"auto cannot tell: bright covers {np.median(shares):.0%} of the images, and lines as wide as their spaces "
            "look the same either way; say bright or dark",
        )
    print(f"polarity: {found} lines (bright covers {np.median(shares):.0%} of the images)")
    return found


def _adapt(classifier: SEMClassifier, paths: list[Path], how: Preparation) -> None:
    """Bring the classifier's batch norms half of the way to these images.

    Raises:
        SettingError: There are too few of them.
    """
    seen: list[Float32] = []
    for image in read_ahead(_spread(paths, _ADAPTED_TO), how):
        if isinstance(image, Prepared):  # of images in tiles another tile each
            seen.append(image.tiling.cut(image.image, len(seen) % len(image.tiling)).copy())
    if len(seen) < _FEWEST_ADAPTED_TO:
        raise SettingError("adapt", f"needs {_FEWEST_ADAPTED_TO} readable images or more, found {len(seen)}")
    shapes = Counter((image.shape[0], image.shape[1]) for image in seen)
    common = shapes.most_common(1)[0][0]  # statistics over a batch ask for one shape
    images = torch.from_numpy(np.stack([fit_to(image, common) for image in seen])).unsqueeze(1)
    adapt_batch_norms(classifier.net, torch.tensor_split(images, -(-len(seen) // _ADAPTED_AT_ONCE)))
    print(f"adapted to {len(seen)} of the images, without labels")
    if classifier.rule.promise is not None:
        print("its promise was made without adapt=true and does not hold with it")


def _save_overlay(folder: Path, number: int, finding: Finding) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    code: Any = cv2.imencode(".png", draw_overlay(finding))[1]
    # the number keeps files of one name in several folders apart; other bytes of names are nobody's file name
    stem = "".join(c if c.isalnum() or c in "-_." else "_" for c in finding.prepared.path.stem)[:80]
    write_atomically(folder / f"{number:06d}_{stem}.png", lambda path: path.write_bytes(code.tobytes()))


if __name__ == "__main__":
    main()
