#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""What ballast shows of the real daemon on a simulated host."""

import fcntl
import json
import os
import pty
import re
import select
import signal
import socket
import struct
import subprocess
import sys
import termios

sys.dont_write_bytecode = True
from simdaemon import BUILD, PATIENCE, Daemon, Tap, wait_for

# Minimums of 1,200 MiB on a host of 1,024 MiB.
TOO_MUCH = """
memory = "1024M"
dom0   = "128M"
xen    = "24M"
length = "1h"
grace  = "0s"
guests = [ "vm[1-4], memory=112M, maxmem=512M, need=88M, min=300M" ]
"""
CONFIG = 'reserve = "64M"\ndefaults = "min=80M"\n'
BAD = 'reserve = "a lot"\nnonsense = "1"\n'

tap = Tap()


def table_of(text):
    """The rows of the table by name; the last cell is the reason."""
    lines = text.splitlines()
    head = next(i for i, line in enumerate(lines) if line.startswith("NAME"))
    rows = {}
    for line in lines[head + 1:]:
        cells = line.split(None, 12)
        if len(cells) == 13:
            rows[cells[0]] = dict(zip(lines[head].split(), cells))
    return rows


def status(daemon):
    run = daemon.ballast("status")
    tap.equal((run.returncode, run.stderr), (0, ""), "status: all is well")
    rows = table_of(run.stdout)
    domains = {d["name"]: d for d in daemon.ask("query-domains")["return"]}
    tap.ok({"db", "web1", "web2", "web3", "web4"} <= set(rows), "... every domain has a row")
    tap.equal({rows[name]["WEIGHT"] for name in ("db", "web1")}, {"512", "256"}, "... its weight")
    tap.equal(rows["db"]["MIN"], str(domains["db"]["min_kib"] // 1024), "... its minimum, in MiB")
    tap.equal(rows["Domain-0"]["CONDUCT"], "-", "... dom0 is not judged where it is not managed")
    tap.ok(rows["db"]["WHY"] != domains["db"]["reason"], f"... and why: {rows['db']['WHY']}")
    widest = max(map(len, run.stdout.splitlines()))
    tap.ok(widest <= 120, f"... within 120 columns ({widest})")
    for word in ("total", "free", "promised", "claimed", "reserve", "headroom", "pool",
                 "policy weighted"):
        tap.ok(word in run.stdout, f"... the host's {word}")
    answer = json.loads(daemon.ballast("status", "--json").stdout)
    tap.equal(set(answer), {"status", "domains", "reservations"}, "status --json: all answers")
    tap.equal(answer["status"]["total_kib"], daemon.ask("query-status")["return"]["total_kib"],
              "... with the daemon's figures")


def trouble():
    daemon = Daemon(TOO_MUCH).start()
    wait_for(lambda: daemon.ask("query-status")["return"]["minimums_fit"] is False, "the trouble")
    run = daemon.ballast("status")
    tap.equal(run.returncode, 3, "status exits 3 when the minimums do not fit")
    tap.ok("TROUBLE: the minimums do not fit" in run.stdout, "... and says so")
    tap.equal(daemon.ballast("status", "--json").returncode, 3, "... with --json, too")
    daemon.stop()
    run = daemon.ballast("status")
    tap.equal(run.returncode, 1, "status exits 1 without a daemon")
    tap.ok("ballastd does not run" in run.stderr and "systemctl status" in run.stderr,
           "... and says what to look at")


class Terminal:
    """A terminal of so many columns and lines with `ballast` on it."""

    def __init__(self, daemon, columns, lines, *arguments):
        pid, self.fd = pty.fork()
        if pid == 0:
            os.environ["TERM"] = "xterm"
            os.execv(os.path.join(BUILD, "ballast"),
                     ["ballast", "--socket", daemon.socket, *arguments])
        self.pid = pid
        self.text = ""
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))

    def read(self):
        """Takes in what there is; False when the other side has closed."""
        if not select.select([self.fd], [], [], 0.05)[0]:
            return True
        try:
            data = os.read(self.fd, 65536)
        except OSError:
            data = b""
        self.text += data.decode(errors="replace")
        return bool(data)

    def read_until(self, pattern):
        wait_for(lambda: self.read() and re.search(pattern, self.text), f"{pattern} on the screen")

    def end(self):
        wait_for(lambda: not self.read(), "the end")
        os.close(self.fd)
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])


def frames(text):
    """Each screen, without the sequences that draw it."""
    for frame in text.split("\033[H")[1:]:
        yield re.sub(r"\033\[[?0-9;]*[a-zA-Z]", "", frame).replace("\r", "").split("\n")


