# SPDX-License-Identifier: ISC
"""What the peers' algorithms have in common as external policies: rounds in, wants out.

Each peer keeps `targets`, the size that it last set for each domain, and answers all of them in
every round; what it sets stays until it sets it anew, as with a daemon of its own. Sizes are KiB
that a domain holds.

The reserve is the host's for everybody: where a peer keeps a fixed amount free, that amount is
taken to be what the scenario keeps free. So all compare at the same reserve."""

import json
import sys

MIB = 1024


class Round:
    """One round as the protocol tells it, with the domains that take part."""

    def __init__(self, message):
        self.now_ms = message["now_ms"]
        self.host = message["host"]
        self.domains = {domain["domid"]: domain for domain in message["domains"]
                        if domain["shares"]}

    def held_kib(self):
        return sum(domain["actual_kib"] for domain in self.domains.values())

    def spare_kib(self):
        """Free and not kept back: less the reserve, and less what caps leave above targets."""
        return self.host["share_kib"] - self.held_kib()


class Tick:
    """Something that is done at the first look, and then every so often."""

    def __init__(self, period_ms):
        self.period_ms = period_ms
        self.next_ms = None

    def due(self, now_ms):
        if self.next_ms is None:
            self.next_ms = now_ms
        if now_ms < self.next_ms:
            return False
        self.next_ms += ((now_ms - self.next_ms) // self.period_ms + 1) * self.period_ms
        return True


class Peer:
    """An algorithm: decide() sets targets."""

    def __init__(self):
        self.targets = {}
        self.came_or_went = False

    def decide(self, now):
        raise NotImplementedError

    def wants(self, message):
        now = Round(message)
        self.came_or_went = now.domains.keys() != self.targets.keys()
        self.targets = {domid: self.targets.get(domid, started_with_kib(domain))
                        for domid, domain in now.domains.items()}
        self.decide(now)
        return fit(now, self.targets)


def started_with_kib(domain):
    """What a domain has before anybody set a target: what it holds, or is on its way to."""
    if abs(domain["actual_kib"] - domain["target_kib"]) < 4 * MIB:
        return domain["actual_kib"]
    return domain["target_kib"]


def clamp(value, least, most):
    return max(least, min(value, most))


def cut(wants, rooms, excess_kib):
    """Takes excess_kib off the wants in proportion to the rooms, all of them if that is too little.
    Returns what could not be taken."""
    there = sum(rooms.values())
    share = min(excess_kib, there)
    for domid, room in rooms.items():
        if room > 0:
            wants[domid] -= min(room, -(-share * room // there))
    return excess_kib - share


def fit(now, targets):
    """The targets as wants that the protocol takes: in the bounds of each domain, and together no
    more than there is. Where a system does not mind the sum itself, its hypervisor does: those that
    grow get in proportion to what they should grow by."""
    fits = now.host["minimums_fit"]
    floors = {domid: domain["bottom_kib"] if fits else 0 for domid, domain in now.domains.items()}
    wants = {domid: clamp(int(targets[domid]), floors[domid], domain["top_kib"])
             for domid, domain in now.domains.items()}
    excess = sum(wants.values()) - now.host["share_kib"]
    if excess > 0:
        growths = {domid: max(0, want - max(floors[domid], now.domains[domid]["actual_kib"]))
                   for domid, want in wants.items()}
        excess = cut(wants, growths, excess)
    if excess > 0:
        cut(wants, {domid: want - floors[domid] for domid, want in wants.items()}, excess)
    return wants


def used_kib(domain):
    """MemTotal - MemFree - Buffers - Cached, as far as the domain's agent says, or None."""
    post = domain["post"]
    total = post.get("total_kib")
    if total is None:
        return domain.get("used_kib")
    if "free_kib" not in post or "active_file_kib" not in post or "inactive_file_kib" not in post:
        return total - post["available_kib"]
    droppable = post["free_kib"] + post["active_file_kib"] + post["inactive_file_kib"]
    return max(0, total - droppable)


def swapped_kib(domain):
    post = domain["post"]
    return post.get("swap_total_kib", 0) - post.get("swap_free_kib", 0)


def free_kib(domain):
    """MemFree; for agents that do not post it, all that is not used; or None."""
    post = domain["post"]
    if "free_kib" in post:
        return post["free_kib"]
    used = used_kib(domain)
    return None if used is None else max(0, domain["actual_kib"] - used)


def run(peer):
    """Answers rounds until there are no more."""
    for line in sys.stdin:
        wants = peer.wants(json.loads(line))
        print(json.dumps({"wants": wants, "paced": False}), flush=True)
