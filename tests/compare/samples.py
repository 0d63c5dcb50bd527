"""Valid files of every kind, for the conformance and mutation tests over the whole registry.

SAMPLES: kind -> builder; a builder makes some valid, different files (or folders) in an empty folder.
CONTENT: kind -> builder of one file with the offsets of bytes that are content: whichever bit of them is
flipped, the outcome may be neither IDENTICAL nor EQUIVALENT.
"""

from __future__ import annotations

import base64
import bz2
import gzip
import io
import json
import lzma
import tarfile
import zipfile
from collections.abc import Callable, Iterable
from pathlib import Path

import array_samples
import image_samples
import model_samples
import table_samples

DATE = (1980, 1, 1, 0, 0, 0)
LINES = b"".join(b"%d,%d,word %d\n" % (number, number * number, number) for number in range(40))


def written(folder: Path, files: dict[str, bytes]) -> list[Path]:
    paths = []
    for name, data in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        paths.append(path)
    return paths


def zipped(
    members: Iterable[tuple[str, bytes]],
    *,
    method: int = zipfile.ZIP_DEFLATED,
    date: tuple[int, ...] = DATE,
    mode: int = 0o644,
    comment: bytes = b"",
) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.comment = comment
        for name, data in members:
            info = zipfile.ZipInfo(name, date)
            info.compress_type = method
            info.external_attr = mode << 16
            archive.writestr(info, data)
    return buffer.getvalue()


