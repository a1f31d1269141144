"""One exchange of ccxt is loaded without the others."""

import subprocess
import sys

import pytest

from kit.base.errors import VenueUnavailable
from kit.base.request_budget import Priority
from kit.connector.rest import ccxt_loader

LOADED = """
import asyncio, sys
from kit.base.request_budget import Priority
from kit.connector.rest import ccxt_loader

async def ask():
    return ccxt_loader.load("kraken")

async def main():
    if {within_a_call}:
        await ccxt_loader.call("kraken", None, Priority.NEW, ask)
    else:
        await ask()

asyncio.run(main())
here = "ccxt.async_support."
print(sorted(name for name in sys.modules if name.startswith(here) and "base" not in name))
"""


@pytest.mark.parametrize("within_a_call", [True, False])
def test_no_other_exchange_is_loaded(within_a_call: bool):
    script = LOADED.replace("{within_a_call}", str(within_a_call))
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False
    )
    assert (done.stdout.strip(), done.returncode) == ("['ccxt.async_support.kraken']", 0)


async def test_error_does_not_show_a_signed_query():
    ccxt_loader.load("kraken")
    from ccxt.base.errors import NetworkError

    async def ask():
        address = "https://api.binance.com/api/v3/openOrders"
        raise NetworkError(f"binance GET {address}?timestamp=1&signature=5ec1e7 timed out")

    with pytest.raises(VenueUnavailable) as caught:
        await ccxt_loader.call("binance", None, Priority.NEW, ask)
    assert caught.value.message.endswith("GET https://api.binance.com/api/v3/openOrders timed out")
