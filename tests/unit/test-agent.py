#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""ballast-guest itself, with a store of the test's own on the other end of the socket."""

import os
import re
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time

sys.dont_write_bytecode = True
AGENT = os.path.join(os.environ.get("top_builddir", os.getcwd()), "ballast-guest")
NODE = "data/ballast/stats"
READ, WRITE, REMOVE, WATCH_EVENT, ERROR = 2, 11, 13, 15, 16
HEADER = struct.Struct("=IIII")
LONG = 60

count = failures = 0


def check(good, text, why=""):
    global count, failures
    count += 1
    failures += not good
    print(f"{'ok' if good else 'not ok'} {count} - {text}", flush=True)
    if not good and why:
        print(why, file=sys.stderr)


class Store:
    """Listens at a path; the test says what is answered."""

    def __init__(self, path):
        self.path = path
        self.connection = None
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(path)
        self.listener.listen(4)
        self.listener.settimeout(LONG)

    def accept(self):
        self.connection, _ = self.listener.accept()
        self.connection.settimeout(LONG)

    def take(self, size):
        data = b""
        while len(data) < size:
            piece = self.connection.recv(size - len(data))
            if not piece:
                raise EOFError
            data += piece
        return data

    def request(self):
        """The next request: its type, node, value and number."""
        kind, number, _, size = HEADER.unpack(self.take(HEADER.size))
        node, _, value = self.take(size).partition(b"\0")
        return kind, node.decode(), value.decode(), number

    def answer(self, kind, number, payload):
        self.connection.sendall(HEADER.pack(kind, number, 0, len(payload)) + payload)

    def post(self):
        """Takes one post and is content with it."""
        kind, node, value, number = self.request()
        if (kind, node) != (WRITE, NODE):
            raise ValueError(f"{kind} {node}")
        self.answer(WRITE, number, b"OK\0")
        return fields(value)

    def hang_up(self):
        self.connection.close()

    def close(self):
        self.listener.close()
        os.unlink(self.path)


def fields(text):
    return {key: int(value) for key, value in (word.split("=") for word in text.split(" "))}


def environment(path=None, root=None):
    env = {k: v for k, v in os.environ.items() if k not in ("XENSTORED_PATH", "BALLAST_ROOT")}
    if root:
        env["BALLAST_ROOT"] = root
    if path:
        env["XENSTORED_PATH"] = path
    return env


