/**
 * The same cluster over HTTP, with nothing but fetch: a graph as JSON, its progress, its result in the form that is
 * asked for. `volley up` prints the address and the token:
 *
 *   VOLLEY_GATEWAY_URL=http://127.0.0.1:… VOLLEY_TOKEN=… node dist/examples/gateway-client.js
 */
const { VOLLEY_GATEWAY_URL: gateway, VOLLEY_TOKEN: token } = process.env;
if (!gateway || !token) throw new Error("VOLLEY_GATEWAY_URL and VOLLEY_TOKEN are required; `volley up` prints both");

async function call(path: string, init: RequestInit = {}): Promise<Response> {
  const response = await fetch(new URL(path, gateway), {
    ...init,
    headers: { authorization: `Bearer ${token}`, ...init.headers },
  });
  if (!response.ok) throw new Error(`${init.method ?? "GET"} ${path}: ${response.status} ${await response.text()}`);
  return response;
}

const graph = {
  name: "echoes",
  stages: [{ name: "echo", fn: { kernel: "volley.echo" }, args: [{ items: ["a", "b", "c"] }] }],
};
const submitted = await call("/v1/jobs", {
  method: "POST",
  headers: { "content-type": "application/json", "idempotency-key": "example-echoes" },
  body: JSON.stringify(graph),
});
const { job } = (await submitted.json()) as { job: string };

let state = "running";
while (state === "running") {
  await new Promise((resolve) => setTimeout(resolve, 50));
  const status = (await (await call(`/v1/jobs/${job}`)).json()) as { state: string; succeeded: number; tasks: number };
  state = status.state;
  console.log(`${state}: ${status.succeeded} of ${status.tasks} tasks`);
}
const result = await call(`/v1/jobs/${job}/result`, { headers: { accept: "application/json" } });
console.log("result:", await result.text());
