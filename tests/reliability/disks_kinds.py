"""Full disks, and outputs that are no files: devices, pipes, links, folders, sockets, other people's left-overs."""

import contextlib
import os
import resource
import socket
import stat
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path

from kind import Kind
from tiny import SIMULATED, SPLITS, TRAINING, Ended, make_checkpoint, make_images, run
from whole import final_files, is_whole

# commands, and the name of the file or folder that each writes
Command = Callable[[Path, str], Ended]
LIMITS = (0, 500, 20_000, 1_000_000)  # bytes that a file may grow to, a full disk's stand-in


def predict(folder: Path, output: str) -> Ended:
    return run(folder, "predict", "ckpt=made.ckpt", "images=images", f"output={output}", "device=cpu")


def predict_lines(folder: Path, output: str) -> Ended:
    return run(folder, "predict", "ckpt=made.ckpt", "images=images", f"jsonl={output}", "device=cpu")


COMPARED = ("images=images", "reference=images/000.png")


def inspect(folder: Path, output: str) -> Ended:
    return run(folder, "inspect", *COMPARED, f"output={output}")


def inspect_report(folder: Path, output: str) -> Ended:
    return run(folder, "inspect", *COMPARED, f"report={output}")


QUICKLY = ("device=cpu", "decision=argmax", *SIMULATED, *SPLITS)


def calibrate(folder: Path, output: str) -> Ended:
    return run(folder, "calibrate", "ckpt=made.ckpt", f"output={output}", *QUICKLY)


def preview(folder: Path, output: str) -> Ended:
    return run(folder, "preview", "per_class=2", f"output={output}")


def generate(folder: Path, output: str, writer: str = "files") -> Ended:
    return run(
        folder, "generate", "num_per_class=5", f"output={output}", "num_workers=1", f"writer={writer}", SIMULATED[0]
    )


def evaluate(folder: Path, output: str) -> Ended:
    return run(folder, "evaluate", "ckpt=made.ckpt", "device=cpu", f"hydra.run.dir={output}", *SIMULATED, *SPLITS)


def train(folder: Path, output: str, *options: str) -> Ended:
    return run(
        folder, "train", *TRAINING, "data.num_workers=0", "trainer.max_epochs=1", f"hydra.run.dir={output}", *options
    )


FILES: dict[str, tuple[Command, str]] = {
    "sem-predict": (predict, "out.csv"),
    "sem-predict jsonl": (predict_lines, "out.jsonl"),
    "sem-inspect": (inspect, "out.csv"),
    "sem-inspect report": (inspect_report, "out.html"),
    "sem-calibrate": (calibrate, "out.ckpt"),
    "sem-calibrate safetensors": (calibrate, "out.safetensors"),
    "sem-preview": (preview, "out.png"),
}
FOLDERS: dict[str, Command] = {
    "sem-generate": generate,
    "sem-generate shards": partial(generate, writer="shards"),
    "sem-evaluate": evaluate,
    "sem-train": train,
    "sem-train tensorboard": lambda folder, output: train(folder, output, "logger=tensorboard"),
}


def kinds() -> Iterable[Kind]:
    """Every check in a folder that holds what the commands read."""
    for kind in _kinds():
        yield Kind(kind.name, partial(_prepared, kind.check))


def _prepared(check: Callable[[Path], str | None], folder: Path) -> str | None:
    make_checkpoint(folder / "made.ckpt")
    make_images(folder / "images", 3)
    return check(folder)


def _kinds() -> Iterable[Kind]:
    for name, (command, output) in FILES.items():
        for limit in LIMITS[:3]:
            yield Kind(f"{name} on a full disk, {limit} bytes", partial(on_full_disk, command, output, limit))
        yield Kind(f"{name} into a full device", partial(into_full_device, command, output))
        yield Kind(f"{name} into /dev/null", partial(into_null, command, output))
        yield Kind(f"{name} into a pipe", partial(into_pipe, command, output))
        yield Kind(f"{name} over a folder", partial(over_folder, command, output))
        yield Kind(f"{name} over a socket", partial(over_socket, command, output))
        yield Kind(f"{name} below a file", partial(below_file, command, output))
        yield Kind(f"{name} through a link", partial(through_link, command, output))
        yield Kind(f"{name} through a loop of links", partial(through_loop, command, output))
        yield Kind(f"{name} beside what a dead process left", partial(beside_leftovers, command, output))
        if command is not inspect:  # which writes a second table under a longer name
            yield Kind(f"{name} under a long name", partial(under_long_name, command, output))
    for name, folder_command in FOLDERS.items():
        for limit in LIMITS:
            yield Kind(f"{name} on a full disk, {limit} bytes", partial(on_full_disk, folder_command, "out", limit))
        yield Kind(f"{name} below a file", partial(below_file, folder_command, "out"))
        yield Kind(f"{name} over a device", partial(over_device, folder_command, "out"))


