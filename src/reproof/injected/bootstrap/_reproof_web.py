"""What was read from addresses of the web through `http.client`: urllib, requests, and what is built on them.

The bytes are digested as they arrive from the connection (transfer coding undone, content coding not),
in the same calls that hand them to the program: nothing is asked for twice, nothing is read ahead. Only
answers to GET count. What MLflow says to its store is no data; what its own datasets load is.
"""

import atexit
import sys

import _reproof_imports as imports
import _reproof_lines as lines

LIMIT = 10_000  # answers that a process may note

_DATA = frozenset((200, 203, 206))
_MOVED = frozenset((301, 302, 303, 307, 308))
#: Machines of a cloud learn there who they are, and get tokens that are others each time: never data.
_CREDENTIALS = frozenset(("169.254.169.254", "169.254.170.2", "169.254.170.23", "metadata.google.internal"))
_KEY = "_reproof_answer"  # in the __dict__ of connections and answers
_FRAMES = 300

_unread = {}  # id of an answer that has not come to its end: itself
_origins = {}  # address that a redirection led to: the address that was asked for
_counts = {"noted": 0}


def install(module):
    """Listen to the answers of ``http.client``, which was just imported."""
    _listen_to_connections(module.HTTPConnection)
    for name in ("read", "read1", "readline"):
        _wrap(module.HTTPResponse, name, _counted)
    _wrap(module.HTTPResponse, "readinto", _counted_into)
    _wrap(module.HTTPResponse, "close", _closing)
    imports.after("urllib3.response", _listen_to_chunks)
    atexit.register(_tell_unread)


class _Answer:
    """An answer on its way in."""

    def __init__(self, address, expected):
        import hashlib

        self.address = address
        self.digester = hashlib.sha256()
        self.size = 0
        self.expected = expected  # bytes, None where nobody knows
        self.part = None  # what a Content-Range says
        self.where = lines.caller()
        self.depth = 0  # methods of an answer call each other; the outermost counts
        self.is_whole = False
        self.stored = None  # the object of a bucket that it brings

    def add(self, data):
        try:
            self.digester.update(data)
            self.size += len(data)
        except Exception as error:
            lines.failed("answers of the web", repr(error))

    def tell(self):
        if _unread.pop(id(self), None) is None:
            return
        is_whole = self.is_whole or self.size == self.expected
        if self.stored is not None:
            self.stored.told(self.digester.hexdigest() if is_whole else "", self.size, is_whole)
            return
        lines.write(
            "url",
            url=self.address,
            sha256=self.digester.hexdigest(),
            size=self.size,
            whole=None if is_whole else False,
            part=self.part,
            where=self.where or None,
        )


def _listen_to_connections(kind):
    putrequest, getresponse = kind.putrequest, kind.getresponse

    def noting_putrequest(self, method, url, *args, **kwargs):
        self.__dict__[_KEY] = (method, url)
        return putrequest(self, method, url, *args, **kwargs)

    def noting_getresponse(self, *args, **kwargs):
        answer = getresponse(self, *args, **kwargs)
        try:
            _begin(self, answer)
        except Exception as error:
            lines.failed("answers of the web", repr(error))
        return answer

    kind.putrequest = _like(putrequest, noting_putrequest)
    kind.getresponse = _like(getresponse, noting_getresponse)


def _begin(connection, response):
    method, url = connection.__dict__.pop(_KEY, ("", ""))
    if method != "GET":
        return
    address = _address(connection, url)
    if response.status in _MOVED:
        _note_move(address, response.getheader("Location"))
    elif response.status in _DATA and connection.host not in _CREDENTIALS and not _is_tracking():
        _counts["noted"] += 1
        if _counts["noted"] > LIMIT:
            if _counts["noted"] == LIMIT + 1:
                lines.failed("answers of the web", "more than %d; the others are not noted" % LIMIT)
            return
        answer = _Answer(_origins.get(address, address), response.length)
        answer.part = response.getheader("Content-Range") if response.status == 206 else None
        objects = sys.modules.get("_reproof_objects")
        answer.stored = objects.asked() if objects is not None else None
        if answer.stored is None and _is_cloud(address, response):
            import _reproof_clouds

            if "/storage/v1/b/" in address and _reproof_clouds.is_description(address):
                return
            answer.stored = _reproof_clouds.stored(address, response.getheader)
        if answer.stored is not None:
            answer.stored.is_carried = True
        _unread[id(answer)] = answer
        response.__dict__[_KEY] = answer


