"""``sem-export``: write a classifier as a folder that runs without torch."""

from pathlib import Path

from omegaconf import DictConfig

from sem_lightning.checks import at_least
from sem_lightning.config.app import run_command
from sem_lightning.config.build import build, build_simulator, check_seed, require
from sem_lightning.config.environment import shown
from sem_lightning.config.job import task_overrides
from sem_lightning.errors import SettingError
from sem_lightning.runtime.exported_folder import check_format

_OWN = ("ckpt", "output", "format", "precision", "images")  # keys that do not describe images


def main() -> None:
    """Entry point of ``sem-export``."""
    run_command("export", export)


def export(config: DictConfig) -> None:
    """Write ``output``: the classifier of ``ckpt``, checked on images of ``data``."""
    settings = build(config.data, "data")
    ckpt, folder = str(require(config, "ckpt")), Path(str(require(config, "output"))).expanduser()
    check_format(config.format, config.precision)
    at_least("images", config.images, 16)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise SettingError("output", f"{folder} is there already; name a new folder")
    from sem_lightning.evaluation.compatibility import open_models, open_source
    from sem_lightning.export.export import Export
    from sem_lightning.export.export import export as write
    from sem_lightning.model.checkpoint import load_model

    ((_, model),) = open_models([ckpt], (), load_model)
    seed = model.settings.seed if config.seed is None else check_seed(config)
    source = open_source(build_simulator(config), settings, model, seed)
    kind = [each for each in task_overrides() if each.partition("=")[0] not in _OWN]
    described = f"images of the groups of sem-export with {', '.join([*kind, f'seed={seed}'])}"
    found = write(
        model,
        source,
        Export(folder, config.format, config.precision, config.images, described, settings.num_workers),
    )
    for name, value in found.card.items():
        print(f"{name.replace('_', ' ')}: {value:.6g}" if isinstance(value, float) else f"{name}: {value}")
    print(
        f"{shown(folder)} holds the classifier ({config.format}, {config.precision}): sem-predict ckpt={shown(folder)}"
    )


if __name__ == "__main__":
    main()
