/**
 * Parameters, queries and answers of the routes, as zod schemas: they validate requests and describe both in the
 * OpenAPI document.
 */
import { z } from "zod";
import { textTypes } from "../../data/ingest/ingested.js";
import { errorCatalogue } from "../../proto/errors.js";
import { limits } from "../../proto/limits.js";

export const idParams = z.object({ id: z.string().min(1).max(256) });
export const listQuery = z.object({ limit: z.coerce.number().int().min(1).max(limits.jobsListedMax).default(100) });
export const resultQuery = z.object({
  stage: z.string().max(128).optional().describe("Name or index of an output stage; the first output if left out."),
});
export const explainQuery = z.object({
  stage: z
    .string()
    .max(128)
    .optional()
    .describe("Name or index of a stage; the first one that has not ended if left out."),
  task: z.coerce.number().int().min(0).max(limits.tasksPerStageMax).default(0),
});

const textType = z.enum(textTypes);
export const uploadQuery = z.object({
  delimiter: z.string().length(1).optional().describe("CSV: the character between fields; a comma if left out."),
  nulls: z
    .string()
    .max(1_000)
    .optional()
    .describe("CSV: fields that mean “no value”, separated by commas; the empty field always does."),
  types: z
    .string()
    .max(100_000)
    .optional()
    .transform((text, context) => {
      if (text === undefined) return undefined;
      const types: [string, z.infer<typeof textType>][] = [];
      for (const part of text.split(",")) {
        const colon = part.lastIndexOf(":");
        const type = textType.safeParse(part.slice(colon + 1));
        if (colon < 1 || !type.success) {
          context.addIssue({
            code: "custom",
            message: `${JSON.stringify(part)} is not name:type with a type of ${textTypes.join(", ")}`,
          });
          return z.NEVER;
        }
        types.push([part.slice(0, colon), type.data]);
      }
      return Object.fromEntries(types);
    })
    .describe("CSV and JSON: types of columns, as name:type,name:type."),
});

export const errorShape = z.object({
  error: z.object({
    code: z.enum(Object.keys(errorCatalogue) as [string, ...string[]]),
    message: z.string(),
    path: z.string().optional(),
    details: z.record(z.string(), z.unknown()).optional(),
  }),
});
export const acceptedShape = z.object({ job: z.string() });
export const uploadedShape = z.object({
  object: z.string().describe('The id to name it by in a graph: {"object": id}.'),
  rows: z.number(),
  columns: z.array(z.object({ name: z.string(), type: z.string(), nulls: z.number() })),
  bytes: z.number().describe("Size as a canonical Arrow stream."),
});
