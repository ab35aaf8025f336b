/** The command of one role: its flags and their help come from the same table that parses its configuration. */
import type { Command } from "commander";
import type { ConfigTable } from "../../cluster/process/config.js";
import { loadRole, type RoleName, runRole } from "../../cluster/roles/role.js";

export const roleDescriptions: Readonly<Record<RoleName, string>> = {
  scheduler: "run a scheduler in this process",
  worker: "run a worker in this process",
  gateway: "run the HTTP gateway in this process",
};

/** Loads the role's code for its table. */
export async function addRoleCommand(program: Command, role: RoleName): Promise<void> {
  const module = await loadRole(role);
  const command = program.commands.find((known) => known.name() === role) ?? program.command(role);
  for (const entry of Object.values(module.table))
    command.option(`--${entry.flag} <value>`, `${entry.doc} [${entry.env}${defaultText(entry)}]`);
  command.action(async (options: Record<string, unknown>) => {
    await runRole(role, module, flagsOf(module.table, options), options.json === true);
  });
}

function defaultText(entry: ConfigTable[string]): string {
  if (entry.default === undefined) return ", required";
  if (entry.default === null || entry.default === "") return "";
  return `, default ${String(entry.default)}`;
}

/** commander turns --metrics-port into metricsPort; the table knows it by its flag. */
function flagsOf(table: ConfigTable, options: Readonly<Record<string, unknown>>): Record<string, string> {
  const flags: Record<string, string> = {};
  for (const { flag } of Object.values(table)) {
    const given = options[flag.replace(/-([a-z0-9])/g, (_, letter: string) => letter.toUpperCase())];
    if (typeof given === "string") flags[flag] = given;
  }
  return flags;
}
