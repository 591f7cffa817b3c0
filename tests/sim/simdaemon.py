# SPDX-License-Identifier: ISC
"""For tests: the real ballastd on a simulated host, a client of its socket, and test lines."""

import atexit
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

PATIENCE = 60.0  # seconds, for what comes within milliseconds on a quiet machine

BUILD = os.environ.get("top_builddir", os.getcwd())
SOURCE = os.environ.get("top_srcdir", os.path.join(os.path.dirname(__file__), "..", ".."))

SCENARIO = """
memory = "1024M"
dom0   = "128M"
xen    = "24M"
length = "1h"
reserve = "64M"
grace   = "0s"
guests = [
    "db,       memory=128M, maxmem=512M, need=100M, min=96M, weight=512",
    "web[1-4], memory=112M, maxmem=512M, need=88M,  min=80M",
]
"""


class Tap:
    """Test lines on standard output."""

    def __init__(self):
        self.count = 0
        self.failures = 0

    def ok(self, good, text):
        self.count += 1
        self.failures += not good
        print(f"{'ok' if good else 'not ok'} {self.count} - {text}", flush=True)
        return bool(good)

    def equal(self, found, expected, text):
        if not self.ok(found == expected, text):
            self.note(f"expected {expected!r}\nfound    {found!r}")

    def skip(self, text, why):
        self.count += 1
        print(f"ok {self.count} - {text} # SKIP {why}", flush=True)

    @staticmethod
    def note(text):
        for line in str(text).splitlines():
            print(f"# {line}", flush=True)

    def done(self):
        print(f"1..{self.count}", flush=True)
        sys.exit(1 if self.failures else 0)


def wait_for(condition, what):
    """Waits until condition() is true, and returns what it returned."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        result = condition()
        if result:
            return result
        time.sleep(0.02)
    raise TimeoutError(f"waited {PATIENCE:.0f} s for {what}")


class Client:
    """A connection to the socket."""

    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.socket.settimeout(PATIENCE)
        self.socket.connect(path)
        self.buffer = b""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def send(self, data):
        self.socket.sendall(data)

    def line(self):
        """The next line as an object; None when the connection is closed."""
        while b"\n" not in self.buffer:
            try:
                data = self.socket.recv(65536)
            except ConnectionResetError:
                data = b""
            if not data:
                return None
            self.buffer += data
        line, self.buffer = self.buffer.split(b"\n", 1)
        return json.loads(line)

    def ask(self, command, **arguments):
        """The answer, whole. Events before it are dropped."""
        request = {"execute": command}
        if arguments:
            request["arguments"] = arguments
        self.send(json.dumps(request).encode() + b"\n")
        answer = self.line()
        while answer and "event" in answer:
            answer = self.line()
        return answer


class Daemon:
    """ballastd in a folder of its own. Whatever is started ends with the test."""

    def __init__(self, scenario=SCENARIO, config=None):
        self.folder = tempfile.mkdtemp(prefix="ballast-")
        atexit.register(self.remove)
        self.socket = os.path.join(self.folder, "run", "sock")
        self.pidfile = os.path.join(self.folder, "run", "pid")
        self.log = os.path.join(self.folder, "log")
        self.scenario = self.write("scenario", scenario)
        self.config = self.write("config", config) if config is not None else None
        self.process = None

    def write(self, name, text):
        path = os.path.join(self.folder, name)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        return path

    def command(self, *arguments):
        command = [os.path.join(BUILD, "ballastd"), "--socket", self.socket, "--pidfile",
                   self.pidfile, "--scenario", self.scenario]
        if self.config:
            command += ["--config", self.config]
        return command + list(arguments)

    def start(self, *arguments):
        """Starts it in the foreground, and waits until it is ready."""
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(self.command("--foreground", *arguments), stderr=log,
                                            stdin=subprocess.DEVNULL)
        wait_for(self.answers, "the daemon to answer")
        return self

    def answers(self):
        if self.process and self.process.poll() is not None:
            raise RuntimeError("ballastd ended:\n" + self.logged())
        try:
            with Client(self.socket) as client:
                return client.line()
        except OSError:
            return None

    def logged(self):
        with open(self.log, encoding="utf-8", errors="replace") as log:
            return log.read()

    def client(self):
        """A connection that was greeted."""
        client = Client(self.socket)
        client.line()
        return client

    def ask(self, command, **arguments):
        with self.client() as client:
            return client.ask(command, **arguments)

    def ballast(self, *arguments, **settings):
        """Runs the client."""
        return subprocess.run([os.path.join(BUILD, "ballast"), "--socket", self.socket, *arguments],
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                              timeout=PATIENCE, check=False, **settings)

    def stop(self, number=signal.SIGTERM):
        """Ends it, and returns its exit status."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        return self.process.wait(PATIENCE)

    def remove(self):
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)
