/**
 * fast-check with one seed for every run, so that a failure is a property of the code and comes back on every machine.
 * `VOLLEY_DRAW_SEED` is another seed, "random" a new one each time: for looking further before a release.
 */
import fc from "fast-check";

const asked = process.env.VOLLEY_DRAW_SEED;
if (asked !== "random") fc.configureGlobal({ seed: asked === undefined ? 20_260_701 : Number(asked) });

export { fc };
