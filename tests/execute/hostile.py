# ruff: noqa: PTH101, PTH103, PTH108, PTH110, PTH115, PTH118, PTH123, PTH211, T201, FURB122, RUF021
"""Twelve ways out of a room, tried by a program that means harm. It says what it got hold of.

Given as JSON in its first argument: files, a process and sockets outside, and a secret.
Standard library only; it runs in the room.
"""

import ctypes
import errno
import json
import os
import signal
import socket
import stat
import subprocess
import sys
import time

PLAN = json.loads(sys.argv[1])
LIBC = ctypes.CDLL(None, use_errno=True)
CAUGHT = {}


def attempt(what, function):
    """Note what `function` got hold of; a refusal is nothing."""
    try:
        found = function()
    except (OSError, subprocess.SubprocessError, ValueError) as error:
        found = None
        reason = getattr(error, "strerror", None) or str(error)
        CAUGHT.setdefault("refusals", []).append(f"{what}: {reason}")
    if found:
        CAUGHT.setdefault("escapes", []).append(f"{what}: {found!r}"[:200])


def read(path):
    with open(path, "rb") as file:
        return file.read(1 << 16)


def secret_in(path):
    return PLAN["secret"].encode() in read(path) and path


def write(path):
    with open(path, "ab") as file:
        file.write(b"was here")
    return path


def syscall(name, *arguments):
    if getattr(LIBC, name)(*arguments) != 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return name


def parent_paths():
    up = "../" * 12 + PLAN["canary"].lstrip("/")
    attempt("read by a parent path", lambda: secret_in(up))
    attempt(
        "write by a parent path", lambda: os.path.exists(PLAN["outside"]) and write(PLAN["outside"] + "/1")
    )
    try:  # into a /tmp of the room's own, maybe; whoever runs this looks for it outside
        write("../beside")
    except OSError:
        pass


def symlinks():
    for name, target in (
        ("to-file", PLAN["canary"]),
        ("to-folder", PLAN["outside"]),
        ("to-root", "/proc/1/root"),
    ):
        os.symlink(target, name)
    attempt("read by a link", lambda: secret_in("to-file"))
    attempt("write by a link", lambda: write("to-folder/2"))
    attempt("read by a link to a root", lambda: secret_in("to-root" + PLAN["canary"]))


def proc():
    for process in (1, os.getppid(), PLAN["victim"]):
        for way in ("root", "cwd"):
            attempt(
                f"/proc/{process}/{way}", lambda p=process, w=way: secret_in(f"/proc/{p}/{w}{PLAN['canary']}")
            )
    attempt(
        "handles left open",
        lambda: [
            os.readlink(f"/proc/self/fd/{name}")
            for name in os.listdir("/proc/self/fd")
            if int(name) > 2
            and os.path.exists(f"/proc/self/fd/{name}")
            and not os.readlink(f"/proc/self/fd/{name}").startswith("/proc/")
        ],
    )
    for knob in ("/proc/sysrq-trigger", "/proc/sys/kernel/core_pattern", "/proc/sys/vm/drop_caches"):
        attempt(knob, lambda k=knob: os.open(k, os.O_WRONLY) and k)


def mounts():
    os.makedirs("mountpoint", exist_ok=True)
    attempt("mount tmpfs", lambda: syscall("mount", b"none", b"/usr", b"tmpfs", 0, None))
    attempt(
        "remount", lambda: syscall("mount", b"none", b"/usr", None, 32 | 4096, None) and write("/usr/evil")
    )
    attempt("unmount", lambda: syscall("umount2", b"/proc", 2))
    child = os.fork()
    if child == 0:
        try:  # a namespace of one's own: does it give power over what is outside?
            syscall("unshare", 0x10000000 | 0x00020000)
            syscall("mount", b"none", b"/usr", None, 32 | 4096, None)
            write("/usr/evil")
            os._exit(77)
        except OSError:
            os._exit(0)
    attempt("remount in a user namespace", lambda: os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 77)


