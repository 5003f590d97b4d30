#!/usr/bin/env python3
"""Sends a night's messages to two daemons of one group, and breaks things meanwhile.

    storm.py FOLDER SEED KILLS TWINPEAK HTTP-PORT HTTP-PORT

FOLDER has messages.jsonl (night.py), kafka/ (a broker with a proxied listener) and disk/. Daemon a speaks to the
broker, daemon b through a proxy; each is started again whenever it has ended. All that is random comes from SEED. What
was sent is read back from the topic and what was broken stands in events.jsonl, so a storm that was interrupted goes
on where it was. Ends once everything sent is committed, or nothing moves for too long. Exit 3: all is done, and a
daemon hangs.
"""

import base64
import json
import os
import pathlib
import random
import shutil
import signal
import subprocess
import sys
import time

import confluent_kafka
from confluent_kafka import TopicPartition

from daemon import GROUP, SESSION_TIMEOUT_S, Daemon, say

HERE = pathlib.Path(__file__).resolve().parent
KAFKA = HERE.parent.parent / "deploy" / "kafka.sh"
MODEL = HERE.parent.parent / "config" / "model"
TOPIC = "twinpeak.sdss.new-images"
# The broker's view is asked so often, and a storm whose daemons get nowhere for so long is over.
LOOK_EVERY_S, STANDSTILL_S = 1, 90
TICK_S = 0.05
SAMPLE_EVERY_S = 5
# Before each event so many seconds' worth of messages begin to come: it hits daemons at work.
BURST_S = 1


