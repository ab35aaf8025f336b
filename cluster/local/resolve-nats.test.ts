import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { chmod, mkdir, mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { createServer, type RequestListener } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { debianArchive } from "./nats-sources/debian-archive.js";
import { debianPackage } from "./nats-sources/debian-package.js";
import { environmentBinary } from "./nats-sources/environment-binary.js";
import { goInstall } from "./nats-sources/go-install.js";
import { pinnedArchive, pinnedDebian, pinnedVersion } from "./nats-sources/pinned.js";
import { releaseArchive } from "./nats-sources/release-archive.js";
import { searchPath } from "./nats-sources/search-path.js";
import { compareVersions, type NatsSource, type ResolveContext } from "./nats-sources/source.js";
import { cacheDir, provision, userCache, withCacheLock } from "./nats-sources/user-cache.js";
import { allSources, resolveNatsServer } from "./resolve-nats.js";

let home: string;
const cleanups: (() => unknown)[] = [];
beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), "volley-resolve-"));
});
afterEach(async () => {
  for (const clean of cleanups.splice(0)) await clean();
  await rm(home, { recursive: true, force: true });
});

/** Tools of the system (sh, tar) stay reachable; Go and a real nats-server do not. */
const context = (env: Record<string, string> = {}): ResolveContext & { lines: string[] } => {
  const lines: string[] = [];
  return {
    env: {
      HOME: home,
      XDG_CACHE_HOME: join(home, "cache"),
      PATH: `${join(home, "bin")}${delimiter}/usr/bin${delimiter}/bin`,
      ...env,
    },
    onProgress: (line) => lines.push(line),
    lines,
  };
};

async function script(path: string, body: string): Promise<string> {
  await mkdir(join(path, ".."), { recursive: true });
  await writeFile(path, `#!/bin/sh\n${body}\n`);
  await chmod(path, 0o755);
  return path;
}
const fakeServer = (path: string, version: string) => script(path, `echo "nats-server: v${version}"`);

