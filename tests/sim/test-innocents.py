#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""Honest domains under ordinary load are not accused: tests/bench/bench-innocents.py for a few hours.
BALLAST_LONG=1: a hundred hours."""

import os
import subprocess
import sys

sys.dont_write_bytecode = True
from simdaemon import SOURCE, Tap

tap = Tap()
hours = "100" if "BALLAST_LONG" in os.environ else "15"
run = subprocess.run([sys.executable, os.path.join(SOURCE, "tests/bench/bench-innocents.py")],
                     capture_output=True, text=True, timeout=3600, check=False,
                     env={**os.environ, "BALLAST_HOURS": hours})
if not tap.ok(run.returncode == 0, f"{hours} hours of ordinary load: nobody is accused wrongly"):
    tap.note(run.stdout + run.stderr)
tap.done()
