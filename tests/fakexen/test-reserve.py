#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""Reservations over the real libxl and store: handed to a domain that is built, kept over a kill."""

import json
import os
import signal
import socket
import subprocess
import sys
import time

sys.dont_write_bytecode = True
from fakehost import MIB, FakeHostError, Host, Tap, ballast, fake, stores, wait_for, xen_program

COUNT = 8
SIZE = 200 * MIB
LIMIT = 256 * MIB
MIN = 96 * MIB
DOM0 = 512
RESERVE = 64
NEW = COUNT + 1
NEW_SIZE = 400 * MIB
ASKED = NEW_SIZE + 4 * MIB
CONFIG = f"""
reserve  = "{RESERVE}M"
interval = "200ms"
gather   = "10ms"
grace    = "0s"
defaults = "weight=256, min={MIN // MIB}M"
"""

XL_CONFIG = """
name = "new"
type = "pvh"
memory = 400
maxmem = 512
vcpus = 2
kernel = "/nonexistent"
"""

tap = Tap()


class Asker:
    """A client that does not wait for its answer."""

    def __init__(self, host, **arguments):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(60)
        self.socket.connect(host.socket_path)
        self.file = self.socket.makefile("rw")
        self.file.readline()
        self.file.write(json.dumps({"execute": "reserve", "arguments": arguments}) + "\n")
        self.file.flush()

    def answer(self):
        line = self.file.readline()
        return json.loads(line) if line else None

    def close(self):
        self.file.close()
        self.socket.close()


def reservations(host):
    return host.execute("query-reservations")


def state_of(host, number):
    return {row["reservation"]: row for row in reservations(host)}.get(number)


def rounds(host, count=3):
    """Waits until so many more rounds were run."""
    wanted = host.status()["rounds"] + count
    wait_for(lambda: host.status()["rounds"] >= wanted)


def check_held(host, number, text):
    """The memory that is held stays, whatever the domains need."""
    for domid in range(1, COUNT + 1):
        host.needs(domid, LIMIT)
    rounds(host, 10)
    status = host.status()
    good = (status["headroom_kib"] >= 0 and status["reserved_kib"] == ASKED
            and host.values("host")["free_kib"] >= ASKED + RESERVE * MIB)
    if not tap.ok(good, f"{text}: it is held against all that they need"):
        tap.note(status)
    row = state_of(host, number)
    tap.ok(row and row["state"] == "ready", f"{text}: and is ready still")


def check_kept_over_kill(host, store, number):
    """What was gathered is gathered before anything is given."""
    path = f"/tool/ballast/reservations/{number}"
    tap.ok(wait_for(lambda: '"told":true' in (host.read(path) or "")), f"{store}: it is in the store")
    left_ms = json.loads(host.read(path))["until_ms"] - time.monotonic() * 1000
    tap.ok(0 < left_ms <= 600000, f"{store}: till when, whatever time of the day it is")
    host.stop_daemon(signal.SIGKILL)
    host.start_daemon()
    row = state_of(host, number)
    tap.ok(row and row["state"] == "ready" and row["reserved_kib"] == ASKED
           and row["left_ms"] < 600000, f"{store}: it is there after a kill")
    check_held(host, number, f"{store}, killed")
    return path


def check_build(host, store, number, path):
    """A domain is built with it, as libxl does it: cap, claim, pages; and the daemon is killed in the
    middle of it."""
    signs = []

    def look():
        rounds(host)
        status = host.status()
        signs.append(status["headroom_kib"] >= 0)
        return status

    host.play(f"create {NEW} pvh {NEW_SIZE} {512 * MIB} state=building held=0 name=new")
    look()
    host.play(f"claim {NEW} {NEW_SIZE}")
    tap.ok(wait_for(lambda: (state_of(host, number) or {}).get("state") == "taken"),
           f"{store}: the domain takes it")
    for step in range(8):
        host.play(f"populate {NEW} {NEW_SIZE // 8}")
        if step == 4:
            host.stop_daemon(signal.SIGKILL)
            host.start_daemon()
        status = look()
        left = status["reserved_kib"]
        if left > 4 * MIB:
            tap.ok(False, f"{store}: counted twice: {left} KiB")
    tap.ok(host.domains()[NEW][0] == NEW_SIZE, f"{store}: the domain has its memory")
    row = state_of(host, number)
    tap.ok(row and row["state"] == "taken", f"{store}: it knows its domain after a kill")
    host.play(f"claim {NEW} 0")
    host.play(f"set {NEW} state=running rate={100 * MIB} dialect=ballast need={300 * MIB} beat=300")
    look()
    if not tap.ok(all(signs), f"{store}: headroom has not changed its sign in {len(signs)} looks"):
        tap.note(signs)
    tap.ok(wait_for(lambda: not reservations(host)), f"{store}: once it is built, it has ended")
    rounds(host)
    tap.ok(host.read(path) is None, f"{store}: and it is gone from the store")


