"""The PostgreSQL of the control planes: the machine's own programs, started below the prefix, or a server that is given."""

import os
import pathlib
import pwd
import shutil
import signal

from .processes import Failure, Process, command, environment, free_port, wait_for

OLDEST = 10  # Kong 3.x asks for 9.5 or later; before 10, PostgreSQL counted its versions in another way.
GIVEN = ("HOST", "PORT", "USER", "PASSWORD", "DATABASE")
CURE = (
    "The control plane needs a PostgreSQL. Install one (Debian: apt-get install postgresql), or put its initdb and postgres on the PATH, "
    "or name a running server with an empty database that the suite may fill and drop: "
    "SUITE_PG_HOST, SUITE_PG_PORT, SUITE_PG_USER, SUITE_PG_PASSWORD, SUITE_PG_DATABASE."
)


def folder_of_programs():
    """Where initdb and postgres are: on the PATH, or where Debian has them; the newest version first."""
    on_path = shutil.which("initdb")
    if on_path:
        return pathlib.Path(on_path).resolve().parent
    found = [path.parent for path in pathlib.Path("/usr/lib/postgresql").glob("*/bin/initdb")]
    if not found:
        raise Failure(f"there is no PostgreSQL here: no initdb on the PATH or in /usr/lib/postgresql/*/bin. {CURE}")
    return max(found, key=lambda path: int(path.parent.name) if path.parent.name.isdigit() else 0)


def check_version(folder):
    """Refuses a PostgreSQL that is older than what Kong works with."""
    said = command([folder / "postgres", "--version"], environment()).stdout
    number = said.split()[2].split(".")[0] if len(said.split()) > 2 else ""
    if not number.isdigit() or int(number) < OLDEST:
        raise Failure(f"{folder}/postgres says {said.strip()!r}; Kong needs PostgreSQL {OLDEST} or later. {CURE}")


def user_of_server():
    """PostgreSQL refuses to run as root: root starts it as another user. None for whoever isn't root."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    raise Failure("root can't run PostgreSQL, and there is no user postgres or nobody; run the suite as another user")


def becoming(user):
    """What a child does before it becomes the program; Python 3.8, which old images have, can't be told a user."""

    def become():
        os.setgroups([])
        os.setgid(user.pw_gid)
        os.setuid(user.pw_uid)

    return {"preexec_fn": become} if user else {}


class Postgres:
    """A server with one database; `settings` are what a control plane needs to reach it."""

    def __init__(self, prefix):
        given = {name: os.environ.get(f"SUITE_PG_{name}") for name in GIVEN}
        self.server = None
        if given["HOST"]:
            missing = [f"SUITE_PG_{name}" for name in GIVEN if given[name] is None]
            if missing:
                raise Failure(f"SUITE_PG_HOST is set, but not {', '.join(missing)}")
            self.settings = {f"KONG_PG_{name}": value for name, value in given.items()}
            return

        programs, data, port = folder_of_programs(), prefix / "postgres", free_port()
        check_version(programs)
        user = user_of_server()
        data.mkdir(mode=0o700)
        if user:
            os.chown(data, user.pw_uid, user.pw_gid)

        quiet = {"cwd": str(data), **becoming(user)}
        command([programs / "initdb", "-D", data, "-U", "kong", "-A", "trust", "-E", "UTF8", "--no-sync"], environment(), **quiet)
        options = {"listen_addresses": "127.0.0.1", "port": port, "unix_socket_directories": "", "fsync": "off"}
        arguments = [part for name, value in options.items() for part in ("-c", f"{name}={value}")]
        self.server = Process([programs / "postgres", "-D", data, *arguments], environment(), prefix / "postgres.log", **quiet)

        at = ["-h", "127.0.0.1", "-p", port, "-U", "kong"]
        try:
            wait_for("PostgreSQL to accept connections", lambda: command([programs / "pg_isready", *at], environment()), 30, self.server.log)
            command([programs / "createdb", *at, "kong"], environment())
        except Failure:
            self.stop()
            raise
        values = {"HOST": "127.0.0.1", "PORT": port, "USER": "kong", "PASSWORD": "kong", "DATABASE": "kong"}
        self.settings = {f"KONG_PG_{name}": value for name, value in values.items()}

    def stop(self):
        if self.server:
            # SIGINT is PostgreSQL's fast shutdown: it does not wait for Kong's open connections.
            self.server.stop(signal.SIGINT)
