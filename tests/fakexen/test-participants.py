#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""Domains that take part in another way: dom0, whose figures the daemon takes itself, and one that
sizes itself, with the real ballast-guest in it and dom0's switch for it."""

import os
import subprocess
import sys

sys.dont_write_bytecode = True
from fakehost import MIB, PATIENCE, FakeHostError, Host, Tap, program, stores, wait_for

DOM0 = 1024 * MIB
SIZE = 512 * MIB
RUNS = 'reserve = "64M"\ninterval = "100ms"\ngather = "10ms"\ngrace = "0s"\n'
NAMED = RUNS + 'surplus = "keep"\ndomains = [ "Domain-0, min=300M", "*, min=96M" ]\n'
BALLOON = "sys/devices/system/xen_memory/xen_memory0"

tap = Tap()


class Kernel:
    """The files of a kernel that sees all that its domain holds."""

    def __init__(self, folder):
        self.folder = folder

    def write(self, path, text):
        path = os.path.join(self.folder, path)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="ascii") as file:
            file.write(text)

    def shows(self, held, used, committed=None):
        self.write("proc/meminfo", f"MemTotal: {held} kB\nMemAvailable: {max(held - used, 0)} kB\n"
                                   f"Committed_AS: {committed or used} kB\n")
        self.write(BALLOON + "/info/current_kb", f"{held}\n")


def target(host, domid):
    return int(host.read(f"/local/domain/{domid}/memory/target"))


def follow(host, kernel, used):
    """dom0's balloon: as the real one it obeys its target. Returns the target."""
    held, aim = host.domains()[0][0], target(host, 0)
    if held > aim:
        host.play(f"release 0 {held - aim}")
    elif held < aim:
        host.play(f"populate 0 {aim - held}")
    kernel.shows(host.domains()[0][0], used)
    return aim


def check_dom0(store):
    with Host(store, 2048, DOM0 // MIB) as host:
        kernel = Kernel(os.path.join(host.dir, "dom0"))
        host.env["BALLAST_ROOT"] = kernel.folder
        kernel.shows(DOM0, 300 * MIB)
        host.play(f"create 1 pv {256 * MIB} {1600 * MIB} dialect=ballast need={100 * MIB} beat=500")
        host.play(f"promise {64 * MIB}")
        host.start_daemon(RUNS)
        tap.ok(wait_for(lambda: host.row(1, "dialect") == "ballast")
               and host.row(0, "dialect") == "none" and not host.row(0, "managed"),
               f"{store}: dom0 is left alone unless the configuration names it")
        host.stop_daemon()
        host.start_daemon(NAMED)
        tap.ok(wait_for(lambda: host.row(0, "dialect") == "ballast") and host.row(0, "managed"),
               f"{store}: named, it has posted, without an agent")
        host.needs(1, 1300 * MIB)
        tap.ok(wait_for(lambda: follow(host, kernel, 300 * MIB) < 500 * MIB),
               f"{store}: it gives what it does not need")
        tap.ok(wait_for(lambda: follow(host, kernel, 300 * MIB) and
                        host.domains()[1][0] >= 1200 * MIB),
               f"{store}: and who needs it has it")
        tap.ok(target(host, 0) >= 300 * MIB, f"{store}: down to its minimum at most")
        host.needs(1, 100 * MIB)
        tap.ok(wait_for(lambda: follow(host, kernel, 700 * MIB) >= 700 * MIB),
               f"{store}: it gets what it needs")
        tap.ok(host.row(0, "conduct") == "cooperative", f"{store}: and is cooperative")
        host.up(tap, store)
        host.kept(tap, store)


def check_selfballoon(store):
    with Host(store, 2048) as host:
        kernel = Kernel(os.path.join(host.dir, "guest1"))
        kernel.shows(SIZE, 100 * MIB, 250 * MIB)
        kernel.write(BALLOON + "/target_kb", f"{SIZE}\n")
        host.play(f"create 1 pv {SIZE} {600 * MIB}")
        host.start_daemon(RUNS)
        agent = subprocess.Popen([program("ballast-guest")], stderr=subprocess.DEVNULL,
                                 env=dict(host.env, XENSTORED_PATH=f"{host.dir}/guest/1",
                                          BALLAST_ROOT=kernel.folder))
        try:
            tap.ok(wait_for(lambda: host.row(1, "dialect") == "ballast"), f"{store}: the agent posts")
            host.execute("set", domain=1, selfballoon="on")
            tap.ok(host.read("/local/domain/1/memory/selfballoon") == "1",
                   f"{store}: set selfballoon=on writes the node")
            tap.ok(wait_for(lambda: host.execute("explain", domain=1)["post"]["wish_kib"] > 0),
                   f"{store}: the domain sizes itself, and says so")
            wish = host.execute("explain", domain=1)["post"]["wish_kib"]
            tap.ok(250 * MIB <= wish <= 260 * MIB, f"{store}: it asks for what it has committed")
            tap.ok(wait_for(lambda: target(host, 1) < 300 * MIB),
                   f"{store}: its target follows that, and it gets no surplus")
            host.execute("set", domain=1, selfballoon="off")
            tap.ok(wait_for(lambda: host.execute("explain", domain=1)["post"]["wish_kib"] == 0),
                   f"{store}: set selfballoon=off: it does not any more")
            host.execute("set", domain=1, selfballoon="default")
            tap.ok(host.read("/local/domain/1/memory/selfballoon") is None,
                   f"{store}: default takes the node away")
            host.up(tap, store)
        finally:
            agent.terminate()
            agent.wait(PATIENCE)


for name in stores():
    for check in (check_dom0, check_selfballoon):
        try:
            check(name)
        except (FakeHostError, subprocess.SubprocessError) as error:
            tap.ok(False, f"{name}: {error}")
tap.done()
