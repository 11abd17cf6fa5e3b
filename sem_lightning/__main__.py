"""``python -m sem_lightning train ...``: the commands by name, where their scripts are not on the path."""

import importlib
import pkgutil
import sys

from sem_lightning import commands


def main() -> None:
    """Run the command that the first argument names."""
    names = [each.name for each in pkgutil.iter_modules(commands.__path__)]
    known = [name for name in names if hasattr(importlib.import_module(f"{commands.__name__}.{name}"), "main")]
    name = sys.argv[1] if len(sys.argv) > 1 else None
    if name not in known:
        found = "no command" if name is None else repr(name)
        sys.exit(f"error: found {found}, expected python -m sem_lightning with one of {', '.join(known)}")
    sys.argv[:2] = [f"sem-{name}"]
    importlib.import_module(f"{commands.__name__}.{name}").main()


if __name__ == "__main__":
    main()
