#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""The peers' algorithms against cases computed by hand: the computation stands at each."""

import os
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "sim"))
import mom
import peer
import proxmox
import qmemman
import squeezed
from simdaemon import Tap

MIB = 1024

tap = Tap()


def guest(domid, actual, target=None, least=100, most=2000, weight=256, **post):
    """A domain of a round; all sizes in MiB. The post gets figures by their names in the report."""
    target = actual if target is None else target
    return {
        "domid": domid, "shares": True, "weight": weight,
        "actual_kib": int(actual * MIB), "target_kib": int(target * MIB),
        "min_kib": least * MIB, "max_kib": most * MIB,
        "bottom_kib": least * MIB, "top_kib": most * MIB,
        "post": {f"{key}_kib": int(size * MIB) for key, size in post.items()},
    }


def using(domid, actual, used, **more):
    """A guest whose agent says that it uses so much, and half of the rest is free."""
    rest = actual - used
    return guest(domid, actual, total=actual, free=rest / 2, active_file=rest / 4,
                 inactive_file=rest / 4, available=rest, **more)


def message(now_ms, domains, spare=0, total=4000, free=100):
    """A round; spare: what may be given, beyond what is held. All in MiB."""
    held = sum(domain["actual_kib"] for domain in domains)
    return {"now_ms": now_ms, "domains": domains,
            "host": {"share_kib": held + int(spare * MIB), "minimums_fit": True,
                     "total_kib": total * MIB, "free_kib": free * MIB, "reserve_kib": 80 * MIB}}


def wants(system, *round_of):
    """What it wants, in MiB to a tenth."""
    return {domid: round(kib / MIB, 1) for domid, kib in system.wants(message(*round_of)).items()}


class Still(peer.Peer):
    """Sets what it was given, once."""

    def __init__(self, **sizes):
        super().__init__()
        self.sizes = {int(name[1:]): size * MIB for name, size in sizes.items()}

    def decide(self, now):
        self.targets.update(self.sizes)


def check_common():
    tick = peer.Tick(10)
    tap.equal([tick.due(ms) for ms in (3, 12, 13, 14, 35, 42, 43)],
              [True, False, True, False, True, False, True],
              "a tick comes at once, then every so often, and once when many were missed")

    # 300 held, 60 spare. 1 would grow by 100 and 2 by 200: together 240 more than there is. Each
    # loses in proportion to its growth: 80 and 160.
    tap.equal(wants(Still(d1=200, d2=400), 0, [guest(1, 100), guest(2, 200)], 60), {1: 120, 2: 240},
              "what is not there is missing in proportion to growth")
    tap.equal(wants(Still(d1=10, d2=5000), 0, [guest(1, 150), guest(2, 200)], 3000),
              {1: 100, 2: 2000}, "wants keep the bounds")
    # 300 are held and 240 are there, as after the loss of a host's memory. Above their floors are
    # 100 - 50 and 200 - 100: each loses two fifths of it.
    tap.equal(wants(Still(), 0, [guest(1, 100, least=50), guest(2, 200, least=100)], -60),
              {1: 80, 2: 160}, "when that is not enough, all that is above the floors")
    tap.equal(wants(Still(), 0, [guest(1, 100, target=300)], 500), {1: 300},
              "who is on its way keeps its target")

    one = using(1, 800, 400)
    tap.equal(peer.used_kib(one), 400 * MIB, "used is what is neither free nor cache")
    tap.equal(peer.free_kib(one), 200 * MIB, "free is MemFree")
    one = guest(1, 800, total=790, available=300)
    tap.equal((peer.used_kib(one), peer.free_kib(one)), (490 * MIB, 310 * MIB),
              "without those figures, by what is available")
    tap.equal((peer.used_kib(guest(1, 800)), peer.free_kib(guest(1, 800))), (None, None),
              "without posts neither is known")


