"""The stand-in's running node: a first process that listens and a worker that serves, as nginx has them."""

import http.server
import os
import pwd
import signal
import socket
import threading

import wire
from played import FAULT

HTTP = {"KONG_ADMIN_LISTEN": "admin", "KONG_PROXY_LISTEN": "proxy", "KONG_STATUS_LISTEN": "status"}


def sockets(settings):
    """What is listened on, by the setting; the first process has them, so that they outlive a worker."""
    found = {}
    for name in (*HTTP, "KONG_CLUSTER_LISTEN"):
        address = settings.get(name, "off")
        if not address.startswith("off"):
            host, port = address.split()[0].rsplit(":", 1)
            found[name] = socket.create_server((host, int(port)), backlog=128)
    return found


def worker_user(settings):
    """Whose the worker is, where root starts it."""
    name = settings.get("KONG_NGINX_MAIN_USER", "").split()
    return pwd.getpwnam(name[0]) if name and os.geteuid() == 0 else None


def serve(settings, prefix, tell):
    """Runs until SIGTERM, and starts another worker whenever one dies; tells once whether it has started."""
    try:
        listening = sockets(settings)
        is_data_plane = settings.get("KONG_ROLE") == "data_plane"
        shows = not is_data_plane or FAULT != "shows-no-certificate"
        context = wire.tls(settings, not is_data_plane, shows) if "KONG_CLUSTER_CERT" in settings else None
        user = worker_user(settings)
        if user:
            # What lies below the prefix is the workers' to write; keys are read before they are somebody else.
            for path in (prefix, *prefix.rglob("*")):
                os.chown(path, user.pw_uid, user.pw_gid)
        (prefix / "pids" / "nginx.pid").write_text(f"{os.getpid()}\n")
    except Exception as error:
        tell(f"{type(error).__name__}: {error}")
        raise

    while True:
        # SIGTERM waits until there is somebody whom it ends.
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
        worker = os.fork()
        if worker == 0:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGTERM])
            work(settings, prefix, user, listening, context, tell)
        watch(worker, prefix)
        tell = lambda _: None


def watch(worker, prefix):
    """Waits for the worker's end; SIGTERM ends both."""

    def end(*_):
        os.kill(worker, signal.SIGKILL)
        os.waitpid(worker, 0)
        (prefix / "pids" / "nginx.pid").unlink(missing_ok=True)
        os._exit(0)

    signal.signal(signal.SIGTERM, end)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGTERM])
    _, status = os.waitpid(worker, 0)
    # Between two workers there is nothing to end but this process.
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    if not os.WIFSIGNALED(status):
        os._exit(1)
    print(f"[stand-in] worker process {worker} exited on signal {os.WTERMSIG(status)}", flush=True)


def work(settings, prefix, user, listening, context, tell):
    # What a worker needs is imported here: nothing of it must have threads when the first process makes a worker. And before the worker is
    # somebody else, who may not reach where it lies.
    import admin
    import entities
    import link
    import node
    import plane

    try:
        entities.schemas()
        node.load_libraries(settings)
        if user:
            os.setgroups([])
            os.setgid(user.pw_gid)
            os.setuid(user.pw_uid)
        if settings.get("KONG_ROLE") == "control_plane":
            control_plane = plane.Plane(settings)
            handlers = {"admin": type("Admin", (admin.Admin, node.Handler), {"plane": control_plane})}
            link.serve(control_plane, listening["KONG_CLUSTER_LISTEN"], context)
        else:
            state = node.State(settings, prefix)
            state.load_cache()
            kinds = {"admin": (admin.AdminOfNode, node.Status), "proxy": (node.Proxy,), "status": (node.Status,)}
            handlers = {name: type(name, bases, {"state": state}) for name, bases in kinds.items()}
            if settings.get("KONG_ROLE") == "data_plane":
                link.connect(state, context)
        for name, listener in listening.items():
            if name in HTTP:
                accept(listener, handlers[HTTP[name]])
    except Exception as error:
        tell(f"{type(error).__name__}: {error}")
        raise
    tell("started")
    threading.Event().wait()


def accept(listener, handler):
    """Serves on a socket that listens, in threads."""
    server = http.server.ThreadingHTTPServer(listener.getsockname(), handler, bind_and_activate=False)
    server.socket.close()
    server.socket = listener
    threading.Thread(target=server.serve_forever, daemon=True).start()
