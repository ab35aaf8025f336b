/** Every command with its options. What a command does is in a file of its own, loaded when it is run. */
import { Command, InvalidArgumentError, Option } from "commander";
import { packageVersion } from "../../cluster/process/release.js";
import { createOutput, type Output } from "./output.js";
import { roleDescriptions } from "./role-command.js";

/** Options of every command that speaks to a cluster. */
export interface ClusterOptions {
  readonly json?: boolean;
  readonly url?: string;
  readonly tenant?: string;
}

const wholeNumber =
  (min: number, max: number) =>
  (text: string): number => {
    const value = Number(text);
    if (text.trim() === "" || !Number.isInteger(value) || value < min || value > max)
      throw new InvalidArgumentError(`Expected a whole number from ${min} to ${max}.`);
    return value;
  };
const workers = wholeNumber(0, 256);
const slots = wholeNumber(1, 1024);
const port = wholeNumber(0, 65_535);

const outputOf = (options: { json?: boolean }): Output => createOutput(options.json ?? false);

export function buildProgram(): Command {
  const program = new Command("volley")
    .description(
      "A compute cluster for quant work: Arrow partitions over NATS, exactly-once results, bit-identical numbers.",
    )
    .version(packageVersion(), "-V, --version")
    .enablePositionalOptions()
    .showSuggestionAfterError(true)
    .showHelpAfterError("(volley --help lists the commands, volley <command> --help their options)")
    // With --json the entry file writes the error, as JSON.
    .configureOutput(process.argv.includes("--json") ? { writeErr: () => {} } : {})
    .exitOverride()
    .addHelpText("after", exitCodesHelp);
  addLocalCommands(program);
  addJobCommands(program);
  addOtherCommands(program);
  addDataCommands(program);
  for (const [role, description] of Object.entries(roleDescriptions)) addCommand(program, role, description);
  return program;
}

const exitCodesHelp = `
Environment:
  VOLLEY_URL           nats://user:password@host:port of the cluster to speak to
  VOLLEY_NATS_SERVER   path of a nats-server to use for local clusters

Exit status: 0 done, 1 the job or the cluster failed, 2 wrong usage, 130 interrupted.`;

function addCommand(program: Command, nameAndArgs: string, description: string): Command {
  return program
    .command(nameAndArgs)
    .description(description)
    .option("--json", "print one JSON value to stdout, and nothing else");
}

const addClusterCommand = (program: Command, nameAndArgs: string, description: string): Command =>
  addCommand(program, nameAndArgs, description)
    .option("--url <url>", "cluster to speak to; default: VOLLEY_URL, else the running `volley up`")
    .option("--tenant <name>", "whose work it is", "default");

function addLocalCommands(program: Command): void {
  addCommand(program, "up", "bring up a cluster on this machine: NATS, scheduler, workers, gateway")
    .option("--workers <n>", "number of workers; default: one slot per core on up to 8 workers", workers)
    .option("--slots <n>", "threads of each worker", slots)
    .option("--gateway-port <port>", "port of the HTTP gateway on loopback; 0: any free one", port, 0)
    .option("--no-gateway", "without the HTTP gateway")
    .option("--data-dir <folder>", "where journal, objects and logs are kept; default: the user's data folder")
    .option("--ephemeral", "keep everything in a temporary folder and remove it in the end")
    .action(async (options) => (await import("./up.js")).up(options, outputOf(options)));
  addCommand(
    program,
    "demo",
    "sweep 20,000 strategies over 20 years of prices on a cluster of this machine, and write a report",
  )
    .option("--workers <n>", "number of workers", workers)
    .option("--out <file>", "where the report is written", "volley-report.html")
    .option("--keep", "leave the cluster running until Ctrl-C")
    .action(async (options) => (await import("./demo/demo.js")).runDemo(options));
}

const collect = (value: string, before: string[]): string[] => [...before, value];
const cuts = (text: string): number | "all" => (text === "all" ? "all" : wholeNumber(1, 1_000_000)(text));

