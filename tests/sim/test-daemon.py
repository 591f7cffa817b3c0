#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""The real daemon on a simulated host: its socket under attack, and its life as a process."""

import json
import os
import re
import resource
import signal
import socket
import stat
import subprocess
import sys

sys.dont_write_bytecode = True
from simdaemon import PATIENCE, SOURCE, Client, Daemon, Tap, wait_for

GOOD = 'reserve = "64M"\ngrace = "0s"\ndefaults = "min=80M"\n'
BAD = 'reserve = "a lot"\nnonsense = "1"\ndefaults = "min=512M, max=64M"\n'
LINE_MAX = 65536

tap = Tap()


def served(daemon):
    """Another client is served meanwhile."""
    return "return" in daemon.ask("query-status")


# What is wrong, what is sent, the class of the error.
BAD_REQUESTS = [
    ("an empty line", b"", "BadRequest"),
    ("no JSON", b"status please", "BadRequest"),
    ("broken JSON", b'{"execute": "query-status"', "BadRequest"),
    ("two objects in a line", b'{"execute":"query-status"}{}', "BadRequest"),
    ("a number", b"42", "BadRequest"),
    ("null", b"null", "BadRequest"),
    ("an array", b'["query-status"]', "BadRequest"),
    ("an object without execute", b"{}", "BadRequest"),
    ("execute is a number", b'{"execute": 1}', "BadRequest"),
    ("execute is null", b'{"execute": null}', "BadRequest"),
    ("arguments are an array", b'{"execute":"query-status","arguments":[]}', "BadRequest"),
    ("an unknown member", b'{"execute":"query-status","extra":1}', "BadRequest"),
    ("a NUL byte", b'{"execute":"query-status"}\0', "BadRequest"),
    ("bytes that are no UTF-8", b'{"execute":"\xff\xfe"}', "BadRequest"),
    ("thirty thousand brackets", b"[" * 30000, "BadRequest"),
    ("deep nesting", b'{"execute":"query-status","id":' + b"[" * 20000 + b"]" * 20000 + b"}",
     None),
    ("an unknown command", b'{"execute":"format-disk"}', "CommandNotFound"),
    ("a long name", b'{"execute":"' + b"x" * 60000 + b'"}', "CommandNotFound"),
    ("an argument to a query", b'{"execute":"query-status","arguments":{"a":1}}', "BadArgument"),
    ("set without anything", b'{"execute":"set"}', "BadArgument"),
    ("set with a domain only", b'{"execute":"set","arguments":{"domain":"db"}}', "BadArgument"),
    ("a domain that there is not", b'{"execute":"set","arguments":{"domain":"no","weight":1}}',
     "BadArgument"),
    ("a domain of a wrong type", b'{"execute":"set","arguments":{"domain":[],"weight":1}}',
     "BadArgument"),
    ("a value of a wrong type", b'{"execute":"set","arguments":{"domain":"db","weight":{}}}',
     "BadArgument"),
    ("a value out of range", b'{"execute":"set","arguments":{"domain":"db","weight":-1}}',
     "BadArgument"),
    ("a wild number", b'{"execute":"set","arguments":{"domain":"db","weight":1e400}}', None),
    ("an unknown key", b'{"execute":"set","arguments":{"domain":"db","height":1}}', "BadArgument"),
    ("an unknown policy", b'{"execute":"set","arguments":{"policy":"magic"}}', "BadArgument"),
    ("a policy for a domain", b'{"execute":"set","arguments":{"domain":"db","policy":"static"}}',
     "BadArgument"),
    ("reload without a file", b'{"execute":"reload"}', "Failed"),
]


def bad_requests(daemon):
    """Each gets a clear error, on a connection that goes on."""
    with daemon.client() as client:
        for what, request, expected in BAD_REQUESTS:
            client.send(request + b"\n")
            answer = client.line()
            if not answer:
                tap.ok(False, f"{what}: the connection was closed")
                client = daemon.client()
                continue
            error = answer.get("error", {})
            good = error.get("class") == expected and bool(error.get("desc"))
            if expected is None:
                good = "return" in answer or bool(error.get("desc"))
            if not tap.ok(good, f"{what}: {error.get('class')}"):
                tap.note(str(answer)[:300])
        tap.ok("return" in client.ask("query-status"), "the same connection is served after that")


