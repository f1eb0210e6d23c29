// A session with the TypeScript SDK: list the tools, edit, be refused, mend the call, undo.

import assert from 'node:assert';
import { readFileSync } from 'node:fs';
import { Client } from '@modelcontextprotocol/client';
import { StdioClientTransport } from '@modelcontextprotocol/client/stdio';

const [program, root] = process.argv.slice(2);
const edit = (expect) => ({
  name: 'edit',
  arguments: {
    operations: [
      { op: 'replace-block', file: 'a.txt', at: { lines: [2, 2] }, expect, content: 'zwei' },
    ],
  },
});

const client = new Client({ name: 'test', version: '1' });
const args = ['mcp', '--root', root, '--agent', 'js'];
await client.connect(new StdioClientTransport({ command: program, args }));
const { tools } = await client.listTools();
const refused = await client.callTool(edit('tow'));
assert(refused.isError, JSON.stringify(refused));
const { refusal } = refused.structuredContent.operations[0];
assert.equal(refusal.code, 'EXPECT_MISMATCH');
const applied = await client.callTool(edit(refusal.found));
assert(!applied.isError, JSON.stringify(applied));
assert.equal(applied.structuredContent.status, 'applied');
assert.equal(readFileSync(`${root}/a.txt`, 'utf8'), 'one\nzwei\n');
const undone = await client.callTool({ name: 'undo', arguments: {} });
assert.equal(undone.structuredContent.status, 'applied');
console.log(tools.length, 'tools, refused, applied, undone');
await client.close();
