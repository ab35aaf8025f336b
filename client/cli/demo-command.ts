/** `volley demo`: hands over to demo/. */
import { runDemo } from "./demo/demo.js";

export interface DemoOptions {
  readonly json?: boolean;
  readonly workers?: number;
  readonly out: string;
  readonly keep?: boolean;
}

export const demo = (options: DemoOptions): Promise<void> => runDemo(options);