@contextlib.contextmanager
def full_disk(limit: int) -> Iterator[None]:
    """Writing fails once a file has grown to ``limit`` bytes."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def on_full_disk(command: Command, output: str, limit: int, folder: Path) -> str | None:
    with full_disk(limit):
        ended = command(folder, output)
    broken = half_written(folder / output)
    if broken:
        return f"half-written: {broken[0]}"
    if left_over(folder):
        return f"left behind: {left_over(folder)[0].name}"
    if ended.code == 0:  # small enough
        return None
    return None if ended.is_one_line else str(ended)


def half_written(output: Path) -> list[Path]:
    """Files under their final names that are not whole."""
    files = [output] if output.is_file() else final_files(output)
    return [path for path in files if not is_whole(path)]


def left_over(folder: Path) -> list[Path]:
    return list(folder.rglob(".*.tmp*"))


def into_full_device(command: Command, output: str, folder: Path) -> str | None:
    (folder / output).symlink_to("/dev/full")
    ended = command(folder, output)
    if not stat.S_ISCHR((folder / output).stat().st_mode):
        return "the device is gone"
    return None if ended.is_one_line and "No space left" in ended.err else str(ended)


def into_null(command: Command, output: str, folder: Path) -> str | None:
    (folder / output).symlink_to("/dev/null")
    ended = command(folder, output)
    if not stat.S_ISCHR((folder / output).stat().st_mode):
        return "the device is gone"
    return None if ended.code == 0 and not left_over(folder) else str(ended)


def into_pipe(command: Command, output: str, folder: Path) -> str | None:
    os.mkfifo(folder / output)
    received: list[bytes] = []
    reader = threading.Thread(target=lambda: received.append((folder / output).read_bytes()), daemon=True)
    reader.start()
    ended = command(folder, output)
    reader.join(5)
    if not (folder / output).is_fifo():
        return "the pipe is gone"
    return None if ended.code == 0 and received and len(received[0]) > 100 else str(ended)


def over_folder(command: Command, output: str, folder: Path) -> str | None:
    (folder / output).mkdir()
    (folder / output / "mine.txt").write_text("mine")
    ended = command(folder, output)
    if not (folder / output / "mine.txt").is_file():
        return "the folder is gone"
    return None if ended.is_one_line else str(ended)


def over_socket(command: Command, output: str, folder: Path) -> str | None:
    os.chdir(folder)  # the name of a socket is short
    with socket.socket(socket.AF_UNIX) as opened:
        opened.bind(output)
        ended = command(folder, output)
    if not (folder / output).is_socket():
        return "the socket is gone"
    return None if ended.is_one_line else str(ended)


def over_device(command: Command, output: str, folder: Path) -> str | None:
    (folder / output).symlink_to("/dev/null")
    ended = command(folder, output)
    if not stat.S_ISCHR((folder / output).stat().st_mode):
        return "the device is gone"
    return None if ended.is_one_line else str(ended)


def below_file(command: Command, output: str, folder: Path) -> str | None:
    (folder / "file").write_text("mine")
    ended = command(folder, f"file/{output}")
    if (folder / "file").read_text() != "mine":
        return "the file is changed"
    return None if ended.is_one_line else str(ended)


def through_link(command: Command, output: str, folder: Path) -> str | None:
    (folder / "elsewhere").mkdir()
    target = folder / "elsewhere" / output
    target.write_text("old")
    (folder / output).symlink_to(target)
    ended = command(folder, output)
    if not (folder / output).is_symlink():
        return "the link is gone"
    return None if ended.code == 0 and target.stat().st_size > 100 else str(ended)


def through_loop(command: Command, output: str, folder: Path) -> str | None:
    (folder / output).symlink_to(folder / output)
    ended = command(folder, output)
    return None if ended.is_one_line and (folder / output).is_symlink() else str(ended)


def beside_leftovers(command: Command, output: str, folder: Path) -> str | None:
    code = (
        "import os, sys; from pathlib import Path; from sem_lightning.io.atomic import write_atomically;"
        "write_atomically(Path(sys.argv[1]), lambda name: (name.write_text('half'), os._exit(1)))"
    )
    (folder / "results").mkdir()
    subprocess.run([sys.executable, "-c", code, str(folder / "results" / output)], cwd=folder, check=False)
    if not left_over(folder):
        return "nothing was left behind, so nothing is tried"
    ended = command(folder, f"results/{output}")
    return None if ended.code == 0 and not left_over(folder) else f"{ended}; left: {left_over(folder)}"


def under_long_name(command: Command, output: str, folder: Path) -> str | None:
    suffix = Path(output).suffix
    name = "n" * (255 - len(suffix)) + suffix
    ended = command(folder, name)
    return None if ended.code == 0 and (folder / name).is_file() else str(ended)
