"""What an answer's bytes wait for: nothing. A kernel that holds the body back adds 40 ms to every call of the SDKs."""

from __future__ import annotations

import asyncio
import socket

from sandbox.kernel.loopback import bind


def test_connections_to_a_bound_socket_send_at_once() -> None:
    async def accepted_option() -> int:
        found: asyncio.Future[int] = asyncio.get_running_loop().create_future()

        class Server(asyncio.Protocol):
            def connection_made(self, transport: asyncio.BaseTransport) -> None:
                accepted = transport.get_extra_info("socket")
                found.set_result(accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
                assert isinstance(transport, asyncio.Transport)
                transport.close()

        with bind(0, "test") as sock:
            port = sock.getsockname()[1]
            server = await asyncio.get_running_loop().create_server(Server, sock=sock)
            async with server:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
                option = await asyncio.wait_for(found, 10)
                writer.close()
        return option

    assert asyncio.run(accepted_option()) != 0
