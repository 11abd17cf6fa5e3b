"""Patterns, defects, noise steps and networks of other installed packages.

A package names a module under the entry-point group ``sem_lightning``; importing the module registers what it defines.
A checkpoint or a data file can name only registered objects. It never names code to run.
"""

import functools
import logging
from importlib.metadata import entry_points

from sem_lightning.errors import UserError

GROUP = "sem_lightning"

log = logging.getLogger(__name__)


@functools.cache
def load_plugins() -> tuple[str, ...]:
    """Import every registered plug-in once.

    Returns:
        Their names.

    Raises:
        UserError: A plug-in cannot be imported.
    """
    names = []
    for entry in sorted(entry_points(group=GROUP), key=lambda entry: entry.name):
        try:
            entry.load()
        except Exception as error:
            reason = f"{type(error).__name__}: {error}"
            raise UserError(
                f"plug-in {entry.name} ({entry.value}) cannot be imported: {reason}; fix or uninstall it"
            ) from error
        names.append(entry.name)
    return tuple(names)
