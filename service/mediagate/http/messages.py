"""Messages for end users, in their language; ``reason`` and ``detail`` are for developers."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import get_args

from mediagate.config import MIB, Language, Source
from mediagate.errors import MediagateError, ProcessingRefused, UploadRefused, UploadTooLarge
from mediagate.http.preferences import weighted
from mediagate.values import Job, JobStatus

Words = Mapping[Language, str]

_COMMA: frozenset[Language] = frozenset({"de", "es", "fr"})
"""Languages with a decimal comma."""
_AGAIN: Words = {
    "en": "This is not possible right now. Please try again in a moment.",
    "de": "Das funktioniert im Moment nicht. Bitte versuchen Sie es in Kürze noch einmal.",
    "es": "Esto no funciona en este momento. Inténtelo de nuevo dentro de un rato.",
    "fr": "Cela ne fonctionne pas pour le moment. Veuillez réessayer dans un instant.",
    "ja": "現在ご利用いただけません。しばらくしてからもう一度お試しください。",
}
_FAILED: Words = {
    "en": "This picture could not be processed. Please choose another one.",
    "de": "Dieses Bild konnte nicht verarbeitet werden. Bitte wählen Sie ein anderes.",
    "es": "No se pudo procesar esta imagen. Elija otra.",
    "fr": "Cette image n’a pas pu être traitée. Veuillez en choisir une autre.",
    "ja": "この画像を処理できませんでした。別の画像を選んでください。",
}
_CANCELLED: Words = {
    "en": "This upload was cancelled.",
    "de": "Dieser Upload wurde abgebrochen.",
    "es": "Esta subida se ha cancelado.",
    "fr": "Cet envoi a été annulé.",
    "ja": "このアップロードはキャンセルされました。",
}
_OTHER: Words = {
    "en": "Something went wrong.",
    "de": "Das hat nicht funktioniert.",
    "es": "Esto no ha funcionado.",
    "fr": "Cela n’a pas fonctionné.",
    "ja": "うまくいきませんでした。",
}
_TOO_LARGE: Words = {
    "en": "This file is too large. Please choose a smaller one.",
    "de": "Diese Datei ist zu groß. Bitte wählen Sie eine kleinere.",
    "es": "Este archivo es demasiado grande. Elija uno más pequeño.",
    "fr": "Ce fichier est trop volumineux. Veuillez en choisir un plus petit.",
    "ja": "ファイルが大きすぎます。小さいファイルを選んでください。",
}
_BY_CODE: Mapping[str, Words] = {
    "moderation_rejected": {
        "en": "This picture is not allowed here.",
        "de": "Dieses Bild ist hier nicht erlaubt.",
        "es": "Esta imagen no está permitida aquí.",
        "fr": "Cette image n’est pas autorisée ici.",
        "ja": "この画像はここでは使用できません。",
    },
    "upload_too_large": {
        "en": "This file is too large. The limit is {limit}.",
        "de": "Diese Datei ist zu groß. Sie darf höchstens {limit} haben.",
        "es": "Este archivo es demasiado grande. Puede tener como máximo {limit}.",
        "fr": "Ce fichier est trop volumineux. Il peut avoir au plus {limit}.",
        "ja": "ファイルが大きすぎます。上限は {limit} です。",
    },
    "unsupported_type": {
        "en": "This file is not in a supported picture format. Please choose another one.",
        "de": "Diese Datei ist kein Bild, das hier verwendet werden kann. Bitte wählen Sie ein anderes.",
        "es": "Este archivo no es una imagen que se pueda usar aquí. Elija otro.",
        "fr": "Ce fichier n’est pas une image utilisable ici. Veuillez en choisir un autre.",
        "ja": "このファイルはここで使用できる画像ではありません。別のファイルを選んでください。",
    },
    "image_undecodable": {
        "en": "This picture is damaged or incomplete. Please choose another one.",
        "de": "Dieses Bild ist beschädigt oder unvollständig. Bitte wählen Sie ein anderes.",
        "es": "Esta imagen está dañada o incompleta. Elija otra.",
        "fr": "Cette image est endommagée ou incomplète. Veuillez en choisir une autre.",
        "ja": "この画像は破損しているか不完全です。別の画像を選んでください。",
    },
    "image_too_large": {
        "en": "This picture is too large. Please choose a smaller one.",
        "de": "Dieses Bild ist zu groß. Bitte wählen Sie ein kleineres.",
        "es": "Esta imagen es demasiado grande. Elija una más pequeña.",
        "fr": "Cette image est trop grande. Veuillez en choisir une plus petite.",
        "ja": "この画像は大きすぎます。小さい画像を選んでください。",
    },
    "animation_refused": {
        "en": "Animated pictures are not supported here. Please choose a still picture.",
        "de": "Bewegte Bilder können hier nicht verwendet werden. Bitte wählen Sie ein stehendes.",
        "es": "Aquí no se pueden usar imágenes animadas. Elija una fija.",
        "fr": "Les images animées ne sont pas acceptées ici. Veuillez choisir une image fixe.",
        "ja": "動く画像はここでは使用できません。静止画を選んでください。",
    },
    "rate_limited": {
        "en": "Too many requests in a short time. Please try again later.",
        "de": "Das war viel in kurzer Zeit. Bitte versuchen Sie es später noch einmal.",
        "es": "Ha sido mucho en poco tiempo. Inténtelo de nuevo más tarde.",
        "fr": "Cela fait beaucoup en peu de temps. Veuillez réessayer plus tard.",
        "ja": "短時間に操作が集中しました。しばらくしてからもう一度お試しください。",
    },
    "media_deleted": {
        "en": "This picture has been deleted.",
        "de": "Dieses Bild wurde gelöscht.",
        "es": "Esta imagen se ha eliminado.",
        "fr": "Cette image a été supprimée.",
        "ja": "この画像は削除されました。",
    },
    "unauthorized": {
        "en": "Please sign in first.",
        "de": "Bitte melden Sie sich zuerst an.",
        "es": "Inicie sesión primero.",
        "fr": "Veuillez d’abord vous connecter.",
        "ja": "先にログインしてください。",
    },
    "forbidden": {
        "en": "You are not allowed to do this.",
        "de": "Das dürfen Sie nicht tun.",
        "es": "No tiene permiso para hacer esto.",
        "fr": "Vous n’avez pas le droit de faire cela.",
        "ja": "この操作は許可されていません。",
    },
}


def language_of(header: str) -> Language:
    """Return the supported language that an ``Accept-Language`` header prefers, English by default."""
    weights = weighted(header)
    # Sorted by weight alone: among equal weights the first one wins.
    for tag in sorted(weights, key=lambda tag: -weights[tag]):
        for language in get_args(Language):
            if weights[tag] > 0 and tag.partition("-")[0] == language:
                found: Language = language
                return found
    return "en"


def message_of_error(error: MediagateError, language: Language = "en", source: Source | None = None) -> str:
    """Return the message for an error; the text of a host's hook is used unchanged."""
    limit = error.limit if isinstance(error, UploadTooLarge) else None
    own = error.client_detail if isinstance(error, UploadRefused | ProcessingRefused) else None
    other = _AGAIN if error.retryable or error.status >= 500 else _OTHER
    return _message(error.code, language, source, own=own, other=other, limit=limit)


