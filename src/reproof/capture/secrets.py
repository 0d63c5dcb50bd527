"""What looks like a secret, by name or by content: such text never enters a record.

Name patterns and prefixes of the common providers; no guessing by entropy, which flags digests and
misses passwords.
"""

from __future__ import annotations

import itertools
import re

#: Words of a name (parted by anything but letters and digits) that announce a secret.
_WORDS = frozenset(
    [
        "apikey",
        "auth",
        "authorization",
        "bearer",
        "cookie",
        "credential",
        "credentials",
        "creds",
        "dsn",
        "jwt",
        "oauth",
        "passphrase",
        "passwd",
        "password",
        "passwords",
        "pat",
        "private",
        "privatekey",
        "pwd",
        "salt",
        "secret",
        "secrets",
        "session",
        "sessionid",
        "sig",
        "signature",
        "token",
        "tokens",
        "webhook",
    ]
)
#: Pairs of neighbouring words that announce one.
_PAIRS = frozenset(
    {
        ("access", "key"),
        ("account", "key"),
        ("api", "key"),
        ("client", "key"),
        ("connection", "string"),
        ("encryption", "key"),
        ("license", "key"),
        ("master", "key"),
        ("private", "key"),
        ("secret", "key"),
        ("service", "account"),
        ("signing", "key"),
        ("ssh", "key"),
    }
)
#: Parameters of signed addresses, which are new for each request.
_SIGNED = frozenset(
    {
        "awsaccesskeyid", "expires", "googleaccessid", "key", "key-pair-id", "policy", "se", "skoid", "sktid",
        "x-amz-credential", "x-amz-date", "x-amz-expires", "x-amz-security-token", "x-amz-signature",
        "x-goog-credential", "x-goog-date", "x-goog-expires", "x-goog-signature",
    }
)  # fmt: skip
#: Stands in a record where a secret stood.
CONCEALED = "${CONCEALED}"

#: Values that a name like `max_tokens` or `private` also has, and that are no secrets.
_HARMLESS = re.compile(
    r"[+-]?[\d_]*\.?\d+(?:e[+-]?\d+)?|true|false|none|null|yes|no|on|off|auto|default", re.IGNORECASE
)
_SHORTEST = 6

_PART = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")

#: How the tokens of well-known providers begin, and forms that carry a secret wherever they stand.
_CONTENT = re.compile(
    r"""
      \b(?:AKIA|ASIA)[0-9A-Z]{12,}                       # Amazon
    | \bgh[pousr]_[A-Za-z0-9]{16,} | \bgithub_pat_\w{16,}
    | \bgl(?:pat|ptt|dt|rt|cbt)-[\w-]{12,}               # GitLab
    | \bhf_[A-Za-z0-9]{16,}                              # Hugging Face
    | \b(?:sk|rk|pk)[-_](?:live|test|proj|ant|svcacct)?[-_]?[A-Za-z0-9_-]{16,}
    | \bpypi-[A-Za-z0-9_-]{16,} | \bnpm_[A-Za-z0-9]{16,} | \bdckr_pat_[\w-]{12,}
    | \bxox[abeoprs]-[A-Za-z0-9-]{10,} | \bxapp-[A-Za-z0-9-]{10,}
    | \bAIza[\w-]{30,} | \bya29\.[\w-]{20,}              # Google
    | \bdapi[0-9a-f]{24,} | \bdop_v1_[0-9a-f]{24,} | \bSG\.[\w-]{16,}\.[\w-]{16,}
    | \beyJ[\w-]{8,}\.eyJ[\w-]{8,}                       # JSON web token
    | -----BEGIN[ ][A-Z ]*PRIVATE[ ]KEY-----
    | [A-Za-z][A-Za-z0-9+.-]*://[^/\s:@]*:[^/\s@]+@      # password in an address
    | [?&](?:X-Amz-Signature|X-Goog-Signature|sig|Signature|access_token|token|api_key|key)=[^&\s]{6,}
    | \bBearer\s+[\w.~+/-]{12,}
    | --?(?:password|passwd|token|secret|api-key)[=\s]\S+
    """,
    re.VERBOSE,
)


def announces_secret(name: str) -> bool:
    """Whether a variable, parameter or option of this name usually holds a secret.

    ``HF_TOKEN``, ``dbPassword`` and ``AWS_SECRET_ACCESS_KEY`` do; ``TOKENIZERS_PARALLELISM`` does not.
    """
    words = [part.lower() for part in _PART.findall(name)]
    return not _WORDS.isdisjoint(words) or not _PAIRS.isdisjoint(itertools.pairwise(words))


def address_without_secrets(address: str) -> str:
    """A web address without user, password and fragment, and without the values of secret parameters.

    What other parameters say belongs to the name of the content: ``?year=2024&token=`` stays of
    ``?year=2024&token=abc``.
    """
    address = address.partition("#")[0]
    scheme, separator, rest = address.partition("://")
    place, slash, path = rest.partition("/")
    path, mark, query = path.partition("?")
    parts = [_without_value(part) for part in query.split("&")]
    return f"{scheme}{separator}{place.rpartition('@')[2]}{slash}{path}{mark}{'&'.join(parts)}"


def _without_value(part: str) -> str:
    name, equals, value = part.partition("=")
    is_secret = announces_secret(name) or name.lower() in _SIGNED or contains_secret(f"?{part}")
    return f"{name}{equals}" if is_secret or contains_secret(value) else part


def is_secret(name: str, value: str) -> bool:
    """Whether the value of a parameter or tag is to be left out of records.

    By its own form; or by its name, unless it is a number, a switch or very short.
    """
    if contains_secret(value):
        return True
    return announces_secret(name) and len(value) >= _SHORTEST and _HARMLESS.fullmatch(value) is None


def conceal_value(name: str, value: str) -> str:
    """The value of a parameter or tag as it may be recorded."""
    return CONCEALED if is_secret(name, value) else value


def conceal_in(text: str) -> str:
    """`text` with everything in the form of a token, key or password left out."""
    return _CONTENT.sub(CONCEALED, text)


def contains_secret(text: str) -> bool:
    """Whether `text` holds something in the form of a token, key or password."""
    return _CONTENT.search(text) is not None
