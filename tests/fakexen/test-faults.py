#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""Every hypercall that ballastd uses fails once, in every way; domains vanish between two calls."""

import errno
import sys

sys.dont_write_bytecode = True
from fakehost import (DOMCTL, DOMCTL_MAX_MEM, MEMORY_OP, MIB, SYSCTL, XENMEM_SET_POD_TARGET,
                      FakeHostError, Host, Tap, stores, wait_for)

COUNT = 12
SIZE = 256 * MIB
LIMIT = 512 * MIB
ERRORS = ("EBUSY", "ENOMEM", "EPERM", "EINVAL", "ESRCH")
SYSCTL_GETDOMAININFOLIST = 6
CONFIG = """
reserve  = "64M"
interval = "100ms"
gather   = "10ms"
grace    = "0s"
surplus  = "keep"
defaults = "weight=256, min=96M"
"""

tap = Tap()


class Swing:
    """Needs that move, so that there is always something to be done."""

    def __init__(self, host):
        self.host = host
        self.turn = 0

    def step(self):
        self.turn += 1
        for domid in sorted(set(self.host.domains()) - {0}):
            high = (self.turn + domid) % 3 == 0
            try:
                self.host.needs(domid, (350 if high else 80 + 8 * (self.turn % 4)) * MIB)
            except FakeHostError:
                if domid in self.host.domains():
                    raise # else it has vanished meanwhile

    def until(self, condition, seconds=30):
        """Swings until the condition holds. Returns whether it does."""
        def tried():
            if condition():
                return True
            self.step()
            return wait_for(condition, 0.3)

        return wait_for(tried, seconds)


def create(host, domid):
    host.play(f"create {domid} {('pv', 'pvh', 'hvm')[domid % 3]} {SIZE} {LIMIT} "
              f"dialect=ballast need={100 * MIB} beat=500")


def used_calls(host):
    """(hypercall, command) pairs that libxl has made for ballastd."""
    pairs = (tuple(map(int, word.split(":")))[:2] for word in host.play("calls"))
    return sorted(pair for pair in pairs if pair[0] in (DOMCTL, SYSCTL, MEMORY_OP))


def works(host, domid):
    """The domain still gets what it needs, and gives it back."""
    for other in range(1, COUNT + 1):
        host.needs(other, 80 * MIB)
    host.needs(domid, 380 * MIB)
    return wait_for(lambda: host.domains()[domid][0] >= 380 * MIB)


def check_faults(host, store, swing):
    for op, cmd in used_calls(host):
        for name in ERRORS:
            host.play("clear-faults")
            met = host.values("faults")["met"]
            host.play(f"fault {op} {cmd} any {getattr(errno, name)} 1")
            hit = swing.until(lambda m=met: host.values("faults")["met"] > m)
            tap.ok(hit and host.alive(), f"{store}: hypercall {op}, command {cmd}: {name}")
            if not host.alive():
                tap.note(host.log())
                host.start_daemon()
    host.play("clear-faults")
    host.up(tap, f"{store}, faults")
    tap.ok(works(host, 1), f"{store}: it still works after all of them")


def check_burst(host, store, swing):
    """For a while nothing at all succeeds."""
    for op, cmd in ((DOMCTL, DOMCTL_MAX_MEM), (MEMORY_OP, XENMEM_SET_POD_TARGET)):
        host.play(f"fault {op} {cmd} any {errno.EBUSY} 50")
    met = host.values("faults")["met"]
    swing.until(lambda: host.values("faults")["met"] >= met + 20)
    host.play("clear-faults")
    host.up(tap, f"{store}, a burst of failures")
    tap.ok(works(host, 2), f"{store}: it works again after a burst of failures")