def message_of_job(job: Job, language: Language = "en", source: Source | None = None) -> str | None:
    """Return the message for a job that ended without a picture, ``None`` for any other job."""
    if job.status is JobStatus.REJECTED:
        code = job.code or "moderation_rejected"
        own = job.reason if code == ProcessingRefused.code else None
        return _message(code, language, source, own=own, other=_BY_CODE["moderation_rejected"])
    if job.status is JobStatus.FAILED:
        other = _AGAIN if job.retryable else _FAILED
        return _message(job.code or "", language, source, other=other)
    if job.status is JobStatus.CANCELLED:
        return _CANCELLED[language]
    return None


def size_text(size: int, language: Language = "en") -> str:
    """Return a size in bytes as MB (1,048,576 bytes), rounded down: a file of the stated size is accepted."""
    digits = 0 if size >= 10 * MIB else 1 if size >= MIB else 3
    text = f"{math.floor(size / MIB * 10**digits) / 10**digits:.{digits}f}"
    if digits:
        text = text.rstrip("0").rstrip(".")
    return f"{text.replace('.', ',') if language in _COMMA else text} {'Mo' if language == 'fr' else 'MB'}"


def _message(
    code: str,
    language: Language,
    source: Source | None,
    *,
    other: Words,
    own: str | None = None,
    limit: int | None = None,
) -> str:
    words = _BY_CODE.get(code, other) if code != UploadTooLarge.code or limit is not None else _TOO_LARGE
    text = _configured(source, code, language) or own or words[language]
    return text if limit is None else text.replace("{limit}", size_text(limit, language))


def _configured(source: Source | None, code: str, language: Language) -> str | None:
    text = source.messages.get(code) if source is not None else None
    return text if text is None or isinstance(text, str) else text.get(language, text.get("en"))