def _is_cloud(address, response):
    """Whether an answer may be an object of Google or Azure, asked for by a client of theirs, or about one."""
    if "/storage/v1/b/" in address:
        return True
    return "azure.core" in sys.modules and response.getheader("x-ms-blob-type") is not None


def _address(connection, url):
    if "://" in url:  # asked of a proxy
        return url
    host, port = connection.host.rpartition("@")[2], connection.port
    if getattr(connection, "_tunnel_host", None):
        host, port = connection._tunnel_host, connection._tunnel_port
    usual = getattr(connection, "default_port", 80)
    scheme = "https" if usual == 443 else "http"
    if ":" in host and host[:1] != "[":
        host = "[%s]" % host
    place = host if port in (None, usual) else "%s:%s" % (host, port)
    return "%s://%s%s" % (scheme, place, url if url[:1] == "/" else "/" + url)


def _note_move(address, location):
    if location and len(_origins) < LIMIT:
        from urllib.parse import urljoin  # http.client has imported it

        _origins[urljoin(address, location)] = _origins.get(address, address)


def _is_tracking():
    """Whether MLflow itself asks, on behalf of its store; its datasets ask on the user's."""
    frame, found = sys._getframe(2), False
    for _ in range(_FRAMES):
        if frame is None:
            break
        name = frame.f_code.co_filename
        if "-packages/mlflow/" in name:
            if "-packages/mlflow/data/" in name:
                return False
            found = True
        frame = frame.f_back
    return found


def _wrap(kind, name, make):
    original = kind.__dict__.get(name)
    if original is not None:
        setattr(kind, name, _like(original, make(original)))


def _like(original, ours):
    """Ours in the guise of the original, for whoever looks."""
    for name in ("__module__", "__name__", "__qualname__", "__doc__"):
        setattr(ours, name, getattr(original, name, None))
    ours.__wrapped__ = original
    return ours


def _counted(original):
    def reading(self, *args, **kwargs):
        answer = self.__dict__.get(_KEY)
        if answer is None or answer.depth:
            return original(self, *args, **kwargs)
        answer.depth = 1
        try:
            data = original(self, *args, **kwargs)
        finally:
            answer.depth = 0
        answer.add(data)
        _end_if_done(self, answer)
        return data

    return reading


def _counted_into(original):
    def reading(self, buffer, *args, **kwargs):
        answer = self.__dict__.get(_KEY)
        if answer is None or answer.depth:
            return original(self, buffer, *args, **kwargs)
        answer.depth = 1
        try:
            count = original(self, buffer, *args, **kwargs)
        finally:
            answer.depth = 0
        if count:
            answer.add(bytes(memoryview(buffer).cast("B")[:count]))
        _end_if_done(self, answer)
        return count

    return reading


def _end_if_done(response, answer):
    if response.fp is None:  # http.client lets go of the connection at the end of the answer
        answer.is_whole = True
        del response.__dict__[_KEY]
        answer.tell()


def _closing(original):
    def close(self):
        answer = self.__dict__.get(_KEY)
        if answer is not None and not answer.depth:
            del self.__dict__[_KEY]
            answer.tell()
        return original(self)

    return close


def _listen_to_chunks(module):
    """urllib3 takes answers in chunks apart by itself, past the methods of the answer."""
    kind = module.HTTPResponse
    take, update = kind._handle_chunk, kind._update_chunk_length

    def _handle_chunk(self, amt):
        answer = _answer_within(self)
        if answer is None:
            return take(self, amt)
        answer.depth += 1
        try:
            data = take(self, amt)
        finally:
            answer.depth -= 1
        answer.add(data)
        return data

    def _update_chunk_length(self):
        update(self)
        answer = _answer_within(self)
        if answer is not None and self.chunk_left == 0:
            answer.is_whole = True

    kind._handle_chunk = _like(take, _handle_chunk)
    kind._update_chunk_length = _like(update, _update_chunk_length)


def _answer_within(response):
    inner = getattr(response, "_fp", None)
    return inner.__dict__.get(_KEY) if hasattr(inner, "__dict__") else None


def _tell_unread():
    for answer in list(_unread.values()):
        answer.tell()
