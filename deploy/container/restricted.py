#!/usr/bin/env python3
"""Runs a program as the strictest container would, without a container's runtime, which not every machine of CI lets start.

    restricted.py ROOT [OPTION]... -- PROGRAM [ARGUMENT]...

ROOT becomes the root file system and can't be written to, except where --writable mounts a folder of the host. The program has
a user id that nobody gave it, the group 0 (as OpenShift does it), no capability, no way to get one, and no variable but those
that are named here. It takes this process's place, so signals and exit code are its own. Needs root, for the mounts.
"""

import argparse
import ctypes
import fcntl
import os
import socket
import struct
import subprocess

USER = 1000650000
GROUP = 0
CLONE_NEWNS = 0x20000
CLONE_NEWNET = 0x40000000
SIOCSIFFLAGS = 0x8914
IFF_UP = 1
PR_CAPBSET_DROP = 24
PR_SET_NO_NEW_PRIVS = 38
PR_CAP_AMBIENT = 47
PR_CAP_AMBIENT_CLEAR_ALL = 4

libc = ctypes.CDLL(None, use_errno=True)


def checked(result):
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def mount(*arguments):
    subprocess.run(["mount", *arguments], check=True)


def enter_own_network():
    """Nobody but what joins this one is reached or reaches it, on its own loopback."""
    checked(libc.unshare(CLONE_NEWNET))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        fcntl.ioctl(control, SIOCSIFFLAGS, struct.pack("16sh14x", b"lo", IFF_UP))


def enter_root(root, readable, writable):
    checked(libc.unshare(CLONE_NEWNS))
    # What is mounted from here on stays this process's own.
    mount("--make-rprivate", "/")
    mount("--bind", root, root)
    for pairs, mode in ((readable, "ro"), (writable, "rw")):
        for folder, path in (pair.split(":") for pair in pairs):
            mount("--bind", folder, root + path)
            mount("-o", f"remount,bind,{mode},nosuid,nodev,noexec", root + path)
    mount("-o", "remount,bind,ro,nosuid,nodev", root)
    os.chroot(root)
    os.chdir("/")


def last_capability():
    with open("/proc/sys/kernel/cap_last_cap", encoding="ascii") as file:
        return int(file.read())


def give_up_everything(last):
    for number in range(last + 1):
        checked(libc.prctl(PR_CAPBSET_DROP, number, 0, 0, 0))
    checked(libc.prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0))
    os.setgroups([])
    os.setresgid(GROUP, GROUP, GROUP)
    # From root to nobody in particular: the kernel takes all capabilities away.
    os.setresuid(USER, USER, USER)
    checked(libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("root")
    parser.add_argument("--readable", action="append", default=[], metavar="HOST-FOLDER:PATH")
    parser.add_argument("--writable", action="append", default=[], metavar="HOST-FOLDER:PATH")
    parser.add_argument("--env", action="append", default=[], metavar="NAME=VALUE")
    parser.add_argument("--own-network", action="store_true")
    parser.add_argument("command", nargs="+")
    asked = parser.parse_args()
    # The new root has no /proc to read it from.
    last = last_capability()
    if asked.own_network:
        enter_own_network()
    enter_root(os.path.realpath(asked.root), asked.readable, asked.writable)
    give_up_everything(last)
    os.execve(asked.command[0], asked.command, dict(pair.split("=", 1) for pair in asked.env))


main()
