#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""How fast ballastd answers a post, and what it costs, on the real oxenstored over the fake
hypervisor. Prints JSON lines."""

import json
import os
import statistics
import sys
import time

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "fakexen"))
from fakehost import MIB, FakeHostError, Host, usage, wait_for, xen_program

STORE = "oxenstored"
GATHER_MS = 20
CONFIG = f"""
reserve  = "64M"
interval = "1s"
gather   = "{GATHER_MS}ms"
grace    = "0s"
defaults = "weight=256, min=96M"
"""


def show(**figures):
    print(json.dumps(figures), flush=True)


def crowd(host, count, beat_ms):
    for domid in range(1, count + 1):
        host.play(f"create {domid} pvh {256 * MIB} {1024 * MIB} dialect=ballast need={100 * MIB} "
                  f"beat={beat_ms}")


def post_to_target(count, samples):
    """From a guest's post to its new target, both in the store. The host has room, so that nobody
    need let go first: that time is the guests', not ours."""
    with Host(STORE, 512 + count * 1200) as host:
        crowd(host, count, 0)
        host.start_daemon(CONFIG + 'surplus = "keep"\n')
        wait_for(lambda: len(host.shown()) == count + 1)
        for domid in range(1, count + 1):
            host.needs(domid, 100 * MIB)
        times = []
        missed = 0
        for i in range(samples):
            domid = 1 + i * 7 % count
            need = host.domains()[domid][0] + 64 * MIB
            if need > 900 * MIB:
                continue
            try:
                times.append(host.values(f"race {domid} {need} 5000")["us"] / 1000)
            except FakeHostError:
                missed += 1 # no higher target within 5 s
        times.sort()
        show(name="post_to_target", domains=count, store=STORE, samples=len(times),
             missed=missed,
             ms_p50=round(statistics.median(times) - GATHER_MS, 2),
             ms_p90=round(times[len(times) * 9 // 10] - GATHER_MS, 2), gather_ms=GATHER_MS)


def daemon_load(count, seconds):
    """Every guest posts once a second."""
    with Host(STORE, 512 + count * 300) as host:
        crowd(host, count, 1000)
        host.start_daemon("") # as it comes
        wait_for(lambda: len(host.shown()) == count + 1)
        time.sleep(5) # the first moves are over; what is measured is a quiet host
        before, _ = usage(host.daemon.pid)
        rounds = host.status()["rounds"]
        begin = time.monotonic()
        time.sleep(seconds)
        elapsed = time.monotonic() - begin
        after, resident = usage(host.daemon.pid)
        show(name="daemon_load", domains=count, posts_per_s=count, store=STORE,
             cpu_pct=round(100 * (after - before) / elapsed, 2), rss_mib=round(resident, 1),
             rounds_per_s=round((host.status()["rounds"] - rounds) / elapsed, 1))


if not xen_program(STORE):
    print(f"bench-xenstore: {STORE} is not installed (Debian: xen-utils-4.17)", file=sys.stderr)
    sys.exit(77)
try:
    post_to_target(100, 200)
    daemon_load(1000, 20)
except FakeHostError as error:
    print(f"bench-xenstore: {error}", file=sys.stderr)
    sys.exit(1)
