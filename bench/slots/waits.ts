/**
 * Runs on the cluster: holds its slot for so long and returns 30 kB. A thread that sleeps is woken about 0.1 ms late,
 * 2 % of the shortest task here, while its slot is occupied: the last half millisecond is spun, as by the peer. What is
 * returned is made within that time.
 */
const nobodyWakes = new Int32Array(new SharedArrayBuffer(4));
const spunMs = 0.5;

export const wait = (_item: number, ms: number): Uint8Array => {
  const endMs = performance.now() + ms;
  const result = new Uint8Array(30_000);
  Atomics.wait(nobodyWakes, 0, 0, ms - spunMs);
  while (performance.now() < endMs);
  return result;
};
