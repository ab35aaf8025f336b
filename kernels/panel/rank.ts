/** `panel.rank`. */
import { z } from "zod";
import { ranksInto, Sorter } from "./order.js";
import { floats, sectionKernel } from "./wire.js";

export const orderNulls =
  "Null and NaN are missing: left out, and null in the result. ±infinity is a number, below or above all others.";

export const panelRank = sectionKernel({
  name: "rank",
  doc: "Rank of every value among those of its date (or group of a date), 1 for the smallest; pandas groupby(date).rank.",
  nulls: orderNulls,
  costNs: 40,
  as: "{column}",
  output: floats,
  parameters: z.strictObject({
    method: z
      .enum(["average", "min", "max", "dense", "ordinal"])
      .default("average")
      .describe(
        'Rank of equal values: their mean, smallest or largest, "dense" without gaps, or "ordinal": one after another in the order of symbols.',
      ),
    ascending: z
      .boolean()
      .default(true)
      .describe(
        "Whether the smallest value has rank 1; else the largest (ordinal ties still in the order of symbols).",
      ),
    scale: z
      .enum(["rank", "percent", "unit", "middle"])
      .default("rank")
      .describe(
        'The "rank" itself; "percent" rank / n (pandas pct=True); "unit" (rank - 1) / (n - 1), 0.5 for one value alone; "middle" (rank - 0.5) / n. n counts the values, for dense the distinct ones.',
      ),
  }),
  plan: ({ method, ascending, scale }) => {
    const sorter = new Sorter();
    return {
      finite: false,
      run: ([values], out) => {
        const { keys, places } = sorter.sort(values as Float64Array, !ascending);
        const n = ranksInto(out, keys, places, method);
        if (scale === "percent") for (let i = 0; i < out.length; i++) out[i] = (out[i] as number) / n;
        else if (scale === "unit")
          for (let i = 0; i < out.length; i++) out[i] = n > 1 ? ((out[i] as number) - 1) / (n - 1) : 0.5;
        else if (scale === "middle") for (let i = 0; i < out.length; i++) out[i] = ((out[i] as number) - 0.5) / n;
      },
    };
  },
});
