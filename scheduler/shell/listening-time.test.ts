import { expect, test } from "vitest";
import { ListeningTime } from "./listening-time.js";

/** A clock by hand, and a server whose answers come when the test says so. */
class Scene {
  now = 0;
  readonly deaf: number[] = [];
  #answers: { resolve(): void; reject(error: Error): void }[] = [];
  readonly listeningTime = new ListeningTime({
    transport: { flush: () => new Promise<void>((resolve, reject) => this.#answers.push({ resolve, reject })) },
    nowMs: () => this.now,
    graceMsMax: 5_000,
    onDeaf: (ms) => this.deaf.push(ms),
  });

  async answer(): Promise<void> {
    for (const { resolve } of this.#answers.splice(0)) resolve();
    await Promise.resolve();
    await Promise.resolve();
  }
  async fail(): Promise<void> {
    for (const { reject } of this.#answers.splice(0)) reject(new Error("gone"));
    await Promise.resolve();
    await Promise.resolve();
  }
  /** A healthy while: asked every 150 ms, answered after 2. */
  async well(ms: number): Promise<number> {
    let received = 0;
    for (const end = this.now + ms; this.now < end; ) {
      this.listeningTime.ask();
      this.now += 2;
      await this.answer();
      this.now += 148;
      received += this.listeningTime.take();
    }
    return received;
  }
}

test("while the server answers, all time counts", async () => {
  const scene = new Scene();
  const received = await scene.well(60_000);
  expect(received).toBeGreaterThan(59_500);
  expect(received).toBeLessThanOrEqual(60_000);
  expect(scene.deaf).toEqual([]);
});

test("a stopped server: the time until it answers counts as good as nothing, and the time behind it half until the others had theirs", async () => {
  const scene = new Scene();
  await scene.well(1_500);
  scene.listeningTime.ask();
  for (let i = 0; i < 200; i++) {
    scene.now += 100;
    scene.listeningTime.ask();
  }
  await scene.answer();
  const during = scene.listeningTime.take();
  expect(during).toBeLessThanOrEqual(500);
  const behind = await scene.well(5_000);
  expect(during + behind).toBeLessThan(3_500);
  expect(await scene.well(6_000)).toBeGreaterThan(5_500);
  expect(scene.deaf).toEqual([expect.closeTo(20_000, -3)]);
});

test("a stopped process counts no more", async () => {
  const scene = new Scene();
  await scene.well(1_500);
  scene.now += 3_600_000;
  expect(await scene.well(5_000)).toBeLessThan(3_500);
});

test("without a connection nothing counts", async () => {
  const scene = new Scene();
  await scene.well(1_500);
  let received = 0;
  for (let i = 0; i < 1_000; i++) {
    scene.listeningTime.ask();
    scene.now += 300;
    await scene.fail();
    received += scene.listeningTime.take();
  }
  expect(received).toBe(0);
  expect(await scene.well(5_000)).toBeLessThan(3_000);
  expect(scene.deaf.length).toBe(1);
});

test("a process that stalls all the time judges late, and not never", async () => {
  const scene = new Scene();
  let received = 0;
  for (let i = 0; i < 60; i++) {
    scene.listeningTime.ask();
    scene.now += 2_000;
    await scene.answer();
    received += scene.listeningTime.take();
  }
  expect(received).toBeGreaterThan(10_000);
  expect(received).toBeLessThan(60_000);
});
