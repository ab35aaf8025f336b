/** The keys that the configurations of all roles have. */
import { type ConfigTable, configKey, integer, text } from "./config.js";

/** Set in a role's environment: "ipc" says that its parent will tell the secret keys of its configuration. */
export const secretsKey = "VOLLEY_SECRETS";

export const roleConfig = {
  url: configKey<string>({
    env: "VOLLEY_URL",
    flag: "url",
    doc: "nats://user:password@host:port of the cluster. VOLLEY_URL_FILE names a file with it, which is removed once it is read.",
    default: undefined,
    parse: text,
  }),
  logLevel: configKey<string>({
    env: "VOLLEY_LOG",
    flag: "log",
    doc: "Least level of log lines: trace, debug, info, warn, error or silent.",
    default: "info",
    parse: text,
  }),
} satisfies ConfigTable;

/** Of a role that is watched on a port of its own. */
export const metricsConfig = {
  metricsPort: configKey({
    env: "VOLLEY_METRICS_PORT",
    flag: "metrics-port",
    doc: "Port of /metrics and /healthz on 127.0.0.1; 0 takes a free one, -1 serves none.",
    default: 0,
    parse: integer(-1, 65_535),
  }),
} satisfies ConfigTable;
