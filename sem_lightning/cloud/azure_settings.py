"""``conf/cloud/azure.yaml``, typed."""

import re
from dataclasses import dataclass

from sem_lightning.errors import SettingError

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,254}")
_ENDPOINT = re.compile(r"[a-z][a-z0-9-]{1,30}[a-z0-9]")  # part of a host name
_INSTANCE_TYPE = re.compile(r"(Standard|Basic)_[A-Z]+[0-9]+[A-Za-z0-9-]*(_[A-Za-z0-9]+)*", re.IGNORECASE)
_MOST_AT_A_TIME = 100  # concurrent trials of a sweep that Azure accepts


@dataclass
class AzureSettings:
    """A workspace, the machines of its jobs, and the endpoint."""

    subscription_id: str | None
    resource_group: str | None
    workspace: str | None
    config_file: str | None
    compute: str | None
    instance_type: str | None
    image: str
    experiment: str
    register_as: str
    trials_at_a_time: int
    timeout_minutes: int
    model: str
    endpoint: str
    deployment: str
    endpoint_instance_type: str
    endpoint_instance_count: int

    def __post_init__(self) -> None:
        for key in ("experiment", "register_as"):
            if not _NAME.fullmatch(getattr(self, key)):
                raise SettingError(key, f"found {getattr(self, key)!r}, expected letters, digits, '.', '_' and '-'")
        for key in ("endpoint", "deployment"):
            value = getattr(self, key)
            if not _ENDPOINT.fullmatch(value):
                allowed = "3 to 32 lower-case letters, digits or '-', first a letter"
                raise SettingError(key, f"found {value!r}, expected {allowed}")
        for key in ("instance_type", "endpoint_instance_type"):
            value = getattr(self, key)
            if value is not None and not _INSTANCE_TYPE.fullmatch(value):
                raise SettingError(key, f"found {value!r}, expected a size of machine such as Standard_DS3_v2")
        for key in ("trials_at_a_time", "timeout_minutes", "endpoint_instance_count"):
            if getattr(self, key) < 1:
                raise SettingError(key, f"found {getattr(self, key)}, expected at least 1")
        if self.trials_at_a_time > _MOST_AT_A_TIME:
            raise SettingError("trials_at_a_time", f"found {self.trials_at_a_time}, expected at most {_MOST_AT_A_TIME}")
        if self.compute is not None and self.instance_type is not None:
            raise SettingError("instance_type", f"does nothing on the cluster {self.compute}; add cloud.compute=null")
        if self.compute is None and self.instance_type is None:
            raise SettingError(
                "compute",
                "found null; name a cluster of the workspace, or its own machines with cloud.instance_type",
            )
