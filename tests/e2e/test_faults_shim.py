# SPDX-License-Identifier: Apache-2.0
"""The shim that makes file operations fail (tests/shim/faults.c) does what it
says, of every call that it stands before: a program does some of each, here
below the shim's directory and there beside it.
"""

import os
import subprocess
import sys

import pytest

pytestmark = pytest.mark.once

SHIM = os.path.join(os.path.dirname(os.environ["HB_DAEMON"]),
                    "tests/shim/faults.so")

# Prints for each call "name result": its value, or its errno's name.
PROGRAM = r"""
import errno, os, sys

def show(name, call, *args):
    try:
        result = call(*args)
    except OSError as e:
        result = errno.errorcode[e.errno]
    print(name, result)
    return result

def history(directory):
    def path(name):
        return os.path.join(directory, name)

    flags = os.O_RDWR | os.O_CREAT
    if not isinstance(fd := show("open", os.open, path("a"), flags), int):
        return
    show("write", os.write, fd, b"0123456789")
    show("pwrite", os.pwrite, fd, b"0123456789", 0)
    show("writev", os.writev, fd, [b"01234", b"56789"])
    show("pwritev", os.pwritev, fd, [b"01", b"23456789"], 0)
    show("fsync", os.fsync, fd)
    show("fdatasync", os.fdatasync, fd)
    show("posix_fallocate", os.posix_fallocate, fd, 0, 4096)
    show("ftruncate", os.ftruncate, fd, 100)
    show("truncate", os.truncate, path("a"), 50)
    show("rename", os.rename, path("a"), path("b"))
    dir_fd = os.open(directory, os.O_RDONLY)
    show("syncdir", os.fsync, dir_fd)
    os.close(show("openat", lambda: os.open("c", flags, dir_fd=dir_fd)))
    show("renameat", lambda: os.rename("c", "d", src_dir_fd=dir_fd,
                                       dst_dir_fd=dir_fd))
    show("unlinkat", lambda: os.unlink("d", dir_fd=dir_fd))
    show("unlink", os.unlink, path("b"))
    show("size", lambda: os.fstat(fd).st_size)
    show("close", os.close, fd)
    show("closed", os.fstat, fd)
    os.close(os.open(directory, os.O_RDONLY))

for directory in sys.argv[1:]:
    history(directory)
"""

# Which of the history's calls are of a kind, in their order.
KINDS = {
    "write": ["write", "pwrite", "writev", "pwritev"],
    "sync": ["fsync", "fdatasync", "syncdir"],
    "rename": ["rename", "renameat"],
    "truncate": ["ftruncate", "truncate"],
    "allocate": ["posix_fallocate"],
    "unlink": ["unlinkat", "unlink"],
}
USUAL = {"write": "10", "pwrite": "10", "writev": "10", "pwritev": "10",
         "fsync": "None", "fdatasync": "None", "posix_fallocate": "None",
         "ftruncate": "None", "truncate": "None", "rename": "None",
         "syncdir": "None", "renameat": "None", "unlinkat": "None",
         "unlink": "None", "size": "50", "close": "None", "closed": "EBADF"}


class Program:
    def __init__(self, tmp_path):
        self.below = tmp_path / "below"
        self.beside = tmp_path / "below-not"
        self.told = tmp_path / "told"
        self.below.mkdir()
        self.beside.mkdir()

    def run(self, faults, *directories):
        """[(name, result)], and what the shim tells: {kind: (seen, failed)}."""
        for directory in self.below, self.beside:
            for name in os.listdir(directory):
                os.unlink(directory / name)
        result = subprocess.run(
            [sys.executable, "-c", PROGRAM, *map(str, directories)],
            env={"LD_PRELOAD": SHIM, "HB_FAULTS": faults,
                 "HB_FAULTS_BELOW": str(self.below),
                 "HB_FAULTS_TELL": str(self.told)},
            capture_output=True, text=True, check=True, timeout=60)
        calls = [tuple(line.split()) for line in result.stdout.splitlines()]
        counts = {kind: (int(seen), int(failed)) for kind, seen, failed in
                  (line.split() for line in
                   self.told.read_text().splitlines())}
        return calls, counts


