"""The settings of ``sem-cloud``."""

from dataclasses import dataclass

from sem_lightning.checks import one_of
from sem_lightning.cloud.azure_settings import AzureSettings
from sem_lightning.cloud.steps import ACTIONS
from sem_lightning.errors import SettingError
from sem_lightning.polarity import POLARITIES

_ALL_ACTIONS = (*ACTIONS, "deploy", "invoke", "delete", "cancel")
_NO_JOB = ("invoke", "delete", "cancel")  # actions that write no job file


@dataclass
class CloudSettings:
    """``conf/cloud.yaml``."""

    cloud: AzureSettings
    action: str
    dry_run: bool
    local: bool
    wait: bool
    job: str | None = None
    image: str | None = None
    polarity: str | None = None

    def __post_init__(self) -> None:
        one_of("action", self.action, _ALL_ACTIONS)
        if self.action in _NO_JOB and (self.dry_run or self.local):
            raise SettingError("dry_run" if self.dry_run else "local", f"action={self.action} has nothing to try out")
        if self.local and self.action in ("sweep", "deploy"):
            raise SettingError("local", "runs steps here; for a sweep that is python train.py -m")
        if self.dry_run and self.local:
            raise SettingError("dry_run", "found true, and so is local, which does run the steps; use one of both")
        if self.wait and (self.dry_run or self.local):
            raise SettingError("wait", "found true, but nothing is submitted; leave it out")
        if self.wait and self.action not in ACTIONS:
            raise SettingError("wait", f"is for jobs; action={self.action} waits in any case")
        for key, action in (("job", "cancel"), ("image", "invoke")):
            if (getattr(self, key) is None) is (self.action == action):
                raise SettingError(key, f"needs a value with action={action}, and has none with any other")
        if self.polarity is not None:
            one_of("polarity", self.polarity, POLARITIES)
            if self.action != "invoke":
                raise SettingError("polarity", f"is of the image of action=invoke; action={self.action} has none")
