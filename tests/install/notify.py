#!/usr/bin/env python3
"""Listens as systemd does while a real daemon lives: notify.py TWINPEAK FOLDER

A daemon on an inbox, told by NOTIFY_SOCKET and WATCHDOG_USEC what a unit of Type=notify tells it, must say READY=1
once it is ready and not before, WATCHDOG=1 often enough as long as it makes progress, RELOADING=1 and READY=1 at a
SIGHUP, STOPPING=1 at a SIGTERM, and no WATCHDOG=1 while it is stopped. A line `ok WHAT` or `FAILED WHAT` for each.
"""

import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request

WATCHDOG_S = 8
ENOUGH_S = 120  # for a machine that is busy elsewhere
failures = 0


class Listener:
    """The socket of the service manager, and what was said to it."""

    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(str(path))
        self.said = []  # (when, line)

    def listen(self, seconds):
        """Takes what comes within so many seconds."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            self.socket.settimeout(left)
            try:
                message = self.socket.recv(4096)
            except TimeoutError:
                return
            self.said += [(time.monotonic(), line) for line in message.decode().splitlines()]

    def until(self, wanted, after=0.0):
        """When `wanted` was first said after that moment; None if it never is."""
        end = time.monotonic() + ENOUGH_S
        while True:
            for when, line in self.said:
                if line == wanted and when > after:
                    return when
            if time.monotonic() > end:
                return None
            self.listen(0.2)

    def times(self, wanted, since, to):
        return [when for when, line in self.said if line == wanted and since <= when <= to]


def check(what, holds, detail=""):
    global failures
    failures += not holds
    print(f"{'ok' if holds else 'FAILED'} {what}", flush=True)
    if not holds:
        print(f"        {detail}", file=sys.stderr, flush=True)


def ready(address):
    try:
        with urllib.request.urlopen(f"http://{address}/readyz", timeout=5) as answer:
            return answer.status == 200
    except OSError:
        return False


def main(twinpeak, folder):
    inbox, out, sky = (folder / name for name in ("inbox", "out", "sky"))
    inbox.mkdir(parents=True)
    size = ["--width", "256", "--height", "256"]
    subprocess.run([twinpeak, "simulate", "--plain", "--out", sky, "--fields", "2", "--seed", "3", *size],
                   check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    listener = Listener(folder / "notify")
    log = (folder / "log").open("w")
    environment = os.environ | {"NOTIFY_SOCKET": str(folder / "notify"), "WATCHDOG_USEC": str(WATCHDOG_S * 1_000_000)}
    # It must infer by itself within the watchdog's time, also without frames.
    command = [twinpeak, "run", "--inbox", inbox, "--out", out, "--http", address,
               "--set=http.inference_within_s=6", "--set=input.settle_s=0.2", "--set=input.poll_interval_s=0.1"]
    daemon = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
    try:
        is_ready = listener.until("READY=1")
        check("READY=1 comes", is_ready is not None, f"said: {listener.said}, log: {(folder / 'log').read_text()[-2000:]}")
        if is_ready is None:
            return
        check("and /readyz answers 200 then", ready(address))

        start = time.monotonic()
        listener.listen(3 * WATCHDOG_S)
        beats = [start, *listener.times("WATCHDOG=1", start, time.monotonic()), time.monotonic()]
        longest = max(b - a for a, b in zip(beats, beats[1:]))
        check(f"idle, {len(beats) - 2} WATCHDOG=1 in {3 * WATCHDOG_S} s, never {WATCHDOG_S} s apart", longest < WATCHDOG_S, f"{longest:.1f} s")

        images = sorted({path.name.split("-", 2)[2] for path in sky.glob("frame-*")})
        start = time.monotonic()
        for file in sky.glob(f"frame-*-{images[0]}"):
            shutil.copy(file, inbox)
        done = out / f"{images[0].removesuffix('.fits')}.done.json"
        while not done.exists() and time.monotonic() < start + ENOUGH_S:
            listener.listen(0.5)
        check("a field is processed meanwhile", done.exists(), (folder / "log").read_text()[-2000:])

        start = time.monotonic()
        daemon.send_signal(signal.SIGHUP)
        reloading = listener.until("RELOADING=1", start)
        check("SIGHUP: RELOADING=1", reloading is not None, listener.said)
        check("then READY=1", reloading is not None and listener.until("READY=1", start) is not None, listener.said)
        check("and it goes on", daemon.poll() is None and ready(address))

        daemon.send_signal(signal.SIGSTOP)
        listener.listen(1)  # what was under way
        start = time.monotonic()
        listener.listen(1.5 * WATCHDOG_S)
        beats = listener.times("WATCHDOG=1", start, time.monotonic())
        check("stopped, it says no WATCHDOG=1", not beats, f"{len(beats)}")
        daemon.send_signal(signal.SIGCONT)
        check("and again once it goes on", listener.until("WATCHDOG=1", time.monotonic()) is not None, listener.said)

        start = time.monotonic()
        daemon.send_signal(signal.SIGTERM)
        check("SIGTERM: STOPPING=1", listener.until("STOPPING=1", start) is not None, listener.said)
        check("and exit 0", daemon.wait(ENOUGH_S) == 0, f"exit {daemon.returncode}")
        print("notify: what was said: " + ", ".join(sorted({line for _, line in listener.said})), file=sys.stderr)
    finally:
        if daemon.poll() is None:
            daemon.kill()
            daemon.wait()


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]).resolve(), pathlib.Path(sys.argv[2]).resolve())
    sys.exit(failures > 0)
