"""``python -m sem_lightning train ...``: the commands by name, where their scripts are not on the path."""

import importlib
import sys

COMMANDS = ("train", "generate", "preview", "calibrate", "evaluate", "fit", "predict", "report", "cloud")


def main() -> None:
    """Run the command that the first argument names."""
    name = sys.argv[1] if len(sys.argv) > 1 else None
    if name not in COMMANDS:
        found = "no command" if name is None else repr(name)
        sys.exit(f"error: found {found}, expected python -m sem_lightning with one of {', '.join(COMMANDS)}")
    sys.argv[:2] = [f"sem-{name}"]
    importlib.import_module(f"sem_lightning.commands.{name}").main()  # no other: most of them need torch


if __name__ == "__main__":
    main()
