"""The inspector as a separate process."""

from pathlib import Path

from tests.support.service_process import ServiceProcess


def inspector_process(
    postgres_url: str, valkey_url: str, data: Path, **variables: str
) -> ServiceProcess:
    """It is not started yet."""
    settings = {"DATABASE_URL": postgres_url, "REDIS_URL": valkey_url, "DATA_DIR": str(data)}
    return ServiceProcess("inspector", {**settings, **variables})
