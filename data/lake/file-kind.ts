/** What a data file is, by its name's ending, else by its first bytes. */
import { VolleyError } from "../../proto/errors.js";
import { openSource } from "./byte-source.js";

export type FileKind = "parquet" | "arrow" | "csv" | "json";

const endings: readonly (readonly [RegExp, FileKind])[] = [
  [/\.(parquet|pq)$/i, "parquet"],
  [/\.(arrow|arrows|ipc|feather)$/i, "arrow"],
  [/\.(csv|tsv)$/i, "csv"],
  [/\.json$/i, "json"],
];
const beginnings: readonly (readonly [string, FileKind])[] = [
  ["PAR1", "parquet"],
  ["ARROW1", "arrow"],
  ["\xff\xff\xff\xff", "arrow"],
];

/** Throws INVALID_ARGUMENT for a file that says in neither way what it is, or cannot be opened. */
export function kindOf(file: string): FileKind {
  const named = endings.find(([ending]) => ending.test(file));
  if (named) return named[1];
  using source = openSource({ path: file }, file);
  const head = Buffer.from(source.read(0, Math.min(6, source.size))).toString("latin1");
  const begun = beginnings.find(([beginning]) => head.startsWith(beginning));
  if (begun) return begun[1];
  throw new VolleyError(
    "INVALID_ARGUMENT",
    `${file} is no data file: its name ends in none of .parquet, .arrow, .feather, .csv, .tsv and .json`,
    {
      details: { file },
    },
  );
}
