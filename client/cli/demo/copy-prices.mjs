/**
 * Part of `npm run build`: the demo's daily bars, out of a development dependency of 42 MB, so that users install 0.4.
 */
import { copyFileSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

const path = (relative) => fileURLToPath(new URL(relative, import.meta.url));
const fromPackage = (relative) => fileURLToPath(new URL(`../${relative}`, import.meta.resolve("vega-datasets")));

const out = path("../../../dist/client/cli/demo/");
const { version, license } = JSON.parse(readFileSync(fromPackage("package.json"), "utf8"));
mkdirSync(out, { recursive: true });
copyFileSync(fromPackage("data/sp500-2000.csv"), `${out}sp500-2000.csv`);
writeFileSync(
  `${out}sp500-2000.txt`,
  `sp500-2000.csv: the S&P 500 from 2000 to 2020, daily, unchanged from the npm package vega-datasets ${version}
(https://github.com/vega/vega-datasets), which names Yahoo Finance as its source. ${license} covers that package's code;
it states no licence for this file.
`,
);
