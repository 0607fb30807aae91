// What Thalweg, quicktype, genson and DuckDB make of the same files, as the table of `docs/inference.md`.
//
//   cargo xtask fetch                                                        # the data
//   npm ci && python3 -m venv .venv && .venv/bin/pip install -r requirements.txt
//   node compare.mjs [--thalweg ../../target/release/thalweg] [--rounds 3] [--schemas FOLDER]
//
// Ours is counted in the golden files. With `--thalweg`, the documents are imported too: for the seconds, and the schema that is
// served must count the same.

import { spawn, spawnSync } from "node:child_process";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { InputData, jsonInputForTargetLanguage, quicktype } from "quicktype-core";
import { countSchema, schemasOf, sum } from "./count.mjs";
import { dataSets } from "./data_sets.mjs";

const { values: options } = parseArgs({
  options: { thalweg: { type: "string" }, rounds: { type: "string", default: "3" }, schemas: { type: "string" } },
});
const rounds = Number(options.rounds);
const at = (path) => fileURLToPath(new URL(path, import.meta.url));
const median = (numbers) => numbers.toSorted((a, b) => a - b)[Math.floor(numbers.length / 2)];

async function timed(run) {
  const seconds = [];
  let found;
  for (let round = 0; round < rounds; round += 1) {
    const begun = performance.now();
    found = await run();
    seconds.push((performance.now() - begun) / 1000);
  }
  return { found, seconds: median(seconds) };
}

/** Each tool gives, for each file, a schema and seconds, or why it refused. */
const tools = { quicktype: byQuicktype, genson: (files) => byPython("genson", files), DuckDB: (files) => byPython("duckdb", files) };

async function byQuicktype(files) {
  const infer = async (file) => {
    const input = jsonInputForTargetLanguage("schema");
    await input.addSource({ name: "Documents", samples: [readFileSync(file, "utf8")] });
    const inputData = new InputData();
    inputData.addInput(input);
    const { lines } = await quicktype({ inputData, lang: "schema" });
    return JSON.parse(lines.join("\n"));
  };
  const answers = [];
  for (const file of files) {
    try {
      const { found, seconds } = await timed(() => infer(file));
      answers.push({ schema: found, seconds });
    } catch (error) {
      answers.push({ refused: error.message });
    }
  }
  return answers;
}

function byPython(tool, files) {
  const { status, stdout, stderr } = spawnSync(process.env.PYTHON ?? at(".venv/bin/python"), [at("others.py")], {
    input: JSON.stringify({ tool, files, rounds }),
    encoding: "utf8",
    maxBuffer: 2 ** 30,
  });
  if (status !== 0) throw new Error(`others.py: ${stderr}`);
  return JSON.parse(stdout);
}

/** Imports a few times, and gives what the last import did and the median of the seconds. */
async function byThalweg(collections) {
  const imports = [];
  for (let round = 0; round < rounds; round += 1) imports.push(await imported(collections));
  return { ...imports.at(-1), seconds: median(imports.map(({ seconds }) => seconds)) };
}

/** Imports into an empty store in memory, and gives the seconds, what was refused, and the schema that is served then. */
async function imported(collections) {
  const port = await new Promise((resolve) => {
    const probe = createServer().listen(0, "127.0.0.1", () => {
      const { port } = probe.address();
      probe.close(() => resolve(port));
    });
  });
  const origin = `http://127.0.0.1:${port}`;
  const server = spawn(options.thalweg, ["serve", "--store", "memory:", "--listen", `127.0.0.1:${port}`, "--auto-create"], { stdio: "ignore" });
  try {
    for (let tries = 0; !(await fetch(`${origin}/readyz`).then(({ ok }) => ok, () => false)); tries += 1) {
      if (tries === 100) throw new Error(`${options.thalweg} does not get ready`);
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    const begun = performance.now();
    let refused = 0;
    for (const [collection, file] of Object.entries(collections)) {
      const { stdout, stderr } = spawnSync(options.thalweg, ["import", file, "--collection", collection, "--format", "json", "--server", origin], { encoding: "utf8" });
      const report = JSON.parse(stdout || "null");
      if (!report) throw new Error(stderr);
      refused += report.failed ?? 0;
    }
    const seconds = (performance.now() - begun) / 1000;
    return { seconds, refused, sdl: await (await fetch(`${origin}/schema.graphql`)).text() };
  } finally {
    server.kill();
  }
}

/** The SDL of a golden file, without the head that insta puts before it. */
const golden = (name) => readFileSync(at(`../../schema-infer/tests/it/snapshots/it__golden__${name}.snap`), "utf8").split("\n---\n").slice(1).join("\n---\n");

const format = (seconds) => (seconds === undefined ? "–" : seconds < 0.1 ? seconds.toFixed(3) : seconds.toFixed(2));
const row = (tool, count, refused, seconds) =>
  console.log(`| ${tool} | ${count.types} | ${count.fields} | ${count.untyped} | ${count.maps} | ${count.enums} | ${refused} | ${format(seconds)} |`);

for (const { name, golden: file, collections } of dataSets()) {
  const documents = Object.fromEntries(Object.entries(collections).map(([it, path]) => [it, JSON.parse(readFileSync(path, "utf8"))]));
  const number = Object.values(documents).reduce((all, it) => all + it.length, 0);
  console.log(`\n| ${name}: ${number.toLocaleString("en")} | types | fields | untyped | maps | enums | refused | s |`);
  console.log("|---|--:|--:|--:|--:|--:|--:|--:|");
  const ofSdl = (sdl) => sum(schemasOf(sdl, documents).map(countSchema));
  const ours = ofSdl(golden(file));
  const served = options.thalweg ? await byThalweg(collections) : {};
  row("Thalweg", ours, served.refused ?? "–", served.seconds);
  if (served.sdl && JSON.stringify(ofSdl(served.sdl)) !== JSON.stringify(ours)) {
    console.error(`${name}: served ${JSON.stringify(ofSdl(served.sdl))}, but golden ${JSON.stringify(ours)}`);
    process.exitCode = 1;
  }
  for (const [tool, infer] of Object.entries(tools)) {
    const answers = await infer(Object.values(collections));
    const told = answers.filter(({ schema }) => schema);
    row(tool, sum(told.map(({ schema }) => countSchema(schema))), answers.length - told.length, told.reduce((all, { seconds }) => all + seconds, 0));
    for (const { refused } of answers) if (refused) console.error(`${name}, ${tool}: ${refused}`);
    const differing = told.reduce((all, it) => all + (it.differing ?? 0), 0);
    if (differing) console.error(`${name}, ${tool}: ${differing} documents come back other than they went in`);
    if (options.schemas) {
      mkdirSync(options.schemas, { recursive: true });
      writeFileSync(join(options.schemas, `${file} ${tool} ${Object.keys(collections)[0]}.json`), JSON.stringify(told.map(({ schema }) => schema), null, 1));
    }
  }
}
