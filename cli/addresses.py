"""The addresses behind a name: a target of gRPC may stand for many processes."""

from __future__ import annotations

import asyncio
import socket

_LISTS = ("ipv4:", "ipv6:")
_DNS = "dns:"


async def addresses_behind(target: str) -> list[str]:
    """Return the targets of the single processes behind a target, each once, sorted.

    Names are resolved, to IPv4 where they have such addresses; lists are taken apart; what else
    gRPC may understand stays as it is.

    Raises:
        OSError: the name cannot be resolved.
    """
    scheme = next((one for one in _LISTS if target.startswith(one)), "")
    if scheme or "," in target:
        return [scheme + one for one in target.removeprefix(scheme).split(",")]
    name = target.removeprefix(_DNS).rpartition("/")[2] if target.startswith(_DNS) else target
    host, colon, port = name.rpartition(":")
    if not colon or not port.isdecimal():
        return [target]
    found = await asyncio.get_running_loop().getaddrinfo(
        host.strip("[]"), int(port), type=socket.SOCK_STREAM
    )
    numbers = {
        family: {str(at[0]) for kind, *_, at in found if kind == family} for family, *_ in found
    }
    if socket.AF_INET in numbers:
        return sorted(f"{number}:{port}" for number in numbers[socket.AF_INET])
    return sorted(f"[{number}]:{port}" for number in numbers[socket.AF_INET6])
