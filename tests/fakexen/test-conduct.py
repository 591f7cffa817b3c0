#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""Guests that do not do as they are asked: frozen, greedy, slow, stuck at a floor. They are found
out where they should be, and the others are not harmed by them."""

import sys

sys.dont_write_bytecode = True
from fakehost import MIB, FakeHostError, Host, Tap, stores, wait_for

SIZE = 256 * MIB
LIMIT = 512 * MIB
SLACK = 1 * MIB # libxl sets caps that much above the target
CONFIG = """
reserve  = "64M"
interval = "200ms"
gather   = "10ms"
grace    = "0s"
surplus  = "keep"
defaults = "weight=256, min=96M"
"""
FROZEN, GREEDY, SLOW, STUCK, GOOD, ANOTHER = range(1, 7)

tap = Tap()


def check(store):
    with Host(store, 512 + 64 + 6 * 260) as host:
        # Each says that it needs little, so each is asked to give.
        words = f"dialect=ballast need={60 * MIB} beat=500"
        host.play(f"create {FROZEN} pv {SIZE} {LIMIT} {words} rate=0")
        host.play(f"create {GREEDY} pv {SIZE} {LIMIT} {words} greedy=1")
        host.play(f"create {SLOW} pvh {SIZE} {LIMIT} {words} rate={8 * MIB}")
        host.play(f"create {STUCK} pv {SIZE} {LIMIT} {words} floor={200 * MIB}")
        for domid in (GOOD, ANOTHER):
            host.play(f"create {domid} pv {SIZE} {LIMIT} {words}")
        host.play(f"promise {64 * MIB}")
        host.start_daemon(CONFIG)

        host.needs(GOOD, 360 * MIB)
        tap.ok(wait_for(lambda: host.domains()[GOOD][0] >= 360 * MIB),
               f"{store}: who needs memory gets it, from those that give")
        tap.ok(wait_for(lambda: host.row(FROZEN, "conduct") == "unhelpful"),
               f"{store}: a frozen balloon is called unhelpful")
        host.play(f"set {FROZEN} rate={512 * MIB}")
        tap.ok(wait_for(lambda: host.row(FROZEN, "conduct") == "cooperative"),
               f"{store}: one that gives after all is forgiven")
        tap.ok(wait_for(lambda: host.row(GREEDY, "conduct") == "unhelpful"),
               f"{store}: and so is one that takes instead of giving")
        tap.ok(wait_for(lambda: host.row(SLOW, "conduct") == "cooperative"),
               f"{store}: a slow one is not")
        actual, cap, _ = host.domains()[GREEDY]
        tap.ok(actual <= SIZE + SLACK and cap <= SIZE + 2 * SLACK,
               f"{store}: the greedy one holds no more than at first")
        host.up(tap, store)
        host.kept(tap, store)


for name in stores():
    try:
        check(name)
    except FakeHostError as error:
        tap.ok(False, f"{name}: {error}")
tap.done()
