// Builds the console into ../assets/console, the folder that the gateway embeds.
//
//   node build.mjs           build and replace the committed output
//   node build.mjs --check   build, compare with the committed output, exit 1 when they differ
//
// The output depends on nothing but package-lock.json and src/: names carry a hash of their content, gzip
// has no time stamp, and the licences are sorted. Files of some size are kept only as `.gz`.

import { createHash } from "node:crypto";
import { mkdir, readFile, readdir, rm, writeFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { gunzipSync, gzipSync } from "node:zlib";
import path from "node:path";
import * as esbuild from "esbuild";
import { thirdPartyLicenses } from "./licenses.mjs";

const here = path.dirname(fileURLToPath(import.meta.url));
const output = path.resolve(here, "../assets/console");

/** Files below this size are served as they are: compressing them gains nothing. */
const PLAIN_BYTES_MAX = 4096;

const shared = {
  absWorkingDir: here,
  bundle: true,
  minify: true,
  format: "esm",
  target: "es2022",
  legalComments: "none",
  metafile: true,
  write: false,
  outdir: output,
  entryNames: "[name]-[hash]",
  chunkNames: "[name]-[hash]",
  assetNames: "[name]-[hash]",
  loader: { ".ttf": "file" },
  define: { "process.env.NODE_ENV": '"production"' },
  logLevel: "warning",
};

/** Redirects large modules of dependencies to small ones in src/, which say why. */
const replacements = {
  name: "replacements",
  setup(build) {
    const replace = (filter, module) =>
      build.onResolve({ filter }, () => ({ path: path.join(here, "src", module) }));
    replace(/^monaco-editor\/esm\/vs\/editor\/edcore\.main\.js$/, "monaco_features.js");
    replace(/^prettier\/(plugins\/estree|parser-babel)$/, "json_formatting.js");
  },
};

/** Builds the workers, whose hashed names the page has to know, then the page. */
async function bundle() {
  const workers = await esbuild.build({
    ...shared,
    plugins: [replacements],
    entryPoints: {
      "worker-editor": "monaco-editor/esm/vs/editor/editor.worker.js",
      "worker-json": "monaco-editor/esm/vs/language/json/json.worker.js",
      "worker-graphql": "monaco-graphql/esm/graphql.worker.js",
    },
  });
  const workerName = (label) => path.basename(entryOutput(workers.metafile, `worker-${label}-`));
  const page = await esbuild.build({
    ...shared,
    plugins: [replacements],
    entryPoints: { console: "src/console.jsx" },
    jsx: "automatic",
    define: {
      ...shared.define,
      WORKER_FILES: JSON.stringify({
        editor: workerName("editor"),
        json: workerName("json"),
        graphql: workerName("graphql"),
      }),
    },
  });
  return { workers, page };
}

/** The one output of an entry point whose file name starts with `prefix`. */
function entryOutput(metafile, prefix, extension = ".js") {
  const found = Object.keys(metafile.outputs).filter(
    (file) => path.basename(file).startsWith(prefix) && file.endsWith(extension),
  );
  if (found.length !== 1) throw new Error(`expected one ${prefix}*${extension}, found ${found.length}`);
  return found[0];
}

/** Everything that belongs into the output folder: file name → bytes. */
async function render() {
  const { workers, page } = await bundle();
  const files = new Map();
  const add = (name, bytes) => {
    if (bytes.length <= PLAIN_BYTES_MAX) files.set(name, bytes);
    else files.set(`${name}.gz`, gzip(bytes));
  };
  for (const file of [...workers.outputFiles, ...page.outputFiles]) {
    add(path.basename(file.path), Buffer.from(file.contents));
  }

  const script = path.basename(entryOutput(page.metafile, "console-"));
  const style = path.basename(entryOutput(page.metafile, "console-", ".css"));
  const template = await readFile(path.join(here, "src/index.html"), "utf8");
  const index = template.replace("{script}", `/console/${script}`).replace("{style}", `/console/${style}`);
  files.set("index.html", Buffer.from(index));

  const inputs = [workers, page].flatMap(({ metafile }) =>
    Object.values(metafile.outputs).flatMap((one) =>
      Object.entries(one.inputs)
        .filter(([, { bytesInOutput }]) => bytesInOutput > 0)
        .map(([file]) => file),
    ),
  );
  files.set("THIRD-PARTY-LICENSES.txt", Buffer.from(await thirdPartyLicenses(here, inputs)));
  return files;
}

/** gzip whose header names neither a time nor an operating system, so that equal input gives equal bytes. */
function gzip(bytes) {
  const packed = gzipSync(bytes, { level: 9 });
  packed.fill(0, 4, 8);
  packed[9] = 255;
  return packed;
}

/**
 * What differs between the rendered files and the folder, as one line each. Contents are compared, not compressed
 * bytes: another release of Node may carry another zlib.
 */
async function differences(files) {
  const present = new Set(await readdir(output).catch(() => []));
  const lines = [];
  for (const [name, bytes] of files) {
    if (!present.delete(name)) lines.push(`missing: ${name}`);
    else if (!content(name, bytes).equals(content(name, await readFile(path.join(output, name))))) lines.push(`differs: ${name}`);
  }
  for (const name of present) lines.push(`not built any more: ${name}`);
  return lines;
}

const content = (name, bytes) => (name.endsWith(".gz") ? gunzipSync(bytes) : bytes);

function summary(files) {
  const digest = createHash("sha256");
  let total = 0;
  for (const name of [...files.keys()].sort()) {
    const bytes = files.get(name);
    digest.update(name).update(bytes);
    total += bytes.length;
    console.log(`${String(bytes.length).padStart(9)}  ${name}`);
  }
  console.log(`${String(total).padStart(9)}  bytes in ${files.size} files, sha256 ${digest.digest("hex").slice(0, 16)}`);
}

const files = await render();
if (process.argv.includes("--check")) {
  const lines = await differences(files);
  if (lines.length > 0) {
    console.error("gateway/assets/console is not what gateway/console builds:");
    for (const line of lines) console.error(`  ${line}`);
    console.error("run `npm ci && node build.mjs` in gateway/console and commit the result");
    process.exit(1);
  }
  console.log(`gateway/assets/console is up to date (${files.size} files)`);
} else {
  await rm(output, { recursive: true, force: true });
  await mkdir(output, { recursive: true });
  for (const [name, bytes] of files) await writeFile(path.join(output, name), bytes);
  summary(files);
}
