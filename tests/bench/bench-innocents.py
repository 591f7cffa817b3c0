#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""How often honest domains are accused: hours of ordinary load, each with a seed of its own. One JSON
line for each scenario and one for all. Exits with 1 above what is allowed: no domain is ever called
malicious, at most one in a hundred domain-hours unhelpful, and all are forgiven by the end.

BALLAST_HOURS: how many, over all scenarios: 200 unless it is said, which takes two minutes of two
CPUs; docs/attacks.md tells of 1000. As a test of `make check` a few do."""

import concurrent.futures
import glob
import json
import os
import subprocess
import sys

BUILD = os.environ.get("top_builddir", os.getcwd())
SOURCE = os.environ.get("top_srcdir", os.path.join(os.path.dirname(os.path.abspath(__file__)),
                                                   "../.."))
HOURS = int(os.environ.get("BALLAST_HOURS", "200"))
DOMAIN_HOURS_EACH = 100  # for one accusation of being unhelpful
FIGURES = ("accused_unhelpful", "accused_malicious", "accused_ms", "unforgiven", "promise_broken")


def simulate(job):
    path, seed = job
    run = subprocess.run([os.path.join(BUILD, "ballast"), "simulate", path, "--json", "--seed",
                          str(seed)], capture_output=True, text=True, timeout=600, check=False)
    outcome = json.loads(run.stdout)
    worst = max((domain["accused_ms"] for domain in outcome["domains"]), default=0)
    return {**{key: outcome["host"][key] for key in FIGURES}, "worst_ms": worst,
            "domain_hours": len(outcome["domains"]) * outcome["length_ms"] / 3600000,
            "seeds": [seed] if outcome["host"]["accused_unhelpful"]
            + outcome["host"]["accused_malicious"] else []}


def add(name, results):
    line = {"name": "innocents", "scenario": name, "hours": len(results),
            "domain_hours": round(sum(result["domain_hours"] for result in results))}
    for key in FIGURES:
        line[key] = sum(result[key] for result in results)
    line["worst_ms"] = max(result["worst_ms"] for result in results)
    line["seeds"] = sum((result["seeds"] for result in results), [])[:10]
    print(json.dumps(line), flush=True)
    return line


def main():
    scenarios = sorted(glob.glob(os.path.join(SOURCE, "tests/scenarios/innocents/*.conf")))
    every = []
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        for path in scenarios:
            jobs = [(path, seed) for seed in range(1, HOURS // len(scenarios) + 1)]
            results = list(pool.map(simulate, jobs))
            add(os.path.basename(path).removesuffix(".conf"), results)
            every += results
    line = add("all", every)
    good = (line["accused_malicious"] == 0 and line["unforgiven"] == 0
            and line["promise_broken"] == 0
            and line["accused_unhelpful"] * DOMAIN_HOURS_EACH <= line["domain_hours"])
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
