# SPDX-License-Identifier: ISC
"""A fake host for tests: a real xenstored or oxenstored, the guests' player, and ballastd on libxl.

Every Host lives in a directory of its own and can run beside others. Whatever it starts ends with
the test, also when the test is killed.
"""

import atexit
import ctypes
import glob
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

MIB = 1024
PATIENCE = 60.0  # seconds, for what comes within milliseconds on a quiet machine

# Hypercall numbers and commands of Xen's interface.
DOMCTL, SYSCTL, MEMORY_OP = 36, 35, 12
DOMCTL_MAX_MEM = 11
XENMEM_SET_POD_TARGET = 16

top_builddir = os.environ.get("top_builddir", os.getcwd())
_libc = ctypes.CDLL(None)


class Tap:
    """Test lines on standard output."""

    def __init__(self):
        self.count = 0
        self.failures = 0

    def ok(self, good, text):
        self.count += 1
        if not good:
            self.failures += 1
        print(f"{'ok' if good else 'not ok'} {self.count} - {text}", flush=True)
        return bool(good)

    def skip(self, text, why):
        self.count += 1
        print(f"ok {self.count} - {text} # SKIP {why}", flush=True)

    def note(self, text):
        for line in str(text).splitlines():
            print(f"# {line}", flush=True)

    def done(self):
        print(f"1..{self.count}", flush=True)
        sys.exit(1 if self.failures else 0)


class FakeHostError(Exception):
    pass


def _end(*unused):
    sys.exit(1)


signal.signal(signal.SIGTERM, _end) # so that what atexit knows of is cleaned up


def _die_with_parent():
    _libc.prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


def program(*names):
    """The first of these programs that is in the build tree."""
    for name in names:
        path = os.path.join(top_builddir, name)
        if os.path.exists(path):
            return path
    raise FakeHostError(f"{names[0]} is not built in {top_builddir}")


def fake(name):
    return program("tests/fakexen/" + name)


def ballastd():
    return os.environ.get("BALLASTD") or program("ballastd", "src/daemon/ballastd")


def ballast():
    return os.environ.get("BALLAST") or program("ballast", "src/client/ballast")


def xen_program(name):
    """One of Xen's own programs, or None."""
    found = sorted(glob.glob(f"/usr/lib/xen-*/bin/{name}"))
    for folder in ("/usr/lib/xen/bin", "/usr/sbin", "/usr/local/sbin", "/usr/libexec/xen/bin"):
        found.append(os.path.join(folder, name))
    for path in found:
        if os.access(path, os.X_OK):
            return path
    return None


def stores():
    """The stores that this machine has. Ends the test as skipped when there is none."""
    found = [name for name in ("xenstored", "oxenstored") if xen_program(name)]
    if not found or not xen_program("xen-init-dom0"):
        print("1..0 # SKIP xenstored and xen-init-dom0 are not installed (Debian: xen-utils-4.17)")
        sys.exit(0)
    return found


def preload_for(path):
    """The preloaded object, after the sanitizers' library when the program needs that first."""
    linked = subprocess.run(["ldd", path], capture_output=True, text=True, check=False).stdout
    first = [line.split()[2] for line in linked.splitlines() if "libasan.so" in line]
    return " ".join(first + [fake("fakexen.so")])


def wait_for(condition, seconds=PATIENCE, pause=0.01):
    """Waits until condition() is true. Returns what it returned last."""
    end = time.monotonic() + seconds
    while True:
        value = condition()
        if value or time.monotonic() > end:
            return value
        time.sleep(pause)


class Connection:
    """A client of ballastd's socket."""

    def __init__(self, path, seconds=PATIENCE):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(seconds)
        self.socket.connect(path)
        self.file = self.socket.makefile("rw")
        self.greeting = json.loads(self.file.readline())

    def execute(self, command, **arguments):
        request = {"execute": command}
        if arguments:
            request["arguments"] = arguments
        self.file.write(json.dumps(request) + "\n")
        self.file.flush()
        while True:
            line = self.file.readline()
            if not line:
                raise FakeHostError("ballastd has closed the connection")
            answer = json.loads(line)
            if "event" not in answer:
                break
        if "error" in answer:
            raise FakeHostError(f"{command}: {answer['error']}")
        return answer["return"]

    def close(self):
        self.file.close()
        self.socket.close()


