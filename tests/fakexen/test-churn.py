#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""Domains come and go by the dozen, numbers are used again, and nothing is left behind."""

import random
import subprocess
import sys

sys.dont_write_bytecode = True
from fakehost import MIB, FakeHostError, Host, Tap, stores, usage, wait_for

DOZEN = 12
TURNS = 25
SIZE = 160 * MIB
LIMIT = 512 * MIB
CONFIG = """
reserve  = "64M"
interval = "100ms"
gather   = "10ms"
grace    = "0s"
defaults = "weight=256, min=96M"
"""

tap = Tap()


def create(host, domid, rng):
    """As a toolstack does, which looks whether there is room."""
    room = host.values("host")["headroom_kib"]
    if room < SIZE + 2 * MIB:
        return False
    host.play(f"create {domid} {rng.choice(('pv', 'pvh', 'hvm'))} {SIZE} {LIMIT} "
              f"name=d{domid}-{rng.randrange(1000)} "
              f"dialect={rng.choice(('none', 'ballast', 'ballast', 'xenserver', 'qubes'))} "
              f"need={rng.randrange(40, 400) * MIB} beat=300 "
              f"rate={rng.choice((0, 20, 512)) * MIB}")
    return True


def churn(host, store, rng, here):
    """Works on the set of domains that are here."""
    peak = 0
    for turn in range(TURNS):
        for domid in rng.sample(sorted(here), min(len(here), rng.randrange(DOZEN + 1))):
            host.play(f"destroy {domid}")
            here.discard(domid)
        free = [domid for domid in range(1, 4 * DOZEN) if domid not in here]
        for domid in rng.sample(free, min(len(free), DOZEN)):
            if create(host, domid, rng):
                here.add(domid)
        peak = max(peak, len(here))
        for domid in rng.sample(sorted(here), len(here) // 4):
            host.play(f"set {domid} need={rng.randrange(40, 450) * MIB}")
            host.play(f"post {domid}")
        if turn % 5 == 0 and here:
            domid = rng.choice(sorted(here))
            host.play(f"set {domid} state={rng.choice(('shutdown', 'crashed', 'paused'))}")
        wait_for(lambda: set(host.shown()) == here | {0}, 5)
    tap.ok(peak >= DOZEN, f"{store}: up to {peak} domains at once")


def store_domains(host):
    out = subprocess.run(["xenstore-list", "/local/domain"], env=host.env, capture_output=True,
                         text=True, check=True).stdout.split()
    return {int(word) for word in out}


def check(store, seed):
    rng = random.Random(seed)
    with Host(store, 8192) as host:
        host.play(f"promise {64 * MIB}")
        host.start_daemon(CONFIG)
        here = set()
        churn(host, store, rng, here)
        if not tap.ok(wait_for(lambda: set(host.shown()) == here | {0}),
                      f"{store}: it shows just those that are there"):
            tap.note(set(host.shown()) ^ (here | {0}))
        resident = usage(host.daemon.pid)[1]
        churn(host, store, rng, here)
        grown = usage(host.daemon.pid)[1] - resident
        tap.ok(grown < 4, f"{store}: as much again costs no memory: {grown:.1f} MiB")
        tap.ok(wait_for(lambda: set(host.shown()) == here | {0}),
               f"{store}: it shows just those that are there, again")
        for domid in here:
            host.play(f"destroy {domid}")
        tap.ok(wait_for(lambda: set(host.shown()) == {0}), f"{store}: in the end, only dom0")
        tap.ok(store_domains(host) == {0}, f"{store}: no domain's directory was made anew")
        host.up(tap, store)
        host.kept(tap, store)
        tap.ok(host.stop_daemon() == 0, f"{store}: it ends well")


SEED = int(sys.argv[1]) if len(sys.argv) > 1 else 1
tap.note(f"seed {SEED}")
for name in stores():
    try:
        check(name, SEED)
    except FakeHostError as error:
        tap.ok(False, f"{name}: {error}")
tap.done()
