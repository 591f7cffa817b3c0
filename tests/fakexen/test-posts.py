#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""Posts in every dialect arrive; what is no post counts as none, is told once, and harms nobody."""

import sys

sys.dont_write_bytecode = True
from fakehost import MIB, FakeHostError, Host, Tap, stores, wait_for

SIZE = 256 * MIB
LIMIT = 512 * MIB
HOST_MIB = 32768  # domains start without reservations: all may have their limit
CONFIG = """
reserve  = "64M"
interval = "100ms"
gather   = "10ms"
grace    = "0s"
defaults = "weight=256, min=96M"
"""
STATS = "data/ballast/stats"
GOOD = f"v=1 seq=1 total_kib={200 * MIB} available_kib={100 * MIB}"

# Of our own dialect. None of them may be taken for a post.
RUBBISH = {
    "no words": "",
    "one blank": "\\x20",
    "words": "lorem ipsum dolor",
    "zeros": "\\x00\\x00\\x00\\x00",
    "bytes": "\\xff\\xfe\\x80=\\x01 v=\\xc3\\x28",
    "a format": "v=%n seq=%s total_kib=%x available_kib=%d",
    "another version": GOOD.replace("v=1", "v=2"),
    "no version": GOOD.replace("v=1 ", ""),
    "no total": f"v=1 seq=1 available_kib={100 * MIB}",
    "no available": f"v=1 seq=1 total_kib={200 * MIB}",
    "negative": GOOD.replace(f"{100 * MIB}", f"-{100 * MIB}"),
    "wrapped to 2^64 - 1": GOOD.replace(f"{100 * MIB}", f"{2**64 - 1}"),
    "2^64 and a bit": GOOD.replace(f"{100 * MIB}", f"{2**64 + 100 * MIB}"),
    "forty digits": GOOD.replace(f"{100 * MIB}", "9" * 40),
    "hexadecimal": GOOD.replace(f"{100 * MIB}", "0x100"),
    "a fraction": GOOD.replace(f"{100 * MIB}", "1.5"),
    "an exponent": GOOD.replace(f"{100 * MIB}", "1e5"),
    "a plus": GOOD.replace(f"{100 * MIB}", "+5"),
    "a unit": GOOD.replace(f"{100 * MIB}", "100MiB"),
    "a key twice": GOOD + " total_kib=5",
    "available above total": f"v=1 seq=1 total_kib={100 * MIB} available_kib={200 * MIB}",
    "total far above what it holds": f"v=1 seq=1 total_kib={64 * 1024 * MIB} available_kib=0",
    "all that the store takes": "v=1 " + "x" * 1900,
    "cut off": GOOD[:-8].rstrip("0123456789"),
}

# Of the other dialects: nodes and values.
OTHERS = {
    "XenServer, words": {"data/meminfo_total": "many", "data/meminfo_free": "few"},
    "XenServer, negative": {"data/meminfo_total": str(200 * MIB), "data/meminfo_free": "-1"},
    "XenServer, free above total": {"data/meminfo_total": "1000", "data/meminfo_free": "2000"},
    "XenServer, huge": {"data/meminfo_total": "9" * 30, "data/meminfo_free": "9" * 30},
    "XenServer, above what it holds": {"data/meminfo_total": str(900 * MIB),
                                       "data/meminfo_free": "0"},
    "Qubes, words": {"memory/meminfo": "MemTotal: 1"},
    "Qubes, negative": {"memory/meminfo": "-5"},
    "Qubes, wrapped": {"memory/meminfo": str(2**64 - 4096)},
    "self-balloon, words": {"memory/selftarget": "more"},
    "self-balloon, negative": {"memory/selftarget": "-4096"},
    "self-balloon, huge": {"memory/selftarget": "9" * 25},
}
SILENT = 1 # says nothing at all: what the rubbish is compared with
FIRST = 100

tap = Tap()


def check_dialects(host, store):
    dialects = ("ballast", "xenserver", "qubes", "selfballoon")
    for domid, dialect in enumerate(dialects, 2):
        host.play(f"set {domid} dialect={dialect} need={150 * MIB} beat=500")
        host.play(f"post {domid}")
    shown = wait_for(lambda: all(host.row(domid, "dialect") == dialect
                                 for domid, dialect in enumerate(dialects, 2)))
    if not tap.ok(shown, f"{store}: every dialect is recognised"):
        tap.note({domid: host.row(domid, "dialect") for domid in range(2, 6)})
    for domid, dialect in enumerate(dialects, 2):
        low = wait_for(lambda d=domid: 140 * MIB <= host.row(d, "need_kib") < SIZE + 32 * MIB)
        if not tap.ok(low, f"{store}: {dialect}: the need is near what was posted"):
            tap.note(host.shown()[domid])
        host.needs(domid, 330 * MIB)
        high = wait_for(lambda d=domid: host.domains()[d][0] >= 330 * MIB, 30)
        if not tap.ok(high, f"{store}: {dialect}: who needs 330 MiB gets it"):
            tap.note(host.shown()[domid])
    host.play("write 5 memory/selfballoon 0")
    tap.ok(wait_for(lambda: host.row(5, "dialect") == "none"),
           f"{store}: selfballoon: what a guest posted before that was switched off is no post")
    host.play("write 5 memory/selfballoon 1")
    tap.ok(wait_for(lambda: host.row(5, "dialect") == "selfballoon"),
           f"{store}: selfballoon: switched on, it is again")


