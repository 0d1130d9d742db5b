"""Asks a service on this machine for its health: `python -m services.common.probe PORT [NAME]`.

For container health checks, without any extra binary. Exits 0 when SERVING, else 1.
"""

from __future__ import annotations

import sys
from typing import Any

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc


def main(arguments: list[str]) -> int:
    """Probe the port; returns the exit status."""
    port, name = arguments[0], arguments[1] if len(arguments) > 1 else ""
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        stub: Any = health_pb2_grpc.HealthStub(channel)
        try:
            answer = stub.Check(health_pb2.HealthCheckRequest(service=name), timeout=2)
        except grpc.RpcError as error:
            sys.stderr.write(f"{error.code().name}: {error.details()}\n")
            return 1
    return 0 if answer.status == health_pb2.HealthCheckResponse.SERVING else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
