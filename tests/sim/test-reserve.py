#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""Reservations of the real daemon on a simulated host, over the socket and with the client."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading

sys.dont_write_bytecode = True
from simdaemon import BUILD, PATIENCE, SOURCE, Daemon, Tap, wait_for

MIB = 1024

# 808 MiB for domains: 160 are guaranteed, 4 are what their caps leave above that. The slow ones let go
# 2 MiB a second, so that whoever wants their memory waits.
SCENARIO = """
memory = "1024M"
dom0   = "128M"
xen    = "24M"
length = "1h"
reserve = "64M"
grace   = "0s"
guests = [
    "quick[1-2], memory=160M, maxmem=512M, need=20M, hidden=8M, min=40M",
    "slow[1-2],  memory=160M, maxmem=512M, need=20M, hidden=8M, min=40M, down=2M",
]
"""
SHARED = 1024 - 128 - 24 - 64
MOST = SHARED - 4 * 41

tap = Tap()


def request(number, least, **more):
    arguments = dict(more, at_least_kib=least * MIB)
    return json.dumps({"execute": "reserve", "arguments": arguments, "id": number}).encode() + b"\n"


def reservations(daemon):
    return daemon.ask("query-reservations")["return"]


def states(daemon):
    return {row["reservation"]: row["state"] for row in reservations(daemon)}


def none_left(daemon):
    return wait_for(lambda: not reservations(daemon)
                    and daemon.ask("query-status")["return"]["reserved_kib"] == 0,
                    "reservations to be gone")


def held(daemon):
    """Freed, held, shown, and given back."""
    run = daemon.ballast("reserve", "380M", "--name", "new", "--json")
    tap.equal(run.returncode, 0, "380 MiB are freed")
    answer = json.loads(run.stdout or "{}")
    tap.equal((answer.get("name"), answer.get("state"), answer.get("gathered_kib")),
              ("new", "ready", 380 * MIB), "... as asked for")
    status = daemon.ask("query-status")["return"]
    tap.ok(status["reserved_kib"] == 380 * MIB and status["headroom_kib"] >= 0,
           "... and held, beside a headroom that is not negative")
    shown = daemon.ballast("status").stdout
    tap.ok("380 for new, ready, 380 gathered" in shown and "380 reserved" in shown,
           "... and shown")
    tap.ok("reservation" in daemon.ballast("top", "--iterations", "1").stdout, "... in top, too")
    number = str(answer.get("reservation"))
    tap.equal(daemon.ballast("release", number).returncode, 0, "it is given back by its number")
    tap.equal(daemon.ballast("release", number).returncode, 1, "... once")
    tap.equal(daemon.ballast("release", "x").returncode, 2, "... and by nothing else")
    none_left(daemon)
    kinds = [event["data"]["text"] for event in daemon.ask("query-events")["return"]
             if event["event"] == "RESERVATION"]
    tap.equal([text.rsplit(": ", 1)[1] for text in kinds], ["asked for", "ready", "given back"],
              "the operator was told")


def ends(daemon):
    with daemon.client() as client:
        client.send(request(1, 100, hold_ms=200))
        tap.equal(client.line()["return"]["state"], "ready", "held for 200 ms")
        none_left(daemon)
        tap.ok(True, "... and gone by itself")
        client.send(request(2, MOST - 4, wait_ms=300))
        error = client.line()["error"]
        tap.equal(error["class"], "Failed", "one that is not ready in time fails")
        tap.ok(0 < error["available_kib"] < (MOST - 4) * MIB and "in the time given" in error["desc"],
               "... and says what was there")
    none_left(daemon)


