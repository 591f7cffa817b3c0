#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""The fake host itself: check-fakexen on the real xenstored and on the real oxenstored, and the
player whose guests the other tests use."""

import mmap
import os
import socket
import struct
import subprocess
import sys

sys.dont_write_bytecode = True
from fakehost import MIB, FakeHostError, Host, Tap, fake, preload_for, stores, wait_for

tap = Tap()


def check_libraries(store):
    with Host(store, 65536, 2048, 8) as host:
        env = dict(host.env, LD_PRELOAD=preload_for(fake("check-fakexen")),
                   FAKEXEN_VICTIM="1")
        result = subprocess.run([fake("check-fakexen")], env=env, capture_output=True, text=True,
                                check=False, timeout=120)
        lines = result.stdout.splitlines()
        for line in lines:
            if " - " in line:
                tap.ok(line.startswith("ok"), f"{store}: {line.split(' - ', 1)[1]}")
        tap.ok(result.returncode == 0 and lines and lines[-1] == f"1..{len(lines) - 1}",
               f"{store}: check-fakexen comes to its end")
        tap.note(result.stderr)


def refused(host, command):
    try:
        host.play(command)
    except FakeHostError:
        return True
    return False


def check_player(store):
    with Host(store, 4096) as host:
        host.play(f"create 1 pv {256 * MIB} {512 * MIB}")
        host.play(f"create 2 hvm {256 * MIB} {512 * MIB} dialect=ballast need={64 * MIB} beat=1000")
        host.play(f"create 3 pvh {256 * MIB} {512 * MIB} rate=0")
        host.play(f"create 4 pv {256 * MIB} {512 * MIB} held=0 state=building")
        domains = host.domains()
        tap.ok(domains[1][:2] == (256 * MIB, 257 * MIB), f"{store}: held and cap of a new domain")
        tap.ok(domains[4][0] == 0 and host.read("/local/domain/4/memory/target") is None,
               f"{store}: a domain that is being built has no target")
        tap.ok(host.read("/local/domain/2/data/ballast/stats").startswith("v=1 "),
               f"{store}: a guest posts")

        for domid in (1, 3):
            subprocess.run(["xenstore-write", f"/local/domain/{domid}/memory/target",
                            str(200 * MIB)], env=host.env, check=True)
        tap.ok(wait_for(lambda: host.domains()[1][0] == 200 * MIB),
               f"{store}: a balloon follows its target")
        tap.ok(wait_for(lambda: host.domains()[3][2] == 200 * MIB + 64)
               and host.domains()[3][0] == 256 * MIB, f"{store}: a frozen one does not")

        host.play("set 4 state=running")
        tap.ok(host.read("/local/domain/4/memory/target") == str(256 * MIB)
               and wait_for(lambda: host.domains()[4][0] == 256 * MIB),
               f"{store}: built and let run, a domain fills up to its target")

        tap.ok(refused(host, "write 1 memory/target 1"), f"{store}: guests write with their rights")
        host.play("write 1 data/x a b\\x0ac")
        tap.ok(host.read("/local/domain/1/data/x") == "a b\\nc"
               or host.read("/local/domain/1/data/x") == "a b\nc", f"{store}: any bytes")

        host.kill_store()
        host.start_store()
        host.play("republish")
        tap.ok(host.read("/local/domain/1/memory/target") == str(200 * MIB)
               and host.read("/local/domain/2/name") == "g2",
               f"{store}: a store that was started anew learns the domains again")
        host.play("write 1 data/x again")
        tap.ok(host.read("/local/domain/1/data/x") == "again", f"{store}: and they can write")

        for domid in (1, 2, 3, 4):
            host.play(f"destroy {domid}")
        tap.ok(host.values("host")["free_kib"] == (4096 - 512) * MIB, f"{store}: all is free again")
        tap.ok(host.values("verdict")["verified"] == 1, f"{store}: the sums are right")
        kept = host.dir
    tap.ok(not os.path.exists(kept), f"{store}: nothing is left behind")


RING_SIZE = 1024 # of each direction; then come req_cons, req_prod, rsp_cons, rsp_prod
INDEXES = 2 * RING_SIZE


def check_hostile_ring(store):
    """A guest that writes on its ring by hand. What the real store makes of it is the store's
    business; here it shows that such a guest can be played, and that the others are served."""
    with Host(store, 4096) as host:
        for domid in (1, 2):
            host.play(f"create {domid} pv {256 * MIB} {512 * MIB}")
        with open(f"{host.dir}/ring/1", "r+b") as file, mmap.mmap(file.fileno(), 4096) as page, \
                socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as kick:
            def consumed():
                cons, prod = struct.unpack_from("<2I", page, INDEXES)
                return cons == prod

            request = struct.pack("<4I", 2, 77, 0, 6) + b"domid\0" # XS_READ
            prod, = struct.unpack_from("<I", page, INDEXES + 4)
            for i, byte in enumerate(request):
                page[(prod + i) % RING_SIZE] = byte
            struct.pack_into("<I", page, INDEXES + 4, prod + len(request))
            kick.sendto(b"K1", f"{host.dir}/event")
            tap.ok(wait_for(consumed), f"{store}: a request written by hand is taken")
            struct.pack_into("<I", page, INDEXES + 4, 0xdeadbeef)
            kick.sendto(b"K1", f"{host.dir}/event")
            host.play("write 2 data/x served")
            tap.ok(host.read("/local/domain/2/data/x") == "served",
                   f"{store}: beside a ring full of nonsense, others are served")


for name in stores():
    check_libraries(name)
    check_player(name)
    check_hostile_ring(name)
tap.done()