def ids(daemon):
    with daemon.client() as client:
        for value in (7, "x", None, [1, {"a": 2}], 1.5, True):
            client.send(json.dumps({"execute": "subscribe", "id": value}).encode() + b"\n")
            tap.equal(client.line(), {"return": {}, "id": value}, f"the id {value!r} comes back")
        client.send(b'{"execute":"nonsense","id":8}\n')
        tap.equal(client.line().get("id"), 8, "with an error, too")


def long_line(daemon):
    with daemon.client() as client:
        tap.ok(len(client.ask("set", domain="x" * 60000)["error"]["desc"]) < 1000,
               "a long line below the limit is answered")
    with daemon.client() as client:
        try:
            for _ in range(64):
                client.send(b"x" * LINE_MAX)
        except OSError:
            pass
        answer = client.line()
        tap.ok(answer is None or answer["error"]["class"] == "BadRequest",
               "a line without end: an error")
        tap.ok(answer is None or client.line() is None, "... and the connection is closed")
    tap.ok(served(daemon), "... and others are served")


def half_line(daemon):
    request = b'{"execute":"query-status"}\n'
    with daemon.client() as client:
        client.send(request[:10])
        tap.ok(served(daemon), "half a line: others are served meanwhile")
        client.send(request[10:])
        tap.ok("return" in client.line(), "... and it is answered when the rest has come")
    with daemon.client() as client:
        for byte in request:
            client.send(bytes([byte]))
        tap.ok("return" in client.line(), "a line byte by byte is answered")
    with daemon.client() as client:
        client.send(request * 50)
        tap.equal(sum("return" in client.line() for _ in range(50)), 50,
                  "fifty lines at once get fifty answers")
    with daemon.client() as client:
        client.send(request * 3 + b'{"exec')
        client.socket.shutdown(socket.SHUT_WR)
        answers = [client.line() for _ in range(4)]
        tap.ok(all(answers[:3]) and answers[3] is None,
               "what was asked is answered after the client has shut its side down")


def deaf_client(daemon):
    """It asks and asks, and never reads."""
    with daemon.client() as client:
        client.socket.settimeout(0.5)
        sent = 0
        try:
            while sent < 64 * 1024 * 1024:
                sent += client.socket.send(b'{"execute":"query-domains"}\n' * 1000)
        except (TimeoutError, OSError):
            pass
        tap.ok(sent < 4 * 1024 * 1024, f"a client that does not read is read no further ({sent})")
        tap.ok(served(daemon), "... and others are served")
        status = open(f"/proc/{daemon.process.pid}/status", encoding="ascii").read()
        tap.ok(int(re.search(r"VmRSS:\s*(\d+)", status).group(1)) < 256 * 1024,
               "... and it costs the daemon little memory")


def deaf_subscriber(daemon):
    def descriptors():
        return len(os.listdir(f"/proc/{daemon.process.pid}/fd"))

    with daemon.client() as deaf, daemon.client() as other:
        deaf.ask("subscribe")
        before = descriptors()

        def dropped():
            for _ in range(500):
                other.ask("set", domain="db", weight=300)
            return descriptors() < before

        wait_for(dropped, "the deaf subscriber to be dropped")
        tap.ok(True, "a subscriber that does not read is dropped")
        tap.ok("return" in other.ask("query-status"), "... and others are served")


def many_clients(daemon):
    clients = [daemon.client() for _ in range(100)]
    for client in clients:
        client.send(b'{"execute":"query-domains"}\n')
    tap.equal(sum("return" in (client.line() or {}) for client in clients), 100,
              "a hundred clients are answered")
    # This test's own user has the places of the daemon's user, too.
    while len(clients) < 144:
        clients.append(daemon.client())
    with Client(daemon.socket) as client:
        tap.equal((client.line() or {}).get("error", {}).get("class"), "Failed",
                  "one too many is told so")
        tap.ok(client.line() is None, "... and closed")
    for client in clients[10:]:
        client.socket.close()
    wait_for(lambda: served_again(daemon), "a place to be free again")
    tap.ok(all("return" in client.ask("query-status") for client in clients[:10]),
           "when clients have gone, others come in")
    for client in clients[:10]:
        client.socket.close()


