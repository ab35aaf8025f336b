/** The built-in kernels and what is declared of each: what a graph may name. */
import { z } from "zod";
import { cataloguedKernel, newestCatalogued } from "../../kernels/catalog/catalog.js";
import type { App } from "./context.js";
import { bodyOf, faultOf } from "./faults.js";
import { errorShape } from "./shapes.js";

const column = z.object({ name: z.string(), type: z.string(), doc: z.string().optional() });

const kernelShape = z.object({
  name: z.string(),
  version: z.number(),
  formerly: z.array(z.string()).optional().describe("Earlier spellings of the name, which go on working."),
  family: z.string(),
  doc: z.string(),
  args: z
    .array(z.object({ name: z.string(), schema: z.record(z.string(), z.unknown()) }))
    .describe("In their order, each with its JSON Schema; a table has {}."),
  columns: z.object({ inputs: z.array(column), outputs: z.array(column) }).optional(),
  causality: z
    .enum(["causal", "label", "summary", "tool"])
    .describe(
      "What a row may depend on. causal: nothing known after its bar; label: it says what came after its bar, by design; summary: figures of the whole input, which belong to its end; tool: means nothing by time.",
    ),
  labelWith: z
    .record(z.string(), z.array(z.string()))
    .optional()
    .describe("Parameters, by name and values, with which the rows of a causal kernel are labels."),
  lookback: z
    .union([z.number(), z.literal("unbounded")])
    .optional()
    .describe(
      "Bars before the current one that can touch an output, with the default parameters; absent where parameters are required.",
    ),
  lag: z
    .number()
    .optional()
    .describe("Bars between the last bar that an output may depend on and its own; 0 uses the current bar."),
  nulls: z.string().optional().describe("What null and NaN do."),
  costNs: z.number().optional().describe("Rough cost of a row and column, in nanoseconds."),
});

export function kernelRoutes(app: App): void {
  app.get(
    "/v1/kernels",
    {
      schema: {
        summary: "The built-in kernels",
        tags: ["kernels"],
        response: { 200: z.object({ kernels: z.array(kernelShape) }) },
      },
    },
    async () => ({ kernels: newestCatalogued() as z.output<typeof kernelShape>[] }),
  );
  app.get(
    "/v1/kernels/:name",
    {
      schema: {
        summary: "One kernel, by its name with or without `feature.`",
        tags: ["kernels"],
        params: z.object({ name: z.string() }),
        response: { 200: kernelShape, 404: errorShape },
      },
    },
    async (request, reply) => {
      try {
        return cataloguedKernel(request.params.name) as z.output<typeof kernelShape>;
      } catch (error) {
        // In a graph it is a fault of the graph (400); here it is the address that is not there.
        return reply.code(404).send(bodyOf(faultOf(error)));
      }
    },
  );
}
