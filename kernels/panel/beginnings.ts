/**
 * The beginnings of an array, each made once: sections are of few lengths, and a view costs more than adding up what is
 * in it.
 */
export class Beginnings<A extends Float64Array | Int32Array> {
  readonly whole: A;
  readonly #views: (A | undefined)[] = [];

  constructor(whole: A) {
    this.whole = whole;
  }

  of(length: number): A {
    this.#views[length] ??= this.whole.subarray(0, length) as A;
    return this.#views[length];
  }
}