def served_again(daemon):
    with Client(daemon.socket) as client:
        return "ballast" in (client.line() or {})


def events(daemon):
    with daemon.client() as client, daemon.client() as other:
        tap.equal(client.ask("subscribe"), {"return": {}}, "subscribe")
        other.ask("set", domain="web1", weight=700, priority=3)
        event = client.line()
        while event["event"] != "CONFIG":
            event = client.line()
        tap.equal((event["data"]["name"], event["data"]["text"]),
                  ("web1", "set weight=700 priority=3"), "an event tells what was set")
        last = [e for e in other.ask("query-events")["return"] if e["event"] == "CONFIG"][-1]
        tap.equal(last, event, "query-events has the same")


def settings(daemon):
    def domain(name):
        return next(d for d in daemon.ask("query-domains")["return"] if d["name"] == name)

    tap.equal(daemon.ask("set", domain="db", weight=1000, min="100M"), {"return": {}}, "set")
    wait_for(lambda: domain("db")["weight"] == 1000, "the weight to be there")
    tap.equal(domain("db")["min_kib"], 100 * 1024, "both settings are there")
    answer = daemon.ask("set", domain="db", weight=2000, min="rubbish")
    tap.equal(answer["error"]["class"], "BadArgument", "one of two settings is wrong")
    answer = daemon.ask("set", domain=domain("web2")["domid"], weight=5)
    wait_for(lambda: domain("web2")["weight"] == 5, "the weight to be there")
    tap.equal(domain("db")["weight"], 1000, "... and none of them was taken")
    tap.equal(answer, {"return": {}}, "a domain by its domid")
    daemon.ask("set", policy="static")
    wait_for(lambda: daemon.ask("query-status")["return"]["policy"] == "static", "the policy")
    tap.ok(True, "a setting of the host")


