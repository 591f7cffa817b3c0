#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""The real `ballast simulate` on every scenario: the limits that stand in it are kept, whatever the
seed. BALLAST_LONG=1: twenty seeds of each; BALLAST_SEED=N: that one only."""

import glob
import json
import os
import re
import subprocess
import sys
import tempfile
import xml.etree.ElementTree

sys.dont_write_bytecode = True
from simdaemon import BUILD, PATIENCE, SOURCE, Tap

FOLDERS = ["tests/scenarios", "tests/sim/scenarios", "etc/scenarios"]

tap = Tap()


def simulate(*arguments):
    """A run that ended by itself."""
    return subprocess.run([os.path.join(BUILD, "ballast"), "simulate", *map(str, arguments)],
                          capture_output=True, text=True, errors="replace", timeout=PATIENCE,
                          check=False)


def seeds():
    if "BALLAST_SEED" in os.environ:
        return [int(os.environ["BALLAST_SEED"])]
    return range(1, 21 if "BALLAST_LONG" in os.environ else 4)


def check_limits(scenario):
    """Every limit, with every seed; what broke is told with its seed. Nothing is better than what is
    possible at no cost."""
    broken = []
    for seed in seeds():
        result = simulate(scenario, "--seed", seed, "--json")
        if result.returncode != 0:
            broken.append(result.stderr or f"seed {seed}: exit status {result.returncode}")
            continue
        host = json.loads(result.stdout)["host"]
        for weighted in "", "weighted_":
            bound = host[f"bound_{weighted}mib_s"]
            best = min(host[f"unmet_{weighted}mib_s"], host[f"reach_{weighted}mib_s"])
            if best < bound * 0.999:
                broken.append(f"seed {seed}: {weighted}unmet {best} below the bound {bound}")
    if not tap.ok(not broken, f"{os.path.relpath(scenario, SOURCE)} keeps its limits"):
        tap.note("\n".join(broken))


def check_same(scenario):
    """The seed decides all, and decides something."""
    first = simulate(scenario, "--json", "--seed", 7).stdout
    tap.ok(first and first == simulate(scenario, "--json", "--seed", 7).stdout,
           "the same seed gives the same result")
    tap.ok(first != simulate(scenario, "--json", "--seed", 8).stdout,
           "another seed gives another")


def check_picture(scenario, folder):
    picture = os.path.join(folder, "picture.svg")
    result = simulate(scenario, "--svg", picture)
    root = xml.etree.ElementTree.parse(picture).getroot() if result.returncode == 0 else None
    tap.ok(root is not None and root.tag.endswith("svg") and len(root) > 50,
           "the picture is one")
    result = simulate(scenario, "--svg", os.path.join(folder, "none", "picture.svg"))
    tap.ok(result.returncode == 1 and "No such file" in result.stderr,
           "a picture that cannot be written is told of")
    result = simulate(scenario, "--svg", "/dev/full")
    tap.ok(result.returncode == 1 and "No space left" in result.stderr, "... and why")
    acts = os.path.join(folder, "acts.conf")
    with open(acts, "w", encoding="utf-8") as file:
        file.write('memory = "1G"\nlength = "9s"\nguests = [ "a, memory=128M, maxmem=256M" ]\n'
                   'events = [ "1s, a, acts=refuse", "5s, a, mem-max=200M", "8s, a, loose" ]\n')
    result = simulate(acts, "--svg", picture)
    with open(picture, encoding="utf-8") as file:
        drawn = file.read()
    tap.ok(all(f">a {word}<" in drawn for word in ("acts", "mem-max", "loose")),
           "it names what happens")
    odd = os.path.join(folder, "odd.conf")
    with open(odd, "wb") as file:
        file.write(b'memory = "1G"\nlength = "1s"\nguests = [ "\xff<&\xc3\xa9, memory=128M" ]\n')
    result = simulate(odd, "--svg", picture)
    root = xml.etree.ElementTree.parse(picture).getroot()
    tap.ok(any("?<&\u00e9" in (text.text or "") for text in root.iter()),
           "a name that is no UTF-8 makes no other picture")


def figures(*arguments):
    return json.loads(simulate(*arguments, "--json").stdout)


def check_policies(scenario, folder):
    """Side by side they are what each is alone; nobody is better than who has no cost."""
    alone = figures(scenario, "--policy", "static")
    both = figures(scenario, "--policy", "weighted", "--policy", "static")
    tap.equal([one["policy"] for one in both], ["weighted", "static"], "policies stand in order")
    tap.equal(both[1], alone, "side by side a policy is what it is alone")
    hosts = [one["host"] for one in both]
    # But for the instants at which the guests are looked at.
    tap.ok(abs(hosts[0]["reach_mib_s"] - hosts[1]["reach_mib_s"]) < 0.1
           and abs(hosts[0]["reach_moved_mib"] - hosts[1]["reach_moved_mib"]) < 5,
           "the clairvoyants do not depend on the policy")
    tap.ok(hosts[0]["unmet_mib_s"] < hosts[1]["unmet_mib_s"], "weighted is better than static")
    table = simulate(scenario, "--policy", "weighted", "--policy", "static").stdout
    tap.ok(re.search(r"^weighted +\d", table, re.M) and re.search(r"^static +\d", table, re.M)
           and re.search(r"^\(in reach\) +\d", table, re.M), "and a table shows them")
    result = simulate(scenario, "--policy", "weighted", "--policy", "static", "--svg",
                      os.path.join(folder, "both.svg"))
    tap.ok(result.returncode == 2 and "one policy" in result.stderr,
           "a picture of two policies is refused")


def check_worst(folder):
    """Of a limit for several guests the one that is farthest from keeping it is told."""
    path = os.path.join(folder, "worst.conf")
    with open(path, "w", encoding="utf-8") as file:
        file.write('memory = "2G"\nlength = "1s"\npolicy = "static"\n'
                   'guests = [ "a, memory=128M", "b, memory=192M", "c, memory=160M" ]\n'
                   'limits = [ "*, actual<=200M", "*, actual>=100M", "*, actual=192M" ]\n')
    tap.equal([(limit["of"], limit["value"] // 1024, limit["kept"])
               for limit in json.loads(simulate(path, "--json").stdout)["limits"]],
              [("b", 192, True), ("a", 128, True), ("a", 128, False)],
              "of several guests the worst stands beside a limit")


def check_refusals(folder):
    path = os.path.join(folder, "bad.conf")
    with open(path, "w", encoding="utf-8") as file:
        file.write('memory = "1G"\nlength = "1s"\nguests = [ "a, memory=128M" ]\n'
                   'limits = [ "least-free>=1000G" ]\n')
    result = simulate(path)
    tap.ok(result.returncode == 1 and f"{path}:4: seed 1: limit" in result.stderr,
           "a broken limit is told of, and the exit status is 1")
    result = simulate(path, "--policy", "static", "--policy", "none-such")
    tap.ok(result.returncode == 2 and "none-such" in result.stderr and not result.stdout,
           "an unknown policy is refused before any runs")
    with open(path, "w", encoding="utf-8") as file:
        file.write('memory = "1Q"\nguests = [ "a, memory=128M, colour=red" ]\n')
    result = simulate(path)
    tap.ok(result.returncode == 1 and f"{path}:1: " in result.stderr
           and f"{path}:2: " in result.stderr, "faults are told with file and line")
    result = simulate(os.path.join(folder, "not-there"))
    tap.ok(result.returncode == 1 and result.stderr.count("No such file") == 1,
           "a scenario that is not there is told of once")
    tap.ok(simulate().returncode == 2, "no scenario is an error")
    tap.ok(simulate(path, "--seed", "x").returncode == 2, "a seed is a number")


def main():
    scenarios = [path for folder in FOLDERS
                 for path in sorted(glob.glob(os.path.join(SOURCE, folder, "*.conf")))]
    demo = os.path.join(SOURCE, "etc/scenarios/demo.conf")
    for scenario in scenarios:
        check_limits(scenario)
    check_same(demo)
    with tempfile.TemporaryDirectory() as folder:
        check_picture(demo, folder)
        check_policies(demo, folder)
        check_worst(folder)
        check_refusals(folder)
    return tap.done()


if __name__ == "__main__":
    sys.exit(main())
