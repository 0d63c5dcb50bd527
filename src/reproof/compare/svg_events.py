"""Reading SVG into a flat list of events, without entities, network or recursion."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any
from xml.parsers import expat

from reproof.compare.protocol import ContentError, LimitError

_MAX_ELEMENTS = 400_000
_SVG = "http://www.w3.org/2000/svg}"
_DC = "http://purl.org/dc/elements/1.1/}"
_CC = "http://creativecommons.org/ns#}"
_XML = "http://www.w3.org/XML/1998/namespace}"
_METADATA = f"{_SVG}metadata"
#: Elements in which blanks between other elements are content too.
_TEXTUAL = frozenset(
    _SVG + name for name in ("text", "tspan", "textPath", "title", "desc", "style", "script", "foreignObject")
)
VERSION = r"[0-9]+(?:\.[0-9]+)*(?:(?:a|b|rc)[0-9]+)?(?:\.post[0-9]+)?(?:\.dev[0-9]+)?(?:\+[0-9A-Za-z.]+)?"
"""A version of a Python package (PEP 440), as matplotlib writes its own into what it draws."""
_CREATOR = re.compile(rf"Matplotlib v({VERSION})(?=, |$)")
#: Names that matplotlib makes from a hash with a random salt: clip paths, markers, hatches, images
#: and the paths of collections.
_GENERATED = re.compile(r"(h|p|m|image|Im_image|C[0-9a-f]+_[0-9a-f]+_)[0-9a-f]{10}")
_REFERENCE = re.compile(r"#([A-Za-z_][\w.:-]*)")

Attributes = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Start:
    """The beginning of an element; names are ``namespace}local``, attributes sorted."""

    tag: str
    attributes: Attributes


@dataclass
class Svg:
    """An SVG document as a list of events, with what was taken out of it.

    Attributes:
        events: :class:`Start`, texts, instructions as (target, data), and None where an element ends.
        head: What stands before the root and is content: identifiers of the document type.
        namespaces: Addresses of all namespaces that are declared.
        dates: When it was made, as its metadata say.
        creators: Versions of the program that made it.
        ids: Generated names in the order in which they are met.
        comments: Digest of the comments.
        layout: Digest of blanks between elements and of the order of attributes.
        declaration: The XML declaration.
    """

    events: list[Any] = field(default_factory=list)
    head: list[str] = field(default_factory=list)
    namespaces: set[str] = field(default_factory=set)
    dates: list[str] = field(default_factory=list)
    creators: list[str] = field(default_factory=list)
    ids: list[str] = field(default_factory=list)
    comments: Any = field(default_factory=lambda: blake2b(digest_size=16))
    layout: Any = field(default_factory=lambda: blake2b(digest_size=16))
    declaration: tuple[object, ...] = ()


def read_svg(data: bytes) -> Svg:
    """The events of an SVG document, generated names replaced by their numbers.

    Raises:
        ContentError: Not well-formed, or it declares or uses entities of its own.
        LimitError: It has too many elements.
    """
    reader = _Reader()
    try:
        reader.parser.Parse(data, True)
    except expat.ExpatError as error:
        raise ContentError(f"no well-formed XML: {error}") from None
    _number_ids(reader.found)
    return reader.found


class _Reader:
    def __init__(self) -> None:
        self.found = Svg()
        self.parser = expat.ParserCreate(namespace_separator="}")
        self.parser.buffer_text = True
        self.parser.ordered_attributes = True
        self.parser.StartElementHandler = self._start
        self.parser.EndElementHandler = self._end
        self.parser.CharacterDataHandler = self._characters
        self.parser.CommentHandler = self._comment
        self.parser.ProcessingInstructionHandler = self._instruction
        self.parser.XmlDeclHandler = self._declaration
        self.parser.StartDoctypeDeclHandler = self._doctype
        self.parser.StartNamespaceDeclHandler = self._namespace
        self.parser.SkippedEntityHandler = self._skipped
        self._stack: list[str] = []
        self._keeps = [False]  # for each open element whether blanks in it count
        self._texts: list[str] = []
        self._elements = 0

    def _start(self, tag: str, attributes: list[str]) -> None:
        self._flush()
        self._elements += 1
        if self._elements > _MAX_ELEMENTS:
            raise LimitError(f"more than {_MAX_ELEMENTS:,} elements")
        pairs = tuple(zip(attributes[::2], attributes[1::2], strict=True))
        ordered = tuple(sorted(pairs))
        if pairs != ordered:
            self.found.layout.update(repr([name for name, _ in pairs]).encode())
        self.found.events.append(Start(tag, ordered))
        keeps = self._keeps[-1] or tag in _TEXTUAL or (f"{_XML}space", "preserve") in ordered
        self._stack.append(tag)
        self._keeps.append(keeps)

    def _end(self, tag: str) -> None:
        del tag
        self._flush()
        self._stack.pop()
        self._keeps.pop()
        self.found.events.append(None)

    def _characters(self, text: str) -> None:
        self._texts.append(text)

    def _flush(self) -> None:
        if not self._texts:
            return
        text = "".join(self._texts)
        self._texts.clear()
        if not self._keeps[-1] and not text.strip(" \t\r\n"):
            self.found.layout.update(f"{len(self.found.events)} {text}".encode())
            return
        self.found.events.append(self._without_maker(text))

    def _without_maker(self, text: str) -> str:
        """`text` without the date and the version of the program, where it is the metadata's."""
        if _METADATA not in self._stack:
            return text
        if self._stack[-1] == f"{_DC}date":
            self.found.dates.append(text)
            return "(date)"
        if self._stack[-3:] == [f"{_DC}creator", f"{_CC}Agent", f"{_DC}title"]:
            match = _CREATOR.match(text)
            if match:
                self.found.creators.append(match[1])
                return "Matplotlib (version)" + text[match.end() :]
        return text

    def _comment(self, text: str) -> None:
        self.found.comments.update(f"{len(self.found.events)} {text}".encode())

    def _instruction(self, target: str, data: str) -> None:
        self._flush()
        self.found.events.append((target, data))

    def _declaration(self, *values: object) -> None:
        self.found.declaration = values

    def _doctype(self, name: str, system: str | None, public: str | None, has_subset: bool) -> None:
        if has_subset:
            raise ContentError("it declares entities or types of its own")
        self.found.head += [name, system or "", public or ""]

    def _namespace(self, prefix: str | None, address: str | None) -> None:
        del prefix
        self.found.namespaces.add(address or "")

    def _skipped(self, name: str, is_parameter: bool) -> None:
        raise ContentError(
            f"it uses the {'parameter ' * is_parameter}entity `{name[:80]}` of an outside document"
        )


