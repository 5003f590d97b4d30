#!/usr/bin/env python3
"""An object store that answers late: store.py FILE SECONDS

Serves FILE's bytes under every name, each so long after it was asked for, and prints its port. Nothing is checked.
"""

import asyncio
import email.utils
import pathlib
import sys


async def main(file, seconds):
    body = pathlib.Path(file).read_bytes()
    head = (f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\nETag: \"1\"\r\n"
            f"Last-Modified: {email.utils.formatdate(usegmt=True)}\r\nContent-Type: application/octet-stream\r\n\r\n").encode()

    async def serve(reader, writer):
        try:
            while True:
                request = await reader.readuntil(b"\r\n\r\n")
                await asyncio.sleep(seconds)
                writer.write(head if request.startswith(b"HEAD") else head + body)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], float(sys.argv[2])))
