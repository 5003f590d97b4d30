#!/usr/bin/env python3
"""ready.py HOST:PORT [SECONDS]: exit 0 once the broker there answers a Metadata request and names itself, 1 if it does not.

An open port is not readiness: a broker takes connections before it has joined its cluster. A JVM for this question
costs a second or two; a socket costs nothing.
"""

import socket
import struct
import sys
import time

METADATA_KEY, METADATA_VERSION, NO_TOPICS = 3, 1, 0


def brokers(address, timeout_s=2.0):
    """The host:port of each broker that the broker at `address` knows as alive."""
    host, port = address.rsplit(":", 1)
    client_id = b"ready"
    request = struct.pack(">hhih", METADATA_KEY, METADATA_VERSION, 1, len(client_id)) + client_id
    request += struct.pack(">i", NO_TOPICS)
    with socket.create_connection((host, int(port)), timeout_s) as connection:
        connection.settimeout(timeout_s)
        with connection.makefile("rwb") as stream:
            stream.write(struct.pack(">i", len(request)) + request)
            stream.flush()
            (size,) = struct.unpack(">i", stream.read(4))
            answer = stream.read(size)
    at, found = 8, []  # after the correlation id and the count
    for _ in range(struct.unpack_from(">i", answer, 4)[0]):
        (length,) = struct.unpack_from(">h", answer, at + 4)  # after the node id
        name = answer[at + 6 : at + 6 + length].decode()
        at += 6 + length
        number, rack = struct.unpack_from(">ih", answer, at)
        at += 6 + max(rack, 0)
        found.append(f"{name}:{number}")
    return found


def ready(address):
    try:
        return bool(brokers(address))
    except (OSError, struct.error):
        return False


if __name__ == "__main__":
    end = time.monotonic() + float((sys.argv[2:] or [0])[0])
    while not (answers := ready(sys.argv[1])) and time.monotonic() < end:
        time.sleep(0.05)
    sys.exit(not answers)