def live(daemon):
    terminal = Terminal(daemon, 100, 30, "top", "--delay", "100ms")
    # The size is set just after the start: what was drawn before has another.
    terminal.read_until(r"(?s)\033\[J.*\033\[J.*\033\[J")
    os.write(terminal.fd, b"q")
    tap.equal(terminal.end(), 0, "top: q ends it")
    tap.ok("\033[?1049h" in terminal.text and "\033[?1049l" in terminal.text,
           "... on a screen of its own, which it leaves")
    last = list(frames(terminal.text))[2]
    tap.ok(max(map(len, last)) <= 100, "... no line is wider than the terminal")
    row = next((line for line in last if line.split()[:1] == ["db"]), "")
    tap.ok(re.search(r"[#=]{3}", row), "... a domain has a bar")

    terminal = Terminal(daemon, 80, 12, "top", "--delay", "100ms")
    terminal.read_until(r"(?s)domains; up and down scroll.*domains; up and down scroll")
    os.write(terminal.fd, b"j" * 20)
    terminal.read_until(r"(?s)scroll.*web4")
    tap.ok(True, "... on a low terminal the domains scroll")
    os.write(terminal.fd, b"\x03")
    tap.equal(terminal.end(), 0, "... and an interrupt ends it as well")

    terminal = Terminal(daemon, 80, 24, "status")
    terminal.end()
    lines = terminal.text.replace("\r", "").splitlines()
    tap.ok(lines, "status on a terminal")


def live_without_daemon():
    """What a user of top sees when the daemon hangs, and when it dies."""
    daemon = Daemon()
    os.mkdir(os.path.dirname(daemon.socket))
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as silent:
        silent.bind(daemon.socket)
        silent.listen()
        terminal = Terminal(daemon, 100, 30, "top")
        with silent.accept()[0] as client:
            client.sendall(b'{"ballast":{"version":"0"}}\n')
            client.recv(4096)
            os.write(terminal.fd, b"\x03")
            tap.equal(terminal.end(), 0, "top: an interrupt ends it while the daemon is silent")
        with subprocess.Popen([os.path.join(BUILD, "ballast"), "--socket", daemon.socket, "reload"],
                              stderr=subprocess.PIPE, text=True) as run:
            with silent.accept()[0] as client:
                client.sendall(b'{"ballast":{"version":"0"}}\n')
                client.recv(4096)
                client.sendall(b"[]\n")
                tap.ok("no answer" in run.stderr.read(), "what is no answer is told")
        tap.equal(run.returncode, 1, "... and is an error")

    daemon.start()
    terminal = Terminal(daemon, 100, 30, "top", "--delay", "100ms")
    terminal.read_until(r"(?s)\033\[J.*\033\[J")
    daemon.stop(signal.SIGKILL)
    tap.equal(terminal.end(), 1, "top: fails when the daemon dies")
    tap.ok("ballast: " in terminal.text.split("\033[?1049l")[1],
           "... and says why when it has left its screen")


def plain_top(daemon):
    run = daemon.ballast("top", "--iterations", "3", "--delay", "100ms")
    tap.equal((run.returncode, run.stdout.count("ballastd 0")), (0, 3),
              "top --iterations without a terminal: so many blocks")
    tap.ok("\033" not in run.stdout, "... without control sequences")
    run = daemon.ballast("top", "--iterations", "2", "--delay", "100ms", "--json")
    tap.equal([set(json.loads(line)) for line in run.stdout.splitlines()],
              [{"status", "domains", "reservations"}] * 2, "top --json: one object a line")
    for delay in ("0", "-1", "x", "1ms", "99999999s"):
        tap.equal(daemon.ballast("top", "--iterations", "1", "--delay", delay).returncode, 2,
                  f"top --delay {delay}: an error")


def settings(daemon):
    def weight(name):
        domains = daemon.ask("query-domains")["return"]
        return next(d["weight"] for d in domains if d["name"] == name)

    run = daemon.ballast("set", "web1", "weight=512", "min=96M")
    tap.equal((run.returncode, run.stdout, run.stderr), (0, "", ""), "set a domain's limits")
    wait_for(lambda: weight("web1") == 512, "the weight")
    tap.equal(daemon.ballast("set", "policy=static").returncode, 0, "set the policy")
    tap.equal(daemon.ballast("set", "policy=weighted", "pool=32M").returncode, 0, "... and back")
    tap.equal(json.loads(daemon.ballast("set", "--json", "web1", "weight=300").stdout), {},
              "set --json prints the answer")
    wait_for(lambda: weight("web1") == 300, "the weight")
    for status, wrong in ((1, (["web1"], ["nobody", "weight=1"], ["web1", "weight=x"],
                               ["web1", "color=red"])),
                          (2, ([], ["web1", "weight"], ["web1", "=1"], ["--nonsense"]))):
        for arguments in wrong:
            run = daemon.ballast("set", *arguments)
            tap.ok(run.returncode == status and run.stderr, f"set {' '.join(arguments)}: an error")
    tap.equal(weight("web1"), 300, "... which changed nothing")
    tap.ok("priority, selfballoon" in daemon.ballast("set", "web1", "color=red").stderr,
           "all that can be set of a domain stands in the error")


