#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""Policies that are programs: under `ballast simulate` and under the real daemon."""

import json
import os
import re
import signal
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True
from simdaemon import BUILD, PATIENCE, SOURCE, SCENARIO, Daemon, Tap, wait_for

EXAMPLE = os.path.join(SOURCE, "etc", "policies", "example.py")
DEMO = os.path.join(SOURCE, "etc", "scenarios", "demo.conf")

# Writes what it is told and its process id into the folder that is its argument; its wants are there.
PROGRAM = """#!/usr/bin/env python3
import os
import sys

os.chdir(sys.argv[1])
with open("pid", "w") as file:
    file.write(str(os.getpid()))
for number in range(1000):
    print("line", number, file=sys.stderr)
for line in sys.stdin:
    with open("told.new", "w") as file:
        file.write(line)
    os.rename("told.new", "told")
    with open("answer") as file:
        print(file.read().strip(), flush=True)
"""

tap = Tap()


def program(folder, answer='{"wants":{}}'):
    """The policy's text of a program in a folder."""
    path = os.path.join(folder, "policy.py")
    with open(path, "w", encoding="utf-8") as file:
        file.write(PROGRAM)
    os.chmod(path, 0o755)
    set_answer(folder, answer)
    return f"external:{path} {folder}"


def set_answer(folder, answer):
    path = os.path.join(folder, "answer")
    with open(path + ".new", "w", encoding="utf-8") as file:
        file.write(answer + "\n")
    os.rename(path + ".new", path)


def read(folder, name):
    try:
        with open(os.path.join(folder, name), encoding="utf-8") as file:
            return file.read()
    except FileNotFoundError:
        return ""


def process_id(folder):
    return int(read(folder, "pid") or 0)


def alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def simulate(*arguments, cwd=None):
    return subprocess.run([os.path.join(os.path.abspath(BUILD), "ballast"), "simulate", *arguments],
                          capture_output=True, text=True, timeout=PATIENCE, check=False, cwd=cwd)


def figures(result):
    """What came out, without the policy's name."""
    outcome = json.loads(result.stdout)
    del outcome["policy"]
    return outcome


def check_example():
    here, name = os.path.split(os.path.abspath(EXAMPLE))
    runs = [simulate("--json", "--policy", f"external:./{name}", os.path.abspath(DEMO), cwd=here)
            for _ in range(2)]
    tap.ok("did not decide" not in runs[0].stderr, "the example decides every round")
    tap.equal(figures(runs[0])["host"]["promise_broken"], 0, "... and the promise is kept")
    tap.equal(runs[0].stdout, runs[1].stdout, "... and the same seed gives the same result")


def check_fallback():
    weighted = simulate("--json", "--policy", "weighted", DEMO)
    dead = simulate("--json", "--policy", "external:/bin/false", DEMO)
    expected = figures(weighted)
    for figure in ("told", "logged"):
        expected["host"][figure] += 1  # that it does not decide
    tap.equal(figures(dead), expected, "weighted decides for a program that is dead")
    tap.ok("/bin/false: did not decide" in dead.stderr and "ended with status 1" in dead.stderr,
           "... and that is told")
    result = simulate("--policy", "external:none/such", DEMO)
    tap.ok(result.returncode == 2 and "No such file" in result.stderr, "no program is an error")


def tables(text, title):
    """The first column of the table that follows a line."""
    part = re.search(rf"^{re.escape(title)}\n\n((?:\|.*\n)+)", text, re.M)
    rows = part.group(1).splitlines()[2:] if part else []
    return {name for row in rows for name in re.findall(r"`(\w+)`", row.split("|")[1])}


def check_manual(told):
    """docs/external.md has all that is told, and nothing else."""
    with open(os.path.join(SOURCE, "docs", "external.md"), encoding="utf-8") as file:
        text = file.read()
    top = re.search(r"^## The question\n.*?^(\| member.*?)\n\n", text, re.M | re.S).group(1)
    tap.equal(set(re.findall(r"^\| `(\w+)`", top, re.M)), set(told), "external.md: the question")
    tap.equal(tables(text, "`host`:"), set(told["host"]), "external.md: the host")
    tap.equal(tables(text, "Each of `domains`:"), {k for d in told["domains"] for k in d},
              "external.md: the domains")


