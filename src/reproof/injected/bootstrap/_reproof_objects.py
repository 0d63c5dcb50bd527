"""Objects of S3 that a program reads through botocore (boto3) and aiobotocore (s3fs).

Of each answer to GetObject: bucket, key, version and ETag as the store gave them, and a digest of the bytes where
they came whole. In a re-run, REPROOF_OBJECTS names a file with the recorded versions (``SCHEME/BUCKET/KEY
VERSION`` in each line, percent-encoded): whoever asks for such an object without saying which version gets that one.
"""

import atexit
import os
from _thread import get_ident

import _reproof_lines as lines

LIMIT = 10_000  # objects that a process may note

_READS = frozenset(("GetObject", "HeadObject"))

_asking = {}  # thread: the object whose answer is on its way
_unread = {}  # id of an object whose content has not come to its end: itself
pins = {}  # (scheme, bucket, key): version
_counts = {"noted": 0, "ready": False}


def botocore(module):
    """Listen to the calls of ``botocore.client``, which was just imported."""
    prepare()
    original = module.BaseClient._make_api_call

    def _make_api_call(self, operation_name, api_params):
        stored, params = _begin(self, operation_name, api_params)
        if stored is None and params is api_params:
            return original(self, operation_name, api_params)
        thread = get_ident()
        if stored is not None:
            _asking[thread] = stored
        try:
            response = original(self, operation_name, params)
        except Exception as error:
            if params is api_params or not _is_gone(error):
                raise
            response = original(self, operation_name, api_params)  # what is there now comes, and is told
        finally:
            _asking.pop(thread, None)
        if stored is not None:
            stored.answered(response)
        return response

    module.BaseClient._make_api_call = _like(original, _make_api_call)


def aiobotocore(module):
    """Listen to the calls of ``aiobotocore.client``, which was just imported."""
    prepare()
    original = module.AioBaseClient._make_api_call

    async def _make_api_call(self, operation_name, api_params):
        stored, params = _begin(self, operation_name, api_params)
        try:
            response = await original(self, operation_name, params)
        except Exception as error:
            if params is api_params or not _is_gone(error):
                raise
            response = await original(self, operation_name, api_params)
        if stored is not None:
            stored.follow(response)
            stored.answered(response)
        return response

    module.AioBaseClient._make_api_call = _like(original, _make_api_call)


def asked():
    """The object that this thread asks for right now; None for none."""
    return _asking.get(get_ident())


class Stored:
    """An object of a bucket, on its way in."""

    def __init__(self, bucket, key, endpoint="", scheme="s3"):
        self.scheme = scheme
        self.bucket, self.key, self.endpoint = bucket, key, endpoint
        self.where = lines.caller()
        self.response = None
        self.content = None  # sha256, size, whether all of it
        self.is_carried = False  # somebody will tell of the content

    def answered(self, response):
        """What the store said; the content follows, unless nobody listens to it."""
        self.response = response or {}
        if self.content is not None or not self.is_carried:
            self._write()

    def told(self, sha256, size, whole):
        """The content has come; `whole`: to its end."""
        self.content = (sha256, size, whole)
        if self.response is not None:
            self._write()

    def follow(self, response):
        """Digest what comes through the asynchronous body of an answer."""
        try:
            body = response["Body"]
            read, expected = body.read, response.get("ContentLength")
            import hashlib

            digester, count = hashlib.sha256(), [0]

            async def reading(*args, **kwargs):
                data = await read(*args, **kwargs)
                digester.update(data)
                count[0] += len(data)
                if count[0] == expected and _unread.pop(id(self), None) is not None:
                    self.told(digester.hexdigest(), count[0], True)
                return data

            body.read = reading
            self.is_carried = True
            _unread[id(self)] = self
        except Exception as error:
            lines.failed("objects", repr(error))

    def _write(self):
        part, version = _part(self.response.get("ContentRange")), self.response.get("VersionId")
        sha256, size, whole = self.content or ("", self.response.get("ContentLength") or 0, False)
        lines.write(
            "object",
            scheme=None if self.scheme == "s3" else self.scheme,
            bucket=self.bucket,
            key=self.key,
            version=version if version != "null" else None,
            etag=(self.response.get("ETag") or "").strip('"') or None,
            sha256=sha256 or None,
            size=size,
            whole=None if whole and not part else False,
            part=part,
            endpoint=self.endpoint or None,
            where=self.where or None,
        )


def prepare():
    """Read which versions a re-run is to get, once."""
    if _counts["ready"]:
        return
    _counts["ready"] = True
    atexit.register(_tell_unread)
    place = os.environ.get("REPROOF_OBJECTS")
    if place:
        from urllib.parse import unquote

        with open(place, encoding="ascii") as file:
            for line in file:
                name, _, version = line.strip().partition(" ")
                scheme, bucket, key = name.split("/", 2)
                pins[scheme, unquote(bucket), unquote(key)] = unquote(version)


def _begin(client, operation, params):
    """The object that a call asks for (None for other calls), and the parameters that it gets."""
    try:
        if operation not in _READS or client._service_model.service_name != "s3" or not params:
            return None, params
        import _reproof_web

        bucket, key = params.get("Bucket"), params.get("Key")
        if not bucket or not key or _reproof_web._is_tracking():
            return None, params
        if ("s3", bucket, key) in pins and "VersionId" not in params:
            params = dict(params, VersionId=pins["s3", bucket, key])
        if operation != "GetObject" or not _is_welcome():
            return None, params
        return Stored(bucket, key, _endpoint(client)), params
    except Exception as error:
        lines.failed("objects", repr(error))
        return None, params


def _is_gone(error):
    """Whether a store refused a version for not having it, any more."""
    said = getattr(error, "response", None) or {}
    return said.get("ResponseMetadata", {}).get("HTTPStatusCode") == 404


def _is_welcome():
    _counts["noted"] += 1
    if _counts["noted"] == LIMIT + 1:
        lines.failed("objects", "more than %d; the others are not noted" % LIMIT)
    return _counts["noted"] <= LIMIT


def _endpoint(client):
    """Where the store is, but for Amazon's own."""
    address = str(getattr(client.meta, "endpoint_url", "") or "")
    return "" if address.rstrip("/").endswith((".amazonaws.com", ".amazonaws.com.cn")) else address


def _part(content_range):
    """Which part of an object a Content-Range names; None where it is all of it."""
    if not content_range:
        return None
    span, _, total = content_range.partition(" ")[2].partition("/")
    first, _, last = span.partition("-")
    is_all = first == "0" and last.isdigit() and total.isdigit() and int(last) + 1 == int(total)
    return None if is_all else content_range


def _tell_unread():
    for stored in list(_unread.values()):
        _unread.pop(id(stored), None)
        stored.told("", stored.response.get("ContentLength") or 0 if stored.response else 0, False)


def _like(original, ours):
    for name in ("__module__", "__name__", "__qualname__", "__doc__"):
        setattr(ours, name, getattr(original, name, None))
    ours.__wrapped__ = original
    return ours
