"""Starts verifications of the log."""

from collections.abc import AsyncIterator
from dataclasses import dataclass

from venuemesh.audit.v1 import audit_pb2

from core.audit.anchors import AnchorFile
from core.audit.log_keys import LogKeys
from core.audit.log_reader import LogReader
from core.audit.store import AuditStore
from core.audit.verification import Verification


@dataclass(frozen=True, slots=True)
class LogVerifier:
    """What a verification compares."""

    store: AuditStore
    reader: LogReader
    keys: LogKeys
    file: AnchorFile | None

    def run(self, since: int) -> AsyncIterator[audit_pb2.VerifyResponse]:
        """Raises like Verification.run."""
        return Verification(self.store, self.reader, self.keys, self.file).run(since)
