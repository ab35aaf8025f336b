/** What the demo prints when it is done: the table of the winners, and the line that says what it took. */
import Table from "cli-table3";
import colours from "picocolors";
import { chance, megabytes, percent, ratio, seconds, whole } from "./number-text.js";
import type { FamilyOutcome, SideValues, StrategyOutcome, SweepOutcome } from "./outcome.js";
import type { RunFacts } from "./report/page.js";

/** Two lines for each strategy, in and out of sample, so that it fits a narrow terminal. */
export function summaryTable({ families, benchmark, luckSharpe, trials }: SweepOutcome): string {
  const head = ["strategy", "", "Sharpe", "CAGR", "max. DD", "trades", "deflated"].map((text) => colours.bold(text));
  const table = new Table({
    head,
    style: { head: [], border: colours.isColorSupported ? ["gray"] : [] },
    colAligns: ["left", "left", "right", "right", "right", "right", "right"],
  });
  const row = ({ title, parameters, inSample, outOfSample }: StrategyOutcome, deflated: string): string[] => {
    const both = (show: (side: SideValues) => string): string => `${show(inSample)}\n${show(outOfSample)}`;
    return [
      `${colours.bold(title)}\n${colours.dim(parameters)}`,
      colours.dim("in sample\nout of sample"),
      both((side) => ratio(side.sharpe)),
      both((side) => percent(side.cagr)),
      both((side) => percent(side.maxDrawdown)),
      both((side) => whole(side.trades)),
      deflated,
    ];
  };
  for (const family of families) table.push(row(family, chance(family.deflatedSharpe)));
  table.push(row(benchmark, ""));
  const luck = `deflated: the chance that the in-sample Sharpe ratio is more than the luck of the best\nof ${whole(trials)} trials, which alone gives ${ratio(luckSharpe)}`;
  return `${table.toString()}\n${colours.dim(luck)}`;
}

export function summaryLines(facts: RunFacts, totalSeconds: number, report: string): string {
  const same = facts.sdk.digest === facts.gateway.digest;
  const digest = facts.sdk.digest.slice(0, 16);
  return [
    `SDK      ${whole(facts.sdk.executed)} tasks executed, ${whole(facts.sdk.reused)} reused, ${seconds(facts.sdk.seconds)}, digest ${digest}…`,
    `gateway  ${whole(facts.gateway.executed)} tasks executed, ${whole(facts.gateway.reused)} reused, ${seconds(facts.gateway.seconds)}, digest ${facts.gateway.digest.slice(0, 16)}…`,
    `report   ${report}`,
    `${whole(facts.combinations)} combinations in ${whole(facts.tasks)} tasks on ${facts.workers} ${facts.workers === 1 ? "worker" : "workers"}, ${megabytes(facts.resultBytes)} of results, ${seconds(totalSeconds)} in all; the digests are ${same ? colours.green("the same") : colours.red("DIFFERENT")}`,
  ].join("\n");
}

/** The one object of --json. */
export function summaryJson(
  outcome: SweepOutcome,
  facts: RunFacts,
  totalSeconds: number,
  report: string,
): Record<string, unknown> {
  const strategy = (s: StrategyOutcome) => ({
    family: s.name,
    parameters: s.parameters,
    inSample: s.inSample,
    outOfSample: s.outOfSample,
    probabilisticSharpe: s.probabilisticSharpe,
    deflatedSharpe: s.deflatedSharpe,
  });
  return {
    combinations: facts.combinations,
    families: outcome.families.map((family: FamilyOutcome) => ({ ...strategy(family), trials: family.trials })),
    benchmark: strategy(outcome.benchmark),
    luckSharpe: outcome.luckSharpe,
    digestSdk: facts.sdk.digest,
    digestGateway: facts.gateway.digest,
    secondRunTasksExecuted: facts.gateway.executed,
    secondRunTasksReused: facts.gateway.reused,
    tasks: facts.tasks,
    workers: facts.workers,
    bytes: facts.resultBytes,
    sweepSeconds: facts.sdk.seconds,
    secondRunSeconds: facts.gateway.seconds,
    seconds: totalSeconds,
    report,
  };
}
