#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""ballastd is killed in the middle of moves and started again; so is the store under it."""

import random
import signal
import sys
import time

sys.dont_write_bytecode = True
from fakehost import MIB, FakeHostError, Host, Tap, stores, wait_for

COUNT = 20
SIZE = 256 * MIB
LIMIT = 512 * MIB
KILLS = 8
CONFIG = """
reserve  = "64M"
interval = "100ms"
gather   = "10ms"
grace    = "0s"
defaults = "weight=256, min=96M"
"""

tap = Tap()


def swing(host, rng):
    for domid in range(1, COUNT + 1):
        host.needs(domid, rng.choice((60, 100, 250, 380)) * MIB)


def moving(host):
    return any(abs(actual - goal) > 1024 for domid, (actual, _, goal) in host.domains().items()
               if domid)


def works(host, domid):
    for other in range(1, COUNT + 1):
        host.needs(other, 60 * MIB)
    host.needs(domid, 380 * MIB)
    return wait_for(lambda: host.domains()[domid][0] >= 380 * MIB)


def check_kills(host, store, rng):
    caught = 0
    for _ in range(KILLS):
        swing(host, rng)
        wait_for(lambda: moving(host), 5)
        time.sleep(rng.random() / 20) # any moment will do: nothing is waited for
        caught += moving(host)
        host.stop_daemon(signal.SIGKILL)
        before = host.domains()
        host.start_daemon()
        tap.ok(set(before) == set(host.domains()), f"{store}: killed and started again")
    tap.ok(caught > 0, f"{store}: {caught} of {KILLS} kills came in the middle of a move")
    tap.ok(works(host, 3), f"{store}: it works after the last of them")
    host.kept(tap, f"{store}, kills")


def check_store(host, store):
    """A store that is killed loses all it knows; only a toolstack can fill it again. Until then
    nothing can be done, and nothing wrong may be done."""
    host.kill_store()
    pid = host.daemon.pid
    time.sleep(0.5) # a few of its rounds without a store
    ended = host.daemon.poll()
    tap.ok(ended is None or ended >= 0, f"{store}: without a store it is not killed: {ended}")
    host.start_store()
    host.play("republish")
    if ended is not None:
        tap.note(f"ballastd ended with status {ended}; its service starts it again")
        host.start_daemon()
    shown = wait_for(lambda: host.alive() and set(host.shown()) == set(range(COUNT + 1)))
    if not tap.ok(shown, f"{store}: it finds the domains in the new store"):
        tap.note(host.log())
    tap.ok(works(host, 5), f"{store}: and works with it")
    tap.note(f"the same process: {host.daemon.pid == pid}")
    host.up(tap, f"{store}, restarted")
    host.kept(tap, f"{store}, restarted")


SEED = int(sys.argv[1]) if len(sys.argv) > 1 else 1
tap.note(f"seed {SEED}")
for name in stores():
    try:
        with Host(name, 512 + COUNT * 280, 512) as fake_host:
            for number in range(1, COUNT + 1):
                fake_host.play(f"create {number} {('pv', 'pvh', 'hvm')[number % 3]} {SIZE} {LIMIT} "
                               f"dialect=ballast need={100 * MIB} beat=300 rate={100 * MIB}")
            fake_host.play(f"promise {64 * MIB}")
            fake_host.start_daemon(CONFIG)
            check_kills(fake_host, name, random.Random(SEED))
            check_store(fake_host, name)
    except FakeHostError as error:
        tap.ok(False, f"{name}: {error}")
tap.done()
