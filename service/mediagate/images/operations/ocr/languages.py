"""Languages by the codes that Tesseract uses (ISO 639-3, with some additions), and which engine reads them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from mediagate.images.operations.problems import did_you_mean

MOST = 5
"""Languages of one page."""
BY_RAPIDOCR: Mapping[str, str] = {
    "afr": "af", "aze": "az", "bos": "bs", "cat": "ca", "ces": "cs", "chi_sim": "zh", "chi_tra": "zh", "cym": "cy",
    "dan": "da", "deu": "de", "eng": "en", "est": "et", "eus": "eu", "fil": "tl", "fin": "fi", "fra": "fr", "gle": "ga",
    "glg": "gl", "hrv": "hr", "hun": "hu", "ind": "id", "isl": "is", "ita": "it", "jpn": "ja", "kmr": "ku", "lat": "la",
    "lav": "lv", "lit": "lt", "ltz": "lb", "mlt": "mt", "mri": "mi", "msa": "ms", "nld": "nl", "nor": "no", "oci": "oc",
    "pol": "pl", "por": "pt", "que": "qu", "roh": "rm", "ron": "ro", "slk": "sk", "slv": "sl", "spa": "es", "sqi": "sq",
    "srp_latn": "sr", "swa": "sw", "swe": "sv", "tur": "tr", "uzb": "uz",
}  # fmt: skip
"""Those of PP-OCRv6, with their codes of two letters (``default_models.yaml`` of rapidocr); without Vietnamese, most of
whose letters the model lacks."""
_DEBIAN = """
afr amh ara asm aze aze_cyrl bel ben bod bos bre bul cat ceb ces chi_sim chi_sim_vert chi_tra chi_tra_vert chr cos cym
dan deu div dzo ell eng enm epo est eus fao fas fil fin fra frk frm fry gla gle glg grc guj hat heb hin hrv hun hye iku
ind isl ita ita_old jav jpn jpn_vert kan kat kat_old kaz khm kir kmr kor kor_vert lao lat lav lit ltz mal mar mkd mlt
mon mri msa mya nep nld nor oci ori pan pol por pus que ron rus san sin slk slv snd spa spa_old sqi srp srp_latn sun
swa swe syr tam tat tel tgk tha tir ton tur uig ukr urd uzb uzb_cyrl vie yid yor
"""
BY_TESSERACT = frozenset(_DEBIAN.split())
"""The languages for which Debian has a package ``tesseract-ocr-…``."""
KNOWN = BY_TESSERACT | BY_RAPIDOCR.keys()
SUFFIX = ".traineddata"
TESSDATA = tuple(
    map(
        Path,
        (
            "/usr/share/tesseract-ocr/5/tessdata",  # Debian and Ubuntu
            "/usr/share/tesseract-ocr/4.00/tessdata",
            "/usr/share/tessdata",  # Alpine, Arch
            "/usr/share/tesseract/tessdata",  # Fedora
            "/usr/local/share/tessdata",
            "/opt/homebrew/share/tessdata",
        ),
    )
)
"""Where packages of systems put Tesseract's language files."""


def checked(value: str) -> str:
    """Return codes joined by ``+``; raises ``ValueError`` with what is wrong."""
    codes = value.split("+")
    for code in codes:
        if code not in KNOWN:
            short = next((long for long, two in BY_RAPIDOCR.items() if two == code), None)
            hint = f"; write {short!r}" if short else did_you_mean(code, KNOWN)
            raise ValueError(f"there is no language {code[:20]!r}{hint}")
    if len(codes) > MOST:
        raise ValueError(f"{len(codes)} languages; up to {MOST} are read at once")
    return value


def tessdata() -> Path | None:
    """Return the folder of this system with language files of Tesseract, ``None`` if there is none."""
    return next((folder for folder in TESSDATA if any(folder.glob(f"*{SUFFIX}"))), None)


def of_tesseract() -> tuple[str, ...]:
    """Return the languages whose files are installed."""
    folder = tessdata()
    found = {path.name.removesuffix(SUFFIX) for path in folder.glob(f"*{SUFFIX}")} if folder else set()
    return tuple(sorted(found & BY_TESSERACT))


def of_rapidocr() -> tuple[str, ...]:
    """Return the languages that RapidOCR's model reads."""
    return tuple(BY_RAPIDOCR)


def package_of(code: str) -> str:
    """Return the name of Debian's package with the file of a language."""
    return f"tesseract-ocr-{code.replace('_', '-')}"