def setuid():
    status = dict(line.split(":", 1) for line in read("/proc/self/status").decode().splitlines())
    attempt("capabilities", lambda: int(status["CapEff"], 16) and status["CapEff"].strip())
    attempt("new privileges", lambda: status["NoNewPrivs"].strip() != "1")
    with open("shell", "wb") as file:
        file.write(read("/bin/sh"))
    attempt(
        "setuid program",
        lambda: (
            os.chmod("shell", 0o4755)
            or (
                PLAN["secret"]
                in subprocess.run(
                    ["./shell", "-c", f"cat {PLAN['canary']}"], capture_output=True, text=True, timeout=10
                ).stdout
            )
        ),
    )
    attempt("/etc/shadow", lambda: read("/etc/shadow") and "/etc/shadow")


def ptrace():
    attempt("ptrace", lambda: LIBC.ptrace(16, PLAN["victim"], 0, 0) == 0 and "attached")
    attempt("memory", lambda: os.open(f"/proc/{PLAN['victim']}/mem", os.O_RDWR) and "opened")


def sockets():
    def connect(address):
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(2)
            client.connect(address)
            return address

    for address in (
        PLAN["socket"],
        "\0" + PLAN["abstract"],
        "/var/run/docker.sock",
        "/run/docker.sock",
        "/run/dbus/system_bus_socket",
        "/run/containerd/containerd.sock",
    ):
        attempt("unix socket", lambda a=address: connect(a))
    for host in ("127.0.0.1", "192.0.2.1"):
        attempt("network", lambda h=host: socket.create_connection((h, PLAN["port"]), 2) and h)


def devices():
    for number, kind in (
        (os.makedev(8, 0), stat.S_IFBLK),
        (os.makedev(254, 0), stat.S_IFBLK),
        (os.makedev(1, 1), stat.S_IFCHR),
    ):
        name = f"node-{number}"
        attempt("mknod", lambda n=name, k=kind, d=number: os.mknod(n, k | 0o600, d) or read(n) and n)
    for name in ("/dev/mem", "/dev/kmsg", "/dev/sda", "/dev/vda", "/dev/nvme0n1", "/dev/fuse", "/dev/kvm"):
        attempt("device", lambda n=name: os.open(n, os.O_RDWR) and n)


def environment():
    attempt("variables", lambda: [name for name, value in os.environ.items() if PLAN["secret"] in value])
    attempt("variables of the first process", lambda: secret_in("/proc/1/environ"))
    attempt("variables of an outer process", lambda: secret_in(f"/proc/{PLAN['victim']}/environ"))
    attempt(
        "home",
        lambda: [
            n
            for n in (".ssh", ".aws", ".netrc", ".git-credentials", ".gitconfig", ".bashrc")
            if os.path.exists(os.path.join(PLAN["home"], n))
        ],
    )


def signals():
    for process in (PLAN["victim"], PLAN["parent"]):
        attempt("signal", lambda p=process: p > 64 and (os.kill(p, signal.SIGTERM) or p))
    # Every process that can be seen: those of the room alone.
    signal.signal(signal.SIGUSR1, signal.SIG_IGN)
    attempt("signals to all", lambda: os.kill(-1, signal.SIGURG))


def fork_bomb():
    children = []
    try:
        while len(children) < 4 * PLAN["processes"]:
            child = os.fork()
            if child == 0:
                time.sleep(30)
                os._exit(0)
            children.append(child)
    except OSError as error:
        CAUGHT["fork"] = errno.errorcode[error.errno]
    finally:
        for child in children:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
    CAUGHT["forked"] = len(children)
    attempt("fork bomb", lambda: len(children) > PLAN["processes"] and len(children))


def disk():
    """Fill what is not the room's: memory-backed folders give an end of space, others refuse."""
    for folder in ("/tmp", "/var/tmp", "/dev/shm", "/usr", "/etc", "/"):

        def fill(folder=folder):
            with open(os.path.join(folder, "fill"), "wb") as file:
                for _ in range(2 * PLAN["disk"] >> 20):
                    file.write(b"x" * (1 << 20))
            return folder

        attempt("fill", fill)
        attempt("clean", lambda f=folder: os.unlink(os.path.join(f, "fill")))


for escape in (
    parent_paths,
    symlinks,
    proc,
    mounts,
    setuid,
    ptrace,
    sockets,
    devices,
    environment,
    signals,
    fork_bomb,
    disk,
):
    CAUGHT.setdefault("tried", []).append(escape.__name__)
    escape()
print(json.dumps(CAUGHT))
