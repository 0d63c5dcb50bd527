"""Objects of Google Cloud Storage and of Azure, by the headers of the answers that bring them.

Over `http.client` (google-cloud-storage, azure-storage-blob) and aiohttp (gcsfs, adlfs). In a re-run, whoever asks
Google for an object without saying which generation gets the recorded one, if it is still there.
"""

from urllib.parse import parse_qsl, unquote, urlsplit

import _reproof_lines as lines
import _reproof_objects as objects

_GOOGLE = ("https://storage.googleapis.com", "https://www.googleapis.com")
_AZURE = (".blob.core.", ".blob.storage.")


def aiohttp(module):
    """Listen to the answers of ``aiohttp.client``, which was just imported."""
    original = module.ClientSession._request

    async def _request(self, method, str_or_url, **kwargs):
        pinned = _pinned(method, str_or_url, kwargs)
        if pinned is not None:
            response = await original(self, method, str_or_url, **pinned)
            if response.status != 404:
                _follow(method, response)
                return response
            response.release()  # it is gone: what is there now comes, and is told
        response = await original(self, method, str_or_url, **kwargs)
        _follow(method, response)
        return response

    module.ClientSession._request = objects._like(original, _request)


def google(module):
    """Let google-cloud-storage get recorded generations, by ``google.auth.transport.requests``, just imported."""
    original = module.AuthorizedSession.request

    def request(self, method, url, *args, **kwargs):
        pinned = _pinned(method, url, kwargs)
        if pinned is not None:
            response = original(self, method, url, *args, **pinned)
            if response.status_code != 404:
                return response
            response.close()
        return original(self, method, url, *args, **kwargs)

    module.AuthorizedSession.request = objects._like(original, request)


def stored(address, answer):
    """The object that an answer brings; None for others. `answer` gives a header by name."""
    generation = answer("x-goog-generation")
    if generation:
        place, bucket, key, values = _of_google(address)
        if not key or values.get("alt") != "media":
            return None
        found = objects.Stored(bucket, key, "" if place in _GOOGLE else place, "gs")
    elif answer("x-ms-blob-type"):
        place, bucket, key = _of_azure(address)
        if not key:
            return None
        found = objects.Stored(bucket, key, place, "az")
    else:
        return None
    found.is_carried = True
    found.answered(
        {
            "VersionId": generation or answer("x-ms-version-id"),
            "ETag": answer("ETag"),
            "ContentLength": int(answer("Content-Length") or 0),
            "ContentRange": answer("Content-Range"),
        }
    )
    return found


def is_description(address):
    """Whether an address leads to what Google says of an object or bucket (dates, counts); a list is none."""
    path, _, query = address.partition("?")
    return not path.endswith("/o") and dict(parse_qsl(query)).get("alt") != "media"


def _pinned(method, address, arguments):
    """The arguments by which a request gets the recorded generation; None where there is nothing to change."""
    try:
        objects.prepare()
        if not objects.pins or method.upper() != "GET" or "/storage/v1/b/" not in str(address):
            return None
        _, bucket, key, values = _of_google(str(address))
        asked = arguments.get("params") or {}
        generation = objects.pins.get(("gs", bucket, key))
        if generation and isinstance(asked, dict) and "generation" not in {**values, **asked}:
            return dict(arguments, params=dict(asked, generation=generation))
    except Exception as error:
        lines.failed("objects", repr(error))
    return None


def _follow(method, response):
    try:
        if method.upper() != "GET" or response.status not in (200, 206):
            return
        found = stored(str(response.url), response.headers.get)
        if found is not None and objects._is_welcome():
            length = response.headers.get("Content-Length")
            found.follow({"Body": response, "ContentLength": int(length) if length else None})
    except Exception as error:
        lines.failed("objects", repr(error))


def _of_google(address):
    """Store, bucket, key (empty for other addresses) and values of an address of Google's JSON interface."""
    parts = urlsplit(address)
    _, _, rest = parts.path.partition("/storage/v1/b/")
    bucket, _, key = rest.partition("/o/")
    values = dict(parse_qsl(parts.query))
    return "%s://%s" % (parts.scheme, parts.netloc), unquote(bucket), unquote(key), values


def _of_azure(address):
    """Store with its account, container and key of an address of Azure's."""
    parts = urlsplit(address)
    place, path = "%s://%s" % (parts.scheme, parts.netloc), parts.path.lstrip("/")
    if not any(each in parts.netloc for each in _AZURE):  # an emulator: the account is part of the path
        account, _, path = path.partition("/")
        place = "%s/%s" % (place, account)
    container, _, key = path.partition("/")
    return place, unquote(container), unquote(key)