def check_qmemman_plenty():
    # Preferences: 1.3 * 400 = 520 and 1.3 * 200 = 260; needed over what is held: -280 - 540; so 820
    # are left over, and go by preference: 0.999 * (520 + 2/3 * 820) = 1065.6 and
    # 0.999 * (260 + 1/3 * 820) = 532.8. The donor is first.
    system = qmemman.Qmemman()
    first = [using(1, 800, 400), using(2, 800, 200)]
    tap.equal(wants(system, 0, first), {1: 800, 2: 532.8}, "qmemman: a donor is first to be asked")
    # 150 have come: 265.6 are to be given, so 150 + 50 - 265.6 is less than 0.9 * 50.
    half = [using(1, 800, 400), guest(2, 650, 532.8)]
    tap.equal(wants(system, 100, half, 150), {1: 800, 2: 532.8}, "qmemman: and waited for")
    done = [using(1, 800, 400), guest(2, 532.8)]
    tap.equal(wants(system, 200, done, 267.2), {1: 1065.6, 2: 532.8},
              "qmemman: then the other gets its own")

    # 500 ms later nothing has come: 1 gets what is free (0), and 2 is left out from then on. The
    # next that happens is that 1 uses 40 more: it prefers 572 and has 800, alone: 228 over, of
    # which nobody else has any. 0.999 * (572 + 228) = 799.2: a change of 0.8 is not worth it.
    system = qmemman.Qmemman()
    wants(system, 0, first)
    held = [using(1, 800, 400), guest(2, 800, 532.8)]
    wants(system, 100, held)
    tap.equal(wants(system, 650, held), {1: 800, 2: 532.8}, "qmemman: nothing came to give")
    tap.ok(system.known[2].no_progress and not system.requests,
           "qmemman: who does not move at all is left out")
    wants(system, 700, [using(1, 800, 440), guest(2, 800, 532.8)])
    tap.ok(system.known[2].no_progress, "qmemman: as long as it has more than it prefers")

    # 1 may have 600: the other 1065.6 - 600 = 465.6 go on to 2: 532.8 + 0.999 * 465.6 = 997.9.
    system = qmemman.Qmemman()
    tap.equal(wants(system, 0, [using(1, 600, 400, most=600), using(2, 800, 200)], 200)[2], 997.9,
              "qmemman: what one may not have goes to the others")


def check_qmemman_famine():
    # 1 prefers 1.3 * 200 = 260 and has 500; 2 prefers 780 and has 600, 3 prefers 520 and has 400.
    # In need are 180 + 120 - 240 = 60, and 0 are free: too little. 1 gives 240; 2 gets 0.6 of it, 3
    # the rest: 0.999 * (600 + 144) = 743.3 and 0.999 * (400 + 96) = 495.5.
    system = qmemman.Qmemman()
    guests = [using(1, 500, 200), using(2, 600, 600), using(3, 400, 400)]
    tap.equal(wants(system, 0, guests), {1: 260, 2: 600, 3: 400}, "qmemman: donors give")
    guests[0] = guest(1, 260)
    tap.equal(wants(system, 100, guests, 240), {1: 260, 2: 743.3, 3: 495.5},
              "qmemman: takers by theirs")
    # 1.3 * 200 = 260 is less than the minimum.
    system.wants(message(0, [using(1, 500, 200, least=300)]))
    tap.equal(system.preferred(1), 300 * MIB, "qmemman: nobody prefers less than its minimum")
    # Domain 0 gets 350 more: 1.3 * 200 + 350 = 610.
    system.wants(message(0, [using(0, 500, 200)]))
    tap.equal(system.preferred(0), 610 * MIB, "qmemman: domain 0 prefers more")