class Host:
    def __init__(self, store, total_mib, dom0_mib=512, cpus=4):
        self.store = store
        self.dir = tempfile.mkdtemp(prefix="fakexen-")
        if len(self.dir) > 60:  # names of sockets are short
            os.rmdir(self.dir)
            self.dir = tempfile.mkdtemp(prefix="fakexen-", dir="/tmp")
        self.socket_path = os.path.join(self.dir, "ballast.sock")
        self.log_path = os.path.join(self.dir, "ballastd.log")
        self.config_path = os.path.join(self.dir, "ballast.conf")
        self.env = dict(
            os.environ,
            FAKEXEN_DIR=self.dir,
            XENSTORED_RUNDIR=os.path.join(self.dir, "xs"),
            XENSTORED_ROOTDIR=os.path.join(self.dir, "xs"),
            XENSTORED_PATH=os.path.join(self.dir, "xs", "socket"),
        )
        self.daemon = None
        self.store_process = None
        self.player = None
        self.connection = None
        atexit.register(self.close)
        subprocess.run([fake("fakexen"), "init", str(total_mib), str(cpus), str(dom0_mib)],
                       env=self.env, check=True)
        self.start_store()
        self.player = self._start([fake("fakexen"), "play"], stdin=subprocess.PIPE,
                                  stdout=subprocess.PIPE, text=True)

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.close()

    def _start(self, command, preload=None, env=None, **options):
        environment = dict(self.env, **(env or {}))
        if preload:
            environment["LD_PRELOAD"] = preload
        return subprocess.Popen(command, env=environment, preexec_fn=_die_with_parent, **options)

    # --- the store ---

    def _oxenstored_config(self):
        path = os.path.join(self.dir, "oxenstored.conf")
        settings = {
            "pid-file": f"{self.dir}/oxenstored.pid",
            "persistent": "false",
            "merge-activate": "true",
            "perms-activate": "true",
            "perms-watch-activate": "true",
            "quota-activate": "true",
            "quota-maxentity": "1000",
            "quota-maxsize": "2048",
            "quota-maxwatch": "100",
            "quota-transaction": "10",
            "xenstored-kva": f"{self.dir}/xsd_kva",
            "xenstored-port": f"{self.dir}/xsd_port",
            "ring-scan-interval": "20",
            # At each rotation it writes the whole store to a file, and stands still meanwhile.
            "access-log-nb-lines": "100000000",
        }
        with open(path, "w", encoding="ascii") as file:
            file.writelines(f"{key} = {value}\n" for key, value in settings.items())
        return path

    def _store_answers(self):
        try:
            with socket.socket(socket.AF_UNIX) as client:
                client.connect(self.env["XENSTORED_PATH"])
            return True
        except OSError:
            return False

    def start_store(self):
        """Starts the store, empty, and writes dom0's nodes into it as the init script does."""
        for folder in ("guest", "ring"):
            for name in os.listdir(os.path.join(self.dir, folder)):
                os.unlink(os.path.join(self.dir, folder, name))
        program_path = xen_program(self.store)
        if self.store == "xenstored":
            command = [program_path, "-N", "-I"]
        else:
            command = [program_path, "--no-fork", "--config-file", self._oxenstored_config()]
        # Two files for each domain.
        command = ["sh", "-c", 'ulimit -n "$(ulimit -Hn)"; exec "$@"', "sh"] + command
        with open(os.path.join(self.dir, "store.log"), "a", encoding="utf-8") as log:
            self.store_process = self._start(["env", "LD_PRELOAD=" + fake("fakexen.so")] + command,
                                             stdout=log, stderr=log)
            if not wait_for(self._store_answers):
                raise FakeHostError(f"{self.store} does not start")
            subprocess.run([xen_program("xen-init-dom0")],
                           env=dict(self.env, LD_PRELOAD=fake("fakexen.so")), check=True,
                           stdout=log, stderr=log, timeout=PATIENCE)

    def kill_store(self):
        self.store_process.kill()
        self.store_process.wait()
        try:
            os.unlink(self.env["XENSTORED_PATH"])
        except FileNotFoundError:
            pass

    # --- hypervisor and guests ---

    def play(self, command):
        """Runs a command of the player's. Returns the words of its answer."""
        self.player.stdin.write(command + "\n")
        self.player.stdin.flush()
        answer = self.player.stdout.readline().split()
        if not answer:
            raise FakeHostError("the player has died")
        if answer[0] != "ok":
            raise FakeHostError(f"{command}: {' '.join(answer)}")
        return answer[1:]

    def values(self, command):
        """The same for an answer of name=number words; what is no number stays text."""
        pairs = (word.split("=", 1) for word in self.play(command))
        return {name: int(value) if value.lstrip("-").isdigit() else value
                for name, value in pairs}

    def domains(self):
        """What the hypervisor knows: {domid: (actual_kib, cap_kib, what the driver aims at)}."""
        rows = (word.split(":") for word in self.play("list"))
        return {int(domid): (int(actual), int(cap), int(goal))
                for domid, actual, cap, goal in rows}

    def needs(self, domid, kib):
        """The guest needs so much from now on, and says so at once."""
        self.play(f"set {domid} need={kib}")
        self.play(f"post {domid}")

    def kept(self, tap, text):
        """Checks that the promise was looked at and never broken."""
        verdict = self.values("verdict")
        good = verdict["broken"] == 0 and verdict["checks"] > 0 and verdict["verified"] == 1
        if not tap.ok(good, f"{text}: the promise was kept at each of "
                            f"{verdict['checks']} changes, {verdict['excused']} excused"):
            tap.note(verdict)
            if verdict["broken"]:
                tap.note(self.values("offence"))

    def run_as(self, domid, command, **options):
        """Runs a program that uses libxenstore as that domain. Only for one that does not post."""
        return subprocess.run(command, check=False, timeout=PATIENCE,
                              env=dict(self.env, XENSTORED_PATH=f"{self.dir}/guest/{domid}"),
                              **options)

    def read(self, path):
        """A node of the store, as dom0 reads it; None when it is not there."""
        result = subprocess.run(["xenstore-read", path], env=self.env, capture_output=True,
                                text=True, check=False, timeout=PATIENCE)
        return result.stdout.rstrip("\n") if result.returncode == 0 else None

    # --- ballastd ---

    def configure(self, text):
        with open(self.config_path, "w", encoding="utf-8") as file:
            file.write(text)

    def start_daemon(self, config=None, arguments=(), wait=True):
        if config is not None:
            self.configure(config)
        self.disconnect()
        path = ballastd()
        command = [path, "--config", self.config_path, "--socket", self.socket_path,
                   "--pidfile", os.path.join(self.dir, "ballastd.pid"), "--foreground",
                   *arguments]
        with open(self.log_path, "a", encoding="utf-8") as log:
            self.daemon = self._start(command, preload=preload_for(path),
                                      env={"FAKEXEN_VICTIM": "1"}, stdout=log, stderr=log)
        if wait and not wait_for(self.connect):
            raise FakeHostError("ballastd does not start:\n" + self.log())

    def connect(self):
        if not self.connection:
            try:
                self.connection = Connection(self.socket_path)
            except (OSError, ValueError):
                if self.daemon.poll() is not None:
                    raise FakeHostError("ballastd has ended:\n" + self.log()) from None
        return self.connection

    def disconnect(self):
        if self.connection:
            self.connection.close()
        self.connection = None

    def execute(self, command, **arguments):
        return self.connect().execute(command, **arguments)

    def status(self):
        return self.execute("query-status")

    def shown(self):
        """What ballastd says of the domains: {domid: row}."""
        return {row["domid"]: row for row in self.execute("query-domains")}

    def row(self, domid, key):
        """One of these figures; None while the domain is not shown."""
        return self.shown().get(domid, {}).get(key)

    def up(self, tap, text):
        """Checks that ballastd runs and answers."""
        try:
            good = self.daemon.poll() is None and self.status()["pid"] == self.daemon.pid
        except (OSError, ValueError, FakeHostError):
            good = False
        if not tap.ok(good, f"{text}: ballastd runs and answers"):
            tap.note(f"status {self.daemon.poll()}")
            tap.note(self.log())
        return good

    def alive(self):
        return self.daemon.poll() is None

    def stop_daemon(self, sig=signal.SIGTERM):
        """Returns its exit status."""
        self.disconnect()
        if self.daemon.poll() is None:
            self.daemon.send_signal(sig)
        return self.daemon.wait(timeout=PATIENCE)

    def log(self, lines=40):
        try:
            with open(self.log_path, encoding="utf-8", errors="replace") as file:
                return "".join(file.readlines()[-lines:])
        except FileNotFoundError:
            return ""

    def close(self):
        self.disconnect()
        for process in (self.daemon, self.player, self.store_process):
            if process and process.poll() is None:
                process.kill()
                process.wait()
        if self.player:
            self.player.stdin.close()
            self.player.stdout.close()
            self.player = None
        shutil.rmtree(self.dir, ignore_errors=True)


def usage(pid):
    """CPU seconds and resident MiB of a process."""
    with open(f"/proc/{pid}/stat", encoding="ascii") as file:
        fields = file.read().rsplit(")", 1)[1].split()
    ticks = int(fields[11]) + int(fields[12])
    with open(f"/proc/{pid}/status", encoding="ascii") as file:
        resident = next(int(line.split()[1]) for line in file if line.startswith("VmRSS:"))
    return ticks / os.sysconf("SC_CLK_TCK"), resident / 1024
