#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""Guests that misbehave, each attack beside the same scenario with an honest guest in its place: the
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

STEP = 6 * MIB  # sizes move in steps of 4 MiB, and a cap is 1 MiB above its target, twice
RANDOM = 30  # MiB*s of unmet need that two runs differ by when posts come at other times
ROUNDS_S = 20  # a second: what comes within 50 ms is gathered
TOLD_S = 4  # events a second, of four domains

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
        self.share = self.share_of_evil(text)

    def share_of_evil(self, text):
        """By weight, of what the host has for all."""
        sizes = {key: self.size(text, key) for key in ("xen", "dom0")}
        host = self.outcome["host"]
        there = host["memory_kib"] - host["reserve_kib"] - (sizes["xen"] or 24 * MIB) \
            - (sizes["dom0"] or 192 * MIB)
        count = len(self.outcome["domains"])
        bad = sum(domain["name"].startswith("evil") for domain in self.outcome["domains"])
        return there * bad / count

    @staticmethod
    def size(text, key):
        found = re.search(rf'^{key}\s*= "(\d+)M"', text, re.M)
        return int(found.group(1)) * MIB if found else 0

    def faults(self):
        """What is not as it should be, in words."""
        most = max(self.share, self.held_honest, evil(self.outcome, "had_kib")) + STEP
        cost = max(0, self.held - self.held_honest) / MIB * self.seconds + RANDOM
        if self.told:
            yield self.told.strip()
        if self.held > most:
            yield f"the attacker holds {self.held / MIB:.0f} MiB; expected {most / MIB:.0f}"
        if self.unmet > cost:
            yield f"its neighbours miss {self.unmet:.0f} MiB*s more; expected {cost:.0f}"
        if self.rounds_s > ROUNDS_S:
            yield f"{self.rounds_s:.1f} rounds a second"
        if self.told_s > TOLD_S:
            yield f"{self.told_s:.1f} events a second"


def check(path, folder):
    faults = []
    for seed in seeds():
        attack = Attack(path, seed, folder)
        faults += [f"seed {seed}: {fault}" for fault in attack.faults()]
    if not tap.ok(not faults, f"{attack.name} gains nothing and costs little"):
        tap.note("\n".join(faults))


def table(path, folder):
    attack = Attack(path, 1, folder)
    host = attack.outcome["host"]
    print(f"| {attack.name} | {attack.held / MIB:.0f} ({attack.held_honest / MIB:.0f}) "
          f"| {max(0, attack.unmet):.0f} | {attack.rounds_s:.1f} "
          f"({attack.twin['rounds'] / attack.seconds:.1f}) | {host['moves']} "
          f"({attack.twin['host']['moves']}) | {host['told']} ({attack.twin['host']['told']}) "
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
        tap.done()


if __name__ == "__main__":
    main()
