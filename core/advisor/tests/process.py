"""The advisor as a separate process."""

from collections.abc import Sequence

from tests.support.service_process import ServiceProcess


def advisor_process(
    postgres_url: str, valkey_url: str, command: Sequence[str] = (), **variables: str
) -> ServiceProcess:
    """It is not started yet. ``command``: arguments for Python, in place of the service's own."""
    settings = {"DATABASE_URL": postgres_url, "REDIS_URL": valkey_url}
    return ServiceProcess("advisor", {**settings, **variables}, command)