def check_waiting(host, store):
    """One that waits goes on when it asks again; one that nobody asks for again ends."""
    for domid in range(1, COUNT + 1):
        host.needs(domid, 60 * MIB)
        host.play(f"set {domid} rate={4 * MIB}")
    first = Asker(host, at_least_kib=200 * MIB, name="back")
    second = Asker(host, at_least_kib=30 * MIB, name="gone")
    gathered = wait_for(lambda: [row for row in reservations(host)
                                 if row["state"] == "waiting" and row["gathered_kib"] > MIB])
    tap.ok(gathered, f"{store}: one waits, and gathers")
    host.stop_daemon(signal.SIGKILL)
    tap.ok(first.answer() is None, f"{store}: the daemon is killed")
    first.close()
    second.close()
    host.start_daemon()
    again = Asker(host, at_least_kib=200 * MIB, name="back")
    names = [row["name"] for row in reservations(host)]
    tap.ok(sorted(names) == ["back", "gone"], f"{store}: both are there again, once: {names}")
    for domid in range(1, COUNT + 1):
        host.play(f"set {domid} rate={100 * MIB}")
    answer = again.answer()
    if not tap.ok(answer and answer.get("return", {}).get("state") == "ready",
                  f"{store}: who asks again has it"):
        tap.note(answer)
    tap.ok(wait_for(lambda: [row["name"] for row in reservations(host)] == ["back"], 30),
           f"{store}: what nobody asks for again ends")
    again.close()
    tap.ok(wait_for(lambda: not reservations(host)), f"{store}: and what is not kept, with its client")


def check_rubbish(host, store):
    """What is in the store and is no reservation is told of, and removed."""
    host.stop_daemon()
    for name, text in (("7", "{}"), ("8", "rubbish"), ("x", "{}"), ("9", '{"name":1}')):
        subprocess.run(["xenstore-write", f"/tool/ballast/reservations/{name}", text], env=host.env,
                       check=True)
    host.start_daemon()
    found = reservations(host)
    if not tap.ok(not found and host.log().count("is no reservation") == 3,
                  f"{store}: rubbish is told of"):
        tap.note(f"{found}\n{host.log(8)}")
    tap.ok(wait_for(lambda: host.read("/tool/ballast/reservations/8") is None),
           f"{store}: and removed")


def check_xl(host, store):
    """What the wrapper reads is what the real xl prints of a configuration."""
    xl = xen_program("xl")
    config = os.path.join(host.dir, "new.cfg")
    calls = os.path.join(host.dir, "xl")
    with open(config, "w", encoding="utf-8") as file:
        file.write(XL_CONFIG)
    with open(calls, "w", encoding="utf-8") as file:
        file.write(f'#!/bin/sh\ncase "$*" in *--dryrun*) LD_PRELOAD={fake("fakexen.so")} exec {xl} "$@" ;;\n'
                   'esac\necho "$BALLAST_RESERVED_KIB $*"\n')
    client = os.path.join(host.dir, "ballast")
    with open(client, "w", encoding="utf-8") as file:
        file.write(f'#!/bin/sh\nexec {os.path.abspath(ballast())} --socket {host.socket_path} "$@"\n')
    os.chmod(calls, 0o755)
    os.chmod(client, 0o755)
    wrapper = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "etc", "ballast-xl")
    run = subprocess.run([wrapper, "create", "memory=40", config],
                         env=dict(host.env, BALLAST_XL=calls, BALLAST=client),
                         capture_output=True, text=True, timeout=60, check=False)
    size = 40 * MIB + 8 * MIB + 2 * MIB + 512 * MIB // 128
    if not tap.ok(run.stdout == f"{size} create memory=40 {config}\n",
                  f"{store}: the wrapper asks for what the real xl says"):
        tap.note(run)


for name in stores():
    try:
        with Host(name, DOM0 + RESERVE + COUNT * 201 + 60, DOM0) as fake_host:
            for number in range(1, NEW):
                fake_host.play(f"create {number} {('pv', 'pvh')[number % 2]} {SIZE} {LIMIT} "
                               f"dialect=ballast need={60 * MIB} beat=300 rate={100 * MIB}")
            fake_host.play(f"promise {RESERVE * MIB}")
            fake_host.start_daemon(CONFIG)
            asker = Asker(fake_host, at_least_kib=ASKED, hold_ms=600000, keep=True)
            reserved = asker.answer()
            asker.close()
            if not tap.ok("return" in (reserved or {}), f"{name}: memory is freed"):
                tap.note(reserved)
                continue
            reserved = reserved["return"]["reservation"]
            check_held(fake_host, reserved, name)
            state_path = check_kept_over_kill(fake_host, name, reserved)
            check_build(fake_host, name, reserved, state_path)
            check_waiting(fake_host, name)
            check_rubbish(fake_host, name)
            check_xl(fake_host, name)
            fake_host.up(tap, name)
            fake_host.kept(tap, name)
    except FakeHostError as error:
        tap.ok(False, f"{name}: {error}")
tap.done()
