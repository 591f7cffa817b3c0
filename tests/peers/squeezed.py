#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""XenServer's squeezed: everybody the same share of the way from its minimum to its maximum,
whatever it does. Names in brackets: the files of xapi-project/xen-api below ocaml/squeezed.

Not modelled: reservations and the toolstack's own calls, but for one at each start and end of a
domain; memory/uncooperative, which has no consequence."""

import sys

sys.dont_write_bytecode = True
from peer import Peer, Tick, clamp, run

INACCURACY = 4           # KiB by which a balloon may miss its target [lib/squeeze.ml]
STUCK_AFTER_MS = 5000    # without progress toward a target [lib/squeeze.ml]
LOOP_MS = 1000           # between two steps of one balancing [lib/squeeze.ml]
POLL_MS = 10000          # balance-check-interval [scripts/squeezed.conf]


def share_out(domains, spare):
    """Target of each domain: the same fraction of its range above the minimum."""
    freeable = sum(max(0, d["actual_kib"] - d["min_kib"] - 2 * INACCURACY)
                   for d in domains.values())
    whole = sum(max(0, d["max_kib"] - d["min_kib"]) for d in domains.values())
    surplus = max(0, spare + freeable)
    fraction = clamp(surplus / whole, 0, 1) if whole > 0 else 0
    return {domid: d["min_kib"] + int(fraction * max(0, d["max_kib"] - d["min_kib"]))
            for domid, d in domains.items()}


def missed(domain, target):
    return abs(domain["actual_kib"] - target) > INACCURACY


class Progress:
    """Of one domain, while one balancing lasts."""

    def __init__(self, actual, now_ms):
        self.actual = actual
        self.moved_ms = now_ms
        self.stuck = False

    def look(self, actual, target, now_ms):
        toward = (actual - self.actual) * (target - actual) > 0
        self.actual = actual
        if toward:
            self.moved_ms = now_ms
            self.stuck = False
        if abs(actual - target) > INACCURACY and now_ms - self.moved_ms > STUCK_AFTER_MS:
            self.stuck = True


class Squeezed(Peer):
    def __init__(self):
        super().__init__()
        self.poll = Tick(POLL_MS)
        self.step = None  # of the balancing under way
        self.progress = {}

    def decide(self, now):
        if (self.poll.due(now.now_ms) or self.came_or_went) and self.step is None:
            self.step = Tick(LOOP_MS)
            self.progress = {}
        if self.step and self.step.due(now.now_ms) and not self.balance(now):
            self.step = None

    def balance(self, now):
        """One step. True while there is more to do."""
        active = self.look(now)
        targets = share_out(active, now.spare_kib())
        freeing = {domid: size for domid, size in targets.items()
                   if missed(active[domid], size) and size < active[domid]["actual_kib"]}
        # Nobody is given anything while somebody still has to let go.
        changes = freeing or targets
        reached = not any(missed(d, self.targets[domid]) for domid, d in active.items())
        if reached and all(self.targets[domid] == size for domid, size in changes.items()):
            return False
        self.targets.update(changes)
        return True

    def look(self, now):
        """The domains that are not stuck. One that becomes so may let go, and takes no more."""
        active = {}
        for domid, domain in now.domains.items():
            actual = domain["actual_kib"]
            progress = self.progress.setdefault(domid, Progress(actual, now.now_ms))
            was_stuck = progress.stuck
            progress.look(actual, self.targets[domid], now.now_ms)
            if not progress.stuck:
                active[domid] = domain
            elif not was_stuck:
                self.targets[domid] = clamp(min(self.targets[domid], actual), domain["min_kib"],
                                            domain["max_kib"])
        return active


if __name__ == "__main__":
    run(Squeezed())
