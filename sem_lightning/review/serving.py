"""Serves the page of a review on this machine."""

import getpass
from collections.abc import Callable
from pathlib import Path

from sem_lightning.errors import SettingError
from sem_lightning.io.atomic import exclusive, printable
from sem_lightning.review.app import LIMITS, ReviewService
from sem_lightning.review.opening import open_review
from sem_lightning.review.review_settings import ReviewSettings
from sem_lightning.serving.access import Access
from sem_lightning.serving.server import open_port, run_service, url_of


def serve_review(
    settings: ReviewSettings, folder: Path, output: Path, access: Access, say: Callable[[str], object]
) -> None:
    """Judge all images, then serve the page until Ctrl-C or SIGTERM.

    Args:
        settings: See ``conf/review.yaml``.
        folder: Of the images.
        output: Of the answers; no other process writes there meanwhile.
        access: Who is answered.
        say: Called with lines for the user: how many images are judged, and where the page is.

    Raises:
        SettingError: Another review writes to ``output``, or the port is not free.
        UserError: See `open_review`.
    """

    def refuse() -> None:
        raise SettingError("output", f"another sem-review writes to {output}; open its page, or name another folder")

    def say_judged(done: int, total: int) -> None:
        say(f"judged {done} of {total} images")

    output.mkdir(parents=True, exist_ok=True)
    with exclusive(output / ".sem-review.lock", refuse), open_port(settings.host, settings.port) as port:
        options = settings.predictor_options(), settings.classes, settings.options()
        session = open_review(folder, output, settings.ckpt, *options, progress=say_judged)
        said = f"{len(session.images)} images of {printable(folder)} at {url_of(port)}; Ctrl-C ends it"
        service = ReviewService(session, access, settings.reviewer or getpass.getuser())
        run_service(service.application(), LIMITS, port, lambda: say(said))
        session.store.close()
