#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""Qubes OS' qmemman: memory in proportion to 1.3 times what each domain uses, moved when a domain
says that its use changed. Names in brackets: the files of QubesOS/qubes-core-admin and, for the
guest's side, QubesOS/qubes-linux-utils.

A domain's minimum stands for vm-min-mem (an option, 200 MiB for all [qubes/qmemman/algo.py]), and
its maximum for static-max, so that it is not asked for what the guard refuses.

Not modelled: balancing stands still while a domain is started, and may fail the start."""

import sys

sys.dont_write_bytecode = True
from peer import MIB, Peer, run, swapped_kib, used_kib

CACHE_FACTOR = 1.3           # cache-margin-factor [algo.py]
DOM0_MEM_BOOST = 350 * MIB   # dom0-mem-boost [algo.py]
ROUNDING = 0.999             # so that rounding hands out no more than there is [algo.py]
LEAST_DONATION = 10 * MIB    # above its preference, or a donor is left alone [algo.py]
FREE_LEFT = 50 * MIB         # kept free [qubes/qmemman/systemstate.py]
FREE_MARGIN = 0.9            # of that must stay, for a gift to be made [systemstate.py]
LEAST_TRANSFER = 150 * MIB   # less in all is not worth a round [systemstate.py]
LEAST_RISE = 15 * MIB        # but for a domain below its preference [systemstate.py]
WAIT_MS = 500                # five looks of 0.1 s at the donors, for each gift [systemstate.py]
POST_STEP = 30000            # kB that use must change by to be posted [qmemman/meminfo-writer.c]
POST_RISE_STEP = 15000       # the same on a rise, when memory runs short [meminfo-writer.c]


class Known:
    """What qmemman remembers of a domain."""

    def __init__(self):
        self.used = None  # as last posted
        self.no_progress = False
        self.current = 0  # held
        self.actual = 0   # what it holds or may take
        self.before = 0   # actual when the transfer began
        self.least = 0
        self.most = 0


class Qmemman(Peer):
    def __init__(self):
        super().__init__()
        self.known = {}
        self.requests = []  # of the transfer under way: (domid, size), donors first
        self.done = []
        self.give_up_ms = None
        self.stirred = False

    def decide(self, now):
        self.known = {domid: self.known.get(domid, Known()) for domid in now.domains}
        self.requests = [request for request in self.requests if request[0] in now.domains]
        self.done = [request for request in self.done if request[0] in now.domains]
        self.stirred |= self.came_or_went
        for domid, domain in now.domains.items():
            self.stirred |= self.read_post(self.known[domid], domain)
        self.refresh(now)
        self.go_on(now)
        if self.stirred and not self.requests:
            self.stirred = False
            self.balance(now)

    @staticmethod
    def read_post(known, domain):
        """The guest's side posts when its use has changed by enough. True when it did."""
        used = used_kib(domain)
        if used is None:
            return False
        used += swapped_kib(domain)
        change = used - (known.used or 0)
        total = domain["post"].get("total_kib", domain["actual_kib"])
        short = change > POST_RISE_STEP and used * CACHE_FACTOR > total
        if known.used is not None and abs(change) <= POST_STEP and not short:
            return False
        known.used = used
        return True

    def refresh(self, now):
        for domid, domain in now.domains.items():
            known = self.known[domid]
            known.current = domain["actual_kib"]
            known.actual = max(known.current, self.targets[domid])
            known.least = domain["min_kib"]
            known.most = domain["max_kib"]

    def free(self, now):
        """Free and not promised; the host's reserve stands for the 50 MiB."""
        promised = sum(max(0, self.targets[domid] - known.current)
                       for domid, known in self.known.items())
        return now.spare_kib() + FREE_LEFT - promised

    def preferred(self, domid):
        known = self.known[domid]
        wish = known.used * CACHE_FACTOR
        if domid == 0:
            return int(min(wish + DOM0_MEM_BOOST, known.most))
        return int(max(min(wish, known.most), known.least))

    def balance(self, now):
        """Decides on a transfer, and begins it if it is worth it."""
        for domid, known in self.known.items():
            if known.used is not None and (
                    known.actual <= self.targets[domid] + FREE_LEFT / 2
                    or known.actual < self.preferred(domid)):
                known.no_progress = False
        takers = [domid for domid, known in self.known.items()
                  if known.used is not None and not known.no_progress]
        spare = self.free(now) - FREE_LEFT
        surplus = spare - sum(self.preferred(d) - self.known[d].actual for d in takers)
        requests = self.plenty(takers, surplus) if surplus > 0 else self.famine(takers, spare)
        if not self.worth_it(requests, spare):
            return
        for known in self.known.values():
            known.before = known.actual
        self.requests, self.done, self.give_up_ms = requests, [], None
        self.go_on(now)

    def plenty(self, takers, surplus):
        """Everybody's preference, and the surplus in proportion to it. What some cannot take goes
        to the others in equal parts."""
        whole = sum(self.preferred(domid) for domid in takers)
        sizes = {}
        left = 0
        for domid in takers:
            wish = self.preferred(domid)
            size = int(ROUNDING * (wish + wish / whole * surplus))
            sizes[domid] = min(size, self.known[domid].most)
            left += size - sizes[domid]
        growing = [d for d in takers if sizes[d] < self.known[d].most]
        while left > 0 and growing:
            part = int(ROUNDING * left / len(growing))
            left = 0
            for domid in growing:
                size = min(sizes[domid] + part, self.known[domid].most)
                left += sizes[domid] + part - size
                sizes[domid] = size
            growing = [d for d in growing if sizes[d] < self.known[d].most]
        return sorted(sizes.items(), key=lambda item: item[1] >= self.known[item[0]].actual)

    def famine(self, takers, spare):
        """Who has more than its preference goes down to it; the others share that."""
        donors = [d for d in takers if self.preferred(d) < self.known[d].actual
                  or self.known[d].actual >= self.known[d].most]
        short = [d for d in takers if d not in donors]
        whole = sum(self.preferred(domid) for domid in short)
        requests = []
        for domid in donors:
            donation = self.known[domid].actual - self.preferred(domid)
            if donation >= LEAST_DONATION:
                spare += donation
                requests.append((domid, self.preferred(domid)))
        if spare < 0:
            return requests
        for domid in short:
            size = self.known[domid].actual + self.preferred(domid) / whole * spare
            requests.append((domid, min(int(ROUNDING * size), self.known[domid].most)))
        return requests

    def worth_it(self, requests, spare):
        if -spare > LEAST_RISE:
            return True
        for domid, size in requests:
            if (self.targets[domid] < self.preferred(domid)
                    and size - self.targets[domid] > LEAST_RISE):
                return True
        moved = sum(abs(size - self.targets[domid]) for domid, size in requests)
        return moved + abs(spare) > LEAST_TRANSFER

    def go_on(self, now):
        """Each in turn, as soon as its memory is free; when that takes too long, what is there is
        given to the one whose turn it is, and the transfer is over."""
        while self.requests:
            domid, size = self.requests[0]
            known = self.known[domid]
            if self.free(now) - (size - known.actual) < FREE_MARGIN * FREE_LEFT:
                if self.give_up_ms is None:
                    self.give_up_ms = now.now_ms + WAIT_MS
                if now.now_ms < self.give_up_ms:
                    return
                self.find_stuck()
                size = self.free(now) + known.actual - FREE_LEFT
                self.requests = [self.requests[0]]
            self.targets[domid] = size
            self.give_up_ms = None
            self.done.append(self.requests.pop(0))

    def find_stuck(self):
        for domid, _ in self.done:
            known = self.known[domid]
            if (known.actual > self.targets[domid] + FREE_LEFT / 4
                    and known.before == known.actual):
                known.no_progress = True


if __name__ == "__main__":
    run(Qmemman())
