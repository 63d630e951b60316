"""PDF files, written object by object: plain, hostile, broken, and encrypted."""

from __future__ import annotations

import hashlib
import secrets
import zlib
from collections.abc import Sequence

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.padding import PKCS7

PASSWORD = "open sesame"
PAPER = (200, 100)
"""Width and height of a page in points, unless a test says otherwise."""
FONT = b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>"
Objects = dict[int, bytes]


def written(objects: Objects, *, trailer: bytes = b"") -> bytes:
    """Return a file with these objects by number; the first is the catalog."""
    parts, at, offsets = [b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n"], 15, {}
    for number, body in objects.items():
        part = b"%d 0 obj\n%b\nendobj\n" % (number, body)
        offsets[number] = at
        parts.append(part)
        at += len(part)
    size = max(objects) + 1
    table = b"".join(
        b"%010d 00000 n \n" % offsets[number] if number in offsets else b"0000000000 65535 f \n"
        for number in range(size)
    )
    parts.append(b"xref\n0 %d\n%b" % (size, table))
    parts.append(b"trailer\n<< /Size %d /Root 1 0 R %b >>\nstartxref\n%d\n%%%%EOF\n" % (size, trailer, at))
    return b"".join(parts)


def stream(data: bytes, keys: bytes = b"") -> bytes:
    return b"<< /Length %d %b >>\nstream\n%b\nendstream" % (len(data), keys, data)


def filled(red: float, green: float, blue: float, size: tuple[float, float] = PAPER) -> bytes:
    """Return drawing that fills a page with one colour."""
    return b"%g %g %g rg 0 0 %g %g re f\n" % (red, green, blue, *size)


def words(text: str, at: tuple[int, int] = (10, 40)) -> bytes:
    """Return drawing that sets a line in Helvetica, 20 points."""
    return b"BT 0 g /F1 20 Tf %d %d Td (%b) Tj ET\n" % (*at, text.encode("latin-1"))


def objects_of(
    *drawings: bytes,
    size: tuple[float, float] = PAPER,
    page: bytes = b"",
    catalog: bytes = b"",
    extra: Sequence[bytes] = (),
) -> Objects:
    """Return the objects of a document with a page for each drawing; ``extra`` objects begin with number 4."""
    first = 4 + len(extra)
    numbers = [first + 2 * number for number in range(len(drawings))]
    kids = b" ".join(b"%d 0 R" % number for number in numbers)
    objects = {
        1: b"<< /Type /Catalog /Pages 2 0 R %b >>" % catalog,
        2: b"<< /Type /Pages /Kids [%b] /Count %d >>" % (kids, len(drawings)),
        3: FONT,
        **{4 + number: body for number, body in enumerate(extra)},
    }
    for number, drawing in zip(numbers, drawings, strict=True):
        objects[number] = (
            b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 %g %g] /Resources << /Font << /F1 3 0 R >> >> "
            b"/Contents %d 0 R %b >>" % (*size, number + 1, page)
        )
        objects[number + 1] = stream(drawing)
    return objects


def a_document(*drawings: bytes, size: tuple[float, float] = PAPER, page: bytes = b"", catalog: bytes = b"") -> bytes:
    """Return a document with a page for each drawing."""
    return written(objects_of(*(drawings or (b"",)), size=size, page=page, catalog=catalog))


def colours() -> bytes:
    """Return a document of three pages: red, green and blue, with a line of text on each."""
    return a_document(filled(1, 0, 0) + words("one"), filled(0, 1, 0) + words("two"), filled(0, 0, 1) + words("three"))


def a_page_of_text() -> bytes:
    """Return an A4 page of 40 lines."""
    line = "The quick brown fox jumps over the lazy dog, and runs."
    return a_document(b"".join(words(line, (40, 20 * number)) for number in range(1, 41)), size=(595, 842))


def strokes(count: int) -> bytes:
    """Return a page with so many crossing strokes, which take long to draw."""
    lines = b"".join(
        b"%d %d m %d %d l S\n" % (number % 197, number % 89, (number * 7) % 199, (number * 13) % 97)
        for number in range(count)
    )
    return a_document(b"[3 2] 0 d 1.5 w\n" + lines)


def a_text(text: str) -> bytes:
    """Return a page whose letters stand for these characters, up to 26, each by its place in the text."""
    entries = [b"<%02x> <%b>\n" % (65 + at, one.encode("utf-16-be").hex().encode()) for at, one in enumerate(text)]
    table = (
        b"/CIDInit /ProcSet findresource begin 12 dict begin begincmap /CMapName /X def /CMapType 2 def "
        b"1 begincodespacerange <00> <FF> endcodespacerange %d beginbfchar\n%bendbfchar endcmap end end"
        % (len(entries), b"".join(entries))
    )
    drawing = words("".join(chr(65 + at) for at in range(len(text))))
    objects = objects_of(drawing, size=(600, 100), extra=(stream(table),))
    objects[3] = FONT.replace(b">>", b"/ToUnicode 4 0 R >>")
    return written(objects)


def drawing_of(document: bytes) -> bytes:
    """Return the drawing of the only page of a document, as an object."""
    return document.partition(b"5 0 obj\n")[2].partition(b"\nendobj")[0]


def many(count: int) -> bytes:
    """Return a document of so many empty pages."""
    return a_document(*[b""] * count)


