#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""A policy for ballast, to begin one's own with: first every domain gets what it needs, then a third
more; where memory is short, domains have it by weight.

    policy = "external:/usr/share/ballast/policies/example.py"

It is told of each round in a line of JSON and answers with a line of JSON: see external.md. To try it
without a host:

    ballast simulate --policy external:etc/policies/example.py etc/scenarios/demo.conf

Sizes are KiB. What it prints to standard error goes where the daemon's own log goes.
"""

import json
import sys


def share_out(domains, floor, ceiling, there):
    """What each has, by domid: from its floor to its ceiling, in sum at most `there`. Between the two
    it has the same size for each unit of its weight as the others: the level, which is searched."""
    def at(level):
        return {d["domid"]: max(floor[d["domid"]],
                                min(ceiling[d["domid"]], int(level * d["weight"])))
                for d in domains}

    if sum(ceiling.values()) <= there:
        return ceiling
    low, high = 0, max(ceiling.values())
    for _ in range(60):
        level = (low + high) / 2
        if sum(at(level).values()) <= there:
            low = level
        else:
            high = level
    return at(low)


def decide(told):
    """The wants of one round, by domid. A domain that is left out keeps what it holds."""
    host = told["host"]
    # Those that are not there to be moved (paused, half built, unhelpful) do not share.
    domains = [d for d in told["domains"] if d["shares"]]
    if not domains or not host["minimums_fit"]:
        return {}

    # What must be kept whatever the policy thinks: each domain from its bottom to its top, and all of
    # them together within share_kib. An answer that does not is not followed at all.
    def within(d, kib):
        return max(d["bottom_kib"], min(d["top_kib"], int(kib)))

    bottom = {d["domid"]: d["bottom_kib"] for d in domains}
    need = {d["domid"]: within(d, d["need_kib"]) for d in domains}
    more = {d["domid"]: within(d, d["need_kib"] * 4 / 3) for d in domains}

    has = share_out(domains, bottom, need, host["share_kib"])
    return share_out(domains, has, more, host["share_kib"])


def main():
    for line in sys.stdin:
        json.dump({"wants": decide(json.loads(line))}, sys.stdout)
        # One line for each line, and at once: it must not wait in a buffer.
        sys.stdout.write("\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
