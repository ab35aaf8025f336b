/** Clusters of tests: a process that ended though no test asked it to fails the test, instead of being replaced. */
import { type LocalCluster, type LocalClusterOptions, startLocalCluster } from "../local-cluster.js";

/** `stop` rejects when a process ended that `kill` had not been told to end. */
export async function startTestCluster(options: LocalClusterOptions): Promise<LocalCluster> {
  const cluster = await startLocalCluster(options);
  const stop = cluster.stop;
  return Object.defineProperty(cluster, "stop", {
    value: async () => {
      await stop();
      const exits = cluster.unexpectedExits.map(
        ({ name, how, lastLines }) => `${name}: ${how}\n${lastLines.join("\n")}`,
      );
      if (exits.length > 0) throw new Error(`processes ended unasked:\n${exits.join("\n")}`);
    },
  });
}
