#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""Our policies and other systems' algorithms (tests/peers) over the scenarios, one after another.
Prints a JSON line for each run, then tables; tells its progress on standard error."""

import argparse
import fnmatch
import glob
import json
import math
import os
import statistics
import subprocess
import sys
import time

SOURCE = os.path.abspath(os.environ.get("top_srcdir",
                                        os.path.join(os.path.dirname(__file__), "..", "..")))
BALLAST = os.path.join(os.path.abspath(os.environ.get("top_builddir", os.getcwd())), "ballast")
FOLDERS = ["tests/scenarios", "etc/scenarios"]

# From the root of the source, where the simulations run.
POLICIES = {
    "weighted": "weighted",
    "proportional": "proportional",
    "static": "static",
    "qmemman": "external:tests/peers/qmemman.py",
    "squeezed": "external:tests/peers/squeezed.py",
    "mom": "external:tests/peers/mom.py",
    "proxmox": "external:tests/peers/proxmox.py",
    # With its option set to what leaves only the reserve free.
    "proxmox-full": "external:tests/peers/proxmox.py --full",
}
OURS = "weighted"
PEERS = ["qmemman", "squeezed", "mom", "proxmox", "proxmox-full"]

FIGURES = ["unmet_mib_s", "bound_mib_s", "reach_mib_s", "unmet_weighted_mib_s",
           "bound_weighted_mib_s", "reach_weighted_mib_s", "moved_mib", "reach_moved_mib", "moves",
           "idle_mib", "serve_ms_p50", "serve_ms_p99", "reach_serve_ms_p50", "rise_ms_p50",
           "reach_rise_ms_p50", "stall_pct", "jain", "promise_broken"]

# A run that takes longer is left out, and told of.
PATIENCE_S = 600

# Where everything that is needed can be had at once the clairvoyants miss nothing, and nothing cannot
# be divided by; so 1 MiB for 1 s is added to both sides, less than what a scenario's noise gives.
LITTLE = 1.0


def scenarios(pattern):
    paths = [path for folder in FOLDERS
             for path in sorted(glob.glob(os.path.join(SOURCE, folder, "*.conf")))]
    return {name: path for name, path in ((os.path.basename(path)[:-5], path) for path in paths)
            if fnmatch.fnmatch(name, pattern)}


def run(path, policy, seed):
    """The host's figures, or None. A peer may break a scenario's limits: they are ours."""
    command = [BALLAST, "simulate", path, "--json", "--seed", str(seed),
               "--policy", POLICIES[policy]]
    try:
        done = subprocess.run(command, cwd=SOURCE, capture_output=True, text=True,
                              timeout=PATIENCE_S, check=False)
    except subprocess.TimeoutExpired:
        print(f"{path}: {policy} took more than {PATIENCE_S} s", file=sys.stderr)
        return None
    # Rounds that a program did not decide were decided by ours: its figures would not be its own.
    if not done.stdout or "did not decide" in done.stderr:
        print(f"{path}: {policy}: {done.stderr.strip()}", file=sys.stderr)
        return None
    return json.loads(done.stdout)["host"]


def run_all(options):
    """A row for each run that went well; each is printed as it comes."""
    rows = []
    jobs = [(name, path, policy) for name, path in scenarios(options.scenario).items()
            for policy in POLICIES if fnmatch.fnmatch(policy, options.policy)]
    for number, (name, path, policy) in enumerate(jobs, 1):
        start = time.monotonic()
        host = run(path, policy, options.seed)
        print(f"{number}/{len(jobs)} {name} {policy}: {time.monotonic() - start:.1f} s",
              file=sys.stderr, flush=True)
        if host is None:
            continue
        row = {"scenario": name, "policy": policy, **{key: host[key] for key in FIGURES}}
        print(json.dumps(row), flush=True)
        rows.append(row)
    return rows


class Results:
    """Rows by scenario and policy."""

    def __init__(self, rows):
        self.rows = {(row["scenario"], row["policy"]): row for row in rows}
        self.scenarios = list(dict.fromkeys(row["scenario"] for row in rows))
        ran = {row["policy"] for row in rows}
        self.policies = [policy for policy in POLICIES if policy in ran]

    def get(self, scenario, policy, figure):
        row = self.rows.get((scenario, policy))
        return None if row is None else row[figure]

    def ideal(self, scenario, figure):
        """A figure of the scenario: the same whatever the policy."""
        return next(row[figure] for (name, _), row in self.rows.items() if name == scenario)

    def pairs(self, policy, figure, ideal):
        """(scenario, figure, ideal) of every scenario that the policy ran."""
        return [(name, self.get(name, policy, figure), self.ideal(name, ideal))
                for name in self.scenarios if self.get(name, policy, figure) is not None]

    def best_peer(self, scenario):
        """(unmet, name) of the peer that leaves the least need unmet there, or None."""
        return min(((self.get(scenario, peer, "unmet_weighted_mib_s"), peer) for peer in PEERS
                    if (scenario, peer) in self.rows), default=None)


def table(head, rows):
    """Columns of the same width, as text and as Markdown."""
    rows = [head] + [[cell if isinstance(cell, str) else show(cell) for cell in row]
                     for row in rows]
    widths = [max(len(row[i]) for row in rows) for i in range(len(head))]
    lines = ["| " + " | ".join(cell.ljust(width) if i == 0 else cell.rjust(width)
                               for i, (cell, width) in enumerate(zip(row, widths))) + " |"
             for row in rows]
    rule = "| " + " | ".join("-" * width if i == 0 else "-" * (width - 1) + ":"
                             for i, width in enumerate(widths)) + " |"
    print("\n".join([lines[0], rule] + lines[1:]))


def show(number):
    if number is None:
        return "-"
    return f"{number:.0f}" if abs(number) >= 100 else f"{number:.3g}"


def geometric_mean(ratios):
    return math.exp(statistics.fmean(map(math.log, ratios))) if ratios else None


def print_figure(results, title, figure, ideals):
    """Scenarios down, policies across; ideals: headings and figures that no policy decides."""
    print(f"\n### {title}\n")
    table(["scenario"] + results.policies + list(ideals),
          [[name] + [results.get(name, policy, figure) for policy in results.policies]
           + [results.ideal(name, ideal) for ideal in ideals.values()]
           for name in results.scenarios])


def print_tables(results):
    weighted = "unmet_weighted_mib_s"
    print_figure(results, "Need unmet, weighted (MiB*s)", weighted,
                 {"reach": "reach_weighted_mib_s", "bound": "bound_weighted_mib_s"})
    print_figure(results, "Need unmet (MiB*s)", "unmet_mib_s",
                 {"reach": "reach_mib_s", "bound": "bound_mib_s"})
    print_figure(results, "Time from the begin of a rise until it is served, median (ms)",
                 "rise_ms_p50", {"reach": "reach_rise_ms_p50"})
    print_figure(results, "Time in it that was spent short, median (ms)", "serve_ms_p50",
                 {"reach": "reach_serve_ms_p50"})
    print_figure(results, "The same, 99th percentile (ms)", "serve_ms_p99", {})
    print_figure(results, "Memory moved (MiB)", "moved_mib", {"reach": "reach_moved_mib"})
    print_figure(results, "Stall of the worst domain (%)", "stall_pct", {})
    print_figure(results, "Held and not needed (MiB)", "idle_mib", {})
    print_figure(results, "Fairness (Jain's index of need met per weight)", "jain", {})


def print_summary(results):
    """One line a policy, over all scenarios that it ran."""
    print("\n### Over all scenarios\n")
    rows = []
    for policy in results.policies:
        unmet = results.pairs(policy, "unmet_weighted_mib_s", "reach_weighted_mib_s")
        moved = results.pairs(policy, "moved_mib", "reach_moved_mib")
        rise = [took / least for _, took, least
                in results.pairs(policy, "rise_ms_p50", "reach_rise_ms_p50") if least > 0]
        broken = sum(row["promise_broken"] for (_, name), row in results.rows.items()
                     if name == policy)
        rows.append([policy, str(len(unmet)),
                     geometric_mean([(u + LITTLE) / (r + LITTLE) for _, u, r in unmet]),
                     sum(u for _, u, _ in unmet),
                     geometric_mean([(m + 1) / (r + 1) for _, m, r in moved]),
                     statistics.median(rise) if rise else None, str(broken)])
    table(["policy", "scenarios", "unmet / reach", "unmet, sum", "moved / reach",
           "rise / reach, median", "promise broken"], rows)
    print("\nunmet, moved: geometric means of (figure + 1) / (clairvoyant's + 1), need weighted;"
          "\nrise: its median time from its begin until it is served, over that with the "
          "clairvoyant.")


def print_against_peers(results):
    """Ours against the best of the peers, in each scenario."""
    print("\n### Against the best peer\n")
    rows = []
    shares = []
    worse = []
    for name in results.scenarios:
        best = results.best_peer(name)
        ours = results.get(name, OURS, "unmet_weighted_mib_s")
        if best is None or ours is None:
            continue
        bound = results.ideal(name, "bound_weighted_mib_s")
        excess, its = ours - bound, best[0] - bound
        shares.append((max(0, excess) + LITTLE) / (max(0, its) + LITTLE))
        rows.append([name, best[1], its, excess, shares[-1]])
        if ours > best[0]:
            worse.append(f"{name} ({best[1]}: {show(best[0])}, ours: {show(ours)})")
    table(["scenario", "best peer", "its excess", "our excess", "share"], rows)
    print(f"\nexcess: need unmet, weighted, above the clairvoyant at no cost (MiB*s);"
          f"\nshare: (ours + 1) / (its + 1); geometric mean {show(geometric_mean(shares))}"
          f"\nscenarios in which a peer is better: {', '.join(worse) or 'none'}")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scenario", default="*", help="a pattern of names")
    parser.add_argument("--policy", default="*", help="a pattern of names")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--tables", metavar="FILE", help="of an earlier run's lines; runs nothing")
    options = parser.parse_args()
    if options.tables:
        with open(options.tables, encoding="utf-8") as lines:
            rows = [json.loads(line) for line in lines if line.startswith("{")]
    else:
        rows = run_all(options)
    if not rows:
        sys.exit("bench-peers: no results")
    results = Results(rows)
    print_summary(results)
    print_against_peers(results)
    print_tables(results)


if __name__ == "__main__":
    main()
