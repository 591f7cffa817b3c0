#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""Guests that use the store as a weapon: posts as fast as the store takes them, records as large and
nodes as many as it allows, domids used again at once, and nodes of the dead. What it costs ballastd
is measured, bounded, and printed; the others are served meanwhile."""

import subprocess
import sys
import time

sys.dont_write_bytecode = True
from fakehost import MIB, FakeHostError, Host, Tap, stores, usage, wait_for

SIZE = 256 * MIB
LIMIT = 512 * MIB
CONFIG = """
reserve  = "64M"
interval = "1s"
grace    = "0s"
defaults = "weight=256, min=96M"
"""
STATS = "data/ballast/stats"
GOOD = f"total_kib={200 * MIB} available_kib={100 * MIB}"
FIRST, LAST = 1, 4
STORM, HUGE_ONE, BUILDER, LIAR, PHOENIX = range(11, 16)  # one for each attack
POSTS = 20000
HUGE = 5000
NODES = 1000
LIVES = 40

# What an attack may cost ballastd.
CPU_SHARE = 0.10  # of one CPU: it is read once a second while it floods
GROWN_MIB = 2.0   # of resident memory
LINES = 6         # of log
ROUNDS_S = 20     # what comes within 50 ms is gathered

tap = Tap()


class Cost:
    """What ballastd spent while an attack was under way."""

    def __init__(self, host):
        self.host = host
        self.cpu, self.resident = usage(host.daemon.pid)
        self.lines = len(host.log(100000).splitlines())
        self.rounds = host.status()["rounds"]
        self.begin = time.monotonic()

    def check(self, text, count):
        seconds = time.monotonic() - self.begin
        cpu, resident = usage(self.host.daemon.pid)
        share = (cpu - self.cpu) / seconds
        grown = resident - self.resident
        lines = len(self.host.log(100000).splitlines()) - self.lines
        rounds = (self.host.status()["rounds"] - self.rounds) / max(seconds, 1)
        good = (cpu - self.cpu <= CPU_SHARE * seconds + 0.1 and grown <= GROWN_MIB
                and lines <= LINES and rounds <= ROUNDS_S)
        if not tap.ok(good, f"{text}: {count / seconds:.0f} a second cost {100 * share:.1f} % of a "
                            f"CPU, {grown:.1f} MiB, {lines} lines of log, {rounds:.1f} rounds a "
                            "second"):
            tap.note(self.host.log(20))


def served(host, text):
    """Another needs memory, and gets it."""
    for kib in (200 * MIB, 330 * MIB):
        host.needs(2, kib)
        good = wait_for(lambda k=kib: host.domains()[2][0] >= k)
    tap.ok(good, f"{text}: others are served")


def storm(host, store):
    cost = Cost(host)
    for seq in range(1, POSTS + 1):
        host.play(f"write {STORM} {STATS} v=1 seq={seq} {GOOD}")
        if seq == POSTS // 2:
            served(host, f"{store}, amid a storm of posts")
    cost.check(f"{store}: a storm of posts", POSTS)


def huge(host, store):
    cost = Cost(host)
    rubbish = "v=1 " + "x" * 2000
    for i in range(HUGE):
        host.play(f"write {HUGE_ONE} {STATS} {rubbish}{i % 10}")
    cost.check(f"{store}: records as long as the store takes", HUGE)
    served(host, f"{store}, after huge records")


def thousand_nodes(host, store):
    cost = Cost(host)
    refused = 0
    for i in range(NODES):
        try:
            host.play(f"write {BUILDER} data/{i % 7}/n{i}/deeper {i}")
        except FakeHostError:
            refused += 1  # its quota is used up
    tap.note(f"{store}: the store refused {refused} of {NODES} nodes")
    cost.check(f"{store}: a thousand nodes", NODES)
    served(host, f"{store}, beside a thousand nodes")


def backwards(host, store):
    """Sequence numbers that go back, and counters that wrap."""
    cost = Cost(host)
    for i in range(60):
        high = i % 2 * 2**53
        time.sleep(0.02)  # as a flood it would not be read at all
        host.play(f"write {LIAR} {STATS} v=1 seq={high or 1} {GOOD} some_us={high} "
                  f"swap_in_pages={2**53 - high}")
    cost.check(f"{store}: counters that go back", 60)
    served(host, f"{store}, beside counters that go back")


def same_domid(host, store):
    """It dies and is there again under the same number, while it is asked for memory."""
    cost = Cost(host)
    for life in range(LIVES):
        host.play(f"destroy {PHOENIX}")
        host.play(f"create {PHOENIX} pv {SIZE} {LIMIT} name=life{life} dialect=ballast "
                  f"need={(60 + life % 2 * 200) * MIB} beat=100")
        host.needs(2 + life % 2, (180 + life % 3 * 50) * MIB)
    shown = wait_for(lambda: host.row(PHOENIX, "name") == f"life{LIVES - 1}")
    tap.ok(shown, f"{store}: the last of {LIVES} lives under one number is shown")
    seconds = time.monotonic() - cost.begin
    tap.ok(usage(host.daemon.pid)[1] - cost.resident <= GROWN_MIB,
           f"{store}: {LIVES / seconds:.0f} lives a second cost no memory")


def ghost(host, store):
    """Somebody writes the nodes of a dead domain anew: no domain comes of it, nor a target."""
    host.play(f"destroy {PHOENIX}")
    gone = wait_for(lambda: PHOENIX not in host.shown())
    for node, value in ((STATS, f"v=1 seq=1 {GOOD}"), ("name", "ghost")):
        subprocess.run(["xenstore-write", f"/local/domain/{PHOENIX}/{node}", value], env=host.env,
                       check=True, timeout=60)
    rounds = host.status()["rounds"]
    wait_for(lambda: host.status()["rounds"] >= rounds + 3)
    tap.ok(gone and PHOENIX not in host.shown(), f"{store}: a dead domain's nodes are no domain")
    tap.ok(host.read(f"/local/domain/{PHOENIX}/memory/target") is None,
           f"{store}: and no target is written there")


def check(store):
    with Host(store, 8192) as host:
        for domid in range(FIRST, LAST + 1):
            host.play(f"create {domid} pv {SIZE} {LIMIT} dialect=ballast need={150 * MIB} beat=500")
        for domid in (STORM, HUGE_ONE, BUILDER, LIAR, PHOENIX):
            host.play(f"create {domid} pv {SIZE} {LIMIT}")
        host.play(f"promise {64 * MIB}")
        host.start_daemon(CONFIG)
        wait_for(lambda: host.row(2, "dialect") == "ballast")
        storm(host, store)
        huge(host, store)
        thousand_nodes(host, store)
        backwards(host, store)
        same_domid(host, store)
        ghost(host, store)
        host.up(tap, store)
        host.kept(tap, store)
        tap.ok(host.stop_daemon() == 0, f"{store}: it ends well")


for name in stores():
    try:
        check(name)
    except FakeHostError as error:
        tap.ok(False, f"{name}: {error}")
tap.done()