def ask_as(uid, daemon):
    """The answers that another user gets."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        status = 1
        try:
            os.setgroups([])
            os.setgid(uid)
            os.setuid(uid)
            with daemon.client() as client:
                answers = [client.ask("query-status"), client.ask("set", policy="static"),
                           client.ask("reload"), client.ask("shutdown")]
            os.write(writer, json.dumps(answers).encode())
            status = 0
        finally:
            os._exit(status)
    os.close(writer)
    with os.fdopen(reader) as answers:
        text = answers.read()
    os.waitpid(child, 0)
    return json.loads(text)


def rights(daemon):
    """Asked as another user, when we may become one."""
    if os.geteuid() != 0:
        tap.skip("another user may ask and not change", "needs root")
        return
    os.chmod(daemon.folder, 0o755)
    answers = ask_as(65534, daemon)
    tap.ok("return" in answers[0], "another user may ask")
    tap.equal([a.get("error", {}).get("class") for a in answers[1:]], ["Denied"] * 3,
              "... and not set, reload or shut down")


def fields(daemon):
    """docs/protocol.md has the fields, commands and classes that there are, and no others."""
    with open(os.path.join(SOURCE, "docs", "protocol.md"), encoding="utf-8") as file:
        text = file.read()
    sections = dict(re.findall(r"^### (\S+)\n(.*?)(?=^#|\Z)", text, re.M | re.S))

    def documented(name):
        return set(re.findall(r"^\| `(\w+)` \|", sections[name], re.M))

    commands = daemon.ask("query-commands")["return"]
    tap.equal(set(sections), {c["name"] for c in commands}, "protocol.md has all commands")
    tap.equal(documented("query-commands"), set(commands[0]), "... the fields of query-commands")
    tap.equal(documented("query-status"), set(daemon.ask("query-status")["return"]),
              "... the fields of query-status")
    tap.equal(documented("query-domains"), set(daemon.ask("query-domains")["return"][0]),
              "... the fields of query-domains")
    told = {event["event"] for event in daemon.ask("query-events")["return"]}
    in_text = set(re.findall(r"^\| `([A-Z_]+)` \|", text, re.M))
    tap.ok(told <= in_text, f"... the events that were seen ({', '.join(sorted(told))})")


def process_life():
    daemon = Daemon().start()
    mode = os.stat(daemon.socket).st_mode
    tap.ok(stat.S_ISSOCK(mode) and stat.S_IMODE(mode) == 0o666, "everybody may connect")
    tap.equal(stat.S_IMODE(os.stat(os.path.dirname(daemon.socket)).st_mode), 0o755,
              "the socket's folder is made, and only its owner may write there")
    with open(daemon.pidfile, encoding="ascii") as file:
        tap.equal(int(file.read()), daemon.process.pid, "the pid file has the process id")

    second = subprocess.run(daemon.command("--foreground"), stderr=subprocess.PIPE, text=True,
                            timeout=PATIENCE, check=False)
    tap.ok(second.returncode == 1 and "another ballastd" in second.stderr,
           "a second daemon with the same pid file is refused")
    second = subprocess.run(daemon.command("--foreground", "--pidfile", daemon.pidfile + "2"),
                            stderr=subprocess.PIPE, text=True, timeout=PATIENCE, check=False)
    tap.ok(second.returncode == 1 and "another ballastd answers" in second.stderr,
           "a second daemon with the same socket is refused")
    tap.ok(served(daemon), "... and the first one serves on")

    daemon.stop(signal.SIGKILL)
    tap.ok(os.path.exists(daemon.socket), "killed, it leaves a stale socket")
    daemon.start()
    tap.ok(served(daemon), "... which the next one replaces")
    tap.equal(daemon.stop(), 0, "SIGTERM ends it with status 0")
    tap.ok(not os.path.exists(daemon.socket) and not os.path.exists(daemon.pidfile),
           "... and socket and pid file are gone")

    daemon.start()
    with daemon.client() as client:
        client.ask("subscribe")
        client.send(b'{"execute":"shutdown"}\n')
        lines = []
        while (line := client.line()) is not None:
            lines.append(line)
    tap.ok({"return": {}} in lines, "shutdown is answered")
    tap.ok(any(line.get("event") == "SHUTDOWN" for line in lines), "... and told as an event")
    tap.equal(daemon.process.wait(PATIENCE), 0, "... and ends the daemon")

    with open(daemon.socket, "w", encoding="ascii"):
        pass
    refused = subprocess.run(daemon.command("--foreground"), stderr=subprocess.PIPE, text=True,
                             timeout=PATIENCE, check=False)
    tap.ok(refused.returncode == 1 and os.path.isfile(daemon.socket),
           "a file in the socket's place is left alone")
    tap.ok("is no socket" in refused.stderr, "... and said to be none")


def background():
    daemon = Daemon()
    started = subprocess.run(daemon.command(), stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                             text=True, timeout=PATIENCE, check=False)
    tap.equal((started.returncode, started.stdout, started.stderr), (0, "", ""),
              "in the background: the command returns when it is ready, and says nothing")
    tap.ok("return" in daemon.ask("query-status"), "... and clients are served at once")
    pid = daemon.ask("query-status")["return"]["pid"]
    with open(daemon.pidfile, encoding="ascii") as file:
        tap.equal(int(file.read()), pid, "... and the pid file has the right process id")
    again = subprocess.run(daemon.command(), stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                           text=True, timeout=PATIENCE, check=False)
    tap.ok(again.returncode == 1 and "another ballastd" in again.stderr,
           "a second one tells why it does not start, on standard error")
    os.kill(pid, signal.SIGTERM)
    wait_for(lambda: not os.path.exists(daemon.pidfile), "the daemon to end")

    started = subprocess.run(daemon.command("--verbose"), timeout=PATIENCE, check=False,
                             preexec_fn=lambda: os.closerange(0, 3))
    tap.equal(started.returncode, 0, "started without input, output and error: as well")
    pid = daemon.ask("query-status")["return"]["pid"]
    with open(daemon.pidfile, encoding="ascii") as file:
        tap.equal(file.read(), f"{pid}\n", "... nothing else is in the pid file")
    os.kill(pid, signal.SIGTERM)
    wait_for(lambda: not os.path.exists(daemon.pidfile), "the daemon to end")

    user = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"] * (os.getuid() == 0)
    refused = subprocess.run([*user, "prlimit", "--nproc=0", *daemon.command()], text=True,
                             stderr=subprocess.PIPE, timeout=PATIENCE, check=False)
    tap.ok(refused.returncode == 1 and refused.stderr, "it says so when it can start no process")


def successor():
    """One daemon is started while another ends, which takes time: its policy is left time to end."""
    daemon = Daemon()
    daemon.pidfile += ".first"
    ended = os.path.join(daemon.folder, "ended")
    policy = daemon.write("policy", "#!/bin/sh\nwhile read -r line; do echo '{\"wants\":{}}'; done\n"
                          f"echo >{ended}\nexec sleep 1000\n")
    os.chmod(policy, 0o755)
    daemon.start()
    daemon.ask("set", policy=f"external:{policy}")
    wait_for(lambda: subprocess.run(["pgrep", "-P", str(daemon.process.pid)], check=False,
                                    stdout=subprocess.DEVNULL).returncode == 0, "the policy")
    daemon.process.send_signal(signal.SIGTERM)
    wait_for(lambda: os.path.exists(ended), "the policy's end")
    daemon.pidfile += ".second"
    command = daemon.command("--foreground")
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as second:
        serves = any(" on sim, " in line for line in second.stderr)
        daemon.process.wait(PATIENCE)
        tap.ok(not serves or os.path.exists(daemon.socket),
               "who is started while another ends keeps its socket, or does not start")
        second.terminate()


def short_log():
    """A log that may not grow any more."""
    daemon = Daemon()
    limit = (4096, 4096)
    with open(daemon.log, "ab") as log:
        daemon.process = subprocess.Popen(
            daemon.command("--foreground"), stderr=log,
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, limit))
    wait_for(daemon.answers, "the daemon to answer")
    for i in range(200):
        daemon.ask("set", domain="web1", weight=1 + i)
    tap.equal(os.path.getsize(daemon.log), limit[0], "a log that has reached its limit")
    tap.ok(served(daemon), "... does not end the daemon")
    tap.equal(daemon.stop(), 0, "... which ends well")


def reloads():
    daemon = Daemon(config=GOOD).start()
    status = daemon.ask("query-status")["return"]
    tap.equal((status["config"], status["reserve_kib"]), (daemon.config, 64 * 1024),
              "the configuration is taken")
    daemon.write("config", BAD)
    daemon.process.send_signal(signal.SIGHUP)
    wait_for(lambda: "keeping the old one" in daemon.logged(), "the log to tell of the faults")
    log = daemon.logged()
    tap.ok(all(f"{daemon.config}:{line}:" in log for line in (1, 2, 3)),
           "SIGHUP with a bad file: every fault is logged with its line")
    tap.equal(daemon.ask("query-status")["return"]["reserve_kib"], 64 * 1024,
              "... and the old one stays")
    answer = daemon.ask("reload")
    tap.ok(answer["error"]["class"] == "Failed" and f"{daemon.config}:2:" in answer["error"]["desc"],
           "reload with a bad file: the answer has the faults")
    shown = daemon.ballast("reload")
    tap.ok(shown.returncode == 1 and f"{daemon.config}:3:" in shown.stderr,
           "ballast reload shows them")
    daemon.write("config", "".join(f'x{i} = "1"\n' for i in range(1000)))
    lines = daemon.ask("reload")["error"]["desc"].split("\n")
    tap.ok(all(line.startswith(f"{daemon.config}:") for line in lines[:-1])
           and "and more" in lines[-1], "a thousand faults: whole lines, and that there are more")
    daemon.ask("set", reserve="80M")
    wait_for(lambda: daemon.ask("query-status")["return"]["reserve_kib"] == 80 * 1024, "the set")
    daemon.write("config", GOOD.replace("64M", "96M"))
    daemon.process.send_signal(signal.SIGHUP)
    wait_for(lambda: daemon.ask("query-status")["return"]["reserve_kib"] == 96 * 1024,
             "the new reserve")
    tap.ok(True, "SIGHUP with a good file: it is taken, in place of what was set")
    os.unlink(daemon.config)
    tap.equal(daemon.ask("reload")["error"]["class"], "Failed", "reload without its file: an error")
    daemon.stop()


def checks():
    daemon = Daemon(config=BAD)
    run = subprocess.run(daemon.command("--check"), stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                         text=True, timeout=PATIENCE, check=False)
    tap.ok(run.returncode == 1 and all(f"config:{n}:" in run.stderr for n in (1, 2, 3)),
           "--check tells all faults with their lines")
    tap.ok(not os.path.exists(daemon.socket), "... and starts nothing")
    daemon.write("config", GOOD)
    run = subprocess.run(daemon.command("--check"), stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                         text=True, timeout=PATIENCE, check=False)
    tap.equal((run.returncode, run.stderr), (0, ""), "--check of a good file")
    for option in ("--check", "--help", "--version"):
        with open("/dev/full", "w", encoding="ascii") as full:
            run = subprocess.run(daemon.command(option), stdout=full, stderr=subprocess.PIPE,
                                 text=True, timeout=PATIENCE, check=False)
        tap.ok(run.returncode == 1 and "cannot be written" in run.stderr,
               f"{option} to a full disk: an error")
    daemon.write("config", BAD)
    run = subprocess.run(daemon.command("--foreground"), stderr=subprocess.PIPE, text=True,
                         timeout=PATIENCE, check=False)
    tap.equal(run.returncode, 1, "it does not start with a bad file")
    for arguments in (["--nonsense"], ["extra"], ["--seed", "x"], ["--config"]):
        run = subprocess.run(daemon.command(*arguments), stderr=subprocess.PIPE, text=True,
                             timeout=PATIENCE, check=False)
        tap.ok(run.returncode == 2 and run.stderr, f"ballastd {' '.join(arguments)}: an error")
    run = subprocess.run([daemon.command()[0], "--seed", "1"], stderr=subprocess.PIPE, text=True,
                         timeout=PATIENCE, check=False)
    tap.ok(run.returncode == 2 and "--scenario" in run.stderr, "a seed without a scenario: an error")


def dry_run():
    """Domains need more than they have; nothing is given."""
    scenario = """
