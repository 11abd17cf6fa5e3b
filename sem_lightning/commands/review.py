"""``sem-review``: look at the images that are most worth it, and label them."""

import getpass
from pathlib import Path

from omegaconf import DictConfig

from sem_lightning.config.app import run_command
from sem_lightning.config.build import build
from sem_lightning.config.environment import shown
from sem_lightning.errors import SettingError, missing_extra
from sem_lightning.io.atomic import check_writable, exclusive
from sem_lightning.review.review_settings import ReviewSettings
from sem_lightning.serving.access import Access, read_key


def main() -> None:
    """Entry point of ``sem-review``."""
    run_command("review", review)


def review(config: DictConfig) -> None:
    """Serve the page until Ctrl-C or SIGTERM, or export or import labels."""
    settings: ReviewSettings = build(config, "")
    folder, output = (Path(name).expanduser() for name in (settings.images, settings.output))
    check_writable("output", output)
    if not folder.is_dir():
        raise SettingError("images", f"found no folder {folder}; expected one that holds images")
    {"serve": _serve, "export": _export, "import": _import}[settings.action](settings, folder, output)


def _serve(settings: ReviewSettings, folder: Path, output: Path) -> None:
    access = Access(settings.host, read_key())
    try:
        from sem_lightning.review.app import LIMITS, ReviewService
        from sem_lightning.serving.server import open_port, run_service
    except ModuleNotFoundError:
        raise missing_extra("serve", "sem-review") from None
    from sem_lightning.review.opening import open_review

    def refuse() -> None:
        raise SettingError("output", f"another sem-review writes to {output}; open its page, or name another folder")

    output.mkdir(parents=True, exist_ok=True)
    with exclusive(output / ".sem-review.lock", refuse), open_port(settings.host, settings.port) as port:
        options = settings.predictor_options(), settings.classes, settings.options()
        session = open_review(folder, output, settings.ckpt, *options, progress=_say_progress)
        address = port.getsockname()
        name = f"[{address[0]}]" if ":" in address[0] else address[0]
        said = f"{len(session.images)} images of {shown(folder)} at http://{name}:{address[1]}; Ctrl-C ends it"
        service = ReviewService(session, access, settings.reviewer or getpass.getuser())
        run_service(service.application(), LIMITS, port, lambda: print(said, flush=True))
        session.store.close()
    print(f"stopped; every answer is in {shown(output)}")


def _export(settings: ReviewSettings, folder: Path, output: Path) -> None:
    from sem_lightning.review.exporting import export_review

    found, written = export_review(folder, output)
    left = f"{found.unsure} unsure, {found.disputed} disputed, {found.gone} of files that are gone or have changed"
    print(f"{len(found.images)} images in {shown(output)}: {', '.join(written)}; left out: {left}")


def _import(settings: ReviewSettings, folder: Path, output: Path) -> None:
    from sem_lightning.review.importing import import_review

    labels = Path(str(settings.labels)).expanduser()
    stored, unknown = import_review(labels, folder, output, settings.reviewer)
    print(f"{stored} answers of {shown(labels)} in {shown(output)}; {unknown} of its images are not in {shown(folder)}")


def _say_progress(done: int, total: int) -> None:
    print(f"judged {done} of {total} images", flush=True)


if __name__ == "__main__":
    main()
