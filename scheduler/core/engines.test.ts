import { describe, expect, it } from "vitest";
import { engineFamily } from "../../proto/engine.js";
import type { WorkerId } from "../../proto/ids.js";
import { Rig, w1, w2 } from "../../sim/core-rig.js";
import type { Command } from "./index.js";

const node20 = { volley: "0.1.0", engine: { runtime: "node 20.20.2", v8: "11.3.244.8-node.38", arch: "x64" } };
const node20Older = { volley: "0.1.0", engine: { runtime: "node 20.19.0", v8: "11.3.244.8-node.26", arch: "x64" } };
const node24 = { volley: "0.1.0", engine: { runtime: "node 24.21.0", v8: "13.6.233.17-node.53", arch: "x64" } };
const w3 = "w3" as WorkerId;

const warnings = (commands: Command[]): string[] =>
  commands.flatMap((c) => (c.c === "log" && c.level === "warn" ? [c.text] : []));

describe("engines of workers", () => {
  it("are of one family with the same minor version of V8 on the same kind of processor", () => {
    expect(engineFamily(node20.engine)).toBe("v8-11.3-x64");
    expect(engineFamily(node20Older.engine)).toBe(engineFamily(node20.engine));
    expect(engineFamily({ ...node20.engine, arch: "arm64" })).not.toBe(engineFamily(node20.engine));
    expect(engineFamily(node24.engine)).toBe("v8-13.6-x64");
    expect(engineFamily(undefined)).toBe("");
  });

  it("are warned of and counted when they begin to mix, and not at each further join", () => {
    const rig = new Rig();
    expect(warnings(rig.join(w1, 1, node20))).toEqual([]);
    expect(warnings(rig.join("w4" as WorkerId, 1, node20Older))).toEqual([]);
    expect(rig.count("engine_mixes")).toBe(0);
    expect(warnings(rig.join(w2, 1, node24))).toEqual([expect.stringContaining("different engines")]);
    expect(rig.count("engine_mixes")).toBe(1);
    expect(warnings(rig.join(w3, 1, node24))).toEqual([]);
    expect(rig.count("engine_mixes")).toBe(1);
  });

  it("a worker that does not say its engine is one of another; one of another version of Volley is warned of too", () => {
    const rig = new Rig();
    rig.join(w1, 1, node20);
    expect(warnings(rig.join(w2))).toEqual([
      expect.stringContaining("different engines"),
      expect.stringContaining("different versions"),
    ]);
    expect(warnings(rig.join(w3, 1, { ...node20, volley: "0.2.0" }))).toEqual([
      expect.stringContaining("different versions"),
    ]);
  });

  it("stand in the list of workers", () => {
    const rig = new Rig();
    rig.join(w1, 1, node20);
    rig.join(w2);
    const reply = rig.ask({ t: "workers" });
    expect(reply?.t === "workers" ? reply.workers : []).toMatchObject([{ worker: "w1", ...node20 }, { worker: "w2" }]);
    expect(reply?.t === "workers" ? Object.keys(reply.workers[1] ?? {}) : []).not.toContain("engine");
  });
});
