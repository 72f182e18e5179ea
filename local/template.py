"""Reads template.yaml the way CloudFormation and SAM do, as far as the local stack needs it.

`Template` keeps the document as written; `Template.resolve` evaluates intrinsic functions. References to resources are
answered by a function that the caller gives, because only the stack knows the physical names (queue URLs, ports, ARNs).
"""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from local.merging import merge_globals

ACCOUNT_ID = "123456789012"
REGION = "us-east-1"

# (logical id, attribute or None for Ref) → the physical value.
ResourceLookup = Callable[[str, str | None], Any]


class TemplateError(Exception):
    """The template says something that the local stack cannot follow."""


class _NoValue:
    """What `AWS::NoValue` resolves to: the property is left out."""


NO_VALUE = _NoValue()


class _CloudFormationLoader(yaml.SafeLoader):
    """YAML with CloudFormation's short tags: `!Ref X` becomes {"Ref": "X"}, `!Sub …` {"Fn::Sub": …}."""


def _construct_tag(loader: yaml.SafeLoader, suffix: str, node: yaml.Node) -> dict[str, Any]:
    value: Any
    if isinstance(node, yaml.ScalarNode):
        value = loader.construct_scalar(node)
        if suffix == "GetAtt":
            value = str(value).split(".", 1)
    elif isinstance(node, yaml.SequenceNode):
        value = loader.construct_sequence(node, deep=True)
    elif isinstance(node, yaml.MappingNode):
        value = loader.construct_mapping(node, deep=True)
    else:
        raise TemplateError(f"!{suffix}: unexpected YAML node")
    return {suffix if suffix in ("Ref", "Condition") else f"Fn::{suffix}": value}


_CloudFormationLoader.add_multi_constructor("!", _construct_tag)
# Dates stay strings: CloudFormation knows no dates, and the template's version looks like one.
_CloudFormationLoader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


@dataclass(kw_only=True)
class Template:
    """A loaded template: `resources` have Globals merged in and conditions applied, but intrinsics unresolved."""

    path: Path
    document: dict[str, Any]
    parameters: dict[str, Any]  # every declared parameter: the value given, or its default
    stack_name: str = "mailwake-local"
    conditions: dict[str, bool] = field(default_factory=dict)
    resources: dict[str, dict[str, Any]] = field(default_factory=dict)

    def resolve(self, value: Any, lookup: ResourceLookup) -> Any:
        """`value` with every intrinsic function evaluated; properties that are AWS::NoValue are dropped."""
        return _Resolver(self, lookup).resolve(value)

    def properties(self, logical_id: str) -> dict[str, Any]:
        """The unresolved properties of a resource."""
        found: dict[str, Any] = self.resources[logical_id].get("Properties") or {}
        return found

    def of_type(self, *types: str) -> list[str]:
        """The logical ids of all resources of these types, in the template's order; a type may end in `*`."""

        def matches(resource_type: str) -> bool:
            return any(
                resource_type.startswith(wanted[:-1]) if wanted.endswith("*") else resource_type == wanted
                for wanted in types
            )

        return [name for name, resource in self.resources.items() if matches(resource["Type"])]


def load_template(
    path: Path,
    *,
    parameters: Mapping[str, Any] | None = None,
    overrides: Mapping[str, Any] | None = None,
) -> Template:
    """Reads a template. `parameters` replace defaults; `overrides` replace properties, as {"LoadQueue.Timeout": 5}.

    Raises TemplateError for a parameter or a resource that the template does not have: a test that overrides something
    that was renamed must fail, not pass for another reason.
    """
    document = yaml.load(path.read_text(), Loader=_CloudFormationLoader)  # noqa: S506 (a SafeLoader)
    if not isinstance(document, dict) or "Resources" not in document:
        raise TemplateError(f"{path} has no Resources")
    declared = document.get("Parameters") or {}
    given = dict(parameters or {})
    for name in given:
        if name not in declared:
            raise TemplateError(f"{path} has no parameter {name}")
    template = Template(
        path=path,
        document=document,
        parameters={name: given.get(name, _default_of(spec)) for name, spec in declared.items()},
    )
    for name in document.get("Conditions") or {}:
        template.conditions[name] = _evaluate_condition(template, name)
    for logical_id, resource in document["Resources"].items():
        condition = resource.get("Condition")
        if condition is None or template.conditions[condition]:
            template.resources[logical_id] = merge_globals(resource, document.get("Globals") or {})
    for dotted, value in (overrides or {}).items():
        _override(template, dotted, value)
    return template


def _default_of(spec: Mapping[str, Any]) -> Any:
    default = spec.get("Default", "")
    if str(spec.get("Type", "")).startswith(("List<", "CommaDelimitedList")) and isinstance(default, str):
        return [part.strip() for part in default.split(",") if part.strip()]
    return default


def _evaluate_condition(template: Template, name: str) -> bool:
    def refuse(logical_id: str, _attribute: str | None) -> Any:
        raise TemplateError(f"condition {name} refers to {logical_id}, which is no parameter")

    return bool(template.resolve(template.document["Conditions"][name], refuse))


