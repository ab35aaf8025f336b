/**
 * What executes a worker's code. ECMAScript leaves `Math.pow`, `**`, `Math.exp` and their like to the engine, so a
 * user's pure function may give other bits on another one.
 */
export interface EngineFacts {
  /** "node 20.20.2" */
  runtime: string;
  /** "11.3.244.8-node.38" */
  v8: string;
  /** "x64" */
  arch: string;
}

/**
 * Engines of one family are taken to give the same bits: V8 of one major.minor version on one kind of processor. ""
 * stands for a worker that did not say.
 */
export function engineFamily(engine: EngineFacts | undefined): string {
  if (!engine) return "";
  const [major = "", minor = ""] = engine.v8.split(".");
  return `v8-${major}.${minor}-${engine.arch}`.replace(/[^A-Za-z0-9.-]/g, "_");
}

/**
 * Whose results a stage's are: only a user's pure function has an engine. Kernels give the same bits on each, and what
 * is not pure is not made again.
 */
export const engineOfStage = ({
  fn,
  options,
}: {
  fn: object;
  options: { pure: boolean; engine?: string | undefined };
}): string | undefined => (options.pure && "bundle" in fn ? options.engine : undefined);

/** The stage as one whose results are this engine's, if it is of a kind that has one. */
export const ofEngine = <S extends { fn: object; options: { pure: boolean } }>(stage: S, engine: string): S =>
  stage.options.pure && "bundle" in stage.fn ? { ...stage, options: { ...stage.options, engine } } : stage;
