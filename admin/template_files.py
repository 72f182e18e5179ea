"""Templates of mails in files, a folder each: all are read, and what is wrong is told, before any of them is applied.

`template.yaml` has the subject, the topic, reply_to and the aggregates; `mail.html` and `mail.txt` are the mail, and
`mail.mjml`, if it is there, is what the HTML was made from.
"""

import re
import sys
from pathlib import Path
from typing import Final, NamedTuple

# The functions' code is no installed package.
sys.path.append(str(Path(__file__).parents[1] / "functions"))

from admin.yaml_text import YamlError, find_line, read_yaml
from cohort_evaluator.channels import read_name
from cohort_evaluator.reading import DefinitionError
from common.events import Json
from mailer.template_checks import check_template

SETTINGS: Final = "template.yaml"
PARTS: Final = {"html": "mail.html", "text": "mail.txt", "mjml": "mail.mjml"}
_LINE = re.compile(r"line ([0-9]+): (.*)\Z", re.DOTALL)


class TemplateFile(NamedTuple):
    """A folder that is right by itself."""

    name: str
    template: Json


class TemplateFilesError(ValueError):
    """Files that can't be applied: a line for each thing that is wrong."""


def read_folder(folder: Path) -> list[TemplateFile]:
    """The templates of a folder's folders, by name. Raises `TemplateFilesError`."""
    paths = sorted(path.parent for path in folder.glob(f"*/{SETTINGS}"))
    if not paths:
        raise TemplateFilesError(f"{folder}: has no */{SETTINGS}")
    files: list[TemplateFile] = []
    problems: list[str] = []
    for path in paths:
        try:
            files.append(read_template(path))
        except TemplateFilesError as error:
            problems.append(str(error))
    if problems:
        raise TemplateFilesError("\n".join(problems))
    return files


def read_template(folder: Path) -> TemplateFile:
    """One template. Raises `TemplateFilesError` with file, line, place and reason."""
    settings = folder / SETTINGS
    try:
        template, lines = read_yaml(_read(settings))
    except YamlError as error:
        raise TemplateFilesError(f"{settings}:{error}") from None
    if not isinstance(template, dict) or any(part in template for part in PARTS):
        raise TemplateFilesError(
            f"{settings}:1: is an object without {', '.join(PARTS)}, which have files of their own"
        )
    for part, name in PARTS.items():
        if part != "mjml" or (folder / name).exists():
            template[part] = _read(folder / name)
    try:
        read_name(folder.name, "the folder's name")
        check_template(template)
    except DefinitionError as error:
        line = _LINE.match(error.reason)
        if error.place in PARTS:
            shown = f"{line[1]}: {line[2]}" if line else f"1: {error.reason}"
            raise TemplateFilesError(f"{folder / PARTS[error.place]}:{shown}") from None
        found = find_line(lines, error.place.removeprefix("template."))
        reason = line[2] if line else error.reason
        raise TemplateFilesError(f"{settings}:{found}: {error.place}: {reason}") from None
    return TemplateFile(folder.name, template)


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise TemplateFilesError(f"{path}: is not in UTF-8") from None
    except OSError as error:
        raise TemplateFilesError(f"{path}: {error.strerror}") from None
