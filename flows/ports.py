"""Where a server of this machine can listen."""

import ipaddress
import socket
from collections.abc import Iterable

__all__ = ["PortTaken", "first_free", "is_loopback", "obstacle"]


class PortTaken(Exception):  # noqa: N818 (what has happened, not what is wrong with the study)
    """Something else listens where a page was to be served."""


def first_free(host: str, ports: Iterable[int]) -> tuple[int | None, str]:
    """Give the first port that can be listened at, or none and what stands in the way of the last one tried."""
    why = ""
    for port in ports:
        why = obstacle(host, port)
        if not why:
            return port, ""
    return None, why


def obstacle(host: str, port: int) -> str:
    """Say why nothing can listen there; empty where it can."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except (OSError, OverflowError) as error:
        return str(getattr(error, "strerror", None) or error).lower()
    return ""


def is_loopback(host: str) -> bool:
    """Tell whether only this machine can reach an address.

    Examples
    --------
    >>> is_loopback("127.0.0.1"), is_loopback("::1"), is_loopback("localhost"), is_loopback("0.0.0.0")
    (True, True, True, False)
    """
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"
