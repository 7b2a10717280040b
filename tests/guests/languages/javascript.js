// A capsule in JavaScript, on QuickJS, without WASI: greets, and fetches where it is told to.

import { send } from "soma:capsule/http@0.1.0";
import { now } from "soma:capsule/clock@0.1.0";

export const tools = {
  describe() {
    return [{
      name: "run",
      title: undefined,
      description: "Greets.",
      inputSchema: JSON.stringify({ type: "object", properties: { name: { type: "string" } } }),
      outputSchema: undefined,
      annotations: { readOnly: true, destructive: false, idempotent: true, openWorld: false },
    }];
  },
  call(tool, input) {
    const { name, url } = JSON.parse(input);
    if (name === undefined) throw { tag: "invalid-input", val: "no name" };
    const answer = { hello: name, late: now() > 1700000000000n };
    if (url) {
      const response = send({ method: "GET", url, headers: [], body: new Uint8Array(), timeoutMs: undefined });
      answer.status = response.status;
      answer.body = String.fromCharCode(...response.body);
    }
    return { structured: JSON.stringify(answer), content: [] };
  },
};
