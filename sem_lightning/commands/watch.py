"""``sem-watch``: answer image files as they come into a folder."""

from pathlib import Path
from typing import TYPE_CHECKING, Union

from omegaconf import DictConfig

from sem_lightning.config.app import run_command
from sem_lightning.config.build import build
from sem_lightning.config.environment import shown
from sem_lightning.config.schemas import WatchSettings
from sem_lightning.errors import SettingError
from sem_lightning.io.atomic import check_writable, exclusive

if TYPE_CHECKING:
    from sem_lightning.serving.verdicts import Classifying, Inspecting


def main() -> None:
    """Entry point of ``sem-watch``."""
    run_command("watch", watch)


def watch(config: DictConfig) -> None:
    """Answer files until Ctrl-C or SIGTERM."""
    settings: WatchSettings = build(config, "")
    folder, output = (Path(name).expanduser() for name in (settings.images, settings.output))
    if not folder.is_dir():
        raise SettingError("images", f"found no folder {folder}; expected one, into which files come")
    check_writable("output", output)
    output.mkdir(parents=True, exist_ok=True)

    def refuse() -> None:
        raise SettingError("output", f"another sem-watch writes to {output}; name another folder")

    with exclusive(output / ".sem-watch.lock", refuse):
        from sem_lightning.serving.journal import Journal
        from sem_lightning.serving.watcher import Watcher, WatchTimes

        journal, judge = Journal(output), _judge(settings)
        times = WatchTimes(settings.settle, settings.give_up, settings.poll)
        watcher = Watcher(folder, output, journal, judge, settings.reference, times)
        try:
            print(f"{shown(folder)} is watched, answers go to {shown(output)}; Ctrl-C ends it", flush=True)
            watcher.run(lambda line: print(line, flush=True))
        except KeyboardInterrupt:
            journal.recover()  # what the signal has interrupted
        print(f"stopped; {watcher.in_words()}")


def _judge(settings: WatchSettings) -> Union["Classifying", "Inspecting"]:
    from sem_lightning.serving.verdicts import Classifying, Inspecting

    if settings.reference is None:
        from sem_lightning.inference.predictor import load

        return Classifying(load(settings.ckpt, **settings.predictor_options()))
    from sem_lightning.inspection.inspector import Inspector

    return Inspecting(Inspector(**settings.inspector_options()))


if __name__ == "__main__":
    main()