async function serve(listener: RequestListener): Promise<string> {
  const server = createServer(listener).listen(0, "127.0.0.1");
  await new Promise((resolve) => server.once("listening", resolve));
  cleanups.push(() => {
    server.closeAllConnections();
    server.close();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

describe("where a nats-server is looked for", () => {
  test("VOLLEY_NATS_SERVER names one; too old, missing and foreign files are refused with the reason", async () => {
    const path = await fakeServer(join(home, "mine"), "2.12.1");
    expect(await environmentBinary.find(context({ VOLLEY_NATS_SERVER: path }))).toEqual({
      path,
      version: "2.12.1",
      source: "VOLLEY_NATS_SERVER",
    });
    const old = await fakeServer(join(home, "old"), "2.10.22");
    await expect(environmentBinary.find(context({ VOLLEY_NATS_SERVER: old }))).rejects.toThrow(
      "is version 2.10.22, older than 2.10.23",
    );
    await expect(environmentBinary.find(context({ VOLLEY_NATS_SERVER: join(home, "absent") }))).rejects.toThrow(
      "there is no",
    );
    const other = await script(join(home, "other"), "echo hello");
    await expect(environmentBinary.find(context({ VOLLEY_NATS_SERVER: other }))).rejects.toThrow(
      "does not say it is a nats-server",
    );
    await expect(environmentBinary.find(context())).rejects.toThrow("not set");
  });

  test("one that is named and cannot be used is an error, not a reason to take another", async () => {
    await fakeServer(join(home, "b", "nats-server"), "2.11.0");
    const env = { ...context({ PATH: join(home, "b") }).env, VOLLEY_NATS_SERVER: join(home, "absent") };
    const failed = resolveNatsServer({ env, sources: [environmentBinary, searchPath] });
    await expect(failed).rejects.toMatchObject({
      code: "NATS_UNAVAILABLE",
      message: expect.stringMatching(/VOLLEY_NATS_SERVER is .*absent, which cannot be used: there is no/),
    });
  });

  test("PATH: the first that is new enough, and never a relative folder", async () => {
    await fakeServer(join(home, "a", "nats-server"), "2.9.10");
    const good = await fakeServer(join(home, "b", "nats-server"), "2.11.0");
    const found = await searchPath.find(
      context({ PATH: ["relative", join(home, "a"), join(home, "b")].join(delimiter) }),
    );
    expect(found).toEqual({ path: good, version: "2.11.0", source: "PATH" });
    await expect(searchPath.find(context({ PATH: join(home, "a") }))).rejects.toThrow("2.9.10");
    await expect(searchPath.find(context({ PATH: "." }))).rejects.toThrow("no nats-server in it");
  });

  test("cache: the newest that works", async () => {
    const ctx = context();
    await expect(userCache.find(ctx)).rejects.toThrow("nothing in");
    await fakeServer(join(cacheDir(ctx.env), "2.9.1", "nats-server"), "2.9.1");
    await expect(userCache.find(ctx)).rejects.toThrow("older than");
    const good = await fakeServer(join(cacheDir(ctx.env), "2.14.3", "nats-server"), "2.14.3");
    await script(join(cacheDir(ctx.env), "2.15.0", "nats-server"), "exit 1");
    expect((await userCache.find(ctx)).path).toBe(good);
  });

  test("versions are compared by number, and a pre-release is older than its release", () => {
    expect(compareVersions("2.10.23", "2.10.9")).toBeGreaterThan(0);
    expect(compareVersions("2.9.99", "2.10.0")).toBeLessThan(0);
    expect(compareVersions("2.11.0-RC.1", "2.11.0")).toBeLessThan(0);
    expect(compareVersions("2.14.3", "2.14.3")).toBe(0);
  });
});

describe("the release archive", () => {
  test("is pinned for linux and darwin on amd64 and arm64, and says so elsewhere", () => {
    for (const platform of ["linux", "darwin"])
      for (const arch of ["x64", "arm64"]) expect(pinnedArchive(platform, arch).sha256).toMatch(/^[0-9a-f]{64}$/);
    expect(() => pinnedArchive("linux", "s390x")).toThrow("no pinned archive for linux-s390x");
  });

  test("is asked for under its release's path, and refused when its hash is another; nothing of it stays", async () => {
    const asked: string[] = [];
    const bytes = Buffer.from("not the archive");
    const ctx = context({
      VOLLEY_NATS_RELEASES: await serve((request, response) => {
        asked.push(request.url ?? "");
        response.end(bytes);
      }),
    });
    await expect(releaseArchive.find(ctx)).rejects.toThrow(
      `has SHA-256 ${createHash("sha256").update(bytes).digest("hex")}, expected ${pinnedArchive().sha256}: refused`,
    );
    expect(asked).toEqual([`/v${pinnedVersion}/${pinnedArchive().name}.tar.gz`]);
    expect((await readdir(cacheDir(ctx.env))).filter((name) => !name.startsWith(".lock"))).toEqual([]);
  });

  test("a refusing, broken or absent server is one line", async () => {
    const missing = await serve((_, response) => response.writeHead(404).end());
    await expect(releaseArchive.find(context({ VOLLEY_NATS_RELEASES: missing }))).rejects.toThrow("HTTP 404");
    const broken = await serve((_, response) => {
      response.writeHead(200, { "content-length": "1000000" });
      response.write("x", () => response.destroy());
    });
    await expect(releaseArchive.find(context({ VOLLEY_NATS_RELEASES: broken }))).rejects.toThrow(broken);
    await expect(releaseArchive.find(context({ VOLLEY_NATS_RELEASES: "http://127.0.0.1:9" }))).rejects.toThrow(
      /127\.0\.0\.1:9/,
    );
  });
});

describe("built or unpacked", () => {
  test("go install builds the pinned version into the cache", async () => {
    await script(
      join(home, "bin", "go"),
      `[ "$1" = version ] && exit 0\nprintf '#!/bin/sh\\necho "nats-server: v${pinnedVersion}"\\n' > "$GOBIN/nats-server"; echo "$@" > "${home}/asked"`,
    );
    const ctx = context({ PATH: `${join(home, "bin")}${delimiter}${process.env.PATH}` });
    const found = await inEnvironment(ctx, () => goInstall.find(ctx));
    expect(found).toEqual({
      path: join(cacheDir(ctx.env), pinnedVersion, "nats-server"),
      version: pinnedVersion,
      source: "go install",
    });
    expect(existsSync(found.path)).toBe(true);
    expect(ctx.lines[0]).toContain(`nats-server/v2@v${pinnedVersion}`);
    expect((await readdir(cacheDir(ctx.env))).sort()).toEqual([pinnedVersion]);
  });

  test("a distribution that is too old is not downloaded from", async () => {
    await script(join(home, "bin", "apt-cache"), `echo "nats-server:"; echo "  Candidate: 2.9.10-1+b5"`);
    await script(join(home, "bin", "apt-get"), `touch "${home}/downloaded"`);
    const ctx = context();
    await expect(inEnvironment(ctx, () => debianPackage.find(ctx))).rejects.toThrow(
      "this distribution has version 2.9.10, older than 2.10.23",
    );
    expect(existsSync(join(home, "downloaded"))).toBe(false);
  });

  test("a package is unpacked without being installed", async () => {
    await script(join(home, "bin", "apt-cache"), `echo "  Candidate: 2.15.1-1"`);
    await script(join(home, "bin", "apt-get"), `echo deb > nats-server_2.15.1.deb`);
    await script(
      join(home, "bin", "dpkg-deb"),
      `mkdir -p "$3/usr/sbin"; printf '#!/bin/sh\\necho "nats-server: v2.15.1"\\n' > "$3/usr/sbin/nats-server"`,
    );
    const ctx = context();
    expect(await inEnvironment(ctx, () => debianPackage.find(ctx))).toMatchObject({
      version: "2.15.1",
      source: "Debian package",
    });
    expect(await userCache.find(ctx)).toMatchObject({ version: "2.15.1" });
  });

  test("a later Debian's package is asked for in the pool of the mirror, and refused when its hash is another", async () => {
    await script(join(home, "bin", "dpkg-deb"), "true");
    const asked: string[] = [];
    const ctx = context({
      VOLLEY_DEBIAN_MIRROR: await serve((request, response) => {
        asked.push(request.url ?? "");
        response.end("not the package");
      }),
    });
    await expect(inEnvironment(ctx, () => debianArchive.find(ctx))).rejects.toThrow(
      `expected ${pinnedDebian().sha256}: refused`,
    );
    expect(asked).toEqual([`/${pinnedDebian().path}`]);
    expect(await readdir(cacheDir(ctx.env))).toEqual([]);
  });

  test("without dpkg-deb nothing is downloaded from Debian", async () => {
    const ctx = context({ PATH: join(home, "nothing"), VOLLEY_DEBIAN_MIRROR: "http://127.0.0.1:9" });
    await expect(debianArchive.find(ctx)).rejects.toThrow("there is no dpkg-deb");
  });

  test("what was made is checked before it enters the cache", async () => {
    const ctx = context();
    await expect(provision(ctx, "test", (folder) => fakeServer(join(folder, "nats-server"), "2.1.0"))).rejects.toThrow(
      "older than",
    );
    expect(await readdir(cacheDir(ctx.env))).toEqual([]);
  });
});

describe("all sources together", () => {
  const absent = (name: string, provisions: boolean): NatsSource => ({
    name,
    provisions,
    find: () => Promise.reject(new Error("nothing")),
  });

  test("come in their order, and what has been provisioned is found in the cache next time", async () => {
    const tried: string[] = [];
    const spy = (source: NatsSource): NatsSource => ({
      ...source,
      find(ctx) {
        tried.push(source.name);
        return source.find.call(source, ctx);
      },
    });
    const maker: NatsSource = {
      name: "maker",
      provisions: true,
      find: (ctx) => provision(ctx, "maker", (folder) => fakeServer(join(folder, "x"), "2.14.0")),
    };
    const sources = [environmentBinary, searchPath, userCache, absent("archive", true), maker].map(spy);
    const ctx = context({ PATH: join(home, "bin") });
    expect(await resolveNatsServer({ ...ctx, sources })).toMatchObject({ source: "maker", version: "2.14.0" });
    expect(tried).toEqual(["VOLLEY_NATS_SERVER", "PATH", "cache", "archive", "maker"]);
    expect(ctx.lines.join("\n")).toContain("VOLLEY_NATS_SERVER: not set");
    tried.length = 0;
    expect(await resolveNatsServer({ ...context({ PATH: join(home, "bin") }), sources })).toMatchObject({
      source: "cache",
    });
    expect(tried).toEqual(["VOLLEY_NATS_SERVER", "PATH", "cache"]);
  });

  test("what compiles comes last: a first start takes seconds wherever a package will do", () => {
    expect(allSources).toHaveLength(7);
    expect(allSources.at(-1)).toBe(goInstall);
    // Whatever is there already comes before whatever has to be fetched.
    expect(allSources.map((source) => source.provisions)).toEqual([false, false, false, true, true, true, true]);
  });

  test("two at the same time provision once", async () => {
    let made = 0;
    const maker: NatsSource = {
      name: "maker",
      provisions: true,
      find: (ctx) =>
        provision(ctx, "maker", (folder) => {
          made++;
          return fakeServer(join(folder, "x"), "2.14.0");
        }),
    };
    const found = await Promise.all(
      [1, 2, 3].map(() => resolveNatsServer({ ...context(), sources: [userCache, maker] })),
    );
    expect(new Set(found.map(({ path }) => path)).size).toBe(1);
    expect(made).toBe(1);
  });

  test("a lock whose owner is gone does not hold anybody up", async () => {
    const ctx = context();
    await mkdir(cacheDir(ctx.env), { recursive: true });
    await writeFile(join(cacheDir(ctx.env), ".lock"), "999999999 gone");
    expect(await withCacheLock(ctx, () => Promise.resolve("done"))).toBe("done");
    expect(await readdir(cacheDir(ctx.env))).toEqual([]);
  });

  test("when all fail the error has every reason and the ways out", async () => {
    const failing = resolveNatsServer({
      ...context({ PATH: join(home, "bin"), VOLLEY_NATS_RELEASES: "http://127.0.0.1:9" }),
      sources: [environmentBinary, searchPath, userCache, releaseArchive, absent("go", true)],
    });
    const error = await failing.catch((reason: Error & { code: string; details: { reasons: string[] } }) => reason);
    expect(error).toMatchObject({
      code: "NATS_UNAVAILABLE",
      details: {
        reasons: expect.arrayContaining(["VOLLEY_NATS_SERVER: not set", "PATH: no nats-server in it", "go: nothing"]),
      },
    });
    for (const way of [
      "VOLLEY_URL",
      "VOLLEY_NATS_SERVER",
      "VOLLEY_NATS_RELEASES",
      "volley nats install",
      "release archive: http://127.0.0.1:9",
    ])
      expect((error as Error).message).toContain(way);
  });
});

/** The tools of the system are looked up in this process's PATH. */
async function inEnvironment<T>(ctx: ResolveContext, work: () => Promise<T>): Promise<T> {
  const before = process.env.PATH;
  process.env.PATH = ctx.env.PATH;
  try {
    return await work();
  } finally {
    process.env.PATH = before;
  }
}