def check_qmemman_posts():
    # Small changes are not posted: 25 MiB are 25600 kB, and 30000 are needed; or 15000 when 1.3
    # times the use is above the total: 1.3 * 625 = 812.5 > 800.
    known = qmemman.Known()
    read = qmemman.Qmemman.read_post
    tap.ok(read(known, using(1, 1600, 600)), "qmemman: the first post counts")
    tap.ok(not read(known, using(1, 1600, 625)), "qmemman: 25 MiB more do not")
    tap.ok(read(known, using(1, 800, 625)), "qmemman: but when memory is short")
    tap.ok(not read(known, using(1, 800, 600)) and read(known, using(1, 800, 590)),
           "qmemman: a fall of 35 MiB does")
    tap.ok(not read(qmemman.Known(), guest(1, 800)), "qmemman: no post says nothing")
    swapping = using(1, 800, 700, swap_total=512, swap_free=412)
    read(known, swapping)
    tap.equal(known.used, 800 * MIB, "qmemman: what is swapped out is used")

    # Preferred 520 and 520, held 540 and 500; nobody is short by more than 15 below its wish, and
    # 20 + 20 are less than 150.
    system = qmemman.Qmemman()
    tap.equal(wants(system, 0, [using(1, 540, 400), using(2, 510, 400)]), {1: 540, 2: 510},
              "qmemman: small transfers are not worth it")


def check_squeezed():
    # Freeable: 2 * (256 - 8/1024); the ranges are 768 and 256. 511.98 / 1024 of each: 640.0 - 0.01
    # and 384.0 - 0.01, exactly 655348 and 393212 KiB.
    system = squeezed.Squeezed()
    one, two = guest(1, 512, least=256, most=1024), guest(2, 512, least=256, most=512)
    tap.equal(squeezed.share_out({1: one, 2: two}, 0), {1: 655348, 2: 393212},
              "squeezed: the same part of each range")
    tap.equal(squeezed.share_out({1: one, 2: two}, 2000 * MIB), {1: 1024 * MIB, 2: 512 * MIB},
              "squeezed: not above the maximum")
    tap.equal(wants(system, 0, [one, two]), {1: 512, 2: 384}, "squeezed: first who lets go")
    two = guest(2, 393212 / MIB, least=256, most=512)
    spare = 128 + 4 / MIB
    tap.equal(wants(system, 500, [one, two], spare), {1: 512, 2: 384}, "squeezed: a step lasts 1 s")
    tap.equal(wants(system, 1000, [one, two], spare), {1: 640, 2: 384}, "squeezed: then who gets")
    one = guest(1, 655348 / MIB, least=256, most=1024)
    wants(system, 2000, [one, two], 16 / MIB)
    tap.ok(system.step is None, "squeezed: it is over when all are where they should be")

    # 2 does not move for more than 5 s: it is left out. 1 alone: 512 - 8 KiB in its range.
    system = squeezed.Squeezed()
    one, two = guest(1, 512, least=256, most=1024), guest(2, 512, least=256, most=512)
    for ms in range(0, 6000, 1000):
        tap.equal(wants(system, ms, [one, two]), {1: 512, 2: 384}, f"squeezed: {ms} ms of waiting")
    tap.equal(system.wants(message(6000, [one, two])), {1: 512 * MIB - 8, 2: 393212},
              "squeezed: after 5 s it is left out")


