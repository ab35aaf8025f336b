/**
 * Objects: uploads in Arrow, Parquet, CSV or JSON, decoded in a disposable thread and kept durably under the address of
 * their content; and reading them back.
 */
import { Readable } from "node:stream";
import { tableFromIPC } from "apache-arrow";
import type { FastifyReply, FastifyRequest } from "fastify";
import { z } from "zod";
import type { Ingested, IngestFormat } from "../../data/ingest/index.js";
import { readParquet } from "../../data/lake/index.js";
import { isVolleyError, VolleyError } from "../../proto/errors.js";
import { isObjectId } from "../../proto/ids.js";
import { limits } from "../../proto/limits.js";
import { valueKind } from "../../proto/values/kind.js";
import type { App, Context } from "./context.js";
import { type MediaType, mediaTypeOf, mediaTypes, render } from "./result-rendering.js";
import { errorShape, idParams, uploadedShape, uploadQuery } from "./shapes.js";

const formats: Readonly<Record<string, IngestFormat | "parquet">> = {
  [mediaTypes.arrow]: "arrow",
  "application/vnd.apache.arrow.file": "arrow",
  [mediaTypes.parquet]: "parquet",
  [mediaTypes.csv]: "csv",
  [mediaTypes.json]: "json",
};
const getTimeoutMs = 20_000;

/** Registered as a plugin of its own, so that JSON is not parsed on the main thread here. */
export function objectRoutes(app: App, context: Context): void {
  app.removeAllContentTypeParsers();
  app.addContentTypeParser(
    Object.keys(formats),
    { parseAs: "buffer", bodyLimit: context.uploadBytesMax },
    (_request, body, done) => done(null, body),
  );

  app.post(
    "/v1/objects",
    {
      bodyLimit: context.uploadBytesMax,
      handlerTimeout: context.decodeTimeoutMs + 60_000,
      onRequest: async (_request, reply) => context.uploads.enter(reply),
      schema: {
        summary: "Upload a table",
        description:
          "An Arrow IPC stream or file, a Parquet file, CSV with a header row, or JSON rows ([{…}, …]). The same rows have the same id. Arrow has no checksum, and Parquet need not have any: send x-volley-sha256 (hex) or Content-Digest (sha-256=:base64:) to have changed bytes refused.",
        tags: ["objects"],
        consumes: Object.keys(formats),
        querystring: uploadQuery,
        response: {
          201: uploadedShape,
          400: errorShape,
          413: errorShape,
          415: errorShape,
          429: errorShape,
          504: errorShape,
        },
      },
    },
    async (request, reply) => {
      const result = await decodeUpload(request, request.query, context);
      const ref = await context.cluster.put(tableFromIPC(result.data), { durable: true });
      const { rows } = result;
      const columns = [...result.columns];
      return reply
        .code(201)
        .header("location", `/v1/objects/${ref.id}`)
        .send({ object: ref.id, rows, columns, bytes: result.data.byteLength });
    },
  );

  app.get(
    "/v1/objects/:id",
    {
      handlerTimeout: 600_000,
      schema: {
        summary: "Read an object",
        tags: ["objects"],
        params: idParams,
        produces: Object.values(mediaTypes),
        response: { 200: z.any(), 404: errorShape, 406: errorShape, 429: errorShape },
      },
    },
    async (request, reply) => giveObject(context, request.params.id, mediaTypeOf(request.headers.accept), reply),
  );
}

async function giveObject(
  context: Context,
  id: string,
  mediaType: MediaType,
  reply: FastifyReply,
): Promise<FastifyReply> {
  if (!isObjectId(id))
    throw new VolleyError("OBJECT_NOT_FOUND", `there is no object ${JSON.stringify(id)}: that is not an object's id`);
  const hold = context.answers.enter(reply);
  const found = (): FastifyReply => reply.header("vary", "accept").header("etag", `"${id}.${mediaType}"`);
  const options = { timeoutMs: getTimeoutMs, admit: hold.admit };
  if (mediaType === "arrow") {
    const content = await context.cluster.getEncoded({ id }, options);
    if (content.kind !== valueKind.arrow)
      throw new VolleyError(
        "NOT_ACCEPTABLE",
        "the object is not a table, so it cannot be given as an Arrow stream; ask for application/json",
      );
    // As it lies there: nothing is decoded, and of what is in the durable store a few pieces are here at a time.
    return found()
      .type(mediaTypes.arrow)
      .header("content-length", content.bytes)
      .send(Readable.from(content.pieces(), { objectMode: false }));
  }
  const value = await context.cluster.get<unknown>({ id }, options);
  const one = async function* (): AsyncGenerator<unknown> {
    yield value;
  };
  const rendered = await render(mediaType, one(), { object: id }, hold);
  return found().type(rendered.contentType).send(rendered.body);
}

interface UploadQuery {
  readonly delimiter?: string | undefined;
  readonly nulls?: string | undefined;
  readonly types?: Readonly<Record<string, never>> | Readonly<Record<string, string>> | undefined;
}

async function decodeUpload(
  request: FastifyRequest,
  query: UploadQuery,
  { pool, metrics, decodeTimeoutMs }: Context,
): Promise<Ingested> {
  const format = formats[request.headers["content-type"]?.split(";")[0]?.trim().toLowerCase() ?? ""];
  if (!format || !Buffer.isBuffer(request.body))
    throw new VolleyError("UNSUPPORTED_TYPE", `send one of ${Object.keys(formats).join(", ")} with its Content-Type`);
  const sha256 = announcedDigest(request);
  const { delimiter, nulls, types } = query;
  try {
    // The table becomes one durable object: a file that unpacks to more is refused before it does.
    if (format === "parquet")
      return await readParquet(request.body, {
        timeoutMs: decodeTimeoutMs,
        bytesMax: limits.durableObjectBytesMax,
        ...(sha256 === undefined ? {} : { sha256 }),
      });
    return await pool.ingest(request.body, {
      format,
      timeoutMs: decodeTimeoutMs,
      ...(sha256 === undefined ? {} : { sha256 }),
      ...(delimiter === undefined ? {} : { delimiter }),
      ...(nulls === undefined ? {} : { nullValues: ["", ...nulls.split(",")] }),
      ...(types === undefined ? {} : { types: types as Readonly<Record<string, never>> }),
    });
  } catch (error) {
    metrics.rejected.inc({ format, code: isVolleyError(error) ? error.code : "INTERNAL" });
    throw error;
  }
}

/** x-volley-sha256 in hex, or the sha-256 of a Content-Digest (RFC 9530). */
function announcedDigest({ headers }: FastifyRequest): string | undefined {
  const bad = (name: string, expected: string): VolleyError =>
    new VolleyError("INVALID_ARGUMENT", `headers.${name}: expected ${expected}`, {
      details: { path: `headers.${name}` },
    });
  const own = headers["x-volley-sha256"];
  if (own !== undefined) {
    if (typeof own === "string" && /^[0-9a-f]{64}$/i.test(own)) return own.toLowerCase();
    throw bad("x-volley-sha256", "a SHA-256 in 64 hex digits");
  }
  const standard = headers["content-digest"];
  if (typeof standard !== "string") return undefined;
  const member = standard.split(",").find((part) => part.trim().toLowerCase().startsWith("sha-256="));
  if (member === undefined) return undefined;
  const digest = Buffer.from(/^sha-256=:([A-Za-z0-9+/]+=*):$/i.exec(member.trim())?.[1] ?? "", "base64");
  if (digest.byteLength !== 32) throw bad("content-digest", "sha-256=:<base64 of 32 bytes>:");
  return digest.toString("hex");
}
