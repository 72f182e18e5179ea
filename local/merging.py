"""SAM's Globals: properties that a template gives to all resources of a type."""

from collections.abc import Mapping
from typing import Any

# The sections of Globals, and the resource type that each is merged into.
GLOBAL_SECTIONS = {
    "Function": "AWS::Serverless::Function",
    "HttpApi": "AWS::Serverless::HttpApi",
    "Api": "AWS::Serverless::Api",
    "SimpleTable": "AWS::Serverless::SimpleTable",
    "StateMachine": "AWS::Serverless::StateMachine",
    "LayerVersion": "AWS::Serverless::LayerVersion",
}


def merge_globals(resource: dict[str, Any], sections: Mapping[str, Any]) -> dict[str, Any]:
    """A resource as SAM reads it: with the properties that Globals gives its type."""
    for section, resource_type in GLOBAL_SECTIONS.items():
        if resource["Type"] == resource_type and section in sections:
            merged = _merge_global(sections[section], resource.get("Properties") or {})
            return {**resource, "Properties": merged}
    return resource


def _merge_global(general: Any, own: Any) -> Any:
    """SAM's rule: maps are merged key by key, lists are joined, of anything else the resource's own value counts."""
    if isinstance(general, dict) and isinstance(own, dict):
        if _is_intrinsic(general) or _is_intrinsic(own):
            return own
        keys = [*general, *(key for key in own if key not in general)]
        return {
            key: _merge_global(general[key], own[key])
            if key in general and key in own
            else own.get(key, general.get(key))
            for key in keys
        }
    if isinstance(general, list) and isinstance(own, list):
        return [*general, *own]
    return own


def _is_intrinsic(value: dict[str, Any]) -> bool:
    return len(value) == 1 and next(iter(value)).startswith(("Fn::", "Ref"))
