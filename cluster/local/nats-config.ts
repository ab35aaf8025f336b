/**
 * The configuration file of a local nats-server: loopback, credentials, JetStream that has written before it
 * acknowledges.
 */
import { VolleyError } from "../../proto/errors.js";
import { type NatsRole, natsRoles, permissionsOf } from "../../proto/permissions.js";

export interface NatsConfigOptions {
  readonly dataDir: string;
  readonly storeDir: string;
  /** -1: any free port; the server then tells it in its ports file. */
  readonly port: number;
  readonly user: string;
  readonly password: string;
  /** A password for each role's own user, which has the role's name and permissions. */
  readonly roles?: Readonly<Record<NatsRole, string>>;
}

/** What is easy to put into a configuration file and a URL without quoting mistakes. */
const plain = /^[A-Za-z0-9._~-]{1,200}$/;

/** One user of a configuration file. */
function userOf(role: NatsRole, password: string): string {
  const { publish, subscribe, answers } = permissionsOf(role);
  const list = (subjects: readonly string[]): string => `{ allow: ${JSON.stringify(subjects)} }`;
  const responses = answers ? ', allow_responses: { max: 1, expires: "5m" }' : "";
  return `    { user: ${role}, password: ${JSON.stringify(password)}, permissions: { publish: ${list(publish)}, subscribe: ${list(subscribe)}${responses} } }
`;
}

export function natsConfig(options: NatsConfigOptions): string {
  for (const [name, value] of [
    ["user", options.user],
    ["password", options.password],
    ...natsRoles.map((role) => [`password of ${role}`, options.roles?.[role] ?? "none"] as const),
  ] as const) {
    if (!plain.test(value))
      throw new VolleyError(
        "INVALID_ARGUMENT",
        `The ${name} of a local nats-server must be 1 to 200 letters, digits or . _ ~ -`,
      );
  }
  const quoted = (value: string) => JSON.stringify(value);
  return `# Written by volley at every start; changes are lost.
server_name: volley-local
listen: "127.0.0.1:${options.port}"
http: "127.0.0.1:-1"
ports_file_dir: ${quoted(options.dataDir)}
# Frames and bundles may be larger than the default of 1 MB.
max_payload: 8MB
authorization {
  users: [
    { user: ${quoted(options.user)}, password: ${quoted(options.password)} }
${natsRoles.map((role) => (options.roles ? userOf(role, options.roles[role]) : "")).join("")}  ]
}
jetstream {
  store_dir: ${quoted(options.storeDir)}
  # Without it the server acknowledges first and writes up to two minutes later.
  sync_interval: always
}
`;
}
