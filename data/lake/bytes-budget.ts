/** What one load may take of memory, whatever the file says: a few bytes of a Parquet file can stand for a gigabyte. */
import { VolleyError } from "../../proto/errors.js";

export class BytesBudget {
  readonly #label: string;
  readonly #max: number;
  #taken = 0;

  /** `label`: the file, in messages. */
  constructor(label: string, max: number) {
    this.#label = label;
    this.#max = max;
  }

  get left(): number {
    return this.#max - this.#taken;
  }

  /** Throws TOO_LARGE. */
  take(bytes: number): void {
    if (bytes > this.left) throw this.exceeded();
    this.#taken += bytes;
  }

  exceeded(): VolleyError {
    return new VolleyError(
      "TOO_LARGE",
      `${this.#label} unpacks to more than ${this.#max} bytes, the most that is read at once. Read it by row groups, or fewer columns`,
      {
        details: { file: this.#label },
      },
    );
  }
}
