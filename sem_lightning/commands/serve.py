"""``sem-serve``: answer HTTP requests."""

from omegaconf import DictConfig

from sem_lightning.config.app import run_command
from sem_lightning.config.build import build
from sem_lightning.config.schemas import ServeSettings
from sem_lightning.errors import missing_extra
from sem_lightning.serving.access import Access, read_key


def main() -> None:
    """Entry point of ``sem-serve``."""
    run_command("serve", serve)


def serve(config: DictConfig) -> None:
    """Answer requests until Ctrl-C or SIGTERM."""
    settings: ServeSettings = build(config, "")
    access = Access(settings.host, read_key())
    try:
        from sem_lightning.serving.opening import open_service
        from sem_lightning.serving.server import open_port, run_service, url_of
    except ModuleNotFoundError:
        raise missing_extra("serve", "sem-serve") from None
    port = open_port(settings.host, settings.port)
    options = settings.predictor_options(), settings.inspector_options()
    service = open_service(settings.ckpt, *options, settings.limits, access)

    def say() -> None:
        print(f"{settings.ckpt} at {url_of(port)}; Ctrl-C ends it", flush=True)

    run_service(service.application(), settings.limits, port, say)
    print("stopped; every request that was taken is answered")


if __name__ == "__main__":
    main()
