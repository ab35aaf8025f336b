/**
 * The release that is fetched or built where no nats-server is found.
 *
 * SHA-256 of the official release archives. linux: as in the official image's Dockerfile, nats-io/nats-docker 2.14.x/alpine3.22/Dockerfile at
 * NATS_SERVER 2.14.3. darwin: as pinned by two independent public build files for the same release (one of them darwin-arm64 only), whose linux
 * values equal the image's.
 */
export const pinnedVersion = "2.14.3";

const sha256ByPlatform: Readonly<Record<string, string>> = {
  "linux-amd64": "f3d0c820c749f81d717310fb00d4903919e70e3e66b268bd352a088b9788eb93",
  "linux-arm64": "1759b6a0ddebade9471b7c02891dfaa8c73b526c6f3ce391d4e21ec3eceffab8",
  "darwin-amd64": "effa518fe623433d7c3321991db419bb1e00aa9b19ae761b559b580434afc3ab",
  "darwin-arm64": "e086395457a7a93a440433a446c9f161f917d35c0374640555123e8d8d4b7fe9",
};

const architectures: Readonly<Record<string, string>> = { x64: "amd64", arm64: "arm64" };

export interface PinnedArchive {
  /** Name of the archive without its ending, and of the folder in it. */
  readonly name: string;
  readonly sha256: string;
}

/** Throws if there is no pinned archive for the platform (as Node names it). */
export function pinnedArchive(platform: string = process.platform, arch: string = process.arch): PinnedArchive {
  const target = `${platform}-${architectures[arch] ?? arch}`;
  const sha256 = sha256ByPlatform[target];
  if (!sha256) throw new Error(`no pinned archive for ${target} (there is one for ${Object.keys(sha256ByPlatform).join(", ")})`);
  return { name: `nats-server-v${pinnedVersion}-${target}`, sha256 };
}