def _number_ids(found: Svg) -> None:
    """Replace generated names, where they are defined and where they are used, by their numbers.

    Only names that are defined in the document: a reference to nowhere stays as it is.
    """
    defined = {
        value
        for event in found.events
        if isinstance(event, Start)
        for name, value in event.attributes
        if name == "id" and _GENERATED.fullmatch(value)
    }
    if not defined:
        return
    numbers: dict[str, str] = {}

    def number(name: str) -> str:
        if name not in numbers:
            match = _GENERATED.fullmatch(name)
            numbers[name] = f"{match[1] if match else ''}({len(numbers) + 1})"
        return numbers[name]

    def reference(match: re.Match[str]) -> str:
        return f"#{number(match[1])}" if match[1] in defined else match[0]

    inside_style = False
    for place, event in enumerate(found.events):
        if isinstance(event, Start):
            inside_style = event.tag == f"{_SVG}style"
            if any("#" in value or value in defined for _, value in event.attributes):
                found.events[place] = Start(
                    event.tag,
                    tuple(
                        (
                            name,
                            number(value)
                            if name == "id" and value in defined
                            else _REFERENCE.sub(reference, value),
                        )
                        for name, value in event.attributes
                    ),
                )
        elif isinstance(event, str) and inside_style:
            found.events[place] = _REFERENCE.sub(reference, event)
        else:
            inside_style = False
    found.ids = list(numbers)
