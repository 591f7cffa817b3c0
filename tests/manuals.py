#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""Every option, command and key is in its manual, and nothing else is: both ways."""

import os
import re
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True
BUILD = os.environ.get("top_builddir", os.getcwd())
SOURCE = os.environ.get("top_srcdir", os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
OPTION = re.compile(r"--[a-z][a-z-]*")

count = failures = 0


def equal(in_program, in_manual, text):
    global count, failures
    count += 1
    good = in_program == in_manual
    failures += not good
    print(f"{'ok' if good else 'not ok'} {count} - {text}")
    for word in sorted(in_program - in_manual):
        print(f"# {word} is not in the manual")
    for word in sorted(in_manual - in_program):
        print(f"# {word} is only in the manual")


def help_of(*command):
    run = subprocess.run([os.path.join(BUILD, command[0]), *command[1:], "--help"],
                         stdout=subprocess.PIPE, text=True, timeout=60, check=True)
    return run.stdout


def options_of(text):
    """The options that a help text lists: those at the beginning of an indented line."""
    return {m.group(1) for m in re.finditer(r"^ +(--[a-z-]+)", text, re.M)}


def words_after(text, title):
    """The first words of the indented lines below a title."""
    part = re.search(rf"^{re.escape(title)}\n((?: .*\n)+)", text + "\n", re.M)
    return {line.split()[0] for line in part.group(1).splitlines()} if part else set()


def pod(name):
    """The manual's text; empty when there is none, so that all of it is missed."""
    try:
        with open(os.path.join(SOURCE, "docs", name + ".pod"), encoding="utf-8") as file:
            return file.read()
    except FileNotFoundError:
        return ""


def section(text, level, title):
    """The text below a heading, up to the next one of the same or a higher level."""
    part = re.search(rf"^=head{level} {re.escape(title)}\n(.*?)(?=^=head[1-{level}] |\Z)", text,
                     re.M | re.S)
    return part.group(1) if part else ""


def items(text):
    return {m.group(0) for line in re.findall(r"^=item (.*)$", text, re.M)
            for m in [OPTION.search(line)] if m}


def bold_after(text, title):
    part = re.search(rf"^{re.escape(title)} (.*?)\n\n", text, re.M | re.S)
    return set(re.findall(r"B<([a-z_]+)>", part.group(1))) if part else set()


def check_ballastd():
    equal(options_of(help_of("ballastd")), items(section(pod("ballastd"), 1, "OPTIONS")),
          "ballastd: options")


def check_ballast():
    manual = pod("ballast")
    text = help_of("ballast")
    commands = {m.group(1) for m in re.finditer(r"^  ([a-z]+) ", text, re.M)}
    part = section(manual, 1, "COMMANDS")
    equal(options_of(text), items(section(manual, 1, "OPTIONS")), "ballast: options")
    equal(commands, set(re.findall(r"^=head2 (\S+)$", part, re.M)), "ballast: commands")
    for command in sorted(commands):
        of_command = options_of(help_of("ballast", command)) - {"--help"}
        described = section(part, 2, command)
        equal(of_command, items(described) - {"--help"}, f"ballast {command}: options")
        synopsis = re.search(rf"^B<ballast {command}>(.*)$", manual, re.M)
        if command != "simulate":
            equal(of_command, set(OPTION.findall(synopsis.group(1) if synopsis else "")),
                  f"ballast {command}: options in the synopsis")
    text = help_of("ballast", "set")
    equal(words_after(text, "Keys of a domain:"), bold_after(manual, "Keys of a domain:"),
          "ballast set: keys of a domain")
    equal(words_after(text, "Keys of the host:"), bold_after(manual, "Keys of the host:"),
          "ballast set: keys of the host")


def check_ballast_guest():
    equal(options_of(help_of("ballast-guest")), items(section(pod("ballast-guest"), 1, "OPTIONS")),
          "ballast-guest: options")


def check_config():
    """The settings that the shipped file has, and the limits that `ballast set --help` lists."""
    with open(os.path.join(SOURCE, "etc", "ballast.conf"), encoding="utf-8") as file:
        settings = set(re.findall(r"^#(\w+) = ", file.read(), re.M))
    limits = words_after(help_of("ballast", "set"), "Keys of a domain:")
    described = set(re.findall(r"^=item B<([a-z_]+)>", pod("ballast.conf"), re.M))
    equal(settings | limits, described, "ballast.conf: settings and limits")


def check_scenario():
    """What `ballast simulate` says that it knows, when it is given what it does not."""
    manual = pod("ballast-scenario")
    with tempfile.NamedTemporaryFile("w", suffix=".conf") as file:
        file.write('none=1\nguests=["a, none=1"]\nevents=["1s, a, none"]\nlimits=["none=1"]\n')
        file.flush()
        told = subprocess.run([os.path.join(BUILD, "ballast"), "simulate", file.name],
                              stderr=subprocess.PIPE, text=True, timeout=60, check=False).stderr
    for title, said, besides in [("THE HOST", "is not known; expected", set()),
                                 ("GUESTS", "is not known of a guest; expected", set()),
                                 ("EVENTS", "one of", {"every", "jitter", "over", "for"}),
                                 ("LIMITS", "is not measured; expected", set())]:
        line = re.search(rf"{said} (.*)", told)
        items_of = re.findall(r"^=item (.*)$", section(manual, 1, title), re.M)
        equal(set(re.findall(r"[a-z][a-z0-9_-]*", line.group(1) if line else "")) | besides,
              {word for item in items_of for word in re.findall(r"B<([a-z0-9_-]+)>", item)},
              f"ballast-scenario: {title.lower()}")


def check_reasons():
    """The words that the source has."""
    with open(os.path.join(SOURCE, "src", "core", "round.c"), encoding="utf-8") as file:
        words = set(re.findall(r'\[REASON_\w+\] = \{ ?"([a-z-]+)"', file.read()))
    equal(words, set(re.findall(r"^=item (\S+)$", section(pod("ballast"), 1, "REASONS"), re.M)),
          "ballast: reasons")


def check_syntax():
    names = sorted(name for name in os.listdir(os.path.join(SOURCE, "docs"))
                   if name.endswith(".pod"))
    for name in names:
        run = subprocess.run(["pod2man", "--errors=die", os.path.join(SOURCE, "docs", name)],
                             stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
                             check=False)
        equal(set(run.stderr.split("\n")) - {""} if run.returncode else set(), set(),
              f"{name} is good POD")


check_ballastd()
check_ballast()
check_ballast_guest()
check_config()
check_scenario()
check_reasons()
check_syntax()
print(f"1..{count}")
sys.exit(1 if failures else 0)
