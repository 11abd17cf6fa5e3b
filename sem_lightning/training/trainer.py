"""Builds Lightning's Trainer and handles its interrupts and warnings."""

import logging
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import lightning
from lightning.fabric.plugins import CheckpointIO, TorchCheckpointIO
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.loggers import Logger
from lightning.pytorch.utilities import rank_zero_only

from sem_lightning.errors import SettingError
from sem_lightning.model.checkpoint import write_checkpoint


def quiet_lightning() -> None:
    """Silence inapplicable warnings, and all processes except the first.

    For example the warning about few workers: with these images more than one worker process does not help.
    """
    if getattr(rank_zero_only, "rank", 0) > 0:
        logging.getLogger("sem_lightning").setLevel(logging.ERROR)
    for name in ("lightning.pytorch.utilities.rank_zero", "lightning.pytorch.accelerators", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.WARNING)
    # Lightning 2.6 uses a deprecated class of newer torch versions.
    warnings.filterwarnings("ignore", message=".*LeafSpec.*is deprecated.*")
    # A resumed run has its own folder.
    warnings.filterwarnings("ignore", message=".*The dirpath has changed from.*")
    warnings.filterwarnings("ignore", message=".*does not have many workers.*")
    warnings.filterwarnings(
        "ignore", message=".*The number of training batches.*is smaller than the logging interval.*"
    )
    warnings.filterwarnings("ignore", message=".*Checkpoint directory .* exists and is not empty.*")


class WholeCheckpoints(TorchCheckpointIO):
    """Writes checkpoints whole or not at all. Lightning (2.6) leaves half a file under its name on a full disk."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any = None) -> None:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        write_checkpoint(Path(path), checkpoint)


def build_trainer(
    options: Mapping[str, Any],
    output: Path,
    callbacks: Sequence[Callback],
    logger: Logger | None = None,
    log_every_n_steps: int = 50,
    progress_bar: bool = True,
) -> lightning.Trainer:
    """A Trainer from the plain mapping ``trainer``.

    Raises:
        SettingError: A key or value that Lightning's Trainer does not accept.
    """
    own = options.get("plugins") or []
    plugins = [*own] if isinstance(own, Sequence) and not isinstance(own, str) else [own]
    if not any(isinstance(each, CheckpointIO) for each in plugins):
        plugins.append(WholeCheckpoints())
    try:
        return lightning.Trainer(
            **{**options, "plugins": plugins},
            default_root_dir=output,
            use_distributed_sampler=False,  # the data module divides images among processes
            callbacks=list(callbacks),
            logger=logger if logger is not None else False,
            log_every_n_steps=log_every_n_steps,
            enable_progress_bar=progress_bar,
            enable_model_summary=False,
        )
    except Exception as error:  # Lightning raises many types of errors on values that it does not expect
        raise SettingError("trainer", " ".join(str(error).split()) or type(error).__name__) from None


def has_one_process(trainer: Mapping[str, Any]) -> bool:
    """Whether training uses one process: one device on one node."""
    devices = trainer.get("devices", 1)
    count = len(devices) if isinstance(devices, Sequence) and not isinstance(devices, str) else str(devices)
    return count in (1, "1") and trainer.get("num_nodes", 1) == 1


@contextmanager
def explain_interrupt(checkpoints: Path) -> Iterator[None]:
    """Let Ctrl-C and SIGTERM end the command (Lightning turns them into exit code 1), with a hint how to resume."""
    try:
        yield
    except SystemExit as exit_:
        stop = exit_.__context__
        if not isinstance(stop, KeyboardInterrupt):
            raise
        raise _with_hint(stop, checkpoints) from None
    except KeyboardInterrupt as stop:
        raise _with_hint(stop, checkpoints) from None


def _with_hint(stop: KeyboardInterrupt, checkpoints: Path) -> KeyboardInterrupt:
    last = checkpoints / "last.ckpt"
    hint = f"resume with resume_from={last}" if last.is_file() else "no epoch was finished, so nothing is kept"
    return type(stop)(hint)
