"""LMDB's own library (py-lmdb) in the part of a node that writes its cache, and of one that reads an image of it.

Usage: lmdb_node.py write FOLDER PAUSE_MILLISECONDS
       lmdb_node.py read

The writer makes an environment in FOLDER and commits one state of it after the other, each with a number that stands in
every row, with rows that come and go, some of them longer than a page. It prints "ready" after the first commit. For each
line that it reads from standard input it answers "paused N", and commits nothing until the next one.

The reader takes a folder from each line of its standard input, opens the data.mdb in there and answers "state N" if all
of its rows are of one state, or what is wrong.

Both end when their standard input is closed, so that they can't outlive the test that started them.
"""

import random
import select
import sys

import lmdb

ROWS = 400
HASH = b"3ff47162e7a7ce1344f336316b66484e"


def write(folder, pause):
    environment = lmdb.open(folder, max_dbs=1, map_size=2048 << 20)
    table = environment.open_db(b"_default")
    with environment.begin(write=True) as transaction:
        transaction.put(b"validation_tag", b"3.9")
    state, chance = 0, random.Random(1)
    while True:
        state += 1
        with environment.begin(write=True, db=table) as transaction:
            begin = b"%08d" % state
            for row in range(ROWS):
                transaction.put(b"routes|%04d" % row, begin + b"." * chance.choice((50, 500, 3000, 9000)))
            transaction.delete(b"gone|%08d" % (state - 1))
            transaction.put(b"gone|%08d" % state, begin)
            transaction.put(b"declarative_config:hash", HASH)
        if state == 1:
            print("ready", flush=True)
        if select.select([sys.stdin], [], [], pause)[0]:
            if not sys.stdin.readline():
                return
            print("paused", state, flush=True)
            if not sys.stdin.readline():
                return


def read():
    for line in sys.stdin:
        try:
            print(state_of(line.strip()), flush=True)
        except lmdb.Error as error:
            print("LMDB says", error, flush=True)


def state_of(folder):
    with lmdb.open(folder, max_dbs=1, readonly=True, lock=False) as environment:
        table = environment.open_db(b"_default", create=False)
        with environment.begin() as transaction:
            tag = transaction.get(b"validation_tag")
        with environment.begin(db=table) as transaction:
            rows = dict(transaction.cursor())
    found = rows.pop(b"declarative_config:hash", None)
    states = {int(value[:8]) for value in rows.values()}
    whole = tag == b"3.9" and found == HASH and len(rows) == ROWS + 1 and len(states) == 1
    return f"state {states.pop()}" if whole else f"{len(rows)} rows of the states {sorted(states)}, {tag}, {found}"


def main():
    if sys.argv[1] == "write":
        write(sys.argv[2], int(sys.argv[3]) / 1000)
    else:
        read()


main()
