"""Processes on loopback: free ports, a clean environment, bounded waits, and an end by process id."""

import contextlib
import os
import pathlib
import random
import signal
import socket
import subprocess
import time

# Enterprise's licence is the caller's, and Kong needs it.
LICENCES = ("KONG_LICENSE_DATA", "KONG_LICENSE_PATH")
# Other settings of the caller's own Kong, Lifeboat or PostgreSQL must not reach what the suite starts.
FOREIGN = ("LIFEBOAT", "KONG", "PG", "AWS_", "GCP_", "AZURE_")


class Failure(Exception):
    """A claim that did not hold, or something that could not be started: said in words for whoever runs the suite."""


def environment(**settings):
    """The caller's environment without foreign settings, and with these."""
    kept = {name: value for name, value in os.environ.items() if name in LICENCES or not name.startswith(FOREIGN)}
    return {**kept, **{name: str(value) for name, value in settings.items()}}


RESERVED = []


def free_port():
    """A port on loopback that stays free until its program listens, also while that program is dead for a while."""
    # The kernel takes the ports of outgoing connections from a range of its own. Below it, and above Kong's defaults, nobody comes by chance;
    # where it leaves nothing there, chance must do.
    lowest = int(pathlib.Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    highest = lowest if lowest > 12000 else 65000
    for _ in range(1000):
        port = random.randrange(10000, highest)
        # The UDP port of the same number is held until the end: it keeps other runs of the suite from choosing this one.
        reservation = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        with contextlib.suppress(OSError), socket.socket() as probe:
            reservation.bind(("127.0.0.1", port))
            probe.bind(("127.0.0.1", port))
            RESERVED.append(reservation)
            return port
        reservation.close()
    raise Failure("no free port was found on 127.0.0.1 in 1000 attempts")


def tail(path, lines=15):
    """The end of a log, for a message."""
    try:
        text = pathlib.Path(path).read_text(errors="replace")
    except OSError as error:
        return f"(no log: {error})"
    return "\n".join(text.splitlines()[-lines:]) or "(the log is empty)"


def patience():
    """What everything that is waited for is multiplied by."""
    return float(os.environ.get("SUITE_PATIENCE", "1"))


def wait_for(what, condition, seconds, log=None):
    """Waits until the condition is true and returns its value. An error of the condition counts as not yet."""
    seconds *= patience()
    end, last = time.monotonic() + seconds, None
    while True:
        try:
            value = condition()
            if value:
                return value
            last = None
        except (OSError, ValueError, KeyError, Failure) as error:
            last = error
        if time.monotonic() > end:
            message = f"waited {seconds:g} s for {what}"
            message += f"; last: {last}" if last else ""
            raise Failure(message + (f"\nthe end of {log}:\n{tail(log)}" if log else ""))
        time.sleep(0.1)


def command(arguments, env, seconds=120, codes=(0,), **more):
    """Runs a command to its end and returns it; other exit codes are a failure with what the command said."""
    seconds *= patience()
    said = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    arguments = [str(argument) for argument in arguments]
    try:
        done = subprocess.run(arguments, env=env, timeout=seconds, check=False, **said, **more)
    except subprocess.TimeoutExpired as error:
        raise Failure(f"{' '.join(arguments)} did not end within {seconds:g} s") from error
    except OSError as error:
        raise Failure(f"{arguments[0]} can't be started: {error}") from error
    if done.returncode not in codes:
        raise Failure(f"{' '.join(arguments)} ended with {done.returncode}:\n{(done.stdout + done.stderr).strip()[-2000:]}")
    return done


def children(pid):
    """The process ids of the children that this process has now: of an nginx master, its workers."""
    found = set()
    for stat in pathlib.Path("/proc").glob("[0-9]*/stat"):
        # A process may end while it is looked at.
        with contextlib.suppress(OSError):
            if int(stat.read_text().rpartition(")")[2].split()[1]) == pid:
                found.add(int(stat.parent.name))
    return found


def is_alive(pid):
    """Whether the process runs; one that has ended and that nobody has waited for counts as ended."""
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def stop(pid, seconds=15, first=signal.SIGTERM):
    """Ends a process by its id, and with it its children: first politely, then with SIGKILL."""
    family = {pid, *children(pid)}
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, first)
    if ended(family, seconds):
        return
    for one in family:
        with contextlib.suppress(ProcessLookupError):
            os.kill(one, signal.SIGKILL)
    if not ended(family, 5):
        raise Failure(f"process {pid} or one of its children does not end: {sorted(family)}")


def ended(pids, seconds):
    """Waits until none of the processes runs; whether that happened."""
    end = time.monotonic() + seconds
    while any(is_alive(pid) for pid in pids):
        if time.monotonic() > end:
            return False
        time.sleep(0.05)
    return True


class Process:
    """A program in the foreground, with its log in a file."""

    def __init__(self, arguments, env, log, **more):
        self.log = pathlib.Path(log)
        with self.log.open("ab") as sink:
            arguments = [str(argument) for argument in arguments]
            self.child = subprocess.Popen(arguments, env=env, stdin=subprocess.DEVNULL, stdout=sink, stderr=sink, **more)

    def stop(self, first=signal.SIGTERM):
        if self.child.poll() is None:
            stop(self.child.pid, first=first)
            self.child.wait()
