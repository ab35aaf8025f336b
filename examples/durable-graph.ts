/**
 * A graph as a durable job: it survives this program, the scheduler and nats-server, and the same content is not
 * computed twice. Its stages are joined one to one (each) and through a barrier (all).
 *
 *   node dist/examples/durable-graph.js
 */
import { connect } from "volley";

await using cluster = await connect();
const tasks = await cluster.deploy<typeof import("./durable-graph-tasks.js")>(
  new URL("./durable-graph-tasks.ts", import.meta.url),
  { pure: true },
);

const graph = cluster.graph("dice");
const rolls = graph.map(
  tasks.roll,
  Array.from({ length: 20 }, () => 1_000),
  { seed: 7 },
);
const means = graph.each(tasks.mean, rolls);
graph.all(tasks.summary, means, { shared: [rolls] });

const job = await cluster.run(graph);
for await (const { state, succeeded, tasks: total } of job.progress())
  console.log(`${state}: ${succeeded} of ${total} tasks`);
const [result] = await job.results<{ parts: number; rolls: number; mean: number }>();
console.log("summary:", result);

const again = await cluster.run(graph);
const { executed, reused, digest } = await again.done();
console.log(
  `again: ${executed} tasks executed, ${reused} reused, same digest: ${digest === (await job.status()).digest}`,
);
