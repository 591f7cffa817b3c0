#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""How long an hour of the demo's host takes in virtual time: one JSON line, the median of five."""

import json
import os
import statistics
import subprocess
import time

SCENARIO = os.path.join(os.environ["top_srcdir"], "etc/scenarios/hour.conf")
BALLAST = os.path.join(os.environ["top_builddir"], "ballast")


def run():
    start = time.monotonic()
    subprocess.run([BALLAST, "simulate", SCENARIO], check=True, stdout=subprocess.DEVNULL)
    return time.monotonic() - start


print(json.dumps({"name": "simulate_hour", "domains": 15,
                  "s": round(statistics.median(run() for _ in range(5)), 3)}))
