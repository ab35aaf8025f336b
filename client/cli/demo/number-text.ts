/** How the demo writes its figures. A figure that is not defined is a dash. */
const minus = "\u2212";
const dash = "–";

const signed = (text: string): string => text.replace(/^-/, minus);

export const ratio = (value: number | null): string => (value === null ? dash : signed(value.toFixed(2)));
export const percent = (value: number | null, digits = 1): string =>
  value === null ? dash : `${signed((value * 100).toFixed(digits))} %`;
export const whole = (value: number | null): string => (value === null ? dash : value.toLocaleString("en-US"));
/** A probability in percent; never shown as certain. */
export const chance = (value: number | null): string =>
  value === null ? dash : value > 0.999 ? "> 99.9 %" : value < 0.001 ? "< 0.1 %" : `${(value * 100).toFixed(1)} %`;
export const seconds = (value: number): string => `${value.toFixed(value < 10 ? 2 : 1)} s`;
export const megabytes = (bytes: number): string =>
  bytes < 1e6 ? `${(bytes / 1e3).toFixed(1)} kB` : `${(bytes / 1e6).toFixed(1)} MB`;
export const isoDay = (day: number): string => new Date(day * 86_400_000).toISOString().slice(0, 10);
