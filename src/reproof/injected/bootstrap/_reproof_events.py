"""What is noted of the rare audit events: programs started, addresses reached, databases opened."""

import os

import _reproof_lines as lines
import _reproof_watch as watch

_ADDRESSES = 10_000
_ARGUMENTS = 50
_LENGTH = 300  # of one argument

_addresses = set()  # (process, address)
_last = {"spawn": None, "exec": None}


def noticed(event, args):
    """Told of an event whose name is in the table below."""
    _ACTIONS[event](args)


def shown(arguments):
    """Arguments of a program as text, cut where somebody passes a whole file."""
    given = [arguments] if isinstance(arguments, (str, bytes)) else list(arguments)[:_ARGUMENTS]
    return [os.fsdecode(each)[:_LENGTH] for each in given]


def _popen(args):
    argv = shown(args[1])
    if argv and args[0]:
        argv[:1] = shown([args[0]])
    _started(argv, args[3])


def _posix_spawn(args):
    argv = shown(args[1])
    if _last["spawn"] != argv[1:]:  # else subprocess told of it a moment ago
        _started(argv, args[2])
    _last["spawn"] = None


def _system(args):
    _started(["sh", "-c", *shown([args[0]])], None)


def _exec(args):
    argv = shown(args[1])
    if _last["exec"] != argv:  # a search of PATH raises one event for each folder
        _last["exec"] = argv
        if not watch.life["forked"]:
            watch.finish(last=False)
        lines.write("spawn", argv=argv, child=os.getpid())


def _started(argv, environment):
    _last["spawn"] = argv[1:]
    if watch.life["seed"] and any("python" in each for each in argv):
        import _reproof_seeds

        _reproof_seeds.name_child(argv[0], environment)
    lines.write("spawn", argv=argv)


def _connected(args):
    address = args[1]
    if isinstance(address, tuple) and len(address) >= 2:  # those of Unix sockets are text
        _reached(address[0], address[1])


def _looked_up(args):
    _reached(args[0], args[1] if len(args) > 1 else None)


def _reached(host, port):
    if not host or not isinstance(host, (str, bytes)) or isinstance(port, tuple):
        return
    # a library that knows no user part in an address asks for a host of the name `user:password@host`
    host = os.fsdecode(host).rpartition("@")[2]
    if isinstance(port, bytes):
        port = os.fsdecode(port)
    if ":" in host:
        host = "[%s]" % host
    address = host if port in (None, "", 0) else "%s:%s" % (host, port)
    key = (os.getpid(), address)
    if key not in _addresses and len(_addresses) < _ADDRESSES:
        _addresses.add(key)
        lines.write("connect", address=address)
        if os.environ.get("REPROOF_NETWORK") == "off" and not _is_own(host):
            _say_that_there_is_none(address)


def _is_own(host):
    """Whether a host is this machine, which answers also where there is no network."""
    return host in ("localhost", "[::1]", "[::]", "0.0.0.0", os.uname().nodename) or host[:4] == "127."  # noqa: S104


def _say_that_there_is_none(address):
    """Once for all processes of a run, before a library's traceback says in many words what it makes of it."""
    os.environ["REPROOF_NETWORK"] = "off, as was said"
    text = "reproof: the network is off here: `%s` cannot be reached; `network = true` in [tool.reproof] turns it on\n"
    try:
        os.write(2, os.fsencode(text % address))
    except OSError:  # its standard error is closed
        pass


def _database(args):
    """A database is read and written by the library itself, which raises no event for it."""
    if isinstance(args[0], int):
        return
    name, _, query = os.fsdecode(args[0]).partition("?")
    if name[:5] == "file:":
        name = name[5:]
    if name and name[:1] != ":" and "mode=memory" not in query:
        watch.note(os.path.abspath(name), os.O_RDONLY if "mode=ro" in query else os.O_RDWR)


def _loaded(_args):
    watch.life["modules"] = -1  # a library came in without an import: look again at the end


_ACTIONS = {
    "sqlite3.connect": _database,
    "subprocess.Popen": _popen,
    "os.posix_spawn": _posix_spawn,
    "os.system": _system,
    "os.exec": _exec,
    "socket.connect": _connected,
    "socket.sendto": _connected,
    "socket.getaddrinfo": _looked_up,
    "socket.gethostbyname": _looked_up,
    "ctypes.dlopen": _loaded,
}
