"""What draws entropy of the system: noted once for each place, counted, controlled or forbidden.

Each draw is one of three. *controlled*: it repeats, because reproof's seed or the code's own reached it, or
because it was given a stream of reproof's. *harmless*: what makes the likes of names of temporary files.
*uncontrolled*: all else.

A stream is derived with sha512 from the run's seed, the role of the process, the function of the user's code
that asks (file and name, no line, so that edits elsewhere in the file change nothing) and how often it has
asked before.
"""

import os
import sys
from _thread import get_ident
from itertools import count

import _reproof_lines as lines
import _reproof_seeds as seeds
import _reproof_watch as watch

CONTROLLED, UNCONTROLLED, HARMLESS = "controlled", "uncontrolled", "harmless"

_SITES = 1000
_TOKENS = 200  # values of one place that are looked for among names of files
_NAMES = 2_000_000  # comparisons of values with names
_FAST = 5000  # draws of a process after which a place is known by its nearest frame alone

#: Parts of the standard library that draw for names, tokens and waiting times of their own.
_STANDARD_TEXT = (
    "asyncio concurrent email encodings ftplib http imaplib importlib logging mailbox multiprocessing platform "
    "shutil smtplib socket socketserver ssl subprocess tempfile unittest urllib webbrowser wsgiref xmlrpc "
    "zipfile"
)
_STANDARD = frozenset(_STANDARD_TEXT.split())
#: Packages that draw for identifiers, waiting times and names, never for what a program computes.
_PACKAGES_TEXT = (
    "IPython _pytest aiohttp alembic anyio azure boto3 botocore certifi click cryptography databricks "
    "debugpy distributed docker dvc filelock flask fsspec git google grpc httpx huggingface_hub ipykernel "
    "joblib jupyter_client loky matplotlib mlflow opentelemetry paramiko pip pkg_resources pluggy "
    "prometheus_client pytest ray requests rich s3fs sentry_sdk setuptools sqlalchemy tornado tqdm traitlets "
    "urllib3 wandb websockets werkzeug xdist zmq"
)
_PACKAGES = frozenset(_PACKAGES_TEXT.split())

#: Identifiers that hold the time as well: the bytes alone would not make them repeat.
_CLOCKED = ("uuid.uuid6()", "uuid.uuid7()")

_sites = {}  # (what, where, inside): Site
_near = {}  # (code, offset, what): Site, for those who draw without end
_turns = {}  # (what, function of the user's): counter of the streams that it was given
_counts = {"draws": 0}
_quiet = set()  # threads whose draw from the system has been told of by a generator's name
_mode = os.environ.get("REPROOF_ENTROPY", "record")
_strict = os.environ.get("REPROOF_DETERMINISM") == "strict"


class EntropyForbiddenError(RuntimeError):
    """Raised in a worker at a draw that nothing controls, where that is forbidden."""


class EntropyForbiddenExit(BaseException):  # as SystemExit
    """The same in the first process, which shall end: no ``except Exception`` stops it."""


#: What is to pass through our own handlers.
FORBIDDEN = (EntropyForbiddenError, EntropyForbiddenExit)


class Site:
    """One place that draws: how often, under whose control, and what it drew."""

    __slots__ = ("by", "control", "count", "fields", "is_told", "tokens", "told")

    def __init__(self, fields, control, by):
        self.fields, self.control, self.by = fields, control, by
        self.count, self.told, self.tokens = 0, 0, []
        # What packages and the interpreter draw for themselves reaches nobody.
        own = fields["package"] or not fields["where"] or not by.startswith("names")
        self.is_told = not (control == HARMLESS and own)


class Seen:
    """The frames above a draw: the user's place, the package between, parts of the standard library."""

    __slots__ = ("frame", "function", "importing", "inside", "package", "standard", "where")

    def __init__(self, frame):
        self.frame, self.where, self.inside, self.package, self.importing = frame, "", "", "", False
        self.standard = []
        self.function = ""
        nearest = True
        while frame is not None:
            kind = lines.kind_of(frame)
            if kind == lines.USER:
                self.where = lines.place_of(frame)
                code = frame.f_code
                name = getattr(code, "co_qualname", code.co_name)
                self.function = "%s:%s" % (self.where.rpartition(":")[0], name)
                return
            if kind == lines.LIBRARY:
                nearest = False
                if not self.inside:
                    self.inside = lines.place_of(frame)
                    self.package = _package(frame.f_code.co_filename)
            elif not nearest and lines.is_importer(frame):
                self.importing = True
            elif nearest and not lines.is_ours(frame):
                self.standard.append((str(frame.f_globals.get("__name__", "")), frame.f_code.co_name))
            frame = frame.f_back
        # A program that is a package's own, or a worker whose task is.
        self.where, self.inside = self.inside, ""
        self.function = self.where.rpartition(":")[0]


