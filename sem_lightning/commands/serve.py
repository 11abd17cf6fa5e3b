"""``sem-serve``: answer HTTP requests."""

from typing import TYPE_CHECKING

from omegaconf import DictConfig

from sem_lightning.config.app import run_command
from sem_lightning.config.build import build
from sem_lightning.config.schemas import ServeSettings
from sem_lightning.errors import SettingError, UserError
from sem_lightning.serving.access import Access, read_key

if TYPE_CHECKING:
    from sem_lightning.inference.predictor import Predictor


def main() -> None:
    """Entry point of ``sem-serve``."""
    run_command("serve", serve)


def serve(config: DictConfig) -> None:
    """Answer requests until Ctrl-C or SIGTERM."""
    settings: ServeSettings = build(config, "")
    access = Access(settings.host, read_key())
    try:
        from sem_lightning.serving.server import open_port, run_service
    except ModuleNotFoundError as error:
        raise UserError(f"sem-serve needs {error.name}: pip install 'sem-lightning[serve]'") from None
    from sem_lightning.inspection.inspector import Inspector

    port = open_port(settings.host, settings.port)
    predictor = _load(settings)
    inspector = Inspector(**settings.inspector_options())
    address = port.getsockname()
    name = f"[{address[0]}]" if ":" in address[0] else address[0]

    def say() -> None:
        print(f"{settings.ckpt} at http://{name}:{address[1]}; Ctrl-C ends it", flush=True)

    run_service(settings.ckpt, predictor, inspector, settings.limits, access, port, say)
    print("stopped; every request that was taken is answered")


def _load(settings: ServeSettings) -> "Predictor":
    from sem_lightning.inference.predictor import load

    predictor = load(settings.ckpt, **settings.predictor_options())
    if predictor.settings.judges_places:
        raise SettingError("ckpt", "compares an image with its reference: use network=...")
    return predictor


if __name__ == "__main__":
    main()
