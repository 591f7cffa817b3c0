#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""Proxmox VE's automatic ballooning: so much is given or taken that four fifths of the host are
used, by shares, those under pressure first. Names in brackets: the files of proxmox/pve-manager.

Not modelled: guests that are locked or opted out; a host that swaps."""

import argparse
import sys

sys.dont_write_bytecode = True
from peer import MIB, Peer, Tick, clamp, free_kib, run

PERIOD_MS = 10000        # between two updates [PVE/Service/pvestatd.pm]
TARGET_PERCENT = 80      # of the host to be used: the default of an option [PVE/NodeConfig.pm]
LEAST_GOAL = 10 * MIB    # nothing is done about less [PVE/AutoBalloon.pm]
STEP = 100 * MIB         # at most for a guest and an update [PVE/Service/pvestatd.pm]
PRESSED = 0.25           # of its minimum: a guest with less free is under pressure [AutoBalloon.pm]


def pressed(domain):
    least = domain["min_kib"]
    return (free_kib(domain) or 0) <= PRESSED * least or domain["actual_kib"] < least


def change(sizes, domains, goal):
    """Moves these domains toward their shares of what they have above their minimums and of the
    goal; writes what changes into sizes. Returns what is left of the goal."""
    left = goal
    moving = list(domains)
    progress = True
    while left and moving and progress:
        above = sum(sizes.get(i, domains[i]["actual_kib"]) - domains[i]["min_kib"] for i in moving)
        weights = sum(domains[i]["weight"] for i in moving)
        allotted = above + left
        progress = False
        for domid in list(moving):
            domain = domains[domid]
            held = domain["actual_kib"]
            part = int(allotted / weights * domain["weight"])
            wish = clamp(domain["min_kib"] + part, domain["min_kib"], domain["max_kib"])
            if wish == held or wish > held and goal < 0:
                moving.remove(domid)
                continue
            size = clamp(wish, held - STEP, held + STEP)
            moved = size - sizes.get(domid, held)
            progress |= moved != 0
            left -= moved
            sizes[domid] = size
    return left


def balance(domains, goal):
    """New sizes of those that change. When the first to be asked cannot move, all are."""
    sizes = {}
    if abs(goal) <= LEAST_GOAL:
        return sizes
    first = {i: d for i, d in domains.items() if pressed(d) == (goal > 0)}
    left = change(sizes, first, goal)
    if left >= goal > 0 or left <= goal < 0:
        change(sizes, domains, left)
    return sizes


class Proxmox(Peer):
    """percent: of the host to be used, or None for all but the reserve."""

    def __init__(self, percent=TARGET_PERCENT):
        super().__init__()
        self.update = Tick(PERIOD_MS)
        self.percent = percent

    def decide(self, now):
        if not self.update.due(now.now_ms):
            return
        total = now.host["total_kib"]
        percent = self.percent or (total - now.host["reserve_kib"]) * 100 // total
        goal = total * percent // 100 - (total - now.host["free_kib"])
        self.targets.update(balance(now.domains, goal))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--full", action="store_true", help="use all of the host but the reserve")
    run(Proxmox(None if parser.parse_args().full else TARGET_PERCENT))
