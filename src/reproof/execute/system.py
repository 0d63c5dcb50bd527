"""The part of this machine's system that every room shows, read-only."""

from __future__ import annotations

#: What programs expect below /etc; whatever else is there (keys, host names, tokens) stays out.
ETC = (
    "alternatives",
    "debconf.conf",
    "fonts",
    "gai.conf",
    "group",
    "host.conf",
    "hosts",
    "ld.so.cache",
    "ld.so.conf",
    "ld.so.conf.d",
    "localtime",
    "locale.alias",
    "magic",
    "mime.types",
    "nsswitch.conf",
    "OpenCL",
    "os-release",
    "passwd",
    "pki/tls/certs",
    "protocols",
    "services",
    "ssl/certs",
    "ssl/openssl.cnf",
    "timezone",
)

#: Programs and libraries; a name that is a link, such as ``/bin -> usr/bin``, stays one.
TREES = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32")
