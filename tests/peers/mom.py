#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""oVirt's MOM with its ballooning rules: below a fifth of free host memory all guests shrink by up
to 5 %, above it all grow by as much. Names in brackets: the files of oVirt/mom.

Not modelled: KSM and the other controllers; a host that swaps its guests out when their sum is too
much, which Xen does not."""

import collections
import sys

sys.dont_write_bytecode = True
from peer import Peer, Tick, free_kib, run

POLICY_MS = 10000        # policy-engine-interval [doc/mom-balloon.conf]
SAMPLE_MS = 5000         # of host and guests [doc/mom-balloon.conf]
SAMPLES = 10             # that an average is taken over [doc/mom-balloon.conf]
PRESSURE = 0.20          # of the host free: less is pressure [doc/balloon.rules]
CRITICAL = 0.05          # less is taken to be critical [balloon.rules]
GUEST_FREE = 0.20        # of its size that a guest should have free [balloon.rules]
MOST_CHANGE = 0.05       # of its size in one go [balloon.rules]
LEAST_CHANGE = 0.0025    # of its size that is worth it [balloon.rules]


def mean(values):
    return sum(values) / len(values)


def shrink(current, used, least, host_free):
    """The size of a guest when the host is short; host_free is a fraction."""
    if host_free <= CRITICAL:
        guest_free = host_free - CRITICAL  # negative: it has to swap
    else:
        guest_free = GUEST_FREE * host_free / PRESSURE
    return min(current, max(current * (1 - MOST_CHANGE), least, used + guest_free * current))


def grow(current, used, most):
    """The size of a guest when the host is not short."""
    return max(current, min(most, max(current * (1 + MOST_CHANGE), used + GUEST_FREE * current)))


class Samples:
    """The last figures of a guest."""

    def __init__(self):
        self.sizes = collections.deque(maxlen=SAMPLES)
        self.unused = collections.deque(maxlen=SAMPLES)

    def used(self):
        return mean(self.sizes) - mean(self.unused)


class Mom(Peer):
    def __init__(self):
        super().__init__()
        self.sample = Tick(SAMPLE_MS)
        self.policy = Tick(POLICY_MS)
        self.host_free = collections.deque(maxlen=SAMPLES)
        self.guests = {}

    def decide(self, now):
        if self.sample.due(now.now_ms):
            self.look(now)
        if self.policy.due(now.now_ms):
            self.move(now)

    def look(self, now):
        """A guest without figures is not dealt with."""
        self.host_free.append(now.host["free_kib"])
        self.guests = {domid: self.guests.get(domid, Samples())
                       for domid, domain in now.domains.items() if free_kib(domain) is not None}
        for domid, samples in self.guests.items():
            samples.sizes.append(now.domains[domid]["actual_kib"])
            samples.unused.append(free_kib(now.domains[domid]))

    def move(self, now):
        host_free = mean(self.host_free) / now.host["total_kib"]
        for domid, samples in self.guests.items():
            domain = now.domains.get(domid)
            if domain is None:
                continue
            current = domain["actual_kib"]
            if host_free < PRESSURE:
                size = shrink(current, samples.used(), domain["min_kib"], host_free)
            else:
                size = grow(current, samples.used(), domain["max_kib"])
            if abs(size - current) > LEAST_CHANGE * current:
                self.targets[domid] = int(size)


if __name__ == "__main__":
    run(Mom())