def events(daemon):
    return [e["data"]["text"] for e in daemon.ask("query-events")["return"]
            if e["event"] == "POLICY"]


def check_daemon(folder):
    policy = program(folder)
    daemon = Daemon(config='grace = "0s"\npolicy_deadline = "10s"\n').start()
    answer = daemon.ask("set", policy="external:policy.py")
    tap.ok("path from the root" in answer["error"]["desc"], "the daemon wants a path from the root")
    answer = daemon.ask("set", policy="external:/none/such")
    tap.ok("No such file" in answer["error"]["desc"], "... of a program that is there")

    tap.equal(daemon.ask("set", policy=policy), {"return": {}}, "a program is set as the policy")
    wait_for(lambda: read(folder, "told"), "a question")
    tap.equal(daemon.ask("query-status")["return"]["policy"], policy, "... and is shown")
    tap.equal(re.findall("^ballastd: external: (.*)$", daemon.logged(), re.M),
              [f"line {number}" for number in range(20)], "what it complains of is logged, to a bound")
    told = json.loads(read(folder, "told"))
    check_manual(told)
    # Of all, since what the others hold may leave too little: by then weighted has given them more.
    wants = {d["domid"]: (200 if d["name"] == "db" else 100) * 1024 for d in told["domains"]
             if d["shares"]}
    set_answer(folder, json.dumps({"wants": wants}))
    wait_for(lambda: next(d for d in daemon.ask("query-domains")["return"]
                          if d["name"] == "db")["target_kib"] == 200 * 1024, "the want")
    tap.ok(True, "what it wants comes about")

    pid = process_id(folder)
    set_answer(folder, "nonsense")
    wait_for(lambda: events(daemon), "the event")
    tap.ok("no JSON" in events(daemon)[0] and alive(pid), "nonsense is told of, and not followed")
    daemon.write("config", f'grace = "0s"\npolicy = "{policy}"\npolicy_deadline = "10s"\n')
    set_answer(folder, '{"wants":{}}')
    tap.equal(daemon.ask("reload"), {"return": {}}, "a reload")
    second = wait_for(lambda: process_id(folder) != pid and process_id(folder), "another program")
    tap.ok(not alive(pid), "... starts it anew")

    os.kill(second, signal.SIGKILL)
    wait_for(lambda: any("killed by signal 9" in text for text in events(daemon)), "the event")
    tap.ok(True, "one that was killed is told of")
    third = wait_for(lambda: process_id(folder) != second and process_id(folder), "another program")
    tap.ok(third, "... and started again")
    daemon.stop()
    tap.ok(not alive(third), "it ends with the daemon")


def check_config(folder):
    daemon = Daemon(config='policy = "external:policy.py"\n')
    for text, fault in (('policy = "external:policy.py"\n', "path from the root"),
                        ('policy = "external:/none/such x"\n', "No such file"),
                        (f'policy = "external:{folder}"\n', "cannot be executed")):
        daemon.write("config", text)
        result = subprocess.run(daemon.command("--check"), capture_output=True, text=True,
                                timeout=PATIENCE, check=False)
        tap.ok(result.returncode == 1 and f"{daemon.config}:1: policy: " in result.stderr
               and fault in result.stderr, f"--check: {fault}")
    daemon.config = None
    daemon.write("scenario", 'policy = "external:policy.py"\n' + SCENARIO)
    result = subprocess.run(daemon.command("--check"), capture_output=True, text=True,
                            timeout=PATIENCE, check=False)
    tap.ok(result.returncode == 1 and "path from the root" in result.stderr,
           "--check: the same in a scenario")
    result = simulate(daemon.write("none", 'policy = "external:/none/such"\n' + SCENARIO))
    tap.ok(result.returncode == 1 and "No such file" in result.stderr and not result.stdout,
           "... and simulate does not run it")


def main():
    check_example()
    check_fallback()
    with tempfile.TemporaryDirectory() as folder:
        check_daemon(folder)
        check_config(folder)
    return tap.done()


if __name__ == "__main__":
    sys.exit(main())
