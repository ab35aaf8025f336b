/** `volley data synth`. */

import { Interrupted } from "../../cluster/process/exit-codes.js";
import { writeMarket } from "../../data/synth/index.js";
import { type Interruption, interruption } from "./interruption.js";
import { formatBytes, type Output } from "./output.js";

export interface SynthOptions {
  readonly out: string;
  readonly seed: number;
  readonly symbols: number;
  readonly years: number;
  readonly effect: number;
  readonly by: "symbol" | "date";
}

export async function dataSynth(options: SynthOptions, output: Output): Promise<void> {
  const { SingleBar, Presets } = (await import("cli-progress")).default;
  const bar =
    output.json || !process.stderr.isTTY
      ? undefined
      : new SingleBar(
          { format: "writing {bar} {value} of {total} files", stream: process.stderr, hideCursor: true },
          Presets.shades_classic,
        );
  let interrupted: Interruption | undefined;
  const written = await writeMarket({
    ...options,
    onProgress: (done, of) => {
      // Only from here on: while the market is made nothing else runs, and the signal's own way ends the process at
      // once.
      if (!interrupted) bar?.start(of, done);
      interrupted ??= interruption();
      bar?.update(done);
      if (interrupted.signal.aborted) throw new Interrupted("interrupted");
    },
  }).finally(() => bar?.stop());
  output.result(written, () =>
    [
      `${written.symbols} symbols over ${written.years} years in ${written.out}: ${written.files} files, ${formatBytes(written.bytes)}`,
      `${written.prices} prices, ${written.statements} statements, ${written.splits} splits, ${written.delisted} delistings`,
      `planted: cheap small caps earn ${(written.effect * 100).toFixed(1)} % more a year`,
    ].join("\n"),
  );
}