@pytest.fixture
def program(tmp_path):
    return Program(tmp_path)


def results(calls):
    return {name: result for name, result in calls
            if not name.startswith("open")}


def test_counts_and_changes_nothing(program):
    calls, counts = program.run("", program.below, program.beside)
    assert results(calls[:len(calls) // 2]) == USUAL
    assert results(calls[len(calls) // 2:]) == USUAL
    assert counts == {
        "write": (4, 0), "sync": (3, 0), "open": (2, 0), "rename": (2, 0),
        "truncate": (2, 0), "allocate": (1, 0), "unlink": (2, 0),
        # Directories, too, are closed.
        "close": (counts["close"][0], 0), "any": (counts["any"][0], 0)}
    assert counts["any"][0] == sum(
        seen for kind, (seen, _) in counts.items() if kind != "any")


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_each_call_of_a_kind_fails_alone(program, kind):
    for n, name in enumerate(KINDS[kind], 1):
        calls, counts = program.run(f"{kind}:{n}:ENOSPC", program.below,
                                    program.beside)
        assert [call for call in calls if call[1] == "ENOSPC"] == [
            (name, "ENOSPC")]
        assert counts[kind][1] == counts["any"][1] == 1


def test_open_and_close(program):
    calls, counts = program.run("open:1:EMFILE", program.below)
    assert calls == [("open", "EMFILE")] and counts["open"] == (1, 1)
    calls, _ = program.run("open:3:EMFILE", program.below, program.beside)
    assert "EMFILE" not in dict(calls).values()
    # It is closed all the same.
    calls, counts = program.run("close:1:EIO:on", program.beside)
    assert results(calls) == USUAL and counts["close"] == (0, 0)


def test_from_one_on(program):
    calls, counts = program.run("write:2:EIO:on,sync:2:5:on", program.below)
    got = dict(calls)
    assert [got[name] for name in KINDS["write"]] == ["10", "EIO", "EIO",
                                                      "EIO"]
    assert [got[name] for name in KINDS["sync"]] == ["None", "EIO", "EIO"]
    assert counts["write"] == (4, 3) and counts["any"][1] == 5


def test_short_writes(program):
    calls, counts = program.run("write:1:short:on", program.below)
    assert {dict(calls)[name] for name in KINDS["write"]} == {"5"}
    assert counts["write"] == (4, 4)
    # A disk that is full in the middle of the third.
    calls, _ = program.run("write:3:short,write:4:ENOSPC:on", program.below)
    assert [dict(calls)[name] for name in KINDS["write"]] == [
        "10", "10", "5", "ENOSPC"]


def test_every_one_until_none_fails(program):
    n, failed, seen = 1, 1, set()
    while True:
        out = subprocess.run(
            [sys.executable, "-c", PROGRAM, str(program.below)],
            env={"LD_PRELOAD": SHIM, "HB_FAULTS": f"any:{n}:EROFS",
                 "HB_FAULTS_BELOW": str(program.below),
                 "HB_FAULTS_TELL": str(program.told)},
            capture_output=True, text=True, timeout=60).stdout
        failed = int(program.told.read_text().split("any ")[1].split()[1])
        if failed == 0:
            break
        seen |= {line.split()[0] for line in out.splitlines()
                 if line.endswith("EROFS")}
        n += 1
    assert seen >= set().union(*KINDS.values()) | {"open", "close"}


def test_refuses_what_it_does_not_know(program):
    for faults in ("write", "write:1", "write:0:EIO", "read:1:EIO",
                   "write:1:EODD", "write:1:EIO:off"):
        result = subprocess.run(
            ["true"], env={"LD_PRELOAD": SHIM, "HB_FAULTS": faults,
                           "HB_FAULTS_BELOW": str(program.below)},
            capture_output=True, text=True, timeout=60)
        assert result.returncode == 1, faults
        assert result.stderr == "faults.so: HB_FAULTS is KIND:N:HOW[:on],...\n"
