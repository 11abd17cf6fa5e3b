"""``sem-preview``: draw images of any configuration of the simulator in seconds."""

from pathlib import Path

import cv2
import numpy as np
from omegaconf import DictConfig

from sem_lightning.checks import at_least
from sem_lightning.config.app import run_command
from sem_lightning.config.build import build_pairs, build_simulator, check_seed
from sem_lightning.config.environment import shown
from sem_lightning.data.export.contact_sheet import draw_contact_sheet
from sem_lightning.data.splits import SPLITS
from sem_lightning.errors import SettingError
from sem_lightning.io.atomic import write_atomically
from sem_lightning.synthesis.pairs import PairSimulator, render_pair
from sem_lightning.synthesis.simulator import Sample, Simulator, render

_MOST_PICTURES = 1000


def main() -> None:
    """Entry point of ``sem-preview``."""
    run_command("preview", preview)


def preview(config: DictConfig) -> None:
    """Write a sheet with ``per_class`` images of each class, with outlines and severities of the defects.

    With ``pair`` each image has its reference to its right.
    """
    seed = check_seed(config)
    simulator = build_simulator(config) if config.pair is None else build_pairs(config)
    at_least("per_class", config.per_class, 1)
    if config.per_class * len(simulator.classes) > _MOST_PICTURES:
        raise SettingError("per_class", f"found {config.per_class}, that is more than {_MOST_PICTURES} images in all")
    if not 32 <= config.cell <= 1024:
        raise SettingError("cell", f"found {config.cell}, expected 32 to 1024 pixels")
    output = Path(config.output).expanduser()
    if output.suffix.lower() not in (".png", ".jpg"):
        raise SettingError("output", f"found {config.output}, expected a name that ends in .png or .jpg")
    split = SPLITS.index("train")
    rows = []
    for number, label in enumerate(simulator.classes):
        # the first images of training on the fly and of generate.py
        indices = range(number, number + config.per_class * len(simulator.classes), len(simulator.classes))
        rows.append((label, [sample for index in indices for sample in _draw(simulator, seed, split, index, label)]))
    code = cv2.imencode(output.suffix, draw_contact_sheet(rows, config.cell))[1]
    output.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(output, lambda temporary: temporary.write_bytes(code.tobytes()))
    print(f"{config.per_class} images of each of {', '.join(simulator.classes)} in {shown(output)}")


def _draw(simulator: Simulator | PairSimulator, seed: int, split: int, index: int, label: str) -> list[Sample]:
    """An image, and its reference if there are pairs."""
    if isinstance(simulator, Simulator):
        return [render(simulator.draw(seed, split, index, label))]
    pair = render_pair(*simulator.draw(seed, split, index, label))
    clean = pair.image.scene.without_defects()
    return [pair.image, Sample(pair.reference, np.zeros_like(pair.image.mask), [], clean)]


if __name__ == "__main__":
    main()
