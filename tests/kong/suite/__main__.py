"""Runs the scenarios against the Kong that the variable KONG names, and says what held."""

import argparse
import json
import os
import pathlib
import shutil
import signal
import sys
import tempfile
import time

from . import pki, scenarios, sync, wasm
from .cluster import Bench
from .gateway import Program
from .lifeboat import build
from .postgres import Postgres
from .processes import Failure

SCENARIOS = {
    "export": scenarios.exported_is_what_nodes_run,
    "relay": scenarios.fresh_nodes_come_up_through_the_relay,
    "return": scenarios.the_control_plane_returns,
    "import": scenarios.import_fills_the_cache,
    "exec": scenarios.exec_starts_a_node,
    "drill": scenarios.drill_starts_a_real_node,
    "held": scenarios.an_emptied_configuration_is_held,
    "pki": pki.pki_mode,
    "filter": wasm.filter_under_load,
    "sync": sync.nodes_with_incremental_sync,
    "dbless": scenarios.without_a_database,
}
# A socket's path has 107 bytes at most, and Kong's longest is about "/filter/control-plane/stream_worker_events.sock".
LONGEST_PREFIX = 55
EPILOG = """Scenarios:
%s

Variables:
  KONG                     the kong program, of any edition, 2.8 to 3.9
  SUITE_PG_HOST, _PORT, _USER, _PASSWORD, _DATABASE
                           a running PostgreSQL with an empty database, whose owner the user is: the suite makes tables in it
                           and drops them; without these variables the suite starts a PostgreSQL of its own, from initdb and
                           postgres on the PATH or in /usr/lib/postgresql/*/bin
  SUITE_NGINX_USER         whose Kong's workers are if root runs the suite, such as "kong kong"; by default "root root"
  SUITE_PATIENCE           multiplies how long it waits for anything: 3 on a slow machine
  TMPDIR                   where the temporary folder is made; its path must be short, and others must get through it

Other variables of Kong (KONG_...), Lifeboat and PostgreSQL are not passed on, but for Enterprise's licence, and /etc/kong/kong.conf
is not read.

Exit codes: 0 all that applies to this version holds; 1 something failed or is missing; 2 wrong usage."""


def arguments():
    listed = "\n".join(f"  {name:<24} {claim.__doc__.splitlines()[0]}" for name, claim in SCENARIOS.items())
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser("tests/kong/run", description=__doc__, epilog=EPILOG % listed, formatter_class=raw)
    parser.add_argument("--lifeboat", metavar="PATH", help="the lifeboat program; without it cargo builds one")
    parser.add_argument("--filter", metavar="PATH", help="lifeboat.wasm; without it wasm-build.sh builds one")
    parser.add_argument("--only", metavar="NAME", action="append", choices=SCENARIOS, help="run only this scenario; can be repeated")
    parser.add_argument("--output", choices=("text", "json"), default="text", help="json: print the table as JSON, once all have run")
    parser.add_argument("--keep", action="store_true", help="leave the temporary folder, to look at its logs")
    return parser.parse_args()


def play(bench, name):
    """One row of the table."""
    started = time.monotonic()
    try:
        verdict, detail = "pass", SCENARIOS[name](bench)
    except scenarios.NotApplicable as reason:
        verdict, detail = "not applicable", str(reason)
    except Failure as failure:
        verdict, detail = "fail", str(failure)
    except Exception as error:  # One scenario must not keep the others from running, whatever it met.
        verdict, detail = "fail", f"{type(error).__name__}: {error}"
    seconds = round(time.monotonic() - started, 1)
    return {"version": bench.kong.said, "scenario": name, "verdict": verdict, "seconds": seconds, "detail": detail}


def run_all(asked, prefix):
    kong = Program(os.environ.get("KONG"), prefix)
    lifeboat = build(asked.lifeboat)
    postgres = Postgres(prefix)
    rows = []
    try:
        bench = Bench(prefix, kong, lifeboat, postgres, asked.filter)
        for name in asked.only or SCENARIOS:
            rows.append(play(bench, name))
            row = rows[-1]
            line = f"{row['version']}  {name:<8} {row['verdict']:<14} {row['seconds']:>6} s  {row['detail']}"
            print(line, file=sys.stderr, flush=True)
        if asked.output == "json":
            print(json.dumps(rows, indent=2), flush=True)
        bench.leave()
    finally:
        postgres.stop()
    return 1 if any(row["verdict"] == "fail" for row in rows) else 0


def ended_by_a_signal(number, _):
    # As an exception, so that everything that was started is stopped; a second signal must not come between.
    for one in (signal.SIGTERM, signal.SIGINT):
        signal.signal(one, signal.SIG_IGN)
    raise SystemExit(128 + number)


def main():
    asked = arguments()
    for one in (signal.SIGTERM, signal.SIGINT):
        signal.signal(one, ended_by_a_signal)
    prefix = pathlib.Path(tempfile.mkdtemp(prefix="lifeboat-kong-"))
    # PostgreSQL, and Kong's workers where they are another user, must get through.
    prefix.chmod(0o755)
    code = 1
    try:
        if len(str(prefix)) > LONGEST_PREFIX:
            raise Failure(f"{prefix} is too long a path for Kong's sockets below it: set TMPDIR to a shorter folder, such as /tmp")
        code = run_all(asked, prefix)
    except Failure as failure:
        print(f"tests/kong/run: {failure}", file=sys.stderr)
    finally:
        if asked.keep:
            print(f"tests/kong/run: logs and stores are in {prefix}", file=sys.stderr)
        else:
            shutil.rmtree(prefix, ignore_errors=True)
    return code


sys.exit(main())
