"""YAML that says the same as JSON: no tags, no aliases, no dates; and on which line each value stands."""

import re
from collections.abc import Callable
from typing import Any, Final

import yaml

TAG: Final = "tag:yaml.org,2002:"
SCALARS: Final[dict[str, Callable[[str], Any]]] = {
    f"{TAG}null": lambda _text: None,
    f"{TAG}bool": lambda text: text == "true",
    f"{TAG}int": int,
    f"{TAG}float": float,
    f"{TAG}str": str,
}


class YamlError(ValueError):
    """A text that is no such YAML: on which line, from 1 on, and why."""

    def __init__(self, line: int, reason: str) -> None:
        super().__init__(f"{line}: {reason}")
        self.line = line
        self.reason = reason


class _Loader(yaml.SafeLoader):
    """Takes for no text what JSON has other words for. Whatever PyYAML writes without quotes is read as it was."""

    yaml_implicit_resolvers: Any = {}  # noqa: RUF012  # declared as it is by PyYAML

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        """A node; none may be there twice, or within itself."""
        if self.check_event(yaml.AliasEvent):
            raise YamlError(self.get_mark().line + 1, "an alias is not read: say it again")
        return super().compose_node(parent, index)


for _kind, _pattern, _first in (
    ("null", r"(~|null)?", "~n\0"),
    ("bool", r"true|false", "tf"),
    ("int", r"-?(0|[1-9][0-9]*)", "-0123456789"),
    ("float", r"-?(0|[1-9][0-9]*)\.[0-9]+(e[-+]?[0-9]+)?", "-0123456789"),
):
    _Loader.add_implicit_resolver(
        TAG + _kind, re.compile(rf"(?:{_pattern})\Z"), [sign.replace("\0", "") for sign in _first]
    )


class _Dumper(yaml.SafeDumper):
    """Quotes what a reader would take for the end of a line."""

    def represent_text(self, text: str) -> yaml.ScalarNode:
        """A text."""
        style = '"' if any(end in text for end in "\x85\u2028\u2029") else None
        return self.represent_scalar(f"{TAG}str", text, style)


_Dumper.add_representer(str, _Dumper.represent_text)


def write_yaml(value: Any) -> str:
    """YAML that `read_yaml` reads as the same value, its names in their order."""
    return str(yaml.dump(value, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=110))


def read_yaml(text: str) -> tuple[Any, dict[str, int]]:
    """The value, and the line of each place in it: "" is all of it, and `a.b[0]` a part. Raises `YamlError`."""
    lines: dict[str, int] = {}
    try:
        node = yaml.compose(text, Loader=_Loader)
        return (None if node is None else _read(node, "", lines)), lines
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise YamlError(mark.line + 1 if mark else 1, error.problem or error.context or "is no YAML") from None
    except yaml.reader.ReaderError as error:
        raise YamlError(text.count("\n", 0, error.position) + 1, "holds a character that YAML has not") from None
    except RecursionError:
        raise YamlError(1, "is nested too deeply") from None


def find_line(lines: dict[str, int], place: str) -> int:
    """The line of a place, or of the nearest thing around it that there is."""
    around = [known for known in lines if place.startswith(known)]
    return lines[max(around, key=len)] if around else 1


def _read(node: yaml.Node, place: str, lines: dict[str, int]) -> Any:
    line = node.start_mark.line + 1
    lines.setdefault(place, line)  # of what stands in an object, the line of its key is there already
    if isinstance(node, yaml.SequenceNode) and node.tag == f"{TAG}seq":
        return [_read(each, f"{place}[{index}]", lines) for index, each in enumerate(node.value)]
    if isinstance(node, yaml.MappingNode) and node.tag == f"{TAG}map":
        found: dict[str, Any] = {}
        for key, value in node.value:
            here = key.start_mark.line + 1
            if not isinstance(key, yaml.ScalarNode):
                raise YamlError(here, "a key is a text")
            if key.value in found:
                raise YamlError(here, f"{key.value} is there twice")
            inner = f"{place}.{key.value}" if place else key.value
            lines[inner] = here
            found[key.value] = _read(value, inner, lines)
        return found
    if isinstance(node, yaml.ScalarNode) and node.tag in SCALARS:
        try:
            return SCALARS[node.tag](node.value)
        except ValueError:
            raise YamlError(line, f"{node.value[:50]} is none of {node.tag.removeprefix(TAG)}") from None
    raise YamlError(line, f"the tag {node.tag.replace(TAG, '!!')} is not read")
