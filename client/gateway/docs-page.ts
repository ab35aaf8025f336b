/**
 * The OpenAPI 3.1 document, made from the schemas that the routes have anyway, and its page; both are served from here,
 * nothing is loaded from elsewhere.
 */
import { STATUS_CODES } from "node:http";
import fastifySwagger from "@fastify/swagger";
import fastifySwaggerUi from "@fastify/swagger-ui";
import { createJsonSchemaTransform, createJsonSchemaTransformObject } from "fastify-type-provider-zod";
import { z } from "zod";
import { jsonGraph } from "../../proto/graph.js";
import { explanation } from "../../proto/messages/explanation.js";
import { jobStatus, workerStatus } from "../../proto/messages/status.js";
import type { App } from "./context.js";
import { errorShape, uploadedShape } from "./shapes.js";

/**
 * Schemas that stand once in the document and are referred to; an argument of a graph must, for it may hold arguments.
 */
function namedSchemas() {
  const registry = z.registry<{ id?: string | undefined }>();
  registry.add(jsonGraph, { id: "Graph" });
  registry.add(jsonGraph.shape.stages.element.shape.args.unwrap().element, { id: "GraphArgument" });
  registry.add(jobStatus, { id: "JobStatus" });
  registry.add(explanation, { id: "Explanation" });
  registry.add(workerStatus, { id: "Worker" });
  registry.add(uploadedShape, { id: "Uploaded" });
  registry.add(errorShape, { id: "Error" });
  return registry;
}

type Operation = { responses?: Record<string, { description?: string }> };

/** Every named schema is made for requests and for answers; most are used for one of them. */
function dropUnused(document: { components?: { schemas?: Record<string, unknown> } }): void {
  const schemas = document.components?.schemas ?? {};
  for (const name of Object.keys(schemas))
    if (!JSON.stringify(document).includes(`"#/components/schemas/${name}"`)) delete schemas[name];
}

/** Must be registered before the routes it is to describe. */
export async function docsPage(app: App): Promise<void> {
  const schemaRegistry = namedSchemas();
  // Brands and bytes have no JSON Schema; they are shown as any value.
  const zodToJsonConfig = { unrepresentable: "any" } as const;
  const transform = createJsonSchemaTransform({ schemaRegistry, zodToJsonConfig });
  const transformObject = createJsonSchemaTransformObject({ schemaRegistry, zodToJsonConfig });
  await app.register(fastifySwagger, {
    openapi: {
      openapi: "3.1.0",
      info: {
        title: "Volley",
        version: "1",
        description:
          "Submit graphs, follow their progress, fetch their results. Errors are documented in docs/errors.md.",
      },
      components: { securitySchemes: { token: { type: "http", scheme: "bearer" } } },
      security: [{ token: [] }],
      tags: [{ name: "jobs" }, { name: "objects" }, { name: "kernels" }, { name: "system" }],
    },
    transform: (route) => {
      const made = transform(route);
      const consumes = (route.schema as { consumes?: string[] } | undefined)?.consumes;
      // A body of bytes has no schema to validate by, but its content types are worth saying.
      if (consumes)
        Object.assign(made.schema, {
          body: { content: Object.fromEntries(consumes.map((type) => [type, { schema: {} }])) },
        });
      return made;
    },
    transformObject: (input) => {
      const document = transformObject(input) as {
        paths?: Record<string, Record<string, Operation>>;
        components?: { schemas?: Record<string, unknown> };
      };
      for (const operation of Object.values(document.paths ?? {}).flatMap((methods) => Object.values(methods))) {
        for (const [status, response] of Object.entries(operation.responses ?? {}))
          response.description = STATUS_CODES[status] ?? status;
      }
      dropUnused(document);
      return document;
    },
  });
  await app.register(fastifySwaggerUi, {
    routePrefix: "/docs",
    staticCSP: true,
    // The page sets styles on its own elements; nothing is allowed from other places.
    transformStaticCSP: (header) =>
      header.replace("style-src 'self' https:", "style-src 'self' 'unsafe-inline'").replaceAll(" https:", ""),
    theme: { title: "Volley" },
    uiConfig: { validatorUrl: null, persistAuthorization: true, layout: "BaseLayout" } as never,
  });
  app.get("/openapi.json", { schema: { hide: true } }, async () => app.swagger());
}
