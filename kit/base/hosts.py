"""Names and addresses of hosts."""

import ipaddress

LOOPBACK_HOSTS = ("127.0.0.1", "localhost", "::1", "[::1]")


def is_ip(host: str) -> bool:
    """Whether it is an address and not a name."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