def generator(what, bits=128):
    """A generator asks the system for `bits` of entropy: what it gets instead, None to let it have them."""
    site, seen = _find(what, sys._getframe(2))
    if site is None:
        streams = controls() and not _harmless(seen, system=False)
        site = _decide(what, seen, (CONTROLLED, "stream") if streams else (None, ""))
    value = None
    if site.control == CONTROLLED and site.by == "stream":
        value = stream(what, seen.function, bits)
    _count(site)
    return value


def stream(what, function, bits):
    """The next `bits` of the stream of `function`."""
    size = (bits + 7) // 8
    return int.from_bytes(material(what, function, size), "big") >> (size * 8 - bits)


def material(what, function, size, of=""):
    """The next `size` bytes of the stream of `function`; `of` tells one more stream of this process."""
    # One step each, so that no two threads are ever given the same.
    turn = next(_turns.setdefault((what, function), count(1)))
    text = "%s%s/%s/%s/%d" % (seeds.of_process(), of, what, function, turn)
    return b"".join(
        [seeds.digest("{}/{}".format(text, number).encode()) for number in range((size + 63) // 64)]
    )[:size]


def peek(what, bits=128):
    """As `generator`, of one that may be seeded in a moment: nothing is noted yet."""
    seen = Seen(sys._getframe(2))
    seen.frame = None  # kept for a while: it must hold nothing of the program's
    if _mode != "control" or seeds.of_process() is None or _harmless(seen, system=False):
        return None, seen
    return stream(what, seen.function, bits), seen


def note(what, seen, control=None, by=""):
    """Tell of a draw at `seen`; under whose control it is where that is known already."""
    site = _sites.get((what, seen.where, seen.inside))
    if site is None:
        site = _decide(what, seen, (control, by))
    _count(site)
    return site


def system(data, what):
    """Bytes were taken from the system, by the code itself or for an identifier: what they are, then."""
    if _quiet and get_ident() in _quiet:
        return data
    site, seen = _find(what, sys._getframe(2))
    if site is None:
        asked = _asked(seen) if what == "os.urandom()" else what
        known = _sites.get((asked, seen.where, seen.inside))
        site = known or _decide(asked, seen, _pinned(asked, seen), system=True)
        _remember(seen.frame, what, site)
    if site.control == CONTROLLED:
        import _reproof_pins

        data = _reproof_pins.instead(site.fields["what"], seen.function, data)
    elif site.control == UNCONTROLLED and len(site.tokens) < _TOKENS:
        site.tokens.append(data[:4].hex())
    _count(site)
    return data


def pins():
    """Whether bytes of the system come from a stream of ours, where the code itself asks for them."""
    return _strict and controls()


def _pinned(what, seen):
    if not pins() or what in _CLOCKED or _harmless(seen, system=True):
        return None, ""
    import _reproof_pins

    return (CONTROLLED, "stream") if _reproof_pins.claimed() else (None, "")


def quietly(draw, *args):
    """What `draw` gives, without telling of it once more."""
    me = get_ident()
    _quiet.add(me)
    try:
        return draw(*args)
    finally:
        _quiet.discard(me)


def forbidden():
    """Whether an uncontrolled draw ends the run."""
    return _mode == "forbid"


def controls():
    """Whether unseeded generators are given streams of ours."""
    return _mode == "control" and seeds.of_process() is not None


def settle():
    """Tell how often each place has drawn since it was told last, and what has turned out harmless."""
    for site in [each for each in _sites.values() if each.is_told]:
        turned = _turned_harmless(site)
        if turned or site.count != site.told:
            more, site.told = site.count - site.told, site.count
            lines.write("draws", count=more, control=site.control, by=site.by or None, **site.fields)


def forget():
    """In a forked child: the draws so far are the parent's to tell."""
    _sites.clear()
    _near.clear()
    _turns.clear()


def refuse(what, where):
    """End the program at a draw that nothing controls."""
    text = "%s at %s draws entropy that nothing controls, and `--entropy forbid` was asked for" % (
        what,
        where or "an unknown place",
    )
    lines.flush(at_last=True)
    kind = EntropyForbiddenError if watch.life["forked"] or watch.life["worker"] else EntropyForbiddenExit
    raise kind(text)


def _find(what, frame):
    """The place of a draw: the known one, or None, and the frames above it."""
    while frame is not None and lines.is_ours(frame):
        frame = frame.f_back
    _counts["draws"] += 1
    if _counts["draws"] > _FAST and frame is not None:
        site = _near.get((frame.f_code, frame.f_lasti, what))
        if site is not None and site.by != "stream":
            return site, None
    seen = Seen(frame)
    site = _sites.get((what, seen.where, seen.inside))
    if site is not None:
        _remember(frame, what, site)
    return site, seen


def _remember(frame, what, site):
    if frame is not None and len(_near) < _SITES:
        _near[frame.f_code, frame.f_lasti, what] = site


def _decide(what, seen, known=(None, ""), system=False):
    """Make the site of a draw that was not seen before; `known` is its control, if that is settled."""
    control, by = known
    reason = _harmless(seen, system)
    if control is None and reason:
        control, by = HARMLESS, reason
    fields = {"what": what, "where": seen.where, "inside": seen.inside or None}
    fields["importing"] = seen.importing or None
    fields["package"] = seen.package or None
    fields["concurrent"] = _is_concurrent() or None
    site = Site(fields, control or UNCONTROLLED, by)
    if len(_sites) < _SITES:
        _sites[what, seen.where, seen.inside] = site
    return site


def _is_concurrent():
    """Whether this is a worker, or not the first thread: which of them does what is left to chance."""
    return watch.life["worker"] or "/worker." in watch.life["role"] or get_ident() != watch.FIRST_THREAD


def _count(site):
    site.count += 1
    if site.count == 1:
        site.told = 1
        if site.is_told:
            lines.write("drew", control=site.control, by=site.by or None, **site.fields)
    if site.control == UNCONTROLLED and _mode == "forbid":
        refuse(site.fields["what"], site.fields["where"])


def _harmless(seen, system):
    """Why a draw reaches no result; empty if it may."""
    parts = [name.partition(".")[0] for name, _function in seen.standard]
    for part in reversed(parts):  # the outermost is what the program asked for
        if part in _STANDARD:
            return "names of temporary files" if part == "tempfile" else "needs of the module `%s`" % part
    if seen.package in _PACKAGES:
        return "identifiers of the package `%s`" % seen.package
    if seen.importing:
        return "made while the package `%s` was imported" % seen.package
    if system and seen.package:
        return "identifiers of the package `%s`" % seen.package
    if not seen.where:
        return "needs of the interpreter"
    return ""


def _asked(seen):
    """What the user calls it that took bytes from the system: ``uuid.uuid4()``."""
    for name, function in reversed(seen.standard):
        if name in ("uuid", "secrets"):
            return "%s.%s()" % (name, function)
        if name == "random":
            return "random.SystemRandom()"
    return "os.urandom()"


def _turned_harmless(site):
    """Whether all values became parts of names of files which are gone: no result holds them."""
    if site.control != UNCONTROLLED or not site.tokens or site.count > len(site.tokens):
        return False
    names = watch.written()
    if len(names) * len(site.tokens) > _NAMES:
        return False
    for token in site.tokens:
        found = [name for name in names if token in name]
        if not found or any(os.path.lexists(name) for name in found):
            return False
    site.control, site.by = HARMLESS, "names of files that were removed again"
    return True


def line_of(frame):
    """The line of source that a frame is at; empty where it cannot be read."""
    watch.quiet.add(get_ident())
    try:
        with open(frame.f_code.co_filename, encoding="utf-8", errors="replace") as file:
            for number, text in enumerate(file, 1):
                if number == frame.f_lineno:
                    return text
    except (OSError, ValueError):
        pass
    finally:
        watch.quiet.discard(get_ident())
    return ""


def _package(name):
    if "/site-packages/" not in name and "/reproof/randomness/" in name:
        return "reproof"  # installed as a link
    rest = name.replace("/dist-packages/", "/site-packages/").rpartition("/site-packages/")[2]
    return rest.partition("/")[0].partition(".")[0]