def is_no_post(host, domid):
    """It is treated as the domain that says nothing is."""
    rows = host.shown()
    row, silent = rows.get(domid), rows[SILENT]
    return row and row["dialect"] == "none" and abs(row["need_kib"] - silent["need_kib"]) <= MIB


def seen_again(host):
    """Two whole rounds later, whatever was written before has been looked at."""
    rounds = host.status()["rounds"]
    return wait_for(lambda: host.status()["rounds"] >= rounds + 3)


def check_rubbish(host, store):
    cases = {**{text: {STATS: value} for text, value in RUBBISH.items()}, **OTHERS}
    for domid, nodes in enumerate(cases.values(), FIRST):
        host.play(f"create {domid} pv {SIZE} {LIMIT}")
        for node, value in nodes.items():
            if node.startswith("memory/"):
                host.play(f"permit {domid} {node}")
            host.play(f"write {domid} {node} {value}")
    tap.ok(seen_again(host), f"{store}: {len(cases)} kinds of rubbish are posted")
    for domid, text in enumerate(cases, FIRST):
        if not tap.ok(is_no_post(host, domid), f"{store}: no post: {text}"):
            tap.note(host.shown().get(domid))
    for domid in range(FIRST, FIRST + len(cases)):
        host.play(f"destroy {domid}")
    host.up(tap, f"{store}, rubbish")


def check_repeated(host, store):
    """A domain that posted well and then posts rubbish, again and again, and then well."""
    host.play(f"create 50 pv {SIZE} {LIMIT} name=scribe")
    host.play(f"write 50 {STATS} {GOOD}")
    tap.ok(wait_for(lambda: host.row(50, "dialect") == "ballast"), f"{store}: a good post")
    lines = len(host.log(100000).splitlines())
    for i in range(20):
        host.play(f"write 50 {STATS} rubbish {i}")
        seen_again(host)
    told = host.log(100000).splitlines()[lines:]
    told = [line for line in told if "scribe" in line or " 50" in line]
    tap.ok(len(told) <= 3, f"{store}: rubbish posted 20 times is told at most once or twice")
    if len(told) > 3:
        tap.note("\n".join(told))
    host.play(f"write 50 {STATS} {GOOD.replace('seq=1', 'seq=99')}")
    tap.ok(wait_for(lambda: host.row(50, "post_age_ms") is not None
                    and host.row(50, "post_age_ms") < 2000),
           f"{store}: and the next good post is taken")
    age = host.row(50, "post_age_ms")
    tap.ok(wait_for(lambda: host.row(50, "post_age_ms") > age + 500),
           f"{store}: a post that is not renewed grows old")
    host.play("destroy 50")


def check_flood(host, store):
    """One domain that posts without end costs the others nothing."""
    for i in range(2000):
        host.play(f"write {SILENT} data/noise {i}")
        if i % 4 == 0:
            host.play(f"write {SILENT} {STATS} {GOOD.replace('seq=1', f'seq={i + 1}')}")
    host.needs(2, 200 * MIB)
    told = [event["data"]["domid"] for event in host.execute("query-events")
            if event["event"] == "FLOOD"]
    tap.ok(told == [SILENT], f"{store}: a flood is told, once: {told}")
    wait_for(lambda: host.row(2, "need_kib") < 300 * MIB)
    host.needs(2, 400 * MIB)
    tap.ok(wait_for(lambda: host.domains()[2][0] >= 400 * MIB),
           f"{store}: beside a flood, others are served")
    host.up(tap, f"{store}, flood")


for name in stores():
    try:
        with Host(name, HOST_MIB) as fake_host:
            for number in range(1, 6):
                fake_host.play(f"create {number} pv {SIZE} {LIMIT}")
            fake_host.play(f"promise {64 * MIB}")
            fake_host.start_daemon(CONFIG)
            check_dialects(fake_host, name)
            check_repeated(fake_host, name)
            check_rubbish(fake_host, name)
            check_flood(fake_host, name)
            fake_host.kept(tap, name)
            tap.ok(fake_host.stop_daemon() == 0, f"{name}: it ends well")
    except FakeHostError as error:
        tap.ok(False, f"{name}: {error}")
tap.done()
