"""An example of every body in the OpenAPI document, put together from its schema and the words beside this file."""

from typing import Any

from app.api.openapi_words import OBJECTS, VALUES

Json = dict[str, Any]

UNKNOWN = "…"
"""Where nothing says what a text looks like. A test finds it."""
_NONE = object()
_TYPES: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "array": (list,),
    "object": (dict,),
    "null": (type(None),),
}
_PLAIN: Json = {"string": UNKNOWN, "boolean": False, "null": None}


def add_examples(schema: Json) -> None:
    """To all bodies of JSON and forms, and to the ids in addresses."""
    examples = _Examples(schema["components"]["schemas"])
    for methods in (*schema["paths"].values(), *schema["webhooks"].values()):
        for operation in methods.values():
            for media in operation.get("requestBody", {}).get("content", {}).values():
                _add(media, examples, whole=False)
            for response in operation["responses"].values():
                json = response.get("content", {}).get("application/json", {})
                _add(json, examples, whole=True)
            for parameter in operation.get("parameters", []):
                if parameter["in"] == "path" and "example" not in parameter:
                    parameter["example"] = examples.named("", parameter["name"], parameter["schema"], whole=False)


def _add(media: Json, examples: "_Examples", *, whole: bool) -> None:
    if "schema" in media and "example" not in media and "examples" not in media:
        media["example"] = examples.of(media["schema"], whole=whole)


class _Examples:
    def __init__(self, schemas: Json) -> None:
        self._schemas = schemas

    def of(self, schema: Json, *, whole: bool) -> Any:
        """What fits `schema`: `whole` with all that a response has, or only with what a request must have."""
        if "$ref" in schema:
            name = schema["$ref"].rpartition("/")[2]
            return self._named_schema(name, self._schemas[name], whole=whole)
        given = _given(schema)
        if given is not _NONE:
            return given
        options = [option for option in schema.get("anyOf", []) if option.get("type") != "null"]
        if options:
            return self.of(options[0], whole=whole)
        if "allOf" in schema:
            return self.of(schema["allOf"][0], whole=whole)
        if schema.get("type") == "array":
            return [self.of(schema["items"], whole=whole)] if whole or schema.get("minItems") else []
        if schema.get("type") == "object":
            return self._object("", schema, whole=whole)
        return _plain(schema)

    def named(self, owner: str, name: str, schema: Json, *, whole: bool) -> Any:
        """Of the property `name` of the schema `owner`."""
        if f"{owner}.{name}" in VALUES:
            return VALUES[f"{owner}.{name}"]
        given = _given(schema, with_default=False)
        if given is not _NONE:
            return given
        if name in VALUES and self._fits(VALUES[name], schema):
            return VALUES[name]
        return self.of(schema, whole=whole)

    def _named_schema(self, name: str, schema: Json, *, whole: bool) -> Any:
        if "example" in schema:
            return schema["example"]
        if not whole and name in OBJECTS:
            return OBJECTS[name]
        made = (
            self._object(name, schema, whole=whole) if schema.get("type") == "object" else self.of(schema, whole=whole)
        )
        return {**made, **OBJECTS[name]} if name in OBJECTS else made

    def _fits(self, value: Any, schema: Json) -> bool:
        """Whether it is of a type that `schema` allows."""
        options = [
            self._schemas[option["$ref"].rpartition("/")[2]] if "$ref" in option else option
            for option in schema.get("anyOf", [schema])
        ]
        return any(type(value) in _TYPES.get(option.get("type", ""), ()) for option in options)

    def _object(self, owner: str, schema: Json, *, whole: bool) -> Json:
        properties: Json = schema.get("properties", {})
        wanted = {name for name in properties if name in schema.get("required", [])}
        if whole:
            # What may be left out of a response is left out, unless it says what it is when nothing else is said.
            wanted |= {name for name, found in properties.items() if found.get("default")}
        return {
            name: self.named(owner, name, found, whole=whole) for name, found in properties.items() if name in wanted
        }


def _given(schema: Json, *, with_default: bool = True) -> Any:
    """What `schema` itself says."""
    if "example" in schema:
        return schema["example"]
    for name in ("examples", "enum"):
        if schema.get(name):
            return schema[name][0]
    if "const" in schema:
        return schema["const"]
    return schema["default"] if with_default and schema.get("default") is not None else _NONE


def _plain(schema: Json) -> Any:
    kind = schema.get("type", "null")
    least = schema.get("minimum", schema.get("exclusiveMinimum", -1) + 1)
    return max(0, int(least)) if kind in {"integer", "number"} else _PLAIN[kind]
