"""``sem-review``: look at the images that are most worth it, and label them."""

from pathlib import Path

from omegaconf import DictConfig

from sem_lightning.config.app import run_command
from sem_lightning.config.build import build
from sem_lightning.config.environment import hide_variables, shown
from sem_lightning.errors import missing_extra
from sem_lightning.io.atomic import check_writable
from sem_lightning.review.images import check_folder
from sem_lightning.review.review_settings import ReviewSettings
from sem_lightning.serving.access import Access, read_key


def main() -> None:
    """Entry point of ``sem-review``."""
    run_command("review", review)


def review(config: DictConfig) -> None:
    """Serve the page until Ctrl-C or SIGTERM, export or import labels, or train on them."""
    settings: ReviewSettings = build(config, "")
    folder, output = (Path(name).expanduser() for name in (settings.images, settings.output))
    check_writable("output", output)
    check_folder(folder)
    actions = {"serve": _serve, "export": _export, "import": _import, "round": _round}
    actions[settings.action](settings, folder, output)


def _serve(settings: ReviewSettings, folder: Path, output: Path) -> None:
    access = Access(settings.host, read_key())
    try:
        from sem_lightning.review.serving import serve_review
    except ModuleNotFoundError:
        raise missing_extra("serve", "sem-review") from None

    serve_review(settings, folder, output, access, lambda line: print(hide_variables(line), flush=True))
    print(f"stopped; every answer is in {shown(output)}")


def _export(settings: ReviewSettings, folder: Path, output: Path) -> None:
    from sem_lightning.review.exporting import export_review

    found, written = export_review(folder, output)
    print(f"{len(found.images)} images in {shown(output)}: {', '.join(written)}; left out: {found.left_out}")


def _import(settings: ReviewSettings, folder: Path, output: Path) -> None:
    from sem_lightning.review.importing import import_review

    stored, unknown = import_review(
        labels := Path(str(settings.labels)).expanduser(), folder, output, settings.reviewer
    )
    print(f"{stored} answers of {shown(labels)} in {shown(output)}; {unknown} of its images are not in {shown(folder)}")


def _round(settings: ReviewSettings, folder: Path, output: Path) -> None:
    from rich.console import Console

    from sem_lightning.config.overrides import quote_paths
    from sem_lightning.config.training import compose_training
    from sem_lightning.review.learning import learn_from_review

    overrides = quote_paths(settings.training(output), sweeps=False)
    learnt = learn_from_review(folder, output, compose_training(*overrides))
    learnt.outcome.report.print(Console(), learnt.title, learnt.outcome.caption)
    print(learnt.describe(folder, output))


if __name__ == "__main__":
    main()
