/**
 * What happened, line by line: the hash of all lines identifies the run, and the lines are kept for whoever wants to
 * read them.
 */
export class Story {
  readonly #lines: string[] = [];
  readonly #kept: number;
  readonly #now: () => number;
  #hash = 0x811c_9dc5;
  #count = 0;

  constructor(options: { kept: number; now: () => number }) {
    this.#kept = options.kept;
    this.#now = options.now;
  }

  get lines(): readonly string[] {
    return this.#lines;
  }
  get count(): number {
    return this.#count;
  }
  get hash(): string {
    return (this.#hash >>> 0).toString(16).padStart(8, "0");
  }

  emit(actor: string, what: string): void {
    const line = `${this.#now().toFixed(3).padStart(12)} ${actor.padEnd(12)} ${what}`;
    for (let i = 0; i < line.length; i++) this.#hash = Math.imul(this.#hash ^ line.charCodeAt(i), 0x0100_0193);
    this.#count++;
    this.#lines.push(line);
    if (this.#lines.length > 2 * this.#kept) this.#lines.splice(0, this.#lines.length - this.#kept);
  }
}
