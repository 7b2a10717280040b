"""A capsule in Python, without WASI: greets, and fetches where it is told to."""

import json

from componentize_py_types import Err
from wit_world import exports
from wit_world.exports.tools import Annotations, Output, Tool, ToolError_InvalidInput
from wit_world.imports import clock
from wit_world.imports.http import Request, send


class Tools(exports.Tools):
    def describe(self):
        schema = {"type": "object", "properties": {"name": {"type": "string"}}}
        return [
            Tool(
                name="run",
                title=None,
                description="Greets.",
                input_schema=json.dumps(schema),
                output_schema=None,
                annotations=Annotations(
                    read_only=True, destructive=False, idempotent=True, open_world=False
                ),
            )
        ]

    def call(self, tool, input_json):
        arguments = json.loads(input_json)
        if "name" not in arguments:
            raise Err(ToolError_InvalidInput("no name"))
        answer = {"hello": arguments["name"], "late": clock.now() > 1_700_000_000_000}
        if "url" in arguments:
            response = send(Request("GET", arguments["url"], [], b"", None))
            answer["status"] = response.status
            answer["body"] = response.body.decode()
        return Output(json.dumps(answer), [])
