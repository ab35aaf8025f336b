import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { listKernels } from "./registry.js";
import { renderKernels } from "./testing/page.js";

describe("docs/kernels.md", () => {
  it("is what the declarations say (`npm run docs` writes it anew)", async () => {
    const page = renderKernels(listKernels());
    for (const { name } of listKernels()) expect(page).toContain(`### \`${name}\``);
    await expect(page).toMatchFileSnapshot(fileURLToPath(new URL("../../docs/kernels.md", import.meta.url)));
  });

  it("every parameter of a feature is described", () => {
    for (const kernel of listKernels().filter(({ name }) => name.startsWith("feature."))) {
      const { properties } = kernel.argSchema("params") as { properties: Record<string, { description?: string }> };
      for (const [name, { description }] of Object.entries(properties))
        expect(description, `${kernel.name} ${name}`).toMatch(/\w/);
    }
  });
});
