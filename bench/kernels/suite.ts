/** The kernels beside their peers, topic by topic: same data, same run, one thread. */
import type { Measure, Suite, SuiteOptions } from "../report.js";
import { asofMeasures } from "./asof.js";
import { backtestMeasures } from "./backtest.js";
import { featureMeasures } from "./features.js";
import { moreFeatureMeasures } from "./features-more.js";
import { panelMeasures } from "./panel.js";

/** Without VOLLEY_PEERS_PYTHON a topic measures ours alone. */
type Topic = (options: SuiteOptions) => Promise<Measure[]>;

const topics: Readonly<Record<string, Topic>> = {
  features: featureMeasures,
  "more features": moreFeatureMeasures,
  asof: asofMeasures,
  panel: panelMeasures,
  backtest: backtestMeasures,
};

export const kernelsSuite: Suite = {
  doc: "features, as-of joins, cross-sections, backtests (peers: vectorbt, TA-Lib, pandas, polars, numpy, DuckDB)",
  async run(options) {
    if (!process.env.VOLLEY_PEERS_PYTHON)
      options.log(
        "no peers: VOLLEY_PEERS_PYTHON names no Python with them (bench/peers/requirements-*.txt), so peer, peerValue and ratio are null",
      );
    const measures: Measure[] = [];
    for (const [name, topic] of Object.entries(topics)) {
      options.log(name);
      measures.push(...(await topic(options)));
    }
    return measures;
  },
};
