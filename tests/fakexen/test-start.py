#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""ballastd is started on a host with a hundred domains in any state."""

import os
import signal
import subprocess
import sys

sys.dont_write_bytecode = True
from fakehost import MIB, FakeHostError, Host, Tap, ballastd, preload_for, stores, wait_for

COUNT = 100
SIZE = 256 * MIB
LIMIT = 512 * MIB
CONFIG = """
reserve  = "64M"
interval = "200ms"
gather   = "10ms"
grace    = "0s"
pool     = "64M"
defaults = "weight=256, min=96M"
"""

# What every tenth domain is when the daemon starts, and what it is to be called. The rest runs.
STATES = {0: ("paused", "paused"), 1: ("building", "building"), 2: ("shutdown", "shutdown"),
          3: ("crashed", "shutdown"), 4: ("dying", "dying")}
TYPES = ("pv", "pvh", "hvm")
DIALECTS = ("none", "ballast", "xenserver", "qubes", "selfballoon")

tap = Tap()


def crowd(host):
    for domid in range(1, COUNT + 1):
        state = STATES.get(domid % 10, ("running", "running"))[0]
        held = f"held={100 * MIB} " if state == "building" else ""
        host.play(f"create {domid} {TYPES[domid % 3]} {SIZE} {LIMIT} {held}state={state} "
                  f"dialect={DIALECTS[domid // 10 % 5] if state == 'running' else 'none'} "
                  f"need={100 * MIB} beat=500")


def running(domid):
    return domid != 0 and domid % 10 not in STATES


def check_states(host, store):
    before = host.domains()
    host.start_daemon(CONFIG)
    shown = wait_for(lambda: len(host.shown()) == COUNT + 1 and host.shown())
    if not tap.ok(shown, f"{store}: it shows all {COUNT} domains and dom0"):
        tap.note(host.log())
        return
    wrong = [domid for domid in before if domid and
             shown[domid]["phase"] != STATES.get(domid % 10, ("", "running"))[1]]
    tap.ok(not wrong, f"{store}: it knows the state of each: {wrong}")
    wrong = [domid for domid in before if domid and shown[domid]["type"] != TYPES[domid % 3]]
    tap.ok(not wrong, f"{store}: and the type: {wrong}")

    # Needs that do not fit into what is free: some must give.
    hungry = [domid for domid in range(1, COUNT + 1) if running(domid)][::4]
    for domid in hungry:
        host.play(f"set {domid} dialect=ballast beat=300")
        host.needs(domid, 400 * MIB)
    fed = wait_for(lambda: all(host.domains()[domid][0] > 400 * MIB for domid in hungry))
    tap.ok(fed, f"{store}: those that need more get it")
    after = host.domains()
    wrong = [domid for domid in before if not running(domid) and after[domid] != before[domid]]
    tap.ok(not wrong, f"{store}: only running domains are touched: {wrong}")

    host.play("set 1 state=running dialect=ballast")
    tap.ok(wait_for(lambda: host.shown()[1]["phase"] == "running"),
           f"{store}: a domain whose building ends is taken up")
    host.up(tap, store)
    host.kept(tap, store)


def caps(host):
    return {domid: cap for domid, (_, cap, _) in host.domains().items()}


def at_rest(host):
    """The caps, once they have not moved for ten rounds."""
    before = caps(host)
    rounds = host.status()["rounds"]
    wait_for(lambda: host.status()["rounds"] >= rounds + 10)
    return before if caps(host) == before else None


def check_stop(host, store):
    before = wait_for(lambda: at_rest(host))
    tap.ok(before, f"{store}: needs that stand still come to rest")
    status = host.stop_daemon(signal.SIGTERM)
    tap.ok(status == 0, f"{store}: SIGTERM ends it with status 0: {status}")
    tap.ok(not os.path.exists(host.socket_path), f"{store}: its socket is gone")
    tap.ok(before == caps(host), f"{store}: and every domain is where it was")


def check_broken_host(host, store):
    """Somebody has raised caps beyond the host's memory before it starts."""
    raised = [domid for domid in range(1, COUNT + 1) if running(domid)]
    for domid in raised:
        host.play(f"cap {domid} {LIMIT}")
    tap.ok(host.values("host")["headroom_kib"] < 0, f"{store}: caps were raised above the host")
    host.start_daemon()
    tap.ok(wait_for(lambda: host.values("host")["headroom_kib"] >= 0),
           f"{store}: it brings them back into the promise")
    host.kept(tap, f"{store}, caps raised")
    host.stop_daemon()


def check_quiet(store):
    """A host on which nothing happens: the daemon holds on to its connection."""
    with Host(store, 4096, 1024) as host:
        host.play(f"create 1 pvh {SIZE} {LIMIT} state=running dialect=none need={100 * MIB} beat=0")
        host.start_daemon(CONFIG)
        wait_for(lambda: host.status()["rounds"] >= 40)
        tap.ok("connected" not in host.log(1000), f"{store}: silence is no lost connection")
        host.stop_daemon()


def second_daemon(host, *arguments):
    """Another one, with places of its own. Returns its exit status, None when it runs, and what it says."""
    path = ballastd()
    places = ["--socket", host.socket_path + "2", "--pidfile", os.path.join(host.dir, "pid2")]
    command = ["env", "LD_PRELOAD=" + preload_for(path), path, "--foreground", *places, *arguments]
    log_path = os.path.join(host.dir, "second.log")

    def told():
        with open(log_path, encoding="utf-8") as log:
            return log.read()

    with open(log_path, "w", encoding="utf-8") as log:
        process = subprocess.Popen(command, env=host.env, stderr=log)
    wait_for(lambda: process.poll() is not None or " on xen, policy " in told())
    status = process.poll()
    process.kill()
    process.wait()
    return status, told()


def check_only_one(store):
    """Two of them would each give out the same memory."""
    with Host(store, 4096, 1024) as host:
        host.start_daemon(CONFIG)
        status, told = second_daemon(host)
        if not tap.ok(status == 1 and "another ballastd" in told,
                      f"{store}: a second daemon on the same host is refused"):
            tap.note(f"{status} {told}")
        host.up(tap, f"{store}: ... and the first")
        status, told = second_daemon(host, "--dry-run")
        if not tap.ok(status is None, f"{store}: ... but a dry run may look on"):
            tap.note(f"{status} {told}")
        host.stop_daemon(signal.SIGKILL)
        host.start_daemon(CONFIG)
        host.up(tap, f"{store}: killed, it is followed by the next")
        host.stop_daemon()


for name in stores():
    try:
        check_only_one(name)
        check_quiet(name)
        with Host(name, 2048 + 300 * COUNT // 10 * 9, 2048) as fake_host:
            crowd(fake_host)
            fake_host.play(f"promise {64 * MIB}")
            tap.ok(fake_host.values("host")["headroom_kib"] >= 0, f"{name}: the host is sound")
            check_states(fake_host, name)
            check_stop(fake_host, name)
            check_broken_host(fake_host, name)
    except FakeHostError as error:
        tap.ok(False, f"{name}: {error}")
tap.done()
