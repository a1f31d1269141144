"""The ledger as a separate process."""

from tests.support.service_process import ServiceProcess


def ledger_process(postgres_url: str, valkey_url: str, tigerbeetle: str = "") -> ServiceProcess:
    """It is not started yet."""
    stores = {"DATABASE_URL": postgres_url, "REDIS_URL": valkey_url}
    return ServiceProcess("ledger", stores | {"LEDGER_TIGERBEETLE_ADDRESSES": tigerbeetle})
