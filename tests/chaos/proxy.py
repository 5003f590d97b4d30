#!/usr/bin/env python3
"""A TCP proxy between a client and a server, to cut the network between them: proxy.py PORT HOST:PORT

Listens on 127.0.0.1:PORT and forwards. Stopped (SIGSTOP) it is a network that swallows everything; killed, one that
resets; started again, one that is back. Prints `ready` once it listens.
"""

import asyncio
import sys


async def pump(reader, writer):
    """Copies one direction until either side ends it."""
    try:
        while chunk := await reader.read(65536):
            writer.write(chunk)
            await writer.drain()
    except OSError:
        pass
    finally:
        writer.close()


async def main(port, server):
    host, server_port = server.rsplit(":", 1)

    async def forward(client_reader, client_writer):
        try:
            server_reader, server_writer = await asyncio.open_connection(host, int(server_port))
        except OSError:  # the server is down: so is the way to it
            client_writer.close()
            return
        await asyncio.gather(pump(client_reader, server_writer), pump(server_reader, client_writer))

    async with await asyncio.start_server(forward, "127.0.0.1", port) as listener:
        print("ready", flush=True)
        await listener.serve_forever()


if __name__ == "__main__":
    try:
        asyncio.run(main(int(sys.argv[1]), sys.argv[2]))
    except KeyboardInterrupt:
        pass
