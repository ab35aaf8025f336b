/** GET /metrics and /healthz on the loopback interface. */
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";

export interface Health {
  readonly ok: boolean;
  readonly [detail: string]: string | number | boolean;
}

export interface MetricsServer {
  readonly port: number;
  close(): Promise<void>;
}

export async function serveMetrics(options: {
  port: number;
  scrape(): Promise<string>;
  contentType: string;
  health(): Health;
}): Promise<MetricsServer> {
  const server: Server = createServer(
    { requestTimeout: 10_000, headersTimeout: 5_000, keepAliveTimeout: 5_000 },
    (request, response) => {
      const path = (request.url ?? "").split("?")[0];
      if (request.method !== "GET" && request.method !== "HEAD") {
        response.writeHead(405).end();
        return;
      }
      if (path === "/healthz") {
        const health = options.health();
        response.writeHead(health.ok ? 200 : 503, { "content-type": "application/json" }).end(JSON.stringify(health));
        return;
      }
      if (path !== "/metrics") {
        response.writeHead(404).end();
        return;
      }
      options.scrape().then(
        (text) => response.writeHead(200, { "content-type": options.contentType }).end(text),
        () => response.writeHead(500).end(),
      );
    },
  );
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(options.port, "127.0.0.1", resolve);
  });
  return {
    port: (server.address() as AddressInfo).port,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}
