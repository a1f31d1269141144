"""The advisor as a separate process."""

from tests.support.service_process import ServiceProcess


def advisor_process(postgres_url: str, valkey_url: str, **variables: str) -> ServiceProcess:
    """It is not started yet."""
    settings = {"DATABASE_URL": postgres_url, "REDIS_URL": valkey_url}
    return ServiceProcess("advisor", {**settings, **variables})
