/**
 * The entry file of the processes of a local cluster: `node main.js scheduler`, `worker` or `gateway`. All else is in
 * the environment and in what the parent tells over IPC. People start the same roles by `volley scheduler` and so on.
 */
import { isRoleName, loadRole, runRole } from "./role.js";

const [role] = process.argv.slice(2);
if (!isRoleName(role)) {
  process.stderr.write(
    `volley: there is no role ${JSON.stringify(role ?? "")}; expected scheduler, worker or gateway\n`,
  );
  process.exit(2);
}
await runRole(role, await loadRole(role), {}, false);
