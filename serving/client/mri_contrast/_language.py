"""What the command says, in English or Spanish.

Only what people read is translated: JSON, CSV, sidecars and the audit file are the same
everywhere.
"""

from __future__ import annotations

import os
import re

from mri_contrast.errors import (
    ClientTooOld,
    DeadlineExceeded,
    ModelNotFound,
    MriContrastError,
    RejectedByServer,
    ServerUnavailable,
    UnreadableScan,
)

_SPANISH = {
    "CONTRAST": "CONTRASTE",
    "PROBABILITY": "PROBABILIDAD",
    "SLICES": "CORTES",
    "VERSION": "VERSIÓN",
    "FILE": "ARCHIVO",
    "STATE": "ESTADO",
    "SLOT": "LUGAR",
    "VERDICT": "VEREDICTO",
    "other": "otro",
    "unsure": "incierto",
    "ok": "correcto",
    "wrong slot": "lugar equivocado",
    "not usable": "no utilizable",
    "looks like {contrast}": "parece {contrast}",
    "cannot be read": "no se puede leer",
    "conflict: {reason}": "contradicción: {reason}",
    "put it into slot {slot}": "va en el lugar {slot}",
    "interrupted; what is printed is complete": (
        "interrumpido; lo que se ha mostrado está completo"
    ),
    "no version is available; wait for it to load, or read the server's log": (
        "no hay ninguna versión disponible; espere a que se cargue o lea el registro "
        "del servidor"
    ),
    "not renamed: {name} is there already": "no renombrado: {name} ya existe",
    "files": "archivos",
    "Tells which contrast brain MRI scans have: T1, T2, FLAIR, other.": (
        "Dice qué contraste tienen las resonancias cerebrales: T1, T2, FLAIR, otro."
    ),
    "tell the contrast of scans": "dice el contraste de las imágenes",
    "tell whether scans are in the right slot": (
        "dice si las imágenes están en el lugar correcto"
    ),
    "list the model's versions": "muestra las versiones del modelo",
    "a scan, a folder or zip of them, a pattern, or a CSV list (column file)": (
        "una imagen, una carpeta o zip de ellas, un patrón o una lista CSV (columna "
        "file)"
    ),
    "SLOT=PATH, such as T1=a.nii.gz, or PATH with --expected": (
        "LUGAR=RUTA, como T1=a.nii.gz, o RUTA con --expected"
    ),
    "what every PATH should be": "lo que debe ser cada RUTA",
    "the server's gRPC port": "el puerto gRPC del servidor",
}
_SUMMARIES: dict[type[MriContrastError], str] = {
    UnreadableScan: "no se puede leer o usar la imagen",
    ServerUnavailable: "el servidor no está disponible; compruebe la dirección",
    DeadlineExceeded: "el servidor no respondió a tiempo; pruebe otra vez",
    ModelNotFound: "el servidor no tiene ese modelo, versión o etiqueta",
    ClientTooOld: "este cliente es demasiado antiguo para el modelo; actualícelo",
    RejectedByServer: "el servidor rechazó la pregunta",
}
# Of `hints.conflicts`, whose reasons name a class.
_REASONS = {
    r"its BIDS name says (\w+)": r"su nombre BIDS dice \1",
    r"its series text says (\w+)": r"el texto de la serie dice \1",
    r"its echo time is too (long|short) for (\w+)": r"su tiempo de eco no es de \2",
    r"its inversion time is too short for (\w+)": r"su tiempo de inversión no es de \1",
    r"its inversion time is that of FLAIR": r"su tiempo de inversión es de FLAIR",
}


class Language:
    """Says things in the language of the environment."""

    def __init__(self, spanish: bool) -> None:
        self._spanish = spanish

    @classmethod
    def of_environment(cls) -> Language:
        """Spanish where LC_ALL, LC_MESSAGES or LANG, the first that is set, says so."""
        names = ("LC_ALL", "LC_MESSAGES", "LANG")
        chosen = next(filter(None, (os.environ.get(n) for n in names)), "")
        return cls(chosen.lower().startswith("es"))

    def __call__(self, english: str, **values: object) -> str:
        """A text of the table, with its values; English where it is not in it."""
        template = _SPANISH.get(english, english) if self._spanish else english
        return template.format(**values) if values else template

    def error(self, error: Exception) -> str:
        """The reason of an error; in Spanish what it means, then the exact words."""
        summary = _SUMMARIES.get(type(error)) if self._spanish else None  # type: ignore[arg-type]
        return str(error) if summary is None else f"{summary} ({error})"

    def reason(self, english: str) -> str:
        """Why header and pixels disagree."""
        if self._spanish:
            for pattern, spanish in _REASONS.items():
                if found := re.fullmatch(pattern, english):
                    return found.expand(spanish)
        return english
