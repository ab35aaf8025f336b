import { createHash } from "node:crypto";
import { describe, expect, it } from "vitest";
import { digestOf } from "../../proto/digest.js";
import { type JsonGraphInput, parseGraph } from "../../proto/graph.js";
import { decodeValue, encodeValue } from "../../proto/values/value.js";
import { evaluateSerially } from "./serial.js";

const echo = { kernel: "volley.echo" };
const object = `c${"1".repeat(32)}-0`;
const graph: JsonGraphInput = {
  stages: [
    { name: "items", fn: echo, args: [{ items: ["a", "b", "c"] }] },
    { name: "each", fn: echo, args: [{ list: [{ stage: "items", edge: "one-to-one" }, { index: true }] }], count: 3 },
    { name: "all", fn: echo, args: [{ stage: "each", edge: "all" }] },
    {
      name: "one",
      fn: echo,
      args: [
        { list: [{ stage: "items", task: 1 }, { object }, { stage: "all", edge: "broadcast" }, { value: { x: 1 } }] },
      ],
    },
  ],
  outputs: ["one", "items"],
};

describe("a graph evaluated in one thread", () => {
  it("passes arguments of every form along every edge", async () => {
    const { stages } = await evaluateSerially(parseGraph(graph), new Map([[object, encodeValue("put")]]));
    const values = stages.map((results) => results.map(decodeValue));
    const pairs = [
      ["a", 0],
      ["b", 1],
      ["c", 2],
    ];
    expect(values).toEqual([["a", "b", "c"], pairs, [pairs], [["b", "put", pairs, { x: 1 }]]]);
  });

  it("hashes the outputs' digests in the order of the outputs", async () => {
    const { stages, digest } = await evaluateSerially(parseGraph(graph), new Map([[object, encodeValue("put")]]));
    const hash = createHash("sha256");
    for (const result of [...(stages[3] ?? []), ...(stages[0] ?? [])]) hash.update(digestOf(result.kind, result.data));
    expect(digest).toBe(hash.digest("hex"));
  });

  it("names an object that was not given, and refuses bundles", async () => {
    await expect(evaluateSerially(parseGraph(graph), new Map())).rejects.toThrow(`stage 3 reads object ${object}`);
    const bundled = parseGraph({ stages: [{ name: "user", fn: { bundle: "0".repeat(64), export: "f" } }] });
    await expect(evaluateSerially(bundled, new Map())).rejects.toThrow("stage 0 runs a bundle");
  });
});
