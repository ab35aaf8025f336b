/** Every feature. Adding one is its declaration and a line here. */
import { ema, sma } from "./averages.js";
import type { Feature } from "./form.js";
import { rsi } from "./oscillators.js";

export const features: readonly Feature[] = [sma, ema, rsi] as readonly unknown[] as readonly Feature[];
