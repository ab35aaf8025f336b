/** For tests: the text of a module whose functions behave, or misbehave in every way we know. */
export const hostileModule = `
const shared = globalThis[Symbol.for("volley.shared")];
const { taskContext } = shared.volley;
const arrow = shared["apache-arrow"];
export const double = (x) => 2 * x;
export const later = async (x) => { await new Promise((r) => setTimeout(r, 1)); return x + 1; };
export const context = () => taskContext();
export const posts = async (i) => {
  const { parentPort } = await import("node:worker_threads");
  for (const message of ["garbage", null, { t: "large", channel: 0, run: 0 }, { t: "log", level: "constructor" }, -1, 0.5, i])
    parentPort.postMessage(message);
  return i;
};
export const buffers = onThird(() => { const kept = []; for (let i = 0; i < 12; i++) kept.push(Buffer.alloc(2 ** 26, 1)); for (;;) kept.length; });
export const withRun = { run: (x) => "ran " + x };
export function onThird(what) { return (i) => { if (i !== 3) return i * 10; return what(i); }; }
export const throws = onThird(() => { throw new RangeError("three is too much"); });
export const throwsOther = onThird(() => { throw { odd: 1 }; });
export const throwsNasty = onThird(() => { throw new Proxy({}, { get() { throw 1; }, getPrototypeOf() { throw 2; } }); });
export const rejects = onThird(async () => { throw new TypeError("later"); });
export const loops = onThird(() => { for (;;); });
export const neverSettles = onThird(() => new Promise(() => {}));
export const exits = onThird(() => process.exit(7));
export const bomb = onThird(() => { const all = []; for (;;) all.push(new Array(1e5).fill(Math.random())); });
export const returnsFunction = onThird(() => ({ a: [1, { b: () => 1 }] }));
export const returnsCycle = onThird(() => { const o = {}; o.o = o; return o; });
export const returnsNastyGetter = onThird(() => ({ get a() { throw new Error("gotcha"); } }));
export const timerThrows = onThird(() => new Promise(() => { setTimeout(() => { throw new Error("from a timer"); }, 1); }));
export const rejectsUnheard = onThird(() => { Promise.reject(new Error("nobody listens")); return "fine"; });
export const rejectsLater = onThird(() => { setTimeout(() => Promise.reject(new Error("much later")), 20); return "fine"; });
export const idle = () => new Promise((r) => setTimeout(r, 60));
export const deletesGlobals = onThird(() => { for (const k of ["Atomics", "JSON", "Map", "Uint8Array", "Promise", "performance", "setImmediate", "Buffer"]) delete globalThis[k]; Array.prototype.push = null; return 30; });
export const giant = (i) => new Uint8Array(1_000_000 * (i + 1)).fill(i);
export const prints = (i) => { console.log("hello %d", i); process.stdout.write("raw\\n"); return i; };
export const printsMuch = () => { for (let i = 0; i < 5000; i++) console.log("line", i); };
export const table = (i) => new arrow.Table({ x: arrow.makeVector(Float64Array.of(i, i + 1)) });
export const sum = (t) => { let s = 0; for (const v of t.getChild("x")) s += v; return s; };
export const names = (t) => [...t.getChild("name")].join(",");
export const count = (list) => list.length + ":" + list.reduce((a, b) => a + b, 0);
export const mutates = (o) => { o.n = (o.n ?? 0) + 1; return o.n; };
export const mutatesBytes = (b) => b[0]++;
export const sleepy = (ms) => { Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms); return ms; };
export const envKeys = () => Object.keys(process.env).filter((k) => k.startsWith("VOLLEY_"));
export const same = (t) => t;
`;
