"""Calls the hooks of a build backend (PEP 517) under the conditions of one build.

Runs as a program of the build environment: ``python -I reproof_hooks.py REQUEST``, where REQUEST is a
JSON file::

    {"source": "/room/source", "backend": "hatchling.build", "backend_path": [], "out": "/room/out",
     "work": "/room/work", "actions": ["requires", "sdist", "wheel", "through-sdist"], "have": ["hatchling"],
     "umask": 18, "cpus": 1, "reversed": false}

The answer is the file ``answer.json`` in ``out``: ``{"requires": [...], "sdist": name, "wheel": name,
"through": name}`` (the last one lies in ``work/wheel``), or ``{"problem": kind, "words": text}``. Each action runs in a fork of its own, so that no hook sees what
another one left in memory, and the backend is imported once.
"""

import json
import os
import sys
import tarfile
import traceback


class Problem(Exception):  # noqa: N818  # an answer, not a defect
    """What stops a build: a kind for the program that asked, and words for people."""

    def __init__(self, kind, words):
        super().__init__(words)
        self.kind = kind
        self.words = words


def main(place):
    """Do what the request in the file `place` asks for, and write the answer."""
    with open(place, encoding="utf-8") as file:
        request = json.load(file)
    del sys.path[0]  # the folder of this file is no part of the build environment
    _enter(request)
    try:
        answer = _all_of(request)
    except Problem as problem:
        answer = {"problem": problem.kind, "words": problem.words}
    _write(os.path.join(request["out"], "answer.json"), answer)
    return 1 if "problem" in answer else 0


def _enter(request):
    """Take on the conditions that only the process itself can: mask, processors, order of listings."""
    os.umask(request["umask"])
    if request.get("cpus") and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: request["cpus"]])
    if request.get("reversed"):
        _reverse_listings()
    os.chdir(request["source"])


def _all_of(request):
    backend = _load(request)
    answer = {}
    for action in request["actions"]:
        if action == "requires":
            answer["requires"] = _in_fork(request, backend, action)
            if set(map(_plain, answer["requires"])) - set(request["have"]):
                return answer  # the environment lacks something: nothing is built in it
        elif action == "through-sdist":
            _take_place(_unpack(os.path.join(request["out"], answer["sdist"]), request["work"]), request)
            out = os.path.join(request["work"], "wheel")
            os.mkdir(out)
            answer["through"] = _in_fork(dict(request, out=out), backend, "wheel")
        else:
            answer[action] = _in_fork(request, backend, action)
    return answer


def _load(request):
    """Import the backend the way PEP 517 says; in-tree ones from within the source only."""
    from importlib import import_module

    paths = [os.path.realpath(os.path.join(request["source"], path)) for path in request["backend_path"]]
    sys.path[:0] = paths
    module, _, rest = request["backend"].partition(":")
    try:
        backend = import_module(module)
        for name in filter(None, rest.split(".")):
            backend = getattr(backend, name)
    except Exception:
        raise Problem("backend", traceback.format_exc(limit=-3)) from None
    return backend


def _in_fork(request, backend, action):
    """What an action returns, done in a fork."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reader)
        status = 1
        try:
            text = json.dumps({"value": _act(request, backend, action)})
            status = 0
        except BaseException:
            traceback.print_exc()
            text = json.dumps({"problem": traceback.format_exc(limit=-4)})
        with os.fdopen(writer, "w", encoding="utf-8", errors="surrogateescape") as pipe:
            pipe.write(text)
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)
    os.close(writer)
    with os.fdopen(reader, encoding="utf-8", errors="surrogateescape") as pipe:
        text = pipe.read()
    _, status = os.waitpid(child, 0)
    answer = json.loads(text or "{}")
    if status or "value" not in answer:
        raise Problem("failed", answer.get("problem") or "the hook ended with wait status %d" % status)
    return answer["value"]


def _act(request, backend, action):
    if action == "requires":
        found = []
        for kind in ("sdist", "wheel"):
            hook = getattr(backend, "get_requires_for_build_" + kind, None)
            found += hook({}) if hook is not None else []
        return [str(each) for each in found]
    hook = getattr(backend, "build_" + action, None)
    if hook is None:
        raise Problem("backend", "the backend has no hook `build_%s`" % action)
    return os.path.basename(hook(request["out"], {}) if action == "wheel" else hook(request["out"]))


def _unpack(archive, target):
    """Unpack a source archive below `target`; the folder that holds the project."""
    with tarfile.open(archive, "r:gz") as tar:
        members = tar.getmembers()
        for member in members:
            _refuse_escape(member)
        if sys.version_info >= (3, 12):
            tar.extractall(target, members=members, filter="fully_trusted")  # noqa: S202
        else:
            tar.extractall(target, members=members)  # noqa: S202  # each was looked at
    tops = sorted({member.name.split("/")[0] for member in members})
    if len(tops) != 1:
        raise Problem("sdist", "it has several folders at its top: " + ", ".join(tops[:4]))
    return os.path.join(target, tops[0])


def _take_place(folder, request):
    """Let an unpacked source stand where the first one did: only what is in it shall differ, not where it is."""
    os.chdir("/")
    os.rename(request["source"], os.path.join(request["work"], "original"))
    os.rename(folder, request["source"])
    os.chdir(request["source"])


def _refuse_escape(member):
    names = [member.name]
    if member.issym():
        names.append(os.path.join(os.path.dirname(member.name), member.linkname))
    elif member.islnk():
        names.append(member.linkname)
    elif not (member.isfile() or member.isdir()):
        raise Problem("escape", "%s: a device or pipe" % member.name)
    top = member.name.split("/")[0]
    for name in names:
        parts = os.path.normpath(name).split("/")
        if name.startswith("/") or parts[0] in ("..", "", ".") or (parts[0] != top):
            raise Problem("escape", member.name + (" -> " + member.linkname if member.linkname else ""))


def _reverse_listings():
    """List folders in the opposite of the order in which the file system does."""
    listdir, scandir = os.listdir, os.scandir

    class Reversed:
        def __init__(self, *place):
            with scandir(*place) as entries:
                self.entries = iter(list(entries)[::-1])

        def __iter__(self):
            return self

        def __next__(self):
            return next(self.entries)

        def __enter__(self):
            return self

        def __exit__(self, *error):
            self.close()

        def close(self):
            self.entries = iter(())

    os.listdir = lambda *place: listdir(*place)[::-1]
    os.scandir = Reversed


def _plain(requirement):
    """The normalised name that a requirement begins with."""
    name = ""
    for letter in requirement.strip():
        if not (letter.isalnum() or letter in "-_."):
            break
        name += letter
    return name.lower().replace("_", "-").replace(".", "-")


def _write(place, answer):
    with open(place, "w", encoding="utf-8", errors="surrogateescape") as file:
        json.dump(answer, file)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