def impossible(daemon):
    with daemon.client() as client:
        client.send(request(1, MOST + 1))
        answer = client.line()
    error = answer["error"]
    tap.equal(answer["id"], 1, "what cannot be had is answered")
    tap.equal(error["available_kib"], MOST * MIB, "... with what can")
    whose = {holder.get("name", "host"): (holder["why"], holder["keeps_kib"] // MIB)
             for holder in error["holders"]}
    tap.equal(whose, {"Domain-0": ("unmanaged", 128), "host": ("reserve", 64),
                      "quick1": ("minimum", 40), "quick2": ("minimum", 40),
                      "slow1": ("minimum", 40), "slow2": ("minimum", 40)},
              "... and who keeps the rest, and why")
    run = daemon.ballast("reserve", "4G")
    tap.equal(run.returncode, 1, "the client fails then")
    tap.ok("4 GiB cannot be had" in run.stderr and "Domain-0 keeps 128 MiB" in run.stderr,
           "... and says it")


def queue(daemon):
    """Two at once: the first in the queue is served first; the rest of the world goes on."""
    with daemon.client() as client:
        client.send(request(1, MOST - 40, wait_ms=3600000) + request(2, 20) + request(3, 40))
        answer = client.line()
        tap.ok(answer["id"] == 3 and "other reservations" in answer["error"]["desc"],
               "one for which those before it leave nothing is told at once")
        tap.equal(sorted(states(daemon).values()), ["waiting", "waiting"], "two wait")
        first, second = reservations(daemon)
        tap.ok(first["gathered_kib"] > 0 and second["gathered_kib"] == 0,
               "the first gathers, the second does not")
        client.send(b'{"execute":"query-status","id":"between"}\n')
        tap.equal(client.line()["id"], "between", "the same client is served meanwhile")
        tap.equal(daemon.ask("release", reservation=first["reservation"]), {"return": {}},
                  "the first is released by another client")
        answer = client.line()
        tap.equal((answer["id"], answer["error"]["desc"]), (1, "given back"),
                  "... and its own is told")
        tap.equal(client.line()["return"]["gathered_kib"], 20 * MIB, "the second has its turn")
    none_left(daemon)


def clients_die(daemon):
    client = daemon.client()
    client.send(request(1, MOST - 4) + request(2, 1, keep=True))
    wait_for(lambda: len(reservations(daemon)) == 2, "two reservations")
    client.socket.close()
    none_left(daemon)
    tap.ok(True, "those that wait end with their client")
    with daemon.client() as client:
        client.send(request(1, 10) + request(2, 10, keep=True))
        kept = {client.line()["id"]: True, client.line()["id"]: True}
        tap.equal(sorted(kept), [1, 2], "two are ready")
    wait_for(lambda: len(reservations(daemon)) == 1, "one to be gone")
    tap.equal(list(states(daemon).values()), ["ready"], "one that is kept stays without it")
    daemon.ask("release", reservation=reservations(daemon)[0]["reservation"])
    child = subprocess.Popen([os.path.join(BUILD, "ballast"), "--socket", daemon.socket, "reserve",
                              "10M", "--", "sleep", "1000"], start_new_session=True)
    wait_for(lambda: list(states(daemon).values()) == ["ready"], "the command to run")
    os.killpg(child.pid, signal.SIGKILL)
    child.wait(PATIENCE)
    none_left(daemon)
    tap.ok(True, "one whose client is killed ends")


def commands(daemon):
    script = 'echo "$BALLAST_RESERVED_KIB $1"; exit 7'
    run = daemon.ballast("reserve", "--at-most", "20M", "10M", "--", "sh", "-c", script, "-", "--x")
    tap.equal(run.returncode, 7, "a command's status is ours")
    tap.equal(run.stdout, f"{20 * MIB} --x\n", "it knows what it has, and gets its arguments")
    none_left(daemon)
    run = daemon.ballast("reserve", "10M", "--", "/nonexistent")
    tap.equal(run.returncode, 127, "one that cannot be run")
    run = daemon.ballast("reserve", "10M", "--", "sh", "-c", "kill -9 $$")
    tap.equal(run.returncode, 137, "one that is killed")
    run = daemon.ballast("reserve", "4G", "--", "touch", os.path.join(daemon.folder, "ran"))
    tap.ok(run.returncode == 1 and not os.path.exists(os.path.join(daemon.folder, "ran")),
           "without memory it is not run")
    for wrong in (["reserve"], ["reserve", "x"], ["reserve", "1M", "2M"], ["reserve", "--", "true"],
                  ["reserve", "2M", "--at-most", "1M"], ["reserve", "1M", "--for", "soon"]):
        tap.equal(daemon.ballast(*wrong).returncode, 2, f"refused: {' '.join(wrong)[:40]}")
    tap.equal(daemon.ballast("reserve", "1M", "--name", "x" * 64).returncode, 1,
              "refused: a longer name than a domain's")
    none_left(daemon)


def gives_up(daemon):
    """A daemon that ends whenever it is asked is not asked for ever."""
    path = os.path.join(daemon.folder, "brief.sock")
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(path)
    listener.listen()

    def serve():
        while True:
            peer, _ = listener.accept()
            peer.sendall(b'{"ballast":{"version":"0"}}\n')
            peer.recv(65536)
            peer.close()

    threading.Thread(target=serve, daemon=True).start()
    run = subprocess.run([os.path.join(BUILD, "ballast"), "--socket", path, "reserve", "1M"],
                         stderr=subprocess.PIPE, text=True, timeout=PATIENCE, check=False)
    tap.ok(run.returncode == 1 and "closed the connection" in run.stderr,
           "a daemon that does not stay is given up")


XL = """#!/bin/sh
echo "$*" >>"$0.calls"
case $* in
*--dryrun*) cat <<END
{
    "c_info": {
        "type": "pvh",
        "name": "web1"
    },
    "b_info": {
        "max_vcpus": 2,
        "max_memkb": 131072,
        "target_memkb": 65536
    }
}
END
;;
*) echo "$BALLAST_RESERVED_KIB" ;;
esac
"""


def wrapper(daemon):
    xl = daemon.write("xl", XL)
    os.chmod(xl, 0o755)
    ballast = daemon.write("ballast", f'#!/bin/sh\nexec {BUILD}/ballast --socket {daemon.socket} "$@"\n')
    os.chmod(ballast, 0o755)
    linked = os.path.join(daemon.folder, "bin", "xl")
    os.mkdir(os.path.dirname(linked))
    os.symlink(os.path.abspath(os.path.join(SOURCE, "etc", "ballast-xl")), linked)
    path = ":".join([os.path.dirname(linked), daemon.folder, os.environ["PATH"]])
    size = 65536 + 8192 + 2 * 1024 + 131072 // 128

    def run(*arguments, **environment):
        return subprocess.run(["xl", *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              text=True, timeout=PATIENCE, check=False,
                              env=dict(os.environ, PATH=path, **environment))

    tap.equal(run("-v", "create", "a file", "vcpus=2").stdout, f"{size}\n",
              "xl create, by another name, has what the domain takes")
    tap.equal(run("create", "--dryrun", "f").returncode, 0, "a dry run is one")
    tap.equal(run("list", "-l").stdout, "\n", "all else is xl's")
    run("create", "f", BALLAST="/nonexistent")
    with open(xl + ".calls", encoding="utf-8") as calls:
        tap.equal(calls.read().splitlines(),
                  ["-v create --quiet --dryrun a file vcpus=2", "-v create a file vcpus=2",
                   "create --dryrun f", "list -l", "create f"],
                  "... called once, without a daemon, too")
    none_left(daemon)
    texts = [event["data"]["text"] for event in daemon.ask("query-events")["return"]
             if event["event"] == "RESERVATION"]
    tap.ok("for web1" in texts[-1], "the reservation is for the domain of that name")


daemon = Daemon(SCENARIO).start()
for test in (held, impossible, ends, queue, clients_die, commands, gives_up, wrapper):
    test(daemon)
tap.equal(daemon.stop(), 0, "the daemon ends well")
tap.ok("promise broken" not in daemon.logged(), "the promise was kept")
tap.done()
