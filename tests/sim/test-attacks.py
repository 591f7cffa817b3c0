#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""Guests that misbehave, each attack beside the same scenario with an honest one in its place: the
scenario's own limits are kept, and whatever the attack, it gains nothing above the share of its
weight, costs its neighbours no more than it holds, and the daemon no more rounds and events than it
has a bound for. `--table`: what was measured, as docs/attacks.md has it."""

import glob
import json
import os
import re
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True
from simdaemon import BUILD, PATIENCE, SOURCE, Tap

FOLDER = os.path.join(SOURCE, "tests/scenarios/attacks")
MIB = 1024

XEN, DOM0 = 24 * MIB, 192 * MIB  # the scenarios leave both as they are
STEP = 6 * MIB  # sizes move in steps of 4 MiB, and a cap is 1 MiB above its target, twice
TRANSIT = 64  # of what is there, one part: what is in use is taken at 40 MiB/s when another needs it
RANDOM = 30  # MiB*s of unmet need that two runs differ by when posts come at other times
ROUNDS_S = 20  # a second: what comes within 50 ms is gathered
TOLD_S = 8  # events a second: a domain whose reasons change with each of its posts
LOGGED_S = 0.5  # lines of log a second: domains that come and go, and what they are called
START_MS = 1000  # what one that refuses may delay the start of another

tap = Tap()


def seeds():
    if "BALLAST_SEED" in os.environ:
        return [int(os.environ["BALLAST_SEED"])]
    return range(1, 21 if "BALLAST_LONG" in os.environ else 4)


def honest(text):
    """The same scenario without what its attacker does: `acts` of guests are taken out, with events
    that set them, and lines that end in `# attack`."""
    lines = []
    for line in text.splitlines():
        if re.match(r'\s*"\d', line) and (line.endswith("# attack")
                                           or ("acts=" in line and "create" not in line)):
            continue
        lines.append(re.sub(r",\s*acts=[a-z -]+", "", line))
    return "\n".join(lines[:next((i for i, line in enumerate(lines)
                                  if line.startswith("limits")), None)]) + "\n"


def simulate(path, seed):
    """The outcome, and what was told of broken limits."""
    run = subprocess.run([os.path.join(BUILD, "ballast"), "simulate", path, "--json", "--seed",
                          str(seed)], capture_output=True, text=True, timeout=PATIENCE, check=False)
    return json.loads(run.stdout), run.stderr


def evil(outcome, figure):
    return sum(domain[figure] for domain in outcome["domains"] if domain["name"].startswith("evil"))


def good(outcome, figure):
    return sum(domain[figure] for domain in outcome["domains"]
               if not domain["name"].startswith("evil"))


class Attack:
    """One scenario, one seed, with and without its attack."""

    def __init__(self, path, seed, folder):
        with open(path, encoding="utf-8") as file:
            text = file.read()
        twin = os.path.join(folder, os.path.basename(path))
        with open(twin, "w", encoding="utf-8") as file:
            file.write(honest(text))
        self.name = os.path.basename(path).removesuffix(".conf")
        self.seed = seed
        self.outcome, self.told = simulate(path, seed)
        self.twin, _ = simulate(twin, seed)
        self.seconds = self.outcome["length_ms"] / 1000
        self.held = evil(self.outcome, "held_kib")
        self.held_honest = evil(self.twin, "held_kib")
        self.unmet = good(self.outcome, "unmet_mib_s") - good(self.twin, "unmet_mib_s")
        host = self.outcome["host"]
        self.rounds_s = self.outcome["rounds"] / self.seconds
        self.told_s = host["told"] / self.seconds
        self.logged_s = host["logged"] / self.seconds
        # What the host has for all of them, and the attackers' part of it: owners weigh the same.
        self.there = host["memory_kib"] - host["reserve_kib"] - XEN - DOM0
        owners = [domain["name"] for domain in self.outcome["domains"]]
        if self.name.startswith("group"):
            self.share = self.there / 4
        else:
            self.share = self.there * sum(name.startswith("evil") for name in owners) / len(owners)

    def faults(self):
        """What is not as it should be, in words."""
        spare = self.there - good(self.outcome, "need_kib")
        most = max(self.share + STEP, self.held_honest + STEP,
                   evil(self.outcome, "had_kib") + STEP, spare + self.there / TRANSIT)
        late_ms = good(self.outcome, "below_guarantee_ms") - good(self.twin, "below_guarantee_ms")
        cost = max(0, self.held - self.held_honest) / MIB * self.seconds + RANDOM
        if self.told:
            yield self.told.strip()
        if self.held > most:
            yield f"the attacker holds {self.held / MIB:.0f} MiB; expected {most / MIB:.0f}"
        if self.unmet > cost:
            yield f"its neighbours miss {self.unmet:.0f} MiB*s more; expected {cost:.0f}"
        if late_ms > START_MS:
            yield f"guarantees are {late_ms} ms later"
        if self.rounds_s > ROUNDS_S:
            yield f"{self.rounds_s:.1f} rounds a second"
        if self.told_s > TOLD_S:
            yield f"{self.told_s:.1f} events a second"
        if self.logged_s > LOGGED_S:
            yield f"{self.logged_s:.1f} lines of log a second"


def check(path, folder):
    faults = []
    for seed in seeds():
        attack = Attack(path, seed, folder)
        faults += [f"seed {seed}: {fault}" for fault in attack.faults()]
    if not tap.ok(not faults, f"{attack.name} gains nothing and costs little"):
        tap.note("\n".join(faults))


def check_group(folder):
    """Four are given no more than one of the same weight: a step for each."""
    for seed in seeds():
        held = [Attack(os.path.join(FOLDER, f"group-of-{size}.conf"), seed, folder).held
                for size in ("one", "four")]
        if not tap.ok(held[1] <= held[0] + 4 * STEP, f"seed {seed}: being four gains nothing"):
            tap.note(f"{held[1] / MIB:.0f} MiB, against {held[0] / MIB:.0f} of one")


def heading(path):
    """What stands above a scenario, as one line."""
    with open(path, encoding="utf-8") as file:
        lines = file.read().split("\nmemory", 1)[0].splitlines()[1:]
    return " ".join(line.lstrip("# ") for line in lines).rstrip(".")


def table(path, folder):
    attack = Attack(path, 1, folder)
    host = attack.outcome["host"]
    print(f"| `{attack.name}` | {heading(path)} "
          f"| {attack.held / MIB:.0f} ({attack.held_honest / MIB:.0f}) "
          f"| {max(0, attack.unmet):.0f} | {attack.rounds_s:.1f} "
          f"({attack.twin['rounds'] / attack.seconds:.1f}) | {host['moves']} "
          f"({attack.twin['host']['moves']}) | {host['logged']} ({attack.twin['host']['logged']}) "
          f"| {host['recognised_ms'] / 1000:.1f} | {host['accused_unhelpful']} "
          f"| {host['accused_malicious']} |")


def main():
    with tempfile.TemporaryDirectory() as folder:
        for path in sorted(glob.glob(os.path.join(FOLDER, "*.conf"))):
            if "--table" in sys.argv:
                table(path, folder)
            else:
                check(path, folder)
        if "--table" not in sys.argv:
            check_group(folder)
    if "--table" not in sys.argv:
        tap.done()


if __name__ == "__main__":
    main()
