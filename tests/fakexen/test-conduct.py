#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""Guests that do not do as they are asked: frozen, greedy, slow, stuck at a floor, grabbing. They are
found out where they should be, and the others are not harmed by them; what is done about them is
undone."""

import signal
import subprocess
import sys

sys.dont_write_bytecode = True
from fakehost import MIB, FakeHostError, Host, Tap, stores, wait_for

SIZE = 256 * MIB
LIMIT = 512 * MIB
BAD = ("unhelpful", "malicious")
SLACK = 1 * MIB # libxl sets caps that much above the target
CONFIG = """
reserve  = "64M"
interval = "200ms"
gather   = "10ms"
grace    = "0s"
surplus  = "keep"
defaults = "weight=256, min=96M"
"""
# Nobody is asked for anything.
STILL = """
reserve  = "64M"
interval = "100ms"
grace    = "0s"
defaults = "min=256M, max=256M"
"""
REMEDIES = STILL + 'remedies = [ "cpu-weight=64", "cpu-cap=50", "event" ]\n'
UNTOUCHED = {"weight": 256, "cap": 0}
SLOWED = {"weight": 64, "cap": 50}
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
        tap.ok(wait_for(lambda: host.row(GREEDY, "conduct") in BAD),
               f"{store}: and so is one that takes instead of giving")
        tap.ok(wait_for(lambda: host.row(SLOW, "conduct") == "cooperative"),
               f"{store}: a slow one is not")
        actual, cap, _ = host.domains()[GREEDY]
        tap.ok(actual <= SIZE + SLACK and cap <= SIZE + 2 * SLACK,
               f"{store}: the greedy one holds no more than at first")
        host.up(tap, store)
        host.kept(tap, store)


def grab(host):
    """Takes the slack above its target, lets it go, and takes it again. Returns whether it was found
    out at the second time, and not at the first."""
    # For a while after it is first seen it may be on its way to a target from before.
    wait_for(lambda: GREEDY in host.shown())
    begin = host.status()["uptime_ms"]
    wait_for(lambda: host.status()["uptime_ms"] > begin + 6000)
    rounds = host.status()["rounds"]
    for attempt in range(2):
        uptime = host.status()["uptime_ms"]
        host.play(f"populate {GREEDY} {SLACK}")
        wait_for(lambda: host.status()["rounds"] > rounds + 2)
        if attempt == 0:
            if host.row(GREEDY, "conduct") == "malicious":
                return False
            host.play(f"release {GREEDY} {SLACK}")
            # What is taken within a second is taken once.
            wait_for(lambda u=uptime: host.status()["uptime_ms"] > u + 1500)
        rounds = host.status()["rounds"]
        wait_for(lambda: host.status()["rounds"] > rounds + 2)
        rounds = host.status()["rounds"]
    return wait_for(lambda: host.row(GREEDY, "conduct") == "malicious")


def let_go(host):
    host.play(f"release {GREEDY} {SLACK}")


def kept(host, folder):
    """The names of what stands in the store for the next daemon."""
    return sorted(subprocess.run(["xenstore-list", f"/tool/ballast/{folder}"], env=host.env,
                                 capture_output=True, text=True, check=False).stdout.split())


def check_remedies(store):
    with Host(store, 512 + 64 + 4 * 260) as host:
        def sched():
            return host.values(f"sched {GREEDY}")

        for domid in (GREEDY, GOOD):
            host.play(f"create {domid} pv {SIZE} {LIMIT} dialect=ballast need={128 * MIB} rate=0")
        host.start_daemon(REMEDIES)
        wait_for(lambda: host.row(GREEDY, "goodness") is not None)
        tap.ok(grab(host), f"{store}: a grabber is called malicious at its second attempt")
        tap.ok(wait_for(lambda: sched() == SLOWED), f"{store}: and has the remedies")
        tap.ok(host.row(GOOD, "conduct") not in BAD
               and host.values(f"sched {GOOD}") == UNTOUCHED, f"{store}: the others have not")

        host.stop_daemon(signal.SIGKILL)
        tap.ok(sched() == SLOWED, f"{store}: a daemon that is killed leaves them")
        host.start_daemon(REMEDIES)
        tap.ok(wait_for(lambda: sched() == UNTOUCHED), f"{store}: the next one puts them back")

        let_go(host)
        tap.ok(grab(host) and wait_for(lambda: sched() == SLOWED),
               f"{store}: it is found out again")
        host.configure(STILL)
        host.execute("reload")
        tap.ok(wait_for(lambda: sched() == UNTOUCHED),
               f"{store}: a reload without remedies puts them back")
        host.configure(REMEDIES)
        host.execute("reload")
        tap.ok(wait_for(lambda: sched() == SLOWED), f"{store}: and one with them applies them")
        host.stop_daemon()
        tap.ok(sched() == UNTOUCHED, f"{store}: a daemon that is stopped puts them back")

        bills = kept(host, "bills")
        tap.ok(len(bills) >= 2, f"{store}: the bills are kept")
        host.start_daemon(REMEDIES)
        tap.ok(wait_for(lambda: host.row(GOOD, "bill")["held_mib_h"] > 0),
               f"{store}: and go on")
        host.play(f"destroy {GREEDY}")
        tap.ok(wait_for(lambda: GREEDY not in host.shown()) and kept(host, "bills") == bills,
               f"{store}: the grabber ends, and its bill waits, since it may only reboot")
        host.up(tap, store)
        check_end_without_store(host, store)


def check_end_without_store(host, store):
    """What cannot be undone stays, and the daemon ends all the same."""
    host.play(f"create {GREEDY} pv {SIZE} {LIMIT} dialect=ballast need={128 * MIB} rate=0")
    tap.ok(grab(host) and wait_for(lambda: host.values(f"sched {GREEDY}") == SLOWED),
           f"{store}: another grabber has the remedies")
    host.kill_store()
    wait_for(lambda: "cannot be observed" in host.log())
    tap.ok(host.stop_daemon() == 0, f"{store}: a daemon that has lost the store ends well")


for name in stores():
    try:
        check(name)
        check_remedies(name)
    except FakeHostError as error:
        tap.ok(False, f"{name}: {error}")
tap.done()
