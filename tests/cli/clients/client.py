"""A session with the Python SDK: list the tools, edit, be refused, mend the call, undo."""

import asyncio
import sys

from mcp import Client, StdioServerParameters


def edit(expect):
    operation = {
        "op": "replace-block",
        "file": "a.txt",
        "at": {"lines": [2, 2]},
        "expect": expect,
        "content": "zwei",
    }
    return {"operations": [operation]}


async def main(program, root):
    args = ["mcp", "--root", root, "--agent", "py"]
    server = program
    if not program.startswith("http:"):
        server = StdioServerParameters(command=program, args=args)
    async with Client(server) as client:
        tools = (await client.list_tools()).tools
        refused = await client.call_tool("edit", edit("tow"))
        assert refused.is_error, refused
        refusal = refused.structured_content["operations"][0]["refusal"]
        assert refusal["code"] == "EXPECT_MISMATCH", refusal
        applied = await client.call_tool("edit", edit(refusal["found"]))
        assert not applied.is_error, applied
        assert applied.structured_content["status"] == "applied", applied
        with open(root + "/a.txt") as file:
            assert file.read() == "one\nzwei\n"
        undone = await client.call_tool("undo", {})
        assert undone.structured_content["status"] == "applied", undone
        print(len(tools), "tools, refused, applied, undone")


asyncio.run(main(*sys.argv[1:]))