function addJobCommands(program: Command): void {
  addClusterCommand(
    program,
    "submit <graph>",
    "submit a graph (a JSON file, - for stdin) as a durable job and print its id",
  )
    .option("--wait", "follow the job to its end; exit status 1 if it fails")
    .option("--key <key>", "submit at most once under this key; the same again gives the same job")
    .action(async (graph, options) => (await import("./submit.js")).submit(graph, options, outputOf(options)));
  addClusterCommand(program, "jobs", "list jobs, newest first")
    .option("--limit <n>", "at most so many", wholeNumber(1, 1_000), 50)
    .action(async (options) => (await import("./jobs.js")).jobs(options, outputOf(options)));
  addClusterCommand(program, "job <id>", "show a job, follow it, or print its results")
    .option("--watch", "follow it to its end")
    .option("--result", "print the results of an output stage")
    .option("--stage <n>", "which output stage's; default: the first", wholeNumber(0, 1_000_000))
    .addOption(
      new Option("--format <format>", "form of the results")
        .choices(["json", "csv", "arrow", "parquet"])
        .default("json"),
    )
    .option("-o, --output <file>", "write the results to a file instead of stdout")
    .action(async (id, options) => (await import("./job.js")).job(id, options, outputOf(options)));
  addClusterCommand(program, "cancel <id>", "cancel a job").action(async (id, options) =>
    (await import("./cancel.js")).cancel(id, options, outputOf(options)),
  );
  addClusterCommand(
    program,
    "explain [job] [stage] [task]",
    "say why a task is where it is, and what happened to it; by default of the first stage that has not ended",
  )
    .addOption(new Option("--worker <name>", "what happened to a worker instead").conflicts("lease"))
    .addOption(new Option("--lease <id>", "what happened to a lease instead"))
    .action(async (id, stage, task, options) =>
      (await import("./explain.js")).explain({ id, stage, task }, options, outputOf(options)),
    );
  addClusterCommand(program, "top", "watch workers, queue and jobs")
    .option("--once", "print once and end")
    .option("--interval <ms>", "time between updates", wholeNumber(100, 60_000), 1_000)
    .action(async (options) => (await import("./top.js")).top(options, outputOf(options)));
  addClusterCommand(
    program,
    "deploy <module>",
    "bundle a module, store it in the cluster and print its id and functions",
  )
    .option("--pure", "declare every function of it pure: same inputs, same result")
    .option(
      "--external <package>",
      "leave a package outside of the bundle: it must be installed where the workers are; once for each",
      collect,
      [],
    )
    .action(async (module, options) => (await import("./deploy.js")).deploy(module, options, outputOf(options)));
  addClusterCommand(
    program,
    "audit <function>",
    "check a kernel, or module.ts#export, for look-ahead; exit status 1 if it looks ahead",
  )
    .requiredOption(
      "--data <files:column>",
      "a table of the function (Parquet, Arrow, CSV or JSON rows; many files by a quoted glob), and its column that says when a row could be known; once for each table",
      collect,
      [],
    )
    .option("--params <json>", "the function's argument after the tables")
    .option(
      "--time <column>",
      "column of the output with the time of a row; default: row i belongs to row i of the first table",
    )
    .option("--cuts <n>", "times to cut at, or all", cuts, 200)
    .action(async (name, options) => (await import("./audit.js")).audit(name, options, outputOf(options)));
}

function addOtherCommands(program: Command): void {
  addCommand(program, "kernels [name]", "list the built-in kernels by family, or show one in full").action(
    async (name, options) => (await import("./kernels.js")).kernels(name, outputOf(options)),
  );
  const nats = program.command("nats").description("the nats-server of local clusters");
  addCommand(nats, "install", "find or provision nats-server, and say where it is").action(async (options) =>
    (await import("./nats-install.js")).natsInstall(outputOf(options)),
  );
}

function addDataCommands(program: Command): void {
  const data = program.command("data").description("data to work with");
  addCommand(
    data,
    "synth",
    "write a synthetic market as Parquet: prices, splits, delistings, statements with restatements, and a planted effect",
  )
    .requiredOption("--out <folder>", "where it is written")
    .option("--seed <n>", "same seed, same bytes", wholeNumber(0, Number.MAX_SAFE_INTEGER), 1)
    .option("--symbols <n>", "number of symbols", wholeNumber(1, 20_000), 500)
    .option("--years <n>", "number of years, from 2004", wholeNumber(1, 60), 12)
    .option("--effect <share>", "what cheap small caps earn more in a year, from -0.5 to 0.5", share, 0.1)
    .addOption(
      new Option("--by <what>", "one price file for each symbol, or for each month with all symbols by date")
        .choices(["symbol", "date"])
        .default("symbol"),
    )
    .action(async (options) => (await import("./data-synth.js")).dataSynth(options, outputOf(options)));
}

function share(text: string): number {
  const value = Number(text);
  if (text.trim() === "" || !(Math.abs(value) <= 0.5))
    throw new InvalidArgumentError("Expected a number from -0.5 to 0.5.");
  return value;
}
