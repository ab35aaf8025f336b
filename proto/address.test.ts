import { describe, expect, it } from "vitest";
import { putObjectId, stageBase } from "./address.js";
import { defaultStageOptions } from "./graph.js";
import { isObjectBase, isObjectId, type JobId, type ObjectBase, type ObjectId } from "./ids.js";
import type { ArgSpec, StageOptions, StageSpec } from "./messages/stage.js";
import { PackWriter } from "./values/pack.js";
import { encodeValue } from "./values/value.js";

const job = (name: string): JobId => name as JobId;
const base = (text: string): ObjectBase => `p${text.repeat(32).slice(0, 32)}` as ObjectBase;
const noStages = (): never => {
  throw new Error("no stage is read here");
};
const spec = (change: Partial<Omit<StageSpec, "options">> & { options?: Partial<StageOptions> } = {}): StageSpec =>
  ({
    index: 0,
    fn: { kernel: "sma", version: 1 },
    count: 2,
    args: [],
    ...change,
    options: { ...defaultStageOptions, pure: true, ...change.options },
  }) as StageSpec;
const value = (of: unknown): ArgSpec => ({ a: "value", ...encodeValue(of) });
const pack = (...of: unknown[]): Uint8Array => {
  const writer = new PackWriter();
  for (const item of of) writer.add(encodeValue(item));
  return writer.finish();
};

describe("addresses", () => {
  it("are object bases and object ids", () => {
    expect(isObjectBase(stageBase(job("j"), spec(), noStages))).toBe(true);
    expect(isObjectBase(stageBase(job("j"), spec({ options: { pure: false } }), noStages))).toBe(true);
    expect(isObjectId(putObjectId(1, Uint8Array.of(1, 2)))).toBe(true);
  });

  it("of a put follow from kind and bytes alone", () => {
    expect(putObjectId(1, Uint8Array.of(1))).toBe(putObjectId(1, Uint8Array.of(1)));
    expect(
      new Set([
        putObjectId(1, Uint8Array.of(1)),
        putObjectId(2, Uint8Array.of(1)),
        putObjectId(1, Uint8Array.of(2)),
        putObjectId(1, new Uint8Array(0)),
      ]).size,
    ).toBe(4);
  });

  it("of a pure stage are the same in every job, at every place, under every name and with every policy", () => {
    const one = stageBase(job("a"), spec({ args: [value(20)] }), noStages);
    expect(stageBase(job("b"), spec({ args: [value(20)] }), noStages)).toBe(one);
    expect(
      stageBase(
        job("a"),
        spec({ index: 7, name: "other", args: [value(20)], options: { retries: 5, timeoutMs: 1, priority: 9 } }),
        noStages,
      ),
    ).toBe(one);
  });

  it("of a pure stage change with everything that changes the result", () => {
    const object = `${base("ab")}-0` as ObjectId;
    const baseOf = (stage: number): ObjectBase => base(String(stage));
    const variants: StageSpec[] = [
      spec(),
      spec({ fn: { kernel: "sma", version: 2 } }),
      spec({ fn: { kernel: "ema", version: 1 } }),
      spec({ fn: { bundle: "a".repeat(64) as never, export: "sma" } }),
      spec({ fn: { bundle: "a".repeat(64) as never, export: "ema" } }),
      spec({ count: 3 }),
      spec({ options: { seed: 0 } }),
      spec({ options: { seed: 1 } }),
      spec({ args: [value(1)] }),
      spec({ args: [value(2)] }),
      spec({ args: [value(1), value(2)] }),
      spec({ args: [{ a: "list", of: [value(1), value(2)] }] }),
      spec({ args: [value([1, 2])] }),
      spec({ args: [{ a: "item", pack: pack(1, 2) }] }),
      spec({ args: [{ a: "item", pack: pack(2, 1) }] }),
      spec({ args: [{ a: "items", object }] }),
      spec({ args: [{ a: "object", id: object }] }),
      spec({ args: [{ a: "stage", stage: 0, edge: "one-to-one" }] }),
      spec({ args: [{ a: "stage", stage: 0, edge: "all" }] }),
      spec({ args: [{ a: "stage", stage: 1, edge: "all" }] }),
      spec({ args: [{ a: "task", stage: 0, task: 1 }] }),
      spec({ args: [{ a: "index" }] }),
    ];
    const bases = variants.map((variant) => stageBase(job("j"), variant, baseOf));
    expect(new Set(bases).size).toBe(variants.length);
  });

  it("of a task named by stage is that of the object it makes", () => {
    const byTask = spec({ args: [{ a: "task", stage: 3, task: 5 }] });
    const byId = spec({ args: [{ a: "object", id: `${base("3")}-5` as ObjectId }] });
    expect(stageBase(job("j"), byTask, () => base("3"))).toBe(stageBase(job("j"), byId, noStages));
  });

  it("follow the stages that are read: another input far above changes everything below", () => {
    const chain = (parameter: number): ObjectBase => {
      const bases: ObjectBase[] = [];
      const specs = [
        spec({ args: [value(parameter)] }),
        spec({ index: 1, args: [{ a: "stage", stage: 0, edge: "one-to-one" }] }),
        spec({ index: 2, args: [{ a: "stage", stage: 1, edge: "all" }] }),
      ];
      for (const one of specs) bases.push(stageBase(job("j"), one, (stage) => bases[stage] as ObjectBase));
      return bases[2] as ObjectBase;
    };
    expect(chain(1)).toBe(chain(1));
    expect(chain(1)).not.toBe(chain(2));
  });

  it("of a stage that may be impure belong to its job and place", () => {
    const impure = spec({ options: { pure: false } });
    expect(stageBase(job("a"), impure, noStages)).toBe("sa_0");
    expect(stageBase(job("b"), { ...impure, index: 4 }, noStages)).toBe("sb_4");
  });

  it("of every form of argument are what they have always been", () => {
    const object = `${base("ab")}-0` as ObjectId;
    const forms: ArgSpec[] = [
      value(20),
      { a: "item", pack: pack(1, 2) },
      { a: "items", object },
      { a: "object", id: object },
      { a: "stage", stage: 1, edge: "one-to-one" },
      { a: "stage", stage: 2, edge: "broadcast" },
      { a: "stage", stage: 3, edge: "all" },
      { a: "task", stage: 4, task: 5 },
      { a: "index" },
      {
        a: "list",
        of: [value("x"), { a: "list", of: [{ a: "index" }, { a: "task", stage: 1, task: 0 }] }],
      },
    ];
    const addressed = [...forms.map((arg) => [arg]), forms].map((args) =>
      stageBase(job("j"), spec({ args }), (stage) => base(String(stage))),
    );
    expect(addressed).toEqual([
      "p01d9641429352ff12b81162a4c46be6f",
      "p4eeca93f9ed6a572965ab51dc3dce0f1",
      "p8190ed88c8b75fe3e10e79b53e676b97",
      "p9e140c24caa0527b2947a51ff0d0fcb8",
      "pd1a53adb6b824240ad6cd1b706d1314c",
      "ped4ca16b8018f1a973c57a6b1f89e215",
      "pf634b1d58ad986381a90e5d14cc1832d",
      "p040f650fa95d4d2219d2813752b1ae2f",
      "pd676a5fe333160349851f88ac880b203",
      "pef12f73513f095bbb947ed512b5c7984",
      "p6c725b8b459c3f20eb28c4127f71f700",
    ]);
  });
});
