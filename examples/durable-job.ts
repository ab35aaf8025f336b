/**
 * The calls of a session as a durable job: `submit` and `map` inside of the description become stages, and what it
 * returns is the job's value. It survives this program, the scheduler and nats-server; another program that gives the
 * same key gets the same job.
 *
 *   node dist/examples/durable-job.js
 */
import { connect } from "volley";

await using cluster = await connect();
const tasks = await cluster.deploy<typeof import("./durable-graph-tasks.js")>(
  new URL("./durable-graph-tasks.ts", import.meta.url),
  { pure: true },
);

const key = `dice-${process.pid}`;
const describe = () => {
  const rolls = tasks.roll.with({ seed: 7 }).map(Array.from({ length: 20 }, () => 1_000));
  const means = tasks.mean.map(rolls);
  return { summary: tasks.summary.submit(means, rolls), first: means.at(0) };
};

const job = await cluster.durable(key, describe);
const { summary, first } = await job.value(); // Typed by what the description returned.
console.log("summary:", summary, "first mean:", first.toFixed(2));

const again = await cluster.durable(key, describe);
console.log(`the same job again: ${again.id === job.id}, ${(await again.done()).executed} tasks executed in all`);
