"""Errors that the user can fix. Commands print them as one line and exit with a non-zero code."""


class UserError(Exception):
    """An error that the user can fix. The message names what was found, what is allowed, and the fix."""


def missing_extra(extra: str, needed_for: str) -> UserError:
    """The error where a package of an extra is not installed.

    Args:
        extra: A key of ``project.optional-dependencies`` in ``pyproject.toml``.
        needed_for: What needs it: a command, a key with its value, or a file.
    """
    return UserError(f"{needed_for} needs an extra: pip install 'sem-lightning[{extra}]'")


class NotMeasuredError(UserError):
    """The image does not show the structure to be measured."""


class SettingError(UserError):
    """A configuration value that cannot be used.

    Attributes:
        key: The setting, relative to the object that refuses it (``"gap.length"``).
        reason: What was found and what is allowed.
    """

    def __init__(self, key: str, reason: str) -> None:
        super().__init__(f"{key}: {reason}")
        self.key = key
        self.reason = reason

    def __reduce__(self) -> tuple[type["SettingError"], tuple[str, str]]:
        return SettingError, (self.key, self.reason)  # worker processes pickle it

    def under(self, group: str) -> "SettingError":
        """The same error with its key prefixed by ``group``."""
        return SettingError(f"{group}.{self.key}".rstrip("."), self.reason)
