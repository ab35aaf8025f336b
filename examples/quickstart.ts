/**
 * Functions of a module, run on a cluster. Without VOLLEY_URL a cluster is started on this machine and ends with the
 * program.
 *
 *   node dist/examples/quickstart.js
 */
import { connect } from "volley";

await using cluster = await connect();
const tasks = await cluster.deploy<typeof import("./quickstart-tasks.js")>(
  new URL("./quickstart-tasks.ts", import.meta.url),
);

const prices = await cluster.put(Array.from({ length: 1_000 }, (_, day) => 100 + day / 10 + 5 * Math.sin(day / 15)));
const runs = tasks.simulate.map([2, 5, 10, 20, 50, 100], { shared: [prices] });
const winner = tasks.best.submit(runs);

console.log(`${runs.length} simulations`, await cluster.get(runs));
console.log("best:", await cluster.get(winner));
