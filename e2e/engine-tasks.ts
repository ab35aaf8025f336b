/** Tasks whose result tells the engine that made it. */
export const raised = (x: number, y: number): { node: string; value: number } => {
  // A millisecond, so that no worker takes all.
  for (const end = performance.now() + 1; performance.now() < end; );
  return { node: process.versions.node, value: x ** y };
};
