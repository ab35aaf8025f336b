import { describe, expect, it } from "vitest";
import { causalityText, causalityWith } from "./catalog/causality.js";
import { requireKernel } from "./registry.js";

describe("what kernels declare about time", () => {
  const join = requireKernel("asof.join", 1);

  it("is told in a line", () => {
    expect(causalityText(requireKernel("feature.sma", 1))).toBe("causal: a row depends on nothing known after its bar");
    expect(causalityText(requireKernel("panel.forward_returns", 1))).toBe(
      "label: looks ahead by design, a row says what came after its bar",
    );
    expect(causalityText(requireKernel("stats.returns", 1))).toBe(
      "summary: figures of the whole input, which belong to its end",
    );
    expect(causalityText(requireKernel("volley.concat", 1))).toBe("tool: means nothing by time");
    expect(causalityText(join)).toMatch(/^causal: .*; a label with direction forward or nearest$/);
  });

  it("follows the parameters where they decide", () => {
    expect(causalityWith(join, [null, { on: "t" }])).toBe("causal");
    expect(causalityWith(join, [{ on: "t", direction: "backward" }])).toBe("causal");
    expect(causalityWith(join, [undefined, { on: "t", direction: "nearest" }])).toBe("label");
    expect(causalityWith(requireKernel("feature.sma", 1), [{ direction: "nearest" }])).toBe("causal");
  });

  it("names only parameters that are there, with values they may have", () => {
    const { properties } = join.argSchema("params") as { properties: Record<string, { enum?: string[] }> };
    for (const [name, values] of Object.entries(join.labelWith ?? {}))
      expect(properties[name]?.enum).toEqual(expect.arrayContaining([...values]));
  });
});