class Storm:
    def __init__(self, folder, seed, kills, twinpeak, ports):
        self.folder, self.seed, self.kills = folder, seed, kills
        self.bootstrap = (folder / "kafka" / "bootstrap").read_text().strip()
        proxied = (folder / "kafka" / "bootstrap-proxied").read_text().strip()
        behind = (folder / "kafka" / "behind-proxy").read_text().strip()
        self.proxy_command = [sys.executable, HERE / "proxy.py", proxied.rsplit(":")[1], behind]
        self.daemons = [
            # Some of a's masks ride in the topic and others are claim checks; all of b's are.
            Daemon("a", twinpeak, folder, self.bootstrap, ports[0], inline_mask_bytes=30_000),
            Daemon("b", twinpeak, folder, proxied, ports[1], inline_mask_bytes=0),
        ]
        self.make_models()
        self.proxy = None
        self.messages = [json.loads(line) for line in (folder / "messages.jsonl").open()]
        # Forever, in order, and each once, whatever happens to the broker.
        self.producer = confluent_kafka.Producer(
            {"bootstrap.servers": self.bootstrap, "enable.idempotence": True, "message.timeout.ms": 0, "log_level": 2}
        )
        # Only asks: it never joins the group.
        self.eye = confluent_kafka.Consumer(
            {"bootstrap.servers": self.bootstrap, "group.id": GROUP, "enable.partition.eof": True, "log_level": 2}
        )
        self.unsent, self.send_by, self.hangs = [], (0.0, 0), False
        self.sample_at = 0.0

    def make_models(self):
        """Two good bundles that differ in their version alone, and one that cannot be used; a link leads to one."""
        for name in ("one", "two", "broken"):
            if not (bundle := self.folder / f"model-{name}").exists():
                shutil.copytree(MODEL, bundle)
                manifest = bundle / "manifest.toml"
                lines = manifest.read_text().splitlines()
                lines = [f'version = "storm-{name}"' if line.startswith("version = ") else line for line in lines]
                manifest.write_text("\n".join(lines) + "\n")
        (self.folder / "model-broken" / "classifier.safetensors").write_bytes(b"broken")
        if not (self.folder / "model").is_symlink():
            (self.folder / "model").symlink_to("model-one")

    # ---- the world goes on ---------------------------------------------------------------------------------

    def tick(self):
        for daemon in self.daemons:
            daemon.keep()
        until, first = self.send_by
        if self.unsent and self.unsent[0]["number"] < first and time.monotonic() >= until - self.left_s():
            self.send(self.unsent.pop(0))
        self.producer.poll(0)
        self.sample()
        time.sleep(TICK_S)

    def sample(self):
        """Every few seconds, what each daemon needs; a life begins with each start."""
        if time.monotonic() < self.sample_at:
            return
        self.sample_at = time.monotonic() + SAMPLE_EVERY_S
        with (self.folder / "samples.jsonl").open("a") as out:
            for daemon in self.daemons:
                if figures := daemon.figures():
                    life = f"{daemon.name} {daemon.process.pid}"
                    print(json.dumps({"life": life, "at": time.time(), **figures}), file=out)

    def left_s(self):
        """Time that what is to be sent by then still needs."""
        return self.pace_s * sum(message["number"] < self.send_by[1] for message in self.unsent)

    def live(self, seconds):
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            self.tick()

    def send(self, message):
        extra = {} if message["timestamp_ms"] is None else {"timestamp": message["timestamp_ms"]}
        value, key = base64.b64decode(message["value"]), str(message["number"])
        self.producer.produce(TOPIC, key=key, value=value, **extra)

    def spread(self, share, seconds):
        """Sends messages up to this share of all, evenly over so many seconds."""
        first = round(share * len(self.messages))
        self.send_by = (time.monotonic() + seconds, first)
        self.pace_s = seconds / max(1, sum(message["number"] < first for message in self.unsent))

    def wait_ready(self, seconds):
        until = time.monotonic() + seconds
        while time.monotonic() < until and not all(daemon.ready() for daemon in self.daemons):
            self.live(0.3)

    # ---- what is there -------------------------------------------------------------------------------------

    def partitions(self):
        found = self.eye.list_topics(TOPIC, timeout=10).topics[TOPIC].partitions
        return [TopicPartition(TOPIC, partition) for partition in found]

    def already_sent(self):
        """Numbers of the messages on the topic."""
        parts = self.partitions()
        self.eye.assign([TopicPartition(TOPIC, part.partition, confluent_kafka.OFFSET_BEGINNING) for part in parts])
        sent, open_ends = set(), len(parts)
        while open_ends:
            record = self.eye.poll(30)
            if record is None:
                sys.exit("storm: the topic of messages cannot be read")
            if record.error():
                open_ends -= record.error().code() == confluent_kafka.KafkaError._PARTITION_EOF
            else:
                sent.add(int(record.key()))
        self.eye.unassign()
        return sent

    def left(self):
        """Messages sent whose offset is not committed; None while the broker does not say."""
        try:
            behind = 0
            for part in self.eye.committed(self.partitions(), timeout=5):
                low, high = self.eye.get_watermark_offsets(part, timeout=5)
                behind += high - max(part.offset, low)
            return behind
        except confluent_kafka.KafkaException:
            return None

    # ---- what breaks ---------------------------------------------------------------------------------------

    def kill_daemon(self, dice):
        daemon = dice.choice(self.daemons)
        say(f"  daemon {daemon.name} is killed")
        daemon.send(signal.SIGKILL)

    def end_daemon(self, dice):
        daemon = dice.choice(self.daemons)
        say(f"  daemon {daemon.name} is asked to end")
        daemon.send(signal.SIGTERM)

    def stop_daemon(self, dice):
        daemon, seconds = dice.choice(self.daemons), SESSION_TIMEOUT_S + dice.uniform(1, 4)
        say(f"  daemon {daemon.name} is stopped for {seconds:.1f} s")
        daemon.send(signal.SIGSTOP, ends=False)
        self.live(seconds)
        daemon.send(signal.SIGCONT, ends=False)

    def kill_broker(self, dice):
        seconds = dice.uniform(0, 3)
        say(f"  the broker is killed, and started again after {seconds:.1f} s")
        subprocess.run(["kill", "-KILL", (self.folder / "kafka" / "pid").read_text().strip()], check=True)
        self.live(seconds)
        start = subprocess.Popen([KAFKA, "start", "--dir", self.folder / "kafka"], stdout=subprocess.DEVNULL)
        while start.poll() is None:
            self.tick()
        if start.returncode:
            sys.exit("storm: the broker does not start again")

    def cut_network(self, dice):
        seconds, swallows = dice.uniform(3, 12), dice.random() < 0.5
        say(f"  the network of daemon b is cut for {seconds:.1f} s: {'it swallows' if swallows else 'it resets'}")
        if swallows:
            self.proxy.send_signal(signal.SIGSTOP)
            self.live(seconds)
            self.proxy.send_signal(signal.SIGCONT)
        else:
            self.proxy.kill()
            self.proxy.wait()
            self.live(seconds)
            self.connect()

    def switch_model(self, dice):
        link, name = self.folder / "model", dice.choice(["one", "two", "two", "broken"])
        say(f"  the model is {name} now{', which no daemon may take' if name == 'broken' else ''}")
        aside = self.folder / "model.part"
        aside.unlink(missing_ok=True)
        aside.symlink_to(f"model-{name}")
        aside.rename(link)
        for daemon in self.daemons:
            if dice.random() < 0.5:
                daemon.send(signal.SIGHUP, ends=False)
        self.live(dice.uniform(1, 5))
        if name == "broken":  # a daemon that starts could not
            aside.symlink_to("model-two")
            aside.rename(link)

    def fill_disk(self, dice):
        seconds = dice.uniform(2, 6)
        say(f"  the daemons' disk is full for {seconds:.1f} s")
        full = self.folder / "disk" / "full"
        with full.open("wb", buffering=0) as out:
            for size in (1 << 20, 4096):
                try:
                    while out.write(bytes(size)) == size:
                        pass
                except OSError:
                    pass
        self.live(seconds)
        full.unlink()

    def connect(self):
        self.proxy = subprocess.Popen(self.proxy_command, stdout=subprocess.PIPE, text=True)
        if self.proxy.stdout.readline() != "ready\n":
            sys.exit("storm: the proxy does not start")

    # ---- the storm -----------------------------------------------------------------------------------------

    def kinds(self):
        """Every kind of event comes once before any comes again."""
        kinds = ["kill_daemon", "end_daemon", "stop_daemon", "kill_broker", "cut_network", "switch_model"]
        if (self.folder / "disk").is_mount():  # never fill anybody's real disk
            kinds.append("fill_disk")
        kinds = os.environ.get("CHAOS_EVENTS", "").split() or kinds
        order = random.Random(f"order {self.seed}")
        return [kind for _ in range(self.kills) for kind in order.sample(kinds, len(kinds))][: self.kills]

    def run(self):
        self.connect()
        sent = self.already_sent()
        self.unsent = [message for message in self.messages if message["number"] not in sent]
        events = self.folder / "events.jsonl"
        events.touch()
        done = len(events.read_text().splitlines())
        if done or sent:
            say(f"goes on after {done} events and {len(sent)} of {len(self.messages)} messages")
        for number, kind in list(enumerate(self.kinds()))[done:]:
            dice = random.Random(f"event {self.seed} {number}")
            if dice.random() < 0.7:  # else it hits daemons that start or a group that is being shared out
                self.wait_ready(20)
            self.live(dice.uniform(0, 3))
            self.spread((number + 1) / (self.kills + 1), BURST_S)
            self.live(dice.uniform(0.1, 1.5 * BURST_S))
            say(f"event {number + 1} of {self.kills}: {kind.replace('_', ' ')}")
            getattr(self, kind)(dice)
            with events.open("a") as out:
                print(json.dumps({"event": number, "kind": kind}), file=out)
        self.spread(1, BURST_S)
        self.settle()

    def settle(self):
        while self.unsent:
            self.tick()
        if self.producer.flush(60):
            sys.exit("storm: the broker does not take the messages")
        say("all is sent; waits until all is committed")
        last, news = None, time.monotonic()
        while (left := self.left()) != 0:
            if left != last:
                last, news = left, time.monotonic()
            if time.monotonic() - news > STANDSTILL_S:
                say(f"nothing moves for {STANDSTILL_S} s, with {left} messages left")
                break
            self.live(LOOK_EVERY_S)
        self.end_daemons()

    def end_daemons(self):
        """In fair weather each can be had again, and ends when it is asked to: else it hangs somewhere."""
        self.wait_ready(30)
        for daemon in self.daemons:
            self.complain(daemon.ready(), f"daemon {daemon.name} is not ready long after all is well again")
            daemon.send(signal.SIGTERM)
        for daemon in self.daemons:
            try:
                code = daemon.process.wait(30)
                self.complain(code == 0, f"daemon {daemon.name} ended with {code} when asked to end")
            except subprocess.TimeoutExpired:
                self.complain(False, f"daemon {daemon.name} did not end within 30 s")

    def complain(self, well, text):
        if not well:
            self.hangs = True
            say(f"WRONG: {text}")

    def clean_up(self):
        self.producer.flush(5)
        for process in [self.proxy, *(daemon.process for daemon in self.daemons)]:
            if process and process.poll() is None:
                process.kill()
                process.wait()
        (self.folder / "disk" / "full").unlink(missing_ok=True)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    storm = Storm(pathlib.Path(sys.argv[1]).resolve(), sys.argv[2], int(sys.argv[3]), sys.argv[4], sys.argv[5:])
    try:
        storm.run()
    finally:
        storm.clean_up()
    sys.exit(3 if storm.hangs else 0)
