"""The PostgreSQL of the control planes: the machine's own programs, started below the prefix, or a server that is given."""

import os
import pathlib
import pwd
import shutil
import signal

from .processes import Failure, Process, command, environment, free_port, wait_for

# Where Debian has the programs, a folder for each version.
INSTALLED = pathlib.Path("/usr/lib/postgresql")
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
    found = [path.parent for path in INSTALLED.glob("*/bin/initdb")]
    if not found:
        raise Failure(f"there is no PostgreSQL here: no initdb on the PATH or in {INSTALLED}/*/bin. {CURE}")
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
        self.server = None
        given = {name: os.environ.get(f"SUITE_PG_{name}") for name in GIVEN}
        self.is_given = any(given.values())
        if self.is_given:
            self.settings = settings_of(given)
            check_is_empty(self.settings)
        else:
            self.settings = self.start(prefix)

    def start(self, prefix):
        """A server of our own, which nobody else reaches but over loopback, with a database in it."""
        programs, data, port = folder_of_programs(), prefix / "postgres", free_port()
        check_version(programs)
        user = user_of_server()
        data.mkdir(mode=0o700)
        if user:
            os.chown(data, user.pw_uid, user.pw_gid)

        quiet = {"cwd": str(data), **becoming(user)}
        # The locale of whoever runs the suite may be none that this machine has.
        created = ["-D", data, "-U", "kong", "-A", "trust", "-E", "UTF8", "--locale", "C", "--no-sync"]
        command([programs / "initdb", *created], environment(), **quiet)
        options = {"listen_addresses": "127.0.0.1", "port": port, "unix_socket_directories": "", "fsync": "off"}
        arguments = [part for name, value in options.items() for part in ("-c", f"{name}={value}")]
        self.server = Process([programs / "postgres", "-D", data, *arguments], environment(), prefix / "postgres.log", **quiet)

        at = ["-h", "127.0.0.1", "-p", port, "-U", "kong"]
        try:
            wait_for("PostgreSQL to accept connections", lambda: command([programs / "pg_isready", *at], environment()), 30, self.server.log)
            command([programs / "createdb", *at, "kong"], environment())
        except BaseException:
            self.stop()
            raise
        return settings_of({"HOST": "127.0.0.1", "PORT": port, "USER": "kong", "PASSWORD": "kong", "DATABASE": "kong"})

    def stop(self):
        if self.server:
            # SIGINT is PostgreSQL's fast shutdown: it does not wait for Kong's open connections.
            self.server.stop(signal.SIGINT)


def settings_of(values):
    """A control plane's settings for this server, of which nothing may be missing."""
    missing = [f"SUITE_PG_{name}" for name in GIVEN if values[name] is None]
    if missing:
        raise Failure(f"of the given PostgreSQL, {', '.join(missing)} is missing. {CURE}")
    return {f"KONG_PG_{name}": value for name, value in values.items()}


def check_is_empty(settings):
    """Refuses a given database in which there is something: the suite drops all tables, and that may be somebody's gateway."""
    names = {"PGHOST": "HOST", "PGPORT": "PORT", "PGUSER": "USER", "PGPASSWORD": "PASSWORD", "PGDATABASE": "DATABASE"}
    reached = environment(**{name: settings[f"KONG_PG_{own}"] for name, own in names.items()})
    counting = "SELECT count(*) FROM information_schema.tables WHERE table_schema NOT IN ('pg_catalog', 'information_schema')"
    try:
        said = command(["psql", "--no-psqlrc", "-qAtc", counting], {**reached, "PGCONNECT_TIMEOUT": "10"}).stdout.strip()
    except Failure as failure:
        raise Failure(f"psql can't look into the given database, which it must, since the suite drops all tables in it: {failure}") from failure
    if said != "0":
        where = f"{settings['KONG_PG_DATABASE']} at {settings['KONG_PG_HOST']}:{settings['KONG_PG_PORT']}"
        raise Failure(f"the given database {where} is not empty: it has {said} tables, and the suite would drop them. Name one that is empty")