def check_mom():
    tap.equal(mom.shrink(1000, 700, 200, 0.10), 950, "mom: down by 5 % at most")
    # A tenth of the host is free: the guest keeps 0.2 * 0.1 / 0.2 = 0.1 free: 880 + 100.
    tap.equal(mom.shrink(1000, 880, 200, 0.10), 980, "mom: down to use and a part of what is free")
    tap.equal(mom.shrink(1000, 700, 970, 0.10), 970, "mom: not below the minimum")
    # 3 % free are critical: the guest should have 3 % - 5 % = -2 % free: 990 - 20.
    tap.equal(round(mom.shrink(1000, 990, 200, 0.03)), 970, "mom: when critical, less than it uses")
    tap.equal(mom.shrink(1000, 1000, 200, 0.10), 1000, "mom: shrinking never grows")
    tap.equal(mom.grow(1000, 700, 2000), 1050, "mom: up by 5 %")
    tap.equal(mom.grow(1000, 900, 2000), 1100, "mom: or to a fifth free")
    tap.equal(mom.grow(1000, 900, 1020), 1020, "mom: not above the maximum")

    # 400 of 4000 are free. Use is averaged: at 0 ms 800 of 1000, at 5 s 1000 of 1000, so at 10 s,
    # with 1000 again, (800 + 1000 + 1000) / 3 = 933.3; + 0.1 * 1000 is above 1000: it stays.
    system = mom.Mom()
    posts = [guest(1, 1000, total=1000, free=free, available=free) for free in (200, 0, 0)]
    tap.equal(wants(system, 0, posts[:1], 0, 4000, 400), {1: 950}, "mom: it begins at once")
    tap.equal(wants(system, 5000, posts[1:2], 0, 4000, 400), {1: 950}, "mom: at 5 s it only looks")
    held = wants(system, 10000, posts[2:], 0, 4000, 400)
    tap.equal(held, {1: 950}, "mom: what it does not set stays")
    tap.equal(system.guests[1].used() / MIB, 2800 / 3, "mom: use is an average")
    # A quarter is free, 1000 in use of 1000: 1.2 * 1000, and 600 are to be had.
    system = mom.Mom()
    tap.equal(wants(system, 0, [posts[1]], 600, 4000, 1000), {1: 1200}, "mom: growth")
    tap.equal(wants(mom.Mom(), 0, [guest(1, 1000)], 600, 4000, 1000), {1: 1000},
              "mom: who posts nothing is left alone")


def check_proxmox():
    def at(size, free, weight=1000):
        return guest(1, size, least=512, most=2048, weight=weight, total=size, free=free,
                     available=free)

    def sizes(domains, goal):
        found = proxmox.balance(dict(enumerate(domains, 1)), goal * MIB)
        return {domid: kib / MIB for domid, kib in found.items()}

    # Nobody is pressed (free above 0.25 * 512 = 128): above the minimums are 512 + 512, with the
    # goal 1324, so 662 for each: 1174 each, and 100 is the most in one go.
    tap.equal(sizes([at(1024, 200), at(1024, 200)], 300), {1: 1124, 2: 1124}, "proxmox: by 100 MiB")
    tap.equal(sizes([at(1024, 100), at(1024, 200)], 300), {1: 1124}, "proxmox: first the pressed")
    # 40: 512 + 512 + 40 = 1064, a quarter is 266 (778), three are 798 (1310): 100 either way.
    tap.equal(sizes([at(1024, 200, 1000), at(1024, 200, 3000)], 40), {1: 924, 2: 1124},
              "proxmox: by shares, also from one to the other")
    # -200 from the one that is not pressed: it should have 512 - 200 above its minimum, 824, and
    # 100 is the most: 924.
    tap.equal(sizes([at(1024, 200), at(1024, 100)], -200), {1: 924}, "proxmox: the others give")
    # Only the pressed one is above its minimum: 588 + 112 - 100 = 600: 88 + 512.
    tap.equal(sizes([at(512, 200), at(700, 100)], -100), {2: 600}, "proxmox: then the pressed")
    tap.equal(sizes([at(1024, 200)], 10), {}, "proxmox: 10 MiB are nothing to do")

    # 80 % of 4000 are 3200, 3100 are used: 100 may be given, once in ten seconds.
    system = proxmox.Proxmox()
    one = at(1024, 100)
    tap.equal(wants(system, 0, [one], 820, 4000, 900), {1: 1124}, "proxmox: 80 % of the host")
    tap.equal(wants(system, 9000, [at(1124, 100)], 720, 4000, 900), {1: 1124}, "proxmox: in 10 s")
    tap.equal(wants(proxmox.Proxmox(75), 0, [one], 820, 4000, 900), {1: 924},
              "proxmox: or what the option says")
    # (4000 - 80) / 4000 = 98 %: 3920, and 3890 are used; 30 of which the one may have.
    tap.equal(wants(proxmox.Proxmox(None), 0, [one], 30, 4000, 110), {1: 1054},
              "proxmox: or all but the reserve")


check_common()
check_qmemman_plenty()
check_qmemman_famine()
check_qmemman_posts()
check_squeezed()
check_mom()
check_proxmox()
tap.done()