def run(*arguments, path=None):
    return subprocess.run([AGENT, *arguments], env=environment(path), timeout=LONG, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def start(path, *arguments, root=None):
    return subprocess.Popen([AGENT, *arguments], env=environment(path, root), text=True,
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def test_options():
    shown = run("--help")
    check(shown.returncode == 0 and "--once" in shown.stdout, "--help", shown.stderr)
    shown = run("--version")
    check(shown.returncode == 0 and re.fullmatch(r"ballast-guest [0-9.]+\n", shown.stdout),
          "--version", shown.stdout)
    for arguments in (["--frob"], ["word"], ["--once", "--print"], ["--once=1"],
                      ["--selfballoon", "--print"]):
        wrong = run(*arguments)
        check(wrong.returncode == 2 and not wrong.stdout and "Usage:" in wrong.stderr,
              f"{' '.join(arguments)} is refused", str(wrong))


def test_print():
    shown = run("--print")
    check(shown.returncode == 0 and shown.stdout.count("\n") == 1, "--print prints one line",
          str(shown))
    report = fields(shown.stdout.rstrip("\n"))
    check(report["v"] == 1 and report["seq"] == 1, "its version and number")
    check(0 < report["available_kib"] <= report["total_kib"], "its figures")
    for option in ("--print", "--help", "--version"):
        with open("/dev/full", "w", encoding="ascii") as full:
            lost = subprocess.run([AGENT, option], env=environment(), timeout=LONG, text=True,
                                  stdout=full, stderr=subprocess.PIPE)
        check(lost.returncode == 1 and "No space left" in lost.stderr,
              f"{option} to a full disk: an error", str(lost))


def test_refusal():
    if os.path.exists("/dev/xen/xenbus"):
        print("# this is a Xen domain: its refusal elsewhere is not tried")
        return
    refused = run()
    check(refused.returncode == 1 and not refused.stdout and refused.stderr.count("\n") == 1
          and "Xen" in refused.stderr, "outside of Xen it refuses in one line", str(refused))


def test_once_alone(path):
    alone = run("--once", path=path)
    check(alone.returncode == 1 and alone.stderr.count("\n") == 1,
          "--once fails when nobody listens", str(alone))


def test_once_answers(path):
    store = Store(path)
    answers = {
        "--once posts": (lambda number: store.answer(WRITE, number, b"OK\0"), 0, ""),
        "--once skips watch events": (
            lambda number: (store.answer(WATCH_EVENT, 0, b"a\0b\0"),
                            store.answer(WRITE, number, b"OK\0")), 0, ""),
        "--once without the right to write": (
            lambda number: store.answer(ERROR, number, b"EACCES\0"), 1, "Permission denied"),
        "--once beyond the quota": (
            lambda number: store.answer(ERROR, number, b"ENOSPC\0"), 1, "No space left"),
        "--once and the store hangs up": (lambda number: store.hang_up(), 1, "reset"),
        "--once and an answer without sense": (
            lambda number: store.connection.sendall(b"\xff" * 64), 1, "Protocol error"),
    }
    for text, (answer, status, said) in answers.items():
        agent = start(path, "--once")
        store.accept()
        kind, node, value, number = store.request()
        answer(number)
        _, told = agent.communicate(timeout=LONG)
        store.hang_up()
        check(kind == WRITE and node == NODE and fields(value)["v"] == 1
              and agent.returncode == status and said in told, text,
              f"{kind} {node} {agent.returncode} {told}")
    store.close()


def ends(store, agent, number):
    """It is asked to end: it removes its post first."""
    agent.send_signal(number)
    while True:
        kind, node, _, request = store.request()
        if kind == REMOVE:
            break
        store.answer(kind, request, b"OK\0")
    store.answer(ERROR, request, b"ENOENT\0")
    agent.communicate(timeout=LONG)
    return node == NODE and agent.returncode == 0


def test_service(path):
    store = Store(path)
    for number in (signal.SIGTERM, signal.SIGINT):
        agent = start(path)
        store.accept()
        check(store.post()["seq"] == 1, "the first post is number 1")
        check(ends(store, agent, number), f"{number.name}: the post is removed, status 0")
        store.hang_up()

    # Without pressure there are 10 s between two posts; with it, less.
    agent = start(path)
    store.accept()
    store.post()
    check(store.post()["seq"] == 2, "it goes on posting")

    # The store is away, and comes back: nobody tells the agent.
    store.hang_up()
    store.close()
    store = Store(path)
    store.accept()
    post = store.post()
    check(post["seq"] == 3, "after the store was away the next post has the next number", str(post))
    check(ends(store, agent, signal.SIGTERM), "and it still ends cleanly")
    store.hang_up()
    store.close()


def test_refused_posts(path):
    """A store that refuses every post for a while."""
    store = Store(path)
    agent = start(path)
    began = time.monotonic()
    for _ in range(3):
        store.accept()
        _, _, value, number = store.request()
        store.answer(ERROR, number, b"EACCES\0")
    check(time.monotonic() - began >= 3, "a refused post is not repeated at once")
    check(fields(value)["seq"] == 1, "nor counted")
    store.accept()
    store.post()
    agent.send_signal(signal.SIGTERM)
    kind, _, _, request = store.request()
    store.answer(kind, request, b"OK\0")
    _, told = agent.communicate(timeout=LONG)
    check(told.count("Permission denied") == 1 and told.count("posting again") == 1,
          "the failure is told once, and its end", told)
    store.close()


MEMORY = "sys/devices/system/xen_memory/xen_memory0"


class Guest:
    """The files of a guest that has committed 200,000 kB and holds 500,000, and dom0's nodes."""

    def __init__(self, root, store):
        self.root, self.store, self.last = root, store, None
        self.nodes = {"memory/target": "500000", "memory/static-max": "600000"}
        self.write("proc/meminfo", "MemTotal: 440000 kB\nMemFree: 200000 kB\n"
                                   "MemAvailable: 250000 kB\nCommitted_AS: 200000 kB\n"
                                   "SUnreclaim: 10000 kB\n")
        self.write("proc/sys/vm/min_free_kbytes", "20000\n")
        self.write(MEMORY + "/info/current_kb", "500000\n")
        self.write(MEMORY + "/target_kb", "500000\n")

    def write(self, path, text):
        os.makedirs(os.path.dirname(os.path.join(self.root, path)), exist_ok=True)
        with open(os.path.join(self.root, path), "w", encoding="ascii") as file:
            file.write(text)

    def target(self):
        with open(os.path.join(self.root, MEMORY, "target_kb"), encoding="ascii") as file:
            return int(file.read() or "0")

    def serve(self, condition):
        """Answers the agent until condition() is true after an answer."""
        end = time.monotonic() + LONG
        while not condition() and time.monotonic() < end:
            kind, node, value, number = self.store.request()
            if kind == WRITE and node == NODE:
                self.last = fields(value)
            if kind == READ and node in self.nodes:
                self.store.answer(READ, number, self.nodes[node].encode())
            elif kind == READ:
                self.store.answer(ERROR, number, b"ENOENT\0")
            else:
                self.store.answer(kind, number, b"OK\0")
        return condition()


def test_selfballoon(path):
    with tempfile.TemporaryDirectory(prefix="ballast-") as root:
        store = Store(path)
        guest = Guest(root, store)
        agent = start(path, root=root)
        store.accept()
        check(guest.serve(lambda: guest.last) and "selftarget_kib" not in guest.last
              and guest.target() == 500000, "it does not size the domain unasked")

        # 60,000 hidden, 200,000 committed, 10,000 and 30,000 of the kernel's own: 300,000.
        agent.send_signal(signal.SIGUSR1)
        check(guest.serve(lambda: guest.target() == 475000),
              "SIGUSR1: it goes an eighth of the way down", str(guest.target()))
        check(guest.serve(lambda: guest.last.get("selftarget_kib") == 300000)
              and guest.last["minimum_kib"] == 181496 and guest.last["balloon_current_kib"] == 500000,
              "it posts what it would like to hold, and its floor", str(guest.last))
        guest.write("proc/meminfo", "MemTotal: 440000 kB\nMemAvailable: 250000 kB\n"
                                    "Committed_AS: 600000 kB\n")
        guest.nodes["memory/target"] = "490000"
        check(guest.serve(lambda: guest.target() == 490000),
              "it goes up at once, but not above dom0's target", str(guest.target()))
        guest.write("proc/meminfo", "MemTotal: 440000 kB\nMemAvailable: 250000 kB\n"
                                    "Committed_AS: 200000 kB\n")
        guest.nodes["memory/selfballoon"] = "0"
        check(guest.serve(lambda: "selftarget_kib" not in guest.last) and guest.target() == 490000,
              "dom0 says no: that counts, and its target again", str(guest.target()))
        guest.nodes["memory/selfballoon"] = "1"
        agent.send_signal(signal.SIGUSR2)
        check(guest.serve(lambda: guest.target() < 490000), "dom0 says yes: that counts, too")
        check(ends(store, agent, signal.SIGTERM) and guest.target() == 490000,
              "at its end the target is dom0's again", str(guest.target()))
        store.hang_up()
        store.close()


def main():
    with tempfile.TemporaryDirectory(prefix="ballast-") as folder:
        path = os.path.join(folder, "socket")
        test_options()
        test_print()
        test_refusal()
        test_once_alone(path)
        test_once_answers(path)
        test_service(path)
        test_refused_posts(path)
        test_selfballoon(path)
    print(f"1..{count}")
    return failures != 0


sys.exit(main())