memory = "1024M"
dom0   = "128M"
xen    = "24M"
length = "1h"
grace  = "0s"
guests = [ "vm[1-3], memory=112M, maxmem=512M, need=200M, min=80M" ]
"""
    daemon = Daemon(scenario).start("--dry-run")
    before = [d["target_kib"] for d in daemon.ask("query-domains")["return"]]
    wait_for(lambda: any(d["want_kib"] > d["target_kib"] + 8192
                         for d in daemon.ask("query-domains")["return"]), "a want")
    rounds = daemon.ask("query-status")["return"]["rounds"]
    wait_for(lambda: daemon.ask("query-status")["return"]["rounds"] > rounds + 1, "two rounds")
    tap.ok(daemon.ask("query-status")["return"]["dry_run"], "--dry-run is shown")
    tap.equal([d["target_kib"] for d in daemon.ask("query-domains")["return"]], before,
              "... and no target moves, though more is wanted")
    daemon.stop()
    daemon.start()
    wait_for(lambda: [d["target_kib"] for d in daemon.ask("query-domains")["return"]] != before,
             "targets to move")
    tap.ok(True, "without it they do")
    daemon.stop()


def service_manager():
    daemon = Daemon(config=GOOD)
    path = os.path.join(daemon.folder, "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(path)
        manager.settimeout(PATIENCE)
        os.environ["NOTIFY_SOCKET"] = path
        daemon.start()
        del os.environ["NOTIFY_SOCKET"]
        tap.equal(manager.recv(4096), b"READY=1", "a service manager is told when it is ready")
        daemon.process.send_signal(signal.SIGHUP)
        tap.ok(re.fullmatch(rb"RELOADING=1\nMONOTONIC_USEC=\d+", manager.recv(4096)),
               "... when it reloads")
        tap.equal(manager.recv(4096), b"READY=1", "... when that is done")
        daemon.stop()
        tap.equal(manager.recv(4096), b"STOPPING=1", "... and when it ends")


def main():
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    daemon = Daemon().start()
    for test in (bad_requests, ids, long_line, half_line, deaf_client, many_clients, events,
                 deaf_subscriber, settings, rights, fields):
        test(daemon)
    tap.equal(daemon.stop(), 0, "after all that the daemon ends well")
    log = daemon.logged()
    if not tap.ok("ERROR" not in log and "runtime error" not in log, "no sanitizer has complained"):
        tap.note(log)
    for test in (process_life, background, successor, short_log, reloads, checks, dry_run, service_manager):
        test()
    tap.done()


main()