def _override(template: Template, dotted: str, value: Any) -> None:
    logical_id, *path = dotted.split(".")
    if logical_id not in template.resources or not path:
        raise TemplateError(f"cannot override {dotted}: the template has no such resource")
    target = template.resources[logical_id].setdefault("Properties", {})
    for step in path[:-1]:
        target = target.setdefault(step, {})
    target[path[-1]] = value


class _Resolver:
    """Evaluates intrinsic functions of one template."""

    def __init__(self, template: Template, lookup: ResourceLookup) -> None:
        self._template = template
        self._lookup = lookup

    def resolve(self, value: Any) -> Any:
        if isinstance(value, list):
            return [resolved for item in value if (resolved := self.resolve(item)) is not NO_VALUE]
        if not isinstance(value, dict):
            return value
        if len(value) == 1:
            name, argument = next(iter(value.items()))
            if name == "Ref":
                return self._ref(argument)
            if name == "Condition" and isinstance(argument, str):
                return self._template.conditions[argument]
            if name.startswith("Fn::"):
                return self._call(name[4:], argument)
        resolved_map = {key: self.resolve(item) for key, item in value.items()}
        return {key: item for key, item in resolved_map.items() if item is not NO_VALUE}

    def _ref(self, name: str) -> Any:
        pseudo = {
            "AWS::Region": REGION,
            "AWS::AccountId": ACCOUNT_ID,
            "AWS::Partition": "aws",
            "AWS::URLSuffix": "amazonaws.com",
            "AWS::StackName": self._template.stack_name,
            "AWS::StackId": f"arn:aws:cloudformation:{REGION}:{ACCOUNT_ID}:stack/{self._template.stack_name}/local",
            "AWS::NoValue": NO_VALUE,
        }
        if name in pseudo:
            return pseudo[name]
        if name in self._template.parameters:
            return self._template.parameters[name]
        return self._lookup(name, None)

    def _call(self, function: str, argument: Any) -> Any:
        method = getattr(self, f"_fn_{function.lower()}", None)
        if method is None:
            raise TemplateError(f"the local stack does not know Fn::{function}")
        return method(argument)

    def _fn_getatt(self, argument: Any) -> Any:
        logical_id, attribute = argument.split(".", 1) if isinstance(argument, str) else argument
        return self._lookup(logical_id, attribute)

    def _fn_sub(self, argument: Any) -> str:
        text, variables = argument if isinstance(argument, list) else (argument, {})

        def substitute(match: re.Match[str]) -> str:
            name = match[1].strip()
            if name.startswith("!"):  # ${!Literal} stays ${Literal}
                return "${" + name[1:] + "}"
            if name in variables:
                return str(self.resolve(variables[name]))
            if "." in name:
                return str(self._fn_getatt(name))
            return str(self._ref(name))

        return re.sub(r"\$\{([^}]*)\}", substitute, text)

    def _fn_join(self, argument: Any) -> str:
        separator, parts = argument
        return str(separator).join(str(part) for part in self.resolve(parts))

    def _fn_select(self, argument: Any) -> Any:
        index, items = argument
        return self.resolve(items)[int(self.resolve(index))]

    def _fn_split(self, argument: Any) -> list[str]:
        separator, text = argument
        return str(self.resolve(text)).split(separator)

    def _fn_if(self, argument: Any) -> Any:
        condition, then, otherwise = argument
        return self.resolve(then if self._template.conditions[condition] else otherwise)

    def _fn_equals(self, argument: Any) -> bool:
        left, right = (_as_text(self.resolve(side)) for side in argument)
        return bool(left == right)

    def _fn_not(self, argument: Any) -> bool:
        return not self._condition(argument[0])

    def _fn_and(self, argument: Any) -> bool:
        return all(self._condition(item) for item in argument)

    def _fn_or(self, argument: Any) -> bool:
        return any(self._condition(item) for item in argument)

    def _condition(self, value: Any) -> bool:
        """A condition inside another: `!Condition Name` may refer to one that is declared further down."""
        if isinstance(value, dict) and isinstance(value.get("Condition"), str):
            name = value["Condition"]
            if name not in self._template.conditions:
                self._template.conditions[name] = _evaluate_condition(self._template, name)
            return self._template.conditions[name]
        return bool(self.resolve(value))

    def _fn_findinmap(self, argument: Any) -> Any:
        mapping, first, second = (self.resolve(item) for item in argument)
        return self._template.document["Mappings"][mapping][first][second]

    def _fn_getazs(self, _argument: Any) -> list[str]:
        return [f"{REGION}{letter}" for letter in "abc"]

    def _fn_tojsonstring(self, argument: Any) -> str:
        return json.dumps(self.resolve(argument), separators=(",", ":"))


def _as_text(value: Any) -> Any:
    """CloudFormation compares text: a YAML boolean or number equals its spelling."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, int | float) else value
