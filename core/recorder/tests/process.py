"""The recorder as a separate process."""

from tests.support.service_process import ServiceProcess


def recorder_process(valkey_url: str, postgres_url: str, **variables: str) -> ServiceProcess:
    """It is not started yet, and writes small chunks. ``variables``: more settings."""
    return ServiceProcess(
        "recorder",
        {
            "REDIS_URL": valkey_url,
            "DATABASE_URL": postgres_url,
            "RECORDER_CHUNK_ROWS_MAX": "50",
            "RECORDER_CHUNK_AGE_MS": "2",
            "RECORDER_BLOCK_AGE_MS": "10",
            **variables,
        },
    )