def inflating(size: int) -> bytes:
    """Return a page whose drawing inflates to so many bytes."""
    objects = objects_of(b"")
    packed = zlib.compressobj(9)
    data = b"".join(packed.compress(bytes(1 << 20)) for _ in range(size >> 20)) + packed.flush()
    objects[5] = stream(data, b"/Filter /FlateDecode")
    return written(objects)


def loop_of_pages() -> bytes:
    """Return a document whose tree of pages contains itself."""
    objects = objects_of(b"")
    objects[2] = b"<< /Type /Pages /Kids [2 0 R 2 0 R] /Count 2 /Parent 2 0 R >>"
    return written(objects)


def with_script_and_file() -> bytes:
    """Return a document that runs JavaScript when it is opened, launches a program, and contains a file."""
    action = b"/OpenAction << /S /JavaScript /JS (app.alert('MARK-JS'); this.exportDataObject('MARK-FILE')) >>"
    files = b"/Names << /EmbeddedFiles << /Names [(MARK-FILE.exe) 4 0 R] >> >>"
    launch = b"/AA << /O << /S /Launch /F (MARK-LAUNCH) >> >>"
    extra = (
        b"<< /Type /Filespec /F (MARK-FILE.exe) /EF << /F 5 0 R >> >>",
        stream(b"MZ MARK-BYTES", b"/Type /EmbeddedFile"),
    )
    return written(objects_of(filled(1, 0, 0), page=launch, catalog=action + files, extra=extra))


def with_form(value: str) -> bytes:
    """Return a page with a text field that someone has filled, and an appearance of it: a black box."""
    box = stream(b"0 g 0 0 80 40 re f", b"/Type /XObject /Subtype /Form /BBox [0 0 80 40]")
    field = (
        b"<< /Type /Annot /Subtype /Widget /FT /Tx /T (name) /V (%b) /Rect [20 20 100 60] /F 4 /AP << /N 5 0 R >> "
        b"/DA (/F1 12 Tf 0 g) >>" % value.encode()
    )
    form = b"/AcroForm << /Fields [4 0 R] /DR << /Font << /F1 3 0 R >> >> >>"
    return written(objects_of(b"", page=b"/Annots [4 0 R]", catalog=form, extra=(field, box)))


def encrypted(objects: Objects, password: str = PASSWORD) -> bytes:
    """Return a document encrypted with AES-256 (ISO 32000-2, section 7.6.4, revision 6), which needs a password."""
    secret, key = password.encode(), secrets.token_bytes(32)
    user = _verifier(secret, key, b"")
    owner = _verifier(b"owner " + secret, key, user[0])
    allowed = (-4).to_bytes(4, "little", signed=True)
    told = Cipher(algorithms.AES(key), modes.ECB()).encryptor().update(allowed + b"\xff" * 4 + b"Tadb" + bytes(4))
    hexed = [b"<%b>" % value.hex().encode() for value in (*user, *owner, told)]
    number = max(objects) + 1
    handler = (
        b"<< /Filter /Standard /V 5 /R 6 /Length 256 /P -4 /StmF /StdCF /StrF /StdCF /EncryptMetadata true "
        b"/CF << /StdCF << /CFM /AESV3 /AuthEvent /DocOpen /Length 32 >> >> "
        b"/U %b /UE %b /O %b /OE %b /Perms %b >>" % tuple(hexed)
    )
    locked = {at: _locked(body, key) for at, body in objects.items()}
    return written({**locked, number: handler}, trailer=b"/Encrypt %d 0 R /ID [<00> <00>]" % number)


def _locked(body: bytes, key: bytes) -> bytes:
    """Return an object with its stream encrypted; there are no strings outside of streams."""
    head, mark, rest = body.partition(b"stream\n")
    if not mark:
        return body
    data = rest.removesuffix(b"\nendstream")
    vector, padder = secrets.token_bytes(16), PKCS7(128).padder()
    coding = Cipher(algorithms.AES(key), modes.CBC(vector)).encryptor()
    sealed = vector + coding.update(padder.update(data) + padder.finalize()) + coding.finalize()
    return stream(sealed, head.removeprefix(b"<< /Length %d " % len(data)).removesuffix(b">>\n"))


def _verifier(secret: bytes, key: bytes, user: bytes) -> tuple[bytes, bytes]:
    """Return what proves a password, and the file's key encrypted with it (algorithms 8 and 9)."""
    checking, keying = secrets.token_bytes(8), secrets.token_bytes(8)
    wrapping = Cipher(algorithms.AES(_hash(secret, keying, user)), modes.CBC(bytes(16))).encryptor()
    return _hash(secret, checking, user) + checking + keying, wrapping.update(key) + wrapping.finalize()


def _hash(secret: bytes, salt: bytes, user: bytes) -> bytes:
    """Return the hardened hash of a password (algorithm 2.B)."""
    key, done = hashlib.sha256(secret + salt + user).digest(), 0
    while True:
        coding = Cipher(algorithms.AES(key[:16]), modes.CBC(key[16:32])).encryptor()
        mixed = coding.update((secret + key + user) * 64) + coding.finalize()
        key = hashlib.new(("sha256", "sha384", "sha512")[sum(mixed[:16]) % 3], mixed).digest()
        done += 1
        if done >= 64 and mixed[-1] <= done - 32:
            return key[:32]
