"""What the doctor says of addresses."""

from __future__ import annotations

import socket

from dfud.broker.ports import HOST, free_ports
from dfud.doctor.addresses import check_addresses
from dfud.doctor.diagnosis import Level


def test_each_address_is_tried() -> None:
    (closed,) = free_ports(1)
    with socket.create_server((HOST, 0)) as server:
        port = server.getsockname()[1]
        servers = f"{HOST}:{port}, PLAINTEXT://{HOST}:{closed}, there.is.none.invalid:9092,{HOST}:{port}"
        open_one, closed_one, unknown = check_addresses(servers)
    assert open_one.level is Level.FINE
    assert open_one.text.startswith(f"{HOST}:{port} accepts connections (")
    assert closed_one.level is unknown.level is Level.WARNING
    assert closed_one.text.startswith(f"{HOST}:{closed} accepts no connections (Connection refused); check")
    assert unknown.text.startswith("there.is.none.invalid c")


def test_a_name_is_shown_with_its_address() -> None:
    with socket.create_server((HOST, 0)) as server:
        (found,) = check_addresses(f"localhost:{server.getsockname()[1]}")
    assert f" is {HOST}, and accepts connections (" in found.text
