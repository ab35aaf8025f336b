/**
 * The release that is fetched or built where no nats-server is found.
 *
 * SHA-256 of the official release archives. linux: as in the official image's Dockerfile, nats-io/nats-docker
 * 2.14.x/alpine3.22/Dockerfile at NATS_SERVER 2.14.3. darwin: as pinned by two independent public build files for the
 * same release (one of them darwin-arm64 only), whose linux values equal the image's.
 */
export const pinnedVersion = "2.14.3";

const sha256ByPlatform: Readonly<Record<string, string>> = {
  "linux-amd64": "f3d0c820c749f81d717310fb00d4903919e70e3e66b268bd352a088b9788eb93",
  "linux-arm64": "1759b6a0ddebade9471b7c02891dfaa8c73b526c6f3ce391d4e21ec3eceffab8",
  "darwin-amd64": "effa518fe623433d7c3321991db419bb1e00aa9b19ae761b559b580434afc3ab",
  "darwin-arm64": "e086395457a7a93a440433a446c9f161f917d35c0374640555123e8d8d4b7fe9",
};

const architectures: Readonly<Record<string, string>> = { x64: "amd64", arm64: "arm64" };

/**
 * Of Debian 13 (trixie), whose files stay in the pool while it is supported; SHA-256 as in the Packages index of main.
 * It runs on Debian 12 too.
 */
const debianVersion = "2.10.27-1+b2";
const debianSha256: Readonly<Record<string, string>> = {
  amd64: "6d913ac987b78734c08537c2adeb1526cf735f216173a9170d94b185fcfe6f8a",
  arm64: "0c9a617510b28c1b4fb4a38aabea6ab8cd7f026247f2abdff8b955b2278ce049",
};

export interface PinnedDebian {
  /** Below the mirror's base. */
  readonly path: string;
  readonly sha256: string;
}

/** Throws if there is no pinned package for the architecture (as Node names it). */
export function pinnedDebian(arch: string = process.arch): PinnedDebian {
  const target = architectures[arch] ?? arch;
  const sha256 = debianSha256[target];
  if (!sha256)
    throw new Error(`no pinned package for ${target} (there is one for ${Object.keys(debianSha256).join(", ")})`);
  return { path: `pool/main/n/nats-server/nats-server_${debianVersion}_${target}.deb`, sha256 };
}

export interface PinnedArchive {
  /** Name of the archive without its ending, and of the folder in it. */
  readonly name: string;
  readonly sha256: string;
}

/** Throws if there is no pinned archive for the platform (as Node names it). */
export function pinnedArchive(platform: string = process.platform, arch: string = process.arch): PinnedArchive {
  const target = `${platform}-${architectures[arch] ?? arch}`;
  const sha256 = sha256ByPlatform[target];
  if (!sha256)
    throw new Error(`no pinned archive for ${target} (there is one for ${Object.keys(sha256ByPlatform).join(", ")})`);
  return { name: `nats-server-v${pinnedVersion}-${target}`, sha256 };
}
