"""Errors that are the user's to mend: commands print them as one line and exit with a non-zero code."""


class UserError(Exception):
    """Something the user can mend; the message names what was found, what is allowed, and the way out."""


class NotMeasuredError(UserError):
    """An image that does not show what is to be measured."""


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
        return SettingError, (self.key, self.reason)  # worker processes send it home

    def under(self, group: str) -> "SettingError":
        """The same error, its key written from one level further up."""
        return SettingError(f"{group}.{self.key}".rstrip("."), self.reason)
