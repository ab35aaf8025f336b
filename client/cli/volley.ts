#!/usr/bin/env node
/**
 * The entry file of every process of Volley: the command line, and each role.
 * It loads only what the command needs, so that `volley --help` comes at once.
 */
import { exitCodes, toCliFailure } from "../../cluster/process/exit-codes.js";
import { isRoleName } from "../../cluster/roles/role.js";

async function main(args: readonly string[]): Promise<void> {
  const { buildProgram } = await import("./program.js");
  const program = buildProgram();
  if (isRoleName(args[0])) {
    const { addRoleCommand } = await import("./role-command.js");
    await addRoleCommand(program, args[0]);
  }
  await program.parseAsync(args, { from: "user" });
}

/** Waits until stdout has taken everything: a pipe is written asynchronously, and `process.exit` would cut it off. */
function exitAfterOutput(code: number): void {
  process.stdout.write("", () => process.stderr.write("", () => process.exit(code)));
}

// `volley jobs | head` closes our stdout: that is not an error of ours.
process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  if (error.code === "EPIPE") process.exit(exitCodes.ok);
  throw error;
});

const nodeMajorMin = 20;
if (Number.parseInt(process.versions.node, 10) < nodeMajorMin) {
  process.stderr.write(`volley: this is Node ${process.versions.node}; it needs ${nodeMajorMin}.19 or later\n`);
  process.exit(exitCodes.usage);
}

const args = process.argv.slice(2);
if (!isRoleName(args[0])) {
  // Node's own way of showing warnings is for programmers.
  process.removeAllListeners("warning");
  process.on("warning", (warning) => {
    if (!args.includes("--json")) process.stderr.write(`volley: warning: ${warning.message}\n`);
  });
}
main(args).then(
  () => {
    if (!isRoleName(args[0])) exitAfterOutput(exitCodes.ok);
  },
  (error: unknown) => {
    const commander = error as { code?: unknown; exitCode?: unknown; message: string };
    const isCommander = typeof commander.code === "string" && commander.code.startsWith("commander.");
    if (isCommander && commander.exitCode === 0) return exitAfterOutput(exitCodes.ok); // --help, --version
    const failure = isCommander
      ? { code: "USAGE", message: commander.message.replace(/^error: /, ""), exitCode: exitCodes.usage }
      : toCliFailure(error);
    if (args.includes("--json")) {
      const { exitCode: _, ...shown } = failure;
      process.stderr.write(`${JSON.stringify({ error: shown })}\n`);
    } else if (!isCommander && failure.code !== "INTERRUPTED") {
      process.stderr.write(`volley: ${failure.code === "USAGE" ? "" : `${failure.code}: `}${failure.message}\n`);
    }
    exitAfterOutput(failure.exitCode);
  },
);
