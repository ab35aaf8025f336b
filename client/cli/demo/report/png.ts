/** A small image with one palette index per pixel, as a PNG (ISO/IEC 15948) in a data: address. */
import { crc32, deflateSync } from "node:zlib";

function chunk(type: string, data: Uint8Array): Buffer {
  const body = Buffer.concat([Buffer.from(type, "latin1"), data]);
  const out = Buffer.alloc(body.length + 8);
  out.writeUInt32BE(data.length, 0);
  body.copy(out, 4);
  out.writeUInt32BE(crc32(body), body.length + 4);
  return out;
}

/** `pixels`: row by row from the top, indexes into `palette` (at most 256 colours as [red, green, blue, alpha]). */
export function pngDataUrl(
  width: number,
  height: number,
  pixels: Uint8Array,
  palette: readonly (readonly [number, number, number, number])[],
): string {
  const header = Buffer.alloc(13);
  header.writeUInt32BE(width, 0);
  header.writeUInt32BE(height, 4);
  header.set([8, 3, 0, 0, 0], 8); // 8 bits a pixel, palette, deflate, adaptive filters, not interlaced
  const rows = Buffer.alloc((width + 1) * height); // a filter byte (0: none) before each row
  for (let y = 0; y < height; y++) rows.set(pixels.subarray(y * width, (y + 1) * width), y * (width + 1) + 1);
  const file = Buffer.concat([
    Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]),
    chunk("IHDR", header),
    chunk("PLTE", Uint8Array.from(palette.flatMap((colour) => colour.slice(0, 3)))),
    chunk(
      "tRNS",
      Uint8Array.from(palette, ([, , , alpha]) => alpha),
    ),
    chunk("IDAT", deflateSync(rows, { level: 9 })),
    chunk("IEND", new Uint8Array(0)),
  ]);
  return `data:image/png;base64,${file.toString("base64")}`;
}