def tarred(
    members: Iterable[tuple[str, bytes | str]],
    *,
    form: int = tarfile.PAX_FORMAT,
    mtime: float = 0,
    mode: int = 0o644,
    owner: int = 0,
    headers: dict[str, str] | None = None,
) -> bytes:
    """Content as bytes; a str is the target of a symlink."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=form, pax_headers=headers) as archive:
        for name, content in members:
            info = tarfile.TarInfo(name)
            info.mtime, info.mode, info.uid = mtime, mode, owner
            if isinstance(content, str):
                info.type, info.linkname = tarfile.SYMTYPE, content
                archive.addfile(info)
            else:
                info.size = len(content)
                archive.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def zstandard(data: bytes) -> bytes:
    import pyarrow as pa

    return pa.compress(data, codec="zstd", asbytes=True)


MEMBERS = [("a.txt", LINES), ("folder/b.json", b'{"b": [1, 2.5, "x"]}'), ("c.bin", bytes(range(256)))]


def _bytes(folder: Path) -> list[Path]:
    return written(folder, {"a.bin": bytes(range(256)), "b.bin": bytes(range(255)), "c.bin": b"\0" * 70_000})


def _text(folder: Path) -> list[Path]:
    return written(
        folder,
        {
            "a.txt": LINES,
            "b.txt": LINES.replace(b"\n", b"\r\n"),
            "c.txt": LINES[:-1],
            "d.txt": "Größe\n".encode("latin-1"),
            "e.txt": "Größe\n".encode("utf-16"),
            "f.txt": b"",
        },
    )


def notebook(
    text: str, *, second: int = 0, cell: str = "a1", pieces: int = 1, address: str = "0x7f0000000000"
) -> bytes:
    """A notebook as papermill leaves it; what does not change its content may be varied."""
    size = -(-len(text) // pieces)
    times = {"start_time": f"2024-01-01T00:00:{second:02}", "end_time": "2024-01-01T00:01:00"}
    outputs: list[dict[str, object]] = [
        {"output_type": "stream", "name": "stdout", "text": [text[start : start + size]]}
        for start in range(0, len(text), size)
    ]
    image = base64.b64encode(image_samples.png(image_samples.picture())).decode()
    data = {"text/plain": [f"<Model at {address}>"], "image/png": image}
    outputs.append({"output_type": "execute_result", "data": data, "metadata": {}, "execution_count": 1})
    metadata = {"papermill": {**times, "duration": second / 7, "status": "completed"}, "tags": ["parameters"]}
    code = {
        "cell_type": "code",
        "id": cell,
        "execution_count": 1,
        "metadata": {**metadata, "execution": {"iopub.status.busy": times["start_time"]}},
        "source": ["fit()\n", "model"],
        "outputs": outputs,
    }
    whole = {"cells": [code], "metadata": metadata, "nbformat": 4, "nbformat_minor": 5}
    return json.dumps(whole, indent=1).encode()


def _notebook(folder: Path) -> list[Path]:
    files = {
        "a.ipynb": notebook("weight 0.1\n"),
        "b.ipynb": notebook("weight 0.1\n", second=7, cell="b2", pieces=3, address="0x7fffffffffff"),
        "c.ipynb": notebook("weight 0.2\n"),
        "d.ipynb": b'{"cells": [], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}',
    }
    return written(folder, files)


def _json(folder: Path) -> list[Path]:
    value = {"metrics": {"rmse": 0.1, "n": 3, "nan": float("nan")}, "names": ["a", "b", None, True]}
    close = {**value, "metrics": {**value["metrics"], "rmse": 0.1 + 2e-17 * 8}}
    return written(
        folder,
        {
            "a.json": json.dumps(value).encode(),
            "b.json": json.dumps(value, indent=2, sort_keys=True).encode(),
            "c.json": json.dumps(close).encode(),
            "d.json": json.dumps([value, close]).encode(),
            "e": b'{"rmse": 1e-1}',
        },
    )


def _jsonl(folder: Path) -> list[Path]:
    lines = [json.dumps({"step": number, "loss": 1 / (number + 1)}) for number in range(20)]
    return written(
        folder,
        {
            "a.jsonl": "\n".join(lines).encode() + b"\n",
            "b.jsonl": "\n".join(lines[:-1]).encode() + b"\n",
            "c.ndjson": "\n".join(lines).replace(": ", ":").encode(),
            "d.jsonl": "\n".join(lines).replace("0.5", "0.5000000000000001").encode(),
        },
    )


def _yaml(folder: Path) -> list[Path]:
    text = b"a: 1\nb: [x, y, 1.5]\nc: &shared {d: true, e: null}\nf: *shared\ng: !own {h: 1}\n"
    return written(
        folder,
        {
            "a.yaml": text,
            "b.yml": b"# comment\n" + text.replace(b"[x, y, 1.5]", b"\n- x\n- y\n- 1.5"),
            "c.yaml": text.replace(b"1.5", b"1.6"),
            "d.yaml": text + b"---\nsecond: document\n",
        },
    )


def _toml(folder: Path) -> list[Path]:
    text = b'title = "x"\n[table]\nvalue = 1.5\nwhen = 1979-05-27T07:32:00Z\nlist = [1, 2, 3]\n'
    return written(
        folder,
        {
            "a.toml": text,
            "b.toml": text.replace(b" = ", b"="),
            "c.toml": text.replace(b"1.5", b"1.50000001"),
            "d.toml": b"[table]\n" + text.partition(b"[table]\n")[2] + b"",
        },
    )


def _zip(folder: Path) -> list[Path]:
    return written(
        folder,
        {
            "a.zip": zipped(MEMBERS),
            "b.zip": zipped(reversed(MEMBERS), method=zipfile.ZIP_STORED, date=(2020, 2, 2, 2, 2, 2)),
            "c.zip": zipped([*MEMBERS[:2], ("c.bin", b"other")], comment=b"comment"),
            "d.zip": zipped(MEMBERS, mode=0o755),
            "e.zip": zipped([]),
        },
    )


def _wheel(folder: Path) -> list[Path]:
    def wheel(generator: bytes, body: bytes) -> bytes:
        info = "own-1.0.dist-info"
        metadata = (
            b"Wheel-Version: 1.0\nGenerator: " + generator + b"\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        record = b"own.py,sha256=abc,%d\n%s/WHEEL,sha256=%s,7\n%s/RECORD,,\n" % (
            len(body),
            info.encode(),
            generator,
            info.encode(),
        )
        return zipped([("own.py", body), (f"{info}/WHEEL", metadata), (f"{info}/RECORD", record)])

    return written(
        folder,
        {
            "own-1.0-py3-none-any.whl": wheel(b"one", b"x = 1\n"),
            "b/own-1.0-py3-none-any.whl": wheel(b"two", b"x = 1\n"),
            "c/own-1.0-py3-none-any.whl": wheel(b"one", b"x = 2\n"),
        },
    )


def _tar(folder: Path) -> list[Path]:
    linked = [*MEMBERS, ("link", "a.txt")]
    return written(
        folder,
        {
            "a.tar": tarred(linked),
            "b.tar": tarred(reversed(linked), form=tarfile.GNU_FORMAT, mtime=7, owner=1000),
            "c.tar": tarred([*MEMBERS, ("link", "c.bin")], mtime=1.5),
            "d.tar": tarred(linked, headers={"comment": "abc", "SCHILY.xattr.user.x": "1"}),
        },
    )


def _compressed(ending: str, pack: Callable[[bytes], bytes]) -> Callable[[Path], list[Path]]:
    def build(folder: Path) -> list[Path]:
        return written(
            folder,
            {
                f"a.json{ending}": pack(b'{"a": 1}'),
                f"b.json{ending}": pack(b'{"a": 1.0}'),
                f"c.json{ending}": pack(b'{"a": 2}'),
                f"d.tar{ending}": pack(tarred(MEMBERS)),
            },
        )

    return build


def _folder(folder: Path) -> list[Path]:
    first, second, third = (folder / name for name in "abc")
    for place in (first, second, third):
        written(place, {"text.txt": LINES, "deep/er/data.json": b'{"a": 1}', "same.bin": b"\0\1"})
        (place / "link").symlink_to("text.txt")
        (place / "empty").mkdir()
    (second / "deep/er/data.json").write_bytes(b'{"a":1}')
    (third / "text.txt").rename(third / "renamed.txt")
    (third / "same.bin").chmod(0o755)
    return [first, second, third]


SAMPLES: dict[str, Callable[[Path], list[Path]]] = {
    "bytes": _bytes,
    "text": _text,
    "json": _json,
    "notebook": _notebook,
    "jsonl": _jsonl,
    "yaml": _yaml,
    "toml": _toml,
    "zip": _zip,
    "wheel": _wheel,
    "tar": _tar,
    "gzip": _compressed(".gz", lambda data: gzip.compress(data, mtime=len(data))),
    "bzip2": _compressed(".bz2", bz2.compress),
    "xz": _compressed(".xz", lzma.compress),
    "zstd": _compressed(".zst", zstandard),
    "folder": _folder,
    **array_samples.SAMPLES,
    **model_samples.SAMPLES,
    **image_samples.SAMPLES,
    **table_samples.SAMPLES,
}


def located(data: bytes, *needles: bytes) -> list[int]:
    """Offsets of all bytes of the first place of each needle."""
    return [data.index(needle) + number for needle in needles for number in range(len(needle))]


def _content(name: str, data: bytes, *needles: bytes) -> Callable[[Path], tuple[Path, list[int]]]:
    def build(folder: Path) -> tuple[Path, list[int]]:
        (path,) = written(folder, {name: data})
        return path, located(data, *needles)

    return build


_TREE = b'{"name": "forest", "depth": 12345678, "rates": [0.123456789012345678, -1.5e-7], "on": true, "off": null}'
_VALUES = (b"forest", b"12345678", b"0.123456789012345678", b"1.5e-7", b"true", b"null", b"name", b"rates")
_YAML = b"name: forest\ndepth: 12345678\nrate: 0.123456789012345678\nlist:\n- alpha\n- beta\n"
_YAML_VALUES = (b"forest", b"12345678", b"0.123456789012345678", b"alpha", b"beta", b"depth")
_TOML = b'name = "forest"\ndepth = 12345678\nrate = 0.12345678901234567\nlist = ["alpha", "beta"]\nd = 1979-05-27\n'

CONTENT: dict[str, Callable[[Path], tuple[Path, list[int]]]] = {
    "bytes": _content("a.bin", bytes(range(256)), bytes(range(256))),
    "text": _content("a.txt", LINES, LINES),
    "json": _content("a.json", _TREE, *_VALUES),
    "notebook": _content("a.ipynb", notebook("weight 0.1234\n"), b"weight 0.1234", b"fit()", b"parameters"),
    "jsonl": _content("a.jsonl", _TREE + b"\n" + _TREE, *_VALUES),
    "yaml": _content("a.yaml", _YAML, *_YAML_VALUES),
    "toml": _content(
        "a.toml", _TOML, b"forest", b"12345678", b"0.12345678901234567", b"alpha", b"1979-05-27"
    ),
    "zip": _content("a.zip", zipped([("a.bin", LINES)], method=zipfile.ZIP_STORED), LINES),
    "wheel": _content(
        "a-1-py3-none-any.whl", zipped([("a.py", LINES), ("a-1.dist-info/METADATA", b"x")], method=0), LINES
    ),
    "tar": _content("a.tar", tarred([("a.bin", LINES)]), LINES),
    "gzip": _content("a.bin.gz", gzip.compress(LINES, compresslevel=0, mtime=0), LINES),
    "zstd": _content("a.bin.zst", zstandard(bytes(range(256))), bytes(range(256))),
    **array_samples.CONTENT,
    **model_samples.CONTENT,
    **image_samples.CONTENT,
    **table_samples.CONTENT,
}
