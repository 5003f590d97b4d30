"""A daemon of the storm: how it is started, and started again whenever it has ended."""

import signal
import subprocess
import time
import urllib.request

GROUP = "chaos"
SESSION_TIMEOUT_S = 6
# Enough for ordinary fields and too little for the deadly one.
MEMORY_BYTES = 1 << 30
# What must not grow.
FIGURES = ("resident_memory_bytes", "open_fds", "threads")
# Between two starts of one daemon, at least.
PAUSE_S = 1


def say(text):
    print(f"{time.strftime('%H:%M:%S')} {text}", flush=True)


class Daemon:
    """A daemon and who starts it again."""

    def __init__(self, name, twinpeak, folder, bootstrap, port, inline_mask_bytes):
        self.name, self.port, self.log = name, port, (folder / f"{name}.log").open("a")
        disk = folder / "disk"
        settings = {
            "kafka.group": GROUP,
            "kafka.instance": name,
            "kafka.state_dir": disk / "state",
            "kafka.session_timeout_s": SESSION_TIMEOUT_S,
            "kafka.transaction_timeout_s": 10,
            "kafka.inline_mask_bytes": inline_mask_bytes,
            "remote.file_roots": folder / "frames",
            "remote.objects": f"file://{disk}/objects",
            "pipeline.drain_timeout_s": 15,
        }
        limits = ["prlimit", f"--data={MEMORY_BYTES}", "--core=0", "setpriv", "--pdeathsig", "KILL"]
        run = [twinpeak, "run", "--kafka", bootstrap, "--http", f"127.0.0.1:{port}", "--segmenter", "threshold", "--model", folder / "model"]
        self.command = [*limits, *run, *(f"--set={key}={value}" for key, value in settings.items())]
        self.process, self.expected, self.not_before = None, False, 0.0

    def keep(self):
        """Starts it where it does not run, and tells of an end that nobody asked for."""
        if self.process and self.process.poll() is None:
            return
        if self.process and not self.expected:
            code = self.process.returncode
            say(f"daemon {self.name} ended by itself: {signal.Signals(-code).name if code < 0 else f'exit {code}'}")
        self.expected = False
        time.sleep(max(0.0, self.not_before - time.monotonic()))
        self.process = subprocess.Popen(self.command, stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log)
        self.not_before = time.monotonic() + PAUSE_S

    def send(self, number, ends=True):
        self.keep()
        self.expected = self.expected or ends
        self.process.send_signal(number)

    def figures(self):
        """What it says of itself: memory, descriptors, threads; nothing while it does not answer."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/metrics", timeout=1) as answer:
                lines = answer.read().decode().splitlines()
        except OSError:
            return None
        values = dict(line.rsplit(" ", 1) for line in lines if line.startswith("process_"))
        return {name: int(float(values[f"process_{name}"])) for name in FIGURES}

    def ready(self):
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/readyz", timeout=1) as answer:
                return answer.status == 200
        except OSError:
            return False
