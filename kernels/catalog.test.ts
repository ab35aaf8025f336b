import { describe, expect, it } from "vitest";
import { cataloguedKernel, cataloguedKernels, resolveKernel } from "./catalog/catalog.js";
import { findNamed, newestOf } from "./catalog/names.js";
import { describeKernel, listKernels } from "./index.js";

interface Schema {
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly enum?: readonly unknown[];
  readonly anyOf?: readonly Schema[];
  readonly items?: Schema;
}

/** Every option with where it stands, and every value that is one of several words. */
function wordsOf(schema: Schema, at: string): { options: string[]; values: string[] } {
  const parts = [
    ...Object.entries(schema.properties ?? {}).map(([name, inner]) => wordsOf(inner, `${at}.${name}`)),
    ...(schema.anyOf ?? []).map((inner) => wordsOf(inner, at)),
    ...(schema.items ? [wordsOf(schema.items, at)] : []),
  ];
  return {
    options: [
      ...Object.keys(schema.properties ?? {}).map((name) => `${at}.${name}`),
      ...parts.flatMap((p) => p.options),
    ],
    values: [
      ...(schema.enum ?? []).filter((value) => typeof value === "string").map((value) => `${at}: ${value}`),
      ...parts.flatMap((p) => p.values),
    ],
  };
}

describe("the catalog", () => {
  it("is what the declarations say", () => {
    expect(cataloguedKernels()).toEqual(JSON.parse(JSON.stringify(listKernels().map(describeKernel))));
  });

  it("finds by name, short name and former name, and names near ones otherwise", () => {
    expect(cataloguedKernel("feature.rsi").name).toBe("feature.rsi");
    expect(cataloguedKernel("rsi").name).toBe("feature.rsi");
    expect(cataloguedKernel("sweep.ma-cross").name).toBe("sweep.ma_cross");
    expect(() => cataloguedKernel("rsy")).toThrow(/there is no kernel "rsy": did you mean rsi/);
  });
});

describe("one spelling", () => {
  const all = cataloguedKernels();
  const words = all.flatMap(({ name, args }) =>
    args.map(({ name: arg, schema }) => wordsOf(schema as Schema, `${name} ${arg}`)),
  );

  it("names are family.snake_case", () => {
    expect(all.map(({ name }) => name).filter((name) => !/^[a-z]+\.[a-z]+(?:_[a-z]+)*$/.test(name))).toEqual([]);
  });

  it("arguments and options are camelCase", () => {
    const args = all.flatMap(({ name, args }) => args.map((arg) => `${name}.${arg.name}`));
    const options = words.flatMap((one) => one.options);
    expect(options.length).toBeGreaterThan(200);
    expect([...args, ...options].filter((option) => !/\.[a-z]+(?:[A-Z][a-z]*)*$/.test(option))).toEqual([]);
  });

  it("values that are words are kebab-case, but for those that name a column of the result", () => {
    const columns = all.flatMap(({ columns }) => columns?.outputs ?? []).map(({ name }) => name);
    const values = words.flatMap((one) => one.values).filter((value) => !columns.includes(value.split(": ")[1] ?? ""));
    expect(values.length).toBeGreaterThan(50);
    expect(values.filter((value) => !/: [a-z0-9]+(?:-[a-z0-9]+)*$/.test(value))).toEqual([]);
  });

  it("a former name is nobody's name", () => {
    const names = all.map(({ name }) => name);
    const former = all.flatMap(({ formerly }) => formerly ?? []);
    expect(former.filter((name) => names.includes(name))).toEqual([]);
    expect(new Set(former).size).toBe(former.length);
  });
});

describe("a version that is not told", () => {
  const versions = [
    { name: "a.b", version: 1 },
    { name: "a.b", version: 3, formerly: ["a.old"] },
    { name: "a.b", version: 2 },
  ];

  it("is the newest", () => {
    expect(newestOf(versions)).toEqual([versions[1]]);
    expect(findNamed("a.b", versions)?.version).toBe(3);
    expect(findNamed("a.old", versions)?.version).toBe(3);
  });

  it("is that of the catalog in a graph; one that is told stays; what is not known here is left to the cluster", () => {
    const newest = cataloguedKernel("asof.join").version;
    expect(resolveKernel("asof.join")).toEqual({ kernel: "asof.join", version: newest });
    expect(resolveKernel("sweep.rsi-reversion")).toEqual({ kernel: "sweep.rsi_reversion", version: 1 });
    expect(resolveKernel("asof.join", 9)).toEqual({ kernel: "asof.join", version: 9 });
    expect(resolveKernel("asof.yet_to_come")).toEqual({ kernel: "asof.yet_to_come", version: 1 });
  });
});
