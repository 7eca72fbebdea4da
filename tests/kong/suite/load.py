"""Requests without a pause over connections that stay open, as wrk makes them, from a process of their own."""

import collections
import http.client
import json
import subprocess
import sys
import threading
import urllib.parse

from .processes import Failure, environment, patience

CONNECTIONS = 4


class Load:
    """Asks for one URL until stop(), which tells what was answered."""

    def __init__(self, url):
        command = [sys.executable, "-m", __name__, url]
        self.child = subprocess.Popen(command, env=environment(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def stop(self):
        """How often each status was answered; what was no answer stands there by its name."""
        # It ends when its standard input does, so that it can't outlive the suite.
        try:
            said, _ = self.child.communicate(timeout=60 * patience())
        except subprocess.TimeoutExpired as error:
            self.child.kill()
            self.child.communicate()
            raise Failure("the process that makes the load does not end") from error
        return json.loads(said or "{}")


def ask(address, path, over, counts):
    connection = http.client.HTTPConnection(address, timeout=30)
    while not over.is_set():
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            answer.read()
            counts[str(answer.status)] += 1
        except (OSError, http.client.HTTPException) as error:
            counts[type(error).__name__] += 1
            connection.close()
            over.wait(0.05)


def main():
    url = urllib.parse.urlsplit(sys.argv[1])
    over = threading.Event()
    counts = [collections.Counter() for _ in range(CONNECTIONS)]
    threads = [threading.Thread(target=ask, args=(url.netloc, url.path, over, one)) for one in counts]
    for thread in threads:
        thread.start()

    sys.stdin.read()
    over.set()
    for thread in threads:
        thread.join()
    print(json.dumps(sum(counts, collections.Counter())))


if __name__ == "__main__":
    main()