def check_slow(host, store, swing):
    met = host.values("faults")["met"]
    host.play(f"fault {DOMCTL} {DOMCTL_MAX_MEM} any 0 2 delay=2000000")
    tap.ok(swing.until(lambda: host.values("faults")["met"] >= met + 2),
           f"{store}: calls that take seconds are waited for")
    host.play("clear-faults")
    host.up(tap, f"{store}, slow calls")


def check_vanishing(host, store, swing):
    """The domain is gone when the call is answered."""
    victim = 4 # PVH
    for op, cmd, skip in ((DOMCTL, DOMCTL_MAX_MEM, 0), (MEMORY_OP, XENMEM_SET_POD_TARGET, 0),
                          (SYSCTL, SYSCTL_GETDOMAININFOLIST, 0),
                          (SYSCTL, SYSCTL_GETDOMAININFOLIST, 1),
                          (SYSCTL, SYSCTL_GETDOMAININFOLIST, 2),
                          (SYSCTL, SYSCTL_GETDOMAININFOLIST, 3)):
        host.play("clear-faults")
        met = host.values("faults")["met"]
        host.play(f"fault {op} {cmd} {victim} 0 1 vanish=1 skip={skip}")
        hit = swing.until(lambda m=met: host.values("faults")["met"] > m
                          or victim not in host.domains())
        tap.ok(hit, f"{store}: a domain vanishes at hypercall {op}, command {cmd}, after {skip}")
        gone = wait_for(lambda: victim not in host.shown())
        tap.ok(gone, f"{store}: and ballastd forgets it")
        try:
            host.play(f"destroy {victim}")
        except FakeHostError:
            pass # the hypervisor has forgotten it; its nodes in the store are removed
        tap.ok(seen_later(host) and host.read(f"/local/domain/{victim}/memory/target") is None,
               f"{store}: and does not write to it any more")
        for domid in range(1, COUNT + 1):
            if domid != victim:
                host.needs(domid, 80 * MIB)
        wait_for(lambda: host.values("host")["headroom_kib"] >= SIZE + 2 * MIB)
        create(host, victim)
        tap.ok(wait_for(lambda: victim in host.shown()), f"{store}: its number is used again")
    host.up(tap, f"{store}, vanishing")


def seen_later(host):
    rounds = host.status()["rounds"]
    return wait_for(lambda: host.status()["rounds"] >= rounds + 3)


def check_start(host, store, calls):
    """The first call of each kind fails while it starts: it starts all the same, or says no."""
    for op, cmd in calls:
        host.stop_daemon()
        host.play("clear-faults")
        host.play(f"fault {op} {cmd} any {errno.EBUSY} 1")
        try:
            host.start_daemon()
            good = host.alive()
        except FakeHostError:
            good = host.daemon.poll() is not None and host.daemon.returncode > 0
            host.play("clear-faults")
            host.start_daemon()
        tap.ok(good, f"{store}: started while hypercall {op}, command {cmd} fails")
    host.play("clear-faults")


for store_name in stores():
    try:
        with Host(store_name, 512 + COUNT * 280, 512) as fake_host:
            for number in range(1, COUNT + 1):
                create(fake_host, number)
            fake_host.play(f"promise {64 * MIB}")
            fake_host.start_daemon(CONFIG)
            swinging = Swing(fake_host)
            swinging.until(lambda: (DOMCTL, DOMCTL_MAX_MEM) in used_calls(fake_host)
                           and (MEMORY_OP, XENMEM_SET_POD_TARGET) in used_calls(fake_host))
            made = used_calls(fake_host)
            tap.ok((DOMCTL, DOMCTL_MAX_MEM) in made, f"{store_name}: it moves caps")
            check_faults(fake_host, store_name, swinging)
            check_burst(fake_host, store_name, swinging)
            check_slow(fake_host, store_name, swinging)
            check_vanishing(fake_host, store_name, swinging)
            check_start(fake_host, store_name, made)
            fake_host.kept(tap, store_name)
    except FakeHostError as error:
        tap.ok(False, f"{store_name}: {error}")
tap.done()
