/**
 * Long lists of large items, validated one by one: each item's checked form takes the place of its raw one, so that of
 * a message of megabytes there are never two whole copies. `z.array` makes one beside the other.
 */
import { z } from "zod";

/** A list of what `item` describes. The list that is parsed is the list that comes out, and is written to. */
export function each<S extends z.ZodType>(item: S, { min = 0, max }: { min?: number; max: number }) {
  return z
    .custom<unknown[]>((value) => Array.isArray(value) && value.length >= min && value.length <= max, {
      error: ({ input }) =>
        Array.isArray(input) ? `expected ${min} to ${max} items, got ${input.length}` : "expected a list",
    })
    .transform((list, context): z.output<S>[] => {
      for (const [i, raw] of list.entries()) {
        const parsed = item.safeParse(raw);
        if (parsed.success) {
          list[i] = parsed.data;
          continue;
        }
        for (const { message, path } of parsed.error.issues)
          context.issues.push({ code: "custom", message, path: [i, ...path], input: raw });
        return z.NEVER;
      }
      return list as z.output<S>[];
    });
}
