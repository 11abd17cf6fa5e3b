"""``sem-calibrate``: make a new decision rule for a trained classifier."""

from pathlib import Path

from omegaconf import DictConfig, ListConfig

from sem_lightning.config.app import run_command
from sem_lightning.config.build import build, build_simulator, check_seed, require
from sem_lightning.config.environment import shown
from sem_lightning.data.data_settings import FolderSettings
from sem_lightning.io.result_files import check_targets
from sem_lightning.model.model_settings import check_view_scales


def main() -> None:
    """Entry point of ``sem-calibrate``."""
    run_command("calibrate", calibrate)


def calibrate(config: DictConfig) -> None:
    """Write ``output``: the classifier of ``ckpt`` with a rule made from the splits ``val``, ``calibration``."""
    decision, settings = build(config.decision, "decision"), build(config.data, "data")
    check_view_scales(config.view_scales)
    ckpt = require(config, "ckpt")
    names = list(ckpt) if isinstance(ckpt, ListConfig) else [ckpt]
    target = Path(str(require(config, "output"))).expanduser()
    images = Path(settings.root).expanduser().rglob("*") if isinstance(settings, FolderSettings) else ()
    check_targets(
        [("output", target)], [("ckpt", [Path(str(name)).expanduser() for name in names]), ("data.root", images)]
    )
    from sem_lightning.decision.explanation import explain_rule
    from sem_lightning.evaluation.calibrate import AVERAGED, in_order
    from sem_lightning.evaluation.calibrate import calibrate as give_rule
    from sem_lightning.evaluation.compatibility import open_models, open_source
    from sem_lightning.model.checkpoint import load_model
    from sem_lightning.model.device import choose_device

    device = choose_device(config.device)
    alike = AVERAGED if config.view_scales is not None else (*AVERAGED, "view_scales")
    opened = in_order(open_models(names, alike, load_model))
    path, model = opened[0]
    seed = model.settings.seed if config.seed is None else check_seed(config)
    source = open_source(build_simulator(config), settings, model, seed)
    skip = getattr(settings, "on_bad_image", "error") == "skip"
    rule = give_rule(opened, source, decision, target, config.view_scales, settings.num_workers, device, skip)
    described = f"mean of {len(opened)} classifiers" if len(opened) > 1 else f"classifier of {shown(path)}"
    print(f"{explain_rule(rule)}\n{shown(target)} holds it, with the {described}")


if __name__ == "__main__":
    main()
