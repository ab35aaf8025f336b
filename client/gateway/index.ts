/**
 * The gateway as a part of other programs: `buildGateway` over a connected cluster, or `runGateway` as a process does
 * it.
 */
export { buildGateway, type GatewayOptions } from "./gateway.js";
export { type GatewayConfig, gatewayConfig, runGateway } from "./main.js";
