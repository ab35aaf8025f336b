/**
 * A call of a kernel drawn at random, valid by construction, with what must hold of it. Test code: no kernel imports
 * it.
 */
import type { Table } from "apache-arrow";
import type { Draw } from "./draw.js";

export type Run = (...args: readonly unknown[]) => unknown;

export interface DrawnCall {
  readonly args: readonly unknown[];
  /**
   * Of the arguments that are tables and have a future: the column that says when a row is known. Every causal kernel
   * and every label has it.
   */
  readonly known?: Readonly<Record<number, string>>;
  /**
   * Tables whose rows belong to bars; default: the result. Of a label: its rows at the bars at which they are known.
   */
  readonly rows?: (result: unknown, args: readonly unknown[]) => readonly Table[];
  /** Column of those tables with the time of a row; without it row i belongs to row i of the first argument. */
  readonly time?: string;
  /** What is called with tables that were cut, where other arguments must fit them. */
  readonly adapt?: (args: readonly unknown[]) => readonly unknown[];
  /** The first rows of the first table without which the kernel refuses to run. */
  readonly rowsMin?: number;
  /** The same result by calls of parts of the arguments, or of arguments in another order; cut at these shares. */
  readonly inPieces?: (run: Run, shares: readonly number[], whole: unknown) => unknown;
}

export interface DrawnKernel {
  /** Rows of its tables, from and to; default 0 to 24. */
  readonly rows?: readonly [number, number];
  /** Why there is nothing to cut into pieces, or where that is tested. Either this or `inPieces` in its calls. */
  readonly whole?: string;
  draw(draw: Draw, rows: number): DrawnCall;
}
