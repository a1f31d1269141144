"""History as a separate process."""

from tests.support.service_process import ServiceProcess


def history_process(postgres_url: str) -> ServiceProcess:
    """It is not started yet."""
    return ServiceProcess("history", {"DATABASE_URL": postgres_url})
