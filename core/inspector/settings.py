"""The settings of the inspector."""

from dataclasses import dataclass

import msgspec

from kit.base.errors import SettingError
from kit.execution.approval.keys import INSPECTOR_KEY_ID


@dataclass(frozen=True, slots=True)
class RequestTimes:
    """How long a request waits."""

    answer_seconds_max: float
    """For the answer of the venue's process."""
    proposal_seconds: float
    """For the confirmation of a model's request."""


class InspectorSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Section "inspector"."""

    port: int = 8008
    """gRPC port, of Inspector and Admin."""
    policy_file: str = ""
    """The TOML file of the policy, read again when it changes. In the world live it sets or waives
    each limit. Empty: in the worlds simulate and replay a policy that allows every instrument, in
    the world live one that allows none."""
    key_id: str = INSPECTOR_KEY_ID
    """Id of its key in the approvers file, which real accounts need. The key is
    keys/inspector/approval.key in mesh.data_dir, its public key keys/inspector.pub."""
    approval_seconds: float = 20.0
    """How long an approval is valid. At most orders.approval_validity_max_s."""
    lease_seconds: float = 5.0
    """Time without renewal after which another process acts."""
    answer_seconds_max: float = 20.0
    """How long SubmitManual waits for the answer of the venue's process."""
    proposal_seconds: float = 300.0
    """How long what a model has proposed waits for a confirmation."""

    def __post_init__(self) -> None:
        periods = ("approval_seconds", "lease_seconds", "answer_seconds_max", "proposal_seconds")
        for key in periods:
            if getattr(self, key) <= 0:
                raise SettingError(f"inspector.{key}", getattr(self, key), "must be above 0")
        if not self.key_id:
            raise SettingError("inspector.key_id", self.key_id, "must not be empty")

    @property
    def request_times(self) -> RequestTimes:
        return RequestTimes(self.answer_seconds_max, self.proposal_seconds)
