"""Audit as a separate process."""

from pathlib import Path

from tests.support.service_process import ServiceProcess


def audit_process(
    postgres_url: str, valkey_url: str, data: Path, **variables: str
) -> ServiceProcess:
    """It is not started yet. Signs every second."""
    settings = {
        "DATABASE_URL": postgres_url,
        "REDIS_URL": valkey_url,
        "DATA_DIR": str(data),
        "AUDIT_POLL_INTERVAL_MS": "5",
        "AUDIT_CHECKPOINT_INTERVAL_S": "1",
    }
    return ServiceProcess("audit", {**settings, **variables})