def events(daemon):
    daemon.ask("set", domain="web2", weight=77)
    run = daemon.ballast("events")
    tap.ok(re.search(r"^\d{4}-\d\d-\d\d .* CONFIG +web2: set weight=77$", run.stdout, re.M),
           "events: the last ones, a line each")
    lines = daemon.ballast("events", "--json").stdout.splitlines()
    tap.ok(all("event" in json.loads(line) for line in lines), "events --json: one object a line")
    command = [os.path.join(BUILD, "ballast"), "--socket", daemon.socket, "events", "--follow"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as follow:
        follow.stdout.readline()
        daemon.ask("set", domain="web2", weight=78)
        for line in follow.stdout:
            if "weight=78" in line:
                break
        tap.ok("weight=78" in line, "events --follow: those that happen")
        follow.terminate()


def explain(daemon):
    run = daemon.ballast("explain", "web1")
    tap.equal((run.returncode, run.stderr), (0, ""), "explain a domain")
    labels = re.findall(r"^([A-Z][a-z]+) ", run.stdout, re.M)
    labels = [label for label in labels if label != "Bill"]
    tap.equal(labels, ["Size", "Post", "Need", "Conduct", "Policy", "Pace", "Guard", "Next"],
              "... a paragraph for each stage")
    tap.ok(re.match(r"web1 \(domain \d+\) .*\.$", run.stdout.splitlines()[0]), "... and why")
    domid = daemon.ask("explain", domain="web1")["return"]["domain"]["domid"]
    answer = json.loads(daemon.ballast("explain", "--json", str(domid)).stdout)
    tap.equal(answer["domain"]["name"], "web1", "explain --json, by domid")
    tap.equal(len(answer["policy"]["steps"]), 4, "... the policy's steps")
    run = daemon.ballast("explain", "Domain-0")
    tap.ok("the configuration does not name it" in run.stdout, "explain dom0: not managed")
    for status, arguments in ((2, []), (1, ["nobody"]), (2, ["web1", "web2"]),
                              (2, ["--nonsense", "web1"])):
        run = daemon.ballast("explain", *arguments)
        tap.ok(run.returncode == status and run.stderr and not run.stdout,
               f"explain {' '.join(arguments)}: an error")


def check(daemon):
    good, bad = daemon.write("good", CONFIG), daemon.write("bad", BAD)
    run = daemon.ballast("check", good)
    tap.equal((run.returncode, run.stderr), (0, ""), "check of a good file")
    run = daemon.ballast("check", bad)
    tap.ok(run.returncode == 1 and f"{bad}:1:" in run.stderr and f"{bad}:2:" in run.stderr,
           "check of a bad file: every fault with its line")
    faults = json.loads(daemon.ballast("check", "--json", bad).stdout)["faults"]
    tap.ok(len(faults) == 2 and faults[0].startswith(f"{bad}:1:"), "... as JSON, too")
    tap.equal(json.loads(daemon.ballast("check", "--json", good).stdout)["faults"], [],
              "... of a good file: none")
    tap.equal(daemon.ballast("check", good + "-is-not-there").returncode, 1, "check without a file")
    with open("/dev/full", "w", encoding="ascii") as full:
        run = subprocess.run([os.path.join(BUILD, "ballast"), "check", "--json", good], stdout=full,
                             stderr=subprocess.PIPE, text=True, timeout=PATIENCE, check=False)
    tap.ok(run.returncode == 1 and "cannot be written" in run.stderr, "output to a full disk")
    for arguments in (["events"], ["top", "--iterations", "1"], ["--help"]):
        run = subprocess.run([os.path.join(BUILD, "ballast"), "--socket", daemon.socket, *arguments],
                             stderr=subprocess.PIPE, text=True, timeout=PATIENCE, check=False,
                             preexec_fn=lambda: os.close(1))
        tap.ok(run.returncode == 1 and "cannot be written" in run.stderr,
               f"{' '.join(arguments)} without an output")
    for arguments, said in ((["reserve"], "SIZE is missing"), (["release"], "number"),
                            (["events", "more"], "unexpected argument"), (["top", "--no"], "Try"),
                            (["top", "--delay", "1ms"], "100ms at least")):
        run = daemon.ballast(*arguments)
        tap.ok(run.returncode == 2 and said in run.stderr, f"{' '.join(arguments)}: {said}")
    tap.equal(daemon.ballast("nonsense").returncode, 2, "an unknown command")
    tap.equal(daemon.ballast().returncode, 2, "no command")


def main():
    daemon = Daemon().start()
    for test in (status, live, plain_top, settings, events, explain, check):
        test(daemon)
    daemon.stop()
    trouble()
    live_without_daemon()
    tap.done()


main()
