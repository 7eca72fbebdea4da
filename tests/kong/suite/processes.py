"""Processes on loopback: free ports, a clean environment, bounded waits, and an end by process id."""

import os
import pathlib
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


def free_port():
    """A port on loopback on which nobody listens now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def tail(path, lines=15):
    """The end of a log, for a message."""
    try:
        text = pathlib.Path(path).read_text(errors="replace")
    except OSError as error:
        return f"(no log: {error})"
    return "\n".join(text.splitlines()[-lines:]) or "(the log is empty)"


def wait_for(what, condition, seconds, log=None):
    """Waits until the condition is true and returns its value. An error of the condition counts as not yet."""
    seconds *= float(os.environ.get("SUITE_PATIENCE", "1"))
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
    said = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    arguments = [str(argument) for argument in arguments]
    try:
        done = subprocess.run(arguments, env=env, timeout=seconds, check=False, **said, **more)
    except subprocess.TimeoutExpired as error:
        raise Failure(f"{' '.join(arguments)} did not end within {seconds} s") from error
    except OSError as error:
        raise Failure(f"{arguments[0]} can't be started: {error}") from error
    if done.returncode not in codes:
        raise Failure(f"{' '.join(arguments)} ended with {done.returncode}:\n{(done.stdout + done.stderr).strip()[-2000:]}")
    return done


def is_alive(pid):
    """Whether the process runs; one that has ended and that nobody has waited for counts as ended."""
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def stop(pid, seconds=15, first=signal.SIGTERM):
    """Ends a process by its id: first politely, then with SIGKILL."""
    for with_signal, patience in ((first, seconds), (signal.SIGKILL, 5)):
        try:
            os.kill(pid, with_signal)
        except ProcessLookupError:
            return
        end = time.monotonic() + patience
        while is_alive(pid) and time.monotonic() < end:
            time.sleep(0.05)
        if not is_alive(pid):
            return
    raise Failure(f"process {pid} does not end")


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
