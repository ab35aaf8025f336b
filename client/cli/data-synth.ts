/** `volley data synth`. */
import { writeMarket } from "../synth/index.js";
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
      : new SingleBar({ format: "writing {bar} {value} of {total} files", stream: process.stderr, hideCursor: true }, Presets.shades_classic);
  let started = false;
  const written = await writeMarket({
    ...options,
    onProgress: (done, of) => {
      if (!started) bar?.start(of, done);
      started = true;
      bar?.update(done);
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
